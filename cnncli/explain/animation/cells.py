"""Cells of frames and what stands beside them: colours, numbers, marks, names, signs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from PIL import ImageDraw

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.text.panels import (
    Colour,
    ColourScale,
    NumberFormat,
    choose_format,
    ink_on,
    luminance_of,
)
from cnncli.network.layers import FloatArray
from cnncli.render.text import fit_text, label_font, plain_text

Corners = tuple[int, int, int, int]
Lines = tuple[tuple[str, str], ...]
"""Labels and the texts behind them."""
Draw = ImageDraw.ImageDraw

BACKGROUND: Final[Colour] = (255, 255, 255)
INK: Final[Colour] = (20, 20, 20)
FAINT: Final[Colour] = (90, 90, 90)
LINE: Final[Colour] = (150, 150, 150)
EMPTY: Final[Colour] = (238, 238, 238)
UNFINISHED: Final[Colour] = (252, 240, 190)
"""Of cells that are not whole: no scale of colours has it."""
MARK: Final[Colour] = (214, 90, 0)

TITLE, TEXT, SMALL = 16, 13, 12
LEAST_TEXT: Final = 11
TOO_SMALL: Final = "the cells are too small for their numbers, and show colours only"
MARGIN, GAP, NUMBERS, HEAD = 16, 34, 30, 22
"""Pixels: around a frame, between panels, for the numbers of lines, and for a panel's name."""
LEADING: Final = 18
LABEL_WIDTH, MOST_LABEL = 104, 260
HEAD_WIDTH, MOST_HEAD = 64, 360
LEAST_WIDTH, MOST_TITLE = 640, 1200
"""Pixels: at least, and at most for long names."""
MOST_PANEL, COMMON_CELL, LEAST_CELL = 900, 40, 9
"""Pixels: of a panel's cells together at most, of a cell where there is room, and of any cell."""

LIGHT_TINT: Final = 0.26
"""From this luminance on numbers on a pure colour are black."""

TINTS: Final = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


@dataclass(frozen=True, eq=False)
class CellStyle:
    """How one kind of panel shows its cells.

    Parameters
    ----------
    colours : ColourScale
    form : NumberFormat
    tint : (int, int, int), optional
        Of a colour channel.
    """

    colours: ColourScale
    form: NumberFormat
    tint: tuple[int, int, int] | None = None

    def fill(self, value: float) -> Colour:
        """Return the colour of a value."""
        red, green, blue = self.colours.background(value)
        if self.tint is None:
            return red, green, blue
        return red * self.tint[0], green * self.tint[1], blue * self.tint[2]

    def ink(self, ground: Colour) -> Colour:
        """Return the colour of the number on a cell's colour.

        On a pure colour of middling luminance white is easier to read than black.
        """
        if self.tint is None:
            return ink_on(ground)
        return (0, 0, 0) if luminance_of(ground) > LIGHT_TINT else (255, 255, 255)


@dataclass(frozen=True)
class CellGrid:
    """The pixels of a panel's cells.

    Parameters
    ----------
    left, top : int
    cell : int
        Width and height of one.
    """

    left: int
    top: int
    cell: int

    def box(self, row: int, col: int, down: int = 1, across: int = 1) -> Corners:
        """Return the corners of some cells, the last pixel included."""
        x, y = self.left + col * self.cell, self.top + row * self.cell
        return x, y, x + across * self.cell, y + down * self.cell


