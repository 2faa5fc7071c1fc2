"""Concat, Slice, Split and Gather: values put side by side, and taken apart."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import Array
from cnncli.network import layers
from cnncli.network.layers.slice import FAR
from cnncli.network.layers.view import Layout, reshaped
from cnncli.network.onnx.families.table import Builder
from cnncli.network.onnx.families.views import with_shape
from cnncli.network.onnx.values import (
    BuiltLayer,
    NodeInputs,
    Signal,
    SizeUnknown,
    UnsupportedNode,
    each_cell,
    from_start,
)

Taken = tuple[int, int, int]
"""Start, stop and step along an axis, as Python's slices have them."""


def _split(node: NodeInputs) -> tuple[BuiltLayer | Signal, ...]:
    """Return Split as layers that take a part of an axis each."""
    x, axis = _apart(node.signal()), node.get("axis", 0)
    _, _, length = _stored_axis(x, axis)
    if length is None:
        raise SizeUnknown
    parts = list(node.numbers(1, "split") or ())
    if not parts:
        part = -(-length // node.outputs)
        parts = [min(part, length - start) for start in range(0, length, part)]
    if sum(parts) != length or len(parts) != node.outputs or min(parts) < 1:
        raise UnsupportedNode(f"it splits {length} into {parts}")
    ends = np.cumsum(parts).tolist()
    return tuple(
        _part(x, {axis: (end - part, end, 1)}) for part, end in zip(parts, ends, strict=True)
    )


def _slice(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Slice as a layer; one that takes all of everything is none."""
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (node.numbers(k, name) or () for k, name in enumerate(names, 1))
    axes = axes or tuple(range(len(starts)))
    ends = tuple(max(-FAR, min(FAR, end)) for end in ends)
    starts = tuple(max(-FAR, min(FAR, start)) for start in starts)
    taken = zip(starts, ends, steps or (1,) * len(axes), strict=True)
    return _part(_apart(node.signal()), dict(zip(axes, taken, strict=True)))


def _apart(x: Signal) -> Signal:
    """Return a value in a layout whose axes can be taken apart."""
    return x if x.layout.is_plain or x.is_pixel else x.restored()


def _stored_axis(x: Signal, axis: int) -> tuple[str, int, int | None]:
    """Return where an axis is in the maps, the rows that each of its cells is, and its length."""
    layout, dims = x.layout, x.dims
    if layout.is_plain and dims is not None:
        return x.axes[axis], 1, dims[axis]
    shape = x.shape
    if shape is None:
        raise SizeUnknown
    if layout.dims is None and x.is_pixel:
        return "nc"[axis], 1, shape[axis]
    axis, last = from_start(axis, len(shape), "axis"), len(shape) - 1
    if layout.dims is None or layout.order != "hwc":
        raise UnsupportedNode("its input is flattened")
    if axis >= last - 1:
        return "c" if axis == last else "w", 1, shape[axis]
    if math.prod(shape[:axis]) != 1:
        raise UnsupportedNode("it takes parts that are no rows")
    return "h", math.prod(shape[axis + 1 : -2]), shape[axis]


def _part(x: Signal, wanted: dict[int, Taken]) -> BuiltLayer | Signal:
    """Return a part of a value as a layer; all of it is no layer."""
    parts: dict[str, Taken] = {}
    dims = list(x.layout.dims or ())
    for axis, (start, stop, step) in wanted.items():
        if (start, step) == (0, 1) and stop >= FAR:
            continue
        letter, inner, length = _stored_axis(x, axis)
        chosen = range(FAR if length is None else length)[start:stop:step]
        if length is not None and chosen == range(length):
            continue
        if not chosen or letter == "n" or (inner > 1 and step != 1):
            raise UnsupportedNode("it takes nothing, or parts that are no rows")
        parts[letter] = start, stop, step
        if inner > 1:
            parts[letter] = chosen.start * inner, chosen.stop * inner, 1
        elif letter == "c":
            parts[letter] = chosen.start, chosen.stop, step
        if dims:
            dims[axis] = len(chosen)
    if not parts:
        return x
    start, stop, step = parts.get("c", (0, -1, 1))
    channels = start, None if stop < 0 else stop, step
    layer = layers.SliceLayer(*channels, parts.get("h"), parts.get("w"))
    return BuiltLayer(layer, (x,), replace(x.layout, dims=tuple(dims)) if dims else None)


def _concat(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Concat over channels as a layer; constants may stand before and after a picture."""
    values = [node.input(index) for index in range(len(node.inputs))]
    signals = [value for value in values if isinstance(value, Signal)]
    if not signals:
        raise UnsupportedNode("it does not work on the picture")
    alone = len(signals) == 1
    differ = len({signal.layout for signal in signals}) > 1
    signals = [each.restored() if differ or each.layout.dims else each for each in signals]
    x, axis = signals[0], node.get("axis", 1)
    is_channels = _is_channels(x, axis, joined=True)
    if len({_unjoined(signal, axis) for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in the order of their axes")
    if alone and len(values) > 1:
        return (_with_constants if is_channels else _with_cells)(node, x, values)
    if len(signals) < len(values):
        raise UnsupportedNode("it joins several pictures and a constant")
    if alone:
        return x
    if is_channels:
        return BuiltLayer(layers.ConcatLayer(), tuple(signals))
    letter, _, _ = _stored_axis(x, axis)
    if letter == "n":
        raise UnsupportedNode("it joins batches")
    layout = x.layout
    if layout.dims is not None:
        dims = list(layout.dims)
        dims[axis] = sum((signal.shape or ())[axis] for signal in signals)
        layout = replace(layout, dims=tuple(dims))
    side = {"h": "rows", "w": "columns", "c": "channels"}[letter]
    return BuiltLayer(layers.ConcatLayer(side), tuple(signals), layout)


def _gather(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Gather of indices with one step between them as a slice."""
    x, indices = _apart(node.signal()), node.needed(1)
    axis, shape = int(node.get("axis", 0)), x.shape
    if shape is None or x.size is None:
        raise SizeUnknown
    axis = from_start(axis, len(shape), "axis")
    numbers = [from_start(int(index), shape[axis], "index") for index in indices.reshape(-1)]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    stop = numbers[0] + step * len(numbers)
    if indices.ndim > 1 or step == 0 or numbers != [*range(numbers[0], stop, step)]:
        raise UnsupportedNode("its indices have no one step between them")
    made = _part(x, {axis: (numbers[0], stop if stop >= 0 else -FAR, step)})
    left = [*shape[:axis], *([] if indices.ndim == 0 else [len(numbers)]), *shape[axis + 1 :]]
    if isinstance(made, Signal):
        return with_shape(made, left)
    _, n_H, n_W, channels = made.layer.output_shape((1, *x.size, x.channels))
    return replace(made, layout=reshaped(made.layout or x.layout, (n_H, n_W, channels), left))


def _unjoined(x: Signal, axis: int) -> Layout:
    """Return a value's layout without how long the axis is that shall be joined."""
    if x.layout.dims is None:
        return x.layout
    dims = list(x.layout.dims)
    dims[axis] = None
    return replace(x.layout, dims=tuple(dims))


def _with_constants(node: NodeInputs, x: Signal, values: list[Signal | Array | None]) -> BuiltLayer:
    position = next(index for index, value in enumerate(values) if isinstance(value, Signal))
    before, after = (
        [_channel_values(node, x, value) for value in part]
        for part in (values[:position], values[position + 1 :])
    )
    layer = layers.PadChannelsLayer(
        np.concatenate(before) if before else None, np.concatenate(after) if after else None
    )
    return BuiltLayer(layer, (x,))


def _with_cells(node: NodeInputs, x: Signal, values: list[Signal | Array | None]) -> BuiltLayer:
    """Return constants beside a picture as a border, and then the offsets of its cells."""
    axis, shape = int(node.get("axis", 1)), x.shape
    if shape is None:
        raise SizeUnknown
    letter = x.axes[axis] if x.layout.is_plain else ""
    position = next(k for k, value in enumerate(values) if isinstance(value, Signal))
    if letter not in ("h", "w") or not x.is_float or any(v is None for v in values):
        raise UnsupportedNode("it joins a constant and no rows, columns or channels")
    parts = [np.zeros(shape) if isinstance(v, Signal) else np.asarray(v) for v in values]
    before, after = (
        sum(part.shape[axis] for part in some) for some in (parts[:position], parts[position + 1 :])
    )
    border = (before, after, 0, 0) if letter == "h" else (0, 0, before, after)
    padded = x.through(layers.PadLayer(border, "zeros"))
    offset = node.parameter(each_cell(np.concatenate(parts, axis), padded).reshape(-1))
    layer = layers.CellScaleLayer(padded.cells or (1, 1, 1), np.ones(1, offset.dtype), offset)
    return BuiltLayer(layer, (padded,))


def _channel_values(node: NodeInputs, x: Signal, value: Any) -> Any:
    """Return the number of each channel of a constant picture."""
    if not isinstance(value, np.ndarray) or x.shape is None or value.ndim != len(x.shape):
        raise UnsupportedNode("it joins a picture and something else")
    channels_last = np.moveaxis(value, 1 if x.flat else x.axes.index("c"), -1)
    expected = (1, *x.size) if not x.flat and x.size else (1,)
    flat = channels_last.reshape(-1, channels_last.shape[-1])
    if channels_last.shape[:-1] != expected or (flat != flat[0]).any():
        raise UnsupportedNode("it joins a constant that differs from place to place")
    return node.parameter(flat[0])


def _is_channels(x: Signal, axis: int, joined: bool = False) -> bool:
    """Tell whether an axis is that of channels; of flattened maps only where they are joined."""
    axes = "nc" if x.flat else x.axes
    if x.layout.dims is not None or not -len(axes) <= axis < len(axes) or axes[axis] != "c":
        return False
    return not x.flat or x.is_pixel or (joined and x.layout.order == "chw")


LAYERS: Final = ("concat", "slice", "pad-channels", "pad", "cell-scale")

OPERATORS: Final[dict[str, Builder]] = {
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
}
