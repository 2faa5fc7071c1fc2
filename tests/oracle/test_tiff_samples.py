"""TIFF files of every layout against tifffile, and 16-bit colour against OpenCV."""

from __future__ import annotations

import io
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.io.images import read_bytes
from cnncli.io.read_options import ReadOptions

tifffile = pytest.importorskip("tifffile")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("imagecodecs")
pytestmark = pytest.mark.oracle

RANDOM = np.random.default_rng(5)
PACKED = [
    (None, None),
    ("zlib", None),
    ("zlib", 2),
    ("zlib", 3),
    ("lzw", None),
    ("lzw", 2),
    ("packbits", None),
    ("zstd", None),
    ("lzma", None),
]
KINDS = ["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"]
DEEP = RANDOM.integers(0, 65_536, (37, 45, 3), np.uint16)


def some_numbers(kind: str, samples: int) -> np.ndarray:
    shape = (37, 45, samples)
    if kind[0] == "f":
        return RANDOM.standard_normal(shape).astype(kind)
    limits = np.iinfo(kind)
    return RANDOM.integers(limits.min, limits.max, shape, kind, endpoint=True)


def tiff_of(array: np.ndarray, order: str, **settings: Any) -> bytes:
    """Return a TIFF file of (H, W, C), whose unspecified channels are said to be so."""
    samples = array.shape[2]
    rgb = samples in (3, 4)
    extras = [2] if samples == 4 else [0] * (samples - (3 if rgb else 1))
    planar = settings.get("planarconfig") == "separate"
    stored = np.moveaxis(array, 2, 0) if planar and samples > 1 else array
    if samples == 1:
        stored = array[:, :, 0]
        settings.pop("planarconfig", None)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        stored.astype(array.dtype.newbyteorder(order)),
        photometric="rgb" if rgb else "minisblack",
        byteorder=order,
        extrasamples=extras or None,
        **settings,
    )
    return file.getvalue()


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_gives_the_numbers_that_were_written(kind: str, samples: int) -> None:
    array = some_numbers(kind, samples)
    if samples == 4:
        array[:, :, 3] = 1 if kind[0] == "f" else np.iinfo(kind).max
    expected = array[:, :, :3] if samples == 4 else array
    expected = expected / {"u1": 255, "u2": 65_535}.get(kind, 1)
    for compression, predictor in PACKED:
        if predictor is not None and (predictor == 3) != (kind[0] == "f"):
            continue
        for planar, tile, order in product(("contig", "separate"), (None, (16, 32)), "<>"):
            strips = {"tile": tile} if tile else {"rowsperstrip": 7}
            settings = {"planarconfig": planar, "compression": compression, **strips}
            data = tiff_of(array, order, predictor=predictor, **settings)
            got = read_bytes(data, ReadOptions()).values()[0]
            case = (compression, predictor, planar, tile, order)
            assert np.allclose(got, expected, rtol=1e-6, atol=0), case


@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha"])
def test_grey_and_alpha_on_planes_of_their_own(alpha: str) -> None:
    array = RANDOM.integers(0, 256, (37, 45, 2), np.uint8)
    array.sort(axis=2)  # no grey above its alpha, by which it may be multiplied
    settings = {"photometric": "minisblack", "extrasamples": [alpha]}
    found = []
    for planar, stored in (("contig", array), ("separate", np.moveaxis(array, 2, 0))):
        file = io.BytesIO()
        tifffile.imwrite(file, stored, planarconfig=planar, **settings)
        found.append(read_bytes(file.getvalue(), ReadOptions(background="white")).values())
    assert np.allclose(*found, rtol=0, atol=1 / 255)


@pytest.mark.parametrize("form", ["png", "tiff", "ppm"])
def test_sixteen_bit_colour_as_opencv_writes_it(form: str) -> None:
    _, data = cv2.imencode(f".{form}", DEEP[:, :, ::-1])
    picture = read_bytes(data.tobytes(), ReadOptions())
    assert picture.pixels.dtype == np.uint16 and picture.notes == ()
    assert np.array_equal(picture.pixels[0], DEEP)


def test_sixteen_bit_alpha_as_opencv_writes_it() -> None:
    rgba = np.dstack([DEEP[:, :, ::-1], RANDOM.integers(0, 65_536, (37, 45), np.uint16)])
    _, data = cv2.imencode(".png", rgba)
    picture = read_bytes(data.tobytes(), ReadOptions(background="white"))
    share = rgba[:, :, 3:] / 65_535
    assert np.allclose(picture.values()[0], DEEP / 65_535 * share + 1 - share, atol=1e-6)


def test_what_pillow_loses_of_other_formats_is_said() -> None:
    from imagecodecs import avif_encode, jpeg2k_encode

    ten = np.full((16, 16, 3), 700, np.uint16)
    notes = read_bytes(avif_encode(ten, bitspersample=10), ReadOptions()).notes
    assert notes == ("10-bit colour read as 8-bit",)
    with pytest.raises(FileProblem, match="JPEG 2000 with 16-bit colour is not read"):
        read_bytes(jpeg2k_encode(DEEP), ReadOptions())
    grey = read_bytes(jpeg2k_encode(DEEP[:, :, 0], level=0), ReadOptions())
    assert grey.notes == () and np.array_equal(grey.pixels[0, :, :, 0], DEEP[:, :, 0])
