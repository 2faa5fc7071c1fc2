"""Levels of an array, as `paint_levels` writes them."""

from __future__ import annotations

import numpy as np

from cnncli.render.grey_levels import LevelMapping, level_dtype, paint_levels


def to_levels(values: np.ndarray, mapping: LevelMapping, depth: str = "8") -> np.ndarray:
    """Return the levels of values as an array of their shape."""
    levels = np.empty(values.shape, level_dtype(depth))
    paint_levels(values, mapping, depth, levels)
    return levels
