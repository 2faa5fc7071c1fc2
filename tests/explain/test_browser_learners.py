"""What the pages of one layer do for somebody who learns, in a real browser."""

from __future__ import annotations

import pytest

from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import Opener, bank, page_data_of, random_picture, settle

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

PAGES = {
    "filter": ((12, 14, 3), ConvLayer(load_filter("gaussian_5"))),
    "bank": ((12, 14, 3), ConvLayer(bank((3, 3, 3, 4)))),
    "pool": ((12, 14, 3), PoolLayer("max")),
}


@pytest.mark.parametrize("kind", PAGES)
def test_words_are_explained_where_they_are_used(show: Opener, kind: str) -> None:
    shape, layer = PAGES[kind]
    tab = show(page_data_of(random_picture(shape), layer))
    for panel in ("backward", "learn"):
        button = tab.locator(f"#{panel}")
        if button.is_visible():
            button.click()
    settle(tab)
    for node in tab.locator(".words").all():
        if not node.is_visible():
            continue
        assert not node.locator("dl").is_visible()
        node.locator("summary").focus()
        tab.keyboard.press("Enter")
        assert node.locator("dl").is_visible()
        names, meanings = (node.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
        assert node.locator("summary").inner_text() == f"Words: {', '.join(names)}"
        assert len(meanings) == len(names) and min(map(len, meanings)) > 10
    shown = [*map(str.strip, tab.locator(".words dt:visible").all_inner_texts())]
    assert ("upstream" in shown, "z" in shown, "feature map" in shown) == (
        True,
        kind != "pool",
        kind == "bank",
    )


def test_tables_of_gradients_are_as_wide_as_their_numbers(show: Opener) -> None:
    shape, layer = PAGES["bank"]
    tab = show(page_data_of(random_picture(shape), layer))
    for panel, table in (("backward", "#weight-gradients"), ("learn", "#learn-gradients")):
        tab.click(f"#{panel}")
        settle(tab)
        cell = tab.locator(f"{table} .grid td").first.bounding_box()
        assert 44 <= cell["width"] < 80 and 30 <= cell["height"] < 40
