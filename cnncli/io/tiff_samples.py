"""Samples of TIFF files in layouts that Pillow reads with 8 bits, or not at all.

Pillow's libtiff only unpacks the strips or tiles, as if they were grey pictures of bytes; what the
bytes mean is read here, as TIFF 6.0 and Adobe's notes on predictors say it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import accumulate
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import TiffImagePlugin

from cnncli._dataclass import dataclass
from cnncli.io.samples import CMYK_NOTE, INTEGERS_NOTE, Samples

UNPACKED: Final = {1: "", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"} | {
    34925: "LZMA",
    50000: "Zstandard",
}
"""Compressions of bytes, by their numbers in TIFF files; all others are of pictures."""

_KINDS: Final = {1: "u", 2: "i", 3: "f"}
_WORDS: Final = {1: "", 2: "signed ", 3: "float ", 5: "complex ", 6: "complex "}
_CMYK: Final = 5
_BANDS: Final = {0: 1, 1: 1, 2: 3, _CMYK: 4}
"""Channels by what PhotometricInterpretation says: white is zero, black is zero, RGB, CMYK."""

_RGBA: Final = 4
_ROWS: Final = 256


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF file that opens whatever its samples are."""

    is_known = True

    def _setup(self) -> None:
        try:
            super()._setup()
        except (SyntaxError, KeyError, IndexError):
            # Only its tags are used then.
            self.is_known = False
            self._mode, self.tile = "L", []
            self._size = int(self.tag_v2[256]), int(self.tag_v2[257])


