"""Limits of pixels: what is refused before anything is decoded."""

from __future__ import annotations

import pytest

from cnncli.errors import FileProblem
from cnncli.io.limits import check_pixels


def test_a_picture_of_more_pixels_than_the_limit_is_refused() -> None:
    check_pixels(12, 12, "a.png")
    with pytest.raises(FileProblem, match="13 pixels, the limit is 12") as caught:
        check_pixels(13, 12, "a.png")
    assert caught.value.hint == "--max-pixels raises the limit"


def test_a_picture_without_pixels_is_none() -> None:
    with pytest.raises(ValueError, match="no pixels"):
        check_pixels(0, 12, "a.png")
