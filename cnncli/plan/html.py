"""A plan as a table of HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from cnncli.network.summary import NetworkSummary
from cnncli.plan.report import columns, totals, warnings

_CELL: Final = "white-space: nowrap; padding: 2px 8px"


def html_table(plan: NetworkSummary, names: Sequence[str] = ()) -> str:
    """Return a plan as a table, with its totals and warnings below.

    Parameters
    ----------
    plan : NetworkSummary
    names : sequence of str
        As in `report.table`.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import summarize
    >>> html_table(summarize(Network.chain(PoolLayer()), (8, 8, 3))).count("<tr>")
    2
    """
    found = columns(plan, verbose=False, names=names)
    sides = ["right" if column.number else "left" for column in found]
    rows = []
    for index, cells in enumerate(zip(*(column.cells for column in found), strict=True)):
        tag = "td" if index else "th"
        row = (
            f'<{tag} style="text-align: {side}; {_CELL}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        rows.append(f"<tr>{''.join(row)}</tr>")
    below = "<br>".join(map(escape, (*totals(plan), *warnings(plan))))
    return f"<table>{''.join(rows)}</table><p>{below}</p>"
