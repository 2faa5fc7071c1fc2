"""What frames of the sliding window say: the products of the place, and what becomes of them."""

from __future__ import annotations

import textwrap
from functools import lru_cache

from cnncli.explain.animation.frames import Shots
from cnncli.explain.model import Block, Explanation, Step
from cnncli.explain.text.forward import LABEL, reckoning
from cnncli.explain.text.panels import number
from cnncli.explain.text.phrases import channel_name

Lines = tuple[tuple[str, str], ...]
"""Labels and what stands behind them."""

MOST_LINES = 3
"""Of the products of one channel; of several channels one less."""

FONT = 13
LABEL_CHARS = 15


def middle_name(found: Explanation, block: Block) -> str:
    """Name what stands between input and output."""
    if block.weights is not None:
        return "weights"
    return f"{found.mode} of window" if found.mode else "copied"


def sum_lines(shots: Shots, frame: int, chars: int) -> tuple[Lines, int]:
    """Return what is said of a frame, as many lines for every one, and the size of the letters.

    Parameters
    ----------
    shots : Shots
    frame : int
    chars : int
        Letters in a line.
    """
    width = max(chars - LABEL_CHARS, 40)
    most = max(map(len, _all_lines(shots, width)))
    lines = _all_lines(shots, width)[frame]
    return (*lines, *[("", "")] * (most - len(lines))), FONT


@lru_cache(maxsize=2)
def _all_lines(shots: Shots, width: int) -> tuple[Lines, ...]:
    return tuple(_lines(shots, found, width) for found in shots.found)


def _lines(shots: Shots, found: Explanation, width: int) -> Lines:
    several = len(shots.bands) > 1
    lines: list[tuple[str, str]] = []
    for band in shots.bands:
        step, block = band.of(found)
        if block.weights is not None:
            label = channel_name(block.name, block.channel) if several else "products"
            most = MOST_LINES - several
            texts = _products(block, width, most)
            lines += [(label if k == 0 else "", text) for k, text in enumerate(texts)]
    for s in dict.fromkeys(band.step for band in shots.bands):
        lines += _result(found, found.steps[s], width, len(found.steps) > 1)
    return tuple(lines)


def _result(found: Explanation, step: Step, width: int, several: bool) -> list[tuple[str, str]]:
    """From the sum to the result; of several channels a line for each."""
    parts = [(line[:LABEL].strip(), line[LABEL:]) for line in reckoning(found, step, width + LABEL)]
    if not several:
        return parts
    said = [f"{label} {text}".strip() for label, text in parts if text != "none"]
    return [(step.name, "; ".join(said))]


def _products(block: Block, width: int, most: int) -> list[str]:
    """Window times weights, written out as far as there is room; and what all add up to."""
    assert block.weights is not None
    pairs = zip(block.window.ravel().tolist(), block.weights.ravel().tolist(), strict=True)
    terms = [f"{value:.4g} x {_factor(weight)}" for value, weight in pairs]
    end = f" = {number(block.sum)}"
    for count in range(len(terms), 0, -1):
        rest = len(terms) - count
        more = f" + {rest} more products" if rest else ""
        lines = textwrap.wrap(
            " + ".join(term.replace(" ", "\xa0") for term in terms[:count]) + more + end, width
        )
        if len(lines) <= most:
            break
    return [line.replace("\xa0", " ") for line in lines]


def _factor(weight: float) -> str:
    text = f"{weight + 0.0:.4g}"
    return f"({text})" if text.startswith("-") else text
