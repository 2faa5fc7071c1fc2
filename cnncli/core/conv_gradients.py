"""Gradients of a convolution, by the machinery of the forward pass.

The gradient of the input is itself a convolution: the output's gradient, slid over by the filters
turned round with input and output channels exchanged. At stride s every s-th padded cell is met by
every s-th tap, so there are s x s such convolutions, each with its share of the taps. The gradient
of the filters is a product of the gathered windows with the output's gradient, strip by strip.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import gcd
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import ConvTask
from cnncli.core.algorithms.matmul import sliding_cells
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import Border
from cnncli.core.engine import prepare_convolution
from cnncli.core.geometry import Axis, Window
from cnncli.core.padding import pad_borders_backward
from cnncli.core.strips import STRIP_BYTES, Padder, StripGrid, run_strips
from cnncli.system.threads import Scratch

BLOCK_CHANNELS: Final = 32
"""Input channels of a block of filters that one thread owns, and at most `MOST_BLOCKS` blocks."""

MOST_BLOCKS: Final = 4


def gradients(
    dZ: FloatArray, X: FloatArray, W: FloatArray, window: Window, groups: int, border: Border
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients of a convolution's input, filters and biases.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    X : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
        The unpadded input.
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters, all three of one dtype.
    window, groups, border
        As in `prepare_convolution`.

    Returns
    -------
    dX, dW : ndarray
        Shaped as X and W.
    db : ndarray, shape (n_C,)

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> dZ, window = np.ones((1, 2, 2, 1)), place_window((3, 3), 2)
    >>> dX, dW, db = gradients(
    ...     dZ, np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), window, 1, ("zeros", 0.0)
    ... )
    >>> dX[0, :, :, 0], float(dW[0, 0, 0, 0]), db
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), 4.0, array([4.]))
    """
    dX_pad = input_gradient(dZ, W, window, groups)
    dX = pad_borders_backward(dX_pad, window.pads, border[0])
    return dX, filter_gradient(dZ, X, window, groups, border), dZ.sum(axis=(0, 1, 2))


