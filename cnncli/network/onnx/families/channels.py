"""Concat, Slice and Split: channels put side by side, and taken apart."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder
from cnncli.network.onnx.values import Array, BuiltLayer, NodeInputs, Signal, UnsupportedNode


def _split(node: NodeInputs) -> tuple[BuiltLayer, ...]:
    """Return Split over channels as layers that take some channels each."""
    x = node.signal()
    is_channels = _is_channels(x, node.get("axis", 0))
    lengths = node.array(1)
    if lengths is None:
        lengths = np.array(node.get("split", ()))
    parts = [int(length) for length in lengths.reshape(-1)]
    if not parts:
        length = -(-x.channels // node.outputs)
        whole, rest = divmod(x.channels, length)
        parts = [length] * whole + ([rest] if rest else [])
    if not is_channels or sum(parts) != x.channels or len(parts) != node.outputs:
        raise UnsupportedNode("it does not split channels")
    ends = np.cumsum(parts).tolist()
    return tuple(
        BuiltLayer(layers.SliceLayer(end - part, end), (x,))
        for part, end in zip(parts, ends, strict=True)
    )


def _slice(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Slice over channels as a layer; one that takes all of everything is none."""
    x = node.signal()
    names = ("starts", "ends", "axes", "steps")
    given = [node.array(index + 1) for index in range(4)]
    listed = [
        list(node.get(name, ())) if array is None else array.reshape(-1).tolist()
        for name, array in zip(names, given, strict=True)
    ]
    starts, ends, axes, steps = listed
    axes = axes or list(range(len(starts)))
    taken = range(x.channels)
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(axes), strict=True):
        if (start, step) == (0, 1) and end >= 2**31 - 1:
            continue
        if not _is_channels(x, int(axis)) or step < 1:
            raise UnsupportedNode("it does not take a part of the channels")
        taken = taken[int(start) : int(end) : int(step)]
    if taken == range(x.channels):
        return x
    if not taken:
        raise UnsupportedNode("it takes no channel")
    return BuiltLayer(layers.SliceLayer(taken.start, taken[-1] + 1, taken.step), (x,))


def _concat(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Concat over channels as a layer; constants may stand before and after a picture."""
    values = [node.input(index) for index in range(len(node.inputs))]
    signals = [value for value in values if isinstance(value, Signal)]
    if not signals:
        raise UnsupportedNode("it does not work on the picture")
    x = signals[0]
    if len({signal.layout for signal in signals}) > 1:
        signals = [signal.restored() for signal in signals]
        x = signals[0]
    if len({signal.layout for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in the order of their axes")
    alone = len(signals) == 1
    if not _is_channels(x, node.get("axis", 1), joined=True):
        raise UnsupportedNode("it does not put channels side by side")
    if alone and len(values) > 1:
        return _with_constants(node, x, values)
    if len(signals) < len(values):
        raise UnsupportedNode("it joins several pictures and a constant")
    return x if alone else BuiltLayer(layers.ConcatLayer(), tuple(signals))


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


OPERATORS: Final[dict[str, Builder]] = {"Concat": _concat, "Slice": _slice, "Split": _split}
