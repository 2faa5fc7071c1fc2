"""Kernels of low rank: a sum of a few column-times-row kernels, each run as two 1-D passes.

A kernel of rank r costs ``r * (k_H + k_W)`` taps instead of ``k_H * k_W``. Box, Gaussian, Sobel and
Prewitt have rank 1; a difference of Gaussians, a Laplacian of Gaussian and a Gabor kernel rank 2.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.core.algorithms import factored
from cnncli.core.algorithms.base import ConvTask, Kernel, Work, shared_planes
from cnncli.core.algorithms.factored import Factors
from cnncli.core.arrays import FloatArray

TOLERANCE: Final = 4
"""What factors may miss of a kernel: this many roundings of the sum of its magnitudes."""

LEAST_SCALE: Final = 1 / 16
"""Factors are rescaled only by this much, which keeps them far from overflow."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count the products and passes; None unless channels share kernels of low rank."""
    kernels = _all_factors(W, task)
    return None if kernels is None else factored.work(kernels, task)


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Factor every kernel and make its factors ready."""
    kernels = _all_factors(W, task)
    assert kernels is not None
    return factored.prepare(kernels, task)


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
