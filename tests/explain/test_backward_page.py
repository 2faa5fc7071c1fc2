"""``cnncli explain --backward -o page.html``: where the page begins, and what has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.netfiles import layer as layer_table
from tests.support.packed_pages import data_of
from tests.support.shell import refused_untouched, run_cli, save

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(3)


def test_a_page_begins_with_the_pixel_and_its_strongest_output() -> None:
    photo = save("photo.png", RNG.integers(0, 256, (12, 17, 3), np.uint8))
    given = ("explain", photo, "--filter", "0 0 9; 0 1 0; 0 0 0", "--backward", "--at", "5,6")
    done = run_cli(*given, "--channel", "green", "-o", "page.html")
    assert "begins at row 5, column 6 of the input of conv1" in done.stderr
    data = data_of("page.html")
    assert data["backward"] == {"at": [5, 6], "channel": 1, "onlyMap": False}
    # The weight 9 is at the upper right: the output below and to the left reads by it.
    assert (data["at"], data["map"]) == ([6, 5], 0)
    report = json.loads(run_cli(*given, "-o", "b.html", "--json").stdout)
    assert (report["at"], report["map"], report["backward"]) == ([5, 6], None, True)


def test_only_one_map_counts_and_none_may_read_the_pixel() -> None:
    photo = save("photo.png", RNG.integers(0, 256, (9, 9, 3), np.uint8))
    bank = ("--filter", "gabor_color", "--map", 5)
    run_cli("explain", photo, *bank, "--backward", "-o", "a.html")
    data = data_of("a.html")
    assert data["backward"]["onlyMap"] is True and data["map"] == 5
    run_cli("explain", photo, "--pool", "max", "--at", "8,8", "--backward", "-o", "b.html")
    assert data_of("b.html")["at"] == [0, 0]
    assert data_of("b.html")["backward"]["at"] == [8, 8]
    run_cli("explain", photo, "--pool", "max", "-o", "c.html")
    assert "backward" not in data_of("c.html")


def test_of_class_scores_the_largest_is_followed_back() -> None:
    np.save("scores.npy", np.array([[[0.5, np.nan, 3.0, 1.0]]], np.float32))
    Path("net.toml").write_text(
        layer_table("pool", size=1) + layer_table("activation", activation="softmax")
    )
    given = ("explain", "net.toml", "scores.npy", "--backward", "-o")
    done = run_cli(*given, "page.html")
    assert "channel 2 of 4 is shown, the largest value; --channel C" in done.stderr
    assert data_of("page.html")["gradients"]["channel"] == 2
    run_cli(*given, "other.html", "--channel", "3")
    assert data_of("other.html")["gradients"]["channel"] == 3


def test_pages_that_compute_their_network_begin_with_a_gradient() -> None:
    photo = save("photo.png", RNG.integers(0, 256, (9, 9), np.uint8))
    Path("net.toml").write_text(layer_table("pool", size=2) + layer_table("pool", size=2))
    given = ("explain", "net.toml", photo, "--layer", "pool2", "--at", "2,3", "--backward")
    run_cli(*given, "-o", "page.html")
    data = data_of("page.html")
    assert data["gradients"] == {"layer": "pool1", "channel": 0, "at": [2, 3]}
    assert data["unit"]["layer"] == "pool2"


def test_pages_that_store_their_maps_have_no_gradients() -> None:
    photo = save("photo.png", RNG.integers(0, 256, (1300, 1300), np.uint8))
    Path("net.toml").write_text(layer_table("pool", size=2) + layer_table("pool", size=2))
    given = ("explain", "net.toml", photo, "--layer", "pool1", "--backward", "-o", "page.html")
    said = refused_untouched(*given, code=2)
    assert "--backward needs a page that computes its network itself" in said
