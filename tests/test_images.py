from __future__ import annotations

import io
import math
import os
import pickle
import re
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from crafted import PNG_MAGIC, png, png_chunk, tiff
from PIL import Image, PngImagePlugin

from cnncli.errors import FileProblem, OptionError, ShapeError
from cnncli.images import (
    Picture,
    ReadOptions,
    images_in_folder,
    read_bytes,
    read_image,
    read_stream,
)

OLD_PILLOW = PIL.__version__.startswith("12.")
OPTIONS = ReadOptions()
RANDOM = np.random.default_rng(11)
RGB = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
GREY = RANDOM.integers(0, 256, (5, 7), np.uint8)
DEEP = RANDOM.integers(0, 65_536, (5, 7), np.uint16)
ALPHA = RANDOM.integers(0, 256, (5, 7), np.uint8)


def encoded(picture: Image.Image | np.ndarray, form: str, **settings: Any) -> bytes:
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def refusal(data: bytes, options: ReadOptions = OPTIONS) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        read_bytes(data, options, "x.png")
    message = str(caught.value)
    assert message.startswith("'x.png': ") and message.isprintable() and "0x" not in message
    return caught.value


def flat(colour: np.ndarray, alpha: np.ndarray, background: tuple[int, ...]) -> np.ndarray:
    """Transparency over a background, in double precision."""
    share = alpha.astype(float)[..., None] / 255
    return colour.astype(float) / 255 * share + np.array(background) / 255 * (1 - share)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_rgb_of_every_lossless_format(form: str) -> None:
    picture = read_bytes(encoded(RGB, form, lossless=True), OPTIONS)
    assert np.array_equal(picture.pixels, RGB[None]) and picture.scale == 255.0
    assert (picture.shape, picture.colour, picture.is_picture) == ((1, 5, 7, 3), True, True)
    assert picture.notes == () and picture.dtype == np.float32 and not picture.batched
    assert np.array_equal(picture.values(), RGB[None].astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_grey_stays_one_channel(form: str) -> None:
    picture = read_bytes(encoded(GREY, form), OPTIONS)
    assert np.array_equal(picture.pixels[0, :, :, 0], GREY) and not picture.colour


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_one_bit(form: str) -> None:
    picture = read_bytes(encoded(GREY > 127, form), OPTIONS)
    assert np.array_equal(picture.pixels[0, :, :, 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_not_clipped(form: str) -> None:
    picture = read_bytes(encoded(DEEP, form), OPTIONS)
    assert picture.pixels.dtype == np.uint16 and picture.scale == 65_535.0
    assert np.array_equal(picture.pixels[0, :, :, 0], DEEP) and picture.notes == ()
    expected = DEEP.astype(np.float32) / np.float32(65_535)
    assert np.array_equal(picture.values()[0, :, :, 0], expected)


ONE_CHANNEL = {
    "u16": ((16,), "H", 1, [1000, 65_535], 65_535),
    "i16": ((16,), "h", 2, [-5, 7], 1),
    "i32": ((32,), "i", 2, [-70_000, 7], 1),
    "f32": ((32,), "f", 3, [-9.5, 1e30], 1),
    "i8": ((8,), "b", 2, [-1, 7], 1),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ONE_CHANNEL)
def test_tiff_numbers_in_both_byte_orders(kind: str, order: str) -> None:
    bits, code, sample_format, numbers, scale = ONE_CHANNEL[kind]
    data = struct.pack(order + code * 2, *numbers)
    made = tiff(2, 1, bits, 1, data, order=order, sample_format=sample_format)
    picture = read_bytes(made, OPTIONS)
    assert picture.values().ravel().tolist() == [float(np.float32(n) / scale) for n in numbers]
    whole = code in "hib"
    assert bool(picture.notes) == whole and picture.pixels.dtype.isnative


def test_tiff_unsigned_32_bit_12_bit_and_white_is_zero() -> None:
    wide = tiff(2, 1, (32,), 1, struct.pack("<2I", 3_000_000_000, 7))
    assert read_bytes(wide, OPTIONS).values().ravel().tolist() == [3e9, 7.0]
    twelve = read_bytes(tiff(2, 1, (12,), 1, bytes([0x12, 0x3F, 0xFF])), OPTIONS).values()
    assert np.allclose(twelve.ravel(), [0x123 / 4095, 1.0], rtol=1e-7)
    inverted = tiff(2, 1, (16,), 0, struct.pack("<2H", 1000, 65_535))
    assert read_bytes(inverted, OPTIONS).pixels.ravel().tolist() == [64_535, 0]


def test_pixel_maps_of_other_depths() -> None:
    ten = read_bytes(b"P5 2 1 1023 " + struct.pack(">2H", 500, 1023), OPTIONS)
    assert ten.pixels.ravel().tolist() == [round(500 / 1023 * 65_535), 65_535]
    deep = read_bytes(b"P6 1 1 65535 " + struct.pack(">3H", 0x1200, 0xFFFF, 0), OPTIONS)
    assert deep.notes == ("16-bit colour read as 8-bit",)
    assert deep.pixels.ravel().tolist() == [18, 255, 0]
    floats = read_bytes(b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 1.5, -2), OPTIONS)
    assert floats.values().ravel().tolist() == [1.5, -2.0]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("name", "background"), [("black", (0, 0, 0)), ("#336699", (51, 102, 153))]
)
def test_rgba_is_flattened(form: str, name: str, background: tuple[int, ...]) -> None:
    rgba = np.dstack([RGB, ALPHA])
    data = encoded(rgba, form, lossless=True, exact=True)
    picture = read_bytes(data, ReadOptions(background=name))
    assert picture.pixels.dtype == np.float32 and picture.scale == 1.0
    assert picture.notes == (f"transparency flattened on {name} (--background)",)
    assert np.allclose(picture.pixels[0], flat(RGB, ALPHA, background), atol=1e-6)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("background", [(0, 0, 0), (90, 90, 90), (200, 0, 0)])
def test_grey_with_alpha(form: str, background: tuple[int, ...]) -> None:
    data = encoded(np.dstack([GREY, ALPHA]), form)
    picture = read_bytes(data, ReadOptions(background="rgb({},{},{})".format(*background)))
    grey = len(set(background)) == 1
    expected = flat(GREY[..., None], ALPHA, background[:1] if grey else background)
    assert picture.shape == (1, 5, 7, 1 if grey else 3)
    assert np.allclose(picture.pixels[0], expected, atol=1e-6)


def test_opaque_alpha_is_dropped_silently() -> None:
    picture = read_bytes(encoded(np.dstack([RGB, np.full_like(ALPHA, 255)]), "PNG"), OPTIONS)
    assert np.array_equal(picture.pixels[0], RGB) and picture.notes == ()
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(form: str) -> None:
    palette = RANDOM.integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    assert image.mode == "P"
    assert np.array_equal(read_bytes(encoded(image, form), OPTIONS).pixels[0], palette[GREY])


PALETTE = np.array([[255, 0, 0], [0, 255, 0], [9, 8, 7]], np.uint8)
PLTE = png_chunk(b"PLTE", PALETTE.tobytes())


@pytest.mark.parametrize("alphas", [[128], [255, 0], [1, 2, 3], [0]])
def test_palette_with_transparency(alphas: list[int]) -> None:
    data = png(3, 1, 8, 3, [b"\0\1\2"], PLTE + png_chunk(b"tRNS", bytes(alphas)))
    alpha = np.array([alphas + [255] * (3 - len(alphas))])
    got = read_bytes(data, ReadOptions(background="white")).values()[0]
    assert np.allclose(got, flat(PALETTE[None], alpha, (255, 255, 255)), atol=1e-6)


def test_gif_transparency() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette(PALETTE.tobytes())
    data = encoded(image, "GIF", transparency=1)
    got = read_bytes(data, ReadOptions(background="blue")).values()[0, 0]
    assert np.allclose(got * 255, [PALETTE[0], [0, 0, 255], PALETTE[2]], atol=1e-4)


KEYED = {
    "1 bit": (png(8, 1, 1, 0, [b"\x0f"], png_chunk(b"tRNS", b"\0\0")), [1] * 8),
    "2 bit": (png(4, 1, 2, 0, [b"\x1b"], png_chunk(b"tRNS", b"\0\1")), [0, 1, 2 / 3, 1]),
    "4 bit": (png(2, 1, 4, 0, [b"\x6f"], png_chunk(b"tRNS", b"\0\x0f")), [0.4, 1]),
    "8 bit": (png(2, 1, 8, 0, [b"\x33\x66"], png_chunk(b"tRNS", b"\0\x33")), [1, 0.4]),
    "16 bit": (png(2, 1, 16, 0, [b"\3\xe8\0\0"], png_chunk(b"tRNS", b"\3\xe8")), [1, 0]),
    "RGB": (
        png(2, 1, 8, 2, [b"\1\2\3\0\0\0"], png_chunk(b"tRNS", b"\0\1\0\2\0\3")),
        [1, 1, 1, 0, 0, 0],
    ),
}


@pytest.mark.parametrize("case", KEYED)
def test_one_transparent_colour(case: str) -> None:
    data, expected = KEYED[case]
    picture = read_bytes(data, ReadOptions(background="white"))
    assert np.allclose(picture.values().ravel(), expected, atol=1e-6)
    assert "white" in picture.notes[0]


@pytest.mark.skipif(OLD_PILLOW, reason="Pillow 12 refuses them")
@pytest.mark.parametrize("order", ["<", ">"])
def test_rarer_tiff_layouts(order: str) -> None:
    samples = bytes([50, 100, 7, 255])
    cases: list[tuple[bytes, list[float]]] = [
        (tiff(2, 1, (8, 8), 1, samples, order=order, extra={338: (0,)}), [50, 7]),
        (tiff(2, 1, (8, 8), 1, samples, order=order, extra={338: (1,)}), [50, 7]),
        (tiff(2, 1, (8, 8), 1, samples, order=order, extra={338: (2,)}), [50 * 100 / 255, 7]),
        (tiff(1, 1, (8,) * 4, 2, samples, order=order, extra={338: (0,)}), [50, 100, 7]),
        (tiff(1, 1, (8,) * 4, 2, b"\x32\x64\7\x7d", order=order, extra={338: (1,)}), [50, 100, 7]),
        (tiff(2, 1, (8,), 0, b"\x64\x8c", order=order), [155, 115]),
    ]
    for data, expected in cases:
        got = read_bytes(data, OPTIONS).values().ravel() * 255
        # Pillow divides premultiplied colour back to whole numbers: half a step of 8 bits.
        assert np.allclose(got, expected, atol=0.5), expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_palette_with_alpha_channel(order: str) -> None:
    # A TIFF palette holds all reds, then all greens, then all blues, of 16 bits each.
    columns = [int(n) * 257 for channel in PALETTE.T for n in [*channel, *[0] * 253]]
    index = GREY % 3
    data = np.dstack([index, ALPHA]).tobytes()
    extra = {338: (2,), 320: tuple(columns)}
    got = read_bytes(tiff(7, 5, (8, 8), 3, data, order=order, extra=extra), OPTIONS).values()[0]
    assert np.allclose(got, flat(PALETTE[index], ALPHA, (0, 0, 0)), atol=1e-6)


def cmyk_to_rgb(cmyk: np.ndarray) -> np.ndarray:
    ink = cmyk.astype(float) / 255
    return 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])


