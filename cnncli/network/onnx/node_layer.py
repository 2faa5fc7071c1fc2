"""A node of ONNX that cnncli has no layer of its own for, run by the ReferenceEvaluator.

It takes any number of inputs, gives one of the node's outputs, and works in the model's own shapes
and types, one image at a time. It has no gradient and no strips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, FloatArray, Shape, is_placeholder
from cnncli.core.geometry import Box
from cnncli.errors import CnnCliError, ShapeError, one_line
from cnncli.network.layers.base import ChannelwiseDefaults, Gradients
from cnncli.network.layers.view import Dims, Layout, layout_of
from cnncli.network.model import SIZE_HINT
from cnncli.network.onnx.attribute_words import check_words
from cnncli.network.onnx.control import CONTROL, ReferenceGraph
from cnncli.network.onnx.model import OnnxNode
from cnncli.network.onnx.reference import (
    ALLOWED,
    ReferenceNode,
    WeightsNeeded,
    evaluate,
    parsed_node,
    reference_node,
)
from cnncli.network.onnx.shapes import (
    POINTWISE,
    NotRun,
    Tensor,
    largest_dims,
    numpy_name,
    result_tensors,
    type_name,
)
from cnncli.network.onnx.values import (
    DOUBLES,
    IN_TRAINING,
    BuiltLayer,
    Signal,
    SizeUnknown,
    UnsupportedNode,
    Value,
)
from cnncli.render.options import MapGroup, numbered_groups

_MOST_WHOLE: Final = 2**53
_RECURRENT: Final = ("LSTM", "GRU", "RNN")
_LEARNED: Final = {
    **dict.fromkeys(("BatchNormalization", "GroupNormalization", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "Conv", "ConvTranspose"), (1, 2)),
    **dict.fromkeys(("Add", "Div", "Einsum", "Gemm", "MatMul", "Mul", "PRelu", "Sub"), (0, 1, 2)),
    **dict.fromkeys(_RECURRENT, (1, 2, 3)),
    **{"ConvInteger": (1,), "DeformConv": (1, 3), "Gather": (0,), "MatMulInteger": (0, 1)},
    **{"QLinearConv": (3, 8), "QLinearMatMul": (0, 3)},
}
"""Inputs that hold learned numbers, where they are constants."""
_WITH_PRODUCTS: Final = {
    *("Attention", "Conv", "ConvInteger", "ConvTranspose", "DFT", "DeformConv", "Einsum"),
    *("Gemm", "If", "Loop", "MatMul", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    *("STFT", "Scan", *_RECURRENT),
}
ROUNDED: Final = ("AveragePool", "ConvTranspose", "LpPool", "MaxPool")
"""Whose sizes ONNX's inference rounds otherwise than ONNX Runtime, which we follow."""


@dataclass(frozen=True)
class Operand:
    """An input of a node that layers make.

    Parameters
    ----------
    number : int
        Which of the node's inputs it is.
    layout : Layout
        How its tensor is stored in maps.
    dtype : str
        Of the tensor, as numpy names it.
    open : Dims, optional
        The tensor's shape, if some of it is known only when the values are: its maps are then as
        large as they can be.
    """

    number: int
    layout: Layout
    dtype: str
    open: Dims | None = None

    def tensor(self, shape: Shape) -> Tensor:
        """Return what is known of it, for maps of a shape."""
        own = self.layout.shape(shape[1:])
        return Tensor(self.dtype, own) if self.open is None else Tensor(self.dtype, self.open, own)


