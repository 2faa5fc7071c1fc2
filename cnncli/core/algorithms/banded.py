"""A 2-D kernel of any rank: each of its columns slides down the picture, all in one product.

What the columns give is shifted and added. Columns that are equal, up to their sign, are one. Per
output value that is about ``2 * k_H`` operations for each different column, at the speed of matrix
products, and one pass for each column.
"""

from __future__ import annotations

import numpy as np

from cnncli.core.algorithms import factored
from cnncli.core.algorithms.base import ConvTask, Kernel, Work, shared_planes
from cnncli.core.algorithms.factored import Factors
from cnncli.core.arrays import FloatArray


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count products and additions; None unless every channel meets the same 2-D kernels."""
    planes = shared_planes(W, task.groups) if task.depthwise else None
    return None if planes is None else factored.work(list(map(different_columns, planes)), task)


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Make the kernels' different columns ready."""
    planes = shared_planes(W, task.groups)
    assert planes is not None
    return factored.prepare(list(map(different_columns, planes)), task)


def different_columns(plane: FloatArray) -> Factors:
    """Write a kernel as its different columns times rows that hold 1 and -1 where they stand.

    Examples
    --------
    >>> sobel = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    >>> [(column.tolist(), row.tolist()) for column, row in different_columns(sobel)]
    [([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])]
    """
    factors: dict[bytes, tuple[FloatArray, FloatArray]] = {}
    for number, column in enumerate(plane.T):
        if column.any():
            sign = 1 if column[column != 0][0] > 0 else -1
            signed = sign * column
            # Adding 0 turns -0 into 0, so that equal weights have equal bytes.
            key = (signed + 0).tobytes()
            _, row = factors.setdefault(key, (signed, np.zeros_like(plane[0])))
            row[number] = sign
    return list(factors.values()) or [(plane[:, 0], plane[0])]
