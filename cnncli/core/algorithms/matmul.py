"""Matrix products: the windows of a strip, gathered side by side, times all filters at once.

The general way, for every stride, dilation and number of groups. Only the windows of one strip are
gathered, so memory does not grow with the image. A 1x1 layer gathers nothing. Where few channels
would mean copying a few numbers at a time, windows are gathered channel by channel instead, whole
rows of pixels at a time. Where the BLAS multiplies small matrices without packing them, every
output row is a product of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import ConvTask, Kernel, Scratch, Work, product_flops
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Window
from cnncli.system import blas

FEW_CHANNELS: Final = 16
"""Below this many neighbouring values, whole rows of pixels are copied instead."""

LEAST_COLUMNS: Final = 14
"""Output columns from which products of single rows beat one of all rows."""

Gather = Callable[[FloatArray, FloatArray, ConvTask, Scratch], FloatArray]
"""``gather(X_pad, out, task, scratch)``: windows (m, groups, n_H, n_W, cells)."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count the gathered cells and the products; every layer is possible."""
    taps = W.shape[0] * W.shape[1]
    inner = taps * W.shape[2]
    pointwise = _is_pointwise(task.window)
    flops = task.groups * product_flops(task.places, inner, task.multiplier)
    spread = (task.groups > 1) * task.places * task.n_C
    gathered = 0 if pointwise else task.places * taps * task.n_C_prev
    return Work(copies=gathered + spread, flops=flops)


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Lay the filters out as the windows will lie."""
    window, n_C_group = task.window, W.shape[2]
    if _is_pointwise(window) and task.groups == 1:
        return _over_pixels(W, task, _pixels_as_they_lie)
    if window.cols.kernel * n_C_group < FEW_CHANNELS or n_C_group < FEW_CHANNELS // 2:
        return _over_planes(W, task)
    return _over_pixels(W, task, _gather_pixels)


def _is_pointwise(window: Window) -> bool:
    return window.kernel == (1, 1) and window.rows.stride == window.cols.stride == 1


def _bytes_per_row(task: ConvTask, cells: int) -> float:
    """Memory that an output row of windows with so many cells keeps busy.

    The outputs are not counted: they are written once and not looked at again.
    """
    window = task.window
    inputs = window.cols.padded * task.n_C_prev * window.rows.stride
    return (cells * window.cols.out + inputs) * task.dtype.itemsize


def _over_pixels(W: FloatArray, task: ConvTask, gather: Gather) -> Kernel:
    """Multiply windows that hold the channels of each cell side by side."""
    # (taps * C_in, groups, C_out) -> (groups, taps * C_in, C_out)
    split = W.reshape(-1, task.groups, task.multiplier)
    matrices = np.ascontiguousarray(split.transpose(1, 0, 2))

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        chosen = matrices[:, :, channels]
        windows = gather(X_pad, out, task, scratch)
        m, groups, rows, columns, _ = windows.shape
        if not _takes_rows(columns, chosen):
            rows, columns = 1, rows * columns
        _multiply(
            windows.reshape(m, groups, rows, columns, -1),
            chosen,
            out.reshape(m, rows, columns, groups, -1).transpose(0, 3, 1, 2, 4),
        )

    cells = 0 if gather is _pixels_as_they_lie else W.shape[0] * W.shape[1] * task.n_C_prev
    return Kernel(run, _bytes_per_row(task, cells), by_channels=int(task.groups == 1))


def _pixels_as_they_lie(
    X_pad: FloatArray, out: FloatArray, task: ConvTask, scratch: Scratch
) -> FloatArray:
    return X_pad[:, None]


def _gather_pixels(
    X_pad: FloatArray, out: FloatArray, task: ConvTask, scratch: Scratch
) -> FloatArray:
    """Gather windows (m, groups, n_H, n_W, taps * C_in): runs of neighbouring channels."""
    cells = sliding_cells(X_pad, task.window, out.shape[1])
    by_group = np.moveaxis(cells.reshape(*cells.shape[:5], task.groups, -1), 5, 1)
    gathered = scratch.take("windows", by_group.shape, X_pad.dtype)
    np.copyto(gathered, by_group)
    return gathered.reshape(*by_group.shape[:4], -1)


def _over_planes(W: FloatArray, task: ConvTask, bias: FloatArray | None = None) -> Kernel:
    """Multiply windows that are gathered channel by channel, whole rows of pixels at a time.

    A bias is one more cell of every window, which holds 1.
    """
    window, groups = task.window, task.groups
    # (C_in * taps, groups, C_out) -> (groups, C_in * taps, C_out)
    split = W.transpose(2, 0, 1, 3).reshape(-1, groups, task.multiplier).transpose(1, 0, 2)
    extra = [] if bias is None else [bias.reshape(groups, 1, -1)]
    matrices = np.concatenate([split, *extra], axis=1)

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        chosen = matrices[:, :, channels]
        m, rows, columns, _ = out.shape
        together = 1 if _takes_rows(columns, chosen) else rows
        shape = (m, groups, rows // together, matrices.shape[1], together * columns)
        windows = scratch.take("windows", shape, X_pad.dtype)
        taps = W[..., 0].size
        _gather_planes(X_pad, windows[:, :, :, :taps], task, columns, scratch)
        windows[:, :, :, taps:] = 1
        split_out = out.reshape(m, rows // together, together * columns, groups, -1)
        _multiply(windows.swapaxes(3, 4), chosen, split_out.transpose(0, 3, 1, 2, 4))

    return Kernel(
        run,
        _bytes_per_row(task, W.shape[0] * W.shape[1] * task.n_C_prev),
        columns=-(-window.cols.padded // window.cols.stride) * window.cols.stride,
        by_channels=int(groups == 1),
        with_bias=None if bias is not None else lambda added: _over_planes(W, task, added),
    )


def _gather_planes(
    X_pad: FloatArray, windows: FloatArray, task: ConvTask, columns: int, scratch: Scratch
) -> None:
    """Fill windows (m, groups, row blocks, C_in * taps, places of a block).

    Columns that neighbouring outputs read come to stand side by side first.
    """
    rows, cols = task.window.rows, task.window.cols
    planes = _split_columns(X_pad, task, scratch)
    m, groups, n_C = planes.shape[:3]
    blocks, together = windows.shape[2], windows.shape[4] // columns
    gathered = windows.reshape(m, groups, blocks, n_C, rows.kernel, cols.kernel, together, columns)
    s_m, s_g, s_n, s_r, s_p, s_c = planes.strides
    down = s_r * rows.stride
    for tap in range(min(cols.stride, cols.kernel)):
        shift, phase = divmod(tap * cols.dilation, cols.stride)
        part = gathered[:, :, :, :, :, tap :: cols.stride]
        strides = (
            s_m,
            s_g,
            down * together,
            s_n,
            s_r * rows.dilation,
            s_c * cols.dilation,
            down,
            s_c,
        )
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
    return np.lib.stride_tricks.as_strided(
        X_pad,
        (m, out_rows, cols.out, rows.kernel, cols.kernel, n_C),
        (s_m, s_r * rows.stride, s_c * cols.stride, s_r * rows.dilation, s_c * cols.dilation, s_n),
        writeable=False,
    )


def _takes_rows(columns: int, matrices: FloatArray) -> bool:
    """Whether products of single output rows are small enough not to be packed, and worth it."""
    most: int = blas.unpacked_size() // (matrices.shape[1] * matrices.shape[2])
    return min(most, columns) >= LEAST_COLUMNS


def _multiply(windows: FloatArray, matrices: FloatArray, out: FloatArray) -> None:
    """Multiply each group's windows by its filters.

    Parameters
    ----------
    windows : ndarray, shape (m, groups, rows, columns, inner)
    matrices : ndarray, shape (groups, inner, n_C / groups)
    out : ndarray, shape (m, groups, rows, columns, n_C / groups)
    """
    columns, parts = out.shape[3], 1
    if _takes_rows(columns, matrices):
        parts = -(-columns * matrices.shape[1] * matrices.shape[2] // blas.unpacked_size())
    edges = [columns * part // parts for part in range(parts + 1)]
    for begin, end in pairwise(edges):
        np.matmul(windows[:, :, :, begin:end], matrices[:, None], out=out[:, :, :, begin:end])
