"""ONNX models as networks: each node that cnncli has a layer for becomes one of its name.

A layer can be asked for by its own name, by that of its node in the ONNX file, or by that of the
value the node makes; so can the nodes that become no layer, such as Dropout and Flatten, which mean
the layer before them. A name that is both a node's and a value's means the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError, FileProblem, quote
from cnncli.filters.filter import Filter, safe_name
from cnncli.network.graph import NORMALIZE, SIZE_HINT, SIZE_UNKNOWN, SOURCE, Model, Network, Node
from cnncli.network.layers import ConvLayer, PoolLayer, ResizeLayer
from cnncli.network.onnx.constants import evaluate_constant
from cnncli.network.onnx.model import OnnxGraph, OnnxNode, read_graph
from cnncli.network.onnx.operators import OPERATORS
from cnncli.network.onnx.values import Array, BuiltLayer, NodeInputs, Signal, UnsupportedNode
from cnncli.network.preparation import PIXEL_SCALES, Preparation

Sides = tuple[int | None, int | None]
"""Rows and columns of a picture, as far as they are known."""

# Larger than any window, so that only channels can fail to fit.
_SIDE: Final = 2**40
_MISFITS: Final = (ValueError, LookupError, TypeError, ArithmeticError, AssertionError)
"""What numpy and layers raise for arrays and attributes that do not fit."""

_BEFORE: Final = (SOURCE, NORMALIZE)
_PICTURES: Final = (1, 3)
_TRIED: Final = ((97, 131), (160, 224), (231, 188))
"""Sizes of pictures, even and odd, that tell whether a network depends on the size."""
_ELEMENTWISE: Final = (
    *("Cast", "Add", "Sub", "Mul", "Div", "Clip", "Identity", "Dropout", "DequantizeLinear"),
    *("Relu", "Sigmoid", "Tanh", "Abs", "LeakyRelu", "HardSigmoid", "HardSwish"),
)
"""Operators that leave the order of the axes open."""


def read(path: Path, *, weights: bool = True, prepare: Mapping[str, Any] | None = None) -> Model:
    """Return the network of an ONNX file, as far as cnncli has layers for its nodes.

    Parameters
    ----------
    path : Path
    weights : bool
        As in `cnncli.network.load.load_model`.
    prepare : mapping of str to object, optional
        Fields of `Preparation` in place of what the file says.

    Returns
    -------
    Model
        Nodes that cannot be read, and all that depend on them, are left out; if that leaves out an
        output of the graph, `Model.stopper` says why.

    Raises
    ------
    FileProblem
        If it is no ONNX file, its graph is not in order, it takes anything but one picture, or
        its first node already cannot be read.
    """
    graph = read_graph(path, weights)
    prepare = prepare or {}
    name, picture, sides = _input(graph)
    own = picture
    picture = replace(picture, size=prepare.get("size", picture.size))
    prepared = _preparation(graph, name, picture).changed(prepare)
    make = partial(_built, graph, name, picture, prepared, weights)
    model, builder = make()
    if model.stopper and picture.size is None and builder.needs_size:
        return _of_any_size(make, picture, sides) or model
    if model.stopper and picture.size not in (None, own.size):
        return _name_size(model, picture, partial(_built, graph, name, own, prepared, weights), own)
    return model


def _name_size(
    model: Model, picture: Signal, make: Callable[[], tuple[Model, _Builder]], own: Signal
) -> Model:
    """Name the size that was asked for where only that keeps a model from being read to its end."""
    try:
        stopper = make()[0].stopper
    except FileProblem:
        return model
    if picture.size is None or (stopper and SIZE_UNKNOWN not in stopper):
        return model
    made_for = f"; the model was made for {own.size[0]}x{own.size[1]}" if own.size else ""
    asked = f"with an input of {picture.size[0]}x{picture.size[1]}"
    return replace(model, stopper=f"{asked}: {model.stopper}{made_for}")


def _preparation(graph: OnnxGraph, name: str, picture: Signal) -> Preparation:
    """Return what a graph says of its pictures: networks of whole numbers get whole numbers."""
    whole = graph.types[name] in PIXEL_SCALES
    scale = PIXEL_SCALES.get(graph.types[name], 1.0)
    return Preparation(size=picture.size, scale=scale, whole=whole)


def _built(
    graph: OnnxGraph,
    name: str,
    picture: Signal,
    prepared: Preparation,
    weights: bool,
    size: Pair | None = None,
) -> tuple[Model, _Builder]:
    picture = picture if size is None else replace(picture, size=size)
    builder = _Builder(graph, name, picture, prepared, weights)
    for node in graph.nodes:
        builder.add(node)
    return builder.model(), builder


def _of_any_size(
    make: Callable[..., tuple[Model, _Builder]], picture: Signal, sides: Sides
) -> Model | None:
    """Return the model that comes out the same for pictures of several sizes; else None.

    So does what computes shapes from the picture's, but in the end only takes them along.
    """
    models = [make(size=(sides[0] or n_H, sides[1] or n_W))[0] for n_H, n_W in _TRIED]
    first, *others = models
    if any(model.stopper or not _same(first.network, model.network) for model in models):
        return None
    return first


def _same(one: Network, other: Network) -> bool:
    """Whether two networks are equal, in all arrays too."""
    if [(n.name, n.inputs) for n in one.nodes] != [(n.name, n.inputs) for n in other.nodes]:
        return False
    pairs = [(a.layer, b.layer) for a, b in zip(one.nodes, other.nodes, strict=True)]
    return all(type(a) is type(b) and _equal(vars(a), vars(b)) for a, b in pairs)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, Filter):
        return _equal(one.weights, other.weights)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


class _Builder:
    """The layers of the nodes met so far, and what every value is."""

    def __init__(
        self,
        graph: OnnxGraph,
        source: str,
        picture: Signal,
        prepared: Preparation,
        weights: bool,
    ) -> None:
        self.graph, self.weights, self.prepared = graph, weights, prepared
        self.picture = picture
        self.nodes: list[Node] = []
        scale = prepared.layer()
        if scale is not None:
            self.nodes.append(Node(NORMALIZE, scale, (SOURCE,)))
            picture = replace(picture, layer=NORMALIZE)
        self.values: dict[str, Signal | Array | None] = {source: picture, "": None}
        self.layers: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.stops: dict[str, str] = {}
        self.taken = {SOURCE, NORMALIZE}

    def add(self, node: OnnxNode) -> None:
        """Read one node; if it cannot be read, note why it and what it makes are missing."""
        reasons = [self._why_missing(node, name) for name in node.inputs]
        reason = next(filter(None, reasons), None)
        if reason is None:
            try:
                self._read(node)
                return
            except (UnsupportedNode, CnnCliError, *_MISFITS) as error:
                if isinstance(error, FileProblem):
                    raise
                reason = _reason(node, error)
            self.stops[reason] = self._last_before(node)
        for name in (node.name, *node.outputs):
            self.missing.setdefault(name, reason)

    @property
    def needs_size(self) -> bool:
        """Whether anything could not be read because the size of the picture is open."""
        return any(SIZE_UNKNOWN in reason for reason in self.stops)

    def _last_before(self, node: OnnxNode) -> str:
        """Return the layer that a node works on, or the last one there is."""
        before = [self.values.get(name) for name in node.inputs]
        layers = [value.layer for value in before if isinstance(value, Signal)]
        read = [name for name in layers if name not in _BEFORE] or [n.name for n in self.nodes]
        return next(iter(read[-1:]), "")

    def _why_missing(self, node: OnnxNode, name: str) -> str | None:
        """Return why a node's input is not there; None if it is."""
        if name in self.values or name in self.graph.constants:
            return None
        if name in self.missing:
            return self.missing[name]
        later = name in self.graph.computed
        why = "only made by it or after it" if later else "nowhere in the file"
        raise FileProblem(
            f"{node.operator} ({node.label}) needs {quote(name)}, which is {why}",
            path=self.graph.path,
        )

    def _read(self, node: OnnxNode) -> None:
        results = self._evaluate(node, tuple(self._value(name) for name in node.inputs))
        if not node.outputs:
            raise UnsupportedNode("it has no output")
        for name, result in zip(node.outputs, results, strict=False):
            own = self._name(node) if len(results) == 1 else self._free_name(name, node)
            value = self._add_layer(own, result) if isinstance(result, BuiltLayer) else result
            self.values[name] = value
            if isinstance(value, Signal) and value.layer not in _BEFORE:
                self.layers.setdefault(node.name, value.layer)
                self.outputs.setdefault(name, value.layer)
        for extra in node.outputs[len(results) :]:
            self.missing[extra] = (
                f"unsupported {node.operator} ({node.label}): it is read for its first output only"
            )

    def _value(self, name: str) -> Signal | Array | None:
        if name in self.values:
            return self.values[name]
        array = self.graph.constants.read(name)
        if array is None:
            raise UnsupportedNode(f"{quote(name)} holds something else than numbers")
        return array

    def _evaluate(
        self, node: OnnxNode, inputs: tuple[Signal | Array | None, ...]
    ) -> Sequence[Signal | Array | BuiltLayer]:
        """Return what a node makes: arrays known beforehand, or new layers."""
        arrays = [value for value in inputs if not isinstance(value, Signal)]
        if len(arrays) == len(inputs) and any(array is not None for array in arrays):
            array = evaluate_constant(node.op, arrays, node.attributes)
            if array is not None:
                return (array,)
        if node.op not in OPERATORS:
            raise _UnsupportedOperator
        name = self._name(node)
        opset, weights, count = self.graph.opset, self.weights, len(node.outputs)
        result = OPERATORS[node.op](
            NodeInputs(node.attributes, name, opset, inputs, weights, count)
        )
        return result if isinstance(result, tuple) else (result,)

    def _name(self, node: OnnxNode) -> str:
        """Return the name of a node's only layer."""
        foreign = self.graph.computed - {*node.outputs}
        own = node.name if node.name not in foreign else ""
        return self._free_name(own or next(iter(node.outputs), "") or node.op, node)

    def _free_name(self, text: str, node: OnnxNode) -> str:
        """Return a free name for a layer, safe in file names.

        It is never the name of a value that another node makes.
        """
        foreign = self.graph.computed - {*node.outputs}
        base = safe_name(text)
        name, number = base, 1
        while name in self.taken or name in foreign:
            number += 1
            name = f"{base}-{number}"
        return name

    def _add_layer(self, name: str, built: BuiltLayer) -> Signal:
        """Put a layer into the network; return what it gives."""
        known = all(value.size is not None for value in built.inputs)
        shapes = [(1, *(value.size or (_SIDE, _SIDE)), value.channels) for value in built.inputs]
        layer: Any = built.layer
        _, n_H, n_W, channels = layer.output_shape(*shapes)
        axes = built.axes or built.inputs[0].axes
        type = built.type or built.inputs[0].type
        pixel = isinstance(layer, PoolLayer) and layer.size == "global"
        pixel = pixel or (isinstance(layer, ConvLayer) and axes == "chw")
        known = known or (isinstance(layer, ResizeLayer) and layer.size is not None)
        size = (1, 1) if pixel else (n_H, n_W) if known else None
        self.taken.add(name)
        self.nodes.append(Node(name, layer, tuple(value.layer for value in built.inputs)))
        return Signal(name, channels, size, axes, type)

    def model(self) -> Model:
        """Return what was read."""
        ends = [self.outputs[name] for name in self.graph.outputs if name in self.outputs]
        stopper = self._stopper()
        if {node.name for node in self.nodes} <= {*_BEFORE}:
            reason = stopper or next(iter(self.stops), "no node works on its input")
            hint = SIZE_HINT if SIZE_UNKNOWN in reason else None
            raise FileProblem(reason, hint=hint, path=self.graph.path)
        if ends and not any(ends[0] in node.inputs for node in self.nodes):
            self.nodes.sort(key=lambda node: node.name == ends[0])
        own = {node.name: node.name for node in self.nodes}
        values = {name for node in self.graph.nodes for name in node.outputs}
        lost = {name for name in values if name in self.missing}
        aliases = {**own, **self.layers, **self.outputs}
        known = {name: layer for name, layer in aliases.items() if name and name not in lost}
        several = f"{self.graph.path.name}: its outputs are the layers {', '.join(ends)}"
        return Model(
            Network(tuple(self.nodes)),
            self.prepared,
            (self.graph.path, *sorted(self.graph.constants.files)),
            (several,) if len(ends) > 1 else (),
            {name: layer for name, layer in known.items() if name != layer},
            {name: why for name, why in self.missing.items() if name and name not in known},
            stopper,
            self.stops.get(stopper, self.nodes[-1].name),
            self.picture.channels if self.picture.channels in _PICTURES else None,
            self.graph.classes,
        )

    def _stopper(self) -> str:
        """Return why the graph cannot be read to its outputs; nothing if it can."""
        reasons = {self.missing[name] for name in self.graph.outputs if name in self.missing}
        for reason in self.stops:
            if reason in reasons:
                return reason
        for name in self.graph.outputs:
            if name not in self.outputs and name not in self.missing and self.nodes:
                return f"its output {quote(name)} does not depend on the picture"
        return next(iter(reasons), "")


