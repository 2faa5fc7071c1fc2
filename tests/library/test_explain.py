"""`cnncli.explain` and `Net.explain`: the page of `cnncli explain`, in a frame."""

from __future__ import annotations

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
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)"([^<>]*)></iframe>', page._repr_html_())
    assert frame is not None and unescape(frame[1]) == page.html
    assert 'height="500"' in frame[2] and "allow-same-origin" not in frame[2]


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
