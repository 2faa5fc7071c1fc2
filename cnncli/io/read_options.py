"""The options of reading an image: size limits, grey, resizing, background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.io.limits import MAX_INPUT_BYTES, MAX_PIXELS

Sides = tuple[int | None, int | None]
"""Rows and columns; None for a side that is left open."""

Restore = Callable[[np.ndarray, dict[str, Any], str], np.ndarray]


@dataclass(frozen=True)
class ReadOptions:
    """How to read an image.

    Attributes
    ----------
    gray : bool
        Reduce three channels to their luminance.
    channels : int, optional
        1 or 3: pictures, not arrays, of the other are made these, with a note.
    array_channels : int, optional
        How many channels arrays must have, where that is known.
    alpha : str
        ``flatten`` lays transparency on the background, ``keep`` carries it along.
    background : str
        What shows through transparency: a colour name, ``#rrggbb`` or the like.
    frame : int, optional
        Which frame of a multi-frame file, the first being 0. None is the first, with a note.
    restore : callable, optional
        ``restore(pixels, record, name)`` turns a picture that cnncli made back into the numbers it
        shows, by the record it carries: `cnncli.render.result_record.restore_values`. None: the
        pixels are the values.
    max_pixels : int
        The most pixels of a picture, checked before it is decoded.
    max_input_bytes : int
        The most bytes of standard input or of a ``.npy`` array.
    max_memory : int, optional
        The most bytes that an image and what is made of it may take; default: what is available.
    size : (int or None, int or None), optional
        Rows and columns that the image is resized to; None for a side that its shape tells.
    fit : {"stretch", "crop", "pad"}
        What is done to an image of another shape, as in `resize`.
    bgr : bool
        Whether the three channels of colour are turned, blue first.
    whole_scale : float
        What whole numbers without a scale of their own, such as int32 arrays, are divided by.
    """

    gray: bool = False
    channels: int | None = None
    array_channels: int | None = None
    alpha: str = "flatten"
    background: str = "black"
    frame: int | None = None
    restore: Restore | None = None
    max_pixels: int = MAX_PIXELS
    max_input_bytes: int = MAX_INPUT_BYTES
    max_memory: int | None = None
    size: Sides | None = None
    fit: str = "stretch"
    bgr: bool = False
    whole_scale: float = 1.0
