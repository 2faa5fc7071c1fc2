"""Average, max and lp pools: over windows, over whole maps, and over neighbouring channels."""

from __future__ import annotations

from typing import Final

from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.window import brief, of_rows, of_volumes, window_fields
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, UnsupportedNode


def _pool(mode: str) -> Builder:
    def make(node: NodeInputs) -> layers.PoolLayer:
        size = node.get("kernel_shape", ())
        if len(size) != 2:
            raise UnsupportedNode("its window has not two axes")
        return layers.PoolLayer(
            mode,
            brief(size),
            **window_fields(node),
            # With VALID too, as ONNX Runtime has it, though ONNX's own formula rounds down there.
            ceil=bool(node.get("ceil_mode", 0)),
            count_include_pad=bool(node.get("count_include_pad", 0)),
            p=float(node.get("p", 2)),
        )

    return of_volumes(make)


def _global_pool(mode: str) -> Builder:
    def make(node: NodeInputs) -> Result:
        layer = layers.PoolLayer(mode, "global", p=float(node.get("p", 2)))
        return BuiltLayer(layer, (node.picture(),))

    return of_rows(make)


LAYERS: Final = ("pool",)

OPERATORS: Final[dict[str, Builder]] = {
    "AveragePool": _pool("average"),
    "GlobalAveragePool": _global_pool("average"),
    "GlobalLpPool": _global_pool("lp"),
    "GlobalMaxPool": _global_pool("max"),
    "LpPool": _pool("lp"),
    "MaxPool": _pool("max"),
}
