"""Shapes of ONNX values: what inference knows of a node's results, and how large they are at most.

Some operators make results whose size only the values tell (`NonZero`, `NonMaxSuppression`). Their
lengths are open; how many numbers they have at the most follows from the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, is_placeholder
from cnncli.errors import one_line
from cnncli.network.layers.view import Dims

MOST_KNOWN: Final = 1024
"""Constants of up to so many numbers may be sizes, and are shown to the inference of shapes."""

HALVES: Final = ("float16", "bfloat16")

_EACH: Final = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    Cast Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid
    HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not
    Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub
    Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
POINTWISE: Final = frozenset(_EACH.split())
"""Those that compute each value from the values in the same place."""

_LIKE_FIRST: Final = ("GroupNormalization", "MeanVarianceNormalization")
"""Operators whose result has the shape of their first input."""

_NAMES: Final = {"bool": "BOOL", "float32": "FLOAT", "float64": "DOUBLE"}
_NUMPY_NAMES: Final = {name: dtype for dtype, name in _NAMES.items()}


class NotRun(Exception):
    """A node that must not run, or cannot; says why."""


@dataclass(frozen=True)
class Tensor:
    """What is known of a value.

    Parameters
    ----------
    dtype : str
        As numpy names it.
    dims : Dims
    most : tuple of int, optional
        Where lengths are open: a shape with as many numbers as the value has at the most; None
        where nothing limits it.
    """

    dtype: str
    dims: Dims
    most: tuple[int, ...] | None = None

    @property
    def is_open(self) -> bool:
        """Whether some of its lengths are not known."""
        return None in self.dims

    @property
    def largest(self) -> tuple[int, ...] | None:
        """Its shape, or the largest that it may have; None where nothing limits it."""
        if self.is_open:
            return self.most
        return tuple(length or 0 for length in self.dims)

    @property
    def numbers(self) -> int | None:
        """How many numbers it has at the most, if that is known."""
        return None if self.largest is None else math.prod(self.largest)


Known = Mapping[int, Array]
"""Inputs that are constants, by their numbers."""


def infer(
    node: Any, opset: int, inputs: Mapping[str, Tensor | None], known: Mapping[str, Array]
) -> tuple[Tensor | None, ...]:
    """Return what a node's outputs will be, as far as ONNX's inference of shapes knows.

    Parameters
    ----------
    node : NodeProto
    opset : int
    inputs : mapping of str to (Tensor or None)
        By their names; what graphs in the node need from outside too.
    known : mapping of str to ndarray
        Constants among them.

    Raises
    ------
    NotRun
        If they do not fit.
    """
    onnx = import_module("onnx")
    helper = onnx.helper
    types = {
        name: helper.make_tensor_type_proto(element(tensor.dtype), tensor.dims)
        for name, tensor in inputs.items()
        if tensor is not None
    }
    data = {
        name: onnx.numpy_helper.from_array(np.asarray(array, order="C"))
        for name, array in known.items()
        if array.size <= MOST_KNOWN and not is_placeholder(array)
    }
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid("", opset)]
        )
    except Exception as error:
        # Whatever another package raises for inputs that do not fit.
        raise NotRun(one_line(error)) from None
    return tuple(_tensor(found.get(name)) for name in node.output)


def result_tensors(
    node: Any, opset: int, inputs: Sequence[Tensor | None], known: Known
) -> tuple[Tensor | None, ...]:
    """Return what the outputs of a node without graphs will be, and how large at the most.

    None for one that nothing is known of, which must not be used.

    Parameters
    ----------
    node : NodeProto
        Its inputs are called ``i0``, ``i1`` and so on.
    opset : int
    inputs : sequence of Tensor or None
        None where one is left out.
    known : mapping of int to ndarray

    Raises
    ------
    NotRun
        If they do not fit.
    """
    found = _inferred(node, opset, inputs, known)
    if all(tensor is None or not tensor.is_open for tensor in found):
        return found
    wide = [None if tensor is None else _widened(tensor) for tensor in inputs]
    if any(tensor is not None and tensor.is_open for tensor in wide):
        return found
    shapes = [() if tensor is None else tensor.largest or () for tensor in wide]
    largest: Sequence[Tensor | None] = found
    if wide != list(inputs):
        try:
            largest = _inferred(node, opset, wide, known)
        except NotRun:
            # Lengths that are equal in truth may differ where they are at their largest.
            if node.op_type in POINTWISE:
                largest = [_broadcast(tensor, shapes) for tensor in found]
    rule = _AT_MOST.get(node.op_type)
    made: list[Tensor | None] = []
    for number, (tensor, wider) in enumerate(zip(found, largest, strict=True)):
        if tensor is None or not tensor.is_open:
            made.append(tensor)
            continue
        most = None if wider is None else wider.largest
        if rule is not None and most is None:
            try:
                most = rule(_Sizes(node, shapes, known, number))
            except (IndexError, ValueError) as error:
                raise NotRun(one_line(error)) from None
        made.append(replace(tensor, most=most))
    return tuple(made)


def _inferred(
    node: Any, opset: int, inputs: Sequence[Tensor | None], known: Known
) -> tuple[Tensor | None, ...]:
    if node.op_type == "Range":
        # Its lengths may be beyond what inference can count.
        return (_range(inputs, known),)
    types = {f"i{number}": tensor for number, tensor in enumerate(inputs)}
    arrays = {f"i{number}": array for number, array in known.items()}
    found = infer(node, opset, types, arrays)
    first = inputs[0] if inputs else None
    if found[0] is None and first is not None:
        if node.op_type in _LIKE_FIRST:
            return (first, *found[1:])
        if node.op_type == "MaxUnpool" and 2 in known:
            return (Tensor(first.dtype, tuple(map(int, known[2].ravel()))), *found[1:])
    return found


def _range(inputs: Sequence[Tensor | None], known: Known) -> Tensor:
    if len(inputs) != 3 or inputs[0] is None or any(array.size != 1 for array in known.values()):
        raise NotRun("it takes three numbers")
    if len(known) < 3:
        return Tensor(inputs[0].dtype, (None,))
    first, last, step = (float(known[number].item()) for number in range(3))
    count = (last - first) / step if step else math.inf
    if not math.isfinite(count):
        raise NotRun("it makes numbers without end")
    return Tensor(inputs[0].dtype, (max(0, math.ceil(count)),))


def _widened(tensor: Tensor) -> Tensor:
    return tensor if tensor.largest is None else Tensor(tensor.dtype, tensor.largest)


def _broadcast(tensor: Tensor | None, shapes: Sequence[tuple[int, ...]]) -> Tensor | None:
    """Return a result of inputs of those shapes with each axis as long as the longest of theirs."""
    if tensor is None or any(len(shape) > len(tensor.dims) for shape in shapes):
        return tensor
    axes = zip(*(_aligned(shape, len(tensor.dims)) for shape in shapes), strict=True)
    return Tensor(tensor.dtype, tuple(max(lengths) for lengths in axes))


def _aligned(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    return (*[1] * (count - len(shape)), *shape)


@dataclass(frozen=True)
class _Sizes:
    """A node whose result is open, and the largest shapes that its inputs may have."""

    node: Any
    shapes: Sequence[tuple[int, ...]]
    known: Known
    output: int

    @property
    def numbers(self) -> int:
        """Of the first input."""
        return math.prod(self.shapes[0])

    @property
    def along(self) -> int | None:
        """The length of the first input along the node's axis; None without one."""
        axes = [each.i for each in self.node.attribute if each.name == "axis"]
        return self.shapes[0][axes[0]] if axes else None


