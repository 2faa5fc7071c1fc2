"""ONNX files as plain nodes and arrays, read without trusting them.

Format: https://github.com/onnx/onnx/blob/main/docs/IR.md
"""

from __future__ import annotations

import ast
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem, printable, quote
from cnncli.io.regular_files import open_regular
from cnncli.network.onnx.fused import standard_nodes
from cnncli.network.onnx.large_arrays import without_large_arrays
from cnncli.network.onnx.protobuf_types import check_package, protobuf_types
from cnncli.network.onnx.tensors import OWN_DOMAINS, Constants, file_problems, plain_text

MAX_BYTES: Final = 2**31
"""What protobuf can hold in one message."""

_MOST_METADATA: Final = 2**20


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
    captured : tuple of str
        Values from outside that they need, under the names that `proto` has for them.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any
    graphs: Mapping[str, SubGraph] = field(default_factory=dict)
    captured: tuple[str, ...] = ()

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """All values that it needs: its inputs, and those that its graphs take from outside."""
        return (*self.inputs, *_needs_of(self.graphs))

    def renamed(self, names: Mapping[str, str]) -> OnnxNode:
        """Return the same node on values of other names."""
        return replace(
            self,
            inputs=tuple(names.get(name, name) for name in self.inputs),
            outputs=tuple(names.get(name, name) for name in self.outputs),
            graphs={key: graph.renamed(names) for key, graph in self.graphs.items()},
        )

    @property
    def operator(self) -> str:
        """How messages call its operator."""
        return printable(self.op)

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
    def own(self) -> frozenset[str]:
        """The names of values that it has itself."""
        made = (name for node in self.nodes for name in node.outputs)
        return frozenset((*self.tensors, *self.inputs, *made)) - {""}

    @property
    def needs(self) -> tuple[str, ...]:
        """Values from outside."""
        own = self.own | {""}
        inner = (name for node in self.nodes for name in node.needs)
        return tuple(dict.fromkeys(name for name in (*inner, *self.outputs) if name not in own))

    def renamed(self, names: Mapping[str, str]) -> SubGraph:
        """Return the same graph with other names of values from outside; its own hide them."""
        outer = {old: new for old, new in names.items() if old not in self.own}
        return self._with_names(outer)

    def alone(self, names: Mapping[str, str]) -> SubGraph:
        """Return the same graph with other names of its own values."""
        return self._with_names({old: new for old, new in names.items() if old in self.own})

    def _with_names(self, names: Mapping[str, str]) -> SubGraph:
        return SubGraph(
            tuple(node.renamed(names) for node in self.nodes),
            {names.get(name, name): tensor for name, tensor in self.tensors.items()},
            self.inputs,
            tuple(names.get(name, name) for name in self.outputs),
        )


def _needs_of(graphs: Mapping[str, SubGraph]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for graph in graphs.values() for name in graph.needs))


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
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """The operators of the nodes that need a value, by its name."""
        found: dict[str, list[str]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.needs):
                found.setdefault(name, []).append(node.op)
        return {name: tuple(operators) for name, operators in found.items()}

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
        If it cannot be read, the package ``onnx`` is missing, or it is no ONNX file.
    """
    with open_regular(path, name=os.fspath(path)) as stream:
        check_package(path)
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_BYTES:
            raise FileProblem(
                f"an ONNX file may have {MAX_BYTES} bytes, got {size}",
                hint="larger models keep their weights in a file beside",
                path=path,
            )
        data = without_large_arrays(stream, size)
    with file_problems(path, "not a readable ONNX file"):
        model = protobuf_types().ModelProto.FromString(data)
        del data
        if not model.ir_version or not model.graph.node:
            raise ValueError("it holds no graph")
        return _graph(path, model, weights)


def shortest(value: float) -> float:
    """Return the number that somebody meant who stored it as float32.

    Examples
    --------
    >>> shortest(9.999999747378752e-06)
    1e-05
    """
    return float(str(np.float32(value)))


def _graph(path: Path, model: Any, weights: bool) -> OnnxGraph:
    graph = model.graph
    tensors = {plain_text(tensor.name): tensor for tensor in graph.initializer}
    constants = Constants(path, tensors, weights)
    opsets = [opset.version for opset in model.opset_import if opset.domain in OWN_DOMAINS]
    if not opsets and model.ir_version >= 3:
        raise ValueError("it names no version of its operators")
    if min(opsets, default=1) < 1:
        raise ValueError(f"the version of its operators must be 1 or more, got {min(opsets)}")
    _check_makers(graph)
    inputs = [value for value in graph.input if value.name not in tensors]
    return OnnxGraph(
        path=path,
        opset=max(opsets, default=1),
        nodes=_in_order(
            [_node(one, constants) for node in graph.node for one in standard_nodes(node)]
        ),
        constants=constants,
        inputs={plain_text(value.name): _shape(value) for value in inputs},
        outputs=tuple(plain_text(value.name) for value in graph.output),
        types={plain_text(value.name): _type(value) for value in inputs},
        classes=_classes({entry.key: entry.value for entry in model.metadata_props}),
    )


def _check_makers(graph: Any) -> None:
    """Refuse a graph in which two nodes, or a node and the file, give one value."""
    made = [plain_text(name) for node in graph.node for name in node.output if name]
    given = (*graph.input, *graph.initializer)
    names = [*made, *{plain_text(value.name) for value in given}]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{quote(twice[0])} is given twice")


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
    domain = "" if node.domain in OWN_DOMAINS else f"{plain_text(node.domain)}."
    graphs = {
        plain_text(each.name): _sub_graph(each.g, constants)
        for each in node.attribute
        if each.HasField("g")
    }
    return OnnxNode(
        plain_text(node.name),
        domain + plain_text(node.op_type),
        tuple(map(plain_text, node.input)),
        tuple(map(plain_text, node.output)),
        {plain_text(each.name): _attribute(each, constants) for each in node.attribute},
        node,
        graphs,
        _needs_of(graphs),
    )


def _sub_graph(graph: Any, constants: Constants) -> SubGraph:
    return SubGraph(
        _in_order([_node(node, constants) for node in graph.node]),
        {plain_text(tensor.name): tensor for tensor in graph.initializer},
        tuple(plain_text(value.name) for value in graph.input),
        tuple(plain_text(value.name) for value in graph.output),
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
    kind = protobuf_types().TensorProto.DataType
    return str(kind.Name(value.type.tensor_type.elem_type))
