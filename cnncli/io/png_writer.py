"""Writes PNG files in strips, each filtered and deflated on its own by any thread.

The format is that of the PNG specification (W3C, third edition), zlib's and deflate's those of
RFC 1950 and RFC 1951.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cnncli.io.fast_codecs import zlib_module

# Raw bytes of the strips that a whole picture is cut into: never by the number of threads.
_PIECE = 1 << 20
# Every so many bytes of a row are enough to tell which filter suits it.
_EVERY = 7
_LEAST_SEEN = 512
# How to deflate by the share of residuals that are not 0. Where most are 0, repeats are worth a
# search; where few are, not even runs are; measured on photographs, edge maps and flat graphics.
_SEARCH = (6, zlib.Z_DEFAULT_STRATEGY)
_RUNS = (1, zlib.Z_RLE)
_CODES = (1, zlib.Z_HUFFMAN_ONLY)
_SEARCH_BELOW, _RUNS_BELOW = 1 / 32, 0.9
_SMALL = (9, zlib.Z_FILTERED)
# Pillow refuses to read a whole picture when a compressed text in it unfolds to more than this.
_COMPRESSED_TEXT = 1_000_000
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_ADLER_BASE = 65_521
_METRES_PER_INCH = 0.0254
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RAW_DEFLATE = -15
# Deflate, a window of 32 KiB, fast.
_ZLIB_HEADER = b"\x78\x01"
# An empty last block, by fixed codes.
_END = b"\x03\x00"
_zlib = zlib_module()


class PngFile:
    """A PNG picture on its way into a stream.

    Parameters
    ----------
    write : callable
        Takes bytes.
    shape : tuple of int
        (H, W) or (H, W, C): grey with alpha, RGB, RGB with alpha.
    bits : int
        8 or 16.
    text : str, optional
        ASCII, for a text chunk named ``cnncli``.
    profile, exif : bytes, optional
        ICC profile, and EXIF as JPEG files have it.
    dpi : float, optional
        Pixels per inch.
    small : bool
        Look for the smallest file, not for a fast one.

    Examples
    --------
    >>> parts = []
    >>> levels = np.zeros((4, 6), np.uint8)
    >>> file = PngFile(parts.append, levels.shape, 8)
    >>> file.add(slice(2, 4), levels[2:])
    >>> file.add(slice(0, 2), levels[:2])
    >>> file.close()
    >>> b"".join(parts)[1:4]
    b'PNG'
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        shape: tuple[int, ...],
        bits: int,
        text: str | None = None,
        small: bool = False,
        profile: bytes | None = None,
        exif: bytes | None = None,
        dpi: float | None = None,
    ) -> None:
        self._write, self._height, self._small = write, shape[0], small
        self._lock, self._waiting = threading.Lock(), dict[int, tuple[int, DeflatedStrip]]()
        self._next, self._adler = 0, 1
        write(_SIGNATURE)
        colour = _COLOUR_TYPES[shape[2] if len(shape) == 3 else 1]
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], bits, colour, 0, 0, 0))
        if profile is not None:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
        if exif is not None:
            self._chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
        if dpi is not None:
            per_metre = round(dpi / _METRES_PER_INCH)
            self._chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
        if text is not None:
            self._chunk(*_text_chunk(text.encode("ascii")))
        self._chunk(b"IDAT", _ZLIB_HEADER)

    def add(self, rows: slice, levels: np.ndarray) -> None:
        """Deflate some rows, and write them once all rows above them are written.

        Threads may call this at once. How the rows are cut decides the file's bytes.

        Parameters
        ----------
        rows : slice
            Where in the picture they are.
        levels : ndarray of uint8 or uint16, shape (rows, W) or (rows, W, 2 to 4)
        """
        strip = deflate_rows(levels, self._small)
        with self._lock:
            self._waiting[rows.start] = (rows.stop, strip)
            while self._next in self._waiting:
                self._next, strip = self._waiting.pop(self._next)
                self._add(strip)

    def close(self) -> None:
        """Write the end; the stream stays open."""
        if self._next != self._height:
            raise ValueError(f"row {self._next} of {self._height} is missing")
        self._chunk(b"IDAT", _END + struct.pack(">I", self._adler))
        self._chunk(b"IEND", b"")

    def _add(self, strip: DeflatedStrip) -> None:
        self._adler = _joined(self._adler, strip.adler, strip.size)
        self._chunk(b"IDAT", strip.data)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._write(struct.pack(">I", len(data)) + kind)
        self._write(data)
        self._write(struct.pack(">I", _zlib.crc32(data, _zlib.crc32(kind))))


class DeflatedStrip(NamedTuple):
    """Deflated rows that may follow any others, with the checksum and number of their bytes."""

    data: bytes
    adler: int
    size: int


