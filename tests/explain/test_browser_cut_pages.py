"""Units of stored pages that hold only a part of what they are made from, against the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page import stored_network_data
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ConvLayer, LRNLayer, MatMulLayer
from cnncli.network.passes import forward_layers
from tests.support.browser import Opener, number, random_picture

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(7)
ROWS = """(selector) => [...document.querySelectorAll(`${selector} tr`)].map((row) =>
  [...row.children].map((cell) => cell.textContent))"""
SAID = "It is made from maps or cells that this page does not hold."


def conv(*shape: int, **options: Any) -> ConvLayer:
    return ConvLayer(from_array(RNG.normal(size=shape)), **options)


@pytest.fixture
def show_cut(show: Opener, monkeypatch: Any) -> Any:
    """Open a page with 3 maps of each layer on a unit; returns its tab and the layers' values."""

    def opener(network: Network, unit: Unit) -> tuple[Any, dict[str, Any]]:
        monkeypatch.setattr(stored_network_data, "ROOM_FOR_WHOLE", 0)
        monkeypatch.setattr(stored_network_data, "MOST_MAPS", 3)
        picture = random_picture((4, 6, 3), "float64")
        name = network.names[-1]
        values = dict(forward_layers(network, picture.values(), network.names))
        tab = show(stored_network_page_data(network, picture, name, unit, title="net"))
        return tab, values

    return opener


def compare(tab: Any, values: dict[str, Any], layer: str, channels: list[int]) -> None:
    """Every unit of some channels is computed, and is the core's."""
    found = tab.evaluate(
        """([layer, channels, rows, cols]) => channels.flatMap((channel) => rows.flatMap((row) =>
          cols.map((col) => cnncli.arithmetic({ layer, channel, at: [row, col] }))))
          .map(({ value }) => String(value))""",
        [layer, channels, list(range(4)), list(range(6))],
    )
    expected = values[layer][0].transpose(2, 0, 1)[channels].ravel()
    most = float(np.abs(expected).max())
    np.testing.assert_allclose(list(map(number, found)), expected, rtol=0, atol=1e-5 * most)
    assert tab.text_content("#how") != SAID


def texts_of(tab: Any, selector: str) -> dict[str, list[str]]:
    return {name: rest for name, *rest in tab.evaluate(ROWS, selector)}


def decimal(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.mark.parametrize("size", [4, 5])
def test_lrn_has_the_squares_of_channels_that_are_not_there(show_cut: Any, size: int) -> None:
    layer = LRNLayer(size, alpha=0.9, beta=0.6, bias=1.3)
    network = Network.chain(conv(1, 1, 3, 8), layer)
    name = network.names[-1]
    tab, values = show_cut(network, Unit((1, 2), 5))
    held = tab.evaluate("(name) => byName.get(name).channels", name)
    assert held == [0, 1, 5]
    compare(tab, values, name, [5])
    # Of another channel even the value itself is not there.
    there = tab.evaluate("byName.get('conv1').channels")
    assert 0 not in there and 5 in there and not {*range(3, 8)} <= {*there}
    other = tab.evaluate("(layer) => cnncli.arithmetic({ layer, channel: 0, at: [1, 2] })", name)
    assert other["problem"] == SAID
    near = layer.channels(5, 8)
    squares = float((values["conv1"][0, 1, 2, near] ** 2).sum())
    told = texts_of(tab, "#result")
    count = near.stop - near.start
    assert decimal(told[f"squares of {count} channels"][0]) == pytest.approx(squares, rel=1e-3)
    assert tab.text_content("#trail li:nth-child(2)").startswith("conv1 5 (filter-5) at 1, 2")


def test_matmul_adds_up_what_it_holds_and_tells_the_rest(show_cut: Any) -> None:
    nodes = (
        Node("one", conv(1, 1, 3, 6), (SOURCE,)),
        Node("other", conv(1, 1, 3, 4), (SOURCE,)),
        Node("product", MatMulLayer(), ("one", "other")),
    )
    tab, values = show_cut(Network(nodes), Unit((1, 2), 1))
    held = tab.evaluate("byName.get('one').channels")
    assert len(held) == 3
    compare(tab, values, "product", tab.evaluate("byName.get('product').channels"))
    products = values["one"][0, 1, 2] * values["other"][0, 1, :, 1]
    assert tab.text_content("#how").startswith("The sum of 6 products: ")
    told = texts_of(tab, "#blocks")
    for k in held:
        row = told[f"one {k} (filter-{k}) at 1, 2 × other 1 (filter-1) at 1, {k}"]
        assert decimal(row[2]) == pytest.approx(products[k], rel=1e-3)
    rest = products.sum() - products[held].sum()
    assert decimal(told["3 products of values that this page does not hold"][2]) == pytest.approx(
        rest, rel=1e-3
    )
    ends = "Ends at product: this page holds only a part of what it reads."
    assert tab.text_content("#trail-end") == ends


@pytest.mark.parametrize("activation", ["softmax", "log-softmax"])
def test_a_share_of_a_group_has_the_total_of_all_groups(show_cut: Any, activation: str) -> None:
    grouped = conv(3, 3, 3, 6, padding="same", groups=2, activation=activation)
    network = Network.chain(conv(1, 1, 3, 6), grouped)
    tab, values = show_cut(network, Unit((1, 2), 1))
    assert tab.evaluate("[byName.get('conv1').channels, byName.get('conv2').channels]") == [
        [0, 1, 2],
        [0, 1, 2],
    ]
    compare(tab, values, "conv2", [0, 1, 2])
    (total,) = [name for name in texts_of(tab, "#blocks .shares") if name.startswith("total")]
    assert total == "total, with 5 more"
