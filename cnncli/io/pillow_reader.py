"""Decodes picture files with Pillow: raw samples the right way up, or an error of cnncli's."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import re
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError, FileProblem
from cnncli.io.decoding_memory import (
    check_decoding_memory,
    decoding_bytes,
    sample_bytes,
)
from cnncli.io.deep_samples import bits_of_file, is_read_deep, raw_mode, read_deep_colour
from cnncli.io.fast_codecs import decode_jpeg
from cnncli.io.frames import frame_notes, refuse_frame, select_frame
from cnncli.io.jpeg2000 import check_jpeg2000, white_of_jpeg2000
from cnncli.io.limits import check_pixels, too_large
from cnncli.io.photo_metadata import read_photo_metadata
from cnncli.io.read_options import ReadOptions
from cnncli.io.regular_files import fault_text
from cnncli.io.resize import draft, resize_notes
from cnncli.io.samples import (
    CMYK_NOTE,
    GREY_MODES,
    INTEGERS_NOTE,
    Samples,
    turn_upright,
    unlike_colour,
)

if TYPE_CHECKING:
    from cnncli.io.tiff_samples import Layout

_PLUGINS = {"WEBP": "WebP", "JPEG2000": "Jpeg2K"}
_FEATURES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
"""What Pillow may have been built without."""
_BAND_PIXELS = 2**20
_RECORD_CHARACTERS = 2**24
_ORIENTATION = 274
_ON_THEIR_SIDE = (5, 6, 7, 8)
_TIFF_BITS, _TIFF_PHOTOMETRIC, _DESCRIPTION, _TIFF_SAMPLE_FORMAT = 258, 262, 270, 339
# Pillow's size limit, the warning filters and file descriptor 2 belong to the whole process.
_PROCESS_WIDE = threading.RLock()


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
        return too_large(claimed.group() if claimed else "too many", options.max_pixels, name)
    # Pillow's own words for "no reader took it" show an address in memory.
    unread = isinstance(error, UnidentifiedImageError)
    reason = (
        "its header is damaged, or of a kind that is not supported" if unread else fault_text(error)
    )
    return FileProblem(f"broken or truncated {kind}: {reason}", path=name)


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
        With what the picture says of its own making.

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


@dataclass(frozen=True)
class StoredPicture:
    """What the header of a picture tells of it.

    Attributes
    ----------
    size : (int, int)
        Rows and columns, the right way up.
    channels : int
        Without transparency.
    has_alpha : bool
        Whether it may be transparent somewhere.
    sample_bytes : int
        Of each sample that is read.
    decoding_bytes : int
        Memory that decoding takes at the most.
    """

    size: tuple[int, int]
    channels: int
    has_alpha: bool
    sample_bytes: int
    decoding_bytes: int


def read_picture_header(
    stream: BinaryIO, kind: str, options: ReadOptions, name: str
) -> StoredPicture:
    """Return what the header tells of what `decode` would give.

    Call it inside `process_quiet`. Parameters and errors are those of `decode`.

    Examples
    --------
    >>> from io import BytesIO
    >>> header = read_picture_header(BytesIO(b"P5 200 100 255 "), "PPM", ReadOptions(), "a.pgm")
    >>> header.size, header.channels
    ((100, 200), 1)
    """
    image: Any
    try:
        with _opened(stream, kind) as image:
            stored, page = _ready_to_decode(image, stream, kind, options, name)
            channels = 1 if image.mode in GREY_MODES or image.mode.startswith("I") else 3
            has_alpha = image.mode[-1] in "Aa" or "transparency" in image.info
            if page is not None:
                channels, has_alpha = page.channels, page.has_alpha
            # Not the plugin's own getexif: that of PNG decodes the pixels to look behind them.
            turned = False
            with contextlib.suppress(Exception):
                # Broken EXIF does not turn the picture.
                turned = Image.Image.getexif(image).get(_ORIENTATION) in _ON_THEIR_SIDE
            return StoredPicture(
                stored if turned else stored[::-1],
                channels,
                has_alpha,
                sample_bytes(image, options, page),
                decoding_bytes(image, options, page),
            )
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
    if kind in _FEATURES and not features.check(_FEATURES[kind]):
        raise FileProblem(f"this Pillow was built without {kind}", hint="pip install -U pillow")
    stream.seek(0)
    importlib.import_module(f"PIL.{_PLUGINS.get(kind, kind.title())}ImagePlugin")
    if kind == "TIFF":
        from cnncli.io.tiff_samples import TiffFile

        return TiffFile(stream)
    # Not Image.open: it would load the readers of five formats first.
    try:
        image = Image.OPEN[kind][0](stream, "")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise UnidentifiedImageError from error
    if image.width * image.height > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError(str(image.width * image.height))
    return image


def _select_frame(image: Image.Image, options: ReadOptions, name: str) -> None:
    """Go to the frame that was asked for, of what is read frame by frame."""
    if options.frame is None:
        return
    if options.restore is not None and _holds_pages(image):
        several = getattr(image, "is_animated", False)
        refuse_frame(options.frame, several, "a file of values", name)
    select_frame(image, options.frame, name)


def _holds_pages(image: Image.Image) -> bool:
    """Whether the pages of a picture are the values of one result."""
    return image.mode == "F" and "shape" in _record(image)


def _check_colour(image: Image.Image, name: str) -> None:
    if image.mode == "LAB":
        raise FileProblem("CIE L*a*b* colour is not read, save it as RGB first", path=name)


def _ready_to_decode(
    image: Any, stream: BinaryIO, kind: str, options: ReadOptions, name: str
) -> tuple[tuple[int, int], Layout | None]:
    """Make an open picture ready to decode; refuse what its header tells to be wrong.

    Returns its width and height as stored, and the layout of a TIFF page that is read here.
    """
    _select_frame(image, options, name)
    _check_colour(image, name)
    check_pixels(image.width * image.height, options.max_pixels, name)
    stored, page = image.size, None
    if kind == "JPEG2000":
        check_jpeg2000(image, stream, name)
    if kind == "TIFF":
        from cnncli.io.tiff_samples import layout_of

        # Pillow may have turned its own size already.
        layout = layout_of(image)
        stored = layout.width, layout.height
        page = _own_layout(image, layout, options, name)
    if options.size is not None and options.restore is None:
        draft(image, options.size)
    return stored, page


def _decode(stream: BinaryIO, kind: str, options: ReadOptions, name: str) -> Samples:
    with _opened(stream, kind) as image:
        stored, page = _ready_to_decode(image, stream, kind, options, name)
        check_decoding_memory(decoding_bytes(image, options, page), options, name)
        if (other := _other_samples(image, stream, kind, options, page)) is not None:
            notes = resize_notes(other.colour.shape[:2], options.size, options.fit) + other.notes
            notes += frame_notes(image, _holds_pages(image)) if options.frame is None else ()
            photo_metadata = read_photo_metadata(image, other.bits)
            return replace(other, notes=notes, record=_record(image), photo_metadata=photo_metadata)
        layout, notes = raw_mode(image), _depth_notes(image, stream)
        white = white_of_jpeg2000(image, stream) if kind == "JPEG2000" else None
        image.load()
        decoded = image.size
        notes += _turned_upright(image)
        width, height = stored if image.size == decoded else stored[::-1]
        notes += resize_notes((height, width), options.size, options.fit)
        samples = _samples(image, layout)
        samples = samples if white is None else replace(samples, scale=white)
        samples = replace(samples, photo_metadata=read_photo_metadata(image, samples.bits))
        if options.restore is not None:
            return _with_record(samples, image, options, name)
        notes += frame_notes(image) if options.frame is None else ()
        return replace(samples, notes=notes + samples.notes, record=_record(image))


def _other_samples(
    image: Any, stream: BinaryIO, kind: str, options: ReadOptions, page: Layout | None
) -> Samples | None:
    """Return the samples of a picture that Pillow would lose bits of, or cannot read; else None.

    Also of a JPEG file, where another library decodes it in less time.
    """
    if page is not None:
        from cnncli.io.tiff_samples import read_tiff

        samples, orientation = read_tiff(image, stream), _tiff_tag(image, _ORIENTATION, 1)
    elif is_read_deep(image, options):
        samples = read_deep_colour(image, stream, lambda: _opened(stream, kind))
        orientation, notes = _orientation(image)
        samples = replace(samples, notes=samples.notes + notes)
    elif kind == "JPEG" and options.size is None and not options.frame:
        if (colour := decode_jpeg(image, stream)) is None:
            return None
        orientation, notes = _orientation(image)
        samples = Samples(colour, 255.0, notes)
    else:
        return None
    alpha = None if samples.alpha is None else turn_upright(samples.alpha, orientation)
    return replace(samples, colour=turn_upright(samples.colour, orientation), alpha=alpha)


def _own_layout(image: Any, layout: Layout, options: ReadOptions, name: str) -> Layout | None:
    """Return the layout of a TIFF page that is read here; refuse one that nothing reads."""
    from cnncli.io.tiff_samples import needs_own_reader

    if not needs_own_reader(image):
        return None
    problem = layout.problem()
    if problem is not None and not image.is_known:
        raise FileProblem(f"{problem} is not read", path=name)
    # Numbers that cnncli wrote are read page by page.
    if problem is not None or (options.restore is not None and image.mode == "F"):
        return None
    # Four channels are a picture; whoever claims more claims several.
    several = -(-layout.samples // len("RGBA"))
    check_pixels(layout.width * layout.height * several, options.max_pixels, name)
    return layout


def _with_record(samples: Samples, image: Image.Image, options: ReadOptions, name: str) -> Samples:
    """Add what the picture says of its own making, and all pages of a float TIFF."""
    record = _record(image)
    if not _holds_pages(image):
        return replace(samples, record=record)
    shape = record["shape"]
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
    # Other programs write JSON too.
    return record if isinstance(record, dict) and "cnncli" in record else {}


def _orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """Return the number that EXIF has for a picture's turn, and a note if it cannot be read."""
    try:
        return image.getexif().get(_ORIENTATION, 1), ()
    except Exception:
        # Every viewer shows a picture whose description alone is damaged.
        return 1, ("EXIF data is broken, orientation not applied",)


