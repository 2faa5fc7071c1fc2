"""Panels of numbers for the terminal: aligned, coloured by value, side by side as they fit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.network.layers import FloatArray
from cnncli.render.colormaps import table

RESET: Final = "\x1b[0m"
BOLD: Final = "\x1b[1m"

DIGITS: Final = 4
"""Of the largest number in a block; the others have as many decimals."""

MARKED: Final = {"*": (240, 140, 20), "=": (250, 205, 140)}
"""The colours of a winner, and of those that tie with it."""

Colour = tuple[int, int, int]
Marks = NDArray[np.str_]
"""The characters left and right of each number, shape (rows, columns)."""


@dataclass(frozen=True)
class Panel:
    """Lines of one width.

    Parameters
    ----------
    lines : tuple of str
        The title, the columns' numbers, rows; colour codes in them have no width.
    width : int
    sign : str
        Between it and the panel before it, in its middle line.
    """

    lines: tuple[str, ...]
    width: int
    sign: str = ""


@dataclass(frozen=True)
class WindowPart:
    """The part of a window that is shown.

    Parameters
    ----------
    rows, cols : slice
    whole : bool
        Whether that is all of it.
    """

    rows: slice
    cols: slice
    whole: bool


@dataclass(frozen=True)
class NumberFormat:
    """One way to write all numbers of a block, so that they are aligned.

    Parameters
    ----------
    decimals : int
        -1 for powers of ten.
    width : int
        Of the longest.
    """

    decimals: int
    width: int

    def write(self, value: float) -> str:
        """Return a number as text, not longer than the width."""
        return _write(value, self.decimals).rjust(self.width)


def choose_format(values: FloatArray, digits: int = DIGITS) -> NumberFormat:
    """Choose how to write the numbers of a block.

    Parameters
    ----------
    values : ndarray of float
    digits : int
        Of the largest; whole numbers are written whole.

    Examples
    --------
    >>> choose_format(np.array([0.5, -0.25])), choose_format(np.array([-1.0, 8.0]))
    (NumberFormat(decimals=4, width=7), NumberFormat(decimals=0, width=2))
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    most = float(np.abs(finite).max()) if finite.size else 0.0
    whole = bool((finite == np.rint(finite)).all())
    if most >= 10**6 or 0 < most < 1e-4:
        decimals = -1
    elif whole:
        decimals = 0
    else:
        decimals = min(max(0, digits - math.ceil(math.log10(most))), 8)
    texts = {_write(float(value), decimals) for value in np.unique(values)}
    return NumberFormat(decimals, max(map(len, texts), default=1))


def _write(value: float, decimals: int) -> str:
    if decimals < 0:
        return f"{value:.{DIGITS - 1}e}" if value else "0"
    text = f"{value:.{decimals}f}"
    # Do not print -0.
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


@dataclass(frozen=True)
class ColourScale:
    """The colours of numbers.

    Parameters
    ----------
    limits : (float, float)
        The values of the first and the last colour.
    map : str
        A name of `COLORMAPS`.
    """

    limits: tuple[float, float]
    map: str

    def background(self, value: float) -> Colour:
        """Return the colour of a value."""
        low, high = self.limits
        share = (value - low) / (high - low) if high > low else 0.5
        level = round(min(max(share, 0.0), 1.0) * 255) if math.isfinite(share) else 128
        red, green, blue = table(self.map)[level].tolist()
        return red, green, blue


