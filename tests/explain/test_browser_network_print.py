"""The worksheet that the page of a network prints: bars of scores, and cards that were closed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer, SoftmaxLayer
from tests.support.browser import Opener, bank, random_picture, settle, until

pytestmark = pytest.mark.oracle

NETWORK = Network.chain(
    ConvLayer(bank((3, 3, 1, 4)), padding="same"),
    PoolLayer("average", "global"),
    ConvLayer(bank((1, 1, 4, 5))),
    SoftmaxLayer(),
)


def check_bars(card: Any) -> None:
    """On paper scores are bars in black."""
    assert not card.locator(".large").is_visible()
    rows = card.locator(".thumb")
    assert rows.count() == 5
    for row in rows.all():
        assert row.locator("b").is_visible()
        bar = row.locator(".bar")
        style = "(node) => [getComputedStyle(node).backgroundColor, node.style.width]"
        colour, width = bar.evaluate(style)
        assert colour == "rgb(0, 0, 0)" and width.endswith("%")
        # Without it browsers leave backgrounds out.
        exact = bar.evaluate("(node) => getComputedStyle(node).printColorAdjust")
        assert exact == "exact"
    widths = [bar.bounding_box()["width"] for bar in rows.locator(".bar").all()]
    assert max(widths) > 20


def test_paper_has_bars_of_scores_and_says_what_was_chosen(show: Opener) -> None:
    data = network_page_data(
        NETWORK, random_picture((8, 9, 1)), "softmax1", Unit((0, 0)), title="n"
    )
    tab = show(data, viewport={"width": 700, "height": 900}, color_scheme="dark")
    settle(tab)
    # What was closed is printed too, and closed afterwards.
    tab.evaluate("cnncli.apply({ open: { input: false, conv2: false } })")
    opened = "(name) => !document.querySelector(`[data-layer=${name}] .card-body`).hidden"
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    settle(tab)
    assert [tab.evaluate(opened, name) for name in ("input", "conv2", "softmax1")] == [True] * 3
    assert tab.locator("[data-layer=input] .large").is_visible()
    for name in ("conv2", "softmax1"):
        check_bars(tab.locator(f"[data-layer={name}]"))
    # Why one score and not another: both are named.
    assert tab.is_visible("#against") and not tab.is_visible("#raising")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    left, right = (tab.locator(name).bounding_box() for name in ("#comparison", "#how-title"))
    assert left["x"] + left["width"] <= right["x"]
    assert len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4"))) == 1
    tab.emulate_media(media="screen")
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert [tab.evaluate(opened, name) for name in ("input", "conv2", "softmax1")] == [
        False,
        False,
        True,
    ]


def test_paper_has_gradients_of_weights_in_black_and_white(show: Opener) -> None:
    data = network_page_data(
        NETWORK, random_picture((8, 9, 1)), "softmax1", Unit((0, 0)), title="n"
    )
    tab = show(data | {"gradients": {"layer": "conv1", "channel": 1, "at": [3, 3]}})
    until(tab, "cnncli.gradients() !== null")
    tab.emulate_media(media="print")
    settle(tab)
    assert tab.is_visible("#gradient-panel") and not tab.is_visible("#to-steepest")
    cells = tab.locator("#weight-gradients td span")
    assert cells.count() == 18
    style = "(nodes) => nodes.map((node) => getComputedStyle(node)).map((s) => s.backgroundColor)"
    assert set(cells.evaluate_all(style)) == {"rgb(255, 255, 255)"}
