"""Small pictures and what reading them must give, for the tests of decoding and of images."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from cnncli.errors import FileProblem
from cnncli.io.images import read_bytes
from cnncli.io.read_options import ReadOptions

OLD_PILLOW = PIL.__version__.startswith("12.")
OPTIONS = ReadOptions()
RANDOM = np.random.default_rng(11)
RGB = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (5, 7), np.uint8)
DEEP = RANDOM.integers(0, 65_536, (5, 7), np.uint16)
ALPHA = RANDOM.integers(0, 256, (5, 7), np.uint8)


def encoded(picture: Image.Image | np.ndarray, form: str, **settings: Any) -> bytes:
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def refusal(data: bytes, options: ReadOptions = OPTIONS) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        read_bytes(data, options, "x.png")
    message = str(caught.value)
    assert message.startswith("'x.png': ") and message.isprintable() and "0x" not in message
    return caught.value


def flat(colour: np.ndarray, alpha: np.ndarray, background: tuple[int, ...]) -> np.ndarray:
    """Transparency over a background, in double precision."""
    share = alpha.astype(float)[..., None] / 255
    return colour.astype(float) / 255 * share + np.array(background) / 255 * (1 - share)
