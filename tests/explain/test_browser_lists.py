"""Lists of maps and sums: the chosen one is scrolled into sight; who scrolls on stays there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from tests.support.browser import Opener, bank, page_data_of, random_picture, settle

pytestmark = pytest.mark.oracle

IN_SIGHT = """([list, item]) => {
  const boxOf = (name) => document.querySelector(name).getBoundingClientRect();
  const [outer, inner] = [list, item].map(boxOf);
  return inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1
    && inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
}"""


@pytest.mark.parametrize(
    ("list_", "shape", "changes"),
    [("#maps", (3, 3, 1, 60), "{ map: 55 }"), ("#blocks .sums", (3, 3, 90, 1), "{ block: 85 }")],
)
def test_the_chosen_one_of_many_is_scrolled_into_sight(
    show: Opener, list_: str, shape: Any, changes: str
) -> None:
    tab = show(page_data_of(random_picture((7, 7, shape[2])), ConvLayer(bank(shape)), (3, 3)))
    settle(tab)
    chosen = f"{list_} [aria-pressed=true]"
    assert tab.evaluate(IN_SIGHT, [list_, chosen])
    before = tab.evaluate("scrollY")
    tab.evaluate(f"cnncli.apply({changes})")
    settle(tab)
    assert tab.evaluate(IN_SIGHT, [list_, chosen])
    assert tab.evaluate("scrollY") == before
    # Who scrolls on stays there while something else changes.
    tab.evaluate(f"document.querySelector('{list_}').scrollTo(0, 0)")
    settle(tab)
    tab.evaluate("cnncli.apply({ layer: { bias: Float64Array.of(1) } })")
    settle(tab)
    assert not tab.evaluate(IN_SIGHT, [list_, chosen])


def test_the_strongest_sum_of_another_unit_is_scrolled_into_sight(show: Opener) -> None:
    # The last channel sends most to each unit: its sum is the first of the list.
    grows = from_array(np.arange(1, 91, dtype=float).reshape(1, 1, 1, 90))
    network = Network.chain(ConvLayer(grows), ConvLayer(from_array(np.ones((1, 1, 90, 2)))))
    picture = random_picture((9, 9, 1))
    tab = show(network_page_data(network, picture, "conv2", Unit((3, 3)), title="net"))
    scroll = "document.querySelector('#blocks .sums').scrollTo(0, 9999)"
    choose = "at => cnncli.apply({ unit: { layer: 'conv2', map: 0, at } })"
    chosen = ["#blocks .sums", "#blocks .sums [aria-pressed=true]"]
    for at in ([3, 4], [3, 5]):
        tab.evaluate(choose, at)
        settle(tab)
        assert tab.evaluate(IN_SIGHT, chosen)
        tab.evaluate(scroll)
        settle(tab)
        # The same unit again.
        tab.evaluate(choose, at)
        settle(tab)
        assert not tab.evaluate(IN_SIGHT, chosen)
