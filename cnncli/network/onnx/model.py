"""ONNX files as plain nodes and arrays, read without trusting them.

Format: https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from __future__ import annotations

import ast
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import placeholder
from cnncli.errors import FileProblem, quote
from cnncli.io.npy import fault_text, open_regular
from cnncli.network.onnx.quantized import without_quantized

Array = np.ndarray[Any, Any]

MAX_BYTES: Final = 2**31
"""What protobuf can hold in one message."""

_MOST_METADATA: Final = 2**20

_SCALES: Final = 4
"""Floats up to this many are read even without weights: limits, and the scales of a resize."""

OWN_DOMAINS: Final = ("", "ai.onnx")
_FLOAT_TYPES: Final = {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2"}
_TYPES: Final = {**_FLOAT_TYPES, "INT64": "i8", "INT32": "i4", "INT16": "i2", "INT8": "i1"} | {
    **{"UINT64": "u8", "UINT32": "u4", "UINT16": "u2", "UINT8": "u1", "BOOL": "?"}
}


@dataclass(frozen=True)
class OnnxNode:
    """A node of the graph.

    Parameters
    ----------
    name, op : str
        As the file has them; an operator from elsewhere than ONNX has its domain in front.
    inputs, outputs : tuple of str
        Names of values; an input that is left out has an empty one.
    attributes : mapping of str to object
        Numbers, texts, arrays, and tuples of those; what is none of them is None.
    proto : NodeProto
        The node itself.
    graphs : mapping of str to SubGraph
        The graphs in it, by the names of their attributes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any
    graphs: Mapping[str, SubGraph] = field(default_factory=dict)

    @property
    def captured(self) -> tuple[str, ...]:
        """Values from outside that the graphs in it need."""
        return tuple(dict.fromkeys(name for graph in self.graphs.values() for name in graph.needs))

    @property
    def needs(self) -> tuple[str, ...]:
        """All values that it needs."""
        return (*self.inputs, *self.captured)

    @property
    def operator(self) -> str:
        """How messages call its operator."""
        return quote(self.op)[1:-1]

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"node {quote(self.name or next(filter(None, self.outputs), ''))}"


@dataclass(frozen=True)
class SubGraph:
    """A graph in a node.

    Parameters
    ----------
    nodes : tuple of OnnxNode
    tensors : mapping of str to TensorProto
    inputs, outputs : tuple of str
    """

    nodes: tuple[OnnxNode, ...]
    tensors: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """Values from outside."""
        own = {*self.tensors, *self.inputs, ""}.union(*(node.outputs for node in self.nodes))
        inner = (name for node in self.nodes for name in node.needs)
        return tuple(dict.fromkeys(name for name in (*inner, *self.outputs) if name not in own))


@dataclass(frozen=True)
class Constants:
    """The arrays that a file holds, read when they are asked for.

    Parameters
    ----------
    path : Path
        The model's file.
    tensors : dict of str to TensorProto
    weights : bool
        False: arrays of more than a few floats are placeholders, and no file beside the model is
        read for them.
    files : set of Path
        The files beside the model that were named.
    """

    path: Path
    tensors: dict[str, Any]
    weights: bool
    files: set[Path] = field(default_factory=set)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def add(self, tensors: Mapping[str, Any]) -> None:
        """Add the arrays of a graph in a node."""
        self.tensors.update(tensors)

    def read(self, name: str) -> Array | None:
        """Return an array; None if it holds something else than numbers."""
        return self.array(self.tensors[name], name)

    def array(self, tensor: Any, name: str) -> Array | None:
        """Return the array of a tensor; half floats become float32."""
        with _problems(self.path, f"tensor {quote(name)}"):
            onnx = _package(self.path)
            kind = onnx.TensorProto.DataType.Name(tensor.data_type)
            shape = tuple(tensor.dims)
            if min(shape, default=0) < 0:
                raise ValueError(f"its shape is {shape}")
            if kind not in (*_TYPES, "BFLOAT16"):
                return None
            small = _TYPES.get(kind) not in _FLOAT_TYPES.values() or math.prod(shape) <= _SCALES
            dtype = np.dtype(_TYPES.get(kind, "u2"))
            external = tensor.data_location == onnx.TensorProto.EXTERNAL
            read = self.weights or small
            if external:
                array = _read_beside(self._location(tensor), dtype, shape, read)
            else:
                _check_data(tensor, dtype, shape)
                array = onnx.numpy_helper.to_array(tensor) if read else None
            if array is None:
                return placeholder("f8" if kind == "DOUBLE" else "f4", shape)
            if external and kind == "BFLOAT16":
                # The upper half of a float32.
                array = (array.astype("u4") << 16).view("f4")
            half = kind in ("FLOAT16", "BFLOAT16")
            return np.asarray(array, np.float32) if half else np.asarray(array)

    def _location(self, tensor: Any) -> tuple[Path, int, int | None]:
        """Return the file, the first byte and the length of data beside the model."""
        entries = {entry.key: _text(entry.value) for entry in tensor.external_data}
        location = entries.get("location", "")
        folder = self.path.parent.resolve()
        path = folder / location
        if not location or not path.resolve().is_relative_to(folder):
            raise ValueError(f"its data must be in the model's folder, not in {quote(location)}")
        self.files.add(self.path.parent / location)
        length = entries.get("length")
        return path, int(entries.get("offset", 0)), None if length is None else int(length)


