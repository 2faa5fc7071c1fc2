"""Cuts a layer into strips of rows, fills their padding and runs them on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import ConvTask, Scratch
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import CONSTANT_CELL, border_index
from cnncli.core.geometry import Axis, Pair
from cnncli.system.threads import share_items

RowSource = Callable[[slice, slice], FloatArray]
"""``source(images, rows)``: input rows, shape (images, rows, n_W_prev, n_C_prev)."""

STRIP_BYTES: Final = 4 * 2**20
"""Memory a strip keeps busy: about what a core's share of the last cache holds."""

KEPT_BYTES: Final = 16 * 2**20
"""What a thread may keep for the next layer."""

FEWEST: Final = 4
"""A layer is cut into a multiple of this many strips where its rows and images allow it."""

Item = TypeVar("Item")

_thread = threading.local()


@dataclass(frozen=True)
class Strip:
    """Output rows ``[first, last)`` of some images of a batch."""

    images: slice
    first: int
    last: int


@dataclass(frozen=True)
class StripGrid:
    """How a layer is cut: by its shapes alone, never by the number of threads.

    Parameters
    ----------
    images, rows : int
        Images and output rows of one strip.
    """

    images: int
    rows: int

    def strips(self, batch: int, out_rows: int, first: int, last: int) -> list[Strip]:
        """Return the strips that meet output rows ``[first, last)``."""
        begins = range(first - first % self.rows, last, self.rows)
        chosen = [slice(i, min(i + self.images, batch)) for i in range(0, batch, self.images)]
        return [
            Strip(images, begin, min(begin + self.rows, out_rows))
            for images in chosen
            for begin in begins
        ]


