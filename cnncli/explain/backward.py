"""Which outputs of a layer send gradient to one input value, through which tap and weight."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from cnncli.core.geometry import Pair
from cnncli.explain.explained_layer import Subject, check_one_input, check_place
from cnncli.explain.forward import conv_totals, pool_step, read_pixels
from cnncli.explain.model import Sizes, stand
from cnncli.network.layers import ConvLayer, FloatArray, PoolLayer


@dataclass(frozen=True)
class Path:
    """One way from an output back to the input value.

    Parameters
    ----------
    output : (row, column)
    channel : int
        Of the output.
    name : str
        Of that channel.
    tap : (int, int)
        The place in the window where the output reads the value, or a copy of it.
    weight : float
        Of that tap; of pools the share of the window's gradient that it gets, of layers without a
        window the slope.
    upstream : float
        1, times the slope of the activation.
    """

    output: Pair
    channel: int
    name: str
    tap: Pair
    weight: float
    upstream: float

    @property
    def product(self) -> float:
        """What arrives."""
        return self.weight * self.upstream


@dataclass(frozen=True, eq=False)
class Received:
    """The gradient of one input value, if that of every output is 1.

    Parameters
    ----------
    name, op, mode : str
        Of the layer.
    image : int
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
        What stands at that place.
    paths : tuple of Path
        By outputs, row by row.
    """

    name: str
    op: str
    mode: str
    image: int
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
    paths: tuple[Path, ...]

    @property
    def total(self) -> float:
        """The gradient."""
        return float(sum(path.product for path in self.paths))


def receive(
    subject: Subject, at: Pair, channel: int = 0, index: int | None = None, image: int = 0
) -> Received:
    """Tell which outputs send gradient to one value of a layer's input.

    Parameters
    ----------
    subject : Subject
        A layer of one input.
    at : (row, column)
        Of the input.
    channel : int
        Of the input.
    index : int, optional
        The only one of the subject's maps that counts; None: all do.
    image : int
        Its number in a batch, for the record.

    Raises
    ------
    OptionError
        If the place is outside of the input.
    ShapeError
        If the layer has several inputs.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.files import load_filter
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(9.0).reshape(1, 3, 3, 1))
    >>> layer = ConvLayer(load_filter("1 2"), padding="valid")
    >>> subject = Subject("conv1", layer, (given,), (MapGroup("", (0,)),), np.dtype(float))
    >>> found = receive(subject, (0, 1))
    >>> [(path.output, path.tap, path.weight) for path in found.paths], found.total
    ([((0, 0), (0, 1), 2.0), ((0, 1), (0, 0), 1.0)], 3.0)
    """
    given = check_one_input(subject, "--backward")
    check_place(at, given.shape[1:3], "input")
    every = range(subject.output_shape[3])
    chosen = every if index is None else subject.groups[index].channels
    # What is not finite is shown as it is.
    with np.errstate(all="ignore"):
        paths = tuple(_paths(subject, at, channel, chosen))
    return Received(
        name=subject.name,
        op=subject.layer.op,
        mode=getattr(subject.layer, "mode", ""),
        image=image,
        at=at,
        channel=channel,
        channel_name=given.names[channel],
        input_shape=given.shape[1:],
        output_shape=subject.output_shape[1:],
        map=index,
        map_name="" if index is None else subject.groups[index].name,
        pad_mode=getattr(subject.layer, "pad_mode", "zeros"),
        activation=getattr(subject.layer, "activation", "none"),
        value=float(given.rows(at[0], at[0] + 1)[0, 0, at[1], channel]),
        paths=paths,
    )


Weigh = Callable[[Pair, Pair], Iterator[tuple[int, float, float]]]
"""``weigh(output, tap)`` yields channels of that output, with weight and upstream gradient."""


def _paths(subject: Subject, at: Pair, channel: int, chosen: Collection[int]) -> Iterator[Path]:
    layer, window = subject.layer, subject.window
    if window is None:
        yield from _pixel_paths(subject, at, channel, chosen)
        return
    mode = getattr(layer, "pad_mode", "zeros")
    weigh = _plain_weights(channel, chosen)
    if isinstance(layer, ConvLayer):
        weigh = _conv_weights(subject, layer, channel, chosen)
    elif isinstance(layer, PoolLayer):
        weigh = _pool_shares(subject, layer, channel, chosen)
    met = product(window.rows.seen_by(at[0], mode), window.cols.seen_by(at[1], mode))
    for (row, down), (col, across) in met:
        for number, weight, upstream in weigh((row, col), (down, across)):
            name = subject.output_names[number]
            yield Path((row, col), number, name, (down, across), weight, upstream)


def _plain_weights(channel: int, chosen: Collection[int]) -> Weigh:
    """A border copies values as they are."""

    def weigh(output: Pair, tap: Pair) -> Iterator[tuple[int, float, float]]:
        if channel in chosen:
            yield channel, 1.0, 1.0

    return weigh


def _conv_weights(
    subject: Subject, layer: ConvLayer, channel: int, chosen: Collection[int]
) -> Weigh:
    # A softmax lets the gradient of one map reach all of them.
    sending = range(subject.output_shape[3]) if layer.activation == "softmax" else chosen
    shape = subject.inputs[0].shape
    all_maps = {k: layer.one_map(k, shape[3], subject.dtype) for k in sending}
    maps = {k: one for k, one in all_maps.items() if channel in one.channels}
    slopes: dict[Pair, FloatArray] = {}

    def weigh(output: Pair, tap: Pair) -> Iterator[tuple[int, float, float]]:
        if output not in slopes:
            slopes[output] = _slopes(subject, layer, output, tuple(maps), chosen)
        for number, one in maps.items():
            weight = one.weights[*tap, channel - one.channels.start]
            yield number, float(weight), float(slopes[output][number])

    return weigh


def _slopes(
    subject: Subject,
    layer: ConvLayer,
    output: Pair,
    channels: Collection[int],
    chosen: Collection[int],
) -> FloatArray:
    """The gradients of a place's sums, if those of its chosen outputs are 1 each."""
    dA = np.zeros((1, 1, 1, subject.output_shape[3]))
    dA[..., list(chosen)] = 1
    if layer.activation == "none":
        plain: FloatArray = dA[0, 0, 0]
        return plain
    window = layer.window(subject.inputs[0].shape)
    sides = (
        stand(window.rows, output[0], layer.pad_mode),
        stand(window.cols, output[1], layer.pad_mode),
    )
    Z = conv_totals(subject, layer, sides, tuple(channels))[None, None, None]
    activation = layer.activation_for(np.dtype(float))
    slopes: FloatArray = activation.backward(dA, Z, activation.forward(Z))[0, 0, 0]
    return slopes


