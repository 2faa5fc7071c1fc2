"""Draw the frames of a sliding window: cells in their colours, labels, and the caption below."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnncli._dataclass import dataclass
from cnncli.explain.animation.captions import captions
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
    MOST_LABEL,
    MOST_TITLE,
    NUMBERS,
    SMALL,
    TEXT,
    TINTS,
    TITLE,
    TOO_SMALL,
    CellGrid,
    CellStyle,
    Draw,
    Lines,
    PanelRows,
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
from cnncli.explain.animation.frames import Animation
from cnncli.explain.model import Block
from cnncli.explain.text.panels import MARKED, choose_colours, choose_format
from cnncli.explain.text.phrases import channel_name, summary
from cnncli.network.layers import FloatArray


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
    summary : tuple of str
        Lines below the title.
    below : int
        The top of the caption.
    label_width : int
        Of the labels in the caption.
    captions : tuple of Lines
        Of each frame.
    styles : tuple of (CellStyle, CellStyle, CellStyle)
        Of input, middle and output, for each row of panels.
    """

    width: int
    height: int
    font: int
    inputs: tuple[CellGrid, ...]
    middles: tuple[CellGrid, ...]
    outputs: tuple[tuple[int, int, CellGrid], ...]
    summary: tuple[str, ...]
    below: int
    label_width: int
    captions: tuple[Lines, ...]
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
    cell, font = cell_size(styles, max(rows, cols, *kernel, *outputs))
    left = MARGIN + NUMBERS
    middle = left + cols * cell + GAP
    right = middle + kernel[1] * cell + GAP + NUMBERS
    explanation = animation.explanations[0]
    heads = [_output_name(animation, channel.step) for channel in animation.channels]
    head = max(outputs[1] * cell, HEAD_WIDTH, min(text_length(heads, TEXT), MOST_HEAD))
    # Rows and columns of later frames may have more digits.
    over = min(text_length([animation.title(explanation)], TITLE) + 40, MOST_TITLE) + 2 * MARGIN
    width = max(right + head + MARGIN, LEAST_WIDTH, over)
    lines = wrap_words(_summary(animation, font), width - 2 * MARGIN, SMALL)
    panels = PanelRows(len(lines), count, max(rows, kernel[0], outputs[0]), cell)
    # The output of several channels is in the last of their rows, where the sum is complete.
    last = {channel.step: k for k, channel in enumerate(animation.channels)}
    room = width - 2 * MARGIN
    labels = [label for label, _ in captions(animation, room - LABEL_WIDTH)[0]]
    label_width = max(LABEL_WIDTH, min(text_length(labels, TEXT) + 8, MOST_LABEL))
    texts = captions(animation, room - label_width)

    return FrameLayout(
        width=width,
        height=panels.below + len(texts[0]) * LEADING + MARGIN,
        font=font,
        inputs=tuple(panels.grid(left, row, rows) for row in range(count)),
        middles=tuple(panels.grid(middle, row, kernel[0]) for row in range(count)),
        outputs=tuple(
            (step, row, panels.grid(right, row, outputs[0])) for step, row in last.items()
        ),
        summary=tuple(lines),
        below=panels.below,
        label_width=label_width,
        captions=texts,
        styles=styles,
    )


def _output_name(animation: Animation, step: int) -> str:
    several = len({channel.step for channel in animation.channels}) > 1
    name = animation.labels.output
    return f"{name}, {animation.explanations[0].steps[step].name}" if several else name


def _summary(animation: Animation, font: int) -> str:
    """What stands below the title."""
    explanation = animation.explanations[0]
    count = sum(len(step.blocks) for step in explanation.steps)
    if font == 0:
        return TOO_SMALL
    if len(animation.channels) < count:
        return f"{len(animation.channels)} of {count} channels are shown; all count"
    return animation.labels.summary or summary(explanation)


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
    outputs = CellStyle(choose_colours(values, signed=signed), cell_format(values))
    if block.weights is not None:
        weights = np.asarray(block.weights, np.float64)
        middle = CellStyle(choose_colours(weights, signed=True), cell_format(weights))
    return inputs, middle, outputs


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
            draw_cell(draw, grid, at, value, style, layout.font)
        frame = base.copy()
        _draw_moving(ImageDraw.Draw(frame), animation, layout, number)
        yield np.asarray(frame)