def cut(task: ConvTask, bytes_per_row: float, step: int = 1, least_rows: int = 1) -> StripGrid:
    """Return strips that stay in cache, and enough of them for several threads.

    Parameters
    ----------
    task : ConvTask
    bytes_per_row : float
        Memory that one output row of one image keeps busy.
    step, least_rows : int
        As in `Kernel`.
    """
    rows, batch = task.window.rows.out, task.images
    fitting = max(least_rows, int(STRIP_BYTES / bytes_per_row))
    if fitting >= rows and batch > 1:
        return StripGrid(max(1, min(fitting // rows, batch // FEWEST)), _up(rows, step))
    needed = -(-rows // fitting)
    count = max(needed, min(_up(needed, -(-FEWEST // batch)), rows // least_rows))
    highest = _up(-(-rows // count), step)
    heights = range(highest, max(min(highest, least_rows), highest // 2, 1) - 1, -step)
    return StripGrid(1, min(heights, key=lambda height: _longer_half(rows, height)))


def _longer_half(rows: int, height: int) -> int:
    """Rows that the busier of two threads computes."""
    strips = -(-rows // height)
    return rows - strips // 2 * height if strips % 2 else strips // 2 * height


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


@dataclass(frozen=True)
class Padder:
    """Makes padded strips from unpadded rows.

    Parameters
    ----------
    task : ConvTask
    cols : Axis
        The columns, without pads where those are left to the kernel.
    columns : int
        Least number of padded columns; cells past the padding hold the border's constant.
    """

    task: ConvTask
    cols: Axis
    columns: int
    row_index: NDArray[np.intp]
    col_index: NDArray[np.intp]

    @staticmethod
    def of(task: ConvTask, columns: int = 0, rows_only: bool = False) -> Padder:
        """Return the padder of a layer; with `rows_only` it leaves the columns."""
        rows, cols = task.window.rows, task.window.cols
        if rows_only:
            cols = Axis(size=cols.size, kernel=1)
        mode = task.border[0]
        return Padder(
            task,
            cols,
            max(columns, cols.padded),
            border_index(rows.size, rows.begin, rows.end, mode),
            border_index(cols.size, cols.begin, cols.end, mode),
        )

    def strip(self, source: RowSource, images: slice, cells: Pair, scratch: Scratch) -> FloatArray:
        """Return padded rows ``[begin, end)``, (images, rows, columns, n_C_prev)."""
        begin, end = cells
        rows = self.task.window.rows
        if self._keeps_columns and rows.begin <= begin and end <= rows.begin + rows.size:
            X = source(images, slice(begin - rows.begin, end - rows.begin))
            if X.dtype == self.task.dtype and X.flags.c_contiguous:
                return X
        count = len(range(*images.indices(self.task.images)))
        shape = (count, end - begin, self.columns, self.task.n_C_prev)
        strip = scratch.take("strip", shape, self.task.dtype)
        cols = self.cols
        inner = strip[:, :, cols.begin : cols.begin + cols.size]
        for copied in copied_cells(self.row_index, begin, end):
            if copied.source == CONSTANT_CELL:
                inner[:, copied.begin : copied.end] = self.task.border[1]
            else:
                copy_of = slice(copied.source, copied.source + copied.end - copied.begin)
                inner[:, copied.begin : copied.end] = source(images, copy_of)
        after, constant = cols.begin + cols.size, self.task.border[1]
        fill_pads(strip[:, :, : cols.begin], inner, self.col_index[: cols.begin], constant)
        fill_pads(strip[:, :, after : cols.padded], inner, self.col_index[after:], constant)
        strip[:, :, cols.padded :] = constant
        return strip

    @property
    def _keeps_columns(self) -> bool:
        """Whether padded columns are just the input's columns."""
        return self.columns == self.cols.size


def fill_pads(
    pads: NDArray[Any], inner: NDArray[Any], index: NDArray[np.intp], constant: Any
) -> None:
    """Fill columns of pads (..., columns, n_C) from the inner ones that `border_index` names."""
    if len(index):
        # Not `take`: of a view it copies all of it first.
        pads[...] = constant if index[0] == CONSTANT_CELL else inner[..., index, :]


@dataclass(frozen=True)
class CopiedCells:
    """Padded cells ``[begin, end)`` that copy neighbouring input cells from `source` on.

    `source` is `CONSTANT_CELL` where they hold the border's constant.
    """

    begin: int
    end: int
    source: int


def copied_cells(index: NDArray[np.intp], first: int, last: int) -> list[CopiedCells]:
    """Return from which input cells the padded cells ``[first, last)`` are copied.

    Inside the image they are one slice of it; borders add short ones. Cells past the padding count
    as constant. A strip of an image is filled from this list, so only its own rows are ever read.

    Parameters
    ----------
    index : ndarray of int
        The axis as `border_index` gives it.
    first, last : int
        Padded cells, counted from the first pad.

    Examples
    --------
    >>> copied_cells(border_index(9, 1, 1), 0, 4)
    [CopiedCells(begin=0, end=1, source=-1), CopiedCells(begin=1, end=4, source=0)]
    """
    cells = index[first:last]
    if len(cells) == last - first and cells.min() >= 0 and (np.diff(cells) == 1).all():
        return [CopiedCells(0, len(cells), int(cells[0]))]
    cells = np.concatenate([cells, np.full(last - first - len(cells), CONSTANT_CELL)])
    constant = cells == CONSTANT_CELL
    joined = np.where(constant[:-1], constant[1:], np.diff(cells) == 1)
    bounds = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(cells)]
    return [CopiedCells(a, b, int(cells[a])) for a, b in pairwise(bounds)]


def run_strips(
    action: Callable[[Item, Scratch], None], items: Sequence[Item], jobs: int | None
) -> None:
    """Call ``action(item, scratch)`` for every item as `share_items` does.

    Each thread has one scratch for all its items, and keeps it: fresh memory costs as much as
    several passes over it. A chain of layers takes one for each that is at work at once.
    """

    def work(own: Iterator[Item]) -> None:
        free: list[Scratch] = vars(_thread).setdefault("free", [])
        scratch = free.pop() if free else Scratch()
        try:
            for item in own:
                action(item, scratch)
        finally:
            scratch.shrink(KEPT_BYTES)
            free.append(scratch)

    share_items(work, items, jobs)
