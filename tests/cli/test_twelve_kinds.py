"""Photographs of twelve kinds through conv and pool, against sums and maxima of numpy's own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from cnncli.io.images import read_bytes
from cnncli.io.read_options import ReadOptions
from tests.support.crafted import png, tiff
from tests.support.shell import run_cli

pytestmark = pytest.mark.usefixtures("empty_folder")

KERNEL = np.array([[0.0, -1.0, 0.0], [-0.5, 4.0, -1.0], [0.0, -1.0, 0.0]])
TEXT = "0 -1 0; -0.5 4 -1; 0 -1 0"
SAMPLES = Path(__file__).resolve().parents[2] / "sample_images"

Made = tuple[str, np.ndarray]
"""A file's name, and the values (H, W, C) that it must be read as."""


def photo(height: int = 40, width: int = 56) -> np.ndarray:
    """Return a part of a photograph, (H, W, 3) of uint8."""
    with Image.open(SAMPLES / "astronaut.png") as image:
        return np.asarray(image.convert("RGB"))[60 : 60 + height, 180 : 180 + width]


def grey(height: int = 40, width: int = 56) -> np.ndarray:
    return photo(height, width)[:, :, 1]


def deep() -> np.ndarray:
    """Return the photograph with 16 bits, the low ones of its own."""
    noise = np.random.default_rng(2).integers(0, 256, (40, 56, 3), np.uint16)
    return photo().astype(np.uint16) * 256 + noise


def turned() -> Made:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(photo()).save("turned.jpg", exif=exif, quality=95)
    with Image.open("turned.jpg") as image:
        return "turned.jpg", np.rot90(np.asarray(image), -1) / 255


def sixteen_bits() -> Made:
    rows = [row.astype(">u2").tobytes() for row in deep()]
    Path("deep.png").write_bytes(png(56, 40, 16, 2, rows))
    return "deep.png", deep() / 65_535


def transparent() -> Made:
    alpha = np.linspace(0, 255, 40 * 56).reshape(40, 56).astype(np.uint8)
    Image.fromarray(np.dstack([photo(), alpha])).save("alpha.png")
    return "alpha.png", photo() / 255 * (alpha[:, :, None] / 255)


def grey_and_alpha() -> Made:
    alpha = np.linspace(255, 0, 40 * 56).reshape(40, 56).astype(np.uint8)
    Image.fromarray(np.dstack([grey(), alpha])).save("grey-alpha.png")
    return "grey-alpha.png", (grey() / 255 * (alpha / 255))[:, :, None]


def inks() -> Made:
    cmyk = np.dstack([255 - photo(), np.full((40, 56), 40, np.uint8)])
    Image.fromarray(cmyk, "CMYK").save("inks.tif")
    # Pillow keeps the colours in whole numbers.
    return "inks.tif", np.rint(photo() * (215 / 255)) / 255


def planar() -> Made:
    data, size = np.moveaxis(deep(), 2, 0).astype("<u2").tobytes(), 40 * 56 * 2
    places = {284: (2,), 273: (8, 8 + size, 8 + 2 * size), 279: (size,) * 3}
    Path("planar.tif").write_bytes(tiff(56, 40, (16,) * 3, 2, data, extra=places))
    return "planar.tif", deep() / 65_535


def palette() -> Made:
    image = Image.fromarray(photo()).quantize(32)
    image.save("palette.png")
    colours = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    return "palette.png", colours[np.asarray(image)] / 255


def one_bit() -> Made:
    Image.fromarray(grey() > 100).save("bits.png")
    return "bits.png", (grey() > 100).astype(float)[:, :, None]


def huge() -> Made:
    large = np.tile(grey(), (20, 15))
    Image.fromarray(large).save("huge.png", compress_level=1)
    return "huge.png", large[:, :, None] / 255


def one_pixel() -> Made:
    Image.fromarray(photo(1, 1)).save("pixel.png")
    return "pixel.png", photo(1, 1) / 255


def one_row() -> Made:
    Image.fromarray(photo(1, 56)).save("row.png")
    return "row.png", photo(1, 56) / 255


def floats() -> Made:
    values = grey() / 255 * 1.5 - 0.25
    data = struct.pack(f"<{values.size}d", *values.ravel())
    Path("float.tif").write_bytes(tiff(56, 40, (64,), 1, data, sample_format=3))
    return "float.tif", values[:, :, None]


KINDS: list[Callable[[], Made]] = [
    turned,
    sixteen_bits,
    transparent,
    grey_and_alpha,
    inks,
    planar,
    palette,
    one_bit,
    huge,
    one_pixel,
    one_row,
    floats,
]


def filtered(values: np.ndarray) -> np.ndarray:
    """Return the sums of the kernel's windows; pictures go on beyond their edge."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = values.shape[:2]
    shifted = [
        KERNEL[i, j] * padded[i : i + height, j : j + width] for i in range(3) for j in range(3)
    ]
    return np.sum(shifted, axis=0)


def pooled(values: np.ndarray) -> np.ndarray:
    """Return the maxima of windows of 2x2; cells beyond the edge never win."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=-np.inf)
    return sliding_window_view(padded, (2, 2), axis=(0, 1))[::2, ::2].max(axis=(3, 4))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_filtered_and_pooled_as_numpy_does_it(kind: Callable[[], Made]) -> None:
    name, values = kind()
    for words, expected in (
        (("conv", name, "-f", TEXT), filtered(values)),
        (("pool", name, "--padding", "same"), pooled(values)),
    ):
        run_cli(*words, "-o", "values.npy", "--overwrite")
        assert np.allclose(np.load("values.npy"), expected, atol=2e-5)
        run_cli(*words, "-o", "picture.png", "--range", "clip", "--overwrite")
        picture = read_bytes(Path("picture.png").read_bytes(), ReadOptions())
        step = 1 / picture.scale
        shown = np.clip(expected, 0, 1)
        # Sums that fall between two levels may be rounded to either.
        assert np.abs(picture.values()[0] - shown).max() <= step * 0.51 + 2e-5, name
