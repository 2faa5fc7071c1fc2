"""Gradients of a convolution, by the machinery of the forward pass.

The gradient of the input is itself a convolution: the output's gradient, slid over by the filters
turned round with input and output channels exchanged. At stride s every s-th padded cell is met by
every s-th tap, so there are s x s such convolutions, each with its share of the taps. The gradient
of the filters is a product of the gathered windows with the output's gradient, strip by strip.
"""

from __future__ import annotations

import numpy as np

from cnncli.core.algorithms.base import FloatArray, Scratch, Task
from cnncli.core.algorithms.matmul import sliding_cells
from cnncli.core.engine import correlate
from cnncli.core.geometry import Window, gradient_axis
from cnncli.core.strips import STRIP_BYTES, Border, Grid, Padder, run_all


def input_gradient(
    dZ: FloatArray, W: FloatArray, window: Window, groups: int, jobs: int | None = None
) -> FloatArray:
    """Return the gradient of the padded input.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters of the same dtype.
    window, groups, jobs
        As in `correlate`.

    Returns
    -------
    ndarray, shape (m, padded rows, padded columns, n_C_prev)

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> window = place_window((3, 3), 2)
    >>> input_gradient(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)), window, 1)[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    rows, cols = window.rows, window.cols
    turned = _exchange_channels(W, groups)
    dX_pad = np.zeros((len(dZ), rows.padded, cols.padded, W.shape[2] * groups), dZ.dtype)
    for i in range(rows.stride):
        for j in range(cols.stride):
            down, across = gradient_axis(rows, i), gradient_axis(cols, j)
            if down is None or across is None:
                continue
            taps = turned[down.taps, across.taps][::-1, ::-1]
            sliding = Window(down.axis, across.axis)
            dX_pad[:, i :: rows.stride, j :: cols.stride] = correlate(
                dZ, taps, sliding, groups, jobs=jobs
            )
    return dX_pad


def _exchange_channels(W: FloatArray, groups: int) -> FloatArray:
    """(k_H, k_W, C_in, groups * C_out) as (k_H, k_W, C_out, groups * C_in)."""
    k_H, k_W, n_C_prev, _ = W.shape
    split = W.reshape(k_H, k_W, n_C_prev, groups, -1)
    return split.transpose(0, 1, 4, 3, 2).reshape(k_H, k_W, -1, groups * n_C_prev)


def filter_gradient(
    dZ: FloatArray,
    X: FloatArray,
    window: Window,
    groups: int,
    border: Border,
    jobs: int | None = None,
) -> FloatArray:
    """Return the gradient of the filters.

    Each thread owns rows of the filters and walks over all strips in their order, so the sums are
    the same for any number of threads.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    X : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
        The unpadded input.
    window, groups, border, jobs
        As in `correlate`.

    Returns
    -------
    ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> X, window = np.arange(9.0).reshape(1, 3, 3, 1), place_window((3, 3), 2)
    >>> filter_gradient(np.ones((1, 2, 2, 1)), X, window, 1, ("zeros", 0.0))[:, :, 0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    m, _, n_W, n_C = dZ.shape
    task = Task(window, groups, m, X.shape[3], n_C, dZ.dtype)
    per_row = n_W * (window.cols.kernel * X.shape[3] + n_C) * dZ.dtype.itemsize
    rows = max(1, STRIP_BYTES // per_row)
    # Small images go together: one by one, the calls around the products would cost more than they.
    grid = Grid(max(1, rows // window.rows.out), rows)
    padder = Padder.of(task, border, 0)
    dW = np.zeros((*window.kernel, groups, X.shape[3] // groups, n_C // groups), dZ.dtype)

    def add_row(i: int, scratch: Scratch) -> None:
        for strip in grid.strips(m, window.rows.out, 0, window.rows.out):
            begin, end = window.rows.cells(strip.first, strip.last)
            below = (begin + i * window.rows.dilation, end)
            X_pad = padder.strip(lambda images, rows: X[images, rows], strip.images, below, scratch)
            part = dZ[strip.images, strip.first : strip.last]
            dW[i] += _row_gradient(X_pad, part, window, groups)

    run_all(add_row, range(window.rows.kernel), jobs)
    return dW.transpose(0, 1, 3, 2, 4).reshape(*window.kernel, X.shape[3] // groups, n_C)


def _row_gradient(X_pad: FloatArray, dZ: FloatArray, window: Window, groups: int) -> FloatArray:
    """One strip's share for one row of the filters, (k_W, groups, C_in, C_out)."""
    one_row = Window(window.rows.single_tap(), window.cols)
    cells = sliding_cells(X_pad, one_row, dZ.shape[1])[:, :, :, 0]
    split = np.moveaxis(cells.reshape(*cells.shape[:4], groups, -1), (4, 3), (0, 1))
    windows = split.reshape(groups, window.cols.kernel, -1, split.shape[5])
    gradients = np.moveaxis(dZ.reshape(*dZ.shape[:3], groups, -1), 3, 0)
    gradients = gradients.reshape(groups, 1, -1, gradients.shape[4])
    return (windows.swapaxes(2, 3) @ gradients).swapaxes(0, 1)
