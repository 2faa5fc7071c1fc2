"""Resizes pictures and arrays by Pillow's resampling."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnncli.io.read_options import Sides

FILTER: Final = Image.Resampling.BILINEAR
"""A triangle as wide as the step is long: smooth when shrinking, and never outside the range of
what it averages. It is also what networks are usually trained behind."""

_BENT: Final = 0.95
"""Share of a side up to which an image counts as stretched."""

DRAFT: Final = 2
"""JPEG pictures are decoded at an eighth, a quarter or a half while that leaves this many times
the size that is wanted: nothing is seen of it once they are shrunk the rest of the way."""


def full_size(size: Sides, old: tuple[int, int]) -> tuple[int, int]:
    """Return a size whose open side keeps the shape of an image.

    Parameters
    ----------
    size : (int or None, int or None)
    old : (int, int)
        Rows and columns of the image.

    Examples
    --------
    >>> full_size((48, None), (100, 300)), full_size((None, 60), (50, 20))
    ((48, 144), (150, 60))
    """
    rows, columns = size
    if rows is None:
        rows = old[0] if columns is None else max(1, round(old[0] * columns / old[1]))
    if columns is None:
        columns = max(1, round(old[1] * rows / old[0]))
    return rows, columns


def resize(pixels: NDArray[Any], size: tuple[int, int], fit: str = "stretch") -> NDArray[Any]:
    """Return images of another size.

    Parameters
    ----------
    pixels : ndarray of uint8, uint16, float32 or float64, shape (N, H, W, C)
    size : (int, int)
        Rows and columns.
    fit : {"stretch", "crop", "pad"}
        What is done to an image of another shape: it is stretched; its middle is taken, as large as
        fits; or the whole of it stands in the middle of black.

    Returns
    -------
    ndarray, shape (N, rows, columns, C)
        uint8 stays, and is rounded; uint16 becomes float32. Floats are averaged in float64 and
        kept with the precision of float32.

    Examples
    --------
    >>> resize(np.array([0.0, 0.0, 7.0, 7.0]).reshape(1, 1, 4, 1), (1, 2))[0, 0, :, 0]
    array([1., 6.])
    >>> resize(np.arange(8.0).reshape(1, 2, 4, 1), (2, 2), "crop")[0, :, :, 0]
    array([[1., 2.],
           [5., 6.]])
    """
    old: tuple[int, int] = pixels.shape[1:3]
    if old == size:
        return pixels
    dtype = np.float32 if pixels.dtype == np.uint16 else pixels.dtype
    inner = _inner(old, size) if fit == "pad" else size
    out = np.zeros((len(pixels), *size, pixels.shape[3]), dtype)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    inside = out[:, top : top + inner[0], left : left + inner[1]]
    box = _middle(old, size) if fit == "crop" else None
    for image, target in zip(pixels, inside, strict=True):
        if dtype == np.uint8 and image.shape[2] == 3:
            target[...] = _plane(np.ascontiguousarray(image), inner, box)
            continue
        for channel in range(image.shape[2]):
            plane = np.ascontiguousarray(image[:, :, channel])
            target[:, :, channel] = _plane(plane, inner, box)
    return out


def _inner(old: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the whole image, as large as fits."""
    factor = min(size[0] / old[0], size[1] / old[1])
    rows, columns = (
        min(max(round(side * factor), 1), most) for side, most in zip(old, size, strict=True)
    )
    return rows, columns


def _middle(old: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The middle of an image in the shape of another, as Pillow takes boxes."""
    factor = min(old[0] / size[0], old[1] / size[1])
    rows, columns = size[0] * factor, size[1] * factor
    top, left = (old[0] - rows) / 2, (old[1] - columns) / 2
    return max(left, 0), max(top, 0), min(left + columns, old[1]), min(top + rows, old[0])


def resize_notes(old: tuple[int, int], size: Sides | None, fit: str = "stretch") -> tuple[str, ...]:
    """Say that an image is resized, if it is.

    Examples
    --------
    >>> resize_notes((448, 448), (224, 224)), resize_notes((224, 224), (224, 224))
    (('resized from 448x448 to 224x224',), ())
    >>> resize_notes((300, 451), (224, 224))
    ('resized from 300x451 to 224x224, stretched (see --fit)',)
    """
    if size is None:
        return ()
    size = full_size(size, old)
    if old == size:
        return ()
    line = f"resized from {old[0]}x{old[1]} to {size[0]}x{size[1]}"
    if fit == "crop":
        return (f"cropped to its middle and {line}",)
    inner = _inner(old, size)
    if fit == "pad":
        return (f"{line}, {inner[0]}x{inner[1]} of that in black",)
    bent = min(inner[0] / size[0], inner[1] / size[1]) < _BENT
    return (f"{line}, stretched (see --fit)" if bent else line,)


def draft(image: Image.Image, size: Sides) -> None:
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
    if None in size:
        # What it is decoded to would tell the other side, not what the file says.
        return
    # The picture may still be turned by a quarter: the longer side serves both.
    side = DRAFT * max(side or 1 for side in size)
    image.draft(None, (side, side))


def _plane(
    values: NDArray[Any], size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> NDArray[Any]:
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
    picture = Image.fromarray(values)
    return np.asarray(picture.resize((size[1], size[0]), FILTER, box))
