"""The data of a page as bytes: what pack.py writes and page/packed.js reads, in node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.pack import _KEPT_OUT, as_text, pack
from tests.support.node import NODE, run_alone
from tests.support.packed_pages import bytes_of

TOLD = """({ values }) => [values.constructor.name, Array.from(values, String)]"""


@pytest.mark.oracle
@pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed")
def test_arrays_are_read_as_they_were_written() -> None:
    rng = np.random.default_rng(8)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    arrays: dict[str, Any] = {
        "Uint8Array": rng.integers(0, 256, (3, 5, 2), np.uint8),
        "Uint16Array": rng.integers(0, 2**16, 7, np.uint16),
        "Int32Array": rng.integers(-(2**31), 2**31, 9, np.int32),
        "Float32Array": np.append(rng.normal(size=4), [np.nan, np.inf, -np.inf]).astype(np.float32),
        "Float64Array": rng.normal(size=(2, 3)).T,
    }
    cases = [{"values": one, "odd": np.ones(3, np.uint8)} for one in arrays.values()]
    cases.append({"values": halves[halves != 0], "odd": None})
    found = run_alone((), TOLD, cases)
    for (name, array), (kind, values) in zip(arrays.items(), found[:-1], strict=True):
        assert kind == name
        read = np.array([float(v) for v in values])
        np.testing.assert_array_equal(read.astype(array.dtype), array.ravel())
    kind, values = found[-1]
    assert kind == "Float32Array"
    read = np.array([float(v) for v in values])
    np.testing.assert_array_equal(read, halves[halves != 0].astype(np.float64))


@pytest.mark.oracle
@pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed")
def test_objects_that_look_like_arrays_stay_as_they_are() -> None:
    data = {"array": ["a"], "bytes": {"array": 3}, "text": "\n<\udcff\u2028", "none": None}
    assert run_alone((), "(data) => data", [data]) == [data]


def test_what_a_page_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold set"):
        pack({"values": {1}})
    with pytest.raises(TypeError, match="cannot hold int64"):
        pack({"values": np.ones(2, np.int64)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"values": [np.nan]})


def some_bytes() -> list[bytes]:
    """Few bytes and many, and each group of 7 bits behind each other."""
    rng = np.random.default_rng(3)
    groups = "".join(f"{one:07b}{two:07b}" for one in range(128) for two in range(128))
    every = int(groups, 2).to_bytes(len(groups) // 8, "big")
    return [b"", b"\0", b"\xff", bytes(7), every, *(rng.bytes(n) for n in range(2, 60))]


def test_text_keeps_what_it_stands_for() -> None:
    for data in some_bytes():
        text = as_text(data)
        assert len(text.encode("utf-8")) <= len(data) * 8 / 7 + 2
        # Neither changed by an editor nor ended by a tag.
        assert len(text.splitlines()) <= 1 and not {*_KEPT_OUT, "\x85", "\ufeff"} & {*text}
        assert not data or bytes_of(text, len(data)) == data


@pytest.mark.oracle
@pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed")
def test_text_is_read_as_the_bytes_it_stands_for() -> None:
    cases = [{"text": as_text(data), "count": len(data)} for data in some_bytes()]
    found = run_alone((), "({ text, count }) => Array.from(bytesOf(text, count))", cases)
    assert list(map(bytes, found)) == some_bytes()
