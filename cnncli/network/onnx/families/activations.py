"""Functions of each value on its own, softmax, and batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.layers.axes import axes_named
from cnncli.network.layers.view import CELLS, Layout
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.window import of_rows
from cnncli.network.onnx.values import (
    IN_TRAINING,
    BuiltLayer,
    NodeInputs,
    Signal,
    UnsupportedNode,
    from_start,
    per_channel,
)


def _batchnorm(node: NodeInputs) -> Result:
    x = node.signal()
    x = x if x.flat and x.is_pixel else node.picture()
    if node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedNode(IN_TRAINING)
    if not node.get("spatial", 1) and not x.is_pixel:
        raise UnsupportedNode("its numbers differ from place to place")
    gamma, beta, mean, var = (node.parameter(node.needed(index)) for index in range(1, 5))
    epsilon = node.get("epsilon", 1e-5)
    return BuiltLayer(layers.BatchNormLayer(gamma, beta, mean, var, epsilon), (x,))


def _activation(name: str) -> Callable[[NodeInputs], Result]:
    return lambda node: BuiltLayer(layers.ActivationLayer(name), (node.signal(),))


def _with_settings(name: str, alpha: float, **beta: float) -> Callable[[NodeInputs], Result]:
    """Return a builder that reads alpha, and another attribute as beta, with those defaults."""

    def build(node: NodeInputs) -> Result:
        slope = np.array([node.get("alpha", alpha)])
        second = next((node.get(key, default) for key, default in beta.items()), None)
        return BuiltLayer(layers.ActivationLayer(name, slope, second), (node.signal(),))

    return build


def _gelu(node: NodeInputs) -> Result:
    tanh = node.get("approximate", "none") == "tanh"
    return _activation("gelu-tanh" if tanh else "gelu")(node)


def _pow(node: NodeInputs) -> Result:
    x, exponents = node.signal(), node.needed(1)
    if x.is_whole:
        raise UnsupportedNode(f"it computes with {x.type}")
    if exponents.size != 1 and x.layout.dims is not None:
        x = x.restored()
    alpha = node.parameter(per_channel(exponents, x, None))
    return BuiltLayer(layers.ActivationLayer("pow", alpha), (x,))


def _prelu(node: NodeInputs) -> Result:
    x, slopes = node.signal(), node.needed(1)
    axis = 1 if node.opset < 7 and slopes.ndim == 1 else None
    alpha = node.parameter(per_channel(slopes, x, axis))
    return BuiltLayer(layers.ActivationLayer("prelu", alpha), (x,))


def _clip(node: NodeInputs) -> Result:
    x = node.signal()
    low = node.number(1, node.get("min", -np.inf))
    high = node.number(2, node.get("max", np.inf))
    return BuiltLayer(layers.ActivationLayer("clip", low=low, high=high), (x,))


def _softmax(node: NodeInputs, name: str = "softmax") -> Result:
    x = node.signal()
    if not (x.layout.is_plain or x.flat):
        x = x.restored()
    axes = _maps_axes(x, node)
    if axes == ("channels",):
        return BuiltLayer(layers.ActivationLayer(name), (x,))
    return BuiltLayer(layers.SoftmaxLayer(axes, name == "log-softmax"), (x,))


def _maps_axes(x: Signal, node: NodeInputs) -> tuple[str, ...]:
    """Return which axes of maps a softmax runs over; before 13 all from its axis on."""
    layout, new = x.layout, node.opset >= 13
    count = len(layout.dims) if layout.dims else 2 if x.flat else len(x.axes)
    axis = from_start(int(node.get("axis", -1 if new else 1)), count, "axis")
    over = {axis} if new else {*range(axis, count)}
    if x.flat:
        letters = "" if over == {0} else "c" if x.is_pixel else CELLS
    elif layout.dims is None:
        letters = "".join(x.axes[axis] for axis in over)
    else:
        letters = _letters(layout, x.shape or (), over)
    axes = axes_named(letters)
    if not axes:
        raise UnsupportedNode("it runs over the batch alone")
    return axes


def _letters(layout: Layout, shape: tuple[int, ...], over: set[int]) -> str:
    """Return which axes of maps some of a tensor's are, of which all but two are rows."""
    last = len(shape) - 1
    rows = over & {*range(last - 1)}
    rest = math.prod(shape[axis] for axis in {*range(last - 1)} - rows)
    if layout.order != "hwc" or (rows and rest != 1):
        raise UnsupportedNode("it runs over a part of the rows of its maps")
    letters = {last - 1: "w", last: "c"}
    return ("h" if rows else "") + "".join(letters[axis] for axis in over - rows)


LAYERS: Final = ("activation", "softmax", "batchnorm")

OPERATORS: Final[dict[str, Builder]] = {
    "Abs": _activation("abs"),
    "BatchNormalization": of_rows(_batchnorm),
    "Ceil": _activation("ceil"),
    "Celu": _with_settings("celu", 1.0),
    "Clip": _clip,
    "Elu": _with_settings("elu", 1.0),
    "Erf": _activation("erf"),
    "Exp": _activation("exp"),
    "Floor": _activation("floor"),
    "Gelu": _gelu,
    "HardSigmoid": _with_settings("hard-sigmoid", 0.2, beta=0.5),
    "HardSwish": _activation("hard-swish"),
    "LeakyRelu": _with_settings("leaky-relu", 0.01),
    "Log": _activation("log"),
    "LogSoftmax": lambda node: _softmax(node, "log-softmax"),
    "Mish": _activation("mish"),
    "Neg": _activation("neg"),
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _activation("reciprocal"),
    "Relu": _activation("relu"),
    "Round": _activation("round"),
    "Selu": _with_settings("selu", 1.6732632423543772, gamma=1.0507009873554805),
    "Sigmoid": _activation("sigmoid"),
    "Sign": _activation("sign"),
    "Softmax": _softmax,
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Sqrt": _activation("sqrt"),
    "Swish": _with_settings("silu", 1.0),
    "Tanh": _activation("tanh"),
    "ThresholdedRelu": _with_settings("thresholded-relu", 1.0),
}
