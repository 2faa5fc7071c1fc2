"""What a network will do to an input of some shape, found without a pixel or a weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.borders import Runs, join_runs
from cnncli.core.engine import Choice
from cnncli.core.geometry import Axis, Window
from cnncli.core.receptive_field import cells_read, gaps, gaps_left_out
from cnncli.network.error_context import as_fields
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    Layer,
    LRNLayer,
    MatMulLayer,
    MergeLayer,
    PadLayer,
    PoolLayer,
    ReduceLayer,
    ResizeLayer,
    Shape,
    SliceLayer,
    SoftmaxLayer,
)
from cnncli.network.layers.base import border_of
from cnncli.network.layers.norm import Normalization
from cnncli.network.parameters import count_parameters
from cnncli.network.passes import held_bytes
from cnncli.network.receptive_fields import Fields, receptive_fields
from cnncli.network.size_formulas import size_formulas

Ranges = tuple[slice, ...]

DTYPE = np.dtype(np.float32)
"""What pictures are computed in."""

_LISTED_RUNS = 3
_NOTED = 3
_SUMS = (ConvLayer, ConvTransposeLayer, MatMulLayer)


@dataclass(frozen=True)
class Unread:
    """Cells that nothing reads, as ranges ``[start, stop)``."""

    rows: Ranges = ()
    columns: Ranges = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.columns)


@dataclass(frozen=True)
class LayerSummary:
    """What is known of one layer.

    Parameters
    ----------
    name : str
    type : str
        As in network files.
    label : str
        The type with its window: ``conv 7x7/2``.
    inputs : tuple of str
        Earlier layers, or the network's input.
    shape : (n_H, n_W, n_C)
        Of its output.
    formulas : (str, str)
        How rows and columns of its output come about; empty where they are the input's.
    window : Window or None
        Where its window stands on its input; None if it has none.
    pad_mode : str or None
        What its border holds; None without one.
    parameters : int
        Learned numbers, see `count_parameters`.
    multiply_adds : int or None
        Products in the sums of convolutions; None where nobody can count them.
    field : Fields
        Receptive field along rows and columns.
    unread : Unread
        Cells of its input that it does not read.
    bytes : int
        Memory of its output.
    held_bytes : int
        Memory of all outputs that are held while it runs.
    choice : Choice or None
        The algorithm of a convolution, and why.
    """

    name: str
    type: str
    label: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]
    formulas: tuple[str, str]
    window: Window | None
    pad_mode: str | None
    parameters: int
    multiply_adds: int | None
    field: Fields
    unread: Unread
    bytes: int
    held_bytes: int
    choice: Choice | None


@dataclass(frozen=True)
class NetworkSummary:
    """What is known of a network.

    Parameters
    ----------
    input : (n_H, n_W, n_C)
    layers : tuple of LayerSummary
    unread : Unread
        Cells of the input that do not reach the last layer's output.
    warnings : tuple of str
        What is computed for nothing, and what is likely to be a mistake.
    """

    input: tuple[int, int, int]
    layers: tuple[LayerSummary, ...]
    unread: Unread
    warnings: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Learned numbers of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Products in the sums of all convolutions, of layers where they can be counted."""
        return sum(layer.multiply_adds or 0 for layer in self.layers)

    @property
    def not_counted(self) -> tuple[str, ...]:
        """Layers whose products nobody can count."""
        return tuple(layer.name for layer in self.layers if layer.multiply_adds is None)

    @property
    def peak_bytes(self) -> int:
        """The most memory of outputs held at once."""
        return max(layer.held_bytes for layer in self.layers)

    @property
    def last(self) -> LayerSummary:
        """The layer whose output counts."""
        return self.layers[-1]


