"""The pages in docs/ speak the truth: their commands run, outputs and pictures are theirs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cnncli.cli import COMMANDS
from cnncli.network.onnx.operators import FAMILIES
from cnncli.network.toml_types import INPUT_FIELDS, LAYER_TYPES
from tests.support.pages import (
    IMAGES,
    REPOSITORY,
    blocks,
    check_picture,
    pictures,
    prepare,
    run_block,
    same_output,
)
from tools.network_reference import with_reference

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_commands_print_and_draw_what_the_page_shows(name: str, tmp_path: Path) -> None:
    text = (DOCS / name).read_text()
    found = blocks(text)
    if found:
        prepare(tmp_path)
    for commands, output in found:
        printed = run_block(commands, tmp_path)
        if output is not None:
            assert same_output(printed, output), printed
    for picture in pictures(text):
        if (tmp_path / picture).exists():
            check_picture(tmp_path / picture, IMAGES / picture)
    shown = {picture for picture in pictures(text) if not (tmp_path / picture).exists()}
    assert shown <= set(pictures((REPOSITORY / "README.md").read_text())) | FROM_ELSEWHERE


@pytest.mark.slow
def test_the_line_of_the_first_page_starts(tmp_path: Path) -> None:
    # README's first block is the same but for the environment, and .ci/run runs all of it.
    (line,) = re.findall(r"^    (.* && .*)", (DOCS / "index.md").read_text(), re.M)
    install, _, command = line.partition(" && ")
    assert install == "pip install ."
    prepare(tmp_path)
    run_block(command, tmp_path)
    check_picture(tmp_path / "edges.png", IMAGES / "chelsea-edge.png")


@pytest.mark.parametrize("step", sorted((DOCS / "tutorial").glob("*.md")), ids=lambda p: p.stem)
def test_each_step_of_the_tutorial_has_a_page_and_three_exercises(step: Path) -> None:
    text = step.read_text()
    assert re.findall(r"^cnncli explain .* -o [\w-]+\.html$", text, re.M)
    exercises = text.split("\n## Exercises\n")[1]
    assert re.findall(r"^\*\*(\d)\.\*\*", exercises, re.M) == ["1", "2", "3"]
    opened = exercises.count('<details markdown="1"><summary>Answer</summary>\n\n')
    assert opened == exercises.count("\n</details>\n") == 3


FROM_ELSEWHERE = {"page.png"}
"""Pictures that no command of a page makes: a browser's, by tools/page_picture.py."""


@pytest.mark.parametrize("name", PAGES)
def test_python_on_the_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.M | re.S)
    if codes:
        prepare(tmp_path)
        shutil.copytree(REPOSITORY / "filters", tmp_path / "filters")
        monkeypatch.chdir(tmp_path)
    for code in codes:
        exec(compile(code, name, "exec"), {})


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_pages_that_are_there(name: str) -> None:
    page = DOCS / name
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{name}: {target}"


def test_every_page_stands_in_the_menu() -> None:
    menu = (REPOSITORY / "mkdocs.yml").read_text()
    assert [name for name in PAGES if f": {name}\n" not in menu] == []


def test_the_page_of_commands_has_all() -> None:
    text = (DOCS / "commands.md").read_text()
    assert re.findall(r"^\| `cnncli (\w+)`", text, re.M) == list(COMMANDS)


def test_the_reference_of_network_files_is_made_from_the_table_that_reads_them() -> None:
    text = (DOCS / "network-files.md").read_text("utf-8")
    assert text == with_reference(text)
    assert all({*family.LAYERS} <= {*LAYER_TYPES} for family in FAMILIES)
    sections = re.findall(r"^### ([a-z-]+)$", text, re.M)
    assert sections == list(LAYER_TYPES)
    assert [name for name in INPUT_FIELDS if f"`{name}" not in text.split("## Layers")[0]] == []
