"""Explains one value of a layer that moves values: resize, slice, concat, views, added channels."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.core.geometry import Pair
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.network.layers import (
    ConcatLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    Layer,
    MergeLayer,
    PadChannelsLayer,
    ResizeLayer,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)

Term = tuple[str, float]

MOVES = (DepthToSpaceLayer, SpaceToDepthLayer, ViewLayer)
KINDS = (ConcatLayer, ConvTransposeLayer, PadChannelsLayer, ResizeLayer, SliceLayer, *MOVES)


def is_resized(layer: Layer | MergeLayer) -> bool:
    """Whether a layer is explained here.

    Examples
    --------
    >>> is_resized(ResizeLayer(scale=2.0))
    True
    """
    return isinstance(layer, KINDS)


def resized_terms(explained: ExplainedLayer, at: Pair, channel: int) -> tuple[str, list[Term]]:
    """Return the formula of one output, and the numbers in it.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a layer that `is_resized`.
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
    >>> resized_terms(half, (0, 1), 0)
    ('0.5 * x[0,2] + 0.5 * x[0,3]', [('x[0,2]', 2.0), ('x[0,3]', 3.0)])
    """
    layer, source = explained.layer, explained.inputs[0]
    if isinstance(layer, ConcatLayer):
        shapes = [each.shape for each in explained.inputs]
        which, (row, column, number) = layer.source(shapes, (*at, channel))
        source = explained.inputs[which]
        value = float(source.rows(row, row + 1)[0, 0, column, number])
        place = "" if layer.axis == "channels" else f"x[{row},{column}], "
        return f"{place}channel {number} of {source.name}", [(source.name, value)]
    if isinstance(layer, ResizeLayer):
        return _resize_terms(explained, layer, at, channel)
    if isinstance(layer, MOVES) or (isinstance(layer, SliceLayer) and layer.reads_all):
        row, column, number = layer.source(source.shape, (*at, channel))
        value = float(source.rows(row, row + 1)[0, 0, column, number])
        return f"x[{row},{column}] of channel {number}", [(f"x[{row},{column}]", value)]
    if isinstance(layer, ConvTransposeLayer):
        terms = list(_transposed_terms(explained, layer, at, channel))
        return " + ".join(name for name, _ in terms) or "0", terms
    if isinstance(layer, SliceLayer):
        number = layer.source(source.shape, (*at, channel))[2]
    else:
        assert isinstance(layer, PadChannelsLayer)
        number = channel - layer.counts[0]
    if not 0 <= number < source.shape[3]:
        return "a channel of one value", []
    cell = source.read((slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)))
    return f"channel {number} of {source.name}", [(source.name, float(cell[0, 0, 0, number]))]


def _resize_terms(
    explained: ExplainedLayer, layer: ResizeLayer, at: Pair, channel: int
) -> tuple[str, list[Term]]:
    source = explained.inputs[0]
    weights: dict[Pair, float] = {}
    rows, columns = layer.taps(source.shape)
    for row, down in zip(rows.cells[at[0]], rows.weights[at[0]], strict=True):
        for column, across in zip(columns.cells[at[1]], columns.weights[at[1]], strict=True):
            cell = int(row), int(column)
            weights[cell] = weights.get(cell, 0.0) + float(down * across)
    used = {cell: weight for cell, weight in weights.items() if weight}
    shares = [
        f"x[{row},{column}]" if weight == 1 else f"{weight:.4g} * x[{row},{column}]"
        for (row, column), weight in used.items()
    ]
    terms = [
        (
            f"x[{row},{column}]",
            float(source.rows(row, row + 1)[0, 0, column, channel]),
        )
        for row, column in used
    ]
    return " + ".join(shares), terms


def _transposed_terms(
    explained: ExplainedLayer, layer: ConvTransposeLayer, at: Pair, channel: int
) -> Iterator[Term]:
    """Yield what each input cell adds to one output, and the bias."""
    source, weights = explained.inputs[0], layer.filter.weights
    depth = weights.shape[2]
    group, own = divmod(channel, depth)
    each = source.shape[3] // layer.groups
    channels = slice(group * each, (group + 1) * each)
    for row, k_row in layer.taps(source.shape, 0, at[0]):
        for column, k_column in layer.taps(source.shape, 1, at[1]):
            cell = source.rows(row, row + 1)[0, 0, column, channels].astype(float)
            total = float(cell @ weights[k_row, k_column, own, channels].astype(float))
            yield f"x[{row},{column}].W[{k_row},{k_column}]", total
    if layer.bias is not None:
        yield "bias", float(layer.bias[channel if layer.bias.size > 1 else 0])
