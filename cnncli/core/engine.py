"""Runs a convolution over a padded batch, tap by tap: shift the input, multiply, add."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnncli.core.geometry import Window

FloatArray = NDArray[np.floating]


def correlate(X_pad: FloatArray, W: FloatArray, window: Window, groups: int) -> FloatArray:
    """Slide the filters over a padded batch, without bias.

    Parameters
    ----------
    X_pad : ndarray, shape (m, padded rows, padded columns, n_C_prev)
        Padded input.
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters of the same dtype.
    window : Window
        Where the filters stand.
    groups : int
        Channel groups that do not see each other.

    Returns
    -------
    ndarray, shape (m, n_H, n_W, n_C)

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.core.geometry import place_window
    >>> X, W = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> correlate(X, W, place_window((3, 3), 2), 1).ravel()
    array([4., 4., 4., 4.])
    """
    Z = np.zeros((X_pad.shape[0], *window.out, W.shape[3]), X_pad.dtype)
    for i, j, (rows, cols) in window.taps():
        Z += _tap_forward(X_pad[:, rows, cols], W[i, j], groups)
    return Z


def correlate_backward(
    dZ: FloatArray, X_pad: FloatArray, W: FloatArray, window: Window, groups: int
) -> tuple[FloatArray, FloatArray]:
    """Return the gradients of `correlate` for its padded input and its filters.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the output.
    X_pad, W, window, groups
        As given to `correlate`.

    Returns
    -------
    dX_pad : ndarray, the shape of X_pad
    dW : ndarray, the shape of W

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.core.geometry import place_window
    >>> X, W = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> dX, dW = correlate_backward(np.ones((1, 2, 2, 1)), X, W, place_window((3, 3), 2), 1)
    >>> dX[0, 1, 1, 0], dW.ravel()
    (np.float64(4.0), array([4., 4., 4., 4.]))
    """
    dX_pad, dW = np.zeros_like(X_pad), np.empty_like(W)
    for i, j, (rows, cols) in window.taps():
        dX_pad[:, rows, cols] += _tap_backward(dZ, W[i, j], groups)
        dW[i, j] = _tap_gradient(X_pad[:, rows, cols], dZ, groups)
    return dX_pad, dW


def _tap_forward(cells: FloatArray, W_tap: FloatArray, groups: int) -> FloatArray:
    """One tap's share of the output: (m, h, w, n_C_prev) cells times its weights."""
    if groups == 1:
        return cells @ W_tap
    if W_tap.shape[0] == 1:
        # One input channel a group: nothing to sum, so multiply instead of many tiny products.
        spread = cells[..., None] * W_tap.reshape(groups, -1)
        return spread.reshape(*cells.shape[:3], -1)
    return _join(_split(cells, groups) @ _group_weights(W_tap, groups), cells.shape[:3])


def _tap_backward(dZ: FloatArray, W_tap: FloatArray, groups: int) -> FloatArray:
    """One tap's share of the padded input's gradient."""
    if groups == 1:
        return dZ @ W_tap.T
    transposed = _group_weights(W_tap, groups).swapaxes(1, 2)
    return _join(_split(dZ, groups) @ transposed, dZ.shape[:3])


def _tap_gradient(cells: FloatArray, dZ: FloatArray, groups: int) -> FloatArray:
    """One tap's weight gradient (n_C_prev / groups, n_C): cells times dZ over all places."""
    per_group = _split(cells, groups).swapaxes(1, 2) @ _split(dZ, groups)
    return per_group.swapaxes(0, 1).reshape(per_group.shape[1], -1)


def _split(values: FloatArray, groups: int) -> FloatArray:
    """(m, h, w, C) as (groups, m*h*w, C / groups)."""
    return values.reshape(-1, groups, values.shape[3] // groups).swapaxes(0, 1)


def _join(values: FloatArray, images: tuple[int, ...]) -> FloatArray:
    """(groups, m*h*w, c) as (m, h, w, groups * c)."""
    return values.swapaxes(0, 1).reshape(*images, -1)


def _group_weights(W_tap: FloatArray, groups: int) -> FloatArray:
    """(C_in / groups, C_out) as (groups, C_in / groups, C_out / groups)."""
    return W_tap.reshape(W_tap.shape[0], groups, -1).swapaxes(0, 1)
