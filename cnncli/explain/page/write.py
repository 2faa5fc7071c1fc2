"""Write an explanation as an HTML page: one file with all that it needs, which loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError, printable, quote
from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import Explanation
from cnncli.explain.page.document import page_text
from cnncli.explain.page.file_names import is_page
from cnncli.explain.page.layer_data import ACTIVATIONS, PageData, PageLayer, Unit, layer_page_data
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.playground_data import playground_page_data
from cnncli.explain.run import ExplainRequest, ExplainResult, run, run_backward
from cnncli.explain.text.phrases import kind
from cnncli.io.urls import local_path
from cnncli.network.graph import NORMALIZE, Network
from cnncli.network.layers import ConvLayer, ConvTransposeLayer
from cnncli.pipeline.one_output import OneOutput, one_output_file
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.source import Source
from cnncli.render.options import MapGroup


@dataclass(frozen=True)
class PageDone:
    """The report on a page that was written.

    Parameters
    ----------
    output : str
    bytes : int
    layer : str
        Of the unit that it begins with.
    at : (row, column)
    map : int, optional
        Backward None where all maps count.
    notes : tuple of str
    backward : bool
        Whether the position is one of the layer's input.

    Examples
    --------
    >>> PageDone("page.html", 633_000, "conv1", (3, 4), 0, ("cut",)).report_line
    'page.html, 633 kB, begins at row 3, column 4 of conv1; cut'
    """

    output: str
    bytes: int
    layer: str
    at: Pair
    map: int | None
    notes: tuple[str, ...]
    backward: bool = False

    @property
    def report_line(self) -> str:
        """The report for people."""
        notes = "".join(f"; {note}" for note in self.notes)
        of = f"{'the input of ' if self.backward else ''}{printable(self.layer)}"
        return (
            f"{printable(self.output)}, {round(self.bytes / 1000)} kB, begins at row "
            f"{self.at[0]}, column {self.at[1]} of {of}{notes}"
        )


def write_page(request: ExplainRequest, source: Source, backward: bool = False) -> PageDone:
    """Explain one position of one layer on a page, and write it.

    Parameters
    ----------
    request : ExplainRequest
        Its output names the file.
    source : Source
        The image.
    backward : bool
        Whether the page begins with the gradient of an input value.

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written; then as `run` says. Backward also if the
        page would not compute the network itself.
    """
    output = _page_output(source, request.job.output, tuple(request.job.read_too))
    result = run_backward(request, source) if backward else run(request, source)
    explanation: Explanation | BackwardExplanation = result.explanation
    data = make_page(request, result, source).encode()
    output.write(data)
    return PageDone(
        output=str(output),
        bytes=len(data),
        layer=explanation.layer,
        at=explanation.at,
        map=explanation.map,
        notes=result.notes,
        backward=backward,
    )


@dataclass(frozen=True)
class PlaygroundDone:
    """The report on a playground that was written.

    Parameters
    ----------
    output : str
    bytes : int

    Examples
    --------
    >>> PlaygroundDone("playground.html", 150_000).report_line
    'playground.html, 150 kB'
    """

    output: str
    bytes: int

    @property
    def report_line(self) -> str:
        """The report for people."""
        return f"{printable(self.output)}, {round(self.bytes / 1000)} kB"


def write_playground(options: OutputOptions) -> PlaygroundDone:
    """Write the page on which a user stacks layers on a sample picture.

    Parameters
    ----------
    options : OutputOptions
        Name the file.

    Raises
    ------
    CnnCliError
        If the file cannot be written.
    """
    output = _page_output(Source(None), options)
    data = page_text(playground_page_data()).encode()
    output.write(data)
    return PlaygroundDone(str(output), len(data))


def _page_output(
    source: Source, options: OutputOptions, read_too: Sequence[Path] = ()
) -> OneOutput:
    """Return the file that a page goes to."""
    name = str(local_path(options.output or "", "-o"))
    if not is_page(name):
        raise OptionError(f"-o must end in .html, got {quote(name)}", hint="-o page.html")
    # A page has no format among those of pictures; png stands for any that can be written.
    options = replace(options, output=name, format="png")
    return one_output_file(source, options, op="explain", read_too=read_too)


def make_page(
    request: ExplainRequest,
    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation],
    source: Source,
) -> str:
    """Return the page that begins with what `run` or `run_backward` explained, as HTML.

    Errors are those of `write_page`, but for its file's.
    """
    return page_text(_page_data(request, result, source))


def _has_layer_page(network: Network) -> bool:
    """Whether the page does the arithmetic itself: of one layer, if it can."""
    (first, *more), layer = network.nodes, network.nodes[0].layer
    can_compute = getattr(layer, "activation", "none") in ACTIVATIONS
    is_single = not more and first.name != NORMALIZE
    return is_single and can_compute and isinstance(layer, PageLayer)


def _page_data(
    request: ExplainRequest,
    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation],
    source: Source,
) -> PageData:
    explanation, picture, network = result.explanation, result.picture, request.job.network
    title = source.path.name if source.path is not None else "standard input"
    if picture.shape[0] > 1:
        title += f", image {explanation.image} of {picture.shape[0]}"
    (first, *more), notes = network.nodes, result.image_notes
    layer = first.layer
    if more:
        end = "".join(path.name for path in request.job.read_too[:1])
    elif isinstance(layer, ConvLayer):
        end = layer.filter.name
    else:
        end = kind(layer.op, getattr(layer, "mode", None))
    title = ", ".join(filter(None, [title, end]))
    if isinstance(explanation, BackwardExplanation):
        unit = _strongest_sender(explanation, result.explained.groups)
    else:
        unit = Unit(explanation.at, explanation.map, explanation.image)
    if not _has_layer_page(network):
        name = explanation.layer
        if isinstance(explanation, BackwardExplanation):
            live = live_network_page_data(network, picture, name, unit, title=title, notes=notes)
            data = _with_cell(live, network, explanation)
        else:
            data = network_page_data(network, picture, name, unit, title=title, notes=notes)
        # How a picture that the user brings becomes the network's input.
        reading = {"fit": request.job.read.fit, "bgr": request.job.read.bgr}
        return data | {"titleEnd": end, "reading": reading}
    assert isinstance(layer, PageLayer)
    data = layer_page_data(picture, layer, unit, title=title, notes=notes) | {"titleEnd": end}
    if isinstance(explanation, BackwardExplanation):
        only_map = explanation.map is not None
        pixel = {"at": list(explanation.at), "channel": explanation.channel, "onlyMap": only_map}
        # Backward, an input cell gets gradient from the outputs to which it adds forward.
        is_transposed = isinstance(layer, ConvTransposeLayer)
        return data | ({"source": pixel} if is_transposed else {"backward": pixel})
    return data


def _with_cell(
    live: PageData | None, network: Network, explanation: BackwardExplanation
) -> PageData:
    """Let the page of a network begin with the gradient of a value."""
    if live is None:
        raise OptionError(
            "--backward needs a page that computes its network itself: this one is too large, or "
            "has layers that pages do not compute",
            hint="-o steps.gif shows the backward pass of any layer with a window",
        )
    source = network.node(explanation.layer).inputs[0]
    cell = {"layer": source, "channel": explanation.channel, "at": list(explanation.at)}
    return live | {"gradients": cell}


def _strongest_sender(explanation: BackwardExplanation, groups: Sequence[MapGroup]) -> Unit:
    """Return the output that sends most gradient to the input value, the first if none does."""
    if not explanation.paths:
        return Unit((0, 0), explanation.map or 0, explanation.image)
    best = max(explanation.paths, key=lambda path: abs(path.product))
    number = next(k for k, group in enumerate(groups) if best.channel in group.channels)
    return Unit(best.output, number, explanation.image)
