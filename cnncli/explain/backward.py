"""How one input value gets its gradient: which outputs send some, by which tap and weight."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.activations import OVER_CHANNELS
from cnncli.core.geometry import Pair
from cnncli.errors import ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, check_position
from cnncli.explain.forward import conv_maps, conv_totals, pool_step, read_pixels
from cnncli.explain.model import AddedWindow, Sizes, Step
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, FloatArray, PoolLayer
from cnncli.network.layers.conv import OneMap

MOST_READERS: Final = 2**17
"""Ways from outputs to a value that are listed, for each of the layer's maps."""


@dataclass(frozen=True)
class GradientPath:
    """One way from an output back to the input value.

    Parameters
    ----------
    output : (row, column)
    channel : int
        Of the output.
    name : str
        Of that channel.
    tap : (int, int)
        The tap of the window by which the output reads the value, or a copy of it.
    weight : float
        Of that tap; of pools the share of the window's gradient that it gets, of layers without a
        window the slope.
    upstream : float
        1, times the slope of the activation.
    product : float
        Weight times upstream: the gradient that arrives.
    """

    output: Pair
    channel: int
    name: str
    tap: Pair
    weight: float
    upstream: float
    product: float


@dataclass(frozen=True, eq=False)
class BackwardExplanation:
    """The gradient of one input value, if that of every output is 1.

    Parameters
    ----------
    layer, type : str
        Name and kind of the layer.
    mode : str, optional
        Of a pool.
    image, images : int
        Of a batch, and how many it has.
    at : (row, column)
        Of the input.
    channel : int
        Of the input.
    channel_name : str
    input_shape, output_shape : (n_H, n_W, n_C)
    map : int, optional
        The only map whose outputs count.
    map_name : str
    pad_mode : str
    activation : str
    value : float
        The input value.
    paths : tuple of GradientPath
        By outputs, row by row.
    gradient : float
        The sum of all products.
    """

    layer: str
    type: str
    mode: str | None
    image: int
    images: int
    at: Pair
    channel: int
    channel_name: str
    input_shape: Sizes
    output_shape: Sizes
    map: int | None
    map_name: str
    pad_mode: str
    activation: str
    value: float
    paths: tuple[GradientPath, ...]
    gradient: float


def explain_backward(
    explained: ExplainedLayer, at: Pair, channel: int = 0, map_index: int | None = None
) -> BackwardExplanation:
    """Explain which outputs send gradient to one value of a layer's input.

    Parameters
    ----------
    explained : ExplainedLayer
        A layer of one input.
    at : (row, column)
        Of the input.
    channel : int
        Of the input.
    map_index : int, optional
        The only one of the layer's maps that counts; None: all do.

    Raises
    ------
    OptionError
        If the position is outside of the input.
    ShapeError
        If the layer has several inputs, or too many outputs read the value.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.files import load_filter
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(9.0).reshape(1, 3, 3, 1)), (MapGroup("", (0,)),)
    >>> layer = ConvLayer(load_filter("1 2"), padding="valid")
    >>> conv = ExplainedLayer("conv1", layer, (source,), groups, np.dtype(float))
    >>> explanation = explain_backward(conv, (0, 1))
    >>> [(path.output, path.tap, path.weight) for path in explanation.paths]
    [((0, 0), (0, 1), 2.0), ((0, 1), (0, 0), 1.0)]
    >>> explanation.gradient
    3.0
    """
    source, layer = explained.only_input, explained.layer
    check_position(at, source.shape[1:3], "input")
    chosen = _chosen_channels(explained, map_index)
    # Values that are not finite are shown as they are.
    with np.errstate(all="ignore"):
        paths = tuple(_paths(explained, at, channel, chosen))
    return BackwardExplanation(
        layer=explained.name,
        type=layer.op,
        mode=getattr(layer, "mode", None),
        image=explained.image,
        images=explained.images,
        at=at,
        channel=channel,
        channel_name=source.names[channel],
        input_shape=source.shape[1:],
        output_shape=explained.output_shape[1:],
        map=map_index,
        map_name="" if map_index is None else explained.groups[map_index].name,
        pad_mode=explained.pad_mode,
        activation=getattr(layer, "activation", "none"),
        value=float(source.rows(at[0], at[0] + 1)[0, 0, at[1], channel]),
        paths=paths,
        gradient=float(sum(path.product for path in paths)),
    )


