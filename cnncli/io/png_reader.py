"""Plain PNG pictures, whose rows are used while later ones are still being decoded.

zlib inflates a band of rows, and Pillow undoes the filters of that band alone.
"""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from cnncli.errors import CnnCliError, FileProblem
from cnncli.io.npy import fault_text
from cnncli.io.pillow_reader import ReadOptions, check_decoded, check_pixels

# Smaller pictures are there before a thread would have got going.
_LEAST_PIXELS = 2**20
_BAND_BYTES = 2**20
_READ_BYTES = 2**16
_SIGNATURE_BYTES = 8
_LONGEST_CHUNK = 2**20
# What changes neither samples nor their meaning here.
_HARMLESS = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"hIST"}
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# Texts that turn the picture, or that would have to be unfolded to know: EXIF and XMP.
_TURNING = re.compile(
    rb"....Raw profile|zTXtXML:|iTXtXML:(?:[^\0]*\0\x01|.*Orientation)", re.IGNORECASE | re.DOTALL
)
_MODES = {0: ("L", 1), 2: ("RGB", 3)}


class Arriving:
    """Tells how many rows of a picture are there.

    Examples
    --------
    >>> arriving = Arriving()
    >>> arriving.arrive(3)
    >>> arriving.wait(2)
    """

    def __init__(self) -> None:
        self._changed, self._there = threading.Condition(), 0
        self._error: CnnCliError | None = None

    def arrive(self, row: int, error: CnnCliError | None = None) -> None:
        """Say that the rows before `row` are there, or that no more will come."""
        with self._changed:
            self._there, self._error = row, self._error or error
            self._changed.notify_all()

    def give_up(self) -> None:
        """Let nobody wait for further rows: the work that they are for has failed."""
        with self._changed:
            self._error = self._error or CnnCliError("the work that needed the rows has failed")
            self._changed.notify_all()

    def wait(self, row: int) -> None:
        """Return when the rows before `row` are there.

        Raises
        ------
        FileProblem
            If they never come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._there >= row or self._error is not None)
            if self._error is not None and self._there < row:
                raise self._error


class _Head(NamedTuple):
    width: int
    height: int
    bits: int
    colour: int
    compression: int
    filters: int
    interlace: int


@dataclass(frozen=True)
class _Plain:
    """A picture of 8-bit grey or colour without interlacing, and where its data stand."""

    width: int
    height: int
    mode: str
    channels: int
    places: tuple[tuple[int, int], ...]

    @property
    def row(self) -> int:
        """Bytes of a row with its filter's number."""
        return self.width * self.channels + 1


def start_decoding(
    stream: BinaryIO, options: ReadOptions, name: str
) -> tuple[np.ndarray, Arriving] | None:
    """Decode a PNG picture, a large one on a thread.

    Parameters
    ----------
    stream : BinaryIO
        The whole file; it will be closed.
    options : ReadOptions
    name : str
        The name to use in messages.

    Returns
    -------
    (ndarray of uint8, shape (H, W, C)), Arriving
        What the thread fills; None for all but plain pictures that are not truncated, in which
        nothing but the samples matters.

    Raises
    ------
    FileProblem
        If it has too many pixels, or needs too much memory.

    Examples
    --------
    >>> from io import BytesIO
    >>> start_decoding(BytesIO(b"no PNG at all"), ReadOptions(), "a.png") is None
    True
    """
    with contextlib.ExitStack() as held:
        held.enter_context(stream)
        plain = _read_plain(stream)
        if plain is None:
            return None
        check_pixels(plain.width * plain.height, options.max_pixels, name)
        luminance = 4 if options.gray and plain.channels == 3 else 0
        each = plain.channels + luminance
        check_decoded(plain.width * plain.height * each, options, name)
        pixels = np.empty((plain.height, plain.width, plain.channels), np.uint8)
        arriving = Arriving()
        work = pixels, stream, plain, arriving, name
        if plain.width * plain.height < _LEAST_PIXELS:
            _fill(*work)
            arriving.wait(plain.height)
        else:
            # A daemon: nobody waits for a picture whose job has failed.
            threading.Thread(target=_fill, args=work, daemon=True).start()
            held.pop_all()
    return pixels, arriving


