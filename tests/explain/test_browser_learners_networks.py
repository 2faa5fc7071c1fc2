"""What the pages of networks do for somebody who learns, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from cnncli.explain.page.document import page_text
from cnncli.explain.page.playground_data import playground_page_data
from tests.support.browser import settle, until

pytestmark = [pytest.mark.slow, pytest.mark.oracle]


@pytest.fixture(scope="module")
def playground(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The playground on a laptop's screen."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(page_text(playground_page_data()), "utf-8")
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    tab = context.new_page()
    tab.goto(path.as_uri())
    until(tab, "location.hash !== ''")
    yield tab
    context.close()


def test_the_stack_leads_to_the_stride_and_a_sentence_tells_what_it_does(playground: Any) -> None:
    tab = playground
    assert tab.text_content("#to-window") == "Stride, padding and size of conv1"
    tab.click("#to-window")
    assert tab.evaluate("document.activeElement.id") == "stride"
    box = tab.locator("#stride").bounding_box()
    assert 100 < box["y"] < 600
    tab.keyboard.press("ArrowRight")
    until(tab, "byName.get('conv1').shape[0] === 48")
    settle(tab)
    assert tab.text_content("#stride-note") == (
        "Stride 2: the window moves 2 cells at a time. "
        "That makes 48 × 48 outputs; stride 1 makes 96 × 96."
    )
    facts = tab.locator(".card[data-layer=conv1] p.dim").all_text_contents()
    assert "⌊ ⌋ rounds down" in facts
    tab.keyboard.press("ArrowLeft")
    until(tab, "document.getElementById('stride-note').textContent === ''")
