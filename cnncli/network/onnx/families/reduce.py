"""Means, sums, extremes and norms over axes: global pools, or reductions of maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cnncli.network import layers
from cnncli.network.layers.axes import axes_named
from cnncli.network.layers.view import CELLS, Layout, reshaped
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, UnsupportedNode

_NORMS: Final = ("l1", "l2")
_POOLS: Final = {"mean": "average", "max": "max", "min": "min"}


def _reduce(mode: str) -> Callable[[NodeInputs], Result]:
    def make(node: NodeInputs) -> Result:
        x, axes = node.signal(), node.numbers(1, "axes")
        if not axes and node.get("noop_with_empty_axes", 0):
            # A norm of one number each.
            return BuiltLayer(layers.ActivationLayer("abs"), (x,)) if mode in _NORMS else x
        if not x.layout.is_plain and not (x.flat and x.is_pixel):
            x = x.restored()
        letters = "nc" if x.flat and x.is_pixel else x.axes
        if not (x.layout.is_plain or (x.flat and x.is_pixel)):
            raise UnsupportedNode("its input is flattened")
        if mode not in ("max", "min") and not x.is_float:
            raise UnsupportedNode("it does not work on floats of single or double precision")
        count = len(letters)
        over = {letters[axis] for axis in axes or range(count)}
        names = axes_named(over)
        keeps = bool(node.get("keepdims", 1))
        left = "".join(letter for letter in letters if letter not in over)
        layout = None if keeps else _layout_without(x, over, left)
        layer: layers.Layer = _pool(mode, over) or layers.ReduceLayer(mode, names or ("rows",))
        if not names and (x.size is None or x.size[0] != 1):
            raise UnsupportedNode("it works over the axis of pictures only")
        return BuiltLayer(layer, (x,), layout)

    return make


def _pool(mode: str, over: set[str]) -> layers.PoolLayer | None:
    """Return the global pool of all rows and columns that does the same."""
    if over - {"n"} != {"h", "w"} or mode not in _POOLS:
        return None
    return layers.PoolLayer(_POOLS[mode], "global")


def _layout_without(x: Signal, over: set[str], left: str) -> Layout:
    """Return how what is left is stored, without the axes that are gone."""
    if left == "nc" and {"h", "w"} <= over | {c for c in "hw" if c not in x.axes}:
        return Layout("nchw", flat=True)
    if x.cells is None:
        return Layout(left)
    n_H, n_W, n_C = (1 if letter in over else n for letter, n in zip(CELLS, x.cells, strict=True))
    lengths = {"n": 1, "h": n_H, "w": n_W, "c": n_C}
    return reshaped(x.layout, (n_H, n_W, n_C), [lengths[letter] for letter in left])


LAYERS: Final = ("reduce", "pool")

OPERATORS: Final[dict[str, Builder]] = {
    "ReduceL1": _reduce("l1"),
    "ReduceL2": _reduce("l2"),
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMin": _reduce("min"),
    "ReduceSum": _reduce("sum"),
}
