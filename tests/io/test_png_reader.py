"""PNG pictures whose rows arrive one after the other, judged by Pillow's own reading of them."""

from __future__ import annotations

import io
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnncli.errors import FileProblem
from cnncli.io.images import Picture, ReadOptions, read_image
from cnncli.io.png_reader import Arriving, start_decoding
from cnncli.network.graph import Network
from cnncli.network.layers import PoolLayer
from cnncli.pipeline.feature_maps import FeatureMaps
from tests.support.crafted import PNG_MAGIC, png, png_chunk
from tests.support.shell import run_cli

RNG = np.random.default_rng(23)
LARGE = (1100, 1000, 3)
XMP = '<x:xmpmeta><rdf:Description tiff:{}="6"/></x:xmpmeta>'


def photo(*shape: int) -> np.ndarray:
    """Slopes with grain: of every filter some rows in Pillow's files."""
    slope = np.add.outer(np.arange(shape[0]) // 2, np.arange(shape[1]) // 3)
    slope = slope if len(shape) == 2 else slope[..., None] * [1, 2, 3]
    return (slope + RNG.integers(0, 9, shape)).astype(np.uint8)


def png_bytes(picture: np.ndarray | Image.Image, **settings: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, "PNG", **settings)
    return file.getvalue()


def rows_of(data: bytes) -> np.ndarray | None:
    """What arrives, once all of it has."""
    started = start_decoding(io.BytesIO(data), ReadOptions(), "x.png")
    if started is None:
        return None
    pixels, arriving = started
    arriving.wait(len(pixels))
    return pixels


@pytest.mark.parametrize("shape", [(1, 1), (1, 9, 3), (9, 1, 3), (31, 47), (31, 47, 3), LARGE])
@pytest.mark.parametrize("settings", [{}, {"optimize": True}, {"compress_level": 0}], ids=str)
def test_rows_are_those_that_pillow_reads(shape: tuple[int, ...], settings: Any) -> None:
    pixels = photo(*shape)
    got = rows_of(png_bytes(pixels, **settings))
    assert got is not None and np.array_equal(got.reshape(shape), pixels)


def test_all_filters_are_met() -> None:
    data = png_bytes(photo(200, 150, 3))
    begin = data.index(b"IDAT")
    size = int.from_bytes(data[begin - 4 : begin], "big")
    stream = zlib.decompressobj().decompress(data[begin + 4 : begin + 4 + size])
    assert len(set(stream[:: 150 * 3 + 1])) >= 3


def test_a_row_longer_than_a_band() -> None:
    pixels = photo(3, 400_000, 3)
    got = rows_of(png_bytes(pixels))
    assert got is not None and np.array_equal(got, pixels)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_data_may_be_cut_anywhere(size: int) -> None:
    pixels = photo(20, 30, 3)
    data = png_bytes(pixels)
    begin = data.index(b"IDAT")
    length = int.from_bytes(data[begin - 4 : begin], "big")
    stream = data[begin + 4 : begin + 4 + length]
    cut = [png_chunk(b"IDAT", stream[i : i + size]) for i in range(0, length, size)]
    whole = data[: begin - 4] + b"".join([*cut, png_chunk(b"IDAT", b"")]) + png_chunk(b"IEND", b"")
    assert np.array_equal(rows_of(whole), pixels)


def texts(**content: str) -> dict[str, Any]:
    info = PngInfo()
    for name, text in content.items():
        info.add_text(name, text)
    return {"pnginfo": info}


def xmp(word: str, zip: bool = False) -> dict[str, Any]:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.format(word), zip=zip)
    return {"pnginfo": info}


@pytest.mark.parametrize(
    "settings",
    [
        {"dpi": (72, 72)},
        {"icc_profile": b"no profile at all"},
        texts(Title="Cat", Orientation="6"),
        xmp("Resolution"),
    ],
    ids=["dpi", "profile", "text", "xmp"],
)
def test_what_else_is_in_a_file_does_not_matter(settings: Any) -> None:
    pixels = photo(12, 10, 3)
    assert np.array_equal(rows_of(png_bytes(pixels, **settings)), pixels)


def not_plain() -> dict[str, bytes]:
    rgb = Image.fromarray(photo(12, 10, 3))
    exif = Image.Exif()
    exif[274] = 6
    rows = [bytes(range(i, i + 10)) for i in range(12)]
    plain = png_bytes(rgb)
    end, data = plain.rindex(b"IEND") - 4, plain.index(b"IDAT") - 4
    broken = bytearray(png_bytes(rgb, dpi=(72, 72)))
    broken[broken.index(b"pHYs") + 6] ^= 1
    return {
        "palette": png_bytes(rgb.convert("P")),
        "alpha": png_bytes(rgb.convert("RGBA")),
        "key": png_bytes(rgb, transparency=(1, 2, 3)),
        "deep": png_bytes(np.zeros((12, 10), np.uint16)),
        "bits": png_bytes(rgb.convert("1")),
        "interlaced": png(10, 12, 8, 0, rows).replace(b"\x08\0\0\0\0", b"\x08\0\0\0\1", 1),
        "exif": png_bytes(rgb, exif=exif),
        "exif behind": plain[:end] + png_chunk(b"eXIf", b"MM\0*") + plain[end:],
        "animated": png_bytes(rgb, save_all=True, append_images=[rgb.rotate(90)]),
        "xmp": png_bytes(rgb, **xmp("Orientation")),
        "folded xmp": png_bytes(rgb, **xmp("Orientation", zip=True)),
        "raw profile": png_bytes(rgb, **texts(**{"Raw profile type exif": "x"})),
        "truncated": plain[:-30],
        "no end": plain[:end],
        "no data": plain[:data] + plain[end:],
        "broken chunk": bytes(broken),
        "data apart": plain[:end]
        + png_chunk(b"tIME", bytes(7))
        + png_chunk(b"IDAT", b"")
        + plain[end:],
        "empty": PNG_MAGIC,
    }


