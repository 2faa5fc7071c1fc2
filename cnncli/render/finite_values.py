"""The range of the finite values of an array, and the count of NaN and infinities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass

# Worked on at a time: three such buffers stay in a core's cache.
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class ValueRange:
    """Smallest and largest finite value of an array, and how many values are not finite.

    Parts of a map may be measured one by one and joined with ``|``.

    Parameters
    ----------
    lo, hi : float
        ``inf`` and ``-inf`` while no finite value was seen.
    non_finite : int
        NaN and infinite values.
    clipped : int
        Finite values outside the range, where it was known.

    Examples
    --------
    >>> ValueRange(0.0, 1.0) | ValueRange(-2.0, 0.5, 3)
    ValueRange(lo=-2.0, hi=1.0, non_finite=3, clipped=0)
    """

    lo: float = math.inf
    hi: float = -math.inf
    non_finite: int = 0
    clipped: int = 0

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest finite value; zeros when there is none."""
        return (self.lo, self.hi) if self.lo <= self.hi else (0.0, 0.0)

    def __or__(self, other: ValueRange) -> ValueRange:
        return ValueRange(
            min(self.lo, other.lo),
            max(self.hi, other.hi),
            self.non_finite + other.non_finite,
            self.clipped + other.clipped,
        )


def measure(values: np.ndarray) -> ValueRange:
    """Find the extremes of the finite values.

    Parameters
    ----------
    values : ndarray of float, any shape

    Returns
    -------
    ValueRange

    Examples
    --------
    >>> measure(np.array([1.0, np.nan, -3.0]))
    ValueRange(lo=-3.0, hi=1.0, non_finite=1, clipped=0)
    """
    seen = ValueRange()
    for block in blocks(values):
        seen |= _measured(values[block])
    return seen


def _measured(block: np.ndarray) -> ValueRange:
    # Added to 0, -0 is 0.
    lo, hi = float(block.min()) + 0.0, float(block.max()) + 0.0
    if math.isfinite(lo) and math.isfinite(hi):
        return ValueRange(lo, hi)
    # NaN and infinities reach min or max, so only such blocks pay for a closer look.
    finite = block[np.isfinite(block)]
    others = block.size - finite.size
    if not finite.size:
        return ValueRange(non_finite=others)
    return ValueRange(float(finite.min()) + 0.0, float(finite.max()) + 0.0, others)


def blocks(values: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Yield indices that cut an array along its first axis, and further where rows are long."""
    if values.size == 0:
        return
    if values.ndim == 0:
        yield (...,)
        return
    row, most = values.size // len(values), _BLOCK_BYTES // values.itemsize
    if row > most and values.ndim > 1:
        for index in range(len(values)):
            for inner in blocks(values[index]):
                yield (slice(index, index + 1), *inner)
        return
    rows = max(1, most // row)
    for start in range(0, len(values), rows):
        yield (slice(start, start + rows),)