def test_cmyk_tiff() -> None:
    cmyk = RANDOM.integers(0, 256, (5, 7, 4), np.uint8)
    data = encoded(Image.frombytes("CMYK", (7, 5), cmyk.tobytes()), "TIFF")
    assert np.abs(read_bytes(data, OPTIONS).pixels[0] - cmyk_to_rgb(cmyk)).max() <= 1


@pytest.mark.parametrize("ink", [(255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0), (30, 60, 90, 40)])
def test_cmyk_jpeg_of_one_colour(ink: tuple[int, ...]) -> None:
    data = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)
    assert b"Adobe" in data
    expected = cmyk_to_rgb(np.array([[ink]]))[0, 0]
    assert np.abs(read_bytes(data, OPTIONS).pixels[0, 8, 8] - expected).max() <= 3


@pytest.mark.skipif(OLD_PILLOW, reason="Pillow 12 takes uncompressed YCbCr for RGB")
@pytest.mark.parametrize("colour", [(100, 140, 120), (16, 128, 128), (200, 90, 200)])
def test_ycbcr_tiff(colour: tuple[int, int, int]) -> None:
    y, cb, cr = colour
    expected = np.array(
        [
            y + 1.402 * (cr - 128),
            y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
            y + 1.772 * (cb - 128),
        ]
    ).clip(0, 255)
    got = read_bytes(tiff(1, 1, (8,) * 3, 6, bytes(colour)), OPTIONS).pixels.ravel()
    assert np.abs(got - expected).max() <= 1


