"""One input channel under the window: its values, weights and products as aligned panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.explain.model import Block, Explanation
from cnncli.explain.text.panels import (
    BOLD,
    DIGITS,
    RESET,
    ColourScale,
    NumberFormat,
    WindowPart,
    arrange_panels,
    choose_colours,
    choose_format,
    choose_part,
    make_panel,
    number_rows,
    number_text,
    wrap,
)
from cnncli.explain.text.phrases import channel_name
from cnncli.network.layers import FloatArray

MOST_ROWS: Final = 15
"""Of windows of more rows, or of more columns than fit, a part is shown."""
PART_ROWS: Final = 9
"""So many rows, and at most as many columns."""


@dataclass(frozen=True)
class PanelStyle:
    """How one kind of panel (window, weights or products) looks for all channels.

    Parameters
    ----------
    title, sign : str
    form : NumberFormat
    colours : ColourScale
    """

    title: str
    sign: str
    form: NumberFormat
    colours: ColourScale

    @property
    def cell(self) -> int:
        """Columns of the terminal that one number takes, with its marks."""
        return self.form.width + 2


@dataclass(frozen=True)
class Layout:
    """How the blocks of a step are shown.

    Parameters
    ----------
    styles : tuple of PanelStyle
        Window, weights and products, as far as there are any.
    part : WindowPart
    label : int
        Columns for the rows' numbers.
    width : int
        Of the terminal.
    """

    styles: tuple[PanelStyle, ...]
    part: WindowPart
    label: int
    width: int


def choose_layout(explanation: Explanation, blocks: Sequence[Block], width: int) -> Layout:
    """Choose digits and the part of the window, so that panels fit and, if they can, side by side.

    Parameters
    ----------
    explanation : Explanation
    blocks : sequence of Block
        Those that are shown.
    width : int
        Columns of the terminal.
    """
    rows, cols = explanation.cells
    label = max(len(str(cell)) for cell in rows) + 1
    least = max(len(str(cell)) for cell in cols)
    tried = [_styles(explanation, blocks, DIGITS - k, least) for k in range(3)]

    def together(styles: tuple[PanelStyle, ...]) -> int:
        return label + sum(len(style.sign) + style.cell * len(cols) for style in styles)

    def widest(styles: tuple[PanelStyle, ...]) -> int:
        return label + max(len(style.sign) + style.cell for style in styles) * len(cols)

    fitting = [styles for styles in tried[:2] if together(styles) <= width]
    fitting += [styles for styles in tried if widest(styles) <= width]
    styles = fitting[0] if fitting else tried[1]
    importance = np.asarray(sum(np.abs(_importance(block)) for block in blocks))
    most = max(1, (width - label - 3) // max(style.cell for style in styles))
    whole = len(rows) <= MOST_ROWS and len(cols) <= most
    limits = (MOST_ROWS, most) if whole else (PART_ROWS, min(PART_ROWS, most))
    return Layout(styles, choose_part(importance, limits), label, width)


def _importance(block: Block) -> FloatArray:
    """What decides on the part of a window: weights, powers or the winner."""
    arrays = [block.weights, block.products, block.winner, np.ones(block.window.shape)]
    first = next(array for array in arrays if array is not None)
    return np.nan_to_num(first.astype(np.float64))


def _styles(
    explanation: Explanation, blocks: Sequence[Block], digits: int, least: int
) -> tuple[PanelStyle, ...]:
    windows = np.stack([block.window for block in blocks])
    is_pool = explanation.type == "pool"
    # A pool's padding holds infinities, or the zeros that sums need; neither is a pixel.
    pixels = windows[:, ~explanation.padding] if is_pool else windows
    form = choose_format(pixels, digits)
    form = NumberFormat(form.decimals, max(form.width, least))
    styles = [PanelStyle("window", "", form, choose_colours(pixels, signed=False))]
    products = "products"
    if explanation.p is not None:
        products = "|x|" if np.isinf(explanation.p) else f"|x|^{explanation.p:g}"
    for title, sign, arrays in (
        ("weights", " x ", [block.weights for block in blocks]),
        (products, " = ", [block.products for block in blocks]),
    ):
        values = [array for array in arrays if array is not None]
        if values:
            both = choose_format(np.stack(values), digits), choose_colours(np.stack(values), True)
            styles.append(PanelStyle(title, sign, *both))
    return tuple(styles)


def block_lines(
    explanation: Explanation, block: Block, layout: Layout, colour: bool, is_named: bool
) -> list[str]:
    """Return one input channel's panels, and a note on what is not shown of them.

    Parameters
    ----------
    explanation : Explanation
    block : Block
    layout : Layout
    colour : bool
    is_named : bool
        Whether the channel's name is above and its sum below.
    """
    part, label = layout.part, layout.label
    rows, cols = explanation.cells
    panels = []
    for style in layout.styles:
        values = {"window": block.window, "weights": block.weights}.get(style.title, block.products)
        assert values is not None
        shown, colours = values[part.rows, part.cols], style.colours if colour else None
        wide = style.cell * shown.shape[1]
        if style.title == "window":
            marks = _marks(explanation, block)[part.rows, part.cols]
            # A pool's padding holds infinities or zeros, none of the numbers that are pooled.
            blank = explanation.type == "pool"
            numbers = number_rows(shown, style.form, colours, marks, blank_padding=blank)
            lines = [f"{r:>{label - 1}} {n}" for r, n in zip(rows[part.rows], numbers, strict=True)]
            head = "".join(f" {col:>{style.form.width}} " for col in cols[part.cols])
            lines = [" " * label + head, *lines]
            panels.append(make_panel(" " * label + " window", lines, label + wide))
        else:
            numbers = number_rows(shown, style.form, colours)
            panels.append(make_panel(style.title, ["", *numbers], wide, style.sign))
    lines = arrange_panels(panels, layout.width)
    if not part.whole:
        lines += wrap(_part_note(block, part, rows, cols), layout.width)
    if not is_named:
        return lines
    name = channel_name(block.name, block.channel)
    name = f"{BOLD}{name}{RESET}" if colour else name
    return [name, *lines, *wrap(f"sum {number_text(block.sum)}", layout.width)]


def _marks(explanation: Explanation, block: Block) -> np.ndarray:
    """Brackets around padding, a star before the winner, = before those that tie with it."""
    marks = np.where(explanation.padding, "[]", "  ")
    if block.winner is not None and block.winner.any():
        best = block.window[block.winner][0]
        marks[(block.window == best) & ~explanation.padding] = "= "
        marks[block.winner] = "* "
    return marks


def _part_note(block: Block, part: WindowPart, rows: Sequence[int], cols: Sequence[int]) -> str:
    """Say which part is shown, and what the other products add up to."""
    down, across = rows[part.rows], cols[part.cols]
    height, width = block.window.shape
    text = (
        f"shown: rows {down[0]} to {down[-1]} and columns {across[0]} to {across[-1]} "
        f"of the window's {height}x{width}"
    )
    if block.products is None:
        return text
    rest = block.products.copy()
    count = rest.size - rest[part.rows, part.cols].size
    rest[part.rows, part.cols] = 0
    return f"{text}; the other {count} products add up to {number_text(float(rest.sum()))}"
