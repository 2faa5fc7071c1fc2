"""Text on sheets: the font, names as it can write them, and how they are made to fit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from cnncli.errors import printable

if TYPE_CHECKING:
    from PIL import ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BACKGROUND: Final = 232
INK: Final = 24
LINE_HEIGHT: Final = 1.5
"""Of a line of text, in font sizes."""

_ELLIPSIS: Final = "..."


def fit_text(text: str, width: float, font: Font) -> str:
    """Take letters from the middle of a name until it fits: its end often tells maps apart.

    Parameters
    ----------
    text : str
    width : float
        Room in pixels.
    font : Pillow font

    Returns
    -------
    str
        Empty when not even the ellipsis fits.

    Examples
    --------
    >>> fit_text("block3-conv2-filter-017", 90, label_font(12))
    'block3-...ter-017'
    """
    if font.getlength(text) <= width:
        return text
    # More letters than pixels cannot fit; cutting first keeps very long names cheap.
    keep = min(len(text) - 1, max(int(width), 0))
    while keep > 0:
        short = text[: (keep + 1) // 2] + _ELLIPSIS + text[len(text) - keep // 2 :]
        if font.getlength(short) <= width:
            return short
        keep -= 1
    return _ELLIPSIS if font.getlength(_ELLIPSIS) <= width else ""


def wrap(text: str, width: float, font: Font, most: int = 3) -> list[str]:
    """Break a text into lines that fit, behind its signs if possible.

    Parameters
    ----------
    text : str
    width : float
        Room in pixels.
    font : Pillow font
    most : int
        Lines; of a text that needs more, the last one is shortened.

    Returns
    -------
    list of str
        At least one.

    Examples
    --------
    >>> wrap("block3-conv2-filter-017", 90, label_font(12))
    ['block3-conv2-', 'filter-017']
    """
    lines = [""]
    # Names of thousands of letters are cut before each letter is measured.
    for part in re.findall(r"[^-_./ ]*[-_./ ]*", text[: int(width) * most + 1]):
        if font.getlength((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
            continue
        if font.getlength(part.rstrip()) <= width:
            lines.append(part)
            continue
        for letter in part:
            if font.getlength(lines[-1] + letter) > width and lines[-1]:
                lines.append("")
            lines[-1] += letter
    lines = [line for line in lines if line] or [""]
    if len(lines) <= most:
        return [fit_text(line.rstrip(), width, font) for line in lines]
    kept = lines[: most - 1]
    return [*kept, fit_text(text[sum(map(len, kept)) :], width, font)]


@cache
def label_font(size: int) -> Font:
    """Return the font of labels; without FreeType, Pillow's small bitmap font."""
    from PIL import ImageFont, features

    if features.check("freetype2"):
        return ImageFont.load_default(size)
    return ImageFont.load_default_imagefont()


def plain_text(name: str) -> str:
    """Reduce a name to the letters the font has: ASCII, accents dropped."""
    parts = unicodedata.normalize("NFKD", printable(name))
    return (
        "".join(c for c in parts if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode()
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Return labels for maps: names that only count on after one word become their numbers.

    Examples
    --------
    >>> short_names(["conv1-0", "conv1-1"]), short_names(["edge", ""]), short_names(["k-5"])
    (['0', '1'], ['edge', '1'], ['k-5'])
    """
    stem = re.sub(r"\d+$", "", names[0].partition("@")[0]) if names else ""
    ends = [name.removeprefix(stem) for name in names]
    if len(names) > 1 and stem.endswith("-"):
        numbers = [end.partition("@")[0] for end in ends]
        counted = sorted({int(number) for number in numbers if number.isdecimal()})
        whole = all(number.isdecimal() for number in numbers)
        if whole and counted == list(range(len(counted))):
            names = [
                str(int(number)) + end[len(number) :]
                for number, end in zip(numbers, ends, strict=True)
            ]
    return [name or str(index) for index, name in enumerate(names)]


def level_scale(dtype: np.dtype[Any]) -> int:
    """Return what a level of 8 bits is multiplied by on a sheet of 8 or 16 bits."""
    return 257 if dtype == np.uint16 else 1


def write_lines(
    sheet: np.ndarray,
    lines: Sequence[str],
    corner: tuple[int, int],
    width: int,
    size: int,
    align: float = 0.5,
) -> None:
    """Write lines of text onto a sheet.

    Parameters
    ----------
    sheet : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
        Written into.
    lines : sequence of str
    corner : (left, top)
        Of the box of text, in pixels.
    width : int
        Of the box; what is longer is cut.
    size : int
        Of the font.
    align : float
        0 left, 0.5 in the middle, 1 right.
    """
    # Loaded here, as the fonts are: only sheets have text.
    from PIL import ImageDraw

    font, step = label_font(size), round(size * LINE_HEIGHT)
    left, top = corner
    box = Image.new("L", (width, step * len(lines)), 0)
    draw = ImageDraw.Draw(box)
    for index, line in enumerate(lines):
        start = (width - font.getlength(line)) * align
        draw.text((start, index * step + size * 0.15), line, fill=255, font=font)
    ink = np.asarray(box, np.float32)[: sheet.shape[0] - top, : sheet.shape[1] - left] / 255
    scale = level_scale(sheet.dtype)
    shades = np.rint((BACKGROUND + (INK - BACKGROUND) * ink) * scale).astype(sheet.dtype)
    area = sheet[top : top + len(shades), left : left + shades.shape[1]]
    area[...] = shades[:, :, None] if sheet.ndim == 3 else shades