def test_lab_is_refused_by_name() -> None:
    assert "L*a*b*" in str(refusal(tiff(1, 1, (8,) * 3, 8, b"\1\2\3")))


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (png(1, 1, 16, 2, [b"\x12\x34\xff\xff\0\xff"]), [0x12, 255, 0]),
        (png(1, 1, 16, 6, [b"\x12\x34\x80\0\0\0\xff\xff"]), [0x12, 128, 0]),
        (png(1, 1, 16, 4, [b"\x12\x34\xff\xff"]), [0x12]),
        (tiff(1, 1, (16,) * 3, 2, b"\x34\x12\xff\xff\xff\0"), [0x12, 255, 0]),
        (tiff(1, 1, (16,) * 3, 2, b"\x12\x34\xff\xff\0\xff", order=">"), [0x12, 255, 0]),
        (tiff(1, 1, (16,) * 4, 5, b"\0\0" * 4), [255, 255, 255]),
    ],
)
def test_lost_depth_is_said(data: bytes, pixels: list[int]) -> None:
    picture = read_bytes(data, OPTIONS)
    assert picture.notes == ("16-bit colour read as 8-bit",)
    assert picture.pixels.ravel().tolist() == pixels


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The EXIF standard, as index arithmetic: where row 0 and column 0 of the file belong."""
    steps = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    return steps[orientation](stored)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(RGB, form, exif=exif, lossless=True)
    stored = RGB if form != "JPEG" else np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(read_bytes(data, OPTIONS).pixels[0], upright(stored, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_deep_grey(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = read_bytes(encoded(DEEP, "PNG", exif=exif), OPTIONS).pixels[0, :, :, 0]
    assert np.array_equal(got, upright(DEEP, orientation))


def test_broken_exif_does_not_lose_the_picture() -> None:
    data = encoded(RGB, "PNG", exif=b"Exif\0\0MM\0")
    picture = read_bytes(data, OPTIONS)
    assert np.array_equal(picture.pixels[0], RGB)
    assert picture.notes == ("EXIF data is broken, orientation not applied",)


FRAMES = [np.full((4, 6, 3), shade, np.uint8) for shade in (10, 120, 250)]


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_frames(form: str) -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    data = encoded(images[0], form, save_all=True, append_images=images[1:], lossless=True)
    first = read_bytes(data, OPTIONS)
    assert first.notes == ("first of 3 frames (--frame N picks another)",)
    assert np.array_equal(np.broadcast_to(first.pixels[0], (4, 6, 3)), FRAMES[0])
    for number, frame in enumerate(FRAMES):
        picked = read_bytes(data, ReadOptions(frame=number))
        assert picked.notes == ()
        assert np.array_equal(np.broadcast_to(picked.pixels[0], (4, 6, 3)), frame)
    for number in (3, -1, 10**6):
        with pytest.raises(OptionError, match=f"--frame must be from 0 to 2, got {number}"):
            read_bytes(data, ReadOptions(frame=number))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM"])
def test_frame_of_a_single_picture(form: str) -> None:
    data = encoded(RGB, form)
    assert read_bytes(data, ReadOptions(frame=0)).shape == (1, 5, 7, 3)
    with pytest.raises(OptionError, match="from 0 to 0, got 1"):
        read_bytes(data, ReadOptions(frame=1))


def test_broken_second_page_does_not_lose_the_first() -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    data = encoded(images[0], "TIFF", save_all=True, append_images=images[1:])
    assert np.array_equal(read_bytes(data[:-40], OPTIONS).pixels[0], FRAMES[0])


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("descr", "scale", "dtype"),
    [
        ("u1", 255, "f4"),
        ("<u2", 65_535, "f4"),
        (">u2", 65_535, "f4"),
        ("?", 1, "f4"),
        ("<i4", 1, "f4"),
        (">i8", 1, "f4"),
        ("u4", 1, "f4"),
        ("<f2", 1, "f4"),
        ("<f4", 1, "f4"),
        (">f4", 1, "f4"),
        ("<f8", 1, "f8"),
        (">f8", 1, "f8"),
        (np.dtype(np.longdouble).str, 1, "f8"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type(descr: str, scale: int, dtype: str, order: Any) -> None:
    numbers = [[0, 1, 1], [1, 0, 1]] if descr == "?" else [[0, 1, 2], [3, 100, 7]]
    picture = read_bytes(npy(np.array(numbers, descr, order=order)), OPTIONS)
    assert picture.dtype == np.dtype(dtype) and picture.values().dtype == np.dtype(dtype)
    assert not picture.is_picture and picture.shape == (1, 2, 3, 1)
    expected = np.array(numbers, dtype) / np.array(scale, dtype)
    assert np.array_equal(picture.values()[0, :, :, 0], expected)


@pytest.mark.parametrize(
    ("shape", "expected", "batched"),
    [
        ((4, 5), (1, 4, 5, 1), False),
        ((4, 5, 2), (1, 4, 5, 2), False),
        ((3, 4, 5, 2), (3, 4, 5, 2), True),
    ],
)
def test_array_shapes(shape: tuple[int, ...], expected: tuple[int, ...], batched: bool) -> None:
    numbers = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    picture = read_bytes(npy(numbers), OPTIONS)
    assert picture.shape == expected and picture.batched == batched
    assert np.array_equal(picture.values().ravel(), numbers.ravel())


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1), (0, 3), (2, 0, 3), (0, 2, 2, 1)])
def test_array_shapes_that_are_no_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=re.escape(f"got {shape}")):
        read_bytes(npy(np.zeros(shape)), OPTIONS)


def test_array_file_by_content_stays_mapped_and_pickles(tmp_path: Path) -> None:
    path = tmp_path / "array.png"
    path.write_bytes(npy(np.arange(12, dtype=np.uint8).reshape(4, 3)))
    picture = read_image(path, OPTIONS)
    assert isinstance(picture.pixels, np.memmap) and not picture.is_picture
    copy = pickle.loads(pickle.dumps(picture))
    assert isinstance(copy, Picture) and np.array_equal(copy.values(), picture.values())


def test_archive_of_arrays_as_image() -> None:
    file = io.BytesIO()
    np.savez(file, a=np.zeros((2, 2)))
    assert ".npz" in str(refusal(file.getvalue()))


def test_values_by_rows_and_read_only() -> None:
    picture = read_bytes(encoded(RGB, "PNG"), OPTIONS)
    assert np.array_equal(picture.values(slice(1, 3)), picture.values()[:, 1:3])
    for source in (picture, read_bytes(npy(np.zeros((2, 2))), OPTIONS)):
        with pytest.raises(ValueError, match="read-only"):
            source.values()[0, 0, 0, 0] = 1


def test_luminance() -> None:
    r, g, b = (RGB[:, :, i].astype(float) / 255 for i in range(3))
    picture = read_bytes(encoded(RGB, "PNG"), ReadOptions(gray=True))
    assert (picture.shape, picture.scale, picture.dtype) == ((1, 5, 7, 1), 1.0, np.float32)
    assert np.allclose(picture.values()[0, :, :, 0], 0.299 * r + 0.587 * g + 0.114 * b, atol=1e-6)
    double = read_bytes(npy(np.stack([RGB / 255.0] * 2)), ReadOptions(gray=True))
    assert double.dtype == np.float64 and double.shape == (2, 5, 7, 1)
    assert np.allclose(double.values()[1, :, :, 0], 0.299 * r + 0.587 * g + 0.114 * b, atol=1e-15)


def test_luminance_of_grey_and_of_many_channels() -> None:
    picture = read_bytes(encoded(DEEP, "PNG"), ReadOptions(gray=True))
    assert picture.pixels.dtype == np.uint16
    with pytest.raises(ShapeError, match="1 or 3 channels, got 4"):
        read_bytes(npy(np.zeros((2, 2, 4))), ReadOptions(gray=True))


def test_gray_after_flattening() -> None:
    data = encoded(np.dstack([RGB, ALPHA]), "PNG")
    got = read_bytes(data, ReadOptions(gray=True, background="red")).values()[0, :, :, 0]
    expected = flat(RGB, ALPHA, (255, 0, 0)) @ np.array([0.299, 0.587, 0.114])
    assert np.allclose(got, expected, atol=1e-6)


def test_unknown_background() -> None:
    with pytest.raises(OptionError, match="--background"):
        read_bytes(encoded(RGB, "PNG"), ReadOptions(background="no\ncolour"))


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xc5\xd0\xd3\xc6" + b"\0" * 60,
        b"%PDF-1.7\n",
        b"only text\n",
        b"P",
        b"\x80\x04\x95",
        b"<svg/>",
    ],
)
@pytest.mark.parametrize("name", ["x.png", "x.eps", "x"])
def test_other_content_is_refused_under_any_name(data: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FileProblem, match="PNG JPEG GIF BMP TIFF WEBP PPM"):
        read_image(path, OPTIONS)
    assert "PNG JPEG GIF BMP TIFF WEBP PPM" in str(refusal(data))


def test_empty_input() -> None:
    assert "empty" in str(refusal(b""))
    with pytest.raises(FileProblem, match="'standard input': empty"):
        read_stream(io.BytesIO(), OPTIONS)


WHOLE = {
    "PNG": encoded(RGB, "PNG"),
    "JPEG": encoded(RGB, "JPEG"),
    "progressive JPEG": encoded(RGB, "JPEG", progressive=True),
    "GIF": encoded(GREY, "GIF"),
    "BMP": encoded(RGB, "BMP"),
    "TIFF": encoded(RGB, "TIFF"),
    "LZW TIFF": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "JPEG TIFF": encoded(RGB, "TIFF", compression="jpeg"),
    "WEBP": encoded(RGB, "WEBP"),
    "lossless WEBP": encoded(RGB, "WEBP", lossless=True),
    "PPM": encoded(RGB, "PPM"),
}


@pytest.mark.parametrize("form", WHOLE)
def test_truncated_at_every_byte(form: str) -> None:
    data = WHOLE[form]
    whole = read_bytes(data, OPTIONS).pixels
    refused = 0
    for length in range(len(data)):
        try:
            picture = read_bytes(data[:length], OPTIONS)
        except FileProblem as problem:
            assert str(problem).isprintable()
            refused += 1
        else:
            assert np.array_equal(picture.pixels, whole), f"{length} bytes give a wrong picture"
    assert refused > 0.8 * len(data)


@pytest.mark.parametrize("form", WHOLE)
def test_random_damage(form: str) -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    random = np.random.default_rng(seed)
    refused = 0
    for _ in range(300):
        damaged = bytearray(WHOLE[form])
        for _ in range(random.integers(1, 5)):
            damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        try:
            picture = read_bytes(bytes(damaged), ReadOptions(max_pixels=10**6))
        except FileProblem as problem:
            assert str(problem).isprintable() and len(str(problem)) < 400
            refused += 1
        else:
            assert picture.values().ndim == 4
    assert refused > 0, f"seed {seed}"


HUGE = (
    PNG_MAGIC
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0))
    + png_chunk(b"IDAT", b"\0" * 76)
    + png_chunk(b"IEND", b"")
)


def test_huge_header_is_refused_before_decoding() -> None:
    assert len(HUGE) == 133
    refusal(HUGE)
    tracemalloc.start()
    try:
        start = time.perf_counter()
        problem = refusal(HUGE)
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(65_535**2) in str(problem) and "--max-pixels" in str(problem.hint)
    assert seconds < 0.5 and peak < 10 * 2**20


@pytest.mark.parametrize("form", WHOLE)
def test_size_limit_is_exact_and_leaves_pillow_as_it_was(form: str) -> None:
    before = Image.MAX_IMAGE_PIXELS
    assert read_bytes(WHOLE[form], ReadOptions(max_pixels=35)).shape[1:3] == (5, 7)
    problem = refusal(WHOLE[form], ReadOptions(max_pixels=34))
    assert "35 pixels, the limit is 34" in str(problem)
    assert before == Image.MAX_IMAGE_PIXELS


def test_memory_of_a_huge_header_does_not_move() -> None:
    code = (
        "import resource, sys; from cnncli.images import *; from cnncli.errors import *\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "data = sys.stdin.buffer.read(); read_bytes(b'P5 1 1 255 a', ReadOptions())\n"
        "before = peak()\n"
        "try: read_bytes(data, ReadOptions())\n"
        "except FileProblem: print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=HUGE, capture_output=True)
    assert int(done.stdout) < 20_000, done.stderr


def test_pipe_device_folder_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    cases = {
        tmp_path / "pipe.png": "a pipe",
        Path("/dev/zero"): "a device",
        tmp_path: "a folder",
        tmp_path / "none.png": "No such file",
    }
    outcome: list[str] = []

    def read_all() -> None:
        for path, word in cases.items():
            with pytest.raises(FileProblem, match=word):
                read_image(path, OPTIONS)
            outcome.append(word)

    reader = threading.Thread(target=read_all, daemon=True)
    reader.start()
    reader.join(5)
    assert outcome == list(cases.values())


def test_file_and_bytes_agree_and_the_file_is_closed(tmp_path: Path) -> None:
    for number, (form, data) in enumerate(WHOLE.items()):
        path = tmp_path / f"{number}.x"
        path.write_bytes(data)
        # The lowest free number tells whether a descriptor was left open.
        before = os.dup(0)
        os.close(before)
        pixels = read_image(path, OPTIONS).pixels
        after = os.dup(0)
        os.close(after)
        assert np.array_equal(pixels, read_bytes(data, OPTIONS).pixels), form
        assert before == after


class Endless(io.RawIOBase):
    """A stream that begins like a picture and never ends."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        head, self.head = self.head[:size], self.head[size:]
        return head.ljust(size, b"\0")


