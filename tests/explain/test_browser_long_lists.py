"""Long lists of a network's page: a button shows them whole, and they fade where there is more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, random_picture, settle, until

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

DIGITS = load_model(REPOSITORY / "examples" / "digits.toml").network
THREE = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
NUMBERS = "[...document.querySelectorAll('{}')].map((button) => Number(button.dataset.{}))"


def digits_page(show: Opener, **options: Any) -> Any:
    data = network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net")
    return show(data, **options)


def more(tab: Any, selector: str) -> str:
    """At which ends of a list there is more, once it has been measured."""
    settle(tab)
    told: str = tab.evaluate(f'document.querySelector("{selector}").dataset.more')
    return told


def test_a_button_shows_all_kernels_and_only_the_first_again(show: Opener) -> None:
    tab = digits_page(show)
    button = tab.locator("[data-layer='digit'] .map-filter > button:visible")
    kernels = NUMBERS.format("[data-layer=digit] .kernel", "key")
    assert button.text_content() == "Show all 32 kernels" and len(tab.evaluate(kernels)) == 12
    button.focus()
    tab.keyboard.press("Enter")
    settle(tab)
    weights = DIGITS.node("digit").layer.filter.weights[..., 3]  # type: ignore[union-attr]
    assert tab.evaluate(kernels) == sorted(range(32), key=lambda k: -np.abs(weights[..., k]).max())
    # The last one is chosen by keys and is seen.
    tab.locator("[data-layer='digit'] .kernel").nth(30).focus()
    tab.keyboard.press("ArrowRight")
    settle(tab)
    chosen = tab.locator("[data-layer='digit'] .kernel").nth(31)
    assert chosen.get_attribute("aria-pressed") == "true"
    assert chosen.evaluate("node => node === document.activeElement")
    box, around = (
        one.bounding_box() for one in (chosen, tab.locator("[data-layer='digit'] .kernels"))
    )
    assert around["y"] < box["y"]
    assert box["y"] + box["height"] <= around["y"] + around["height"]
    assert button.text_content() == "Show only 12 kernels"
    button.focus()
    tab.keyboard.press("Space")
    settle(tab)
    assert len(tab.evaluate(kernels)) == 12
    assert button.evaluate("node => node === document.activeElement")
    # A filter with few kernels, and layers with few maps, have no such button.
    texts = "[...document.querySelectorAll('.card button:not([hidden])')].map((n) => n.textContent)"
    assert [text for text in tab.evaluate(texts) if text.startswith("Show all")] == [
        "Show all 16 kernels",
        "Show all 32 kernels",
    ]


def test_a_button_shows_all_maps_and_all_scores(show: Opener) -> None:
    rng = np.random.default_rng(5)
    wide, last = (from_array(rng.normal(size=shape)) for shape in ((1, 1, 1, 90), (6, 5, 90, 40)))
    network = Network.chain(ConvLayer(wide), ConvLayer(last, padding="valid"))
    picture = random_picture((6, 5, 1))
    tab = show(network_page_data(network, picture, "conv2", Unit((0, 0)), title="net"))
    for name, few, count in (("conv1", 64, 90), ("conv2", 20, 40)):
        maps = NUMBERS.format(f"[data-layer={name}] .thumb:not([hidden])", "map")
        button = tab.locator(f"[data-layer='{name}'] .rest > button")
        first = tab.evaluate(maps)
        assert few <= len(first) <= few + 1
        assert button.text_content() == f"Show all {count} maps"
        button.click()
        settle(tab)
        shown = tab.evaluate(maps)
        assert sorted(shown) == list(range(count)) and shown[:few] == first[:few]
        assert button.text_content() == f"Show only {few} maps"
    values = tab.evaluate("cnncli.layers()[2].planes.map((plane) => plane[0])")
    assert shown == sorted(range(40), key=lambda k: -values[k])
    button.click()
    settle(tab)
    assert tab.evaluate(maps) == first


@pytest.mark.parametrize("forced", ["none", "active"])
def test_lists_fade_where_more_of_them_is_out_of_sight(show: Opener, forced: str) -> None:
    tab = digits_page(show, forced_colors=forced)
    strip = "[data-layer=conv3] .strip"
    assert more(tab, strip) == "bottom"
    faded = f"getComputedStyle(document.querySelector('{strip}')).maskImage"
    assert "rgba(0, 0, 0, 0))" in tab.evaluate(faded)
    for place, told in ((60, "top bottom"), (10_000, "top"), (0, "bottom")):
        tab.evaluate(f"document.querySelector('{strip}').scrollTop = {place}")
        until(tab, f"document.querySelector('{strip}').dataset.more === '{told}'")
    # All of them are seen: nothing fades.
    assert more(tab, "[data-layer=digit] .strip") == ""
    shown = "getComputedStyle(document.querySelector('[data-layer=digit] .strip')).maskImage"
    assert tab.evaluate(shown) == "none"


def test_on_a_phone_the_ends_beside_fade(show: Opener) -> None:
    tab = digits_page(show, viewport={"width": 360, "height": 640})
    strip = "[data-layer=conv3] .strip"
    assert more(tab, strip) == "right"
    tab.locator(f"{strip} .thumb").last.focus()
    until(tab, f"document.querySelector('{strip}').dataset.more === 'left'")
    tab.emulate_media(media="print")
    faded = f"getComputedStyle(document.querySelector('{strip}')).maskImage"
    assert tab.evaluate(faded) == "none"
