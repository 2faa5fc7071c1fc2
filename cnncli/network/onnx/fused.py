"""Operators of ONNX Runtime's own domain, written as standard nodes.

Its optimiser joins a convolution and its activation, a sum and a norm, and so on, into one node of
the domain ``com.microsoft``; its quantiser does so for products of quantised matrices. Each becomes
the standard nodes that it stands for, so that it runs by the layers that those have.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cnncli.network.onnx.quantized import Writing, without_quantized

_DOMAIN: Final = "com.microsoft"
_SETTINGS: Final = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
"""What the parameters of an activation of FusedConv are called; those of Clip are inputs."""
_PLAIN: Final = ("Relu", "Sigmoid", "Tanh")
_QUICK: Final = 1.702
"""The default of QuickGelu's alpha."""
_EPSILON: Final = 1e-12
"""The default of SkipLayerNormalization's epsilon."""


def standard_nodes(proto: Any) -> list[Any]:
    """Return the standard nodes that a node means; one that is standard, or unknown, as it is.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> node = SimpleNamespace(domain="", op_type="Relu", attribute=[], input=["x"], output=["y"])
    >>> standard_nodes(node) == [node]
    True
    """
    writers = {_DOMAIN: WRITERS, "": MENDED}.get(proto.domain, {})
    writer = writers.get(proto.op_type)
    if writer is None or not proto.output:
        return without_quantized(proto)
    writing = Writing(proto)
    if not writer(writing):
        return [proto]
    return [each for one in writing.nodes for each in without_quantized(one)]


def _conv(node: Writing) -> bool:
    activation, parameters = node.get("activation", b"").decode(), node.get("activation_params", [])
    names = _SETTINGS.get(activation, ())
    if activation not in (*_SETTINGS, *_PLAIN, "Clip", ""):
        return False
    value = node.add("Conv", [name for name in node.inputs[:3] if name])
    dropped = ("activation", "activation_params")
    kept = [each for each in node.proto.attribute if each.name not in dropped]
    node.nodes[-1].attribute.extend(kept)
    if node.inputs[3]:
        value = node.add("Add", [value, node.inputs[3]])
    limits = [node.constant(number) for number in parameters] if activation == "Clip" else []
    settings = dict(zip(names, map(float, parameters), strict=False))
    node.end(activation or "Identity", [value, *limits], **settings)
    return True


def _matmul(node: Writing) -> bool:
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        return False
    given, alpha = node.inputs[:2], node.get("alpha", 1.0)
    turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    if any(turned):
        first, second = "...ji" if turned[0] else "...ij", "...kj" if turned[1] else "...jk"
        value = node.add("Einsum", given, equation=f"{first},{second}->...ik")
    else:
        value = node.add("MatMul", given)
    if alpha == 1:
        node.end("Identity", [value])
    else:
        node.end("Mul", [value, node.constant(alpha)])
    return True


def _gelu(node: Writing) -> bool:
    value, bias = node.inputs[:2]
    if bias:
        value = node.add("Add", [value, bias])
    settings = {"approximate": "tanh"} if node.proto.op_type == "FastGelu" else {}
    node.end("Gelu", [value], **settings)
    return True


def _quick_gelu(node: Writing) -> bool:
    node.end("Swish", node.inputs[:1], alpha=node.get("alpha", _QUICK))
    return True


def _skip_norm(node: Writing) -> bool:
    value, skip, gamma, beta, bias = node.inputs[:5]
    # The mean and the deviation are outputs of training.
    if any(node.proto.output[1:3]):
        return False
    added = [*node.proto.output, "", "", ""][3]
    value = node.add("Add", [value, skip], "" if bias else added)
    if bias:
        value = node.add("Add", [value, bias], added)
    epsilon = node.get("epsilon", _EPSILON)
    given = [name for name in (value, gamma, beta) if name]
    node.end("LayerNormalization", given, axis=-1, epsilon=epsilon)
    return True


def _quantized(node: Writing, value: str) -> list[str]:
    """Write the quantisation of a value at run time; return it, its scale and its zero point."""
    made = [f"{node.base}.{part}" for part in ("quantized", "scale", "zero")]
    node.add_several("DynamicQuantizeLinear", [value], made)
    return made


def _dynamic_matmul(node: Writing) -> bool:
    value, matrix, scale, zero, bias = node.inputs[:5]
    whole, own_scale, own_zero = _quantized(node, value)
    return _scaled(node, [whole, matrix, own_zero, zero], (own_scale, scale), bias)


def _integer_matmul(node: Writing) -> bool:
    value, matrix, *scales = node.inputs[:4]
    zero, own_zero, bias = node.inputs[4:7]
    return _scaled(node, [value, matrix, zero, own_zero], (scales[0], scales[1]), bias)


def _scaled(node: Writing, given: list[str], scales: tuple[str, str], bias: str) -> bool:
    """Write the product of whole numbers, its scale and its bias."""
    product = node.add("Mul", list(scales))
    value = node.add("MatMulInteger", given)
    if bias:
        value = node.add("Mul", [value, product])
        node.end("Add", [value, bias])
    else:
        node.end("Mul", [value, product])
    return True


def _lstm(node: Writing) -> bool:
    """Write an LSTM of floats on its quantised input; its state is not quantised in between."""
    whole, scale, zero = _quantized(node, node.inputs[0])
    floats = node.add("DequantizeLinear", [whole, scale, zero])
    # Scales and zero points are those of both directions, or of the columns of each.
    directions = 2 if node.get("direction", b"") == b"bidirectional" else 1
    matrices = []
    for at, scale_at in ((1, 8), (2, 10)):
        less = node.centred(at, scale_at + 1, directions, 1, -1)
        shape = node.constant((directions, 1, -1), "int64")
        scaled = node.add("Mul", [less, node.add("Reshape", [node.inputs[scale_at], shape])])
        matrices.append(node.add("Transpose", [scaled], perm=[0, 2, 1]))
    node.add_several("LSTM", [floats, *matrices, *node.inputs[3:8]], node.proto.output)
    node.nodes[-1].attribute.extend(node.proto.attribute)
    return True


def _lp_normalization(node: Writing) -> bool:
    """Write it for p = 1 so that signs do not count: onnx 1.23 sums the values as they are."""
    if node.get("p", 2) != 1:
        return False
    source = node.inputs[0]
    shares = node.add(
        "LpNormalization", [node.add("Abs", [source])], p=1, axis=node.get("axis", -1)
    )
    node.end("Mul", [shares, node.add("Sign", [source])])
    return True


MENDED: Final[dict[str, Callable[[Writing], bool]]] = {"LpNormalization": _lp_normalization}
"""Standard operators of which onnx's ReferenceEvaluator computes a case wrongly."""

WRITERS: Final[dict[str, Callable[[Writing], bool]]] = {
    "BiasGelu": _gelu,
    "DynamicQuantizeLSTM": _lstm,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "FastGelu": _gelu,
    "FusedConv": _conv,
    "FusedMatMul": _matmul,
    "Gelu": _gelu,
    "MatMulIntegerToFloat": _integer_matmul,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm,
}
"""By operator: what writes its nodes, and tells whether it could."""