def summarize(
    network: Network, shape: tuple[int, int, int], shown: Mapping[str, Layer] | None = None
) -> NetworkSummary:
    """Plan a network for one image.

    Parameters
    ----------
    network : Network
        Its arrays may be placeholders, see `cnncli.core.arrays`.
    shape : (n_H, n_W, n_C)
        Of the image.
    shown : mapping of str to Layer, optional
        As in `Model.shown`: the shapes of these layers are those of what they are shown as.

    Returns
    -------
    NetworkSummary

    Raises
    ------
    ShapeError, OptionError
        As `Network.shapes` says.

    Examples
    --------
    >>> network = Network.chain(PadLayer(1), PoolLayer(size=3, stride=2))
    >>> plan = summarize(network, (7, 8, 3))
    >>> [(layer.name, layer.shape) for layer in plan.layers]
    [('pad1', (9, 10, 3)), ('pool1', (4, 4, 3))]
    >>> plan.warnings
    ('column 9 of pad1 (0 to 9) is never read: pool1 has (10+2*0-3)//2+1 = 4 columns',)
    """
    batch: Shape = (1, *shape)
    shapes = network.shapes(batch)
    held, fields = held_bytes(network, batch, DTYPE), receptive_fields(network, batch)
    parameters = count_parameters(network)
    layers = tuple(
        _layer_summary(node, shapes, fields[node.name], parameters[node.name], held[node.name])
        for node in network.nodes
    )
    layers = tuple(_as_shown(layer, (shown or {}).get(layer.name)) for layer in layers)
    unread = _unread(_cells_needed(network, shapes), batch)
    return NetworkSummary(shape, layers, unread, tuple(_warnings(network, shapes, unread)))


def unread_notes(network: Network, shape: Shape) -> tuple[str, ...]:
    """Say which rows and columns of the input and of layers no layer reads, of the first few.

    Parameters
    ----------
    network : Network
    shape : Shape
        Of the network's input.

    Examples
    --------
    >>> unread_notes(Network.chain(PoolLayer()), (1, 4, 5, 1))
    ('column 4 of the input (0 to 4) is never read: pool1 has (5+2*0-2)//2+1 = 2 columns',)
    """
    shapes = network.shapes(shape)
    texts = list(_all_unread_texts(network, shapes))
    count = len(texts) - _NOTED
    more = f"{count} more line{'s' if count > 1 else ''} of this kind: cnncli plan has them all"
    return (*texts[:_NOTED], *([more] if count > 0 else []))


def window_text(network: Network, shape: Shape) -> str | None:
    """Say how the last layer pools, and its pads if they are not alike.

    Of a layer alone also which cells of its input it never reads.

    Parameters
    ----------
    network : Network
    shape : Shape
        Of the last layer's input.

    Examples
    --------
    >>> window_text(Network.chain(PoolLayer()), (1, 4, 5, 1))
    'max of windows of 2x2, stride 2; column 4 of the input (0 to 4) is never read'
    """
    layer = network.nodes[-1].layer
    texts = [layer.description(shape)] if isinstance(layer, PoolLayer) else []
    window = layer.window(shape)
    if window is not None and layer.op != "pad" and any(a != b for a, b in window.pads):
        (top, bottom), (left, right) = window.pads
        texts.append(f"pads {top} top, {bottom} bottom, {left} left, {right} right")
    if len(network.nodes) == 1:
        texts += [note.partition(": ")[0] for note in unread_notes(network, shape)]
    return "; ".join(texts) or None


def _layer_summary(
    node: Node, shapes: dict[str, Shape], field: Fields, parameters: int, held: int
) -> LayerSummary:
    sources = [shapes[name] for name in node.inputs]
    layer, source, out = node.layer, sources[0], shapes[node.name]
    conv = layer if isinstance(layer, ConvLayer) else None
    window = layer.window(source)
    return LayerSummary(
        name=node.name,
        type=layer.op,
        label=_label(layer, window),
        inputs=node.inputs,
        shape=out[1:],
        formulas=size_formulas(layer, sources),
        window=window,
        pad_mode=border_of(layer, source),
        parameters=parameters,
        multiply_adds=_multiply_adds(layer, sources),
        field=field,
        unread=_unread_by_all([node], source) if window is not None else Unread(),
        bytes=math.prod(out) * DTYPE.itemsize,
        held_bytes=held,
        choice=None if conv is None else conv.choice(source, DTYPE),
    )


