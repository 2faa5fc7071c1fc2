"""Rows of results, the tables made of them, and the place in README where they stand.

``python -m benchmarks.table FILE.json ...`` writes the tables of a measurement into README.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Compared, Contender, geometric_mean

README: Final = Path(__file__).with_name("README.md")
BEGIN: Final = "<!-- tables: written by python -m benchmarks.table -->"
END: Final = "<!-- end of tables -->"
BEST: Final = "best peer"
OURS: Final = "cnncli"

ORDER: Final = (
    "layers",
    "layers, one call",
    "small layers",
    "small layers, one call",
    "pooling",
    "filters",
    "start",
    "commands",
    "memory",
    "batches",
    "batch memory",
    "threads",
    "networks",
    "network processor time",
    "network memory",
    "network commands",
    "network command memory",
    "choose",
)
"""In which sections are told."""

GOALS: Final = {
    "layers": (BEST, 0.8),
    "layers, one call": (BEST, 1.0),
    "small layers": ("torch", 1.5),
    "small layers, one call": ("torch", 3.0),
    "filters": ("OpenCV", 1.0),
}
"""Whom a section's geometric mean of ratios is held against, and what it should be at most."""


@dataclass
class Row:
    """One case of a section.

    Parameters
    ----------
    section, name : str
    ours : float, optional
        In `unit`; None if it was not measured.
    peers, shown : dict
        What competes with ours, and what only stands beside it.
    limits : dict
        The largest ratio to reach, by peer or for the `BEST` of them.
    cap : float, optional
        The largest value to reach, in `unit`.
    unit : str
    problem : str
        Why there is nothing to compare: results that differ.
    note : str
    facts : dict
        What else is to be told of it, by name, in words.
    """

    section: str
    name: str
    ours: float | None = None
    peers: dict[str, float] = field(default_factory=dict)
    shown: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    cap: float | None = None
    unit: str = "ms"
    problem: str = ""
    note: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> str | None:
        """The name of the best peer."""
        return min(self.peers, key=self.peers.__getitem__) if self.peers else None

    def ratio(self, peer: str = BEST) -> float | None:
        """Return ours by a peer's, None if one of them is not there.

        Examples
        --------
        >>> Row("layers", "small", 2.0, {"torch": 4.0, "scipy": 8.0}).ratio()
        0.5
        """
        name = self.best if peer == BEST else peer
        if self.ours is None or name is None or name not in self.peers:
            return None
        return self.ours / self.peers[name]

    @property
    def met(self) -> bool | None:
        """Whether all is reached that could be judged; None if nothing was to be, or could be."""
        if self.problem:
            return False
        judged = [
            ratio <= limit
            for peer, limit in self.limits.items()
            if (ratio := self.ratio(peer)) is not None
        ]
        if self.cap is not None and self.ours is not None:
            judged.append(self.ours <= self.cap)
        return all(judged) if judged else None

    @property
    def goal(self) -> str:
        """What is to be reached, in words."""
        words = [f"{limit:g} x {peer}" for peer, limit in self.limits.items()]
        if self.cap is not None:
            words.append(f"{self.cap:g} {self.unit}".rstrip())
        return ", ".join(words)


def row_of(
    section: str,
    name: str,
    contenders: Sequence[Contender],
    compared: Compared,
    limits: dict[str, float] | None = None,
) -> Row:
    """Return the row of a comparison in this process, in milliseconds; ours is the first."""
    ms = {name: 1000 * seconds for name, seconds in compared.seconds.items()}
    ours = contenders[0].name
    competing = {c.name for c in contenders if c.competes}
    return Row(
        section,
        name,
        ms.get(ours),
        peers={peer: ms[peer] for peer in ms if peer in competing and peer != ours},
        shown={peer: ms[peer] for peer in ms if peer not in competing},
        limits=dict(limits or {}),
        problem="; ".join(compared.wrong),
        note="; ".join(compared.unable),
    )