@pytest.mark.parametrize("kind", not_plain())
def test_anything_out_of_the_ordinary_is_left_to_pillow(kind: str) -> None:
    assert rows_of(not_plain()[kind]) is None


def test_an_orientation_in_xmp_still_turns_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_bytes(photo(12, 10, 3), **xmp("Orientation")))
    early = read_image(path, ReadOptions(), early=True)
    assert early.shape == read_image(path, ReadOptions()).shape == (1, 10, 12, 3)


def test_too_many_pixels_are_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_bytes(photo(12, 10, 3)))
    with pytest.raises(FileProblem, match="120 pixels, the limit is 100"):
        read_image(path, ReadOptions(max_pixels=100), early=True)


def damaged(data: bytes, share: float) -> bytes:
    """Change one byte of the image data, so far into the file."""
    place = int(len(data) * share)
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("shape", [(120, 100, 3), LARGE])
def test_damage_is_met_by_whoever_waits_for_the_rows(shape: tuple[int, ...], share: float) -> None:
    data = damaged(png_bytes(photo(*shape)), share)
    with pytest.raises(FileProblem, match=r"'x\.png': broken or truncated PNG: "):
        rows_of(data)


@pytest.mark.parametrize("cut", ["rows", "checksum"])
def test_data_that_end_too_early(cut: str) -> None:
    row = b"\0" + bytes(10)
    stream = zlib.compress(row * 11) if cut == "rows" else zlib.compress(row * 12)[:-2]
    data = png(10, 12, 8, 0, [bytes(10)] * 12)
    begin, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    data = data[:begin] + png_chunk(b"IDAT", stream) + data[end:]
    with pytest.raises(FileProblem, match="image file is truncated"):
        rows_of(data)


def test_waiting_ends_when_the_rows_or_an_error_arrive() -> None:
    arriving, seen = Arriving(), list[str]()

    def wait() -> None:
        arriving.wait(5)
        seen.append("five")
        with pytest.raises(FileProblem, match="gone"):
            arriving.wait(9)
        arriving.wait(5)
        seen.append("error")

    thread = threading.Thread(target=wait)
    thread.start()
    arriving.arrive(3)
    assert not seen
    arriving.arrive(5)
    arriving.arrive(7, FileProblem("gone"))
    thread.join(10)
    assert seen == ["five", "error"]


def test_nobody_waits_for_rows_once_some_strip_has_failed() -> None:
    arriving = Arriving()
    pixels = np.zeros((1, *LARGE), np.uint8)
    picture = Picture(pixels, 255.0, True, False, (), "x.png", arriving)
    maps = FeatureMaps(Network.chain(PoolLayer()), picture, jobs=2)
    arriving.arrive(500)  # the decoding thread has come to the middle, and no further

    def action(image: int, rows: slice, values: np.ndarray) -> None:
        raise KeyboardInterrupt

    caught: list[BaseException] = []

    def work() -> None:
        try:
            maps.each(action)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert [type(error) for error in caught] == [KeyboardInterrupt]


@pytest.mark.parametrize("args", [(), ("--range", "minmax"), ("--gray",), ("--jobs", 1)])
def test_a_large_picture_through_a_command(args: tuple[Any, ...], empty_folder: Path) -> None:
    pixels = photo(*LARGE)
    Path("x.png").write_bytes(png_bytes(pixels))
    np.save("x.npy", pixels)
    run_cli("conv", "x.png", "-f", "sharpen", *args, "-o", "a.png")
    run_cli("conv", "x.npy", "-f", "sharpen", "--range", "clip", *args, "-o", "b.png")
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("target", ["out.png", "-"])
def test_a_large_broken_picture_leaves_nothing_behind(target: str, empty_folder: Path) -> None:
    Path("x.png").write_bytes(damaged(png_bytes(photo(*LARGE)), 0.9))
    words = ("--format", "png") if target == "-" else ()
    result = run_cli("conv", "x.png", "-f", "sharpen", "-o", target, *words, code=1)
    assert result.stderr.startswith("cnncli: error: 'x.png': broken or truncated PNG: ")
    assert result.stdout_bytes == b"" and result.stderr.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["x.png"]
