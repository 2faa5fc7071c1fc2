"""Operators of ONNX that resize, split and join pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnncli.network import layers
from cnncli.network.onnx.values import (
    ROWS_FIRST,
    Array,
    BuiltLayer,
    NodeInputs,
    Signal,
    UnsupportedNode,
)

_COORDINATES: Final = {
    "half_pixel": "half-pixel",
    "pytorch_half_pixel": "pytorch-half-pixel",
    "asymmetric": "asymmetric",
    "align_corners": "align-corners",
}


def resize(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Resize (from 11 on) or its first form (10) as a layer."""
    x = node.signal(0, ROWS_FIRST)
    first_form = node.opset < 11
    scales, sizes = node.array(1 if first_form else 2), None if first_form else node.array(3)
    if node.get("antialias", 0) or node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedNode("it smooths, or keeps the aspect ratio")
    mode = node.get("mode", "nearest")
    coordinates = (
        "asymmetric" if first_form else node.get("coordinate_transformation_mode", "half_pixel")
    )
    if mode not in ("nearest", "linear", "cubic") or coordinates not in _COORDINATES:
        raise UnsupportedNode(f"its mode is {mode}, {coordinates}")
    if mode == "cubic" and (
        node.get("exclude_outside", 0) or abs(node.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6
    ):
        raise UnsupportedNode("its cubic kernel is another")
    rounding = node.get("nearest_mode", "floor" if first_form else "round_prefer_floor")
    options = {"coordinates": _COORDINATES[coordinates]}
    if mode == "nearest":
        options["rounding"] = rounding.removeprefix("round_").replace("_", "-")
    return _resized(x, scales, sizes, mode, options, node.get("axes"))


def upsample(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Upsample, the form of Resize before 10, as a layer."""
    x = node.signal(0, ROWS_FIRST)
    scales = node.array(1)
    if scales is None:
        scales = np.array(node.get("scales", ()))
    options = {"coordinates": "asymmetric", "rounding": "floor"}
    mode = node.get("mode", "nearest")
    return _resized(x, scales, None, "linear" if mode == "bilinear" else mode, options)


def _resized(
    x: Signal,
    scales: Array | None,
    sizes: Array | None,
    mode: str,
    options: dict[str, Any],
    axes: Sequence[int] | None = None,
) -> BuiltLayer | Signal:
    numbers = sizes if sizes is not None and sizes.size else scales
    named = range(4) if axes is None else axes
    if numbers is None or numbers.size != len(named):
        raise UnsupportedNode("it must have a scale or a size for each axis")
    values = zip(named, numbers.reshape(-1).tolist(), strict=True)
    factors = {x.axes[axis]: value for axis, value in values if -4 <= axis < 4}
    if not {"h", "w"} <= set(factors):
        raise UnsupportedNode("it must resize rows and columns")
    same = (1.0, 1.0)
    if numbers is sizes:
        if factors.get("c", x.channels) != x.channels:
            raise UnsupportedNode("it resizes channels")
        size = int(factors["h"]), int(factors["w"])
        whole = x.size is not None and size[0] % x.size[0] == size[1] % x.size[1] == 0
        if not whole or x.size is None:
            return BuiltLayer(layers.ResizeLayer(size, None, mode, **options), (x,))
        # Written as a scale, so that it does not depend on the size of the picture.
        scale = size[0] / x.size[0], size[1] / x.size[1]
    else:
        if (factors.get("n", 1.0), factors.get("c", 1.0)) != same:
            raise UnsupportedNode("it resizes channels")
        scale = float(factors["h"]), float(factors["w"])
    if scale == same:
        return x
    brief = scale[0] if scale[0] == scale[1] else scale
    return BuiltLayer(layers.ResizeLayer(None, brief, mode, **options), (x,))


def split(node: NodeInputs) -> tuple[BuiltLayer, ...]:
    """Return Split over channels as layers that take some channels each."""
    x = node.signal()
    axis = _channel_axis(x, node.get("axis", 0))
    lengths = node.array(1)
    if lengths is None:
        lengths = np.array(node.get("split", ()))
    parts = [int(length) for length in lengths.reshape(-1)]
    if not parts:
        length = -(-x.channels // node.outputs)
        whole, rest = divmod(x.channels, length)
        parts = [length] * whole + ([rest] if rest else [])
    if axis is None or sum(parts) != x.channels or len(parts) != node.outputs:
        raise UnsupportedNode("it does not split channels")
    ends = np.cumsum(parts).tolist()
    return tuple(
        BuiltLayer(layers.SliceLayer(end - part, end), (x,))
        for part, end in zip(parts, ends, strict=True)
    )


def slice_channels(node: NodeInputs) -> BuiltLayer | Signal:
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
        if _channel_axis(x, int(axis)) is None or step < 1:
            raise UnsupportedNode("it does not take a part of the channels")
        taken = taken[int(start) : int(end) : int(step)]
    if taken == range(x.channels):
        return x
    if not taken:
        raise UnsupportedNode("it takes no channel")
    return BuiltLayer(layers.SliceLayer(taken.start, taken[-1] + 1, taken.step), (x,))


def concat(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Concat over channels as a layer; constants may stand before and after a picture."""
    values = [node.input(index) for index in range(len(node.inputs))]
    signals = [value for value in values if isinstance(value, Signal)]
    if not signals:
        raise UnsupportedNode("it does not work on the picture")
    x = signals[0]
    if len({signal.axes for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in the order of their axes")
    alone = len(signals) == 1
    if _channel_axis(x, node.get("axis", 1)) is None:
        raise UnsupportedNode("it does not put channels side by side")
    if alone and len(values) > 1:
        return _with_constants(node, x, values)
    if len(signals) < len(values):
        raise UnsupportedNode("it joins several pictures and a constant")
    return x if alone else BuiltLayer(layers.ConcatLayer(), tuple(signals))


def _with_constants(node: NodeInputs, x: Signal, values: list[Signal | Array | None]) -> BuiltLayer:
    position = next(index for index, value in enumerate(values) if value is x)
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


def _channel_axis(x: Signal, axis: int) -> int | None:
    """Return the axis if it is that of the channels, else None."""
    axes = "nc" if x.flat else x.axes
    is_channels = -len(axes) <= axis < len(axes) and axes[axis] == "c"
    # Flattened pixels are no channels any more.
    return axis if is_channels and (not x.flat or x.is_pixel or x.axes == "chw") else None
