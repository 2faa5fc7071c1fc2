"""Networks whose first layers alone tell how many channels their input has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.network.channel_counts import channel_counts
from cnncli.network.load import load_model
from tests.support.netfiles import layer
from tests.support.shell import refused, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")


def write_network(*layers: str) -> Path:
    path = Path("net.toml")
    path.write_text("".join(layers))
    return path


def conv(channels: int) -> str:
    save_array("w.npy", np.ones((1, 1, channels, 1)))
    return layer("conv", name="c", filter="w.npy")


FIRST = {
    "slice": (layer("slice", start=3, stop=4), 4),
    "slice from the end": (layer("slice", start=-5), 5),
    "slice without an end": (layer("slice", start=6), 7),
    "group norm": (layer("group-norm", groups=4), 4),
    "blocks": (layer("depth-to-space", block=2), 4),
}


@pytest.mark.parametrize("text, channels", FIRST.values(), ids=FIRST)
def test_a_first_layer_tells_how_many_channels_it_needs(text: str, channels: int) -> None:
    path = write_network(text)
    save_array("x.npy", np.random.default_rng(5).normal(size=(4, 6, channels)))
    assert channels in channel_counts(load_model(path))
    values_of("run", "net.toml", "x.npy")


@pytest.mark.parametrize(
    "text, needed, channels",
    [
        (layer("depth-to-space", block=2), 3, 12),
        (layer("space-to-depth", block=2), 8, 2),
        (layer("slice", start=2), 5, 7),
    ],
    ids=["depth-to-space", "space-to-depth", "slice"],
)
def test_a_later_layer_tells_it_through_one_that_changes_their_number(
    text: str, needed: int, channels: int
) -> None:
    path = write_network(text, conv(needed))
    save_array("x.npy", np.ones((4, 6, channels)))
    assert channels in channel_counts(load_model(path))
    assert (values_of("run", "net.toml", "x.npy") == needed).all()


def test_the_input_may_tell_what_no_layer_does() -> None:
    view = layer("view", axes="ncwh", permutation=[0, 1, 2, 3], channels=5)
    write_network("[input]\nsize = [4, 6]\nchannels = 5\n", view, conv(5))
    save_array("x.npy", np.ones((4, 6, 5)))
    assert values_of("run", "net.toml", "x.npy").size == 24
    write_network("[input]\nsize = [4, 6]\n", view, conv(5))
    refused("run", "net.toml", "x.npy", "-o", "z.npy")


def test_layers_that_fit_no_input_are_named() -> None:
    write_network(conv(4).replace('"c"', '"first"'), layer("depth-to-space", block=2, name="last"))
    save_array("x.npy", np.ones((4, 6, 4)))
    assert "layer last: " in refused("run", "net.toml", "x.npy", "-o", "y.npy")
