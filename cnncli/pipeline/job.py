"""The records of the work on images: the job, the task of one image, and its outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.source import Source
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.options import RenderOptions

WARNING: Final = "warning: "
"""How a note begins that tells of a likely mistake."""


@dataclass(frozen=True)
class Job:
    """What is done to every image: picklable, so that a worker process can be given it.

    Parameters
    ----------
    network : Network
    read : ReadOptions
    render : RenderOptions
    output : OutputOptions
    command : str
        As typed, for the metadata of pictures.
    layers : tuple of str
        Of a network from a file, the layers that go out where there is room for several, the last
        of them where there is not. Empty for a network of one layer.
    needs_all_layers : bool
        Whether there must be room for all of them: several were asked for.
    notes : tuple of str
        Said once with every image's report.
    read_too : tuple of Path
        Files of filters and biases: like the images they are never overwritten.
    show_width : int
        Columns of the terminal to draw the result for; 0: do not draw.
    jobs : int, optional
        Threads over the strips of an image; default: one for each core.
    verbose : bool
        Say how each layer is computed.
    is_default_depth : bool
        Whether pictures made of 16-bit images may have 16 bits: no depth was asked for.
    """

    network: Network
    read: ReadOptions
    render: RenderOptions
    output: OutputOptions
    command: str
    layers: tuple[str, ...] = ()
    needs_all_layers: bool = False
    notes: tuple[str, ...] = ()
    read_too: tuple[Path, ...] = ()
    show_width: int = 0
    jobs: int | None = None
    verbose: bool = False
    is_default_depth: bool = False

    @property
    def op(self) -> str:
        """What the command is called in names of outputs."""
        return "run" if self.layers else self.network.op

    @property
    def filter_name(self) -> str | None:
        """Name of the one filter of a layer that is no network's, for names of outputs."""
        layer = self.network.nodes[-1].layer
        if self.layers or not isinstance(layer, ConvLayer) or not layer.filter.named:
            return None
        return layer.filter.name


@dataclass(frozen=True)
class Task:
    """One image of a batch: small and picklable, so that a worker process can be given it.

    Parameters
    ----------
    index : int
        Its place among the inputs, from 0.
    target : Target
        The image and where its result goes.
    data : bytes, optional
        The content of the image's file, for workers that cannot read it themselves.
    """

    index: int
    target: Target
    data: bytes | None = None

    @property
    def source(self) -> Source:
        """The image."""
        return self.target.source


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Parameters
    ----------
    source : Source
    written : tuple of WrittenFile
    notes : tuple of str
    error : CnnCliError, optional
    skipped : bool
        Its outputs were there and were left.
    planned : tuple of str
        The files that a dry run would have written.
    in_place : tuple of str
        The files of an image whose worker died after it wrote them, before it told of them.
    drawing : str
        The result drawn for the terminal.
    to_stdout : bool
        Whether its result goes to standard output, where nothing else may be then.
    seconds : float
        How long it took.
    """

    source: Source
    written: tuple[WrittenFile, ...] = ()
    notes: tuple[str, ...] = ()
    error: CnnCliError | None = None
    skipped: bool = False
    planned: tuple[str, ...] = ()
    in_place: tuple[str, ...] = ()
    drawing: str = ""
    to_stdout: bool = False
    seconds: float = 0.0
