"""Who sends gradient on a network's page: colour maps, large maps, branches, and after a quiz."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, AddLayer, ConvLayer, PoolLayer
from tests.support.browser import Opener, bank, picture_of, random_picture, settle, until

pytestmark = pytest.mark.oracle

COLOURED = Network.chain(PoolLayer(size=1), ConvLayer(bank((3, 3, 3, 2)), padding="same"))


def open_at(show: Opener, network: Network, picture: Any, unit: Any, cell: Any) -> Any:
    layer = network.names[-1]
    tab = show(network_page_data(network, picture, layer, unit, title="net") | {"gradients": cell})
    until(tab, "cnncli.gradients() !== null")
    settle(tab)
    return tab


def test_green_and_blue_cells_of_a_colour_map_are_outlined(show: Opener) -> None:
    cell = {"layer": "input", "channel": 0, "at": [4, 4]}
    tab = open_at(show, COLOURED, random_picture((9, 9, 3)), Unit((4, 4), 1), cell)
    said = []
    for channel in range(3):
        tab.evaluate("cell => cnncli.apply({ cell })", cell | {"channel": channel})
        said.append(tab.text_content("[data-layer=pool1] .send-text"))
    assert said == ["outlined: 1 cell that sends gradient"] * 3
    outlined = """() => {
      const all = [];
      outlineGroup = (_, cells) => all.push(cells);
      drawLayerMap(document.createElement("canvas"), byName.get("pool1"), 0, LARGE);
      return all;
    }"""
    assert tab.evaluate(outlined) == [[[4, 4]]]


def test_many_cells_are_outlined_and_found_once(show: Opener) -> None:
    cell = {"layer": "input", "channel": 0, "at": [4, 4]}
    tab = open_at(show, COLOURED, random_picture((9, 9, 3)), Unit((4, 4), 1), cell)
    kept = """(changes) => {
      const before = view.senders;
      cnncli.apply(changes);
      return view.senders === before;
    }"""
    assert tab.evaluate(kept, {"scale": "map"})
    assert not tab.evaluate(kept, {"cell": cell | {"at": [4, 5]}})
    outline = """() => {
      const context = prepareCanvas(document.createElement("canvas"), 400, 600);
      const cells = Array.from({ length: 240000 }, (_, at) => [Math.floor(at / 400), at % 400]);
      outlineGroup(context, cells, 1, "#ff0000", "#ffffff");
      const { data } = context.getImageData(0, 0, 400, 600);
      return [data[0], data[4 * 239999]];
    }"""
    assert tab.evaluate(outline) == [255, 255]


def test_gradients_of_weights_that_are_no_numbers_are_told(show: Opener) -> None:
    values = np.ones((1, 6, 6, 1))
    values[0, 2, 2] = np.nan
    network = Network.chain(
        ConvLayer(from_array(np.ones((1, 1, 1, 2)))), ConvLayer(bank((3, 3, 2, 1)))
    )
    cell = {"layer": "conv1", "channel": 0, "at": [4, 4]}
    tab = open_at(show, network, picture_of(values), Unit((3, 3)), cell)
    told = (
        "2 of the gradients of the 2 weights of conv1 are NaN or infinite: they cannot be compared."
    )
    assert tab.text_content("#steepest") == told
    assert not tab.is_visible("#to-steepest")


def test_the_nearest_weights_are_those_of_the_shorter_branch(show: Opener) -> None:
    nodes = (
        Node("first", ConvLayer(bank((3, 3, 1, 2)), padding="same"), (SOURCE,)),
        Node("skip", ActivationLayer("tanh"), ("first",)),
        Node("second", ConvLayer(bank((3, 3, 2, 2)), padding="same"), ("skip",)),
        Node("sum", AddLayer(), ("skip", "second")),
        Node("curve", ActivationLayer("tanh"), ("sum",)),
    )
    cell = {"layer": "sum", "channel": 1, "at": [3, 3]}
    picture = random_picture((7, 7, 1))
    tab = open_at(show, Network(nodes), picture, Unit((3, 3), 1), cell)
    assert tab.text_content("#to-weights") == "Weights of second"
    tab.evaluate("cell => cnncli.apply({ cell })", cell | {"layer": "skip"})
    assert tab.text_content("#to-weights") == "Weights of first"


def test_new_gradients_are_drawn_with_new_layers_after_a_question(show: Opener) -> None:
    network = Network.chain(
        ConvLayer(bank((3, 3, 1, 2)), padding="same"),
        ConvLayer(bank((3, 3, 2, 2)), padding="same"),
        ConvLayer(bank((3, 3, 2, 1)), padding="same"),
    )
    cell = {"layer": "conv2", "channel": 1, "at": [2, 2]}
    tab = open_at(show, network, random_picture((12, 12, 1)), Unit((2, 2)), cell)
    change = "cnncli.apply({ layers: { conv1: { stride: [%d, %d] } } })"
    texts = []
    for quiz in ("", "cnncli.quiz(1);"):
        tab.evaluate(change % (1, 1))
        tab.evaluate(f"async () => {{ const done = {change % (2, 2)}; {quiz} await done; }}")
        tab.evaluate("cell => cnncli.apply({ cell })", cell)
        settle(tab)
        assert tab.evaluate("cnncli.state.quiz") is None
        texts.append(tab.text_content("#gradient-panel"))
    assert texts[0] == texts[1]