def _of_unique(sizes: _Sizes) -> tuple[int, ...]:
    count = sizes.numbers if sizes.along is None else sizes.along
    whole = sizes.output == 0 and sizes.along is not None
    return sizes.shapes[0] if whole else (count,)


def _of_suppression(sizes: _Sizes) -> tuple[int, ...]:
    batch, boxes = sizes.shapes[0][:2]
    kept = int(sizes.known[2].item()) if 2 in sizes.known else boxes
    return (batch * sizes.shapes[1][1] * max(0, min(boxes, kept)), 3)


def _of_compress(sizes: _Sizes) -> tuple[int, ...]:
    return (sizes.numbers,) if sizes.along is None else sizes.shapes[0]


_AT_MOST: Final[dict[str, Callable[[_Sizes], tuple[int, ...]]]] = {
    "Compress": _of_compress,
    "NonMaxSuppression": _of_suppression,
    "NonZero": lambda sizes: (len(sizes.shapes[0]), sizes.numbers),
    "Slice": lambda sizes: sizes.shapes[0],
    "TopK": lambda sizes: sizes.shapes[0],
    "Unique": _of_unique,
}
"""The largest shape of a result where the inputs' values, not their sizes, tell the lengths."""


def working_numbers(
    node: Any, inputs: Sequence[Tensor | None], made: Sequence[Tensor | None]
) -> int:
    """Return about how many numbers a node needs beside its inputs and results.

    Parameters
    ----------
    node : NodeProto
    inputs, made : sequence of Tensor or None
    """
    shapes = [() if tensor is None else tensor.largest or () for tensor in inputs]
    if node.op_type == "Attention":
        return _attention_scores(node, shapes) * _COPIES
    if node.op_type == "ConvTranspose":
        return math.prod(shapes[0]) * math.prod(shapes[1][1:])
    if node.op_type in _CONVOLUTIONS and made[0] is not None:
        weights = shapes[_CONVOLUTIONS[node.op_type]]
        return _gathered_windows(node, shapes[0], weights, made[0].largest or ())
    return 0


