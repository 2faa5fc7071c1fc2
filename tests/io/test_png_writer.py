"""PNG files written in strips, judged by other readers."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cnncli.io.png_writer import PngFile, deflate_rows, strip_rows
from cnncli.io.writers import encode
from tests.support.imagemagick import imagemagick
from tests.support.shell import run_cli

RNG = np.random.default_rng(5)
SIDES = st.integers(1, 40)
SHAPES = st.tuples(SIDES, SIDES) | st.tuples(SIDES, SIDES, st.just(3))
LEVELS = st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda dtype: hnp.arrays(dtype, SHAPES, elements=st.integers(0, np.iinfo(dtype).max))
)


def file_of(levels: np.ndarray, cuts: list[int], small: bool = False) -> bytes:
    """The file of a picture cut below these rows, its strips given from the last to the first."""
    parts: list[bytes] = []
    file = PngFile(parts.append, levels.shape, levels.itemsize * 8, None, small)
    edges = [0, *cuts, len(levels)]
    for first, last in reversed(list(itertools.pairwise(edges))):
        file.add(slice(first, last), levels[first:last])
    file.close()
    return b"".join(parts)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """All chunks of a file, their checksums checked."""
    found, place = [], 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        check = data[place + 8 + size : place + 12 + size]
        assert int.from_bytes(check, "big") == zlib.crc32(kind + content)
        found.append((kind, content))
        place += size + 12
    return found


def unfiltered(data: bytes, shape: tuple[int, ...], itemsize: int) -> np.ndarray:
    """Decode by the specification's formulas, one byte after the other."""
    stream = zlib.decompress(b"".join(c for kind, c in chunks(data) if kind == b"IDAT"))
    step = itemsize * (shape[2] if len(shape) == 3 else 1)
    width = shape[1] * step
    above = [0] * (width + step)
    rows = []
    for top in range(0, len(stream), width + 1):
        kind, row = stream[top], [0] * step
        for index, value in enumerate(stream[top + 1 : top + 1 + width]):
            a, b, c = row[index], above[index + step], above[index]
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append(value + (0, a, b, (a + b) // 2, paeth)[kind] & 255)
        rows.append(bytes(row[step:]))
        above = row
    dtype = np.dtype(f">u{itemsize}")
    return np.frombuffer(b"".join(rows), dtype).reshape(shape).astype(dtype.newbyteorder("="))


@given(LEVELS, st.lists(SIDES, max_size=4, unique=True), st.booleans())
def test_any_levels_come_back_however_they_are_cut(
    levels: np.ndarray, cuts: list[int], small: bool
) -> None:
    inside = sorted(cut for cut in cuts if cut < len(levels))
    data = file_of(levels, inside, small)
    assert np.array_equal(unfiltered(data, levels.shape, levels.itemsize), levels)
    if levels.dtype == np.uint8 or levels.ndim == 2:
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), levels)


def pictures() -> dict[str, np.ndarray]:
    """A photograph's kind of picture, a flat one and an unruly one, odd in every way."""
    slope = np.add.outer(np.arange(61) * 3, np.arange(83) * 2)[..., None] + [0, 40, 90]
    grainy = (slope + RNG.integers(0, 5, slope.shape)).astype(np.uint8)
    flat = np.zeros((61, 83, 3), np.uint8)
    flat[9:30, 11:50] = 200, 10, 90
    deep = grainy.astype(np.uint16) * 257 + 5
    noise = RNG.integers(0, 65_536, (61, 83, 3), np.uint16)
    return {"grainy": grainy, "flat": flat, "grey": grainy[..., 0], "deep": deep, "noise": noise}


@pytest.mark.oracle
@pytest.mark.parametrize("compress", ["fast", "small"])
@pytest.mark.parametrize("name", pictures())
def test_opencv_reads_the_same(name: str, compress: str) -> None:
    cv2 = pytest.importorskip("cv2")
    levels = pictures()[name]
    data = encode(levels, "png", depth=str(levels.itemsize * 8), compress=compress)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read if levels.ndim == 2 else read[..., ::-1], levels)


@pytest.mark.oracle
@pytest.mark.parametrize("name", pictures())
def test_imagemagick_reads_the_same(name: str, tmp_path: Path) -> None:
    convert = imagemagick()
    if convert is None:
        pytest.skip("no ImageMagick")
    levels, path = pictures()[name], tmp_path / "a.png"
    path.write_bytes(encode(levels, "png", depth=str(levels.itemsize * 8)))
    kind = "gray" if levels.ndim == 2 else "rgb"
    words = [convert, path, "-endian", "MSB", "-depth", str(levels.itemsize * 8), f"{kind}:-"]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stderr == b""
    raw = np.frombuffer(done.stdout, levels.dtype.newbyteorder(">"))
    assert np.array_equal(raw.reshape(levels.shape), levels)


def test_a_flat_picture_is_about_as_small_as_the_default() -> None:
    levels = np.full((900, 1200, 3), 255, np.uint8)
    for place in range(0, 800, 90):
        levels[place : place + 60, place : place + 300] = RNG.integers(0, 256, 3)
        levels[place + 20, ::7] = 0
    usual = io.BytesIO()
    Image.fromarray(levels).save(usual, "PNG")
    assert len(encode(levels, "png")) <= 1.15 * len(usual.getvalue())


@pytest.mark.parametrize("compress", ["fast", "small"])
def test_the_bytes_do_not_depend_on_the_threads(compress: str) -> None:
    levels = np.add.outer(np.arange(1200), np.arange(2000)).astype(np.uint8)
    assert len(levels) > 2 * strip_rows(levels.shape, 1)
    one, two = (encode(levels, "png", compress=compress, jobs=jobs) for jobs in (1, 2))
    assert one == two


def test_the_first_row_of_a_strip_needs_no_row_above() -> None:
    levels = np.repeat(RNG.integers(0, 256, (1, 50), np.uint8), 9, axis=0)
    for small in (False, True):
        rows = zlib.decompressobj(-15).decompress(deflate_rows(levels, small).data)
        assert rows[0] in (0, 1)
        assert set(rows[51::51]) == {2}


def test_a_missing_strip_is_noticed() -> None:
    parts: list[bytes] = []
    file = PngFile(parts.append, (4, 4), 8)
    file.add(slice(2, 4), np.zeros((2, 4), np.uint8))
    with pytest.raises(ValueError, match="row 0 of 4"):
        file.close()


def test_strips_from_many_threads_stand_in_order() -> None:
    levels = RNG.integers(0, 256, (64, 30, 3), np.uint8)
    parts: list[bytes] = []
    file = PngFile(parts.append, levels.shape, 8)
    threads = [
        threading.Thread(target=file.add, args=(slice(row, row + 4), levels[row : row + 4]))
        for row in RNG.permutation(range(0, 64, 4)).tolist()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(b"".join(parts)))), levels)


@pytest.mark.oracle
def test_sixteen_bit_colour_from_the_command(empty_folder: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    values = RNG.random((40, 30, 3)).astype(np.float32)
    np.save("a.npy", values)
    run_cli("pad", "a.npy", "--padding", 0, "--depth", 16, "--range", "clip", "-o", "a.png")
    read = cv2.imread("a.png", cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert np.array_equal(read, np.rint(values.astype(float) * 65_535).astype(np.uint16))
    with Image.open("a.png") as image:
        record: Any = json.loads(image.info["cnncli"])
    assert record["maps"][0]["depth"] == "16"
    run_cli("pad", "a.png", "--as-values", "--padding", 0, "-o", "b.npy")
    np.testing.assert_allclose(np.load("b.npy"), values, rtol=0, atol=0.5001 / 65_535)
