"""Pictures that become numbers again: --as-values, of all formats, ranges and colormaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.shell import refused_untouched, run_cli, save, save_array, values_of
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(18)
VALUES = (RANDOM.standard_normal((6, 8, 1)) * 3).astype(np.float32)
MAPS = (RANDOM.standard_normal((6, 8, 5)) * [1, 2, 3, 4, 5]).astype(np.float32)
KEEP = ("pad", "--padding", "0")


@pytest.fixture(autouse=True)
def inputs(empty_folder: Path) -> None:
    save("x.png", RANDOM.integers(0, 256, (6, 8, 3), np.uint8))
    save_array("one.npy", VALUES)
    save_array("maps.npy", MAPS)


OPTIONS = [
    "--range minmax",
    "--range symmetric",
    "--range minmax --depth 16",
    "--range minmax --colormap viridis",
    "--range symmetric --colormap diverging",
    "--range minmax --shared-range --columns 2 --no-labels",
]


@pytest.mark.parametrize(
    ("name", "options", "suffix"), sweep(["one", "maps"], OPTIONS, ["png", "tif", "webp"])
)
def test_numbers_come_back(name: str, options: str, suffix: str) -> None:
    words = options.split()
    if suffix == "webp" and "16" in words:
        words.remove("16")
        words.remove("--depth")
    run_cli(*KEEP, f"{name}.npy", "-o", f"y.{suffix}", *words)
    values = VALUES if name == "one" else MAPS
    got = values_of(*KEEP, f"y.{suffix}", "--as-values")
    low, high = values.min(axis=(0, 1)), values.max(axis=(0, 1))
    if "--shared-range" in words:
        low, high = values.min(), values.max()
    if "symmetric" in words:
        high = np.maximum(high, -low)
        low = -high
    step = (high - low) / (65_535 if "16" in words else 255)
    # Around zero a symmetric range of 255 levels has one level more above than below.
    assert (np.abs(got - values) <= step / 2 * 1.001 + 1e-6).all()


def test_colour_comes_back() -> None:
    run_cli("conv", "x.png", "-f", "sobel_v", "-o", "y.png", "--range", "symmetric")
    expected = values_of("conv", "x.png", "-f", "sobel_v")
    got = values_of("conv", "y.png", "--as-values", "-f", "1")
    assert np.abs(got - expected).max() <= np.abs(expected).max() / 255 * 1.001
    pooled = values_of("pool", "y.png", "--as-values")
    assert np.array_equal(pooled, got.reshape(3, 2, 4, 2, 3).max(axis=(1, 3)))


def test_a_batch_comes_back() -> None:
    batch = RANDOM.standard_normal((3, 4, 5, 2)).astype(np.float32)
    save_array("b.npy", batch)
    run_cli(*KEEP, "b.npy", "-o", "y.png", "--range=-4,4")
    got = values_of(*KEEP, "y.png", "--as-values")
    assert np.abs(got - batch).max() <= 8 / 255 / 2 * 1.001


@pytest.mark.parametrize("name", ["x.png", "y.jpg", "changed.png"])
def test_pictures_without_numbers(name: str) -> None:
    run_cli(*KEEP, "one.npy", "-o", "y.jpg")
    run_cli(*KEEP, "one.npy", "-o", "y.png")
    with Image.open("y.png") as image:
        image.resize((4, 3)).save("changed.png", pnginfo=_text(image.info["cnncli"]))
    error = refused_untouched(*KEEP, name, "--as-values")
    assert error.startswith(f"cnncli: error: '{name}': ") and "--as-values" in error


def _text(text: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_text("cnncli", text)
    return chunks
