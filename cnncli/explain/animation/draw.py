"""Frames of the sliding window as pictures: cells in their colours, labels, and the sums below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnncli.core.geometry import Pair
from cnncli.explain.animation.captions import middle_name, sum_lines
from cnncli.explain.animation.frames import Shots
from cnncli.explain.model import Block
from cnncli.explain.text.panels import MARKED, Colours, Numbers, colours_for, numbers_for
from cnncli.explain.text.phrases import channel_name, gist, title
from cnncli.network.layers import FloatArray
from cnncli.render.grid import label_font, plain_text, shorten

Colour = tuple[int, int, int]

PAPER: Final[Colour] = (255, 255, 255)
INK: Final[Colour] = (20, 20, 20)
FAINT: Final[Colour] = (90, 90, 90)
LINE: Final[Colour] = (150, 150, 150)
EMPTY: Final[Colour] = (238, 238, 238)
MARK: Final[Colour] = (214, 90, 0)

TITLE, TEXT, SMALL = 16, 13, 12
LEAST_TEXT: Final = 11
MARGIN, JOINT, LABELS, HEAD = 16, 34, 30, 22
LEADING: Final = 18
LABEL_ROOM: Final = 104
HEAD_ROOM: Final = 64
LEAST_WIDTH: Final = 640
ROOMY, TIGHT, LEAST = 900, 40, 9
"""Pixels: of a panel's cells together at most, of a cell that has room, and of any cell."""

TINTS: Final = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


@dataclass(frozen=True, eq=False)
class Cells:
    """How one kind of panel shows its cells.

    Parameters
    ----------
    colours : Colours
    numbers : Numbers
    tint : (int, int, int), optional
        Of a colour channel.
    """

    colours: Colours
    numbers: Numbers
    tint: tuple[int, int, int] | None = None

    def fill(self, value: float) -> Colour:
        """Return the colour of a value."""
        red, green, blue = self.colours.background(value)
        if self.tint is None:
            return red, green, blue
        return red * self.tint[0], green * self.tint[1], blue * self.tint[2]


@dataclass(frozen=True)
class Spot:
    """Where a panel's cells are.

    Parameters
    ----------
    left, top : int
    cell : int
        Pixels.
    """

    left: int
    top: int
    cell: int

    def box(self, row: int, col: int, down: int = 1, across: int = 1) -> tuple[int, int, int, int]:
        """Return the corners of some cells, the last pixel included."""
        x, y = self.left + col * self.cell, self.top + row * self.cell
        return x, y, x + across * self.cell, y + down * self.cell


@dataclass(frozen=True, eq=False)
class Plan:
    """How all frames look.

    Parameters
    ----------
    width, height : int
    cell : int
    font : int
        Of the cells' numbers; 0 where there is no room for any.
    inputs, middles : tuple of Spot
        One for each band.
    outputs : tuple of (int, Spot)
        Output channels, and where each is.
    below : int
        Where the text begins.
    looks : tuple of (Cells, Cells, Cells)
        Of input, middle and output, for each band.
    """

    width: int
    height: int
    cell: int
    font: int
    inputs: tuple[Spot, ...]
    middles: tuple[Spot, ...]
    outputs: tuple[tuple[int, Spot], ...]
    below: int
    looks: tuple[tuple[Cells, Cells, Cells], ...]


