"""Operators on quantised values, written as dequantise, operator of floats, quantise.

``QLinearConv`` and its like take whole numbers with a scale and a zero point and give such numbers.
Each becomes three standard nodes or more: ``DequantizeLinear`` of each input, the operator of
floats, ``QuantizeLinear`` of its output. So they run by the layers that floats have. Those of
ONNX Runtime's own domain, as its quantiser writes them, are here too. ``ConvInteger`` and its like,
whose zero points come from the picture, get the differences to them as floats, which hold them
exactly; so do their sums, up to 2**24.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np

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
_INTEGER: Final = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
"""Their inputs: values, weights, and the zero points of both, which may be left out."""
_FLOAT: Final = 1
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
    least = 2 if proto.op_type in _INTEGER else 5
    if writer is None or last or len(proto.output) != 1 or len(proto.input) < least:
        return [proto]
    if proto.op_type == "QGemm" and not _is_plain_gemm(proto):
        return [proto]
    if proto.op_type == "ConvInteger" and not _axes(proto):
        return [proto]
    writing = Writing(proto)
    writer(writing)
    return writing.nodes


def _is_plain_gemm(proto: Any) -> bool:
    """Whether its bias has the product of both scales, and its output is quantised."""
    alpha = next((each.f for each in proto.attribute if each.name == "alpha"), 1.0)
    return alpha == 1 and len(proto.input) > 7 and proto.input[7] != ""


class Writing:
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

    def end(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Write the node that makes the output."""
        self.add(op, inputs, self.proto.output[0], **attributes)

    def add_several(self, op: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Write a node of several outputs."""
        name = self.proto.name if outputs[0] == self.proto.output[0] else outputs[0]
        made = import_module("onnx").helper.make_node(op, list(inputs), list(outputs), name=name)
        self.nodes.append(made)

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """Write an array."""
        array = import_module("onnx").numpy_helper.from_array(np.array(value, dtype))
        return self.add("Constant", [], value=array)

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute of the node that it stands for."""
        found = next((each for each in self.proto.attribute if each.name == name), None)
        helper = import_module("onnx").helper
        return default if found is None else helper.get_attribute_value(found)

    def dequantized(self, at: int, **attributes: Any) -> str:
        """Write the floats of the input at a place; its scale and its zero point follow it."""
        value, scale, zero = self.inputs[at : at + 3]
        return self.add("DequantizeLinear", [value, scale, *([zero] if zero else [])], **attributes)

    def work(self, op: str, inputs: Sequence[str], output: str = "") -> str:
        """Write the operator of floats, with the attributes of the node that it stands for."""
        output = self.add(op, inputs, output)
        kept = [each for each in self.proto.attribute if each.name not in _DROPPED]
        self.nodes[-1].attribute.extend(kept)
        return output

    def centred(self, at: int, zero: int, *shape: int) -> str:
        """Write the floats of the input at a place less its zero point, which gets a shape."""
        value = self.add("Cast", [self.inputs[at]], to=_FLOAT)
        if not self.inputs[zero]:
            return value
        shift = self.add("Cast", [self.inputs[zero]], to=_FLOAT)
        if shape:
            shift = self.add("Reshape", [shift, self.constant(shape, "int64")])
        return self.add("Sub", [value, shift])

    def quantize(self, value: str, at: int) -> None:
        """Write the quantised output, whose scale and zero point are inputs."""
        given = [name for name in self.inputs[at : at + 2] if name]
        self.add("QuantizeLinear", [value, *given], self.proto.output[0])


def _one(node: Writing) -> None:
    node.quantize(node.work(_OF_ONE[node.proto.op_type], [node.dequantized(0)]), 3)


def _two(node: Writing) -> None:
    node.quantize(
        node.work(_OF_TWO[node.proto.op_type], [node.dequantized(0), node.dequantized(3)]), 6
    )


def _concat(node: Writing) -> None:
    starts = range(2, len(node.proto.input), 3)
    node.quantize(node.work("Concat", [node.dequantized(at) for at in starts]), 0)


def _sums(node: Writing, op: str, bias: int, scale: int, axis: int) -> None:
    """Write a convolution or a product of matrices; its bias has the product of both scales."""
    inputs = [node.dequantized(0), node.dequantized(3, axis=axis)]
    if node.inputs[bias]:
        product = node.add("Mul", [node.inputs[1], node.inputs[4]])
        inputs.append(node.add("DequantizeLinear", [node.inputs[bias], product], axis=0))
    node.quantize(node.work(op, inputs), scale)


def _conv(node: Writing) -> None:
    _sums(node, "Conv", bias=8, scale=6, axis=0)


def _gemm(node: Writing) -> None:
    turned = any(each.name == "transB" and each.i for each in node.proto.attribute)
    _sums(node, "Gemm", bias=6, scale=7, axis=0 if turned else 1)


def _integer(node: Writing) -> None:
    op, axes = _INTEGER[node.proto.op_type], _axes(node.proto)
    # Zero points of the first matrix are those of its rows, of filters those of their maps.
    values = node.centred(0, 2, *(() if axes else (-1, 1)))
    weights = node.centred(1, 3, *((-1, 1, *axes) if axes else ()))
    node.work(op, [values, weights], node.proto.output[0])


def _axes(proto: Any) -> list[int]:
    """Return 1 for each axis of a convolution's kernel; none if its attributes do not tell."""
    kernel = next((each.ints for each in proto.attribute if each.name == "kernel_shape"), ())
    return [1] * len(kernel)


WRITERS: Final[dict[str, Callable[[Writing], None]]] = {
    **dict.fromkeys(_OF_ONE, _one),
    **dict.fromkeys(_OF_TWO, _two),
    **dict.fromkeys(_INTEGER, _integer),
    "QGemm": _gemm,
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
}