@dataclass(frozen=True)
class OnnxGraph:
    """What a file says, before anything is made of it.

    Parameters
    ----------
    path : Path
    opset : int
        Version of ONNX's operators.
    nodes : tuple of OnnxNode
        Each after those that make its inputs, else in the order of the file.
    constants : Constants
    inputs : mapping of str to (tuple of (int or None) or None)
        Their shapes, as far as they are known.
    outputs : tuple of str
    types : mapping of str to str
        What the inputs hold: ``FLOAT``, ``UINT8`` and so on.
    classes : tuple of str
        The names of classes that the file has, as some exporters leave them.
    """

    path: Path
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Constants
    inputs: Mapping[str, tuple[int | None, ...] | None]
    outputs: tuple[str, ...]
    types: Mapping[str, str]
    classes: tuple[str, ...]

    @cached_property
    def computed(self) -> frozenset[str]:
        """The names of all values that nodes compute."""
        return frozenset(name for node in self.nodes for name in node.outputs)

    @cached_property
    def used(self) -> frozenset[str]:
        """The names of all values that nodes need, and of the outputs."""
        inputs = (name for node in self.nodes for name in node.needs)
        return frozenset(name for name in (*inputs, *self.outputs) if name)


def read_graph(path: Path, weights: bool = True) -> OnnxGraph:
    """Return the graph of an ONNX file.

    Parameters
    ----------
    path : Path
    weights : bool
        False: arrays of floats get their shapes only.

    Raises
    ------
    FileProblem
        If it is no ONNX file, or the package ``onnx`` is missing.
    """
    onnx = _package(path)
    with open_regular(path, name=os.fspath(path)) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_BYTES:
            raise FileProblem(
                f"an ONNX file may have {MAX_BYTES} bytes, got {size}",
                hint="larger models keep their weights in a file beside",
                path=path,
            )
        data = stream.read()
    with _problems(path, "not a readable ONNX file"):
        model = onnx.load_model_from_string(data)
        del data
        if not model.ir_version or not model.graph.node:
            raise ValueError("it holds no graph")
        return _graph(path, model, weights)


def _text(value: str | bytes) -> str:
    """Return a text; protobuf gives bytes for what is none."""
    if isinstance(value, bytes):
        raise ValueError("one of its names is not UTF-8")
    return value


def shortest(value: float) -> float:
    """Return the number that somebody meant who stored it as float32.

    Examples
    --------
    >>> shortest(9.999999747378752e-06)
    1e-05
    """
    return float(str(np.float32(value)))


def _package(path: Path) -> Any:
    try:
        return import_module("onnx")
    except ImportError:
        raise FileProblem(
            ".onnx files need an extra package", hint="pip install 'cnncli[onnx]'", path=path
        ) from None


