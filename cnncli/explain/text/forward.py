"""An explanation as text for the terminal: the window, its products, and the sums to the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.explain.model import Block, Explanation, Step
from cnncli.explain.text.blocks import block_lines, choose_layout
from cnncli.explain.text.panels import number_text, wrap
from cnncli.explain.text.phrases import (
    channel_name,
    feeding_cells,
    output_size,
    reached_cells,
    summary,
    title,
    window_cells,
)
from cnncli.render.text_table import text_table

LabelledTexts = tuple[str, list[str]]
"""A label, and the texts under each other behind it."""

LABEL: Final = 11
"""Columns of the label before each line."""

IN_FULL: Final = 4
"""So many input channels are shown in full; of more only the strongest are."""
STRONGEST: Final = 3
COMMANDS: Final = ("conv", "pool", "pad")
"""Layers that have a command of their own; `run` computes the others."""


@dataclass(frozen=True)
class TextOptions:
    """How an explanation is printed.

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


def forward_lines(explanation: Explanation, options: TextOptions) -> list[str]:
    """Return an explanation as lines.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import ExplainedLayer, array_input
    >>> from cnncli.explain.forward import explain
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source = array_input(np.arange(16.0).reshape(1, 4, 4, 1), names=[""])
    >>> groups = (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(), (source,), groups, np.dtype(float))
    >>> print("\\n".join(forward_lines(explain(pool, (0, 1)), TextOptions())))
    pool1, max pool: the output at row 0, column 1 of 2x2
    the largest value under the window
    <BLANKLINE>
    size       rows and columns (4+2*0-2)//2+1 = 2
    window     rows 0 to 1; the input has rows 0 to 3
               columns 2 to 3; the input has columns 0 to 3
    <BLANKLINE>
       window
       2  3
    0  2  3
    1  6 *7
    <BLANKLINE>
    largest    7 at row 1, column 3
    result     7
    as computed by pool: 7
    """
    width = options.width
    lines = [*wrap(title(explanation), width), *wrap(summary(explanation), width)]
    if explanation.axes is not None or explanation.spread is not None:
        lines += ["", *labelled("size", output_size(explanation), width)]
        lines += labelled("window", window_cells(explanation), width)
        lines += labelled("made of", feeding_cells(explanation), width)
        lines += labelled("spread", reached_cells(explanation), width)
    for step in explanation.steps:
        lines += ["", *_step_lines(explanation, step, options)]
    return lines


def labelled(label: str, texts: Sequence[str], width: int) -> list[str]:
    """Return texts under each other behind a label.

    Examples
    --------
    >>> labelled("size", ["rows 3", "columns 4"], 80)
    ['size       rows 3', '           columns 4']
    """
    if len(label) >= LABEL:
        return [*wrap(label, width), *labelled("", texts, width)]
    lines = []
    for k, text in enumerate(texts):
        head = (label if k == 0 else "").ljust(LABEL)
        lines += wrap(head + text, width, " " * LABEL)
    return lines


def _step_lines(explanation: Explanation, step: Step, options: TextOptions) -> list[str]:
    lines = [step.name] if len(explanation.steps) > 1 else []
    count = options.channels
    if count is None:
        count = len(step.blocks) if len(step.blocks) <= IN_FULL else STRONGEST
    strength = np.nan_to_num([abs(block.sum) for block in step.blocks], nan=np.inf)
    strongest = set(np.argsort(-strength, kind="stable")[:count].tolist())
    shown = [block for k, block in enumerate(step.blocks) if k in strongest]
    rest = [block for k, block in enumerate(step.blocks) if k not in strongest]
    if shown:
        layout = choose_layout(explanation, shown, options.width)
        for block in shown:
            is_named = len(step.blocks) > 1
            lines += [*block_lines(explanation, block, layout, options.colour, is_named), ""]
    if rest:
        lines += [*_sums(rest, options.width), ""]
    lines += sum_lines(explanation, step, options.width)
    command = explanation.type if explanation.type in COMMANDS else "run"
    rounding = f" (rounding {abs(step.difference):.2g})" if step.difference else ""
    computed = f"as computed by {command}: {number_text(step.fast)}{rounding}"
    return [*lines, *wrap(computed, options.width)]