def _turned_upright(image: Image.Image) -> tuple[str, ...]:
    orientation, notes = _orientation(image)
    if orientation == 1:
        return notes
    try:
        from PIL import ImageOps

        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:
        # The pixels are turned first; what fails is writing back the other tags, never used here.
        pass
    return ()


def _depth_notes(image: Image.Image, stream: BinaryIO) -> tuple[str, ...]:
    """Say when Pillow keeps only the high bits of what the file holds."""
    if image.mode.startswith("I") or image.mode == "F":
        return ()
    bits = max(*_tiff_tag(image, _TIFF_BITS, (0,)), bits_of_file(image, stream))
    return (f"{bits}-bit colour read as 8-bit",) if bits > 8 else ()


def _tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(tag, default)


def _samples(image: Image.Image, layout: str) -> Samples:
    if image.mode.startswith("I") or image.mode == "F":
        return _single_samples(image, layout)
    key = image.info.get("transparency")
    palette = image.mode in ("P", "PA")
    alpha = image.mode[-1] in "Aa" or (palette and key is not None)
    grey = image.mode in ("1", "L", "LA", "La")
    # La and RGBa convert to nothing but their kind with the colour not multiplied by alpha.
    target = ("L" if grey else "RGB") + ("A" if alpha else "")
    plain = image if image.mode == target else image.convert(target)
    array = _array(plain).reshape(plain.height, plain.width, -1)
    if layout.startswith("LA;16"):
        array = array[:, :, [0, 3]]
    if alpha:
        return Samples(array[:, :, :-1], 255.0, alpha=array[:, :, -1])
    if key is not None and np.size(key) == array.shape[2]:
        step = {"L;2": 85, "L;4": 17}.get(layout, 1)
        return Samples(array, 255.0, alpha=unlike_colour(array, np.multiply(key, step)))
    if _tiff_tag(image, _TIFF_SAMPLE_FORMAT, (1,))[0] == 2:
        return Samples(array.view(np.int8).astype(np.float32), 1.0, (INTEGERS_NOTE,))
    return Samples(array, 255.0, (CMYK_NOTE,) if image.mode == "CMYK" else ())


