"""Pictures as text for the terminal: coloured half blocks or ASCII characters."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

# From dark to light on a dark terminal.
_RAMP = " .:-=+*#%@"
# Maps narrower than this are enlarged by a whole factor: a 7x7 map would be four lines of dots.
_LEAST_WIDTH = 32


def terminal_picture(pixels: np.ndarray, width: int, colour: bool | None = None) -> str:
    """Draw a picture with half blocks, two pixels a character, in 24-bit colour.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    width : int
        Columns of the terminal; wider pictures are averaged down to it.
    colour : bool, optional
        False for plain ASCII; by default the variable NO_COLOR decides.

    Returns
    -------
    str
        Lines, each with its line end.

    Examples
    --------
    >>> ramp = np.repeat(np.arange(255, 0, -8, dtype=np.uint8)[None], 4, axis=0)
    >>> print(terminal_picture(ramp, 80, colour=False), end="")
    @@%%%%###****+++====----:::....
    @@%%%%###****+++====----:::....
    """
    if colour is None:
        colour = colour_allowed()
    small = _fitted(_eight_bit(pixels), max(width, 1))
    if len(small) % 2:
        small = np.concatenate([small, small[-1:]])
    lines = _block_lines(small) if colour else _ascii_lines(small)
    return "".join(line + "\n" for line in lines)


def colour_allowed() -> bool:
    """Whether the environment has nothing against colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    # 65535 / 255 is 257: this rounds, where a shift by 8 bits would truncate.
    return np.rint(pixels / 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _fitted(pixels: np.ndarray, width: int) -> np.ndarray:
    height, across = pixels.shape[:2]
    zoom = min(_LEAST_WIDTH, width) // across
    if zoom > 1:
        return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    if across <= width:
        return pixels
    size = (width, max(1, round(height * width / across)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _ascii_lines(pixels: np.ndarray) -> Iterator[str]:
    grey = pixels @ np.array([0.299, 0.587, 0.114]) if pixels.ndim == 3 else pixels.astype(float)
    cells = (grey[::2] + grey[1::2]) / 2
    for row in np.rint(cells * ((len(_RAMP) - 1) / 255)).astype(int).tolist():
        yield "".join(_RAMP[level] for level in row).rstrip()


def _block_lines(pixels: np.ndarray) -> Iterator[str]:
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    for upper, lower in zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True):
        yield _block_line(upper, lower)


def _block_line(upper: list[list[int]], lower: list[list[int]]) -> str:
    parts: list[str] = []
    last: tuple[list[int], list[int]] | None = None
    for above, below in zip(upper, lower, strict=True):
        if (above, below) != last:
            fore, back = ";".join(map(str, above)), ";".join(map(str, below))
            parts.append(f"\x1b[38;2;{fore};48;2;{back}m")
            last = (above, below)
        parts.append("\N{UPPER HALF BLOCK}")
    return "".join(parts) + "\x1b[0m"
