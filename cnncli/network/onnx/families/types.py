"""Constant, Cast, Identity, Shape and the like: nodes of constants, types and shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from cnncli.core.arrays import Array
from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import (
    IN_TRAINING,
    BuiltLayer,
    NodeInputs,
    SizeUnknown,
    UnsupportedNode,
)

TYPES: Final = {
    **{1: "FLOAT", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64"},
    **{9: "BOOL", 10: "FLOAT16", 11: "DOUBLE", 12: "UINT32", 13: "UINT64", 16: "BFLOAT16"},
}
"""What ONNX calls its types, by their numbers."""

_FLOATS: Final = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")


def _constant(node: NodeInputs) -> Result:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if node.get(name) is not None:
            value = node.get(name)
            return np.asarray(value, np.float32) if "float" in name else np.asarray(value)
    raise UnsupportedNode("it holds something else than numbers")


def _cast(node: NodeInputs) -> Result:
    x, kind = node.signal(), TYPES.get(node.get("to"), "")
    if x.doubles and kind in _FLOATS and kind != "DOUBLE":
        raise UnsupportedNode(f"it rounds {x.type} to {kind}")
    if kind in _FLOATS:
        return replace(x, type="DOUBLE" if kind == "DOUBLE" else "FLOAT")
    if "INT" not in kind or (x.is_whole and not _holds(kind, x.type)):
        raise UnsupportedNode(f"it makes {kind or 'an unknown type'} of {x.type}")
    if x.is_whole:
        return replace(x, type=kind)
    if kind in ("UINT32", "UINT64"):
        raise UnsupportedNode(f"it makes {kind} of {x.type}, which float32 does not hold")
    high = 2.0 ** (_bits(kind) - (not kind.startswith("U"))) - 1
    low = 0.0 if kind.startswith("U") else -high - 1
    return BuiltLayer(layers.ActivationLayer("wrap", low=low, high=high), (x,), type=kind)


def _holds(kind: str, other: str) -> bool:
    """Whether a type of whole numbers has all numbers of another."""
    if kind.startswith("U") == other.startswith("U"):
        return _bits(kind) >= _bits(other)
    return other.startswith("U") and _bits(kind) > _bits(other)


def _bits(kind: str) -> int:
    return int(kind.removeprefix("U").removeprefix("INT"))


def _dequantize(node: NodeInputs) -> Result:
    x, scale, zero = node.signal(), node.needed(1), node.array(2)
    if x.doubles:
        raise UnsupportedNode(f"it makes floats of {x.type}")
    if node.get("block_size", 0) or scale.size != 1:
        raise UnsupportedNode("it has a scale for each channel")
    shift = 0.0 if zero is None else float(zero.item())
    factor = node.parameter(scale.reshape(1))
    return BuiltLayer(layers.ScaleLayer(factor, -shift * factor), (x,), type="FLOAT")


def _dropout(node: NodeInputs) -> Result:
    training = node.array(2)
    if (training is not None and training.any()) or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedNode(IN_TRAINING)
    return node.signal()


def _known_shape(node: NodeInputs) -> Array:
    shape = node.signal().shape
    if shape is None:
        raise SizeUnknown
    return np.array(shape, np.int64)


def _shape(node: NodeInputs) -> Result:
    return _known_shape(node)[node.get("start", 0) : node.get("end")]


def _size(node: NodeInputs) -> Result:
    return np.asarray(_known_shape(node).prod())


LAYERS: Final = ("scale", "activation")

OPERATORS: Final[dict[str, Builder]] = {
    "Cast": _cast,
    "Constant": _constant,
    "DequantizeLinear": _dequantize,
    "Dropout": _dropout,
    "Identity": lambda node: node.signal(),
    "Shape": _shape,
    "Size": _size,
}
