"""DepthToSpace and SpaceToDepth: channels as blocks of pixels, and back."""

from __future__ import annotations

from typing import Final

from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, UnsupportedNode

_ORDERS: Final = {"DCR": "block-first", "CRD": "channel-first"}


def _order(node: NodeInputs) -> str:
    mode = node.get("mode", "DCR")
    if mode not in _ORDERS:
        raise UnsupportedNode(f"its mode is {mode}")
    return _ORDERS[mode]


def _spread(node: NodeInputs) -> Result:
    layer = layers.DepthToSpaceLayer(node.get("blocksize", 0), _order(node))
    return BuiltLayer(layer, (node.picture(),))


def _gather(node: NodeInputs) -> Result:
    layer = layers.SpaceToDepthLayer(node.get("blocksize", 0), _order(node))
    return BuiltLayer(layer, (node.picture(),))


LAYERS: Final = ("depth-to-space", "space-to-depth")

OPERATORS: Final[dict[str, Builder]] = {"DepthToSpace": _spread, "SpaceToDepth": _gather}
