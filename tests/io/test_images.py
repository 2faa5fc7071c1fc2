"""Arrays, streams, limits and faults of reading, and values that come back."""

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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cnncli.errors import FileProblem, OptionError, ShapeError
from cnncli.io.images import Picture, read_bytes, read_image, read_stream
from cnncli.io.read_options import ReadOptions
from cnncli.render.result_record import restore_values
from tests.support.crafted import PNG_MAGIC, png_chunk
from tests.support.memory import traced_peak
from tests.support.patience import patient
from tests.support.picturefiles import (
    ALPHA,
    DEEP,
    GREY,
    OPTIONS,
    RANDOM,
    RGB,
    encoded,
    flat,
    refusal,
)
from tests.support.shell import npy_bytes


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
    picture = read_bytes(npy_bytes(np.array(numbers, descr, order=order)), OPTIONS)
    assert picture.dtype == np.dtype(dtype) and picture.values().dtype == np.dtype(dtype)
    assert not picture.is_picture and picture.shape == (1, 2, 3, 1)
    expected = np.array(numbers, dtype) / np.array(scale, dtype)
    assert np.array_equal(picture.values()[0, :, :, 0], expected)
    divided = f"divided by {scale}; save floats to keep them"
    assert any(divided in note for note in picture.notes) == (scale > 1)


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
    picture = read_bytes(npy_bytes(numbers), OPTIONS)
    assert picture.shape == expected and picture.batched == batched
    assert np.array_equal(picture.values().ravel(), numbers.ravel())


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1), (0, 3), (2, 0, 3), (0, 2, 2, 1)])
def test_array_shapes_that_are_no_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=re.escape(f"got {shape}")):
        read_bytes(npy_bytes(np.zeros(shape)), OPTIONS)


def test_array_file_by_content_stays_mapped_and_pickles(tmp_path: Path) -> None:
    path = tmp_path / "array.png"
    path.write_bytes(npy_bytes(np.arange(12, dtype=np.uint8).reshape(4, 3)))
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
    for source in (picture, read_bytes(npy_bytes(np.zeros((2, 2))), OPTIONS)):
        with pytest.raises(ValueError, match="read-only"):
            source.values()[0, 0, 0, 0] = 1


def test_luminance() -> None:
    r, g, b = (RGB[:, :, i].astype(float) / 255 for i in range(3))
    picture = read_bytes(encoded(RGB, "PNG"), ReadOptions(gray=True))
    assert (picture.shape, picture.scale, picture.dtype) == ((1, 5, 7, 1), 1.0, np.float32)
    assert np.allclose(picture.values()[0, :, :, 0], 0.299 * r + 0.587 * g + 0.114 * b, atol=1e-6)
    double = read_bytes(npy_bytes(np.stack([RGB / 255.0] * 2)), ReadOptions(gray=True))
    assert double.dtype == np.float64 and double.shape == (2, 5, 7, 1)
    assert np.allclose(double.values()[1, :, :, 0], 0.299 * r + 0.587 * g + 0.114 * b, atol=1e-15)


def test_luminance_of_grey_and_of_many_channels() -> None:
    picture = read_bytes(encoded(DEEP, "PNG"), ReadOptions(gray=True))
    assert picture.pixels.dtype == np.uint16
    with pytest.raises(ShapeError, match="1 or 3 channels, got 4"):
        read_bytes(npy_bytes(np.zeros((2, 2, 4))), ReadOptions(gray=True))


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


