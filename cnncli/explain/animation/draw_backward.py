"""Draw the frames of a backward pass: upstream times weights is added to the input's gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.animation.backward_frames import BackwardAnimation
from cnncli.explain.animation.cells import (
    BACKGROUND,
    EMPTY,
    FAINT,
    GAP,
    HEAD,
    HEAD_WIDTH,
    INK,
    LABEL_WIDTH,
    LEADING,
    LEAST_WIDTH,
    LINE,
    MARGIN,
    MOST_TITLE,
    NUMBERS,
    SMALL,
    TEXT,
    TITLE,
    CellGrid,
    CellStyle,
    Draw,
    cell_format,
    cell_size,
    draw_cell,
    draw_head,
    draw_sign,
    draw_text,
    mark,
    mark_window,
    number_lines,
    text_length,
)
from cnncli.explain.backward import WindowGradient
from cnncli.explain.model import padding_of
from cnncli.explain.text.backward import WEIGHTS, backward_summary, backward_title
from cnncli.explain.text.panels import MARKED, choose_colours, number
from cnncli.explain.text.phrases import map_label
from cnncli.network.layers import FloatArray

MOST_TERMS = 4
"""Products that are written out."""

CAPTION_LINES = 3


@dataclass(frozen=True, eq=False)
class BackwardLayout:
    """How all frames look.

    Parameters
    ----------
    width, height : int
    font : int
        Of the cells' numbers; 0 where there is no room for any.
    upstream, weights : tuple of CellGrid
        One for each map shown.
    added, gradient : CellGrid
    below : int
        The top of the caption.
    styles : tuple of CellStyle
        Of upstream gradients, of weights, of the window's values, of what is added, and of the
        input's gradient.
    """

    width: int
    height: int
    font: int
    upstream: tuple[CellGrid, ...]
    weights: tuple[CellGrid, ...]
    added: CellGrid
    gradient: CellGrid
    below: int
    styles: tuple[CellStyle, CellStyle, CellStyle, CellStyle, CellStyle]


def layout_backward_frames(animation: BackwardAnimation) -> BackwardLayout:
    """Lay the frames out: all of one size, whatever is in each of them.

    Parameters
    ----------
    animation : BackwardAnimation

    Returns
    -------
    BackwardLayout
    """
    styles = _styles(animation)
    rows, cols = animation.padding.shape
    down, across = animation.windows[0].weights.shape[1:]
    outputs = len(animation.rows.outputs), len(animation.cols.outputs)
    total = outputs[1] + 2 * across + cols
    cell, font = cell_size([styles], max(rows, cols, down, *outputs, (total + 1) // 2))
    count = max(len(animation.shown), 1)
    tall = max(rows, down, outputs[0]) * cell
    row_height = HEAD + NUMBERS // 2 + tall + 14
    top = MARGIN + 2 * LEADING + 14
    tops = [top + k * row_height + HEAD + NUMBERS // 2 for k in range(count)]
    upstream = MARGIN + NUMBERS
    weights = upstream + max(outputs[1] * cell, HEAD_WIDTH) + GAP
    added = weights + max(across * cell, HEAD_WIDTH) + GAP
    gradient = added + max(across * cell, HEAD_WIDTH) + GAP + NUMBERS
    over = text_length([backward_title(animation.explanation)], TITLE) + 40
    width = max(gradient + max(cols * cell, 2 * HEAD_WIDTH), min(over, MOST_TITLE), LEAST_WIDTH)
    below = top + count * row_height + 6

    def grid(x: int, row: int, cells: int) -> CellGrid:
        return CellGrid(x, tops[row] + (tall - cells * cell) // 2, cell)

    return BackwardLayout(
        width=width + MARGIN,
        height=below + CAPTION_LINES * LEADING + MARGIN,
        font=font,
        upstream=tuple(grid(upstream, row, outputs[0]) for row in range(count)),
        weights=tuple(grid(weights, row, down) for row in range(count)),
        added=grid(added, count - 1, down),
        gradient=grid(gradient, count - 1, rows),
        below=below,
        styles=styles,
    )


def _styles(
    animation: BackwardAnimation,
) -> tuple[CellStyle, CellStyle, CellStyle, CellStyle, CellStyle]:
    windows, inputs = animation.windows, animation.inputs
    upstream = np.array([window.upstream for window in windows])
    weights = np.array([window.weights for window in windows])
    added = np.array([window.added for window in windows])

    def signed(values: FloatArray) -> CellStyle:
        return CellStyle(choose_colours(values, signed=True), cell_format(values))

    seen = inputs[np.isfinite(inputs)]
    values = CellStyle(choose_colours(seen, signed=False), cell_format(seen))
    parts = signed(upstream), signed(weights), values, signed(added)
    return *parts, signed(np.array(animation.gradients))


def draw_backward_frames(
    animation: BackwardAnimation, layout: BackwardLayout
) -> Iterator[NDArray[np.uint8]]:
    """Draw frames one after the other.

    Parameters
    ----------
    animation : BackwardAnimation
    layout : BackwardLayout

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)
    """
    base = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    _draw_still(ImageDraw.Draw(base), animation, layout)
    for frame, window in enumerate(animation.windows):
        draw = ImageDraw.Draw(base)
        at = divmod(frame, len(animation.cols.outputs))
        for k, grid in zip(animation.shown, layout.upstream, strict=False):
            value = float(window.upstream[k])
            draw_cell(draw, grid, at, value, layout.styles[0], layout.font)
        image = base.copy()
        _draw_moving(ImageDraw.Draw(image), animation, layout, frame)
        yield np.asarray(image)


def _draw_still(draw: Draw, animation: BackwardAnimation, layout: BackwardLayout) -> None:
    """What no frame changes: names, the numbers of lines, and the empty upstream gradients."""
    explanation, width = animation.explanation, layout.width - 2 * MARGIN
    text = backward_summary(explanation)
    if len(animation.shown) < len(animation.windows[0].channels):
        count = len(animation.windows[0].channels)
        text = f"{len(animation.shown)} of {count} maps are shown; all count"
    if layout.font == 0:
        text = "the cells are too small for their numbers, and show colours only"
    draw_text(draw, (MARGIN, MARGIN - 2), backward_title(explanation), TITLE, INK, width)
    draw_text(draw, (MARGIN, MARGIN + LEADING + 4), text, SMALL, FAINT, width)
    rows, cols = tuple(animation.rows.outputs), tuple(animation.cols.outputs)
    several = len(animation.windows[0].channels) > 1
    for k, grid in enumerate(layout.upstream):
        name = "upstream"
        if several:
            channel = animation.windows[0].channels[animation.shown[k]]
            name += f", {map_label(channel, animation.names[k])}"
        draw_head(draw, grid, name, layout.weights[k].left - 8)
        draw_head(draw, layout.weights[k], _middle_name(animation), layout.added.left - 8)
        number_lines(draw, grid, rows, cols)
        for row, col in np.ndindex(len(rows), len(cols)):
            draw.rectangle(grid.box(row, col), fill=EMPTY, outline=LINE)
    gradient = layout.gradient
    draw_head(draw, layout.added, "added", gradient.left - 8)
    draw_head(draw, gradient, "gradient of the input", layout.width - 4)
    number_lines(draw, gradient, animation.rows.window.cells, animation.cols.window.cells)


def _shows_window(animation: BackwardAnimation) -> bool:
    """Whether the middle panel has the window's values, which tell the winner."""
    return animation.explanation.mode in ("max", "min")


