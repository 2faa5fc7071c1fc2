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


def counts_of(path: Path) -> list[int]:
    model = load_model(path)
    return channel_counts(model.network.nodes, model.input)


@pytest.mark.parametrize("text, channels", FIRST.values(), ids=FIRST)
def test_a_first_layer_tells_how_many_channels_it_needs(text: str, channels: int) -> None:
    path = write_network(text)
    save_array("x.npy", np.random.default_rng(5).normal(size=(4, 6, channels)))
    assert channels in counts_of(path)
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
    assert channels in counts_of(path)
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


@pytest.mark.parametrize(
    "text, expected",
    [
        (layer("space-to-depth", block=3), (2, 2, 9)),
        (layer("slice", rows=[-4, 6]), (4, 6, 1)),
        (layer("slice", rows=[5, -7, -1], columns=[4, 6]), (6, 2, 1)),
    ],
    ids=["blocks", "slice", "slice backwards"],
)
@pytest.mark.parametrize("top", ["", "[input]\nsize = [6, 6]\n"], ids=["open", "known"])
def test_what_fits_some_sizes_only_is_judged_by_the_image(
    top: str, text: str, expected: tuple[int, ...]
) -> None:
    write_network(top, text)
    save_array("x.npy", np.arange(36.0).reshape(6, 6))
    assert values_of("run", "net.toml", "x.npy").shape == expected


@pytest.mark.parametrize(
    "text, message",
    [
        (layer("space-to-depth", block=3), "must fill rows and columns, got 4x3"),
        (layer("slice", rows=[5, 7]), "must take some, got none of 4"),
    ],
    ids=["blocks", "slice"],
)
def test_an_image_that_does_not_fit_is_refused_by_its_own_size(text: str, message: str) -> None:
    write_network(text)
    save_array("x.npy", np.ones((4, 3)))
    assert message in refused("run", "net.toml", "x.npy", "-o", "y.npy", code=2)