def _array(image: Image.Image) -> np.ndarray:
    """Return a picture's samples; large ones in bands: Pillow copies what it gives twice.

    So reading 12 megapixels of colour takes 125 MB in all, and 148 otherwise.
    """
    if image.width * image.height <= _BAND_PIXELS:
        return np.asarray(image)
    pixel, rows = np.asarray(image.crop((0, 0, 1, 1))), max(1, _BAND_PIXELS // image.width)
    samples = np.empty((image.height, image.width, *pixel.shape[2:]), pixel.dtype)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        samples[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return samples


def _single_samples(image: Image.Image, layout: str) -> Samples:
    array = _array(image)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)[:, :, np.newaxis]
    if image.mode == "F":
        return Samples(array, 1.0)
    if image.mode == "I" and image.format == "TIFF":
        unsigned = _tiff_tag(image, _TIFF_SAMPLE_FORMAT, (1,))[0] == 1
        numbers = array.view(np.uint32) if unsigned else array
        return Samples(numbers.astype(np.float32), 1.0, (INTEGERS_NOTE,))
    if layout == "I;12":
        return Samples(array.astype(np.float32) / np.float32(4095), 1.0, is_deep=True)
    array = array.astype(np.uint16, copy=False)
    if _tiff_tag(image, _TIFF_PHOTOMETRIC, 1) == 0:
        # White is zero here; Pillow inverts that for 8 bits and forgets it for 16.
        array = np.uint16(65_535) - array
    key = image.info.get("transparency")
    alpha = None if key is None else unlike_colour(array, key)
    return Samples(array, 65_535.0, alpha=alpha)
