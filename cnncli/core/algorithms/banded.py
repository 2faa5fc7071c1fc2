"""A 2-D kernel as a product with a banded matrix, without gathering windows.

A block of B output rows is ``T @ X``: X the input rows below the block, each with all its columns
and channels on one long axis, and T a Toeplitz matrix that holds one column of the kernel shifted
down by one row for each output row. The columns of the kernel are stacked, so that one product
serves them all; their results are then added with the columns' offsets. Per output cell that is
``2 * k_W * (B + k_H - 1)`` operations at the speed of matrix products, and k_W additions.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.core.algorithms.base import (
    FloatArray,
    Kernel,
    Scratch,
    Task,
    Work,
    product_flops,
    shared_planes,
)
from cnncli.core.algorithms.shift_add import long_rows
from cnncli.core.geometry import Axis, Window

BLOCK: Final = 8
"""Output rows of one product: the narrowest that keeps AVX2 kernels busy."""


def work(W: FloatArray, task: Task) -> Work | None:
    """Count products and additions; None unless every channel meets the same 2-D kernels."""
    if not task.depthwise or shared_planes(W, task.groups) is None:
        return None
    k_H, k_W = task.window.kernel
    height = task.window.rows.reach(BLOCK)
    blocks = task.images * -(-task.window.rows.out // BLOCK)
    columns = task.window.cols.padded * task.groups
    stacked = task.multiplier * k_W * BLOCK
    return Work(
        passes=k_W * task.places * task.n_C,
        copies=((task.multiplier > 1) * task.places + blocks * height) * task.n_C,
        flops=blocks * product_flops(stacked, height, columns),
        calls=blocks * task.multiplier * k_W,
    )


def prepare(W: FloatArray, task: Task) -> Kernel:
    """Lay the kernels' columns into one banded matrix."""
    planes = shared_planes(W, task.groups)
    assert planes is not None
    window, (count, _, k_W) = task.window, planes.shape
    matrix = band_matrix(planes.transpose(0, 2, 1).reshape(count * k_W, -1), window.rows, BLOCK)

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        phases = long_rows(X_pad, window, scratch)
        for first in range(0, out.shape[1], BLOCK):
            block = out[:, first : first + BLOCK]
            products = _products(phases, matrix, window, first, block.shape[1], scratch)
            _add_columns(products, window, count, block, scratch)

    row = window.cols.padded * task.n_C_prev * (window.rows.stride + k_W * count)
    return Kernel(run, row * task.dtype.itemsize, step=BLOCK, spreads=True)


def band_matrix(columns: FloatArray, axis: Axis, block: int) -> FloatArray:
    """Return the matrix that turns padded rows into `block` output rows of each 1-D kernel.

    Parameters
    ----------
    columns : ndarray, shape (n, k)
        1-D kernels.
    axis : Axis
        The axis they slide along.
    block : int
        Output rows.

    Returns
    -------
    ndarray, shape (n, block, (block - 1) * stride + extent)

    Examples
    --------
    >>> band_matrix(np.array([[1.0, 2.0]]), Axis(size=9, kernel=2), 2)
    array([[[1., 2., 0.],
            [0., 1., 2.]]])
    """
    matrix = np.zeros((len(columns), block, axis.reach(block)), columns.dtype)
    for row in range(block):
        start = row * axis.stride
        matrix[:, row, start : start + axis.extent : axis.dilation] = columns
    return matrix


def band_product(
    matrix: FloatArray, rows: FloatArray, axis: Axis, first: int, outputs: int, out: FloatArray
) -> FloatArray:
    """Multiply the rows below outputs ``[first, first + outputs)`` by a band matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n, block, height)
        What `band_matrix` returned.
    rows : ndarray, shape (m, padded rows, columns)
        A strip.
    out : ndarray, shape (m, n, outputs, columns)
        Receives the result.
    """
    begin, end = axis.cells(first, first + outputs)
    band = matrix[:, :outputs, : end - begin]
    flat = out.reshape(out.shape[0], -1, out.shape[3])
    np.matmul(band.reshape(-1, end - begin), rows[:, begin:end], out=flat)
    return out


def _products(
    phases: list[FloatArray],
    matrix: FloatArray,
    window: Window,
    first: int,
    outputs: int,
    scratch: Scratch,
) -> list[FloatArray]:
    """All kernel columns' results on the rows of a block, one array for each column phase."""
    m, _, length = phases[0].shape
    shape = (len(phases), m, len(matrix), outputs, length)
    products = scratch.take("products", shape, matrix.dtype)
    return [
        band_product(matrix, rows, window.rows, first, outputs, out)
        for rows, out in zip(phases, products, strict=True)
    ]


def _add_columns(
    products: list[FloatArray], window: Window, count: int, block: FloatArray, scratch: Scratch
) -> None:
    """Add the results of the kernel's columns, each shifted to where its tap stands."""
    m, outputs, n_W, n_C = block.shape
    channels, k_W = n_C // count, window.cols.kernel
    shape = (m, outputs, n_W * channels)
    total = block.reshape(shape) if count == 1 else scratch.take("total", shape, block.dtype)
    for number in range(count):
        for j in range(k_W):
            shift, phase = divmod(j * window.cols.dilation, window.cols.stride)
            begin = shift * channels
            part = products[phase][:, number * k_W + j, :, begin : begin + n_W * channels]
            if j == 0:
                np.copyto(total, part)
            else:
                np.add(total, part, out=total)
        if count > 1:
            block[..., number::count] = total.reshape(m, outputs, n_W, channels)
