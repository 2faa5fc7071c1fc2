"""Many images: where they come from, where their results go, and what is said meanwhile."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.batch.sources import gather
from cnncli.system.progress import step_text
from tests.support.patience import patient
from tests.support.shell import (
    peak_memory,
    pixels,
    refused_untouched,
    run_cli,
    run_shell,
    save,
    save_array,
    snapshot,
)

RGB = np.random.default_rng(11).integers(0, 256, (6, 8, 3), np.uint8)

pytestmark = pytest.mark.usefixtures("empty_folder")


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".npy"):
            save_array(name, RGB)
        else:
            save(name, RGB)


def files(folder: str) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def test_trees_are_mirrored() -> None:
    make("in/a.png", "in/x/a.png", "in/x/y/a.png")
    run_cli("pool", "in", "-r", "-o", "out/")
    assert files("out") == ["a-pool.png", "x/a-pool.png", "x/y/a-pool.png"]
    run_cli("pool", "in/**/a.png", "-o", "npy/", "--format", "npy")
    assert files("npy") == ["a-pool.npy", "x/a-pool.npy", "x/y/a-pool.npy"]


def test_without_a_folder_the_tree_is_made_here() -> None:
    make("in/a.png", "in/x/a.png")
    run_cli("pool", "in", "-r")
    assert Path("a-pool.png").exists() and Path("x/a-pool.png").exists()


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("out/{dir}/{stem}.png", ["a.png", "x/a.png", "x/y/a.png"]),
        ("out/{dir}-{stem}.png", ["-a.png", "x-a.png", "x/y-a.png"]),
    ],
)
def test_the_field_dir(template: str, made: list[str]) -> None:
    make("in/a.png", "in/x/a.png", "in/x/y/a.png")
    run_cli("pool", "in", "-r", "-o", template)
    assert files("out") == sorted(made)


def test_dir_of_a_named_file_is_as_it_was_named_and_stays_below_the_output() -> None:
    make("in/a.png")
    run_cli("pool", "in/a.png", "-o", "one/{dir}/{stem}.png")
    run_cli("pool", Path("in/a.png").resolve(), "-o", "two/{dir}/{stem}.png")
    Path("in/sub").mkdir()
    run_cli("pool", "in/sub/../a.png", "-o", "three/{dir}/{stem}.png")
    assert files("one") == ["in/a.png"] and files("three") == ["in/sub/__/a.png"]
    assert files("two") == [f"{Path('in').resolve()}/a.png"[1:]]


def test_outputs_in_the_input_folder_are_no_inputs_of_the_same_batch() -> None:
    make("in/a.png", "in/b/c.png")
    run_cli("pool", "-r", "in", "-o", "in/z/")
    assert files("in") == ["a.png", "b/c.png", "z/a-pool.png", "z/b/c-pool.png"]


def test_names_from_a_list() -> None:
    odd = ["-x.png", "two\nlines.png", "\x1b[31m.png", "bad\udcff.png", "a b.png"]
    make("x.png")
    for name in odd:
        Path("x.png").with_name(name).write_bytes(Path("x.png").read_bytes())
    done = run_shell("find . -name '*.png' -print0 | cnncli pool --files-from - -o out/ -q")
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    unsafe = str.maketrans("\n\x1b", "__")
    assert {name.removesuffix("-pool.png") for name in files("out")} == {
        name.removesuffix(".png").translate(unsafe) for name in (*odd, "x.png")
    }


def test_a_missing_file_of_a_list_stops_no_other() -> None:
    make("a.png", "b.png")
    Path("list").write_text("gone.png\na.png\n\nb.png")
    result = run_cli("pool", "--files-from", "list", code=1)
    assert "cnncli: error: 'gone.png': cannot be read: No such file" in result.stderr
    assert "hint: there is " in result.stderr
    assert Path("a-pool.png").exists() and Path("b-pool.png").exists()


@pytest.mark.parametrize("output", ["in/out/", "in/out/{dir}/{stem}.png"])
def test_results_below_the_images_are_no_images(output: str) -> None:
    make("in/a.png", "in/deep/b.png")
    given = ("pool", "in", "--recursive", "-o", output)
    run_cli(*given)
    made = files("in")
    assert len(made) == 4
    Path("in", next(name for name in made if name.startswith("out/"))).unlink()
    result = run_cli(*given, "--skip-existing")
    assert ": 1 done, 1 skipped" in result.stderr
    assert files("in") == made


def test_fail_fast_begins_no_more() -> None:
    make(*(f"in/{index:02d}.png" for index in range(40)))
    Path("in/00.png").write_bytes(b"no picture")
    result = run_cli("pool", "in", "-o", "out/", "--fail-fast", "--jobs", 1, code=1)
    last = result.stderr.splitlines()[-1]
    counts = re.fullmatch(r"40 images in .* s: (\d+) done, 1 failed, (\d+) not done", last)
    assert counts, last
    assert int(counts[1]) == len(files("out")) == 0
    assert int(counts[1]) + int(counts[2]) == 39
    result = run_cli("pool", "in", "-o", "out/", "--jobs", 1, "--skip-existing", code=1)
    assert ": 39 done, 1 failed" in result.stderr


BANK = ("conv", "-f", "sobel_h", "-f", "sobel_v", "-f", "edge", "-f", "box")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("pool in -r -o out/", 4),
        ("pool in -r", 4),
        ("pool in/*.png -o 'out/{dir}/{name}'", 2),
        ("conv in -r -f sobel_h -f sobel_v -f edge -f box -o out/", 16),
        ("conv in -r -f edge -f box -o 'out/{dir}/{map}-{name}.png'", 8),
        ("conv in -f edge -o all/ --gray --format npy", 2),
        ("pad batch.npy --padding 1 -o 'out/{stem}-{map}.png'", 3),
        ("pool in -r -o out/ --skip-existing", 4),
    ],
)
def test_a_dry_run_says_what_a_run_makes(words: str, count: int) -> None:
    make("in/a.png", "in/b.png", "in/x/a.npy", "in/x/b.png")
    save_array("batch.npy", np.zeros((3, 5, 6, 1)))
    before = snapshot()
    given = shlex.split(words)
    rows = [json.loads(line) for line in run_cli(*given, "--dry-run", "--json").stdout.splitlines()]
    assert snapshot() == before
    planned = [name for row in rows for name in row["planned"]]
    run_cli(*given, "--jobs", 1)
    made = set(files(".")) - set(before)
    assert {os.path.normpath(name) for name in planned} == made and len(planned) == count


def test_a_dry_run_tells_names_and_problems() -> None:
    make("in/a.png", "in/c.png", "out/c.png")
    Path("in/b.png").write_bytes(b"no picture")
    save_array("two.npy", np.ones((4, 4, 2)))
    before = snapshot()
    words = ("conv", "in", "two.npy", "gone.png", "-f", "gabor_color", "-o", "out/{stem}.png")
    result = run_cli(*words, "--dry-run", "--skip-existing", code=1)
    assert snapshot() == before
    assert result.stdout == "in/a.png -> out/a.png\n"
    text = result.stderr
    for problem in ("'in/b.png': not a picture", "'gone.png': cannot be read", "'two.npy': the"):
        assert f"cnncli: error: {problem}" in text
    assert "'in/c.png': skipped, its output exists" in text
    assert "dry run of 5 images: 1 to do, 1 skipped, 3 failed" in text
    quiet = run_cli(*words, "--dry-run", "--skip-existing", "-q", code=1)
    assert quiet.stdout == "" and quiet.stderr.count("cnncli: error:") == 3
    assert "dry run" not in quiet.stderr


def test_a_dry_run_of_many_maps_names_the_first_and_the_last() -> None:
    make("a.png")
    result = run_cli(*BANK, "a.png", "-o", "out/", "--dry-run", "--gray")
    assert result.stdout == "a.png -> out/a-sobel_h.png ... out/a-box.png (4 files)\n"
    assert result.stderr == ""


@pytest.mark.slow
def test_a_dry_run_leaves_standard_input_alone() -> None:
    make("a.png")
    done = run_shell("(cnncli pool --dry-run -o out/; cnncli pool -o b.png -q) < a.png")
    assert done.returncode == 0 and done.stdout == b"- -> out/\n", done.stderr
    assert pixels("b.png").shape == (3, 4, 3)


def test_a_dry_run_refuses_what_a_run_refuses() -> None:
    make("a.png", "a-pool.png")
    assert "is one of the inputs" in refused_untouched(
        "pool", "a.png", "a-pool.png", "--dry-run", code=2
    )
    error = refused_untouched("pool", "a.png", "--dry-run", "--report", "r.json", code=2)
    assert "--dry-run" in error and "--report" in error


def test_one_line_at_the_end() -> None:
    make("a.png", "b.png", "c.png")
    Path("b.png").write_bytes(b"")
    result = run_cli("pool", "a.png", "b.png", "c.png", code=1)
    assert len(result.stderr.splitlines()) == 4
    last = result.stderr.splitlines()[-1]
    assert re.fullmatch(r"3 images in \d+\.\d s: 2 done, 1 failed", last)
    result = run_cli("pool", "a.png", "c.png", "--skip-existing", "--json")
    assert re.fullmatch(r"2 images in .*: 0 done, 2 skipped\n", result.stderr)
    assert all(json.loads(line)["skipped"] for line in result.stdout.splitlines())
    assert run_cli("pool", "a.png", "c.png", "-q", "--overwrite").stderr == ""
    assert len(run_cli("pool", "a.png", "--overwrite").stderr.splitlines()) == 1


def at_terminal(*args: object) -> tuple[int, list[str], str]:
    """Run with standard error at a terminal; return the code, its screen and all that came."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cnncli", *map(str, args)]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        came = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            came += part
        process.communicate(timeout=patient(60))
    os.close(ours)
    text = came.decode().replace("\r\n", "\n")
    return process.returncode, screen(text), text


