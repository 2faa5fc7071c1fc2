"""Results made strip by strip equal whole ones, in the same bytes for any number of threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array, stack
from cnncli.io.images import Picture
from cnncli.network.graph import Network, Node
from cnncli.network.layers import ActivationLayer, AddLayer, ConvLayer, Layer, PadLayer, PoolLayer
from cnncli.network.passes import forward
from cnncli.pipeline.feature_maps import FeatureMaps, layer_maps
from tests.support.shell import peak_memory, pixels, run_cli, save, save_array, values_of

RANDOM = np.random.default_rng(11)
PIXELS = RANDOM.integers(0, 256, (2, 61, 47, 3), np.uint8)
BANK = from_array(RANDOM.standard_normal((3, 2, 3, 5)), name="bank")
EDGES = stack([load_filter("sobel_h"), load_filter("edge")])

CHAINS: list[tuple[Layer, ...]] = [
    (ConvLayer(BANK, np.array([0.5]), stride=(2, 1), pad_mode="reflect", activation="relu"),),
    (ConvLayer(EDGES, np.array([0.1, -0.2]), dilation=2),),
    (ConvLayer(load_filter("gaussian_15"), pad_mode="wrap"),),
    (PoolLayer("max", 3, 2, "same"),),
    (PoolLayer("min", (2, 5), ceil=True),),
    (PoolLayer("average", 3, 1, 1, count_include_pad=True),),
    (PoolLayer("average", (4, 3), (3, 2), 1, ceil=True),),
    (PoolLayer("lp", 2, p=3.0),),
    (PoolLayer("max", 2, padding=5),),
    (PoolLayer("average", "global"),),
    (PadLayer((70, 3), "symmetric"),),
    (PadLayer(((0, 5), (7, 0)), pad_value=0.25),),
    (PadLayer(2), ConvLayer(BANK, padding="valid"), ActivationLayer("tanh"), PoolLayer("max")),
    (ConvLayer(EDGES), ConvLayer(load_filter("box"), stride=2), PoolLayer("average", 3, 1, "same")),
]


def picture(kind: type = np.uint8) -> Picture:
    if kind is np.uint8:
        return Picture(PIXELS, 255.0, True, True, (), "x.png")
    return Picture((PIXELS / 255).astype(kind), 1.0, False, True, (), "x.npy")


@pytest.mark.parametrize("layers", CHAINS)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_strips_make_what_the_whole_network_makes(
    layers: tuple[Layer, ...], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnncli.network.layers.base.STRIP_BYTES", 4_000)
    network, image = Network.chain(*layers), picture(kind)
    result = FeatureMaps(network, image)
    expected = forward(network, image.values()).values[network.nodes[-1].name]
    assert result.shape == expected.shape == network.output_shape(image.shape)
    tolerance = 1e-12 if kind is np.float64 else 2e-5
    blocks = np.concatenate([block.reshape(-1) for _, block in result.blocks()])
    np.testing.assert_allclose(blocks.reshape(expected.shape), expected, atol=tolerance)
    assert result.whole().dtype == (np.float64 if kind is np.float64 else np.float32)
    np.testing.assert_array_equal(result.whole().reshape(-1), blocks)


@pytest.mark.parametrize("layers", CHAINS)
def test_threads_do_not_change_a_bit(layers: tuple[Layer, ...]) -> None:
    one = FeatureMaps(Network.chain(*layers), picture(), jobs=1).whole()
    two = FeatureMaps(Network.chain(*layers), picture(), jobs=2).whole()
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("word", ["clip", "minmax", "symmetric", "abs", "-1,2"])
def test_a_picture_in_strips_is_the_picture_of_the_whole(
    empty_folder: Path, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("x.png", PIXELS[0])
    command = ("conv", "x.png", "-f", "sobel_v", "-f", "box", "--range", word, "--shared-range")
    run_cli(*command, "-o", "held.png")
    monkeypatch.setattr("cnncli.pipeline.feature_maps.HELD_BYTES", 0)
    run_cli(*command, "-o", "strips.png", "--jobs", 1)
    np.testing.assert_array_equal(pixels("held.png"), pixels("strips.png"))


@pytest.mark.parametrize("shared", [(), ("--shared-range",)])
def test_the_range_auto_does_not_depend_on_strips_or_threads(
    empty_folder: Path, shared: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("x.png", PIXELS[0])
    bank = np.random.default_rng(6).normal(size=(3, 3, PIXELS.shape[3], 3))
    save_array("bank.npy", bank)
    command = ("conv", "x.png", "-f", "bank.npy", *shared)
    run_cli(*command, "-o", "held.png")
    monkeypatch.setattr("cnncli.pipeline.feature_maps.HELD_BYTES", 0)
    monkeypatch.setattr("cnncli.pipeline.feature_maps.ALONE_VALUES", 0)
    for jobs in (1, 4):
        told = run_cli(*command, "-o", f"{jobs}.png", "--jobs", jobs)
        assert "clipped; --range symmetric shows all)" in told.stderr
        np.testing.assert_array_equal(pixels("held.png"), pixels(f"{jobs}.png"))


def test_the_algorithm_can_be_chosen_and_is_said(empty_folder: Path) -> None:
    save("x.png", PIXELS[0])
    expected = values_of("conv", "x.png", "-f", "sharpen")
    for name in ("shift-add", "low-rank", "banded", "matmul", "fourier"):
        words = ("conv", "x.png", "-f", "sharpen", "--algorithm", name)
        np.testing.assert_allclose(values_of(*words), expected, atol=1e-5)
        result = run_cli(*words, "-v", "-o", f"{name}.npy")
        assert f"computed by {name}: asked for" in result.stderr
    assert "computed by " in run_cli("conv", "x.png", "-f", "sharpen", "-v", "-o", "v.npy").stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("conv", "large.png", "-f", "sobel_v", "-o", "o.png"),
        ("conv", "large.png", "-f", "1 2 3; 4 5 6; 7 8 1", "--range", "minmax", "-o", "o.png"),
        ("conv", "large.png", "-f", "gaussian_15", "-o", "o.npy"),
        ("pool", "large.png", "--size", "3", "--stride", "1", "-o", "o.png"),
        ("conv", "large.png", "-f", "luminance", "-o", "o.png"),
    ],
)
def test_memory_is_the_pictures_and_little_more(empty_folder: Path, words: tuple[str, ...]) -> None:
    height, width = 3000, 4000
    base = np.tile(PIXELS[0, :60, :40], (50, 100, 1))
    Image.fromarray(base).save("large.png", compress_level=1)
    # In and out, and Pillow holds three samples in four bytes.
    pictures = 2 * height * width * 4
    assert peak_memory(words) < pictures + 100 * 2**20


@pytest.mark.parametrize("limit", [0, 2**30])
def test_layers_one_by_one_are_the_networks_up_to_them(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnncli.pipeline.feature_maps.WHOLE_BYTES", limit)
    network = Network.chain(*max(CHAINS, key=len))
    image = picture(np.float64)
    expected = forward(network, image.values()).values
    found = [(name, maps.whole()) for name, maps in layer_maps(network, image, network.names)]
    assert [name for name, _ in found] == list(network.names)
    for name, values in found:
        np.testing.assert_allclose(values, expected[name], atol=1e-12)


def test_the_bytes_do_not_depend_on_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    for layers in CHAINS:
        whole = FeatureMaps(Network.chain(*layers), picture(np.float32)).whole()
        with monkeypatch.context() as patch:
            patch.setattr("cnncli.pipeline.feature_maps.WHOLE_BYTES", 0)
            patch.setattr("cnncli.network.layers.base.STRIP_BYTES", 4_000)
            strips = FeatureMaps(Network.chain(*layers), picture(np.float32)).whole()
        assert whole.tobytes() == strips.tobytes()


def test_a_network_that_parts_and_joins_is_run_whole() -> None:
    nodes = Network.chain(*max(CHAINS, key=len)).nodes
    last = nodes[-1].name
    network = Network((*nodes, Node("twice", AddLayer(), (last, last))))
    image = picture(np.float64)
    result = FeatureMaps(network, image)
    expected = 2 * FeatureMaps(Network(nodes), image).whole()
    blocks = np.concatenate([block.reshape(-1) for _, block in result.blocks()])
    np.testing.assert_array_equal(blocks, expected.reshape(-1))