def _gathered_windows(
    node: Any, shape: tuple[int, ...], weights: tuple[int, ...], made: tuple[int, ...]
) -> int:
    """Return how many numbers the windows of a convolution are: dilation fills kernels with 0."""
    given = next((each.ints for each in node.attribute if each.name == "dilations"), ())
    dilations = [*given, *[1] * len(weights[2 + len(given) :])]
    spans = [int((k - 1) * d + 1) for k, d in zip(weights[2:], dilations, strict=True)]
    window = math.prod(spans)
    windows = math.prod(made[2:]) * math.prod(shape[:2])
    return window * (math.prod(weights[:2]) + windows * _COPIES)


def _attention_scores(node: Any, shapes: Sequence[tuple[int, ...]]) -> int:
    """Return how many scores there are: each query with each key, in each head."""
    query, key, past = shapes[0], shapes[1], shapes[4] if len(shapes) > 4 else ()
    heads = [each.i for each in node.attribute if each.name == "q_num_heads"]
    keys = key[-2] + (past[-2] if past else 0)
    count = query[1] if len(query) == 4 else sum(heads)
    return int(math.prod((query[0], count, query[-2], keys)))


_CONVOLUTIONS: Final = {"Conv": 1, "ConvInteger": 1, "DeformConv": 1, "QLinearConv": 3}
"""Which input has the weights."""

_COPIES: Final = 4
"""Of scores while their softmax is computed; of windows, with the numbers of their cells."""


def largest_dims(dims: Dims, counts: Sequence[int]) -> tuple[int, ...]:
    """Return an estimate of a shape that nothing limits: as many numbers as the largest input.

    Parameters
    ----------
    dims : Dims
    counts : sequence of int
        Numbers of the inputs.

    Examples
    --------
    >>> largest_dims((None, 3), [300, 100])
    (100, 3)
    """
    known = math.prod(length for length in dims if length is not None)
    rest = max(1, -(-max(counts, default=1) // max(known, 1)))
    lengths = []
    for length in dims:
        lengths.append(rest if length is None else length)
        rest = 1 if length is None else rest
    return tuple(lengths)


def element(dtype: str) -> int:
    """Return ONNX's number of a type."""
    return int(import_module("onnx").helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def type_name(dtype: str) -> str:
    """Return what ONNX calls a type.

    Examples
    --------
    >>> type_name("int64"), type_name("float32")
    ('INT64', 'FLOAT')
    """
    return _NAMES.get(dtype, dtype.upper())


def numpy_name(kind: str) -> str:
    """Return what numpy calls a type.

    Examples
    --------
    >>> numpy_name("INT64"), numpy_name("FLOAT")
    ('int64', 'float32')
    """
    return _NUMPY_NAMES.get(kind, kind.lower())


def _tensor(kind: Any) -> Tensor | None:
    if kind is None or not kind.HasField("tensor_type"):
        return None
    helper, value = import_module("onnx").helper, kind.tensor_type
    if not value.HasField("shape") or not value.elem_type:
        return None
    dims = tuple(
        int(axis.dim_value) if axis.HasField("dim_value") else None for axis in value.shape.dim
    )
    dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(value.elem_type)))
    return Tensor("float32" if dtype in HALVES else dtype, dims)
