"""README speaks the truth: its commands run, its picture is theirs, its links lead somewhere."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import click
import pytest

from cnncli.cli import COMMANDS, CONTEXT, cli
from cnncli.filters.builtin_names import builtin_names
from tests.support.pages import (
    IMAGES,
    REPOSITORY,
    blocks,
    check_picture,
    command_lines,
    pictures,
    prepare,
    run_block,
)

README = (REPOSITORY / "README.md").read_text()
BLOCKS = [commands for commands, _ in blocks(README)]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_read(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in command_lines(page.read_text()):
        context, command, rest = click.Context(cli, **CONTEXT), cli, words
        while isinstance(command, click.Group):
            name, command, rest = command.resolve_command(context, rest)
        with contextlib.suppress(click.exceptions.Exit):  # --help ends here
            command.make_context(name, rest, parent=context)


@pytest.mark.slow
def test_every_block_runs_and_makes_the_picture(tmp_path: Path) -> None:
    prepare(tmp_path)
    for commands in BLOCKS[2:]:
        run_block(commands, tmp_path)
    (shown,) = pictures(README)
    check_picture(tmp_path / shown, IMAGES / shown)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_set_up_comes_first_and_uses_a_sample_image() -> None:
    assert "cnncli conv sample_images/" in BLOCKS[0]
    assert "pip install -q -e '.[test]' && python -m pytest" in BLOCKS[1]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_stands_in_readme(name: str) -> None:
    assert f"`cnncli {name}`" in README
    assert re.search(rf"^cnncli {name} ", "".join(BLOCKS), re.M)


def test_number_of_builtins() -> None:
    page = (REPOSITORY / "docs" / "inputs-and-results.md").read_text()
    assert f"one of {len(builtin_names())}:" in page


def test_it_says_where_onnx_works() -> None:
    assert "ONNX models work in `run`, `plan`, `grad`, `explain` and `convert`." in README


def test_links_lead_to_what_is_there() -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", README):
        assert (REPOSITORY / target).exists(), target
