"""A trail of strongest contributions as text for the terminal: a line for each value on it."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from cnncli.explain.text.panels import number_text, wrap
from cnncli.explain.trail import Trail, TrailUnit
from cnncli.render.text_table import cut_middle, text_table

TITLES: Final = ("layer", "map", "row", "column", "value", "x weight", "= contribution")
AGAINST: Final = "against: this contribution has the other sign than the value above it"
LEAST_NAME: Final = 8
"""Letters that a layer's name keeps however narrow the terminal is."""


def trail_lines(trail: Trail, width: int) -> list[str]:
    """Return a trail as lines.

    Parameters
    ----------
    trail : Trail
    width : int
        Columns of the terminal; long names lose their middle there.

    Examples
    --------
    >>> first = TrailUnit("pool1", "pool", 0, "edge", 0, 0, 1, 7.0)
    >>> pixel = TrailUnit("input", "input", 0, "red", 0, 1, 3, 7.0, 1.0, 7.0)
    >>> print("\\n".join(trail_lines(Trail((first, pixel), "ends at the input"), 80)))
    trail      below each value the one that contributed most to it
    <BLANKLINE>
    layer  map   row  column  value  x weight  = contribution
    pool1  edge    0       1      7
    input  red     1       3      7         1               7
    <BLANKLINE>
    ends at the input
    """
    head = "trail      below each value the one that contributed most to it"
    against = [False, *(_is_against(*pair) for pair in pairwise(trail.units))]
    rows = [TITLES, *map(_cells, trail.units)]
    if any(against):
        marks = ("", *("against" if one else "" for one in against))
        rows = [(*row, mark) for row, mark in zip(rows, marks, strict=True)]
    longest = max(len(row[0]) for row in rows)
    lines = text_table(rows, right=range(2, len(TITLES)))
    over = max(map(len, lines)) - width
    if over > 0:
        most = max(longest - over, LEAST_NAME)
        rows = [(cut_middle(row[0], most), *row[1:]) for row in rows]
        lines = text_table(rows, right=range(2, len(TITLES)), width=width)
    ends = [*([AGAINST] if any(against) else []), trail.end]
    return [
        *wrap(head, width),
        "",
        *lines,
        "",
        *(line for end in ends for line in wrap(end, width)),
    ]


def _is_against(above: TrailUnit, unit: TrailUnit) -> bool:
    """Whether a contribution has the other sign than the value that it goes to."""
    return unit.contribution is not None and unit.contribution * above.value < 0


def _cells(unit: TrailUnit) -> tuple[str, ...]:
    numbers = (unit.value, unit.weight, unit.contribution)
    return (
        unit.layer,
        unit.map_name or str(unit.channel),
        str(unit.row),
        str(unit.column),
        *("" if one is None else number_text(one) for one in numbers),
    )
