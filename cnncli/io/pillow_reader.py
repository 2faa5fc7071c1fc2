"""Decodes picture files with Pillow: raw samples the right way up, or an error of cnncli's."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from cnncli.errors import CnnCliError, FileProblem, OptionError
from cnncli.io.limits import MAX_INPUT_BYTES, MAX_PIXELS
from cnncli.io.npy import fault_text
from cnncli.io.resize import draft, resize_notes
from cnncli.system.memory import check_memory

_PLUGINS = {"JPEG": "Jpeg", "PNG": "Png", "TIFF": "Tiff", "WEBP": "WebP", "PPM": "Ppm"}
_BAND_PIXELS = 2**20
_FRAMES_COUNTED = 1_000
_RECORD_CHARACTERS = 2**24
INTEGERS_NOTE = "whole numbers kept as they are, not scaled to 0..1"
_ORIENTATION = 274
_ON_THEIR_SIDE = (5, 6, 7, 8)
_PIXEL_BYTES = {"1": 2, "L": 2, "P": 8, "RGB": 7, "YCbCr": 11, "CMYK": 11, "F": 8, "I": 12} | {
    **dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), 4),
    **dict.fromkeys(("LA", "La"), 10),
    # All others have colour and alpha, or may have.
    "": 20,
}
_GREY_MODES = ("1", "L", "LA", "La", "F")
_TIFF_BITS, _TIFF_PHOTOMETRIC, _DESCRIPTION, _TIFF_SAMPLE_FORMAT = 258, 262, 270, 339
# Pillow's size limit, the warning filters and file descriptor 2 belong to the whole process.
_PROCESS_WIDE = threading.RLock()


Restore = Callable[[np.ndarray, dict[str, Any], str], np.ndarray]


@dataclass(frozen=True)
class ReadOptions:
    """How to read an image.

    Attributes
    ----------
    gray : bool
        Reduce three channels to their luminance.
    background : str
        What shows through transparency: a colour name, ``#rrggbb`` or the like.
    frame : int, optional
        Which frame of a multi-frame file, the first being 0. None is the first, with a note.
    restore : callable, optional
        ``restore(pixels, record, name)`` turns a picture that cnncli made back into the numbers it
        shows, by the record it carries: `cnncli.render.metadata.restore_values`. None: the pixels
        are the values.
    max_pixels : int
        The most pixels of a picture, checked before it is decoded.
    max_input_bytes : int
        The most bytes of standard input or of a ``.npy`` array.
    max_memory : int, optional
        The most bytes that an image and what is made of it may take; default: what is available.
    size : (int, int), optional
        Rows and columns that the image is resized to.
    """

    gray: bool = False
    background: str = "black"
    frame: int | None = None
    restore: Restore | None = None
    max_pixels: int = MAX_PIXELS
    max_input_bytes: int = MAX_INPUT_BYTES
    max_memory: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Samples:
    """A decoded picture before transparency is flattened: (H, W, C) and perhaps (H, W)."""

    colour: np.ndarray
    scale: float
    notes: tuple[str, ...] = ()
    alpha: np.ndarray | None = None
    record: dict[str, Any] | None = None


@contextlib.contextmanager
def process_quiet(max_pixels: int) -> Iterator[None]:
    """Decode without a word from Pillow or its C libraries, under our own size limit."""
    with _PROCESS_WIDE, stderr_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        # Pillow refuses what is over twice its limit, and merely warns below that.
        Image.MAX_IMAGE_PIXELS = min(max_pixels, 2**63) / 2  # type: ignore[assignment]
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """Keep what is written straight to file descriptor 2, as by libtiff, off the screen."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        # Closed: nothing can be shown, and the number may be taken by the next file opened.
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _broken(error: Exception, kind: str, options: ReadOptions, name: str) -> FileProblem:
    if isinstance(error, Image.DecompressionBombError):
        claimed = re.search(r"\d+", str(error))
        return _too_large(claimed.group() if claimed else "too many", options.max_pixels, name)
    # Pillow's own words for "no reader took it" show an address in memory.
    unread = isinstance(error, UnidentifiedImageError)
    reason = (
        "its header is damaged, or of a kind that is not supported" if unread else fault_text(error)
    )
    return FileProblem(f"broken or truncated {kind}: {reason}", path=name)