def screen(text: str) -> list[str]:
    """What a terminal shows after some text."""
    lines, column = [""], 0
    for piece in re.findall(r"\x1b\[\??\d*[A-Za-z]|.|\n", text, re.S):
        if piece == "\n":
            lines.append("")
            column = 0
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif not piece.startswith("\x1b"):
            lines[-1] = lines[-1][:column].ljust(column) + piece + lines[-1][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_a_terminal_gets_a_bar() -> None:
    make(*(f"in/{index}.png" for index in range(12)))
    for name in ("3", "7", "11"):
        Path(f"in/{name}.png").write_bytes(b"no picture")
    code, shown, text = at_terminal("pool", "in", "-o", "out/")
    assert code == 1
    *errors, bar, last, nothing = shown
    assert nothing == "" and len(errors) == 3
    for name in ("3", "7", "11"):
        assert sum(e.startswith(f"cnncli: error: 'in/{name}.png': not a") for e in errors) == 1
    assert re.fullmatch(r"\[#+\]  12/12  \S+ images/s", bar)
    assert re.fullmatch(r"12 images in .* s: 9 done, 3 failed", last)
    # The cursor that the bar hides is shown again.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("-v", 3 * 2 + 2),
        pytest.param("-q", 0, marks=pytest.mark.slow),
        pytest.param("--dry-run", 1, marks=pytest.mark.slow),
        pytest.param("--overwrite", 2, marks=pytest.mark.slow),
    ],
)
def test_what_else_a_terminal_gets(words: str, lines: int) -> None:
    make("in/a.png", "in/b.png", "in/c.png")
    code, shown, text = at_terminal("conv", "in", "-f", "1", "-o", "out/", words)
    assert code == 0
    assert len([line for line in shown if line]) == lines, shown
    assert ("images/s" in text) == (words in ("-v", "--overwrite"))
    assert sum(line.startswith("out/") for line in shown) == (3 if words == "-v" else 0)


