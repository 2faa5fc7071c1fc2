"""Pictures and arrays to the bytes of a file. Writes nothing itself."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from collections.abc import Mapping as Record
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from PIL import Image

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem
from cnncli.io.formats import Format, check_format, find_format
from cnncli.io.photo_metadata import PhotoMetadata
from cnncli.io.png_writer import PngFile, strip_rows
from cnncli.system.threads import run_all

if TYPE_CHECKING:
    import zipfile

# Lossless WebP: quality is effort here. On a 1500x1500 photograph 0.5 s, against 1.2 s and 1 %
# less for the small setting and 1.9 s for Pillow's defaults.
_WEBP = {
    "fast": {"lossless": True, "method": 1, "quality": 0},
    "small": {"lossless": True, "method": 6, "quality": 100},
}
_JPEG = {
    "fast": {"quality": 95},
    "small": {"quality": 95, "optimize": True},
}

_PROFILE = 34675
_DESCRIPTION = 270  # ImageDescription, in TIFF and EXIF alike
_JPEG_COMMENT = 65_533  # a marker's length is 16 bits and counts itself
# TIFF offsets are 32 bits, with some room for the directory.
_TIFF_BYTES = 2**32 - 2**24


def encode(
    pixels: np.ndarray,
    format: str | Format,
    *,
    depth: str = "8",
    metadata: Record[str, Any] | None = None,
    compress: str = "fast",
    jobs: int | None = None,
    photo_metadata: PhotoMetadata | None = None,
) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, C)
        Grey, RGB, or either with alpha behind.
    format : str or Format
        A name such as ``png``.
    depth : str
        ``8`` or ``16``, as the pixels are.
    metadata : dict, optional
        What `picture_record` returned. BMP and PPM have no place for it.
    compress : str
        ``fast`` or ``small``. All but JPEG are lossless (GIF with up to 256 colours).
    jobs : int, optional
        Threads, for PNG; default: one for each core. The bytes do not depend on it.
    photo_metadata : PhotoMetadata, optional
        Whose ICC profile and EXIF go into files that can hold them.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        When the format cannot hold such a picture, see `check_format`.
    FileProblem
        When Pillow gives up.

    Examples
    --------
    >>> data = encode(np.zeros((4, 6), np.uint8), "png")
    >>> Image.open(io.BytesIO(data)).size
    (6, 4)
    """
    chosen = format if isinstance(format, Format) else find_format(format)
    if chosen.pillow is None:
        raise ValueError("npy holds values: use NpyFile")
    height, width = pixels.shape[:2]
    colour = pixels.shape[2:] in ((3,), (4,))
    check_format(chosen, width, height, colour=colour, depth=depth)
    photo_metadata = photo_metadata or PhotoMetadata()
    profile = photo_metadata.profile_for(colour)
    text = None if metadata is None else to_text(metadata)
    carried = Carried(profile, photo_metadata.exif, text, photo_metadata.dpi)
    if chosen.pillow == "PNG":
        return _encode_png(pixels, depth, carried, compress, jobs)
    if chosen.pillow == "TIFF" and pixels.dtype == np.uint16 and pixels.ndim == 3:
        return _encode_deep_tiff(pixels, carried, compress)
    image, exact = _image(pixels, chosen)
    if metadata is not None and not exact:
        carried = replace(carried, text=to_text({**metadata, "exact": False}))
    return _save(image, chosen.pillow, _settings(chosen.pillow, carried, compress, pixels))


@dataclass(frozen=True)
class Carried:
    """What a picture's file holds beside the pixels: ICC profile, EXIF, dpi and our own record."""

    profile: bytes | None = None
    exif: bytes | None = None
    text: str | None = None
    dpi: float | None = None


def encoding_bytes(
    format: Format, pixels: int, *, colour: bool, depth: str = "8", compress: str = "fast"
) -> int:
    """Estimate the memory that `encode` takes beside the pixels, with the bytes it returns.

    Measured on noise, which is the worst; what compresses well takes less.

    Parameters
    ----------
    format : Format
        Not for arrays.
    pixels : int
        Width times height.
    colour : bool
        Whether each has three samples.
    depth, compress
        As for `encode`.

    Returns
    -------
    int

    Examples
    --------
    >>> encoding_bytes(find_format("jpg"), 1000, colour=True)
    7000
    """
    encoded = (3 if colour else 1) * (2 if depth == "16" else 1)
    # Pillow keeps colours in four bytes, and its writers some of the file once more.
    plain = (4 if colour else 0) + (encoded if compress == "small" else 0)
    working = {"PNG": 0, "WEBP": 33, "GIF": 49 if colour else 1}.get(format.pillow or "", plain)
    return pixels * (encoded + working)