def _pool_shares(
    subject: Subject, layer: PoolLayer, channel: int, chosen: Collection[int]
) -> Weigh:
    window = layer.window(subject.inputs[0].shape)

    def weigh(output: Pair, tap: Pair) -> Iterator[tuple[int, float, float]]:
        if channel not in chosen:
            return
        sides = stand(window.rows, output[0]), stand(window.cols, output[1])
        step = pool_step(subject, layer, sides, output, channel, np.nan)
        (block,) = step.blocks
        if block.winner is not None:
            share = float(block.winner[tap])
        elif step.divisor is not None:
            share = 1 / step.divisor
        else:
            share = _norm_share(block.window.astype(np.float64), tap, step.value, layer.p)
        yield channel, share, 1.0

    return weigh


def _norm_share(window: FloatArray, tap: Pair, norm: float, p: float) -> float:
    """d(sum |x|^p)^(1/p) = sign(x) (|x| / norm)^(p-1); 0 at 0, as `pool_backward` has it."""
    x = float(window[tap])
    if np.isinf(p):
        first = np.abs(window).argmax() == np.ravel_multi_index(tap, window.shape)
        return float(np.sign(x)) * float(first)
    return 0.0 if x == 0 else float(np.sign(x)) * float(np.float64(abs(x) / norm) ** (p - 1))


def _pixel_paths(
    subject: Subject, at: Pair, channel: int, chosen: Collection[int]
) -> Iterator[Path]:
    """How each output of a place changes with one input of it: the layer's own slopes."""
    Y, cache = subject.layer.forward(*read_pixels(subject, at))
    for number in chosen:
        dY = np.zeros_like(Y)
        dY[..., number] = 1
        dX, _ = subject.layer.backward(dY, cache)
        assert not isinstance(dX, tuple)
        slope = float(dX[0, 0, 0, channel])
        if slope or number == channel:
            yield Path(at, number, subject.output_names[number], (0, 0), slope, 1.0)
