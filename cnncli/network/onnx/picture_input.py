"""The picture that an ONNX graph takes: its name, its size, and where its channels are."""

from __future__ import annotations

import math
from typing import Final

from cnncli.core.geometry import Pair
from cnncli.errors import FileProblem, quote
from cnncli.io.read_options import Sides
from cnncli.network.graph import SOURCE
from cnncli.network.layers.view import Layout
from cnncli.network.onnx.model import OnnxGraph, OnnxNode
from cnncli.network.onnx.values import Signal
from cnncli.network.preparation import PIXEL_SCALES

PICTURES: Final = (1, 3)
"""Channels of pictures: grey and RGB."""

_ORDERS: Final = {4: ("nchw", "nhwc"), 3: ("chw", "hwc")}
"""By how many axes it has: channels first, and channels last."""

_CHANNELS_SECOND: Final = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "BatchNormalization", "LpPool", "LRN"),
    *("InstanceNormalization", "GroupNormalization", "GlobalAveragePool", "GlobalMaxPool"),
    *("ConvInteger", "QLinearConv", "DepthToSpace", "SpaceToDepth", "PRelu"),
)
"""Operators whose input has its channels on the second axis."""

_MOVING: Final = ("Transpose", "Unsqueeze", "Squeeze")
_MIXING: Final = ("Reshape", "Flatten", "MatMul", "Gemm", "Shape", "Size")
"""Operators behind which nobody knows which axis is which."""


def picture_input(graph: OnnxGraph) -> tuple[str, Signal, Sides]:
    """Return the name of the one picture that a graph takes, what is known of it, and its sides.

    Raises
    ------
    FileProblem
        If it takes anything else.
    """
    if len(graph.inputs) != 1:
        names = ", ".join(quote(name) for name in graph.inputs) or "none"
        raise FileProblem(f"a network must have one input, got {names}", path=graph.path)
    ((name, shape),) = graph.inputs.items()
    shape = (None,) * 4 if shape is None else shape
    bare = len(shape) == 3 and not {shape[0], shape[2]} & {*PICTURES}
    if len(shape) not in _ORDERS or bare:
        shown = ", ".join("?" if length is None else str(length) for length in shape)
        raise FileProblem(
            f"its input must be (N, C, H, W), got ({shown})",
            hint="export it with a picture as input, and a reshape to its own shape in the model",
            path=graph.path,
        )
    axes = _ORDERS[len(shape)][_has_channels_last(graph, name, shape)]
    length = dict(zip(axes, shape, strict=True))
    n_H, n_W = length["h"], length["w"]
    size: Pair | None = None if n_H is None or n_W is None else (n_H, n_W)
    kind = "FLOAT" if graph.types[name] in ("FLOAT16", "BFLOAT16") else graph.types[name]
    if kind not in ("FLOAT", "DOUBLE", *PIXEL_SCALES):
        raise FileProblem(
            f"its input must be of floats or whole numbers, got {kind.lower()}", path=graph.path
        )
    channels, last = length["c"] or _channels(graph), axes.endswith("c")
    picture = Signal(SOURCE, channels, size, Layout(axes), kind, channels_last=last)
    return name, picture, (n_H, n_W)


def _has_channels_last(graph: OnnxGraph, name: str, shape: tuple[int | None, ...]) -> bool:
    """Tell whether a picture comes with its channels last, as TensorFlow's exporters leave it.

    Its axes are followed through the nodes until one takes channels second; if none tells, the
    lengths of the axes do.
    """
    known: dict[str, list[int | None]] = {name: list(range(len(shape)))}
    for node in graph.nodes:
        axes = next((known[value] for value in node.inputs if value in known), None)
        if axes is None:
            continue
        if node.op in _CHANNELS_SECOND:
            if len(axes) == 4 and axes[1] is not None:
                return axes[1] == len(shape) - 1
            continue
        moved = _moved(graph, node, axes)
        if moved is not None:
            known.update(dict.fromkeys(node.outputs, moved))
    return shape[-1] in PICTURES and shape[-3:][0] not in PICTURES


def _moved(graph: OnnxGraph, node: OnnxNode, axes: list[int | None]) -> list[int | None] | None:
    """Return which of the picture's axes those of a node's result are; None if nobody knows."""
    if node.op in _MIXING:
        return None
    if node.op not in _MOVING:
        return axes
    if node.op == "Transpose":
        order = node.attributes.get("perm", range(len(axes))[::-1])
        fits = sorted(order) == list(range(len(axes)))
        return [axes[axis] for axis in order] if fits else None
    named = _named_axes(graph, node)
    if named is None:
        return None
    if node.op == "Squeeze":
        dropped = {axis % len(axes) for axis in named}
        return [axis for index, axis in enumerate(axes) if index not in dropped]
    result, count = list(axes), len(axes) + len(named)
    for axis in sorted(axis % count for axis in named):
        result.insert(axis, None)
    return result


def _named_axes(graph: OnnxGraph, node: OnnxNode) -> list[int] | None:
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1:
        axes = graph.constants.read(node.inputs[1]) if node.inputs[1] in graph.constants else None
        makers = [maker for maker in graph.nodes if node.inputs[1] in maker.outputs]
        if makers and makers[0].op == "Constant":
            axes = makers[0].attributes.get("value", makers[0].attributes.get("value_ints"))
    if axes is None:
        return None
    return [int(axis) for axis in (axes if isinstance(axes, tuple) else axes.reshape(-1).tolist())]


def _channels(graph: OnnxGraph) -> int:
    """Return the channels that the first convolution takes; 3 if there is none."""
    for node in graph.nodes:
        if node.op == "Conv" and len(node.inputs) > 1 and node.inputs[1] in graph.constants:
            dims = graph.constants.tensors[node.inputs[1]].dims
            return int(math.prod(dims[1:2])) * int(node.attributes.get("group", 1))
    return 3