def _encode_png(
    pixels: np.ndarray, depth: str, carried: Carried, compress: str, jobs: int | None
) -> bytes:
    if not pixels.size:
        raise FileProblem("cannot be encoded as PNG: it has no pixels")
    stream = io.BytesIO()
    small = compress == "small"
    file = PngFile(stream.write, pixels.shape, int(depth), small=small, **vars(carried))
    step, height = strip_rows(pixels.shape, pixels.itemsize), len(pixels)
    strips = [slice(top, min(top + step, height)) for top in range(0, height, step)]
    run_all(lambda rows: file.add(rows, pixels[rows]), strips, jobs)
    file.close()
    return stream.getvalue()


def _encode_deep_tiff(pixels: np.ndarray, carried: Carried, compress: str) -> bytes:
    """Encode 16-bit colour or grey with alpha, which Pillow does not write."""
    from cnncli.io.tiff_samples import tiff_file

    if pixels.nbytes > _TIFF_BYTES:
        raise FileProblem("16-bit colour of over 4 GiB does not fit into a TIFF file", hint="png")
    height, width, samples = pixels.shape
    rows = strip_rows(pixels.shape, pixels.itemsize)
    strips = [pixels[top : top + rows].astype("<u2").tobytes() for top in range(0, height, rows)]
    small = compress == "small"
    tags: dict[int, Any] = {
        **{256: width, 257: height, 258: (16,) * samples, 259: 8 if small else 1},
        **{262: 2 if samples > 2 else 1, 277: samples, 278: rows},
    }
    if samples in (2, 4):
        tags[338] = 2
    exif = Image.Exif()
    if carried.exif is not None:
        exif.load(carried.exif)
    tags |= {tag: exif.get_ifd(tag) or value for tag, value in exif.items()}
    if carried.text is not None:
        tags[_DESCRIPTION] = carried.text
    if carried.profile is not None:
        tags[_PROFILE] = carried.profile
    return tiff_file(tags, [zlib.compress(strip) for strip in strips] if small else strips)


def encode_float_tiff(
    values: np.ndarray, *, metadata: Record[str, Any] | None = None, compress: str = "fast"
) -> bytes:
    """Encode values as a float TIFF with one page for each channel of each image.

    Pages, because no common reader agrees on float pictures of many channels.

    Parameters
    ----------
    values : ndarray of float, shape (N, H, W, C)
        Rounded to float32.
    metadata : dict, optional
        See `describe_values`.
    compress : str
        ``small`` deflates.

    Returns
    -------
    bytes

    Examples
    --------
    >>> data = encode_float_tiff(np.ones((1, 2, 3, 4)))
    >>> Image.open(io.BytesIO(data)).n_frames
    4
    """
    with np.errstate(over="ignore"):
        planes = np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype=np.float32)
    first, *rest = [Image.fromarray(plane) for image in planes for plane in image]
    text = None if metadata is None else to_text(metadata)
    settings = _settings("TIFF", Carried(text=text), compress, planes)
    return _save(first, "TIFF", settings | {"save_all": True, "append_images": rest})


class NpyFile:
    """An array on its way into a .npy stream, little-endian and in C order, strip by strip.

    Parameters
    ----------
    write : callable
        Takes bytes.
    shape : tuple of int
        Of the whole array.
    dtype : dtype

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> file = NpyFile(stream.write, (2, 1), np.dtype("f4"))
    >>> file.add(np.ones(1))
    >>> file.add(np.zeros(1))
    >>> np.load(io.BytesIO(stream.getvalue())).ravel()
    array([1., 0.], dtype=float32)
    """

    def __init__(
        self, write: Callable[[Any], object], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._write, self._dtype = write, dtype.newbyteorder("<")
        fields = {"descr": self._dtype.str, "fortran_order": False, "shape": tuple(shape)}
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, fields)
        write(header.getvalue())

    def add(self, values: np.ndarray) -> None:
        """Write the next values, which need no array of their own if they are as they are stored.

        Parameters
        ----------
        values : ndarray
            All together fill the shape.
        """
        # Not np.save: it asks real files for their position, which a pipe does not have.
        contiguous = np.ascontiguousarray(values, self._dtype)
        if contiguous.size:
            self._write(contiguous.reshape(-1).view(np.uint8).data)


