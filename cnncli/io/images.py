"""Pictures and ``.npy`` arrays in, raw pixels out; pictures are decoded by `pillow_reader`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import ImageColor

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem, OptionError, quote
from cnncli.io.array_axes import array_sizes, check_luminance, order_notes
from cnncli.io.decoding_memory import check_decoding_memory
from cnncli.io.limits import check_input_bytes, check_pixels
from cnncli.io.nearby import array_hint
from cnncli.io.npy import is_npy, is_zip, read_npy
from cnncli.io.photo_metadata import PhotoMetadata
from cnncli.io.pillow_reader import decode, process_quiet
from cnncli.io.read_options import ReadOptions, Restore
from cnncli.io.regular_files import fault_text, open_regular
from cnncli.io.resize import full_size, resize, resize_notes
from cnncli.io.samples import INTEGERS_NOTE, Samples, flattened, hold_levels

STDIN_NAME: Final = "standard input"
_SUFFIX_WORDS = (
    "png apng jpg jpeg jpe jfif gif bmp tif tiff webp avif jp2 j2k jpx ico qoi"
    " ppm pgm pbm pnm pfm npy"
)
PICTURE_SUFFIXES = frozenset("." + word for word in _SUFFIX_WORDS.split())

# Nothing else is ever tried: Pillow's EPS reader, for one, would start Ghostscript.
_SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
    "TIFF": re.compile(rb"II[*+]\x00|MM\x00[*+]"),
    "WEBP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "PPM": re.compile(rb"P(?:[1-6f][\s#]|0CMYK\s)"),
    "AVIF": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
    "JPEG2000": re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    "ICO": re.compile(rb"\x00\x00\x01\x00"),
    "QOI": re.compile(rb"qoif"),
}
_HEAD_BYTES = 32
_CHUNK = 2**20
_ROWS = 256
_ARRAY_SCALES = {"uint8": 255.0, "uint16": 65_535.0, "float32": 1.0, "float64": 1.0}
_LUMINANCE = (0.299, 0.587, 0.114)
CHANNEL_NOTES: Final = {
    1: "reduced to luminance: the network takes grey pictures",
    3: "grey, repeated to 3 channels: the network takes colour pictures",
}
"""What is said of a picture that was given the channels that a network wants."""


def computed_dtype(pixels: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that pixels are computed in: float64 for float64, else float32."""
    return np.dtype(np.float64 if pixels == np.float64 else np.float32)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, or a batch of equal size, as it was stored.

    Attributes
    ----------
    pixels : numpy.ndarray
        (N, H, W, C) of uint8, uint16, float32 or float64; not to be written to.
    scale : float
        What a pixel is divided by to become a value: 255, 65535 or 1.
    is_picture : bool
        False for arrays and restored values.
    batched : bool
        Whether the input had four axes.
    notes : tuple of str
        What was lost or chosen while reading.
    name : str
        The file name, or ``standard input``.
    photo_metadata : PhotoMetadata
        What the file holds beside the colours.
    mixed_scale : float
        What the pixels were divided by that the values of a luminance were made of.
    record : dict, optional
        What a picture says of its own making; not checked, unless it was read as values.
    """

    pixels: np.ndarray
    scale: float
    is_picture: bool
    batched: bool
    notes: tuple[str, ...]
    name: str
    photo_metadata: PhotoMetadata = PhotoMetadata()
    mixed_scale: float = 1.0
    record: dict[str, Any] | None = None

    @property
    def levels(self) -> float | None:
        """How many levels above black its file holds, 255 or 65535; None for floats."""
        scale = self.mixed_scale if self.scale == 1.0 else self.scale
        return None if scale == 1.0 else scale

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The four sizes (N, H, W, C)."""
        n, height, width, channels = self.pixels.shape
        return n, height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values: float64 for a float64 array, else float32."""
        return computed_dtype(self.pixels.dtype)

    @property
    def held_bytes(self) -> int:
        """Memory of the pixels of a picture; arrays stay in their files."""
        return self.pixels.nbytes if self.is_picture else 0

    def values(self, rows: slice = slice(None)) -> np.ndarray:
        """Return some rows as numbers.

        Parameters
        ----------
        rows : slice
            Which rows; all by default.

        Returns
        -------
        numpy.ndarray
            (N, rows, W, C) of ``dtype``, pixels / scale; read-only.

        Examples
        --------
        >>> pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1)
        >>> Picture(pixels, 255.0, True, False, (), "x.png").values().ravel().tolist()
        [0.0, 0.20000000298023224, 1.0]
        """
        values = self.scaled(self.pixels[:, rows]).view()
        values.flags.writeable = False
        return values

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """Return some of the pixels, in any shape, as numbers: divided by ``scale``."""
        if self.scale == 1.0:
            return np.asarray(pixels, self.dtype)
        # Cast first: a division that casts on its way is several times slower.
        values = pixels.astype(np.float32)
        values /= np.float32(self.scale)
        return values


def read_image(path: Path, options: ReadOptions) -> Picture:
    """Read a picture or a ``.npy`` array, told apart by content.

    Parameters
    ----------
    path : Path
        An ordinary file; a pipe or device is refused at once.
    options : ReadOptions
        How to read it.

    Returns
    -------
    Picture
        Pixels of (N, H, W, C); those of a ``.npy`` may stay memory-mapped.

    Raises
    ------
    FileProblem
        If it cannot be read, is broken, too large or of another kind.
    OptionError
        If there is no such frame or background colour.
    ShapeError
        If an array's shape is no image's, or has no luminance.

    Examples
    --------
    >>> read_image(Path("/nowhere.png"), ReadOptions())
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
    """
    with opened_image(path, options) as (stream, kind):
        if kind != "NPY":
            return _read_picture(stream, kind, options, os.fspath(path))
    array = read_npy(path, name=os.fspath(path), max_bytes=options.max_input_bytes)
    return _from_array(array, options, os.fspath(path))


@contextmanager
def opened_image(path: Path, options: ReadOptions) -> Iterator[tuple[BinaryIO, str]]:
    """Open the file of an image; yield it with Pillow's name of its format, or NPY.

    Raises
    ------
    FileProblem
        If it cannot be read, is an array too large or of another kind.

    Examples
    --------
    >>> with opened_image(Path("/nowhere.png"), ReadOptions()):
    ...     pass
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
    """
    name = os.fspath(path)
    # Quiet before the file is opened: with descriptor 2 closed, the file itself may get it.
    with process_quiet(options.max_pixels), open_regular(path, name=name) as stream:
        kind = _kind(_read_some(stream, _HEAD_BYTES, name), name)
        if kind == "NPY":
            check_input_bytes(os.fstat(stream.fileno()).st_size, options.max_input_bytes, name)
        yield stream, kind


def read_bytes(data: bytes, options: ReadOptions, name: str = STDIN_NAME) -> Picture:
    """Read a picture or a ``.npy`` array that is already in memory.

    Parameters
    ----------
    data : bytes
        The content of the file.
    options : ReadOptions
        How to read it.
    name : str
        The name to use in messages.

    Returns
    -------
    Picture
        Pixels of (N, H, W, C).

    Raises
    ------
    FileProblem, OptionError, ShapeError
        As for `read_image`.

    Examples
    --------
    >>> read_bytes(b"P5 2 1 255 " + bytes([0, 255]), ReadOptions()).values().ravel().tolist()
    [0.0, 1.0]
    """
    check_input_bytes(len(data), options.max_input_bytes, name)
    kind = _kind(data[:_HEAD_BYTES], name)
    if kind == "NPY":
        return _from_array(read_npy(data, name=name, max_bytes=len(data)), options, name)
    with process_quiet(options.max_pixels):
        return _read_picture(BytesIO(data), kind, options, name)


def read_stream(stream: BinaryIO, options: ReadOptions, name: str = STDIN_NAME) -> Picture:
    """Read a picture or a ``.npy`` array from a stream that need not be seekable, nor end.

    Parameters
    ----------
    stream : BinaryIO
        Read to its end, or to one byte past ``options.max_input_bytes``.
    options : ReadOptions
        How to read it.
    name : str
        The name to use in messages.

    Returns
    -------
    Picture
        Pixels of (N, H, W, C).

    Raises
    ------
    FileProblem, OptionError, ShapeError
        As for `read_image`.

    Examples
    --------
    >>> read_stream(BytesIO(b"P5 2 1 255 " + bytes([0, 255])), ReadOptions()).shape
    (1, 1, 2, 1)
    """
    gathered = BytesIO()
    while chunk := _read_some(stream, options.max_input_bytes + 1 - gathered.tell(), name):
        gathered.write(chunk)
        check_input_bytes(gathered.tell(), options.max_input_bytes, name)
        check_decoding_memory(gathered.tell(), options, name)
        if gathered.tell() >= _HEAD_BYTES:
            # What is no image can go on for ever: refuse it now and not at the limit.
            _kind(gathered.getbuffer()[:_HEAD_BYTES].tobytes(), name)
    return read_bytes(gathered.getvalue(), options, name)


def background_colour(text: str) -> tuple[int, ...]:
    """Return the red, green and blue of a colour name, ``#rrggbb`` or the like.

    Raises
    ------
    OptionError
        If it is no colour.

    Examples
    --------
    >>> background_colour("white")
    (255, 255, 255)
    """
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise OptionError(
            f"--background needs a colour name or #rrggbb, got {quote(text)}",
            hint="--background white",
        ) from error


def _read_some(stream: BinaryIO, most: int, name: str) -> bytes:
    try:
        return stream.read(min(most, _CHUNK))
    except (OSError, ValueError) as error:
        raise FileProblem(f"cannot be read: {fault_text(error)}", path=name) from error


def _kind(head: bytes, name: str) -> str:
    """Return the Pillow format or NPY, by the first bytes alone."""
    if is_npy(head):
        return "NPY"
    for kind, magic in _SIGNATURES.items():
        if magic.match(head):
            return kind
    if not head:
        hint = "name an IMAGE, or pipe one in" if name == STDIN_NAME else None
        raise FileProblem("empty, a picture or .npy array is needed", hint=hint, path=name)
    if is_zip(head):
        raise FileProblem(
            "a zip archive such as .npz, an image is a picture or one .npy array",
            hint=array_hint(name) if name.lower().endswith(".npz") else None,
            path=name,
        )
    formats = " ".join(_SIGNATURES)
    raise FileProblem(f"not a picture cnncli can read ({formats}, or .npy)", path=name)


def _read_picture(stream: BinaryIO, kind: str, options: ReadOptions, name: str) -> Picture:
    background = background_colour(options.background)
    samples = decode(stream, kind, options, name)
    if options.restore is not None:
        values = _restored(samples, options.restore, name)
        batch = values if values.ndim == 4 else values[np.newaxis]
        picture = Picture(batch, 1.0, False, values.ndim == 4, samples.notes, name)
    else:
        if options.alpha == "flatten":
            samples = flattened(samples, background, options.background)
        colour = np.ascontiguousarray(samples.colour)[np.newaxis]
        photo_metadata = replace(samples.photo_metadata, alpha=samples.alpha)
        picture = Picture(colour, samples.scale, True, False, samples.notes, name, photo_metadata)
    return _prepared(replace(picture, record=samples.record), options)


def _restored(samples: Samples, restore: Restore, name: str) -> np.ndarray:
    """Return the numbers that a picture of cnncli's shows."""
    colour = samples.colour
    if not samples.record:
        raise FileProblem(
            "holds no values of cnncli",
            hint="--as-values reads pictures that cnncli wrote; leave it away for others",
            path=name,
        )
    if colour.dtype == np.float32:
        return np.ascontiguousarray(colour)
    plain = colour[:, :, 0] if colour.shape[2] == 1 else colour
    return restore(plain, samples.record, name)


