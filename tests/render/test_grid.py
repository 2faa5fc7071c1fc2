"""Labelled grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cnncli.render.grey_levels import LevelMapping
from cnncli.render.grid import SheetText, grid, plan_grid
from cnncli.render.legend import legend_numbers
from cnncli.render.options import MapGroup, RenderOptions
from cnncli.render.tiles import make_tiles


@dataclass
class Plain:
    """The least a grid needs."""

    name: str
    pixels: np.ndarray


def tiles(count: int, height: int, width: int, dtype: type = np.uint8) -> list[Plain]:
    rng = np.random.default_rng(count)
    top = np.iinfo(dtype).max
    shape = (count, height, width)
    return [
        Plain(f"map {k}", p)
        for k, p in enumerate(rng.integers(0, top, shape, dtype, endpoint=True))
    ]


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("columns", [None, 1, 3, 99])
@pytest.mark.parametrize(
    ("count", "height", "width"), [(2, 8, 8), (7, 30, 5), (5, 1, 300), (9, 96, 97), (3, 500, 400)]
)
def test_every_tile_is_found_in_its_box(
    count: int, height: int, width: int, columns: int | None, labels: bool
) -> None:
    made = tiles(count, height, width)
    before = [tile.pixels.copy() for tile in made]
    sheet = grid(made, columns, labels)
    covered = np.zeros(sheet.pixels.shape, int)
    for box, pixels in zip(sheet.boxes, before, strict=True):
        step = slice(None, None, sheet.zoom)
        part = sheet.pixels[box.rows, box.columns]
        assert np.array_equal(part[step, step], pixels)
        assert np.array_equal(part, pixels.repeat(sheet.zoom, 0).repeat(sheet.zoom, 1))
        covered[box.rows, box.columns] += 1
    assert covered.max() == 1
    assert all(np.array_equal(a.pixels, b) for a, b in zip(made, before, strict=True))
    text = SheetText(names=tuple(tile.name for tile in made) if labels else ())
    layout = plan_grid(height, width, count, columns, text)
    assert (layout.height, layout.width) == sheet.pixels.shape
    assert layout.boxes == sheet.boxes


@pytest.mark.parametrize(("count", "across"), [(2, 2), (3, 2), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_grids_are_about_square(count: int, across: int) -> None:
    assert len({box.left for box in plan_grid(50, 50, count).boxes}) == across


@pytest.mark.parametrize("side", [8, 96, 2000])
def test_labels_stand_below_their_tile_and_are_left_out_on_demand(side: int) -> None:
    black = [Plain("edge", np.zeros((side, side), np.uint8)) for _ in range(2)]
    sheet = grid(black)
    for box in sheet.boxes:
        band = sheet.pixels[box.top + box.height : box.top + round(box.height * 1.2), box.columns]
        dark = np.argwhere(band < 100)
        assert np.ptp(dark[:, 0]) >= 7 and len(dark) > 20
        centre = (dark[:, 1].min() + dark[:, 1].max()) / 2
        assert abs(centre - box.width / 2) < 3 + box.width * 0.01
    assert set(np.unique(grid(black, labels=False).pixels)) == {0, 232}


def test_one_tile_stays_as_it_is() -> None:
    (tile,) = tiles(1, 7, 5)
    sheet = grid([tile])
    assert sheet.pixels is tile.pixels and sheet.zoom == 1


def test_sixteen_bits() -> None:
    made = tiles(4, 100, 100, np.uint16)
    sheet = grid(made)
    assert sheet.pixels.dtype == np.uint16
    assert np.array_equal(sheet.pixels[sheet.boxes[3].rows, sheet.boxes[3].columns], made[3].pixels)
    assert sheet.pixels[0, 0] == 232 * 257


def test_grey_and_colour_and_depths_mix() -> None:
    grey, deep = tiles(1, 100, 100)[0], tiles(1, 100, 100, np.uint16)[0]
    colour = Plain("photo", np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8))
    sheet = grid([grey, colour])
    first, second = (sheet.pixels[box.rows, box.columns] for box in sheet.boxes)
    assert np.array_equal(first, np.repeat(grey.pixels[:, :, None], 3, axis=2))
    assert np.array_equal(second, colour.pixels)
    mixed = grid([grey, deep])
    part = mixed.pixels[mixed.boxes[0].rows, mixed.boxes[0].columns]
    assert np.array_equal(part, grey.pixels.astype(np.uint16) * 257)


@pytest.mark.parametrize("wrong", [[], [*tiles(1, 3, 3), *tiles(1, 3, 4)]])
def test_tiles_of_one_size(wrong: list[Plain]) -> None:
    with pytest.raises(ValueError, match="one size"):
        grid(wrong)


@pytest.mark.parametrize(
    "name", ["", "two\nlines", "esc\x1b[31m", "\udcff", "Größe", "日本", "x" * 9999]
)
def test_any_name_can_be_a_label(name: str) -> None:
    sheet = grid([Plain(name, np.zeros((96, 96), np.uint8))] * 2)
    assert len(sheet.boxes) == 2 and (sheet.pixels < 100).any()


def last_ink(sheet: np.ndarray) -> int:
    """The last column with ink."""
    return int(np.nonzero((sheet < 100).any(axis=0))[0].max())


def test_long_names_widen_their_cells_then_wrap_and_are_never_cut_in_the_middle() -> None:
    white = np.full((40, 40), 255, np.uint8)
    for name, lines in (("gaussian_5-luminance-filter", 1), ("block3-conv2-" * 4 + "end", 3)):
        text = SheetText(names=(name, "b", "c"))
        layout = plan_grid(40, 40, 3, text=text)
        assert len(layout.labels[0]) <= lines
        assert "".join(layout.labels[0]) == name and layout.labels[1] == ("b",)
        sheet = grid([Plain(name, white) for name in text.names]).pixels
        assert sheet.shape == (layout.height, layout.width)
        # Rows do not run into each other, and nothing is cut at the right.
        assert layout.boxes[2].top >= layout.boxes[0].top + 40 + 18 * len(layout.labels[0])
        assert last_ink(sheet) < layout.width - 2


@pytest.mark.parametrize("side", [8, 300])
def test_a_title_stands_above_all_tiles_on_as_many_lines_as_it_needs(side: int) -> None:
    made = tiles(3, side, side)
    title = "features.denseblock1.conv2 28x28x3, symmetric -1.2..1.2"
    plain, titled = grid(made), grid(made, title=title)
    moved = titled.boxes[0].top - plain.boxes[0].top
    assert moved >= 18
    band = titled.pixels[: titled.boxes[0].top]
    assert (band < 100).any() and last_ink(band) < titled.pixels.shape[1] - 2
    lines = plan_grid(side, side, 3, text=SheetText(title)).title
    assert ", ".join(lines) == title and len(lines) == (2 if side == 8 else 1)
    assert (
        grid(made, labels=False, title=title).pixels.shape == grid(made, labels=False).pixels.shape
    )


@pytest.mark.parametrize("colormap", ["gray", "diverging"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_a_legend_has_every_level_from_left_to_right(
    colormap: str, shared: bool, count: int
) -> None:
    values = np.random.default_rng(5).normal(size=(1, 30, 30, count))
    groups = [MapGroup(str(k), (k,)) for k in range(count)]
    options = RenderOptions("symmetric", shared_range=shared, colormap=colormap)
    made = make_tiles(values, groups, options, False)
    sheet = grid(made, legend=made)
    text = SheetText(
        names=("0", "1", "2")[:count], legend="one" if shared or count == 1 else "each"
    )
    bars = plan_grid(30, 30, count, text=text).bars
    assert len(bars) == (count if text.legend == "each" else 1)
    for bar in bars:
        row = sheet.pixels[bar.top + bar.height // 4, bar.columns].astype(int)
        red, blue = (row[:, 0], row[:, 2]) if colormap != "gray" else (row, -row)
        assert (np.diff(red - blue) >= 0).all() and np.ptp(red - blue) > 200
        numbers = sheet.pixels[bar.top + bar.height // 2 : bar.top + bar.height, bar.columns]
        assert (numbers < 100).any()
    for tile, box in zip(made, sheet.boxes, strict=True):
        step = slice(None, None, sheet.zoom)
        assert np.array_equal(sheet.pixels[box.rows, box.columns][step, step], tile.pixels)


def test_the_legend_of_a_constant_map_has_one_number() -> None:
    assert legend_numbers(LevelMapping("minmax", 2.0, 2.0)) == ("2",)
    made = make_tiles(np.full((1, 4, 4, 1), 2.0), [MapGroup("", (0,))], RenderOptions(), False)
    assert grid(made, legend=made).pixels.shape[1] > 100