def input_gradient(dZ: FloatArray, W: FloatArray, window: Window, groups: int) -> FloatArray:
    """Return the gradient of the padded input.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters of the same dtype.
    window, groups
        As in `prepare_convolution`.

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
    if rows.stride == cols.stride == 1:
        return _phase(dZ, turned, window, (0, 0), groups)
    dX_pad = np.zeros((len(dZ), rows.padded, cols.padded, W.shape[2] * groups), dZ.dtype)
    for i in range(rows.stride):
        for j in range(cols.stride):
            cells = dX_pad[:, i :: rows.stride, j :: cols.stride]
            cells[...] = _phase(dZ, turned, window, (i, j), groups)
    return dX_pad


def _phase(
    dZ: FloatArray, turned: FloatArray, window: Window, phase: tuple[int, int], groups: int
) -> FloatArray:
    """Gradient of every stride-th padded cell from a phase on; zeros (1, 1, 1, 1) where none."""
    down, across = gradient_axis(window.rows, phase[0]), gradient_axis(window.cols, phase[1])
    if down is None or across is None:
        return np.zeros((1, 1, 1, 1), dZ.dtype)
    (row_taps, rows), (col_taps, cols) = down, across
    taps = turned[row_taps, col_taps][::-1, ::-1]
    return prepare_convolution(taps, Window(rows, cols), groups, images=len(dZ))(dZ)


def _exchange_channels(W: FloatArray, groups: int) -> FloatArray:
    """(k_H, k_W, C_in, groups * C_out) as (k_H, k_W, C_out, groups * C_in)."""
    k_H, k_W, n_C_prev, _ = W.shape
    split = W.reshape(k_H, k_W, n_C_prev, groups, -1)
    return split.transpose(0, 1, 4, 3, 2).reshape(k_H, k_W, -1, groups * n_C_prev)


def filter_gradient(
    dZ: FloatArray, X: FloatArray, window: Window, groups: int, border: Border
) -> FloatArray:
    """Return the gradient of the filters.

    Each thread owns parts of the filters and walks over all strips in their order, so the sums are
    the same for any number of threads.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    X : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
        The unpadded input.
    window, groups, border
        As in `prepare_convolution`.

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
    n_C_prev = X.shape[3]
    task = ConvTask(window, groups, m, n_C_prev, n_C, dZ.dtype, border)
    parts = _parts(task)
    taps, channels = parts[0]
    cells = (taps.stop - taps.start) * window.cols.kernel * (channels.stop - channels.start)
    rows = max(1, STRIP_BYTES // (n_W * (cells + n_C) * dZ.dtype.itemsize))
    # Small images go together: one by one, the calls around the products would cost more than they.
    grid = StripGrid(max(1, rows // window.rows.out), rows)
    strips = grid.strips(m, window.rows.out, 0, window.rows.out)
    dW = np.zeros((*window.kernel, groups, n_C_prev // groups, n_C // groups), dZ.dtype)

    def add_part(part: tuple[slice, slice], scratch: Scratch) -> None:
        taps, channels = part
        own = replace(task, n_C_prev=channels.stop - channels.start)
        padder = Padder.of(own)
        inner = channels if groups == 1 else slice(None)
        for strip in strips:
            cells = window.rows.cells(strip.first, strip.last)
            X_pad = padder.strip(
                lambda images, rows: X[images, rows, :, channels], strip.images, cells, scratch
            )
            dZ_part = dZ[strip.images, strip.first : strip.last]
            dW[taps, :, :, inner] += _taps_gradient(X_pad, dZ_part, own, taps, scratch)

    run_strips(add_part, parts, None)
    return dW.transpose(0, 1, 3, 2, 4).reshape(*window.kernel, n_C_prev // groups, n_C)


def _parts(task: ConvTask) -> list[tuple[slice, slice]]:
    """Rows of filters and input channels that a thread owns: few channels are not parted."""
    rows = task.window.rows.kernel
    count = min(task.n_C_prev // BLOCK_CHANNELS, MOST_BLOCKS) if task.groups == 1 else 1
    if count < 2:
        return [(slice(i, i + 1), slice(0, task.n_C_prev)) for i in range(rows)]
    edges = [task.n_C_prev * number // count for number in range(count + 1)]
    return [(slice(0, rows), slice(begin, end)) for begin, end in pairwise(edges)]


def _taps_gradient(
    X_pad: FloatArray, dZ: FloatArray, task: ConvTask, taps: slice, scratch: Scratch
) -> FloatArray:
    """One strip's share for rows of the filters, (rows, k_W, groups, C_in, C_out)."""
    groups = task.groups
    cells = sliding_cells(X_pad, task.window, dZ.shape[1])[:, :, :, taps]
    by_group = np.moveaxis(cells.reshape(*cells.shape[:5], groups, -1), 5, 0)
    windows = scratch.take("windows", by_group.shape, X_pad.dtype)
    np.copyto(windows, by_group)
    gradients = np.moveaxis(dZ.reshape(*dZ.shape[:3], groups, -1), 3, 0)
    gradients = gradients.reshape(groups, -1, gradients.shape[4])
    places = gradients.shape[1]
    products = windows.reshape(groups, places, -1).swapaxes(1, 2) @ gradients
    by_tap = products.reshape(groups, *cells.shape[3:5], -1, products.shape[2])
    return np.moveaxis(by_tap, 0, 2)


def gradient_axis(axis: Axis, phase: int) -> tuple[slice, Axis] | None:
    """Return how padded cells ``phase, phase + stride, ...`` get their gradient: taps and axis.

    The gradient of the output slides along the axis at stride 1, under those taps in reverse order.
    Padded cell ``o*s + i*d`` is met by tap i of output o. Of the taps only those with ``i*d % s``
    equal to the phase meet such a cell; counted in strides, they stand at one distance from each
    other. None if there is no such tap: then the gradient is 0.

    Examples
    --------
    >>> taps, axis = gradient_axis(Axis(size=5, kernel=3, stride=2), phase=1)
    >>> taps, axis.size, axis.kernel
    (slice(1, None, 2), 2, 1)
    """
    common = gcd(axis.dilation, axis.stride)
    every, spacing = axis.stride // common, axis.dilation // common
    first = next((i for i in range(every) if i * axis.dilation % axis.stride == phase), axis.kernel)
    if first >= axis.kernel:
        return None
    taps = len(range(first, axis.kernel, every))
    shift = first * axis.dilation // axis.stride
    cells = -(-(axis.padded - phase) // axis.stride)
    sliding = Axis(
        size=axis.out,
        kernel=taps,
        dilation=spacing,
        begin=shift + (taps - 1) * spacing,
        end=cells - axis.out - shift,
    )
    return slice(first, None, every), sliding
