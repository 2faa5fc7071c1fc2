"""Grey levels of values, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnncli.render.finite_values import ValueRange, measure
from cnncli.render.grey_levels import (
    LevelMapping,
    choose_range,
    count_clipped,
    from_levels,
    level_dtype,
    measure_each,
    paint_levels,
    top_level,
)
from tests.support.levels import to_levels

CLIP = LevelMapping("clip", 0.0, 1.0)
FLOATS = (np.float32, np.float64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("depth", ["8", "16"])
def test_every_level_of_a_picture_comes_back(dtype: type, depth: str) -> None:
    top = top_level(depth)
    levels = np.arange(top + 1)
    values = levels.astype(dtype) / dtype(top)
    assert np.array_equal(to_levels(values, CLIP, depth), levels)
    assert np.array_equal(
        from_levels(to_levels(values, CLIP, depth), CLIP, depth), np.float32(values)
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("depth", "middle"), [("8", 128), ("16", 32768)])
@pytest.mark.parametrize("most", [1.0, 0.1, 3.3333333, 7e-40, 1e-20, 5e20, 3.3e38])
def test_zero_of_a_symmetric_range_is_the_middle(
    dtype: type, depth: str, middle: int, most: float
) -> None:
    values = np.array([-most, 0.0, most], dtype)
    mapping = choose_range(values, "symmetric", False)
    assert to_levels(values, mapping, depth).tolist() == [0, middle, top_level(depth)]


@pytest.mark.parametrize("most", [5e-324, 1e-300, 1e300, 1.7e308])
@pytest.mark.parametrize("kind", ["symmetric", "minmax", "abs"])
def test_extreme_float64_ranges(most: float, kind: str) -> None:
    values = np.array([-most, 0.0, most])
    mapping = choose_range(values, kind, False)
    expected = {"symmetric": [0, 128, 255], "minmax": [0, 128, 255], "abs": [255, 0, 255]}
    assert to_levels(values, mapping).tolist() == expected[kind]


def test_rounds_half_to_even_and_never_wraps() -> None:
    values = np.array([0.5, 1.5, 2.5, 3.5, -1e30, 1e30, 255.49, 256.0])
    levels = to_levels(values, LevelMapping("fixed", 0.0, 255.0))
    assert levels.tolist() == [0, 2, 2, 4, 0, 255, 255, 255]


@pytest.mark.parametrize("kind", ["minmax", "symmetric", "abs"])
@pytest.mark.parametrize("value", [0.0, 3.5, -2.0])
def test_constant_maps(kind: str, value: float) -> None:
    values = np.full((4, 5), value, np.float32)
    mapping = choose_range(values, kind, False)
    levels = to_levels(values, mapping)
    shown = abs(values) if kind == "abs" else values
    if value:
        assert np.abs(from_levels(levels, mapping) - shown).max() <= mapping.step("8") / 2
    else:
        assert levels[0, 0] == (128 if kind == "symmetric" else 0)
        assert np.array_equal(from_levels(levels, mapping), shown)


@pytest.mark.parametrize(
    ("spec", "clip_by_default", "values", "expected"),
    [
        ("auto", True, [-5.0, 5.0], ("clip", 0, 1)),
        ("auto", False, [-5.0, 3.0], ("symmetric", -5, 5)),
        ("auto", False, [2.0, 3.0], ("minmax", 2, 3)),
        ("auto", False, [0.0, 0.0], ("minmax", 0, 0)),
        ("minmax", True, [-5.0, 3.0], ("minmax", -5, 3)),
        ("symmetric", True, [1.0, 3.0], ("symmetric", -3, 3)),
        ("abs", True, [-4.0, 3.0], ("abs", 0, 4)),
        ((-1.0, 2.0), True, [9.0], ("fixed", -1, 2)),
        ("minmax", False, [np.nan, 1.0, np.inf, 2.0, -np.inf], ("minmax", 1, 2)),
        ("auto", False, [np.nan, np.inf], ("minmax", 0, 0)),
        ("auto", False, [], ("minmax", 0, 0)),
    ],
)
def test_choose_range(
    spec: str | tuple[float, float], clip_by_default: bool, values: list[float], expected: tuple
) -> None:
    assert choose_range(np.array(values), spec, clip_by_default) == LevelMapping(*expected)


def test_unknown_range_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown range 'best'"):
        choose_range(np.zeros(3), "best", False)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["minmax", "symmetric", "abs", "clip"])
def test_nan_is_low_and_infinities_are_ends(dtype: type, kind: str) -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.25, 0.75], dtype)
    mapping = choose_range(values, kind, False)
    bottom = 255 if kind == "abs" else 0
    assert to_levels(values, mapping)[:3].tolist() == [0, 255, bottom]
    assert measure(values) == ValueRange(0.25, 0.75, 3)
    assert count_clipped(values, CLIP, "8") == 0


@pytest.mark.parametrize("value", [0.0, 3.5])
@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize(
    ("kind", "shares"), [("minmax", (1, 0)), ("symmetric", (1, 0)), ("abs", (1, 1))]
)
def test_infinities_of_constant_maps_are_ends_too(
    kind: str, shares: tuple[int, int], depth: str, value: float
) -> None:
    values = np.array([np.inf, -np.inf, value, value])
    # A symmetric range is constant around 0 alone.
    mapping = replace(choose_range(values, kind, False), lo=value, hi=value)
    levels = np.empty(4, np.uint8 if depth == "8" else np.uint16)
    assert paint_levels(values, mapping, depth, levels).non_finite == 2
    top = np.iinfo(levels.dtype).max
    assert levels[:2].tolist() == [share * top for share in shares]
    assert levels[2:].tolist() == [(top + 1) // 2 if kind == "symmetric" else 0] * 2


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=9)))
def test_any_floats_make_levels_and_parts_equal_the_whole(values: np.ndarray) -> None:
    mapping = choose_range(values, "auto", False)
    whole = to_levels(values, mapping)
    out = np.zeros_like(whole)
    for row in range(len(values)):
        part = values[row : row + 1]
        found = paint_levels(part, mapping, "8", out[row : row + 1])
        assert replace(found, clipped=0) == measure(part)
        assert found.clipped == count_clipped(part, mapping, "8")
    assert np.array_equal(out, whole)


@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.sampled_from(["8", "16"]),
    st.sampled_from(["minmax", "symmetric", "abs"]),
)
def test_back_to_within_half_a_step(values: np.ndarray, depth: str, kind: str) -> None:
    mapping = choose_range(values, kind, False)
    back = from_levels(to_levels(values, mapping, depth), mapping, depth).astype(np.float64)
    shown = np.abs(values) if kind == "abs" else values
    # On top of half a step: the rounding of float32 itself.
    slack = mapping.step(depth) * 1e-3 + max(abs(mapping.lo), abs(mapping.hi)) * 2.0**-24
    assert np.abs(back - shown).max() <= mapping.step(depth) / 2 + slack


@pytest.mark.parametrize("kind", ["fixed", "abs", "symmetric"])
@pytest.mark.parametrize("limits", [(0.0, 0.1), (-0.1, 0.1), (0.1, 0.1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_value_is_measured_as_a_map_of_it_alone(
    kind: str, limits: tuple[float, float], dtype: type
) -> None:
    values = np.array([-2, -0.1, -0.0, 0, 0.05, 0.1, 3, np.nan, np.inf, -np.inf], dtype)
    mapping, levels = LevelMapping(kind, *limits), np.empty(1, np.uint8)
    alone = [paint_levels(values[k : k + 1], mapping, "8", levels) for k in range(len(values))]
    assert measure_each(values, mapping, "8") == alone


def test_each_whole_number_is_measured_as_a_map_of_it_alone() -> None:
    values, mapping = np.array([-1, 0, 51, 255, 256], np.int16), LevelMapping("clip", 0.0, 1.0)
    levels = np.empty(1, np.uint8)
    alone = [paint_levels(values[k : k + 1], mapping, "8", levels) for k in range(len(values))]
    assert measure_each(values, mapping, "8") == alone


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize(
    "mapping", [CLIP, LevelMapping("symmetric", -3.0, 3.0), LevelMapping("fixed", 10.0, 12.0)]
)
def test_clipped_is_what_is_beyond_the_range_by_half_a_level(
    mapping: LevelMapping, depth: str, dtype: type
) -> None:
    step, values = mapping.step(depth), []
    for end, outward in ((mapping.lo, -step), (mapping.hi, step)):
        values += [end + share * outward for share in (1e-6, 0.4, 0.6, 5)]
    array, levels = np.array(values, dtype), np.empty(8, level_dtype(depth))
    found = paint_levels(array, mapping, depth, levels)
    assert found.clipped == count_clipped(array, mapping, depth) == 4
    each = [one.clipped for one in measure_each(array, mapping, depth)]
    assert each == [0, 0, 1, 1] * 2
    # What does not count is there again to within half a level, as all else is.
    apart = np.abs(from_levels(levels, mapping, depth) - np.array(values)) / step
    assert ((apart < 0.51) == (np.array(each) == 0)).all()


def test_a_zero_that_rounding_made_negative_is_not_clipped() -> None:
    values = np.array([-1e-9, 0, 1, 1 + 1e-7, -2], np.float32)
    assert paint_levels(values, CLIP, "8", np.empty(5, np.uint8)).clipped == 1
    values[0] = np.nan
    assert paint_levels(values, CLIP, "8", np.empty(5, np.uint8)).clipped == 1


def test_arguments_are_left_alone() -> None:
    values = np.array([[-1.0, 0.5, np.nan]], np.float32)
    values.flags.writeable = False
    for kind in ("minmax", "symmetric", "abs"):
        to_levels(values, choose_range(values, kind, False))
    assert np.array_equal(values, np.array([[-1.0, 0.5, np.nan]], np.float32), equal_nan=True)


def test_zero_dimensions_and_no_values() -> None:
    assert to_levels(np.array(0.5), CLIP) == 128
    assert to_levels(np.empty((0, 3)), CLIP).shape == (0, 3)


def test_range_of_zeros_has_no_minus_sign() -> None:
    for zeros in (np.zeros(3), -np.zeros(3), np.full(3, np.nan)):
        mapping = choose_range(zeros, "symmetric", False)
        assert (str(mapping.lo), str(mapping.hi)) == ("0.0", "0.0")