def _multiply_adds(layer: Layer | MergeLayer, sources: Sequence[Shape]) -> int | None:
    if isinstance(layer, _SUMS):
        return layer.multiply_adds(*sources)
    return None if getattr(layer, "hides_products", False) else 0


def _as_shown(layer: LayerSummary, view: Layer | None) -> LayerSummary:
    if view is None:
        return layer
    return replace(layer, shape=view.output_shape((1, *layer.shape))[1:], formulas=("", ""))


def _label(layer: Layer | MergeLayer, window: Window | None) -> str:
    if isinstance(layer, ActivationLayer):
        return layer.activation
    parts = [layer.mode, layer.op] if isinstance(layer, PoolLayer) else [layer.op]
    if not layer.has_gradient:
        return f"{getattr(layer, 'label', layer.op)} (run by onnx)"
    if isinstance(layer, (LRNLayer, Normalization, ReduceLayer, SoftmaxLayer)):
        return layer.label
    if isinstance(layer, PoolLayer) and layer.size == "global":
        parts.append("global")
    elif window is not None and layer.op != "pad":
        parts.append(_window_text(window))
    if isinstance(layer, ConvLayer) and layer.activation != "none":
        parts.append(layer.activation)
    if isinstance(layer, ConvTransposeLayer):
        (kh, kw), stride = layer.filter.window, layer.stride
        parts.append(f"{kh}x{kw}" + ("" if stride in (1, (1, 1)) else f"/{_short(stride)}"))
    if isinstance(layer, (ConcatLayer, SliceLayer)):
        parts += [layer.label] if layer.label else []
    if isinstance(layer, ResizeLayer):
        parts += [layer.mode] + ([] if layer.scale is None else [f"x{_short(layer.scale)}"])
    return " ".join(parts)


def _short(pair: float | tuple[float, float]) -> str:
    """Write a number, or two that differ."""
    both = pair if isinstance(pair, tuple) else (pair,)
    return ",".join(dict.fromkeys(f"{number:g}" for number in both))


def _window_text(window: Window) -> str:
    rows, cols = window.rows, window.cols
    text = f"{rows.kernel}x{cols.kernel}"
    for sign, pair in (
        ("/", (rows.stride, cols.stride)),
        (" dilation ", (rows.dilation, cols.dilation)),
    ):
        if pair != (1, 1):
            text += f"{sign}{pair[0]}" if pair[0] == pair[1] else f"{sign}{pair[0]},{pair[1]}"
    return text


BothRuns = tuple[Runs, Runs]
"""Cells along rows and along columns."""


def _cells_of(node: Node, shape: Shape, out: Shape, outputs: BothRuns) -> BothRuns:
    """Which rows and columns of an input of that shape some outputs of a layer depend on."""
    layer = node.layer
    window = layer.window(shape)
    if window is not None:
        mode = layer.border_mode if isinstance(layer, (ConvLayer, PadLayer)) else "zeros"
        rows, cols = outputs
        return cells_read(window.rows, mode, rows), cells_read(window.cols, mode, cols)
    # An input of one row and one column serves every unit, a resized one is read whole.
    whole = layer.reads_all
    rows, cols = (
        runs if not whole and out[side] == shape[side] else ((0, shape[side]),)[: len(runs)]
        for side, runs in zip((1, 2), outputs, strict=True)
    )
    return rows, cols