@pytest.mark.parametrize("times", [100, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", WHOLE)
def test_random_damage(form: str, times: int) -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    random = np.random.default_rng(seed)
    refused = 0
    for _ in range(times):
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
    problem = refusal(HUGE)
    assert str(65_535**2) in str(problem) and "--max-pixels" in str(problem.hint)
    assert traced_peak(lambda: refusal(HUGE)) < 10 * 2**20


@pytest.mark.parametrize("form", WHOLE)
def test_size_limit_is_exact_and_leaves_pillow_as_it_was(form: str) -> None:
    before = Image.MAX_IMAGE_PIXELS
    assert read_bytes(WHOLE[form], ReadOptions(max_pixels=35)).shape[1:3] == (5, 7)
    problem = refusal(WHOLE[form], ReadOptions(max_pixels=34))
    assert "35 pixels, the limit is 34" in str(problem)
    assert before == Image.MAX_IMAGE_PIXELS


def test_memory_of_a_huge_header_does_not_move() -> None:
    code = (
        "import resource, sys; from cnncli.io.images import *; from cnncli.errors import *\n"
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
    reader.join(patient(5))
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
    for data in (WHOLE["PNG"], WHOLE["LZW TIFF"], npy_bytes(GREY)):
        picture = read_stream(io.BytesIO(data), ReadOptions(max_input_bytes=len(data)))
        assert np.array_equal(picture.pixels, read_bytes(data, OPTIONS).pixels)
        with pytest.raises(FileProblem, match="limit"):
            read_stream(io.BytesIO(data), ReadOptions(max_input_bytes=len(data) - 1))


def test_input_limit_counts_for_array_files(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy_bytes(GREY))
    with pytest.raises(FileProblem, match="limit of 100 bytes"):
        read_image(tmp_path / "a.npy", ReadOptions(max_input_bytes=100))


NOISY = """
import os, sys
from pathlib import Path
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
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


AS_VALUES = ReadOptions(restore=restore_values)


@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_values_come_back_from_pictures(form: str, depth: str) -> None:
    from cnncli.io.writers import encode
    from cnncli.render.options import MapGroup, RenderOptions
    from cnncli.render.result_record import picture_record
    from cnncli.render.tiles import make_tiles

    values = RANDOM.normal(size=(1, 5, 7, 1)).astype(np.float32)
    tiles = make_tiles(values, [MapGroup("edge", (0,))], RenderOptions(depth=depth), False)
    data = encode(
        tiles[0].pixels, form.lower(), depth=depth, metadata=picture_record(tiles, "", "1")
    )
    picture = read_bytes(data, AS_VALUES)
    half_step = np.abs(values).max() / (255 if depth == "8" else 65_535)
    assert np.abs(picture.values() - values).max() <= half_step * 1.01
    assert not picture.is_picture and picture.scale == 1.0


@pytest.mark.parametrize("shape", [(1, 4, 3, 1), (1, 4, 3, 5), (2, 4, 3, 3)])
def test_values_come_back_from_the_pages_of_a_float_tiff(shape: tuple[int, ...]) -> None:
    from cnncli.io.writers import encode_float_tiff
    from cnncli.render.result_record import describe_values

    values = RANDOM.normal(size=shape).astype(np.float32)
    data = encode_float_tiff(values, metadata=describe_values(shape, "cnncli", "1"))
    picture = read_bytes(data, AS_VALUES)
    assert np.array_equal(picture.values(), values) and picture.batched == (shape[0] > 1)
    count = shape[0] * shape[3]
    note = f"first of {count} frames (--frame N picks another; --as-values reads all)"
    assert read_bytes(data, OPTIONS).notes == ((note,) if count > 1 else ())
    for frame in range(3):
        options = ReadOptions(restore=restore_values, frame=frame)
        if count == 1 and frame == 0:
            assert np.array_equal(read_bytes(data, options).values(), values)
            continue
        with pytest.raises(OptionError, match="a file of values is read whole"):
            read_bytes(data, options)


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", "[" * 50_000, '{"maps": 1}', '{"maps": [{}]}', "1" * 5_000, "null"],
)
def test_untrusted_records(text: str) -> None:
    refusal(with_text(GREY, text), AS_VALUES)
    refusal(with_text(GREY, text.replace("{", '{"cnncli": 1, ', 1)), AS_VALUES)


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
    assert "holds no values of cnncli" in str(refusal(WHOLE[form], AS_VALUES))


def test_sixteen_bits_for_a_whole_pixel_are_no_deep_colour() -> None:
    sizes = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    head = b"BM" + struct.pack("<IHHI", 70, 0, 0, 66) + sizes + masks
    picture = read_bytes(head + struct.pack("<2H", 0xF800, 0xFFFF), OPTIONS)
    assert picture.pixels.ravel().tolist() == [255, 0, 0, 255, 255, 255] and picture.notes == ()


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
