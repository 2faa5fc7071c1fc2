"""Functions of each value on its own, softmax over channels, and batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, UnsupportedNode, per_channel


def _batchnorm(node: NodeInputs) -> Result:
    x = node.signal()
    x = x if x.flat and x.is_pixel else node.picture()
    if node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedNode("it is in training")
    if not node.get("spatial", 1) and not x.is_pixel:
        raise UnsupportedNode("its numbers differ from place to place")
    gamma, beta, mean, var = (node.parameter(node.needed(index)) for index in range(1, 5))
    epsilon = node.get("epsilon", 1e-5)
    return BuiltLayer(layers.BatchNormLayer(gamma, beta, mean, var, epsilon), (x,))


def _activation(name: str) -> Callable[[NodeInputs], Result]:
    return lambda node: BuiltLayer(layers.ActivationLayer(name), (node.signal(),))


def _leaky(node: NodeInputs) -> Result:
    alpha = np.array([node.get("alpha", 0.01)])
    return BuiltLayer(layers.ActivationLayer("leaky-relu", alpha), (node.signal(),))


def _hard_sigmoid(node: NodeInputs) -> Result:
    alpha, beta = np.array([node.get("alpha", 0.2)]), node.get("beta", 0.5)
    return BuiltLayer(layers.ActivationLayer("hard-sigmoid", alpha, beta), (node.signal(),))


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


def _softmax(node: NodeInputs) -> Result:
    x = node.signal()
    x = x if x.layout.dims is None else x.restored()
    axes = "nc" if x.flat else x.axes
    # Of a shape of its own, only the last axis is that of channels.
    count = len(x.layout.dims or axes)
    new = node.opset >= 13
    axis = node.get("axis", -1 if new else 1)
    axis = axis + count if axis < 0 else axis
    over = axis == (count - 1 if x.layout.dims else axes.find("c"))
    # Older ones make all axes from theirs on into one.
    alone = x.is_pixel or (not x.flat and (new or axis == count - 1))
    if not over or not alone:
        raise UnsupportedNode("it does not run over the channels of each place")
    return BuiltLayer(layers.ActivationLayer("softmax"), (x,))


OPERATORS: Final[dict[str, Builder]] = {
    "Abs": _activation("abs"),
    "BatchNormalization": _batchnorm,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard-swish"),
    "LeakyRelu": _leaky,
    "PRelu": _prelu,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Tanh": _activation("tanh"),
}
