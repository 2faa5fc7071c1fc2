"""Whether the channels and groups of a filter fit an image."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.filters.channels import check_channels
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array


@pytest.mark.parametrize(
    ("shape", "channels", "groups"),
    [((3, 3), 7, 1), ((3, 3, 4), 4, 1), ((3, 3, 4, 8), 4, 1), ((3, 3, 2, 8), 4, 2)],
)
def test_channels_that_fit(shape, channels, groups):
    assert check_channels(from_array(np.ones(shape)), channels, groups) is None


EACH = "for every channel on its own,"


def needs(channels: int) -> str:
    return f"an input of {channels} channels, or a --filter of shape"


def turned(window: str) -> str:
    return f"--filter-layout oihw would fit, as a window of {window}"


@pytest.mark.parametrize(
    ("shape", "layout", "channels", "groups", "hint"),
    [
        ((64, 3, 7, 7), "hwio", 3, 1, "--filter-layout oihw would fit"),
        ((3, 5, 7, 64), "oihw", 7, 1, "--filter-layout hwio would fit"),
        ((3, 7, 5), "hwio", 3, 1, "--filter-layout oihw would fit"),
        ((8, 2, 5, 5), "hwio", 4, 2, "--filter-layout oihw would fit"),
        ((5, 5, 1, 8), "hwio", 3, 1, "--gray would fit: it makes the picture one channel"),
        ((5, 5, 2, 8), "hwio", 8, 1, "--groups 4 would fit"),
        ((5, 5, 2, 7), "hwio", 8, 1, f"{needs(2)} (5,5,8,7) or, {EACH} (5,5)"),
        ((5, 5, 4, 7), "hwio", 1, 1, f"{needs(4)} (5,5,1,7) or, {EACH} (5,5)"),
        ((3, 3, 5, 8), "hwio", 4, 1, f"{needs(5)} (3,3,4,8) or, {EACH} (3,3)"),
        ((3, 3, 4, 8), "hwio", 3, 1, f"{turned('4x8')}; else {needs(4)} (3,3,3,8)"),
        ((3, 3, 8, 16), "hwio", 3, 1, f"{needs(8)} (3,3,3,16) or, {EACH} (3,3)"),
        ((3, 3, 2), "hwio", 3, 1, f"{turned('3x2')}; else {needs(2)} (3,3,3)"),
        ((3, 3, 4, 8), "hwio", 6, 2, turned("4x8")),
    ],
)
def test_channels_that_do_not_fit(shape, layout, channels, groups, hint):
    given_filter = from_array(np.ones(shape), layout=layout)
    with pytest.raises(ShapeError) as caught:
        check_channels(given_filter, channels, groups)
    assert caught.value.hint == hint
    assert f"the input has {channels}" in str(caught.value)


def test_groups_must_part_the_maps_and_suit_the_filter():
    bank = from_array(np.ones((3, 3, 2, 7)))
    with pytest.raises(ShapeError, match="evenly into 2 groups, got 7"):
        check_channels(bank, 4, 2)
    with pytest.raises(OptionError) as caught:
        check_channels(load_filter("edge"), 3, 3)
    assert caught.value.hint == "leave out --groups"
    with pytest.raises(OptionError):
        check_channels(bank, 4, 0)