@dataclass(frozen=True)
class Layout:
    """How the samples of a TIFF page lie in its strips or tiles.

    Parameters
    ----------
    width, height : int
        Of the page.
    samples : int
        Of a pixel.
    bits : int
        Of a sample.
    kind : int
        1: unsigned, 2: signed, 3: float; others are not read.
    planar : bool
        Whether each sample has a plane of its own.
    photometric, compression, predictor : int
    extras : tuple of int
        What the samples behind the colours are: 1 and 2 alpha, 0 anything.
    is_tiled : bool
        Whether it lies in tiles, all of one size, and not in strips.
    tile : (int, int)
        Width and height of a tile; of strips, the page's width and the rows of a strip.
    order : str
        ``<`` or ``>``.
    """

    width: int
    height: int
    samples: int
    bits: int
    kind: int
    planar: bool
    photometric: int
    compression: int
    predictor: int
    extras: tuple[int, ...]
    is_tiled: bool
    tile: tuple[int, int]
    order: str

    @property
    def planes(self) -> int:
        """How many planes there are."""
        return self.samples if self.planar else 1

    @property
    def row_samples(self) -> int:
        """Samples in a row of a tile."""
        return self.tile[0] * (1 if self.planar else self.samples)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a tile."""
        return -(-self.row_samples * self.bits // 8)

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles stand below one another, and beside one another."""
        return -(-self.height // self.tile[1]), -(-self.width // self.tile[0])

    @property
    def rows(self) -> int:
        """Rows of all strips or tiles of a plane."""
        return math.prod(self.tiles) * self.tile[1] if self.is_tiled else self.height

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of all strips or tiles together."""
        return self.planes * self.rows * self.row_bytes

    @property
    def colours(self) -> int:
        """Channels that are no alpha, of the ones that are seen."""
        return _BANDS.get(self.photometric, 3)

    @property
    def has_alpha(self) -> bool:
        """Whether alpha follows the colours."""
        is_told = self.extras[:1] in ((1,), (2,))
        return is_told or (not self.extras and self.samples == self.colours + 1 == _RGBA)

    @property
    def channels(self) -> int:
        """Channels of the picture once transparency is flattened, at the least."""
        if self.colours > 1:
            return 3
        # Further channels of a grey picture are measurements of their own.
        return 1 if self.has_alpha else self.samples

    @property
    def sample_bytes(self) -> int:
        """Bytes of each sample once it is read: whole numbers stay, others become floats."""
        stays = self.kind == 1 and self.bits in (8, 16) and self.photometric != _CMYK
        return self.bits // 8 if stays else 4

    def problem(self) -> str | None:
        """Say why its samples are not read; None when they are."""
        if self.photometric not in _BANDS:
            return f"a TIFF picture of kind {self.photometric} (PhotometricInterpretation)"
        if self.compression not in UNPACKED:
            return f"a TIFF picture with {self} and compression {self.compression}"
        if self.bits not in _bits_of(self.kind) or self.predictor not in (1, 2, 3):
            return f"a TIFF picture with {self}"
        return None

    def __str__(self) -> str:
        if not self.bits:
            return "samples of several sizes"
        return f"{self.bits}-bit {_WORDS.get(self.kind, 'untyped ')}samples"


def layout_of(image: TiffImagePlugin.TiffImageFile) -> Layout:
    """Return the layout of the page that an open TIFF file is at."""
    tags = image.tag_v2

    def number(tag: int, default: int) -> int:
        value: Any = tags.get(tag, default)
        return int(value[0] if isinstance(value, tuple) else value)

    width, height, samples = number(256, 0), number(257, 0), number(277, 1)
    bits: Any = tags.get(258, (1,))
    strip = width, max(1, min(number(278, height), height))
    return Layout(
        width=width,
        height=height,
        samples=samples,
        bits=int(max(bits)) if len(set(bits)) == 1 and len(bits) in (1, samples) else 0,
        kind=number(339, 1),
        planar=number(284, 1) == 2 and samples > 1,
        photometric=number(262, 0),
        compression=number(259, 1),
        predictor=number(317, 1),
        extras=tuple(tags.get(338, ())),
        is_tiled=322 in tags,
        tile=(number(322, 0), number(323, 0)) if 322 in tags else strip,
        order="<" if tags.prefix == b"II" else ">",
    )


def needs_own_reader(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Tell whether Pillow would lose bits or channels of a page, or cannot read it.

    It also gives compressed numbers of big-endian files in the wrong order, and mixes grey and
    alpha that have planes of their own.
    """
    layout = layout_of(image)
    unlike_colours = layout.extras[:1] == (0,) or (layout.planar and layout.samples == 2)
    return not getattr(image, "is_known", True) or layout.bits > 8 or unlike_colours


def read_tiff(image: TiffImagePlugin.TiffImageFile, stream: BinaryIO) -> Samples:
    """Return the samples of the page that an open TIFF file is at.

    Parameters
    ----------
    image : TiffImageFile
    stream : binary file
        The whole file.

    Returns
    -------
    Samples
        uint8 or uint16, other numbers as float32; not yet turned upright.

    Raises
    ------
    ValueError
        When strips are missing or too short.
    """
    layout = layout_of(image)
    array = _array(layout, image.tag_v2, stream)
    colours = layout.colours
    if layout.samples < colours:
        raise ValueError(f"{layout.samples} samples per pixel, its colour has {colours}")
    alpha = array[:, :, colours] if layout.has_alpha else None
    colours = layout.channels if colours == 1 else colours
    left_out = layout.samples - colours - layout.has_alpha
    channels = f"channel{'' if left_out == 1 else 's'}"
    notes = (f"{left_out} further {channels} of the file left out",) if left_out else ()
    return _scaled(layout, array[:, :, :colours], alpha, layout.extras[:1] == (1,), notes)


def _scaled(
    layout: Layout,
    colour: np.ndarray,
    alpha: np.ndarray | None,
    premultiplied: bool,
    notes: tuple[str, ...],
) -> Samples:
    is_level = layout.kind == 1 and layout.bits <= 16
    full = 2**layout.bits - 1 if layout.kind == 1 else 1
    if alpha is not None:
        share = np.clip(alpha / np.float64(full), 0, 1)
        alpha = alpha if is_level and layout.bits in (8, 16) else _levels(share)
        if premultiplied:
            colour = colour / np.where(share, share, 1)[:, :, np.newaxis]
            if is_level:
                colour = np.rint(np.minimum(colour, full)).astype(np.uint16)
    is_deep = is_level and layout.bits > 8
    if layout.photometric == _CMYK and layout.kind != 2:
        light = 1 - colour.astype(np.float32) / np.float32(full)
        rgb = light[:, :, :3] * light[:, :, 3:]
        return Samples(rgb, 1.0, (*notes, CMYK_NOTE), alpha, is_deep=is_deep)
    if not is_level:
        if layout.kind != 3:
            notes += (INTEGERS_NOTE,)
        elif layout.bits == 64:
            notes += ("64-bit floats read as 32-bit",)
        with np.errstate(over="ignore"):
            return Samples(colour.astype(np.float32), 1.0, notes, alpha)
    if layout.photometric == 0:
        colour = full - colour
    if layout.bits in (8, 16):
        return Samples(colour.astype(f"u{layout.bits // 8}"), float(full), notes, alpha)
    values = colour.astype(np.float32) / np.float32(full)
    return Samples(values, 1.0, notes, alpha, is_deep=is_deep)


def _levels(shares: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.rint(shares * 65_535).astype(np.uint16)
    return levels


def _bits_of(kind: int) -> Sequence[int]:
    return {1: range(1, 33), 2: (8, 16, 32), 3: (16, 32, 64)}.get(kind, ())


def _array(layout: Layout, tags: Any, stream: BinaryIO) -> np.ndarray:
    """Return all samples, (H, W, samples)."""
    offsets = tuple(tags.get(324, ()) or tags.get(273, ()))
    sizes = tuple(tags.get(325, ()) or tags.get(279, ()))
    down, across = layout.tiles
    count = down * across
    if len(offsets) < layout.planes * count or len(sizes) != len(offsets):
        raise ValueError("strips are missing")
    planes = []
    for plane in range(layout.planes):
        chosen = slice(plane * count, (plane + 1) * count)
        packed = [
            _chunk(stream, *where) for where in zip(offsets[chosen], sizes[chosen], strict=True)
        ]
        numbers = _numbers(layout, _unpacked(layout, packed))
        if layout.is_tiled:
            width, height = layout.tile
            tiles = numbers.reshape(down, across, height, width, -1).swapaxes(1, 2)
            numbers = tiles.reshape(down * height, across * width, -1)
        planes.append(numbers[: layout.height, : layout.width])
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _chunk(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("strips are cut off")
    return data


def _unpacked(layout: Layout, packed: list[bytes]) -> np.ndarray:
    """Return the bytes of a plane, (rows of all its strips or tiles, bytes of a row)."""
    rows, row = layout.rows, layout.row_bytes
    if layout.compression == 1:
        data = b"".join(chunk[: layout.tile[1] * row] for chunk in packed)
        return np.frombuffer(data, np.uint8, rows * row).reshape(rows, row)
    head = {256: row, 257: rows, 258: 8, 259: layout.compression, 262: 1, 277: 1}
    file = tiff_file({**head, 278: layout.tile[1]}, packed)
    with TiffImagePlugin.TiffImageFile(BytesIO(file)) as grey:
        grey.load()
        return np.asarray(grey)


def tiff_file(tags: Mapping[int, Any], strips: Sequence[bytes]) -> bytes:
    """Return a TIFF file of one page.

    Parameters
    ----------
    tags : mapping
        All but where the strips are, and how long.
    strips : sequence of bytes

    Examples
    --------
    >>> tags = {256: 2, 257: 1, 258: 16, 259: 1, 262: 1, 277: 1, 278: 1}
    >>> np.asarray(TiffFile(BytesIO(tiff_file(tags, [bytes([1, 0, 2, 0])])))).tolist()
    [[1, 2]]
    """
    entries = TiffImagePlugin.ImageFileDirectory_v2()
    sizes = [len(strip) for strip in strips]
    offsets = tuple(accumulate(sizes[:-1], initial=0))
    for tag, value in {**tags, 273: offsets, 279: tuple(sizes)}.items():
        entries[tag] = value
    file = BytesIO()
    entries.save(file)
    file.write(b"".join(strips))
    return file.getvalue()


def _numbers(layout: Layout, data: np.ndarray) -> np.ndarray:
    """Return the numbers that rows of bytes stand for, (rows, pixels of a row, samples)."""
    rows, size = len(data), layout.bits // 8
    shape = (rows, layout.tile[0], -1)
    if layout.bits not in (8, 16, 32, 64):
        return _from_bits(layout, data).reshape(shape)
    kind, samples = _KINDS[layout.kind], layout.row_samples // layout.tile[0]
    if layout.predictor == 3:
        # Bytes of one significance stand together, the highest first, each as a difference.
        differences = data.reshape(rows, -1, samples)
        parts = differences.cumsum(axis=1, dtype=np.uint8).reshape(rows, size, -1)
        bytes_of = np.ascontiguousarray(parts.swapaxes(1, 2))
        return _native(bytes_of.view(f">{kind}{size}").reshape(shape))
    whole = _native(np.ascontiguousarray(data).view(f"{layout.order}u{size}")).reshape(shape)
    if layout.predictor == 2:
        whole = whole.cumsum(axis=1, dtype=whole.dtype)
    return whole.view(f"{kind}{size}")


def _from_bits(layout: Layout, data: np.ndarray) -> np.ndarray:
    """Return unsigned samples of any number of bits, which follow one another in a row."""
    count, bits = layout.row_samples, layout.bits
    numbers = np.zeros((len(data), count), np.uint32 if bits > 16 else np.uint16)
    for top in range(0, len(data), _ROWS):
        rows = slice(top, top + _ROWS)
        single = np.unpackbits(data[rows], axis=1, count=count * bits).reshape(-1, count, bits)
        for bit in range(bits):
            numbers[rows] = numbers[rows] << 1 | single[:, :, bit]
    return numbers


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)
