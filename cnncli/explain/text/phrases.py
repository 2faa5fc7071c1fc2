"""Phrases of explanations: titles, names of channels, sizes, the window's rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli.explain.model import AxisWindow, Explanation, SpreadAxis
from cnncli.filters.matrix_text import INLINE

LISTED: Final = 8
"""So many cells are named one by one; of more only the first, the last and the step."""

KINDS: Final = {
    "conv": "convolution",
    "conv-transpose": "transposed convolution",
    "dense": "dense (fully connected)",
    "pad": "border",
    "cell-scale": "scale of each cell",
    "batchnorm": "batch normalisation",
    "add": "sum",
    "sub": "difference",
    "mul": "product",
    "div": "quotient",
    "max": "largest",
    "min": "smallest",
    "matmul": "matrix product",
    "concat": "maps side by side",
}
"""What layers are called where their own name would say too little."""


def kind(type: str, mode: str | None = None) -> str:
    """Name a layer's kind.

    Examples
    --------
    >>> kind("conv"), kind("pool", "max")
    ('convolution', 'max pool')
    """
    return f"{mode} {type}" if mode else KINDS.get(type, type)


def channel_name(name: str, channel: int) -> str:
    """Name a channel; one whose name is a number, or that has none, by that.

    Examples
    --------
    >>> channel_name("red", 0), channel_name("7", 7), channel_name("", 0)
    ('red', 'channel 7', 'channel 0')
    """
    return name if name and not name.isdecimal() else f"channel {name or channel}"


def map_label(map: int, name: str) -> str:
    """Name a map by its number, and by its name if that says more.

    Examples
    --------
    >>> map_label(3, "edge"), map_label(3, "3")
    ('map 3 (edge)', 'map 3')
    """
    return f"map {map} ({name})" if name not in ("", str(map)) else f"map {map}"


def title(explanation: Explanation) -> str:
    """Say which value is explained."""
    n_H, n_W, _ = explanation.output_shape
    row, column = explanation.at
    parts = [explanation.layer, kind(explanation.type, explanation.mode)]
    if explanation.maps > 1:
        label = map_label(explanation.map, explanation.map_name)
        parts.append(f"{label} of {explanation.maps}")
    elif explanation.map_name:
        own = explanation.map_name == INLINE
        parts.append("your filter" if own else f"map {explanation.map_name}")
    if explanation.images > 1:
        parts.append(f"image {explanation.image} of {explanation.images}")
    return f"{', '.join(parts)}: the output at row {row}, column {column} of {n_H}x{n_W}"


SUMMARIES: Final = {
    "dense": "each value of the input times its weight, all added up, plus the bias",
    "conv": "each value under the window times its weight, all added up, plus the bias",
    "conv-transpose": "each input cell adds its value times the filter to the output; "
    "here are the products that fall on this value",
    "max": "the largest value under the window",
    "min": "the smallest value under the window",
    "average": "the average of the values under the window",
    "lp": "the p-norm of the values under the window: powers added up, and a root of the sum",
    "pad": "the input with a border around it",
}


def summary(explanation: Explanation) -> str:
    """Say in a line how a layer makes one value; nothing where the formula says it."""
    return SUMMARIES.get(explanation.mode or explanation.type, "")


def output_size(explanation: Explanation) -> list[str]:
    """Return the output's size with the numbers filled into its formula, rows and columns."""
    if explanation.spread is not None:
        rows, cols = explanation.spread.rows.formula, explanation.spread.columns.formula
    elif explanation.axes is not None:
        rows, cols = (axis.axis.formula for axis in explanation.axes)
    else:
        return []
    return [f"rows and columns {rows}"] if rows == cols else [f"rows {rows}", f"columns {cols}"]


def window_cells(explanation: Explanation) -> list[str]:
    """Return which rows and columns of the input are under the window, and what is padding."""
    if explanation.axes is None:
        return []
    constant = "" if explanation.type == "pool" else f", {explanation.pad_value:g}"
    rows, cols = explanation.axes
    lines = [*_axis_cells("row", rows, constant), *_axis_cells("column", cols, constant)]
    return [*lines, "[ ] marks padding"] if explanation.padding.any() else lines


def feeding_cells(explanation: Explanation) -> list[str]:
    """Return which input cells add to an output of a transposed convolution, by which weights."""
    if explanation.spread is None:
        return []
    rows, columns = explanation.spread.rows, explanation.spread.columns
    return [_feeding("row", rows), _feeding("column", columns)]


def _feeding(word: str, axis: SpreadAxis) -> str:
    if not axis.cells:
        return f"no {word} of the input: it falls between those that the kernel reaches"
    one = f"{_cell_range(word, axis.cells)} of the input"
    return f"{one}, by {_cell_range(word, axis.taps)} of the kernel"


def reached_cells(explanation: Explanation) -> list[str]:
    """Return which outputs the input cell adds to that adds most to this one."""
    spread, blocks = explanation.spread, explanation.steps[0].blocks
    if spread is None or not blocks:
        return []
    products = [block.products for block in blocks if block.products is not None]
    sums = np.abs(np.sum(products, axis=0))
    i, j = (int(k) for k in np.unravel_index(int(sums.argmax()), sums.shape))
    cell = f"row {spread.rows.cells[i]}, column {spread.columns.cells[j]}"
    rows = _cell_range("row", spread.rows.outputs[i])
    columns = _cell_range("column", spread.columns.outputs[j])
    return [f"the input at {cell}, the strongest here, adds to {rows} and {columns} of the output"]


def _axis_cells(word: str, window: AxisWindow, constant: str) -> list[str]:
    size, cells = window.axis.size, window.cells
    whole = f"{word} 0 alone" if size == 1 else f"{word}s 0 to {size - 1}"
    lines = [f"{_cell_range(word, cells)}; the input has {whole}"]
    # What copies the other axis's border copies nothing along this one.
    padding = [(c, s) for c, s in zip(cells, window.sources, strict=True) if not 0 <= c < size]
    before = [c for c, s in padding if s is None and c < 0]
    after = [c for c, s in padding if s is None and c >= size]
    for outside in filter(None, (before, after)):
        lines.append(f"{_cell_range(word, outside)}: padding{constant}")
    copied = [f"{c} copies {s}" for c, s in padding if s is not None]
    if copied:
        shown = [*copied[:LISTED], *(["and so on"] if len(copied) > LISTED else [])]
        lines.append(f"padding: {word} {', '.join(shown)}")
    return lines


def _cell_range(word: str, cells: Sequence[int]) -> str:
    """Name rows or columns: one, all from one to another, single ones, or those in steps."""
    first, last, count = cells[0], cells[-1], len(cells)
    if count == 1:
        return f"{word} {first}"
    step = cells[1] - first
    if step == 1:
        return f"{word}s {first} to {last}"
    if count <= LISTED or step < 0:
        return f"{word}s {', '.join(map(str, cells))}"
    return f"{word}s {first} to {last} in steps of {step}"
