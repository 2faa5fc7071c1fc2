"""Makes layers of the nodes of an ONNX graph, one after the other.

Each node is one of four things, tried in this order: known beforehand, where its inputs are
constants and shapes; a layer of cnncli's own, by `cnncli.network.onnx.operators`; run by ONNX's
ReferenceEvaluator, as an `OnnxNodeLayer`; or missing, with the reason, and so is all behind it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import Array, is_placeholder
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError, FileProblem, quote
from cnncli.io.limits import MAX_CELLS
from cnncli.io.safe_names import plain_name
from cnncli.network.graph import NORMALIZE, SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConvLayer,
    ConvTransposeLayer,
    Layer,
    PadLayer,
    PoolLayer,
    ReduceLayer,
    ResizeLayer,
)
from cnncli.network.layers.base import OPEN_SIDE
from cnncli.network.layers.merge import SIDES_HINT
from cnncli.network.layers.view import Layout, ViewLayer, layout_of, reshaped
from cnncli.network.model import SIZE_HINT, Model, SizeNeeded, Stop
from cnncli.network.onnx.learned import LearnedNumbers
from cnncli.network.onnx.model import OnnxGraph, OnnxNode, SubGraph
from cnncli.network.onnx.node_layer import (
    ROUNDED,
    OnnxNodeLayer,
    computed_constants,
    inferred_shapes,
    reference_layers,
    same_for_one,
    stop_reason,
)
from cnncli.network.onnx.operators import OPERATORS, build
from cnncli.network.onnx.picture_input import PICTURES
from cnncli.network.onnx.reference import ALLOWED, MOST_NUMBERS
from cnncli.network.onnx.shape_rules import has_rule, ruled_shape
from cnncli.network.onnx.shapes import NotRun
from cnncli.network.onnx.shown import shown_views, tensors_of, with_matrices_noted
from cnncli.network.onnx.values import (
    DOUBLES,
    BuiltLayer,
    NodeInputs,
    Signal,
    SizeUnknown,
    UnsupportedNode,
    Value,
)
from cnncli.network.preparation import Preparation

_MISFITS: Final = (ValueError, LookupError, TypeError, ArithmeticError, AssertionError)
"""What numpy and layers raise for arrays and attributes that do not fit."""

_BEFORE: Final = (SOURCE, NORMALIZE)
_ANY_AXES: Final = {"Flatten", "MatMul", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""Operators for which it makes no difference how the axes of a value are stored."""
_WINDOWS: Final = (ConvLayer, ConvTransposeLayer, PadLayer, PoolLayer, ResizeLayer)


