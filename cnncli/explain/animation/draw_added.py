"""Draw frames in which windows add to a map: values times weights, what is added, the map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.animation.added_windows import AddedWindows
from cnncli.explain.animation.cells import (
    BACKGROUND,
    EMPTY,
    GAP,
    HEAD_WIDTH,
    INK,
    LABEL_WIDTH,
    LEADING,
    LEAST_WIDTH,
    LINE,
    MARGIN,
    MOST_HEAD,
    MOST_TITLE,
    NUMBERS,
    SMALL,
    TEXT,
    TITLE,
    TOO_SMALL,
    UNFINISHED,
    CellGrid,
    CellStyle,
    Draw,
    Lines,
    PanelRows,
    caption_lines,
    cell_format,
    cell_size,
    draw_caption,
    draw_cell,
    draw_head,
    draw_line_numbers,
    draw_lines,
    draw_sign,
    draw_text,
    mark,
    mark_window,
    text_length,
    wrap_words,
)
from cnncli.explain.model import AddedWindow, padding_of
from cnncli.explain.text.panels import MARKED, choose_colours, factor_text, number_text
from cnncli.network.layers import FloatArray

MOST_TERMS = 4
"""Products that are written out."""


@dataclass(frozen=True, eq=False)
class AddedLayout:
    """How all frames look.

    Parameters
    ----------
    width, height : int
    font : int
        Of the cells' numbers; 0 where there is no room for any.
    values, weights : tuple of CellGrid
        One for each channel shown.
    added, total : CellGrid
    summary : tuple of str
        Lines below the title.
    below : int
        The top of the caption.
    captions : tuple of Lines
        Of each frame.
    styles : tuple of CellStyle
        Of what windows multiply, of weights, of a pool's window, of what is added, and of the map
        that it is added to.
    """

    width: int
    height: int
    font: int
    values: tuple[CellGrid, ...]
    weights: tuple[CellGrid, ...]
    added: CellGrid
    total: CellGrid
    summary: tuple[str, ...]
    below: int
    captions: tuple[Lines, ...]
    styles: tuple[CellStyle, CellStyle, CellStyle, CellStyle, CellStyle]


def layout_added_frames(animation: AddedWindows) -> AddedLayout:
    """Lay the frames out: all of one size, whatever is in each of them.

    Parameters
    ----------
    animation : AddedWindows

    Returns
    -------
    AddedLayout
    """
    styles = _styles(animation)
    rows, cols = animation.padding.shape
    down, across = animation.windows[0].weights.shape[1:]
    height, width = (last + 1 for last in animation.place(len(animation.windows) - 1))
    total = width + 2 * across + cols
    cell, font = cell_size([styles], max(rows, cols, down, height, width, (total + 1) // 2))
    count = max(len(animation.shown), 1)
    values = MARGIN + NUMBERS
    head = min(text_length(_heads(animation), TEXT), MOST_HEAD)
    weights = values + max(width * cell, HEAD_WIDTH, head) + GAP
    added = weights + max(across * cell, HEAD_WIDTH) + GAP
    right = added + max(across * cell, HEAD_WIDTH) + GAP + NUMBERS
    over = text_length([animation.labels.title], TITLE) + 40
    right_end = right + max(cols * cell, 2 * HEAD_WIDTH)
    whole = max(right_end, min(over, MOST_TITLE), LEAST_WIDTH) + MARGIN
    room = whole - 2 * MARGIN
    lines = wrap_words(_summary(animation, font), room, SMALL)
    panels = PanelRows(len(lines), count, max(rows, down, height), cell)
    texts = [added_caption(animation, frame) for frame in range(len(animation.windows))]
    captions = caption_lines(texts, room - LABEL_WIDTH)

    return AddedLayout(
        width=whole,
        height=panels.below + len(captions[0]) * LEADING + MARGIN,
        font=font,
        values=tuple(panels.grid(values, row, height) for row in range(count)),
        weights=tuple(panels.grid(weights, row, down) for row in range(count)),
        added=panels.grid(added, count - 1, down),
        total=panels.grid(right, count - 1, rows),
        summary=tuple(lines),
        below=panels.below,
        captions=captions,
        styles=styles,
    )


def _heads(animation: AddedWindows) -> list[str]:
    """What stands above the values that windows multiply, of each channel."""
    name = animation.labels.values
    if len(animation.windows[0].channels) <= 1:
        return [name]
    return [f"{name}, {channel}" for channel in animation.names]


def _summary(animation: AddedWindows, font: int) -> str:
    """What stands below the title."""
    count = len(animation.windows[0].channels)
    if font == 0:
        return TOO_SMALL
    if len(animation.shown) < count:
        several = animation.labels.several
        return f"{len(animation.shown)} of {count} {several} are shown; all count"
    return animation.labels.summary


def _styles(
    animation: AddedWindows,
) -> tuple[CellStyle, CellStyle, CellStyle, CellStyle, CellStyle]:
    windows, inputs, totals = animation.windows, animation.inputs, np.array(animation.totals)

    def style(numbers: FloatArray, signed: bool = True) -> CellStyle:
        return CellStyle(choose_colours(numbers, signed=signed), cell_format(numbers))

    values = np.array([window.values for window in windows])
    seen = np.zeros(0) if inputs is None else inputs[np.isfinite(inputs)]
    return (
        style(values, signed=not animation.values_are_input),
        style(np.array([window.weights for window in windows])),
        style(seen, signed=False),
        style(np.array([window.added for window in windows])),
        style(totals, signed=not animation.values_are_input or bool((totals < 0).any())),
    )


def draw_added_frames(animation: AddedWindows, layout: AddedLayout) -> Iterator[NDArray[np.uint8]]:
    """Draw frames one after the other.

    Parameters
    ----------
    animation : AddedWindows
    layout : AddedLayout

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)
    """
    base = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    _draw_still(ImageDraw.Draw(base), animation, layout)
    for frame in range(len(animation.windows)):
        if not animation.values_are_input:
            _draw_values(ImageDraw.Draw(base), animation, layout, frame)
        image = base.copy()
        _draw_moving(ImageDraw.Draw(image), animation, layout, frame)
        yield np.asarray(image)


def _draw_values(draw: Draw, animation: AddedWindows, layout: AddedLayout, frame: int) -> None:
    """What the window of a frame multiplies."""
    for k, grid in zip(animation.shown, layout.values, strict=False):
        value = float(animation.windows[frame].values[k])
        draw_cell(draw, grid, animation.place(frame), value, layout.styles[0], layout.font)


def _draw_still(draw: Draw, animation: AddedWindows, layout: AddedLayout) -> None:
    """What no frame changes: names, the numbers of lines, and the values or their empty cells."""
    labels, width, heads = animation.labels, layout.width - 2 * MARGIN, _heads(animation)
    draw_text(draw, (MARGIN, MARGIN - 2), labels.title, TITLE, INK, width)
    draw_lines(draw, layout.summary, MARGIN + LEADING + 4, width)
    rows, cols = (
        _with_gaps(span.outputs, gap)
        for span, gap in zip((animation.rows, animation.cols), animation.gaps, strict=True)
    )
    for k, grid in enumerate(layout.values):
        draw_head(draw, grid, heads[k], layout.weights[k].left - 8)
        draw_head(draw, layout.weights[k], labels.weights, layout.added.left - 8)
        draw_line_numbers(draw, grid, rows, cols)
        for frame in range(len(animation.windows)):
            if animation.values_are_input:
                _draw_values(draw, animation, layout, frame)
            else:
                draw.rectangle(grid.box(*animation.place(frame)), fill=EMPTY, outline=LINE)
    total = layout.total
    draw_head(draw, layout.added, "added", total.left - 8)
    draw_head(draw, total, labels.total, layout.width - 4)
    draw_line_numbers(draw, total, animation.rows.window.cells, animation.cols.window.cells)


def _with_gaps(cells: Sequence[int], gap: int) -> list[int | None]:
    """The numbers of cells that stand apart, with nothing in the gaps."""
    places: list[int | None] = [None] * (gap * (len(cells) - 1) + 1)
    places[::gap] = cells
    return places


def _draw_moving(draw: Draw, animation: AddedWindows, layout: AddedLayout, frame: int) -> None:
    """What changes from frame to frame: weights, what is added, the map, marks and texts."""
    window, shows_window = animation.windows[frame], animation.inputs is not None
    for row, grid in enumerate(layout.weights):
        _draw_middle(draw, animation, layout, window, row)
        middle = grid.top + window.weights.shape[1] * grid.cell / 2
        draw_sign(draw, (grid.left - GAP / 2, middle), "->" if shows_window else "x")
        sign = "+" if row < len(layout.weights) - 1 else "->" if shows_window else "="
        draw_sign(draw, (layout.added.left - GAP / 2, middle), sign)
        mark(draw, layout.values[row].box(*animation.place(frame)))
    _draw_total(draw, animation, layout, frame)
    draw_caption(draw, layout.captions[frame], layout.below, layout.width)


def _draw_total(draw: Draw, animation: AddedWindows, layout: AddedLayout, frame: int) -> None:
    """What the window adds, and the map with it."""
    window, unfinished = animation.windows[frame], animation.unfinished
    padding = padding_of(window.axes)
    for cell, value in np.ndenumerate(window.added):
        is_padding = bool(padding[cell])
        draw_cell(
            draw,
            layout.added,
            cell,
            float(value),
            layout.styles[3],
            layout.font,
            is_padding=is_padding,
            is_blank=is_padding and not animation.padding_takes,
        )
    for cell, value in np.ndenumerate(animation.totals[frame]):
        is_padding = bool(animation.padding[cell])
        draw_cell(
            draw,
            layout.total,
            cell,
            float(value),
            layout.styles[4],
            layout.font,
            fill=UNFINISHED if unfinished is not None and unfinished[cell] else None,
            is_padding=is_padding,
            is_blank=is_padding,
        )
    across = window.weights.shape[2] * layout.added.cell
    centre = layout.added.top + window.weights.shape[1] * layout.added.cell / 2
    draw_sign(draw, (layout.added.left + across + GAP / 2, centre), "+=")
    cell_shown = _shown_cell(animation)
    if cell_shown is not None:
        draw.rectangle(layout.total.box(*cell_shown), outline=INK, width=3)
    spans = zip((animation.rows, animation.cols), window.axes, strict=True)
    downs, acrosses = ([span.index(cell) for cell in axis.cells] for span, axis in spans)
    mark_window(draw, layout.total, downs, acrosses)


def _draw_middle(
    draw: Draw, animation: AddedWindows, layout: AddedLayout, window: AddedWindow, row: int
) -> None:
    """The weights or shares; of max and min pools the window's values with their winner."""
    if not animation.shown:
        return
    grid, font, weights = layout.weights[row], layout.font, window.weights[animation.shown[row]]
    if animation.inputs is None:
        for at, value in np.ndenumerate(weights):
            draw_cell(draw, grid, at, float(value), layout.styles[1], font)
        return
    padding, (rows, cols) = padding_of(window.axes), window.axes
    downs = [animation.rows.index(cell) for cell in rows.cells]
    acrosses = [animation.cols.index(cell) for cell in cols.cells]
    for at, value in np.ndenumerate(animation.inputs[np.ix_(downs, acrosses)]):
        is_padding = bool(padding[at])
        draw_cell(
            draw,
            grid,
            at,
            float(value),
            layout.styles[2],
            font,
            fill=MARKED["*"] if weights[at] else None,
            is_padding=is_padding,
            is_blank=is_padding,
        )


