"""Matrix products: the windows of a strip, gathered side by side, times all filters at once.

The general way, for every stride, dilation and number of groups. Only the windows of one strip are
gathered, so memory does not grow with the image. A 1x1 layer gathers nothing. Where few channels
would mean copying a few numbers at a time, windows are gathered channel by channel instead, whole
rows of pixels at a time.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.core.algorithms.base import FloatArray, Kernel, Scratch, Task, Work, product_flops
from cnncli.core.geometry import Window

FEW_CHANNELS: Final = 16
"""Below this many neighbouring values, whole rows of pixels are copied instead."""


def work(W: FloatArray, task: Task) -> Work | None:
    """Count the gathered cells and the products; every layer is possible."""
    taps = W.shape[0] * W.shape[1]
    inner = taps * W.shape[2]
    pointwise = _is_pointwise(task.window)
    flops = task.groups * product_flops(task.places, inner, task.multiplier)
    spread = (task.groups > 1) * task.places * task.n_C
    gathered = 0 if pointwise else task.places * taps * task.n_C_prev
    return Work(copies=gathered + spread, flops=flops)


def prepare(W: FloatArray, task: Task) -> Kernel:
    """Lay the filters out as the windows will lie."""
    window, groups = task.window, task.groups
    n_C_group = W.shape[2]
    by_channel = window.cols.kernel * n_C_group < FEW_CHANNELS or n_C_group < FEW_CHANNELS // 2
    order = (2, 0, 1) if by_channel else (0, 1, 2)
    # (taps, C_in, groups, C_out) -> (groups, taps * C_in, C_out)
    split = W.transpose(*order, 3).reshape(-1, groups, task.multiplier)
    matrices = np.ascontiguousarray(split.transpose(1, 0, 2))
    pointwise = _is_pointwise(window) and groups == 1

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        if pointwise:
            windows = X_pad.reshape(1, -1, n_C_group)
        elif by_channel:
            windows = _gather_planes(X_pad, out, window, groups, scratch)
        else:
            windows = _gather_pixels(X_pad, out, window, groups, scratch)
        _multiply(windows, matrices[:, :, channels], out, scratch)

    cells = 0 if pointwise else W.shape[0] * W.shape[1] * window.cols.out * task.n_C_prev
    row = cells + window.cols.padded * task.n_C_prev * window.rows.stride
    row += window.cols.out * task.n_C
    return Kernel(run, row * task.dtype.itemsize, by_channels=groups == 1)


def _is_pointwise(window: Window) -> bool:
    return window.kernel == (1, 1) and window.rows.stride == window.cols.stride == 1


def _gather_pixels(
    X_pad: FloatArray, out: FloatArray, window: Window, groups: int, scratch: Scratch
) -> FloatArray:
    """Gather windows as (groups, places, taps * C_in): runs of neighbouring channels."""
    cells = sliding_cells(X_pad, window, out.shape[1])
    m, rows, columns, k_H, k_W, n_C = cells.shape
    shape = (groups, m, rows, columns, k_H, k_W, n_C // groups)
    gathered = scratch.take("windows", shape, X_pad.dtype)
    np.copyto(gathered, np.moveaxis(cells.reshape(*cells.shape[:5], groups, -1), 5, 0))
    return gathered.reshape(groups, m * rows * columns, -1)


def _gather_planes(
    X_pad: FloatArray, out: FloatArray, window: Window, groups: int, scratch: Scratch
) -> FloatArray:
    """Gather windows as (groups, C_in * taps, places) and return that transposed."""
    m, rows, columns, n_C = X_pad.shape
    planes = scratch.take("planes", (n_C, m, rows, columns), X_pad.dtype)
    np.copyto(planes, X_pad.transpose(3, 0, 1, 2))
    cells = sliding_cells(planes.transpose(1, 2, 3, 0), window, out.shape[1])
    ordered = cells.transpose(5, 3, 4, 0, 1, 2)
    gathered = scratch.take("windows", ordered.shape, X_pad.dtype)
    np.copyto(gathered, ordered)
    places = out.shape[0] * out.shape[1] * out.shape[2]
    return gathered.reshape(groups, -1, places).swapaxes(1, 2)


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
    return np.lib.stride_tricks.as_strided(
        X_pad,
        (m, out_rows, cols.out, rows.kernel, cols.kernel, n_C),
        (s_m, s_r * rows.stride, s_c * cols.stride, s_r * rows.dilation, s_c * cols.dilation, s_n),
        writeable=False,
    )


def _multiply(windows: FloatArray, matrices: FloatArray, out: FloatArray, scratch: Scratch) -> None:
    """Multiply each group's windows (groups, places, inner) by its filters into `out`."""
    groups, places, _ = windows.shape
    if groups == 1 and out.flags.c_contiguous:
        np.matmul(windows[0], matrices[0], out=out.reshape(places, -1))
        return
    products = scratch.take("products", (groups, places, matrices.shape[2]), out.dtype)
    np.matmul(windows, matrices, out=products)
    by_group = products.reshape(groups, *out.shape[:3], -1)
    np.copyto(out.reshape(*out.shape[:3], groups, -1), np.moveaxis(by_group, 0, 3))
