"""A table of text: aligned columns for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

ELLIPSIS = "…"


def text_table(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    gap: str = "  ",
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
    lines = []
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
