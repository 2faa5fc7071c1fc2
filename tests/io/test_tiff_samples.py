"""TIFF pages whose samples are not read are named for what they are."""

from __future__ import annotations

import pytest

from cnncli.io.images import read_bytes
from tests.support.crafted import tiff
from tests.support.picturefiles import OPTIONS, refusal


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff(1, 1, (64,), 1, bytes(8), sample_format=6), "64-bit complex samples"),
        (tiff(1, 1, (24,), 1, bytes(3), sample_format=3), "24-bit float samples"),
        (tiff(1, 1, (16,), 32803, bytes(2)), "kind 32803"),
        (tiff(1, 1, (5, 6, 5), 2, bytes(3)), "samples of several sizes"),
        (tiff(1, 1, (16,), 1, bytes(2), sample_format=4), "16-bit untyped samples"),
    ],
)
def test_tiff_that_is_not_read_is_named_for_what_it_is(data: bytes, words: str) -> None:
    assert words in str(refusal(data))


@pytest.mark.parametrize(
    ("extras", "words"), [((0,), "1 further channel"), ((0, 0), "2 further channels")]
)
def test_channels_left_out_are_counted(extras: tuple[int, ...], words: str) -> None:
    bits = (8,) * (3 + len(extras))
    data = tiff(1, 1, bits, 2, bytes(len(bits)), extra={338: extras})
    notes = read_bytes(data, OPTIONS).notes
    assert notes == (f"{words} of the file left out",)