def test_endless_input() -> None:
    picture = Endless(PNG_MAGIC)
    with pytest.raises(FileProblem, match="limit of 5000000 bytes") as caught:
        read_stream(picture, ReadOptions(max_input_bytes=5_000_000))  # type: ignore[arg-type]
    assert "--max-input-bytes" in str(caught.value.hint) and picture.given == 5_000_001
    zeros = Endless(b"")
    with pytest.raises(FileProblem, match="not a picture"):
        read_stream(zeros, OPTIONS)  # type: ignore[arg-type]
    assert zeros.given < 2**21


def test_streams_give_what_bytes_give() -> None:
    for data in (WHOLE["PNG"], WHOLE["LZW TIFF"], npy(GREY)):
        picture = read_stream(io.BytesIO(data), ReadOptions(max_input_bytes=len(data)))
        assert np.array_equal(picture.pixels, read_bytes(data, OPTIONS).pixels)
        with pytest.raises(FileProblem, match="limit"):
            read_stream(io.BytesIO(data), ReadOptions(max_input_bytes=len(data) - 1))


def test_input_limit_counts_for_array_files(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(GREY))
    with pytest.raises(FileProblem, match="limit of 100 bytes"):
        read_image(tmp_path / "a.npy", ReadOptions(max_input_bytes=100))


