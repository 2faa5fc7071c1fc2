"""Maps that are zero but for rounding are drawn as zero, and the report says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.netfiles import layer
from tests.support.shell import pixels, run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")


def ranges_of(*words: str) -> tuple[dict[str, list[float]], list[str]]:
    told = json.loads(run_cli(*words, "-o", "y.png", "--overwrite", "--json").stdout)
    return dict(zip(told["maps"], told["ranges"], strict=True)), told["notes"]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_flat_picture_has_no_waves(jobs: str) -> None:
    save("flat.png", np.full((32, 32), 128, np.uint8))
    words = "conv", "flat.png", "-f", "dct_8", "--stride", "8", "--jobs", jobs
    ranges, notes = ranges_of(*words)
    # The mean is 128/255 in each of 8x8 windows, times 8; all other waves have none.
    most = ranges.pop("dct_0_0")[1]
    assert most == pytest.approx(128 / 255 * 8, rel=1e-5)
    assert set(map(tuple, ranges.values())) == {(0.0, 0.0)}
    assert len(notes) == 1 and " more are zero but for rounding (at most" in notes[0]
    run_cli(*words, "-o", "m/")
    assert (pixels("m/flat-dct_1_1.png") == 128).all()


@pytest.mark.parametrize("side", [64, 400])
@pytest.mark.parametrize("border", ["zeros", "edge"])
def test_a_vertical_edge_has_no_waves_along_it(border: str, side: int) -> None:
    image = np.full((side, side), 30, np.uint8)
    image[:, side // 2 :] = 200
    save("step.png", image)
    ranges, notes = ranges_of("conv", "step.png", "-f", "gabor_bank", "--pad-mode", border)
    if border == "edge":
        assert ranges["gabor_90"] == [0, 0]
        assert notes[0].startswith("gabor_90 is zero but for rounding (at most ")
    else:
        # What the border of zeros makes is no rounding.
        assert ranges["gabor_90"][1] > 0.1 and not notes
    assert ranges["gabor_0"][1] > 0.1


def test_a_range_that_was_asked_for_is_exact_and_noted() -> None:
    save("flat.png", np.full((16, 16), 128, np.uint8))
    words = "conv", "flat.png", "-f", "high_pass"
    ranges, notes = ranges_of(*words, "--range", "symmetric")
    ((low, high),) = ranges.values()
    assert 0 < high < 1e-6 and low == -high
    assert notes[0].startswith("high_pass is zero but for rounding")
    assert not any("rounding" in note for note in ranges_of(*words)[1])


@pytest.mark.parametrize("command", [("pad", "--padding", "0"), ("pool", "--mode", "max")])
def test_small_numbers_that_are_no_sums_are_no_rounding(command: tuple[str, ...]) -> None:
    maps = np.random.default_rng(0).uniform(0, 1, (8, 8, 2)).astype(np.float32)
    maps[:, :, 0] *= 1e-9
    save_array("maps.npy", maps)
    ranges, notes = ranges_of(command[0], "maps.npy", *command[1:])
    assert 0 < min(high for _, high in ranges.values()) <= 1e-9 and not notes


def test_small_weights_make_small_sums_that_are_no_rounding() -> None:
    save("x.png", np.random.default_rng(1).integers(0, 256, (9, 9), np.uint8))
    weights = np.ones((2, 2, 1, 2), np.float32)
    weights[..., 0] = 1e-9
    save_array("w.npy", weights)
    ranges, notes = ranges_of("conv", "x.png", "-f", "w.npy")
    assert 1e-10 < min(high for _, high in ranges.values()) < 1e-8 and not notes


def test_behind_several_layers_the_largest_of_the_layer_tells() -> None:
    save("flat.png", np.full((32, 32), 128, np.uint8))
    Path("net.toml").write_text(
        layer("conv", filter="dct_8", stride=8, padding="valid") + layer("pool", size=2)
    )
    ranges, notes = ranges_of("run", "net.toml", "flat.png")
    assert sum(tuple(one) == (0, 0) for one in ranges.values()) >= 60
    assert "zero but for rounding" in notes[0]


def test_zero_has_no_sign() -> None:
    save("zero.png", np.zeros((8, 8), np.uint8))
    words = "conv", "zero.png", "-f", "high_pass", "--range", "symmetric", "-o", "y.png"
    told = run_cli(*words).stderr
    assert "range symmetric 0..0" in told and "-0" not in told
    assert "-0" not in run_cli(*words, "--overwrite", "--json").stdout.replace("e-0", "")


@pytest.mark.parametrize(
    "last",
    [
        layer("softmax"),
        layer("activation", activation="softmax"),
        layer("lrn", size=3, alpha=1e-4, beta=0.75) + layer("softmax"),
        layer("mul", inputs=["conv1", "conv1"]),
    ],
)
def test_shares_and_products_may_be_as_small_as_they_like(last: str) -> None:
    save("x.png", np.random.default_rng(1).integers(200, 256, (9, 9), np.uint8))
    weights = np.zeros((1, 1, 1, 2), np.float32)
    weights[..., 0], weights[..., 1] = 1e-5, 25.0
    save_array("w.npy", weights)
    Path("net.toml").write_text(layer("conv", filter="w.npy") + last)
    ranges, notes = ranges_of("run", "net.toml", "x.png")
    assert 0 < min(high for _, high in ranges.values()) < 1e-6
    assert not any("rounding" in note for note in notes)