class NetworkBuilder:
    """The layers of the nodes met so far, and what every value is.

    `layer_of_node` and `layer_of_value` say which layer stands for a node and makes a value,
    `layer_cells` which (n_H, n_W, n_C) a layer gives; `branch_names` are given to values in
    branches, and `pending` names the layers put in between one layer and another that reads it.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        source: str,
        picture: Signal,
        prepared: Preparation,
        weights: bool,
    ) -> None:
        self.graph, self.picture, self.prepared, self.weights = graph, picture, prepared, weights
        orders = [n.attributes.get("perm") for n in graph.nodes if n.op == "Transpose"]
        # A network may only take its pictures so, and have its channels second from then on.
        stays = (0, 3, 1, 2) not in orders or (0, 2, 3, 1) in orders
        self.channels_last = picture.channels_last and stays
        # Graphs in nodes add theirs; the file may be read again for another size.
        self.constants = replace(graph.constants, tensors=dict(graph.constants.tensors))
        self.nodes: list[Node] = []
        scale = prepared.layer()
        if scale is not None:
            self.nodes.append(Node(NORMALIZE, scale, (SOURCE,)))
            picture = replace(picture, layer=NORMALIZE)
        self.values: dict[str, Value] = {source: picture, "": None}
        self.layer_cells = {} if picture.cells is None else {picture.layer: picture.cells}
        self.layer_of_node: dict[str, str] = {}
        self.layer_of_value: dict[str, str] = {}
        self.missing: dict[str, Stop] = {}
        self.stops: list[Stop] = []
        self.used = set(graph.used)
        self.branch_names: set[str] = set()
        self.layer_names = {SOURCE, NORMALIZE}
        self.pending: dict[tuple[str, Layer], str] = {}
        self.numbers_made = 0
        self.learned = LearnedNumbers(self.constants)

    def add(self, node: OnnxNode) -> None:
        """Read one node; if it cannot be read, note why it and what it makes are missing."""
        missing = [self._missing(node, name) for name in node.needs]
        stop = next(filter(None, missing), None)
        if stop is None:
            try:
                self._read(node)
                return
            except (UnsupportedNode, NotRun, CnnCliError, *_MISFITS) as error:
                if isinstance(error, FileProblem):
                    raise
                needs_size = isinstance(error, SizeUnknown)
                # Other hints name options of single layers.
                hint = SIDES_HINT if getattr(error, "hint", None) == SIDES_HINT else None
                stop = Stop(stop_reason(node, error), self._last_before(node), needs_size, hint)
            self.stops.append(stop)
        for name in (node.name, *node.outputs):
            self.missing.setdefault(name, stop)

    @property
    def needs_size(self) -> bool:
        """Whether anything could not be read because the size of the picture is open."""
        return any(stop.needs_size for stop in self.stops)

    def _last_before(self, node: OnnxNode) -> str:
        """Return the layer that a node works on, or the last one there is."""
        before = [self.values.get(name) for name in node.inputs]
        layers = [value.layer for value in before if isinstance(value, Signal)]
        read = [name for name in layers if name not in _BEFORE] or [n.name for n in self.nodes]
        return next(iter(read[-1:]), "")

    def _missing(self, node: OnnxNode, name: str) -> Stop | None:
        """Return why a node's input is not there; None if it is."""
        if name in self.values or name in self.constants:
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
        if not node.outputs:
            raise UnsupportedNode("it has no output")
        inputs = tuple(self._value(name) for name in node.needs)
        if node.op == "If" and isinstance(inputs[0], np.ndarray) and len(node.graphs) == 2:
            chosen = "then_branch" if bool(inputs[0].all()) else "else_branch"
            self._put_in(node, node.graphs[chosen])
            return
        results = self._evaluate(node, inputs)
        alone = len(results) == 1 or len(self.used & {*node.outputs}) < 2
        for number, result in results.items():
            name = node.outputs[number]
            if isinstance(result, BuiltLayer):
                own = self._name(node) if alone else self._free_name(name, node)
                value: Value = self._add_layer(own, result)
                self.learned.note_layer(own, node.needs)
            else:
                value = self._in_own_axes(name, result)
                self.learned.note_value(name, value, node.needs)
            if isinstance(value, Signal) and value.pending:
                value = replace(value, layer=self._source(value), pending=())
            self.values[name] = value = with_matrices_noted(value, result, inputs)
            if isinstance(value, Signal) and value.layer not in _BEFORE:
                self.layer_of_node.setdefault(node.name, value.layer)
                self.layer_of_value.setdefault(name, value.layer)

    def _in_own_axes(self, name: str, value: Value) -> Value:
        """Return a value that a node gave another shape as maps of that shape's axes.

        Where only nodes follow that change its shape again, or take it as matrices, it is left.
        """
        if not isinstance(value, Signal) or value.shape is None or len(value.shape) != 4:
            return value
        readers = self.graph.readers.get(name, ())
        if not readers or {*readers} <= _ANY_AXES:
            return value
        return self._as_maps(value)

    def _as_maps(self, value: Signal) -> Signal:
        last = value.channels_last or self.channels_last
        return replace(value, channels_last=last).as_maps()

    def _put_in(self, node: OnnxNode, graph: SubGraph) -> None:
        """Read the nodes of a branch in place of the node that it belongs to."""
        # Other branches may have values of the same names.
        graph = graph.alone({name: self._unused(name) for name in sorted(graph.own)})
        self.constants.add(graph.tensors)
        self.used.update(name for inner in graph.nodes for name in inner.needs)
        self.used.update(graph.outputs)
        for inner in graph.nodes:
            self.add(inner)
        for name, made in zip(node.outputs, graph.outputs, strict=True):
            if made in self.missing:
                self.missing[name] = self.missing[made]
                continue
            self.values[name] = self._value(made)
            if made in self.layer_of_value:
                self.layer_of_value[name] = self.layer_of_value[made]

    def _unused(self, name: str) -> str:
        """Return a name for a value in a branch that no other value has, and reserve it."""
        known = (self.branch_names, self.values, self.missing, self.constants, self.graph.computed)
        own, number = name, 1
        while any(own in names for names in known):
            number += 1
            own = f"{name}-{number}"
        self.branch_names.add(own)
        return own

    def _value(self, name: str) -> Value:
        if name in self.values:
            return self.values[name]
        array = self.constants.read(name)
        if array is None:
            raise UnsupportedNode(f"{quote(name)} holds something else than numbers")
        return array

    def _evaluate(
        self, node: OnnxNode, inputs: tuple[Value, ...]
    ) -> dict[int, Signal | Array | BuiltLayer]:
        """Return what a node's outputs are, by their numbers."""
        arrays = [value for value in inputs if not isinstance(value, Signal)]
        if len(arrays) == len(inputs) and any(array is not None for array in arrays):
            made = computed_constants(node, self.graph.opset, arrays, self.weights)
            self.numbers_made += sum(array.size for array in made if not is_placeholder(array))
            if self.numbers_made > MOST_NUMBERS:
                raise NotRun("the constants of the graph make too many numbers")
            return dict(enumerate(made))
        results, why = self._own(node, inputs)
        left = [
            number
            for number, name in enumerate(node.outputs)
            if number not in results and (name in self.used or not (results or number))
        ]
        if left:
            results |= reference_layers(node, self.graph.opset, inputs, left, why)
        return results

    def _own(
        self, node: OnnxNode, inputs: tuple[Value, ...]
    ) -> tuple[dict[int, Signal | Array | BuiltLayer], Exception | None]:
        """Return what cnncli's own layers make of a node; with why, if it is nothing."""
        # Layers of our own know their shapes beforehand, and have something to work on.
        signals = [value for value in inputs if isinstance(value, Signal)]
        known = all(value.open is None and 0 not in (value.cells or ()) for value in signals)
        if node.op not in OPERATORS or not (known or node.op not in ALLOWED):
            return {}, None
        opset, weights, count = self.graph.opset, self.weights, len(node.outputs)
        given = NodeInputs(node.attributes, self._name(node), opset, inputs, weights, count)
        try:
            made = build(node.op, given)
        except (UnsupportedNode, *_MISFITS) as error:
            return {}, error
        results = made if isinstance(made, tuple) else (made,)
        shapes = self._expected_shapes(node, given)
        for number, result in enumerate(results):
            try:
                shape = self._onnx_shape(result)
                expected = shapes[number] if number < len(shapes) else None
                if shape and expected and not same_for_one(shape, expected):
                    return {}, UnsupportedNode(f"its layer would give {shape}, not {expected}")
            except CnnCliError as error:
                if isinstance(result, BuiltLayer) and isinstance(result.layer, _WINDOWS):
                    # Nor would they fit where the node is run, but nothing would say so.
                    raise
                return {}, error
        return dict(zip(range(count), results, strict=False)), None

    def _expected_shapes(
        self, node: OnnxNode, given: NodeInputs
    ) -> tuple[tuple[int, ...] | None, ...]:
        """Return the shapes that ONNX says a node's outputs have, as far as they can be trusted."""
        if node.op not in ALLOWED or node.op in ROUNDED:
            return ()
        if has_rule(node.op, given):
            return (ruled_shape(node.op, given),)
        first = given.input(0)
        if node.op == "Conv" and isinstance(first, Signal) and first.layout == Layout():
            # Sizes of windows are core.geometry's: nothing else could tell.
            return ()
        return inferred_shapes(node, given.opset, given.inputs)

    def _name(self, node: OnnxNode) -> str:
        """Return the name of a node's only layer."""
        foreign = node.name in self.graph.computed and node.name not in node.outputs
        own = "" if foreign else node.name
        return self._free_name(own or next(iter(node.outputs), "") or node.op, node)

    def _free_name(self, text: str, node: OnnxNode) -> str:
        """Return a free name for a layer, safe in file names.

        It is never the name of a value that another node makes.
        """
        return self._free(plain_name(text), node.outputs)

    def _free(self, base: str, own: Sequence[str] = ()) -> str:
        """Return a name that no layer has, nor a value but the node's own."""
        name, number = base, 1
        while name in self.layer_names or (name in self.graph.computed and name not in own):
            number += 1
            name = f"{base}-{number}"
        return name

    def _shape(self, built: BuiltLayer) -> tuple[int, Pair | None]:
        """Return the channels that a layer makes, and rows and columns if they are known."""
        layer: Any = built.layer
        signals = built.inputs
        known = all(value.size is not None for value in signals)
        if isinstance(layer, OnnxNodeLayer) and not known:
            return layer.channels, None
        shapes = [(1, *(value.size or (OPEN_SIDE, OPEN_SIDE)), value.channels) for value in signals]
        _, n_H, n_W, channels = layer.output_shape(*shapes)
        layout = built.layout or signals[0].layout
        pixel = isinstance(layer, PoolLayer) and layer.size == "global"
        pixel = pixel or (isinstance(layer, ConvLayer) and layout.flat)
        pixel = pixel or (isinstance(layer, ReduceLayer) and {"rows", "columns"} <= {*layer.axes})
        known = known or (isinstance(layer, ResizeLayer) and layer.size is not None)
        return channels, (1, 1) if pixel else (n_H, n_W) if known else None

    def _onnx_shape(self, result: Signal | Array | BuiltLayer) -> tuple[int, ...] | None:
        """Return the shape that a result has in ONNX, if it is known."""
        if isinstance(result, BuiltLayer):
            channels, size = self._shape(result)
            layout = result.layout or result.inputs[0].layout
            return layout.shape((*size, channels)) if size and result.open is None else None
        return result.shape

    def _add_layer(self, name: str, built: BuiltLayer) -> Signal:
        """Put a layer into the network; return what it gives."""
        channels, size = self._shape(built)
        inputs = tuple(self._source(value) for value in built.inputs)
        self.layer_names.add(name)
        self.nodes.append(Node(name, built.layer, inputs))
        if size is not None:
            self.layer_cells[name] = (*size, channels)
        layout = built.layout or built.inputs[0].layout
        kind = built.type or built.inputs[0].type
        estimated = isinstance(built.layer, OnnxNodeLayer) and built.layer.is_estimated
        last = isinstance(built.layer, ConvLayer) or any(x.channels_last for x in built.inputs)
        last = last and layout.order.endswith("c")
        made = Signal(name, channels, size, layout, kind, (), built.open, estimated, last)
        wide = isinstance(built.layer, OnnxNodeLayer) or any(x.doubles for x in built.inputs)
        return replace(made, doubles=wide and kind in DOUBLES)

    def _source(self, value: Signal, suffix: str = "") -> str:
        """Return the layer that makes a value, with those that are pending put in."""
        last = value.layer
        for layer in value.pending:
            key = last, layer
            if key not in self.pending:
                name = self._free(f"{value.layer}-{suffix or layer.op}")
                self.layer_names.add(name)
                self.nodes.append(Node(name, layer, (last,)))
                self.pending[key] = name
            last = self.pending[key]
        return last

    def model(self) -> Model:
        """Return what was read."""
        self._show_outputs()
        self._join_views()
        ends = [*filter(None, map(self.layer_of_value.get, self.graph.outputs))]
        stop = self._stop()
        if {node.name for node in self.nodes} <= {*_BEFORE}:
            stop = stop or next(iter(self.stops), Stop("no node works on its input", ""))
            if stop.needs_size:
                raise SizeNeeded(stop.reason, hint=SIZE_HINT, path=self.graph.path)
            raise FileProblem(stop.reason, path=self.graph.path)
        if ends and not any(ends[0] in node.inputs for node in self.nodes):
            self.nodes.sort(key=lambda node: node.name == ends[0])
        known = self._aliases()
        several = f"{self.graph.path.name}: its outputs are the layers {', '.join(ends)}"
        return Model(
            network=Network(self.learned.noted(self.nodes)),
            input=self.prepared,
            files=(self.graph.path, *sorted(self.constants.files)),
            notes=(several,) if len(ends) > 1 else (),
            aliases={name: layer for name, layer in known.items() if name != layer},
            missing={n: stop.reason for n, stop in self.missing.items() if n and n not in known},
            stop=stop,
            channels=self.picture.channels if self.picture.channels in PICTURES else None,
            classes=self.graph.classes,
            tensors=tensors_of(self.graph.outputs, self.values),
            shown=shown_views(self.values, {*ends}),
        )

    def _show_outputs(self) -> None:
        """Make outputs maps of their own axes; what is no map, or too long a row, becomes a table.

        The columns of a table, which is one map, are the tensor's last axis.
        """
        for name in self.graph.outputs:
            value = self.values.get(name)
            if isinstance(value, Signal):
                shape = value.shape or ()
                is_row = math.prod(shape[:-1]) == 1 and math.prod(shape) <= MAX_CELLS
                is_map = value.is_pixel or is_row or (len(shape) == 4 and shape[0] == 1)
                self._show(name, value, "view" if is_map else "table")

    def _show(self, name: str, value: Signal, how: str) -> None:
        """Put the view or the table of an output behind it; the picture itself gets a layer."""
        maker = next((node for node in self.graph.nodes if name in node.outputs[:1]), None)
        try:
            shown = value.as_table() if how == "table" else self._as_maps(value)
        except SizeUnknown as error:
            why = str(error) if maker is None else stop_reason(maker, error)
            self.missing[name] = stop = Stop(why, value.layer, needs_size=True)
            self.stops.append(stop)
            return
        if shown.pending:
            layer = self._source(shown, how)
        elif value.layer in _BEFORE:
            layer = self._free(plain_name(name), (name,))
            shown = self._add_layer(layer, BuiltLayer(ActivationLayer("none"), (value,)))
        else:
            return
        self.layer_of_value[name] = layer
        self.values[name] = replace(shown, layer=layer, pending=())
        if how == "view" and maker is not None:
            self.layer_of_node[maker.name] = layer

    def _join_views(self) -> None:
        """Make one of two views, where the first is of use to the second alone."""
        users = Counter(name for node in self.nodes for name in node.inputs)
        ends = {*map(self.layer_of_value.get, self.graph.outputs)}
        nodes = {node.name: node for node in self.nodes}
        for node in self.nodes:
            before = nodes.get(node.inputs[0])
            if before is None or before.name in ends or users[before.name] > 1:
                continue
            if isinstance(node.layer, ViewLayer) and isinstance(before.layer, ViewLayer):
                cells = self.layer_cells.get(before.inputs[0])
                joined = before.layer.then(node.layer, cells) if cells else None
                if joined is not None and node.name in self.pending.values():
                    # Under the first one's name: it is the node's.
                    del nodes[node.name]
                    nodes[before.name] = replace(before, layer=joined)
                    renamed = node.name, before.name
                    nodes = {key: each.with_input(*renamed) for key, each in nodes.items()}
                    self._restore(before.name, joined)
                    self._rename(node.name, before.name)
        self.nodes = list(nodes.values())

    def _restore(self, layer: str, view: ViewLayer) -> None:
        """Note how the tensors of a layer are stored in the maps of its new view."""
        if view.new_shape is None:
            return
        layout = layout_of(view.new_shape)
        n_H, n_W, channels = cells = layout.cells(view.new_shape)
        for name, value in self.values.items():
            if isinstance(value, Signal) and value.layer == layer and value.shape is not None:
                own = reshaped(layout, cells, value.shape)
                moved = replace(value, layout=own, size=(n_H, n_W), channels=channels)
                self.values[name] = moved

    def _rename(self, old: str, new: str) -> None:
        for names in (self.layer_of_node, self.layer_of_value):
            names.update({key: new for key, layer in names.items() if layer == old})
        for name, value in self.values.items():
            if isinstance(value, Signal) and value.layer == old:
                self.values[name] = replace(value, layer=new)

    def _aliases(self) -> Mapping[str, str]:
        """Return the layer that each name means: a layer's, a node's or a value's."""
        own = {node.name: node.name for node in self.nodes}
        values = {name for node in self.graph.nodes for name in node.outputs}
        lost = {name for name in values if name in self.missing}
        aliases = {**own, **self.layer_of_node, **self.layer_of_value}
        return {name: layer for name, layer in aliases.items() if name and name not in lost}

    def _stop(self) -> Stop | None:
        """Return why the graph cannot be read to its outputs; None if it can."""
        missing = [self.missing[name] for name in self.graph.outputs if name in self.missing]
        for stop in self.stops:
            if stop in missing:
                return stop
        for name in self.graph.outputs:
            if name not in self.layer_of_value and name not in self.missing and self.nodes:
                reason = f"its output {quote(name)} does not depend on the picture"
                return Stop(reason, self.nodes[-1].name)
        return next(iter(missing), None)
