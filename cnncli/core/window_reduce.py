"""Combines the cells of every window by a maximum, a minimum or a sum, one axis after the other.

Rows of pixels first, because whole rows are one long axis, then columns of what is left. Running
sums would be quicker for long windows, but their differences lose digits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import ConvTask
from cnncli.core.geometry import Axis, Window
from cnncli.core.strips import Padder, Strip, cut, run_strips
from cnncli.system.threads import Scratch

Values = NDArray[Any]

THREADS_FROM: Final = 1_000_000
"""Input values below which threads cost more than they save: about a quarter of a millisecond."""


def reduce_windows(A: Values, window: Window, combine: np.ufunc, fill: float) -> Values:
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
        What pads hold.

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
    m, _, _, n_C = A.shape
    task = ConvTask(window, n_C, m, n_C, n_C, A.dtype, ("zeros", fill))
    padder = Padder.of(task, window.cols.reach(window.cols.out))
    folded = np.empty((m, *window.out, n_C), A.dtype)
    # Input rows are read as they come; what is read again should stay in cache.
    grid = cut(task, padder.columns * n_C * A.itemsize)

    def fold(strip: Strip, scratch: Scratch) -> None:
        cells = window.rows.cells(strip.first, strip.last)
        X_pad = padder.strip(lambda images, rows: A[images, rows], strip.images, cells, scratch)
        out = folded[strip.images, strip.first : strip.last]
        lines = X_pad.reshape(*X_pad.shape[:2], -1)
        shape = (len(out), out.shape[1], lines.shape[2])
        rows = scratch.take("rows", shape, A.dtype)
        reduce_axis(lines, 1, window.rows, combine, rows)
        _reduce_columns(rows, window.cols, combine, out)

    strips = grid.strips(m, window.rows.out, 0, window.rows.out)
    run_strips(fold, strips, None if A.size >= THREADS_FROM else 1)
    return folded


def _reduce_columns(rows: Values, axis: Axis, combine: np.ufunc, out: Values) -> None:
    """Combine along the columns of rows (m, n_H, columns * n_C) into (m, n_H, n_W, n_C)."""
    m, n_H, _, n_C = out.shape
    if axis.stride == 1:
        long = replace(axis, dilation=axis.dilation * n_C)
        reduce_axis(rows, 2, long, combine, out.reshape(m, n_H, -1))
        return
    reduce_axis(rows.reshape(m, n_H, -1, n_C), 2, axis, combine, out)


def reduce_axis(values: Values, dimension: int, axis: Axis, combine: np.ufunc, out: Values) -> None:
    """Combine the taps along one dimension into `out`.

    Parameters
    ----------
    values : ndarray
        Padded cells.
    dimension : int
        Which one.
    axis : Axis
        Taps, stride and dilation along it.
    combine : ufunc
    out : ndarray
        Shaped as `values`, but for the outputs along `dimension`.

    Examples
    --------
    >>> out = np.empty(3)
    >>> reduce_axis(np.arange(5.0), 0, Axis(size=5, kernel=3), np.add, out)
    >>> out
    array([3., 6., 9.])
    """
    lead = (slice(None),) * dimension
    outputs = out.shape[dimension]
    first = values[(*lead, axis.tap(0, outputs))]
    if axis.kernel == 1:
        np.copyto(out, first)
        return
    combine(first, values[(*lead, axis.tap(1, outputs))], out=out)
    for index in range(2, axis.kernel):
        combine(out, values[(*lead, axis.tap(index, outputs))], out=out)
