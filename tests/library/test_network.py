"""`cnncli.load` and `Net.run`: what `cnncli run` does, without files and without click."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnncli
from cnncli.errors import FileProblem, OptionError, ShapeError
from cnncli.library.network import Net
from tests.support.pages import REPOSITORY
from tests.support.patience import patient
from tests.support.shell import pixels, run_cli, save

EDGES = REPOSITORY / "examples" / "edges.toml"
PHOTO = np.random.default_rng(3).integers(0, 256, (18, 26, 3), np.uint8)


@pytest.fixture(autouse=True)
def photo(empty_folder: Path) -> Path:
    """A small colour photograph in the current folder."""
    return save("photo.png", PHOTO)


@pytest.fixture
def net() -> Net:
    """The example network of edges."""
    return cnncli.load(EDGES)


def test_every_layer_has_the_values_that_run_writes(net: Net) -> None:
    result = net.run("photo.png")
    run_cli("run", EDGES, "photo.png", "-o", "values.npz")
    with np.load("values.npz") as archive:
        assert list(result) == list(net.layers) == archive.files
        for name, maps in result.items():
            np.testing.assert_array_equal(np.asarray(maps), archive[name])


def test_a_layer_is_not_taken_by_an_index(net: Net) -> None:
    with pytest.raises(OptionError, match="a layer must be given by its name, got 0") as caught:
        net.run("photo.png")[0]  # type: ignore[index]
    assert caught.value.hint == "result['edge_or_not'], or result.last"


@pytest.mark.parametrize("layer", ["smooth", "edges", "pooled", "edge_or_not"])
def test_every_layer_shows_the_picture_that_run_writes(net: Net, layer: str) -> None:
    run_cli("run", EDGES, "photo.png", "--layer", layer, "-o", "layer.png")
    shown = net.run("photo.png")[layer]._repr_png_()
    assert shown is not None
    Path("shown.png").write_bytes(shown)
    np.testing.assert_array_equal(pixels("shown.png"), pixels("layer.png"))


def test_the_digits_are_read_and_shown_with_their_numbers() -> None:
    digit = REPOSITORY / "examples" / "digits" / "3.png"
    result = cnncli.load(REPOSITORY / "examples" / "digits.toml").run(digit)
    assert result["probability"].shape == (1, 1, 10) and result.last.argmax() == 3
    run_cli("run", REPOSITORY / "examples" / "digits.toml", digit, "-o", "scores.png")
    shown = result._repr_png_()
    assert shown is not None
    Path("shown.png").write_bytes(shown)
    np.testing.assert_array_equal(pixels("shown.png"), pixels("scores.png"))


def test_notes_are_those_of_the_command(net: Net) -> None:
    save("odd.png", PHOTO[:17])
    told = run_cli("run", EDGES, "odd.png", "--json", "-o", "out.png").stdout
    notes = json.loads(told.splitlines()[0])["notes"]
    assert notes and list(net.run("odd.png").notes) == notes
    assert f"note: {notes[0]}" in repr(net.run("odd.png"))


def test_pictures_and_arrays_are_images_too(net: Net) -> None:
    expected = np.asarray(net.run("photo.png").last)
    np.testing.assert_array_equal(np.asarray(net.run(Image.open("photo.png")).last), expected)
    np.testing.assert_array_equal(np.asarray(net.run(PHOTO).last), expected)
    batch = net.run(np.stack([PHOTO, PHOTO[::-1]]), ["edges"])["edges"]
    assert batch.shape == (2, 18, 26, 8)
    np.testing.assert_array_equal(batch[0], net.run(PHOTO)["edges"])


def test_the_options_of_the_file_can_be_exchanged() -> None:
    changed = cnncli.load(EDGES, size=(9, 13), scale=255, mean=8.0, until="edges")
    result = changed.run("photo.png")
    run_cli(
        *("run", EDGES, "photo.png", "--size", "9,13", "--scale", 255, "--mean", 8),
        *("--until", "edges", "-o", "edges.npy"),
    )
    assert changed.layers == ("smooth", "edges")
    np.testing.assert_array_equal(np.asarray(result.last), np.load("edges.npy"))


def test_layers_are_found_by_the_beginning_of_their_names(net: Net) -> None:
    result = net.run("photo.png", ["pool"])
    assert list(result) == ["pooled"] and result["pool"] is result["pooled"]
    with pytest.raises(OptionError, match="layer edges was not asked for, only pooled"):
        result["edges"]
    with pytest.raises(OptionError, match="no layer 'poled' in the network; nearest: pooled"):
        net.run("photo.png", ["poled"])


def test_errors_are_those_of_the_commands(net: Net) -> None:
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FileProblem, match="'broken.png': "):
        net.run("broken.png")
    with pytest.raises(FileProblem, match="'nowhere.png': cannot be read"):
        net.run("nowhere.png")
    with pytest.raises(ShapeError, match="'array': an image array needs shape"):
        net.run(np.ones(3))
    with pytest.raises(FileProblem, match="'net.json': a network file must end in"):
        cnncli.load("net.json")
    with pytest.raises(OptionError, match="--prep must be one of imagenet"):
        cnncli.load(EDGES, prep="vgg")
    with pytest.raises(OptionError, match="--fit must be one of stretch, crop, pad, got 'fill'"):
        cnncli.load(EDGES, size=8, fit="fill")


def test_too_little_memory_is_told_before_the_work(net: Net) -> None:
    with pytest.raises(cnncli.CnnCliError, match="'photo.png': .*needs"):
        net.run("photo.png", max_memory=1000)


def test_click_is_not_needed() -> None:
    code = (
        "import sys, cnncli; "
        f"cnncli.load({str(EDGES)!r}).run('photo.png').last._repr_png_(); "
        "assert 'click' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=patient(20)
    )
    assert (done.returncode, done.stderr) == (0, "")
