"""TIFF pages whose samples are not read are named for what they are."""

from __future__ import annotations

import pytest

from tests.support.crafted import tiff
from tests.support.picturefiles import refusal


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