def plan_frames(shots: Shots) -> Plan:
    """Lay the frames out: all of one size, whatever each of them says.

    Parameters
    ----------
    shots : Shots

    Returns
    -------
    Plan
    """
    looks = tuple(_looks(shots, number) for number in range(len(shots.bands)))
    (rows, cols), kernel = shots.padding.shape, shots.found[0].padding.shape
    places = len(shots.rows.outputs), len(shots.cols.outputs)
    cell, font = _cell_size(looks, max(rows, cols, *kernel, *places))
    top = MARGIN + 2 * LEADING + 14
    tall = max(rows, kernel[0], places[0]) * cell
    band = HEAD + LABELS // 2 + tall + 14
    left = MARGIN + LABELS
    middle = left + cols * cell + JOINT
    right = middle + kernel[1] * cell + JOINT + LABELS
    width = max(right + max(places[1] * cell, HEAD_ROOM) + MARGIN, LEAST_WIDTH)
    tops = [top + k * band + HEAD + LABELS // 2 for k in range(len(shots.bands))]
    # The output of several channels stands behind the last of them, where the sum is complete.
    last = {each.step: k for k, each in enumerate(shots.bands)}
    below = top + len(tops) * band + 6
    lines = len(sum_lines(shots, 0, _chars(width))[0])
    return Plan(
        width=width,
        height=below + lines * LEADING + MARGIN,
        cell=cell,
        font=font,
        inputs=tuple(Spot(left, y + (tall - rows * cell) // 2, cell) for y in tops),
        middles=tuple(Spot(middle, y + (tall - kernel[0] * cell) // 2, cell) for y in tops),
        outputs=tuple(
            (step, Spot(right, tops[k] + (tall - places[0] * cell) // 2, cell))
            for step, k in last.items()
        ),
        below=below,
        looks=looks,
    )


def _chars(width: int) -> int:
    """How many letters a line has room for, in the mean."""
    return (width - 2 * MARGIN) // 7


def _looks(shots: Shots, number: int) -> tuple[Cells, Cells, Cells]:
    band = shots.bands[number]
    step, block = band.of(shots.found[0])
    crop = band.crop[~shots.unread & ~(shots.padding & ~np.isfinite(band.crop))]
    colours = colours_for(crop, signed=False)
    tint = TINTS.get(block.name) if colours.map == "gray" else None
    given = Cells(colours, numbers_for(crop, 2), tint)
    outputs = np.array([found.steps[band.step].fast for found in shots.found])
    made = Cells(colours_for(outputs, signed=False), numbers_for(outputs, 2))
    middle = given
    if block.weights is not None:
        weights = np.asarray(block.weights, np.float64)
        middle = Cells(colours_for(weights, signed=True), numbers_for(weights, 2))
    return given, middle, made


def _cell_size(looks: Sequence[tuple[Cells, ...]], count: int) -> tuple[int, int]:
    """The side of a cell, and the size of its letters; 0 where not all numbers fit."""
    longest = max(each.numbers.width for kinds in looks for each in kinds)
    for font in (SMALL, LEAST_TEXT):
        wide = math.ceil(label_font(font).getlength("8" * longest)) + 8
        cell = max(wide, TIGHT if font == SMALL else 0, font + 10)
        if cell * count <= ROOMY:
            return cell, font
    return max(LEAST, min(TIGHT, ROOMY // 2 // count)), 0


def draw_frames(shots: Shots, plan: Plan) -> Iterator[NDArray[np.uint8]]:
    """Draw frames one after the other.

    Parameters
    ----------
    shots : Shots
    plan : Plan

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)
    """
    base = Image.new("RGB", (plan.width, plan.height), PAPER)
    _draw_still(ImageDraw.Draw(base), shots, plan)
    for number in range(len(shots.found)):
        draw = ImageDraw.Draw(base)
        place = divmod(number, len(shots.cols.outputs))
        for step, spot in plan.outputs:
            look = plan.looks[_band_of(shots, step)][2]
            value = shots.found[number].steps[step].fast
            _draw_cell(draw, spot, place, value, look, plan.font)
        frame = base.copy()
        _draw_moving(ImageDraw.Draw(frame), shots, plan, number)
        yield np.asarray(frame)


def _band_of(shots: Shots, step: int) -> int:
    return next(k for k, band in enumerate(shots.bands) if band.step == step)


def _draw_still(draw: ImageDraw.ImageDraw, shots: Shots, plan: Plan) -> None:
    """What no frame changes: the input, the empty output, names and the numbers of lines."""
    found = shots.found[0]
    said = gist(found)
    channels = sum(len(step.blocks) for step in found.steps)
    if len(shots.bands) < channels:
        said = f"{len(shots.bands)} of {channels} channels are shown; all count"
    if plan.font == 0:
        said = "the cells are too small for their numbers, and show colours only"
    _text(draw, (MARGIN, MARGIN + LEADING + 4), said, SMALL, FAINT, plan.width - 2 * MARGIN)
    rows, cols = shots.rows.side.cells, shots.cols.side.cells
    for k, band in enumerate(shots.bands):
        _, block = band.of(found)
        given, middle = plan.inputs[k], plan.middles[k]
        several = len(shots.bands) > 1 or found.input_shapes[0][2] > 1
        name = f"input, {channel_name(block.name, block.channel)}" if several else "input"
        _head(draw, given, name, len(cols), plan)
        _head(draw, middle, middle_name(found, block), found.padding.shape[1], plan, JOINT - 8)
        _numbered(draw, given, rows, cols)
        _draw_input(draw, shots, plan, k)
        _joint(draw, given, middle, shots, "x" if block.weights is not None else ">")
    for step, spot in plan.outputs:
        several = len(plan.outputs) > 1
        name = f"output, {found.steps[step].name}" if several else "output"
        _head(draw, spot, name, len(shots.cols.outputs), plan)
        _numbered(draw, spot, shots.rows.outputs, shots.cols.outputs)
        for row in range(len(shots.rows.outputs)):
            for col in range(len(shots.cols.outputs)):
                draw.rectangle(spot.box(row, col), fill=EMPTY, outline=LINE)


def _draw_input(draw: ImageDraw.ImageDraw, shots: Shots, plan: Plan, number: int) -> None:
    band, spot, look = shots.bands[number], plan.inputs[number], plan.looks[number][0]
    padding, unread = shots.padding, shots.unread
    for (row, col), value in np.ndenumerate(band.crop):
        hollow = unread[row, col] or (padding[row, col] and not np.isfinite(value))
        if hollow:
            draw.rectangle(spot.box(row, col), fill=EMPTY, outline=LINE)
            _hatch(draw, spot, (row, col), EMPTY)
        else:
            _draw_cell(draw, spot, (row, col), float(value), look, 0)
            if padding[row, col]:
                _hatch(draw, spot, (row, col), look.fill(float(value)))
            _cell_text(draw, spot, (row, col), float(value), look, plan.font)


def _draw_moving(draw: ImageDraw.ImageDraw, shots: Shots, plan: Plan, number: int) -> None:
    """What changes from frame to frame: the window, the middle, the mark, and the words."""
    found = shots.found[number]
    assert found.rows is not None and found.cols is not None
    room = plan.width - 2 * MARGIN
    _text(draw, (MARGIN, MARGIN - 2), title(found), TITLE, INK, room)
    downs = [shots.rows.place(cell) for cell in found.rows.cells]
    acrosses = [shots.cols.place(cell) for cell in found.cols.cells]
    for k, band in enumerate(shots.bands):
        _, block = band.of(found)
        _mark_window(draw, plan.inputs[k], downs, acrosses)
        _draw_middle(draw, plan.middles[k], block, found.padding, plan, k)
        _joint_equals(draw, plan, k, shots)
    place = divmod(number, len(shots.cols.outputs))
    for _, spot in plan.outputs:
        _mark(draw, spot.box(*place))
    lines, font = sum_lines(shots, number, _chars(plan.width))
    for k, (label, text) in enumerate(lines):
        y = plan.below + k * LEADING
        _text(draw, (MARGIN, y), label, font, FAINT, LABEL_ROOM - 6)
        _text(draw, (MARGIN + LABEL_ROOM, y), text, font, INK, room - LABEL_ROOM)


def _draw_middle(
    draw: ImageDraw.ImageDraw,
    spot: Spot,
    block: Block,
    padding: NDArray[np.bool_],
    plan: Plan,
    number: int,
) -> None:
    look = plan.looks[number][1]
    values: FloatArray = block.window if block.weights is None else block.weights
    ties = np.zeros(values.shape, bool)
    if block.winner is not None and block.winner.any():
        ties = (values == values[block.winner][0]) & ~padding
    for (row, col), value in np.ndenumerate(values):
        at = row, col
        hollow = block.weights is None and padding[row, col]
        if hollow and not np.isfinite(value):
            draw.rectangle(spot.box(*at), fill=EMPTY, outline=LINE)
            _hatch(draw, spot, at, EMPTY)
            continue
        fill = look.fill(float(value))
        if ties[row, col]:
            first = block.winner is not None and block.winner[row, col]
            fill = MARKED["*" if first else "="]
        draw.rectangle(spot.box(*at), fill=fill, outline=LINE)
        if hollow:
            _hatch(draw, spot, at, fill)
        _cell_text(draw, spot, at, float(value), look, plan.font, fill)


def _draw_cell(
    draw: ImageDraw.ImageDraw, spot: Spot, at: Pair, value: float, look: Cells, font: int
) -> None:
    draw.rectangle(spot.box(*at), fill=look.fill(value), outline=LINE)
    _cell_text(draw, spot, at, value, look, font)


def _cell_text(
    draw: ImageDraw.ImageDraw,
    spot: Spot,
    at: Pair,
    value: float,
    look: Cells,
    font: int,
    fill: Colour | None = None,
) -> None:
    if not font:
        return
    ground = look.fill(value) if fill is None else fill
    left, top, right, bottom = spot.box(*at)
    middle = (left + right) / 2, (top + bottom) / 2
    text = look.numbers.write(value).strip()
    draw.text(middle, text, fill=ink_on(ground), font=label_font(font), anchor="mm")


def ink_on(ground: Colour) -> Colour:
    """Return black or white, whichever stands out more, by WCAG 2's relative luminance.

    Examples
    --------
    >>> ink_on((255, 255, 0)), ink_on((0, 0, 255))
    ((0, 0, 0), (255, 255, 255))
    """
    shares = [part / 255 for part in ground]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Where (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05.
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def _hatch(draw: ImageDraw.ImageDraw, spot: Spot, at: Pair, ground: Colour) -> None:
    """Mark padding at two corners: the middle is left to the number."""
    left, top, right, bottom = spot.box(*at)
    colour = tuple(round(0.5 * g + 0.5 * i) for g, i in zip(ground, ink_on(ground), strict=True))
    most = (right - left) * 9 // 20
    for cut in range(4, most, 4):
        draw.line([(left + cut, top + 1), (left + 1, top + cut)], fill=colour)
        draw.line([(right - cut, bottom - 1), (right - 1, bottom - cut)], fill=colour)


def _mark_window(
    draw: ImageDraw.ImageDraw, spot: Spot, downs: Sequence[int], acrosses: Sequence[int]
) -> None:
    """Outline the window, and with dilation each of its cells."""
    dilated = any(b - a > 1 for cells in (downs, acrosses) for a, b in pairwise(cells))
    if dilated:
        for row in downs:
            for col in acrosses:
                left, top, right, bottom = spot.box(row, col)
                draw.rectangle((left, top, right, bottom), outline=MARK, width=2)
    down, across = downs[-1] - downs[0] + 1, acrosses[-1] - acrosses[0] + 1
    _mark(draw, spot.box(downs[0], acrosses[0], down, across))


def _mark(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=PAPER, width=1)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=MARK, width=3)


def _head(
    draw: ImageDraw.ImageDraw, spot: Spot, name: str, cells: int, plan: Plan, more: int = 0
) -> None:
    room = max(cells * spot.cell + more, HEAD_ROOM)
    y = spot.top - HEAD - LABELS // 2 + 2
    _text(draw, (spot.left, y), name, TEXT, INK, min(room, plan.width - spot.left - 4))


def _numbered(
    draw: ImageDraw.ImageDraw, spot: Spot, rows: Sequence[int], cols: Sequence[int]
) -> None:
    """Write the numbers of rows and columns beside them, each that there is room for."""
    font = label_font(LEAST_TEXT)
    wide = max(font.getlength(str(col)) for col in cols) + 6
    for k in range(0, len(cols), math.ceil(wide / spot.cell)):
        x = spot.left + (k + 0.5) * spot.cell
        draw.text((x, spot.top - 4), str(cols[k]), fill=FAINT, font=font, anchor="ms")
    for k in range(0, len(rows), math.ceil((LEAST_TEXT + 3) / spot.cell)):
        y = spot.top + (k + 0.5) * spot.cell
        draw.text((spot.left - 5, y), str(rows[k]), fill=FAINT, font=font, anchor="rm")


def _joint(draw: ImageDraw.ImageDraw, given: Spot, middle: Spot, shots: Shots, sign: str) -> None:
    y = given.top + shots.padding.shape[0] * given.cell / 2
    font = label_font(TITLE)
    draw.text((middle.left - JOINT / 2, y), sign, fill=INK, font=font, anchor="mm")


def _joint_equals(draw: ImageDraw.ImageDraw, plan: Plan, number: int, shots: Shots) -> None:
    spot = plan.middles[number]
    rows, cols = shots.found[0].padding.shape
    at = spot.left + cols * spot.cell + JOINT / 2, spot.top + rows * spot.cell / 2
    steps = [band.step for band in shots.bands]
    last = number == len(steps) - 1 or steps[number + 1] != steps[number]
    draw.text(at, "=" if last else "+", fill=INK, font=label_font(TITLE), anchor="mm")


def _text(
    draw: ImageDraw.ImageDraw, at: Pair, text: str, size: int, colour: Colour, room: int
) -> None:
    """Write a text, shortened where it is longer than its room."""
    font = label_font(size)
    draw.text(at, shorten(plain_text(text), room, font), fill=colour, font=font)
