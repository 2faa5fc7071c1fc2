"""The table of whole networks, and the page of docs where it stands.

``python -m benchmarks.network_table FILE.json`` writes it, of a report of
``python -m benchmarks networks --json FILE.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.networks import MEMORY, PEER, SECTION
from benchmarks.table import Row, aligned, insert, number, unpack

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "networks.md"
BEGIN: Final = "<!-- networks: written by python -m benchmarks.network_table -->"
END: Final = "<!-- end of networks -->"


def render(report: dict[str, Any]) -> str:
    """Return what was measured on, and the table."""
    machine, (rows, _) = report["machine"], unpack(report)
    found = machine["versions"]
    versions = ", ".join(f"{name} {found[name]}" for name in ("numpy", PEER) if name in found)
    about = (
        f"{machine['date']}, {machine['cpu']}, {machine['threads']} threads, {versions}; "
        f"load before the run {machine['load before']}."
    )
    return f"{about}\n\n{table(rows)}"


def table(rows: Sequence[Row]) -> str:
    """Return one table of all networks: time and memory beside those of onnxruntime.

    Examples
    --------
    >>> found = table([Row(SECTION, "small", 2.0), Row(MEMORY, "small", 3.0)])
    >>> [cell.strip() for cell in found.splitlines()[2].split("|") if cell.strip()]
    ['small', '2.00', '3.00']
    """
    held = {row.name: row for row in rows if row.section == MEMORY}
    lines = []
    for row in rows:
        if row.section == SECTION:
            other = held.get(row.name, Row(MEMORY, row.name))
            facts = [row.facts.get(key, "") for key in ("picture", "layers", "difference")]
            ms = ["wrong" if row.problem else number(row.ours), number(row.peers.get(PEER))]
            megabytes = [number(other.ours), number(other.peers.get(PEER))]
            lines.append([row.name, *facts, *ms, *megabytes])
    header = ["architecture", "picture", "layers", "largest difference"]
    return aligned([*header, "ms", f"ms, {PEER}", "MB", f"MB, {PEER}"], lines)


def main(words: Sequence[str] | None = None) -> None:
    """Write the table of a report into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network_table")
    parser.add_argument("file", type=Path, help="of python -m benchmarks --json")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(words)
    text = render(json.loads(options.file.read_text("utf-8")))
    page = insert(options.page.read_text("utf-8"), text, BEGIN, END)
    options.page.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
