"""The ranges of whole layers, beside the definition on sorted values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.render.finite_values import ValueRange, measure
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.layer_ranges import CUT, Tails, layer_ranges
from cnncli.render.options import MapGroup
from cnncli.render.result_rows import ArrayRows, Box


def singles(count: int) -> list[MapGroup]:
    return [MapGroup(str(k), (k,)) for k in range(count)]


def narrowest(values: np.ndarray, kind: str) -> tuple[float, float]:
    """By the definition: of all ranges with 99.7 % of the values, or more, the narrowest."""
    values = np.sort(values[np.isfinite(values)].astype(float))
    kept = len(values) - int(CUT * len(values))
    if kind == "symmetric":
        most = np.sort(np.abs(values))[kept - 1]
        return -most, most
    widths = values[kept - 1 :] - values[: len(values) - kept + 1]
    first = int(np.argmin(widths))
    return values[first], values[first + kept - 1]


@given(
    st.integers(1, 4000), st.integers(1, 7), st.sampled_from(["minmax", "symmetric"]), st.randoms()
)
def test_tails_give_the_narrowest_range(count: int, parts: int, kind: str, chance: object) -> None:
    rng = np.random.default_rng(count * 7 + parts)
    values = rng.standard_t(1.5, count).astype(np.float32)
    values[rng.integers(0, count, count // 100)] = np.nan
    if not np.isfinite(values).any():
        return
    tails, pieces = Tails(count), np.array_split(values, parts)
    chance.shuffle(pieces)  # type: ignore[attr-defined]
    for piece in pieces:
        tails.add(piece)
    found = tails.mapping(kind, measure(values))
    lo, hi = narrowest(values, kind)
    if lo < hi:
        assert found == LevelMapping(kind, lo, hi)


def test_tails_do_not_depend_on_threads() -> None:
    values = np.random.default_rng(3).normal(size=200_000)
    for _ in range(5):
        tails = Tails(values.size)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(tails.add, np.array_split(values, 100)))
        assert tails.mapping("minmax", measure(values)) == LevelMapping(
            "minmax", *narrowest(values, "minmax")
        )


def test_a_map_that_is_zero_nearly_everywhere_keeps_what_is_left() -> None:
    values = np.zeros((1, 100, 100, 1))
    values[0, 5, 5] = 3.0
    (mapping,) = layer_ranges(ArrayRows(values), singles(1), "auto", False)
    assert mapping == LevelMapping("minmax", 0.0, 3.0)
    (mapping,) = layer_ranges(ArrayRows(-values), singles(1), "auto", False)
    assert mapping == LevelMapping("symmetric", -3.0, 3.0)


@pytest.mark.parametrize("shared", [False, True])
def test_cells_that_saw_padding_do_not_count(shared: bool) -> None:
    values = np.random.default_rng(0).uniform(1, 2, (2, 120, 3, 3))
    outside = np.ones((120, 3), bool)
    inner: Box = slice(2, 117), slice(0, 3)
    outside[inner] = False
    values[:, outside] = 50
    rows = ArrayRows(values, inner)
    found = layer_ranges(rows, singles(3), "auto", False, shared=shared)
    parts = [values[n, inner[0], inner[1], c] for n in range(2) for c in range(3)]
    if shared:
        limits = narrowest(np.stack(parts).reshape(-1), "minmax")
        assert found == [LevelMapping("minmax", *limits)] * 6
    else:
        assert found == [LevelMapping("minmax", *narrowest(part, "minmax")) for part in parts]
    assert layer_ranges(rows, singles(1), "minmax", False)[0].hi == 50


@pytest.mark.parametrize("shared", [False, True])
def test_of_small_maps_cells_that_saw_padding_count_unless_they_are_zero(shared: bool) -> None:
    values = np.random.default_rng(0).uniform(1, 2, (1, 12, 10, 2))
    inner: Box = slice(2, 11), slice(1, 9)
    border = np.ones((12, 10), bool)
    border[inner] = False
    values[:, border] = 0
    for found in layer_ranges(ArrayRows(values, inner), singles(2), "auto", False, shared=shared):
        assert 1 <= found.lo < found.hi <= 2
    values[:, border] = 5
    for found in layer_ranges(ArrayRows(values, inner), singles(2), "auto", False, shared=shared):
        assert 1 <= found.lo < found.hi == 5


def test_cells_that_saw_padding_tell_the_sign_all_the_same() -> None:
    values = np.ones((1, 20, 20, 1))
    values[0, 5] = 2
    values[0, 0, 0] = -9
    rows = ArrayRows(values, (slice(1, 19), slice(1, 19)))
    assert layer_ranges(rows, singles(1), "auto", False) == [LevelMapping("symmetric", -2.0, 2.0)]


def test_maps_of_one_cell_share_one_exact_range() -> None:
    scores = np.random.default_rng(1).normal(size=(1, 1, 1, 1000))
    found = layer_ranges(ArrayRows(scores), singles(1000), "auto", False)
    most = float(np.abs(scores).max())
    assert set(found) == {LevelMapping("symmetric", -most, most)}
    assert set(layer_ranges(ArrayRows(abs(scores)), singles(1000), "minmax", False)) == {
        LevelMapping("minmax", float(abs(scores).min()), most)
    }


def test_nothing_finite_and_no_images() -> None:
    nothing = np.full((1, 30, 30, 1), np.nan)
    assert layer_ranges(ArrayRows(nothing), singles(1), "auto", False) == [
        LevelMapping("minmax", 0, 0)
    ]
    for shared in (True, False):
        empty = ArrayRows(np.zeros((0, 30, 30, 1)))
        assert layer_ranges(empty, singles(1), "auto", False, shared=shared) == []
    assert Tails(0).mapping("minmax", ValueRange()) == LevelMapping("minmax", 0, 0)