@contextmanager
def _problems(path: Path, what: str) -> Iterator[None]:
    decode = import_module("google.protobuf.message").DecodeError
    try:
        yield
    except (decode, ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
        raise FileProblem(f"{what}: {fault_text(error)}", path=path) from None


def _graph(path: Path, model: Any, weights: bool) -> OnnxGraph:
    graph = model.graph
    tensors = {_text(tensor.name): tensor for tensor in graph.initializer}
    constants = Constants(path, tensors, weights)
    opsets = [opset.version for opset in model.opset_import if opset.domain in OWN_DOMAINS]
    if not opsets and model.ir_version >= 3:
        raise ValueError("it names no version of its operators")
    inputs = [value for value in graph.input if value.name not in tensors]
    return OnnxGraph(
        path=path,
        opset=max(opsets, default=1),
        nodes=_in_order(
            [_node(one, constants) for node in graph.node for one in without_quantized(node)]
        ),
        constants=constants,
        inputs={_text(value.name): _shape(value) for value in inputs},
        outputs=tuple(_text(value.name) for value in graph.output),
        types={_text(value.name): _type(value) for value in inputs},
        classes=_classes({entry.key: entry.value for entry in model.metadata_props}),
    )


def _classes(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return names of classes: a list, or a mapping of numbers to them, as JSON or as Python."""
    for key in ("names", "classes", "class_names", "labels"):
        text = metadata.get(key, "")[:_MOST_METADATA]
        try:
            value = json.loads(text)
        except ValueError:
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                value = text.split(",")
        if isinstance(value, dict):
            numbered = {str(key): name for key, name in value.items()}
            value = [numbered.get(str(number)) for number in range(len(numbered))]
        names = value if isinstance(value, list | tuple) else []
        if len(names) > 1 and all(isinstance(name, str) for name in names):
            return tuple(name.strip() for name in names)
    return ()


def _in_order(nodes: Sequence[OnnxNode]) -> tuple[OnnxNode, ...]:
    """Return nodes with each after those that make its inputs; those of a circle come last."""
    makers = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    waits = [{makers[name] for name in node.needs if name in makers} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for index, before in enumerate(waits):
        for maker in before:
            users[maker].append(index)
    ready = [index for index, before in enumerate(waits) if not before]
    order: list[int] = []
    while ready:
        order.append(heappop(ready))
        for user in users[order[-1]]:
            waits[user].discard(order[-1])
            if not waits[user]:
                heappush(ready, user)
    circle = sorted(set(range(len(nodes))) - set(order))
    return tuple(nodes[index] for index in (*order, *circle))


def _node(node: Any, constants: Constants) -> OnnxNode:
    domain = "" if node.domain in OWN_DOMAINS else f"{_text(node.domain)}."
    return OnnxNode(
        _text(node.name),
        domain + _text(node.op_type),
        tuple(map(_text, node.input)),
        tuple(map(_text, node.output)),
        {_text(attribute.name): _attribute(attribute, constants) for attribute in node.attribute},
        node,
        {
            _text(each.name): _sub_graph(each.g, constants)
            for each in node.attribute
            if each.HasField("g")
        },
    )


def _sub_graph(graph: Any, constants: Constants) -> SubGraph:
    return SubGraph(
        _in_order([_node(node, constants) for node in graph.node]),
        {_text(tensor.name): tensor for tensor in graph.initializer},
        tuple(_text(value.name) for value in graph.input),
        tuple(_text(value.name) for value in graph.output),
    )


def _attribute(attribute: Any, constants: Constants) -> Any:
    kind = attribute.AttributeType.Name(attribute.type)
    if kind == "INT":
        return attribute.i
    if kind == "FLOAT":
        return shortest(attribute.f)
    if kind == "STRING":
        return attribute.s.decode("utf-8")
    if kind in ("INTS", "FLOATS"):
        return tuple(getattr(attribute, kind.lower()))
    return constants.array(attribute.t, attribute.name) if kind == "TENSOR" else None


def _shape(value: Any) -> tuple[int | None, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(axis.dim_value if axis.dim_value > 0 else None for axis in kind.shape.dim)


def _type(value: Any) -> str:
    kind = import_module("onnx").TensorProto.DataType
    return str(kind.Name(value.type.tensor_type.elem_type))


def _check_data(tensor: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless a tensor holds as many numbers as its shape says."""
    count = len(tensor.raw_data) // dtype.itemsize
    if not tensor.HasField("raw_data"):
        fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
        count = sum(len(numbers) for numbers in (*fields, tensor.uint64_data))
    if count != math.prod(shape):
        raise ValueError(f"its shape is {shape}, but it holds {count} numbers")


def _read_beside(
    location: tuple[Path, int, int | None], dtype: np.dtype[Any], shape: tuple[int, ...], read: bool
) -> Array | None:
    """Return an array from a file beside the model; None if it shall only be checked."""
    path, offset, length = location
    count = math.prod(shape)
    need = count * dtype.itemsize
    with open_regular(path, name=os.fspath(path)) as stream:
        size = os.fstat(stream.fileno()).st_size
        if length not in (None, need) or not 0 <= offset <= size - need:
            raise ValueError(f"{need} bytes at {offset} are not what {quote(path.name)} holds")
        if not read:
            return None
        stream.seek(offset)
        data = stream.read(need)
    return np.frombuffer(data, dtype.newbyteorder("<"), count).reshape(shape).astype(dtype)
