"""Combines the cells of every window by a maximum, a minimum or a sum, one axis after the other.

Rows of pixels first, because whole rows are one long axis, then columns of what is left. Running
sums would be quicker for long windows, but their differences lose digits. Nothing is padded: each
tap of the window is combined into the outputs for which it meets the input, and only those.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import ConvTask
from cnncli.core.geometry import Axis, Window
from cnncli.core.strips import Strip, cut, run_strips
from cnncli.system.threads import Scratch

Values = NDArray[Any]

FinishStrip = Callable[[Values, int], None]
"""``finish(strip, first)``: change output rows (m, rows, n_W, n_C) from `first` on in place."""

STRIPS_FROM: Final = 500_000
"""Input values from which strips that stay in cache save more than they cost."""

STRIPS_THINNER_BY: Final = 4
"""How much thinner strips are than a convolution's: rows and output stay in a core's own cache.
An average of 64 channels on 224x224 takes a core 0.98 ms so, and 1.07 in strips half as high; in
higher ones a CPU with a smaller shared cache took a fifth longer."""

THREADS_FROM_VALUES: Final = 1_000_000
"""Input values below which threads cost more than they save: about a quarter of a millisecond."""

FEW_CHANNELS: Final = 4
"""Up to so many channels are combined one by one where columns are no neighbours: an inner loop
over the channels of one column takes longer to begin than to run."""


def reduce_windows(
    A: Values, window: Window, combine: np.ufunc, fill: float, finish: FinishStrip | None = None
) -> Values:
    """Combine the cells of every window, channel by channel.

    Parameters
    ----------
    A : ndarray, shape (m, n_H_prev, n_W_prev, n_C)
        Numbers of any kind.
    window : Window
        Where the windows stand.
    combine : ufunc
        `numpy.maximum`, `numpy.minimum` or `numpy.add`.
    fill : float
        What pads hold: it must not change what it is combined with.
    finish : callable, optional
        Called with every strip of the output while it is in cache.

    Returns
    -------
    ndarray, shape (m, n_H, n_W, n_C), of A's dtype

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> A = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    >>> reduce_windows(A, place_window((3, 3), 2), np.maximum, 0)[0, :, :, 0]
    array([[4, 5],
           [7, 8]], dtype=uint8)
    """
    m, n_H_prev, n_W_prev, n_C = A.shape
    if not A[:1, :1].flags.c_contiguous:
        A = np.ascontiguousarray(A)
    lines = A.reshape(m, n_H_prev, -1)
    reduced = np.empty((m, *window.out, n_C), A.dtype)

    def reduce_cells(cells: Values, first: int, rows: Values, out: Values) -> None:
        reduce_axis(cells, 1, window.rows, combine, fill, rows, first)
        _reduce_columns(rows, window.cols, combine, fill, out)
        if finish is not None:
            finish(out, first)

    if A.size < STRIPS_FROM:
        with np.errstate(all="ignore"):
            reduce_cells(lines, 0, np.empty((m, window.rows.out, lines.shape[2]), A.dtype), reduced)
        return reduced

    def reduce_strip(strip: Strip, scratch: Scratch) -> None:
        out = reduced[strip.images, strip.first : strip.last]
        rows = scratch.take("rows", (*out.shape[:2], lines.shape[2]), A.dtype)
        reduce_cells(lines[strip.images], strip.first, rows, out)

    # Input rows are read as they come; what is read again should stay in cache.
    task = ConvTask(window, n_C, m, n_C, n_C, A.dtype)
    grid = cut(task, STRIPS_THINNER_BY * n_W_prev * n_C * A.itemsize)
    strips = grid.strips(m, window.rows.out, 0, window.rows.out)
    run_strips(reduce_strip, strips, None if A.size >= THREADS_FROM_VALUES else 1)
    return reduced


def _reduce_columns(rows: Values, axis: Axis, combine: np.ufunc, fill: float, out: Values) -> None:
    """Combine along the columns of rows (m, n_H, columns * n_C) into (m, n_H, n_W, n_C)."""
    m, n_H, _, n_C = out.shape
    columns = rows.reshape(m, n_H, -1, n_C)
    if axis.stride == 1 and axis.out > 1:
        reduce_axis(rows, 2, _interleaved(axis, n_C), combine, fill, out.reshape(m, n_H, -1))
    elif n_C <= FEW_CHANNELS:
        for channel in range(n_C):
            one = columns[..., channel]
            reduce_axis(one, 2, axis, combine, fill, out[..., channel])
    else:
        reduce_axis(columns, 2, axis, combine, fill, out)


def reduce_axis(
    values: Values,
    dimension: int,
    axis: Axis,
    combine: np.ufunc,
    fill: float,
    out: Values,
    first: int = 0,
) -> None:
    """Combine the taps along one dimension into `out`.

    Parameters
    ----------
    values : ndarray
        Cells without pads.
    dimension : int
        Which one; along 1, the rows, taps are combined in order.
    axis : Axis
        Taps, stride, dilation and pads along it.
    combine : ufunc
    fill : float
        The result where no tap meets a cell.
    out : ndarray
        Shaped as `values`, but for the outputs along `dimension`.
    first : int
        The number of the first output.

    Examples
    --------
    >>> out = np.empty(5)
    >>> axis = Axis(size=5, kernel=3, begin=1, end=1)
    >>> reduce_axis(np.arange(5.0), 0, axis, np.add, 0.0, out)
    >>> out
    array([1., 3., 6., 9., 7.])
    """
    lead = (slice(None),) * dimension
    outputs = out.shape[dimension]
    everything = axis.kernel == axis.padded == axis.size and axis.dilation == 1
    if outputs == 1 and everything and not (dimension == 1 and values.shape[2] == 1):
        # Row by row, as below: a strip of one output must give the bytes that the whole gives.
        # Of lone values numpy would sum pairs.
        combine.reduce(values, axis=dimension, out=out, keepdims=True)
        return
    taps = _met_taps(axis, dimension == 1, first, outputs)
    whole = slice(0, outputs)
    if len(taps) > 1 and taps[0][0] == whole == taps[1][0]:
        (_, one), (_, other), *taps = taps
        combine(values[(*lead, one)], values[(*lead, other)], out=out)
    elif taps and taps[0][0] == whole:
        (_, cells), *taps = taps
        np.copyto(out, values[(*lead, cells)])
    else:
        out.fill(fill)
    for met, cells in taps:
        part = out[(*lead, met)]
        combine(part, values[(*lead, cells)], out=part)


@lru_cache(maxsize=1024)
def _interleaved(axis: Axis, channels: int) -> Axis:
    """Return the axis of stride 1 that a row is with its channels side by side."""
    size, begin, end = (cells * channels for cells in (axis.size, axis.begin, axis.end))
    return Axis(size, axis.kernel, 1, axis.dilation * channels, begin, end, axis.ceil)


@lru_cache(maxsize=64)
def _met_taps(axis: Axis, in_order: bool, first: int, outputs: int) -> list[tuple[slice, slice]]:
    """Return for each tap that meets a cell the outputs for which it does, and their cells.

    Kept, with the axes: strips ask for the same ones, and a pool of 14x14x64 takes 20 us, not 31.
    """
    order = range(axis.kernel) if in_order else _from_the_middle(axis.kernel)
    taps = [_met(axis, tap, first, outputs) for tap in order]
    return [(met, cells) for met, cells in taps if met.start < met.stop]


def _from_the_middle(taps: int) -> list[int]:
    """Return taps in an order in which the first meet a cell in every window, where any do.

    Then no copy is needed to begin with. Columns may take it, for strips have all of them.
    """
    return sorted(range(taps), key=lambda tap: abs(2 * tap - taps))


def _met(axis: Axis, tap: int, first: int, outputs: int) -> tuple[slice, slice]:
    """Return which of some outputs meet an input cell under a tap, and those cells."""
    offset = first * axis.stride + tap * axis.dilation - axis.begin
    begin = max(0, -(offset // axis.stride))
    end = min(outputs, (axis.size - 1 - offset) // axis.stride + 1)
    if begin >= end:
        return slice(0, 0), slice(0, 0)
    start = offset + begin * axis.stride
    return slice(begin, end), slice(start, offset + (end - 1) * axis.stride + 1, axis.stride)
