"""Gradients on the page of a network: what its maps, its panel and its start show is the core's."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.network.graph import Network
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer
from tests.support.browser import Opener, bank, number, random_picture, settle, until
from tests.support.page_gradients import READ, compare_gradients, gradient_of

pytestmark = pytest.mark.oracle

NETWORK = Network.chain(
    ConvLayer(bank((3, 3, 3, 4)), padding="same", activation="relu"),
    PoolLayer(size=2),
    ConvLayer(bank((6, 6, 4, 5)), padding="valid"),
    ActivationLayer("softsign"),
)
PICTURE = random_picture((12, 12, 3), "float64")
UNIT = Unit((0, 0), 2)


def test_maps_show_the_gradients_of_the_chosen_unit(show: Opener) -> None:
    data = network_page_data(NETWORK, PICTURE, "activation1", UNIT, title="net")
    tab = show(data)
    before = tab.locator(".range").first.text_content()
    tab.click("#gradients")
    until(tab, "cnncli.gradients() !== null")
    assert tab.get_attribute("#gradients", "aria-pressed") == "true"
    assert "activation1 2" in tab.text_content("#gradient-meaning")
    compare_gradients(tab, gradient_of(NETWORK, PICTURE.values(), "activation1", 2))
    assert "0 white" in tab.locator(".range").first.text_content()
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv2', map: 4, at: [0, 0] } })")
    compare_gradients(tab, gradient_of(NETWORK, PICTURE.values(), "conv2", 4))
    tab.click("#gradients")
    settle(tab)
    assert tab.locator(".range").first.text_content() == before
    assert tab.is_hidden("#gradient-panel")


def test_the_panel_adds_up_who_sends_gradient_and_lists_those_of_weights(show: Opener) -> None:
    cell = {"layer": "input", "channel": 1, "at": [5, 6]}
    data = network_page_data(NETWORK, PICTURE, "activation1", UNIT, title="net")
    tab = show(data | {"gradients": cell})
    until(tab, "cnncli.gradients() !== null")
    assert tab.evaluate("cnncli.state.unit.layer") == "activation1"
    core = gradient_of(NETWORK, PICTURE.values(), "activation1", 2)
    paths = tab.evaluate("cnncli.senders()")
    assert len(paths) == 9 * 4
    most = float(np.abs(core.input).max())
    total = sum(path["product"] for path in paths)
    assert total == pytest.approx(core.input[0, 5, 6, 1], abs=1e-5 * most)
    canvas = tab.locator("[data-layer=conv1] canvas.large")
    canvas.focus()
    canvas.press("Enter")
    canvas.press("ArrowLeft")
    chosen = tab.evaluate("cnncli.state.cell")
    assert chosen["layer"] == "conv1" and tab.evaluate("cnncli.state.unit.layer") == "activation1"
    texts = tab.locator("#weight-gradients table").last.locator("td").all_text_contents()
    found = [float(text.replace("−", "-").replace("≈ 0", "0")) for text in texts]
    dW = core.parameters["conv1"]["W"][..., chosen["channel"]]
    depth = int(np.abs(dW).max(axis=(0, 1)).argmax())
    expected = dW[:, :, depth].ravel()
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-4 * np.abs(expected).max())


def test_maps_that_are_off_send_nothing_and_changes_are_followed(show: Opener) -> None:
    data = network_page_data(NETWORK, PICTURE, "conv2", UNIT, title="net")
    tab = show(data)
    tab.evaluate("cnncli.apply({ gradients: true })")
    compare_gradients(tab, gradient_of(NETWORK, PICTURE.values(), "conv2", 2))
    tab.evaluate("cnncli.apply({ layers: { conv1: { off: [0, 1, 2, 3] } } })")
    found = tab.evaluate(READ)
    assert {number(text) for plane in found["input"] for text in plane} == {0.0}
    # The unit is another where its place is gone, and its gradients are drawn then too.
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool1', map: 0, at: [5, 5] } })")
    tab.evaluate("cnncli.apply({ layers: { conv1: { off: [], stride: [2, 2] } } })")
    assert tab.evaluate("cnncli.state.unit.at") == [2, 2]
    assert tab.evaluate("cnncli.gradients().key") == "pool1,0,2,2"
