"""8-bit pictures under filters of whole numbers are summed as whole numbers: exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array, stack
from cnncli.io.images import Picture
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.pipeline.feature_maps import FeatureMaps
from cnncli.render.finite_values import ValueRange
from cnncli.render.grey_levels import LevelMapping, paint_levels
from cnncli.render.options import MapGroup, RenderOptions
from cnncli.render.tiles import make_tiles
from tests.support.judges import loop_conv_forward
from tests.support.levels import to_levels
from tests.support.shell import run_cli, save
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(5)
PIXELS = RANDOM.integers(0, 256, (1, 37, 29, 3), np.uint8)
UINT8 = np.dtype(np.uint8)
SHAPE = PIXELS.shape
SHARPEN = "0 -1 0; -1 5 -1; 0 -1 0"
SIGNS = from_array(RANDOM.integers(-3, 4, (4, 3)).astype(np.float64), name="signs")

EXACT = {
    "sharpen": ConvLayer(load_filter(SHARPEN), pad_mode="edge"),
    "strided": ConvLayer(load_filter("sobel_v"), stride=(2, 3), padding=(1, 2)),
    "dilated": ConvLayer(load_filter("laplacian"), dilation=(2, 1), pad_mode="reflect"),
    "lopsided": ConvLayer(SIGNS, padding="valid"),
    "two": ConvLayer(stack([load_filter("sobel_h"), load_filter(SHARPEN)]), pad_mode="wrap"),
    "largest": ConvLayer(load_filter("64 -64"), pad_mode="symmetric"),
    "lightest": ConvLayer(load_filter("100 28"), pad_mode="symmetric"),
    "no bias": ConvLayer(load_filter(SHARPEN), np.zeros(1)),
}

NOT_WHOLE = {
    "shares": ConvLayer(load_filter("box")),
    "too heavy": ConvLayer(load_filter("100 29")),
    "bias": ConvLayer(load_filter(SHARPEN), np.array([1.0])),
    "grey pads": ConvLayer(load_filter(SHARPEN), pad_mode="zeros", pad_value=0.5),
    "activation": ConvLayer(load_filter(SHARPEN), activation="relu"),
    "asked for": ConvLayer(load_filter(SHARPEN), algorithm="fourier"),
    "across channels": ConvLayer(from_array(np.ones((3, 3, 3)), name="sum")),
    "a long way round": ConvLayer(load_filter(";".join(["1 1 1 1 1 1 1 1 1 1 1"] * 11))),
}


def picture(pixels: np.ndarray = PIXELS) -> Picture:
    return Picture(pixels, 255.0, True, False, (), "a.png")


def by_loop(layer: ConvLayer, pixels: np.ndarray) -> np.ndarray:
    """The layer's sums of pixels as the plain loop finds them, in float64."""
    weights, channels = layer.filter.weights, pixels.shape[3]
    bank = np.tile(weights, (1, 1, channels))[:, :, None, :]
    names = {"pad": "padding", "pad_mode": "border_mode"}
    names |= {name: name for name in ("stride", "dilation")}
    options = {field: getattr(layer, name) for field, name in names.items()}
    options["groups"] = channels
    found = loop_conv_forward(
        pixels.astype(float), bank, np.zeros((1, 1, 1, bank.shape[3])), options
    )
    split = found.reshape(*found.shape[:3], channels, weights.shape[2])
    return split.swapaxes(3, 4).reshape(found.shape)


def levels_of(layer: ConvLayer, pixels: np.ndarray) -> np.ndarray:
    """The layer's sums as they become levels, before they are clipped."""
    maps = FeatureMaps(Network.chain(layer), picture(pixels))
    strips = maps.map_strips(lambda image, rows, values: values.copy(), in_levels=True)
    found = np.concatenate(strips)[None]
    assert found.dtype == np.int16 and found.shape == maps.shape
    return found


