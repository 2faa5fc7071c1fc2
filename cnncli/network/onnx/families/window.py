"""Stride, padding and dilation of nodes with a window; those of one axis as windows on one row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import PaddingLike
from cnncli.io.limits import MAX_CELLS
from cnncli.network.layers.base import Layer
from cnncli.network.layers.view import Layout, ViewLayer, reshaped
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, SizeUnknown, UnsupportedNode

_ROW: Final = Layout("ncw")

_ON_A_ROW: Final = {
    **{"kernel_shape": 1, "strides": 1, "dilations": 1},
    **{"pads": 0, "output_padding": 0, "output_shape": 1},
}
"""Settings of windows, and what each is along the rows of a picture of one row."""

_ALONG_CELLS: Final = {"kernel_shape": 1, "strides": 1, "dilations": 1, "pads": 0}
"""What settings of a window are along an axis that it does not reach over."""

_AUTO_PADS: Final = {"SAME_UPPER": "same", "SAME_LOWER": "same-lower", "VALID": "valid"}


def of_rows(build: Builder) -> Builder:
    """Return a builder of pictures that takes values (1, C, L) too, as pictures of one row."""

    def built(node: NodeInputs) -> Result:
        x = node.input(0)
        if not isinstance(x, Signal) or x.dims is None or len(x.dims) != 3:
            return build(node)
        made = build(_on_a_row(node, x))
        return replace(made, layout=_ROW) if isinstance(made, BuiltLayer) else made

    return built


def _on_a_row(node: NodeInputs, x: Signal) -> NodeInputs:
    """Return a node on (1, C, L) as the one on (1, C, 1, L) that does the same."""
    if x.layout == _ROW:
        row = replace(x, layout=Layout())
    elif x.shape is None:
        raise SizeUnknown
    else:
        batch, channels, length = x.shape
        if batch != 1:
            raise UnsupportedNode(f"it works on {batch} signals")
        view = ViewLayer(x.layout, (0, 1, 2), channels, (1, channels, 1, length))
        row = replace(x.through(view), layout=Layout())
    attributes = dict(node.attributes)
    for name, before in _ON_A_ROW.items():
        if name in attributes:
            given = attributes[name]
            half = len(given) // 2 if name == "pads" else 0
            attributes[name] = (before, *given[:half], *((before,) if half else ()), *given[half:])
    inputs = [row, *node.inputs[1:]]
    if len(inputs) > 1 and isinstance(inputs[1], np.ndarray) and inputs[1].ndim == 3:
        inputs[1] = inputs[1][:, :, np.newaxis]
    return replace(node, attributes=attributes, inputs=tuple(inputs))


def of_volumes(make: Callable[[NodeInputs], Layer]) -> Builder:
    """Return a builder of pools of one picture that takes several, signals and volumes too.

    A pool over rows and columns of N*C*D maps, and one over D behind it, do what one over all does.
    """
    of_one = of_rows(lambda node: BuiltLayer(make(node), (node.picture(),)))

    def built(node: NodeInputs) -> Result:
        x = node.input(0)
        if not isinstance(x, Signal) or x.shape is None or not 3 <= len(x.shape) <= 5:
            return of_one(node)
        if len(x.shape) < 5 and x.shape[0] == 1:
            return of_one(node)
        outer, inner = x.shape[:2], x.shape[2:]
        over_maps, over_depth = (_of_axes(node, len(inner), axes) for axes in ((1, 2), (0, None)))
        depth, n_H, n_W = (1,) * (3 - len(inner)) + inner
        maps, layer = math.prod(outer), None
        if not _is_one_cell(over_maps):
            layer = make(over_maps)
            picture, cells = _pooled(layer, x, (1, maps * depth, n_H, n_W))
            n_H, n_W, _ = cells
            layout = reshaped(Layout(), cells, (*outer, depth, n_H, n_W))
            x = replace(picture.through(layer), layout=layout)
        if layer is None or not _is_one_cell(over_depth):
            layer = make(over_depth)
            picture, cells = _pooled(layer, x, (1, maps, depth, n_H * n_W))
            depth = cells[0]
        lengths = (depth, n_H, n_W)[-len(inner) :]
        return BuiltLayer(layer, (picture,), reshaped(Layout(), cells, (*outer, *lengths)))

    return built


def _pooled(
    layer: Layer, x: Signal, shape: tuple[int, int, int, int]
) -> tuple[Signal, tuple[int, ...]]:
    """Return a value as pictures (1, C, H, W), and the (H, W, C) that a pool makes of them."""
    axes = tuple(range(len(x.shape or ())))
    view = ViewLayer(x.layout, axes, shape[1], shape)
    pooled = layer.output_shape((1, *shape[2:], shape[1]))
    return replace(x.through(view), layout=Layout()), pooled[1:]


def _of_axes(node: NodeInputs, count: int, axes: tuple[int, int | None]) -> NodeInputs:
    """Return a node with its window along two of the last three axes, or along one alone."""
    attributes = dict(node.attributes)
    for name, alone in _ALONG_CELLS.items():
        halves = 2 if name == "pads" else 1
        given = node.get(name, () if name == "kernel_shape" else (alone,) * count * halves)
        if len(given) != count * halves:
            raise UnsupportedNode(f"its window has not {count} axes")
        ends = [(alone,) * (3 - count) + given[k : k + count] for k in range(0, len(given), count)]
        attributes[name] = tuple(
            alone if axis is None else end[axis] for end in ends for axis in axes
        )
    return replace(node, attributes=attributes)


def _is_one_cell(node: NodeInputs) -> bool:
    """Whether the window of a node takes every cell for itself."""
    return all(set(node.get(name, ())) == {alone} for name, alone in _ALONG_CELLS.items())


def window_fields(node: NodeInputs) -> dict[str, Any]:
    """Return stride, padding and dilation of a convolution or a pool."""
    stride, dilation = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    if len(stride) != 2 or len(dilation) != 2:
        raise UnsupportedNode("its window has not two axes")
    if (
        max(*stride, *dilation, *node.get("pads", (0,)), *node.get("kernel_shape", (0,)))
        > MAX_CELLS
    ):
        raise UnsupportedNode(f"its window, strides or pads are more than {MAX_CELLS}")
    return {"stride": brief(stride), "padding": _padding(node), "dilation": brief(dilation)}


def _padding(node: NodeInputs) -> PaddingLike:
    auto = node.get("auto_pad", "NOTSET")
    if auto in _AUTO_PADS:
        return _AUTO_PADS[auto]
    pads = node.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        raise UnsupportedNode(f"its pads are {pads}")
    top, left, bottom, right = pads
    return brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right)


def brief(pair: tuple[int, ...]) -> Any:
    return pair[0] if pair[0] == pair[1] else pair
