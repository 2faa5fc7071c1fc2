"""A Chromium for the tests of pages; without Playwright or a Chromium they are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cnncli.explain.page.layer_data import PageData
from tests.support.browser import CHROMIUM, FLAGS, Opener, Watched


@pytest.fixture(scope="module")
def chromium() -> Iterator[Callable[..., Any]]:
    """What starts Chromium with more options."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        yield lambda *more: driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more])


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Any]) -> Iterator[Any]:
    """One Chromium for all tests of a file: no event loop of its stays for others."""
    started = chromium()
    yield started
    started.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    """Open the page of a page's data; afterwards nothing was asked for, nothing complained of."""
    opened: list[tuple[Any, Watched]] = []

    def opener(data: PageData, init_script: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.add_init_script(init_script)
        watched = Watched(context.new_page())
        opened.append((context, watched))
        return watched.open(tmp_path / f"page{len(opened)}.html", data)

    yield opener
    for context, watched in opened:
        assert watched.asked == []
        assert watched.said == []
        context.close()
