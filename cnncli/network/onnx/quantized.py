"""Operators on quantised values, written as dequantise, operator of floats, quantise.

``QLinearConv`` and its like take whole numbers with a scale and a zero point and give such numbers.
Each becomes three standard nodes or more: ``DequantizeLinear`` of each input, the operator of
floats, ``QuantizeLinear`` of its output. So they run by the layers that floats have. Those of
ONNX Runtime's own domain, as its quantiser writes them, are here too.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from cnncli.network.onnx.tensors import OWN_DOMAINS

_OF_ONE: Final = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearReduceMean": "ReduceMean",
    "QLinearSigmoid": "Sigmoid",
    "QLinearSoftmax": "Softmax",
}
_OF_TWO: Final = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
"""Not QLinearMatMul, whose scales may be those of rows or columns: onnx runs it."""
_DROPPED: Final = ("channels_last", "opset")


def without_quantized(proto: Any) -> list[Any]:
    """Return the nodes that a node on quantised values means; any other as it is.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> node = SimpleNamespace(domain="", op_type="Relu", attribute=[], input=["x"], output=["y"])
    >>> without_quantized(node) == [node]
    True
    """
    own = proto.domain in (*OWN_DOMAINS, "com.microsoft")
    writer = WRITERS.get(proto.op_type) if own else None
    last = any(each.name == "channels_last" and each.i for each in proto.attribute)
    if writer is None or last or len(proto.output) != 1 or len(proto.input) < 5:
        return [proto]
    if proto.op_type == "QGemm" and not _is_plain_gemm(proto):
        return [proto]
    writing = _Writing(proto)
    writer(writing)
    return writing.nodes


def _is_plain_gemm(proto: Any) -> bool:
    """Whether its bias has the product of both scales, and its output is quantised."""
    alpha = next((each.f for each in proto.attribute if each.name == "alpha"), 1.0)
    return alpha == 1 and len(proto.input) > 7 and proto.input[7] != ""


class _Writing:
    """The nodes that one node becomes."""

    def __init__(self, proto: Any) -> None:
        self.proto = proto
        self.inputs = [*proto.input, *[""] * 9]
        self.nodes: list[Any] = []
        self.base = f"{proto.output[0]}.floats"

    def add(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Write a node; return what its output is called."""
        output = output or f"{self.base}{len(self.nodes)}"
        name = self.proto.name if output == self.proto.output[0] else output
        make = import_module("onnx").helper.make_node
        self.nodes.append(make(op, list(inputs), [output], name=name, **attributes))
        return output

    def dequantized(self, at: int, **attributes: Any) -> str:
        """Write the floats of the input at a place; its scale and its zero point follow it."""
        value, scale, zero = self.inputs[at : at + 3]
        return self.add("DequantizeLinear", [value, scale, *([zero] if zero else [])], **attributes)

    def work(self, op: str, inputs: Sequence[str]) -> str:
        """Write the operator of floats, with the attributes of the node that it stands for."""
        output = self.add(op, inputs)
        kept = [each for each in self.proto.attribute if each.name not in _DROPPED]
        self.nodes[-1].attribute.extend(kept)
        return output

    def quantize(self, value: str, at: int) -> None:
        """Write the quantised output, whose scale and zero point are inputs."""
        given = [name for name in self.inputs[at : at + 2] if name]
        self.add("QuantizeLinear", [value, *given], self.proto.output[0])


def _one(node: _Writing) -> None:
    node.quantize(node.work(_OF_ONE[node.proto.op_type], [node.dequantized(0)]), 3)


def _two(node: _Writing) -> None:
    node.quantize(
        node.work(_OF_TWO[node.proto.op_type], [node.dequantized(0), node.dequantized(3)]), 6
    )


def _concat(node: _Writing) -> None:
    starts = range(2, len(node.proto.input), 3)
    node.quantize(node.work("Concat", [node.dequantized(at) for at in starts]), 0)


def _sums(node: _Writing, op: str, bias: int, scale: int, axis: int) -> None:
    """Write a convolution or a product of matrices; its bias has the product of both scales."""
    inputs = [node.dequantized(0), node.dequantized(3, axis=axis)]
    if node.inputs[bias]:
        product = node.add("Mul", [node.inputs[1], node.inputs[4]])
        inputs.append(node.add("DequantizeLinear", [node.inputs[bias], product], axis=0))
    node.quantize(node.work(op, inputs), scale)


def _conv(node: _Writing) -> None:
    _sums(node, "Conv", bias=8, scale=6, axis=0)


def _gemm(node: _Writing) -> None:
    turned = any(each.name == "transB" and each.i for each in node.proto.attribute)
    _sums(node, "Gemm", bias=6, scale=7, axis=0 if turned else 1)


WRITERS: Final[dict[str, Callable[[_Writing], None]]] = {
    **dict.fromkeys(_OF_ONE, _one),
    **dict.fromkeys(_OF_TWO, _two),
    "QGemm": _gemm,
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
}
