"""README speaks the truth: its commands run, its pictures are theirs, its Python works."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from cnncli.cli import COMMANDS, cli
from cnncli.filters.builtin_names import builtin_names
from tests.support.pages import (
    IMAGES,
    REPOSITORY,
    blocks,
    command_lines,
    pictures,
    prepare,
    run_block,
    same_output,
)
from tests.support.shell import pixels

README = (REPOSITORY / "README.md").read_text()
BLOCKS = [commands for commands, _ in blocks(README)]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SCREENSHOTS = {"page.png"}
"""Pictures that no command makes alone: a browser's, by tools/page_picture.py."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every command of README after the set-up was run."""
    folder = tmp_path_factory.mktemp("readme")
    prepare(folder)
    for commands in BLOCKS[2:]:
        run_block(commands, folder)
    return folder


def first_frame(path: Path) -> np.ndarray:
    """Return a picture's samples; of an animation its first frame's, in colour."""
    if path.suffix != ".gif":
        return pixels(path)
    with Image.open(path) as film:
        assert getattr(film, "n_frames", 1) > 1
        return np.asarray(film.convert("RGB"))


def test_the_first_commands_make_what_is_shown(tmp_path: Path) -> None:
    prepare(tmp_path)
    for commands in BLOCKS[2:5]:
        run_block(commands, tmp_path)
    names = [name for name in pictures(README) if (tmp_path / name).exists()]
    assert len(names) == 3
    for name in names:
        check_picture(tmp_path, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_read(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in command_lines(page.read_text()):
        context, command, rest = click.Context(cli), cli, words
        while isinstance(command, click.Group):
            name, command, rest = command.resolve_command(context, rest)
        with contextlib.suppress(click.exceptions.Exit):  # --help ends here
            command.make_context(name, rest, parent=context)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(pictures(README)) - SCREENSHOTS))
def test_pictures_are_what_the_commands_make(results: Path, name: str) -> None:
    check_picture(results, name)


def check_picture(results: Path, name: str) -> None:
    made, shown = first_frame(results / name), first_frame(IMAGES / name)
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


@pytest.mark.parametrize("shown", [block for block in blocks(README) if block[1] is not None])
def test_output_is_what_the_command_prints(shown: tuple[str, str], tmp_path: Path) -> None:
    prepare(tmp_path)
    assert same_output(run_block(shown[0], tmp_path), shown[1])


def test_python_example(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    exec(compile(code, "README.md", "exec"), {})
    assert (
        capsys.readouterr().out
        == "(2, 8, 8, 4) (2, 4, 4, 4) (2, 8, 8, 3) (3, 3, 3, 4) (1, 1, 1, 4)\n"
    )
