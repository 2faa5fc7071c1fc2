"""Draw the frames of a sliding window: cells in their colours, labels, and the caption below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.animation.captions import caption
from cnncli.explain.animation.frames import Animation
from cnncli.explain.model import Block
from cnncli.explain.text.panels import (
    MARKED,
    Colour,
    ColourScale,
    NumberFormat,
    choose_colours,
    choose_format,
    ink_on,
    luminance_of,
)
from cnncli.explain.text.phrases import channel_name, summary, title
from cnncli.network.layers import FloatArray
from cnncli.render.text import label_font, plain_text, shorten

Corners = tuple[int, int, int, int]
Draw = ImageDraw.ImageDraw

BACKGROUND: Final[Colour] = (255, 255, 255)
INK: Final[Colour] = (20, 20, 20)
FAINT: Final[Colour] = (90, 90, 90)
LINE: Final[Colour] = (150, 150, 150)
EMPTY: Final[Colour] = (238, 238, 238)
MARK: Final[Colour] = (214, 90, 0)

TITLE, TEXT, SMALL = 16, 13, 12
LEAST_TEXT: Final = 11
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


@dataclass(frozen=True, eq=False)
class FrameLayout:
    """How all frames look.

    Parameters
    ----------
    width, height : int
    font : int
        Of the cells' numbers; 0 where there is no room for any.
    inputs, middles : tuple of CellGrid
        One for each row of panels.
    outputs : tuple of (int, int, CellGrid)
        Indices of output channels and of the rows of panels they are in.
    below : int
        The top of the caption.
    label_width : int
        Of the labels in the caption.
    styles : tuple of (CellStyle, CellStyle, CellStyle)
        Of input, middle and output, for each row of panels.
    """

    width: int
    height: int
    font: int
    inputs: tuple[CellGrid, ...]
    middles: tuple[CellGrid, ...]
    outputs: tuple[tuple[int, int, CellGrid], ...]
    below: int
    label_width: int
    styles: tuple[tuple[CellStyle, CellStyle, CellStyle], ...]


def layout_frames(animation: Animation) -> FrameLayout:
    """Lay the frames out: all of one size, whatever is in each of them.

    Parameters
    ----------
    animation : Animation

    Returns
    -------
    FrameLayout
    """
    count = len(animation.channels)
    styles = tuple(_styles(animation, number) for number in range(count))
    (rows, cols), kernel = animation.padding.shape, animation.explanations[0].padding.shape
    outputs = len(animation.rows.outputs), len(animation.cols.outputs)
    cell, font = _cell_size(styles, max(rows, cols, *kernel, *outputs))
    top = MARGIN + 2 * LEADING + 14
    tall = max(rows, kernel[0], outputs[0]) * cell
    row_height = HEAD + NUMBERS // 2 + tall + 14
    left = MARGIN + NUMBERS
    middle = left + cols * cell + GAP
    right = middle + kernel[1] * cell + GAP + NUMBERS
    explanation = animation.explanations[0]
    heads = [_output_name(animation, channel.step) for channel in animation.channels]
    head = max(outputs[1] * cell, HEAD_WIDTH, min(_length(heads, TEXT), MOST_HEAD))
    # Rows and columns of later frames may have more digits.
    over = min(_length([title(explanation)], TITLE) + 40, MOST_TITLE) + 2 * MARGIN
    width = max(right + head + MARGIN, LEAST_WIDTH, over)
    tops = [top + k * row_height + HEAD + NUMBERS // 2 for k in range(count)]
    # The output of several channels is in the last of their rows, where the sum is complete.
    last = {channel.step: k for k, channel in enumerate(animation.channels)}
    below = top + count * row_height + 6
    labels = [label for label, _ in caption(animation, 0, _chars(width, LABEL_WIDTH))]
    label_width = max(LABEL_WIDTH, min(_length(labels, TEXT) + 8, MOST_LABEL))
    lines = len(caption(animation, 0, _chars(width, label_width)))

    def grid(x: int, row: int, cells: int) -> CellGrid:
        return CellGrid(x, tops[row] + (tall - cells * cell) // 2, cell)

    return FrameLayout(
        width=width,
        height=below + lines * LEADING + MARGIN,
        font=font,
        inputs=tuple(grid(left, row, rows) for row in range(count)),
        middles=tuple(grid(middle, row, kernel[0]) for row in range(count)),
        outputs=tuple((step, row, grid(right, row, outputs[0])) for step, row in last.items()),
        below=below,
        label_width=label_width,
        styles=styles,
    )


def _length(texts: Sequence[str], size: int) -> int:
    """The width of the longest of some texts."""
    font = label_font(size)
    # Names may have thousands of letters, of which no more are ever shown.
    return math.ceil(max(font.getlength(plain_text(text)[:400]) for text in texts)) + 2


def _output_name(animation: Animation, step: int) -> str:
    several = len({channel.step for channel in animation.channels}) > 1
    return f"output, {animation.explanations[0].steps[step].name}" if several else "output"


def _chars(width: int, label_width: int) -> int:
    """How many characters a line has room for, in the mean."""
    return (width - 2 * MARGIN - (label_width - LABEL_WIDTH)) // 7


def _styles(animation: Animation, row: int) -> tuple[CellStyle, CellStyle, CellStyle]:
    channel = animation.channels[row]
    block, crop = channel.block_of(animation.explanations[0]), channel.crop
    crop = crop[~animation.unread & ~(animation.padding & ~np.isfinite(crop))]
    colours = choose_colours(crop, signed=False)
    tint = TINTS.get(block.name) if colours.map == "gray" else None
    inputs = middle = CellStyle(colours, choose_format(crop, 2), tint)
    values = np.array([one.steps[channel.step].fast for one in animation.explanations])
    # As in sheets: if any map of the layer has negative values, zero has one colour in all.
    every = np.array([step.fast for one in animation.explanations for step in one.steps])
    signed = bool((every[np.isfinite(every)] < 0).any())
    outputs = CellStyle(choose_colours(values, signed=signed), _cell_format(values))
    if block.weights is not None:
        weights = np.asarray(block.weights, np.float64)
        middle = CellStyle(choose_colours(weights, signed=True), _cell_format(weights))
    return inputs, middle, outputs


def _cell_format(values: FloatArray) -> NumberFormat:
    """Two digits behind the point below 10, three digits in all above."""
    finite = np.abs(values[np.isfinite(values)])
    return choose_format(values, 3 if finite.size and finite.max() > 1 else 2)


def _cell_size(styles: Sequence[tuple[CellStyle, ...]], count: int) -> tuple[int, int]:
    """The side of a cell, and the size of its digits; 0 where not all numbers fit."""
    longest = max(style.form.width for row in styles for style in row)
    for font in (SMALL, LEAST_TEXT):
        wide = math.ceil(label_font(font).getlength("8" * longest)) + 8
        cell = max(wide, COMMON_CELL if font == SMALL else 0, font + 10)
        if cell * count <= MOST_PANEL:
            return cell, font
    return max(LEAST_CELL, min(COMMON_CELL, MOST_PANEL // 2 // count)), 0


def draw_frames(animation: Animation, layout: FrameLayout) -> Iterator[NDArray[np.uint8]]:
    """Draw frames one after the other.

    Parameters
    ----------
    animation : Animation
    layout : FrameLayout

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)
    """
    base = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    _draw_still(ImageDraw.Draw(base), animation, layout)
    for number, explanation in enumerate(animation.explanations):
        draw = ImageDraw.Draw(base)
        at = divmod(number, len(animation.cols.outputs))
        for step, row, grid in layout.outputs:
            style, value = layout.styles[row][2], explanation.steps[step].fast
            _draw_cell(draw, grid, at, value, style, layout.font)
        frame = base.copy()
        _draw_moving(ImageDraw.Draw(frame), animation, layout, number)
        yield np.asarray(frame)


def _draw_still(draw: Draw, animation: Animation, layout: FrameLayout) -> None:
    """What no frame changes: the input, the empty output, names and the numbers of lines."""
    explanation = animation.explanations[0]
    text = summary(explanation)
    count = sum(len(step.blocks) for step in explanation.steps)
    if len(animation.channels) < count:
        text = f"{len(animation.channels)} of {count} channels are shown; all count"
    if layout.font == 0:
        text = "the cells are too small for their numbers, and show colours only"
    top = MARGIN + LEADING + 4
    _text(draw, (MARGIN, top), text, SMALL, FAINT, layout.width - 2 * MARGIN)
    rows, cols = animation.rows.window.cells, animation.cols.window.cells
    several = len(animation.channels) > 1 or explanation.input_shapes[0][2] > 1
    for k, channel in enumerate(animation.channels):
        block = channel.block_of(explanation)
        inputs, middle = layout.inputs[k], layout.middles[k]
        name = f"input, {channel_name(block.name, block.channel)}" if several else "input"
        _head(draw, inputs, name, middle.left - 8)
        kind = f"{explanation.mode} of window" if explanation.mode else "copied"
        name = kind if block.weights is None else "weights"
        beside = [grid.left - 8 for _, row, grid in layout.outputs if row == k]
        _head(draw, middle, name, min(beside, default=layout.width - MARGIN))
        _number_lines(draw, inputs, rows, cols)
        padding, unread = animation.padding, animation.unread
        for at, value in np.ndenumerate(channel.crop):
            is_padding = bool(padding[at])
            blank = bool(unread[at]) or (is_padding and not np.isfinite(value))
            cell = at, float(value), layout.styles[k][0], layout.font
            _draw_cell(draw, inputs, *cell, is_padding=is_padding, is_blank=blank)
        center = middle.left - GAP / 2, inputs.top + padding.shape[0] * inputs.cell / 2
        if block.weights is not None:
            _sign(draw, center, "x")
    rows, cols = tuple(animation.rows.outputs), tuple(animation.cols.outputs)
    for step, _, grid in layout.outputs:
        _head(draw, grid, _output_name(animation, step), layout.width - 4)
        _number_lines(draw, grid, rows, cols)
        for row, col in np.ndindex(len(rows), len(cols)):
            draw.rectangle(grid.box(row, col), fill=EMPTY, outline=LINE)


def _draw_moving(draw: Draw, animation: Animation, layout: FrameLayout, number: int) -> None:
    """What changes from frame to frame: the window, the middle, the mark, and the texts."""
    explanation = animation.explanations[number]
    assert explanation.axes is not None
    width = layout.width - 2 * MARGIN
    _text(draw, (MARGIN, MARGIN - 2), title(explanation), TITLE, INK, width)
    rows, cols = explanation.axes
    downs = [animation.rows.index(cell) for cell in rows.cells]
    acrosses = [animation.cols.index(cell) for cell in cols.cells]
    last_rows = {row for _, row, _ in layout.outputs}
    kernel = explanation.padding.shape
    for k, channel in enumerate(animation.channels):
        block, middle = channel.block_of(explanation), layout.middles[k]
        _mark_window(draw, layout.inputs[k], downs, acrosses)
        _draw_middle(draw, middle, block, explanation.padding, layout.styles[k][1], layout.font)
        x = middle.left + kernel[1] * middle.cell + GAP / 2
        _sign(draw, (x, middle.top + kernel[0] * middle.cell / 2), "=" if k in last_rows else "+")
    at = divmod(number, len(animation.cols.outputs))
    for _, _, grid in layout.outputs:
        _mark(draw, grid.box(*at))
    label_width = layout.label_width
    lines = caption(animation, number, _chars(layout.width, label_width))
    for k, (label, text) in enumerate(lines):
        y = layout.below + k * LEADING
        _text(draw, (MARGIN, y), label, TEXT, FAINT, label_width - 6)
        _text(draw, (MARGIN + label_width, y), text, TEXT, INK, width - label_width)


def _draw_middle(
    draw: Draw,
    grid: CellGrid,
    block: Block,
    padding: NDArray[np.bool_],
    style: CellStyle,
    font: int,
) -> None:
    """The weights or, of a pool, the window with its winner."""
    values: FloatArray = block.window if block.weights is None else block.weights
    ties = np.zeros(values.shape, bool)
    if block.winner is not None and block.winner.any():
        ties = (values == values[block.winner][0]) & ~padding
    for at, value in np.ndenumerate(values):
        is_padding = block.weights is None and bool(padding[at])
        fill = None
        if ties[at]:
            first = block.winner is not None and block.winner[at]
            fill = MARKED["*" if first else "="]
        blank = is_padding and not np.isfinite(value)
        cell = at, float(value), style, font
        _draw_cell(draw, grid, *cell, fill=fill, is_padding=is_padding, is_blank=blank)


def _draw_cell(
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


def _mark_window(draw: Draw, grid: CellGrid, downs: Sequence[int], acrosses: Sequence[int]) -> None:
    """Outline the window, and with dilation each of its cells."""
    if any(b - a > 1 for cells in (downs, acrosses) for a, b in pairwise(cells)):
        for row in downs:
            for col in acrosses:
                draw.rectangle(grid.box(row, col), outline=MARK, width=2)
    down, across = downs[-1] - downs[0] + 1, acrosses[-1] - acrosses[0] + 1
    _mark(draw, grid.box(downs[0], acrosses[0], down, across))


def _mark(draw: Draw, box: Corners) -> None:
    left, top, right, bottom = box
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=BACKGROUND, width=1)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=MARK, width=3)


def _head(draw: Draw, grid: CellGrid, name: str, right: int) -> None:
    """Write a panel's name above it; it may reach as far as there is nothing else."""
    at = grid.left, grid.top - HEAD - NUMBERS // 2 + 2
    _text(draw, at, name, TEXT, INK, right - grid.left)


