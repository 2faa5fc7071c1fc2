"""Results to tiles, and the options that steer it."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import OptionError
from cnncli.render import colormaps
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.options import MapGroup, RenderOptions, picture_names
from cnncli.render.tiles import make_tiles, render_notes


def singles(count: int) -> list[MapGroup]:
    return [MapGroup(f"map {k}", (k,)) for k in range(count)]


def result(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 16, 17, 40])
def test_each_map_has_its_own_range(channels: int) -> None:
    values = result(2, 5, 7, channels)
    tiles = make_tiles(values, singles(channels), RenderOptions(range="minmax"), False)
    assert len(tiles) == 2 * channels
    for index, tile in enumerate(tiles):
        plane = values[index // channels, :, :, index % channels].astype(np.float64)
        lo, hi = plane.min(), plane.max()
        assert (tile.vmin, tile.vmax) == (lo, hi)
        assert np.array_equal(tile.pixels, np.rint((plane - lo) / (hi - lo) * 255))
        assert tile.channels == (index % channels,) and tile.image == index // channels


def test_channels_in_any_order() -> None:
    values = result(1, 4, 4, 40)
    order = [39, 0, 17, 16, 1]
    tiles = make_tiles(values, [MapGroup(str(k), (k,)) for k in order], RenderOptions(), False)
    for channel, tile in zip(order, tiles, strict=True):
        alone = make_tiles(values[..., [channel]], singles(1), RenderOptions(), False)[0]
        assert np.array_equal(tile.pixels, alone.pixels)


def test_shared_range() -> None:
    values = result(2, 4, 4, 3)
    tiles = make_tiles(values, singles(3), RenderOptions(shared_range=True), False)
    most = float(np.abs(values).max())
    assert {tile.mapping for tile in tiles} == {LevelMapping("symmetric", -most, most)}
    assert [tile.vmax for tile in tiles] == values.max(axis=(1, 2)).reshape(-1).tolist()


@pytest.mark.parametrize("channels", [(0, 1, 2), (2, 1, 0), (0, 2, 4)])
def test_colour_has_one_range_for_its_channels(channels: tuple[int, ...]) -> None:
    values = result(1, 3, 4, 5)
    (tile,) = make_tiles(values, [MapGroup("photo", channels)], RenderOptions(range="minmax"), True)
    chosen = values[0][..., list(channels)].astype(np.float64)
    lo, hi = chosen.min(), chosen.max()
    assert np.array_equal(tile.pixels, np.rint((chosen - lo) / (hi - lo) * 255))
    assert tile.shape == (3, 4, 3)


@pytest.mark.parametrize(("depth", "dtype"), [("8", np.uint8), ("16", np.uint16)])
def test_depth(depth: str, dtype: type) -> None:
    values = np.array([0, 1], np.float32).reshape(1, 1, 2, 1)
    (tile,) = make_tiles(values, singles(1), RenderOptions(depth=depth), True)
    assert tile.pixels.dtype == dtype
    assert tile.pixels.tolist() == [[0, np.iinfo(dtype).max]]


def test_colormap_is_for_single_maps_only() -> None:
    values = np.abs(result(1, 3, 4, 4))
    groups = [MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,))]
    options = RenderOptions(colormap="viridis")
    photo, edge = make_tiles(values, groups, options, False)
    grey = make_tiles(values, groups, RenderOptions(), False)
    assert np.array_equal(photo.pixels, grey[0].pixels) and photo.colormap == "gray"
    assert np.array_equal(edge.pixels, colormaps.table("viridis")[grey[1].pixels])
    assert render_notes(groups, options) == (
        "--colormap viridis is for single maps: photo stays as it is",
    )
    assert render_notes(groups[1:], options) == render_notes(groups, RenderOptions()) == ()


def test_counts_what_was_clipped_and_what_is_no_number() -> None:
    values = np.array([-1.0, 0.5, 2.0, 1.0, np.nan, np.inf], np.float32).reshape(1, 2, 3, 1)
    (tile,) = make_tiles(values, singles(1), RenderOptions(), True)
    assert tile.clipped_fraction == 0.5
    assert tile.non_finite == 2
    assert (tile.vmin, tile.vmax) == (-1.0, 2.0)


@pytest.mark.parametrize("colormap", ["gray", "viridis"])
def test_maps_of_one_cell_are_painted_as_longer_ones(colormap: str) -> None:
    values = np.array([-3, -1, -0.25, 0, 0.5, 2, np.nan, np.inf, -np.inf, 9], np.float32)
    values = np.stack([values, values[::-1]]).reshape(2, 1, 1, 10)
    groups = [MapGroup(str(k), (k,)) for k in (3, 0, 1, 2, 9, 8, 7, 6, 4, 5)]
    options = RenderOptions(range=(-2.0, 2.0), colormap=colormap)
    cells = make_tiles(values, groups, options, False)
    columns = make_tiles(values.repeat(2, axis=1), groups, options, False)
    for cell, column in zip(cells, columns, strict=True):
        np.testing.assert_array_equal(cell.pixels.repeat(2, axis=0), column.pixels)
        assert (cell.name, cell.channels, cell.image) == (
            column.name,
            column.channels,
            column.image,
        )
        assert (cell.seen.limits, 2 * cell.non_finite) == (column.seen.limits, column.non_finite)
        assert cell.clipped_fraction == column.clipped_fraction


def test_nothing_but_nan() -> None:
    (tile,) = make_tiles(np.full((1, 2, 2, 1), np.nan), singles(1), RenderOptions(), False)
    assert (tile.vmin, tile.vmax, tile.clipped_fraction, tile.non_finite) == (0, 0, 0, 4)
    assert not tile.pixels.any()


def test_values_are_left_alone() -> None:
    values = result(1, 4, 4, 6)
    before = values.copy()
    values.flags.writeable = False
    make_tiles(values, [*singles(6), MapGroup("rgb", (0, 1, 2))], RenderOptions(range="abs"), False)
    assert np.array_equal(values, before)


def test_float_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="written as values"):
        make_tiles(result(1, 2, 2, 1), singles(1), RenderOptions(depth="float"), False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"range": "best"}, "--range must be one of auto"),
        ({"range": (1.0, 1.0)}, "LO < HI"),
        ({"range": (0.0, float("inf"))}, "finite"),
        ({"colormap": "jet"}, "--colormap"),
        ({"depth": "32"}, "--depth"),
        ({"compress": "best"}, "--compress"),
        ({"columns": 0}, "--columns"),
        ({"depth": "16", "colormap": "magma"}, "--depth 16 needs --colormap gray"),
    ],
)
def test_bad_options(settings: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        RenderOptions(**settings)  # type: ignore[arg-type]


def test_names_of_a_batch() -> None:
    assert picture_names(singles(2)) == ("map 0", "map 1")
    assert picture_names(singles(2), 2) == ("map 0@0", "map 1@0", "map 0@1", "map 1@1")


def test_a_group_has_one_or_three_channels() -> None:
    with pytest.raises(ValueError, match="got 2"):
        MapGroup("pair", (0, 1))