def window_gradients(
    explained: ExplainedLayer, outputs: Iterable[Pair], channel: int, map_index: int | None
) -> Iterator[AddedWindow]:
    """Yield what the windows of some outputs add to the gradient of one channel of the input.

    Parameters
    ----------
    explained : ExplainedLayer
        A layer with a window.
    outputs : iterable of (row, column)
    channel : int
        Of the input.
    map_index : int, optional
        The only one of the layer's maps that counts; None: all do.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.files import load_filter
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(9.0).reshape(1, 3, 3, 1)), (MapGroup("", (0,)),)
    >>> layer = ConvLayer(load_filter("1 2"), padding="valid")
    >>> conv = ExplainedLayer("conv1", layer, (source,), groups, np.dtype(float))
    >>> [window.added.tolist() for window in window_gradients(conv, [(0, 1)], 0, None)]
    [[[1.0, 2.0]]]
    """
    layer, chosen = explained.layer, _chosen_channels(explained, map_index)
    if isinstance(layer, ConvLayer):
        yield from _conv_windows(explained, layer, outputs, channel, chosen)
        return
    upstream = np.array([float(channel in chosen)])
    for output in outputs:
        axes = explained.place_window(output)
        assert axes is not None
        weights: FloatArray = np.ones((1, 1, 1))
        if isinstance(layer, PoolLayer):
            weights = _pool_shares(explained, layer, output, channel)[None]
        yield AddedWindow(output, axes, (channel,), weights, upstream, upstream[0] * weights[0])


def _conv_windows(
    explained: ExplainedLayer,
    layer: ConvLayer,
    outputs: Iterable[Pair],
    channel: int,
    chosen: Collection[int],
) -> Iterator[AddedWindow]:
    computed = conv_maps(explained, layer, chosen)
    readers = {k: one for k, one in computed.items() if channel in one.channels}
    taps = [one.weights[:, :, channel - one.channels.start] for one in readers.values()]
    weights = np.reshape(taps, (len(taps), *layer.filter.weights.shape[:2]))
    for output in outputs:
        axes = explained.place_window(output)
        assert axes is not None
        upstream = _slopes(explained, layer, output, computed, chosen)[list(readers)]
        added = np.einsum("k,kij->ij", upstream, weights)
        yield AddedWindow(output, axes, tuple(readers), weights, upstream, added)


def _chosen_channels(explained: ExplainedLayer, map_index: int | None) -> Sequence[int]:
    """The channels of one map of the output; of all maps where none is named."""
    return (
        range(explained.output_shape[3])
        if map_index is None
        else explained.groups[map_index].channels
    )


def _paths(
    explained: ExplainedLayer, at: Pair, channel: int, chosen: Collection[int]
) -> Iterator[GradientPath]:
    layer, window, mode = explained.layer, explained.window, explained.pad_mode
    if isinstance(layer, ConvTransposeLayer):
        yield from _transposed_paths(explained, layer, at, channel, chosen)
        return
    if window is None:
        yield from _pixel_paths(explained, at, channel, chosen)
        return
    rows, cols = window.rows.seen_by(at[0], mode), window.cols.seen_by(at[1], mode)
    if len(rows) * len(cols) > MOST_READERS:
        raise ShapeError(
            f"an input value must be read at most {MOST_READERS:,} times, "
            f"got {len(rows) * len(cols):,}: its copies in the padding count",
            hint="--at another position, or less padding",
        )
    readers = [((row, col), (i, j)) for (row, i), (col, j) in product(rows, cols)]
    if isinstance(layer, ConvLayer):
        yield from _conv_paths(explained, layer, readers, channel, chosen)
    elif channel in chosen:
        for output, tap in readers:
            # A border copies values as they are.
            weight = 1.0
            if isinstance(layer, PoolLayer):
                weight = float(_pool_shares(explained, layer, output, channel)[tap])
            yield _path(explained, output, channel, tap, weight)


def _transposed_paths(
    explained: ExplainedLayer,
    layer: ConvTransposeLayer,
    at: Pair,
    channel: int,
    chosen: Collection[int],
) -> Iterator[GradientPath]:
    """Yield the outputs that one input cell adds to; each map of its group takes its value."""
    shape, weights = explained.inputs[0].shape, layer.filter.weights
    depth = weights.shape[2]
    first = channel // (shape[3] // layer.groups) * depth
    rows, cols = (layer.reached(shape, axis, at[axis]) for axis in (0, 1))
    for (row, i), (col, j) in product(rows, cols):
        for number in range(first, first + depth):
            if number in chosen:
                weight = float(weights[i, j, number - first, channel])
                yield _path(explained, (row, col), number, (i, j), weight)


