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


@pytest.mark.parametrize(
    ("words", "is_dark"),
    [
        (("conv", "-f", "edge", "--range", "0,255"), True),
        (("pool", "--range", "-128,127"), True),
        (("conv", "-f", "edge", "--range", "0,8"), False),
        (("conv", "-f", "200", "--range", "0,255"), False),
    ],
)
def test_a_range_of_eight_bits_is_told_to_be_dark(words: tuple[str, ...], is_dark: bool) -> None:
    save("x.png", PHOTO)
    said = run_cli(words[0], "x.png", *words[1:], "-o", "y.png").stderr
    assert (f"--range makes {words[-1].partition(',')[2]} white: pictures hold" in said) is is_dark


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


@pytest.mark.parametrize(
    ("top", "given", "reached"),
    [
        (255, ["--prep", "0..255"], "65025"),
        (255, ["--prep", "imagenet"], "1136.4"),
        (255, ["--mean", "127.5", "--std", "127.5"], None),
        (255, ["--scale", "0.00392157"], None),
        (1, ["--prep", "0..255"], None),
        (255, [], None),
    ],
)
def test_arrays_that_are_no_values_of_0_to_1_are_told_what_becomes_of_them(
    top: int, given: list[str], reached: str | None
) -> None:
    save_array("x.npy", np.linspace(0, top, 75).reshape(5, 5, 3))
    save_array("x8.npy", np.arange(75, dtype=np.uint8).reshape(5, 5, 3))
    Path("net.toml").write_text('[[layers]]\ntype = "conv"\nfilter = "edge"\n')
    told = run_cli("run", "net.toml", "x.npy", *given, "-o", "y.npy").stderr
    assert ("values of 0..1" in told) == (reached is not None)
    assert reached is None or f"numbers of up to {top} become up to {reached}" in told
    assert (
        "values of 0..1" not in run_cli("run", "net.toml", "x8.npy", *given, "-o", "z.npy").stderr
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--scale", "1/255"], "white becomes 0.003922: pixels are 0..1 and need no division"),
        (["--scale", "1/255", "--mean", "0.5", "--std", "0.5"], "white becomes 0.9922"),
        (["--std", "255"], "need no division by 255"),
        (
            ["--prep", "imagenet", "--scale", "255"],
            "white becomes 1136: the mean is for pixels of 0..1, so leave the scale out",
        ),
        (["--scale", "255", "--mean", "0.5"], "white becomes 254.5"),
        (["--prep", "imagenet"], None),
        (["--prep", "0..255"], None),
        (["--prep", "-1..1"], None),
        (["--scale", "255", "--mean", "123.675,116.28,103.53", "--std", "58.4,57.1,57.4"], None),
        (["--scale", "255", "--mean", "104,117,123"], None),
        (["--scale", "65535"], None),
        (["--scale", "2", "--mean", "1"], None),
        (["--mean", "0.01"], None),
        (["--mean", "0.01", "--std", "0.2"], None),
        (["--mean", "0.01", "--std", "0.01"], None),
        ([], None),
    ],
)
def test_a_scale_that_is_not_for_pixels_of_0_to_1_is_told(
    given: list[str], told: str | None
) -> None:
    save("x.png", PHOTO)
    save_array("x8.npy", PHOTO)
    save_array("x255.npy", PHOTO.astype(np.float32))
    Path("net.toml").write_text('[[layers]]\ntype = "conv"\nfilter = "edge"\n')
    for name in ("x.png", "x8.npy", "x255.npy"):
        said = run_cli("run", "net.toml", name, *given, "-o", "-").stderr
        is_told = told is not None and name != "x255.npy"
        assert ("white becomes" in said) is is_told
        assert not is_told or str(told) in said


@pytest.mark.parametrize(
    ("shape", "top", "step", "is_noted"),
    [
        ((20, 17, 3), 255, 1, True),
        ((2, 20, 17, 3), 11, 1, True),
        ((20, 17), 10, 1, False),
        ((20, 17), 300, 1, False),
        ((20, 17), 255, 0.5, False),
        ((20, 16), 255, 1, False),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_are_levels_of_a_picture_are_told_to_stay_these(
    shape: tuple[int, ...], top: int, step: float, is_noted: bool, dtype: type
) -> None:
    values = (np.arange(np.prod(shape)) % (top + 1) * step).reshape(shape)
    save_array("x.npy", np.minimum(values, top).astype(dtype))
    told = run_cli("conv", "x.npy", "-f", "edge", "-o", "y.npy").stderr
    assert ("whole numbers kept as they are, not scaled to 0..1" in told) is is_noted


def test_normalised_and_odd_floats_get_no_note() -> None:
    values = np.random.default_rng(3).standard_normal((40, 40, 3))
    values[30, 0] = np.nan, np.inf, 200
    for array in (values, np.rint(values), -np.abs(np.rint(values * 50))):
        save_array("x.npy", array)
        assert (
            "whole numbers"
            not in run_cli("conv", "x.npy", "-f", "edge", "-o", "y.npy", "--overwrite").stderr
        )


@pytest.mark.parametrize(
    ("side", "kernel", "is_noted"),
    [(20, (20, 20), True), (20, (20, 19), False), (9, (9, 9), False)],
)
def test_a_filter_as_large_as_the_image_is_told(
    side: int, kernel: tuple[int, int], is_noted: bool
) -> None:
    save("x.png", np.zeros((side, side), np.uint8))
    save_array("picture.npy", np.ones(kernel))
    told = run_cli("conv", "x.png", "-f", "picture.npy", "-o", "y.npy").stderr
    assert ("filter picture of 20x20 covers the whole image" in told) is is_noted
    built_in = run_cli("conv", "x.png", "-f", "gaussian:size=21", "-o", "z.npy").stderr
    assert "covers the whole" not in built_in


@pytest.mark.parametrize(
    ("name", "made", "is_told"),
    [
        ("maps.png", ["--range", "symmetric"], True),
        ("maps.tif", ["--range", "-3,2", "--depth", "16"], True),
        ("maps.png", ["--range", "clip"], False),
        ("maps.tif", ["--depth", "float"], False),
        ("maps.jpg", ["--range", "symmetric"], False),
    ],
)
def test_a_picture_that_remembers_a_range_is_told_to_be_read_as_a_photo(
    name: str, made: list[str], is_told: bool
) -> None:
    save("x.png", PHOTO)
    run_cli("conv", "x.png", "-f", "sobel_v", "-o", name, *made)
    note = "--as-values reads the values"
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n')
    for words in (
        ("conv", name, "-f", "edge", "-o", "c.npy"),
        ("pool", name, "-o", "p.npy"),
        ("run", "net.toml", name, "-o", "r.npy"),
        ("explain", name, "-f", "edge", "--at", "0,0"),
    ):
        result = run_cli(*words)
        assert (note in result.stderr + result.stdout) is is_told
    if is_told:
        assert note not in run_cli("pool", name, "--as-values", "-o", "z.png").stderr
