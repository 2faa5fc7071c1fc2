"""How layers without a window, and activations, make one value of the values of its place."""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.core.activations import ACTIVATIONS
from cnncli.core.geometry import Pair
from cnncli.explain.model import Operand, Step
from cnncli.explain.subject import Subject
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    FloatArray,
    MulLayer,
    ScaleLayer,
)

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
