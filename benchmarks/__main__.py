"""``python -m benchmarks``: measures, prints the tables and writes them as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import (
    batches,
    choose,
    filters,
    layers,
    machine,
    memory,
    network_commands,
    networks,
    peers,
    pooling,
    scaling,
)
from benchmarks import commands as whole_commands
from benchmarks.measure import watch
from benchmarks.pictures import Workshop
from benchmarks.table import Curve, Row, curve_table, describe, not_reached, pack, sections

SECTIONS: Final = (
    "layers",
    "small",
    "pooling",
    "filters",
    "commands",
    "memory",
    "batches",
    "scaling",
    "networks",
    "network-commands",
)
"""What is measured where no section is named."""

ON_REQUEST: Final = ("choose",)
"""Sections that are measured by name only: they judge ours alone."""


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = ", ".join((*SECTIONS, *ON_REQUEST))
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", default=[*SECTIONS], help=f"some of {every}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it runs")
    parser.add_argument("--repeats", type=int, default=7, help="blocks of each contender")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--no-peers", action="store_true", help="cnncli alone")
    options = parser.parse_args(words)
    if unknown := set(options.sections) - {*SECTIONS, *ON_REQUEST}:
        parser.error(f"sections are {every}; got {', '.join(sorted(unknown))}")
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {options.repeats}")
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Run the sections that are asked for and print each as soon as it is done."""
    options = parse(words)
    if options.no_peers:
        peers.leave_out_all()
    machine.hold_to_threads()
    about = machine.describe()
    print(describe(about), flush=True)
    rows: list[Row] = []
    curves: list[Curve] = []
    with tempfile.TemporaryDirectory(prefix="cnncli-benchmarks-") as folder:
        measures = _sections(Workshop(Path(folder), options.quick), options)
        for name in (*SECTIONS, *ON_REQUEST):
            if name in options.sections:
                print(f"\n... {name}\n", flush=True)
                found = list(_shown(_judged(measures[name](), not options.quick)))
                rows += [each for each in found if isinstance(each, Row)]
                curves += [each for each in found if isinstance(each, Curve)]
                about["disturbed"][name] = watch.taken()
                _write(options.json, about, rows, curves)
    print(not_reached(rows, curves))


def _sections(
    shop: Workshop, options: argparse.Namespace
) -> dict[str, Callable[[], Iterable[Row | Curve]]]:
    inside = {"repeats": options.repeats, "quick": options.quick}
    return {
        "layers": partial(layers.measure, **inside),
        "small": partial(layers.measure_small, **inside),
        "pooling": partial(pooling.measure, **inside),
        "filters": partial(filters.measure, **inside),
        "commands": partial(whole_commands.measure, shop, options.repeats),
        "memory": partial(memory.measure, shop),
        "batches": partial(batches.measure, shop, options.repeats),
        "scaling": partial(scaling.measure, **inside),
        "networks": partial(networks.measure, shop, options.repeats),
        "network-commands": partial(network_commands.measure, shop, options.repeats),
        "choose": partial(choose.measure, **inside),
    }


def _judged(found: Iterable[Row | Curve], judged: bool) -> Iterator[Row | Curve]:
    """Take the goals away from what is too small to be held against them."""
    for each in found:
        if not judged and isinstance(each, Row):
            each.limits, each.cap = {}, None
        elif not judged and isinstance(each, Curve):
            each.limit = None
        yield each


def _shown(found: Iterable[Row | Curve]) -> Iterator[Row | Curve]:
    """Print curves one by one, and rows when all are there, as tables."""
    rows = []
    for each in found:
        if sys.stderr.isatty():
            print(f"... {each.name}", file=sys.stderr)
        if isinstance(each, Row):
            rows.append(each)
        else:
            print(curve_table(each) + "\n", flush=True)
        yield each
    if rows:
        print(sections(rows) + "\n", flush=True)


def _write(
    path: Path | None, about: dict[str, object], rows: Sequence[Row], curves: Sequence[Curve]
) -> None:
    """Write after each section: a long run that is stopped keeps what it has."""
    if path is not None:
        report = json.dumps(pack(about, rows, curves), indent=1)
        path.write_text(report + "\n", "utf-8")


if __name__ == "__main__":
    main()