def strip_rows(shape: tuple[int, ...], itemsize: int) -> int:
    """Return the rows of a strip of a whole picture.

    Examples
    --------
    >>> strip_rows((3000, 4000, 3), 1)
    87
    """
    return max(1, _PIECE // (shape[1] * (shape[2] if len(shape) == 3 else 1) * itemsize))


def deflate_rows(levels: np.ndarray, small: bool = False) -> DeflatedStrip:
    """Filter and deflate some rows, which depends on nothing but them.

    Every row takes the filter that leaves the smallest residuals, as the PNG specification
    advises. Residuals of photographs hardly repeat: codes for them and for their runs do as well
    as a search, in a third of the time.

    Parameters
    ----------
    levels : ndarray of uint8 or uint16, shape (rows, W) or (rows, W, 2 to 4)
    small : bool
        Try all filters and search long.

    Returns
    -------
    DeflatedStrip

    Examples
    --------
    >>> strip = deflate_rows(np.zeros((2, 3), np.uint8))
    >>> zlib.decompressobj(-15).decompress(strip.data)
    b'\\x01\\x00\\x00\\x00\\x01\\x00\\x00\\x00'
    """
    big_endian = np.ascontiguousarray(levels, levels.dtype.newbyteorder(">"))
    raw = big_endian.view(np.uint8).reshape(len(levels), -1)
    rows, left = _filtered(raw, raw.shape[1] // levels.shape[1], small)
    fast = _SEARCH if left < _SEARCH_BELOW else _RUNS if left < _RUNS_BELOW else _CODES
    level, strategy = _SMALL if small else fast
    packer = _zlib.compressobj(level, zlib.DEFLATED, _RAW_DEFLATE, 9, strategy)
    data = packer.compress(rows.data) + packer.flush(zlib.Z_FULL_FLUSH)
    return DeflatedStrip(data, _zlib.adler32(rows.data), rows.size)


def _filtered(raw: np.ndarray, step: int, small: bool) -> tuple[np.ndarray, float]:
    """Return rows with their filters' numbers in front, and the share of residuals that are not 0.

    `step` is the distance of the bytes of neighbouring pixels.
    """
    count, width = raw.shape
    every = 1 if small or width < _LEAST_SEEN * _EVERY else _EVERY
    # Sub comes first: it is taken where several do equally well.
    kinds = (1, 2, 0, 3, 4) if small else (1, 2, 0)
    tried = np.empty((len(kinds), count, width), np.uint8)
    for kind, out in zip(kinds, tried, strict=True):
        _residuals(raw, step, kind, out)
    seen = tried[:, :, ::every]
    sizes = np.abs(seen.view(np.int8)).view(np.uint8).sum(axis=2, dtype=np.uint32)
    # The first row of a strip knows no row above.
    sizes[1::2, :1] = sizes[4:, :1] = np.iinfo(np.uint32).max
    best = sizes.argmin(axis=0)
    rows = np.empty((count, width + 1), np.uint8)
    rows[:, 0] = np.array(kinds, np.uint8)[best]
    rows[:, 1:] = tried[best, np.arange(count)]
    residuals = rows[:, 1::every]
    return rows, np.count_nonzero(residuals) / residuals.size


def _residuals(raw: np.ndarray, step: int, kind: int, out: np.ndarray) -> None:
    """Filter rows as the specification numbers filters; of the first row only 0 and 1 hold."""
    above, left, here = raw[:-1], raw[1:, :-step], raw[1:, step:]
    inner, corner = out[1:, step:], raw[:-1, :-step]
    out[...] = raw
    if kind == 1:
        np.subtract(raw[:, step:], raw[:, :-step], out=out[:, step:])
    elif kind == 2:
        np.subtract(raw[1:], above, out=out[1:])
    elif kind == 3:
        out[1:, :step] -= above[:, :step] >> 1
        both, either = left & above[:, step:], left ^ above[:, step:]
        np.subtract(here, both + (either >> 1), out=inner)
    elif kind == 4:
        out[1:, :step] -= above[:, :step]
        np.subtract(here, _paeth(left, above[:, step:], corner), out=inner)


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Return whichever neighbour is nearest to left + above - corner."""
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_left, to_above = np.abs(b - c), np.abs(a - c)
    to_corner = np.abs(a + b - 2 * c)
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)


def _joined(first: int, second: int, size: int) -> int:
    """Return the Adler-32 of two parts in a row, the second of `size` bytes, by RFC 1950's sums."""
    low = first & 0xFFFF
    total = (low + (second & 0xFFFF) - 1) % _ADLER_BASE
    sums = ((first >> 16) + (second >> 16) + size * (low - 1)) % _ADLER_BASE
    return sums << 16 | total


def _text_chunk(text: bytes) -> tuple[bytes, bytes]:
    if len(text) > _COMPRESSED_TEXT:
        return b"tEXt", b"cnncli\0" + text
    return b"zTXt", b"cnncli\0\0" + zlib.compress(text)