def open_npz(stream: BinaryIO) -> zipfile.ZipFile:
    """Begin an .npz archive; `open_member` writes its arrays.

    Parameters
    ----------
    stream : binary file
        Needs only ``write``: a pipe will do.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> with open_npz(stream) as archive, open_member(archive, "conv1") as member:
    ...     NpyFile(member.write, (2,), np.dtype("f4")).add(np.ones(2))
    >>> np.load(io.BytesIO(stream.getvalue()))["conv1"]
    array([1., 1.], dtype=float32)
    """
    # Loaded here because few results are archives.
    import zipfile

    return zipfile.ZipFile(stream, "w")


def open_member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    """Open an array of an archive to write it."""
    import zipfile

    # A ZipInfo of its own has no time of day in it: equal values are equal bytes.
    member = archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
    return cast(BinaryIO, member)


def holds_values(format: Format, depth: str) -> bool:
    """Tell whether a file gets the values themselves instead of levels.

    Examples
    --------
    >>> holds_values(find_format("tif"), "float"), holds_values(find_format("npy"), "8")
    (True, True)
    """
    return format.pillow is None or depth == "float"


def _image(pixels: np.ndarray, format: Format) -> tuple[Image.Image, bool]:
    if format.pillow != "GIF" or pixels.ndim == 2:
        return Image.fromarray(pixels), format.lossless
    indexed = _indexed(pixels)
    return (Image.fromarray(pixels), False) if indexed is None else (indexed, True)


def _indexed(pixels: np.ndarray) -> Image.Image | None:
    """Make a palette picture when there are few colours: Pillow would only approximate them."""
    colours, index = np.unique(pack_rgb(pixels), return_inverse=True)
    if len(colours) > 256:
        return None
    image = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
    image.putpalette(unpack_rgb(colours).tobytes())
    return image


def pack_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return each colour as one number.

    Examples
    --------
    >>> pack_rgb(np.array([[1, 2, 3]], np.uint8)).tolist() == [0x010203]
    True
    """
    parts = pixels.astype(np.uint32)
    codes: np.ndarray = (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    return codes


def unpack_rgb(codes: np.ndarray) -> np.ndarray:
    """Return the colours of `pack_rgb`, (..., 3) of uint8.

    Examples
    --------
    >>> unpack_rgb(np.array([0x010203])).tolist()
    [[1, 2, 3]]
    """
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def to_text(metadata: Record[str, Any]) -> str:
    """Write a record as one line of ASCII.

    Examples
    --------
    >>> to_text({"cnncli": "1.0", "command": "é"})
    '{"cnncli":"1.0","command":"\\\\u00e9"}'
    """
    return json.dumps(metadata, ensure_ascii=True, separators=(",", ":"))


def _settings(pillow: str, carried: Carried, compress: str, pixels: np.ndarray) -> dict[str, Any]:
    text = carried.text
    comment = {"comment": text.encode("ascii")} if text else {}
    if pillow == "GIF":
        return {"optimize": False} | comment
    dpi = {} if carried.dpi is None else {"dpi": (carried.dpi, carried.dpi)}
    if pillow not in ("TIFF", "WEBP", "JPEG"):
        return dpi if pillow == "BMP" else {}
    exif = _described(carried.exif, text if pillow == "WEBP" else None)
    own = {"exif": exif, "icc_profile": carried.profile}
    settings = {name: value for name, value in own.items() if value} | dpi
    if pillow == "TIFF":
        return settings | _tiff(compress, pixels) | ({"description": text} if text else {})
    if pillow == "WEBP":
        # Colours under full transparency are kept as well.
        return settings | _WEBP[compress] | {"exact": True}
    fits = text is not None and len(text) <= _JPEG_COMMENT
    return settings | _JPEG[compress] | (comment if fits else {})


def _tiff(compress: str, pixels: np.ndarray) -> dict[str, Any]:
    settings: dict[str, Any] = {"big_tiff": pixels.nbytes > _TIFF_BYTES}
    if compress == "small":
        settings["compression"] = "tiff_adobe_deflate"
    return settings


def _described(data: bytes | None, text: str | None) -> bytes | None:
    """Return EXIF with the text as its description."""
    exif = Image.Exif()
    exif.load(data or b"")
    if text is not None:
        exif[_DESCRIPTION] = text
    return exif.tobytes() if exif else None


def _save(image: Image.Image, pillow: str, settings: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    try:
        image.save(stream, pillow, **settings)
    except (OSError, ValueError, OverflowError) as error:
        raise FileProblem(f"cannot be encoded as {pillow}: {error}") from error
    return stream.getvalue()
