"""What the averages of a pool divide by, and the division of the sums of its windows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Axis, Box, Window

ALL: Final = slice(None)


def divisors(
    window: Window, include_pad: bool, dtype: np.dtype[Any], box: Box = (ALL, ALL)
) -> FloatArray:
    """Return how many cells the average of each window in a box divides by.

    Parameters
    ----------
    window : Window
    include_pad : bool
        Whether explicit pads count.
    dtype : dtype
        Of the divisors.
    box : (slice, slice)
        Output rows and columns; default: all.

    Returns
    -------
    ndarray, shape (rows, columns, 1)

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> window = place_window((3, 2), 3, padding=1)
    >>> divisors(window, False, np.dtype(float))[:, :, 0]
    array([[4., 4.],
           [6., 6.],
           [4., 4.]])
    """
    down, across = (_counts(axis, include_pad, dtype) for axis in (window.rows, window.cols))
    return np.multiply.outer(down[box[0]], across[box[1]])[:, :, None]


def divide_sums(sums: FloatArray, window: Window, include_pad: bool, first: int = 0) -> None:
    """Turn the sums of some output rows into averages, in place.

    Parameters
    ----------
    sums : ndarray, shape (m, rows, n_W, n_C)
    window : Window
        That of the whole pool.
    include_pad : bool
        Whether explicit pads count.
    first : int
        The first of the rows.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> sums = np.full((1, 1, 3, 1), 12.0)
    >>> divide_sums(sums, place_window((3, 3), 3, padding=1), include_pad=False, first=2)
    >>> sums.ravel()
    array([3., 2., 3.])
    """
    _, rows, _, n_C = sums.shape
    numbers = divisors(window, include_pad, sums.dtype, (slice(first, first + rows), ALL))
    # One for each channel: numpy is several times as slow where pixels of few share one.
    sums /= np.repeat(numbers, n_C, axis=2)


@lru_cache(maxsize=64)
def _counts(axis: Axis, include_pad: bool, dtype: np.dtype[Any]) -> FloatArray:
    """How many taps along an axis count, for each output: each strip asks."""
    # A dilated window can meet pads only; its sum is 0, and so is its average.
    return np.maximum(axis.counts(include_pad), 1).astype(dtype)
