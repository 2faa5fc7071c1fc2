"""An explanation as text for the terminal. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cnncli.explain.model import Block, Explanation, Step
from cnncli.explain.text.blocks import block_lines, choose_layout
from cnncli.explain.text.panels import number, wrapped
from cnncli.explain.text.phrases import channel_name, gist, sizes, standing, title

LABEL: Final = 11
"""Columns of what stands before each line of the reckoning."""

IN_FULL: Final = 4
"""So many input channels are shown in full; of more only the strongest are."""
STRONGEST: Final = 3


@dataclass(frozen=True)
class View:
    """How an explanation is seen.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    colour : bool
        24-bit colours behind the numbers.
    channels : int, optional
        How many input channels are shown in full, the strongest first; by default 3 where there
        are more than 4.
    """

    width: int = 80
    colour: bool = False
    channels: int | None = None


def text_lines(found: Explanation, view: View) -> list[str]:
    """Return an explanation as lines.

    Examples
    --------
    >>> from cnncli.explain.forward import explain
    >>> from cnncli.explain.explained_layer import Subject, array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(16.0).reshape(1, 4, 4, 1), names=[""])
    >>> groups = (MapGroup("", (0,)),)
    >>> subject = Subject("pool1", PoolLayer(), (given,), groups, np.dtype(float))
    >>> print("\\n".join(text_lines(explain(subject, (0, 1)), View())))
    pool1, max pool: the output at row 0, column 1 of 2x2
    the largest number under the window goes on
    <BLANKLINE>
    size       rows and columns (4+2*0-2)//2+1 = 2
    window     rows 0 to 1 of 0 to 3
               columns 2 to 3 of 0 to 3
    <BLANKLINE>
       window
       2  3
    0  2  3
    1  6 *7
    <BLANKLINE>
    largest    7 at row 1, column 3
    result     7
    fast path  7 in float64, difference 0
    """
    lines = [*wrapped(title(found), view.width), *wrapped(gist(found), view.width)]
    facts = [*said("size", sizes(found), view.width), *said("window", standing(found), view.width)]
    lines += ["", *facts] if facts else []
    for step in found.steps:
        lines += ["", *step_lines(found, step, view)]
    return lines


def said(label: str, texts: Sequence[str], width: int) -> list[str]:
    """Return texts under each other behind a label.

    Examples
    --------
    >>> said("size", ["rows 3", "columns 4"], 80)
    ['size       rows 3', '           columns 4']
    """
    lines = []
    for k, text in enumerate(texts):
        head = (label if k == 0 else "").ljust(LABEL)
        lines += wrapped(head + text, width, " " * LABEL)
    return lines


def step_lines(found: Explanation, step: Step, view: View) -> list[str]:
    """Return how one output channel gets its value."""
    lines = [step.name] if len(found.steps) > 1 else []
    shown, rest = _parted(step.blocks, view.channels)
    if shown:
        layout = choose_layout(found, step, shown, view.width)
        for block in shown:
            several = len(step.blocks) > 1
            lines += block_lines(found, block, layout, view.colour, named=several)
            lines += [""]
    if rest:
        lines += [*_table(rest, view.width), ""]
    off = f"{step.difference:.2g}" if step.difference else "0"
    fast = f"{number(step.fast)} in {found.dtype}, difference {off}"
    return [*lines, *reckoning(found, step, view.width), *said("fast path", [fast], view.width)]


def _parted(
    blocks: Sequence[Block], channels: int | None
) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """The channels to show in full, and the others, each in their order."""
    count = channels
    if count is None:
        count = len(blocks) if len(blocks) <= IN_FULL else STRONGEST
    strength = np.nan_to_num([abs(block.sum) for block in blocks], nan=np.inf)
    chosen = set(np.argsort(-strength, kind="stable")[:count].tolist())
    shown = tuple(block for k, block in enumerate(blocks) if k in chosen)
    return shown, tuple(block for k, block in enumerate(blocks) if k not in chosen)


def _table(rest: Sequence[Block], width: int) -> list[str]:
    """The sums of channels that are not shown in full, in columns."""
    names = [block.name or str(block.channel) for block in rest]
    sums = [number(block.sum) for block in rest]
    wide = max(map(len, names)), max(map(len, sums))
    cells = [f"{n.ljust(wide[0])} {s.rjust(wide[1])}" for n, s in zip(names, sums, strict=True)]
    across = max(1, (width + 3) // (len(cells[0]) + 3))
    total = number(float(sum(block.sum for block in rest)))
    head = f"the products of the other {len(rest)} channels add up to {total}:"
    rows = [cells[k : k + across] for k in range(0, len(cells), across)]
    return [*wrapped(head, width), *("   ".join(row) for row in rows)]


def reckoning(found: Explanation, step: Step, width: int) -> list[str]:
    """Return the lines from the sums to the result."""
    if found.op == "conv":
        lines = _conv_reckoning(step, width)
    elif found.op == "pool":
        lines = _pool_reckoning(found, step, width)
    elif found.op == "pad":
        lines = _pad_reckoning(found, width)
    else:
        lines = _formula("formula", step, width)
    return [*lines, *said("result", [number(step.value)], width)]


def _conv_reckoning(step: Step, width: int) -> list[str]:
    products = sum(block.sum for block in step.blocks)
    blocks, bias = step.blocks, step.bias or 0.0
    count = sum(block.window.size for block in blocks)
    text = f"{number(products)}, of {count} {'products' if count > 1 else 'product'}"
    if 1 < len(blocks) <= IN_FULL:
        terms = " + ".join(
            f"{channel_name(block.name, block.channel)} {number(block.sum)}" for block in blocks
        )
        text = f"{terms} = {number(products)}"
    elif len(blocks) > 1:
        text += f" in {len(blocks)} channels"
    lines = said("sum", [text], width)
    plus = f"+ {number(bias)} = {number(step.total)}" if bias else "none"
    lines += said("bias", [plus], width)
    if step.activation != "none":
        lines += _formula(step.activation, step, width)
    return lines


def _formula(label: str, step: Step, width: int) -> list[str]:
    """A formula and, below, what stands in it."""
    formula, operands, value = step.formula, step.operands, step.value
    values = ", ".join(f"{each.name} = {number(each.value)}" for each in operands)
    texts = [f"{formula} = {number(value)}", f"with {values}"]
    if len(label) >= LABEL:
        return [*wrapped(label, width), *said("", texts, width)]
    return said(label, texts, width)


def _pool_reckoning(found: Explanation, step: Step, width: int) -> list[str]:
    (block,) = step.blocks
    if block.winner is not None:
        return said("largest" if found.mode == "max" else "smallest", _won(found, block), width)
    real = int((~found.padding).sum())
    if step.divisor is not None:
        pads = found.padding.size - real
        counted = "padding counts" if step.divisor > real else "padding does not count"
        why = f", {counted}" if pads else ""
        texts = [
            f"{number(block.sum)}, of {real} input cells",
            f"{number(block.sum)} / {step.divisor} = {number(step.value)}{why}",
        ]
        return [*said("sum", texts[:1], width), *said("average", texts[1:], width)]
    if np.isinf(found.p):
        return said("largest", [f"{number(block.sum)}, without its sign"], width)
    root = f"{number(block.sum)} ^ (1/{found.p:g}) = {number(step.value)}"
    return [
        *said("sum", [f"{number(block.sum)}, of the powers |x|^{found.p:g}"], width),
        *said("root", [root], width),
    ]


def _won(found: Explanation, block: Block) -> list[str]:
    assert block.winner is not None and found.rows is not None and found.cols is not None
    if not block.winner.any():
        return [f"{number(block.sum)}: the window meets padding only"]
    i, j = (int(k[0]) for k in np.nonzero(block.winner))
    place = f"row {found.rows.cells[i]}, column {found.cols.cells[j]}"
    texts = [f"{number(block.sum)} at {place}"]
    if block.ties > 1:
        texts.append(
            f"a tie: {block.ties} cells hold it (= marks the others); the first in reading order "
            "counts as the winner, and gets the gradient"
        )
    return texts


def _pad_reckoning(found: Explanation, width: int) -> list[str]:
    assert found.rows is not None and found.cols is not None
    (row,), (col,) = found.rows.sources, found.cols.sources
    if row is None or col is None:
        return said("border", [f"the constant {found.pad_value:g}"], width)
    what = "border" if found.padding.any() else "inside"
    return said(what, [f"a copy of the input at row {row}, column {col}"], width)
