"""Weights as pictures: read back from the files, kernel by kernel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.filters.filter import from_array
from cnncli.pipeline.weight_pictures import MOST_CHANNELS, MOST_KERNELS, draw_weights
from cnncli.render.options import RenderOptions
from tests.support.shell import pixels, refused_untouched, run_cli, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(3)


def shown(path: str) -> tuple[list[np.ndarray], list[dict]]:
    """The kernels of a sheet as levels, a pixel for each weight, and what is recorded of them."""
    with Image.open(path) as image:
        record = json.loads(image.text["cnncli"])
    levels, maps = pixels(path), record["maps"]
    boxes = [one["box"] for one in maps]
    return [levels[top : top + h, left : left + w] for left, top, w, h in boxes], maps


def levels_of(weights: np.ndarray, most: float) -> np.ndarray:
    """Zero is 128 of 255, and the largest magnitude black or white."""
    return np.rint(np.clip(weights / most, -1, 1) * 127.5 + 127.5).astype(int)


def each_weight(picture: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """One pixel of each weight, after checking that all of it are the same."""
    rows, columns = picture.shape[0] // window[0], picture.shape[1] // window[1]
    assert rows == columns >= 8, "too small to be seen"
    firsts = picture[::rows, ::columns]
    assert np.array_equal(firsts.repeat(rows, axis=0).repeat(columns, axis=1), picture)
    return firsts.astype(int)


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(found - expected).max() <= 1


def test_one_kernel_is_large_and_zero_is_in_its_middle() -> None:
    told = run_cli("filters", "show", "sobel_v", "-o", "w.png").stderr
    (picture,), (record,) = shown("w.png")
    assert min(picture.shape[:2]) >= 192
    grey = each_weight(picture, (3, 3))
    agree(grey, levels_of(np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), 2))
    assert set(grey[:, 1]) == {128} and (record["range"], record["mapping"]) == (
        [-2, 2],
        "symmetric",
    )
    assert told.startswith("w.png, ") and "weights -2 to 2" in told


def test_a_bank_has_one_range() -> None:
    bank = RANDOM.normal(size=(3, 5, 1, 6))
    bank[..., 2] /= 100
    save_array("w.npy", bank)
    run_cli("filters", "show", "w.npy", "-o", "w.png")
    pictures, records = shown("w.png")
    most = np.abs(bank).max()
    for index, picture in enumerate(pictures):
        agree(each_weight(picture, (3, 5)), levels_of(bank[:, :, 0, index], most))
    assert {tuple(record["range"]) for record in records} == {(-most, most)}


def test_three_channels_are_colours() -> None:
    bank = RANDOM.normal(size=(64, 3, 7, 7))
    save_array("w.npy", bank)
    run_cli("filters", "show", "w.npy", "--filter-layout", "oihw", "-o", "w.png")
    pictures, _ = shown("w.png")
    assert len(pictures) == 64
    colours = each_weight(pictures[17], (7, 7))
    agree(colours, levels_of(bank[17].transpose(1, 2, 0), np.abs(bank).max()))


def test_more_channels_are_a_row_for_each_map_and_the_sheet_is_bounded() -> None:
    bank = RANDOM.normal(size=(512, 40, 3, 3)).astype(np.float32)
    save_array("w.npy", bank)
    told = run_cli("filters", "show", "w.npy", "--filter-layout", "oihw", "-o", "w.png").stderr
    pictures, records = shown("w.png")
    assert len(pictures) == MOST_KERNELS
    rows = MOST_KERNELS // MOST_CHANNELS
    assert (
        f"note: the first {rows} of 512 maps and {MOST_CHANNELS} of 40 channels are shown" in told
    )
    assert records[MOST_CHANNELS + 3]["name"] == "1,3"
    tops = [record["box"][1] for record in records]
    assert len(set(tops)) == rows and len(set(tops[:MOST_CHANNELS])) == 1
    part = bank[:rows, :MOST_CHANNELS]
    seen = each_weight(pictures[MOST_CHANNELS + 3], (3, 3))
    grey = seen[..., 0] if seen.ndim == 3 else seen
    agree(grey, levels_of(bank[1, 3], np.abs(part).max()))


def test_large_kernels_are_bounded_too() -> None:
    drawn = draw_weights(
        from_array(np.ones((1000, 1000, 1, 17), np.float32)), RenderOptions(range="symmetric")
    )
    assert len(drawn.tiles) == 16 and drawn.note == "the first 16 of 17 maps are shown"


def test_ranges_and_colours_are_chosen() -> None:
    run_cli("filters", "show", "0 1; -1 0", "--range", "-4,4", "-o", "w.png")
    (picture,), _ = shown("w.png")
    agree(each_weight(picture, (2, 2)), levels_of(np.array([[0, 1], [-1, 0]]), 4))
    run_cli("filters", "show", "0 1; -1 0", "--colormap", "diverging", "-o", "d.png")
    zero, red = each_weight(shown("d.png")[0][0], (2, 2))[0]
    assert zero.min() > 235 and red[0] > 2 * max(red[1:])


def test_the_filter_of_a_layer() -> None:
    save_array("w.npy", RANDOM.normal(size=(3, 3, 3, 4)))
    Path("net.toml").write_text(
        '[[layers]]\nname = "first"\ntype = "conv"\nfilter = "w.npy"\n\n[[layers]]\ntype = "pool"\n'
    )
    run_cli("filters", "show", "net.toml:first", "-o", "a.png")
    run_cli("filters", "show", "w.npy", "-o", "b.png")
    for ours, theirs in zip(shown("a.png")[0], shown("b.png")[0], strict=True):
        assert np.array_equal(ours, theirs)
    assert "(3,3,3,4)" in run_cli("filters", "show", "net.toml:first").stdout
    for word in ("net.toml", "net.toml:pool1"):
        error = refused_untouched("filters", "show", word, code=2)
        assert "a layer with a filter must be named: first" in error
    assert "(3,3,3,4)" in run_cli("filters", "show", "net.toml:firs").stdout
    assert "no layer 'fist'" in refused_untouched("filters", "show", "net.toml:fist", code=2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("edge", "-o", "w.npy"), 2),
        (("edge", "-o", "w.xyz"), 2),
        (("edge", "-o", "there.png"), 1),
        (("edge", "-o", "w.png", "--json"), 2),
        (("edge", "-o", "w.png", "--range", "auto2"), 2),
    ],
)
def test_what_cannot_be_drawn(words: tuple[str, ...], code: int) -> None:
    Path("there.png").write_bytes(b"mine")
    refused_untouched("filters", "show", *words, code=code)
