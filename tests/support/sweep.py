"""Combinations of parameters: a few by default, all of them among the slow tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest


def sweep(*axes: Iterable[Any], rounds: int = 1, keep: int | None = None) -> list[Any]:
    """Return all combinations; slow but for a few, in which every value of every axis is met.

    The few are those along the diagonal, as often as the longest axis has values; each further
    round begins one value later on every axis but the first. With `keep` only the first so many.
    """
    values = [list(axis) for axis in axes]
    sizes = [len(axis) for axis in values]
    few = {
        tuple((step + turn * (axis > 0)) % size for axis, size in enumerate(sizes))
        for turn in range(rounds)
        for step in range(keep or max(sizes))
    }
    return [
        pytest.param(
            *(axis[index] for axis, index in zip(values, chosen, strict=True)),
            marks=() if chosen in few else pytest.mark.slow,
        )
        for chosen in product(*map(range, sizes))
    ]
