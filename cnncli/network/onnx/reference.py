"""Nodes of ONNX as its own ReferenceEvaluator computes them: what may run, and how large it gets.

Two things use it: the reader, for all that depends on constants and shapes alone, and
`ReferenceNode`, for nodes that cnncli has no layer of its own for. Files are not trusted: operators
come from a list, sizes of results are found by ONNX's inference of shapes and checked before, when
the model is read and again with the arrays that a node really gets, and there are no graphs inside
nodes (`cnncli.network.onnx.control` runs those), no functions and no operators of other domains.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, is_placeholder, placeholder
from cnncli.errors import one_line
from cnncli.io.limits import MAX_CELLS
from cnncli.network.onnx.evaluator_faults import (
    check_computed,
    check_numbers,
    mended_inputs,
    mended_version,
)
from cnncli.network.onnx.protobuf_types import protobuf_types
from cnncli.network.onnx.shapes import (
    HALVES,
    MOST_KNOWN,
    Known,
    NotRun,
    Tensor,
    element,
    result_tensors,
    working_numbers,
)
from cnncli.network.onnx.tensors import FEW, OWN_DOMAINS, is_elsewhere
from cnncli.system.memory import check_while_running

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

MOST_NUMBERS: Final = 2**28
"""Numbers of a result, as of an array of weights: 2 GiB of the largest type."""

MOST_FILLED: Final = 2**27
"""Numbers of a constant that a few others may make: the largest matrices of networks have so many.
"""

MOST_SAMPLES: Final = 64
"""Of RoiAlign in a cell, along each side: each takes memory of its own."""

_WITH_WINDOWS: Final = ("AveragePool", "Conv", "LpPool", "MaxPool")
"""Operators that leave nothing where their window is too large."""

_WINDOWS: Final = ("kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape")


@dataclass(frozen=True)
class ReferenceNode:
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
        return str(parsed_node(self.proto).op_type)

    def tensors(self, inputs: Sequence[Tensor | None], known: Known) -> tuple[Tensor | None, ...]:
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
        node = parsed_node(self.proto)
        check_operator(node)
        check_computed(node, self.opset, inputs, known)
        found = result_tensors(node, self.opset, inputs, known)
        depends_on_open = any(tensor is not None and tensor.is_open for tensor in inputs)
        for tensor in found:
            if tensor is None:
                continue
            if min((length for length in tensor.dims if length is not None), default=0) < 0:
                raise NotRun(f"its result would have the shape {tensor.dims}")
            if tensor.numbers is None and not depends_on_open:
                raise NotRun("how large its result gets is not known beforehand")
            _check_count(tensor.numbers or 0, "makes")
        _check_count(working_numbers(node, inputs, found), "needs")
        return found

    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return its outputs, after a check of how large they become.

        Raises
        ------
        NotRun
            If it cannot be computed.
        CnnCliError
            If memory does not suffice.
        """
        self.check(inputs)
        return self.compute(inputs)

    def check(self, inputs: Sequence[Array | None]) -> tuple[Tensor | None, ...]:
        """Return what its outputs will be of those arrays; refuse what is too large.

        Raises
        ------
        NotRun, CnnCliError
            As `run` says.
        """
        given = tuple(_tensors_of(inputs))
        known = {index: array for index, array in enumerate(inputs) if array is not None}
        made = _tensors_of_shapes(self, given) or self.tensors(given, known)
        if None in made[:1]:
            raise NotRun("the shape of its result is not known beforehand")
        made_bytes = sum(_bytes(tensor) for tensor in made if tensor)
        working = working_numbers(parsed_node(self.proto), given, made)
        shapes = ", ".join(str(array.shape) for array in known.values())
        check_while_running(made_bytes + 4 * working, f"{self.op} of the shapes {shapes}")
        return made

    def compute(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return its outputs, for inputs that were checked.

        Raises
        ------
        NotRun
            If it cannot be computed.
        """
        check_numbers(parsed_node(self.proto), inputs)
        inputs = mended_inputs(self.op, inputs)
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
            # Whatever hundreds of functions of another package raise for inputs that do not fit; it
            # wraps some in a list of their types.
            raise NotRun(one_line(error.__cause__ or error)) from None
        if self.op in _WITH_WINDOWS and not np.size(results[0]):
            raise NotRun("its window does not fit into its input")
        return [_plain(np.asarray(result)) for result in results]


@lru_cache(1024)
def _tensors_of_shapes(
    node: ReferenceNode, given: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...] | None:
    """Return what a node makes if the shapes of its inputs tell, as in each turn of a loop."""
    try:
        made = node.tensors(given, {})
    except NotRun:
        return None
    return None if any(tensor is None or tensor.is_open for tensor in made) else made


class WeightsNeeded(Exception):
    """What a graph does depends on numbers that are only placeholders here."""


def evaluate(
    node: ReferenceNode, arrays: Sequence[Array | None], weights: bool = True
) -> list[Array]:
    """Return what a node makes of constants.

    Parameters
    ----------
    node : ReferenceNode
    arrays : sequence of ndarray or None
        None where an input is left out.
    weights : bool
        False: arrays of floats may be placeholders, and then so is what is made of them.

    Raises
    ------
    NotRun, CnnCliError
        If it must not run, or cannot.
    WeightsNeeded
        If sizes or conditions may depend on placeholders.
    """
    if not weights and any(array is not None and is_placeholder(array) for array in arrays):
        return _placeholders(node, arrays)
    given = sum(array.size for array in arrays if array is not None)
    made = node.check(arrays)
    most = max(MOST_FILLED, 2 * given)
    for tensor in made:
        if tensor is not None and (tensor.numbers or 0) > most:
            raise NotRun(f"it makes {tensor.numbers} numbers of {given}, more than {most}")
    if not weights and all(tensor is not None and _is_weights(tensor) for tensor in made):
        return _placeholders(node, arrays)
    return node.compute(arrays)


def _is_weights(tensor: Tensor) -> bool:
    """Whether a constant is large, and of floats: no size depends on its numbers."""
    return tensor.dtype in ("float32", "float64") and (tensor.numbers or 0) > MOST_KNOWN


def _placeholders(node: ReferenceNode, arrays: Sequence[Array | None]) -> list[Array]:
    """Return placeholders for what a node makes of placeholders."""
    numbered = {index: array for index, array in enumerate(arrays) if array is not None}
    known = {index: array for index, array in numbered.items() if not is_placeholder(array)}
    try:
        tensors = node.tensors(_tensors_of(arrays), known)
    except NotRun:
        # With the weights it is seen whether it is their absence.
        raise WeightsNeeded from None
    made: list[Array] = []
    for tensor in tensors:
        if tensor is None or tensor.is_open or tensor.largest is None:
            raise WeightsNeeded
        least = FEW if np.dtype(tensor.dtype).kind == "f" else MOST_KNOWN
        if (tensor.numbers or 0) <= least:
            raise WeightsNeeded
        made.append(placeholder(tensor.dtype, tensor.largest))
    return made


def _tensors_of(arrays: Sequence[Array | None]) -> list[Tensor | None]:
    return [None if array is None else Tensor(str(array.dtype), array.shape) for array in arrays]


def reference_node(proto: Any, opset: int) -> ReferenceNode:
    """Return a node under names of its own, as `ReferenceNode` takes it."""
    own = type(proto)()
    own.CopyFrom(proto)
    # Names of 100,000 letters, or twice the same, are of no use here.
    own.name = ""
    own.input[:] = [f"i{number}" if name else "" for number, name in enumerate(proto.input)]
    own.output[:] = [f"o{number}" for number in range(len(proto.output))]
    version = mended_version(own, opset)
    return ReferenceNode(own.SerializeToString(), version)


def check_operator(proto: Any) -> None:
    """Raise NotRun unless a node's operator may run with its attributes.

    Raises
    ------
    NotRun
    """
    if proto.domain not in OWN_DOMAINS or proto.op_type not in ALLOWED:
        raise NotRun("the operator is not among those that can be run")
    for attribute in proto.attribute:
        if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
            raise NotRun("it holds a graph")
        tensors = [attribute.t, attribute.sparse_tensor.values, *attribute.tensors]
        if any(map(is_elsewhere, tensors)):
            # They would be read from whatever file they name.
            raise NotRun("its attributes name a file")
        if attribute.name in _WINDOWS and max(map(abs, attribute.ints), default=0) > MAX_CELLS:
            raise NotRun(f"its {attribute.name} are more than {MAX_CELLS}")
        if attribute.name == "sampling_ratio" and attribute.i > MOST_SAMPLES:
            raise NotRun(f"its sampling_ratio is more than {MOST_SAMPLES}")


def _check_count(count: int, what: str) -> None:
    if count > MOST_NUMBERS:
        raise NotRun(f"it {what} {count} numbers, more than {MOST_NUMBERS}")


def _bytes(tensor: Tensor) -> int:
    return (tensor.numbers or 0) * np.dtype(tensor.dtype).itemsize


def _plain(array: Array) -> Array:
    """Return half floats as float32, as all of them are here."""
    return array.astype(np.float32) if str(array.dtype) in HALVES else array


@lru_cache(4096)
def parsed_node(proto: bytes) -> Any:
    """Return a NodeProto."""
    return protobuf_types().NodeProto.FromString(proto)


@lru_cache(512)
def _evaluator(proto: bytes, opset: int, types: tuple[str | None, ...]) -> Any:
    onnx = import_module("onnx")
    helper, node = onnx.helper, parsed_node(proto)
    inputs = [
        helper.make_tensor_value_info(f"i{number}", element(dtype), None)
        for number, dtype in enumerate(types)
        if dtype is not None
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return import_module("onnx.reference").ReferenceEvaluator(made)
