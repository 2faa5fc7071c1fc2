"""The images that calls take: files, arrays and Pillow's pictures, read as the commands read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import cnncli
from cnncli.errors import FileProblem, OptionError
from tests.support.pages import REPOSITORY
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


EDGES = REPOSITORY / "examples" / "edges.toml"
TURNED = Image.Exif()
TURNED[274] = 6
PHOTO = Image.fromarray(RGBA[..., :3])
DEEP = RNG.integers(0, 65_536, (6, 7), np.uint16)


def save_deep(name: str) -> None:
    """Write levels of 16 bits as a PGM file, which Pillow opens with numbers of 32."""
    Path(name).write_bytes(b"P5 7 6 65535 " + DEEP.astype(">u2").tobytes())


SAVED: dict[str, Callable[[str], None]] = {
    "turned.jpg": lambda name: PHOTO.save(name, exif=TURNED),
    "turned.png": lambda name: PHOTO.save(name, exif=TURNED),
    "turned.webp": lambda name: PHOTO.save(name, exif=TURNED, lossless=True),
    "turned.tif": lambda name: PHOTO.save(name, exif=TURNED),
    "turned-cmyk.jpg": lambda name: PHOTO.convert("CMYK").save(name, exif=TURNED),
    "turned.mpo": lambda name: PHOTO.save(
        name, exif=TURNED, save_all=True, append_images=[PHOTO.rotate(180)]
    ),
    "key.png": lambda name: PHOTO.save(name, transparency=tuple(RGBA[0, 0, :3].tolist())),
    "palette.png": lambda name: PHOTO.quantize(8).save(name, transparency=3),
    "frames.gif": lambda name: PHOTO.save(name, save_all=True, append_images=[PHOTO.rotate(180)]),
    "deep.pgm": save_deep,
    "big-endian.tif": lambda name: Image.fromarray(DEEP.astype(">u2")).save(name),
}


@pytest.mark.parametrize("name", SAVED)
def test_an_opened_picture_is_its_file(name: str, empty_folder: Path) -> None:
    SAVED[name](name)
    with Image.open(name) as picture:
        shown = cnncli.pool(picture, size=1)
    np.testing.assert_array_equal(shown, cnncli.pool(name, size=1))
    assert shown.shape[:2] == ((7, 6) if "turned" in name else (6, 7))


def test_a_picture_is_turned_once_and_by_all_calls(empty_folder: Path) -> None:
    PHOTO.resize((21, 12)).save("turned.jpg", exif=TURNED)
    net = cnncli.load(EDGES)
    with Image.open("turned.jpg") as picture:
        upright = ImageOps.exif_transpose(picture)
        assert cnncli.pool(upright, size=1).shape == (21, 12, 3)
        for call in (
            lambda image: net.run(image)["edges"],
            lambda image: net.grad(image, "edges:0,4,4").input,
            lambda image: net.plan(image=image).summary.layers,
            lambda image: net.explain(image, "edges", at=(2, 3)).text,
            lambda image: cnncli.explain(image, "edge", at=(15, 3)).text,
        ):
            of_picture, of_file = call(picture), call("turned.jpg")
            assert np.array_equal(of_picture, of_file)
    assert picture.size == (21, 12), "it is not written into"


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV", "LAB", "I;16B", "RGBX"])
def test_all_modes_of_pillow_are_taken(mode: str) -> None:
    grey = mode in ("La", "I;16B")
    assert cnncli.pool(Image.new(mode, (7, 6)), size=1).shape == (6, 7, 1 if grey else 3)


def test_a_picture_carries_its_values(empty_folder: Path) -> None:
    cnncli.conv(PHOTO, "sobel_v", gray=True).save("edges.png")
    with Image.open("edges.png") as picture:
        values = cnncli.pool(picture, size=1, as_values=True)
    np.testing.assert_array_equal(values, cnncli.pool("edges.png", size=1, as_values=True))


def test_frames_are_chosen_in_pillow(empty_folder: Path) -> None:
    SAVED["frames.gif"]("frames.gif")
    with Image.open("frames.gif") as picture:
        with pytest.raises(OptionError, match="current frame is taken") as caught:
            cnncli.pool(picture, size=1, frame=1)
        assert caught.value.hint == "image.seek(1)"
        picture.seek(1)
        shown = cnncli.pool(picture, size=1)
    np.testing.assert_array_equal(shown, cnncli.pool("frames.gif", size=1, frame=1))


def test_a_picture_that_pillow_cannot_decode_is_refused(empty_folder: Path) -> None:
    PHOTO.resize((64, 64)).save("whole.jpg")
    content = Path("whole.jpg").read_bytes()
    Path("cut.jpg").write_bytes(content[: len(content) // 2])
    with (
        Image.open("cut.jpg") as cut,
        pytest.raises(FileProblem, match="'picture': cannot be read"),
    ):
        cnncli.pool(cut)
    with pytest.raises(FileProblem, match="'picture': cannot be read"):
        cnncli.pool(Image.new("RGB", (4, 0)))


def test_what_is_broken_beside_the_pixels_is_left_out() -> None:
    for exif in (b"garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\0"):
        picture = PHOTO.copy()
        picture.info |= {"exif": exif, "comment": {"a": 1}, "dpi": ("a", 2), "icc_profile": b"x"}
        np.testing.assert_array_equal(cnncli.pool(picture, size=1), cnncli.pool(PHOTO, size=1))


@pytest.mark.parametrize("image", [None, {"a": 1}, object, [[1, 2], [3]]])
def test_what_is_no_image_is_told_what_is(image: object) -> None:
    with pytest.raises(OptionError, match="an image must be a file, an address, an array of num"):
        cnncli.pool(image)  # type: ignore[arg-type]


WRONG_NAMES: list[tuple[Callable[..., object], str, str]] = [
    (lambda: cnncli.pad(PHOTO, 1, gra=True), "pad", "gray"),  # type: ignore[call-arg]
    (lambda: cnncli.conv(PHOTO, "edge", strid=2), "conv", "stride"),  # type: ignore[call-arg]
    (lambda: cnncli.pool(PHOTO, sise=2), "pool", "size"),  # type: ignore[call-arg]
    (lambda: cnncli.explain(PHOTO, "edge", paddin=2), "explain", "padding"),
    (lambda: cnncli.explain(PHOTO, pool="max", sise=2), "explain", "size"),
    (lambda: cnncli.load(EDGES).run(PHOTO, layer=""), "Net.run", "layers"),  # type: ignore[call-arg]
    (lambda: cnncli.load(EDGES).grad(PHOTO, units=""), "Net.grad", "unit"),  # type: ignore[call-arg]
    (lambda: cnncli.load(EDGES).explain(PHOTO, layr=""), "Net.explain", "layer"),  # type: ignore[call-arg]
    (lambda: cnncli.pool(PHOTO).shown(colourmap=""), "shown", "colormap"),  # type: ignore[call-arg]
]


@pytest.mark.parametrize(("call", "name", "near"), WRONG_NAMES)
def test_names_of_options_that_are_none(call: Callable[[], object], name: str, near: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected.*, nearest: {near}$"):
        call()