@dataclass(frozen=True, eq=False)
class OnnxNodeLayer(ChannelwiseDefaults):
    """One output of a node, run by ONNX's ReferenceEvaluator.

    Parameters
    ----------
    node : ReferenceNode or ReferenceGraph
    operands : tuple of Operand
        Its inputs that layers make, in the order of this layer's inputs.
    constants : mapping of int to ndarray
        Its other inputs, by their number; those that are left out have none.
    count : int
        How many inputs the node has.
    output : int
        Which of its outputs this is.
    layout : Layout
        How the output is stored in maps.
    channels : int
        Of those maps.
    dims : Dims
        The shape of the output, as far as it was known when the model was read.
    is_open : bool
        Whether only the values tell how large the output is.
    is_estimated : bool
        Whether nothing tells either how large it is at the most.
    doubles : bool
        Whether its maps are float64 whatever its inputs are, see `DOUBLES`.
    why : str
        Why it is no layer of our own, where there is one for its operator.
    """

    node: ReferenceNode | ReferenceGraph
    operands: tuple[Operand, ...]
    constants: Mapping[int, Array]
    count: int
    output: int
    layout: Layout
    channels: int
    dims: Dims
    is_open: bool = False
    is_estimated: bool = False
    doubles: bool = False
    why: str = ""
    op: ClassVar[str] = "onnx"
    keeps_channels: ClassVar[bool] = False
    has_gradient: ClassVar[bool] = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output; where only values tell it, the largest there can be."""
        shape: Shape = _output_shape(self, shapes)
        return shape

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel."""
        return numbered_groups(self.channels)

    @property
    def weights(self) -> tuple[Array, ...]:
        """What was learned, such as matrices and biases; no single numbers of formulas."""
        numbers = _LEARNED.get(self.node.op, ())
        arrays = [self.constants[number] for number in numbers if number in self.constants]
        return tuple(a for a in arrays if a.size > 1 or self.node.op not in POINTWISE)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say that it works as in training."""
        text = f"{self.node.op} takes mean and variance from this picture alone, as {self.why}"
        return (text,) if self.why == IN_TRAINING else ()

    @property
    def hides_products(self) -> bool:
        """Whether it has sums of products, which nobody counts here."""
        return self.node.op in _WITH_PRODUCTS

    @property
    def label(self) -> str:
        """What `plan` calls it: the node's operator."""
        size = "size estimated" if self.is_estimated else "size at most"
        return f"{self.node.op}, {size}" if self.is_open else self.node.op

    @property
    def reads_all(self) -> bool:
        """Whether a cell of the output may depend on any of the input, not on its own alone."""
        layouts = {operand.layout for operand in self.operands} | {self.layout}
        return self.node.op not in POINTWISE or len(layouts) > 1

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return all of the input, or the box itself where each cell is computed on its own."""
        return (slice(0, shape[1]), slice(0, shape[2])) if self.reads_all else box

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output's maps, and nothing for a backward pass."""
        with np.errstate(all="ignore"):
            tensors = [
                operand.layout.load(X).astype(operand.dtype, copy=False)
                for operand, X in zip(self.operands, inputs, strict=True)
            ]
        results = [self._one([T[k] for T in tensors]) for k in range(len(inputs[0]))]
        shape = results[0].shape
        # Rows and columns may differ from those that the model was read for, but no axis more.
        if len(shape) != len(self.dims):
            raise ShapeError(f"{self.node.op} gives the shape {shape}, where it was {self.dims}")
        if len({result.shape for result in results}) > 1:
            raise ShapeError(f"{self.node.op} makes results of several shapes of the images")
        floats = [
            X.dtype
            for operand, X in zip(self.operands, inputs, strict=True)
            if operand.dtype == "float32"
        ]
        Y = np.stack(results) if len(results) > 1 else results[0][None]
        if Y.dtype.kind == "f":
            Y = Y.astype(np.result_type(Y.dtype, *floats), copy=False)
        elif Y.dtype.kind != "b" and Y.dtype.itemsize > 2:
            # Float32 would be exact up to 2**24 alone.
            Y = _whole(Y, self.node.op)
        else:
            Y = Y.astype(np.float32)
        try:
            maps = self.layout.store(Y, self.layout.cells(Y.shape[1:]))
        except ValueError:
            text = f"{self.node.op} gives the shape {shape} for one image, where it was {self.dims}"
            raise ShapeError(text) from None
        self._check_planned(maps.shape, inputs, shape)
        return np.ascontiguousarray(maps), None

    def _check_planned(self, made: Shape, inputs: Sequence[FloatArray], shape: Shape) -> None:
        """Raise ShapeError unless maps are as large as planned, or as an open size allows."""
        if self.is_estimated and made[3] == self.channels:
            return
        planned = self.output_shape(*(X.shape for X in inputs))
        fits = made[3] == self.channels and (
            all(a <= b for a, b in zip(made, planned, strict=True))
            if self.is_open
            else made == planned
        )
        if not fits:
            at_most = "at most " if self.is_open else ""
            raise ShapeError(
                f"{self.node.op} gives the shape {shape}, where {at_most}"
                f"{self.layout.shape(planned[1:])} was planned"
            )

    def _one(self, tensors: Sequence[Array]) -> Array:
        """Return the output for one image."""
        given: list[Array | None] = [self.constants.get(number) for number in range(self.count)]
        for operand, tensor in zip(self.operands, tensors, strict=True):
            given[operand.number] = tensor
        try:
            return self.node.run(given)[self.output]
        except NotRun as error:
            raise CnnCliError(f"{self.node.op} cannot be run: {error}") from None

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Raise: it has no gradient."""
        raise CnnCliError(f"{self.node.op} is run by onnx and has no gradient")


def _whole(Y: Array, op: str) -> FloatArray:
    """Return whole numbers as float64, which holds those up to 2**53."""
    largest = max(abs(int(Y.min())), abs(int(Y.max()))) if Y.size else 0
    if largest > _MOST_WHOLE:
        raise CnnCliError(f"{op} gives whole numbers of up to {largest}, more than 2**53")
    return Y.astype(np.float64)


@lru_cache(64)
def _output_shape(layer: OnnxNodeLayer, shapes: tuple[Shape, ...]) -> Shape:
    tensors: list[Tensor | None] = [None] * layer.count
    for number, array in layer.constants.items():
        tensors[number] = Tensor(str(array.dtype), array.shape)
    for operand, shape in zip(layer.operands, shapes, strict=True):
        tensors[operand.number] = operand.tensor(shape)
    try:
        made = layer.node.tensors(tensors, layer.constants)[layer.output]
    except NotRun as error:
        raise ShapeError(f"{layer.node.op}: {error}") from None
    if made is None:
        raise ShapeError(f"{layer.node.op}: the shape of its result is not known beforehand")
    if made.is_open and not layer.is_open:
        raise ShapeError(f"{layer.node.op}: only values tell its size", hint=SIZE_HINT)
    counts = [math.prod(shape[1:]) for shape in shapes]
    largest = made.largest or largest_dims(made.dims, counts)
    if len(largest) != len(layer.dims):
        raise ShapeError(f"{layer.node.op} gives the shape {largest}, where it was {layer.dims}")
    return (shapes[0][0], *layer.layout.cells(largest))


class UnsupportedOperator(UnsupportedNode):
    """There is no layer for an operator."""


def stop_reason(node: OnnxNode, error: Exception) -> str:
    """Say why a node cannot be read, from what was raised."""
    if isinstance(error, UnsupportedOperator):
        return f"unsupported operator {node.operator} ({node.label})"
    if isinstance(error, SizeUnknown):
        return f"{error}, for {node.operator} ({node.label})"
    return f"unsupported {node.operator} ({node.label}): {one_line(error)}"


def computed_constants(
    node: OnnxNode, opset: int, arrays: Sequence[Array | None], weights: bool
) -> list[Array]:
    """Return what a node makes of constants; placeholders as `evaluate` says."""
    work = _reference(node, opset)
    if isinstance(work, ReferenceNode):
        return evaluate(work, arrays, weights)
    if not weights and any(array is not None and is_placeholder(array) for array in arrays):
        raise WeightsNeeded
    return work.run(arrays)


def _reference(node: OnnxNode, opset: int) -> ReferenceNode | ReferenceGraph:
    if node.op in CONTROL:
        return ReferenceGraph(node.proto.SerializeToString(), opset, node.captured)
    return reference_node(node.proto, opset)


def reference_layers(
    node: OnnxNode,
    opset: int,
    inputs: tuple[Value, ...],
    outputs: Sequence[int],
    why: Exception | None,
) -> dict[int, BuiltLayer]:
    """Return outputs of a node as layers that run it; `why` tells why it is no other layer."""
    if isinstance(why, SizeUnknown):
        raise why
    check_words(node.op, node.attributes)
    signals = [value for value in inputs if isinstance(value, Signal)]
    if not signals or (why is None and node.op not in (*ALLOWED, *CONTROL)):
        raise why or UnsupportedOperator
    work, constants = _reference(node, opset), _constants(inputs)
    if isinstance(work, ReferenceGraph) and any(signal.size is None for signal in signals):
        # What it makes of pictures of several sizes need not follow their sizes.
        raise SizeUnknown
    try:
        tensors = work.tensors([_tensor(value) for value in inputs], constants)
    except NotRun as error:
        raise why or error from None
    return {n: _built_layer(node, work, inputs, n, tensors[n], why) for n in outputs}


def _built_layer(
    node: OnnxNode,
    work: ReferenceNode | ReferenceGraph,
    inputs: tuple[Value, ...],
    output: int,
    tensor: Tensor | None,
    why: Exception | None,
) -> BuiltLayer:
    """Return one output of a node, of which `tensor` is known, as a layer."""
    signals = tuple(value for value in inputs if isinstance(value, Signal))
    if tensor is None:
        raise why or NotRun("the shape of its result is not known beforehand")
    if tensor.dtype.rstrip("0123456789") not in ("bool", "int", "uint", "float"):
        is_text = tensor.dtype.startswith(("<U", "str", "object"))
        raise NotRun(f"it makes {'text' if is_text else tensor.dtype}")
    before, dims, kind = signals[0].shape, tensor.dims, type_name(tensor.dtype)
    if node.op == "Reshape" and before and None not in dims:
        cells = math.prod(length or 0 for length in dims)
        if why is not None and cells != math.prod(before):
            raise why
    operands = tuple(
        Operand(number, value.layout, numpy_name(value.type), value.open)
        for number, value in enumerate(inputs)
        if isinstance(value, Signal)
    )
    layout, channels = _stored(tensor, signals)
    is_open = tensor.is_open and all(signal.size for signal in signals)
    layer = OnnxNodeLayer(
        node=work,
        operands=operands,
        constants=_constants(inputs),
        count=len(inputs),
        output=output,
        layout=layout,
        channels=channels,
        dims=dims,
        is_open=is_open,
        is_estimated=is_open and (tensor.most is None or any(s.is_estimated for s in signals)),
        doubles=kind in DOUBLES,
        why=str(why) if isinstance(why, (UnsupportedNode, CnnCliError)) else "",
    )
    return BuiltLayer(layer, signals, layout, kind, dims if is_open else None)


def inferred_shapes(
    node: OnnxNode, opset: int, inputs: Sequence[Value]
) -> tuple[tuple[int, ...] | None, ...]:
    """Return the shapes that ONNX's inference says a node's outputs have; None where it cannot."""
    try:
        work = reference_node(node.proto, opset)
        tensors = [_tensor(value) for value in inputs]
        made = result_tensors(parsed_node(work.proto), work.opset, tensors, _constants(inputs))
    except (NotRun, SizeUnknown):
        return (None,) * len(node.outputs)
    return tuple(None if t is None or t.is_open else t.largest for t in made)


def same_for_one(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape for one picture is that of a batch."""
    first = 1 if len(shape) == len(expected) == 4 else 0
    return shape[first:] == expected[first:]


