"""Sheets of scores: every value can be read from them, by eye and by `--as-values`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from cnncli.io.writers import to_text
from cnncli.render.colormaps import apply
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.legend import write_numbers
from cnncli.render.options import MapGroup, RenderOptions
from cnncli.render.result_record import picture_record, restore_values
from cnncli.render.scores import (
    MOST_BARS,
    are_scores,
    bar_span,
    largest,
    plan_scores,
    score_lines,
    score_names,
    score_sheet,
    shown_scores,
)
from cnncli.render.tiles import Tile, make_tiles
from tests.support.sweep import sweep


def tiles_of(values: np.ndarray, options: RenderOptions | None = None) -> list[Tile]:
    groups = [MapGroup(str(k), (k,)) for k in range(values.size)]
    return make_tiles(values.reshape(1, 1, 1, -1), groups, options or RenderOptions(), False)


def bar_lengths(values: np.ndarray) -> list[int]:
    """Right end minus left end of each bar on the sheet, signed by the side of zero it is on."""
    names = score_names([str(k) for k in range(values.size)])
    layout, sheet = plan_scores((*names,)), score_sheet(tiles_of(values), names).pixels
    lengths = []
    for row in range(values.size):
        box = layout.boxes[row]
        line = sheet[box.top + box.height // 2, box.left + box.width + 4 : layout.width - 72 - 16]
        zero = int(np.nonzero(sheet[box.top, box.left + box.width + 4 : -88] == 200)[0][0])
        dark = np.nonzero(line < 180)[0]
        right = dark.max() - zero if dark.size else 0
        left = zero - dark.min() if dark.size else 0
        lengths.append(int(right if right >= left else -left))
    return lengths


def test_bars_are_as_long_as_their_values() -> None:
    values = np.array([3.0, -1.5, 0.75, 0.0])
    found = np.array(bar_lengths(values)) / 240
    np.testing.assert_allclose(found, values / 6, atol=0.01)


@pytest.mark.parametrize("spec", ["auto", "minmax", "symmetric", "abs", "clip", (-2.0, 1.0)])
@pytest.mark.parametrize("values", [[0.2, 0.8, 0.4], [-3.0, 1.0, 0.5], [-0.9, -0.2, -0.5]])
def test_bars_have_the_range_of_the_squares_and_zero(spec: Any, values: list[float]) -> None:
    tiles = tiles_of(np.array(values), RenderOptions(range=spec))
    mapping = tiles[0].mapping
    lo, hi = min(mapping.lo, 0), max(mapping.hi, 0)
    for value, tile in zip(values, tiles, strict=True):
        drawn = abs(value) if mapping.kind == "abs" else value
        first, last = bar_span(value, mapping)
        begin, end = (last, first) if drawn < 0 else (first, last)
        assert begin == pytest.approx(-lo / (hi - lo))
        assert end == pytest.approx((np.clip(drawn, lo, hi) - lo) / (hi - lo))
        if (lo, hi) == (mapping.lo, mapping.hi):
            # The bar ends where the square's grey is between black and white.
            assert end * 255 == pytest.approx(int(tile.pixels[0, 0]), abs=0.51)


@pytest.mark.parametrize("count", [4, 40])
def test_a_legend_is_a_colour_bar_below_the_bars(count: int) -> None:
    values = np.linspace(-1, 1, count)
    names = [str(k) for k in range(count)]
    made = tiles_of(values, RenderOptions(colormap="diverging"))
    plain = score_sheet(made, names).pixels
    layout, sheet = (
        plan_scores((*names,), legend=True),
        score_sheet(made, names, legend=True).pixels,
    )
    assert (
        sheet.shape == (layout.height, layout.width, 3) == (plain.shape[0] + 42, *plain.shape[1:])
    )
    below, left = layout.top + min(count, MOST_BARS) * 21, 3 * 8 + layout.name_width + 21
    bar = sheet[below + 21 + 12, left:][:240]
    expected = apply(np.rint(np.linspace(0, 255, 240)).astype(np.uint8), "diverging")
    np.testing.assert_array_equal(bar, expected)


def test_bars_and_the_colour_bar_have_their_own_numbers() -> None:
    # Bars begin at zero, squares at the smallest score.
    made, names = tiles_of(np.array([0.92, 0.95, 0.93])), ["0", "1", "2"]
    layout, sheet = (
        plan_scores((*names,), legend=True),
        score_sheet(made, names, legend=True).pixels,
    )
    below, left = layout.top + 3 * 21, 3 * 8 + layout.name_width + 21
    for top, lines, size, numbers in (
        (below, 1, 11, ("0", "0.475", "0.95")),
        (below + 2 * 21, 1, 14, ("0.92", "0.935", "0.95")),
    ):
        expected = np.full_like(sheet, sheet[0, 0])
        write_numbers(expected, (left, top), 240, size, numbers)
        rows = slice(top, top + lines * 21)
        assert (expected[rows] != sheet[0, 0]).any()
        np.testing.assert_array_equal(sheet[rows, left:], expected[rows, left:])


def test_squares_as_grey_as_the_sheet_have_a_frame() -> None:
    for count in (5, 30):
        values = np.linspace(0, 1, count)
        values[2] = 232 / 255
        names = [str(k) for k in range(count)]
        layout, sheet = plan_scores((*names,)), score_sheet(tiles_of(values), names).pixels
        box = layout.boxes[2]
        assert sheet[box.top, box.left] == 232
        assert (sheet[box.top - 1, box.columns] <= 120).all()
        if count == 5:
            assert (sheet[box.rows, box.left - 1] == 120).all()
            assert (sheet[box.rows, box.left + box.width] == 120).all()


def test_the_largest_bar_is_the_darkest() -> None:
    values = np.array([0.3, 0.9, 0.0])
    names = ["0", "1", "2"]
    layout, sheet = plan_scores((*names,)), score_sheet(tiles_of(values), names).pixels
    boxes = layout.boxes
    assert bar_lengths(values)[2] == 0
    greys = [int(sheet[b.top + 8, b.left + b.width + 8 : layout.width - 90].min()) for b in boxes]
    assert greys[1] < greys[0] < greys[2]


@pytest.mark.parametrize("maps", [3, 30])
def test_each_image_has_its_own_ranking(maps: int) -> None:
    values = np.random.default_rng(maps).random((4, maps)).astype(np.float32)
    names = score_names([f"{k}@{image}" for image in range(4) for k in range(maps)], 4)
    images = np.repeat(np.arange(4), maps).tolist()
    shown = shown_scores(values.ravel(), images)
    ranked = [image * maps + k for image, row in enumerate(values) for k in (-row).argsort()[:5]]
    assert shown == (list(range(12)) if maps == 3 else ranked)
    layout = plan_scores((*names,), (), (*images,))
    sheet = score_sheet(tiles_of(values.ravel()), names, (), images).pixels
    assert sheet.shape[:2] == (layout.height, layout.width)
    rows = [layout.top + row * 21 + 10 for row in range(len(shown))]
    is_dark = [
        int(sheet[row, layout.name_width + 60 : layout.width - 90].min()) < 60 for row in rows
    ]
    assert is_dark == [k % maps == values[k // maps].argmax() for k in shown]


@pytest.mark.parametrize(
    ("count", "options"),
    sweep(
        [1, 2, 10, MOST_BARS, MOST_BARS + 1, 1000, 5000],
        [RenderOptions(), RenderOptions(colormap="diverging")],
        keep=6,
    ),
)
def test_all_numbers_come_back(count: int, options: RenderOptions) -> None:
    values = np.random.default_rng(count).normal(size=count)
    made = tiles_of(values, options)
    names = score_names([tile.name for tile in made])
    sheet = score_sheet(made, names, ["title", "largest: 3"])
    layout = plan_scores((*names,), ("title", "largest: 3"))
    assert sheet.pixels.shape[:2] == (layout.height, layout.width)
    assert layout.width < 800 and layout.height < 1200
    record = json.loads(to_text(picture_record(made, "", "1.0", sheet)))
    back = restore_values(sheet.pixels, record)
    assert back.shape == (1, 1, count)
    assert np.abs(back[0, 0] - values).max() <= made[0].mapping.step("8") / 2 * 1.001 + 1e-6


def test_deep_sheets_and_values_that_are_no_numbers() -> None:
    values = np.array([np.nan, 1.0, np.inf, -2.0])
    sheet = score_sheet(tiles_of(values, RenderOptions(depth="16")), ["a", "b", "c", "d"])
    assert sheet.pixels.dtype == np.uint16
    score_sheet(tiles_of(np.array([1e308, -1e308])), ["a", "b"])
    score_sheet(tiles_of(np.zeros(3)), ["a", "b", "c"])


def test_what_is_shown_as_scores() -> None:
    grey, two = (MapGroup("", (0,)),), (MapGroup("0", (0,)), MapGroup("1", (1,)))
    colour = (MapGroup("", (0, 1, 2)),)
    assert are_scores((1, 1, 1, 2), two, False) and are_scores((3, 1, 1, 1), grey, False)
    assert are_scores((1, 1, 1, 1), grey, True) and not are_scores((1, 1, 1, 1), grey, False)
    assert not are_scores((1, 1, 1, 3), colour, True) and not are_scores((1, 1, 2, 2), two, True)


def test_the_largest_come_first_and_what_is_no_number_last() -> None:
    assert largest(np.array([1.0, np.nan, 3.0, 3.0, -1.0]), 5) == [2, 3, 0, 4, 1]
    assert largest([np.inf, 1.0, -np.inf, 2.0], 4) == [3, 1, 0, 2]


def test_lines_for_the_terminal() -> None:
    values = np.random.default_rng(2).normal(size=100)
    names = score_names([str(k) for k in range(100)])
    lines = score_lines(names, values.tolist(), LevelMapping("symmetric", -3, 3), 60, False)
    assert len(lines) == MOST_BARS and max(map(len, lines)) <= 60
    assert lines[0].split()[0] == str(values.argmax())
    assert lines[0].split()[-1] == f"{values.max():.4g}"
    (said,) = score_lines(["0"], [float("nan")], LevelMapping("symmetric", -3, 3), 40, True)
    assert "not finite" in said


@pytest.mark.parametrize("width", [32, 40, 60, 80, 200])
@pytest.mark.parametrize("name", ["7", "a_class_with_a_name_of_more_than_eighty_letters" * 2])
def test_lines_are_no_wider_than_the_terminal(width: int, name: str) -> None:
    names = [f"{k} {name}_{k}" for k in range(8)]
    values = [-1.234e-05, 1.234e10, 0.5, float("nan"), 0.0, 1.0, 2.0, -3.0]
    lines = score_lines(names, values, LevelMapping("symmetric", -2e10, 2e10), width, blocks=True)
    assert max(map(len, lines)) <= width
    # The ends of names tell them apart.
    assert len(set(lines)) == 8 and all(f"_{k} " in line for k, line in enumerate(lines))


def test_bars_begin_at_zero_whatever_the_range_of_the_squares_is() -> None:
    lines = score_lines(["0", "1"], [1.0, 3.0], LevelMapping("minmax", 1, 3), 40, False)
    assert [line.count("#") for line in lines] == [9, 27]
    lines = score_lines(["0", "1"], [-3.0, -1.0], LevelMapping("minmax", -3, -1), 40, False)
    assert [line.count("-") - 1 for line in lines] == [27, 9]
    almost = LevelMapping("minmax", 0.32, 0.35)
    (_, short), (_, long) = bar_span(0.32, almost), bar_span(0.35, almost)
    assert short / long == pytest.approx(0.32 / 0.35)
