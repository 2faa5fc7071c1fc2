"""A 2-D kernel as one product: a banded matrix times rows that are laid out shifted.

The input rows of a block of output rows are written once for each different column of the kernel,
shifted by its place; columns that are equal, up to their sign, are summed on the way. What lies one
below the other then meets the whole kernel at once. Per output value that is ``2 * (B + k_H - 1)``
operations for each different column, at the speed of matrix products, and one pass for each column.
The rows are done in segments, so that what is laid out stays in cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import ConvTask, Kernel, Work, shared_planes
from cnncli.core.algorithms.shift_add import (
    Term,
    collect_terms,
    long_rows,
    row_cells,
    weighted_sum,
)
from cnncli.core.algorithms.toeplitz import DOWN, band_matrix, multiply_rows, sum_parts
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import CONSTANT_CELL
from cnncli.core.strips import copied_cells
from cnncli.system.threads import Scratch

SEGMENT_BYTES: Final = 2**20
"""Memory of the shifted rows of a segment: of 2**18 to 2**21 the quickest for 3x3 and 7x7."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count products and additions; None unless every channel meets the same 2-D kernels."""
    planes = shared_planes(W, task.groups) if task.depthwise else None
    if planes is None:
        return None
    rows, cols = task.window.rows, task.window.cols
    values = task.window_count * task.groups
    merged = [_merged(plane, task) for plane in planes]
    columns = sum(cols.kernel if terms is None else len(terms) for terms in merged)
    additions = sum(
        cols.kernel if terms is None else sum(len(term.plus) + len(term.minus) for term in terms)
        for terms in merged
    )
    strided = task.images * rows.padded * cols.padded * task.groups
    return Work(
        passes=additions * values * rows.stride,
        copies=(task.multiplier > 1) * task.window_count * task.n_C + (cols.stride > 1) * strided,
        flops=2 * columns * values * rows.reach(DOWN),
        calls=additions + len(planes),
    )


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Lay the kernels' different columns into banded matrices."""
    planes = shared_planes(W, task.groups)
    assert planes is not None
    filters = [BandedKernel.of(plane, task) for plane in planes]

    def run(X: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        def write(each: BandedKernel, total: FloatArray, first: bool) -> None:
            each.run(X, total, scratch)

        sum_parts([[each] for each in filters], write, out, task.groups, scratch)

    row = task.window.cols.size * task.n_C_prev + task.window.cols.out * task.n_C
    return Kernel(
        run,
        row * task.dtype.itemsize,
        step=DOWN,
        # The zeros of a matrix turn an infinity into NaN in every row of its block.
        spreads=DOWN,
        needs_finite=any(each.columns < W.shape[1] for each in filters) and not W.any(axis=0).all(),
        whole_rows=True,
        pads_columns=True,
    )


def _merged(plane: FloatArray, task: ConvTask) -> list[Term] | None:
    """A kernel's different columns, each with its taps ``(0, column)``; None to take all as is.

    One copy of all columns is quicker than a sum for each unless more than a third can be saved.
    With a stride, columns that are neighbours in the output are brought together first.
    """
    terms = collect_terms(plane.T[None], 1)
    return terms if 3 * len(terms) < 2 * plane.shape[1] or task.window.cols.stride > 1 else None


@dataclass(frozen=True)
class BandedKernel:
    """A 2-D kernel, ready to slide over unpadded rows.

    Parameters
    ----------
    matrix : ndarray, shape (DOWN, height * different columns)
        The weights of each output row of a block for the shifted rows below it.
    sums : tuple of Term
        What to sum for each different column, where that differs from the columns one by one.
    task : ConvTask
    """

    matrix: FloatArray
    sums: tuple[Term, ...]
    task: ConvTask

    @staticmethod
    def of(plane: FloatArray, task: ConvTask) -> BandedKernel:
        """Return the kernel (k_H, k_W) of all channels."""
        weights, terms = plane.T, _merged(plane, task)
        if terms is not None:
            shape = len(terms), len(plane)
            weights = np.empty(shape, plane.dtype)
            for number, term in enumerate(terms):
                weights[number] = term.weight
        sums = tuple(Term(np.ones(()), term.plus, term.minus) for term in terms or ())
        matrix = band_matrix(weights, task.window.rows, DOWN).transpose(1, 2, 0)
        return BandedKernel(matrix.reshape(DOWN, -1).copy(), sums, task)

    @property
    def columns(self) -> int:
        """Different columns of the kernel."""
        return int(self.matrix.shape[1] // self.task.window.rows.reach(DOWN))

    def run(self, X: FloatArray, total: FloatArray, scratch: Scratch) -> None:
        """Write the filtered rows of a strip.

        Parameters
        ----------
        X : ndarray, shape (m, rows, n_W_prev, groups)
            C-contiguous, padded above and below only.
        total : ndarray, shape (m, rows, n_W * groups)
            A multiple of `DOWN` rows.

        Examples
        --------
        >>> from cnncli.core.geometry import place_window
        >>> window = place_window((5, 2), (2, 2), padding=((0, 0), (0, 1)))
        >>> task = ConvTask(window, 1, 1, 1, 1, np.dtype(float))
        >>> X, total = np.arange(10.0).reshape(1, 5, 2, 1), np.empty((1, 4, 2))
        >>> plane = np.array([[0.0, 1.0], [10.0, 0.0]])
        >>> BandedKernel.of(plane, task).run(X, total, Scratch())
        >>> total[0]
        array([[21., 30.],
               [43., 50.],
               [65., 70.],
               [87., 90.]])
        """
        if not self.matrix.size:
            total.fill(0)
            return
        cols, groups = self.task.window.cols, self.task.groups
        row = len(X) * X.shape[1] * self.columns * groups * X.itemsize
        columns = max(1, min(cols.out, SEGMENT_BYTES // row))
        for first in range(0, cols.out, columns):
            last = min(first + columns, cols.out)
            target = total[:, :, first * groups : last * groups]
            shape = (*X.shape[:2], self.columns, target.shape[2])
            shifted = scratch.take("shifted", shape, X.dtype)
            self._shift(*self._cells(X, first, last, scratch), shifted, scratch)
            multiply_rows(self.matrix, shifted, target, self.task.window.rows.stride)

    def _cells(
        self, X: FloatArray, first: int, last: int, scratch: Scratch
    ) -> tuple[FloatArray, int]:
        """Where the padded columns are that output columns ``[first, last)`` read: array, column.

        The array is X itself, or a padded copy of some columns.
        """
        cols = self.task.window.cols
        begin, end = cols.cells(first, last)
        if cols.begin <= begin and end <= cols.begin + cols.size:
            return X, begin - cols.begin
        padded = scratch.take("padded", (*X.shape[:2], end - begin, X.shape[3]), X.dtype)
        mode, constant = self.task.border
        for a, b, copied in copied_cells(cols, mode, begin, end):
            constants = copied == CONSTANT_CELL
            padded[:, :, a:b] = constant if constants else X[:, :, copied : copied + b - a]
        return padded, 0

    def _shift(self, X: FloatArray, first: int, shifted: FloatArray, scratch: Scratch) -> None:
        """Write what meets each different column of the kernel, (m, rows, columns, values).

        The first output column reads from column `first` of X on.
        """
        window, groups = self.task.window, self.task.groups
        outputs = shifted.shape[3] // groups
        if not self.sums:
            image, row, column, _ = X.strides
            steps = image, row, window.cols.dilation * column, X.itemsize
            windows: FloatArray = np.ndarray(shifted.shape, X.dtype, X, first * column, steps)
            np.copyto(shifted, windows)
            return
        phases = long_rows(X[:, :, first : first + window.cols.reach(outputs)], window, scratch)
        cells = row_cells(phases, window, groups, outputs)
        for number, term in enumerate(self.sums):
            part = shifted[:, :, number]
            weighted_sum([term], cells, part, part)
