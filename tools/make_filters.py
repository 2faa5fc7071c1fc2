"""Make the files of the built-in filters from their formulas: python tools/make_filters.py.

The formulas stand in cnncli/filters/builtins.py; the table in filters/README.md is written too.
``--check`` writes nothing and names the files that their formulas do not give.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from cnncli.filters.builtins import BUILTINS
from cnncli.filters.kernels import Weights

FOLDER = Path(__file__).parents[1] / "filters"
MARKS = ("<!-- table: begin -->", "<!-- table: end -->")


def table() -> str:
    lines = [
        "| name | shape | sum | what it does | positive where | source |",
        "|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(BUILTINS.items()):
        weights = entry.make()
        shape = "x".join(map(str, weights.shape))
        maps = 1 if weights.ndim == 2 else weights.shape[-1]
        sums = np.round(weights.reshape(-1, maps).sum(axis=0), 6) + 0.0
        total = f"{sums[0]:g}" if np.ptp(sums) == 0 else f"{sums.min():g} to {sums.max():g}"
        cells = (f"`{name}`", shape, total, entry.summary, entry.sign, entry.source)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(old: str) -> str:
    """Return README's text with a fresh table between the marks."""
    before, _, rest = old.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}"


def agrees(path: Path, weights: Weights) -> bool:
    """Tell whether a file holds these weights; exp and cos differ in the last bit between CPUs."""
    if not path.exists():
        return False
    stored = np.load(path, allow_pickle=False)
    same_type = stored.dtype == weights.dtype and stored.shape == weights.shape
    return same_type and bool(np.allclose(stored, weights, rtol=1e-12, atol=1e-15))


def stale(folder: Path) -> list[str]:
    """Name the files that differ from what the formulas give, and those without a formula."""
    names = [name for name, b in BUILTINS.items() if not agrees(folder / f"{name}.npy", b.make())]
    foreign = [path.name for path in folder.glob("*.npy") if path.stem not in BUILTINS]
    text = (folder / "README.md").read_text(encoding="utf-8")
    return [f"{n}.npy" for n in names] + foreign + (["README.md"] if page(text) != text else [])


def main(arguments: list[str] | None = None) -> int:
    """Write the built-in filters and their table, or check them; 1 where --check finds some."""
    parser = argparse.ArgumentParser(
        prog="python tools/make_filters.py", description="Write the built-in filters."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    outdated = stale(options.folder)
    if options.check:
        sys.stderr.writelines(f"stale: {name}\n" for name in outdated)
        return int(bool(outdated))
    for name in set(outdated) - {"README.md"}:
        path = options.folder / name
        if path.stem in BUILTINS:
            np.save(path, np.ascontiguousarray(BUILTINS[path.stem].make()), allow_pickle=False)
        else:
            sys.stderr.write(f"no formula: {name}\n")
    readme = options.folder / "README.md"
    readme.write_text(page(readme.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