class _UnsupportedOperator(UnsupportedNode):
    """There is no layer for an operator."""


def _reason(node: OnnxNode, error: Exception) -> str:
    if isinstance(error, _UnsupportedOperator):
        return f"unsupported operator {node.operator} ({node.label})"
    return f"unsupported {node.operator} ({node.label}): {_line(error)}"


def _input(graph: OnnxGraph) -> tuple[str, Signal, Sides]:
    """Return the name of the one picture that a graph takes, what is known of it, and its sides."""
    if len(graph.inputs) != 1:
        names = ", ".join(quote(name) for name in graph.inputs) or "none"
        raise FileProblem(f"a network must have one input, got {names}", path=graph.path)
    ((name, shape),) = graph.inputs.items()
    shape = (None,) * 4 if shape is None else shape
    if len(shape) != 4:
        shown = ", ".join("?" if length is None else str(length) for length in shape)
        raise FileProblem(f"its input must be (N, C, H, W), got ({shown})", path=graph.path)
    axes = "nhwc" if _has_channels_last(graph, name, shape) else "nchw"
    length = dict(zip(axes, shape, strict=True))
    n_H, n_W = length["h"], length["w"]
    size = None if n_H is None or n_W is None else (n_H, n_W)
    picture = Signal(SOURCE, length["c"] or _channels(graph), size, axes, graph.types[name])
    return name, picture, (n_H, n_W)


