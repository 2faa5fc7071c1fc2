"""What IMAGE arguments, patterns and lists stand for."""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnncli.batch.listing import listed_files
from cnncli.batch.sources import Sources, gather
from cnncli.errors import FileProblem, OptionError
from tests.support.shell import refused, run_cli, run_shell, save

ODD = ["-x.png", "two\nlines.png", "\x1b[31m.png", "bad\udcff.png", " .png", "a\rb.png"]

pytestmark = pytest.mark.usefixtures("empty_folder")


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*images: str, recursive: bool = False, files_from: str | None = None) -> list[str]:
    sources = gather(images, recursive, True, files_from)
    assert len(sources) == len(list(sources))
    return [str(source.path) for source in sources]


def folders(*images: str, recursive: bool = False) -> list[str]:
    return [source.folder for source in gather(images, recursive, True)]


def test_folders_are_sorted_and_hold_images_only() -> None:
    touch("in/b.PNG", "in/a.jpeg", "in/c.npy", "in/.hidden.png", "in/note.txt")
    touch("in/sub/d.tiff", "in/sub/e.md", "in/.git/f.png", "in/sub/deep/g.png", "in/z.png/h.png")
    Path("in/loop").symlink_to("..")
    flat = ["in/a.jpeg", "in/b.PNG", "in/c.npy"]
    assert found("in") == flat
    deep = ["in/sub/d.tiff", "in/sub/deep/g.png", "in/z.png/h.png"]
    assert found("in", recursive=True) == flat + deep
    assert folders("in/", recursive=True) == ["", "", "", "sub", "sub/deep", "z.png"]


def test_a_sub_folder_that_cannot_be_listed_stops_no_other() -> None:
    touch("in/a.png", "in/b/b.png", "in/c/c.png")
    script = (
        "import os; from cnncli.batch.sources import gather\n"
        "os.chmod('in/b', 0); os.chmod('.', 0o755)\n"
        "os.setresuid(65534, 65534, 65534) if os.getuid() == 0 else None\n"
        "print([str(source.path) for source in gather(['in'], True, True)])"
    )
    package = {"PYTHONPATH": str(Path(sys.modules["cnncli"].__file__ or "").parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | package, capture_output=True, check=False
    )
    os.chmod("in/b", 0o755)
    assert done.stdout.decode() == "['in/a.png', 'in/b', 'in/c/c.png']\n", done.stderr


def test_a_link_that_leads_to_itself_costs_itself_alone() -> None:
    touch("in/a.png")
    save("in/a.png", np.zeros((4, 4), np.uint8))
    for name in ("loop", "loop.png"):
        Path(f"in/{name}").symlink_to(name)
    assert found("in", recursive=True) == ["in/a.png", "in/loop.png"]
    result = run_cli("pool", "in", "-o", "out/{stem}.png", code=1)
    # The two images race, so their lines stand in any order.
    (error,) = (line for line in result.stderr.splitlines() if "error: " in line)
    assert error.startswith("cnncli: error: 'in/loop.png': cannot be read: ")
    assert result.stderr.splitlines()[-1].endswith("1 done, 1 failed")
    assert Path("out/a.png").exists()
    Path("in/loop.png").unlink()
    for images in ("in", "in/*.png", "in/**/*"):
        Path("out/a.png").unlink()
        run_cli("pool", images, "-o", "out/{stem}.png", code=int(images == "in/**/*"))
        assert Path("out/a.png").exists()


def test_pictures_of_others_are_images_whatever_they_are_called() -> None:
    for name in ("a.png", "a-edge.png", "ab.png"):
        save(name, np.zeros((9, 9), np.uint8))
    assert found(".") == ["a-edge.png", "a.png", "ab.png"]
    assert "one of the inputs" in refused("conv", ".", "-f", "edge", "--overwrite", code=2)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("./*.png", ["a.png", "b.png"]),
        ("?.png", ["a.png", "b.png"]),
        ("[!a].png", ["b.png"]),
        ("in/*", ["in/a.jpg", "in/b.png"]),
        ("in/*/*.jpg", ["in/x/c.jpg", "in/y/c.jpg"]),
        ("*/x/c.*", ["in/x/c.jpg"]),
        ("in/*/deep/*.jpg", ["in/x/deep/d.jpg"]),
        ("in/**/*.jpg", ["in/a.jpg", "in/x/c.jpg", "in/x/deep/d.jpg", "in/y/c.jpg"]),
        ("**/deep/*", ["in/x/deep/d.jpg"]),
        ("in/x/**", ["in/x/c.jpg", "in/x/deep/d.jpg"]),
        ("**/x/**/*.jpg", ["in/x/c.jpg", "in/x/deep/d.jpg"]),
        ("in/.*/*", ["in/.h/e.jpg"]),
    ],
)
def test_patterns(pattern: str, names: list[str]) -> None:
    touch("a.png", "b.png", "in/a.jpg", "in/b.png", "in/.c.jpg", "in/x/c.jpg", "in/y/c.jpg")
    touch("in/x/deep/d.jpg", "in/.h/e.jpg")
    assert found(pattern) == names
    shell = run_shell(f"shopt -s globstar; printf '%s\\n' {pattern}").stdout.decode().split()
    assert sorted(names) == sorted(os.path.normpath(name) for name in shell if os.path.isfile(name))


