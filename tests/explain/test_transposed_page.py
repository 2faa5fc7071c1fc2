"""``cnncli explain -o page.html`` of a network of one transposed convolution: the page's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.explain.page.layer_data import MOST_SPREAD
from tests.explain.test_backward_page import data_of
from tests.support.netfiles import layer as layer_table
from tests.support.shell import run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(36)


def write_network(**fields: object) -> None:
    table = layer_table("conv-transpose", name="up", filter="w.npy", stride=2, **fields)
    Path("net.toml").write_text(table)


def test_the_page_has_the_settings_of_the_layer() -> None:
    save_array("w.npy", RNG.normal(size=(3, 2, 2, 1)))
    save_array("a.npy", RNG.normal(size=(5, 6, 1)))
    write_network(padding=[1, 0, 0, 1], output_padding=[1, 0], bias=[1.0, 2.0])
    done = run_cli("explain", "net.toml", "a.npy", "--at", "4,5", "--map", 1, "-o", "page.html")
    assert "begins at row 4, column 5 of up" in done.stderr
    data = data_of("page.html")
    layer = data["layer"]
    assert (data["kind"], layer["op"]) == ("layer", "conv-transpose")
    assert (layer["kernel"], layer["stride"], layer["padding"]) == ([3, 2], [2, 2], [1, 0, 0, 1])
    assert (layer["outputPadding"], layer["maps"], data["map"]) == ([1, 0], 2, 1)
    assert [picture["channels"] for picture in data["pictures"]] == [[0], [1]]
    assert "backward" not in data and "source" not in data


def test_backward_it_begins_with_the_input_cell() -> None:
    save_array("w.npy", np.array([[1.0, 5.0], [2.0, 3.0]])[:, :, None, None])
    save_array("a.npy", RNG.normal(size=(5, 6, 1)))
    write_network()
    given = ("explain", "net.toml", "a.npy", "--backward", "--at", "2,3", "-o", "page.html")
    assert "begins at row 2, column 3 of the input of up" in run_cli(*given).stderr
    data = data_of("page.html")
    # The largest weight is at the upper right.
    assert data["source"]["at"] == [2, 3] and data["at"] == [4, 7]


def test_a_large_picture_is_there_around_the_cells_that_add_to_the_output() -> None:
    save_array("w.npy", np.ones((3, 3, 1, 1)))
    photo = save("photo.png", RNG.integers(0, 256, (300, 400), np.uint8))
    write_network()
    run_cli("explain", "net.toml", photo, "--at", "500,600", "-o", "page.html")
    data = data_of("page.html")
    (top, bottom), (left, right) = data["input"]["rows"], data["input"]["cols"]
    assert top <= 249 and bottom >= 251 and left <= 299 and right >= 301
    assert (bottom - top) * (right - left) <= MOST_SPREAD
    assert any("This page holds rows" in note for note in data["notes"])