def _shown_cell(animation: AddedWindows) -> Pair | None:
    """Where the cell that is followed is among those shown; None if it is not."""
    spans = zip((animation.rows, animation.cols), animation.at, strict=True)
    row, col = (span.index(cell) for span, cell in spans)
    height, width = animation.padding.shape
    return (row, col) if 0 <= row < height and 0 <= col < width else None


def added_caption(animation: AddedWindows, frame: int) -> list[tuple[str, str]]:
    """Return the lines below a frame: labels and the texts behind them.

    Parameters
    ----------
    animation : AddedWindows
    frame : int
    """
    window, at, labels = animation.windows[frame], animation.at, animation.labels
    cell_name = f"row {at[0]}, column {at[1]}"
    state = "so far"
    if frame == len(animation.windows) - 1:
        state = labels.whole if animation.is_whole else labels.part
    cell = _shown_cell(animation)
    text = f"{cell_name} is not among the cells shown"
    if cell is not None:
        text = f"{number_text(float(animation.totals[frame][cell]))} at {cell_name}, {state}"
    return [
        (labels.place, f"row {window.at[0]}, column {window.at[1]}"),
        ("added", f"{_added_text(window, at)} to {cell_name}"),
        (labels.sum, text),
    ]


def _added_text(window: AddedWindow, at: Pair) -> str:
    """What one cell gets from a window, written out as far as there is room."""
    downs, acrosses = (
        [tap for tap, source in enumerate(axis.sources) if source == cell]
        for axis, cell in zip(window.axes, at, strict=True)
    )
    terms = [
        (float(window.weights[k, i, j]), float(window.values[k]))
        for k in range(len(window.channels))
        for i in downs
        for j in acrosses
    ]
    if not terms:
        return "nothing"
    total = number_text(sum(weight * value for weight, value in terms))
    if len(terms) > MOST_TERMS:
        return f"the sum of {len(terms)} products, {total},"
    written = [f"{factor_text(value)} x {factor_text(weight)}" for weight, value in terms]
    return f"{' + '.join(written)} = {total}"
