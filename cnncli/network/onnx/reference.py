"""Nodes of ONNX as its own ReferenceEvaluator computes them: what may run, and how large it gets.

Two things use it: the reader, for all that depends on constants and shapes alone, and `RanNode`,
for nodes that cnncli has no layer of its own for. Files are not trusted: operators come from a
list, sizes of results are found by ONNX's inference of shapes and checked before, and there are no
graphs inside nodes (`cnncli.network.onnx.control` runs those), no functions and no operators of
other domains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import is_placeholder, placeholder

Array = np.ndarray[Any, Any]
Dims = tuple[int | None, ...]
"""Lengths of axes; None where only the values tell."""

_OPERATORS: Final = """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
    BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast
    CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConstantOfShape Conv ConvInteger
    ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div
    DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish
    Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxUnpool
    Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or
    PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus
    Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK
    Transpose Trilu Unique Unsqueeze Upsample Where Xor
"""
ALLOWED: Final = frozenset(_OPERATORS.split())
"""The operators that may run: numbers in, numbers out, nothing random, nothing that loops."""

_EACH: Final = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    Cast Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid
    HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not
    Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub
    Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
POINTWISE: Final = frozenset(_EACH.split())
"""Those that compute each value from the values in the same place."""

BOUNDED: Final = ("Compress", "NonMaxSuppression", "NonZero", "TopK", "Unique")
"""Those whose results are no larger than their inputs, times the number of axes."""

MOST_NUMBERS: Final = 2**28
"""Numbers of a result, as of an array of weights: 2 GiB of the largest type."""

MOST_FILLED: Final = 2**24
"""Numbers of a constant that a few others may make."""

MOST_SAMPLES: Final = 64
"""Of RoiAlign in a cell, along each side: each takes memory of its own."""

MOST_CELLS: Final = 65_535
"""The largest window, stride, dilation or pad, as everywhere."""

MOST_KNOWN: Final = 1024
"""Constants of up to so many numbers may be sizes, and are shown to the inference of shapes."""

_LEAST: Final = {"DequantizeLinear": 19}
"""The first version of an operator that the ReferenceEvaluator has; older ones do the same."""

_LIKE_FIRST: Final = ("GroupNormalization", "MeanVarianceNormalization")
"""Operators whose result has the shape of their first input."""

_WINDOWS: Final = ("kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape")
_HALVES: Final = ("float16", "bfloat16")
_NAMES: Final = {"bool": "BOOL", "float32": "FLOAT", "float64": "DOUBLE"}


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
    """

    dtype: str
    dims: Dims

    @property
    def numbers(self) -> int | None:
        """How many numbers it has, if that is known."""
        return None if None in self.dims else math.prod(length or 0 for length in self.dims)


@dataclass(frozen=True)
class RanNode:
    """A node that the ReferenceEvaluator runs: small, and picklable for other processes.

    Parameters
    ----------
    proto : bytes
        A NodeProto.
    opset : int
    """

    proto: bytes
    opset: int

    @property
    def op(self) -> str:
        """Its operator."""
        return str(_node(self.proto).op_type)

    def tensors(
        self, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
    ) -> tuple[Tensor | None, ...]:
        """Return what its outputs will be, found by ONNX's inference of shapes.

        None for one that it knows nothing of, which must not be used.

        Parameters
        ----------
        inputs : sequence of Tensor or None
            None where one is left out.
        known : mapping of int to ndarray
            Those inputs, by their number, that are constants.

        Raises
        ------
        NotRun
            If the inputs do not fit it, a result would be too large, or it must not run.
        """
        check_operator(_node(self.proto))
        found = _infer(self.proto, self.opset, inputs, known)
        if found[0] is None:
            found = (_known_otherwise(_node(self.proto), inputs, known), *found[1:])
        largest = max((tensor.numbers or 0 for tensor in inputs if tensor), default=0)
        for tensor in found:
            if tensor is None:
                continue
            if min((length for length in tensor.dims if length is not None), default=0) < 0:
                raise NotRun(f"its result would have the shape {tensor.dims}")
            if tensor.numbers is None and self.op not in BOUNDED and None not in _all_dims(inputs):
                raise NotRun("how large its result gets is not known beforehand")
            bound = tensor.numbers or largest * max(len(tensor.dims), 1)
            if bound > MOST_NUMBERS:
                raise NotRun(f"it makes {bound} numbers, more than {MOST_NUMBERS}")
        return found

    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return its outputs.

        Raises
        ------
        NotRun
            If it cannot be computed.
        """
        types = tuple(None if array is None else str(array.dtype) for array in inputs)
        names = [f"i{number}" for number in range(len(inputs))]
        feeds = {
            name: array for name, array in zip(names, inputs, strict=True) if array is not None
        }
        try:
            # Infinity and NaN are results like others.
            with np.errstate(all="ignore"):
                results = _evaluator(self.proto, self.opset, types).run(None, feeds)
        except MemoryError:
            raise
        except Exception as error:
            # Whatever hundreds of functions of another package raise for inputs that do not fit.
            raise NotRun(one_line(error)) from None
        return [_plain(np.asarray(result)) for result in results]


def evaluate(node: RanNode, arrays: Sequence[Array | None], weights: bool = True) -> list[Array]:
    """Return what a node makes of constants.

    Parameters
    ----------
    node : RanNode
    arrays : sequence of ndarray or None
        None where an input is left out.
    weights : bool
        False: arrays of floats may be placeholders, and then so is what is made of them.

    Raises
    ------
    NotRun
        If it must not run, or cannot.
    """
    inputs = [None if array is None else Tensor(str(array.dtype), array.shape) for array in arrays]
    known = {index: array for index, array in enumerate(arrays) if array is not None}
    if node.op == "Range":
        _check_range(arrays)
        tensors: tuple[Tensor | None, ...] = ()
    else:
        tensors = node.tensors(inputs, known)
    made = [tensor for tensor in tensors if tensor is not None]
    given = sum(array.size for array in known.values())
    for tensor in made:
        if (tensor.numbers or 0) > max(MOST_FILLED, 2 * given):
            raise NotRun(f"it makes {tensor.numbers} numbers of {given}")
    hollow = not weights and any(is_placeholder(array) for array in known.values())
    if hollow and made and all(tensor.numbers is not None for tensor in made):
        shapes = [tuple(length or 0 for length in tensor.dims) for tensor in made]
        return [
            placeholder(tensor.dtype, shape) for tensor, shape in zip(made, shapes, strict=True)
        ]
    return node.run(arrays)


def ran_node(proto: Any, opset: int) -> RanNode:
    """Return a node under names of its own, as `RanNode` takes it."""
    own = type(proto)()
    own.CopyFrom(proto)
    # Names of 100,000 letters, or twice the same, are of no use here.
    own.name = ""
    own.input[:] = [f"i{number}" if name else "" for number, name in enumerate(proto.input)]
    own.output[:] = [f"o{number}" for number in range(len(proto.output))]
    return RanNode(own.SerializeToString(), max(opset, _LEAST.get(own.op_type, 0)))


def check_operator(proto: Any) -> None:
    """Raise NotRun unless a node's operator may run with its attributes.

    Raises
    ------
    NotRun
    """
    if proto.domain not in ("", "ai.onnx") or proto.op_type not in ALLOWED:
        raise NotRun("the operator is not among those that can be run")
    for attribute in proto.attribute:
        if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
            raise NotRun("it holds a graph")
        tensors = [attribute.t, attribute.sparse_tensor.values, *attribute.tensors]
        if any(map(is_elsewhere, tensors)):
            # They would be read from whatever file they name.
            raise NotRun("its attributes name a file")
        if attribute.name in _WINDOWS and max(map(abs, attribute.ints), default=0) > MOST_CELLS:
            raise NotRun(f"its {attribute.name} are more than {MOST_CELLS}")
        if attribute.name == "sampling_ratio" and attribute.i > MOST_SAMPLES:
            raise NotRun(f"its sampling_ratio is more than {MOST_SAMPLES}")


def is_elsewhere(tensor: Any) -> bool:
    """Tell whether an array stands in a file beside the model, or claims to."""
    external = import_module("onnx").TensorProto.EXTERNAL
    return bool(tensor.external_data) or tensor.data_location == external


def one_line(error: Exception) -> str:
    """Return the text of an error of another package, as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]


