"""ONNX models as networks: each node becomes a layer of its name.

A layer can be asked for by its own name, by that of its node in the ONNX file, or by that of the
value the node makes; so can the nodes that become no layer, such as Dropout and Flatten, which mean
the layer before them. A name that is both a node's and a value's means the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import Pair
from cnncli.errors import FileProblem
from cnncli.filters.filter import Filter
from cnncli.io.read_options import Sides
from cnncli.network.graph import Network
from cnncli.network.model import Model, SizeNeeded, Stop
from cnncli.network.onnx.builder import NetworkBuilder
from cnncli.network.onnx.families.types import TYPES
from cnncli.network.onnx.model import OnnxGraph, read_graph
from cnncli.network.onnx.picture_input import picture_input
from cnncli.network.onnx.reference import WeightsNeeded
from cnncli.network.onnx.values import Signal
from cnncli.network.preparation import PIXEL_SCALES, Preparation

_USUAL: Final = (28, 32, 64, 224, 256, 640)
"""Sides of the pictures that networks are made for; of a larger one a reshape may make several."""
_OTHER_SIZE: Final = "--size H,W: the model may be made for one height, as readers of text are"
NEWEST_OPSET: Final = 28
"""Version of ONNX's operators up to which they are judged by ONNX Runtime and its own tests."""
_TRIED: Final = ((97, 131), (160, 224), (231, 188))
"""Sizes of pictures, even and odd, that tell whether a network depends on the size."""


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
        output of the graph, `Model.stop` says why.

    Raises
    ------
    FileProblem
        If it is no ONNX file, its graph is not in order, it takes anything but one picture, or
        its first node already cannot be read.
    """
    try:
        return _read(path, weights, prepare or {})
    except WeightsNeeded:
        return _read(path, True, prepare or {})


def _read(path: Path, weights: bool, prepare: Mapping[str, Any]) -> Model:
    graph = read_graph(path, weights)
    name, picture, sides = picture_input(graph)
    own = picture
    picture = replace(picture, size=prepare.get("size", picture.size))
    prepared = replace(_preparation(graph, name, picture), **prepare)
    make = partial(_built, graph, name, picture, prepared, weights)
    own_size = None if sides == (None, None) else sides
    try:
        model, builder = make()
    except SizeNeeded as error:
        error.own_size = own_size
        raise
    if model.stop and picture.size is None and builder.needs_size:
        model = _of_any_size(make, sides) or model
    elif model.stop and picture.size not in (None, own.size):
        make = partial(_built, graph, name, own, prepared, weights)
        model = replace(model, stop=_with_size(model.stop, picture, make, own, sides))
    notes = (*model.notes, *_batch_notes(graph, name), *_type_notes(graph, name, prepare))
    shape = dict(zip(own.axes, graph.inputs[name] or (), strict=False))
    return replace(model, own_size=own_size, array_channels=shape.get("c"), notes=notes)


def _batch_notes(graph: OnnxGraph, name: str) -> tuple[str, ...]:
    """Say that a network gets one picture where its file asks for several at once."""
    shape = graph.inputs[name] or ()
    batch = shape[0] if len(shape) == 4 else None
    if batch is None or batch < 2:
        return ()
    return (f"the network's own batch is {batch}, not 1: other programs may refuse it",)


def _type_notes(graph: OnnxGraph, name: str, prepare: Mapping[str, Any]) -> tuple[str, ...]:
    """Say of operators and inputs what other programs may take otherwise."""
    notes: tuple[str, ...] = ()
    if graph.opset > NEWEST_OPSET:
        notes = (
            f"its operators are of version {graph.opset}, known are those up to {NEWEST_OPSET}: "
            "results may differ",
        )
    kinds = {TYPES.get(node.attributes.get("to", 0)) for node in graph.nodes if node.op == "Cast"}
    for kind in sorted({"FLOAT16", "BFLOAT16"} & {*kinds, graph.types[name]}):
        notes += (f"{kind.lower()} is computed as float32: it rounds less, and overflows later",)
    if graph.types[name] == "INT8" and not {"scale", "mean", "std"} & set(prepare):
        notes += (
            "pixels go in as 0..255, and its input of type int8 holds -128..127: "
            "--mean 128 for pixels less 128, --scale 127 for 0..127",
        )
    return notes


def _with_size(
    stop: Stop,
    picture: Signal,
    make: Callable[..., tuple[Model, NetworkBuilder]],
    own: Signal,
    sides: Sides,
) -> Stop:
    """Name the size that was asked for where only that keeps a model from being read to its end."""
    try:
        as_made = make()[0]
        fails = as_made.stop and not as_made.needs_size
    except FileProblem as error:
        fails = not isinstance(error, SizeNeeded)
    if picture.size is None or fails:
        return stop
    made_for = f"; the model was made for {own.size[0]}x{own.size[1]}" if own.size else ""
    asked = f"with an input of {picture.size[0]}x{picture.size[1]}"
    hint = stop.hint or (None if own.size else _fitting_size(make, sides) or _OTHER_SIZE)
    return replace(stop, reason=f"{asked}: {stop.reason}{made_for}", hint=hint)


def _fitting_size(make: Callable[..., tuple[Model, NetworkBuilder]], sides: Sides) -> str | None:
    """Return the option for a usual size that the model can be read with, if there is one."""
    for side in _USUAL:
        n_H, n_W = sides[0] or side, sides[1] or side
        try:
            model, _ = make(size=(n_H, n_W))
        except FileProblem:
            continue
        if model.stop is None:
            return f"--size {n_H},{n_W} fits the model"
    return None


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
) -> tuple[Model, NetworkBuilder]:
    picture = picture if size is None else replace(picture, size=size)
    builder = NetworkBuilder(graph, name, picture, prepared, weights)
    for node in graph.nodes:
        builder.add(node)
    return builder.model(), builder


def _of_any_size(make: Callable[..., tuple[Model, NetworkBuilder]], sides: Sides) -> Model | None:
    """Return the model that comes out the same for pictures of several sizes; else None.

    So does what computes shapes from the picture's, but in the end only takes them along.
    """
    models = [make(size=(sides[0] or n_H, sides[1] or n_W))[0] for n_H, n_W in _TRIED]
    first, *others = models
    if any(model.stop or not _same(first.network, model.network) for model in models):
        return None
    shown = {
        name: view
        for name, view in first.shown.items()
        if all(model.shown.get(name) == view for model in others)
    }
    return replace(first, shown=shown)


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
