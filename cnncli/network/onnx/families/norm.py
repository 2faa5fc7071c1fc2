"""InstanceNormalization, LayerNormalization, GroupNormalization and LRN as layers."""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.core.arrays import Array, FloatArray
from cnncli.network import layers
from cnncli.network.layers.axes import axes_named
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.window import of_rows
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, UnsupportedNode


def _instance(node: NodeInputs) -> Result:
    x = _floats(node.signal())
    gamma, beta = (node.parameter(node.needed(index)) for index in (1, 2))
    epsilon = float(node.get("epsilon", 1e-5))
    shape = x.shape
    if not x.layout.is_plain and shape is not None and x.layout.order == "chw" and shape[0] == 1:
        # Channels reshaped into groups: what exporters make of group normalisation.
        groups, whole = shape[1], len(shape) > 2 and x.channels % shape[1] == 0
        if whole and groups == gamma.size:
            each = x.channels // groups
            gamma, beta = (_brief(np.repeat(v, each), node) for v in (gamma, beta))
            return BuiltLayer(layers.GroupNormLayer(groups, gamma, beta, epsilon), (x,))
    return _each_map(node)


@of_rows
def _each_map(node: NodeInputs) -> BuiltLayer:
    gamma, beta = (node.parameter(node.needed(index)) for index in (1, 2))
    layer = layers.InstanceNormLayer(gamma, beta, float(node.get("epsilon", 1e-5)))
    return BuiltLayer(layer, (node.picture(),))


def _group(node: NodeInputs) -> BuiltLayer:
    x = _floats(node.picture())
    groups = int(node.get("num_groups", 1))
    gamma, beta = (node.parameter(node.needed(index)) for index in (1, 2))
    if node.opset < 21:
        # One number for each group, before there was one for each channel.
        if x.channels % groups or gamma.size != groups or beta.size != groups:
            raise UnsupportedNode(f"it has {gamma.size} numbers for {groups} groups")
        gamma, beta = (np.repeat(v, x.channels // groups) for v in (gamma, beta))
    epsilon = float(node.get("epsilon", 1e-5))
    return BuiltLayer(layers.GroupNormLayer(groups, gamma, beta, epsilon), (x,))


def _layer(node: NodeInputs) -> BuiltLayer:
    x = _floats(node.signal())
    if not x.layout.is_plain:
        x = x.restored()
    if not x.layout.is_plain:
        raise UnsupportedNode("its input is flattened")
    count = len(x.axes)
    axis = int(node.get("axis", -1))
    letters = x.axes[axis + count if axis < 0 else axis :].replace("n", "")
    axes = axes_named(letters)
    if not axes or not -count <= axis < count:
        raise UnsupportedNode(f"it works over no axis of its input from {axis} on")
    given = node.array(2)
    gamma = _broadcast(node, node.needed(1), x, letters)
    beta = np.zeros(1, gamma.dtype) if given is None else _broadcast(node, given, x, letters)
    epsilon = float(node.get("epsilon", 1e-5))
    return BuiltLayer(layers.LayerNormLayer(gamma, beta, axes, epsilon), (x,))


def _broadcast(node: NodeInputs, array: Array, x: Signal, letters: str) -> FloatArray:
    """Return the numbers of each channel, of an array over the last axes."""
    if array.size == 1:
        return node.parameter(array.reshape(1))
    lengths = dict(zip(letters[::-1], array.shape[::-1], strict=False))
    if lengths.get("c") != array.size or array.size != x.channels:
        raise UnsupportedNode(f"its numbers {array.shape} are not one for each channel")
    return node.parameter(array.reshape(-1))


def _lrn(node: NodeInputs) -> BuiltLayer:
    layer = layers.LRNLayer(
        int(node.get("size", 1)),
        float(node.get("alpha", 1e-4)),
        float(node.get("beta", 0.75)),
        float(node.get("bias", 1.0)),
    )
    return BuiltLayer(layer, (_floats(node.picture()),))


def _floats(x: Signal) -> Signal:
    if not x.is_float:
        raise UnsupportedNode("it does not work on floats of single or double precision")
    return x


def _brief(values: FloatArray, node: NodeInputs) -> FloatArray:
    """Return one number where all are the same, so that network files are short."""
    return values[:1] if node.weights and (values == values[0]).all() else values


LAYERS: Final = ("instance-norm", "group-norm", "layer-norm", "lrn")

OPERATORS: Final[dict[str, Builder]] = {
    "GroupNormalization": of_rows(_group),
    "InstanceNormalization": _instance,
    "LRN": _lrn,
    "LayerNormalization": _layer,
}
