"""Bytes of files, opened again with Pillow and numpy."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import FileProblem, OptionError
from cnncli.io.formats import FORMATS, check_format, find_format
from cnncli.io.writers import NpyFile, encode, encode_float_tiff, holds_values
from tests.support.sweep import sweep

RECORD = {"cnncli": "1.0", "command": "cnncli conv '\\udcff\\n日本.png' -f edge", "maps": []}
RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (31, 47), np.uint8)
DEEP = RNG.integers(0, 65536, (31, 47), np.uint16)
COLOUR = RNG.integers(0, 256, (31, 47, 3), np.uint8)
FEW = np.array([[0, 0, 0], [255, 0, 9], [1, 2, 3]], np.uint8)[RNG.integers(0, 3, (31, 47))]
LOSSLESS = ["png", "tif", "tiff", "webp", "gif", "bmp", "ppm", "pnm"]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def comment(image: Image.Image) -> Any:
    """Find the record wherever the format keeps it."""
    text = image.info.get("cnncli") or image.info.get("comment") or image.getexif().get(270)
    return json.loads(text)


@pytest.mark.parametrize("compress", ["fast", "small"])
@pytest.mark.parametrize("format", [*LOSSLESS, "pgm"])
def test_grey_comes_back(format: str, compress: str) -> None:
    image = opened(encode(GREY, format, compress=compress, metadata=RECORD))
    assert np.array_equal(np.asarray(image.convert("L")), GREY)


@pytest.mark.parametrize("compress", ["fast", "small"])
@pytest.mark.parametrize("format", [name for name in LOSSLESS if name != "gif"])
def test_colour_comes_back(format: str, compress: str) -> None:
    image = opened(encode(COLOUR, format, compress=compress, metadata=RECORD))
    assert np.array_equal(np.asarray(image), COLOUR)


@pytest.mark.parametrize("compress", ["fast", "small"])
@pytest.mark.parametrize("format", ["png", "tif", "pgm", "ppm"])
def test_sixteen_bits_come_back(format: str, compress: str) -> None:
    image = opened(encode(DEEP, format, depth="16", compress=compress, metadata=RECORD))
    assert np.array_equal(np.asarray(image), DEEP)


@pytest.mark.parametrize("format", ["jpg", "jpeg"])
@pytest.mark.parametrize("colour", [True, False])
def test_jpeg_is_close(format: str, colour: bool) -> None:
    slope = np.add.outer(np.arange(31) * 3, np.arange(47) * 2)
    pixels = np.stack([slope, slope[::-1], 200 - slope], axis=2).astype(np.uint8)
    pixels = pixels if colour else pixels[:, :, 0]
    got = np.asarray(opened(encode(pixels, format)))
    assert got.shape == pixels.shape
    assert np.abs(got.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("format", ["png", "jpg", "tif", "webp", "gif"])
def test_records_travel_along(format: str) -> None:
    read = comment(opened(encode(GREY, format, metadata=RECORD)))
    assert read.pop("exact", True) is (format != "jpg")
    assert read == RECORD


def test_gif_is_exact_with_few_colours_and_says_when_not() -> None:
    few, many = (encode(pixels, "gif", metadata=RECORD) for pixels in (FEW, COLOUR))
    assert np.array_equal(np.asarray(opened(few).convert("RGB")), FEW)
    assert "exact" not in comment(opened(few))
    assert comment(opened(many))["exact"] is False


@pytest.mark.parametrize("format", ["png", "jpg", "tif", "webp", "gif"])
def test_long_records_leave_the_picture_readable(format: str) -> None:
    record = RECORD | {"maps": ["x" * 100] * 15_000}
    image = opened(encode(GREY, format, metadata=record))
    assert image.size == (47, 31)
    if format == "jpg":
        assert "comment" not in image.info
    else:
        assert comment(image)["maps"] == record["maps"]


@pytest.mark.parametrize("name", sweep(["camera.png", "chelsea.png"], keep=1))
def test_fast_png_is_about_as_small_as_the_default(samples: Path, name: str) -> None:
    """The promise of --compress, on the sample photographs and their edges."""
    with Image.open(samples / name) as image:
        photo = np.asarray(image)
    edges = 128 + (np.diff(photo.astype(int), axis=0) // 2)
    for pixels in (photo, np.clip(edges, 0, 255).astype(np.uint8)):
        usual = io.BytesIO()
        Image.fromarray(pixels).save(usual, "PNG")
        assert len(encode(pixels, "png")) <= 1.15 * len(usual.getvalue())
        assert len(encode(pixels, "png", compress="small")) <= 1.01 * len(usual.getvalue())


@pytest.mark.parametrize("compress", ["fast", "small"])
def test_float_tiff_has_a_page_for_each_channel(compress: str) -> None:
    values = RNG.normal(size=(2, 5, 7, 3)).astype(np.float32)
    image = opened(encode_float_tiff(values, metadata=RECORD, compress=compress))
    assert image.mode == "F" and image.n_frames == 6
    assert json.loads(image.getexif()[270]) == RECORD
    for page in range(6):
        image.seek(page)
        assert np.array_equal(np.asarray(image), values[page // 3, :, :, page % 3])


def npy_bytes(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    file = NpyFile(stream.write, values.shape, values.dtype)
    for row in values:
        file.add(row)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_holds_the_values(dtype: str, order: str) -> None:
    values = np.array(RNG.normal(size=(3, 4, 5)), dtype, order=order)
    data = npy_bytes(values)
    back = np.load(io.BytesIO(data), allow_pickle=False)
    assert np.array_equal(back, values)
    assert back.dtype.str == "<" + dtype[1:] and back.flags.c_contiguous
    usual = io.BytesIO()
    np.save(usual, np.ascontiguousarray(back))
    assert data == usual.getvalue()


def test_npy_of_nothing() -> None:
    empty = np.load(io.BytesIO(npy_bytes(np.zeros((0, 4, 2), np.float32))))
    assert empty.shape == (0, 4, 2)


def test_arguments_are_left_alone() -> None:
    for pixels in (GREY, DEEP, COLOUR):
        before = pixels.copy()
        for format in ("png", "tif"):
            if pixels is not COLOUR or format == "png":
                encode(pixels, format, depth="16" if pixels is DEEP else "8", metadata=RECORD)
        assert np.array_equal(pixels, before)
    assert "exact" not in RECORD


@pytest.mark.parametrize(
    ("format", "width", "settings", "words"),
    [
        ("jpg", 70_000, {}, "jpg holds at most 65500 pixels a side, got 2x70000"),
        ("webp", 20_000, {}, "webp holds at most 16383"),
        ("gif", 65_536, {}, "gif holds at most 65535"),
        ("jpg", 9, {"depth": "16"}, "--depth 16 needs png tif tiff ppm pgm pnm npy npz, got jpg"),
        ("png", 9, {"depth": "float"}, "--depth float needs tif tiff npy npz, got png"),
        ("ppm", 9, {"depth": "16", "colour": True}, "16-bit colour cannot be written as ppm"),
        ("pgm", 9, {"colour": True}, "does not fit into pgm"),
    ],
)
def test_what_formats_cannot_hold(
    format: str, width: int, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check_format(FORMATS[format], width, 2, **settings)
    assert words in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_the_table_tells_the_truth_about_sizes(format: str) -> None:
    limit = FORMATS[format].max_side
    if limit < 100_000:
        pixels = np.zeros((1, limit), np.uint8)
        assert opened(encode(pixels, format)).size == (limit, 1)
        with pytest.raises(OptionError):
            encode(np.zeros((1, limit + 1), np.uint8), format)
    else:
        check_format(FORMATS[format], 100_000, 100_000)


@pytest.mark.parametrize("name", [".PNG", "Jpeg", "tif"])
def test_names_in_any_case(name: str) -> None:
    assert find_format(name) is FORMATS[name.lower().removeprefix(".")]


@pytest.mark.parametrize("name", ["", "xyz", "\x1b"])
def test_unknown_formats_list_the_known(name: str) -> None:
    with pytest.raises(OptionError, match="png jpg jpeg tif tiff webp gif bmp ppm pgm pnm npy"):
        find_format(name)


def test_pillow_giving_up_is_a_file_problem() -> None:
    with pytest.raises(FileProblem, match="cannot be encoded as PNG"):
        encode(np.zeros((0, 0), np.uint8), "png")


def test_arrays_are_no_pictures() -> None:
    with pytest.raises(ValueError, match="NpyFile"):
        encode(GREY, "npy")
    assert holds_values(FORMATS["npy"], "8") and not holds_values(FORMATS["tif"], "16")
