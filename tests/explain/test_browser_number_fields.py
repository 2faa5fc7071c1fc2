"""Fields of pages are wide enough for the numbers in them, in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ConvLayer, InstanceNormLayer, PoolLayer
from tests.support.browser import Opener, page_data_of, random_picture, settle, until

pytestmark = pytest.mark.oracle

CUT = """() => [...document.querySelectorAll("input[type=text], input[type=number]")]
  .filter((input) => input.getClientRects().length && input.scrollWidth > input.clientWidth)
  .map((input) => `${input.id || input.ariaLabel}: ${input.value}`)"""
"""The fields that do not show all of their text."""

LONG = -0.00001234567
"""A number with as long a text as a field can have: seven digits behind zeros."""


def check(tab: Any) -> None:
    """Check all fields that are seen, beside each other and on a phone."""
    for width in (1280, 360):
        tab.set_viewport_size({"width": width, "height": 800})
        settle(tab)
        assert tab.evaluate(CUT) == []


@pytest.mark.parametrize("side", [3, 5, 17])
def test_fields_of_a_convolution_show_their_numbers(show: Opener, side: int) -> None:
    weights = np.full((side, side, 1, 1), LONG, np.float32)
    layer = ConvLayer(from_array(weights), np.array([LONG]), padding=1, pad_value=LONG)
    tab = show(page_data_of(random_picture((1200, 20, 1)), layer, (1180, 3)))
    tab.click("#learn")
    tab.fill("#learn-rate", str(-LONG))
    tab.locator("#learn-rate").blur()
    check(tab)


def test_fields_of_a_pool_show_their_numbers(show: Opener) -> None:
    tab = show(page_data_of(random_picture((24, 30, 1)), PoolLayer(mode="lp", p=100000.25)))
    assert tab.input_value("#p") == "100000.3"
    check(tab)


@pytest.mark.parametrize(("layer", "field"), [("conv", "#bias"), ("norm", "#channel-gamma")])
def test_fields_of_a_network_show_their_numbers(show: Opener, layer: str, field: str) -> None:
    weights, numbers = np.full((3, 3, 1, 2), LONG, np.float32), np.full(2, LONG)
    conv = ConvLayer(from_array(weights), numbers, padding=1, pad_value=LONG)
    norm = InstanceNormLayer(numbers, numbers)
    network = Network((Node("conv", conv, (SOURCE,)), Node("norm", norm, ("conv",))))
    picture = random_picture((8, 9, 1))
    tab = show(network_page_data(network, picture, layer, Unit((1, 2)), title="a.png"))
    assert tab.input_value(field) == "-0.00001234567"
    check(tab)


def test_a_wheel_over_a_field_scrolls_the_page(show: Opener) -> None:
    tab = show(page_data_of(random_picture((30, 30, 1)), PoolLayer(size=2), (3, 3)))
    tab.set_viewport_size({"width": 1280, "height": 400})
    field = tab.locator("#stride-rows")
    field.scroll_into_view_if_needed()
    before = field.input_value()
    field.focus()
    box = field.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 5, box["y"] + 5)
    top = tab.evaluate("scrollY")
    tab.mouse.wheel(0, -80 if top else 80)
    until(tab, f"scrollY !== {top}")
    assert field.input_value() == before
