"""How one output value is computed, number by number, beside what the fast path gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import ACTIVATIONS
from cnncli.core.conv import conv_single_step
from cnncli.core.geometry import Pair, Window
from cnncli.core.pool import create_mask_from_window, pool_forward
from cnncli.explain.explained_layer import Subject, check_place
from cnncli.explain.model import (
    Block,
    Explanation,
    Operand,
    Side,
    Step,
    read_window,
    stand,
)
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    FloatArray,
    MulLayer,
    PadLayer,
    PoolLayer,
    ScaleLayer,
)

PADS = {"max": -np.inf, "min": np.inf}
"""What a pool's pads hold: nothing that could win. In sums they are 0."""

Words = tuple[str, tuple[Operand, ...]]

ACTIVATION_WORDS: Final = {
    "none": "",
    "relu": "max(0, z)",
    "leaky-relu": "z if z > 0, else alpha * z",
    "sigmoid": "1 / (1 + exp(-z))",
    "tanh": "tanh(z)",
    "abs": "|z|",
    "softmax": "exp(z - largest) / total",
    "prelu": "z if z > 0, else alpha * z",
    "clip": "min(max(z, low), high)",
    "hard-sigmoid": "min(max(alpha * z + beta, 0), 1)",
    "hard-swish": "z * min(max(z / 6 + 1/2, 0), 1)",
}
"""What each activation does to a value z."""


def explain(subject: Subject, at: Pair, index: int = 0, image: int = 0) -> Explanation:
    """Tell how one place of a layer's output gets its value.

    Parameters
    ----------
    subject : Subject
    at : (row, column)
        Of the output.
    index : int
        Which of the subject's maps.
    image : int
        Its number in a batch, for the record.

    Returns
    -------
    Explanation

    Raises
    ------
    OptionError
        If the place is outside of the output.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.files import load_filter
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(9.0).reshape(1, 3, 3, 1))
    >>> layer = ConvLayer(load_filter("1 2"), padding="valid")
    >>> subject = Subject("conv1", layer, (given,), (MapGroup("", (0,)),), np.dtype(float))
    >>> (step,) = explain(subject, (1, 0)).steps
    >>> step.blocks[0].products.tolist(), step.value, step.difference
    ([[3.0, 8.0]], 11.0, 0.0)
    """
    n_H, n_W, n_C = subject.output_shape[1:]
    check_place(at, (n_H, n_W), "output")
    layer, group = subject.layer, subject.groups[index]
    sides = _sides(subject.window, at, getattr(layer, "pad_mode", "zeros"))
    fast = subject.output(at[0], at[0] + 1)[0, at[1]]
    # What is not finite is shown as it is.
    with np.errstate(all="ignore"):
        steps = _steps(subject, sides, at, group.channels, fast)
    return Explanation(
        name=subject.name,
        op=layer.op,
        image=image,
        at=at,
        inputs=tuple(given.name for given in subject.inputs),
        input_shapes=tuple(given.shape[1:] for given in subject.inputs),
        output_shape=(n_H, n_W, n_C),
        rows=sides[0] if sides else None,
        cols=sides[1] if sides else None,
        pad_mode=getattr(layer, "pad_mode", "zeros"),
        pad_value=getattr(layer, "pad_value", 0.0),
        mode=getattr(layer, "mode", ""),
        p=getattr(layer, "p", 2.0),
        map=index,
        map_name=group.name,
        maps=len(subject.groups),
        dtype=subject.dtype.name,
        steps=steps,
    )


def _sides(window: Window | None, at: Pair, mode: str) -> tuple[Side, Side] | None:
    if window is None:
        return None
    return stand(window.rows, at[0], mode), stand(window.cols, at[1], mode)


def _steps(
    subject: Subject,
    sides: tuple[Side, Side] | None,
    at: Pair,
    channels: Sequence[int],
    fast: FloatArray,
) -> tuple[Step, ...]:
    layer = subject.layer
    if isinstance(layer, ConvLayer) and sides:
        totals = conv_totals(subject, layer, sides, channels)
        return tuple(_conv_step(subject, layer, sides, c, totals, fast) for c in channels)
    if isinstance(layer, PoolLayer) and sides:
        return tuple(pool_step(subject, layer, sides, at, c, float(fast[c])) for c in channels)
    if isinstance(layer, PadLayer) and sides:
        return tuple(_pad_step(subject, layer, sides, c, float(fast[c])) for c in channels)
    return tuple(pixel_step(subject, at, c, float(fast[c])) for c in channels)


