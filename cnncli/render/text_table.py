"""A table of text: aligned columns for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import zip_longest
from textwrap import wrap

ELLIPSIS = "…"
GAP = "  "
"""Between two columns."""


def text_table(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    gap: str = GAP,
    width: int | None = None,
) -> list[str]:
    """Return rows as lines whose columns are aligned.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of one length; titles are a row like any other.
    right : collection of int
        Indices of the columns that are aligned to the right, such as numbers.
    gap : str
        Between two columns.
    width : int, optional
        Characters of the terminal. Longer lines are cut and end with ``…``.

    Returns
    -------
    list of str
        Without spaces at their ends.

    Examples
    --------
    >>> text_table([("NAME", "SIZE"), ("edge", "9"), ("gabor", "121")], right=[1])
    ['NAME   SIZE', 'edge      9', 'gabor   121']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.rjust(wide) if column in right else cell.ljust(wide)
            for column, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        line = gap.join(cells).rstrip()
        if width is not None and len(line) > width:
            line = line[: max(width - 1, 0)] + ELLIPSIS
        lines.append(line)
    return lines


def wrapped_table(rows: Sequence[Sequence[str]], width: int, *, long: Collection[int]) -> list[str]:
    """Return rows as lines of at most `width` characters, on which long cells are wrapped.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of one length.
    width : int
        Characters of the terminal.
    long : collection of int
        Indices of the columns that may be wrapped; they share what the others leave, each by the
        length of its longest cell.

    Examples
    --------
    >>> wrapped_table([("box", "the mean of the window")], 16, long=[1])
    ['box  the mean of', '     the window']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    used = sum(wide for column, wide in enumerate(widths) if column not in long)
    left = width - used - len(GAP) * (len(widths) - 1)
    wanted = sum(widths[column] for column in long)
    if wanted > left:
        for column in long:
            widths[column] = max(8, left * widths[column] // wanted)
    cells = [
        [wrap(cell, wide) or [""] for cell, wide in zip(row, widths, strict=True)] for row in rows
    ]
    lines = [line for row in cells for line in zip_longest(*row, fillvalue="")]
    return [
        GAP.join(part.ljust(wide) for part, wide in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def cut_middle(text: str, most: int) -> str:
    """Return a text without its middle where it has more than `most` letters.

    Examples
    --------
    >>> cut_middle("encoder.block_3.conv", 12), cut_middle("conv", 12)
    ('encode….conv', 'conv')
    """
    if len(text) <= most:
        return text
    end = max(most - 1, 0) // 2
    return text[: max(most - 1, 0) - end] + ELLIPSIS + text[len(text) - end :]
