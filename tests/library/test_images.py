"""The images that calls take: files, arrays and Pillow's pictures, read as the commands read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnncli
from tests.support.shell import values_of

RNG = np.random.default_rng(2)
RGBA = RNG.integers(0, 256, (6, 7, 4), np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK"])
def test_a_picture_of_pillows_is_its_file(mode: str, empty_folder: Path) -> None:
    if mode == "I;16":
        picture = Image.fromarray(RNG.integers(0, 65_536, (6, 7), np.uint16))
    else:
        picture = Image.fromarray(RGBA).convert(mode)
    name = "x.tif" if mode == "CMYK" else "x.png"
    picture.save(name)
    shown = cnncli.pool(picture, size=1)
    np.testing.assert_array_equal(shown, values_of("pool", name, "--size", 1))


def test_options_of_reading_are_those_of_the_commands(empty_folder: Path) -> None:
    Image.fromarray(RGBA).save("x.png")
    shown = cnncli.pool("x.png", size=1, gray=True, background="white")
    words = ["pool", "x.png", "--size", 1, "--gray", "--background", "white"]
    np.testing.assert_array_equal(shown, values_of(*words))
    frames = [Image.fromarray(RGBA[..., :3] // part) for part in (1, 2)]
    frames[0].save("x.gif", save_all=True, append_images=frames[1:])
    expected = values_of("pool", "x.gif", "--size", 1, "--frame", 1)
    np.testing.assert_array_equal(cnncli.pool("x.gif", size=1, frame=1), expected)


def test_whole_numbers_and_views_of_arrays_are_images(empty_folder: Path) -> None:
    levels = RGBA[..., :3].transpose(1, 0, 2)[::-1]
    np.testing.assert_array_equal(cnncli.pool(levels, size=1), np.float32(levels) / np.float32(255))
    with pytest.raises(cnncli.CnnCliError, match="'array': "):
        cnncli.pool(np.array([["a", "b"]]))
