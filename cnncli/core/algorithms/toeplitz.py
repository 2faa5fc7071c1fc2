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

from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import ConvTask
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Axis
from cnncli.core.strips import fill_columns
from cnncli.system.threads import Scratch

PRODUCT_ROWS: Final = 4
"""Most rows of a product down the columns, and the multiple of output rows that a strip takes."""

SMALL_PRODUCT: Final = 10**6
"""Rows times columns times inner cells up to which OpenBLAS multiplies operands as they lie: of
larger products with thin matrices most of the time goes into copying them."""

PRODUCT_OUTPUTS: Final = 16
"""Neighbouring outputs of one product along a row: a vector register of AVX-512."""


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


def rows_at_once(kernels: int) -> int:
    """Return the output rows of one product of so many kernels: more of them have more zeros.

    Measured with 1 to 15 kernels: a product of about four rows in all is the quickest.
    """
    return {1: PRODUCT_ROWS, 2: 2, 3: 2}.get(kernels, 1)


@dataclass(frozen=True)
class ColumnProducts:
    """Runs 1-D kernels down rows and pads what they give at its left and right.

    Parameters
    ----------
    matrix : ndarray, shape (kernels * rows, height)
        The kernels, as `band_matrix` lays them out.
    rows : int
        Output rows of a block.
    task : ConvTask
    cols : Axis
        The columns of what is given, and the pads that the results get.
    constants : ndarray, shape (kernels, 1, 1, 1)
        What each kernel makes of a column of the border's constant.
    """

    matrix: FloatArray
    rows: int
    task: ConvTask
    cols: Axis
    constants: FloatArray

    @staticmethod
    def of(kernels: FloatArray, rows: int, task: ConvTask, cols: Axis) -> ColumnProducts:
        """Return the products of kernels (n, k_H), so many output rows at once."""
        matrix = band_matrix(kernels, task.window.rows, rows)
        with np.errstate(invalid="ignore"):  # 0 times infinity
            constants = (kernels.sum(axis=1) * task.border[1]).astype(kernels.dtype)
        constants = constants.reshape(-1, 1, 1, 1)
        return ColumnProducts(matrix.reshape(-1, matrix.shape[2]), rows, task, cols, constants)

    def bytes_of(self, m: int, rows: int) -> int:
        """Return the memory that the results of some output rows of `m` images take."""
        row = self.cols.padded * self.task.n_C_prev * self.matrix.itemsize
        return m * rows * len(self.constants) * row

    def run(self, X: FloatArray, first: int, last: int, scratch: Scratch, name: str) -> FloatArray:
        """Return the kernels' results in output rows ``[first, last)`` of a strip, padded.

        Parameters
        ----------
        X : ndarray, shape (m, rows, columns * n_C_prev)
            A strip, C-contiguous, padded above and below only.
        first, last : int
            Multiples of `rows`.
        name : str
            Of the buffer in `scratch` that holds them.

        Returns
        -------
        ndarray, shape (m, blocks, kernels, rows of a block, padded columns * n_C_prev)

        Examples
        --------
        >>> from cnncli.core.geometry import place_window
        >>> window = place_window((5, 1), (2, 1), padding=((0, 0), (1, 0)))
        >>> task = ConvTask(window, 1, 1, 1, 1, np.dtype(float))
        >>> X, kernels = np.arange(5.0).reshape(1, 5, 1), np.array([[1.0, 2.0]])
        >>> products = ColumnProducts.of(kernels, 4, task, window.cols)
        >>> products.run(X, 0, 4, Scratch(), "lowered").reshape(4, 2)
        array([[ 0.,  2.],
               [ 0.,  5.],
               [ 0.,  8.],
               [ 0., 11.]])
        """
        cols, n_C = self.cols, self.task.n_C_prev
        m, _, values = X.shape
        blocks, kernels = (last - first) // self.rows, len(self.constants)
        shape = (m, blocks, kernels, self.rows, cols.padded * n_C)
        lowered = scratch.take(name, shape, X.dtype)
        inner = lowered[..., cols.begin * n_C : cols.begin * n_C + values]
        self._multiply(X, first, inner.reshape(m, blocks, len(self.matrix), values))
        by_column = lowered.reshape(*shape[:4], cols.padded, n_C)
        fill_columns(by_column, cols, self.task.border[0], self.constants)
        return lowered

    def _multiply(self, X: FloatArray, first: int, out: FloatArray) -> None:
        """Write the products of blocks (m, blocks, kernels * rows, values) from a row on."""
        stride, values = self.task.window.rows.stride, out.shape[3]
        (image, row, *_), cell = X.strides, X.itemsize
        pieces = -(-values * self.matrix.size // SMALL_PRODUCT)
        for number in range(pieces):
            begin, end = (values * edge // pieces for edge in (number, number + 1))
            shape = (*out.shape[:2], self.matrix.shape[1], end - begin)
            steps = (image, self.rows * stride * row, row, cell)
            offset = first * stride * row + begin * cell
            below: FloatArray = np.ndarray(shape, X.dtype, X, offset, steps)
            np.matmul(self.matrix, below, out=out[..., begin:end])


@dataclass(frozen=True)
class RowProduct:
    """A 1-D kernel along rows of interleaved channels, as products with a banded matrix.

    Blocks that overlap in what they read cannot be neighbours in one matrix; so every so many
    blocks make one product, far enough from each other.

    Parameters
    ----------
    matrix : ndarray, shape (height, `PRODUCT_OUTPUTS`)
    """

    matrix: FloatArray

    @staticmethod
    def of(kernel: FloatArray, dilation: int) -> RowProduct:
        """Return the product for a kernel (k,) whose taps are `dilation` values apart."""
        axis = Axis(size=0, kernel=len(kernel), dilation=dilation)
        (band,) = band_matrix(kernel[None], axis, PRODUCT_OUTPUTS)
        return RowProduct(np.ascontiguousarray(band.T))

    def run(self, rows: FloatArray, out: FloatArray) -> None:
        """Slide the kernel along rows (..., values) into `out` (..., fewer values).

        Parameters
        ----------
        rows : ndarray
            The values of a row lie side by side.
        out : ndarray
            So do its values, at least `PRODUCT_OUTPUTS`.

        Examples
        --------
        >>> out = np.empty((1, 1, 17))
        >>> RowProduct.of(np.array([1.0, -1.0]), 3).run(np.arange(20.0).reshape(1, 1, 20), out)
        >>> bool((out == -3).all())
        True
        """
        *lead, length = out.shape
        height = len(self.matrix)
        blocks, apart = length // PRODUCT_OUTPUTS, -(-height // PRODUCT_OUTPUTS)
        *across, cell = rows.strides
        targets = out[..., : blocks * PRODUCT_OUTPUTS].reshape(*lead, blocks, PRODUCT_OUTPUTS)
        for first in range(min(apart, blocks)):
            shape = (*lead, len(range(first, blocks, apart)), height)
            steps = (*across, apart * PRODUCT_OUTPUTS * cell, cell)
            begins = rows[..., first * PRODUCT_OUTPUTS :]
            windows = np.lib.stride_tricks.as_strided(begins, shape, steps)
            np.matmul(windows, self.matrix, out=targets[..., first::apart, :])
        if length % PRODUCT_OUTPUTS:
            last = rows[..., length - PRODUCT_OUTPUTS :][..., :height]
            np.matmul(last, self.matrix, out=out[..., length - PRODUCT_OUTPUTS :])
