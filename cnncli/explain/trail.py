"""The trail of strongest contributions: from one value of a network, layer by layer, to a pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.backward import pool_shares
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.forward import explain
from cnncli.explain.model import Explanation, Step
from cnncli.explain.moved_values import is_moved, moved_cells
from cnncli.network.graph import SOURCE
from cnncli.network.layers import (
    ConvTransposeLayer,
    Elementwise,
    FloatArray,
    PoolLayer,
    SoftmaxLayer,
)
from cnncli.network.layers.base import Pointwise
from cnncli.network.layers.norm import Normalization

Layers = Callable[[str], ExplainedLayer]
"""Gives a layer of a network by its name, with the values that reach it."""

_SAME_CELL: Final = (Normalization, Pointwise, SoftmaxLayer)
"""Layers that make each value of the one at its place, whatever else they look at."""

AT_THE_INPUT: Final = "ends at the input"


@dataclass(frozen=True)
class TrailUnit:
    """One value on a trail.

    Parameters
    ----------
    layer : str
        That it is of, or ``input``.
    type : str
        Of that layer, or ``input``.
    map : int
        The picture of the layer's output that it is in.
    map_name : str
        Of that; where a picture has three channels, of the channel.
    channel : int
    row, column : int
    value : float
    weight : float, optional
        By which the value before it on the trail takes it: the weight, 1 of a winner, the share of
        an average. None of the first, and where a layer multiplies by no number.
    contribution : float, optional
        What it adds to the value before it, of a convolution before its activation. None of the
        first.
    """

    layer: str
    type: str
    map: int
    map_name: str
    channel: int
    row: int
    column: int
    value: float
    weight: float | None = None
    contribution: float | None = None


@dataclass(frozen=True)
class Trail:
    """A value of a network, and below each value the one that contributed most to it.

    Parameters
    ----------
    units : tuple of TrailUnit
        From the value that is explained back to a pixel.
    end : str
        Where it ends, and why if that is no pixel.
    """

    units: tuple[TrailUnit, ...]
    end: str


@dataclass(frozen=True, eq=False)
class _Read:
    """Values of one input that a value is made of.

    Parameters
    ----------
    number : int
        Of the input.
    cells : ndarray of int, shape (n, 3)
        Row, column and channel of each.
    values, weights : ndarray, shape (n,)
    """

    number: int
    cells: NDArray[np.int64]
    values: FloatArray
    weights: FloatArray

    def used(self) -> _Read:
        """Return those that have a weight: what did not win does not count, not even as NaN."""
        kept = self.weights != 0
        return _Read(self.number, self.cells[kept], self.values[kept], self.weights[kept])


@dataclass(frozen=True)
class _Contribution:
    """What one value of an input adds, see `TrailUnit`."""

    number: int
    cell: tuple[int, int, int]
    value: float
    weight: float | None
    contribution: float


@np.errstate(all="ignore")
def find_trail(layers: Layers, name: str, at: Pair, map_index: int = 0) -> Trail:
    """Follow the strongest contributions from one value of a network back to its input.

    The strongest is the largest in magnitude of weight times value, the first of equal ones; a NaN
    is taken before all numbers. Of a pool that takes the largest it is the winner. Layers that
    change each value on its own, and normalisations, lead to the value at the same place.

    Parameters
    ----------
    layers : callable
        Gives a layer by its name, see `run.every_layer`.
    name : str
        Of the layer that the trail begins at.
    at : (row, column)
        Of its output.
    map_index : int
        Its map; of a map of three channels the one of largest magnitude is followed.

    Returns
    -------
    Trail

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(16.0).reshape(1, 4, 4, 1)), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(), (source,), groups, np.dtype(float))
    >>> trail = find_trail({"pool1": pool}.__getitem__, "pool1", (0, 1))
    >>> [(unit.layer, unit.row, unit.column, unit.value) for unit in trail.units], trail.end
    ([('pool1', 0, 1, 7.0), ('input', 1, 3, 7.0)], 'ends at the input')
    """
    explained = layers(name)
    values = explained.output(at[0], at[0] + 1)[0, at[1]]
    channel = max(explained.groups[map_index].channels, key=lambda number: abs(values[number]))
    units = [_unit(explained, (*at, channel), float(values[channel]))]
    while explained.layer.has_gradient:
        found = _strongest(explained, units[-1])
        if isinstance(found, str):
            return Trail(tuple(units), f"ends at {explained.name}: {found}")
        source, terms = explained.inputs[found.number], (found.weight, found.contribution)
        row, column, channel = found.cell
        if source.name == SOURCE:
            place = channel, source.names[channel], channel, row, column
            units.append(TrailUnit(SOURCE, SOURCE, *place, found.value, *terms))
            return Trail(tuple(units), AT_THE_INPUT)
        explained = layers(source.name)
        units.append(_unit(explained, found.cell, found.value, *terms))
    why = f"{getattr(explained.layer, 'label', explained.layer.op)} is run by onnx"
    return Trail(tuple(units), f"ends at {explained.name}: {why}, its arithmetic is not shown")


def _unit(
    explained: ExplainedLayer, cell: tuple[int, int, int], value: float, *terms: float | None
) -> TrailUnit:
    """A value of a layer's output."""
    row, column, channel = cell
    map_index, name = _map_of(explained, channel), explained.output_names[channel]
    place = map_index, name, channel, row, column
    return TrailUnit(explained.name, explained.layer.op, *place, value, *terms)


