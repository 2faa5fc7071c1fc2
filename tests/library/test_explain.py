"""`cnncli.explain` and `Net.explain`: the page, text and files of `cnncli explain`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError
from tests.support.pages import REPOSITORY
from tests.support.patience import patient
from tests.support.shell import run_cli, save

EDGES = REPOSITORY / "examples" / "edges.toml"


@pytest.fixture(autouse=True)
def photo(empty_folder: Path) -> None:
    """A small colour photograph in the current folder."""
    save("photo.png", np.random.default_rng(7).integers(0, 256, (18, 26, 3), np.uint8))


def test_the_page_is_that_of_the_command() -> None:
    page = cnncli.explain("photo.png", "edge", at=(3, 4), stride=2)
    words = ["photo.png", "-f", "edge", "--at", "3,4", "--stride", 2]
    run_cli("explain", *words, "-o", "page.html")
    assert page.html == Path("page.html").read_text("utf-8")
    printed = run_cli("explain", *words, "-q", env={"COLUMNS": "100"}).stdout
    assert repr(page).split() == printed.split()


def test_a_pool_and_a_network_are_explained_too() -> None:
    pooled = cnncli.explain("photo.png", pool="average", size=3, gray=True)
    run_cli("explain", "photo.png", "--pool", "average", "--size", 3, "--gray", "-o", "pool.html")
    assert pooled.html == Path("pool.html").read_text("utf-8")
    page = cnncli.load(EDGES).explain("photo.png", "pooled", at=(3, 4), map="robinson_n")
    words = ["--layer", "pooled", "--at", "3,4", "--map", "robinson_n"]
    run_cli("explain", EDGES, "photo.png", *words, "-o", "net.html")
    assert page.html == Path("net.html").read_text("utf-8")


def test_the_frame_holds_the_whole_page_and_gives_it_nothing_else() -> None:
    page = cnncli.explain("photo.png", "edge", height=500)
    shown = page._repr_html_() or ""
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)"([^<>]*)></iframe>', shown)
    assert frame is not None and unescape(frame[1]) == page.html
    assert 'height="500"' in frame[2] and "allow-same-origin" not in frame[2]


def test_the_backward_pass_is_that_of_the_command() -> None:
    explained = cnncli.explain("photo.png", "edge", at=(3, 4), backward=True, channel="green")
    words = ["photo.png", "-f", "edge", "--at", "3,4", "--backward", "--channel", "green"]
    run_cli("explain", *words, "-o", "page.html")
    assert explained.html == Path("page.html").read_text("utf-8")
    assert explained.text == run_cli("explain", *words, "-q", env={"COLUMNS": "100"}).stdout[:-1]
    net = cnncli.load(EDGES).explain("photo.png", "edges", at=(3, 4), map=2, backward=True)
    words = ["photo.png", "--layer", "edges", "--at", "3,4", "--map", "2", "--backward"]
    run_cli("explain", EDGES, *words, "-o", "net.html")
    assert net.html == Path("net.html").read_text("utf-8")


def test_the_trail_is_that_of_the_command() -> None:
    explained = cnncli.load(EDGES).explain("photo.png", at=(2, 3), trail=True)
    words = [EDGES, "photo.png", "--at", "2,3", "--trail"]
    assert explained.text == run_cli("explain", *words, "-q", env={"COLUMNS": "100"}).stdout[:-1]
    told = json.loads(run_cli("explain", *words, "--json").stdout)["trail"]["units"]
    assert explained.trail is not None
    assert [unit.layer for unit in explained.trail.units] == [unit["layer"] for unit in told]
    assert cnncli.explain("photo.png", "edge").trail is None


@pytest.mark.parametrize("backward", [False, True])
def test_saved_files_are_those_of_the_command(backward: bool) -> None:
    explained = cnncli.explain("photo.png", "edge", at=(3, 4), backward=backward)
    words = ["photo.png", "-f", "edge", "--at", "3,4", *(["--backward"] if backward else [])]
    explained.save("saved.html")
    assert Path("saved.html").read_text("utf-8") == explained.html
    explained.save(Path("saved.gif"), cells=6, fps=5, frames=3)
    run_cli("explain", *words, "--cells", 6, "--fps", 5, "--frames", 3, "-o", "steps.gif")
    assert Path("saved.gif").read_bytes() == Path("steps.gif").read_bytes()
    with pytest.raises(cnncli.CnnCliError, match=r"saved\.gif"):
        explained.save("saved.gif", frames=2)
    explained.save("saved.gif", frames=2, overwrite=True)
    assert Path("saved.gif").read_bytes() != Path("steps.gif").read_bytes()
    explained.save("frames/", frames=2)
    assert sorted(path.name for path in Path("frames").iterdir()) == ["000.png", "001.png"]


def test_what_cannot_be_asked_for_is_an_error() -> None:
    with pytest.raises(OptionError, match="--channel is for --backward"):
        cnncli.explain("photo.png", "edge", channel=1)
    with pytest.raises(OptionError, match="without --backward"):
        cnncli.explain("photo.png", "edge", backward=True, trail=True)
    explained = cnncli.explain("photo.png", "edge")
    for name, value in {"cells": 65, "fps": 0, "frames": 0}.items():
        with pytest.raises(OptionError, match=f"{name} must be"):
            explained.save("steps.gif", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="must end in .html, .gif, .webp or .png"):
        explained.save("steps.mp4")
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_the_text_stands_where_no_page_can_show_a_backward_pass() -> None:
    photo = np.random.default_rng(1).random((1200, 1600), np.float32)
    explained = cnncli.load(EDGES).explain(photo, "edges", at=(9, 9), backward=True)
    assert explained._repr_html_() is None and "gradient" in explained.text
    with pytest.raises(OptionError, match="--backward needs a page that computes its network"):
        _ = explained.html


def test_exactly_one_layer_is_explained() -> None:
    with pytest.raises(OptionError, match="exactly one of filter and pool must be given"):
        cnncli.explain("photo.png")
    with pytest.raises(OptionError, match="exactly one of filter and pool must be given"):
        cnncli.explain("photo.png", "edge", pool="max")


@pytest.mark.parametrize(
    "first", ["import cnncli.explain.run", "import cnncli", "from cnncli import explain"]
)
def test_the_package_is_called_whatever_was_imported_before(first: str) -> None:
    code = (
        f"{first}; import cnncli, cnncli.explain.model as model; "
        "page = cnncli.explain('photo.png', 'edge'); "
        "assert isinstance(page.result.explanation, model.Explanation)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=patient(20)
    )
    assert (done.returncode, done.stderr) == (0, "")
