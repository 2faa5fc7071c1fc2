"""``cnncli explain -o page.html``: which page is written, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.packed_pages import data_of
from tests.support.shell import refused_untouched, run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits.toml"
SEVEN = REPOSITORY / "examples" / "digits" / "7.png"


@pytest.fixture
def photo(empty_folder: Path) -> Path:
    """A small colour photograph."""
    pixels = np.random.default_rng(4).integers(0, 256, (12, 17, 3), np.uint8)
    return save("photo.png", pixels)


def test_a_filter_has_the_page_of_its_layer(photo: Path) -> None:
    options = ("--stride", "2,1", "--dilation", 2, "--padding", "1,2,3,4", "--pad-mode", "edge")
    more = ("--bias", 0.5, "--activation", "tanh", "--at", "2,3")
    done = run_cli("explain", photo, "--filter", "sobel_v", *options, *more, "-o", "page.html")
    assert "page.html, " in done.stderr and "begins at row 2, column 3 of conv1" in done.stderr
    assert done.stdout == ""
    scene = data_of("page.html")
    layer = scene["layer"]
    assert (scene["kind"], scene["title"], scene["at"]) == ("layer", "photo.png, sobel_v", [2, 3])
    assert (layer["stride"], layer["dilation"]) == ([2, 1], [2, 2])
    assert (layer["padding"], layer["padMode"]) == ([1, 2, 3, 4], "edge")
    assert (layer["activation"], layer["kernel"]) == ("tanh", [3, 3])
    assert layer["bias"].tolist() == [0.5]


def test_a_pool_has_the_page_of_its_layer(photo: Path) -> None:
    options = ("--size", 3, "--stride", 2, "--padding", 1, "--ceil", "--count-include-pad")
    run_cli("explain", photo, "--pool", "average", *options, "-o", "page.html")
    layer = data_of("page.html")["layer"]
    assert (layer["mode"], layer["kernel"], layer["stride"]) == ("average", [3, 3], [2, 2])
    assert (layer["ceil"], layer["countIncludePad"]) == (True, True)


def test_a_map_and_an_image_of_an_array_are_chosen(empty_folder: Path) -> None:
    values = np.random.default_rng(1).normal(size=(3, 6, 7, 2)).astype(np.float32)
    array = save_array("a.npy", values)
    bank = save_array("bank.npy", np.ones((2, 2, 2, 4), np.float32))
    given = ("--image", 2, "--map", 3, "--at", "1,1", "-o", "page.html")
    run_cli("explain", array, "--filter", bank, *given)
    scene = data_of("page.html")
    assert scene["map"] == 3
    np.testing.assert_array_equal(scene["input"]["pixels"], values[2].ravel())


def test_a_network_has_the_page_of_its_layers() -> None:
    given = (DIGITS, SEVEN, "--layer", "conv2", "--map", 7, "--at", "4,5", "-o", "page.html")
    done = run_cli("explain", *given, "--json")
    report = json.loads(done.stdout)
    assert report["bytes"] == Path("page.html").stat().st_size
    assert (report["layer"], report["at"], report["map"]) == ("conv2", [4, 5], 7)
    scene = data_of("page.html")
    assert scene["kind"] == "network" and scene["title"] == "7.png, digits.toml"
    assert scene["unit"] == {"layer": "conv2", "map": 7, "at": [4, 5]}
    assert [layer["name"] for layer in scene["layers"]][-2:] == ["digit", "probability"]


def test_standard_input_is_taken(photo: Path) -> None:
    run_cli("explain", "--pool", "max", "-o", "page.html", stdin=photo.read_bytes())
    assert data_of("page.html")["title"] == "standard input, max pool"


def test_a_page_that_exists_stays(photo: Path) -> None:
    Path("page.html").write_text("mine")
    given = ("explain", photo, "--filter", "edge", "-o", "page.html")
    assert "exists already" in refused_untouched(*given)
    run_cli(*given, "--overwrite", "-q")
    assert data_of("page.html")["kind"] == "layer"


@pytest.mark.parametrize("output", ["page.svg", "page", "-"])
def test_other_suffixes_are_refused(photo: Path, output: str) -> None:
    said = refused_untouched("explain", photo, "--filter", "edge", "-o", output, code=2)
    assert "-o must end in .html" in said


def test_a_missing_folder_is_refused_before_the_image_is_read(empty_folder: Path) -> None:
    said = refused_untouched("explain", "none.png", "--filter", "edge", "-o", "no/page.html")
    assert "its folder 'no' does not exist" in said


def test_an_image_is_not_overwritten_by_its_page(photo: Path) -> None:
    photo.rename("photo.html")
    given = ("explain", "photo.html", "--filter", "edge", "-o", "photo.html", "--overwrite")
    assert "is one of the inputs" in refused_untouched(*given, code=2)


def test_nothing_is_overwritten_where_nothing_is_written(photo: Path) -> None:
    refused_untouched("explain", photo, "--filter", "edge", "--overwrite", code=2)


def test_a_place_outside_is_refused(photo: Path) -> None:
    given = ("explain", photo, "--filter", "edge", "--at", "12,0", "-o", "page.html")
    assert "rows of the output are 0 to 11" in refused_untouched(*given, code=2)


def test_blank_writes_the_playground(empty_folder: Path) -> None:
    done = run_cli("explain", "--blank", "-o", "playground.html")
    assert re.fullmatch(r"playground\.html, \d+ kB\n", done.stderr) and done.stdout == ""
    page = Path("playground.html")
    assert page.stat().st_size <= 200_000
    done = run_cli("explain", "--blank", "-o", "other.html", "--json")
    assert json.loads(done.stdout) == {"output": "other.html", "bytes": page.stat().st_size}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("photo.png", "-o", "page.html"), "--blank takes no IMAGE and no NETWORK"),
        ((DIGITS, SEVEN, "-o", "page.html"), "--blank takes no IMAGE and no NETWORK"),
        (("--filter", "edge", "-o", "page.html"), "--filter does not go with --blank"),
        (("--gray", "-o", "page.html"), "--gray does not go with --blank"),
        (("--trail", "-o", "page.html"), "--trail does not go with --blank"),
        ((), "--blank needs -o playground.html"),
        (("-o", "steps.gif"), "-o must end in .html"),
    ],
)
def test_blank_takes_nothing_else(photo: Path, more: tuple[object, ...], told: str) -> None:
    assert told in refused_untouched("explain", "--blank", *more, code=2)
