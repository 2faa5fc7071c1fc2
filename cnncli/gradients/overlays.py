"""Gradients and winners laid over what they belong to, as colours in 0..1."""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli.network.layers import FloatArray
from cnncli.render.levels import choose_range, measure

_RED: Final = np.array([1.0, 0.16, 0.12], np.float32)
_BLUE: Final = np.array([0.16, 0.42, 1.0], np.float32)
_WINNER_DARK: Final = np.array([0.8, 0.28, 0.0], np.float32)
_WINNER_BRIGHT: Final = np.array([1.0, 0.85, 0.3], np.float32)
_TINT: Final = 0.7
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)


def overlay(photo: FloatArray, gradient: FloatArray, most: float) -> FloatArray:
    """Lay a signed map over a grey, dimmed photograph: red above 0, blue below.

    Parameters
    ----------
    photo : ndarray, shape (n_H, n_W, n_C)
        Values in 0..1; others are stretched to it.
    gradient : ndarray, shape (n_H, n_W)
    most : float
        The magnitude that hides the photograph; at 0 nothing is laid over it.

    Returns
    -------
    ndarray of float32, shape (n_H, n_W, 3)
        In 0..1.

    Examples
    --------
    >>> print(overlay(np.ones((1, 2, 1)), np.array([[0.0, -4.0]]), 2.0))
    [[[0.6  0.6  0.6 ]
      [0.16 0.42 1.  ]]]
    """
    shares = np.abs(gradient) / most if most else np.zeros(gradient.shape)
    # Below 1, so that what is weak tints the photograph too.
    shares = (np.nan_to_num(shares).clip(0, 1) ** _TINT)[..., None].astype(np.float32)
    colours = np.where((gradient > 0)[..., None], _RED, _BLUE)
    under = 0.1 + 0.5 * _unit_range(_grey(photo))
    return np.asarray(under[..., None] * (1 - shares) + colours * shares)


def mark_winners(
    values: FloatArray, wins: FloatArray, spec: str | tuple[float, float]
) -> FloatArray:
    """Show one map of a pool's input in dimmed grey, with the cells that won in orange.

    Parameters
    ----------
    values : ndarray, shape (n_H, n_W)
    wins : ndarray, shape (n_H, n_W)
        How many windows each cell won.
    spec : str or (float, float)
        Range of the values, as `choose_range` takes it; brighter is larger, in both colours.

    Returns
    -------
    ndarray of float32, shape (n_H, n_W, 3)
        In 0..1.

    Examples
    --------
    >>> print(mark_winners(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]]), "minmax"))
    [[[0.15 0.15 0.15]
      [1.   0.85 0.3 ]]]
    """
    mapping = choose_range(measure(values), spec, clip_by_default=False)
    shown = np.abs(values) if mapping.kind == "abs" else values
    width = mapping.hi - mapping.lo
    shares = (shown - mapping.lo) / width if width else np.zeros(values.shape)
    shares = np.nan_to_num(shares).clip(0, 1)[..., None].astype(np.float32)
    grey = np.broadcast_to(0.15 + 0.6 * shares, (*values.shape, 3))
    colour = _WINNER_DARK * (1 - shares) + _WINNER_BRIGHT * shares
    return np.where((wins > 0)[..., None], colour, grey)


def _grey(photo: FloatArray) -> FloatArray:
    photo = photo.astype(np.float32, copy=False)
    return photo @ _LUMINANCE if photo.shape[2] == 3 else photo.mean(axis=2)


def _unit_range(grey: FloatArray) -> FloatArray:
    found = measure(grey)
    if not 0 <= found.lo <= found.hi <= 1:
        width = np.float32(found.hi - found.lo)
        grey = (grey - np.float32(found.lo)) / width if width > 0 else np.zeros_like(grey)
    return np.nan_to_num(grey).clip(0, 1)