def _check_range(arrays: Sequence[Array | None]) -> None:
    """Raise NotRun if there would be too many numbers."""
    if len(arrays) != 3 or any(array is None or array.size != 1 for array in arrays):
        raise NotRun("it takes three numbers")
    first, last, step = (float(array.item()) for array in arrays if array is not None)
    if not abs(last - first) <= MOST_FILLED * abs(step):
        raise NotRun("it makes too many numbers")


def _all_dims(tensors: Sequence[Tensor | None]) -> list[int | None]:
    return [length for tensor in tensors if tensor is not None for length in tensor.dims]


def _plain(array: Array) -> Array:
    """Return half floats as float32, as all of them are here."""
    return array.astype(np.float32) if str(array.dtype) in _HALVES else array


@lru_cache(4096)
def _node(proto: bytes) -> Any:
    return import_module("onnx").NodeProto.FromString(proto)


def _element(dtype: str) -> int:
    helper = import_module("onnx").helper
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


@lru_cache(512)
def _evaluator(proto: bytes, opset: int, types: tuple[str | None, ...]) -> Any:
    onnx = import_module("onnx")
    helper, node = onnx.helper, _node(proto)
    inputs = [
        helper.make_tensor_value_info(f"i{number}", _element(dtype), None)
        for number, dtype in enumerate(types)
        if dtype is not None
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return import_module("onnx.reference").ReferenceEvaluator(made)


def _infer(
    proto: bytes, opset: int, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
) -> tuple[Tensor | None, ...]:
    types = {f"i{number}": tensor for number, tensor in enumerate(inputs)}
    arrays = {f"i{number}": array for number, array in known.items()}
    return infer(_node(proto), opset, types, arrays)


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
        name: helper.make_tensor_type_proto(_element(tensor.dtype), tensor.dims)
        for name, tensor in inputs.items()
        if tensor is not None
    }
    data = {
        name: onnx.numpy_helper.from_array(np.asarray(array, order="C"))
        for name, array in known.items()
        if array.size <= MOST_KNOWN
    }
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid("", opset)]
        )
    except Exception as error:
        raise NotRun(one_line(error)) from None
    return tuple(_tensor(found.get(name)) for name in node.output)


def _known_otherwise(
    node: Any, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
) -> Tensor | None:
    """Return what ONNX's inference does not know, of the few operators where it is plain."""
    first = inputs[0] if inputs else None
    if first is None or node.op_type not in ("MaxUnpool", *_LIKE_FIRST):
        return None
    if node.op_type == "MaxUnpool":
        return Tensor(first.dtype, tuple(map(int, known[2].ravel()))) if 2 in known else None
    return first


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
    return Tensor("float32" if dtype in _HALVES else dtype, dims)


def type_name(dtype: str) -> str:
    """Return what ONNX calls a type.

    Examples
    --------
    >>> type_name("int64"), type_name("float32")
    ('INT64', 'FLOAT')
    """
    return _NAMES.get(dtype, dtype.upper())
