"""A decoded picture: its samples, its transparency, and how that is laid on a background."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.io.photo_metadata import PhotoMetadata

_ROWS: Final = 256
_LEVEL_ROWS: Final = 16
TYPED_SIDE: Final = 16
"""Rows or columns of arrays that may be typed by hand: their numbers are as they should be, and
they may be as small as a filter."""

_MOST_COUNTED: Final = 10
"""What small whole numbers do not pass, such as counts; levels of a picture do."""

INTEGERS_NOTE: Final = "whole numbers kept as they are, not scaled to 0..1"
GREY_MODES: Final = ("1", "L", "LA", "La", "F")
"""Pillow's modes of one channel; those that begin with I are of one too."""
CMYK_NOTE: Final = "CMYK colours converted to RGB"


@dataclass(frozen=True)
class Samples:
    """A decoded picture before transparency is flattened: (H, W, C) and perhaps (H, W).

    `is_deep` tells that floats were made of levels of more than 8 bits.
    """

    colour: np.ndarray
    scale: float
    notes: tuple[str, ...] = ()
    alpha: np.ndarray | None = None
    record: dict[str, Any] | None = None
    photo_metadata: PhotoMetadata = PhotoMetadata()
    is_deep: bool = False

    @property
    def bits(self) -> int:
        """How many bits a picture needs that keeps these samples: 8 or 16."""
        return 16 if self.is_deep or self.colour.dtype == np.uint16 else 8


def unlike_colour(array: np.ndarray, colour: object) -> np.ndarray:
    """Return the alpha of a picture in which one colour stands for transparent.

    Parameters
    ----------
    array : ndarray of uint8 or uint16, shape (H, W, C)
    colour : int or sequence of int
        As deep as the array.

    Examples
    --------
    >>> unlike_colour(np.array([[[7], [8]]], np.uint8), 7)
    array([[  0, 255]], dtype=uint8)
    """
    full = np.iinfo(array.dtype).max
    alike = (array == np.atleast_1d(np.asarray(colour, np.int64))).all(axis=2)
    return np.where(alike, 0, full).astype(array.dtype)


def turn_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return a picture (H, W, ...) the right way up, by the number that EXIF has for its turn.

    Examples
    --------
    >>> turn_upright(np.array([[1, 2, 3]]), 6).tolist()
    [[1], [2], [3]]
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def is_opaque(alpha: np.ndarray | None) -> bool:
    """Tell whether nothing shows through a picture with this alpha."""
    return alpha is None or bool((alpha == np.iinfo(alpha.dtype).max).all())


def flattened(samples: Samples, background: tuple[int, ...], label: str) -> Samples:
    """Return a picture laid on a background, which the note calls by its label."""
    colour, alpha = samples.colour, samples.alpha
    if alpha is None or is_opaque(alpha):
        return replace(samples, alpha=None)
    full = np.iinfo(alpha.dtype).max
    behind = np.array(background, np.float32) / np.float32(255)
    behind = behind[: flat_channels(colour.shape[2], background)]
    flat = np.empty((*alpha.shape, len(behind)), np.float32)
    for top in range(0, len(flat), _ROWS):
        rows = slice(top, top + _ROWS)
        share = (alpha[rows].astype(np.float32) / np.float32(full))[:, :, np.newaxis]
        values = colour[rows].astype(np.float32) / np.float32(samples.scale)
        flat[rows] = values * share + behind * (1 - share)
    notes = (*samples.notes, f"transparency flattened on {label} (--background)")
    return replace(samples, colour=flat, scale=1.0, notes=notes, alpha=None)


def flat_channels(channels: int, background: tuple[int, ...]) -> int:
    """Return how many channels a picture has once it is laid on a background.

    Examples
    --------
    >>> flat_channels(1, (255, 255, 255)), flat_channels(1, (255, 0, 0))
    (1, 3)
    """
    return 1 if channels == 1 and len(set(background)) == 1 else 3


def hold_levels(batch: np.ndarray) -> bool:
    """Tell whether floats are the levels of an 8-bit picture: whole numbers from 0 to 255.

    Parameters
    ----------
    batch : ndarray, shape (N, H, W, C)

    Examples
    --------
    >>> [hold_levels(np.full((1, 20, 20, 1), value)) for value in (200.0, 0.5)]
    [True, False]
    """
    _, height, width, _ = batch.shape
    if batch.dtype.kind != "f" or min(height, width) <= TYPED_SIDE:
        return False
    # Of other arrays the first strip tells.
    strips = (batch[:, top : top + _LEVEL_ROWS] for top in range(0, height, _LEVEL_ROWS))
    is_whole = all(
        ((strip >= 0) & (strip <= 255) & (strip == np.floor(strip))).all() for strip in strips
    )
    return is_whole and bool(batch.max() > _MOST_COUNTED)
