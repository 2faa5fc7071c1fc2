"""Resizes pictures and arrays by Pillow's resampling."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILTER: Final = Image.Resampling.BILINEAR
"""A triangle as wide as the step is long: smooth when shrinking, and never outside the range of
what it averages. It is also what networks are usually trained behind."""

DRAFT: Final = 2
"""JPEG pictures are decoded at an eighth, a quarter or a half while that leaves this many times
the size that is wanted: nothing is seen of it once they are shrunk the rest of the way."""


def resize(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return images of another size, the whole of each in it.

    Parameters
    ----------
    pixels : ndarray of uint8, uint16, float32 or float64, shape (N, H, W, C)
    size : (int, int)
        Rows and columns.

    Returns
    -------
    ndarray, shape (N, rows, columns, C)
        uint8 stays, and is rounded; uint16 becomes float32. Floats are averaged in float64 and
        kept with the precision of float32.

    Examples
    --------
    >>> resize(np.array([0.0, 0.0, 7.0, 7.0]).reshape(1, 1, 4, 1), (1, 2))[0, 0, :, 0]
    array([1., 6.])
    """
    if pixels.shape[1:3] == size:
        return pixels
    dtype = np.float32 if pixels.dtype == np.uint16 else pixels.dtype
    out = np.empty((len(pixels), *size, pixels.shape[3]), dtype)
    for image, target in zip(pixels, out, strict=True):
        if dtype == np.uint8 and image.shape[2] == 3:
            target[...] = _plane(np.ascontiguousarray(image), size)
            continue
        for channel in range(image.shape[2]):
            plane = np.ascontiguousarray(image[:, :, channel])
            target[:, :, channel] = _plane(plane, size)
    return out


def resize_notes(old: tuple[int, int], size: tuple[int, int] | None) -> tuple[str, ...]:
    """Say that an image is resized, if it is.

    Examples
    --------
    >>> resize_notes((300, 451), (224, 224)), resize_notes((224, 224), (224, 224))
    (('resized from 300x451 to 224x224',), ())
    """
    if size is None or old == size:
        return ()
    return (f"resized from {old[0]}x{old[1]} to {size[0]}x{size[1]}",)


def draft(image: Image.Image, size: tuple[int, int]) -> None:
    """Let a JPEG picture that will be shrunk be decoded small; others stay as they are.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("L", (64, 64)).save(file, "JPEG")
    >>> with Image.open(file) as image:
    ...     draft(image, (8, 8))
    ...     image.size
    (16, 16)
    """
    # The picture may still be turned by a quarter: the longer side serves both.
    side = DRAFT * max(size)
    image.draft(None, (side, side))


def _plane(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    picture = Image.fromarray(values)
    return np.asarray(picture.resize((size[1], size[0]), FILTER))
