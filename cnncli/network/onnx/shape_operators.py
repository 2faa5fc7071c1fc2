"""Operators of ONNX that become no layer: other shapes of a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from cnncli.network.graph import SIZE_UNKNOWN
from cnncli.network.onnx.constants import named_axes
from cnncli.network.onnx.values import ROWS_FIRST, NodeInputs, Signal, UnsupportedNode


def _flatten(node: NodeInputs) -> Signal:
    """Make rows, columns and channels one axis."""
    x = node.signal()
    axis = node.get("axis", 1)
    if axis != 1 and axis != (-1 if x.flat else -3):
        raise UnsupportedNode(f"it flattens from axis {axis} on, not each picture")
    return _flat(x)


def _reshape(node: NodeInputs) -> Signal:
    """Give a shape that is written down."""
    x, array = node.signal(), node.array(1)
    shape = node.get("shape", ()) if array is None else array.reshape(-1).tolist()
    shape = [int(length) for length in shape]
    if x.shape is None:
        if len(shape) != 2 or shape[0] not in (-1, 0, 1):
            raise UnsupportedNode(SIZE_UNKNOWN)
        return _flat(x)
    return _reshaped(x, _filled(shape, x.shape))


def _squeeze(node: NodeInputs) -> Signal:
    """Leave out axes of length 1."""
    x = node.signal()
    shape, axes = _known(x), _axes(node)
    if any(shape[axis] != 1 for axis in axes):
        raise UnsupportedNode(f"it leaves out axes {axes} of {shape}")
    dropped = {axis % len(shape) for axis in axes}
    return _reshaped(x, [length for axis, length in enumerate(shape) if axis not in dropped])


def _unsqueeze(node: NodeInputs) -> Signal:
    """Put in axes of length 1."""
    x = node.signal()
    shape, axes = list(_known(x)), _axes(node)
    count = len(shape) + len(axes)
    for axis in sorted(axis % count for axis in axes):
        shape.insert(axis, 1)
    return _reshaped(x, shape)


def _transpose(node: NodeInputs) -> Signal:
    """Put the axes into another order."""
    x = node.signal()
    axes = "nc" if x.flat else x.axes
    order = node.get("perm", tuple(range(len(axes)))[::-1])
    axes_now = "".join(axes[axis] for axis in order if 0 <= axis < len(axes))
    if x.flat and axes_now == "nc":
        return x
    if axes_now not in ROWS_FIRST:
        raise UnsupportedNode(f"it puts the axes into the order {order}")
    return replace(x, axes=axes_now)


SHAPE_OPERATORS: Final[dict[str, Callable[[NodeInputs], Signal]]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""What each operator makes of a value that depends on the picture."""


def _flat(x: Signal) -> Signal:
    return replace(x, axes="chw" if x.is_pixel else x.axes.removeprefix("n"))


def _known(x: Signal) -> tuple[int, ...]:
    if x.shape is None:
        raise UnsupportedNode(SIZE_UNKNOWN)
    return x.shape


def _axes(node: NodeInputs) -> tuple[int, ...]:
    axes = named_axes(node.attributes, node.array(1))
    if axes is None:
        raise UnsupportedNode("its axes are not written down")
    return axes


def _filled(shape: Sequence[int], old: Sequence[int]) -> list[int]:
    """Return a shape with the lengths that 0 (as before) and -1 (what is left) stand for."""
    lengths = [
        old[axis] if length == 0 and axis < len(old) else length
        for axis, length in enumerate(shape)
    ]
    rest = math.prod(length for length in lengths if length != -1)
    return [math.prod(old) // rest if length == -1 and rest else length for length in lengths]


def _reshaped(x: Signal, shape: Sequence[int]) -> Signal:
    """Return a value in another shape, if that is an order of its axes or all in one."""
    flat = _flat(x)
    if tuple(shape) == flat.shape:
        return flat
    orders = ROWS_FIRST if x.is_pixel else [f"n{flat.axes}"]
    for axes in orders:
        if tuple(shape) == replace(x, axes=axes).shape:
            return replace(x, axes=axes)
    raise UnsupportedNode(f"it gives {x.shape} the shape {tuple(shape)}")
