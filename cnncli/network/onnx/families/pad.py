"""Pad: borders of rows and columns, and further channels."""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, UnsupportedNode

_PAD_MODES: Final = {"constant": "zeros", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def _pad(node: NodeInputs) -> Result:
    x = node.signal(0, ("nchw", "nhwc"))
    mode = node.get("mode", "constant")
    array = node.array(1)
    pads = node.get("pads", node.get("paddings", ())) if array is None else array.reshape(-1)
    axes = node.array(3)
    places = range(4) if axes is None else [int(axis) % 4 for axis in axes.reshape(-1)]
    if len(pads) != 2 * len(places) or mode not in _PAD_MODES:
        raise UnsupportedNode(f"its mode is {mode} and its pads are {tuple(map(int, pads))}")
    sides = dict.fromkeys(x.axes, (0, 0))
    for index, axis in enumerate(places):
        sides[x.axes[axis]] = int(pads[index]), int(pads[index + len(places)])
    if any(sides["n"]) or min(sum(sides.values(), ())) < 0:
        raise UnsupportedNode("it pads the batch, or cuts off")
    if any(sides["c"]):
        return _pad_channels(node, x, sides)
    value = node.number(2, node.get("value", 0.0)) if mode == "constant" else 0.0
    return BuiltLayer(layers.PadLayer((*sides["h"], *sides["w"]), _PAD_MODES[mode], value), (x,))


def _pad_channels(node: NodeInputs, x: Signal, sides: dict[str, tuple[int, int]]) -> Result:
    if any(sides["h"] + sides["w"]) or node.get("mode", "constant") != "constant":
        raise UnsupportedNode("it pads channels and more")
    value = node.number(2, node.get("value", 0.0))
    added = [np.full(count, value) if count else None for count in sides["c"]]
    return BuiltLayer(layers.PadChannelsLayer(*added), (x,))


OPERATORS: Final[dict[str, Builder]] = {"Pad": _pad}
