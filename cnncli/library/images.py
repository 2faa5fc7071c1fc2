"""The images that calls take, and how they are read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
from PIL import Image

from cnncli.errors import CnnCliError
from cnncli.io.images import read_shape
from cnncli.io.read_options import ReadOptions
from cnncli.io.urls import locate
from cnncli.network.model import Model
from cnncli.pipeline.files import read_source
from cnncli.pipeline.output_names import Source
from cnncli.pipeline.process import named_error
from cnncli.render.result_record import restore_values
from cnncli.system.memory import memory_limit

ImageLike = str | os.PathLike[str] | np.ndarray[Any, Any] | Image.Image
"""A file or address, an array as in a ``.npy`` file, or a picture of Pillow's."""


_PNG_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_TIFF_MODES: Final = ("CMYK", "YCbCr", "F", "I")
"""Pillow's modes that a file of the format holds without loss."""


class Reading(TypedDict, total=False):
    """How an image is read: the options of the commands, by the same names with ``_``."""

    gray: bool
    background: str
    frame: int | None
    as_values: bool
    max_pixels: int
    max_memory: int | None


def source_of(image: ImageLike) -> Source:
    """Return an image as the commands' work takes it.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
        An array is read as a ``.npy`` file of it would be: (H, W), (H, W, C) or (N, H, W, C).

    Examples
    --------
    >>> source_of("cat.jpg").stem, source_of(np.ones((2, 2))).label
    ('cat', 'array')
    """
    if isinstance(image, str | os.PathLike):
        return Source(locate(os.fspath(image)))
    stream = io.BytesIO()
    if isinstance(image, Image.Image):
        is_deep = image.mode in _TIFF_MODES
        held = image if is_deep or image.mode in _PNG_MODES else image.convert("RGBA")
        held.save(stream, "TIFF" if is_deep else "PNG")
        return Source(Path("picture"), data=stream.getvalue())
    np.save(stream, np.asarray(image), allow_pickle=False)
    return Source(Path("array"), data=stream.getvalue())


def read_options(model: Model, reading: Reading) -> ReadOptions:
    """Return how images are read for a model.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> read_options(Model.of_layer(PoolLayer()), {"gray": True}).gray
    True
    """
    given: dict[str, Any] = {**reading}
    restore = restore_values if given.pop("as_values", False) else None
    given |= model.read_fields(given.get("gray", False))
    return ReadOptions(restore=restore, **given)


def stored_shape(image: ImageLike, model: Model) -> tuple[int, int, int]:
    """Return the (H, W, C) of an image for a model, before it is resized.

    Of a file the header alone is read.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> stored_shape(np.ones((4, 5)), Model.of_layer(PoolLayer()))
    (4, 5, 1)
    """
    source, read = source_of(image), replace(read_options(model, {}), size=None)
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
