"""Pages of the documentation: their commands, their pictures, and a folder to run them in."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.shell import pixels

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY / "docs" / "images"


def blocks(text: str) -> list[tuple[str, str | None]]:
    """Return the blocks of commands, each with the output that stands right below it."""
    found = re.findall(r"^```sh\n(.*?)^```(?:\n+```text\n(.*?)^```)?", text, re.M | re.S)
    return [(commands, output or None) for commands, output in found]


def pictures(text: str) -> list[str]:
    """Return the names of the pictures in docs/images that a page shows."""
    return re.findall(r"^!\[[^\]]*\]\((?:\.\./|docs/)*images/(.*?)\)", text, re.M)


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words behind ``cnncli`` of every command in the blocks of a page."""
    for commands, _ in blocks(text):
        one_line = commands.replace("\\\n", " ").replace("\n", " ; ")
        lexer = shlex.shlex(one_line, posix=True, punctuation_chars=";|&<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if not set(token) <= set(";|&<>()"):
                words.append(token)
                continue
            if words[:1] == ["cnncli"]:
                yield words[1:]
            # The word behind < or > is the name of a file.
            words = ["a file:"] if set(token) <= set("<>") else []


def prepare(folder: Path) -> None:
    """Copy what the commands of pages work on."""
    for given in ("sample_images", "examples"):
        shutil.copytree(REPOSITORY / given, folder / given)


def run_block(commands: str, folder: Path) -> str:
    """Run a block of commands as a reader would; return what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (commands, done.stderr)
    return done.stdout


def first_frame(path: Path) -> np.ndarray:
    """Return a picture's samples; of an animation its first frame's, in colour."""
    if path.suffix != ".gif":
        return pixels(path)
    with Image.open(path) as film:
        assert getattr(film, "n_frames", 1) > 1
        return np.asarray(film.convert("RGB"))


def check_picture(made: Path, shown: Path) -> None:
    """Check that a page shows the picture that its command makes."""
    one, other = first_frame(made), first_frame(shown)
    assert one.shape == other.shape
    # Sums in another order may round one level differently on another machine, and neighbouring
    # colours of a colormap differ by up to 3.
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 3


def same_output(printed: str, shown: str) -> bool:
    """Compare outputs; the last digits of float32 may differ from one machine to the next."""
    last = re.compile(r" \(rounding .*\)|(difference|rounding) .*")
    return last.sub("", printed).rstrip() == last.sub("", shown).rstrip()