def test_stars_pass_links_to_folders_but_two_stars_do_not() -> None:
    touch("in/real/a.png")
    Path("in/link").symlink_to("real")
    assert found("in/*/a.png") == ["in/link/a.png", "in/real/a.png"]
    assert found("in/**/a.png") == ["in/real/a.png"]


def test_folders_of_patterns_are_those_below_their_fixed_part() -> None:
    touch("in/2024/may/a.png", "in/2024/b.png")
    assert folders("in/**/*.png") == ["2024", "2024/may"]
    assert folders("in/2024/*.png") == [""]
    assert folders("*/2024/b.png") == ["in/2024"]


def test_a_file_that_exists_is_no_pattern() -> None:
    touch("photo[1].png", "photo1.png", "*.png")
    assert found("photo[1].png") == ["photo[1].png"]
    assert found("*.png") == ["*.png"]


@pytest.mark.parametrize("word", ["*.gif", "in/*/x.png", "nowhere/**", "[.png", "x[1].png"])
def test_patterns_that_match_nothing(word: str) -> None:
    touch("in/a.png")
    with pytest.raises(FileProblem) as caught:
        found("in/a.png", word)
    assert str(caught.value) == f"'{word}': no file matches"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("last", [True, False])
def test_lists(end: str, last: bool) -> None:
    names = ["a.png", "", "in/b c.png", "-", "~", "é.png", "*.png"]
    Path("list").write_bytes((end.join(names) + end * last).encode())
    assert found("z.png", files_from="list") == ["z.png", *filter(None, names)]


def test_the_mark_of_utf_8_before_a_list_is_no_name() -> None:
    Path("list").write_bytes(codecs.BOM_UTF8 + "a.png\né.png\n".encode())
    assert found(files_from="list") == ["a.png", "é.png"]
    # Programs that end names with NUL write no mark.
    Path("list").write_bytes(codecs.BOM_UTF8 + b"a.png\0")
    assert found(files_from="list") == ["\ufeffa.png"]


def test_lists_of_odd_names_end_them_with_nul() -> None:
    Path("list").write_bytes(b"\0".join(os.fsencode(name) for name in ODD))
    assert found(files_from="list") == ODD


@pytest.mark.slow
def test_a_long_list_is_cut_at_its_names() -> None:
    names = [f"{'d' * 200}/{index:07d}.png" for index in range(10_000)]
    Path("list").write_text("\n".join(names))
    assert found(files_from="list") == names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "without names"),
        pytest.param(b"\n \n\r\n", "without names", marks=pytest.mark.slow),
        pytest.param(b"\0\0\0", "without names", marks=pytest.mark.slow),
        (b"x" * 2_000_000, "no list of names"),
        ("a.png\n".encode("utf-16"), "a list in UTF-16"),
        (b"x\n" * 600_000, "more than 1000000 bytes"),
    ],
)
def test_lists_that_are_none(content: bytes, words: str) -> None:
    Path("list").write_bytes(content)
    limit = 1_000_000 if content.startswith(b"x\n") else 1 << 30
    if limit > 1_000_000:
        with pytest.raises(FileProblem, match=words):
            list(listed_files("list", limit))
    assert words in list_problem("-" if limit > 1_000_000 else "/dev/stdin", content, limit)


def list_problem(name: str, content: bytes, limit: int) -> str:
    """The error of a list on the standard input of a process of its own, a pipe."""
    script = (
        "import sys; from cnncli.batch.listing import listed_files; from cnncli.errors import *\n"
        "try: list(listed_files(sys.argv[1], int(sys.argv[2])))\n"
        "except FileProblem as problem: print(problem)"
    )
    package = {"PYTHONPATH": str(Path(sys.modules["cnncli"].__file__ or "").parents[1])}
    command = [sys.executable, "-c", script, name, str(limit)]
    done = subprocess.run(
        command, input=content, env=os.environ | package, capture_output=True, check=True
    )
    return done.stdout.decode()


@pytest.mark.parametrize("name", ["nowhere", "folder"])
def test_lists_that_cannot_be_read(name: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(FileProblem, match=f"^'{name}': cannot be read: "):
        next(listed_files(name, 99))


def test_standard_input_is_read_once_and_not_from_a_terminal() -> None:
    with pytest.raises(OptionError, match="once"):
        gather(["-"], False, False, "-")
    with pytest.raises(OptionError, match="a list of names must be given or piped in"):
        gather(["a.png"], False, True, "-")
    with pytest.raises(OptionError, match="an IMAGE must be given or piped in"):
        gather([], False, True)
    assert [source.path for source in gather([], False, False)] == [None]


def test_many_sources_wait_on_disk() -> None:
    sources, names = Sources(), [f"{index:06d}-{'x' * 100}\udcff.png" for index in range(5000)]
    for name in names:
        sources.add(name, "below\n" if name < "001" else None)
    halves = iter(sources), iter(sources)
    assert [next(halves[0]).name for _ in range(2500)] == names[:2500]
    assert [source.name for source in halves[1]] == names
    assert [source.name for source in halves[0]] == names[2500:]
    assert [source.below for source in sources].count("below\n") == 1000