@dataclass(frozen=True)
class PanelRows:
    """Rows of panels below the title, all as high as the highest panel.

    Parameters
    ----------
    lines : int
        Lines of text below the title.
    count : int
        Rows of panels.
    cells : int
        Rows of cells of the highest panel.
    cell : int
        Pixels of a cell's side.
    """

    lines: int
    count: int
    cells: int
    cell: int

    def _top(self, row: int) -> int:
        height = HEAD + NUMBERS // 2 + self.cells * self.cell + 14
        return MARGIN + (1 + self.lines) * LEADING + 14 + row * height

    @property
    def below(self) -> int:
        """The top of what stands below all rows."""
        return self._top(self.count) + 6

    def grid(self, left: int, row: int, cells: int) -> CellGrid:
        """Return the pixels of a panel of so many rows of cells, in the middle of its row."""
        top = self._top(row) + HEAD + NUMBERS // 2
        return CellGrid(left, top + (self.cells - cells) * self.cell // 2, self.cell)


def text_length(texts: Sequence[str], size: int) -> int:
    """The width of the longest of some texts."""
    font = label_font(size)
    # Names may have thousands of letters, of which no more are ever shown.
    return math.ceil(max(font.getlength(plain_text(text)[:400]) for text in texts)) + 2


def wrap_words(text: str, width: int, size: int = TEXT) -> list[str]:
    """Return a text in lines of so many pixels, broken at spaces alone.

    Examples
    --------
    >>> wrap_words("the first in reading order wins", 100)
    ['the first in', 'reading order', 'wins']
    """
    font = label_font(size)
    lines: list[str] = []
    right, space = 0.0, font.getlength(" ")
    for word in text.split(" "):
        # Of names of thousands of letters no more are ever shown.
        length = font.getlength(plain_text(word[:400].replace("\xa0", " ")))
        if lines and right + space + length <= width:
            lines[-1] += f" {word}"
            right += space + length
        else:
            lines.append(word)
            right = length
    return [line.replace("\xa0", " ") for line in lines]


def caption_lines(captions: Sequence[Sequence[tuple[str, str]]], width: int) -> tuple[Lines, ...]:
    """Break the texts of all frames' captions into lines of so many pixels, as many for each."""
    broken = [
        [
            (label if k == 0 else "", line)
            for label, text in caption
            for k, line in enumerate(wrap_words(text, width))
        ]
        for caption in captions
    ]
    most = max(map(len, broken))
    return tuple((*lines, *[("", "")] * (most - len(lines))) for lines in broken)


def draw_lines(draw: Draw, lines: Sequence[str], top: int, width: int) -> None:
    """Write small lines below a frame's title."""
    for k, line in enumerate(lines):
        draw_text(draw, (MARGIN, top + k * LEADING), line, SMALL, FAINT, width)


def cell_format(values: FloatArray) -> NumberFormat:
    """Two digits behind the point below 10, three digits in all above."""
    finite = np.abs(values[np.isfinite(values)])
    return choose_format(values, 3 if finite.size and finite.max() > 1 else 2)


def cell_size(styles: Sequence[tuple[CellStyle, ...]], count: int) -> tuple[int, int]:
    """The side of a cell, and the size of its digits; 0 where not all numbers fit."""
    longest = max(style.form.width for row in styles for style in row)
    for font in (SMALL, LEAST_TEXT):
        wide = math.ceil(label_font(font).getlength("8" * longest)) + 8
        cell = max(wide, COMMON_CELL if font == SMALL else 0, font + 10)
        if cell * count <= MOST_PANEL:
            return cell, font
    return max(LEAST_CELL, min(COMMON_CELL, MOST_PANEL // 2 // count)), 0


def draw_cell(
    draw: Draw,
    grid: CellGrid,
    at: Pair,
    value: float,
    style: CellStyle,
    font: int,
    *,
    fill: Colour | None = None,
    is_padding: bool = False,
    is_blank: bool = False,
) -> None:
    """Draw a cell and its number; a blank one has neither number nor colour."""
    fill = EMPTY if is_blank else fill or style.fill(value)
    left, top, right, bottom = grid.box(*at)
    draw.rectangle((left, top, right, bottom), fill=fill, outline=LINE)
    if is_padding:
        # Hatch two corners: the middle is left to the number.
        pairs = zip(fill, style.ink(fill), strict=True)
        colour = tuple(round(0.5 * part + 0.5 * ink) for part, ink in pairs)
        for cut in range(4, (right - left) * 9 // 20, 4):
            draw.line([(left + cut, top + 1), (left + 1, top + cut)], fill=colour)
            draw.line([(right - cut, bottom - 1), (right - 1, bottom - cut)], fill=colour)
    if font and not is_blank:
        centre = (left + right) / 2, (top + bottom) / 2
        text = style.form.write(value).strip()
        draw.text(centre, text, fill=style.ink(fill), font=label_font(font), anchor="mm")


def mark_window(draw: Draw, grid: CellGrid, downs: Sequence[int], acrosses: Sequence[int]) -> None:
    """Outline the window, and with dilation each of its cells."""
    if any(b - a > 1 for cells in (downs, acrosses) for a, b in pairwise(cells)):
        for row in downs:
            for col in acrosses:
                draw.rectangle(grid.box(row, col), outline=MARK, width=2)
    down, across = downs[-1] - downs[0] + 1, acrosses[-1] - acrosses[0] + 1
    mark(draw, grid.box(downs[0], acrosses[0], down, across))


def mark(draw: Draw, box: Corners) -> None:
    """Outline a box of cells."""
    left, top, right, bottom = box
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=BACKGROUND, width=1)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=MARK, width=3)


def draw_caption(
    draw: Draw,
    lines: Sequence[tuple[str, str]],
    top: int,
    width: int,
    label_width: int = LABEL_WIDTH,
) -> None:
    """Write the lines below a frame of some width: labels, and the texts behind them."""
    left = MARGIN + label_width
    for k, (label, text) in enumerate(lines):
        y = top + k * LEADING
        draw_text(draw, (MARGIN, y), label, TEXT, FAINT, label_width - 6)
        draw_text(draw, (left, y), text, TEXT, INK, width - MARGIN - left)


def draw_head(draw: Draw, grid: CellGrid, name: str, right: int) -> None:
    """Write a panel's name above it; it may reach as far as there is nothing else."""
    at = grid.left, grid.top - HEAD - NUMBERS // 2 + 2
    draw_text(draw, at, name, TEXT, INK, right - grid.left)


def draw_line_numbers(
    draw: Draw, grid: CellGrid, rows: Sequence[int | None], cols: Sequence[int | None]
) -> None:
    """Write the numbers of rows and columns beside them, each that there is room for."""
    font = label_font(LEAST_TEXT)
    wide = max(font.getlength(str(col)) for col in cols if col is not None) + 6
    for k in range(0, len(cols), math.ceil(wide / grid.cell)):
        x = grid.left + (k + 0.5) * grid.cell
        if cols[k] is not None:
            draw.text((x, grid.top - 4), str(cols[k]), fill=FAINT, font=font, anchor="ms")
    for k in range(0, len(rows), math.ceil((LEAST_TEXT + 3) / grid.cell)):
        y = grid.top + (k + 0.5) * grid.cell
        if rows[k] is not None:
            draw.text((grid.left - 5, y), str(rows[k]), fill=FAINT, font=font, anchor="rm")


def draw_sign(draw: Draw, centre: tuple[float, float], sign: str) -> None:
    """Write a sign between two panels."""
    draw.text(centre, sign, fill=INK, font=label_font(TITLE), anchor="mm")


def draw_text(draw: Draw, at: Pair, text: str, size: int, colour: Colour, width: int) -> None:
    """Write a text, in smaller letters where its room is small, and shortened if all else fails."""
    shown = plain_text(text)
    while size > LEAST_TEXT and label_font(size).getlength(shown) > width:
        size -= 1
    font = label_font(size)
    draw.text(at, fit_text(shown, width, font), fill=colour, font=font)