def conv_totals(
    subject: Subject, layer: ConvLayer, sides: tuple[Side, Side], channels: Sequence[int]
) -> FloatArray:
    """Return a convolution's sums with their biases for one place, by `conv_single_step`.

    Parameters
    ----------
    subject, layer
        The layer twice: here its type is known.
    sides : (Side, Side)
    channels : sequence of int
        Those wanted; the others are 0, but before a softmax, which sees all.

    Returns
    -------
    ndarray, shape (n_C,)
    """
    given = subject.inputs[0]
    n_C = subject.output_shape[3]
    totals = np.zeros(n_C)
    for channel in range(n_C) if layer.activation == "softmax" else channels:
        one = layer.one_map(channel, given.shape[3], subject.dtype)
        window = read_window(given, sides, one.channels, layer.pad_value)
        totals[channel] = conv_single_step(window, one.weights, one.bias)
    return totals


def _conv_step(
    subject: Subject,
    layer: ConvLayer,
    sides: tuple[Side, Side],
    channel: int,
    totals: FloatArray,
    fast: FloatArray,
) -> Step:
    given = subject.inputs[0]
    one = layer.one_map(channel, given.shape[3], subject.dtype)
    window = read_window(given, sides, one.channels, layer.pad_value)
    blocks = tuple(
        _products(given.names[c], c, window[:, :, [k]], one.weights[:, :, [k]])
        for k, c in enumerate(one.channels)
    )
    activation = layer.activation_for(np.dtype(float))
    formula, operands = activation_words(layer, totals, channel)
    return Step(
        channel=channel,
        name=subject.output_names[channel],
        blocks=blocks,
        operands=operands,
        formula=formula,
        bias=one.bias,
        total=float(totals[channel]),
        activation=layer.activation,
        value=float(activation.forward(totals[None, None, None])[0, 0, 0, channel]),
        fast=float(fast[channel]),
    )


def _products(name: str, channel: int, window: FloatArray, weights: FloatArray) -> Block:
    products = np.multiply(window, weights, dtype=np.float64)[:, :, 0]
    total = float(conv_single_step(window, weights, 0.0))
    return Block(name, channel, window[:, :, 0], weights[:, :, 0], products, total)


def pool_step(
    subject: Subject,
    layer: PoolLayer,
    sides: tuple[Side, Side],
    at: Pair,
    channel: int,
    fast: float,
) -> Step:
    """Return how one window is pooled."""
    given = subject.inputs[0]
    window = read_window(given, sides, [channel], PADS.get(layer.mode, 0.0))[:, :, 0]
    real = np.logical_and.outer(sides[0].real, sides[1].real)
    block, divisor = Block(given.names[channel], channel, window), None
    if layer.mode in PADS:
        block = _winner(block, real, layer.mode)
        value = block.sum
    elif layer.mode == "average":
        counts = (side.axis.counts(layer.count_include_pad) for side in sides)
        down, across = (int(c[k]) for c, k in zip(counts, at, strict=True))
        # A dilated window can meet pads only; its sum is 0, and so is its average.
        divisor = max(down * across, 1)
        block = replace(block, sum=float(window.sum(dtype=np.float64)))
        value = block.sum / divisor
    else:
        block, value = _norm(block, layer.p)
    return Step(
        channel=channel,
        name=subject.output_names[channel],
        blocks=(block,),
        divisor=divisor,
        total=value,
        value=value,
        fast=fast,
    )


def _winner(block: Block, real: NDArray[np.bool_], mode: str) -> Block:
    """Mark the first winner among the input cells; a window of pads only has none."""
    winner, met = np.zeros(real.shape, bool), block.window[real]
    if not met.size:
        return replace(block, sum=float(PADS[mode]), winner=winner)
    winner[real] = create_mask_from_window(met if mode == "max" else -met)
    best = block.window[winner][0]
    ties = 1 if np.isnan(best) else int(np.count_nonzero(met == best))
    return replace(block, sum=float(best), winner=winner, ties=ties)


def _norm(block: Block, p: float) -> tuple[Block, float]:
    window = np.abs(block.window, dtype=np.float64)
    pooled, _ = pool_forward(window[None, :, :, None], {"f": window.shape, "p": p}, "lp")
    if np.isinf(p):
        return replace(block, products=window, sum=float(window.max())), float(pooled.item())
    powers = window**p
    return replace(block, products=powers, sum=float(powers.sum())), float(pooled.item())