def _from_array(array: np.ndarray, options: ReadOptions, name: str) -> Picture:
    batch = array.reshape(array_sizes(array.shape, options, name))
    check_decoding_memory(conversion_bytes(batch.size, batch.dtype), options, name)
    pixels, scale = _array_pixels(batch)
    notes = order_notes(array.shape) + resize_notes(batch.shape[1:3], options.size, options.fit)
    if array.dtype.kind in "iu" and scale == 1.0:
        scale = options.whole_scale
        notes += (INTEGERS_NOTE,) if scale == 1.0 else ()
    elif options.whole_scale == 1.0 and hold_levels(batch):
        notes += (INTEGERS_NOTE,)
    elif scale != 1.0 and options.whole_scale == 1.0:
        notes += (f"{array.dtype} numbers divided by {scale:g}; save floats to keep them",)
    return _prepared(Picture(pixels, scale, False, array.ndim == 4, notes, name), options)


def size_after_resize(
    n: int, stored: tuple[int, int], options: ReadOptions, name: str
) -> tuple[int, int]:
    """Return the rows and columns that images of a size become, unless these are too many."""
    if options.size is None:
        return stored
    height, width = full_size(options.size, stored)
    check_pixels(n * height * width, options.max_pixels, name)
    return height, width


def _prepared(picture: Picture, options: ReadOptions) -> Picture:
    if options.size is not None:
        n, *stored, _ = picture.shape
        size = size_after_resize(n, (stored[0], stored[1]), options, picture.name)
        photo = picture.photo_metadata
        if photo.alpha is not None:
            batch = photo.alpha[np.newaxis, :, :, np.newaxis]
            alpha = resize(batch, size, options.fit)
            photo = replace(photo, alpha=np.rint(alpha[0, :, :, 0]).astype(photo.alpha.dtype))
        picture = replace(
            picture,
            pixels=resize(picture.pixels, size, options.fit),
            photo_metadata=photo,
        )
    picture = _luminance(picture) if options.gray else picture
    picture = _with_channels(picture, options.channels) if picture.is_picture else picture
    if options.bgr and picture.shape[3] == 3:
        picture = replace(picture, pixels=np.ascontiguousarray(picture.pixels[..., ::-1]))
    return picture


