"""Overlays of gradients, and pictures of a batch, as ``cnncli grad`` draws them."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.gradients.pictures import mark_winners, overlay
from cnncli.render.grey_levels import LevelMapping
from tests.support.grad import linear, report, tiles_of
from tests.support.shell import pixels, refused, run_cli, save, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

PHOTO = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
RED, BLUE = np.array([1.0, 0.16, 0.12]), np.array([0.16, 0.42, 1.0])


def test_the_overlay_by_pixel() -> None:
    save("photo.png", PHOTO)
    matrix = linear("1 2; -3 4")
    run_cli("grad", matrix, "photo.png", "--unit", "sum:0,3,5", "--overlay", "-o", "over.png")
    signed = np.zeros((9, 12))
    signed[3:5, 5:7] = [[1, 2], [-3, 4]]
    expected = np.rint(overlay(PHOTO / 255, signed, 4.0) * 255)
    # Enlarged by a whole factor, so that so small a picture can be seen.
    (shown,) = tiles_of("over.png", zoomed=True)
    assert shown.shape == (9 * 21, 12 * 21, 3)
    assert (shown == shown[::21, ::21].repeat(21, axis=0).repeat(21, axis=1)).all()
    shown = shown[10::21, 10::21]
    assert np.abs(shown - expected).max() <= 1
    red, blue = shown[4, 6], shown[4, 5]
    assert red[0] > 200 > red[2] and blue[2] > blue[0]


def test_the_overlay_says_what_full_colour_is_and_takes_a_range() -> None:
    save("photo.png", PHOTO)
    matrix = linear("1 2; -3 4")
    options = ["photo.png", "--unit", "sum:0,3,5", "--overlay", "--overwrite"]
    assert "full red is a gradient of 4 " in run_cli("grad", matrix, *options).stderr
    result = run_cli("grad", matrix, *options, "--range", "-2,2")
    assert "full red is a gradient of 2 " in result.stderr
    (shown,) = tiles_of("photo-grad.png")
    shown = shown[::21, ::21]
    np.testing.assert_array_equal(shown[3, 6], shown[4, 6])


def test_the_report_of_an_overlay_has_the_values_of_the_gradient() -> None:
    save("photo.png", PHOTO)
    words = ["photo.png", "--unit", "sum:0,3,5", "--overlay", "--overwrite", "-o", "over.png"]
    said = run_cli("grad", linear("1 2; -3 4"), *words).stderr
    assert "gradient of sum:0,3,5 over the image, values -3 to 4, range symmetric -4..4\n" in said
    (told,) = report(linear("1 2; -3 4"), *words)
    assert (told["min"], told["max"], told["shape"]) == (-3, 4, [9, 12, 1])
    assert (told["mapping"], told["range"], told["clipped"]) == ("symmetric", [-4, 4], 0)
    assert told["drawn"] == "gradient of sum:0,3,5 over the image"
    (told,) = report(linear("1 2; -3 4"), *words, "--range", "-2,1")
    assert (told["mapping"], told["range"]) == ("fixed", [-2, 2])
    assert told["clipped"] == pytest.approx(2 / (9 * 12))
    assert "no values" in refused("pad", "over.png", "--padding", "0", "--as-values")


def test_the_overlay_has_a_bar_that_says_what_its_colours_mean() -> None:
    save("photo.png", PHOTO)
    unit = [linear("1 2; -3 4"), "photo.png", "--unit", "sum:0,3,5", "--overlay"]
    run_cli("grad", *unit, "-o", "bar.png")
    run_cli("grad", *unit, "-o", "plain.png", "--no-labels")
    shown, plain = pixels("bar.png"), pixels("plain.png")
    assert plain.shape == (9 * 21, 12 * 21, 3)
    (picture,) = tiles_of("bar.png", zoomed=True)
    np.testing.assert_array_equal(picture, plain)
    below = shown[9 * 21 + 20 :].astype(int)
    # The bar runs from full blue at -4 by grey at 0 to full red at 4.
    blue, red = (np.abs(below - np.rint(255 * _of)).sum(axis=2) for _of in (BLUE, RED))
    (row, left), (_, right) = (np.argwhere(found <= 2)[0] for found in (blue, red))
    middle = below[row, (left + right) // 2]
    assert left < right and np.ptp(middle) < 40
    assert (below[row + 10 :] < 100).any(), "numbers below the bar"


def test_pictures_of_a_batch_show_every_image() -> None:
    batch = np.random.default_rng(8).random((3, 9, 12, 1))
    save_array("batch.npy", batch)
    layer = ["--filter", "1 2; -3 4", "--padding", "valid", "--unit", "conv1:0,3,5"]
    run_cli("grad", "batch.npy", *layer, "--overlay", "-o", "over.png", "--no-labels")
    signed = np.zeros((9, 12))
    signed[3:5, 5:7] = [[1, 2], [-3, 4]]
    tiles = tiles_of("over.png")
    assert len(tiles) == 3
    for tile, image in zip(tiles, batch, strict=True):
        assert np.abs(tile[10::21, 10::21] - np.rint(overlay(image, signed, 4.0) * 255)).max() <= 1
    run_cli("grad", "batch.npy", "--pool", "max", "--winners", "-o", "wins.png", "--no-labels")
    wins = values_of("grad", "batch.npy", "--pool", "max", "--winners")
    for tile, image, won in zip(tiles_of("wins.png"), batch, wins, strict=True):
        mapping = LevelMapping("minmax", batch.min(), batch.max())
        expected = mark_winners(image[..., 0], won[..., 0], mapping)
        assert np.abs(tile - np.rint(expected * 255)).max() <= 1
