"""One input channel under the window: its values, weights and products as aligned blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cnncli.explain.model import Block, Explanation, Side, Step
from cnncli.explain.text.panels import (
    BOLD,
    DIGITS,
    RESET,
    Colours,
    Cut,
    Numbers,
    Panel,
    colours_for,
    cut_window,
    flow,
    grid_rows,
    number,
    numbers_for,
    panel,
    wrapped,
)
from cnncli.explain.text.phrases import channel_name
from cnncli.network.layers import FloatArray

MOST_ROWS: Final = 15
"""Windows of more rows are cut."""
CUT_ROWS: Final = 9
"""To so many rows, and at most as many columns."""


@dataclass(frozen=True)
class Kind:
    """What one sort of block has in common over all channels: its look.

    Parameters
    ----------
    title, joint : str
    numbers : Numbers
    colours : Colours
    """

    title: str
    joint: str
    numbers: Numbers
    colours: Colours

    @property
    def cell(self) -> int:
        """Columns of the terminal that one number takes, with its marks."""
        return self.numbers.width + 2


@dataclass(frozen=True)
class Layout:
    """How the blocks of a step are shown.

    Parameters
    ----------
    kinds : tuple of Kind
        Window, weights and products, as far as there are any.
    cut : Cut
    label : int
        Columns for the rows' numbers.
    width : int
        Of the terminal.
    """

    kinds: tuple[Kind, ...]
    cut: Cut
    label: int
    width: int


def choose_layout(found: Explanation, step: Step, blocks: Sequence[Block], width: int) -> Layout:
    """Choose digits and the part of the window, so that blocks fit and, if they can, side by side.

    Parameters
    ----------
    found : Explanation
    step : Step
    blocks : sequence of Block
        Those that are shown.
    width : int
        Columns of the terminal.
    """
    assert found.rows is not None and found.cols is not None
    label = max(len(str(cell)) for cell in found.rows.cells) + 1
    least = max(len(str(cell)) for cell in found.cols.cells)
    tried = [_kinds(found, blocks, digits, least) for digits in (DIGITS, DIGITS - 1, DIGITS - 2)]
    columns = len(found.cols.cells)

    def together(kinds: tuple[Kind, ...]) -> int:
        return label + sum(len(kind.joint) + kind.cell * columns for kind in kinds)

    def widest(kinds: tuple[Kind, ...]) -> int:
        return label + max(len(kind.joint) + kind.cell for kind in kinds) * columns

    fitting = [kinds for kinds in tried[:2] if together(kinds) <= width]
    fitting += [kinds for kinds in tried if widest(kinds) <= width]
    kinds = fitting[0] if fitting else tried[1]
    weight = sum(np.abs(_importance(block)) for block in blocks)
    room = max(1, (width - label - 3) // max(kind.cell for kind in kinds))
    if len(found.rows.cells) <= MOST_ROWS and columns <= room:
        cut = cut_window(np.asarray(weight), (MOST_ROWS, room))
    else:
        cut = cut_window(np.asarray(weight), (CUT_ROWS, min(CUT_ROWS, room)))
    return Layout(kinds, cut, label, width)


def _importance(block: Block) -> FloatArray:
    """What a window is cut around: weights, powers or the winner."""
    weighty = [block.weights, block.products, block.winner, np.ones(block.window.shape)]
    given = next(array for array in weighty if array is not None)
    return np.nan_to_num(given.astype(np.float64))


def _kinds(
    found: Explanation, blocks: Sequence[Block], digits: int, least: int
) -> tuple[Kind, ...]:
    windows = np.stack([block.window for block in blocks])
    # A pool's pads hold infinities, or the zeros that sums need; neither is a pixel.
    seen = windows[:, ~found.padding] if found.op == "pool" else windows
    numbers = numbers_for(seen, digits)
    wide = max(numbers.width, least)
    kinds = [Kind("window", "", Numbers(numbers.decimals, wide), colours_for(seen, signed=False))]
    for title, joint, given in (
        ("weights", " x ", [block.weights for block in blocks]),
        (_products_title(found), " = ", [block.products for block in blocks]),
    ):
        values = [array for array in given if array is not None]
        if values:
            stacked = np.stack(values)
            kinds.append(
                Kind(title, joint, numbers_for(stacked, digits), colours_for(stacked, signed=True))
            )
    return tuple(kinds)


def _products_title(found: Explanation) -> str:
    if found.op != "pool":
        return "products"
    return "|x|" if np.isinf(found.p) else f"|x|^{found.p:g}"


def block_lines(
    found: Explanation, block: Block, layout: Layout, colour: bool, named: bool
) -> list[str]:
    """Return one input channel's blocks, with what is not shown of them.

    Parameters
    ----------
    found : Explanation
    block : Block
    layout : Layout
    colour : bool
    named : bool
        Whether the channel's name stands above.
    """
    panels = [_window_panel(found, block, layout, colour)]
    for kind in layout.kinds[1:]:
        values = block.weights if kind.title == "weights" else block.products
        assert values is not None
        part = values[layout.cut.rows, layout.cut.cols]
        rows = grid_rows(part, kind.numbers, kind.colours if colour else None)
        wide = kind.cell * part.shape[1]
        panels.append(panel(kind.title, ["", *rows], wide, kind.joint))
    lines = flow(panels, layout.width)
    if named:
        name = channel_name(block.name, block.channel)
        lines = [f"{BOLD}{name}{RESET}" if colour else name, *lines]
    under = _under(found, block, layout, named)
    return [*lines, *(line for text in under for line in wrapped(text, layout.width))]


def _window_panel(found: Explanation, block: Block, layout: Layout, colour: bool) -> Panel:
    assert found.rows is not None and found.cols is not None
    kind, cut, label = layout.kinds[0], layout.cut, layout.label
    part = block.window[cut.rows, cut.cols]
    marks = _marks(found, block)[cut.rows, cut.cols]
    # What a pool's padding holds, infinities or zeros, is none of the numbers that are pooled.
    hollow = found.op == "pool"
    rows = grid_rows(part, kind.numbers, kind.colours if colour else None, marks, hollow)
    head = "".join(f" {cell:>{kind.numbers.width}} " for cell in found.cols.cells[cut.cols])
    named = [
        f"{cell:>{label - 1}} {row}"
        for cell, row in zip(found.rows.cells[cut.rows], rows, strict=True)
    ]
    wide = label + kind.cell * part.shape[1]
    return panel(" " * label + " window", [" " * label + head, *named], wide)


def _marks(found: Explanation, block: Block) -> np.ndarray:
    """Brackets around padding, a star before the winner, = before those that tie with it."""
    marks = np.where(found.padding, "[]", "  ")
    if block.winner is not None and block.winner.any():
        best = block.window[block.winner][0]
        marks[(block.window == best) & ~found.padding] = "= "
        marks[block.winner] = "* "
    return marks


def _under(found: Explanation, block: Block, layout: Layout, named: bool) -> list[str]:
    """The sum of a channel's products, and what was left out of the blocks."""
    lines, cut = [], layout.cut
    if not cut.whole:
        lines.append(_left_out(found, block, cut))
    if named:
        lines.append(f"sum {number(block.sum)}")
    return lines


def _left_out(found: Explanation, block: Block, cut: Cut) -> str:
    assert found.rows is not None and found.cols is not None
    shown, size = _part(cut, found.rows, found.cols), block.window.shape
    text = f"shown: {shown} of the window's {size[0]}x{size[1]}"
    if block.products is None:
        return text
    rest = block.products.copy()
    count = rest.size - rest[cut.rows, cut.cols].size
    rest[cut.rows, cut.cols] = 0
    return f"{text}; the other {count} products add up to {number(float(rest.sum()))}"


def _part(cut: Cut, rows: Side, cols: Side) -> str:
    down, across = rows.cells[cut.rows], cols.cells[cut.cols]
    return f"rows {down[0]} to {down[-1]} and columns {across[0]} to {across[-1]}"
