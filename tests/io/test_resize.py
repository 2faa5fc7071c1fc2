"""Images to the size of a network: values, types, and what is decoded small."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from cnncli.errors import FileProblem
from cnncli.io.images import read_bytes, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.io.resize import resize

RNG = np.random.default_rng(8)


def weights(n: int, out: int) -> np.ndarray:
    """Return by how much each of n cells counts in each of `out`: triangles, summing to 1."""
    step = n / out
    centres = (np.arange(out) + 0.5) * step
    distances = np.abs(np.arange(n) + 0.5 - centres[:, None]) / max(step, 1.0)
    triangles = np.maximum(1 - distances, 0)
    return np.asarray(triangles / triangles.sum(axis=1, keepdims=True))


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = weights(images.shape[1], size[0]), weights(images.shape[2], size[1])
    return np.asarray(np.einsum("ih,jw,nhwc->nijc", rows, columns, images, optimize=True))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(4, 3), (7, 40), (30, 9), (23, 31)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_values_are_weighed_by_triangles(dtype: type, size: tuple[int, int], channels: int) -> None:
    shape = (2, 23, 17, channels)
    whole = np.issubdtype(dtype, np.integer)
    top = np.iinfo(dtype).max if whole else 1
    images = (RNG.random(shape) * top).astype(dtype)
    before = images.copy()
    got = resize(images, size)
    assert got.shape == (2, *size, channels)
    assert got.dtype == (np.float32 if dtype == np.uint16 else dtype)
    # 8 bits are rounded once for rows and once for columns.
    tolerance = 1.02 if dtype == np.uint8 else 1e-5 * top
    np.testing.assert_allclose(got, resized(images.astype(float), size), atol=tolerance)
    np.testing.assert_array_equal(images, before)


def test_the_same_size_is_the_same_array() -> None:
    images = RNG.random((1, 5, 6, 3))
    assert resize(images, (5, 6)) is images


def jpeg(height: int, width: int, orientation: int = 1) -> bytes:
    """A JPEG of a smooth pattern."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 60 + k) + np.cos(columns / 90 * (k + 1)) for k in range(3)]
    samples = np.rint(np.stack(waves, axis=2) * 60 + 128).astype(np.uint8)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[274] = orientation
    Image.fromarray(samples).save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_files_that_shrink_look_as_if_decoded_whole(orientation: int, gray: bool) -> None:
    data = jpeg(900, 600, orientation)
    small = read_bytes(data, ReadOptions(size=(60, 50), gray=gray))
    whole = read_bytes(data, ReadOptions(gray=gray)).values()
    np.testing.assert_allclose(small.values(), resized(whole, (60, 50)), atol=0.015)


def test_large_jpeg_files_are_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def watch(image: ImageFile.ImageFile) -> object:
        seen.append(image.size)
        return load(image)

    data = jpeg(1600, 1200)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", watch)
    read_bytes(data, ReadOptions(size=(64, 64)))
    assert max(seen) <= (200, 150)


def test_what_a_picture_may_have_is_counted_before_it_is_shrunk() -> None:
    with pytest.raises(FileProblem, match="1920000 pixels, the limit is 1000000"):
        read_bytes(jpeg(1600, 1200), ReadOptions(size=(8, 8), max_pixels=10**6))


def test_arrays_and_deep_pictures(tmp_path: Path) -> None:
    batch = RNG.random((3, 8, 6, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", batch)
    found = read_image(tmp_path / "x.npy", ReadOptions(size=(4, 4)))
    assert found.batched and found.dtype == np.float32
    np.testing.assert_allclose(found.values(), resized(batch, (4, 4)), atol=1e-6)
    deep = RNG.integers(0, 65_536, (9, 9), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    values = read_image(tmp_path / "deep.png", ReadOptions(size=(3, 3))).values()
    expected = resized(deep[None, :, :, None] / 65_535, (3, 3))
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_a_size_beyond_the_limit_of_pixels_is_refused() -> None:
    data = io.BytesIO()
    np.save(data, np.zeros((4, 5, 3), np.uint8))
    options = ReadOptions(size=(200, 300), max_pixels=50_000)
    with pytest.raises(FileProblem, match="60000 pixels, the limit is 50000"):
        read_bytes(data.getvalue(), options)
