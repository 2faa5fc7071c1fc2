"""Decodes JPEG with simplejpeg and deflates with zlib-ng, where the extra ``fast`` is installed.

Pixels are the same with and without: what these libraries would do otherwise than Pillow and zlib
stays with those. JPEG files are not written by simplejpeg, whose transform is a coarser one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, features

_COLOURS = {"L": "GRAY", "RGB": "RGB"}


@cache
def _optional(module: str) -> Any:
    """Return a module, or None where it is missing or cannot be loaded."""
    try:
        return import_module(module)
    except Exception:
        # Built for another numpy, for example: what works without it must go on.
        return None


def zlib_module() -> Any:
    """Return zlib-ng's module, or Python's own, which has the same functions.

    Examples
    --------
    >>> zlib_module().decompress(zlib_module().compress(b"rows"))
    b'rows'
    """
    return _optional("zlib_ng.zlib_ng") or import_module("zlib")


@cache
def packing() -> str:
    """Return what tells how files are packed: machines that give the same text make the same bytes.

    Examples
    --------
    >>> len(packing())
    8
    """
    steps = np.random.default_rng(0).integers(-3, 4, 50_000)
    rows = np.cumsum(steps).astype(np.uint8).tobytes()
    module = zlib_module()
    return f"{module.crc32(b''.join(module.compress(rows, level) for level in range(1, 10))):08x}"


def decode_jpeg(image: Image.Image, stream: BinaryIO) -> np.ndarray | None:
    """Return the pixels of a JPEG file that Pillow has opened, as Pillow would decode them.

    Parameters
    ----------
    image : Image
        Opened, not loaded; it stays so.
    stream : binary file
        The whole file.

    Returns
    -------
    ndarray of uint8, shape (H, W, C), or None
        None where Pillow must decode it: without simplejpeg, for colours such as CMYK, and for
        files with the least fault, of which Pillow knows what still counts.

    Examples
    --------
    >>> decode_jpeg(Image.new("CMYK", (2, 2)), None) is None
    True
    """
    colours = _COLOURS.get(image.mode)
    # Another library behind Pillow would smooth colours in its own way.
    if colours is None or not features.check_feature("libjpeg_turbo"):
        return None
    if (library := _optional("simplejpeg")) is None:
        return None
    stream.seek(0)
    try:
        pixels: np.ndarray = library.decode_jpeg(stream.read(), colours)
    except ValueError:
        return None
    return pixels if pixels.shape[1::-1] == image.size else None
