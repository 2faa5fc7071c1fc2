"""The filter doctor: facts about a filter, judged by independent computations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.describe import Facts, describe, format_facts, format_matrix
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter, from_array, stack
from cnncli.render.to_json import json_text, to_json


def as_filter(weights: Filter | np.ndarray, layout: str = "hwio") -> Filter:
    return weights if isinstance(weights, Filter) else from_array(weights, layout=layout)


def facts_of(weights: Filter | np.ndarray, layout: str = "hwio") -> Facts:
    return describe(as_filter(weights, layout))


def matrix_of(weights: Filter | np.ndarray) -> str:
    return format_matrix(as_filter(weights))


@pytest.mark.parametrize("name", builtin_names())
def test_facts_of_every_builtin(name):
    loaded = load_filter(name)
    facts = facts_of(loaded)
    bank = loaded.weights[:, :, None, :] if loaded.per_channel else loaded.weights
    assert len(facts.maps) == loaded.maps
    for index, one in enumerate(facts.maps):
        weights = bank[..., index]
        assert one.sum == pytest.approx(weights.sum(), abs=1e-12)
        assert one.zero_sum == bool(abs(weights.sum()) < 1e-9)
        assert one.l1 == pytest.approx(np.abs(weights).sum())
        assert one.l2 == pytest.approx(np.sqrt((weights**2).sum()))
        ranks = [np.linalg.matrix_rank(weights[..., c]) for c in range(weights.shape[2])]
        assert list(one.ranks) == ranks
        for channel, pair in enumerate(one.separable):
            assert (pair is not None) == (ranks[channel] == 1)
            if pair is not None:
                product = np.outer(pair.column, pair.row)
                np.testing.assert_allclose(product, weights[..., channel], atol=1e-12)


@pytest.mark.parametrize("name", builtin_names())
def test_output_range_is_reached_and_never_left(name):
    loaded = load_filter(name)
    bank = loaded.weights[:, :, None, :] if loaded.per_channel else loaded.weights
    random = np.random.default_rng(5).random((200, *bank.shape[:3]))
    for index, one in enumerate(facts_of(loaded).maps):
        weights = bank[..., index]
        low, high = one.output_range
        assert low == pytest.approx((weights * (weights < 0)).sum(), abs=1e-12)
        assert high == pytest.approx((weights * (weights > 0)).sum(), abs=1e-12)
        results = np.tensordot(random, weights, axes=3)
        assert low <= results.min() and results.max() <= high


SYMMETRIES = {
    "edge": ("left-right up-down point", ""),
    "gaussian_7": ("left-right up-down point", ""),
    "gabor_bank": ("left-right up-down point", ""),
    "sobel_h": ("left-right", "up-down point"),
    "sobel_v": ("up-down", "left-right point"),
    "central_difference_v": ("up-down", "left-right point"),
    "roberts_a": ("", "point"),
    "line_45": ("point", ""),
    "motion_blur": ("point", ""),
    "emboss": ("", ""),
    "kirsch": ("left-right", ""),
}


@pytest.mark.parametrize(("name", "expected"), SYMMETRIES.items())
def test_symmetries(name, expected):
    one = facts_of(load_filter(name)).maps[0]
    assert (" ".join(one.symmetric), " ".join(one.antisymmetric)) == expected


def test_symmetry_needs_every_channel():
    weights = np.zeros((1, 3, 2))
    weights[0, :, 0] = weights[0, ::-1, 1] = [1, 2, 1]
    assert "left-right" in facts_of(weights).maps[0].symmetric
    weights[0, :, 1] = [1, 2, 3]
    assert "left-right" not in facts_of(weights).maps[0].symmetric


@pytest.mark.parametrize(
    ("name", "column", "row"),
    [
        ("sobel_h", [-1, 0, 1], [1, 2, 1]),
        ("sobel_v", [1, 2, 1], [-1, 0, 1]),
        ("scharr_h", [-1, 0, 1], [3, 10, 3]),
        ("binomial_3", [1, 2, 1], [1 / 16, 1 / 8, 1 / 16]),
        ("box", [1, 1, 1], [1 / 9, 1 / 9, 1 / 9]),
        ("identity", [0, 1, 0], [0, 1, 0]),
    ],
)
def test_separable_pairs_are_readable(name, column, row):
    pair = facts_of(load_filter(name)).maps[0].separable[0]
    assert list(pair.column) == column
    assert list(pair.row) == pytest.approx(row)


lines = hnp.arrays(np.float64, st.integers(1, 6), elements=st.integers(-9, 9))


@given(lines, lines)
def test_products_of_lines_are_found_separable(column, row):
    kernel = np.outer(column, row)
    one = facts_of(kernel).maps[0]
    assert one.ranks == (int(kernel.any()),)
    if kernel.any():
        pair = one.separable[0]
        np.testing.assert_allclose(np.outer(pair.column, pair.row), kernel, atol=1e-9)


shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(hnp.arrays(np.float32, shapes, elements=st.floats(-5, 5, width=32)))
def test_any_kernel_gives_text_json_and_matrix(kernel):
    facts = facts_of(kernel)
    assert json.loads(json_text(facts)) == to_json(facts)
    assert format_facts(facts).isascii()
    assert len(matrix_of(kernel).splitlines()) - len(kernel) in (0, 1)


def test_bias_shifts_the_range():
    np_filter = load_filter("sobel_v")
    with_bias = type(np_filter)("s", np_filter.weights, True, ("s",), bias=np.array([0.5]))
    one = facts_of(with_bias).maps[0]
    assert (one.bias, one.output_range) == (0.5, (-3.5, 4.5))
    assert "bias        0.5" in format_facts(facts_of(with_bias))


def test_float32_rounding_is_no_asymmetry():
    weights = load_filter("gaussian_7").weights[:, :, 0].astype(np.float32)
    one = facts_of(weights).maps[0]
    assert one.ranks == (1,) and one.symmetric == ("left-right", "up-down", "point")
    zero = load_filter("log").weights[:, :, 0].astype(np.float32)
    assert facts_of(zero).maps[0].zero_sum


def test_facts_of_a_kernel_as_text():
    assert format_facts(facts_of(load_filter("sobel_v"))).splitlines() == [
        "filter      sobel_v",
        "shape       (3,3): rows, columns; works on every channel on its own",
        "type        float64, 9 weights",
        "sum         0, flat areas give 0",
        "symmetric   up-down; with opposite sign: left-right, point",
        "rank        1: column 1 2 1, row -1 0 1",
        "results     -4 to 4 for inputs in 0..1",
        "norms       L1 8, L2 3.4641",
    ]


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ("hwio", "rows, columns, channels in, maps out (hwio); window 2x3, channels in 4, maps 5"),
        ("oihw", "maps out, channels in, rows, columns (oihw); window 4x5, channels in 3, maps 2"),
    ],
)
def test_layout_is_said(layout, line):
    facts = facts_of(np.ones((2, 3, 4, 5)), layout=layout)
    assert f"shape       (2,3,4,5): {line}" in format_facts(facts).splitlines()


def test_long_banks_are_cut_with_a_note():
    bank = from_array(np.random.default_rng(0).normal(size=(3, 3, 2, 40)))
    facts = facts_of(bank)
    lines = format_facts(facts).splitlines()
    assert lines[-1] == "(and 38 more maps: --json has them all)" and len(lines) < 30
    sums = bank.weights.sum(axis=(0, 1, 2))
    line = f"sums        {sums.min():.6g} to {sums.max():.6g}; flat areas give 0 in 0 of 40"
    assert line in lines
    low, high = (
        min(m.output_range[0] for m in facts.maps),
        max(m.output_range[1] for m in facts.maps),
    )
    assert f"results     {low:.6g} to {high:.6g} for inputs in 0..1" in lines
    assert matrix_of(bank).endswith("(and 64 more kernels: -o weights.png shows them all)")
    assert len(to_json(facts_of(bank))["maps"]) == 40


@pytest.mark.parametrize("shape", [(1, 1, 90, 300), (7, 7, 64, 100), (16, 16, 3, 9), (3, 3, 99, 9)])
def test_what_is_shown_of_a_large_layer_fits_a_screen_or_two(shape):
    bank = from_array(np.random.default_rng(0).normal(size=shape))
    numbers = sum(len(line.split()) for line in matrix_of(bank).splitlines() if ":" not in line)
    assert numbers < 320
    assert len(format_facts(facts_of(bank)).splitlines()) < 80


def test_weights_of_a_dense_layer_are_one_table():
    bank = from_array(np.arange(6.0).reshape(1, 1, 2, 3))
    assert matrix_of(bank).splitlines() == [
        "rows: channels in, columns: maps out",
        " 0  1  2",
        " 3  4  5",
    ]
    assert "symmetric" not in format_facts(facts_of(bank))
    large = matrix_of(from_array(np.ones((1, 1, 20, 30))))
    assert large.endswith("(the first 16x16 of 20x30)") and len(large.splitlines()) == 18


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-1 0 1; -2 0 2", " -1   0   1\n -2   0   2"),
        ("1/9 2/9", "1/9 *\n 1  2"),
        ("-1/8 1", "1/8 *\n -1   8"),
        ("0 0", " 0  0"),
        ("0.123456 -12.5", "   0.123  -12.500"),
        ("1e-20 1", " 0.0000  1.0000"),
        ("-1e-20 1", " 0.0000  1.0000"),
        ("1e-20 3e-20", " 1e-20  3e-20"),
    ],
)
def test_matrix_text(text, expected):
    assert matrix_of(load_filter(text)) == expected


def test_matrix_text_shows_exact_values_only():
    nearly = np.array([[1 / 3 + 1e-12, 1 / 3]])
    assert "1/3" not in matrix_of(nearly)
    assert matrix_of(np.array([[1 / 3, 2 / 3]], dtype=np.float32)) == "1/3 *\n 1  2"


def test_banks_name_their_kernels():
    text = matrix_of(stack([load_filter("sobel_h"), load_filter("sobel_v")]))
    assert text.startswith("sobel_h:\n -1  -2  -1\n") and "\n\nsobel_v:\n" in text
    assert "blue_yellow, channel 2:" in matrix_of(load_filter("color_opponent"))


def test_large_kernels_are_cut_with_a_note():
    text = matrix_of(np.ones((3, 40)))
    assert text.splitlines()[-1] == "(the first 3x16 of 3x40)"
    assert len(text.splitlines()[0].split()) == 16
