"""JPEG 2000 files of any number of bits: white is 1, or the file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.io.image_headers import read_shape
from cnncli.io.images import read_bytes
from tests.support.picturefiles import OPTIONS, RANDOM, encoded, refusal


def jpeg2000(levels: np.ndarray, bits: int) -> bytes:
    """Return a JPEG 2000 file of that many bits, made from one of 16 without loss."""
    middle = levels.astype(np.int64) + 2**15 - 2 ** (bits - 1)
    data = bytearray(encoded(middle.astype(np.uint16), "JPEG2000", irreversible=False))
    # In both of its headers; middle grey is where it was.
    data[data.index(b"ihdr") + 14] = bits - 1
    data[data.index(b"\xff\x4f\xff\x51") + 42] = bits - 1
    return bytes(data)


@pytest.mark.parametrize("bits", [1, 5, 8, 10, 12, 15, 16])
def test_white_of_jpeg2000_is_white_whatever_its_bits(bits: int) -> None:
    levels = RANDOM.integers(0, 2**bits, (40, 50))
    levels[0, :2] = 0, 2**bits - 1
    got = read_bytes(jpeg2000(levels, bits), OPTIONS).values()[0, :, :, 0]
    assert np.allclose(got, levels / (2**bits - 1), rtol=1e-6, atol=0)


def test_what_pillow_would_round_beyond_white_is_refused(tmp_path: Path) -> None:
    grey = jpeg2000(np.full((40, 50), 511), 9)
    colour = bytearray(encoded(RANDOM.integers(0, 256, (40, 50, 3), np.uint8), "JPEG2000"))
    first = colour.index(b"\xff\x4f\xff\x51") + 42
    colour[first : first + 9 : 3] = bytes([11] * 3)
    for data, words in ((grey, "9-bit grey is not read"), (bytes(colour), "12-bit colour is not")):
        assert words in str(refusal(data))
        path = tmp_path / "x.jp2"
        path.write_bytes(data)
        with pytest.raises(FileProblem, match=words):
            read_shape(path, OPTIONS)
