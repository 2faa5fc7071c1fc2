"""Reshape, Flatten, Squeeze, Unsqueeze, Transpose: other shapes of a value, mostly without work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cnncli.network.layers.view import Layout, ViewLayer, layout_of, reshaped
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import (
    BuiltLayer,
    NodeInputs,
    Signal,
    SizeUnknown,
    UnsupportedNode,
    from_start,
)


def _flatten(node: NodeInputs) -> Signal:
    x, axis = node.signal(), node.get("axis", 1)
    if x.shape is None:
        if axis not in (1, -3):
            raise SizeUnknown
        return _flat(x)
    axis = axis + len(x.shape) if axis < 0 else axis
    return with_shape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _reshape(node: NodeInputs) -> Signal:
    x, shape = node.signal(), node.numbers(1, "shape") or ()
    if x.shape is None:
        # -1 in the first place may come to any number of rows, and a number fits one size.
        if len(shape) != 2 or shape[0] not in (0, 1) or shape[1] != -1:
            raise SizeUnknown
        return _flat(x)
    if node.get("allowzero", 0) and 0 in shape:
        raise UnsupportedNode("it leaves nothing")
    return with_shape(x, _filled(shape, x.shape))


def _squeeze(node: NodeInputs) -> Signal:
    x, axes = node.signal(), node.numbers(1, "axes")
    shape = _known(x)
    if axes is None:
        axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
    if any(shape[axis] != 1 for axis in axes):
        raise UnsupportedNode(f"it leaves out axes {axes} of {shape}")
    dropped = {from_start(axis, len(shape), "axis") for axis in axes}
    return with_shape(x, [n for axis, n in enumerate(shape) if axis not in dropped])


def _unsqueeze(node: NodeInputs) -> Signal:
    x, axes = node.signal(), node.numbers(1, "axes")
    if axes is None:
        raise UnsupportedNode("its axes are not written down")
    if x.shape is None and x.layout.is_plain and "n" not in x.axes and {*axes} == {0}:
        return replace(x, layout=Layout(f"n{x.axes}"))
    shape = list(_known(x))
    count = len(shape) + len(axes)
    for axis in sorted(from_start(axis, count, "axis") for axis in axes):
        shape.insert(axis, 1)
    return with_shape(x, shape)


def _transpose(node: NodeInputs) -> Result:
    x = node.signal()
    count = len(x.layout.dims) if x.layout.dims else 2 if x.flat else len(x.axes)
    order = tuple(node.get("perm", range(count)[::-1]))
    if sorted(order) != list(range(count)):
        raise UnsupportedNode(f"it puts {count} axes into the order {order}")
    last = order[-1:] == ((count - 1) if x.channels_last else 1,)
    if x.layout.is_plain:
        layout = Layout("".join(x.axes[axis] for axis in order))
        return replace(x, layout=layout, channels_last=last)
    shape = _known(x)
    long = [axis for axis in order if shape[axis] != 1]
    if long == sorted(long):
        same = with_shape(x, [shape[axis] for axis in order])
        return replace(same, channels_last=last)
    return view(replace(x, channels_last=last), order)


def view(x: Signal, order: Sequence[int], shape: Sequence[int] | None = None) -> BuiltLayer:
    """Return a value with its axes in another order, and then in a shape, as a layer."""
    turned = tuple(_known(x)[axis] for axis in order)
    new = turned if shape is None else tuple(shape)
    channels = layout_of(new).cells(new)[2]
    layer = ViewLayer(x.layout, tuple(order), channels, None if shape is None else new)
    return BuiltLayer(layer, (x,), layout_of(new))


def matrices(x: Signal) -> Signal:
    """Return a value in maps whose rows are its matrices: its last two axes columns, channels."""
    *front, columns, channels = shape = _known(x)
    cells = math.prod(front), columns, channels
    if x.layout.order == "hwc" and x.cells == cells:
        return x
    return x.through(ViewLayer(x.layout, tuple(range(len(shape))), channels, cells))


def with_shape(x: Signal, shape: Sequence[int]) -> Signal:
    """Return a value in another shape, which is no work."""
    if x.cells is None:
        raise SizeUnknown
    last = x.channels_last and (x.shape or ())[-1:] == tuple(shape[-1:])
    return replace(x, layout=reshaped(x.layout, x.cells, shape), channels_last=last)


LAYERS: Final = ("view",)

OPERATORS: Final[dict[str, Builder]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}


def _flat(x: Signal) -> Signal:
    if not x.axes.startswith("n") or x.layout.dims is not None:
        raise SizeUnknown
    return replace(x, layout=Layout("nchw" if x.is_pixel else f"n{x.layout.order}", flat=True))


def _known(x: Signal) -> tuple[int, ...]:
    if x.shape is None:
        raise SizeUnknown
    return x.shape


def _filled(shape: Sequence[int], old: Sequence[int]) -> list[int]:
    """Return a shape with the lengths that 0 (as before) and -1 (what is left) stand for."""
    lengths = [
        old[axis] if length == 0 and axis < len(old) else length
        for axis, length in enumerate(shape)
    ]
    rest = math.prod(length for length in lengths if length != -1)
    return [math.prod(old) // rest if length == -1 and rest else length for length in lengths]
