"""Kernels of low rank: a sum of a few column-times-row kernels, each run as two 1-D passes.

A kernel of rank r costs ``r * (k_H + k_W)`` taps instead of ``k_H * k_W``. Box, Gaussian, Sobel and
Prewitt have rank 1; a difference of Gaussians, a Laplacian of Gaussian and a Gabor kernel rank 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from cnncli.core.algorithms.banded import BLOCK, band_matrix, band_product
from cnncli.core.algorithms.base import (
    FloatArray,
    Kernel,
    Scratch,
    Task,
    Work,
    product_flops,
    shared_planes,
)
from cnncli.core.algorithms.shift_add import (
    Term,
    collect_terms,
    long_rows,
    row_cells,
    weighted_sum,
)
from cnncli.core.geometry import Axis, Window

Factors = list[tuple[FloatArray, FloatArray]]
Down = Callable[[FloatArray, FloatArray, Scratch], None]
"""``down(rows, out, scratch)``: run a 1-D kernel down the columns of padded rows."""

TOLERANCE: Final = 4
"""What factors may miss of a kernel: this many roundings of the sum of its magnitudes."""

BAND_FROM: Final = 9
"""Taps from which a pass down the columns is a matrix product: measured, see banded.py."""

LEAST_SCALE: Final = 1 / 16
"""Factors are rescaled only by this much, which keeps them far from overflow."""


def work(W: FloatArray, task: Task) -> Work | None:
    """Count the 1-D passes; None unless the channels' shared kernels have low rank."""
    factors = _all_factors(W, task)
    if factors is None:
        return None
    rows = task.images * task.window.rows.out
    pairs = [pair for kernel in factors for pair in kernel]
    across = sum(term.passes for _, v in pairs for term in _row_terms(v, task.dtype))
    down = sum(term.passes for u, _ in pairs for term in _column_terms(u, task.dtype))
    flops, block = 0.0, band_block(task.window.rows)
    columns = task.window.cols.padded * task.groups
    if _banded(task.window.rows):
        height = task.window.rows.reach(block)
        flops, down = len(pairs) * rows / block * product_flops(block, height, columns), 0
    return Work(
        passes=across * task.places * task.groups + down * rows * columns,
        copies=(task.multiplier > 1) * task.places * task.n_C,
        flops=flops,
        calls=across + down + len(pairs) * rows / block,
    )


def prepare(W: FloatArray, task: Task) -> Kernel:
    """Factor every kernel and sort the factors' taps by weight."""
    factors = _all_factors(W, task)
    assert factors is not None
    window, groups, count, dtype = task.window, task.groups, task.multiplier, task.dtype
    kernels = [
        [(_down(u, window.rows, dtype), _row_terms(v, dtype)) for u, v in kernel]
        for kernel in factors
    ]

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        phases = long_rows(X_pad, window, scratch)
        shape = (*out.shape[:2], out.shape[2] * groups)
        total = out.reshape(shape) if count == 1 else scratch.take("total", shape, dtype)
        for number, kernel in enumerate(kernels):
            _add_factors(kernel, phases, window, groups, total, scratch)
            if count > 1:
                out[..., number::count] = total.reshape(*out.shape[:3], groups)

    row = window.cols.padded * task.n_C_prev * (window.rows.stride + 2) + window.cols.out * task.n_C
    banded = _banded(window.rows)
    step = band_block(window.rows) if banded else 1
    return Kernel(run, row * dtype.itemsize, step=step, spreads=banded)


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
    """Move a factor from u to v so that small weights become 1, which costs no multiplication."""
    smallest = np.abs(u[u != 0]).min()
    return (u / smallest, v * smallest) if smallest >= LEAST_SCALE else (u, v)


def band_block(axis: Axis) -> int:
    """Return how many output rows one product down the columns computes."""
    return max(BLOCK, axis.extent // (2 * axis.stride) // BLOCK * BLOCK)


def _banded(axis: Axis) -> bool:
    return axis.kernel >= BAND_FROM


def _all_factors(W: FloatArray, task: Task) -> list[Factors] | None:
    """The factors of each of the kernels that all channels share."""
    planes = shared_planes(W, task.groups) if task.depthwise else None
    if planes is None:
        return None
    found = [factor(plane) for plane in planes]
    factors = [kernel for kernel in found if kernel is not None]
    return factors if len(factors) == len(found) else None


def _row_terms(v: FloatArray, dtype: np.dtype[Any]) -> list[Term]:
    return collect_terms(v.astype(dtype)[None, :, None], 1)


def _column_terms(u: FloatArray, dtype: np.dtype[Any]) -> list[Term]:
    return collect_terms(u.astype(dtype)[:, None, None], 1)


def _down(u: FloatArray, axis: Axis, dtype: np.dtype[Any]) -> Down:
    """Return the function that runs a 1-D kernel down the columns."""
    if not _banded(axis):
        terms = _column_terms(u, dtype)

        def shift_down(rows: FloatArray, out: FloatArray, scratch: Scratch) -> None:
            spare = scratch.take("spare", out.shape, dtype)
            weighted_sum(terms, lambda i, j: rows[:, axis.tap(i, out.shape[1])], out, spare)

        return shift_down
    block = band_block(axis)
    matrix = band_matrix(u.astype(dtype)[None], axis, block)

    def multiply_down(rows: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        for first in range(0, out.shape[1], block):
            part = out[:, None, first : first + block]
            band_product(matrix, rows, axis, first, part.shape[2], part)

    return multiply_down


def _add_factors(
    kernel: list[tuple[Down, list[Term]]],
    phases: list[FloatArray],
    window: Window,
    groups: int,
    total: FloatArray,
    scratch: Scratch,
) -> None:
    """Write the sum of all factors' two passes into `total`, (m, rows, n_W * groups)."""
    m, _, length = phases[0].shape
    lowered = scratch.take("lowered", (len(phases), m, total.shape[1], length), total.dtype)
    for number, (down, across) in enumerate(kernel):
        for rows, out in zip(phases, lowered, strict=True):
            down(rows, out, scratch)
        spare = scratch.take("spare", total.shape, total.dtype)
        cells = row_cells(list(lowered), window, groups)
        weighted_sum(across, cells, total, spare, add=number > 0)