def check_pixels(pixels: int, limit: int, name: str) -> None:
    """Refuse a picture that is too large, before it is decoded.

    Raises
    ------
    FileProblem
    """
    if pixels > limit:
        raise _too_large(str(pixels), limit, name)
    if pixels < 1:
        raise ValueError("it has no pixels")


def _too_large(pixels: str, limit: int, name: str) -> FileProblem:
    return FileProblem(
        f"{pixels} pixels, the limit is {limit}",
        hint="--max-pixels raises the limit",
        path=name,
    )


def check_decoded(needed: int, options: ReadOptions, name: str) -> None:
    """Refuse a picture that does not fit into memory, before it is decoded.

    Raises
    ------
    FileProblem
    """
    check_memory(needed, "the picture", "a smaller picture", limit=options.max_memory, path=name)


def decoded_bytes(image: Image.Image, gray: bool = False) -> int:
    """Estimate the memory that decoding takes at the most, from an open picture's header.

    Pillow's samples, four bytes for all colours, with numpy's beside them; in other modes with
    those in RGB too, or with values flattened on the background.

    Examples
    --------
    >>> decoded_bytes(Image.new("RGB", (20, 10)))
    1400
    """
    transparent = "transparency" in image.info
    pixel = _PIXEL_BYTES.get("" if transparent else image.mode, _PIXEL_BYTES[""])
    luminance = 4 if gray and image.mode not in _GREY_MODES else 0
    return image.width * image.height * (pixel + luminance)


def decode(stream: BinaryIO, kind: str, options: ReadOptions, name: str) -> Samples:
    """Decode one frame of a picture; call it inside `process_quiet`.

    Parameters
    ----------
    stream : BinaryIO
        The whole file.
    kind : str
        Pillow's name of its format; no other reader is tried.
    options : ReadOptions
        How to read it.
    name : str
        The name to use in messages.

    Returns
    -------
    Samples
        With ``restore``, with what the picture says of its own making.

    Raises
    ------
    FileProblem
        If it is broken, too large or of a kind that is not supported.
    OptionError
        If there is no such frame.

    Examples
    --------
    >>> from io import BytesIO
    >>> decode(BytesIO(b"P5 2 1 255 ab"), "PPM", ReadOptions(), "a.pgm").colour.shape
    (1, 2, 1)
    """
    try:
        return _decode(stream, kind, options, name)
    except CnnCliError:
        raise
    # Broken pictures make Pillow raise nearly every exception Python has.
    except Exception as error:
        raise _broken(error, kind, options, name) from error


def header_shape(
    stream: BinaryIO, kind: str, options: ReadOptions, name: str
) -> tuple[int, int, int]:
    """Return the (H, W, C) that `decode` would give, from the header alone.

    Call it inside `process_quiet`. Parameters and errors are those of `decode`.

    Examples
    --------
    >>> from io import BytesIO
    >>> header_shape(BytesIO(b"P5 200 100 255 "), "PPM", ReadOptions(), "a.pgm")
    (100, 200, 1)
    """
    try:
        with _opened(stream, kind) as image:
            check_pixels(image.width * image.height, options.max_pixels, name)
            channels = 1 if image.mode in _GREY_MODES or image.mode.startswith("I") else 3
            size = image.height, image.width
            # Not the plugin's own getexif: that of PNG decodes the pixels to look behind them.
            turned = Image.Image.getexif(image).get(_ORIENTATION) in _ON_THEIR_SIDE
            return (*(size[::-1] if turned else size), channels)
    except CnnCliError:
        raise
    except Exception as error:
        raise _broken(error, kind, options, name) from error


def carried_record(stream: BinaryIO, kind: str) -> dict[str, Any]:
    """Return what a picture says of its own making, without decoding it; empty for others.

    Call it inside `process_quiet`. What is broken is another's picture.
    """
    try:
        with _opened(stream, kind) as image:
            return _record(image)
    except Exception:
        return {}


def _opened(stream: BinaryIO, kind: str) -> Image.Image:
    stream.seek(0)
    # Imported here because Pillow would otherwise import all its plugins to find these.
    importlib.import_module(f"PIL.{_PLUGINS.get(kind, kind.title())}ImagePlugin")
    return Image.open(stream, formats=(kind,))