def _draw_still(draw: Draw, animation: Animation, layout: FrameLayout) -> None:
    """What no frame changes: the input, the empty output, names and the numbers of lines."""
    explanation = animation.explanations[0]
    draw_lines(draw, layout.summary, MARGIN + LEADING + 4, layout.width - 2 * MARGIN)
    rows, cols = animation.rows.window.cells, animation.cols.window.cells
    several = len(animation.channels) > 1 or explanation.input_shapes[0][2] > 1
    for k, channel in enumerate(animation.channels):
        block = channel.block_of(explanation)
        inputs, middle = layout.inputs[k], layout.middles[k]
        name = animation.labels.input
        if several:
            name += f", {channel_name(block.name, block.channel)}"
        draw_head(draw, inputs, name, middle.left - 8)
        kind = f"{explanation.mode} of window" if explanation.mode else "copied"
        name = kind if block.weights is None else "weights"
        beside = [grid.left - 8 for _, row, grid in layout.outputs if row == k]
        draw_head(draw, middle, name, min(beside, default=layout.width - MARGIN))
        draw_line_numbers(draw, inputs, rows, cols)
        padding, unread = animation.padding, animation.unread
        for at, value in np.ndenumerate(channel.crop):
            is_padding = bool(padding[at])
            blank = bool(unread[at]) or (is_padding and not np.isfinite(value))
            draw_cell(
                draw,
                inputs,
                at,
                float(value),
                layout.styles[k][0],
                layout.font,
                is_padding=is_padding,
                is_blank=blank,
            )
        center = middle.left - GAP / 2, inputs.top + padding.shape[0] * inputs.cell / 2
        if block.weights is not None:
            draw_sign(draw, center, "x")
    rows, cols = tuple(animation.rows.outputs), tuple(animation.cols.outputs)
    for step, _, grid in layout.outputs:
        draw_head(draw, grid, _output_name(animation, step), layout.width - 4)
        draw_line_numbers(draw, grid, rows, cols)
        for row, col in np.ndindex(len(rows), len(cols)):
            draw.rectangle(grid.box(row, col), fill=EMPTY, outline=LINE)


def _draw_moving(draw: Draw, animation: Animation, layout: FrameLayout, number: int) -> None:
    """What changes from frame to frame: the window, the middle, the mark, and the texts."""
    explanation = animation.explanations[number]
    assert explanation.axes is not None
    width = layout.width - 2 * MARGIN
    draw_text(draw, (MARGIN, MARGIN - 2), animation.title(explanation), TITLE, INK, width)
    rows, cols = explanation.axes
    downs = [animation.rows.index(cell) for cell in rows.cells]
    acrosses = [animation.cols.index(cell) for cell in cols.cells]
    last_rows = {row for _, row, _ in layout.outputs}
    kernel = explanation.padding.shape
    for k, channel in enumerate(animation.channels):
        block, middle = channel.block_of(explanation), layout.middles[k]
        mark_window(draw, layout.inputs[k], downs, acrosses)
        _draw_middle(draw, middle, block, explanation.padding, layout.styles[k][1], layout.font)
        x = middle.left + kernel[1] * middle.cell + GAP / 2
        draw_sign(
            draw, (x, middle.top + kernel[0] * middle.cell / 2), "=" if k in last_rows else "+"
        )
    at = divmod(number, len(animation.cols.outputs))
    for _, _, grid in layout.outputs:
        mark(draw, grid.box(*at))
    draw_caption(draw, layout.captions[number], layout.below, layout.width, layout.label_width)


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
        draw_cell(
            draw,
            grid,
            at,
            float(value),
            style,
            font,
            fill=fill,
            is_padding=is_padding,
            is_blank=blank,
        )
