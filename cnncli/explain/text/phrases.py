"""Where a window stands, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cnncli.explain.model import Explanation, Side

LISTED: Final = 8
"""So many cells are named one by one; more are a stretch in steps."""

KINDS: Final = {
    "conv": "convolution",
    "pad": "border",
    "batchnorm": "batch normalisation",
    "add": "sum",
    "mul": "product",
    "concat": "channels side by side",
}
"""What layers are called where their own name would say too little."""


def kind(op: str, mode: str = "") -> str:
    """Name a layer's kind.

    Examples
    --------
    >>> kind("conv"), kind("pool", "max")
    ('convolution', 'max pool')
    """
    return f"{mode} {op}" if mode else KINDS.get(op, op)


def channel_name(name: str, channel: int) -> str:
    """Name a channel; one whose name is a number, or that has none, by that.

    Examples
    --------
    >>> channel_name("red", 0), channel_name("7", 7), channel_name("", 0)
    ('red', 'channel 7', 'channel 0')
    """
    return name if name and not name.isdecimal() else f"channel {name or channel}"


def title(found: Explanation) -> str:
    """Say which value is explained."""
    n_H, n_W, _ = found.output_shape
    place = f"row {found.at[0]}, column {found.at[1]} of {n_H}x{n_W}"
    chosen = ""
    if found.maps > 1:
        named = f" ({found.map_name})" if found.map_name not in ("", str(found.map)) else ""
        chosen = f", map {found.map}{named} of {found.maps}"
    elif found.map_name:
        chosen = f", map {found.map_name}"
    image = f", image {found.image}" if found.image else ""
    return f"{found.name}, {kind(found.op, found.mode)}{chosen}{image}: the output at {place}"


GISTS: Final = {
    "conv": "each number under the window times its weight; the products and the bias add up",
    "max": "the largest number under the window goes on",
    "min": "the smallest number under the window goes on",
    "average": "the numbers under the window add up, and the sum is divided by their count",
    "lp": "powers of the numbers under the window add up, and a root is taken of the sum",
    "pad": "the input with a border around it",
}


def gist(found: Explanation) -> str:
    """Say in a line how a layer makes one value; nothing where the formula says it."""
    return GISTS.get(found.mode or found.op, "")


def sizes(found: Explanation) -> list[str]:
    """Return the output's size with the numbers filled into its formula, rows and columns."""
    if found.rows is None or found.cols is None:
        return []
    rows, cols = found.rows.axis.formula, found.cols.axis.formula
    if rows == cols:
        return [f"rows and columns {rows}"]
    return [f"rows {rows}", f"columns {cols}"]


def standing(found: Explanation) -> list[str]:
    """Return which rows and columns of the input the window stands on, and what is padding."""
    if found.rows is None or found.cols is None:
        return []
    constant = "" if found.op == "pool" else f"{found.pad_value:g}"
    marked = ["[ ] marks padding"] if found.padding.any() else []
    return [
        *_stretch("row", found.rows, constant),
        *_stretch("column", found.cols, constant),
        *marked,
    ]


def _stretch(word: str, side: Side, constant: str) -> list[str]:
    size, cells = side.axis.size, side.cells
    said = [f"{_named(word, cells)} of 0 to {size - 1}"]
    # What copies the other axis's border copies nothing along this one.
    copies = [(c, s) for c, s in zip(cells, side.sources, strict=True) if not 0 <= c < size]
    before = [c for c, s in copies if s is None and c < 0]
    after = [c for c, s in copies if s is None and c >= size]
    holding = f", {constant}" if constant else ""
    for outside in filter(None, (before, after)):
        said.append(f"{_named(word, outside)}: padding{holding}")
    copied = [f"{c} copies {s}" for c, s in copies if s is not None]
    if copied:
        shown = [*copied[:LISTED], *(["and so on"] if len(copied) > LISTED else [])]
        said.append(f"padding: {word} {', '.join(shown)}")
    return said


def _named(word: str, cells: Sequence[int]) -> str:
    """Name rows or columns: one, a stretch, single ones, or a stretch in steps."""
    first, last, count = cells[0], cells[-1], len(cells)
    if count == 1:
        return f"{word} {first}"
    step = cells[1] - first
    if step == 1:
        return f"{word}s {first} to {last}"
    if count <= LISTED:
        return f"{word}s {', '.join(map(str, cells))}"
    return f"{word}s {first} to {last} in steps of {step}"