def _decode(stream: BinaryIO, kind: str, options: ReadOptions, name: str) -> Samples:
    with _opened(stream, kind) as image:
        if options.frame is not None:
            _select_frame(image, options.frame, name)
        check_pixels(image.width * image.height, options.max_pixels, name)
        raw_mode, notes = _raw_mode(image), _depth_notes(image)
        stored = image.size
        if options.size is not None and options.restore is None:
            draft(image, options.size)
        check_decoded(decoded_bytes(image, options.gray), options, name)
        image.load()
        decoded = image.size
        notes += _turned_upright(image)
        width, height = stored if image.size == decoded else stored[::-1]
        notes += resize_notes((height, width), options.size)
        samples = _samples(image, raw_mode, name)
        if options.restore is not None:
            return _with_record(samples, image, options, name)
        if options.frame is None:
            notes += _frame_notes(image)
    return replace(samples, notes=notes + samples.notes)


def _with_record(samples: Samples, image: Image.Image, options: ReadOptions, name: str) -> Samples:
    """Add what the picture says of its own making, and all pages of a float TIFF."""
    record = _record(image)
    shape = record.get("shape")
    if image.mode != "F" or shape is None:
        return replace(samples, record=record)
    n, height, width, channels = (int(size) for size in shape)
    # One page is one channel of one image, and every page is checked against the first.
    if min(n, channels) < 1 or samples.colour.shape[:2] != (height, width):
        raise ValueError("its pages do not fit its record")
    check_pixels(n * channels * height * width, options.max_pixels, name)
    pages = np.empty((n * channels, height, width), np.float32)
    for number, page in enumerate(pages):
        image.seek(number)
        page[...] = np.asarray(image)
    values = pages.reshape(n, channels, height, width).transpose(0, 2, 3, 1)
    return replace(samples, colour=values if n > 1 else values[0], record=record)


def _record(image: Image.Image) -> dict[str, Any]:
    """Read cnncli's JSON from where each format keeps text; empty when there is none."""
    text = image.info.get("cnncli") or image.info.get("comment")
    text = text or _tiff_tag(image, _DESCRIPTION, None)
    # Not the plugin's own getexif: that of PNG decodes the pixels to look behind them.
    text = text or Image.Image.getexif(image).get(_DESCRIPTION)
    try:
        if text is None or len(text) > _RECORD_CHARACTERS:
            return {}
        record = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _turned_upright(image: Image.Image) -> tuple[str, ...]:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # Every viewer shows a picture whose description alone is damaged.
        return ("EXIF data is broken, orientation not applied",)
    if orientation == 1:
        return ()
    try:
        from PIL import ImageOps

        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:
        # The pixels are turned first; what fails is writing back the other tags, never used here.
        return ()
    return ()


def _select_frame(image: Image.Image, frame: int, name: str) -> None:
    try:
        if frame < 0:
            raise EOFError
        image.seek(frame)
    except EOFError as error:
        count = _frame_count(image)
        if 0 <= frame < count:
            raise
        raise OptionError(
            f"--frame must be from 0 to {count - 1}, got {frame}", path=name
        ) from error


def _frame_count(image: Image.Image) -> int:
    """Count the frames, of a TIFF at most `_FRAMES_COUNTED`: Pillow's way takes quadratic time."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    with contextlib.suppress(Exception):
        while count < _FRAMES_COUNTED:
            image.seek(count)
            count += 1
    return count


def _frame_notes(image: Image.Image) -> tuple[str, ...]:
    # The further pictures of an MPO are previews and depth maps of the same photograph.
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return ()
    try:
        count = str(_frame_count(image))
    except Exception:
        # The first frame is whole; a later one that is broken only hides their number.
        count = "several"
    return (f"first of {count} frames (--frame N picks another)",)


def _raw_mode(image: Image.Image) -> str:
    """The layout of the samples in the file, in Pillow's terms: ``LA;16B`` for example."""
    args = _decoder_arguments(image)
    return str(args[0] if isinstance(args, tuple) and args else args)


def _decoder_arguments(image: Image.Image) -> Any:
    tiles = getattr(image, "tile", None)
    return tiles[0].args if tiles else ""


