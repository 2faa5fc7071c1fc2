"""Every command that writes or reads, beside full disks, locked folders and closed streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.disks import full_disk, small_disk
from tests.support.netfiles import layer
from tests.support.shell import (
    OBEY_PERMISSIONS,
    error_lines,
    refused,
    refused_untouched,
    run_after,
    run_cli,
    run_shell,
    save,
    save_array,
    snapshot,
)
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(18)

pytestmark = pytest.mark.usefixtures("inputs")


@pytest.fixture
def inputs(empty_folder: Path) -> None:
    save("x.png", RANDOM.integers(0, 256, (40, 44, 3), np.uint8))
    save("z.png", RANDOM.integers(0, 256, (40, 44, 3), np.uint8))
    save_array("x.npy", RANDOM.random((40, 44, 3)))
    save_array("w.npy", RANDOM.standard_normal((5, 5, 3, 4)))
    save_array("bias.npy", np.ones(1))
    save_array("upstream.npy", np.ones((40, 44, 4)))
    Path("w.csv").write_text("1 2; 3 4\n")
    Path("labels.txt").write_text("cat\ndog\n")
    Path("net.toml").write_text(layer("conv", name="c", filter="w.npy") + layer("pool"))
    Path("in/sub").mkdir(parents=True)
    for name in ("in/a.png", "in/b.png", "in/sub/c.png"):
        save(name, RANDOM.integers(0, 256, (8, 9, 3), np.uint8))


GRAD = "grad net.toml x.png --unit c:0"
WRITERS = {
    "run, a sheet": "run net.toml x.png -o out/y.png",
    "run, values": "run net.toml x.png -o out/y.npz",
    "run, a folder": "run net.toml x.png -o out/",
    "run, a batch": "run net.toml z.png -o out/ --jobs 2",
    "grad, a picture": f"{GRAD} -o out/y.png",
    "grad, values": f"{GRAD} -o out/y.npy",
    "grad, parameters": f"{GRAD} -o out/y.npy --params out/",
    "explain, a page": "explain x.png -f edge -o out/y.html",
    "explain, an animation": "explain x.png -f edge --at 3,3 -o out/y.gif",
    "explain, frames": "explain x.png -f edge --at 3,3 -o out/",
    "convert": "convert net.toml -o out/y.toml",
    "convert, safetensors": "convert net.toml -o out/y.toml --weights out/y.safetensors",
    "filters make": "filters make box --size 30 -o out/y.npy",
    "filters export": "filters export gabor_color -o out/y.npy",
    "filters show": "filters show w.npy -o out/y.png",
    "plan, a picture": "plan net.toml --image x.png --trace c:3,3 -o out/y.png",
}


@pytest.mark.parametrize(("writer", "old"), sweep(WRITERS, [False, True], keep=6))
def test_a_full_disk_leaves_what_was_there(writer: str, old: bool) -> None:
    words = WRITERS[writer].split()
    Path("out").mkdir()
    if old:
        run_cli(*words)
        words.append("--overwrite")
    with full_disk(200):
        error = refused_untouched(*words)
    assert error.startswith("cnncli: error: 'out/") and "file too large" in error


@pytest.mark.slow
@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "grad, a picture"])
def test_a_small_full_disk_is_left_empty(writer: str) -> None:
    with small_disk(Path("out").absolute(), 4) as disk:
        error = refused(*WRITERS[writer].split())
        assert "no space left" in error or " of disk, 4 kB is free" in error
        # Parameters are files of their own: those that fitted are whole.
        assert snapshot(disk) == {} or writer == "grad, parameters"


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_may_not_be_written_to(writer: str) -> None:
    Path("out").mkdir(mode=0o555)
    before = snapshot()
    error = error_lines(run_after(OBEY_PERMISSIONS, *WRITERS[writer].split()), 1)
    assert error.startswith("cnncli: error: 'out/")
    assert "permission denied" in error or "the folder 'out' cannot be written to" in error
    assert snapshot() == before


READERS = {
    "x.png": (
        "run net.toml x.png -o y.png",
        f"{GRAD} -o y.png",
        "explain x.png -f edge",
        "compare x.png z.png",
        "plan net.toml --image x.png",
    ),
    "net.toml": ("run net.toml x.png -o y.png", "convert net.toml -o y.toml"),
    "w.npy": ("run net.toml x.png -o y.png", "convert net.toml -o y.toml", "filters show w.npy"),
    "w.csv": ("conv x.png -f w.csv -o y.png",),
    "bias.npy": ("conv x.png -f edge --bias bias.npy -o y.png",),
    "upstream.npy": ("grad net.toml x.png --upstream upstream.npy --unit c -o y.png",),
    "labels.txt": ("run net.toml x.png --labels labels.txt -o y.png",),
    "in": ("pool in -o out/", "run net.toml in --recursive -o out/"),
    "in/sub": ("pool in/sub --recursive -o out/",),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in READERS.items() for line in lines]
)
def test_what_may_not_be_read_is_named(name: str, line: str) -> None:
    before = snapshot()
    Path(name).chmod(0)
    done = run_after(OBEY_PERMISSIONS, *line.split())
    Path(name).chmod(0o700)
    error = error_lines(done, 1)
    assert f"'{name}': cannot be read: Permission denied" in error
    assert done.stdout == b"" and snapshot() == before


def test_a_sub_folder_that_may_not_be_listed_is_named_for_that() -> None:
    Path("in/sub").chmod(0)
    done = run_after(OBEY_PERMISSIONS, "pool", "in", "--recursive", "-o", "out/", "--jobs", 1)
    Path("in/sub").chmod(0o700)
    errors = [line for line in done.stderr.splitlines() if line.startswith(b"cnncli: error")]
    assert errors == [b"cnncli: error: 'in/sub': cannot be read: Permission denied"]
    assert (done.returncode, sorted(snapshot("out"))) == (1, ["out/a-pool.png", "out/b-pool.png"])


PRINTERS = [
    "run net.toml x.png --json -o y.png",
    "run net.toml x.png -o - --format png",
    f"{GRAD} --json -o y.npy",
    f"{GRAD} -o - --format npy",
    "explain x.png -f edge --at 3,3",
    "explain net.toml x.png --json",
    "compare x.png z.png",
    "compare x.png -f edge --json",
    "plan net.toml --input 40x44x3",
    "plan net.toml --input 40x44x3 --csv",
    "filters make box --size 9 -o -",
    "filters export edge -o -",
    "filters show edge",
]


@pytest.mark.slow
@pytest.mark.parametrize("words", PRINTERS)
@pytest.mark.parametrize(
    ("behind", "reason"),
    [("> /dev/full", "no space left"), (">&-", "closed"), ("> out", "file too large")],
)
def test_text_that_cannot_be_printed(words: str, behind: str, reason: str) -> None:
    limit = "ulimit -f 0; " if behind == "> out" else ""
    # A picture or array that is written as well meets the limit too.
    words = words.replace("-o y.npy", "-o /dev/null").replace("-o y.png", "-o /dev/null")
    done = run_shell(f"{limit}cnncli {words} {behind}", env={"PYTHONDONTWRITEBYTECODE": "1"})
    error = error_lines(done, 1)
    assert "standard output" in error and reason in error.lower() and done.stdout == b""


def test_memory_for_a_gradient_is_known_before_any_is_taken() -> None:
    save_array("wide.npy", np.ones((1, 1, 3, 16384), np.float32))
    Path("wide.toml").write_text(layer("conv", name="c", filter="wide.npy"))
    save("large.png", np.zeros((2000, 2000, 3), np.uint8))
    error = refused_untouched("grad", "wide.toml", "large.png", "--unit", "c:0", "-o", "y.npy")
    assert "'large.png': the backward pass needs about" in error and "GB is available" in error
