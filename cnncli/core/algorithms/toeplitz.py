"""1-D kernels as products with banded matrices: down the rows of a strip, and along them.

A block of B output rows is ``T @ X``: X the input rows below the block, each with all its columns
and channels on one long axis, and T a Toeplitz matrix that holds the kernel once for each output
row, moved down by one row each time. Along a row it is the other way round: blocks of neighbouring
values times a matrix. Blocks are small, for the zeros in T are multiplied too; and numpy hands all
blocks of a strip to the BLAS in one call, so no thread waits for the interpreter between them.

Products run down unpadded rows, and what they give is padded: a column that copies another has the
copy's result. So no strip is copied for the sake of some columns at its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import ConvTask
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Axis
from cnncli.core.strips import fill_columns
from cnncli.system.threads import Scratch

DOWN: Final = 4
"""Rows of a product down the columns at least, and the multiple of output rows that it takes."""

ALONG: Final = 16
"""Neighbouring outputs of one product along a row: a vector register of AVX-512."""

Part = TypeVar("Part")


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


@dataclass(frozen=True)
class ColumnProduct:
    """Runs a 1-D kernel down unpadded rows and pads what it gives at its left and right.

    Parameters
    ----------
    matrix : ndarray, shape (DOWN, height)
        The kernel, as `band_matrix` lays it out.
    task : ConvTask
    constant : ndarray, shape ()
        What the kernel makes of a column of the border's constant.
    """

    matrix: FloatArray
    task: ConvTask
    constant: FloatArray

    @staticmethod
    def of(kernel: FloatArray, task: ConvTask) -> ColumnProduct:
        """Return the product of a kernel (k_H,)."""
        constant = np.asarray(kernel.sum() * task.border[1], kernel.dtype)
        return ColumnProduct(band_matrix(kernel[None], task.window.rows, DOWN)[0], task, constant)

    def run(self, X: FloatArray, outputs: int, scratch: Scratch) -> FloatArray:
        """Return the kernel's results, padded.

        Parameters
        ----------
        X : ndarray, shape (m, rows, n_W_prev, n_C_prev)
            A strip, C-contiguous, padded above and below only.
        outputs : int
            Output rows, a multiple of `DOWN`.

        Returns
        -------
        ndarray, shape (m, outputs, padded columns, n_C_prev)

        Examples
        --------
        >>> from cnncli.core.geometry import place_window
        >>> window = place_window((5, 1), (2, 1), padding=((0, 0), (1, 0)))
        >>> task = ConvTask(window, 1, 1, 1, 1, np.dtype(float))
        >>> X = np.arange(5.0).reshape(1, 5, 1, 1)
        >>> ColumnProduct.of(np.array([1.0, 2.0]), task).run(X, 4, Scratch())[0, :, :, 0]
        array([[ 0.,  2.],
               [ 0.,  5.],
               [ 0.,  8.],
               [ 0., 11.]])
        """
        cols = self.task.window.cols
        m, _, columns, n_C = X.shape
        lowered = scratch.take("lowered", (m, outputs, cols.padded, n_C), X.dtype)
        inner = lowered[:, :, cols.begin : cols.begin + columns]
        multiply_rows(self.matrix, X, inner.reshape(m, outputs, -1), self.task.window.rows.stride)
        fill_columns(lowered, cols, self.task.border[0], self.constant)
        return lowered


def multiply_rows(matrix: FloatArray, lines: FloatArray, out: FloatArray, stride: int) -> None:
    """Multiply what lies below each block of output rows.

    Parameters
    ----------
    matrix : ndarray, shape (DOWN, height)
    lines : ndarray, shape (m, rows, ...)
        C-contiguous; a row holds one line of the output's length or several, one after the other.
    out : ndarray, shape (m, rows, values)
        A multiple of `DOWN` rows.
    stride : int
        Input rows from one output row to the next.
    """
    m, outputs, values = out.shape
    image, row, *_ = lines.strides
    shape = (m, outputs // DOWN, matrix.shape[1], values)
    # Not the stride of the channels: that of a single one may be anything.
    line = values * lines.itemsize
    steps = (image, DOWN * stride * row, line, lines.itemsize)
    below: FloatArray = np.ndarray(shape, lines.dtype, lines, 0, steps)
    np.matmul(matrix, below, out=out.reshape(m, -1, DOWN, values))


def sum_parts(
    filters: Sequence[Sequence[Part]],
    add: Callable[[Part, FloatArray, bool], None],
    out: FloatArray,
    groups: int,
    scratch: Scratch,
) -> None:
    """Write the sum of each filter's parts into its channels of `out`.

    ``add(part, total, first)`` writes a part into `total` (m, rows, values), rows being a multiple
    of `DOWN`, or adds it where it is not the first.
    """
    rows = -(-out.shape[1] // DOWN) * DOWN
    shape = (len(out), rows, out.shape[2] * groups)
    direct = len(filters) == 1 and rows == out.shape[1]
    total = out.reshape(shape) if direct else scratch.take("total", shape, out.dtype)
    for number, parts in enumerate(filters):
        if not parts:
            total.fill(0)
        for index, part in enumerate(parts):
            add(part, total, index == 0)
        if not direct:
            sums = total[:, : out.shape[1]].reshape(*out.shape[:3], groups)
            np.copyto(out[..., number :: len(filters)], sums)


@dataclass(frozen=True)
class RowProduct:
    """A 1-D kernel along rows of interleaved channels, as products with a banded matrix.

    Blocks that overlap in what they read cannot be neighbours in one matrix; so every so many
    blocks make one product, far enough from each other.

    Parameters
    ----------
    matrix : ndarray, shape (height, `ALONG`)
    """

    matrix: FloatArray

    @staticmethod
    def of(kernel: FloatArray, dilation: int) -> RowProduct:
        """Return the product for a kernel (k,) whose taps are `dilation` values apart."""
        axis = Axis(size=0, kernel=len(kernel), dilation=dilation)
        return RowProduct(np.ascontiguousarray(band_matrix(kernel[None], axis, ALONG)[0].T))

    def run(self, rows: FloatArray, out: FloatArray) -> None:
        """Slide the kernel along rows (m, rows, values) into `out` (m, rows, fewer values).

        Parameters
        ----------
        rows : ndarray
            C-contiguous.
        out : ndarray
            C-contiguous, with at least `ALONG` values a row.

        Examples
        --------
        >>> out = np.empty((1, 1, 17))
        >>> RowProduct.of(np.array([1.0, -1.0]), 3).run(np.arange(20.0).reshape(1, 1, 20), out)
        >>> bool((out == -3).all())
        True
        """
        m, lines, length = out.shape
        height = len(self.matrix)
        blocks, apart = length // ALONG, -(-height // ALONG)
        image, row, cell = rows.strides
        targets = out[:, :, : blocks * ALONG].reshape(m, lines, blocks, ALONG)
        for first in range(min(apart, blocks)):
            shape = (m, lines, len(range(first, blocks, apart)), height)
            steps = (image, row, apart * ALONG * cell, cell)
            begins = rows[:, :, first * ALONG :]
            windows = np.lib.stride_tricks.as_strided(begins, shape, steps)
            np.matmul(windows, self.matrix, out=targets[:, :, first::apart])
        if length % ALONG:
            last = rows[:, :, length - ALONG :][:, :, :height]
            np.matmul(last, self.matrix, out=out[:, :, length - ALONG :])
