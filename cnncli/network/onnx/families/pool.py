"""Average, max and lp pools: over windows, over whole maps, and over neighbouring channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.dense import dense_bank
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.window import brief, of_rows, window_fields
from cnncli.network.onnx.values import (
    BuiltLayer,
    NodeInputs,
    UnsupportedNode,
    depth_layout,
)

MOST_CHANNELS: Final = 4096
"""Of which windows are averaged by a matrix."""


def _pool(mode: str) -> Callable[[NodeInputs], Result]:
    def make(node: NodeInputs) -> Result:
        size = node.get("kernel_shape", ())
        if mode == "average" and len(size) == 3 and node.signal().has_depth:
            return _depth_average(node)
        if len(size) != 2:
            raise UnsupportedNode("its window has not two axes")
        layer = layers.PoolLayer(
            mode,
            brief(size),
            **window_fields(node),
            # With VALID too, as ONNX Runtime has it, though ONNX's own formula rounds down there.
            ceil=bool(node.get("ceil_mode", 0)),
            count_include_pad=bool(node.get("count_include_pad", 0)),
            p=float(node.get("p", 2)),
        )
        return BuiltLayer(layer, (node.picture(),))

    return of_rows(make)


def _depth_average(node: NodeInputs) -> BuiltLayer:
    """Average neighbouring channels, as PyTorch exports its local response normalisation.

    The average of a window of channels is a 1x1 convolution whose weights are 0 and 1 / window.
    """
    x, pads = node.signal(), node.get("pads", (0,) * 6)
    window, *others = node.get("kernel_shape")
    plain = not node.get("ceil_mode", 0) and node.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    ones = (*node.get("strides", (1,)), *node.get("dilations", (1,)), *others)
    if not plain or any(pads) or {*ones} != {1} or not window <= x.channels <= MOST_CHANNELS:
        raise UnsupportedNode("its window has not two axes")
    starts = np.arange(x.channels - window + 1)
    places = np.arange(x.channels)[:, np.newaxis] - starts
    matrix = ((places >= 0) & (places < window)) / np.float32(window)
    bank = dense_bank(node.name, node.parameter(matrix), (1, 1, x.channels), "hwc")
    layer = layers.ConvLayer(bank, padding="valid")
    return BuiltLayer(layer, (x,), depth_layout(x, layer))


def _global_pool(mode: str) -> Callable[[NodeInputs], Result]:
    def make(node: NodeInputs) -> Result:
        layer = layers.PoolLayer(mode, "global", p=float(node.get("p", 2)))
        return BuiltLayer(layer, (node.picture(),))

    return of_rows(make)


LAYERS: Final = ("pool", "conv")

OPERATORS: Final[dict[str, Builder]] = {
    "AveragePool": _pool("average"),
    "GlobalAveragePool": _global_pool("average"),
    "GlobalLpPool": _global_pool("lp"),
    "GlobalMaxPool": _global_pool("max"),
    "LpPool": _pool("lp"),
    "MaxPool": _pool("max"),
}
