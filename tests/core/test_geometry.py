"""Sizes, pads and borders against counting windows one by one."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.core import geometry
from cnncli.core.borders import border_index
from cnncli.core.geometry import Axis, Window, explicit_pads, pair, place_window
from cnncli.errors import OptionError, ShapeError
from tests.support.judges import NUMPY_MODES, same_pads, window_starts


def axes(ceil: bool) -> list[Axis]:
    """Return every axis with up to 9 cells and small pads on which a window fits."""
    sweep = product(range(1, 10), range(1, 5), range(1, 5), range(1, 4), range(3), range(4))
    all_axes = (Axis(n, k, s, d, pb, pe, ceil) for n, k, s, d, pb, pe in sweep)
    return [axis for axis in all_axes if axis.extent <= axis.padded]


def starts(axis: Axis) -> list[int]:
    pads = (axis.begin, axis.end)
    return window_starts(axis.size, axis.extent, axis.stride, pads, axis.ceil)


@pytest.mark.parametrize("ceil", [False, True])
def test_size_is_the_number_of_windows(ceil: bool) -> None:
    swept = axes(ceil)
    assert len(swept) > 3000
    wrong = [axis for axis in swept if axis.out != len(starts(axis))]
    assert wrong == []


@pytest.mark.parametrize("ceil", [False, True])
def test_overhang_is_what_the_last_window_lacks(ceil: bool) -> None:
    for axis in axes(ceil):
        behind = max(starts(axis)) + axis.extent
        assert axis.overhang == max(0, behind - axis.padded), axis
        assert ceil or axis.overhang == 0


@pytest.mark.parametrize("ceil", [False, True])
def test_counts_are_the_taps_on_each_kind_of_cell(ceil: bool) -> None:
    for axis in axes(ceil)[::3]:
        taps = [[s + t * axis.dilation for t in range(axis.kernel)] for s in starts(axis)]
        real = range(axis.begin, axis.begin + axis.size)
        assert axis.counts(False).tolist() == [sum(t in real for t in row) for row in taps], axis
        padded = range(axis.padded)
        assert axis.counts(True).tolist() == [sum(t in padded for t in row) for row in taps], axis


def test_taps_meet_one_cell_for_each_output() -> None:
    for axis in axes(True)[::5]:
        cells = np.arange(axis.padded + axis.overhang)
        for index in range(axis.kernel):
            met = [start + index * axis.dilation for start in starts(axis)]
            assert cells[axis.tap(index)].tolist() == met, axis
            assert cells[axis.tap(index, 1)].tolist() == met[:1], axis
            real = [axis.begin <= cell < axis.begin + axis.size for cell in met]
            assert axis.real_taps(index).tolist() == real, axis


def test_cells_of_a_strip_are_what_its_windows_read() -> None:
    axis = Axis(size=20, kernel=3, stride=2, dilation=2, begin=1, end=1)
    for first in range(axis.out):
        for last in range(first + 1, axis.out + 1):
            read = {
                start + tap * axis.dilation
                for start in starts(axis)[first:last]
                for tap in range(axis.kernel)
            }
            assert axis.cells(first, last) == (min(read), max(read) + 1)


def test_reach_is_the_span_of_the_first_windows() -> None:
    axis = Axis(size=20, kernel=3, stride=2, dilation=2)
    assert [axis.reach(outputs) for outputs in range(4)] == [0, 5, 7, 9]


@pytest.mark.parametrize("lower", [False, True])
def test_same_pads_are_the_fewest_that_keep_every_window(lower: bool) -> None:
    for n, k, s, d in product(range(1, 13), range(1, 6), range(1, 5), range(1, 4)):
        expected = same_pads(n, d * (k - 1) + 1, s, lower)
        assert geometry.same_pads(n, k, s, d, lower) == expected, (n, k, s, d)


@pytest.mark.parametrize("name", ["same", "same-lower"])
@pytest.mark.parametrize("ceil", [False, True])
def test_same_gives_one_output_for_each_stride(name: str, ceil: bool) -> None:
    for n, k, s, d in product(range(1, 13), range(1, 6), range(1, 5), range(1, 4)):
        window = place_window((n, 7), (k, 1), (s, 1), name, (d, 1), ceil)
        assert window.out == (len(range(0, n, s)), 7), (n, k, s, d)


def test_lower_swaps_the_pads() -> None:
    window = place_window((5, 8), (2, 4), 1, "same")
    lower = place_window((5, 8), (2, 4), 1, "same-lower")
    assert window.pads == ((0, 1), (1, 2))
    assert lower.pads == ((1, 0), (2, 1))


@pytest.mark.parametrize(
    ("arguments", "formula"),
    [
        ((224, 7, 2, 1, 3, 3, False), "(224+2*3-7)//2+1 = 112"),
        ((7, 2, 2, 1, 0, 0, True), "ceil((7+2*0-2)/2)+1 = 4"),
        ((9, 3, 1, 2, 1, 0, False), "(9+1+0-5)//1+1 = 6"),
        # A third window would start in the end pad.
        ((5, 2, 3, 1, 1, 1, True), "ceil((5+2*1-2)/3)+1-1 = 2"),
        ((1, 3, 3, 1, 0, 0, True), "(1+2*0-3)//3+1 = 0"),
    ],
)
def test_formula(arguments: Any, formula: str) -> None:
    axis = Axis(*arguments)
    assert axis.formula == formula
    assert formula.endswith(f"= {len(starts(axis))}")


@pytest.mark.parametrize("ceil", [False, True])
def test_formulas_are_true(ceil: bool) -> None:
    for axis in axes(ceil):
        counted, out = axis.formula.split(" = ")
        assert eval(counted, {"ceil": math.ceil}) == int(out) == axis.out, axis


def test_the_last_window_may_not_start_in_the_end_pad() -> None:
    axis = Axis(size=2, kernel=3, stride=3, begin=1, end=1, ceil=True)
    assert axis.out == 1
    assert Axis(size=3, kernel=3, stride=3, begin=1, end=1, ceil=True).out == 2


def test_window_joins_both_axes() -> None:
    window = place_window((5, 7), (3, 2), (2, 3), ((1, 0), (0, 2)), (1, 2), ceil=True)
    assert isinstance(window, Window)
    assert window.rows == Axis(5, 3, 2, 1, 1, 0, True)
    assert window.cols == Axis(7, 2, 3, 2, 0, 2, True)
    assert window.kernel == (3, 2)
    assert window.out == (3, 3)
    assert window.pads == ((1, 0), (0, 2))
    assert window.pads_with_overhang == ((1, 1), (0, 2))
    assert [(i, j) for i, j, _ in window.taps()] == list(product(range(3), range(2)))


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_border_index_is_what_numpy_pads(mode: str) -> None:
    for size, begin, end in product(range(1, 6), range(9), range(9)):
        data = np.random.default_rng(size).standard_normal(size)
        expected = np.pad(data, (begin, end), mode=NUMPY_MODES[mode])
        index = border_index(size, begin, end, mode)
        if mode == "zeros":
            assert (index == -1).sum() == begin + end
            np.testing.assert_array_equal(index[begin : begin + size], np.arange(size))
        else:
            np.testing.assert_array_equal(data[index], expected)


def test_border_index_of_an_unknown_mode() -> None:
    with pytest.raises(OptionError, match="'mirror'"):
        border_index(3, 1, 1, "mirror")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, (3, 3)),
        ((2, 3), (2, 3)),
        ([2, 3], (2, 3)),
        (np.array([2, 3]), (2, 3)),
        (np.int64(4), (4, 4)),
        (np.array(4), (4, 4)),
    ],
    ids=repr,
)
def test_pair(value: Any, expected: tuple[int, int]) -> None:
    assert pair(value, "stride") == expected
    assert all(type(number) is int for number in pair(value, "stride"))


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", None, True, (1, 0), (1, 2, 3), (), [1, [2, 3]]])
def test_bad_pair(value: Any) -> None:
    with pytest.raises(OptionError, match=r"stride must be .* at least 1, got") as caught:
        pair(value, "stride")
    assert "--stride" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ((1, 2, 3, 4), ((1, 2), (3, 4))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], [3, 4]], ((1, 2), (3, 4))),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
        (np.int32(0), ((0, 0), (0, 0))),
    ],
    ids=repr,
)
def test_explicit_pads(padding: Any, expected: Any) -> None:
    assert explicit_pads(padding) == expected


@pytest.mark.parametrize("padding", [-1, 0.5, "1", None, False, (1, -1), (1, 2, 3), (1,) * 5, ()])
def test_bad_pads(padding: Any) -> None:
    with pytest.raises(OptionError, match="padding must be") as caught:
        explicit_pads(padding)
    assert "--padding" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 9), 5), r"5 of 4 rows: \(4\+2\*0-5\)//1\+1 = 0"),
        (((9, 4), 5), r"5 of 4 columns: \(4\+2\*0-5\)//1\+1 = 0"),
        (((9, 4), 3, 1, 0, (1, 2)), r"5 of 4 columns: \(4\+2\*0-5\)//1\+1 = 0"),
        (((2, 9), 6, 2, 1), r"6 of 4 rows: \(2\+2\*1-6\)//2\+1 = 0"),
        (((4, 9), 5, 1, 0, 1, True), r"5 of 4 rows: \(4\+2\*0-5\)//1\+1 = 0"),
    ],
)
def test_a_window_that_does_not_fit(arguments: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        place_window(*arguments)
    assert "--padding" in str(caught.value.hint)


def test_no_window_too_large_is_let_through() -> None:
    sweep = product(range(1, 5), range(1, 6), (1, 2, 5), (1, 2), (0, 2), (0, 1))
    for n, k, s, d, pe, ceil in sweep:
        fits = n + pe >= d * (k - 1) + 1
        try:
            place_window((n, 3), (k, 1), (s, 1), ((0, pe), (0, 0)), (d, 1), bool(ceil))
        except ShapeError:
            assert not fits, (n, k, s, d, pe, ceil)
        else:
            assert fits, (n, k, s, d, pe, ceil)


def test_counts_are_those_of_taps_one_by_one() -> None:
    swept = 0
    for n, k, s, d, pb, pe, ceil in product(
        (1, 2, 5), (1, 2, 4), (1, 3), (1, 2, 5), (0, 3, 7), (0, 4), (False, True)
    ):
        axis = Axis(n, k, s, d, pb, pe, ceil)
        if axis.extent > axis.padded or axis.out < 1:
            continue
        swept += 1
        cells = [[o * s + tap * d for tap in range(k)] for o in range(axis.out)]
        real = [sum(pb <= cell < pb + n for cell in window) for window in cells]
        padded = [sum(cell < axis.padded for cell in window) for window in cells]
        assert axis.counts(include_pad=False).tolist() == real, axis
        assert axis.counts(include_pad=True).tolist() == padded, axis
        assert axis.outputs_on_input() == sum(count > 0 for count in real), axis
    assert swept > 200
