"""Matrix products: the windows of a strip, gathered side by side, times all filters at once.

The general way, for every stride, dilation and number of groups. Only the windows of one strip are
gathered, so memory does not grow with the image. A 1x1 layer gathers nothing. Where few channels
would mean copying a few numbers at a time, windows are gathered channel by channel instead, whole
rows of pixels at a time.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import FILTER_COPIES, ConvTask, Kernel, Work, product_flops
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Window
from cnncli.system.threads import Scratch

FEW_CHANNELS: Final = 16
"""Below this many neighbouring values, whole rows of pixels are copied instead."""

LEAST_WINDOWS: Final = 72
"""Windows of a strip at least: a product arranges all filters anew.

With 39, 169 windows of 576 cells times 256 filters take 1.2 times as long as in one piece, with 91
1.05 times. A layer of fewer windows is cut by its filters."""

FILTERS_PER_WINDOW: Final = 8
"""Filters that a window of a strip may have at most, or the layer is cut by its filters as well.

256->1024 1x1 on 14x14 takes 1.20 ms of one thread so, and 1.31 in strips of 4 rows."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count the gathered cells, the filters and the products; every layer is possible."""
    taps = W.shape[0] * W.shape[1]
    flops = task.groups * product_flops(task.window_count, taps * W.shape[2], task.multiplier)
    gathered = 0 if _is_pointwise(task.window) else task.window_count * taps * task.n_C_prev
    # Short runs of cells, and results of groups, take longer than whole pixels.
    gathered *= 2 if _takes_planes(W) else 1
    spread = 8 * (task.groups > 1) * task.window_count * task.n_C
    copies = gathered + spread + FILTER_COPIES * W.size
    return Work(copies=copies, flops=flops, calls=8)


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Lay the filters out as the windows will lie."""
    if _is_pointwise(task.window) and task.groups == 1:
        return _over_pixels(W, task, gathers=False)
    return _over_planes(W, task) if _takes_planes(W) else _over_pixels(W, task)


def _takes_planes(W: FloatArray) -> bool:
    """Whether windows are gathered channel by channel."""
    _, k_W, n_C_group, _ = W.shape
    return bool(k_W * n_C_group < FEW_CHANNELS or n_C_group < FEW_CHANNELS // 2)


def _is_pointwise(window: Window) -> bool:
    return window.kernel == (1, 1) and window.rows.stride == window.cols.stride == 1


def _bytes_per_row(task: ConvTask, cells: int) -> float:
    """Memory that an output row of windows with so many cells keeps busy.

    It counts twice, so that a strip fits into a core's own cache: outputs are looked at again when
    the bias is added and for the activation.
    """
    window = task.window
    inputs = window.cols.padded * task.n_C_prev * window.rows.stride
    outputs = window.cols.out * task.n_C
    return 2 * (cells * window.cols.out + inputs + outputs) * task.dtype.itemsize


def _over_pixels(W: FloatArray, task: ConvTask, gathers: bool = True) -> Kernel:
    """Multiply windows that hold the channels of each cell side by side."""
    # (taps * C_in, groups, C_out) -> (groups, taps * C_in, C_out)
    split = W.reshape(-1, task.groups, task.multiplier)
    matrices = np.ascontiguousarray(split.transpose(1, 0, 2))

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        windows = _gather_pixels(X_pad, out, task, scratch) if gathers else X_pad[:, None]
        by_window = windows.reshape(*windows.shape[:2], -1, windows.shape[4])
        _multiply(by_window, matrices, channels, out)

    cells = gathers * W.shape[0] * W.shape[1] * task.n_C_prev
    least = max(LEAST_WINDOWS, task.multiplier // FILTERS_PER_WINDOW)
    return Kernel(
        run,
        _bytes_per_row(task, cells),
        least_rows=-(-least // task.window.cols.out),
        by_channels=task.groups == 1,
    )


def _gather_pixels(
    X_pad: FloatArray, out: FloatArray, task: ConvTask, scratch: Scratch
) -> FloatArray:
    """Gather windows (m, groups, n_H, n_W, taps * C_in): runs of neighbouring channels."""
    cells = sliding_cells(X_pad, task.window, out.shape[1])
    m, n_H, n_W, k_H, k_W, n_C = cells.shape
    shape = (m, task.groups, n_H, n_W, k_H, k_W, n_C // task.groups)
    gathered = scratch.take("windows", shape, X_pad.dtype)
    by_cell = gathered.transpose(0, 2, 3, 4, 5, 1, 6)
    np.copyto(by_cell, cells.reshape(by_cell.shape) if task.groups > 1 else cells[..., None, :])
    return gathered.reshape(m, task.groups, n_H, n_W, -1)


def _over_planes(W: FloatArray, task: ConvTask, bias: FloatArray | None = None) -> Kernel:
    """Multiply windows that are gathered channel by channel, whole rows of pixels at a time.

    A bias is one filter cell more, which meets a 1 in every window: few channels have few cells, so
    that it costs little beside a pass over the output.
    """
    window, groups = task.window, task.groups
    # (C_in * taps, groups, C_out) -> (groups, C_in * taps, C_out)
    split = W.transpose(2, 0, 1, 3).reshape(-1, groups, task.multiplier)
    met = len(split)
    if bias is not None:
        split = np.concatenate([split, bias.reshape(1, groups, -1)])
    matrices = np.ascontiguousarray(split.transpose(1, 0, 2))

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        m, rows, columns, _ = out.shape
        cells = scratch.take("cells", (m, groups, len(split), rows * columns), X_pad.dtype)
        cells[:, :, met:] = 1
        shape = (m, groups, W.shape[2], *window.kernel, rows, columns)
        _gather_planes(X_pad, cells[:, :, :met].reshape(shape), task, scratch)
        _multiply(cells.swapaxes(2, 3), matrices, channels, out)

    return Kernel(
        run,
        _bytes_per_row(task, W.shape[0] * W.shape[1] * task.n_C_prev),
        columns=-(-window.cols.padded // window.cols.stride) * window.cols.stride,
        by_channels=groups == 1,
        with_bias=partial(_over_planes, W, task),
    )


def _gather_planes(
    X_pad: FloatArray, windows: FloatArray, task: ConvTask, scratch: Scratch
) -> None:
    """Fill windows (m, groups, C_in, k_H, k_W, n_H, n_W).

    Columns that neighbouring outputs read come to stand side by side first.
    """
    rows, cols = task.window.rows, task.window.cols
    planes = _split_columns(X_pad, task, scratch)
    s_m, s_g, s_n, s_r, s_p, s_c = planes.strides
    down, across = s_r * rows.dilation, s_c * cols.dilation
    strides = s_m, s_g, s_n, down, across, s_r * rows.stride, s_c
    for tap in range(min(cols.stride, cols.kernel)):
        shift, phase = divmod(tap * cols.dilation, cols.stride)
        part = windows[:, :, :, :, tap :: cols.stride]
        offset = phase * s_p + shift * s_c
        np.copyto(part, np.ndarray(part.shape, planes.dtype, planes, offset, strides))


def _split_columns(X_pad: FloatArray, task: ConvTask, scratch: Scratch) -> FloatArray:
    """Return planes (m, groups, C_in, rows, stride, columns / stride) of a strip's channels."""
    m, n_H, n_W, n_C = X_pad.shape
    groups, stride = task.groups, task.window.cols.stride
    pixels = X_pad.reshape(m, n_H, n_W // stride, stride, groups, n_C // groups)
    ordered = pixels.transpose(0, 4, 5, 1, 3, 2)
    planes = scratch.take("planes", ordered.shape, X_pad.dtype)
    np.copyto(planes, ordered)
    return planes


def sliding_cells(X_pad: FloatArray, window: Window, out_rows: int) -> FloatArray:
    """View a strip's windows, (m, n_H, n_W, k_H, k_W, n_C), without copying.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> sliding_cells(np.ones((1, 4, 5, 2)), place_window((4, 5), 3), 2).shape
    (1, 2, 3, 3, 3, 2)
    """
    rows, cols = window.rows, window.cols
    m, _, _, n_C = X_pad.shape
    s_m, s_r, s_c, s_n = X_pad.strides
    shape = (m, out_rows, cols.out, rows.kernel, cols.kernel, n_C)
    steps = s_r * rows.stride, s_c * cols.stride, s_r * rows.dilation, s_c * cols.dilation
    return np.ndarray(shape, X_pad.dtype, X_pad, 0, (s_m, *steps, s_n))


def _multiply(windows: FloatArray, matrices: FloatArray, channels: slice, out: FloatArray) -> None:
    """Multiply each group's windows by some of its filters.

    Parameters
    ----------
    windows : ndarray, shape (m, groups, n_H * n_W, inner)
    matrices : ndarray, shape (groups, inner, n_C / groups)
    channels : slice
        Which filters; all of them where there are several groups.
    out : ndarray, shape (m, n_H, n_W, channels)
    """
    m, groups, cells, _ = windows.shape
    target = out.reshape(m, cells, groups, -1).swapaxes(1, 2)
    np.matmul(windows, matrices[:, :, channels], out=target)