def _cells_needed(network: Network, shapes: dict[str, Shape]) -> BothRuns:
    """Which rows and columns of the input reach the last layer's output."""
    last = network.nodes[-1].name
    needed = {last: _all_cells(shapes[last])}
    for node in reversed(network.nodes):
        if node.name not in needed:
            continue
        for name in node.inputs:
            read = _cells_of(node, shapes[name], shapes[node.name], needed[node.name])
            needed[name] = _joined([read, needed[name]]) if name in needed else read
    return needed.get(SOURCE, _all_cells(shapes[SOURCE]))


def _all_cells(shape: Shape) -> BothRuns:
    return ((0, shape[1]),), ((0, shape[2]),)


def _joined(parts: Sequence[BothRuns]) -> BothRuns:
    rows, cols = (join_runs(chain.from_iterable(side)) for side in zip(*parts, strict=True))
    return rows, cols


def _unread(read: BothRuns, shape: Shape) -> Unread:
    return Unread(gaps(read[0], shape[1]), gaps(read[1], shape[2]))


def _all_unread_texts(network: Network, shapes: dict[str, Shape]) -> Iterator[str]:
    for name in (SOURCE, *network.names):
        readers = [node for node in network.nodes if name in node.inputs]
        if readers:
            yield from _unread_texts(name, readers, shapes[name])


def _warnings(network: Network, shapes: dict[str, Shape], unread: Unread) -> Iterator[str]:
    yield from _all_unread_texts(network, shapes)
    direct = [node for node in network.nodes if SOURCE in node.inputs]
    if unread and unread != _unread_by_all(direct, shapes[SOURCE]):
        for runs, size, what in _sides(unread, shapes[SOURCE]):
            yield f"{_cells_text(runs, size, what, SOURCE)} of no use to {network.nodes[-1].name}"
    for node in network.nodes:
        window = node.layer.window(shapes[node.inputs[0]])
        if window is not None and (gaps_left_out(window.rows) or gaps_left_out(window.cols)):
            yield f"{node.name}: too many windows to say which cells between them are never read"
        for note in node.layer.notes(shapes[node.inputs[0]]):
            yield f"{node.name}: {note if network.from_options else as_fields(note)}"


def _unread_texts(name: str, readers: Sequence[Node], shape: Shape) -> Iterator[str]:
    """Say which rows and columns of an output no layer reads."""
    for runs, size, what in _sides(_unread_by_all(readers, shape), shape):
        because = ""
        if len(readers) == 1 and (window := readers[0].layer.window(shape)) is not None:
            axis: Axis = window.rows if what == "row" else window.cols
            because = f": {readers[0].name} has {axis.formula} {what}s"
        yield f"{_cells_text(runs, size, what, name)} never read{because}"


def _unread_by_all(readers: Sequence[Node], shape: Shape) -> Unread:
    """The cells that none of some layers reads."""
    return _unread(_joined([_read_by(node, shape) for node in readers]), shape)


def _read_by(node: Node, shape: Shape) -> BothRuns:
    """The rows and columns of an input of that shape that a layer reads."""
    window = node.layer.window(shape)
    out = shape if window is None else (1, *window.out, 1)
    return _cells_of(node, shape, out, _all_cells(out))


def _sides(unread: Unread, shape: Shape) -> list[tuple[Ranges, int, str]]:
    both = [(unread.rows, shape[1], "row"), (unread.columns, shape[2], "column")]
    return [side for side in both if side[0]]


def _cells_text(runs: Ranges, size: int, what: str, name: str) -> str:
    """Name cells of a layer, as the start of a sentence about them."""
    count = sum(run.stop - run.start for run in runs)
    owner = "the input" if name == SOURCE else name
    where = f"of {owner} (0 to {size - 1})"
    if count == 1:
        return f"{what} {runs[0].start} {where} is"
    shown = ", ".join(_range_text(run) for run in runs[:_LISTED_RUNS])
    more = f", ... ({count} in all)" if len(runs) > _LISTED_RUNS else ""
    return f"{what}s {shown}{more} {where} are"


def _range_text(run: slice) -> str:
    last = run.stop - 1
    return str(run.start) if last == run.start else f"{run.start} to {last}"
