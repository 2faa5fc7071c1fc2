"""Colour tables."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.render import colormaps


@pytest.mark.parametrize("name", colormaps.COLORMAPS)
def test_tables_can_be_turned_back(name: str) -> None:
    table = colormaps.table(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert len(np.unique(table, axis=0)) == 256
    assert np.array_equal(colormaps.invert(table[None], name), np.arange(256)[None])


@pytest.mark.parametrize("name", ["viridis", "magma", "inferno", "plasma"])
def test_perceptual_tables_grow_lighter(name: str) -> None:
    luminance = colormaps.table(name) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -1).all() and luminance[-1] - luminance[0] > 150


def test_diverging_is_neutral_at_zero_and_darkens_both_ways() -> None:
    table = colormaps.table("diverging").astype(int)
    assert np.ptp(table[128]) == 0 and table[128, 0] > 240
    blue, red = table[0], table[255]
    assert blue[2] > 2 * blue[0] and red[0] > 2 * red[2]
    luminance = table @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance[:129]) > 0).all() and (np.diff(luminance[128:]) < 0).all()


def test_gray_leaves_levels_alone() -> None:
    levels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert colormaps.apply(levels, "gray") is levels


def test_foreign_colours_are_refused() -> None:
    pixels = colormaps.apply(np.arange(256, dtype=np.uint8)[None], "viridis").copy()
    pixels[0, 7] = 255, 0, 255
    with pytest.raises(FileProblem, match="not in the colormap viridis"):
        colormaps.invert(pixels, "viridis")


def test_tables_cannot_be_spoiled() -> None:
    with pytest.raises(ValueError, match="read-only"):
        colormaps.table("magma")[0] = 0
