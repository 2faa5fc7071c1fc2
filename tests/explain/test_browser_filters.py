"""Which filter made a map: on the page of a network it stands below the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, bank, random_picture, settle, until

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

DIGITS = load_model(REPOSITORY / "examples" / "digits.toml").network
THREE = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))


@pytest.fixture
def tab(show: Opener) -> Any:
    """The page of the digits, at the probability of the three."""
    return show(network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net"))


def weights_of(name: str) -> Any:
    layer = DIGITS.node(name).layer
    assert isinstance(layer, ConvLayer)
    return layer.filter.weights


def shown_numbers(card: Any) -> Any:
    rows = card.locator(".map-filter .weights tr").all()
    return np.array(
        [
            [float(text.replace("−", "-")) for text in row.locator("td").all_text_contents()]
            for row in rows
        ]
    )


def test_below_a_map_stands_the_filter_that_made_it(tab: Any) -> None:
    card = tab.locator("[data-layer='conv2']")
    card.locator(".strip [data-map='5']").click()
    settle(tab)
    told = card.locator(".map-filter > p")
    assert told.text_content() == (
        "Made by filter 5 of conv2. 3 × 3 weights for each of the 8 maps of conv1, largest first; "
        f"bias {DIGITS.node('conv2').layer.bias[5]:.3g}."  # type: ignore[union-attr]
    )
    W = weights_of("conv2")[..., 5]
    buttons = card.locator(".kernels button")
    order = [int(buttons.nth(k).get_attribute("data-key")) for k in range(8)]
    assert order == sorted(range(8), key=lambda depth: -np.abs(W[..., depth]).max())
    for depth in order:
        card.locator(f".kernels [data-key='{depth}']").click()
        settle(tab)
        assert card.locator(".map-filter caption").text_content() == f"for map {depth} of conv1"
        np.testing.assert_allclose(shown_numbers(card), W[..., depth], atol=6e-4)
    # Map and filter are seen together.
    assert tab.evaluate("cnncli.state.unit.layer") == "probability"
    heights = [card.locator(name).bounding_box() for name in (".large", ".map-filter")]
    assert heights[1]["y"] + heights[1]["height"] - heights[0]["y"] < 600


def test_arrow_keys_go_from_kernel_to_kernel(tab: Any) -> None:
    kernels = tab.locator("[data-layer='conv3'] .kernels button")
    assert kernels.count() == 12
    kernels.first.focus()
    tab.keyboard.press("ArrowRight")
    settle(tab)
    assert kernels.nth(1).get_attribute("aria-pressed") == "true"
    assert kernels.nth(1).evaluate("node => node === document.activeElement")


def test_a_pooled_map_leads_to_the_filter_behind_it(tab: Any) -> None:
    card = tab.locator("[data-layer='pool1']")
    card.locator(".strip [data-map='11']").click()
    button = card.locator(".map-filter button:visible")
    assert button.text_content() == "filter 11 of conv2"
    button.click()
    settle(tab)
    assert tab.evaluate("cnncli.state.maps.conv2") == 11
    assert tab.evaluate("document.activeElement.closest('.card').dataset.layer") == "conv2"
    # A share of several scores is made by no filter.
    assert not tab.locator("[data-layer='probability'] .map-filter").is_visible()


def test_a_map_of_a_built_in_bank_is_told_by_what_it_does(show: Opener) -> None:
    network = Network((Node("edges", ConvLayer(load_filter("robinson")), (SOURCE,)),))
    data = network_page_data(network, random_picture((9, 9, 1)), "edges", Unit((3, 3)), title="net")
    tab = show(data)
    tab.locator("[data-layer='edges'] .strip [data-map='1']").click()
    settle(tab)
    does = "edges; above 0: brighter towards the top right."
    said = tab.text_content("[data-layer='edges'] .map-filter > p")
    assert said == (
        f"Made by filter 1 (robinson_ne) of edges. robinson_ne: {does} 3 × 3 weights; bias 0."
    )
    assert tab.text_content("#preset-about") == does
    assert tab.input_value("#preset") == "robinson_ne"


def test_a_built_in_filter_is_named_with_what_it_does(show: Opener) -> None:
    nodes = (
        Node("lines", ConvLayer(load_filter("sobel_v")), (SOURCE,)),
        Node("positive", ActivationLayer("relu"), ("lines",)),
        Node("smaller", PoolLayer("max"), ("positive",)),
        Node("bank", ConvLayer(bank((7, 7, 1, 3))), ("smaller",)),
    )
    network = Network(nodes)
    picture = random_picture((12, 14, 1))
    tab = show(network_page_data(network, picture, "lines", Unit((3, 3)), title="net"))
    does = "sobel_v: vertical edges; above 0: brighter to the right."
    said = tab.text_content("[data-layer='lines'] .map-filter > p")
    assert said == f"Made by the filter of lines. {does} 3 × 3 weights; bias 0."
    assert does == f"sobel_v: {tab.text_content('#preset-about')}"
    tab.click("#open-all")
    button = tab.locator("[data-layer='smaller'] .map-filter button:visible")
    assert button.text_content() == "the filter of lines"
    # Too many numbers for a table: a picture.
    assert tab.locator("[data-layer='bank'] .map-filter figure canvas").count() == 1
    tab.fill(".grid input >> nth=0", "5")
    said = "document.querySelector('[data-layer=lines] .map-filter > p').textContent"
    until(tab, f"!{said}.includes('sobel_v')")
    assert tab.text_content("#preset-about") == ""