def _map_of(explained: ExplainedLayer, channel: int) -> int:
    return next(k for k, group in enumerate(explained.groups) if channel in group.channels)


def _strongest(explained: ExplainedLayer, unit: TrailUnit) -> _Contribution | str:
    """Return what contributes most to a value of a layer's output, or why there is nothing."""
    layer, at = explained.layer, (unit.row, unit.column)
    if isinstance(layer, _SAME_CELL) and not is_moved(layer):
        return _same_cell(explained, _explain(explained, unit)[1], at)
    reads = [*_reads(explained, unit)]
    products = np.concatenate([np.zeros(0), *(read.values * read.weights for read in reads)])
    if not products.size:
        return "only a constant is behind this value"
    best = int(np.abs(products).argmax())
    if products[best] == 0 and products.size > 1:
        return "all that this value is made of contributes 0"
    contribution = float(products[best])
    for read in reads:
        if best < len(read.values):
            break
        best -= len(read.values)
    row, column, channel = read.cells[best].tolist()
    numbers = float(read.values[best]), float(read.weights[best]), contribution
    return _Contribution(read.number, (row, column, channel), *numbers)


def _explain(explained: ExplainedLayer, unit: TrailUnit) -> tuple[Explanation, Step]:
    """Return how the value comes about, as it is explained on its own."""
    explanation = explain(explained, (unit.row, unit.column), unit.map)
    return explanation, next(s for s in explanation.steps if s.channel == unit.channel)


def _same_cell(explained: ExplainedLayer, step: Step, at: Pair) -> _Contribution:
    """Return the value at the same place as the only one that contributes."""
    source, cell = explained.inputs[0], (*at, step.channel)
    value, weight = source.value(cell), _factor(dict(step.operands))
    contribution = step.value if weight is None else weight * value
    return _Contribution(0, cell, value, weight, contribution)


def _factor(operands: Mapping[str, float]) -> float | None:
    """What a layer multiplies each value by, if that is a number."""
    if "var" in operands:
        return operands["gamma"] / math.sqrt(operands["var"] + operands["epsilon"])
    return operands.get("factor")


