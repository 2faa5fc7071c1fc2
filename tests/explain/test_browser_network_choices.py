"""What a learner has chosen on the page of a network is followed, in sight and not forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.explain.explained_layer import strongest_output
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.run import find_layer
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, bank, random_picture, settle

pytestmark = pytest.mark.oracle


def example(network: str, picture: str, gray: bool) -> tuple[Network, Picture]:
    model = load_model(REPOSITORY / "examples" / network)
    options = ReadOptions(gray=gray, size=model.input.size)
    return model.network, read_image(REPOSITORY / picture, options)


def digits(show: Opener) -> Any:
    network, picture = example("digits.toml", "examples/digits/3.png", gray=True)
    data = network_page_data(network, picture, "probability", Unit((0, 0), 3), title="digits")
    return show(data)


SHOWN = "(({ unit, maps, open, channel }) => ({ unit, maps, open, channel }))(cnncli.state)"
ANSWERED = """() => {
  const before = JSON.stringify(cnncli.state.unit);
  for (let seed = 0; JSON.stringify(cnncli.state.unit) === before; seed += 1) {
    cnncli.quiz(seed);
    answerQuestion(0);
  }
}"""
"""Answer questions until one is about another unit."""


def test_the_end_of_a_quiz_comes_back_to_the_chosen_unit(show: Opener) -> None:
    tab = digits(show)
    unit = {"layer": "conv3", "map": 5, "at": [1, 2]}
    tab.evaluate("unit => cnncli.apply({ unit, maps: { conv1: 4 } })", unit)
    before = tab.evaluate(SHOWN)
    assert before["unit"] == unit
    tab.evaluate(ANSWERED)
    assert tab.evaluate(SHOWN) != before
    tab.evaluate("document.getElementById('quiz-another').click()")
    tab.keyboard.press("Escape")
    assert tab.evaluate(SHOWN) == before
    assert tab.text_content("#headline").startswith("conv3, map 5, row 1, column 2: ")
    # What is chosen after an answer stays.
    tab.evaluate(ANSWERED)
    own = {"layer": "pool1", "map": 2, "at": [3, 3]}
    tab.evaluate("unit => cnncli.apply({ unit })", own)
    tab.keyboard.press("Escape")
    assert tab.evaluate("cnncli.state.unit") == own


def test_a_layer_of_the_graph_chooses_its_unit(show: Opener) -> None:
    tab = digits(show)
    trail = {unit["layer"]: unit for unit in tab.evaluate("cnncli.trail()")}
    tab.click(".node[title='conv2']")
    unit = tab.evaluate("cnncli.state.unit")
    assert (unit["layer"], unit["at"]) == ("conv2", trail["conv2"]["at"])
    assert unit["map"] == trail["conv2"]["channel"]
    assert tab.text_content("#headline").startswith(f"conv2, map {unit['map']}, row ")
    # A layer behind the unit is not on its trail: the strongest of all.
    tab.focus(".node[title='digit']")
    tab.keyboard.press("Enter")
    assert tab.evaluate("cnncli.state.unit") == {"layer": "digit", "map": 3, "at": [0, 0]}
    # Where the unit is, it stays.
    tab.evaluate("cnncli.apply({ unit: { layer: 'digit', map: 8, at: [0, 0] } })")
    tab.click(".node[title='digit']")
    assert tab.evaluate("cnncli.state.unit.map") == 8
    tab.evaluate("cnncli.apply({ gradients: true })")
    tab.click(".node[title='conv1']")
    assert tab.evaluate("cnncli.state.unit.layer") == "digit"
    assert tab.evaluate("cnncli.state.cell.layer") == "conv1"


@pytest.mark.parametrize(
    ("file", "image", "gray"),
    [
        ("digits.toml", "examples/digits/3.png", True),
        ("face/pnet.toml", "sample_images/astronaut.png", False),
    ],
)
def test_the_strongest_unit_of_a_layer_is_that_of_the_core(
    show: Opener, file: str, image: str, gray: bool
) -> None:
    network, picture = example(file, image, gray)
    name = network.names[-1]
    tab = show(network_page_data(network, picture, name, Unit((0, 0)), title="net"))
    found = tab.evaluate("cnncli.layers().slice(1).map((layer) => strongestUnit(layer))")
    for unit in found:
        index, at, _ = strongest_output(find_layer(network, picture, unit["layer"], 0))
        assert (unit["map"], unit["at"]) == (index, list(at)), unit


IN_SIGHT = """(name) => {
  const strip = document.querySelector(`[data-layer=${name}] .strip`);
  const chosen = strip.querySelector("[aria-pressed=true]");
  const [box, map] = [strip, chosen].map((one) => one.getBoundingClientRect());
  const isIn = (first, last) => map[first] >= box[first] && map[last] <= box[last];
  const isCut = strip.scrollHeight > strip.clientHeight || strip.scrollWidth > strip.clientWidth;
  return [isCut, isIn("top", "bottom") && isIn("left", "right")];
}"""


@pytest.mark.parametrize("width", [1280, 360])
def test_the_chosen_map_is_scrolled_into_sight_in_its_strip(show: Opener, width: int) -> None:
    network = Network.chain(ConvLayer(bank((3, 3, 1, 64)), padding="same"))
    picture = random_picture((12, 14, 1))
    data = network_page_data(network, picture, "conv1", Unit((5, 6), 60), title="net")
    tab = show(data, viewport={"width": width, "height": 900})
    settle(tab)
    assert tab.evaluate(IN_SIGHT, "conv1") == [True, True]
    top = tab.evaluate("window.scrollY")
    for index in (0, 33, 62):
        unit = {"layer": "conv1", "map": index, "at": [5, 6]}
        tab.evaluate("unit => cnncli.apply({ unit })", unit)
        settle(tab)
        assert tab.evaluate(IN_SIGHT, "conv1") == [True, True], index
    assert tab.evaluate("window.scrollY") == top
    # Who looks at other maps stays there.
    scroll = "document.querySelector('[data-layer=conv1] .strip')"
    tab.evaluate(f"{scroll}.scrollTo(0, 0)")
    tab.evaluate("cnncli.apply({ scale: 'map' })")
    settle(tab)
    assert tab.evaluate(f"[{scroll}.scrollTop, {scroll}.scrollLeft]") == [0, 0]


def test_a_layer_knows_its_first_settings_after_another_was_chosen(show: Opener) -> None:
    first = ConvLayer(bank((5, 5, 1, 3)), padding="same", activation="leaky-relu")
    nodes = [
        Node("first", replace(first, alpha=np.full(1, 0.3)), (SOURCE,)),
        Node("curve", ActivationLayer("softsign"), ("first",)),
        Node("pool", PoolLayer(size=2), ("curve",)),
    ]
    network, picture = Network(tuple(nodes)), random_picture((12, 14, 1))
    tab = show(network_page_data(network, picture, "first", Unit((5, 6), 1), title="net"))
    choose = "(layer) => cnncli.apply({ unit: { layer, map: 1, at: [2, 2] } })"
    settings = "(name) => cnncli.layers().find((layer) => layer.name === name).settings"
    weights = f"() => Array.from(({settings})('first').weights)"
    values = "Array.from(cnncli.layers()[1].planes[1])"
    before, image = tab.evaluate(weights), tab.evaluate(values)
    tab.select_option("#activation", "tanh")
    tab.evaluate("cnncli.apply({})")
    tab.fill("#kernel-rows", "3")
    # A field that is still typed into is left first.
    tab.evaluate(choose, "curve")
    tab.select_option("#activation", "relu")
    tab.evaluate(choose, "first")
    tab.select_option("#activation", "leaky-relu")
    tab.fill("#kernel-rows", "5")
    tab.evaluate("cnncli.apply({ layers: { first: {} } })")
    assert tab.evaluate(settings, "first")["alpha"] == pytest.approx([0.3])
    assert tab.evaluate(weights) == before
    np.testing.assert_allclose(tab.evaluate(values), image)
    # Another activation than those in the list can be chosen again.
    tab.evaluate(choose, "curve")
    tab.select_option("#activation", "softsign")
    tab.evaluate("cnncli.apply({ layers: { curve: {} } })")
    assert tab.evaluate(settings, "curve")["activation"] == "softsign"
    tab.select_option("#activation", "relu")
    tab.evaluate(choose, "first")
    tab.click("#reset")
    tab.evaluate("cnncli.apply({ layers: { curve: {} } })")
    assert tab.evaluate(settings, "curve")["activation"] == "softsign"