def test_one_image_needs_no_bar() -> None:
    make("a.png")
    code, shown, text = at_terminal("pool", "a.png")
    assert code == 0 and "images" not in text and len(shown) == 2


@pytest.mark.slow
def test_one_image_of_another_process_has_a_bar_and_its_report() -> None:
    make("a.png")
    code, shown, _ = at_terminal("pool", "a.png", "--timeout", "600")
    assert code == 0 and shown[0].startswith("a-pool.png, ")
    assert re.fullmatch(r"\[#+\]  1/1  \S+ images/s", shown[1])
    assert shown[2:] == [""]


def test_listing_and_computing_tell_how_far_they_are() -> None:
    make("in/a.png", "in/b.png", "in/c.png")
    assert len(gather(["in"], False, True)) == 3
    assert step_text() == "listing images, 3"
    save("tall.png", np.zeros((3000, 40), np.uint8))
    run_cli("pool", "tall.png", "-o", "tall.npy")
    assert re.fullmatch(r"computing rows, \d+ of 1500", step_text())
    run_cli("pool", "tall.png", "-o", "y.png")
    assert re.fullmatch(r"computing strips of rows, \d+ of \d+", step_text())


MANY = 10_000


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images() -> None:
    make("a.png")
    for index in range(MANY):
        folder = f"{'few' if index < 100 else 'many'}/{index // 1000}"
        if index % 1000 in (0, 100):
            os.makedirs(f"in/{folder}", exist_ok=True)
            os.makedirs(f"out/{folder}", exist_ok=True)
        os.link("a.png", f"in/{folder}/{index}.png")
        Path(f"out/{folder}/{index}.png").touch()
    words = ("pool", "--skip-existing", "-q", "--jobs", "2", "--report")
    few = peak_memory((*words, "few.json", "-r", "in/few", "-o", "out/few/{dir}/{stem}.png"))
    many = peak_memory((*words, "many.json", "-r", "in", "-o", "out/{dir}/{stem}.png"))
    assert many < 1.1 * few, (few, many)
    for name, count in (("few.json", 100), ("many.json", MANY)):
        assert json.loads(Path(name).read_text())["skipped"] == count


