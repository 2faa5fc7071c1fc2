"""The small picture of a whole image, for pages that hold only a part of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnncli.io.images import Picture
from cnncli.io.resize import resize
from cnncli.render.grey_levels import LevelMapping, paint_levels

LONGER_SIDE: Final = 160
"""Pixels of the small picture's longer side."""


def overview_levels(
    picture: Picture, image: int, channels: Sequence[int], mapping: LevelMapping
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a small picture of a whole image.

    Parameters
    ----------
    picture : Picture
    image : int
        Which image of a batch.
    channels : sequence of int
        The three of a colour picture, or one.
    mapping : LevelMapping
        Which values are black and white.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 600, 1200, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> overview_levels(picture, 0, [0], LevelMapping("clip", 0, 1)).shape
    (80, 160, 3)
    """
    _, height, width, _ = picture.shape
    factor = LONGER_SIDE / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    pixels = picture.pixels[image : image + 1, :, :, list(channels)]
    values = resize(pixels, size)[0].astype(np.float64) / picture.scale
    levels = np.empty(values.shape, np.uint8)
    paint_levels(values, mapping, "8", levels)
    return np.broadcast_to(levels, (*size, 3))
