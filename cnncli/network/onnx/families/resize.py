"""Resize and Upsample: rows and columns in another number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import Array
from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder
from cnncli.network.onnx.values import ROWS_FIRST, BuiltLayer, NodeInputs, Signal, UnsupportedNode

_COORDINATES: Final = {
    "half_pixel": "half-pixel",
    "pytorch_half_pixel": "pytorch-half-pixel",
    "asymmetric": "asymmetric",
    "align_corners": "align-corners",
}


def _resize(node: NodeInputs) -> BuiltLayer | Signal:
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
    if coordinates not in _COORDINATES:
        raise UnsupportedNode(f"its mode is {mode}, {coordinates}")
    if mode == "cubic" and (
        node.get("exclude_outside", 0) or abs(node.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6
    ):
        raise UnsupportedNode("its cubic kernel is another")
    rounding = node.get("nearest_mode", "" if first_form else "round_prefer_floor")
    options = {"coordinates": _COORDINATES[coordinates]}
    if mode == "nearest":
        options["rounding"] = rounding.removeprefix("round_").replace("_", "-")
    return _resized(x, scales, sizes, mode, options, node.get("axes"))


def _upsample(node: NodeInputs) -> BuiltLayer | Signal:
    """Return Upsample, the form of Resize before 10, as a layer."""
    x = node.signal(0, ROWS_FIRST)
    scales = node.array(1)
    if scales is None:
        scales = np.array(node.get("scales", ()))
    if scales.size and scales.min() < 1:
        raise UnsupportedNode(f"its scales are {scales.reshape(-1).tolist()}, not 1 or more")
    options = {"coordinates": "asymmetric", "rounding": "floor"}
    return _resized(x, scales, None, node.get("mode", "nearest"), options)


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
    if options.get("rounding") == "":
        x, scale, options = _first_nearest(x, scale, options)
    brief = scale[0] if scale[0] == scale[1] else scale
    return BuiltLayer(layers.ResizeLayer(None, brief, mode, **options), (x,))


def _first_nearest(
    x: Signal, scale: tuple[float, float], options: dict[str, Any]
) -> tuple[Signal, tuple[float, float], dict[str, Any]]:
    """Return the last layer of a nearest Resize of 10, which rounds up where it makes smaller.

    Where it makes one axis smaller and the other larger, rows come first.
    """
    rows, columns = scale
    if min(scale) < 1 < max(scale):
        layer = layers.ResizeLayer(None, (rows, 1.0), **_rounding(rows, options))
        x, scale = x.through(layer), (1.0, columns)
    return x, scale, _rounding(min(scale), options)


def _rounding(scale: float, options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "rounding": "ceil" if scale < 1 else "floor"}


LAYERS: Final = ("resize",)

OPERATORS: Final[dict[str, Builder]] = {"Resize": _resize, "Upsample": _upsample}