def number(value: float | None) -> str:
    """Return three digits of a number, or more before the point.

    Examples
    --------
    >>> [number(value) for value in (0.01234, 1.5, 1234.5, None)]
    ['0.0123', '1.50', '1,234', '']
    """
    if value is None or not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def aligned(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns also stand in line in a terminal.

    Examples
    --------
    >>> print(aligned(["case", "ms"], [["one", "1.00"]]))
    | case |   ms |
    |------|-----:|
    | one  | 1.00 |
    """
    body = [list(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join([first, *others])} |"

    rule = "|" + "-" * (widths[0] + 2) + "|"
    rule += "".join("-" * (width + 1) + ":|" for width in widths[1:])
    return "\n".join([line(header), rule, *(line(cells) for cells in body)])


def sections(rows: Sequence[Row]) -> str:
    """Return the tables of all sections, each under its name."""
    parts = []
    for section in sorted({row.section for row in rows}, key=ORDER.index):
        chosen = [row for row in rows if row.section == section]
        parts += [f"### {section}", section_table(chosen)]
    return "\n\n".join(parts)


def section_table(rows: Sequence[Row]) -> str:
    """Return the table of one section, with its geometric means below."""
    peers = list(dict.fromkeys(name for row in rows for name in (*row.peers, *row.shown)))
    unit = rows[0].unit
    header = ["case", f"{OURS} {unit}".rstrip(), *peers, "best", "ratio", "to reach", "met"]
    lines = [_cells(row, peers) for row in rows]
    keep = [i for i, title in enumerate(header) if i == 0 or any(line[i] for line in lines)]
    table = aligned([header[i] for i in keep], [[line[i] for i in keep] for line in lines])
    return "\n\n".join([table, *filter(None, [means(rows), notes(rows)])])


def _cells(row: Row, peers: Sequence[str]) -> list[str]:
    values = {**row.peers, **row.shown}
    ours = "wrong" if row.problem else number(row.ours)
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    others = [number(values.get(peer)) for peer in peers]
    return [row.name, ours, *others, row.best or "", number(row.ratio()), row.goal, met]


def means(rows: Sequence[Row]) -> str:
    """Return the geometric means of a section's ratios in a line of words."""
    peers = [BEST, *dict.fromkeys(name for row in rows for name in row.peers)]
    judge, limit = GOALS.get(rows[0].section, ("", 0.0))
    words = []
    for peer in peers:
        ratios = [ratio for row in rows if (ratio := row.ratio(peer)) is not None]
        if not ratios:
            continue
        mean = geometric_mean(ratios)
        text = f"{number(mean)} to {peer}" + (f" ({len(ratios)} rows)" if peer != BEST else "")
        if peer == judge and any(row.limits for row in rows):
            text += f" (to reach: {limit:g}, {'met' if mean <= limit else '**not met**'})"
        words.append(text)
    return f"Geometric mean of {OURS}'s ratios: {', '.join(words)}." if words else ""


def notes(rows: Sequence[Row]) -> str:
    """Return what is to be said of single rows."""
    said = [f"- {row.name}: wrong, not timed: {row.problem}" for row in rows if row.problem]
    return "\n".join(said + [f"- {row.name}: {row.note}" for row in rows if row.note])


@dataclass
class Curve:
    """Times along something that grows.

    Parameters
    ----------
    name : str
    axis : str
        What grows.
    places : list of float
    lines : dict
        Milliseconds at each place by who took them; None where it was not measured.
    limit : float, optional
        The largest exponent of ours to reach, over places from `limit_from` on.
    """

    name: str
    axis: str
    places: list[float]
    lines: dict[str, list[float | None]]
    limit: float | None = None
    limit_from: float = 0.0

    def exponent(self) -> float | None:
        """Return p of the best-fitting ``time ~ place ** p`` of cnncli.

        Examples
        --------
        >>> round(Curve("c", "side", [1, 2, 4], {"cnncli": [1.0, 2.0, 4.0]}).exponent(), 6)
        1.0
        """
        points = [
            (math.log(place), math.log(value))
            for place, value in zip(self.places, self.lines[OURS], strict=True)
            if value is not None and place >= self.limit_from
        ]
        if len(points) < 2:
            return None
        x, y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
        spread = sum((px - x) ** 2 for px, _ in points)
        return sum((px - x) * (py - y) for px, py in points) / spread if spread else None


def curve_table(curve: Curve) -> str:
    """Return the table of one curve and how its times grow."""
    header = [curve.axis, *(f"{line} ms" for line in curve.lines)]
    columns = [[number(value) for value in line] for line in curve.lines.values()]
    lines = zip([f"{place:g}" for place in curve.places], *columns, strict=True)
    text = f"**{curve.name}**\n\n" + aligned(header, lines)
    exponent = curve.exponent()
    if exponent is None or curve.limit is None:
        return text
    since = f" from {curve.limit_from:g}" if curve.limit_from else ""
    verdict = "met" if exponent <= curve.limit else "**not met**"
    grows = f"Time grows with the power {exponent:.2f} of {curve.axis}{since}"
    return f"{text}\n\n{grows} (to reach: {curve.limit:g}, {verdict})."


def render(report: dict[str, Any]) -> str:
    """Return all tables of a report.

    Parameters
    ----------
    report : dict
        As `pack` makes it.
    """
    rows, curves = unpack(report)
    parts = [describe(report["machine"])]
    parts += [sections(rows)] if rows else []
    parts += ["### scaling", *map(curve_table, curves)] if curves else []
    return "\n\n".join([*parts, "### Not reached", not_reached(rows, curves)])


def not_reached(rows: Sequence[Row], curves: Sequence[Curve]) -> str:
    """Return a list of every goal that was missed, and how many were met."""
    judged = [row for row in rows if row.met is not None]
    missed = [f"- {row.section}, {row.name}: {_distance(row)}" for row in judged if not row.met]
    missed += filter(None, (_missed_mean(section, rows) for section in GOALS))
    for curve in curves:
        exponent = curve.exponent()
        if curve.limit is not None and exponent is not None and exponent > curve.limit:
            missed.append(f"- scaling, {curve.name}: power {exponent:.2f}, {curve.limit:g} wanted")
    met = sum(bool(row.met) for row in judged)
    summary = f"{met} of {len(judged)} rows that have a goal reach it."
    return "\n".join([f"{summary} Those that do not:", "", *missed]) if missed else summary


def _missed_mean(section: str, rows: Sequence[Row]) -> str:
    """A section's geometric mean in a line, "" if its goal is met or cannot be judged."""
    judge, limit = GOALS[section]
    chosen = [row for row in rows if row.section == section]
    ratios = [ratio for row in chosen if (ratio := row.ratio(judge)) is not None]
    if not any(row.limits for row in chosen) or not geometric_mean(ratios) > limit:
        return ""
    mean = number(geometric_mean(ratios))
    return f"- {section}, geometric mean: {mean} x {judge}, {limit:g} wanted"


def _distance(row: Row) -> str:
    if row.problem:
        return row.problem
    words = [
        f"{number(ratio)} x {peer}, {limit:g} wanted"
        for peer, limit in row.limits.items()
        if (ratio := row.ratio(peer)) is not None and ratio > limit
    ]
    if row.cap is not None and row.ours is not None and row.ours > row.cap:
        words.append(f"{number(row.ours)} {row.unit}, {row.cap:g} wanted".replace("  ", " "))
    return "; ".join(words)


def describe(machine: dict[str, Any]) -> str:
    """Return the machine, the settings and the versions in a paragraph each."""
    settings = ", ".join(f"{name} {value}" for name, value in machine["settings"].items())
    found = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    absent = ", ".join(machine["missing"]) or "none"
    busy = ", ".join(f"{k} {v}" for k, v in machine["disturbed"].items() if v != "0 of 0")
    return "\n\n".join(
        [
            f"{machine['date']}, {machine['cpu']}, {machine['vectors']}, {machine['cores']} cores "
            f"({machine['threads']} threads used), {machine['system']}, "
            f"Python {machine['python']}; load before the run {machine['load before']}.",
            f"BLAS of numpy: {machine['blas']}; {settings}.",
            f"Versions: {found}. Missing peers: {absent}.",
            *([f"Blocks measured while other processes were at work: {busy}."] if busy else []),
        ]
    )


def pack(machine: dict[str, Any], rows: Sequence[Row], curves: Sequence[Curve]) -> dict[str, Any]:
    """Return a report for JSON."""
    return {
        "machine": machine,
        "rows": [{**asdict(row), "ratio": row.ratio(), "met": row.met} for row in rows],
        "curves": [asdict(curve) for curve in curves],
    }


def unpack(report: dict[str, Any]) -> tuple[list[Row], list[Curve]]:
    """Return the rows and curves of a report.

    Examples
    --------
    >>> unpack(pack({}, [Row("layers", "small", 1.0)], []))[0][0].ours
    1.0
    """
    fields = Row.__dataclass_fields__
    rows = [Row(**{k: v for k, v in row.items() if k in fields}) for row in report["rows"]]
    return rows, [Curve(**curve) for curve in report["curves"]]


def merge(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one report in which later ones replace the sections that they measured again.

    The machine is told as the last report tells it.

    Examples
    --------
    >>> old = pack({"disturbed": {}}, [Row("layers", "a", 1.0), Row("memory", "b", 1.0)], [])
    >>> new = pack({"disturbed": {}}, [Row("layers", "a", 2.0)], [])
    >>> [(row["section"], row["ours"]) for row in merge([old, new])["rows"]]
    [('memory', 1.0), ('layers', 2.0)]
    """
    merged: dict[str, Any] = {"machine": {}, "rows": [], "curves": []}
    disturbed: dict[str, str] = {}
    for report in reports:
        again = {row["section"] for row in report["rows"]}
        rows = [row for row in merged["rows"] if row["section"] not in again]
        disturbed |= report["machine"]["disturbed"]
        merged = {
            "machine": {**report["machine"], "disturbed": disturbed},
            "rows": rows + report["rows"],
            "curves": report["curves"] or merged["curves"],
        }
    return merged


def insert(text: str, tables: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a page's text with new tables between its two marks.

    Raises
    ------
    ValueError
        If a mark is missing.

    Examples
    --------
    >>> insert(f"a {BEGIN} old {END} b", "new").count("old")
    0
    """
    if begin not in text or end not in text.partition(begin)[2]:
        raise ValueError(f"the text must hold {begin!r} and {end!r}")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


def main(words: Sequence[str] | None = None) -> None:
    """Write the tables of a report into README; later files replace sections of earlier ones."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="of python -m benchmarks --json")
    parser.add_argument("--readme", type=Path, default=README)
    options = parser.parse_args(words)
    tables = render(merge([json.loads(file.read_text("utf-8")) for file in options.files]))
    options.readme.write_text(insert(options.readme.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
