"""Peak memory of whole commands: the largest resident set of the process, in millions of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import commands
from benchmarks.filters import random_kernel
from benchmarks.pictures import Workshop
from benchmarks.table import OURS, Row

CAPS: Final = {"12": 200.0, "100": 800.0}
"""Megabytes to reach at most, by megapixels."""

FILTERS: Final = ("sobel_v", "gaussian_15", "random 15x15")


def measure(shop: Workshop) -> Iterator[Row]:
    """Yield a row for each command, peers included, then rows of ours with other filters.

    Parameters
    ----------
    shop : Workshop
        Commands that were measured before left their peaks here; others are run once.
    """
    for case in commands.cases(shop):
        cap = CAPS.get(case.name.split()[0])
        row = Row("memory", case.name, unit="MB", cap=cap)
        peaks = {
            name: _peak(shop, case, name, words) / 1e6
            for name, words in commands.commands_of(case, shop).items()
        }
        row.ours = peaks.pop(OURS) or None
        row.peers = {name: peak for name, peak in peaks.items() if peak}
        yield row
    yield from _filters(shop)


def _peak(shop: Workshop, case: commands.Case, name: str, words: list[str]) -> int:
    """Peak of a command; 0 if it failed."""
    if (case.name, name) not in shop.peaks:
        usage = commands.run(words, shop)
        shop.peaks[case.name, name] = 0 if usage.code else usage.peak
    return shop.peaks[case.name, name]


def _filters(shop: Workshop) -> Iterator[Row]:
    source, target = shop.photo(12, ".png"), shop.folder / "filtered.png"
    for name in FILTERS:
        given = str(_random(shop.folder)) if name.startswith("random") else name
        usage = commands.run(commands.ours(str(source), str(target), given), shop)
        row = Row("memory", f"12 megapixels, {name}", unit="MB")
        row.cap = CAPS["12"]
        row.ours = None if usage.code else usage.peak / 1e6
        yield row


def _random(folder: Path) -> Path:
    path = folder / "random.npy"
    np.save(path, random_kernel(15))
    return path
