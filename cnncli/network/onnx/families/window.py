"""Stride, padding and dilation of nodes with a window; those of one axis as windows on one row."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import PaddingLike, Pair
from cnncli.io.limits import MAX_CELLS
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
"""What settings of a window over channels are along the cells of a map."""

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


def of_depth(build: Builder) -> Builder:
    """Return a builder of pictures that takes values (1, 1, C, H, W) too: a row a channel.

    PyTorch exports its local response normalisation as pools of neighbouring channels.
    """

    def built(node: NodeInputs) -> Result:
        x = node.input(0)
        if not isinstance(x, Signal) or not x.has_depth or x.size is None:
            return build(node)
        made = build(_on_depth(node, x, x.size))
        if not isinstance(made, BuiltLayer):
            return made
        rows, columns, one = made.layer.output_shape((1, x.channels, math.prod(x.size), 1))[1:]
        layout = reshaped(Layout(), (rows, columns, one), (1, 1, rows, *x.size))
        return replace(made, layout=layout)

    return built


def _on_depth(node: NodeInputs, x: Signal, size: Pair) -> NodeInputs:
    attributes = dict(node.attributes)
    for name, count in _ALONG_CELLS.items():
        given = tuple(attributes.get(name, ()))
        if any(number != count for k, number in enumerate(given) if k % 3):
            raise UnsupportedNode("its window has more axes than that of the channels")
        if given:
            attributes[name] = tuple(number for end in given[::3] for number in (end, count))
    view = ViewLayer(x.layout, (0, 1, 2, 3, 4), 1, (1, 1, x.channels, math.prod(size)))
    return replace(node, attributes=attributes, inputs=(replace(x.through(view), layout=Layout()),))


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
