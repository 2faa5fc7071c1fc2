"""Expand and Tile: a value beside itself along an axis, or one cell in place of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli.network import layers
from cnncli.network.layers.axes import axes_named
from cnncli.network.layers.view import CELLS
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.views import with_shape
from cnncli.network.onnx.reference import MOST_NUMBERS
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, SizeUnknown, UnsupportedNode

_MOST: Final = 64
"""Copies of a value that are put side by side."""


def _expand(node: NodeInputs) -> Result:
    x, wanted = node.signal(), [int(n) for n in node.needed(1).reshape(-1)]
    if x.shape is None:
        raise SizeUnknown
    shape = np.broadcast_shapes(x.shape, tuple(wanted))
    if math.prod(shape) > MOST_NUMBERS:
        raise UnsupportedNode(f"it makes {math.prod(shape)} numbers, more than {MOST_NUMBERS}")
    own = (1,) * (len(shape) - len(x.shape)) + x.shape
    counts = [long // short for long, short in zip(shape, own, strict=True)]
    return _repeated(with_shape(x, own) if own != x.shape else x, counts)


def _tile(node: NodeInputs) -> Result:
    if node.opset < 6:
        raise UnsupportedNode("it names its axis by an input")
    return _repeated(node.signal(), [int(n) for n in node.needed(1).reshape(-1)])


def _repeated(x: Signal, counts: Sequence[int]) -> Result:
    """Return a value as often as told along each axis."""
    if not x.layout.is_plain:
        x = x.restored()
    if not x.layout.is_plain or len(counts) != len(x.axes):
        raise UnsupportedNode("its input is flattened, or it repeats more axes than it has")
    more = {letter: n for letter, n in zip(x.axes, counts, strict=True) if n != 1}
    if not more:
        return x
    if x.size is None:
        raise SizeUnknown
    if "n" in more or min(more.values()) < 1:
        raise UnsupportedNode("it repeats the batch, or leaves nothing")
    lengths = dict(zip(CELLS, (*x.size, x.channels), strict=True))
    if "c" not in more and all(lengths[letter] == 1 for letter in more):
        n_H, n_W = (lengths[letter] * more.get(letter, 1) for letter in "hw")
        return BuiltLayer(layers.ResizeLayer((n_H, n_W)), (x,))
    ((letter, count), *others) = more.items()
    if others or count > _MOST:
        raise UnsupportedNode("it repeats several axes, or too often")
    (axis,) = axes_named(letter)
    return BuiltLayer(layers.ConcatLayer(axis), (x,) * count)


LAYERS: Final = ("concat", "resize")

OPERATORS: Final[dict[str, Builder]] = {"Expand": _expand, "Tile": _tile}
