"""Units that relu makes 0: the page says why, with the sum before relu, against the core."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ActivationLayer, ConvLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, page_data_of, random_picture, settle, until

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

DIGITS = load_model(REPOSITORY / "examples" / "digits.toml").network
THREE = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))


def why_zero(name: str, value: float) -> str:
    number = f"{value:.4g}".replace("-", "−")
    return f"{name} is {number} before relu: below 0, so relu makes it 0."


def sums_before_relu(name: str) -> Any:
    """The sums of a layer of the digits network, by the core."""
    values = THREE.values()
    for node in DIGITS.nodes:
        if node.name == name:
            assert isinstance(node.layer, ConvLayer)
            return dataclasses.replace(node.layer, activation="none").forward(values)[0][0]
        values = node.layer.forward(values)[0]
    raise KeyError(name)


def test_a_unit_that_relu_makes_0_says_so(show: Opener) -> None:
    tab = show(network_page_data(DIGITS, THREE, "conv3", Unit((0, 0), 0), title="net"))
    sums = sums_before_relu("conv3")
    assert sums[0, 0, 0] < 0
    settle(tab)
    assert tab.text_content("#how").endswith(why_zero("It", sums[0, 0, 0]))
    looked = "document.getElementById('looked-text').textContent"
    until(tab, f"{looked}.startsWith('No pixel changes conv3 0 at 0, 0.')")
    assert tab.evaluate(looked).endswith(why_zero("conv3 0 at 0, 0", sums[0, 0, 0]))
    # A pool of such units tells of the one that it shows.
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool2', map: 0, at: [0, 0] } })")
    until(tab, f"{looked}.startsWith('No pixel changes pool2 0 at 0, 0.')")
    assert tab.evaluate(looked).endswith(why_zero("conv3 0 at 0, 0", sums[0, 0, 0]))
    # One above 0 needs no reason.
    row, col, channel = (int(k) for k in np.unravel_index(sums.argmax(), sums.shape))
    unit = {"layer": "conv3", "map": channel, "at": [row, col]}
    tab.evaluate("(unit) => cnncli.apply({ unit })", unit)
    until(tab, f"{looked}.startsWith('Each pixel times')")
    assert "before relu" not in tab.text_content("#how") + tab.evaluate(looked)


def test_a_layer_that_is_relu_and_a_page_of_one_layer_say_so_too(show: Opener) -> None:
    picture = random_picture((6, 6, 1))
    edges = ConvLayer(load_filter("sobel_v"), np.zeros(1))
    sums = edges.forward(picture.values())[0][0, :, :, 0]
    row, col = (int(k) for k in np.unravel_index(sums.argmin(), sums.shape))
    network = Network.chain(edges, ActivationLayer("relu"))
    tab = show(network_page_data(network, picture, "activation1", Unit((row, col)), title="net"))
    settle(tab)
    assert tab.text_content("#how").endswith(why_zero("It", sums[row, col]))
    one = ConvLayer(load_filter("sobel_v"), np.zeros(1), activation="relu")
    tab = show(page_data_of(picture, one, (row, col)))
    settle(tab)
    assert tab.text_content("#sentence").endswith(why_zero("It", sums[row, col]))
