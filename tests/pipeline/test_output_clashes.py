"""Two images whose results would have one name: the hint of the error names what works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.support.shell import refused_untouched, run_cli, save

pytestmark = pytest.mark.usefixtures("empty_folder")


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save(name, np.zeros((6, 8, 3), np.uint8))


def count_files() -> int:
    return sum(path.is_file() for path in Path().rglob("*"))


@pytest.mark.parametrize(
    ("words", "images"),
    [
        ("-o out/", "in/a.png in/a.gif"),
        ("", "in/a.png in/a.gif"),
        ("-o out/", "in/a.png other/a.png"),
        ("-o 'out/{op}.png'", "in/a.png in/b.png"),
        ("-o 'out/{stem}-x.npy'", "in/a.png in/a.gif"),
        ("-o out/ --format png", "in/a.png in/a.gif"),
        ("-o 'out/{stem}.png'", "in/a.png other/a.gif"),
        ("-o 'out/{stem:>9}.png'", "in/a.png other/a.png"),
        ("-o '{{out}}/{stem}.png'", "in/a.png other/a.gif"),
        ("-o 'out/{stem:.1s}.png'", "in/a.png in/ab.png"),
        ("-o 'out/{dir:.1s}/{stem}.png'", "in/a.png inner/a.png"),
        ("-r -o out/", "tree"),
        ("-r", "tree"),
    ],
)
def test_the_hint_of_a_clash_names_what_works(words: str, images: str) -> None:
    make("in/a.png", "in/b.png", "in/a.gif", "other/a.gif", "other/a.png")
    make("in/ab.png", "inner/a.png")
    make("tree/x/a.png", "tree/x/a.gif", "tree/y/b.png")
    given = shlex.split(f"{words} {images}")
    error = refused_untouched("pool", *given, code=2)
    assert "would hold both" in error
    hint = re.fullmatch(r"hint: -o '(.*)' tells them apart", error.splitlines()[1])
    assert hint and hint[1].count("{stem") < 2, error
    assert words != "-o 'out/{stem:.1s}.png'" or hint[1] == "out/{stem}.png"
    before = count_files()
    recursive = ["-r"] if "-r" in given else []
    run_cli("pool", *recursive, *images.split(), "-o", hint[1], "--jobs", 1)
    assert count_files() - before == (3 if images == "tree" else 2)


def test_names_that_no_template_tells_apart() -> None:
    make("in/a_b.png", "in/a\\b.png")
    error = refused_untouched("pool", "in/a_b.png", "in/a\\b.png", "-o", "out/", code=2)
    assert "hint: another output folder for each: run cnncli once for each" in error


@pytest.mark.parametrize("other", ["in/a.png", "./in/a.png", "in/../in/a.png", "link.png"])
def test_one_file_given_twice_is_named(other: str) -> None:
    make("in/a.png")
    Path("link.png").symlink_to("in/a.png")
    output = ["-o", "{op}.png"] if other == "link.png" else []
    error = refused_untouched("pool", "in/a.png", other, *output, code=2)
    assert "hint: both are one file: give it once" in error


def test_clashes_through_links_of_folders() -> None:
    make("in/x/a.png", "in/y/a.png")
    Path("out/x").mkdir(parents=True)
    Path("out/y").symlink_to("x")
    error = refused_untouched("pool", "-r", "in", "-o", "out/", code=2)
    assert "would hold both" in error


def test_layers_of_one_image_do_not_hide_a_clash() -> None:
    make("in/a_b.png", "in/a\\b.png")
    conv = '[[layers]]\ntype = "conv"\nfilter = "edge"\n'
    Path("net.toml").write_text(conv + conv)
    images = ("in/a_b.png", "in/a\\b.png")
    error = refused_untouched("run", "net.toml", *images, "-o", "out/", code=2)
    assert "hint: another output folder for each: run cnncli once for each" in error