def _depth_notes(image: Image.Image) -> tuple[str, ...]:
    """Say when Pillow keeps only the high byte of what the file holds."""
    if image.mode.startswith("I") or image.mode == "F":
        return ()
    args = _decoder_arguments(image)
    deep = ";16" in _raw_mode(image) or (
        image.format == "PPM" and isinstance(args, tuple) and args[-1] > 255
    )
    return ("16-bit colour read as 8-bit",) if deep or _tiff_bits(image) > 8 else ()


def _tiff_bits(image: Image.Image) -> int:
    return int(max(_tiff_tag(image, _TIFF_BITS, (0,))))


def _tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(tag, default)


def _samples(image: Image.Image, raw_mode: str, name: str) -> Samples:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_samples(image, raw_mode)
    if image.mode == "LAB":
        raise FileProblem("CIE L*a*b* colour is not read, save it as RGB first", path=name)
    key = image.info.get("transparency")
    palette = image.mode in ("P", "PA")
    alpha = image.mode[-1] in "Aa" or (palette and key is not None)
    grey = image.mode in ("1", "L", "LA", "La")
    # La and RGBa convert to nothing but their kind with the colour not multiplied by alpha.
    target = ("L" if grey else "RGB") + ("A" if alpha else "")
    plain = image if image.mode == target else image.convert(target)
    array = _array(plain).reshape(plain.height, plain.width, -1)
    if raw_mode.startswith("LA;16"):
        array = array[:, :, [0, 3]]
    if alpha:
        return Samples(array[:, :, :-1], 255.0, alpha=array[:, :, -1])
    if key is not None and np.size(key) == array.shape[2]:
        return Samples(array, 255.0, alpha=_unlike_key(array, key, raw_mode))
    if _tiff_tag(image, _TIFF_SAMPLE_FORMAT, (1,))[0] == 2:
        return Samples(array.view(np.int8).astype(np.float32), 1.0, (INTEGERS_NOTE,))
    return Samples(array, 255.0)


def _array(image: Image.Image) -> np.ndarray:
    """Return a picture's samples; large ones in bands: Pillow copies what it gives twice."""
    if image.width * image.height <= _BAND_PIXELS:
        return np.asarray(image)
    rows = max(1, _BAND_PIXELS // image.width)
    bands = [(top, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    first = np.asarray(image.crop((0, 0, image.width, bands[0][1])))
    samples = np.empty((image.height, *first.shape[1:]), first.dtype)
    samples[: bands[0][1]] = first
    for top, bottom in bands[1:]:
        samples[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return samples


def _unlike_key(array: np.ndarray, key: object, raw_mode: str) -> np.ndarray:
    """Alpha where one colour stands for transparent, given as deep as the file's samples."""
    colour = np.atleast_1d(np.asarray(key, np.int64))
    if raw_mode.startswith("RGB;16"):
        colour = colour >> 8
    elif raw_mode in ("L;2", "L;4"):
        colour = colour * (85 if raw_mode == "L;2" else 17)
    full = np.iinfo(array.dtype).max
    return np.where((array == colour).all(axis=2), 0, full).astype(array.dtype)


def _deep_samples(image: Image.Image, raw_mode: str) -> Samples:
    array = _array(image)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)[:, :, np.newaxis]
    if image.mode == "F":
        return Samples(array, 1.0)
    if image.mode == "I" and image.format == "TIFF":
        unsigned = _tiff_tag(image, _TIFF_SAMPLE_FORMAT, (1,))[0] == 1
        numbers = array.view(np.uint32) if unsigned else array
        return Samples(numbers.astype(np.float32), 1.0, (INTEGERS_NOTE,))
    if raw_mode == "I;12":
        return Samples(array.astype(np.float32) / np.float32(4095), 1.0)
    array = array.astype(np.uint16, copy=False)
    if _tiff_tag(image, _TIFF_PHOTOMETRIC, 1) == 0:
        # White is zero here; Pillow inverts that for 8 bits and forgets it for 16.
        array = np.uint16(65_535) - array
    key = image.info.get("transparency")
    alpha = None if key is None else _unlike_key(array, key, raw_mode)
    return Samples(array, 65_535.0, alpha=alpha)
