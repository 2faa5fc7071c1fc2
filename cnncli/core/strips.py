"""Cuts a layer into strips of rows, fills their padding and runs them on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import ConvTask
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import CONSTANT_CELL, Border, border_index
from cnncli.core.geometry import Axis, Pair, Window
from cnncli.system.threads import Scratch, share_items

BatchRows = Callable[[slice, slice], FloatArray]
"""``source(images, rows)``: input rows, shape (images, rows, n_W_prev, n_C_prev)."""

STRIP_BYTES: Final = 4 * 2**20
"""Memory a strip keeps busy: about what a core's share of the last cache holds."""

KEPT_BYTES: Final = 16 * 2**20
"""What a thread may keep for the next layer."""

LEAST_STRIPS: Final = 4
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


def cut(
    task: ConvTask,
    bytes_per_row: float,
    step: int = 1,
    least_rows: int = 1,
    fewest: int = LEAST_STRIPS,
) -> StripGrid:
    """Return strips that stay in cache, and enough of them for several threads.

    Parameters
    ----------
    task : ConvTask
    bytes_per_row : float
        Memory that one output row of one image keeps busy.
    step, least_rows : int
        As in `Kernel`.
    fewest : int
        Strips that there shall be at least, where rows and images allow it.
    """
    rows, batch = task.window.rows.out, task.images
    fitting = max(least_rows, int(STRIP_BYTES / bytes_per_row))
    if fitting >= rows and batch > 1:
        return StripGrid(max(1, min(fitting // rows, batch // fewest)), _up(rows, step))
    needed = -(-rows // fitting)
    count = max(needed, min(_up(needed, -(-fewest // batch)), rows // least_rows))
    highest = _up(-(-rows // count), step)
    if count == 1:
        return StripGrid(1, highest)
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

    @staticmethod
    def of(task: ConvTask, columns: int = 0, rows_only: bool = False) -> Padder:
        """Return the padder of a layer; with `rows_only` it leaves the columns."""
        cols = task.window.cols
        if rows_only:
            cols = Axis(size=cols.size, kernel=1)
        return Padder(task, cols, max(columns, cols.padded))

    def strip(self, source: BatchRows, images: slice, cells: Pair, scratch: Scratch) -> FloatArray:
        """Return padded rows ``[begin, end)``, (images, rows, columns, n_C_prev)."""
        begin, end = cells
        rows = self.task.window.rows
        if self.columns == self.cols.size and rows.begin <= begin and end <= rows.begin + rows.size:
            X = source(images, slice(begin - rows.begin, end - rows.begin))
            if X.dtype == self.task.dtype and X.flags.c_contiguous:
                return X
        shape = (images.stop - images.start, end - begin, self.columns, self.task.n_C_prev)
        strip = scratch.take("strip", shape, self.task.dtype)
        window = Window(rows, self.cols)
        fill_padded(
            strip, lambda a, b: source(images, slice(a, b)), window, self.task.border, begin
        )
        return strip


def fill_padded(
    padded: FloatArray,
    source: Callable[[int, int], FloatArray],
    window: Window,
    border: Border,
    first: int,
) -> None:
    """Fill an array (m, rows, columns, n_C) with the padded rows from `first` on.

    Rows and columns past the padding hold the border's constant. ``source(begin, end)`` gives the
    input rows to copy; a window of any kernel has the pads.
    """
    (mode, constant), rows, cols = border, window.rows, window.cols
    inner = padded[:, :, cols.begin : cols.begin + cols.size]
    last = first + padded.shape[1]
    for begin, end, copied in copied_cells(rows, mode, first, last):
        constants = copied == CONSTANT_CELL
        inner[:, begin:end] = constant if constants else source(copied, copied + end - begin)
    fill_columns(padded, cols, mode, constant)
    if cols.padded < padded.shape[2]:
        padded[:, :, cols.padded :] = constant


def fill_columns(padded: FloatArray, cols: Axis, mode: str, constant: Any) -> None:
    """Fill the pads at the left and right of columns (..., columns, n_C) from those between.

    Examples
    --------
    >>> padded = np.array([0.0, 1.0, 2.0, 0.0]).reshape(4, 1)
    >>> fill_columns(padded, Axis(size=2, kernel=1, begin=1, end=1), "edge", 0.0)
    >>> padded.ravel()
    array([1., 1., 2., 2.])
    """
    after = cols.begin + cols.size
    inner = padded[..., cols.begin : after, :]
    for first, last in ((0, cols.begin), (after, cols.padded)):
        if first == last:
            continue
        if mode == "zeros":
            padded[..., first:last, :] = constant
        elif mode == "edge":
            padded[..., first:last, :] = inner[..., -1:, :] if first else inner[..., :1, :]
        else:
            # Not `take`: of a view it copies all of it first.
            index = border_index(cols.size, cols.begin, cols.end, mode, first, last)
            padded[..., first:last, :] = inner[..., index, :]


def copied_cells(rows: Axis, mode: str, first: int, last: int) -> list[tuple[int, int, int]]:
    """Return the slices of an input that neighbouring padded cells copy: (begin, end, source).

    Padded cells ``[begin, end)``, counted from `first`, copy those from `source` on, or hold the
    constant where that is `CONSTANT_CELL`. Inside the image they are one slice of it; borders add
    short ones. A strip of an image is filled from this list, so only its own rows are ever read.

    Examples
    --------
    >>> copied_cells(Axis(size=9, kernel=1, begin=1, end=1), "zeros", 0, 4)
    [(0, 1, -1), (1, 4, 0)]
    """
    if mode in ("zeros", "edge"):
        # As below, without a look at each cell: layers of networks pad with zeros, filters of
        # images by their edge.
        count = last - first
        after = min(max(rows.begin + rows.size - first, 0), count)
        before = min(max(rows.begin - first, 0), after)
        above, below, padded = [(0, before, CONSTANT_CELL)], list[tuple[int, int, int]](), after
        if mode == "edge":
            padded = min(max(rows.padded - first, 0), count)
            above = [(cell, cell + 1, 0) for cell in range(before)]
            below = [(cell, cell + 1, rows.size - 1) for cell in range(after, padded)]
        inside = (before, after, first + before - rows.begin)
        parts = [*above, inside, *below, (padded, count, CONSTANT_CELL)]
        return [part for part in parts if part[0] < part[1]]
    index = border_index(rows.size, rows.begin, rows.end, mode, first, last)
    constant = index == CONSTANT_CELL
    joined = np.where(constant[:-1], constant[1:], np.diff(index) == 1)
    bounds = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(index)]
    return [(a, b, int(index[a])) for a, b in pairwise(bounds)]


def run_strips(
    action: Callable[[Item, Scratch], None], items: Sequence[Item], jobs: int | None
) -> None:
    """Call ``action(item, scratch)`` for every item as `share_items` does.

    Each thread has one scratch for all its items, and keeps its memory for the next layer: fresh
    memory costs as much as several passes over it. A chain of layers takes one for each that is at
    work at once.
    """

    def work(own: Iterator[Item]) -> None:
        free: list[Scratch] = vars(_thread).setdefault("free", [])
        scratch = free.pop() if free else Scratch()
        try:
            for item in own:
                action(item, scratch)
        finally:
            scratch.release(KEPT_BYTES)
            free.append(scratch)

    share_items(work, items, jobs)
