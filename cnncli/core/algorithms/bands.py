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

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import FloatArray, Scratch, Task
from cnncli.core.borders import CONSTANT_CELL, border_index
from cnncli.core.geometry import Axis

DOWN: Final = 4
"""Output rows of one product: measured with OpenBLAS's AVX2 and AVX-512 kernels."""

ALONG: Final = 16
"""Neighbouring outputs of one product along a row: a vector register of AVX-512."""

SMALL_PRODUCT: Final = 1_000_000
"""Multiplications up to which OpenBLAS computes without rearranging its operands first."""


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


def multiply_down(matrix: FloatArray, rows: FloatArray, axis: Axis, out: FloatArray) -> None:
    """Run 1-D kernels down the columns of a strip.

    Parameters
    ----------
    matrix : ndarray, shape (n, block, height)
        What `band_matrix` returned.
    rows : ndarray, shape (m, rows, columns)
        C-contiguous; padded above and below as far as the outputs need it.
    axis : Axis
    out : ndarray, shape (n, m, outputs, columns)
        Receives the result.

    Examples
    --------
    >>> axis, out = Axis(size=3, kernel=2), np.empty((1, 1, 2, 2))
    >>> matrix = band_matrix(np.array([[1.0, 2.0]]), axis, DOWN)
    >>> multiply_down(matrix, np.arange(6.0).reshape(1, 3, 2), axis, out)
    >>> out[0, 0]
    array([[ 4.,  7.],
           [10., 13.]])
    """
    block = matrix.shape[1]
    whole, rest = divmod(out.shape[2], block)
    if whole:
        _multiply_blocks(matrix, rows, 0, axis, out[:, :, : whole * block])
    if rest:
        narrow = matrix[:, :rest, : axis.reach(rest)]
        _multiply_blocks(narrow, rows, whole * block, axis, out[:, :, whole * block :])


def _multiply_blocks(
    matrix: FloatArray, rows: FloatArray, first_output: int, axis: Axis, out: FloatArray
) -> None:
    """Multiply whole blocks by the rows below them; the first block's outputs begin somewhere."""
    n, m, outputs, columns = out.shape
    _, block, height = matrix.shape
    image, row, cell = rows.strides
    shape = (m, outputs // block, height, columns)
    step = row * axis.stride
    steps = (image, block * step, row, cell)
    below: FloatArray = np.ndarray(shape, rows.dtype, rows, first_output * step, steps)
    blocks = out.reshape(n, m, -1, block, columns)
    width = max(1, SMALL_PRODUCT // (block * height))
    for first in range(0, columns, width):
        part = slice(first, first + width)
        np.matmul(matrix[:, None, None], below[..., part], out=blocks[..., part])


@dataclass(frozen=True)
class Lowering:
    """Runs 1-D kernels down unpadded rows and pads what they give at its left and right.

    Parameters
    ----------
    matrix : ndarray, shape (n, `DOWN`, height)
        The kernels, as `band_matrix` lays them out.
    task : Task
    constants : ndarray, shape (n,)
        What each kernel makes of a column of the border's constant.
    left, right : ndarray of int
        Input columns that the pads copy, as in `border_index`.
    """

    matrix: FloatArray
    task: Task
    constants: FloatArray
    left: NDArray[np.intp]
    right: NDArray[np.intp]

    @staticmethod
    def of(kernels: FloatArray, task: Task) -> Lowering:
        """Return the lowering of kernels (n, k_H)."""
        cols = task.window.cols
        index = border_index(cols.size, cols.begin, cols.end, task.border[0])
        return Lowering(
            band_matrix(kernels, task.window.rows, DOWN),
            task,
            (kernels.sum(axis=1) * task.border[1]).astype(kernels.dtype),
            index[: cols.begin],
            index[cols.begin + cols.size :],
        )

    def run(self, X: FloatArray, outputs: int, scratch: Scratch) -> FloatArray:
        """Return every kernel's results, padded: (n, m, outputs, padded columns, n_C_prev).

        Parameters
        ----------
        X : ndarray, shape (m, rows, n_W_prev, n_C_prev)
            A strip, padded above and below only.
        outputs : int
            Output rows.
        """
        matrix, cols = self.matrix, self.task.window.cols
        m, rows, columns, n_C = X.shape
        shape = (len(matrix), m, outputs, cols.padded, n_C)
        lowered = scratch.take("lowered", shape, X.dtype)
        inner = lowered[:, :, :, cols.begin : cols.begin + columns]
        long = inner.reshape(*shape[:3], -1)
        multiply_down(matrix, X.reshape(m, rows, -1), self.task.window.rows, long)
        constants = self.constants[:, None, None, None, None]
        _fill(lowered[:, :, :, : cols.begin], inner, self.left, constants)
        _fill(lowered[:, :, :, cols.begin + columns :], inner, self.right, constants)
        return lowered


def _fill(
    pads: FloatArray, inner: FloatArray, index: NDArray[np.intp], constants: FloatArray
) -> None:
    if len(index):
        constant = index[0] == CONSTANT_CELL
        pads[...] = constants if constant else inner.take(index, axis=3)


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