def _middle_name(animation: BackwardAnimation) -> str:
    if _shows_window(animation):
        return "window"
    return WEIGHTS.get(animation.explanation.type, "weight")


def _draw_moving(
    draw: Draw, animation: BackwardAnimation, layout: BackwardLayout, frame: int
) -> None:
    """What changes from frame to frame: weights, what is added, the gradient, marks and texts."""
    window, shows_window = animation.windows[frame], _shows_window(animation)
    at = divmod(frame, len(animation.cols.outputs))
    for row, grid in enumerate(layout.weights):
        _draw_middle(draw, animation, layout, window, row)
        middle = grid.top + window.weights.shape[1] * grid.cell / 2
        draw_sign(draw, (grid.left - GAP / 2, middle), "->" if shows_window else "x")
        sign = "+" if row < len(layout.weights) - 1 else "->" if shows_window else "="
        draw_sign(draw, (layout.added.left - GAP / 2, middle), sign)
        mark(draw, layout.upstream[row].box(*at))
    _draw_gradient(draw, animation, layout, frame)
    width = layout.width - 2 * MARGIN
    for k, (label, text) in enumerate(backward_caption(animation, frame)):
        y = layout.below + k * LEADING
        draw_text(draw, (MARGIN, y), label, TEXT, FAINT, LABEL_WIDTH - 6)
        draw_text(draw, (MARGIN + LABEL_WIDTH, y), text, TEXT, INK, width - LABEL_WIDTH)


