"""Names of 100,000 letters, and names that would leave a folder: short messages, tame members."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import LONGEST_MESSAGE, hide_secrets, shorten
from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save, save_array

LONG = "a" * 100_000


@pytest.fixture(autouse=True)
def inputs(empty_folder: Path) -> None:
    save("x.png", np.zeros((8, 9, 3), np.uint8))
    save_array("w.npy", np.ones((3, 3, 3, 2)))
    Path("net.toml").write_text(layer("conv", name="c", filter="w.npy"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("conv", f"{LONG}.png", "-f", "edge"), 1),
        (("conv", "x.png", "-f", LONG), 2),
        (("conv", "x.png", "-f", f"w.npy:{LONG}"), 2),
        (("conv", "x.png", "-f", "edge", "-o", f"{LONG}.png"), 1),
        (("conv", "x.png", "-f", "edge", "-o", f"{{{LONG}}}.png"), 2),
        (("conv", "x.png", "-f", "edge", f"--{LONG}"), 2),
        (("conv", "x.png", "-f", "edge", "--padding", LONG), 2),
        (("conv", "x.png", "-f", "edge", "--background", LONG), 2),
        (("pool", "x.png", "--report", f"{LONG}.json"), 1),
        (("pool", "--files-from", LONG), 1),
        (("pool", "x.png", "--cluster", f"tcp://{LONG}:1"), 2),
        (("run", f"{LONG}.toml", "x.png"), 1),
        (("run", "net.toml", "x.png", "--layer", LONG), 2),
        (("plan", "net.toml", "--input", LONG), 2),
        (("grad", "net.toml", "x.png", "--unit", f"{LONG}:0"), 2),
        (("explain", "x.png", "-f", "edge", "--at", LONG), 2),
        (("convert", f"{LONG}.onnx", "-o", "y.toml"), 1),
        (("compare", LONG, LONG), 1),
        (("filters", "show", LONG), 2),
        ((LONG,), 2),
    ],
    ids=lambda value: " ".join(value).replace(LONG, "LONG") if isinstance(value, tuple) else "",
)
def test_messages_are_short(words: tuple[str, ...], code: int) -> None:
    error = refused(*words, code=code)
    assert len(error) <= LONGEST_MESSAGE
    assert error.startswith("cnncli: error: ") and "aaa ... aaa" in error


def test_reports_are_short() -> None:
    names = [f"{folder}/{LONG}.png" for folder in "12"]
    words = ("pool", *names, "-o", "out/{dir}.png")
    done = run_cli(*words, "--json", "--report", "r.json", code=1)
    first, second = map(json.loads, done.stdout.splitlines())
    assert max(len(first["error"]), len(second["error"])) <= LONGEST_MESSAGE
    assert sorted([first["input"], second["input"]]) == names
    entries = json.loads(Path("r.json").read_text())["inputs"]
    assert all(len(entry["error"]) <= LONGEST_MESSAGE for entry in entries)
    Path("long.toml").write_text(layer("conv", name=LONG, filter="w.npy"))
    assert len(refused("run", "long.toml", "x.png", "-o", "y.npy")) <= LONGEST_MESSAGE


@pytest.mark.parametrize("most", [20, 21, 40])
def test_what_is_cut_keeps_both_ends(most: int) -> None:
    text = "'" + LONG + "': is a folder"
    cut = shorten(text, most)
    assert len(cut) == most and cut.startswith("'aaa") and cut.endswith("lder")
    assert shorten(text[:most], most) == text[:most]


def test_secrets_are_found_in_long_words_at_once() -> None:
    """By time that grows with the length: else the suite would not end."""
    assert hide_secrets(LONG * 10) == LONG * 10
    assert hide_secrets(f"{LONG}1://me:secret@host/a") == f"{LONG}1://host/a"
    assert hide_secrets(f"{'1' * 100_000}://me@host") == f"{'1' * 100_000}://me@host"
    assert hide_secrets(f"1://{'b' * 9}://me@host") == f"1://{'b' * 9}://host"


NAMES = ["../../x", "/elsewhere/abs", "..", "a\\b", "block/conv", "é", "C:\\x", "x/../y"]


def test_members_of_archives_are_as_tame_as_file_names() -> None:
    layers = "".join(layer("activation", name=name, activation="relu") for name in NAMES)
    Path("net.toml").write_text(layers)
    run_cli("run", "net.toml", "x.png", "-o", "y.npz")
    members = zipfile.ZipFile("y.npz").namelist()
    assert len(set(members)) == len(NAMES)
    check_tame(members)
    assert "block/conv.npy" in members and "é.npy" in members


def test_weights_have_tame_names_and_are_found_by_them() -> None:
    layers = "".join(
        layer("conv", name=name, filter="w.npy" if index == 0 else "w2.npy")
        for index, name in enumerate(["../x", ".._x", "/abs"])
    )
    save_array("w2.npy", np.ones((3, 3, 2, 2)))
    Path("net.toml").write_text(layers)
    run_cli("convert", "net.toml", "-o", "other.toml")
    members = zipfile.ZipFile("other.npz").namelist()
    check_tame(members)
    for name in ("net", "other"):
        run_cli("run", f"{name}.toml", "x.png", "-o", f"{name}-result.npy")
    np.testing.assert_array_equal(np.load("net-result.npy"), np.load("other-result.npy"))


def check_tame(members: list[str]) -> None:
    for member in members:
        parts = member.split("/")
        assert "" not in parts and not {"..", "."} & set(parts) and "\\" not in member, member
