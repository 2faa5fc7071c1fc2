"""Explains one value of a transposed convolution: which input cells add to it, and where else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from cnncli.core.geometry import Pair
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.model import AddedWindow, Block, Spread, SpreadAxis, Step, place_axis_window
from cnncli.network.layers import ConvTransposeLayer


def find_spread(explained: ExplainedLayer, at: Pair) -> Spread | None:
    """Return which input cells add to an output; None if the layer is no transposed convolution.

    Parameters
    ----------
    explained : ExplainedLayer
    at : (row, column)
        Of the output.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.filter import from_array
    >>> source = array_input(np.ones((1, 4, 4, 1)))
    >>> layer = ConvTransposeLayer(from_array(np.ones((3, 3, 1, 1))), stride=2)
    >>> spread = find_spread(ExplainedLayer("up", layer, (source,), (), np.dtype(float)), (2, 3))
    >>> spread.rows.cells, spread.rows.taps, spread.rows.outputs, spread.columns.cells
    ((0, 1), (2, 0), ((0, 1, 2), (2, 3, 4)), (1,))
    """
    layer, shape = explained.layer, explained.inputs[0].shape
    if not isinstance(layer, ConvTransposeLayer):
        return None
    axes = []
    for axis, formula in enumerate(layer.formulas(shape)):
        found = layer.taps(shape, axis, at[axis])
        cells, taps = tuple(cell for cell, _ in found), tuple(tap for _, tap in found)
        outputs = tuple(tuple(k for k, _ in layer.reached(shape, axis, cell)) for cell in cells)
        axes.append(SpreadAxis(shape[1 + axis], formula, cells, taps, outputs))
    return Spread(*axes)


def transposed_step(explained: ExplainedLayer, spread: Spread, channel: int) -> Step:
    """Return how the products of some input cells add up to one output.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a transposed convolution.
    spread : Spread
        See `find_spread`.
    channel : int
        Of the output.

    Returns
    -------
    Step
        With a block for each input channel, and none where no cell reaches the output.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.filter import from_array
    >>> source = array_input(np.arange(4.0).reshape(1, 1, 4, 1))
    >>> layer = ConvTransposeLayer(from_array(np.array([[5.0, 6.0, 7.0]])[:, :, None, None]))
    >>> up = ExplainedLayer("up", layer, (source,), (), np.dtype(float))
    >>> step = transposed_step(up, find_spread(up, (0, 3)), 0)
    >>> step.blocks[0].weights.tolist(), step.blocks[0].products.tolist(), step.value
    ([[7.0, 6.0, 5.0]], [[7.0, 12.0, 15.0]], 34.0)
    """
    layer, source = explained.layer, explained.inputs[0]
    assert isinstance(layer, ConvTransposeLayer)
    bank = layer.filter.weights
    own, channels = channel % bank.shape[2], _channels_in(layer, channel)
    rows, columns = spread.rows, spread.columns
    blocks = []
    if rows.cells and columns.cells:
        first, last = rows.cells[0], rows.cells[-1] + 1
        read = source.rows(first, last)[0][[row - first for row in rows.cells]]
        weights = bank[np.ix_(rows.taps, columns.taps)][:, :, own].astype(explained.dtype)
        for k in channels:
            window, own_weights = read[:, list(columns.cells), k], weights[:, :, k]
            products = np.multiply(window, own_weights, dtype=np.float64)
            total = float(products.sum())
            blocks.append(Block(source.names[k], k, window, own_weights, products, total))
    shift = bias_of(layer, channel)
    value = sum(block.sum for block in blocks) + shift
    return Step(channel=channel, blocks=tuple(blocks), bias=shift, total=value, value=value)


def bias_of(layer: ConvTransposeLayer, channel: int) -> float:
    """Return the bias of a channel of the output, 0 without one."""
    bias = layer.bias
    return 0.0 if bias is None else float(bias[channel if bias.size > 1 else 0])


def _channels_in(layer: ConvTransposeLayer, channel: int) -> range:
    """Return the channels of the input that a channel of the output is made from."""
    group, each = channel // layer.filter.weights.shape[2], layer.filter.maps // layer.groups
    return range(group * each, (group + 1) * each)


def added_windows(
    explained: ExplainedLayer, cells: Iterable[Pair], channel: int
) -> Iterator[AddedWindow]:
    """Yield what some input cells add to one channel of the output, as windows on it.

    A transposed convolution is the gradient of a convolution: its input is what that one has
    upstream.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a transposed convolution.
    cells : iterable of (row, column)
        Of the input.
    channel : int
        Of the output.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.filter import from_array
    >>> source = array_input(np.arange(4.0).reshape(1, 1, 4, 1))
    >>> layer = ConvTransposeLayer(from_array(np.array([[5.0, 6.0, 7.0]])[:, :, None, None]))
    >>> up = ExplainedLayer("up", layer, (source,), (), np.dtype(float))
    >>> [(window.axes[1].cells, window.added.tolist()) for window in added_windows(up, [(0, 3)], 0)]
    [((3, 4, 5), [[15.0, 18.0, 21.0]])]
    """
    layer, source = explained.layer, explained.inputs[0]
    assert isinstance(layer, ConvTransposeLayer)
    channels = _channels_in(layer, channel)
    own = layer.filter.weights[:, :, channel % layer.filter.weights.shape[2]]
    weights = own[:, :, channels.start : channels.stop].astype(explained.dtype).transpose(2, 0, 1)
    window = layer.output_window(source.shape)
    for row, col in cells:
        values = source.rows(row, row + 1)[0, 0, col, channels.start : channels.stop]
        added = np.einsum("k,kij->ij", values, weights, dtype=np.float64)
        axes = place_axis_window(window.rows, row), place_axis_window(window.cols, col)
        yield AddedWindow((row, col), axes, tuple(channels), weights, values, added)
