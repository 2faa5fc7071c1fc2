"""Grey photographs through colour networks and the reverse: repeated or luminance, with a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.network.input_channels import wanted_channels
from cnncli.network.load import load_model
from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(31)
LUMINANCE = np.array([0.299, 0.587, 0.114])


def network(channels: int, *before: str) -> None:
    """Write a network whose first convolution has so many channels in."""
    save_array("w.npy", RANDOM.normal(size=(3, 3, channels, 2)))
    Path("net.toml").write_text("".join([*before, layer("conv", name="c", filter="w.npy")]))


def photo(*shape: int) -> np.ndarray:
    values = RANDOM.integers(0, 256, shape, np.uint8)
    save("photo.png", values)
    return values / 255


@pytest.mark.parametrize("command", [("run",), ("grad", "--unit", "c:1")])
def test_a_grey_photograph_through_a_colour_network(command: tuple[str, ...]) -> None:
    network(3)
    grey = photo(8, 9)
    save_array("colour.npy", np.repeat(grey[:, :, None], 3, axis=2).astype(np.float32))
    name, *options = command
    expected = values_of(name, "net.toml", "colour.npy", *options)
    np.testing.assert_allclose(values_of(name, "net.toml", "photo.png", *options), expected, 1e-6)
    said = run_cli(name, "net.toml", "photo.png", *options, "-o", "y.npy").stderr
    assert "note: 'photo.png': grey, repeated to 3 channels: the network takes colour" in said


@pytest.mark.parametrize("command", [("run",), ("grad", "--unit", "c:1")])
def test_a_colour_photograph_through_a_grey_network(command: tuple[str, ...]) -> None:
    network(1, layer("pool", mode="average"))
    save_array("grey.npy", (photo(8, 9, 3) @ LUMINANCE)[:, :, None].astype(np.float32))
    name, *options = command
    expected = values_of(name, "net.toml", "grey.npy", *options)
    found = values_of(name, "net.toml", "photo.png", *options)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    said = run_cli(name, "net.toml", "photo.png", *options, "-o", "y.npy").stderr
    assert "note: 'photo.png': reduced to luminance: the network takes grey pictures" in said


def test_explain_plan_and_a_dry_run_take_them_too() -> None:
    network(3)
    photo(8, 9)
    assert "repeated to 3" in run_cli("explain", "net.toml", "photo.png", "--at", "1,1").stderr
    assert "8x9x2" in run_cli("plan", "net.toml", "--image", "photo.png").stdout
    assert "photo.png -> " in run_cli("run", "net.toml", "photo.png", "--dry-run").stdout


def test_a_batch_of_both() -> None:
    network(3)
    for name, shape in (("grey", (8, 9)), ("rgb", (8, 9, 3))):
        save(f"{name}.png", RANDOM.integers(0, 256, shape, np.uint8))
    done = run_cli("run", "net.toml", "grey.png", "rgb.png", "-o", "out/{stem}.npy")
    assert done.stderr.count("note:") == 1 and "'grey.png': grey, repeated" in done.stderr


def test_single_layers_take_pictures_as_they_are() -> None:
    network(3)
    photo(8, 9)
    assert "3 channels in, the input has 1" in refused("conv", "photo.png", "-f", "w.npy", code=2)


@pytest.mark.parametrize(
    ("channels", "shape", "hint"),
    [
        (3, (8, 9), "np.repeat(x[:, :, None], 3, axis=-1) makes three channels of one"),
        (3, (2, 8, 9, 1), "np.repeat(x, 3, axis=-1) makes three channels of one"),
        (3, (3, 8, 9), "np.moveaxis(x, -3, -1) turns one with the channels first"),
        (3, (2, 3, 8, 9), "np.moveaxis(x, -3, -1) turns one with the channels first"),
        (1, (3, 8, 9), "np.moveaxis(x, -3, -1) turns one with the channels first"),
        (1, (8, 9, 3), "--gray makes one channel of three"),
        (8, (8, 9, 10), "np.moveaxis(x, -3, -1) turns one with the channels first"),
        (64, (2, 64, 9, 10), "np.moveaxis(x, -3, -1) turns one with the channels first"),
    ],
)
@pytest.mark.parametrize(
    "command", [("run",), ("grad", "--unit", "c:1"), ("explain",), ("plan", "--image")]
)
def test_arrays_of_other_channels_are_refused(
    command: tuple[str, ...], channels: int, shape: tuple[int, ...], hint: str
) -> None:
    network(channels)
    save_array("x.npy", np.ones(shape, np.float32))
    name, *options = command
    order = ["x.npy", *options] if name == "grad" else [*options, "x.npy"]
    error = refused(name, "net.toml", *order, code=2)
    counts = f"{channels} channel{'s' if channels > 1 else ''}"
    assert hint in error and counts in error


def test_hints_for_arrays_give_what_fits() -> None:
    network(3)
    grey, turned = np.ones((8, 9), np.float32), np.ones((3, 8, 9), np.float32)
    save_array("repeated.npy", np.repeat(grey[:, :, None], 3, axis=-1))
    save_array("turned.npy", np.moveaxis(turned, -3, -1))
    for name in ("repeated.npy", "turned.npy"):
        assert values_of("run", "net.toml", name).shape == (8, 9, 2)
    network(1)
    assert values_of("run", "net.toml", "turned.npy", "--gray").shape == (8, 9, 2)


@pytest.mark.parametrize(
    ("before", "channels", "wanted"),
    [
        ([], 3, 3),
        ([], 1, 1),
        ([], 4, None),
        ([layer("pad", padding=2), layer("activation", activation="relu")], 3, 3),
        ([layer("scale", offset=[0.1, 0.2, 0.3])], 3, 3),
        ([layer("conv", name="blur", filter="gaussian_5")], 1, 1),
    ],
)
def test_what_a_network_wants(before: list[str], channels: int, wanted: int | None) -> None:
    network(channels, *before)
    model = load_model(Path("net.toml"))
    assert model.channels == wanted == wanted_channels(model.network, (9, 9))


def test_a_network_of_picture_filters_takes_both() -> None:
    Path("net.toml").write_text(layer("conv", filter="edge") + layer("pool"))
    assert load_model(Path("net.toml")).channels is None
    photo(8, 9)
    assert values_of("run", "net.toml", "photo.png").shape == (4, 4, 1)


def test_the_size_and_the_grey_of_a_network_hide_no_channels_that_come_first() -> None:
    save_array("x.npy", np.ones((3, 12, 20), np.float32))
    network(3)
    sized = f"[input]\nsize = [8, 8]\n{Path('net.toml').read_text()}"
    for text in (sized, "[input]\ngray = true\n" + layer("pool")):
        Path("net.toml").write_text(text)
        error = refused("run", "net.toml", "x.npy", code=2)
        assert "np.moveaxis(x, -3, -1) turns one with the channels first" in error