def _number_lines(draw: Draw, grid: CellGrid, rows: Sequence[int], cols: Sequence[int]) -> None:
    """Write the numbers of rows and columns beside them, each that there is room for."""
    font = label_font(LEAST_TEXT)
    wide = max(font.getlength(str(col)) for col in cols) + 6
    for k in range(0, len(cols), math.ceil(wide / grid.cell)):
        x = grid.left + (k + 0.5) * grid.cell
        draw.text((x, grid.top - 4), str(cols[k]), fill=FAINT, font=font, anchor="ms")
    for k in range(0, len(rows), math.ceil((LEAST_TEXT + 3) / grid.cell)):
        y = grid.top + (k + 0.5) * grid.cell
        draw.text((grid.left - 5, y), str(rows[k]), fill=FAINT, font=font, anchor="rm")


def _sign(draw: Draw, centre: tuple[float, float], sign: str) -> None:
    draw.text(centre, sign, fill=INK, font=label_font(TITLE), anchor="mm")


def _text(draw: Draw, at: Pair, text: str, size: int, colour: Colour, width: int) -> None:
    """Write a text, in smaller letters where its room is small, and shortened if all else fails."""
    shown = plain_text(text)
    while size > LEAST_TEXT and label_font(size).getlength(shown) > width:
        size -= 1
    font = label_font(size)
    draw.text(at, shorten(shown, width, font), fill=colour, font=font)
