"""`LayerResult`: what one layer gives for an image, and the files that it goes to."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cnncli._dataclass import dataclass
from cnncli.io.formats import Format
from cnncli.io.photo_metadata import PhotoMetadata
from cnncli.io.urls import Location
from cnncli.pipeline.source import path_argument
from cnncli.render.options import MapGroup, picture_names

if TYPE_CHECKING:
    from cnncli.pipeline.drawn_field import DrawnField
    from cnncli.render.legend import ColourKey


@dataclass(frozen=True)
class OutFile:
    """One file to write.

    Parameters
    ----------
    path : Path, Url or None
        None is standard output.
    format : Format
    result : int
        Index of the `LayerResult` it shows.
    maps : tuple of int
        Indices of that result's pictures in it; an archive holds those of all results.
    """

    path: Location | None
    format: Format
    result: int
    maps: tuple[int, ...]

    @property
    def argument(self) -> str:
        """What stands for it on a command line, and in reports for programs."""
        return path_argument(self.path)


@dataclass(frozen=True)
class LayerResult:
    """What one layer gives for an image: known before any value is computed.

    Parameters
    ----------
    name : str
        Of the layer in its network.
    shape : (N, n_H, n_W, n_C)
    groups : tuple of MapGroup
        Which channels are one picture.
    layer : str, optional
        The name again for a network from a file: outputs and reports bear it.
    clips : bool
        Whether its range ``auto`` is 0..1.
    batched : bool
        Whether the batch axis stays in files of values.
    photo_metadata : PhotoMetadata
        What the image's file holds beside its colours.
    has_white_note : bool
        Whether a note tells that a number was meant for pixels of 8 bits.
    is_noted : bool
        Whether notes tell what is likely to be a mistake, and so why values may be infinite or NaN.
    pad_mode : str, optional
        What the layer's border holds, if it has one.
    pad_value : float
        The number of a border of ``zeros`` that holds another.
    window : str, optional
        How a pool makes it: mode, window and stride; and which rows and columns no window reads.
    files : tuple of OutFile
        Where it goes.
    is_last : bool
        Whether it is the last layer that may go out.
    title : str, optional
        Of a sheet of its pictures; by default its layer and shape.
    keys : tuple of ColourKey
        What the colours of its pictures mean, if they are no levels of a range.
    field : DrawnField, optional
        The values behind such pictures.

    Examples
    --------
    >>> LayerResult("conv1", (2, 8, 8, 1), (MapGroup("edge", (0,)),)).maps
    ('edge@0', 'edge@1')
    """

    name: str
    shape: tuple[int, int, int, int]
    groups: tuple[MapGroup, ...]
    layer: str | None = None
    clips: bool = False
    batched: bool = False
    photo_metadata: PhotoMetadata = PhotoMetadata()
    has_white_note: bool = False
    is_noted: bool = False
    pad_mode: str | None = None
    pad_value: float = 0.0
    window: str | None = None
    files: tuple[OutFile, ...] = ()
    is_last: bool = False
    title: str | None = None
    keys: tuple[ColourKey, ...] = ()
    field: DrawnField | None = None

    @cached_property
    def maps(self) -> tuple[str, ...]:
        """Names of its pictures."""
        return picture_names(self.groups, self.shape[0])

    @property
    def all_maps(self) -> tuple[int, ...]:
        """Indices of its pictures."""
        return tuple(range(len(self.maps)))