def test_outputs_that_exist_are_told_in_one_line_after_the_others() -> None:
    make("in/a.png", "in/b.png", "in/c.png", "in/d.png")
    words = ("conv", "in", "-f", "edge", "-o", "out/", "-j", 1)
    run_cli(*words)
    os.remove("out/d-edge.png")
    before = snapshot("out")
    told = run_cli(*words, code=1).stderr.splitlines()
    assert [line.split(",")[0] for line in told if line.startswith("out/")] == ["out/d-edge.png"]
    assert told[-3:-1] == [
        "cnncli: error: 'out/a-edge.png': exists already, and so do 'out/b-edge.png' and 1 more",
        "hint: --overwrite replaces it, --skip-existing leaves it",
    ]
    assert told[-1].endswith(": 1 done, 3 failed") and len(told) == 4
    assert before.items() <= snapshot("out").items()


def test_outputs_that_exist_are_told_each_to_programs_and_with_verbose() -> None:
    make("in/a.png", "in/b.png")
    words = ("conv", "in", "-f", "edge", "-o", "out/", "-j", 1)
    run_cli(*words)
    for_programs = run_cli(*words, "--json", code=1)
    records = [json.loads(line) for line in for_programs.stdout.splitlines()]
    assert [record["error"] for record in records] == [
        f"'out/{name}-edge.png': exists already" for name in "ab"
    ]
    assert for_programs.stderr.count("exists already, and so does 'out/b-edge.png'\n") == 1
    assert run_cli(*words, "-v", code=1).stderr.count(": exists already\n") == 2
    assert run_cli(*words, "--fail-fast", code=1).stderr.count("exists already") == 1
    assert run_cli(*words, "-q", code=1).stderr.count("\n") == 2


def test_outputs_of_a_template_that_exist_are_told_before_any_work() -> None:
    make("in/a.png", "in/b.png", "in/c.png", "in/d.png")
    words = ("conv", "in", "-f", "edge", "-o", "out/{stem}.png")
    run_cli(*words)
    os.remove("out/a.png")
    error = refused_untouched(*words)
    assert "'out/b.png': exists already, and so do 'out/c.png' and 1 more\nhint: " in error


def test_a_note_that_many_images_would_get_is_given_once(empty_folder: Path) -> None:
    for name in "abc":
        Image.new("RGBA", (9, 9), (10, 200, 30, 100)).save(f"{name}.png")
    once = run_cli("conv", ".", "-f", "edge", "-o", "out/", "-j", 1).stderr
    assert once.count("note: ") == 1
    assert once.endswith(": 3 done; 2 more with the same notes (-v shows them)\n")
    each = run_cli("conv", ".", "-f", "edge", "-o", "out/", "-j", 1, "-v", "--overwrite").stderr
    assert each.count("transparen") == 3 and each.endswith(": 3 done\n")


def test_sub_folders_that_are_left_out_are_said(empty_folder: Path) -> None:
    make("in/a.png", "in/b/c.png", "in/d/e.png", "in/.hidden/f.png")
    note = "note: 'in': 2 sub-folders left out; --recursive takes them"
    assert note in run_cli("pool", "in", "-o", "in/out/").stderr
    assert note in run_cli("pool", "in", "-o", "in/out/", "--overwrite").stderr
    assert "sub-folder" not in run_cli("pool", "in", "-r", "-o", "out/").stderr
    assert "sub-folder" not in run_cli("pool", "in/b", "-o", "out/", "--overwrite").stderr