def _path(
    explained: ExplainedLayer,
    output: Pair,
    channel: int,
    tap: Pair,
    weight: float,
    upstream: float = 1.0,
) -> GradientPath:
    name = explained.output_names[channel]
    return GradientPath(output, channel, name, tap, weight, upstream, weight * upstream)


def _conv_paths(
    explained: ExplainedLayer,
    layer: ConvLayer,
    readers: Iterable[tuple[Pair, Pair]],
    channel: int,
    chosen: Collection[int],
) -> Iterator[GradientPath]:
    # A softmax lets the gradient of one map reach all of them.
    computed = conv_maps(explained, layer, chosen)
    maps = {k: one for k, one in computed.items() if channel in one.channels}
    if layer.activation not in OVER_CHANNELS:
        computed = maps
    slopes: dict[Pair, FloatArray] = {}
    for output, tap in readers:
        if output not in slopes:
            slopes[output] = _slopes(explained, layer, output, computed, chosen)
        for number, one in maps.items():
            weight = float(one.weights[*tap, channel - one.channels.start])
            yield _path(explained, output, number, tap, weight, float(slopes[output][number]))


def _slopes(
    explained: ExplainedLayer,
    layer: ConvLayer,
    output: Pair,
    maps: Mapping[int, OneMap],
    chosen: Collection[int],
) -> FloatArray:
    """The gradients of a position's sums, if those of its chosen outputs are 1 each."""
    dA: FloatArray = np.zeros((1, 1, 1, explained.output_shape[3]))
    dA[..., list(chosen)] = 1
    axes = explained.place_window(output)
    if layer.activation != "none" and axes is not None:
        Z = conv_totals(explained, axes, maps)[None, None, None]
        activation = layer.activation_for(np.dtype(float))
        dA = activation.backward(dA, Z, activation.forward(Z))
    slopes: FloatArray = dA[0, 0, 0]
    return slopes


def _pool_shares(
    explained: ExplainedLayer, layer: PoolLayer, output: Pair, channel: int
) -> FloatArray:
    """How much of a window's gradient each of its cells gets, (k_H, k_W)."""
    axes = explained.place_window(output)
    assert axes is not None
    return pool_shares(layer, pool_step(explained, layer, axes, output, channel))


def pool_shares(layer: PoolLayer, step: Step) -> FloatArray:
    """Return how much of a window's gradient each of its cells gets.

    Parameters
    ----------
    layer : PoolLayer
    step : Step
        How the window is pooled, see `pool_step`.

    Returns
    -------
    ndarray, shape (k_H, k_W)

    Examples
    --------
    >>> from cnncli.explain.model import Block
    >>> step = Step(channel=0, blocks=(Block("", 0, np.ones((1, 2))),), divisor=2, total=1, value=1)
    >>> pool_shares(PoolLayer("average"), step)
    array([[0.5, 0.5]])
    """
    (block,) = step.blocks
    if block.winner is not None:
        return block.winner.astype(np.float64)
    if step.divisor is not None:
        return np.full(block.window.shape, 1 / step.divisor)
    # d(sum |x|^p)^(1/p) = sign(x) (|x| / norm)^(p-1); 0 at 0, as `pool_backward` has it.
    window = block.window.astype(np.float64)
    signs, sizes = np.sign(window), np.abs(window)
    if np.isinf(layer.p):
        first = np.arange(sizes.size).reshape(sizes.shape) == sizes.argmax()
        shares: FloatArray = signs * first
    else:
        shares = np.where(window == 0, 0.0, signs * (sizes / step.value) ** (layer.p - 1))
    return shares


def _pixel_paths(
    explained: ExplainedLayer, at: Pair, channel: int, chosen: Collection[int]
) -> Iterator[GradientPath]:
    """How each output of a position changes with one input of it: the layer's own slopes."""
    Y, cache = explained.layer.forward(*read_pixels(explained, at))
    for number in chosen:
        dY = np.zeros_like(Y)
        dY[..., number] = 1
        dX, _ = explained.layer.backward(dY, cache)
        assert not isinstance(dX, tuple)
        slope = float(dX[0, 0, 0, channel])
        if slope or number == channel:
            yield _path(explained, at, number, (0, 0), slope)