def _has_channels_last(graph: OnnxGraph, name: str, shape: tuple[int | None, ...]) -> bool:
    """Whether a picture comes with its channels last, as TensorFlow's exporters leave it.

    So it does if all that is done before they are put first works on every number on its own; if
    nothing tells, the lengths of the axes do.
    """
    reached, users = {name}, []
    for node in graph.nodes:
        if reached & {*node.inputs}:
            if node.op in _ELEMENTWISE:
                reached.update(node.outputs)
            else:
                users.append(node)
    if users:
        perms = [node.attributes.get("perm") for node in users if node.op == "Transpose"]
        return len(perms) == len(users) and set(perms) == {(0, 3, 1, 2)}
    return shape[3] in _PICTURES and shape[1] not in _PICTURES


def _channels(graph: OnnxGraph) -> int:
    """Return the channels that the first convolution takes; 3 if there is none."""
    for node in graph.nodes:
        if node.op == "Conv" and len(node.inputs) > 1 and node.inputs[1] in graph.constants:
            dims = graph.constants.tensors[node.inputs[1]].dims
            return int(math.prod(dims[1:2])) * int(node.attributes.get("group", 1))
    return 3


def _line(error: Exception) -> str:
    return quote(" ".join(str(error).split()))[1:-1][:200]
