"""``cnncli pad`` as a user meets it, judged by `numpy.pad`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shell import (
    pixels,
    refused_untouched,
    run_cli,
    save,
    save_array,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(5)
RGB = RANDOM.integers(0, 256, (4, 6, 3), np.uint8)
VALUES = RANDOM.standard_normal((4, 6, 2)).astype(np.float32)
PADS: dict[str, tuple[tuple[int, int], ...]] = {
    "0": ((0, 0), (0, 0)),
    "2": ((2, 2), (2, 2)),
    "1,3": ((1, 1), (3, 3)),
    "1,2,3,4": ((1, 2), (3, 4)),
    "0,0,0,5": ((0, 0), (0, 5)),
    "same": ((0, 0), (0, 0)),
    "same-lower": ((0, 0), (0, 0)),
    "valid": ((0, 0), (0, 0)),
}
MODES = {
    "zeros": "constant",
    "edge": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "wrap": "wrap",
}


@pytest.mark.parametrize("text", PADS)
def test_every_way_to_write_the_padding(text: str) -> None:
    save_array("x.npy", VALUES)
    got = values_of("pad", "x.npy", "--padding", text)
    assert np.array_equal(got, np.pad(VALUES, (*PADS[text], (0, 0))))
    assert got.dtype == np.float32


@pytest.mark.parametrize("padding", ["1,2,3,4", "9,11"])
@pytest.mark.parametrize("mode", MODES)
def test_every_border_also_wider_than_the_image(mode: str, padding: str) -> None:
    save_array("x.npy", VALUES)
    pads = {**PADS, "9,11": ((9, 9), (11, 11))}[padding]
    got = values_of("pad", "x.npy", "--padding", padding, "--pad-mode", mode)
    options: Any = {"mode": MODES[mode]}
    assert np.array_equal(got, np.pad(VALUES, (*pads, (0, 0)), **options))


@pytest.mark.parametrize("mode", MODES)
def test_one_pixel(mode: str) -> None:
    save_array("x.npy", np.array([[0.25]]))
    options: Any = {"mode": MODES[mode]}
    got = values_of("pad", "x.npy", "--padding", 2, "--pad-mode", mode)
    assert np.array_equal(got[:, :, 0], np.pad([[0.25]], 2, **options))


@pytest.mark.parametrize("value", [0.5, -2.0, 1e-3])
def test_pad_value(value: float) -> None:
    save_array("x.npy", VALUES)
    got = values_of("pad", "x.npy", "--padding", "1,2,3,4", "--pad-value", value)
    expected = np.pad(VALUES, ((1, 2), (3, 4), (0, 0)), constant_values=np.float32(value))
    assert np.array_equal(got, expected)


def test_a_picture_keeps_its_pixels_inside_the_border() -> None:
    save("x.png", RGB)
    run_cli("pad", "x.png", "--padding", "1,2,3,4", "--pad-value", 0.2)
    expected = np.pad(RGB, ((1, 2), (3, 4), (0, 0)), constant_values=51)
    assert np.array_equal(pixels("x-pad.png"), expected)


@pytest.mark.parametrize("mode", MODES)
def test_pictures_with_every_border(mode: str) -> None:
    save("x.png", RGB)
    run_cli("pad", "x.png", "--padding", "2", "--pad-mode", mode, "-o", "out.png")
    options: Any = {"mode": MODES[mode]}
    assert np.array_equal(pixels("out.png"), np.pad(RGB, ((2, 2), (2, 2), (0, 0)), **options))


def test_a_batch_stays_a_batch() -> None:
    batch = RANDOM.standard_normal((3, 2, 4, 5))
    save_array("x.npy", batch)
    got = values_of("pad", "x.npy", "--padding", "1,0")
    assert got.dtype == np.float64
    assert np.array_equal(got, np.pad(batch, ((0, 0), (1, 1), (0, 0), (0, 0))))


def test_gray() -> None:
    save("x.png", RGB)
    got = values_of("pad", "x.png", "--padding", 1, "--gray")
    grey = RGB.astype(float) / 255 @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(got[:, :, 0], np.pad(grey, 1), atol=1e-6)


def test_padding_must_be_given() -> None:
    save("x.png", RGB)
    assert "--padding" in refused_untouched("pad", "x.png", code=2)


@pytest.mark.parametrize(
    "text", ["-1", "1,2,3", "1,2,3,4,5", "", ",", "1.5", "a", "1,-2", "65536", "9" * 30, "1;2"]
)
def test_a_padding_that_is_none(text: str) -> None:
    save("x.png", RGB)
    error = refused_untouched("pad", "x.png", f"--padding={text}", code=2)
    assert "--padding" in error and "TOP,BOTTOM,LEFT,RIGHT" in error


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--pad-mode", "mirror"),
        ("--pad-value", "nan"),
        ("--pad-value", "inf"),
        ("--pad-value", "x"),
    ],
)
def test_other_words_that_are_none(option: str, text: str) -> None:
    save("x.png", RGB)
    assert option in refused_untouched("pad", "x.png", "--padding=1", option, text, code=2)


def test_the_input_is_left_alone() -> None:
    save("x.png", RGB)
    before = Path("x.png").read_bytes()
    run_cli("pad", "x.png", "--padding", 1)
    assert Path("x.png").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["x-pad.png", "x.png"]
