"""The pages in docs/ speak the truth: their commands run, outputs and pictures are theirs."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import pytest

from cnncli.cli import COMMANDS, cli
from cnncli.network.onnx.operators import FAMILIES
from cnncli.network.toml_types import INPUT, TYPES
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


FROM_ELSEWHERE = {"page.png"}
"""Pictures that no command of a page makes: a browser's, by tools/page_picture.py."""


@pytest.mark.parametrize("name", PAGES)
def test_python_on_the_page_runs(name: str) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.M | re.S):
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
    assert all({*family.LAYERS} <= {*TYPES} for family in FAMILIES)
    sections = re.findall(r"^### ([a-z-]+)$", text, re.M)
    assert sections == list(TYPES)
    assert [name for name in INPUT if f"`{name}" not in text.split("## Layers")[0]] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.oracle
def test_the_site_has_every_option(site: Path) -> None:
    assert "--pad-mode" in (site / "reference" / "conv.html").read_text()
    assert "--cluster" in (site / "reference" / "conv.html").read_text()
    for name in COMMANDS:
        assert f'href="reference/{name}.html"' in (site / "commands.html").read_text()


@pytest.mark.oracle
def test_the_search_finds_options(search: Callable[[str], list[str]]) -> None:
    for words, page in (
        ("--dilation", "reference/conv"),
        ("--pad-mode", "reference/pad"),
        ("--at", "reference/explain"),
        ("explain --at 3,4", "reference/explain"),
        ("--filter-layout", "reference/conv"),
        ("stride=2", "network-files"),
        ("pad-mode reflect", "reference/pad"),
        ("sobel_v", "inputs-and-results"),
    ):
        found = search(words)
        assert any(page in link for link in found), (words, found)


@pytest.mark.oracle
def test_the_search_finds_every_option_on_a_page_of_its_command(
    search: Callable[[str], list[str]],
) -> None:
    pages: dict[str, list[str]] = {}
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        of_group = getattr(command, "commands", {})
        for param in chain(command.params, *(one.params for one in of_group.values())):
            for flag in (*param.opts, *param.secondary_opts):
                if flag.startswith("--"):
                    pages.setdefault(flag, []).append(f"reference/{name}")
    assert len(pages) > 80
    for flag, commands in pages.items():
        found = search(flag)
        assert any(page in link for link in found for page in commands), (flag, found)


@pytest.fixture(scope="module")
def search(site: Path) -> Iterator[Callable[[str], list[str]]]:
    """The search of the built site in a real browser: from words to addresses."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("the extra browser is not installed")
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page()
            yield functools.partial(searched, tab, f"http://127.0.0.1:{server.server_port}")
            browser.close()
        server.shutdown()


def searched(tab: Any, address: str, words: str) -> list[str]:
    """Type words into the search of the site; return the addresses that it finds."""
    tab.goto(f"{address}/index.html?q={quote(words)}")
    tab.wait_for_function("document.querySelector('#mkdocs-search-results').children.length > 0")
    links = tab.eval_on_selector_all(
        "#mkdocs-search-results a", "found => found.map(link => link.getAttribute('href'))"
    )
    return list(links)
