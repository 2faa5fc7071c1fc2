"""A page that computes its network: layers that resize, move, normalise and reduce maps follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    InstanceNormLayer,
    LayerNormLayer,
    LRNLayer,
    PadLayer,
    ReduceLayer,
    ResizeLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.view import Layout
from tests.explain.test_browser_live import compare
from tests.support.browser import Opener, near, number, random_picture

pytestmark = pytest.mark.oracle


def decoder(stride: int, weights: np.ndarray[Any, Any], up: float, gamma: float) -> Network:
    """A network that makes maps smaller and larger again, with some settings."""
    rng = np.random.default_rng(4)
    first = rng.normal(size=(3, 3, 3, 4)).astype(np.float32) / 3
    gammas, betas = rng.normal(size=(2, 4)).astype(np.float32)
    gammas[1] = gamma
    transposed = weights.transpose(0, 1, 3, 2).copy()
    transposed[1, 0, 2, 1] = up
    return Network(
        (
            Node("conv", ConvLayer(from_array(first), stride=stride, padding="same"), (SOURCE,)),
            Node("norm", InstanceNormLayer(gammas, betas), ("conv",)),
            Node("up", ConvTransposeLayer(from_array(transposed), stride=2), ("norm",)),
            Node("pad", PadLayer(1, "reflect"), ("up",)),
            Node("larger", ResizeLayer(scale=1.5, mode="linear"), ("pad",)),
            Node("near", LRNLayer(3, 0.5), ("larger",)),
            Node("pixels", LayerNormLayer(np.ones(1), np.zeros(1)), ("near",)),
            Node("blocks", SpaceToDepthLayer(1), ("pixels",)),
            Node("back", DepthToSpaceLayer(1), ("blocks",)),
            Node("both", ConcatLayer(), ("back", "larger")),
            Node("means", ReduceLayer("mean", ("rows", "columns")), ("both",)),
            Node("row", ViewLayer(Layout("nchw"), (0, 2, 3, 1), 1, (1, 1, 1, 6)), ("means",)),
            Node("shares", SoftmaxLayer(("columns",)), ("row",)),
        )
    )


def test_layers_behind_follow_changes_of_settings_and_weights(show: Opener) -> None:
    picture = random_picture((12, 10, 3))
    weights = np.random.default_rng(6).normal(size=(2, 2, 4, 3)).astype(np.float32)
    first = float(weights[1, 0, 1, 2])
    network = decoder(1, weights, first, 0.5)
    tab = show(network_page_data(network, picture, "shares", Unit((0, 2)), title="net"))
    compare(tab, network, picture, {})
    # By the fields: a weight of the transposed convolution, then a number of the norm.
    tab.evaluate("cnncli.apply({ unit: { layer: 'up', map: 2, at: [5, 4] }, block: 1 })")
    weight = tab.get_by_label("Weight at row 1, column 0")
    assert number(weight.input_value()) == pytest.approx(first, abs=1e-3)
    weight.fill("0.75")
    weight.press("Tab")
    tab.evaluate("cnncli.apply({ unit: { layer: 'norm', map: 1, at: [2, 2] } })")
    gamma = tab.get_by_label("gamma")
    gamma.fill("-0.25")
    gamma.press("Tab")
    tab.evaluate("cnncli.apply({ layers: {} })")
    compare(tab, decoder(1, weights, 0.75, -0.25), picture, {})
    # Sizes change: all behind follow, by their own rules.
    tab.evaluate("cnncli.apply({ layers: { conv: { stride: [2, 2] } } })")
    compare(tab, decoder(2, weights, 0.75, -0.25), picture, {})


def test_a_unit_shows_what_its_layer_has_and_who_sends_gradient(show: Opener) -> None:
    picture = random_picture((12, 10, 3))
    weights = np.random.default_rng(6).normal(size=(2, 2, 4, 3)).astype(np.float32)
    network = decoder(1, weights, 0.25, 0.5)
    tab = show(network_page_data(network, picture, "shares", Unit((0, 2)), title="net"))
    tab.evaluate("cnncli.apply({ gradients: true })")
    tab.evaluate("cnncli.apply({ cell: { layer: 'norm', channel: 1, at: [2, 2] } })")
    sentence = tab.text_content("#gradient-sentence")
    assert "the sum of 12 products" in sentence
    read = """() => [cnncli.senders().reduce((sum, { product }) => sum + product, 0),
      cnncli.gradients().byLayer.get("norm").planes[1][2 * 10 + 2]]"""
    added, gradient = tab.evaluate(read)
    assert added == pytest.approx(gradient, rel=1e-6)
    assert gradient != 0
    for name in network.names:
        tab.evaluate("(layer) => cnncli.apply({ unit: { layer, map: 0, at: [0, 0] } })", name)
        made, value = tab.evaluate(
            """(layer) => [cnncli.arithmetic({ layer, channel: 0, at: [0, 0] }).value,
              cnncli.value(layer, 0, 0, 0).value]""",
            name,
        )
        assert made == near(value)
        assert tab.text_content("#how").strip()
