"""Unrelated results are explained by nothing, related ones by what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnncli.compare.difference import explain, find_difference, tolerance_of
from tests.support.sweep import sweep

Values = NDArray[np.float64]
Rng = np.random.Generator

PAIRS = 200


@dataclass(frozen=True)
class Result:
    """A result as a file holds it: a picture of so many levels, or an array."""

    values: Values
    levels: float | None = None


def flat(rng: Rng, size: tuple[int, int]) -> Values:
    return np.full(size, rng.choice([0.0, 1.0, rng.random()]))


def dark(rng: Rng, size: tuple[int, int]) -> Values:
    return np.floor(rng.random(size) * rng.integers(1, 4)) / 255


def sparse(rng: Rng, size: tuple[int, int]) -> Values:
    values = np.zeros(size)
    for _ in range(rng.integers(1, 9)):
        values[rng.integers(size[0]), rng.integers(size[1])] = rng.choice([1.0, rng.random()])
    return values


def noise(rng: Rng, size: tuple[int, int]) -> Values:
    return rng.random(size)


def mask(rng: Rng, size: tuple[int, int]) -> Values:
    return (rng.random(size) < rng.uniform(0.1, 0.9)).astype(float)


def box(rng: Rng, size: tuple[int, int]) -> Values:
    values = np.full(size, rng.choice([0.0, rng.random()]))
    rows, cols = (np.sort(rng.integers(0, n + 1, 2)) for n in size)
    values[slice(*rows), slice(*cols)] = rng.choice([1.0, rng.random()])
    return values


def photo(rng: Rng, size: tuple[int, int]) -> Values:
    """Return a smooth picture with a little noise."""
    few = Image.fromarray(rng.random((4, 4)).astype(np.float32))
    smooth = np.asarray(few.resize(size[::-1], Image.Resampling.BICUBIC), float)
    return np.clip(smooth + rng.normal(0, 0.02, size), 0, 1)


def edges(rng: Rng, size: tuple[int, int]) -> Values:
    """Return what an edge filter leaves of a picture: a dark background and a few lines."""
    values = photo(rng, size) * 0.004
    values[rng.integers(size[0])] = rng.random(size[1])
    values[:, rng.integers(size[1])] = rng.random(size[0])
    return values


KINDS = (flat, dark, sparse, noise, mask, box, photo, edges)


def held(rng: Rng, values: Values) -> Result:
    """Return values as a file of 8 or 16 bits holds them, or as an array, also of 0..255."""
    way = rng.choice(["8", "16", "shares", "numbers"])
    if way in ("8", "16"):
        most = 255 if way == "8" else 65535
        return Result(np.rint(np.clip(values, 0, 1) * most) / most, most)
    return Result(values if way == "shares" else values * 255)


def of_kind(
    rng: Rng, kind: Callable[[Rng, tuple[int, int]], Values], shape: tuple[int, ...]
) -> Values:
    """Return an image of one kind in every channel."""
    return np.stack([kind(rng, (shape[0], shape[1])) for _ in range(shape[2])], axis=-1)[None]


def explanation(a: Result, b: Result) -> str | None:
    levels = a.levels, b.levels
    tolerance = tolerance_of(a.values, b.values, min(filter(None, levels), default=None))
    if a.values.shape == b.values.shape and find_difference(a.values, b.values, tolerance).equal:
        return None
    return explain(a.values, b.values, tolerance, levels)


def unrelated(seed: int) -> tuple[Result, Result, str]:
    rng = np.random.default_rng([20261128, seed])
    shape = tuple(int(n) for n in (*rng.integers(5, 40, 2), rng.choice([1, 3])))
    other = (
        tuple(int(n) for n in (*rng.integers(5, 40, 2), shape[2])) if rng.random() < 0.5 else shape
    )
    kinds = rng.choice(len(KINDS), 2)
    one, two = (of_kind(rng, KINDS[k], s) for k, s in zip(kinds, (shape, other), strict=True))
    names = " and ".join(KINDS[k].__name__ for k in kinds)
    return held(rng, one), held(rng, two), f"{names}, {shape} and {other}"


@pytest.mark.parametrize("first", sweep(range(0, 10 * PAIRS, PAIRS), keep=1))
def test_nothing_explains_unrelated_results(first: int) -> None:
    for seed in range(first, first + PAIRS):
        a, b, names = unrelated(seed)
        assert explanation(a, b) is None, f"{names}, seed {seed}"


Pair = tuple[Values, Values]
Change = Callable[[Rng, Values], Pair]

WHOLE: dict[str, Change] = {
    "equal if the signs are turned, as flipping an odd filter does": lambda _, x: (x, -x),
    "equal if the first is clipped to 0..1": lambda _, x: (2 * x - 0.5, np.clip(2 * x - 0.5, 0, 1)),
    "equal if signs are dropped": lambda rng, x: (x, x * rng.choice([-1, 1], x.shape)),
    "equal if the second is multiplied by 255": lambda _, x: (x * 255, x),
    "equal if the channels are reversed (BGR and RGB)": lambda _, x: (x, x[..., ::-1]),
    "equal if the grey second is repeated as red, green and blue": lambda _, x: (
        *(np.repeat(x[..., :1], 3, axis=3), x[..., :1]),
    ),
    "equal if of the first the blue channel is taken": lambda _, x: (x, x[..., 2:]),
    "equal if rows and columns are exchanged": lambda _, x: (x, x.swapaxes(1, 2)),
    "equal if the channels of the second come first, not last": lambda _, x: (
        *(x, np.moveaxis(x, 3, 1)),
    ),
}


def other_border(rng: Rng, x: Values) -> Pair:
    y = rng.random(x.shape)
    y[:, 2:-2, 2:-2] = x[:, 2:-2, 2:-2]
    return x, y


PARTS: dict[str, Change] = {
    "equal but for the outermost 2 cells: their borders differ (--pad-mode)": other_border,
    "equal if the second is padded by 1,2,0,3 (top, bottom, left, right) more": lambda _, x: (
        *(x, x[:, 1:-2, :-3]),
    ),
    "equal if the second has a stride of 2: it is every 2nd row and every 2nd column of the first, "
    "from row 1 and column 0": lambda _, x: (x, x[:, 1::2, ::2]),
    "equal but for a shift by 1 column, if the extra padding of the first is at the left": (
        lambda _, x: (x[:, :, :-1], x[:, :, 1:])
    ),
}
IN_LEVELS = [words for words in (*WHOLE, *PARTS) if "sign" not in words and "clipped" not in words]
"""Changes after which values are still in 0..1."""


def related(seed: int, words: Sequence[str]) -> tuple[Result, Result]:
    """Return two results between which stand one change or two."""
    rng = np.random.default_rng([20261129, seed])
    kind = [noise, photo, edges][seed % 3]
    one = two = of_kind(rng, kind, (int(rng.integers(17, 40)), int(rng.integers(41, 60)), 3))
    for part in set(words) & set(PARTS):
        one, two = PARTS[part](rng, one)
    for whole in set(words) & set(WHOLE):
        one, two = WHOLE[whole](rng, one)[0], WHOLE[whole](rng, two)[1]
    most = rng.choice([255, 65535])
    if seed % 2 or not set(words) <= set(IN_LEVELS):
        return Result(one), Result(two)
    second = Result(np.rint(two * most) / most, most)
    if any("multiplied" in text for text in words):
        return Result(one), second
    return Result(np.rint(one * most) / most, most), second


@pytest.mark.parametrize("words", [*product(WHOLE), *product(PARTS), *product(WHOLE, PARTS)])
def test_what_was_done_is_found_and_nothing_else(words: tuple[str, ...]) -> None:
    for seed in range(6):
        assert explanation(*related(seed, words)) == "; then ".join(words), seed


@pytest.mark.parametrize("most", [255, 65535])
def test_what_was_rounded_otherwise_is_found(most: int) -> None:
    rng = np.random.default_rng(most)
    for kind in (noise, photo, edges):
        x = of_kind(rng, kind, (20, 30, 3)) * most
        one, two = Result(np.rint(x) / most, most), Result(np.floor(x) / most, most)
        rounding = f"equal to within one level of {most}, clipped to 0..1: rounding"
        assert explanation(one, two) == rounding
        turned = Result(two.values[..., ::-1], most)
        words = "equal if the channels are reversed (BGR and RGB); to within one level of"
        assert explanation(one, turned) == f"{words} {most}"


def test_a_mask_of_1_is_one_of_255_and_8_bits_in_16_are_257_times_as_much() -> None:
    x = np.random.default_rng(4).integers(0, 256, (1, 9, 11, 1))
    one, two = Result(x // 128 / 255, 255), Result(x // 128, 255)
    assert explanation(one, two) == "equal if the first is multiplied by 255"
    deep = Result(x / 65535, 65535)
    words = "equal if the second is multiplied by 257"
    assert explanation(Result(x / 255, 255), deep) == words
