"""Numbers on the page of a network: those that are not finite, and those beside bars."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import Opener, bank, picture_of, settle

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(31)


def test_what_is_not_finite_is_told_plainly(show: Opener) -> None:
    values = RNG.normal(size=(1, 6, 6, 1))
    values[0, 2, 2], values[0, 5, 5] = np.nan, np.inf
    network = Network.chain(
        ConvLayer(from_array(np.ones((1, 1, 1, 2))), padding="same"),
        PoolLayer(size=2),
        ConvLayer(bank((3, 3, 2, 5)), padding="valid"),
    )
    data = network_page_data(network, picture_of(values), "conv2", Unit((0, 0), 1), title="net")
    tab = show(data)
    magenta = "(node) => getComputedStyle(node).backgroundColor === 'rgb(255, 0, 255)'"
    said = []
    for layer, at in (("conv1", [2, 2]), ("pool1", [1, 1]), ("pool1", [2, 2]), ("conv2", [0, 0])):
        unit = {"layer": layer, "map": 1, "at": at}
        tab.evaluate("unit => cnncli.apply({ unit })", unit)
        assert tab.locator(".swatch").evaluate(magenta), unit
        said.append(tab.text_content("#result .drawn"))
        assert "level" not in tab.text_content("main"), unit
    starts = [text.partition(":")[0] for text in said]
    assert starts == ["not a number", "not a number", "infinite", "not a number"]
    assert all("drawn in magenta" in text for text in said)
    # So are the cells of the window, and the products.
    assert tab.locator("#blocks td", has_text="NaN").first.evaluate(magenta)
    assert "they cannot be compared" in tab.text_content("#comparison-text")
    assert tab.text_content("#answer") == "No score of conv2 is a finite number."
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool1', map: 0, at: [1, 1] } })")
    assert "the result is NaN" in tab.text_content("#how")
    tab.evaluate("cnncli.apply({ gradients: true })")
    assert "NaN" not in tab.text_content("[data-layer=input] .range")


def test_a_map_of_no_finite_value_is_not_called_zero(show: Opener) -> None:
    values = np.full((1, 4, 4, 2), np.nan)
    values[0, :, 1:, 1] = 3
    network = Network.chain(PoolLayer(size=1))
    data = network_page_data(network, picture_of(values), "pool1", Unit((0, 0)), title="net")
    tab = show(data)
    told = "values are NaN or infinite, drawn in magenta"
    texts = []
    for index in range(2):
        tab.evaluate("index => cnncli.apply({ maps: { pool1: index } })", index)
        texts.append(tab.text_content("[data-layer=pool1] .range"))
    assert texts == [f"16 {told}", f"4 {told}; 3 everywhere else"]
    # No answer of the quiz is a number where there is none.
    for seed in range(12):
        tab.evaluate("seed => cnncli.quiz(seed)", seed)
        assert tab.evaluate("cnncli.state.quiz.question.topic") != "strongest"
    tab.keyboard.press("Escape")


APART = """() => {
  const apart = [];
  for (const row of document.querySelectorAll(".end-numbers, .scores .thumb")) {
    const all = [...row.querySelectorAll("span:not(.hidden), b")];
    const texts = all.filter((one) => one.textContent);
    const boxes = texts.map((one) => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return range.getBoundingClientRect();
    }).filter(({ width }) => width > 1);
    const track = row.querySelector(".track");
    if (track) boxes.push(track.getBoundingClientRect());
    boxes.sort((a, b) => a.left - b.left);
    apart.push(...boxes.slice(1).map((box, k) => box.left - boxes[k].right));
  }
  return apart;
}"""
"""How far the texts and bars of each row are apart, in pixels."""


@pytest.mark.parametrize("side", [5, 6])
@pytest.mark.parametrize("width", [1280, 360])
def test_numbers_beside_bars_never_overlap(show: Opener, width: int, side: int) -> None:
    """Of maps with one column or one cell, with numbers as long as they come."""
    weights = from_array(RNG.normal(size=(5, 5, 1, 6)) * 1.2345e-7)
    network = Network.chain(ConvLayer(weights, padding="valid"))
    picture = picture_of(RNG.normal(size=(1, side, 5, 1)))
    data = network_page_data(network, picture, "conv1", Unit((0, 0)), title="net")
    tab = show(data, viewport={"width": width, "height": 900})
    settle(tab)
    assert tab.locator(".scores .thumb").count() == (6 if side == 5 else 0)
    assert tab.locator(".bar-ends").last.is_visible()
    assert min(tab.evaluate(APART)) > 2
