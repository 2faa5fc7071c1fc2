"""2-D kernels that are sums of a column times a row: down the columns first, then along the rows.

All columns of a kernel are one product with a thin banded matrix, which reads the input as it lies.
Then what they give is summed as the rows say: shifted and added, or by products along rows where
those are long. Some rows are done at a time where the columns are many.
`low_rank` and `banded` find the columns and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import ConvTask, Kernel, Work
from cnncli.core.algorithms.shift_add import (
    collect_terms,
    column_phase,
    count_passes,
    long_rows,
    weighted_sum,
)
from cnncli.core.algorithms.toeplitz import (
    PRODUCT_OUTPUTS,
    PRODUCT_ROWS,
    ColumnProducts,
    RowProduct,
    rows_at_once,
)
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Axis, Window
from cnncli.system.threads import Scratch

Factors = list[tuple[FloatArray, FloatArray]]
"""Columns (k_H,) and rows (k_W,), one pair or more; a kernel is the sum of their outer products."""

Lines = Callable[[int, int], FloatArray]
"""``lines(number, phase)``: what the column of a factor gave in a phase of the column stride, (m,
blocks, rows of a block, values)."""

Along = Callable[[Lines, FloatArray, Scratch], None]
"""``along(lines, out, scratch)``: sum what the columns gave into rows of the same blocks."""

GROUP_BYTES: Final = 2**22
"""Memory of what the columns give at a time: of 2**18 to 2**24 the quickest for 3x3 to 15x15."""

PASS_FLOPS: Final = 14
"""Operations of a product with a banded matrix in the time of a pass: measured."""


def work(kernels: Sequence[Factors], task: ConvTask) -> Work:
    """Count the products and passes of some kernels that every channel meets."""
    values = task.window_count * task.groups
    cols, rows = task.window.cols, task.window.rows
    cells = task.images * rows.out * cols.padded * task.groups
    flops, passes = 0.0, 0
    for factors in kernels:
        met = _columns_met(factors, task)
        flops += 2 * rows.reach(rows_at_once(len(factors))) * met * cells / cols.stride
        if _multiplied(factors, task):
            flops += values * sum(_band_flops(row, task) for _, row in factors)
            passes += len(factors) - 1
        else:
            passes += _passes(factors)
    return Work(
        passes=passes * values,
        copies=(task.multiplier > 1) * task.window_count * task.n_C
        + (cols.stride > 1) * cells * rows.stride,
        flops=flops,
        calls=passes + len(kernels),
    )


def prepare(kernels: Sequence[Factors], task: ConvTask) -> Kernel:
    """Make the kernels of each channel ready."""
    filters = [FactoredKernel.of(factors, task) for factors in kernels]

    def run(X: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        rows = -(-out.shape[1] // PRODUCT_ROWS) * PRODUCT_ROWS
        shape = (len(out), rows, out.shape[2] * task.groups)
        direct = len(filters) == 1 and rows == out.shape[1]
        total = out.reshape(shape) if direct else scratch.take("total", shape, out.dtype)
        for number, each in enumerate(filters):
            each.run(X, total, scratch)
            if not direct:
                sums = total[:, : out.shape[1]].reshape(*out.shape[:3], task.groups)
                np.copyto(out[..., number :: len(filters)], sums)

    row = task.window.cols.size * task.n_C_prev + task.window.cols.out * task.n_C
    along_rows = any(each.multiplied for each in filters)
    return Kernel(
        run,
        row * task.dtype.itemsize,
        step=PRODUCT_ROWS,
        # The zeros of a matrix turn an infinity into NaN in every row of its block; but one that
        # overflowed on the way stands in its own row only, until a product along the row.
        spreads=1 if along_rows else min(each.height for each in filters),
        needs_finite=not all(_meets_all_columns(factors) for factors in kernels),
        whole_rows=True,
        pads_columns=task.window.cols.stride == 1,
    )


@dataclass(frozen=True)
class FactoredKernel:
    """A 2-D kernel, ready to slide over the rows of a strip.

    With a stride, cells of the columns that neighbouring outputs read are brought together first,
    in phases of the stride. Each phase has products of its own, of the columns that meet it.

    Parameters
    ----------
    products : dict of int to ColumnProducts
        Those of each phase that meets a weight.
    numbers : dict of int to list of int
        For each phase the numbers of the factors that its products belong to.
    height : int
        Output rows of a block.
    window : Window
    along : callable
    multiplied : bool
        Whether the rows are products.
    """

    products: dict[int, ColumnProducts]
    numbers: dict[int, list[int]]
    height: int
    window: Window
    along: Along
    multiplied: bool

    @staticmethod
    def of(factors: Factors, task: ConvTask) -> FactoredKernel:
        """Return the kernel that factors make, in the task's dtype."""
        columns, rows = (np.array(side).astype(task.dtype) for side in zip(*factors, strict=True))
        multiplied, height = _multiplied(factors, task), rows_at_once(len(factors))
        along = (_along_products if multiplied else _along_passes)(rows, task)
        window, cols = task.window, task.window.cols
        met: dict[int, set[int]] = {}
        for number, tap in np.argwhere(rows).tolist():
            met.setdefault(column_phase(window, tap)[0], set()).add(number)
        numbers = {phase: sorted(found) for phase, found in met.items()}
        if cols.stride > 1:
            cols = Axis(size=-(-cols.padded // cols.stride), kernel=1)
        products = {
            phase: ColumnProducts.of(columns[found], height, task, cols)
            for phase, found in numbers.items()
        }
        return FactoredKernel(products, numbers, height, window, along, multiplied)

    def run(self, X: FloatArray, total: FloatArray, scratch: Scratch) -> None:
        """Write the filtered rows of a strip.

        Parameters
        ----------
        X : ndarray, shape (m, rows, columns, groups)
            C-contiguous, padded above and below, and where there is a stride at the sides too.
        total : ndarray, shape (m, rows, n_W * groups)
            A multiple of `PRODUCT_ROWS` rows.

        Examples
        --------
        >>> from cnncli.core.geometry import place_window
        >>> window = place_window((5, 2), (2, 2), padding=((0, 0), (0, 1)))
        >>> task = ConvTask(window, 1, 1, 1, 1, np.dtype(float))
        >>> factors = [(np.array([0.0, 10.0]), np.array([1, 0])), (np.eye(2)[0], np.array([0, 1]))]
        >>> X, total = np.arange(10.0).reshape(1, 5, 2, 1), np.empty((1, 4, 2))
        >>> FactoredKernel.of(factors, task).run(X, total, Scratch())
        >>> total[0]
        array([[21., 30.],
               [43., 50.],
               [65., 70.],
               [87., 90.]])
        """
        m, rows, values = total.shape
        taken = sum(each.bytes_of(m, rows) for each in self.products.values())
        groups = max(1, -(-taken // GROUP_BYTES))
        step = -(-rows // (groups * PRODUCT_ROWS)) * PRODUCT_ROWS
        phases = long_rows(X, self.window, scratch)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            lowered = {
                phase: products.run(phases[phase], first, last, scratch, f"lowered {phase}")
                for phase, products in self.products.items()
            }

            def lines(
                number: int, phase: int, found: Mapping[int, FloatArray] = lowered
            ) -> FloatArray:
                return found[phase][:, :, self.numbers[phase].index(number)]

            out = total[:, first:last].reshape(m, -1, self.height, values)
            self.along(lines, out, scratch)


def _meets_all_columns(factors: Factors) -> bool:
    """Whether each column of the kernel's window meets a weight of some factor."""
    return bool(np.any([row for _, row in factors], axis=0).all())


def _columns_met(factors: Factors, task: ConvTask) -> int:
    """Columns of all phases of the stride."""
    if task.window.cols.stride == 1:
        return len(factors)
    taps = np.argwhere([row for _, row in factors]).tolist()
    return len({(number, column_phase(task.window, tap)[0]) for number, tap in taps})


def _passes(factors: Factors) -> int:
    """Elementwise calls of rows that are shifted and added."""
    return count_passes(np.array([row for _, row in factors])[:, :, None])


def _band_flops(row: FloatArray, task: ConvTask) -> int:
    """Operations per output of a row as a product."""
    return 2 * (PRODUCT_OUTPUTS + (len(row) - 1) * task.window.cols.dilation * task.groups)


def _multiplied(factors: Factors, task: ConvTask) -> bool:
    """Whether rows are products rather than passes."""
    cols = task.window.cols
    if cols.stride > 1 or cols.out * task.groups < PRODUCT_OUTPUTS:
        return False
    flops = sum(_band_flops(row, task) for _, row in factors) + (len(factors) - 1) * PASS_FLOPS
    return flops < PASS_FLOPS * _passes(factors)


def _along_products(rows: FloatArray, task: ConvTask) -> Along:
    products = [RowProduct.of(row, task.window.cols.dilation * task.groups) for row in rows]

    def run(lines: Lines, out: FloatArray, scratch: Scratch) -> None:
        for number, product in enumerate(products):
            sums = scratch.take("more", out.shape, out.dtype) if number else out
            product.run(lines(number, 0), sums)
            if number:
                np.add(out, sums, out=out)

    return run


def _along_passes(rows: FloatArray, task: ConvTask) -> Along:
    terms, window, groups = collect_terms(rows[:, :, None], 1), task.window, task.groups
    values = window.cols.out * groups

    def run(lines: Lines, out: FloatArray, scratch: Scratch) -> None:
        def cells(number: int, tap: int) -> FloatArray:
            phase, shift = column_phase(window, tap)
            return lines(number, phase)[..., shift * groups : shift * groups + values]

        spare = scratch.take("spare", out.shape, out.dtype)
        weighted_sum(terms, cells, out, spare)

    return run
