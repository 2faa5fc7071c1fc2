"""Operators of ONNX that only look at values in another shape: they become no layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cnncli.network.onnx.constants import axes_of
from cnncli.network.onnx.values import ROWS_FIRST, Call, Signal, Unreadable


def flatten(call: Call) -> Signal:
    """Make rows, columns and channels one axis."""
    x = call.signal()
    axis = call.get("axis", 1)
    if axis != 1 and axis != (-1 if x.flat else -3):
        raise Unreadable(f"it flattens from axis {axis} on, not each picture")
    return _flat(x)


def reshape(call: Call) -> Signal:
    """Give a shape that is written down."""
    x, given = call.signal(), call.array(1)
    shape = call.get("shape", ()) if given is None else given.reshape(-1).tolist()
    shape = [int(length) for length in shape]
    if x.shape is None:
        if len(shape) != 2 or shape[0] not in (-1, 0, 1):
            raise Unreadable("the size of the picture must be known")
        return _flat(x)
    return _view(x, _filled(shape, x.shape))


def squeeze(call: Call) -> Signal:
    """Leave out axes of length 1."""
    x = call.signal()
    shape, axes = _known(x), _axes(call)
    if any(shape[axis] != 1 for axis in axes):
        raise Unreadable(f"it leaves out axes {axes} of {shape}")
    dropped = {axis % len(shape) for axis in axes}
    return _view(x, [length for axis, length in enumerate(shape) if axis not in dropped])


def unsqueeze(call: Call) -> Signal:
    """Put in axes of length 1."""
    x = call.signal()
    shape, axes = list(_known(x)), _axes(call)
    count = len(shape) + len(axes)
    for axis in sorted(axis % count for axis in axes):
        shape.insert(axis, 1)
    return _view(x, shape)


def transpose(call: Call) -> Signal:
    """Put the axes into another order."""
    x = call.signal()
    axes = "nc" if x.flat else x.axes
    order = call.get("perm", tuple(range(len(axes)))[::-1])
    found = "".join(axes[axis] for axis in order if 0 <= axis < len(axes))
    if x.flat and found == "nc":
        return x
    if found not in ROWS_FIRST:
        raise Unreadable(f"it puts the axes into the order {order}")
    return replace(x, axes=found)


def _flat(x: Signal) -> Signal:
    return replace(x, axes="chw" if x.is_pixel else x.axes.removeprefix("n"))


def _known(x: Signal) -> tuple[int, ...]:
    if x.shape is None:
        raise Unreadable("the size of the picture must be known")
    return x.shape


def _axes(call: Call) -> tuple[int, ...]:
    given = call.array(1)
    found = axes_of([] if given is None else [given, given], call.node.attributes)
    if found is None:
        raise Unreadable("its axes are not written down")
    return found


def _filled(shape: Sequence[int], old: Sequence[int]) -> list[int]:
    """Return a shape with the lengths that 0 (as before) and -1 (what is left) stand for."""
    found = [
        old[axis] if length == 0 and axis < len(old) else length
        for axis, length in enumerate(shape)
    ]
    rest = math.prod(length for length in found if length != -1)
    return [math.prod(old) // rest if length == -1 and rest else length for length in found]


def _view(x: Signal, shape: Sequence[int]) -> Signal:
    """Return a value in another shape, if that is an order of its axes or all in one."""
    flat = _flat(x)
    if tuple(shape) == flat.shape:
        return flat
    orders = ROWS_FIRST if x.is_pixel else [f"n{flat.axes}"]
    for axes in orders:
        if tuple(shape) == replace(x, axes=axes).shape:
            return replace(x, axes=axes)
    raise Unreadable(f"it gives {x.shape} the shape {tuple(shape)}")
