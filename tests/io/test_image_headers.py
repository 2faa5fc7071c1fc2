"""Shapes from headers, held against what reading the whole file gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cnncli.errors import CnnCliError, FileProblem, ShapeError
from cnncli.io import images, pillow_reader
from cnncli.io.image_headers import read_header, read_shape
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from tests.support.crafted import png, tiff
from tests.support.picturefiles import ALPHA, DEEP, GREY, OPTIONS, RGB, encoded
from tests.support.shell import npy_bytes


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[274] = orientation
    return found


PLANES = {338: (2,), 284: (2,), 273: (8, 43), 279: (35, 35)}
HEADERS: dict[str, bytes] = {
    "RGB": encoded(RGB, "PNG"),
    "grey": encoded(GREY, "PNG"),
    "16 bits": encoded(DEEP, "PNG"),
    "palette": encoded(Image.fromarray(RGB).convert("P"), "GIF"),
    "1 bit": encoded(Image.fromarray(GREY).convert("1"), "PNG"),
    "CMYK": encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    "alpha": encoded(np.dstack([RGB, ALPHA]), "PNG"),
    "grey alpha": encoded(Image.fromarray(np.dstack([GREY, ALPHA])), "PNG"),
    "float": encoded(GREY.astype(np.float32), "TIFF"),
    "WebP": encoded(RGB, "WEBP"),
    "PPM": encoded(RGB, "PPM"),
    **{f"turned {turn} JPEG": encoded(RGB, "JPEG", exif=exif(turn)) for turn in (1, 3, 6, 8)},
    **{f"turned {turn} PNG": encoded(RGB, "PNG", exif=exif(turn)) for turn in (2, 5)},
    **{f"turned {turn} TIFF": encoded(RGB, "TIFF", exif=exif(turn)) for turn in (1, 6)},
    **{
        f"turned TIFF of {bits}-bit samples": tiff(7, 5, (bits,) * 3, 2, data, extra={274: (8,)})
        for bits, data in ((16, bytes(210)), (32, bytes(420)))
    },
    "two channels": tiff(7, 5, (8, 8), 1, bytes(70), extra={338: (0,)}),
    "grey alpha of 16 bits": tiff(7, 5, (16, 16), 1, bytes(140), extra={338: (2,)}),
    "grey alpha in planes": tiff(7, 5, (8, 8), 1, bytes(70), extra=PLANES),
    "grey alpha and more": tiff(7, 5, (8, 8, 8), 1, bytes(105), extra={338: (2, 0)}),
    "16-bit colour": png(7, 5, 16, 2, [bytes(42)] * 5),
    "(H,W)": npy_bytes(GREY),
    "(H,W,C)": npy_bytes(RGB.astype(float)),
    "(N,H,W,C)": npy_bytes(np.zeros((2, 3, 4, 5), np.float32)),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("options", [OPTIONS, ReadOptions(size=(2, 9)), ReadOptions(gray=True)])
def test_header_tells_the_shape_of_what_is_read(
    tmp_path: Path, name: str, options: ReadOptions
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS[name])
    try:
        expected = read_image(path, options).shape[1:]
    except ShapeError:
        several = name in ("(N,H,W,C)", "two channels")
        assert several and options.gray, "two and five channels have no luminance"
        return
    assert read_shape(path, options) == expected


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(
    "options",
    [OPTIONS, ReadOptions(size=(2, 9)), ReadOptions(gray=True), ReadOptions(background="red")],
)
def test_header_tells_the_memory_of_what_is_read(
    tmp_path: Path, name: str, options: ReadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS[name])
    needed = []
    for module in (images, pillow_reader):
        monkeypatch.setattr(module, "check_decoding_memory", lambda count, *_: needed.append(count))
    try:
        picture = read_image(path, options)
    except ShapeError:
        return
    header = read_header(path, options)
    assert header.decoding_bytes == sum(needed)
    assert (header.shape, header.dtype) == (picture.shape, picture.dtype)
    # What shows through where a picture is transparent is known of its pixels alone.
    assert header.held_bytes <= picture.held_bytes
    assert "alpha" in name or header.held_bytes == picture.held_bytes


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_header_tells_the_memory_of_a_picture_that_is_not_transparent(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (7, 5), "red").convert(mode).save(path)
    assert read_header(path, OPTIONS).held_bytes == read_image(path, OPTIONS).held_bytes


@pytest.mark.parametrize("background", ["black", "#777", "red"])
@pytest.mark.parametrize("alpha", ["flatten", "keep"])
@pytest.mark.parametrize("name", [*(name for name in HEADERS if "alpha" in name), "grey key"])
def test_header_tells_the_channels_on_a_background(
    tmp_path: Path, name: str, background: str, alpha: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS.get(name, encoded(GREY, "PNG", transparency=int(GREY[0, 0]))))
    options = ReadOptions(background=background, alpha=alpha)
    assert read_shape(path, options) == read_image(path, options).shape[1:]


@pytest.mark.parametrize("name", ["RGB", "alpha", "turned 5 PNG", "turned 6 JPEG", "WebP"])
def test_header_is_all_that_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS[name])
    expected = read_image(path, OPTIONS).shape[1:]

    def refuse(self: Image.Image) -> None:
        raise AssertionError("pixels were decoded")

    for kind in (PngImagePlugin.PngImageFile, JpegImageFile, WebPImageFile, Image.Image):
        monkeypatch.setattr(kind, "load", refuse)
    assert read_shape(path, OPTIONS) == expected


def test_header_of_a_picture_too_large(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS["RGB"])
    with pytest.raises(FileProblem, match="35 pixels, the limit is 34"):
        read_shape(path, ReadOptions(max_pixels=34))


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (HEADERS["two channels"], ReadOptions(gray=True), "must have 1 or 3 channels, got 2"),
        (HEADERS["(N,H,W,C)"], ReadOptions(gray=True), "an array of 1 or 3 channels is needed"),
        (HEADERS["(H,W,C)"][:-1], OPTIONS, "cut off"),
        (HEADERS["(H,W,C)"], ReadOptions(max_input_bytes=100), "the limit of 100 bytes"),
        (HEADERS["(H,W)"], ReadOptions(frame=1), "an array is read whole"),
        (HEADERS["(N,H,W,C)"], ReadOptions(frame=0), "an array is read whole"),
        (HEADERS["RGB"], ReadOptions(size=(9, 9), max_pixels=80), "81 pixels, the limit is 80"),
        (tiff(1, 1, (8, 8, 8), 8, bytes(3)), OPTIONS, "CIE L*a*b* colour is not read"),
    ],
)
def test_header_tells_what_reading_refuses(
    tmp_path: Path, data: bytes, options: ReadOptions, words: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    with pytest.raises(CnnCliError) as caught:
        read_image(path, options)
    assert words in str(caught.value)
    with pytest.raises(type(caught.value)) as before:
        read_shape(path, options)
    assert str(before.value) == str(caught.value)


def test_the_one_frame_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(HEADERS["(H,W)"])
    assert read_image(path, ReadOptions(frame=0)).shape[1:] == read_shape(path, ReadOptions())


@pytest.mark.parametrize("name", ["two channels", "RGB", "grey"])
@pytest.mark.parametrize("channels", [1, 3])
def test_header_tells_the_channels_for_a_network(tmp_path: Path, name: str, channels: int) -> None:
    path = tmp_path / "picture"
    path.write_bytes(HEADERS[name])
    options = ReadOptions(channels=channels)
    assert read_shape(path, options) == read_image(path, options).shape[1:]


@pytest.mark.parametrize("shape", [(3,), (0, 4), (1, 1, 1, 1, 1)])
def test_header_of_an_array_that_is_no_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy_bytes(np.zeros(shape)))
    with pytest.raises(ShapeError, match="an image array needs shape"):
        read_shape(path, OPTIONS)


def test_header_cut_anywhere_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    whole = HEADERS["turned 5 PNG"]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            shape = read_shape(path, OPTIONS)
        except FileProblem as problem:
            assert str(problem).isprintable()
        else:
            assert shape in ((7, 5, 3), (5, 7, 3)), length
