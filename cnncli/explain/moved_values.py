"""Explains one value of a layer that moves values: resize, slice, concat, views, added channels."""

from __future__ import annotations

import math

from cnncli.core.geometry import Pair
from cnncli.explain.explained_layer import ExplainedLayer, LayerInput
from cnncli.explain.model import Term
from cnncli.network.layers import (
    ConcatLayer,
    DepthToSpaceLayer,
    Layer,
    MergeLayer,
    PadChannelsLayer,
    ResizeLayer,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)

WeightedCell = tuple[int, tuple[int, int, int], float]
"""The number of an input, a cell in it, and its weight."""

REORDERING_LAYERS = (DepthToSpaceLayer, SpaceToDepthLayer, ViewLayer)
MOVING_LAYERS = (ConcatLayer, PadChannelsLayer, ResizeLayer, SliceLayer, *REORDERING_LAYERS)


def is_moved(layer: Layer | MergeLayer) -> bool:
    """Whether a layer copies or mixes single cells of its input, or adds constants.

    Examples
    --------
    >>> is_moved(ResizeLayer(scale=2.0))
    True
    """
    return isinstance(layer, MOVING_LAYERS)


def moved_terms(explained: ExplainedLayer, at: Pair, channel: int) -> tuple[str, list[Term], float]:
    """Return the formula of one output, the numbers in it, and what it gives in float64.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a layer that `is_moved`.
    at : (int, int)
        Row and column of the output.
    channel : int

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(4.0).reshape(1, 1, 4, 1)), (MapGroup("", (0,)),)
    >>> layer = ResizeLayer((1, 2), mode="linear")
    >>> half = ExplainedLayer("half", layer, (source,), groups, np.dtype(float))
    >>> moved_terms(half, (0, 1), 0)
    ('0.5 * x[0,2] + 0.5 * x[0,3]', [('x[0,2]', 2.0), ('x[0,3]', 3.0)], 2.5)
    """
    layer, source = explained.layer, explained.inputs[0]
    found = moved_cells(explained, at, channel)
    if isinstance(layer, ResizeLayer):
        names = [f"x[{row},{column}]" for _, (row, column, _), _ in found]
        shares = [
            name if weight == 1 else f"{weight:.4g} * {name}"
            for name, (_, _, weight) in zip(names, found, strict=True)
        ]
        values = [source.value(cell) for _, cell, _ in found]
        total = sum(weight * value for (_, _, weight), value in zip(found, values, strict=True))
        return " + ".join(shares), [*zip(names, values, strict=True)], total
    if not found:
        assert isinstance(layer, PadChannelsLayer)
        return "a channel of one value", [], _constant(layer, channel, source.shape[3])
    ((which, (row, column, number), _),) = found
    source, place = explained.inputs[which], f"x[{row},{column}]"
    value = source.value((row, column, number))
    if isinstance(layer, REORDERING_LAYERS) or (isinstance(layer, SliceLayer) and layer.reads_all):
        return f"{place} of channel {number}", [(place, value)], value
    where = f"{place}, " if isinstance(layer, ConcatLayer) and layer.reads_all else ""
    return f"{where}channel {number} of {source.name}", [(source.name, value)], value


def _constant(layer: PadChannelsLayer, channel: int, channels: int) -> float:
    """The value of a channel beside those of the input, which has so many."""
    before = layer.counts[0]
    array, index = layer.before, channel
    if channel >= before:
        array, index = layer.after, channel - before - channels
    assert array is not None
    return float(array[index])


def moved_cells(explained: ExplainedLayer, at: Pair, channel: int) -> list[WeightedCell]:
    """Return the input cells that one output is made of, each with its weight.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a layer that `is_moved`.
    at : (int, int)
        Row and column of the output.
    channel : int

    Returns
    -------
    list of (int, (row, column, channel), float)
        The number of the input, the cell in it, and its weight. Empty for a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.explain.explained_layer import array_input
    >>> source = array_input(np.arange(4.0).reshape(1, 1, 4, 1))
    >>> layer = ResizeLayer((1, 2), mode="linear")
    >>> half = ExplainedLayer("half", layer, (source,), (), np.dtype(float))
    >>> moved_cells(half, (0, 1), 0)
    [(0, (0, 2, 0), 0.5), (0, (0, 3, 0), 0.5)]
    """
    layer, shapes = explained.layer, [source.shape for source in explained.inputs]
    row, column = at
    if isinstance(layer, ConcatLayer):
        return [(*layer.source(shapes, (row, column, channel)), 1.0)]
    if isinstance(layer, ResizeLayer):
        return _resize_cells(layer, explained.inputs[0], at, channel)
    if isinstance(layer, PadChannelsLayer):
        number = channel - layer.counts[0]
        return [(0, (row, column, number), 1.0)] if 0 <= number < shapes[0][3] else []
    assert isinstance(layer, (*REORDERING_LAYERS, SliceLayer))
    return [(0, layer.source(shapes[0], (row, column, channel)), 1.0)]


def _resize_cells(
    layer: ResizeLayer, source: LayerInput, at: Pair, channel: int
) -> list[WeightedCell]:
    weights: dict[Pair, float] = {}
    rows, columns = layer.taps(source.shape, source.rows(0, 1).dtype)
    for row, down in zip(rows.cells[at[0]], rows.weights[at[0]], strict=True):
        for column, across in zip(columns.cells[at[1]], columns.weights[at[1]], strict=True):
            cell = int(row), int(column)
            weights[cell] = weights.get(cell, 0.0) + float(down * across)
    cells = [(0, (*cell, channel), weight) for cell, weight in weights.items()]
    # The layer multiplies by 0 too, which makes NaN of what is not finite.
    return [each for each in cells if each[2] or not math.isfinite(source.value(each[1]))]