def _sums(rest: Sequence[Block], width: int) -> list[str]:
    """The sums of channels that are not shown in full, as many in a line as fit."""
    sums = [
        (f"{channel_name(block.name, block.channel)}:", number_text(block.sum)) for block in rest
    ]
    cells = text_table(sums, right=[1], gap=" ")
    across = max(1, (width + 3) // (len(cells[0]) + 3))
    total = number_text(float(sum(block.sum for block in rest)))
    others = f"the other {len(rest)} channels" if len(rest) > 1 else "the other channel"
    head = f"the products of {others} add up to {total}:"
    rows = [cells[k : k + across] for k in range(0, len(cells), across)]
    return [*wrap(head, width), *("   ".join(row) for row in rows)]


def sum_lines(explanation: Explanation, step: Step, width: int) -> list[str]:
    """Return the lines from the sums to the result."""
    parts = sum_parts(explanation, step, "= marks the others")
    return [line for label, texts in parts for line in labelled(label, texts, width)]


def sum_parts(explanation: Explanation, step: Step, others: str) -> list[LabelledTexts]:
    """Return labels with the texts behind them, from the sums to the result.

    Parameters
    ----------
    explanation : Explanation
    step : Step
    others : str
        How the cells look that tie with a pool's winner.
    """
    if explanation.type in ("conv", "conv-transpose", "dense"):
        parts = _conv_parts(step)
    elif explanation.type == "pool":
        parts = _pool_parts(explanation, step, others)
    elif explanation.type == "pad":
        parts = [_pad_part(explanation)]
    else:
        parts = [("formula", _formula_texts(step))]
    return [*parts, ("result", [number_text(step.value)])]


def _conv_parts(step: Step) -> list[LabelledTexts]:
    products = sum(block.sum for block in step.blocks)
    blocks, bias = step.blocks, step.bias or 0.0
    count = sum(block.window.size for block in blocks)
    text = f"{number_text(products)}, of {count} {'product' if count == 1 else 'products'}"
    if 1 < len(blocks) <= IN_FULL:
        terms = " + ".join(
            f"{channel_name(block.name, block.channel)} {number_text(block.sum)}"
            for block in blocks
        )
        text = f"{terms} = {number_text(products)}"
    elif len(blocks) > 1:
        text += f" in {len(blocks)} channels"
    plus = f"+ {number_text(bias)} = {number_text(step.total)}" if bias else "0"
    activation = [(step.activation, _formula_texts(step))] if step.activation != "none" else []
    return [("sum", [text]), ("bias", [plus]), *activation]


def _formula_texts(step: Step) -> list[str]:
    """A formula and the numbers in it."""
    values = ", ".join(f"{name} = {number_text(value)}" for name, value in step.operands)
    return [f"{step.formula} = {number_text(step.value)}", *([f"with {values}"] if values else [])]


def _pool_parts(explanation: Explanation, step: Step, others: str) -> list[LabelledTexts]:
    (block,) = step.blocks
    total = number_text(block.sum)
    if block.winner is not None:
        label = "largest" if explanation.mode == "max" else "smallest"
        return [(label, _winner_texts(explanation, block, others))]
    if step.divisor is not None:
        cells, padding = explanation.padding.size, int(explanation.padding.sum())
        counted = "padding counts" if step.divisor > cells - padding else "padding does not count"
        average = f"{total} / {step.divisor} = {number_text(step.value)}"
        return [
            ("sum", [f"{total}, of {cells - padding} input cells"]),
            ("average", [f"{average}, {counted}" if padding else average]),
        ]
    assert explanation.p is not None
    if np.isinf(explanation.p):
        return [("largest", [f"{total}, without its sign"])]
    root = f"{total} ^ (1/{explanation.p:g}) = {number_text(step.value)}"
    return [("sum", [f"{total}, of the powers |x|^{explanation.p:g}"]), ("root", [root])]


def _winner_texts(explanation: Explanation, block: Block, others: str) -> list[str]:
    assert block.winner is not None and explanation.axes is not None
    if not block.winner.any():
        return [f"{number_text(block.sum)}: the window meets padding only"]
    taps = (int(k[0]) for k in np.nonzero(block.winner))
    row, column = (axis.cells[k] for axis, k in zip(explanation.axes, taps, strict=True))
    texts = [f"{number_text(block.sum)} at row {row}, column {column}"]
    if block.ties > 1:
        texts.append(
            f"a tie: {block.ties} cells hold it ({others}); the first in reading order "
            "wins, and gets the gradient"
        )
    return texts


def _pad_part(explanation: Explanation) -> LabelledTexts:
    assert explanation.axes is not None
    (row,), (col,) = (axis.sources for axis in explanation.axes)
    if row is None or col is None:
        return "border", [f"the constant {explanation.pad_value:g}"]
    label = "border" if explanation.padding.any() else "inside"
    return label, [f"a copy of the input at row {row}, column {col}"]
