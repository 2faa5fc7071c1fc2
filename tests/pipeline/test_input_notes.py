"""Notes on numbers that are meant for pixels of 8 bits, and what the report advises then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.shell import run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

PHOTO = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)
WHITE = "pictures hold 0..1, where white is 1"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("pad", "--padding", "3", "--pad-value", "255"), "--pad-value 1"),
        (("pad", "--padding", "3", "--pad-value", "128"), "--pad-value 0.502"),
        (("pad", "--padding", "3", "--pad-value", "65535"), "--pad-value 1"),
        (("conv", "-f", "box", "--pad-value", "255"), "--pad-value 1"),
        (("conv", "-f", "sharpen", "--bias", "128"), "--bias 0.502"),
        (("conv", "-f", "sharpen", "--bias", "-128"), "--bias -0.502"),
    ],
)
def test_numbers_of_eight_bits_are_told_that_white_is_one(
    words: tuple[str, ...], advice: str
) -> None:
    save("x.png", PHOTO)
    result = run_cli(words[0], "x.png", *words[1:], "-o", "y.png")
    assert WHITE in result.stderr and advice in result.stderr
    # No range: that of 0..255 turns the photograph black.
    assert "--range" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("pad", "--padding", "3", "--pad-value", "1"),
        ("pad", "--padding", "3", "--pad-value", "-1"),
        ("conv", "-f", "sharpen", "--bias", "0.5"),
        ("conv", "-f", "sharpen", "--bias", "1.5"),
    ],
)
def test_numbers_of_pictures_get_no_note(words: tuple[str, ...]) -> None:
    save("x.png", PHOTO)
    assert WHITE not in run_cli(words[0], "x.png", *words[1:], "-o", "y.png").stderr


def test_arrays_and_networks_of_other_values_get_no_note() -> None:
    save_array("x.npy", PHOTO.astype(np.float32))
    args = ("conv", "x.npy", "-f", "box", "--pad-value", "255", "-o", "y.png")
    result = run_cli(*args, "--range", "clip")
    assert WHITE not in result.stderr and "--range 0,255" in result.stderr
    save("x.png", PHOTO)
    Path("net.toml").write_text(
        '[input]\nscale = 255.0\n[[layers]]\ntype = "pad"\npadding = 2\npad_value = 255.0\n'
    )
    assert WHITE not in run_cli("run", "net.toml", "x.png", "-o", "z.png").stderr
