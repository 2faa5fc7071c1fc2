"""The built documentation in a real browser: search, live pages, colours, and no other host."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
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
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.pages import REPOSITORY

pytestmark = pytest.mark.oracle

TUTORIAL = sorted(path.stem for path in (REPOSITORY / "docs" / "tutorial").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    if importlib.util.find_spec("material") is None:
        pytest.skip("the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    # The theme's makers warn of a MkDocs 2, which setup.cfg excludes.
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the built site is served."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def test_the_site_has_every_option(site: Path) -> None:
    assert "--pad-mode" in (site / "reference" / "conv.html").read_text()
    assert "--cluster" in (site / "reference" / "conv.html").read_text()
    for name in COMMANDS:
        assert f'href="reference/{name}.html"' in (site / "commands.html").read_text()


def test_every_live_page_is_in_the_site(site: Path) -> None:
    framed = {
        (page.parent / frame).resolve()
        for page in site.rglob("*.html")
        for frame in re.findall(r'<iframe src="([^"]+)"', page.read_text())
    }
    assert framed == {path.resolve() for path in (site / "live").rglob("*.html")}
    folders = {path.parent.name for path in framed if path.parent.parent.name == "tutorial"}
    assert sorted(folders) == TUTORIAL
    assert all("Content-Security-Policy" in path.read_text() for path in framed)


READ = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[0-9.]+/g).map(Number);
    const unit = text.startsWith("color(") ? 255 : 1;
    return [r * unit, g * unit, b * unit, a];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((v, k) => v * a + ground[k] * (1 - a));
  const light = (rgb) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element) => {
    if (!element) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, groundOf(element.parentElement));
  };
  const found = [];
  for (const element of document.querySelectorAll(".md-main *, .md-header *, .md-footer *")) {
    const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!hasText || !seen || element.closest("[data-md-component=search], svg")) continue;
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const lights = [over(parse(style.color), ground), ground].map(light).sort((a, b) => b - a);
    found.push({
      text: element.textContent.trim().slice(0, 40),
      tag: element.closest(".headerlink") ? "headerlink" : element.tagName,
      ratio: (lights[0] + 0.05) / (lights[1] + 0.05),
      pixels: parseFloat(style.fontSize),
      code: Boolean(element.closest("code")),
    });
  }
  return found;
}"""
"""Every piece of text that is seen: the contrast with its ground, and its size."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "tutorial/one-step", "network-files", "reference/conv"])
def test_text_can_be_read_and_nothing_comes_from_elsewhere(
    chromium: Any, address: str, name: str, scheme: str
) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{address}/{name}.html")
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    found = tab.evaluate(READ)
    assert any(each["code"] for each in found)
    # Signs beside headings show when one points at them.
    faint = [each for each in found if each["ratio"] < 4.5 and each["tag"] != "headerlink"]
    assert faint == []
    assert [each for each in found if each["code"] and each["pixels"] < 14] == []
    assert tab.locator("pre").count() == tab.locator("pre button, .highlight button").count()
    # Of one's own the frames ask for nothing either.
    tab.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    tab.wait_for_timeout(300)
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    tab.set_viewport_size({"width": 360, "height": 780})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_a_live_page_computes_in_its_frame(chromium: Any, address: str) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/tutorial/one-step.html")
    tab.locator("iframe").scroll_into_view_if_needed()
    result = tab.frame_locator("iframe").locator("#result")
    result.wait_for()
    assert float(result.get_attribute("data-value")) == pytest.approx(-2.34902, abs=1e-5)
    tab.close()


def test_the_search_finds_options(search: Callable[[list[str]], list[list[str]]]) -> None:
    asked = {
        "--dilation": "reference/conv",
        "--pad-mode": "reference/pad",
        "--at": "reference/explain",
        "explain --at 3,4": "reference/explain",
        **{f"explain --at {number}": "reference/explain" for number in range(20)},
        "--filter-layout": "reference/conv",
        "stride=2": "network-files",
        "pad-mode reflect": "reference/pad",
        "sobel_v": "inputs-and-results",
    }
    for (words, page), found in zip(asked.items(), search([*asked]), strict=True):
        assert any(page in link for link in found), (words, found)


def test_the_search_finds_every_option_on_a_page_of_its_command(
    search: Callable[[list[str]], list[list[str]]],
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
    missed = {
        flag: found
        for (flag, commands), found in zip(pages.items(), search([*pages]), strict=True)
        if not any(page in link for link in found for page in commands)
    }
    assert missed == {}


def test_the_field_of_the_search_takes_options(chromium: Any, address: str) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/commands.html?q={quote('--dilation')}")
    link = ".md-search-result__list a[href*='reference/conv']"
    tab.wait_for_function(f'document.querySelector("{link}") !== null')
    tab.close()


SEARCH = """async (queries) => {
  const { search } = JSON.parse(document.getElementById("__config").textContent);
  const index = await (await fetch("search/search_index.json")).json();
  const worker = new Worker(search);
  const answer = (message) => new Promise((done) => {
    worker.onmessage = (event) => done(event.data);
    worker.postMessage(message);
  });
  await answer({ type: 0, data: { ...index, options: { suggest: false } } });
  const found = [];
  for (const data of queries) {
    const { data: result } = await answer({ type: 2, data });
    found.push(result.items.flat().map((item) => item.location));
  }
  return found;
}"""
"""Ask the theme's own search, as its field does, once for each query."""


@pytest.fixture(scope="module")
def search(chromium: Any, address: str) -> Iterator[Callable[[list[str]], list[list[str]]]]:
    """The search of the built site in a real browser: from queries to addresses."""
    tab = chromium.new_page()
    tab.goto(f"{address}/index.html")
    yield functools.partial(tab.evaluate, SEARCH)
    tab.close()