def choose_colours(values: FloatArray, signed: bool) -> ColourScale:
    """Choose colours: grey for pictures, red and blue about white for signed numbers.

    Examples
    --------
    >>> choose_colours(np.array([0.2, 0.8]), signed=False)
    ColourScale(limits=(0.0, 1.0), map='gray')
    >>> choose_colours(np.array([-1.0, 8.0]), signed=True)
    ColourScale(limits=(-8.0, 8.0), map='diverging')
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if signed or low < 0:
        most = max(-low, high)
        return ColourScale((-most, most), "diverging")
    return ColourScale((0.0, 1.0) if high <= 1 else (low, high), "gray")


def paint(text: str, background: Colour) -> str:
    """Return a text on a colour, black or white as it can be read."""
    front, ground = (";".join(map(str, colour)) for colour in (ink_on(background), background))
    return f"\x1b[38;2;{front};48;2;{ground}m{text}{RESET}"


def ink_on(ground: Colour) -> Colour:
    """Return black or white, whichever stands out more, by WCAG 2's relative luminance.

    Examples
    --------
    >>> ink_on((255, 255, 0)), ink_on((0, 0, 255))
    ((0, 0, 0), (255, 255, 255))
    """
    # Where (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05.
    return (0, 0, 0) if luminance_of(ground) > 0.179 else (255, 255, 255)


def luminance_of(colour: Colour) -> float:
    """Return the relative luminance of WCAG 2: 0 for black, 1 for white.

    Examples
    --------
    >>> round(luminance_of((255, 255, 255)), 6), luminance_of((0, 255, 0))
    (1.0, 0.7152)
    """
    shares = [part / 255 for part in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def number_rows(
    values: FloatArray,
    form: NumberFormat,
    colours: ColourScale | None,
    marks: Marks | None = None,
    blank_padding: bool = False,
) -> list[str]:
    """Return a line for each row of a block of numbers.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
    form : NumberFormat
    colours : ColourScale, optional
        None: no colour at all.
    marks : ndarray of str, optional
        Spaces by default.
    blank_padding : bool
        Whether padding is shown without numbers.

    Examples
    --------
    >>> block = np.array([[1.0, -2.0]])
    >>> number_rows(block, choose_format(block), None, np.array([["[]", "  "]]))
    ['[ 1] -2 ']
    """
    lines = []
    for i, row in enumerate(values.tolist()):
        cells = []
        for j, value in enumerate(row):
            mark = "  " if marks is None else str(marks[i, j])
            if blank_padding and mark == "[]":
                cells.append(f"[{' ' * form.width}]")
                continue
            text = f"{mark[0]}{form.write(value)}{mark[1]}"
            ground = MARKED.get(mark[0]) or (colours.background(value) if colours else None)
            cells.append(paint(text, ground) if colours and ground else text)
        lines.append("".join(cells))
    return lines


def make_panel(title: str, lines: Sequence[str], width: int, sign: str = "") -> Panel:
    """Return lines of one width under a title; all are filled up to it where it is wider.

    Examples
    --------
    >>> make_panel("weights", ["  1  "], 5).lines
    ('weights', '  1    ')
    """
    wide = max(width, len(title))
    filled = (line + " " * (wide - width) if line else " " * wide for line in lines)
    return Panel((title.ljust(wide), *filled), wide, sign)


def arrange_panels(panels: Sequence[Panel], width: int) -> list[str]:
    """Set panels side by side, as many as fit, and the others below.

    Examples
    --------
    >>> one, two = make_panel("a", ["", " 1 "], 3), make_panel("b", ["", " 2 "], 3, " x ")
    >>> arrange_panels([one, two], 9), arrange_panels([one, two], 8)
    (['a     b', ' 1  x  2'], ['a', ' 1', '   b', ' x  2'])
    """
    rows: list[list[Panel]] = []
    used = 0
    for panel in panels:
        more = len(panel.sign) + panel.width
        if not rows or used + more > width:
            rows.append([])
            used = 0
        rows[-1].append(panel)
        used += more
    return [line for row in rows for line in _side_by_side(row)]


def _side_by_side(panels: Sequence[Panel]) -> list[str]:
    lines = [""] * max(len(panel.lines) for panel in panels)
    for panel in panels:
        middle = (len(panel.lines) + 1) // 2
        for k in range(len(lines)):
            sign = panel.sign if k == middle else " " * len(panel.sign)
            lines[k] += sign + (panel.lines[k] if k < len(panel.lines) else " " * panel.width)
    # Second lines are the columns' numbers, which panels without a window on the input leave empty.
    return [line.rstrip() for k, line in enumerate(lines) if k != 1 or line.strip()]


def choose_part(weights: FloatArray, most: tuple[int, int]) -> WindowPart:
    """Choose the part of a window that is shown: where its weights are the largest.

    Parameters
    ----------
    weights : ndarray, shape (k_H, k_W)
        Their magnitudes count; of parts that are equal the nearest to the middle is taken.
    most : (int, int)
        Rows and columns there is room for.

    Examples
    --------
    >>> choose_part(np.eye(9), (3, 3))
    WindowPart(rows=slice(3, 6, None), cols=slice(3, 6, None), whole=False)
    """
    rows, cols = (min(k, limit) for k, limit in zip(weights.shape, most, strict=True))
    sums = np.zeros((weights.shape[0] + 1, weights.shape[1] + 1))
    sums[1:, 1:] = np.nan_to_num(np.abs(weights)).cumsum(0).cumsum(1)
    parts = sums[rows:, cols:] - sums[:-rows, cols:] - sums[rows:, :-cols] + sums[:-rows, :-cols]
    heavy = parts >= parts.max() * (1 - 1e-9)
    down, across = (np.arange(n) - (n - 1) / 2 for n in parts.shape)
    away = np.where(heavy, np.add.outer(down**2, across**2), np.inf)
    top, left = (int(k) for k in np.unravel_index(int(away.argmin()), away.shape))
    whole = (rows, cols) == weights.shape
    return WindowPart(slice(top, top + rows), slice(left, left + cols), whole)


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text in lines of a width, further ones indented."""
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)


def number_text(value: float) -> str:
    """Return a number with six digits.

    Examples
    --------
    >>> number_text(0.1 + 0.2), number_text(-0.0), number_text(3)
    ('0.3', '0', '3')
    """
    return f"{value + 0.0:.6g}"


def factor_text(value: float) -> str:
    """Return a number with four digits, in brackets below 0, as it stands behind a times sign.

    Examples
    --------
    >>> factor_text(0.12345), factor_text(-2.0)
    ('0.1235', '(-2)')
    """
    text = f"{value + 0.0:.4g}"
    return f"({text})" if text.startswith("-") else text