def _fill(
    pixels: np.ndarray, stream: BinaryIO, plain: _Plain, arriving: Arriving, name: str
) -> None:
    top = 0
    try:
        with stream:
            for band in _bands(stream, plain):
                pixels[top : top + len(band)] = band
                top += len(band)
                arriving.arrive(top)
    # As for Pillow's other readers, a broken picture may raise anything.
    except Exception as error:
        damaged = isinstance(error, zlib.error)
        reason = "its compressed data are damaged" if damaged else fault_text(error)
        problem = FileProblem(f"broken or truncated PNG: {reason}", path=name)
        arriving.arrive(top, problem)


def _bands(stream: BinaryIO, plain: _Plain) -> Iterator[np.ndarray]:
    """Yield the samples of all rows, (rows, W, C)."""
    inflater, data = zlib.decompressobj(), _data(stream, plain.places)
    above = bytes(plain.row)
    together = max(1, _BAND_BYTES // plain.row)
    for top in range(0, plain.height, together):
        count = min(together, plain.height - top)
        filtered = _inflated(inflater, data, count * plain.row)
        if top + count == plain.height:
            _finish(inflater, data)
        # Filters reach one row up: it comes first, unfiltered, to be known to Pillow's decoder,
        # which takes nothing but zlib's format; stored blocks cost it a copy.
        stored = zlib.compress(b"".join([above, *filtered]), 0)
        size = plain.width, count + 1
        image = Image.frombytes(plain.mode, size, stored, "zip", plain.mode, 0)
        band = np.asarray(image).reshape(count + 1, plain.width, plain.channels)
        above = b"\0" + band[-1].tobytes()
        yield band[1:]


def _inflated(inflater: zlib._Decompress, data: Iterator[bytes], size: int) -> list[bytes]:
    """Return the next `size` bytes in parts."""
    parts = []
    while size:
        more = inflater.unconsumed_tail or next(data, b"")
        part = inflater.decompress(more, size)
        if not more and not part:
            raise OSError("image file is truncated")
        parts.append(part)
        size -= len(part)
    return parts


def _finish(inflater: zlib._Decompress, data: Iterator[bytes]) -> None:
    """Read on to zlib's checksum behind the last row."""
    while not inflater.eof:
        more = inflater.unconsumed_tail or next(data, b"")
        if inflater.decompress(more, _READ_BYTES):
            return
        if not more:
            raise OSError("image file is truncated")


def _data(stream: BinaryIO, places: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
    for place, length in places:
        stream.seek(place)
        for begin in range(0, length, _READ_BYTES):
            yield stream.read(min(_READ_BYTES, length - begin))


def _read_plain(stream: BinaryIO) -> _Plain | None:
    """Look at all chunks; anything out of the ordinary is for Pillow to judge."""
    stream.seek(_SIGNATURE_BYTES)
    head, places, ended = None, [], False
    while chunk := _next_chunk(stream):
        kind, place, data = chunk
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            if ended:
                return None
            places.append((place, int.from_bytes(data, "big")))
            continue
        ended = bool(places)
        if kind == b"IHDR" and head is None and len(data) == struct.calcsize(">IIBBBBB"):
            head = _Head(*struct.unpack(">IIBBBBB", data))
        elif kind not in _HARMLESS and (kind not in _TEXTS or _TURNING.match(kind + data)):
            return None
    if chunk is None or head is None or not places or head[4:] != (0, 0, 0):
        return None
    if head.bits != 8 or head.colour not in _MODES or not head.width * head.height:
        return None
    return _Plain(head.width, head.height, *_MODES[head.colour], tuple(places))


def _next_chunk(stream: BinaryIO) -> tuple[bytes, int, bytes] | None:
    """Return kind, place and data of a chunk, of image data their length; None if it is broken."""
    start = stream.read(8)
    if len(start) < 8:
        return None
    length, kind = struct.unpack(">I4s", start)
    place = stream.tell()
    if kind == b"IDAT":
        stream.seek(place + length)
        return (kind, place, start[:4]) if len(stream.read(4)) == 4 else None
    if length > _LONGEST_CHUNK:
        return None
    data, check = stream.read(length), stream.read(4)
    sound = check == zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")
    return (kind, place, data) if sound else None