@pytest.mark.parametrize(("name", "rows"), sweep(EXACT, [1, 100]))
def test_sums_are_those_of_the_loop(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncli.core.strips.STRIP_BYTES", rows * 1000)
    layer = EXACT[name]
    assert layer.pixel_dtype(SHAPE, UINT8) == np.int16
    np.testing.assert_array_equal(levels_of(layer, PIXELS), by_loop(layer, PIXELS))


@pytest.mark.parametrize("text", ["128", "-128", "64 -64", "1 -127"])
@pytest.mark.parametrize("shade", [0, 255])
def test_the_heaviest_filters_do_not_overflow(text: str, shade: int) -> None:
    layer = ConvLayer(load_filter(text), pad_mode="edge")
    pixels = np.full((1, 4, 6, 1), shade, np.uint8)
    pixels[:, :, ::2] = 255
    np.testing.assert_array_equal(levels_of(layer, pixels), by_loop(layer, pixels))


@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_of_the_floats(name: str) -> None:
    """A network's layer, alone or among others, has the same bytes."""
    network, image = Network.chain(EXACT[name]), picture()
    ours = FeatureMaps(network, image)
    ours.map_strips(lambda image, rows, values: None, in_levels=True)
    floats = Picture(image.values(), 1.0, False, False, (), "a.npy")
    assert ours.whole().tobytes() == FeatureMaps(network, floats).whole().tobytes()


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_all_other_layers_take_floats(name: str) -> None:
    assert NOT_WHOLE[name].pixel_dtype(SHAPE, UINT8) is None


def test_deeper_pictures_and_arrays_take_floats() -> None:
    layer = EXACT["sharpen"]
    for dtype in ("uint16", "float32", "float64"):
        assert Network.chain(layer).pixel_dtype(SHAPE, np.dtype(dtype)) is None
    assert Network.chain(layer, PoolLayer()).pixel_dtype(SHAPE, UINT8) is None


@pytest.mark.parametrize("spec", ["auto", "clip", "minmax", "symmetric", "abs", (0.0, 1.0)])
@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize("name", ["sharpen", "strided"])
def test_pictures_are_those_of_the_values(name: str, depth: str, spec: str) -> None:
    options = RenderOptions(range=spec, depth=depth)
    groups = [MapGroup("", (0, 1, 2))]
    maps = FeatureMaps(Network.chain(EXACT[name]), picture())
    (ours,) = make_tiles(maps, groups, options, True)
    (expected,) = make_tiles(maps.whole(), groups, options, True)
    assert ours.pixels.tobytes() == expected.pixels.tobytes()
    told = [
        (tile.mapping, tile.non_finite, pytest.approx([tile.vmin, tile.vmax], abs=1e-6))
        for tile in (ours, expected)
    ]
    assert told[0][:2] == told[1][:2] and [ours.vmin, ours.vmax] == told[1][2]
    assert ours.clipped_fraction == pytest.approx(expected.clipped_fraction, abs=0.02)


def test_pooled_pixels_are_shown_as_they_are() -> None:
    groups, options = [MapGroup("", (0, 1, 2))], RenderOptions(range="clip")
    maps = FeatureMaps(Network.chain(PoolLayer("max", 3, 2)), picture())
    (tile,) = make_tiles(maps, groups, options, True)
    (expected,) = make_tiles(maps.whole(), groups, options, True)
    assert tile.pixels.tobytes() == expected.pixels.tobytes()


def test_whole_numbers_are_levels() -> None:
    mapping = LevelMapping("clip", 0, 1)
    whole = np.array([[-300, -1, 0], [1, 128, 255], [256, 32767, -32768]], np.int16)
    levels = np.empty(whole.shape, np.uint8)
    found = paint_levels(whole, mapping, "8", levels)
    assert levels.tolist() == [[0, 0, 0], [1, 128, 255], [255, 255, 0]]
    assert found == ValueRange(-32768 / 255, 32767 / 255, clipped=5)
    assert levels.tolist() == to_levels(whole / np.float32(255), mapping).tolist()


def test_whole_numbers_of_many_blocks_are_looked_at_as_one() -> None:
    whole = np.random.default_rng(0).integers(-9, 270, (3, 300_000)).astype(np.int16)
    whole[:2] = whole[:2].clip(0, 255)
    levels = np.empty(whole.shape, np.uint8)
    found = paint_levels(whole, LevelMapping("clip", 0, 1), "8", levels)
    np.testing.assert_array_equal(levels, whole.clip(0, 255))
    outside = int(((whole < 0) | (whole > 255)).sum())
    assert found == ValueRange(-9 / 255, 269 / 255, clipped=outside)


def test_verbose_says_so(empty_folder: Path) -> None:
    save(empty_folder / "a.png", PIXELS[0])
    said = run_cli("conv", "a.png", "--filter", "sobel_v", "-v", "-o", "b.png").stderr
    assert "8-bit pictures of the range 0..1 by shift-add on whole numbers" in said