def _with_channels(picture: Picture, wanted: int | None) -> Picture:
    """Make a grey picture colour or the reverse, as a network wants it."""
    if wanted is None or not is_to_change(picture.shape[3], wanted):
        return picture
    if wanted == 1:
        picture = _luminance(picture)
    else:
        picture = replace(picture, pixels=np.repeat(picture.pixels, 3, axis=3))
    return replace(picture, notes=(*picture.notes, CHANNEL_NOTES[wanted]))


def is_to_change(channels: int, wanted: int | None) -> bool:
    """Tell whether a picture is made grey or colour for a network."""
    return (channels, wanted) in ((1, 3), (3, 1))


def kept_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that the numbers of an array are kept in.

    Examples
    --------
    >>> [kept_dtype(np.dtype(kind)).name for kind in ("uint8", "int64", "float64")]
    ['uint8', 'float32', 'float64']
    """
    if dtype.name in _ARRAY_SCALES:
        return dtype
    return np.dtype(np.float64 if dtype.kind == "f" and dtype.itemsize > 4 else np.float32)


def conversion_bytes(size: int, dtype: np.dtype[Any]) -> int:
    """Return the memory of so many numbers of an array once they are converted; 0 if they stay."""
    kept = kept_dtype(dtype)
    return 0 if kept == dtype else size * kept.itemsize


def _array_pixels(array: np.ndarray) -> tuple[np.ndarray, float]:
    # A long double may be beyond what float64 holds; infinity says so without a warning.
    with np.errstate(all="ignore"):
        pixels = array.astype(kept_dtype(array.dtype), copy=False)
    return pixels, _ARRAY_SCALES[array.dtype.name] if array.dtype == pixels.dtype else 1.0


def _luminance(picture: Picture) -> Picture:
    """Weigh red, green and blue as ITU-R BT.601 does."""
    n, height, width, channels = picture.shape
    if channels == 1:
        return picture
    check_luminance(channels, picture.name)
    grey = np.empty((n, height, width, 1), picture.dtype)
    weights = np.array(_LUMINANCE, picture.dtype)
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        red, green, blue = np.moveaxis(picture.values(rows) * weights, 3, 0)
        grey[:, rows, :, 0] = red + green + blue
    return replace(picture, pixels=grey, scale=1.0, mixed_scale=picture.scale)
