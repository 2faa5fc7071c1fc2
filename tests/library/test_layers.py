"""`cnncli.pad`, `conv` and `pool`: the values and pictures of the commands of these names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError, ShapeError
from cnncli.library.result import MapsArray
from tests.support.judges import loop_conv_forward
from tests.support.shell import pixels, run_cli, save, values_of

RNG = np.random.default_rng(8)
PHOTO = RNG.integers(0, 256, (15, 20, 3), np.uint8)
BANK = RNG.normal(size=(3, 3, 3, 4))


@pytest.fixture(autouse=True)
def photo(empty_folder: Path) -> None:
    """A small photograph and a bank of filters in the current folder."""
    save("photo.png", PHOTO)
    np.save("bank.npy", BANK)


def check_is_command(maps: MapsArray, command: str, *words: object) -> None:
    """Compare values and picture with those that a command makes of the photograph."""
    np.testing.assert_array_equal(np.asarray(maps), values_of(command, "photo.png", *words))
    run_cli(command, "photo.png", *words, "-o", "sheet.png")
    Path("shown.png").write_bytes(maps._repr_png_() or b"")
    np.testing.assert_array_equal(pixels("shown.png"), pixels("sheet.png"))


PADS: list[tuple[list[object], Any, dict[str, Any]]] = [
    (["--padding", 3], 3, {}),
    (["--padding", "1,2,3,4", "--pad-mode", "reflect"], (1, 2, 3, 4), {"pad_mode": "reflect"}),
    (["--padding", "2,0", "--pad-value", 0.5, "--gray"], (2, 0), {"pad_value": 0.5, "gray": True}),
]


@pytest.mark.parametrize(("words", "padding", "options"), PADS)
def test_pad_is_the_command(words: list[object], padding: Any, options: dict[str, Any]) -> None:
    check_is_command(cnncli.pad("photo.png", padding, **options), "pad", *words)


CONVS: list[tuple[list[object], Any, dict[str, Any]]] = [
    (["-f", "edge"], "edge", {}),
    (["-f", "gaussian:2.5", "--gray"], "gaussian:2.5", {"gray": True}),
    (
        ["-f", "sobel_h", "-f", "gaussian_5", "--stride", "2,1", "--activation", "relu"],
        ["sobel_h", "gaussian_5"],
        {"stride": (2, 1), "activation": "relu"},
    ),
    (
        ["-f", "bank.npy", "--bias", "0.5", "--padding", "1,0,2,1", "--dilation", 2],
        Path("bank.npy"),
        {"bias": 0.5, "padding": (1, 0, 2, 1), "dilation": 2},
    ),
    (
        ["-f", "1 2; 3 4", "--flip", "--normalize", "--pad-value", "0.25"],
        [[1, 2], [3, 4]],
        {"flip": True, "normalize": True, "pad_value": 0.25},
    ),
    (["-f", "box", "--convention", "opencv"], "box", {"convention": "opencv"}),
]


@pytest.mark.parametrize(("words", "filter", "options"), CONVS)
def test_conv_is_the_command(words: list[object], filter: Any, options: dict[str, Any]) -> None:
    check_is_command(cnncli.conv("photo.png", filter, **options), "conv", *words)


def test_conv_of_arrays_is_the_loop_of_the_course() -> None:
    X, bias = PHOTO / 255, np.array([0.1, -0.2, 0.3, 0.0])
    maps = cnncli.conv(X, BANK, bias=bias, padding=1, stride=2)
    hparameters = {"stride": 2, "pad": 1}
    expected = loop_conv_forward(X[None], BANK, bias.reshape(1, 1, 1, -1), hparameters)[0]
    np.testing.assert_allclose(np.asarray(maps), expected, atol=1e-12)
    turned = cnncli.conv(X, BANK.transpose(3, 2, 0, 1), bias=bias, padding=1, stride=2,
                         filter_layout="oihw")  # fmt: skip
    np.testing.assert_array_equal(turned, maps)


POOLS: list[tuple[list[object], dict[str, Any]]] = [
    ([], {}),
    (["--mode", "average", "--size", 3, "--stride", 2, "--padding", "same"],
     {"mode": "average", "size": 3, "stride": 2, "padding": "same"}),
    (["--mode", "lp", "--p", 3, "--ceil"], {"mode": "lp", "p": 3, "ceil": True}),
    (["--size", "global"], {"size": "global"}),
    (["--mode", "average", "--padding", 1, "--count-include-pad"],
     {"mode": "average", "padding": 1, "count_include_pad": True}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "options"), POOLS)
def test_pool_is_the_command(words: list[object], options: dict[str, Any]) -> None:
    maps = cnncli.pool("photo.png", **options)
    np.testing.assert_array_equal(np.asarray(maps), values_of("pool", "photo.png", *words))


def test_layers_chain_without_loss() -> None:
    pooled = cnncli.pool(cnncli.conv("photo.png", "edge", activation="relu"), size=3)
    run_cli("conv", "photo.png", "-f", "edge", "--activation", "relu", "-o", "edges.npy")
    np.testing.assert_array_equal(pooled, values_of("pool", "edges.npy", "--size", 3))


def test_errors_are_those_of_the_commands() -> None:
    with pytest.raises(OptionError, match="nearest built-in: edge"):
        cnncli.conv("photo.png", "egde")
    with pytest.raises(OptionError, match="no such file"):
        cnncli.conv("photo.png", "none.npy")
    with pytest.raises(ShapeError, match="'photo.png': "):
        cnncli.conv("photo.png", np.ones((3, 3, 5)))
    with pytest.raises(OptionError, match="--pad-value is for --pad-mode zeros"):
        cnncli.pad("photo.png", 2, pad_mode="edge", pad_value=1)
    with pytest.raises(OptionError, match="pad mode"):
        cnncli.pad("photo.png", 2, pad_mode="mirror")
    with pytest.raises(OptionError, match="padding"):
        cnncli.pad("photo.png", -1)
    with pytest.raises(OptionError, match="--p is for lp pooling"):
        cnncli.pool("photo.png", p=3)
    with pytest.raises(OptionError, match="--convention must be one of torch"):
        cnncli.pool("photo.png", convention="opencv")
    with pytest.raises(OptionError, match="activation"):
        cnncli.conv("photo.png", "edge", activation="swosh")
    with pytest.raises(OptionError, match="padding"):
        cnncli.conv("photo.png", "edge", padding="some")
    with pytest.raises(OptionError, match="mode"):
        cnncli.pool("photo.png", "median")
    with pytest.raises(OptionError, match="stride"):
        cnncli.pool("photo.png", stride=0)


def test_the_hint_to_a_wrong_mode_names_the_one_that_is_alike() -> None:
    with pytest.raises(OptionError, match="mode must be one of max, average") as caught:
        cnncli.pool(np.ones((4, 4)), mode="averag")
    assert caught.value.hint == "--mode average"


@pytest.mark.parametrize("given", [["max"], {}, np.array(["max", "min"])], ids=str)
def test_what_is_no_word_is_refused_by_the_arguments_name(given: Any) -> None:
    image = np.ones((4, 4))
    with pytest.raises(OptionError, match="mode must be one of max, average, min, lp, got"):
        cnncli.pool(image, given)
    with pytest.raises(OptionError, match="mode must be one of max, average, min, lp, got"):
        cnncli.explain(image, pool=given, at=(0, 0))
    for name in ("activation", "algorithm", "convention", "filter_layout", "pad_mode"):
        with pytest.raises(OptionError, match=f"{name.split('_')[-1]} must be "):
            cnncli.conv(image, "edge", **{name: given})
    with pytest.raises(OptionError, match="convention must be "):
        cnncli.pool(image, convention=given)


def test_an_array_of_a_word_is_one() -> None:
    image = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(cnncli.pool(image, np.array("mean")), cnncli.pool(image, "mean"))


def test_a_pool_takes_other_names_of_an_average_and_its_size_in_its_place() -> None:
    image = np.arange(48.0).reshape(6, 8)
    expected = cnncli.pool(image, "average", size=3, stride=2)
    for mode in ("avg", "mean"):
        np.testing.assert_array_equal(cnncli.pool(image, mode, 3, 2), expected)
    explained = cnncli.explain(image, pool="avg", size=3, stride=2, at=(0, 1))
    assert explained.result.explanation.steps[0].value == expected[0, 1, 0]
    with pytest.raises(TypeError, match="nearest: stride"):
        cnncli.explain(image, pool="avg", strid=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'mode'"):
        cnncli.explain(image, pool="avg", mode="max")
