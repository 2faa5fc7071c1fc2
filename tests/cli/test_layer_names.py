"""Layers by number, by the beginning of a name and by name: the same for every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save_array

NETWORK = "".join(
    [
        layer("pool", name="aside", size=1),
        layer("conv", name="first", filter="edge", inputs=["input"]),
        layer("conv", name="second", filter="edge"),
        layer("add", name="sum", inputs=["aside", "second"]),
    ]
)

USES = {
    "run --layer": ("run", "net.toml", "x.npy", "-o", "out.npy", "--layer", "{}"),
    "run --until": ("run", "net.toml", "x.npy", "-o", "out.npy", "--until", "{}"),
    "run --until --layer": (
        *("run", "net.toml", "x.npy", "-o", "out.npy", "--until", "sum", "--layer", "{}"),
    ),
    "explain": ("explain", "net.toml", "x.npy", "--layer", "{}", "--at", "3,3"),
    "grad --unit": ("grad", "net.toml", "x.npy", "--unit", "{}:0,3,3", "-o", "out.npy"),
    "grad --until": (
        *("grad", "net.toml", "x.npy", "--unit", "second:0,3,3", "--until", "{}", "-o", "out.npy"),
    ),
    "plan --until": ("plan", "net.toml", "--input", "8x8x3", "--until", "{}"),
    "plan --trace": (
        *("plan", "net.toml", "--image", "x.npy", "--trace", "{}:3,3", "-o", "out.png"),
    ),
    "convert --until": ("convert", "net.toml", "-o", "own.toml", "--until", "{}"),
    "conv --filter": ("conv", "x.npy", "-o", "out.npy", "--filter", "net.toml:{}"),
}


@pytest.fixture(autouse=True)
def folder(empty_folder: Path) -> None:
    Path("net.toml").write_text(NETWORK)
    save_array("x.npy", np.random.default_rng(4).random((8, 8, 3)).astype(np.float32))


def result(words: tuple[str, ...], name: str) -> tuple[str, bytes]:
    """Return what a command prints and writes."""
    for path in ("out.npy", "out.png", "own.toml", "own.npz"):
        Path(path).unlink(missing_ok=True)
    output = run_cli(*(word.format(name) for word in words)).stdout
    made = [Path(p) for p in ("out.npy", "own.toml", "own.npz") if Path(p).exists()]
    return output, b"".join(path.read_bytes() for path in made)


@pytest.mark.parametrize("use", USES)
def test_a_layer_has_its_number_and_the_beginning_of_its_name(use: str) -> None:
    expected = result(USES[use], "second")
    assert result(USES[use], "3") == expected
    assert result(USES[use], "sec") == expected


@pytest.mark.parametrize("use", [use for use in USES if use != "conv --filter"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s", "'s' begins several layers' names: second, sum"),
        ("secnod", "no layer 'secnod' in the network; nearest: second"),
        ("9", "the number of a layer must be 1 to 4, got 9"),
    ],
)
def test_no_layer_or_several(use: str, name: str, said: str) -> None:
    assert said in refused(*(word.format(name) for word in USES[use]), code=2)


def test_a_number_counts_all_layers_where_a_part_is_run() -> None:
    words = ("run", "net.toml", "x.npy", "-o", "out.npy", "--until", "second", "--layer", "{}")
    assert result(words, "2") == result(words, "first")
    said = refused(*(word.format("1") for word in words), code=2)
    assert "'second' does not depend on the layer 'aside'" in said