NOISY = """
import os, sys
from pathlib import Path
from cnncli.images import ReadOptions, read_image
from cnncli.errors import FileProblem
if "closed" in sys.argv: os.close(2)
for name in sys.argv[1:3]:
    try: print(read_image(Path(name), ReadOptions()).shape)
    except FileProblem as error: print(error)
if "closed" not in sys.argv: os.write(2, b"after")
"""


@pytest.mark.parametrize("closed", [True, False])
def test_c_libraries_are_silent(closed: bool, tmp_path: Path) -> None:
    bad = bytearray(WHOLE["LZW TIFF"])
    bad[8:20] = b"\xff" * 12
    control = tmp_path / "bad.tif"
    control.write_bytes(bytes(bad))
    good = tmp_path / "good.tif"
    good.write_bytes(WHOLE["LZW TIFF"])
    pillow = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"
    loud = subprocess.run([sys.executable, "-c", pillow, control], capture_output=True)
    # Without us libtiff does complain, so that silence below means something.
    assert b"Using code not yet in table" in loud.stderr
    command = [sys.executable, "-c", NOISY, control, good, *(["closed"] if closed else [])]
    done = subprocess.run(command, capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert "broken or truncated TIFF" in lines[0] and lines[1] == "(1, 5, 7, 3)"
    assert done.stderr == (b"" if closed else b"after") and done.returncode == 0


def with_text(pixels: np.ndarray, text: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("cnncli", text)
    return encoded(pixels, "PNG", pnginfo=chunks)


AS_VALUES = ReadOptions(as_values=True)


@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_values_come_back_from_pictures(form: str, depth: str) -> None:
    from cnncli.encode import encode
    from cnncli.render import MapGroup, RenderOptions, describe, render

    values = RANDOM.normal(size=(1, 5, 7, 1)).astype(np.float32)
    tiles = render(values, [MapGroup("edge", (0,))], RenderOptions(depth=depth), False)
    data = encode(tiles[0].pixels, form.lower(), depth=depth, metadata=describe(tiles, "", "1"))
    picture = read_bytes(data, AS_VALUES)
    half_step = np.abs(values).max() / (255 if depth == "8" else 65_535)
    assert np.abs(picture.values() - values).max() <= half_step * 1.01
    assert not picture.is_picture and picture.scale == 1.0


@pytest.mark.parametrize("shape", [(1, 4, 3, 1), (1, 4, 3, 5), (2, 4, 3, 3)])
def test_values_come_back_from_the_pages_of_a_float_tiff(shape: tuple[int, ...]) -> None:
    from cnncli.encode import encode_float_tiff
    from cnncli.metadata import describe_values

    values = RANDOM.normal(size=shape).astype(np.float32)
    data = encode_float_tiff(values, metadata=describe_values(shape, "cnncli", "1"))
    picture = read_bytes(data, AS_VALUES)
    assert np.array_equal(picture.values(), values) and picture.batched == (shape[0] > 1)


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", "[" * 50_000, '{"maps": 1}', '{"maps": [{}]}', "1" * 5_000, "null"],
)
def test_untrusted_records(text: str) -> None:
    refusal(with_text(GREY, text), AS_VALUES)


@pytest.mark.parametrize(
    "shape",
    ["[1,2]", "7", '"abcd"', "[1,5,7,-1]", "[1,5,7,0]", "[1,5,7,9]", "[1e9,5,7,1]", "[1,5,8,1]"],
)
def test_untrusted_pages(shape: str) -> None:
    image = Image.fromarray(GREY.astype(np.float32))
    data = encoded(image, "TIFF", description=f'{{"cnncli": "1", "shape": {shape}}}')
    refusal(data, AS_VALUES)


@pytest.mark.parametrize("form", WHOLE)
def test_pictures_without_values(form: str) -> None:
    assert "carries no cnncli values" in str(refusal(WHOLE[form], AS_VALUES))


def test_images_in_a_folder(tmp_path: Path) -> None:
    names = ["b.PNG", "a.jpeg", "c.npy", ".hidden.png", "note.txt", "sub/d.tiff", "sub/e.md"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    flat_names = [p.relative_to(tmp_path).as_posix() for p in images_in_folder(tmp_path, False)]
    assert flat_names == ["a.jpeg", "b.PNG", "c.npy"]
    deep = [p.relative_to(tmp_path).as_posix() for p in images_in_folder(tmp_path, True)]
    assert deep == [*flat_names, "sub/d.tiff"]
    with pytest.raises(FileProblem, match="Not a directory"):
        list(images_in_folder(tmp_path / "a.jpeg", False))


def test_threads_do_not_disturb_each_other() -> None:
    before = os.fstat(2).st_ino
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for data in list(WHOLE.values()) * 5:
                read_bytes(data, OPTIONS)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and os.fstat(2).st_ino == before
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
