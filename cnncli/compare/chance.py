"""Tells whether two results agree by more than chance: whether their values are varied enough."""

from __future__ import annotations

from math import log2
from typing import Final

import numpy as np

from cnncli.core.arrays import FloatArray

LEAST_VARIETY: Final = 6
"""Values that are not the commonest, and different ones beside it, without which pictures agree by
chance: 6 as of 2 x 2 different values, 2 as of one white pixel on black."""

SAMPLED: Final = 64
"""Rows and columns that are compared before all are."""


def tells(values: FloatArray, apart: float, ways: int = 1) -> bool:
    """Tell whether values are so varied that others do not agree with them by chance.

    Parameters
    ----------
    values : ndarray, shape (N, H, W, C)
    apart : float
        How far the others are from them. What differs by less counts as the same value.
    ways : int
        How many others were tried.

    Examples
    --------
    >>> ramp = np.arange(20.0).reshape(1, 4, 5, 1)
    >>> tells(ramp, 0.5), tells(ramp, 10.0), tells(np.ones((1, 4, 5, 1)), 0.0)
    (True, False, False)
    """
    least = LEAST_VARIETY + log2(ways)
    return any(_variety(values[box], apart) >= least for box in (sample(values.shape), ...))


def _variety(values: FloatArray, apart: float) -> int:
    """Count values that differ by more than `apart` comes to, whatever they are rounded to."""
    if apart == 0:
        return _varied(values)
    # What lies within twice `apart` is one value in one of both: all that one other agrees with.
    steps = values.astype(np.float64) / (4 * apart)
    return min(_varied(np.rint(steps)), _varied(np.floor(steps)))


def _varied(values: FloatArray) -> int:
    """Count values that are not the commonest, and different ones; repeated rows count once."""
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, 0)
        new = (lines[1:] != lines[:-1]).any(axis=(1, 2, 3))
        values = np.moveaxis(lines[np.concatenate([[True], new])], 0, axis)
    counts = np.unique(values, return_counts=True)[1]
    return int(values.size - counts.max() + counts.size - 1)


def sample(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Every so many rows and columns: most pairs that differ do so there."""
    return (slice(0, 1), *(slice(0, None, max(1, size // SAMPLED)) for size in shape[1:3]))
