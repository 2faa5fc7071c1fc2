"""README speaks the truth: its commands run, its pictures are theirs, its Python works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shell import pixels, run_shell

from cnncli.cli import COMMANDS
from cnncli.names import builtin_names

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
PICTURES = re.findall(r"\(docs/images/(.*?)\)", README)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every command of README after the set-up was run."""
    folder = tmp_path_factory.mktemp("readme")
    for given in ("sample_images", "examples"):
        shutil.copytree(REPOSITORY / given, folder / given)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in BLOCKS[2:]:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (block, done.stderr)
    return folder


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_what_the_commands_make(results: Path, name: str) -> None:
    made, shown = pixels(results / name), pixels(REPOSITORY / "docs" / "images" / name)
    assert made.shape == shown.shape
    # Sums in another order may round one level differently on another machine, and neighbouring
    # colours of a colormap differ by up to 3.
    assert np.abs(made.astype(int) - shown.astype(int)).max() <= 3


def test_set_up_comes_first_and_uses_a_sample_image() -> None:
    assert "cnncli conv sample_images/" in BLOCKS[0]
    assert "pip install -q -e '.[test]' && python -m pytest" in BLOCKS[1]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_stands_in_readme(name: str) -> None:
    assert f"`cnncli {name}`" in README
    assert re.search(rf"^cnncli {name} ", "".join(BLOCKS), re.M)


def test_number_of_builtins() -> None:
    assert f"one of {len(builtin_names())}," in README


def test_the_explanation_is_what_the_command_prints() -> None:
    printed = r"^(cnncli explain .*)\n```\n\n```text\n(.*?)^```"
    ((command, shown),) = re.findall(printed, README, re.M | re.S)
    done = run_shell(command, cwd=REPOSITORY, env={"COLUMNS": "80"})
    # The last digits of float32 may differ from one machine to the next.
    last = re.compile(r"difference .*")
    assert last.sub("", done.stdout.decode()) == last.sub("", shown)


def test_python_example(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    exec(compile(code, "README.md", "exec"), {})
    assert (
        capsys.readouterr().out
        == "(2, 8, 8, 4) (2, 4, 4, 4) (2, 8, 8, 3) (3, 3, 3, 4) (1, 1, 1, 4)\n"
    )
