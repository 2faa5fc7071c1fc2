"""Stride, padding and dilation of the nodes that have a window."""

from __future__ import annotations

from typing import Any, Final

from cnncli.core.geometry import PaddingLike
from cnncli.network.onnx.values import NodeInputs, UnsupportedNode
from cnncli.network.toml_schema import MAX_CELLS

_AUTO_PADS: Final = {"SAME_UPPER": "same", "SAME_LOWER": "same-lower", "VALID": "valid"}


def window_fields(node: NodeInputs) -> dict[str, Any]:
    """Return stride, padding and dilation of a convolution or a pool."""
    stride, dilation = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    if len(stride) != 2 or len(dilation) != 2:
        raise UnsupportedNode("its window has not two axes")
    if (
        max(*stride, *dilation, *node.get("pads", (0,)), *node.get("kernel_shape", (0,)))
        > MAX_CELLS
    ):
        raise UnsupportedNode(f"its window, strides or pads are more than {MAX_CELLS}")
    return {"stride": brief(stride), "padding": _padding(node), "dilation": brief(dilation)}


def _padding(node: NodeInputs) -> PaddingLike:
    auto = node.get("auto_pad", "NOTSET")
    if auto in _AUTO_PADS:
        return _AUTO_PADS[auto]
    pads = node.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        raise UnsupportedNode(f"its pads are {pads}")
    top, left, bottom, right = pads
    return brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right)


def brief(pair: tuple[int, ...]) -> Any:
    return pair[0] if pair[0] == pair[1] else pair
