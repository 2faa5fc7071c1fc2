"""The graph of a network's page, and the cards of its layers, in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import AddLayer, ConcatLayer, ConvLayer
from tests.support.browser import Opener, bank, random_picture, settle, until

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(22)


def conv(channels: int, maps: int, size: int = 3, activation: str = "relu") -> ConvLayer:
    return ConvLayer(
        bank((size, size, channels, maps)),
        np.zeros(maps, np.float32),
        padding="same",
        activation=activation,
    )


def branches() -> Network:
    """Three branches side by side, one of them a line alone."""
    nodes = [
        Node("stem", conv(1, 3), (SOURCE,)),
        Node("left", conv(3, 2, 1), ("stem",)),
        Node("middle", conv(3, 2, 1), ("stem",)),
        Node("wide", conv(2, 2, 5), ("middle",)),
        Node("joined", ConcatLayer("channels"), ("left", "wide", "stem")),
        Node("last", conv(7, 2, 1), ("joined",)),
    ]
    return Network(tuple(nodes))


def page(network: Network, size: tuple[int, int] = (12, 14), **unit: Any) -> PageData:
    where = Unit(unit.get("at", (5, 6)), unit.get("map", 0))
    name = unit.get("layer", network.names[-1])
    picture = random_picture((*size, 1))
    return network_page_data(network, picture, name, where, title="net")


def deep(count: int = 50, width: int = 64) -> Network:
    """A network of so many layers, with sums over two of them, of 64 maps each."""
    nodes = [Node("first", conv(1, width), (SOURCE,))]
    for k in range(1, count):
        before = nodes[-1].name
        layer = AddLayer() if k % 3 == 0 else conv(width, width, 1)
        inputs = (before, nodes[-3].name) if k % 3 == 0 else (before,)
        nodes.append(Node(f"layer{k}", layer, inputs))
    return Network(tuple(nodes))


MARKED = """(mark) => [...document.querySelectorAll(`.node.${mark}`)].map((node) => node.title)"""
OPENED = """[...document.querySelectorAll(".card")]
    .filter((card) => !card.querySelector(".card-body").hidden)
    .map((card) => card.dataset.layer)"""
FOCUSED = """(() => {
    const active = document.activeElement;
    return [active.closest("[data-layer]")?.dataset.layer ?? active.title, active.className];
})()"""


def test_the_graph_marks_the_unit_its_trail_and_its_field(show: Opener) -> None:
    tab = show(page(branches()))
    settle(tab)
    trail = [unit["layer"] for unit in tab.evaluate("cnncli.trail()")]
    assert tab.evaluate(MARKED, "chosen") == ["last"] == trail[:1]
    assert set(tab.evaluate(MARKED, "on-trail")) == set(trail[1:])
    others = {"input", "stem", "left", "middle", "wide", "joined"} - set(trail)
    assert set(tab.evaluate(MARKED, "field")) == others != set()
    assert tab.evaluate("document.querySelectorAll('path.on-trail').length") == len(trail) - 1
    said = tab.get_attribute(".node[title='joined']", "aria-label")
    assert said.startswith("joined: concat, 12 × 14 × 7, of left and wide and stem, read by last;")
    tab.evaluate("cnncli.apply({ unit: { layer: 'wide', map: 1, at: [2, 2] } })")
    assert tab.evaluate(MARKED, "chosen") == ["wide"]
    assert not {"left", "joined", "last"} & set(tab.evaluate(MARKED, "field"))
    boxes = [
        tab.locator(f".node[title='{name}']").bounding_box() for name in ("left", "middle", "stem")
    ]
    assert boxes[0]["y"] == boxes[1]["y"] > boxes[2]["y"]


def test_keys_go_along_the_lines_and_into_the_cards(show: Opener) -> None:
    tab = show(page(branches()))
    settle(tab)
    assert tab.locator(".node[tabindex='0']").count() == 1
    tab.focus(".node[tabindex='0']")
    for key, name in [
        ("ArrowUp", "joined"),
        ("Home", "input"),
        ("ArrowDown", "stem"),
        ("ArrowDown", "middle"),
        ("ArrowRight", "left"),
        ("ArrowLeft", "middle"),
        ("ArrowUp", "stem"),
        ("End", "last"),
    ]:
        tab.keyboard.press(key)
        assert tab.evaluate(FOCUSED)[0] == name, key
        assert tab.locator(".node[tabindex='0']").count() == 1
    for key, name in [("Home", "input"), ("ArrowDown", "stem"), ("Enter", "stem")]:
        tab.keyboard.press(key)
        assert tab.evaluate(FOCUSED)[0] == name, key
    assert tab.evaluate(FOCUSED)[1] == "large"
    tab.keyboard.press("PageDown")
    assert tab.evaluate(FOCUSED) == ["left", "large"]
    tab.keyboard.press("PageUp")
    assert tab.evaluate(FOCUSED) == ["stem", "large"]
    tab.keyboard.press("Escape")
    assert tab.evaluate(FOCUSED)[0] == "stem" and "node" in tab.evaluate(FOCUSED)[1]
    tab.click(".node[title='left']")
    assert tab.evaluate(FOCUSED) == ["left", "large"]


def test_cards_off_the_trail_are_one_line(show: Opener) -> None:
    tab = show(page(branches()))
    settle(tab)
    trail = {unit["layer"] for unit in tab.evaluate("cnncli.trail()")}
    assert set(tab.evaluate(OPENED)) == trail
    closed = next(name for name in ("left", "middle") if name not in trail)
    line = tab.locator(f"[data-layer='{closed}']")
    assert line.bounding_box()["height"] < 50
    assert "conv 1x1 relu of stem" in line.text_content()
    assert "12 × 14 × 2" in line.text_content()
    line.locator(".toggle").click()
    assert closed in tab.evaluate(OPENED)
    assert line.locator(".toggle").get_attribute("aria-expanded") == "true"
    tab.click("#open-trail")
    assert set(tab.evaluate(OPENED)) == trail
    tab.click("#open-all")
    assert len(tab.evaluate(OPENED)) == 7
    tab.click("#open-trail")
    tab.evaluate(f"cnncli.apply({{ unit: {{ layer: '{closed}', map: 0, at: [1, 1] }} }})")
    assert closed in tab.evaluate(OPENED)


def test_of_fifty_layers_only_what_is_near_is_made_and_drawn(show: Opener) -> None:
    network = deep()
    tab = show(page(network, (8, 8), at=(3, 3)))
    settle(tab)
    assert tab.locator(".card").count() == 51
    tab.click("#open-all")
    settle(tab)
    made = tab.locator(".thumb").count()
    assert 0 < made < 51 * 64 / 2
    drawn = "[...document.querySelectorAll('.thumb canvas')].filter((c) => c.width !== 300).length"
    assert 0 < tab.evaluate(drawn) < made
    # A layer far away is made when the graph leads to it.
    tab.click(".node[title='layer40']")
    settle(tab)
    card = tab.locator("[data-layer='layer40']")
    assert card.locator(".thumb").count() == 64
    until(tab, "document.querySelector('[data-layer=layer40] .thumb canvas').width !== 300")
    top = card.bounding_box()["y"]
    assert -1 <= top < 120
    # Cards above that open do not move the one in which a unit is chosen.
    tab.keyboard.press("Enter")
    settle(tab)
    assert card.bounding_box()["y"] == pytest.approx(top, abs=2)
    assert tab.evaluate("cnncli.state.unit.layer") == "layer40"
