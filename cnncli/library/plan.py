"""`Plan`: the shapes, sizes and costs of a network, as a table in a notebook and as text."""

from __future__ import annotations

from cnncli._dataclass import dataclass
from cnncli.network.summary import NetworkSummary
from cnncli.plan.html import html_table
from cnncli.plan.report import table, warnings


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """What a network will do with an image; `Net.plan` makes it.

    Parameters
    ----------
    summary : NetworkSummary
        Its ``layers`` have shapes, formulas, parameters, multiply-adds and receptive fields.
    notes : tuple of str
    names : tuple of str
        All layers of the file, by which they are numbered.
    """

    summary: NetworkSummary
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([*table(self.summary, names=self.names), *notes, *warnings(self.summary)])

    def _repr_html_(self) -> str:
        return html_table(self.summary, self.names)
