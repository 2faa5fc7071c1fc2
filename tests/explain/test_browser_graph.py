"""The graph of a network's page, and the cards of its layers, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.inner_cells import inner_cells
from cnncli.network.layers import AddLayer, ConcatLayer, ConvLayer
from cnncli.pipeline.feature_maps import FeatureMaps
from cnncli.render.layer_ranges import layer_ranges
from cnncli.render.result_rows import ArrayRows
from tests.explain.test_browser_layout import CONTRASTS, FADED, LEAST_CONTRAST
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
        Node("stem", conv(1, 3, 3, "none"), (SOURCE,)),
        Node("left", conv(3, 2, 1, "none"), ("stem",)),
        Node("middle", conv(3, 2, 1, "none"), ("stem",)),
        Node("wide", conv(2, 2, 5, "none"), ("middle",)),
        Node("joined", ConcatLayer("channels"), ("left", "wide", "stem")),
        Node("last", conv(7, 2, 1, "none"), ("joined",)),
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
    assert len(trail) > 3
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


def test_the_graph_marks_layers_that_cannot_be_computed(show: Opener) -> None:
    tab = show(page(branches()))
    settle(tab)
    change = {"wide": {"padding": "valid", "dilation": [9, 9]}}
    tab.evaluate("(layers) => cnncli.apply({ layers })", change)
    assert tab.evaluate(MARKED, "broken") == ["wide", "joined", "last"]
    said = tab.get_attribute(".node[title='wide']", "aria-label")
    assert said.startswith("wide: ") and "cannot be computed" in said
    assert not {"wide", "joined", "last"} & set(tab.evaluate(OPENED))


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
    assert "conv 1x1 of stem" in line.text_content()
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
    chosen = "document.querySelector('[data-layer=layer40] .thumb[aria-pressed=true] canvas')"
    until(tab, f"{chosen}.width !== 300")
    top = card.bounding_box()["y"]
    assert -1 <= top < 120
    # Cards above that open do not move the one in which a unit is chosen.
    tab.keyboard.press("Enter")
    settle(tab)
    assert card.bounding_box()["y"] == pytest.approx(top, abs=2)
    assert tab.evaluate("cnncli.state.unit.layer") == "layer40"


def one_dead() -> Network:
    """Four maps of unequal strength; the first of them is 0 everywhere."""
    weights = np.abs(np.random.default_rng(1).normal(size=(3, 3, 1, 4))) * [-1, 1, 2, 0.1]
    layer = ConvLayer(from_array(weights), np.zeros(4), padding="same", activation="relu")
    return Network((Node("maps", layer, (SOURCE,)), Node("last", conv(4, 1, 1), ("maps",))))


def test_maps_of_a_layer_have_one_scale_or_each_its_own(show: Opener) -> None:
    network, picture = one_dead(), random_picture((12, 14, 1))
    data = network_page_data(network, picture, "maps", Unit((3, 3), 2), title="net")
    output = network.nodes[0].layer.forward(picture.values())[0]
    part = network.until("maps")
    rows = ArrayRows(
        output, inner_cells(part, picture.shape), FeatureMaps(part, picture).sum_bounds
    )
    groups = network.groups(input_groups(1))["maps"]
    own = layer_ranges(rows, groups, "auto", False)
    common = layer_ranges(rows, groups, "auto", False, shared=True)[0]
    tab = show(data)
    settle(tab)
    ends = """[...document.querySelectorAll("[data-layer=maps] .end-numbers span")]
        .map((node) => node.innerText)"""
    middle = """(() => {
        const canvas = document.querySelector("[data-layer=maps] .large");
        const settings = { willReadFrequently: true };
        const copy = document.createElement("canvas").getContext("2d", settings);
        copy.drawImage(canvas, canvas.width / 2 + 3, canvas.height / 2 + 3, 1, 1, 0, 0, 1, 1);
        return copy.getImageData(0, 0, 1, 1).data[0];
    })()"""
    for scale, index, expected in [("layer", 2, common), ("layer", 3, common), ("map", 3, own[3])]:
        tab.evaluate("changes => cnncli.apply(changes)", {"scale": scale, "maps": {"maps": index}})
        settle(tab)
        low, high = (float(text) for text in tab.evaluate(ends))
        assert (low, high) == pytest.approx((expected.lo, expected.hi), rel=1e-3, abs=1e-9)
        pressed = tab.locator("#scales [aria-pressed='true']")
        assert pressed.get_attribute("data-scale") == scale
        value = output[0, 6, 7, index]
        level = 255 * min(max((value - expected.lo) / (expected.hi - expected.lo), 0), 1)
        assert tab.evaluate(middle) == pytest.approx(level, abs=1)


def test_maps_that_are_zero_everywhere_are_marked_and_last(show: Opener) -> None:
    network = one_dead()
    tab = show(page(network, layer="maps", map=1))
    settle(tab)
    thumbs = tab.locator("[data-layer='maps'] .thumb")
    assert [thumb.get_attribute("data-map") for thumb in thumbs.all()] == ["1", "2", "3", "0"]
    assert thumbs.last.text_content().endswith("all 0")
    assert tab.locator(".thumb.dead").count() == 1
    assert tab.evaluate("cnncli.state.maps.maps") == 1
    thumbs.last.click()
    assert tab.text_content("[data-layer='maps'] .range") == "0 everywhere"


KEPT = """(() => {
    const before = document.activeElement;
    const text = before.textContent;
    cnncli.apply({ unit: { ...cnncli.state.unit } });
    const after = document.activeElement;
    const kept = after.isConnected && after !== document.body && after.textContent === text;
    return [kept, before.outerHTML];
})()"""


def test_every_control_keeps_the_focus_when_the_page_is_drawn_again(show: Opener) -> None:
    colours = random_picture((12, 14, 3))
    first = ConvLayer(bank((3, 3, 3, 5)), np.zeros(5), padding="same", activation="relu")
    network = Network((Node("first", first, (SOURCE,)), Node("last", conv(5, 3), ("first",))))
    data = network_page_data(network, colours, "last", Unit((4, 4)), title="net")
    tab = show(data)
    settle(tab)
    for unit in ("{ layer: 'last', map: 0, at: [4, 4] }", "{ layer: 'input', map: 0, at: [4, 4] }"):
        tab.evaluate(f"cnncli.apply({{ unit: {unit} }})")
        tab.focus("#theme")
        reached = 0
        for _ in range(60):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement === document.body"):
                break
            kept, control = tab.evaluate(KEPT)
            assert kept, control
            reached += 1
        assert 8 < reached < 60
    # The unit is the input's: a button for each of its colours.
    tab.focus("#channels [tabindex='0']")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"):
        tab.keyboard.press(key)
    assert tab.evaluate("document.activeElement.textContent") == "blue"
    assert tab.evaluate("cnncli.state.channel") == 2
    tab.click("#channels .green")
    assert tab.evaluate("document.activeElement.textContent") == "green"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_prints_as_a_worksheet(show: Opener, scheme: str) -> None:
    tab = show(page(branches()), color_scheme=scheme)
    settle(tab)
    tab.emulate_media(media="print")
    # Colours fade from those of the screen.
    until(tab, "document.getAnimations().length === 0")
    for hidden in ("#graph", ".tools", "#theme", "#open-all", "[data-layer='stem']", ".strip"):
        assert not tab.locator(hidden).first.is_visible(), hidden
    cards = ("last", "joined", "input")
    seen = [f"[data-layer='{name}'] .large" for name in cards]
    for part in ("#title", "#headline", "#trail", "#blocks", "#result", *seen):
        assert tab.is_visible(part), part
    assert tab.locator("#trail button").first.is_visible()
    colours = tab.evaluate("""[...document.querySelectorAll("body, main *:not(canvas)")]
        .filter((node) => node.checkVisibility())
        .map((node) => getComputedStyle(node))
        .map((style) => [style.color, style.backgroundColor].join())""")
    black = "rgb(0, 0, 0)"
    assert set(colours) <= {f"{black},rgb(255, 255, 255)", f"{black},rgba(0, 0, 0, 0)"}
    assert len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4"))) == 1


def test_paper_has_maps_that_the_window_never_came_near(show: Opener) -> None:
    tab = show(page(deep(), (8, 8), at=(3, 3)))
    settle(tab)
    tab.click("#open-all")
    settle(tab)
    assert tab.locator("[data-layer='layer49'] .large").count() == 0
    tab.pdf(format="A4")
    assert tab.locator("[data-layer='layer49'] .large").count() == 1


def test_forced_colours_tell_what_is_marked(show: Opener) -> None:
    tab = show(page(branches()), forced_colors="active")
    settle(tab)
    look = """(mark) => {
        const style = getComputedStyle(document.querySelector(mark));
        return [style.borderTopStyle, style.borderTopWidth, style.backgroundColor].join();
    }"""
    marks = {tab.evaluate(look, f".node.{mark}") for mark in ("chosen", "on-trail", "field")}
    assert len(marks) == 3
    stroke = "(way) => getComputedStyle(document.querySelector(way)).stroke"
    ways = [tab.evaluate(stroke, way) for way in ("path.on-trail", "path.field")]
    assert ways[0] != ways[1]
    found = tab.evaluate(CONTRASTS)
    assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(show: Opener, scheme: str) -> None:
    tab = show(page(branches()), color_scheme=scheme)
    tab.evaluate("document.getElementById('open-all').click()")
    settle(tab)
    until(tab, FADED)
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 60
    assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []
