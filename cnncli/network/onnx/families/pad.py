"""Pad: borders of rows and columns, further channels, and less than there was."""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.layers.slice import FAR
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import (
    BuiltLayer,
    NodeInputs,
    Signal,
    UnsupportedNode,
    depth_layout,
    from_start,
)

_PAD_MODES: Final = {"constant": "zeros", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}

Sides = dict[str, tuple[int, int]]
"""Cells before and after along each axis of maps; below 0 they are cut off."""


def _pad(node: NodeInputs) -> Result:
    x = node.signal()
    if not (x.layout.is_plain or x.has_depth):
        x = x.restored()
    mode, sides = node.get("mode", "constant"), _sides(node, x)
    if mode not in _PAD_MODES or any(sides.pop("n", ()) + sides.pop("d", ())):
        raise UnsupportedNode(f"its mode is {mode}, or it pads the batch")
    value = node.number(2, node.get("value", 0.0)) if mode == "constant" else 0.0
    steps = _steps(sides, _PAD_MODES[mode], value)
    if not steps:
        return x
    has_depth = x.has_depth
    for step in steps[:-1]:
        x = x.through(step)
    return BuiltLayer(steps[-1], (x,), depth_layout(x, steps[-1]) if has_depth else None)


def _sides(node: NodeInputs, x: Signal) -> Sides:
    """Return by how much each axis grows, by the letters of its layout."""
    axes, name = node.array(3), "pads" if "pads" in node.attributes else "paddings"
    pads = node.numbers(1, name) or ()
    letters = "ndchw" if x.has_depth else x.axes if x.layout.is_plain else ""
    places = range(len(letters)) if axes is None else axes.reshape(-1).tolist()
    if letters:
        places = [from_start(axis, len(letters), "axis") for axis in places]
    if len({*places}) < len(places):
        raise UnsupportedNode("it names an axis twice")
    if not letters or len(pads) != 2 * len(places):
        raise UnsupportedNode(f"its pads are {pads}, of a value of {x.dims}")
    befores, afters = pads[: len(places)], pads[len(places) :]
    return {
        letters[axis]: (before, after)
        for axis, before, after in zip(places, befores, afters, strict=True)
    }


def _steps(sides: Sides, mode: str, value: float) -> list[layers.Layer]:
    """Return the layers that cut off first, and then add."""
    steps: list[layers.Layer] = []
    cut = {letter: (max(-a, 0), max(-b, 0)) for letter, (a, b) in sides.items()}
    added = {letter: (max(a, 0), max(b, 0)) for letter, (a, b) in sides.items()}
    taken = {
        letter: (before, -after if after else FAR)
        for letter, (before, after) in cut.items()
        if before or after
    }
    if taken:
        start, stop = taken.get("c", (0, FAR))
        channels = start, None if stop == FAR else stop
        steps.append(layers.SliceLayer(*channels, 1, taken.get("h"), taken.get("w")))
    channels_added = added.get("c", (0, 0))
    if any(channels_added):
        if mode != "zeros":
            raise UnsupportedNode("it repeats channels")
        arrays = [np.full(count, value) if count else None for count in channels_added]
        steps.append(layers.PadChannelsLayer(*arrays))
    border = (*added.get("h", (0, 0)), *added.get("w", (0, 0)))
    if any(border):
        steps.append(layers.PadLayer(border, mode, value))
    return steps


LAYERS: Final = ("pad", "pad-channels", "slice")

OPERATORS: Final[dict[str, Builder]] = {"Pad": _pad}
