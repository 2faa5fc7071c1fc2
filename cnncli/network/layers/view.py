"""Tensors of any number of axes as maps, and the layer that puts their axes into another order.

A network's values are maps: rows, columns, channels. A tensor of ONNX is stored in them by a
`Layout`: maps with their axes in some order, then reshaped. So a reshape is no work, and no layer;
a transpose is a new order, or a `ViewLayer` where it is none. What maps stand for:

=====================  ==============================================================
1, C, H, W             C maps of H x W, as in every network of pictures
1, L, C                C channels of one row of L cells: tokens, boxes, one-dimensional signals
1, C                   C channels of one cell
L, C  and  C           the same without the first axis
A, B, ..., L, C        C channels of A*B*... rows of L cells
=====================  ==============================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.core.receptive_field import Reading
from cnncli.errors import ShapeError
from cnncli.network.layers.base import ChannelwiseDefaults, Gradients, StripStage
from cnncli.render.options import MapGroup, numbered_groups

Dims = tuple[int | None, ...]
"""Lengths of a tensor's axes; None where only its values tell."""

CELLS: Final = "hwc"

MOST_AXES: Final = 32
"""More than any tensor has; numpy arrays have at most 64."""


@dataclass(frozen=True)
class Layout:
    """How a tensor is stored as maps.

    Parameters
    ----------
    axes : str
        The tensor's axes by letters: h, w and c are rows, columns and channels of the maps, n has
        length 1. Letters that are missing have length 1 too.
    flat : bool
        Whether the axes behind n are one: (1, all cells), counted in the order of `axes`.
    dims : Dims, optional
        Another shape that cells in the order of `axes` are given; one length may be None.

    Examples
    --------
    >>> Layout("nchw").shape((4, 6, 3)), Layout("nchw", flat=True).shape((4, 6, 3))
    ((1, 3, 4, 6), (1, 72))
    """

    axes: str = "nchw"
    flat: bool = False
    dims: Dims | None = None

    @property
    def order(self) -> str:
        """Rows, columns and channels in the order in which their cells are counted."""
        letters = self.axes.replace("n", "")
        return "".join(letter for letter in CELLS if letter not in letters) + letters

    @property
    def is_plain(self) -> bool:
        """Whether each axis of the tensor is one of the maps', or has length 1."""
        return self.dims is None and not self.flat

    def shape(self, cells: Sequence[int]) -> tuple[int, ...]:
        """Return the tensor's shape, for maps of (rows, columns, channels)."""
        count = math.prod(cells)
        if self.dims is not None and None not in self.dims:
            if math.prod(length or 0 for length in self.dims) != count:
                shown = "x".join(map(str, cells))
                raise ShapeError(f"maps of {shown} cannot have the shape {self.dims}")
            return tuple(length or 0 for length in self.dims)
        if self.dims is not None:
            rest = math.prod(length for length in self.dims if length is not None)
            return tuple(
                count // max(rest, 1) if length is None else length for length in self.dims
            )
        if self.flat:
            return (1, count)
        return tuple(1 if a == "n" else cells[CELLS.index(a)] for a in self.axes)

    def cells(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return rows, columns and channels of a tensor's maps; see `layout_of`."""
        if self.flat:
            return 1, 1, math.prod(shape)
        if self.dims is not None:
            *rows, columns, channels = (1, 1, *shape)
            if self.order == "chw":
                return math.prod(rows) * columns, channels, 1
            return math.prod(rows), columns, channels
        lengths = dict(zip(self.axes, shape, strict=True))
        n_H, n_W, n_C = (lengths.get(letter, 1) for letter in CELLS)
        return n_H, n_W, n_C

    def load(self, V: Array) -> Array:
        """Return the tensors (m, *shape) that maps (m, rows, columns, channels) stand for."""
        order = [1 + CELLS.index(letter) for letter in self.order]
        return V.transpose(0, *order).reshape(len(V), *self.shape(V.shape[1:]))

    def store(self, T: Array, cells: Sequence[int]) -> Array:
        """Return the maps (m, *cells) that tensors (m, *shape) are stored in."""
        lengths = [cells[CELLS.index(letter)] for letter in self.order]
        back = [1 + self.order.index(letter) for letter in CELLS]
        return T.reshape(len(T), *lengths).transpose(0, *back)


def layout_of(dims: Dims) -> Layout:
    """Return the layout that a tensor is stored in where nothing else is known.

    What has an open axis is a table of one channel, so that how many there are is always known.

    Examples
    --------
    >>> [layout_of(dims).axes for dims in [(1, 3, 8, 8), (1, 9, 4), (9, 4), (5,)]]
    ['nchw', 'nwc', 'wc', 'c']
    """
    first = dims[0] if dims else None
    if None in dims:
        short = {1: "w", 2: "hw", 3: "nhw" if first == 1 else ""}.get(len(dims))
        return Layout(short) if short else Layout("chw", dims=tuple(dims))
    if len(dims) == 4 and first == 1:
        return Layout("nchw")
    if len(dims) == 3:
        return Layout("nwc" if first == 1 else "hwc")
    if len(dims) == 2:
        return Layout("nchw", flat=True) if first == 1 else Layout("wc")
    return Layout("c") if len(dims) == 1 else Layout("hwc", dims=tuple(dims))


def reshaped(layout: Layout, cells: Sequence[int], shape: Sequence[int]) -> Layout:
    """Return how the same maps are a tensor of another shape.

    Parameters
    ----------
    layout : Layout
    cells : (int, int, int)
        Of the maps.
    shape : sequence of int
        Of the tensor.

    Raises
    ------
    ShapeError
        If it has another number of cells.

    Examples
    --------
    >>> reshaped(Layout("nchw"), (8, 8, 3), (1, 3, 64))
    Layout(axes='nchw', flat=False, dims=(1, 3, 64))
    >>> reshaped(Layout("nchw", dims=(3, 8, 8)), (8, 8, 3), (1, 3, 8, 8)).axes
    'nchw'
    """
    fits = math.prod(shape) == math.prod(cells) and min(shape, default=0) >= 0
    if not fits or len(shape) > MOST_AXES:
        shown = "x".join(map(str, cells))
        raise ShapeError(f"{shown} cells cannot have the shape {tuple(shape)}")
    if tuple(shape) == (1, math.prod(cells)):
        pixel = cells[0] == cells[1] == 1
        return Layout("nchw" if pixel else f"n{layout.order}", flat=True)
    for axes in _ways(layout.order, cells):
        plain = Layout(axes)
        if plain.shape(cells) == tuple(shape):
            return plain
    return Layout(f"n{layout.order}", dims=tuple(shape))


def _ways(order: str, cells: Sequence[int]) -> list[str]:
    """Return the axes, four and fewer, that count cells in that order; usual ones first."""
    long = [letter for letter in order if cells[CELLS.index(letter)] != 1]
    orders = ["chw", "hwc", "cwh", "whc", "hcw", "wch"]
    same = [o for o in orders if [a for a in o if cells[CELLS.index(a)] != 1] == long]
    full = [f"n{o}" for o in same]
    short = [
        "".join(letter for letter in o if letter not in left_out)
        for o in same
        for left_out in ("h", "w", "hw", "c", "hc", "wc")
        if not set(left_out) & set(long)
    ]
    return [*full, *(f"n{axes}" for axes in short), *same, *short]


@dataclass(frozen=True)
class ViewLayer(ChannelwiseDefaults):
    """The same values as other maps: a tensor of any shape with its axes in another order.

    Parameters
    ----------
    before : Layout
        The tensor that its input's maps are.
    permutation : tuple of int
        The new order of that tensor's axes.
    channels : int
        Of the new maps, for their names.
    new_shape : tuple of int, optional
        The shape that the tensor is given then; default: its axes as they are.

    Examples
    --------
    >>> shuffle = ViewLayer(Layout("nchw", dims=(1, 2, 2, 1)), (0, 2, 1, 3), 2)
    >>> shuffle.forward(np.arange(4.0).reshape(1, 1, 1, 4))[0].tolist()
    [[[[0.0, 1.0]], [[2.0, 3.0]]]]
    """

    before: Layout
    permutation: tuple[int, ...]
    channels: int
    new_shape: tuple[int, ...] | None = None
    op: ClassVar[str] = "view"
    keeps_channels: ClassVar[bool] = False
    reads_all: ClassVar[bool] = True

    def _shape(self, cells: Sequence[int]) -> tuple[int, ...]:
        """The tensor's new shape."""
        return self._turned(cells) if self.new_shape is None else self.new_shape

    def _turned(self, cells: Sequence[int]) -> tuple[int, ...]:
        shape = self.before.shape(cells)
        if math.prod(shape) != math.prod(cells):
            shown = "x".join(map(str, cells))
            raise ShapeError(f"maps of {shown} cannot have the shape {shape}")
        if sorted(self.permutation) != list(range(len(shape))):
            raise ShapeError(f"permutation must order {len(shape)} axes, got {self.permutation}")
        return tuple(shape[axis] for axis in self.permutation)

    def output_shape(self, shape: Shape) -> Shape:
        """Check that the maps have as many cells as the tensor, and return the new maps' shape."""
        turned, new = self._turned(shape[1:]), self._shape(shape[1:])
        if math.prod(turned) != math.prod(new):
            raise ShapeError(f"a tensor of the shape {turned} cannot have the shape {new}")
        cells = layout_of(new).cells(new)
        if cells[2] != self.channels:
            raise ShapeError(f"channels must be {cells[2]}, got {self.channels}")
        return (shape[0], *cells)

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel."""
        return numbered_groups(self.channels)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box of input cells a box of output comes from, or all along an axis."""
        rows, columns = (
            slice(0, shape[1 + axis])
            if (reading := self.reading(shape, axis)) is None
            else slice(*reading.cells(side.start, side.stop))
            for axis, side in enumerate(box)
        )
        return rows, columns

    def reading(self, shape: Shape, axis: int) -> Reading | None:
        """Return which input cells outputs read along rows or columns; None if any.

        Examples
        --------
        >>> groups = Layout("nchw", dims=(1, 2, 3, 4, 4))
        >>> ViewLayer(groups, (0, 2, 1, 3, 4), 6, (1, 6, 4, 4)).reading((1, 4, 4, 6), 0)
        Reading(step=1, over=1, low=0, high=0)
        """
        letter, lengths, new = CELLS[axis], self.before.shape(shape[1:]), self._shape(shape[1:])
        layout = layout_of(new)
        old = _parts(lengths, self.before.order, shape[1:], letter)
        turned = _parts(self._turned(shape[1:]), layout.order, layout.cells(new), letter)
        if old is None or turned is None:
            return None
        # The tensor's axes that rows are made of, before and after, the slowest first.
        after = [self.permutation[part] for part in turned]
        pairs = zip(old, after, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        inner, outer = (math.prod(lengths[k] for k in parts[same:]) for parts in (old, after))
        if min(inner, outer) > 1:
            return None
        return Reading(inner, outer, high=inner - 1)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare one strip of all rows: any row may come from anywhere."""
        out = self.output_shape(shape)
        return StripStage(
            out, max(1, out[1]), lambda source, a, b: self._moved(source(0, shape[1]))[:, a:b]
        )

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the other maps."""
        return self._moved(X), X.shape

    def _moved(self, X: FloatArray) -> FloatArray:
        T = self.before.load(X).transpose(0, *(1 + axis for axis in self.permutation))
        shape = self._shape(X.shape[1:])
        layout = layout_of(shape)
        return np.ascontiguousarray(layout.store(T, layout.cells(shape)))

    def then(self, other: ViewLayer, cells: Sequence[int]) -> ViewLayer | None:
        """Return this and another view behind it as one; None if the other turns axes too.

        Parameters
        ----------
        other : ViewLayer
        cells : (int, int, int)
            Of this one's input.

        Examples
        --------
        >>> shuffled = ViewLayer(Layout("nchw", dims=(1, 2, 3, 4, 4)), (0, 2, 1, 3, 4), 4)
        >>> back = ViewLayer(Layout("nhwc", dims=(1, 6, 4, 4)), (0, 1, 2, 3), 6)
        >>> shuffled.then(back, (4, 4, 6)).output_shape((1, 4, 4, 6))
        (1, 4, 4, 6)
        """
        new = self._shape(cells)
        layout = layout_of(new)
        plain = other.permutation == tuple(range(len(other.permutation)))
        if not plain or other.before.order != layout.order:
            return None
        dims = other._shape(layout.cells(new))
        return ViewLayer(self.before, self.permutation, other.channels, dims)

    def new_order(self, shape: Shape) -> str:
        """Return in which order the cells of the new maps are counted.

        Examples
        --------
        >>> ViewLayer(Layout("nchw"), (0, 1, 3, 2), 1).new_order((1, 4, 6, 1))
        'chw'
        """
        return layout_of(self._shape(shape[1:])).order

    def source(self, shape: Shape, cell: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the row, column and channel of the input, of a shape, that one of the output is.

        Examples
        --------
        >>> turned = ViewLayer(Layout("nchw"), (0, 1, 3, 2), 1)
        >>> turned.source((1, 4, 6, 1), (5, 3, 0))
        (3, 5, 0)
        """
        new, turned = self._shape(shape[1:]), self._turned(shape[1:])
        number = _count(layout_of(new).order, layout_of(new).cells(new), cell)
        place = np.unravel_index(number, turned)
        back = [int(place[self.permutation.index(axis)]) for axis in range(len(turned))]
        number = int(np.ravel_multi_index(back, self.before.shape(shape[1:]))) if back else 0
        order = self.before.order
        found = np.unravel_index(number, [shape[1 + CELLS.index(letter)] for letter in order])
        row, column, channel = (int(found[order.index(letter)]) for letter in CELLS)
        return row, column, channel

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient where the values came from."""
        new = self._shape(cache[1:])
        T = layout_of(new).load(dY).reshape(len(dY), *self._turned(cache[1:]))
        T = T.transpose(0, *(1 + axis for axis in np.argsort(self.permutation)))
        return np.ascontiguousarray(self.before.store(T, cache[1:])), {}


def _parts(dims: Sequence[int], order: str, cells: Sequence[int], letter: str) -> list[int] | None:
    """Return which of a tensor's axes one of its maps' is made of; None if not whole ones.

    Axes of length 1 are left out.
    """
    parts = [k for k, length in enumerate(dims) if length != 1]
    for one in order:
        own: list[int] = []
        length = cells[CELLS.index(one)]
        while parts and math.prod(dims[k] for k in own) < length:
            own.append(parts.pop(0))
        if math.prod(dims[k] for k in own) != length:
            return None
        if one == letter:
            return own
    return None


def _count(order: str, cells: Sequence[int], cell: Sequence[int]) -> int:
    """Return which cell of maps one is, counted in an order."""
    at = [CELLS.index(letter) for letter in order]
    return int(np.ravel_multi_index([cell[k] for k in at], [cells[k] for k in at]))
