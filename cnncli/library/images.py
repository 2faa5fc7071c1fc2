"""The images that calls take, and how they are read."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
from PIL import Image, PngImagePlugin

from cnncli.errors import CnnCliError, FileProblem, OptionError, nearest, quote
from cnncli.io.image_headers import read_shape
from cnncli.io.photo_metadata import read_photo_metadata
from cnncli.io.read_options import ReadOptions
from cnncli.io.regular_files import fault_text
from cnncli.io.urls import locate
from cnncli.library.arguments import check_arguments
from cnncli.network.model import Model
from cnncli.pipeline.files import read_source
from cnncli.pipeline.process import named_error
from cnncli.pipeline.source import Source
from cnncli.render.result_record import restore_values
from cnncli.system.memory import memory_limit

ImageLike = str | os.PathLike[str] | np.ndarray[Any, Any] | Image.Image
"""A file or address, an array as in a ``.npy`` file, or a picture of Pillow's."""


_PNG_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_TIFF_MODES: Final = ("CMYK", "YCbCr", "F", "I")
"""Pillow's modes that a file of the format holds without loss."""

_ORIENTATION: Final = 274


class Reading(TypedDict, total=False):
    """How an image is read: the options of the commands, by the same names with ``_``."""

    gray: bool
    background: str
    frame: int | None
    as_values: bool
    max_pixels: int
    max_memory: int | None


def source_of(image: ImageLike, reading: Reading | None = None) -> Source:
    """Return an image as the commands' work takes it.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
        An array is read as a ``.npy`` file of it would be: (H, W), (H, W, C) or (N, H, W, C).
    reading : Reading, optional
        How it will be read.

    Raises
    ------
    OptionError, FileProblem
        If it is none of these, or a picture that Pillow cannot decode.

    Examples
    --------
    >>> source_of("cat.jpg").stem, source_of(np.ones((2, 2))).label
    ('cat', 'array')
    """
    if isinstance(image, str | os.PathLike):
        return Source(locate(os.fspath(image)))
    if isinstance(image, Image.Image):
        frame = (reading or {}).get("frame")
        if frame is not None and getattr(image, "n_frames", 1) > 1:
            problem = "frame is for files: of a picture of Pillow's its current frame is taken"
            raise OptionError(problem, hint=f"image.seek({frame})")
        return Source(Path("picture"), data=_picture_content(image))
    need = "an image", "a file, an address, an array of numbers or a picture of Pillow's"
    array = array_of(image, *need)
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return Source(Path("array"), data=stream.getvalue())


def array_of(given: object, what: str, need: str = "an array of numbers") -> np.ndarray[Any, Any]:
    """Return what was given as an array.

    Raises
    ------
    OptionError
        If it is something else, masked, or lists of unlike lengths.

    Examples
    --------
    >>> array_of([[1], [2, 3]], "upstream")
    Traceback (most recent call last):
    cnncli.errors.OptionError: upstream must be an array of numbers, got '[[1], [2, 3]]'
    """
    if np.ma.is_masked(given):
        raise OptionError(f"{what} must not be masked", hint="array.filled(0) puts 0 there")
    with suppress(ValueError):
        array = np.asarray(given)
        if not array.dtype.hasobject:
            return array
    raise OptionError(f"{what} must be {need}, got {quote(repr(given))}")