def _pad_step(
    subject: Subject, layer: PadLayer, sides: tuple[Side, Side], channel: int, fast: float
) -> Step:
    given = subject.inputs[0]
    window = read_window(given, sides, [channel], layer.pad_value)[:, :, 0]
    value = float(window.item())
    return Step(
        channel=channel,
        name=subject.output_names[channel],
        blocks=(Block(given.names[channel], channel, window, sum=value),),
        total=value,
        value=value,
        fast=fast,
    )


def activation_words(layer: ConvLayer | ActivationLayer, z: FloatArray, channel: int) -> Words:
    """Return an activation's formula, and what stands in it.

    Parameters
    ----------
    layer : ConvLayer or ActivationLayer
    z : ndarray, shape (n_C,)
        All values of one place.
    channel : int
        The one that is explained.

    Examples
    --------
    >>> activation_words(ActivationLayer("leaky-relu"), np.array([-2.0]), 0)
    ('z if z > 0, else alpha * z', (Operand(name='z', value=-2.0), Operand(name='alpha', \
value=0.01)))
    """
    name = layer.activation
    operands = [Operand("z", float(z[channel]))]
    for key, default in ACTIVATIONS[name].settings.items():
        given = getattr(layer, key, None)
        operands.append(Operand(key, _of_channel(default if given is None else given, channel)))
    if name == "softmax":
        largest = float(z.max())
        operands += [
            Operand("largest", largest),
            Operand("total", float(np.exp(z - largest).sum())),
        ]
    return ACTIVATION_WORDS[name], tuple(operands) if name != "none" else ()


def _of_channel(given: FloatArray | float, channel: int) -> float:
    """One of a parameter's numbers, or the one that serves all channels."""
    flat = np.ravel(given)
    return float(flat[channel if flat.size > 1 else 0])


def pixel_step(subject: Subject, at: Pair, channel: int, fast: float) -> Step:
    """Return how a layer without a window makes one value, in float64.

    Parameters
    ----------
    subject : Subject
    at : (row, column)
    channel : int
        Of the output.
    fast : float
        What every command gets.
    """
    pixels = read_pixels(subject, at)
    value = float(subject.layer.forward(*pixels)[0][0, 0, 0, channel])
    formula, operands = _words(subject, [pixel[0, 0, 0] for pixel in pixels], channel)
    return Step(
        channel=channel,
        name=subject.output_names[channel],
        blocks=(),
        operands=operands,
        formula=formula,
        total=value,
        value=value,
        fast=fast,
    )


def read_pixels(subject: Subject, at: Pair) -> list[FloatArray]:
    """Return the values of one place in every input, (1, 1, 1, channels) of float64.

    An input of 1x1 serves every place.
    """
    box = slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)
    boxes = [subject.layer.reads(given.shape, box) for given in subject.inputs]
    return [
        given.rows(rows.start, rows.stop)[:, :, cols].astype(np.float64)
        for given, (rows, cols) in zip(subject.inputs, boxes, strict=True)
    ]


def _words(subject: Subject, pixels: list[FloatArray], channel: int) -> Words:
    layer = subject.layer
    if isinstance(layer, ActivationLayer):
        return activation_words(layer, pixels[0], channel)
    if isinstance(layer, ConcatLayer):
        return _joined(subject, pixels, channel)
    if not isinstance(layer, (ScaleLayer, BatchNormLayer)):
        names = [given.name for given in subject.inputs]
        operands = (Operand(n, float(p[channel])) for n, p in zip(names, pixels, strict=True))
        return (" * " if isinstance(layer, MulLayer) else " + ").join(names), tuple(operands)
    values = [Operand("x", float(pixels[0][channel]))]
    values += [Operand(k, _of_channel(v, channel)) for k, v in layer.parameters.items()]
    if isinstance(layer, ScaleLayer):
        return "factor * x + offset", tuple(values)
    values.append(Operand("epsilon", layer.epsilon))
    return "gamma * (x - mean) / sqrt(var + epsilon) + beta", tuple(values)


def _joined(subject: Subject, pixels: list[FloatArray], channel: int) -> Words:
    """Which input a channel of joined ones comes from."""
    for given, pixel in zip(subject.inputs, pixels, strict=True):
        if channel < len(pixel):
            return f"channel {channel} of {given.name}", (
                Operand(given.name, float(pixel[channel])),
            )
        channel -= len(pixel)
    raise IndexError(channel)
