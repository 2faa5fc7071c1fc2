"""Types of arrays, the dtype to compute in, placeholders, and words for NaN and infinities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cnncli.errors import OptionError

_TOGETHER: Final = 64
"""Numbers of the last axis that are copied together."""

Array = NDArray[Any]
FloatArray = NDArray[np.floating]
Shape = tuple[int, int, int, int]
"""(m, n_H, n_W, n_C)."""


def float_dtype(*arrays: NDArray[Any]) -> np.dtype[np.floating]:
    """Return the dtype to compute in: float32 if everything is float32 or smaller, else float64.

    Raises
    ------
    OptionError
        If an array holds no real numbers.

    Examples
    --------
    >>> float_dtype(np.zeros(1, np.float32)), float_dtype(np.zeros(1, int))
    (dtype('float32'), dtype('float64'))
    """
    for array in arrays:
        if array.dtype.kind not in "biuf":
            raise OptionError(f"arrays must hold real numbers, got dtype {array.dtype}")
    kind = np.result_type(*arrays)
    narrow = kind.kind == "f" and kind.itemsize <= 4
    return np.dtype(np.float32 if narrow else np.float64)


def as_real(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return real numbers in a dtype.

    Raises
    ------
    OptionError
        If they are none.

    Examples
    --------
    >>> as_real([1, 2], float)
    array([1., 2.])
    >>> as_real([1j], float)
    Traceback (most recent call last):
    cnncli.errors.OptionError: arrays must hold real numbers, got dtype complex128
    """
    array = np.asarray(values)
    float_dtype(array)
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)


def in_memory_order(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a copy whose last axis lies together, as that of filters with their maps last.

    Filters of ONNX have their maps first: to copy all maps of a cell, then all of the next, touches
    a line of memory for each number. Some maps at a time take half as long.

    Examples
    --------
    >>> in_memory_order(np.arange(6).reshape(2, 3).T, "float32").tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    if array.ndim < 2 or array.strides[-1] == array.itemsize:
        return np.array(array, dtype, order="C")
    made = np.empty(array.shape, dtype)
    for first in range(0, array.shape[-1], _TOGETHER):
        maps = slice(first, first + _TOGETHER)
        made[..., maps] = array[..., maps]
    return made


def placeholder(dtype: DTypeLike, shape: Sequence[int]) -> NDArray[Any]:
    """Return an array of any size that takes the memory of one number.

    Examples
    --------
    >>> placeholder("float32", (10**6, 10**6)).strides
    (0, 0)
    """
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))


def is_placeholder(array: NDArray[Any]) -> bool:
    """Tell whether an array came from `placeholder`, so that its values mean nothing.

    Examples
    --------
    >>> is_placeholder(placeholder("float32", (3, 3))), is_placeholder(np.zeros((3, 3)))
    (True, False)
    """
    return array.ndim > 0 and not any(array.strides)


def non_finite_text(what: str, *arrays: NDArray[Any]) -> str:
    """Say how many values are NaN or infinite, as subject and verb of a sentence.

    Parameters
    ----------
    what : str
        What the values are, in the plural.
    *arrays : ndarray
        Of floats.

    Returns
    -------
    str
        Empty if all are finite.

    Examples
    --------
    >>> non_finite_text("weights", np.array([1, np.nan]), np.ones(3)), non_finite_text("weights")
    ('1 of 5 weights is', '')
    """
    total = sum(array.size for array in arrays)
    count = total - sum(int(np.count_nonzero(np.isfinite(array))) for array in arrays)
    return f"{count} of {total} {what} {'is' if count == 1 else 'are'}" if count else ""
