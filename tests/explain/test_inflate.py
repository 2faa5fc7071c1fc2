"""inflate.js in node: bytes that zlib deflated, and the pixels of a page."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import pack_pixels
from tests.support.node import NODE, run_alone

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

INFLATE = "({ bytes, size }) => Array.from(inflate(Uint8Array.from(bytes), size))"

# In node there is no atob: the bytes are given as numbers.
PIXELS = """({ bytes, shape, dtype }) => {
  const kind = { uint8: Uint8Array, uint16: Uint16Array }[dtype];
  const size = shape.reduce((product, side) => product * side, kind.BYTES_PER_ELEMENT);
  return Array.from(addDifferences(new kind(inflate(Uint8Array.from(bytes), size).buffer), shape));
}"""


def texts() -> dict[str, bytes]:
    rng = np.random.default_rng(4)
    return {
        "nothing": b"",
        "one byte": b"a",
        "zeros": bytes(100_000),
        "few letters": bytes(rng.choice(list(b"aab c"), 70_000).tolist()),
        "noise": rng.bytes(70_000),
        "rare letters": bytes((rng.geometric(0.4, 60_000) % 256).astype(np.uint8)),
        "far copies": (noise := rng.bytes(30_000)) + noise,
    }


@pytest.mark.parametrize("name", texts())
def test_bytes_are_those_that_were_deflated(name: str) -> None:
    text = texts()[name]
    records = []
    # Stored blocks, fixed codes and codes of their own.
    for level, strategy in ((0, 0), (1, 0), (9, 0), (9, zlib.Z_FIXED), (9, zlib.Z_HUFFMAN_ONLY)):
        packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, strategy=strategy)
        data = packer.compress(text) + packer.flush()
        records.append({"bytes": list(data), "size": len(text)})
    for found in run_alone("inflate.js", INFLATE, records):
        assert bytes(found) == text


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (9, 1, 2), (40, 60, 3)])
def test_pixels_are_those_of_the_picture(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    pixels: Any = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    record = pack_pixels(pixels)
    data = list(base64.b64decode(record["data"]))
    case = {"bytes": data, "shape": record["differences"], "dtype": record["dtype"]}
    (found,) = run_alone("inflate.js", PIXELS, [case])
    np.testing.assert_array_equal(np.array(found, dtype).reshape(shape), pixels)
