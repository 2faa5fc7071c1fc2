"""`Net.plan`: the table of `cnncli plan`, as HTML and as text."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError
from cnncli.library.network import Net
from tests.support.pages import REPOSITORY
from tests.support.shell import run_cli, save

EDGES = REPOSITORY / "examples" / "edges.toml"


@pytest.fixture
def net() -> Net:
    """The example network of edges."""
    return cnncli.load(EDGES)


def cells(html: str) -> list[list[str]]:
    """Return the texts of a table's rows."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [[unescape(text) for text in re.findall(r"<t[dh][^>]*>(.*?)</t", row)] for row in rows]


@pytest.mark.parametrize("asked", ["32x32x3", (32,), (32, 0, 3), (1.5, 2), 32, (1, 2, 3, 4)])
def test_a_size_that_is_none_is_refused(net: Net, asked: object) -> None:
    with pytest.raises(OptionError, match=r"input must be \(H, W, C\) or \(H, W\), got "):
        net.plan(asked)  # type: ignore[arg-type]


def test_the_table_has_the_cells_that_the_command_prints(net: Net) -> None:
    plan = net.plan((17, 26, 3))
    printed = run_cli("plan", EDGES, "--input", "17x26x3", "-v").stdout.splitlines()
    table = cells(plan._repr_html_())
    assert [row[0] for row in table] == ["LAYER", "smooth", "edges", "pooled", "edge_or_not"]
    for row, line in zip(table, printed, strict=False):
        rest = line
        for cell in row:
            assert cell in rest, (cell, line)
            rest = rest[rest.index(cell) + len(cell) :]
    assert repr(plan).splitlines()[0].split() == " ".join(table[0]).split()
    warning = "warning: row 16 of edges (0 to 16) is never read"
    assert warning in plan._repr_html_() and warning in repr(plan)


def test_the_numbers_are_those_of_the_command(net: Net) -> None:
    lines = run_cli("plan", EDGES, "--input", "18x26x3", "--json").stdout.splitlines()
    *layers, totals = map(json.loads, lines)
    summary = net.plan((18, 26)).summary
    assert [list(layer.shape) for layer in summary.layers] == [layer["shape"] for layer in layers]
    assert summary.parameters == totals["totals"]["parameters"]
    assert summary.multiply_adds == totals["totals"]["multiply_adds"]


def test_an_image_tells_the_size(net: Net, empty_folder: Path) -> None:
    save("photo.png", np.zeros((18, 26, 3), np.uint8))
    asked = net.plan((18, 26, 3)).summary
    assert net.plan(image="photo.png").summary == asked
    assert net.plan(image=Path("photo.png")).summary == asked
    assert net.plan(image=np.zeros((18, 26, 3))).summary == asked
    digits = cnncli.load(REPOSITORY / "examples" / "digits.toml")
    assert digits.plan().summary.input == (8, 8, 1)
    assert digits.plan(image="photo.png").notes == ("resized from 18x26 to 8x8, as run does",)


def test_a_plan_needs_a_size(net: Net) -> None:
    with pytest.raises(OptionError, match="--input HxWxC or --image IMAGE is needed"):
        net.plan()


def test_channels_that_come_first_are_noted(empty_folder: Path) -> None:
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n')
    (note,) = cnncli.load("net.toml").plan((3, 64, 64)).notes
    assert note == "--input is height x width x channels: 64x64x3 has 3 channels"
