"""What the header of an image tells: its shape, its memory, and whether cnncli made it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem
from cnncli.io.array_axes import array_sizes, check_luminance
from cnncli.io.images import (
    background_colour,
    computed_dtype,
    conversion_bytes,
    is_to_change,
    kept_dtype,
    opened_image,
    size_after_resize,
)
from cnncli.io.npy import read_npy_header
from cnncli.io.pillow_reader import carried_record, read_picture_header
from cnncli.io.read_options import ReadOptions
from cnncli.io.samples import flat_channels


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    Attributes
    ----------
    shape : (int, int, int, int)
        The (N, H, W, C) of what `read_image` would give. Of transparency it is not known whether
        anything shows through: here it does.
    dtype : dtype
        Of its values.
    held_bytes : int
        Memory of the pixels of a picture whose transparency hides nothing; arrays stay in their
        files.
    decoding_bytes : int
        Memory that reading it takes at the most.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    held_bytes: int
    decoding_bytes: int


def read_shape(path: Path, options: ReadOptions) -> tuple[int, int, int]:
    """Return the (H, W, C) of what `read_image` would give, from the file's header alone.

    Parameters and errors are those of `read_header`.

    Examples
    --------
    >>> read_shape(Path("/nowhere.png"), ReadOptions())
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
    """
    return read_header(path, options).shape[1:]


def read_header(path: Path, options: ReadOptions) -> ImageHeader:
    """Return what a file's header tells of what `read_image` would give.

    Raises
    ------
    FileProblem, ShapeError
        As for `read_image`, so far as the header tells.
    """
    name = os.fspath(path)
    with opened_image(path, options) as (stream, kind):
        if kind != "NPY":
            return _header_of_picture(stream, kind, options, name)
    header = read_npy_header(path, name=name)
    n, *stored, channels = array_sizes(header.shape, options, name)
    height, width = size_after_resize(n, (stored[0], stored[1]), options, name)
    dtype = computed_dtype(kept_dtype(header.dtype))
    needed = conversion_bytes(math.prod(header.shape), header.dtype)
    channels = _channels_after_gray(channels, options, name)
    return ImageHeader((n, height, width, channels), dtype, 0, needed)


def is_own_picture(path: str) -> bool:
    """Tell whether cnncli made a picture, by the record that it carries; it is not decoded.

    Examples
    --------
    >>> is_own_picture("/nowhere.png")
    False
    """
    try:
        with opened_image(Path(path), ReadOptions()) as (stream, kind):
            return kind != "NPY" and bool(carried_record(stream, kind))
    except FileProblem:
        return False


def _header_of_picture(stream: BinaryIO, kind: str, options: ReadOptions, name: str) -> ImageHeader:
    header = read_picture_header(stream, kind, options, name)
    height, width = size_after_resize(1, header.size, options, name)
    flattens = header.has_alpha and options.alpha == "flatten" and options.restore is None
    read = header.channels
    if flattens:
        read = flat_channels(read, background_colour(options.background))
    channels = _channels_after_gray(read, options, name)
    if is_to_change(channels, options.channels):
        channels = options.channels or channels
    # Levels of 8 bits stay when a picture is resized, those of 16 do not.
    is_resized = (height, width) != header.size and header.sample_bytes != 1
    is_float = is_resized or channels < read
    shape = 1, height, width, channels
    held = math.prod(shape) * (4 if is_float else header.sample_bytes)
    return ImageHeader(shape, np.dtype(np.float32), held, header.decoding_bytes)


def _channels_after_gray(channels: int, options: ReadOptions, name: str) -> int:
    """Return how many channels are left by ``--gray``."""
    if options.gray:
        check_luminance(channels, name)
        return 1
    return channels
