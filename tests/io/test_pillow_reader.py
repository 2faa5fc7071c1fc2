"""Every kind of picture becomes the right values, compared with formulas of its own."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cnncli.errors import OptionError
from cnncli.io.image_headers import read_shape
from cnncli.io.images import read_bytes
from cnncli.io.read_options import ReadOptions
from cnncli.io.samples import CMYK_NOTE
from tests.support.crafted import png, png_chunk, tiff
from tests.support.picturefiles import (
    ALPHA,
    DEEP,
    GREY,
    OLD_PILLOW,
    OPTIONS,
    RANDOM,
    RGB,
    encoded,
    flat,
    refusal,
)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_rgb_of_every_lossless_format(form: str) -> None:
    picture = read_bytes(encoded(RGB, form, lossless=True), OPTIONS)
    assert np.array_equal(picture.pixels, RGB[None]) and picture.scale == 255.0
    assert (picture.shape, picture.is_picture) == ((1, 5, 7, 3), True)
    assert picture.notes == () and picture.dtype == np.float32 and not picture.batched
    assert np.array_equal(picture.values(), RGB[None].astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_grey_stays_one_channel(form: str) -> None:
    picture = read_bytes(encoded(GREY, form), OPTIONS)
    assert np.array_equal(picture.pixels[0, :, :, 0], GREY)


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
        (tiff(2, 1, (8, 8), 1, samples, order=order, extra={338: (0,)}), [50, 100, 7, 255]),
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


SIXTEEN = {
    "PNG": (png(1, 1, 16, 2, [b"\x12\x34\xff\xff\0\xff"]), [0x1234, 65_535, 255]),
    "TIFF": (tiff(1, 1, (16,) * 3, 2, b"\x34\x12\xff\xff\xff\0"), [0x1234, 65_535, 255]),
    "big-endian": (
        tiff(1, 1, (16,) * 3, 2, b"\x12\x34\xff\xff\0\xff", order=">"),
        [0x1234, 65_535, 255],
    ),
    "PPM": (b"P6 1 1 65535 " + struct.pack(">3H", 0x1234, 0xFFFF, 255), [0x1234, 65_535, 255]),
    "PPM of 10 bits": (b"P6 1 1 1023 " + struct.pack(">3H", 500, 1023, 0), [32_031, 65_535, 0]),
    "PPM as text": (b"P3 1 1 65535 #c\n4660 65535 #d\n255", [0x1234, 65_535, 255]),
}


@pytest.mark.parametrize("case", SIXTEEN)
def test_sixteen_bit_colour_keeps_sixteen_bits(case: str) -> None:
    data, pixels = SIXTEEN[case]
    picture = read_bytes(data, OPTIONS)
    assert picture.pixels.dtype == np.uint16 and picture.notes == ()
    assert picture.pixels.ravel().tolist() == pixels


def test_sixteen_bit_alpha_and_one_transparent_colour() -> None:
    grey = png(1, 1, 16, 4, [b"\x12\x34\x40\x01"])
    colour = png(1, 1, 16, 6, [b"\x12\x34\x80\0\0\0\x40\x01"])
    share = 0x4001 / 65_535
    for data, levels in ((grey, [0x1234]), (colour, [0x1234, 0x8000, 0])):
        got = read_bytes(data, ReadOptions(background="white")).values().ravel()
        assert np.allclose(got, np.array(levels) / 65_535 * share + 1 - share, atol=1e-6)
    rows = [b"\x12\x34\0\1\0\2" + b"\x12\x35\0\1\0\2"]
    keyed = png(2, 1, 16, 2, rows, png_chunk(b"tRNS", b"\x12\x34\0\1\0\2"))
    got = read_bytes(keyed, ReadOptions(background="white")).values()[0, 0]
    # The second differs from the transparent one in its low byte only.
    assert np.allclose(got, [[1, 1, 1], np.array([0x1235, 1, 2]) / 65_535], atol=1e-6)


def test_sixteen_bit_cmyk() -> None:
    ink = struct.pack("<4H", 0, 65_535, 13_107, 13_107)
    picture = read_bytes(tiff(1, 1, (16,) * 4, 5, ink), OPTIONS)
    assert np.allclose(picture.values().ravel(), [0.8, 0, 0.64], atol=1e-6)
    assert picture.photo_metadata.bits == 16 and picture.notes == (CMYK_NOTE,)


def test_float_cmyk() -> None:
    ink = struct.pack("<4f", 0, 1, 0.2, 0.2)
    picture = read_bytes(tiff(1, 1, (32,) * 4, 5, ink, sample_format=3), OPTIONS)
    assert np.allclose(picture.values().ravel(), [0.8, 0, 0.64], atol=1e-6)
    assert picture.notes == (CMYK_NOTE,)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_conversion_of_cmyk_is_said(kind: str) -> None:
    data = encoded(Image.new("CMYK", (3, 2), (9, 8, 7, 6)), kind)
    assert read_bytes(data, OPTIONS).notes == (CMYK_NOTE,)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_pictures_are_turned_upright(orientation: int) -> None:
    levels = np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 1000
    eight = Image.fromarray((levels // 1000).astype(np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    file = encoded(eight, "PNG", exif=exif)
    expected = read_bytes(file, OPTIONS).pixels[0].astype(np.uint16) * 1000
    rows = [row.astype(">u2").tobytes() for row in levels]
    deep = png(3, 2, 16, 2, rows, png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    tags = {274: (orientation,)}
    deep_tiff = tiff(3, 2, (16,) * 3, 2, levels.astype("<u2").tobytes(), extra=tags)
    for data in (deep, deep_tiff):
        assert np.array_equal(read_bytes(data, OPTIONS).pixels[0], expected)


FLOATS = [-1.5, 0.25, 300.0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ["e", "f", "d"])
def test_float_tiff_of_every_size(code: str, order: str) -> None:
    size = struct.calcsize(code) * 8
    data = struct.pack(order + code * 3, *FLOATS)
    grey = tiff(3, 1, (size,), 1, data, order=order, sample_format=3)
    colour = tiff(1, 1, (size,) * 3, 2, data, order=order, sample_format=3)
    for file, shape in ((grey, (1, 1, 3, 1)), (colour, (1, 1, 1, 3))):
        picture = read_bytes(file, OPTIONS)
        assert picture.shape == shape and picture.values().ravel().tolist() == FLOATS
        assert picture.notes == (("64-bit floats read as 32-bit",) if code == "d" else ())


def test_twelve_bit_colour() -> None:
    data = bytes([0x12, 0x3F, 0xFF, 0x00, 0x00])
    got = read_bytes(tiff(1, 1, (12,) * 3, 2, data), OPTIONS).values().ravel()
    assert np.allclose(got, [0x123 / 4095, 1, 0], rtol=1e-6)


def test_planes_of_tiff_are_put_together() -> None:
    data = struct.pack("<6H", 1, 2, 300, 400, 50_000, 60_000)
    planar = {284: (2,), 273: (8, 12, 16), 279: (4, 4, 4)}
    picture = read_bytes(tiff(2, 1, (16,) * 3, 2, data, extra=planar), OPTIONS)
    assert picture.pixels.ravel().tolist() == [1, 300, 50_000, 2, 400, 60_000]


def test_what_has_no_more_than_eight_bits_in_pillow_is_said() -> None:
    cmyk = read_bytes(b"P0CMYK 1 1 65535 " + bytes(8), OPTIONS)
    assert cmyk.notes == ("16-bit colour read as 8-bit", CMYK_NOTE)


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


def test_xmp_orientation() -> None:
    text = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", text)
    picture = read_bytes(encoded(RGB, "PNG", pnginfo=info), OPTIONS)
    assert np.array_equal(picture.pixels[0], upright(RGB, 6))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_deep_grey(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = read_bytes(encoded(DEEP, "PNG", exif=exif), OPTIONS).pixels[0, :, :, 0]
    assert np.array_equal(got, upright(DEEP, orientation))


BROKEN_EXIF = png_chunk(b"eXIf", b"garbage!!")


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (encoded(RGB, "PNG", exif=b"Exif\0\0MM\0"), RGB),
        (png(1, 1, 16, 2, [b"\x12\x34\0\1\0\2"], BROKEN_EXIF), [[[0x1234, 1, 2]]]),
        (png(1, 1, 16, 0, [b"\x12\x34"], BROKEN_EXIF), [[[0x1234]]]),
    ],
    ids=["8 bits", "16-bit colour", "16-bit grey"],
)
def test_broken_exif_does_not_lose_the_picture(data: bytes, pixels: Any, tmp_path: Path) -> None:
    picture = read_bytes(data, OPTIONS)
    assert np.array_equal(picture.pixels[0], pixels)
    assert picture.notes == ("EXIF data is broken, orientation not applied",)
    (tmp_path / "a.png").write_bytes(data)
    assert read_shape(tmp_path / "a.png", OPTIONS) == picture.shape[1:]


@pytest.mark.parametrize(
    ("fit", "note"),
    [
        ("crop", "cropped to its middle and resized from 2x4 to 2x2"),
        ("pad", "resized from 2x4 to 2x2, 1x2 of that in black"),
        ("stretch", "resized from 2x4 to 2x2, stretched (see --fit)"),
    ],
)
def test_note_on_the_size_of_sixteen_bit_colour_says_how_it_fits(fit: str, note: str) -> None:
    data = png(4, 2, 16, 2, [bytes(24)] * 2)
    assert read_bytes(data, ReadOptions(size=(2, 2), fit=fit)).notes == (note,)


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
    with pytest.raises(OptionError, match="the picture has one frame, so --frame must be 0, got 1"):
        read_bytes(data, ReadOptions(frame=1))


def test_broken_second_page_does_not_lose_the_first() -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    data = encoded(images[0], "TIFF", save_all=True, append_images=images[1:])
    assert np.array_equal(read_bytes(data[:-40], OPTIONS).pixels[0], FRAMES[0])


@pytest.mark.parametrize("shape", [(1500, 900), (1500, 900, 3), (1500, 900, 4), (3, 1_200_000)])
def test_large_pictures_come_in_bands(shape: tuple[int, ...]) -> None:
    samples = RANDOM.integers(0, 256, shape, np.uint8)
    if shape[-1] == 4:
        samples[..., 3] = 255
    got = read_bytes(encoded(samples, "PPM" if shape[-1] != 4 else "TIFF"), OPTIONS).pixels[0]
    np.testing.assert_array_equal(got, samples.reshape(*shape[:2], -1)[..., :3])


@pytest.mark.parametrize("form", ["JPEG2000", "ICO", "QOI"])
def test_further_lossless_formats(form: str) -> None:
    picture = read_bytes(encoded(RGB, form), OPTIONS)
    assert np.array_equal(picture.pixels[0], RGB) and picture.notes == ()


def test_avif() -> None:
    smooth = np.asarray(Image.radial_gradient("L").resize((40, 30)).convert("RGB"))
    picture = read_bytes(encoded(smooth, "AVIF", quality=100), OPTIONS)
    assert picture.pixels.shape == (1, 30, 40, 3) and picture.notes == ()
    assert np.abs(picture.pixels[0].astype(int) - smooth).max() <= 3


def test_the_largest_picture_of_an_icon_is_used() -> None:
    icon = Image.fromarray(np.kron(RGB[:4, :4], np.ones((8, 8, 1), np.uint8)))
    picture = read_bytes(encoded(icon, "ICO", sizes=[(16, 16), (32, 32)]), OPTIONS)
    assert picture.shape == (1, 32, 32, 3)
    assert picture.notes == ("largest of 2 pictures in the file",)
