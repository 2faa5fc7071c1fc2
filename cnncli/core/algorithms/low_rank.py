"""Kernels of low rank: a sum of a few column-times-row kernels, each run as two 1-D passes.

A kernel of rank r costs ``r * (k_H + k_W)`` taps instead of ``k_H * k_W``. Box, Gaussian, Sobel and
Prewitt have rank 1; a difference of Gaussians, a Laplacian of Gaussian and a Gabor kernel rank 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import ConvTask, Kernel, Work, shared_planes
from cnncli.core.algorithms.shift_add import (
    collect_terms,
    count_passes,
    long_rows,
    row_cells,
    weighted_sum,
)
from cnncli.core.algorithms.toeplitz import ALONG, DOWN, ColumnProduct, RowProduct, sum_parts
from cnncli.core.arrays import FloatArray
from cnncli.system.threads import Scratch

Factors = list[tuple[FloatArray, FloatArray]]
Along = Callable[[list[FloatArray], FloatArray, Scratch], None]
"""``along(phases, out, scratch)``: run a 1-D kernel along padded rows."""

TOLERANCE: Final = 4
"""What factors may miss of a kernel: this many roundings of the sum of its magnitudes."""

PASS_FLOPS: Final = 14
"""Operations of a product with a banded matrix in the time of a pass: measured."""

LEAST_SCALE: Final = 1 / 16
"""Factors are rescaled only by this much, which keeps them far from overflow."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count the 1-D products and passes; None unless channels share kernels of low rank."""
    factors = _all_factors(W, task)
    if factors is None:
        return None
    pairs = [pair for kernel in factors for pair in kernel]
    cols, rows = task.window.cols, task.window.rows
    multiplied = [v for _, v in pairs if _multiplied(v, task)]
    flops = sum(_band_flops(v, task) for v in multiplied)
    passes = sum(_passes(v, task) for _, v in pairs if not _multiplied(v, task))
    lowered = len(pairs) * task.images * rows.out * cols.padded * task.groups
    return Work(
        passes=(passes + len(pairs) - len(factors)) * task.window_count * task.groups,
        copies=(task.multiplier > 1) * task.window_count * task.n_C + (cols.stride > 1) * lowered,
        flops=lowered * 2 * rows.reach(DOWN) + flops * task.window_count * task.groups,
        calls=passes + len(pairs),
    )


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Factor every kernel and make its factors ready."""
    factors = _all_factors(W, task)
    assert factors is not None
    dtype = task.dtype
    kernels = [
        [
            (ColumnProduct.of(u.astype(dtype), task), _along(v.astype(dtype), task))
            for u, v in kernel
        ]
        for kernel in factors
    ]

    def run(X: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        def add(part: tuple[ColumnProduct, Along], total: FloatArray, first: bool) -> None:
            product, along = part
            columns = product.run(X, total.shape[1], scratch)
            sums = total if first else scratch.take("more", total.shape, dtype)
            along(long_rows(columns, task.window, scratch), sums, scratch)
            if not first:
                np.add(total, sums, out=total)

        sum_parts(kernels, add, out, task.groups, scratch)

    # Input rows are read as they come; what is read again should stay in cache.
    row = task.window.cols.padded * task.n_C_prev + task.window.cols.out * task.n_C
    along_rows = any(_multiplied(v, task) for kernel in factors for _, v in kernel)
    return Kernel(
        run,
        row * dtype.itemsize,
        step=DOWN,
        # The zeros of a matrix turn an infinity into NaN in every row of its block; but one that
        # overflowed on the way stands in its own row only, until a product along the row.
        spreads=1 if along_rows else DOWN,
        needs_finite=not all(v.all() for kernel in factors for _, v in kernel),
        whole_rows=True,
        pads_columns=True,
    )


def factor(kernel: FloatArray) -> Factors | None:
    """Write a kernel as a sum of column-times-row kernels, as few as its precision allows.

    The factors are found by elimination with complete pivoting: the column and the row through
    the largest remaining weight are taken out. Unlike the singular value decomposition this keeps
    whole numbers whole and symmetric factors symmetric, and the remainder bounds the error of a
    filtered value: it is at most ``sum |remainder| * max |input|``.

    Parameters
    ----------
    kernel : ndarray, shape (k_H, k_W)

    Returns
    -------
    list of (ndarray of shape (k_H,), ndarray of shape (k_W,)) in float64, or None
        None if nothing short of full rank reaches the kernel's precision.

    Examples
    --------
    >>> sobel = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    >>> [(u.tolist(), v.tolist()) for u, v in factor(sobel)]
    [([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])]
    """
    rest = kernel.astype(np.float64)
    limit = TOLERANCE * np.finfo(kernel.dtype).eps * np.abs(rest).sum()
    factors: Factors = []
    for _ in range(min(kernel.shape)):
        i, j = np.unravel_index(np.abs(rest).argmax(), rest.shape)
        if rest[i, j] == 0 or not np.isfinite(rest).all():
            return None
        factors.append(_scaled(rest[:, j] / rest[i, j], rest[i]))
        rest = rest - np.outer(*factors[-1])
        if np.abs(rest).sum() <= limit:
            return factors
    return None


def _scaled(u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Move a factor from v to u so that small weights of v become 1: those need no multiplication.

    The product down the columns multiplies by all of u in any case.
    """
    largest, smallest = np.abs(v).max(), np.abs(v[v != 0]).min()
    scale = smallest if smallest >= LEAST_SCALE * largest else largest
    return u * scale, v / scale


def _all_factors(W: FloatArray, task: ConvTask) -> list[Factors] | None:
    """The factors of each of the kernels that all channels share."""
    planes = shared_planes(W, task.groups) if task.depthwise else None
    if planes is None:
        return None
    factors = []
    for plane in planes:
        if (kernel := factor(plane)) is None:
            return None
        factors.append(kernel)
    return factors


def _band_flops(v: FloatArray, task: ConvTask) -> int:
    """Operations per output of a kernel along rows as a product."""
    return 2 * (ALONG + (len(v) - 1) * task.window.cols.dilation * task.groups)


def _passes(v: FloatArray, task: ConvTask) -> int:
    """Elementwise calls of a kernel along rows."""
    return count_passes(v[None, :, None])


def _multiplied(v: FloatArray, task: ConvTask) -> bool:
    """Whether a kernel runs along rows as a product rather than in passes."""
    cols = task.window.cols
    fits = cols.stride == 1 and cols.out * task.groups >= ALONG
    return fits and _band_flops(v, task) < PASS_FLOPS * _passes(v, task)


def _along(v: FloatArray, task: ConvTask) -> Along:
    """Return the function that runs a 1-D kernel along padded rows."""
    terms, window, groups = collect_terms(v[None, :, None], 1), task.window, task.groups
    step = window.cols.dilation * groups
    if _multiplied(v, task):
        product = RowProduct.of(v, step)
        return lambda phases, out, scratch: product.run(phases[0], out)

    def add(phases: list[FloatArray], out: FloatArray, scratch: Scratch) -> None:
        spare = scratch.take("spare", out.shape, out.dtype)
        weighted_sum(terms, row_cells(phases, window, groups), out, spare)

    return add
