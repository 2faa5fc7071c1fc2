"""The range ``auto`` of 2-D filters and pools: 0..1 only where the input lies in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.shell import run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(11)
VALUES = RANDOM.random((12, 16)).astype(np.float32)


def range_of(*words: str) -> str:
    """Return what the report of a command says of the range."""
    told = run_cli(*words, "-o", "y.png", "--overwrite").stderr
    return told.partition(", range ")[2].removeprefix("auto, ")


def save_float(name: str, values: np.ndarray) -> None:
    """Write floats as an array, or as a picture."""
    if name.endswith(".npy"):
        save_array(name, values)
    else:
        Image.fromarray(values).save(name)


@pytest.mark.parametrize("name", ["x.npy", "x.tif"])
@pytest.mark.parametrize(
    ("factor", "shift", "filter_name", "said"),
    [
        (5.0, 0.0, "edge", "symmetric "),
        (2.4, 1.1, "box", "minmax "),
        (-1.0, 0.0, "box", "symmetric "),
        (1.0, 0.0, "edge", "clip 0..1"),
    ],
)
def test_floats_beyond_0_to_1_are_never_clipped_to_it(
    name: str, factor: float, shift: float, filter_name: str, said: str
) -> None:
    save_float(name, VALUES * np.float32(factor) + np.float32(shift))
    assert range_of("conv", name, "-f", filter_name).startswith(said)


@pytest.mark.parametrize("name", ["x.npy", "x.tif"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("factor", "said"), [(1.0, "clip 0..1"), (3.0, "minmax ")])
def test_values_that_are_not_finite_do_not_choose_the_range(
    name: str, value: float, factor: float, said: str
) -> None:
    values = VALUES * np.float32(factor)
    values[5, 5] = value
    save_float(name, values)
    assert range_of("conv", name, "-f", "box").startswith(said)


def test_a_pooled_float_tiff_is_seen_as_the_array_is() -> None:
    save_float("x.tif", VALUES * 2 + 1)
    assert range_of("pool", "x.tif").startswith("minmax ")
    save_float("x.tif", VALUES)
    assert range_of("pool", "x.tif").startswith("clip 0..1")


@pytest.mark.parametrize("words", [("--gray",), ("--background", "white"), ()])
@pytest.mark.parametrize("channels", [3, 4])
def test_white_that_was_computed_is_still_white(words: tuple[str, ...], channels: int) -> None:
    # Weights of luminance and shares of transparency need not add up to 1 in float32.
    levels = RANDOM.integers(0, 256, (40, 40, channels), np.uint8)
    levels[:, :, :3] = 255
    save("white.png", levels)
    assert range_of("conv", "white.png", "-f", "box", *words).startswith("clip 0..1")


def test_white_that_was_resized_is_still_white() -> None:
    save("white.png", np.full((23, 31, 3), 255, np.uint8))
    Path("net.toml").write_text(
        '[input]\nsize = [17, 19]\n[[layers]]\ntype = "conv"\nfilter = "box"\n'
    )
    assert range_of("run", "net.toml", "white.png").startswith("clip 0..1")