def _picture_content(image: Image.Image) -> bytes:
    """Return the content of a picture of Pillow's, which is decoded only now."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _content(image)
    except MemoryError:
        raise
    # Broken pictures make Pillow raise nearly every exception Python has.
    except Exception as error:
        raise FileProblem(f"cannot be read: {fault_text(error)}", path="picture") from error


def _content(image: Image.Image) -> bytes:
    """Return a picture of Pillow's as a file that is read as its own file would be."""
    # Decoding a TIFF file turns it upright and takes the tag away.
    image.load()
    found = read_photo_metadata(image, 8)
    exif = Image.Exif()
    exif.load(found.exif or b"")
    with suppress(Exception):  # broken EXIF does not turn the picture
        exif[_ORIENTATION] = int(image.getexif()[_ORIENTATION])
    text = PngImagePlugin.PngInfo()
    record = image.info.get("cnncli") or image.info.get("comment")
    if isinstance(record, str | bytes):
        text.add_text("cnncli", record)
    is_deep = image.mode in _TIFF_MODES and not _is_16_bit(image)
    stream = io.BytesIO()
    settings = {"exif": exif, "pnginfo": text, "dpi": found.dpi and (found.dpi, found.dpi)}
    _storable(image, is_deep).save(stream, "TIFF" if is_deep else "PNG", **settings)
    return stream.getvalue()


def _is_16_bit(image: Image.Image) -> bool:
    """Whether its numbers are levels of 16 bits: Pillow has those of PGM files in 32 bits."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def _storable(image: Image.Image, is_deep: bool) -> Image.Image:
    """Return a picture in a mode that its file holds."""
    if _is_16_bit(image):
        return image if image.mode == "I;16" else image.convert("I").convert("I;16")
    if is_deep or image.mode in _PNG_MODES:
        return image
    return image.convert("LA" if image.mode == "La" else "RGBA")


def check_names(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names of options that a call does not have, as Python does.

    Raises
    ------
    TypeError
        With the nearest name that it has.

    Examples
    --------
    >>> check_names("conv", ["strid"], ["stride", "gray"])
    Traceback (most recent call last):
    TypeError: conv() got an unexpected keyword argument 'strid', nearest: stride
    """
    for name in set(given) - set(known):
        near = "".join(f", nearest: {other}" for other in nearest(name, known)[:1])
        raise TypeError(f"{call}() got an unexpected keyword argument {name!r}{near}")


def check_keywords(
    call: Callable[..., Any], given: Iterable[str], layer: Callable[..., Any] | None = None
) -> None:
    """Refuse as `check_names` what is no option of a call, nor of the layer that it makes."""
    known = [*Reading.__annotations__, *signature(call).parameters]
    if layer is not None:
        options = signature(layer).parameters.values()
        own = (o.name for o in options if o.default is not o.empty)
        known += [name for name in own if name not in ("mode", "jobs")]
    check_names(call.__qualname__, given, known)


def read_options(model: Model, reading: Reading) -> ReadOptions:
    """Return how images are read for a model.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> read_options(Model.of_layer(PoolLayer()), {"gray": True}).gray
    True
    """
    own = own_read_options(reading)
    return replace(own, **model.read_fields(own.gray))


def own_read_options(reading: Reading) -> ReadOptions:
    """Return how images are read that no model says anything of.

    Examples
    --------
    >>> own_read_options({"frame": 2}).frame
    2
    """
    given: dict[str, Any] = {**reading}
    check_arguments(**given)
    restore = restore_values if given.pop("as_values", False) else None
    return ReadOptions(restore=restore, **given)


def stored_shape(image: ImageLike, model: Model) -> tuple[int, int, int]:
    """Return the (H, W, C) of an image for a model, before it is resized.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> stored_shape(np.ones((4, 5)), Model.of_layer(PoolLayer()))
    (4, 5, 1)
    """
    return shape_of(image, replace(read_options(model, {}), size=None))


def shape_of(image: ImageLike, read: ReadOptions) -> tuple[int, int, int]:
    """Return the (H, W, C) of an image that is read so; of a file the header alone is read."""
    source = source_of(image)
    if isinstance(source.path, Path) and source.data is None:
        return read_shape(source.path, read)
    return read_source(source, read).shape[1:]


@contextmanager
def work_on(source: Source, limit: int | None) -> Iterator[None]:
    """Do the work on an image as the commands do: quiet on infinities, errors with its name."""
    try:
        with np.errstate(all="ignore"), memory_limit(limit):
            yield
    except (CnnCliError, MemoryError, OSError) as error:
        raise named_error(error, source) from None
