"""What the pages of networks do for somebody who learns, in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.document import page_text
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.playground_data import playground_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import REPOSITORY, Opener, settle, until

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
        "That makes 48 × 48 outputs; stride 1 makes 96 × 96. "
        'Padding "same" shifts: the first window begins at row 0, column 0, '
        "with stride 1 at row −1, column −1, so windows see other cells."
    )
    facts = tab.locator(".card[data-layer=conv1] p.dim").all_text_contents()
    assert "⌊ ⌋ rounds down" in facts
    tab.keyboard.press("ArrowLeft")
    until(tab, "document.getElementById('stride-note').textContent === ''")


def test_the_place_in_the_picture_stays_while_a_stride_changes(playground: Any) -> None:
    tab = playground
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv1', map: 0, at: [71, 28] } })")
    settle(tab)
    tab.focus("#stride")
    for key, rows, at in (("ArrowRight", 48, [35, 14]), ("ArrowLeft", 96, [71, 29])):
        tab.keyboard.press(key)
        until(tab, f"byName.get('conv1').shape[0] === {rows}")
        settle(tab)
        assert tab.evaluate("cnncli.state.unit.at") == at


@pytest.mark.parametrize("hidden", [0, 200, 400])
def test_a_slider_stays_while_the_numbers_above_it_grow(playground: Any, hidden: int) -> None:
    tab, slider = playground, playground.locator("#kernel")
    slider.focus()
    # The numbers above are in sight in part, or not at all.
    tab.evaluate(
        """(hidden) => document.querySelector('.unit-side').scrollBy(0,
          byId('blocks').getBoundingClientRect().top + hidden)""",
        hidden,
    )
    settle(tab)
    top = slider.bounding_box()["y"]
    for key, size in (("ArrowRight", 4), ("ArrowRight", 5), ("ArrowLeft", 4), ("ArrowLeft", 3)):
        tab.keyboard.press(key)
        until(
            tab,
            f"edited.settings().kernel[0] === {size} && layers[1].settings.kernel[0] === {size}",
        )
        settle(tab)
        assert abs(slider.bounding_box()["y"] - top) <= 2, key


def test_nothing_covers_the_notes(playground: Any) -> None:
    tab = playground
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    settle(tab)
    for note in tab.locator("#notes p").all():
        box = note.bounding_box()
        place = [box["x"] + 2, box["y"] + box["height"] / 2]
        assert tab.evaluate("(at) => document.elementFromPoint(...at).matches('#notes *')", place)


def test_the_order_of_maps_and_values_beyond_the_colours_are_told(show: Opener) -> None:
    network = load_model(REPOSITORY / "examples" / "digits.toml").network
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    tab = show(network_page_data(network, picture, "conv2", Unit((2, 1), 8), title="net"))
    settle(tab)
    values = dict(forward_layers(network, picture.values(), network.names))["conv2"][0]
    dead = [*np.flatnonzero(~values.any(axis=(0, 1)))]
    orders = tab.locator(".card:not(:has(.card-body[hidden])) .order").all_text_contents()
    # The input has one map, those of conv1 feed the unit, those of conv2 do not.
    assert orders == [
        "",
        "8 maps, counted from 0, those that contribute most first",
        "16 maps, counted from 0, those that are all 0 last",
    ]
    labels = tab.locator("[data-layer=conv2] .strip .label").all_text_contents()
    assert [*map(int, labels[-len(dead) :])] == dead
    assert [*map(int, labels[: -len(dead)])] == [k for k in range(16) if k not in dead]
    hi = tab.evaluate("byName.get('conv2').range.hi")
    most = float(values.max())
    assert hi < most
    said = tab.text_content("[data-layer=conv2] .beyond")
    assert said == f"Values up to {most:.4g} are drawn like {hi:.4g}."
    # A scale for each map may end elsewhere.
    tab.evaluate("cnncli.apply({ scale: 'map' })")
    settle(tab)
    assert "4.657" not in tab.text_content("[data-layer=conv2] .beyond")
    assert tab.text_content("#sentence") == (
        "It depends on rows 0 to 4, columns 0 to 3 of the input: 5 × 4 pixels, "
        "at the border fewer than 5 × 5."
    )
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv2', map: 8, at: [3, 3] } })")
    assert tab.text_content("#sentence").endswith(": 5 × 5 pixels.")
    tab.evaluate("cnncli.apply({ unit: { layer: 'digit', map: 3, at: [0, 0] } })")
    assert tab.text_content("#headline") == "digit, map 3: 14.39"


def test_on_a_phone_no_text_is_under_the_button_to_the_layers(show: Opener) -> None:
    network = load_model(REPOSITORY / "examples" / "digits.toml").network
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    data = network_page_data(network, picture, "digit", Unit((0, 0), 3), title="net")
    tab = show(data, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    settle(tab)
    button = tab.locator("#to-graph").bounding_box()
    assert tab.locator("#sentence").bounding_box()["y"] >= button["y"] + button["height"]


def test_on_a_phone_the_unit_stays_in_sight_on_a_quarter_of_the_screen(show: Opener) -> None:
    network = load_model(REPOSITORY / "examples" / "digits.toml").network
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    data = network_page_data(network, picture, "probability", Unit((0, 0), 3), title="net")
    tab = show(data, viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    conv2 = {"layer": "conv2", "map": 1, "at": [0, 0]}
    for change in ({"gradients": True}, {"unit": conv2}, {"layers": {"conv2": {"off": [1]}}}):
        tab.evaluate("(change) => cnncli.apply(change)", change)
        settle(tab)
        tab.evaluate("window.scrollTo(0, 2500)")
        box = tab.locator(".unit").bounding_box()
        assert box["y"] == 0 and box["height"] <= 160
        # What it is for: the unit and its value, and the buttons.
        for seen in ("#headline", "#to-graph", "#map-off"):
            one = tab.locator(seen).bounding_box()
            assert one["y"] >= 0 and one["y"] + one["height"] <= box["height"]
    assert tab.text_content("#headline") == "conv2, map 1, row 0, column 0: 0"