def _reads(explained: ExplainedLayer, unit: TrailUnit) -> Iterator[_Read]:
    """Yield what a value is made of, input by input."""
    at = unit.row, unit.column
    if explained.window is not None or isinstance(explained.layer, ConvTransposeLayer):
        explanation, step = _explain(explained, unit)
        if step.blocks:
            yield _under_window(explained, _sources(explanation), step)
    elif is_moved(explained.layer):
        for number, cell, weight in moved_cells(explained, at, unit.channel):
            value = np.array([explained.inputs[number].value(cell)])
            yield _Read(number, np.array([cell]), value, np.array([weight]))
    else:
        yield from _by_slopes(explained, at, unit.channel)


def _sources(explanation: Explanation) -> list[NDArray[np.int64]]:
    """Return the rows and the columns of the input under a window; -1 for a constant."""
    if explanation.axes is None:
        return [np.array(cells) for cells in explanation.cells]
    sources = (axis.sources for axis in explanation.axes)
    return [np.array([-1 if cell is None else cell for cell in axis]) for axis in sources]


def _under_window(
    explained: ExplainedLayer, sources: Sequence[NDArray[np.int64]], step: Step
) -> _Read:
    """Return the input cells under a window; one that padding copies has all its weights."""
    blocks, layer = step.blocks, explained.layer
    values = np.stack([block.window for block in blocks], axis=2).astype(np.float64)
    weights: FloatArray = np.ones(values.shape)
    if isinstance(layer, PoolLayer):
        weights = pool_shares(layer, step)[:, :, None]
    elif blocks[0].weights is not None:
        weights = np.stack([block.weights for block in blocks if block.weights is not None], axis=2)
    rows, cols = sources
    i, j = np.nonzero(np.logical_and.outer(rows >= 0, cols >= 0))
    across = explained.inputs[0].shape[2]
    flat, first, back = np.unique(
        rows[i] * across + cols[j], return_index=True, return_inverse=True
    )
    summed = np.zeros((len(flat), len(blocks)))
    np.add.at(summed, back, weights[i, j].astype(np.float64))
    channels = np.array([block.channel for block in blocks])
    places = np.divmod(np.repeat(flat, len(channels)), across)
    cells = np.stack([*places, np.tile(channels, len(flat))], axis=1)
    read = _Read(0, cells, values[i, j][first].ravel(), summed.ravel())
    return read.used() if isinstance(layer, PoolLayer) else read


def _by_slopes(explained: ExplainedLayer, at: Pair, channel: int) -> Iterator[_Read]:
    """Yield what a merge, a reduction or a product of matrices reads, by its own gradient."""
    layer, box = explained.layer, (slice(at[0], at[0] + 1), slice(at[1], at[1] + 1))
    boxes = [layer.reads(source.shape, box) for source in explained.inputs]
    inputs = [
        s.read(part).astype(np.float64) for s, part in zip(explained.inputs, boxes, strict=True)
    ]
    channels = [0] * len(inputs)
    if isinstance(layer, Elementwise):
        # Other channels have no part in it, not even as 0 divided by 0.
        channels = [min(channel, X.shape[3] - 1) for X in inputs]
        inputs = [X[..., [own]] for X, own in zip(inputs, channels, strict=True)]
        channel = 0
    Y, cache = layer.forward(*inputs)
    # Axes that are read whole begin at 0; an output of one row or column has that one.
    starts = (min(side.start for side in sides) for sides in zip(*boxes, strict=True))
    row, column = (min(k - s, n - 1) for k, s, n in zip(at, starts, Y.shape[1:3], strict=True))
    dY = np.zeros_like(Y)
    dY[0, row, column, channel] = 1
    dX, _ = layer.backward(dY, cache)
    slopes = dX if isinstance(dX, tuple) else (dX,)
    for number, (slope, X, (rows, cols)) in enumerate(zip(slopes, inputs, boxes, strict=True)):
        first = rows.start, cols.start, channels[number]
        cells = np.argwhere(np.ones(X.shape[1:], bool)) + first
        yield _Read(number, cells, X[0].ravel(), slope[0].ravel()).used()
