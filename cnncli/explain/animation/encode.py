"""Encode frames as an animation: GIF, WebP or APNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnncli.errors import FileProblem
from cnncli.render import colormaps

Pixels = NDArray[np.uint8]

FORMATS: Final = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
"""Suffixes of animations, and what Pillow calls them; of PNG it is an APNG."""

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "GIF": {"optimize": True, "disposal": 1, "loop": 0},
    "WEBP": {"lossless": True, "method": 4, "quality": 50, "loop": 0},
    "PNG": {"loop": 0},
}

PALETTE: Final = 255
"""Colours. One more index is left for pixels that are as in the frame before."""
_NEAREST_AT_ONCE: Final = 1 << 12


def encode_animation(frames: Sequence[Pixels], durations: Sequence[int], suffix: str) -> bytes:
    """Encode an animation that begins again and again.

    Parameters
    ----------
    frames : sequence of ndarray of uint8, shape (H, W, 3)
    durations : sequence of int
        Milliseconds.
    suffix : str
        One of `FORMATS`. GIF has 255 colours for all frames together: the most frequent ones are
        kept as they are, others become the nearest of these.

    Raises
    ------
    FileProblem
        When Pillow gives up.

    Examples
    --------
    >>> frames = [np.full((8, 8, 3), level, np.uint8) for level in (0, 90)]
    >>> with Image.open(io.BytesIO(encode_animation(frames, [100, 300], ".gif"))) as animation:
    ...     animation.n_frames, animation.info["duration"]
    (2, 100)
    """
    kind = FORMATS[suffix]
    images = indexed(frames) if kind == "GIF" else [Image.fromarray(frame) for frame in frames]
    first, *rest = images
    stream = io.BytesIO()
    times = {"duration": list(durations) if rest else durations[0]}
    try:
        first.save(stream, kind, save_all=True, append_images=rest, **times, **SETTINGS[kind])
    except (OSError, ValueError) as error:
        raise FileProblem(f"cannot be encoded as {kind}: {error}") from error
    return stream.getvalue()


def indexed(frames: Sequence[Pixels]) -> list[Image.Image]:
    """Turn frames into pictures with one palette, in which cells keep their colours.

    Examples
    --------
    >>> (image,) = indexed([np.array([[[1, 2, 3], [1, 2, 3], [9, 9, 9]]], np.uint8)])
    >>> image.getpalette()[:6], np.asarray(image).tolist()
    ([1, 2, 3, 9, 9, 9], [[0, 0, 1]])
    """
    counted = [np.unique(colormaps.pack(frame), return_counts=True) for frame in frames]
    codes = np.concatenate([code for code, _ in counted])
    distinct, inverse = np.unique(codes, return_inverse=True)
    counts = np.bincount(inverse, np.concatenate([count for _, count in counted]))
    palette = distinct[np.argsort(-counts, kind="stable")[:PALETTE]]
    index = _nearest(_parts(distinct), _parts(palette))
    table = _parts(palette).astype(np.uint8).tobytes()
    return [
        _picture(index[np.searchsorted(distinct, colormaps.pack(frame))], table) for frame in frames
    ]


def _picture(index: Pixels, palette: bytes) -> Image.Image:
    image = Image.fromarray(index)
    image.putpalette(palette)
    return image


def _parts(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.int64)


def _nearest(colours: NDArray[np.int64], palette: NDArray[np.int64]) -> Pixels:
    index = np.empty(len(colours), np.uint8)
    for start in range(0, len(colours), _NEAREST_AT_ONCE):
        part = colours[start : start + _NEAREST_AT_ONCE]
        apart = ((part[:, None] - palette[None]) ** 2).sum(axis=2)
        index[start : start + len(part)] = apart.argmin(axis=1)
    return index
