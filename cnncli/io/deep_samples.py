"""16-bit colour of PNG and pixel maps, of which Pillow alone would keep only the high bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import Image, ImageFile

from cnncli.io.read_options import ReadOptions
from cnncli.io.samples import Samples, unlike_colour

_HIGH: Final = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
"""Pillow's raw modes of 16-bit colour, which give the high bytes, and those that give the low."""

_BITS: Final = {
    # Boxes of AVIF name the bits of each channel; the header of JPEG 2000 has one less.
    "AVIF": (re.compile(rb"pixi.{5}(.)", re.DOTALL), 255, 0),
    "JPEG2000": (re.compile(rb"\xff\x4f\xff\x51.{38}(.)", re.DOTALL), 127, 1),
}
_HEAD_BYTES: Final = 2**16
_COMMENT: Final = re.compile(rb"#[^\r\n]*")
_TOGETHER: Final = 2**20
_BYTE: Final = 255
_FULL: Final = 65_535


def raw_mode(image: Image.Image) -> str:
    """Return the layout of the samples in the file, in Pillow's terms: ``LA;16B`` for example."""
    return str(next(iter(_decoder_arguments(image)), ""))


def _decoder_arguments(image: Image.Image) -> tuple[Any, ...]:
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ()
    return arguments if isinstance(arguments, tuple) else (arguments,)


def bits_of_file(image: Image.Image, stream: BinaryIO) -> int:
    """Return the bits that samples have in the file of an open picture; 0 if it is not known.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = BytesIO(b"P6 1 1 65535 " + bytes(6))
    >>> bits_of_file(Image.open(file), file)
    16
    """
    if image.format in _BITS:
        pattern, mask, more = _BITS[image.format]
        stream.seek(0)
        found = pattern.search(stream.read(_HEAD_BYTES))
        return (found.group(1)[0] & mask) + more if found else 0
    # BGR;16 of BMP files has 16 bits for all channels together.
    is_deep = ";16" in raw_mode(image) and not raw_mode(image).startswith("BGR")
    return 16 if is_deep or _most_of_map(image) > _BYTE else 0


def has_deep_colour(image: Image.Image) -> bool:
    """Tell whether `read_deep_colour` reads a picture, opened but not loaded."""
    if image.format == "PNG":
        return raw_mode(image) in (*_HIGH, "LA;16B")
    return image.mode == "RGB" and _most_of_map(image) > _BYTE


def is_read_deep(image: Image.Image, options: ReadOptions) -> bool:
    """Tell whether a picture's 16-bit colour is read with all bits.

    Later frames of an animation are laid over the ones before, in 8 bits.
    """
    return has_deep_colour(image) and not options.frame


def _most_of_map(image: Image.Image) -> int:
    """Return the value of white in a pixel map, where it is not what the raw mode says."""
    others = _decoder_arguments(image)[1:] if image.format == "PPM" else ()
    return int(others[0]) if others else 0


def read_deep_colour(
    image: ImageFile.ImageFile, stream: BinaryIO, reopen: Callable[[], Any]
) -> Samples:
    """Return the samples of a picture with 16-bit colour, as `has_deep_colour` tells.

    Parameters
    ----------
    image : ImageFile
        Opened, not loaded.
    stream : binary file
        The whole file.
    reopen : callable
        Opens the picture once more.

    Returns
    -------
    Samples
        uint16, not yet turned upright.
    """
    if image.format == "PPM":
        return Samples(_pixel_map(image, stream), float(_FULL))
    raw = raw_mode(image)
    if raw == "LA;16B":
        # Four bytes a pixel: what Pillow takes for red and green is the grey, then comes the alpha.
        data = _loaded(image, "RGBA").astype(np.uint16)
        deep = data[:, :, ::2] << 8 | data[:, :, 1::2]
        return Samples(deep[:, :, :1], float(_FULL), alpha=deep[:, :, 1])
    deep = _loaded(image, raw).astype(np.uint16)
    deep <<= 8
    with reopen() as again:
        deep |= _loaded(again, _HIGH[raw])
    if raw == "RGBA;16B":
        return Samples(deep[:, :, :3], float(_FULL), alpha=deep[:, :, 3])
    key = image.info.get("transparency")
    alpha = None if key is None else unlike_colour(deep, key)
    return Samples(deep, float(_FULL), alpha=alpha)


def _loaded(image: ImageFile.ImageFile, raw: str) -> np.ndarray:
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    image.load()
    return np.asarray(image)


def _pixel_map(image: ImageFile.ImageFile, stream: BinaryIO) -> np.ndarray:
    """Return the colours of a P3 or P6 file; those above the greatest value become white."""
    decoder, _, offset, arguments = image.tile[0]
    most = int(arguments[-1]) if arguments else _FULL
    count = image.width * image.height * 3
    stream.seek(offset)
    if decoder == "ppm_plain":
        # What follows the numbers, or is none, ends them.
        numbers = np.fromstring(_COMMENT.sub(b"", stream.read()), np.int64, count, sep=" ")
    else:
        numbers = np.frombuffer(stream.read(2 * count), ">u2")
    if numbers.size != count or numbers.min() < 0:
        raise ValueError("it ends too early, or has numbers below 0")
    levels = np.empty(count, np.uint16)
    for first in range(0, count, _TOGETHER):
        part = slice(first, first + _TOGETHER)
        levels[part] = np.rint(np.minimum(numbers[part], most) * (_FULL / most))
    return levels.reshape(image.height, image.width, 3)
