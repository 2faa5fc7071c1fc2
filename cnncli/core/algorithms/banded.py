"""A 2-D kernel column by column: each runs down the rows as a product with a banded matrix.

The results of the kernel's columns are then added, each with its column's offset. Columns that are
equal, up to their sign, share one product. Per output value that is ``2 * (B + k_H - 1)``
operations for each different column, at the speed of matrix products, and an addition for each
column.
"""

from __future__ import annotations

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
from cnncli.core.algorithms.toeplitz import DOWN, ColumnProduct, down_block, sum_parts
from cnncli.core.arrays import FloatArray
from cnncli.system.threads import Scratch

TOGETHER: Final = 4
"""Columns whose products are held at a time: few enough to stay in cache."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count products and additions; None unless every channel meets the same 2-D kernels."""
    planes = shared_planes(W, task.groups) if task.depthwise else None
    if planes is None:
        return None
    columns = [term for plane in planes for term in _columns(plane)]
    block = down_block(max(1, min(TOGETHER, len(columns))))
    rows, cols = task.window.rows, task.window.cols
    lowered = len(columns) * task.images * rows.out * cols.padded * task.groups
    additions = sum(len(term.plus) + len(term.minus) for term in columns)
    return Work(
        passes=additions * task.window_count * task.groups,
        copies=(task.multiplier > 1) * task.window_count * task.n_C + (cols.stride > 1) * lowered,
        flops=lowered * 2 * rows.reach(block),
        calls=additions + len(columns),
    )


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Lay the kernels' different columns into banded matrices."""
    planes = shared_planes(W, task.groups)
    assert planes is not None
    filters = [_parts(plane, task) for plane in planes]

    def run(X: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        def add(part: tuple[ColumnProduct, Term], total: FloatArray, first: bool) -> None:
            _add_columns(*part, X, total, scratch, add=not first)

        sum_parts(filters, add, out, task.groups, scratch)

    # Input rows are read as they come; what is read again should stay in cache.
    products = [product for parts in filters for product, _ in parts]
    held = max((product.n for product in products), default=0)
    row = task.window.cols.padded * task.n_C_prev * held + task.window.cols.out * task.n_C
    return Kernel(
        run,
        row * task.dtype.itemsize,
        step=DOWN,
        # The zeros of a matrix turn an infinity into NaN in every row of its block.
        spreads=min((down_block(product.n) for product in products), default=0),
        needs_finite=not W.any(axis=0).all(),
        whole_rows=True,
        pads_columns=True,
    )


def _columns(plane: FloatArray) -> list[Term]:
    """A kernel's different columns; the taps of each are ``(0, column)``."""
    return collect_terms(plane.T[None], 1)


def _parts(plane: FloatArray, task: ConvTask) -> list[tuple[ColumnProduct, Term]]:
    """Some columns at a time: how they run down, and ``(product, column)`` for what to add."""
    columns, parts = _columns(plane), []
    for first in range(0, len(columns), TOGETHER):
        some = columns[first : first + TOGETHER]
        kernels = np.array([np.broadcast_to(term.weight, len(plane)) for term in some])
        plus = tuple((d, j) for d, term in enumerate(some) for _, j in term.plus)
        minus = tuple((d, j) for d, term in enumerate(some) for _, j in term.minus)
        parts.append((ColumnProduct.of(kernels, task), Term(np.ones(()), plus, minus)))
    return parts


def _add_columns(
    product: ColumnProduct,
    term: Term,
    X: FloatArray,
    total: FloatArray,
    scratch: Scratch,
    add: bool,
) -> None:
    """Write the sum of some columns' results into `total` (m, rows, values), or add it."""
    window, groups = product.task.window, product.task.groups
    lowered = product.run(X, total.shape[1], scratch)
    lead, lines = lowered.shape[:4], lowered.reshape(-1, *lowered.shape[3:])
    phases = [phase.reshape(*lead, -1) for phase in long_rows(lines, window, scratch)]
    products = [
        row_cells([phase[:, :, d] for phase in phases], window, groups) for d in range(lead[2])
    ]
    blocks = total.reshape(*lead[:2], lead[3], -1)
    weighted_sum([term], lambda d, j: products[d](0, j), blocks, blocks, add)