def _stored(tensor: Tensor, signals: Sequence[Signal]) -> tuple[Layout, int]:
    """Return how an output is stored, and in how many channels."""
    dims = tensor.dims
    is_picture = len(dims) == 4 and dims[0] == 1 and dims[1] is not None
    if tensor.is_open and any(signal.size is None for signal in signals):
        # Rows and columns follow those of the picture; any other axis needs it to be known.
        if not is_picture:
            raise SizeUnknown
        return Layout(), int(dims[1] or 0)
    if tensor.is_open and is_picture:
        return Layout(), int(dims[1] or 0)
    layout = layout_of(dims)
    if dims.count(None) > 1 and layout.dims is not None:
        raise NotRun(f"several lengths of its result {dims} are not known beforehand")
    counts = [math.prod(signal.cells or (1,)) for signal in signals]
    return layout, layout.cells(tensor.largest or largest_dims(dims, counts))[2]


def _tensor(value: Value) -> Tensor | None:
    if isinstance(value, Signal):
        if value.dims is None:
            raise SizeUnknown
        most = None
        if value.open is not None and value.cells is not None:
            most = value.layout.shape(value.cells)
        return Tensor(numpy_name(value.type), value.dims, most)
    return None if value is None else Tensor(str(value.dtype), value.shape)


def _constants(inputs: Sequence[Value]) -> dict[int, Array]:
    return {k: value for k, value in enumerate(inputs) if isinstance(value, np.ndarray)}
