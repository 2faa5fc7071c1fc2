"""The pages in docs/ speak the truth: their commands run, outputs and pictures are theirs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.pages import (
    IMAGES,
    REPOSITORY,
    blocks,
    pictures,
    prepare,
    run_block,
    same_output,
)
from tests.support.shell import pixels

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


FROM_ELSEWHERE: set[str] = set()
"""Pictures that no command of a page makes: screenshots."""


def check_picture(made: Path, shown: Path) -> None:
    """Sums in another order may round one level differently on another machine."""
    one, other = pixels(made), pixels(shown)
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 3


@pytest.mark.parametrize("name", PAGES)
def test_python_on_the_page_runs(name: str) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.M | re.S):
        exec(compile(code, name, "exec"), {})


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_pages_that_are_there(name: str) -> None:
    page = DOCS / name
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        there = (page.parent / target).exists()
        assert there or "reference/" in target, f"{name}: {target}"


def test_every_page_stands_in_the_menu() -> None:
    menu = (REPOSITORY / "mkdocs.yml").read_text()
    assert [name for name in PAGES if f": {name}\n" not in menu] == []


@pytest.mark.oracle
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site" / "reference" / "conv.html").read_text()
    assert "--pad-mode" in page
