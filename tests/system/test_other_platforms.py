"""The commands where the interpreter has nothing but what every system has: the same bytes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.patience import patient, until
from tests.support.shell import pixels, save

HIDDEN = Path(__file__).parents[1] / "support" / "hidden_platform"
NETWORK = """
[[layers]]
type = "conv"
filter = "sobel_v"
name = "edges"
[[layers]]
type = "pool"
"""
MAIN = [
    ("conv", "photo.png", "--filter", "sharpen", "-o", "old.png", "--overwrite"),
    ("pool", "in", "-o", "out/", "--jobs", "2", "--json"),
]
MORE = [
    ("conv", "photo.png", "--filter", "sharpen", "-o", "sharp.png"),
    ("pool", "photo.png", "-o", "old.npy"),
    ("run", "net.toml", "photo.png", "-o", "out.npz", "--timeout", "60"),
    ("pad", "photo.png", "--padding", "3", "-o", "-", "--timeout", "60"),
    ("pool", "photo.png", "missing.png", "-o", "some/", "--jobs", "2", "--timeout", "60"),
    ("pool", "in", "-o", "maps/{stem}-{map}.png", "--jobs", "2", "--report", "report.csv", "-q"),
    ("pool", "in/*.png", "-o", "all/", "--jobs", "2", "--dry-run"),
    ("plan", "net.toml", "--input", "32x32x3"),
    ("plan", "net.toml", "--image", "photo.png", "--trace", "2,3", "-o", "field.png"),
    ("grad", "net.toml", "photo.png", "--unit", "edges", "-o", "grad.png"),
    ("explain", "photo.png", "--filter", "sharpen"),
    ("explain", "photo.png", "--filter", "sharpen", "-o", "page.html"),
    ("explain", "photo.png", "--filter", "sharpen", "-o", "film.gif"),
    ("compare", "photo.png", "in/3.png"),
    ("convert", "net.toml", "-o", "other.toml"),
    ("filters", "list"),
    ("filters", "show", "sobel_v"),
    ("filters", "export", "edge", "-o", "edge.npy"),
]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two folders with the same images."""
    for folder in ("all", "hidden"):
        (tmp_path / folder / "in").mkdir(parents=True)
        numbers = np.random.default_rng(4)
        for index in range(20):
            pixels = numbers.integers(0, 256, (16, 16 + index, 3), np.uint8)
            save(tmp_path / folder / f"in/{index}.png", pixels)
        save(tmp_path / folder / "photo.png", numbers.integers(0, 256, (32, 32, 3), np.uint8))
        (tmp_path / folder / "old.png").write_bytes(b"old")
        (tmp_path / folder / "old.npy").write_bytes(b"old")
        (tmp_path / folder / "net.toml").write_text(NETWORK)
    return [tmp_path / "all", tmp_path / "hidden"]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a command in one of the folders."""
    paths = [str(HIDDEN)] if folder.name == "hidden" else []
    return os.environ | {"PYTHONPATH": os.pathsep.join([*paths, *filter(None, sys.path)])}


def run(words: tuple[str, ...], folder: Path) -> tuple[int, bytes, list[str]]:
    """Run a command; return its exit code and both streams, those of a batch in one order."""
    done = subprocess.run(
        [sys.executable, "-m", "cnncli", *words],
        cwd=folder, env=environment(folder), capture_output=True, timeout=patient(30), check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr
    errors = (re.sub(r" in \d.*:", ":", line) for line in done.stderr.decode().splitlines())
    output = b"\n".join(sorted(done.stdout.splitlines())) if "--json" in words else done.stdout
    return done.returncode, output, sorted(errors)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return what there is but for reports, which tell seconds."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".csv"
    }


def check_same(commands: list[tuple[str, ...]], folders: list[Path]) -> None:
    for words in commands:
        here, there = (run(words, folder) for folder in folders)
        assert there == here, words
    here_files, there_files = map(files_in, folders)
    assert there_files == here_files


@pytest.mark.slow
def test_the_main_commands(folders: list[Path]) -> None:
    check_same(MAIN, folders)
    assert len(list((folders[1] / "out").iterdir())) == 20
    assert (folders[1] / "old.png").read_bytes() != b"old"


@pytest.mark.slow
def test_the_other_commands(folders: list[Path]) -> None:
    check_same(MORE, folders)
    assert (folders[1] / "old.npy").read_bytes() == b"old"
    assert (folders[1] / "report.csv").exists()


def test_the_names_are_hidden(folders: list[Path]) -> None:
    code = "import os, signal, sys; print(hasattr(os, 'fork'), hasattr(signal, 'SIGKILL'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(folders[1]), capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot send Ctrl-C to one process alone")
def test_ctrl_c(folders: list[Path]) -> None:
    folder, out = folders[1], folders[1] / "out"
    for index in range(400):
        (folder / f"in/more-{index}.png").hardlink_to(folder / "in/0.png")
    words = ("pad", "in", "--padding", "300", "-o", "out/", "--jobs", "2")
    command = [sys.executable, "-m", "cnncli", *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stderr=subprocess.PIPE
    ) as process:
        until(lambda: process.poll() is not None or len(list(out.glob("*.png"))) >= 3)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=patient(10))
    last = error.decode().splitlines()[-1]
    assert process.returncode == 130
    assert re.fullmatch(r"cnncli: error: interrupted: \d+ of 420 done", last), error
    assert b"Traceback" not in error
    # Workers end by themselves when their pipe does, and leave no hidden files.
    until(lambda: not list(out.glob(".*")))
    assert all(pixels(path).shape[0] == 616 for path in out.glob("*.png"))
