"""Labelled grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cnncli.render.grid import grid, label_font, plan_grid, shorten


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
    layout = plan_grid(height, width, count, columns, labels)
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


@pytest.mark.parametrize("width", [5, 20, 60, 96, 150])
@pytest.mark.parametrize("text", ["edge", "block3-conv2-filter-017", "W" * 5000])
def test_names_are_shortened_to_fit(text: str, width: int) -> None:
    font = label_font(12)
    short = shorten(text, width, font)
    assert font.getlength(short) <= width
    assert short == text or "..." in short or width < 12
    if short != text and len(short) > 5:
        assert short[-1] == text[-1] and short[0] == text[0]


@pytest.mark.parametrize(
    "name", ["", "two\nlines", "esc\x1b[31m", "\udcff", "Größe", "日本", "x" * 9999]
)
def test_any_name_can_be_a_label(name: str) -> None:
    sheet = grid([Plain(name, np.zeros((96, 96), np.uint8))] * 2)
    assert sheet.pixels.shape == grid(tiles(2, 96, 96)).pixels.shape