def _draw_gradient(
    draw: Draw, animation: BackwardAnimation, layout: BackwardLayout, frame: int
) -> None:
    """What the window adds, and the input's gradient with it."""
    window, gradient = animation.windows[frame], animation.gradients[frame]
    padding = padding_of(window.axes)
    is_pool = animation.explanation.type == "pool"
    for cell, value in np.ndenumerate(window.added):
        is_padding = bool(padding[cell])
        part = cell, float(value), layout.styles[3], layout.font
        blank = is_padding and is_pool
        draw_cell(draw, layout.added, *part, is_padding=is_padding, is_blank=blank)
    for cell, value in np.ndenumerate(gradient):
        is_padding = bool(animation.padding[cell])
        part = cell, float(value), layout.styles[4], layout.font
        draw_cell(draw, layout.gradient, *part, is_padding=is_padding, is_blank=is_padding)
    across = window.weights.shape[2] * layout.added.cell
    centre = layout.added.top + window.weights.shape[1] * layout.added.cell / 2
    draw_sign(draw, (layout.added.left + across + GAP / 2, centre), "+=")
    cell_shown = _shown_cell(animation)
    if cell_shown is not None:
        draw.rectangle(layout.gradient.box(*cell_shown), outline=INK, width=3)
    spans = zip((animation.rows, animation.cols), window.axes, strict=True)
    downs, acrosses = ([span.index(cell) for cell in axis.cells] for span, axis in spans)
    mark_window(draw, layout.gradient, downs, acrosses)


def _draw_middle(
    draw: Draw,
    animation: BackwardAnimation,
    layout: BackwardLayout,
    window: WindowGradient,
    row: int,
) -> None:
    """The weights or shares; of max and min pools the window's values with their winner."""
    if not animation.shown:
        return
    grid, font, weights = layout.weights[row], layout.font, window.weights[animation.shown[row]]
    if not _shows_window(animation):
        for at, value in np.ndenumerate(weights):
            draw_cell(draw, grid, at, float(value), layout.styles[1], font)
        return
    padding, (rows, cols) = padding_of(window.axes), window.axes
    downs = [animation.rows.index(cell) for cell in rows.cells]
    acrosses = [animation.cols.index(cell) for cell in cols.cells]
    for at, value in np.ndenumerate(animation.inputs[np.ix_(downs, acrosses)]):
        is_padding = bool(padding[at])
        fill = MARKED["*"] if weights[at] else None
        part = at, float(value), layout.styles[2], font
        draw_cell(draw, grid, *part, fill=fill, is_padding=is_padding, is_blank=is_padding)


def _shown_cell(animation: BackwardAnimation) -> Pair | None:
    """Where the input value in the middle is among the cells shown; None if it is not."""
    spans = zip((animation.rows, animation.cols), animation.explanation.at, strict=True)
    row, col = (span.index(cell) for span, cell in spans)
    height, width = animation.padding.shape
    return (row, col) if 0 <= row < height and 0 <= col < width else None


def backward_caption(animation: BackwardAnimation, frame: int) -> list[tuple[str, str]]:
    """Return the lines below a frame: labels and the texts behind them.

    Parameters
    ----------
    animation : BackwardAnimation
    frame : int
    """
    window, at = animation.windows[frame], animation.explanation.at
    value = f"row {at[0]}, column {at[1]}"
    state = "so far"
    if frame == len(animation.windows) - 1:
        state = "from all its windows" if animation.is_whole else "from the windows shown"
    cell = _shown_cell(animation)
    text = f"{value} is not among the cells shown"
    if cell is not None:
        text = f"{number(float(animation.gradients[frame][cell]))} at {value}, {state}"
    return [
        ("output", f"row {window.output[0]}, column {window.output[1]}"),
        ("added", f"{_added_text(window, at)} to {value}"),
        ("gradient", text),
    ]


def _added_text(window: WindowGradient, at: Pair) -> str:
    """What one input value gets from a window, written out as far as there is room."""
    downs, acrosses = (
        [tap for tap, source in enumerate(axis.sources) if source == cell]
        for axis, cell in zip(window.axes, at, strict=True)
    )
    terms = [
        (float(window.weights[k, i, j]), float(window.upstream[k]))
        for k in range(len(window.channels))
        for i in downs
        for j in acrosses
    ]
    if not terms:
        return "nothing"
    total = number(sum(weight * upstream for weight, upstream in terms))
    if len(terms) > MOST_TERMS:
        return f"the sum of {len(terms)} products, {total},"
    written = [f"{_factor(upstream)} x {_factor(weight)}" for weight, upstream in terms]
    return f"{' + '.join(written)} = {total}"


def _factor(value: float) -> str:
    text = f"{value + 0.0:.4g}"
    return f"({text})" if text.startswith("-") else text
