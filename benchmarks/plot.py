"""``python -m benchmarks.plot FILE.json ... --out DIR`` draws a measurement with matplotlib."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.table import BEST, OURS, Curve, Row, merge, number, unpack

PLOTS: Final = Path(__file__).with_name("plots")

# Okabe and Ito's colours, which stay apart for every kind of colour vision.
AHEAD, BEHIND = "#0072B2", "#D55E00"
LINES: Final = (AHEAD, "#E69F00", "#009E73", "#CC79A7")

RATIO_TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
RATIO_PLOTS: Final = {"ratios": ("layers", "pooling", "filters"), "ratios-commands": ("commands",)}


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every plot that the report has numbers for.

    Parameters
    ----------
    report : dict
        What ``python -m benchmarks --json`` wrote.
    folder : Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The PNG files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, curves = unpack(report)
    figures = {
        name: ratios([row for row in rows if row.section in sections])
        for name, sections in RATIO_PLOTS.items()
    }
    figures["memory"] = memory([row for row in rows if row.section == "memory"])
    figures["scaling"] = scaling(curves)
    machine = report["machine"]
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            below = f"{machine['cpu']}, {machine['threads']} threads, {machine['date']}"
            figure.text(0.99, 0.005, below, ha="right", va="bottom", fontsize=7, color="0.4")
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], dpi=130)
            plt.close(figure)
    return paths


def ratios(rows: Sequence[Row]) -> Any | None:
    """Return a chart of ours by the best peer, one bar a row; left of 1 we are ahead."""
    found = [(row, ratio) for row in rows if (ratio := row.ratio()) is not None]
    if not found:
        return None
    figure, axes = plt.subplots(figsize=(8, 1.3 + 0.3 * len(found)), layout="constrained")
    for place, (row, ratio) in enumerate(reversed(found)):
        colour = AHEAD if ratio <= 1 else BEHIND
        axes.barh(place, ratio - 1, left=1, color=colour, height=0.7)
        _label(axes, place, ratio, f"{number(ratio)} x {row.best}")
        if BEST in row.limits:
            axes.plot([row.limits[BEST]] * 2, [place - 0.42, place + 0.42], color="black", lw=2)
    axes.set_xscale("log")
    low, high = min(ratio for _, ratio in found), max(ratio for _, ratio in found)
    axes.set_xlim(min(low, 0.5) / 2.5, max(high, 2) * 2.5)
    ticks = [tick for tick in RATIO_TICKS if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(found)), [row.name for row, _ in reversed(found)])
    axes.axvline(1, color="black", lw=0.8)
    axes.set_xlabel("time of cnncli by that of the best peer (left of 1: faster; mark: goal)\n ")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _label(axes: Any, place: int, ratio: float, text: str) -> None:
    """Write beyond the end of a bar that starts at 1."""
    side, shift = ("left", 4) if ratio > 1 else ("right", -4)
    axes.annotate(
        text, (ratio, place), (shift, 0), textcoords="offset points", ha=side, va="center", size=8
    )


def memory(rows: Sequence[Row]) -> Any | None:
    """Return a chart of the peak memory of every command, grouped by case."""
    rows = [row for row in rows if row.peers and row.ours]
    if not rows:
        return None
    names = [OURS, *dict.fromkeys(name for row in rows for name in row.peers)]
    figure, axes = plt.subplots(figsize=(8, 1 + 0.8 * len(rows)), layout="constrained")
    for index, name in enumerate(names):
        places = [
            len(rows) - 1 - i - (index - len(names) / 2 + 0.5) * 0.16 for i in range(len(rows))
        ]
        values = [{OURS: row.ours, **row.peers}.get(name) or 0.0 for row in rows]
        colour = (*LINES, "0.6")[index]
        bars = axes.barh(places, values, height=0.15, label=name, color=colour)
        axes.bar_label(bars, [number(value) for value in values], padding=2, size=7)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
    axes.set_xlabel("peak memory, MB\n ")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False)
    return figure


def scaling(curves: Sequence[Curve]) -> Any | None:
    """Return a panel for each curve, both axes logarithmic."""
    if not curves:
        return None
    lines = -(-len(curves) // 3)
    figure, grid = plt.subplots(
        lines, 3, figsize=(11, 3.4 * lines), layout="constrained", squeeze=False
    )
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes, curve in zip(grid.flat, curves, strict=False):
        _panel(axes, curve)
    figure.supxlabel(" ", fontsize=7)
    return figure


def _panel(axes: Any, curve: Curve) -> None:
    for colour, (name, values) in zip(LINES, curve.lines.items(), strict=False):
        points = [(x, y) for x, y in zip(curve.places, values, strict=True) if y is not None]
        width = 2.2 if name == OURS else 1.2
        axes.plot(*zip(*points, strict=True), "o-", ms=3, lw=width, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(curve.places, [f"{place:g}" for place in curve.places], size=8)
    axes.minorticks_off()
    axes.set_title(curve.name, fontsize=9)
    axes.set_xlabel(curve.axis, fontsize=8)
    axes.set_ylabel("ms", fontsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def main(words: Sequence[str] | None = None) -> None:
    """Draw the plots of a report and name them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="of python -m benchmarks --json")
    parser.add_argument("--out", type=Path, default=PLOTS, metavar="DIR")
    options = parser.parse_args(words)
    reports = [json.loads(file.read_text("utf-8")) for file in options.files]
    for path in draw(merge(reports), options.out):
        print(path)


if __name__ == "__main__":
    main()
