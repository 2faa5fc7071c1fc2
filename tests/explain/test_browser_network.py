"""The numbers of a unit on the page of a network, in a real browser, against the core's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.forward import explain
from cnncli.explain.model import Step
from cnncli.explain.page import settings_data
from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.run import every_layer, find_layer
from cnncli.explain.trail import find_trail
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ConcatLayer,
    ConvLayer,
    PoolLayer,
)
from cnncli.network.load import load_model
from tests.support.browser import Opener, bank, near, number, random_picture, settle
from tests.support.page_networks import outputs, random_network, some_units

pytestmark = pytest.mark.oracle

REPOSITORY = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(5)

READ = """(units) => units.map((unit) => {
  const { value, problem } = cnncli.arithmetic(unit);
  return { value: String(value), problem: problem ?? "" };
})"""
"""The values of some units by the page's arithmetic, or why it has none."""


def compare(tab: Any, network: Network, picture: Picture, rng: np.random.Generator) -> None:
    """Compare units of every layer with the core, within 1e-5 of the layer's largest value.

    A softmax may be off by as much as its input is, whose values are larger.
    """
    values = outputs(network, picture)
    for node in network.nodes:
        Y = values[node.name]
        units = some_units(rng, node.name, Y)
        is_softmax = getattr(node.layer, "activation", None) == "softmax"
        judged = [Y, *(values[name] for name in node.inputs if is_softmax and name in values)]
        most = max(float(np.abs(A[np.isfinite(A)]).max(initial=1e-6)) for A in judged)
        for unit, read in zip(units, tab.evaluate(READ, units), strict=True):
            assert read["problem"] == "", (node.name, read)
            (row, col), expected = unit["at"], float(Y[(*unit["at"], unit["channel"])])
            assert number(read["value"]) == pytest.approx(expected, abs=1e-5 * most), (
                node,
                row,
                col,
            )


def compare_trail(tab: Any, network: Network, picture: Picture, unit: Unit) -> None:
    """Compare the trail that the page shows with that of ``explain --trail``."""
    name = tab.evaluate("cnncli.state.unit.layer")
    expected = find_trail(every_layer(network, picture), name, unit.at, unit.map).units
    found = tab.evaluate("cnncli.trail()")
    assert [(one["layer"], one["channel"], *one["at"]) for one in found] == [
        (one.layer, one.channel, one.row, one.column) for one in expected
    ]
    amounts = [one.contribution for one in expected[1:]]
    assert [one["amount"] for one in found[1:]] == pytest.approx(amounts, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_units_of_random_networks_equal_the_core(show: Opener, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, picture = random_network(rng, (9, 8, 3)), random_picture((9, 8, 3))
    name = network.names[-1]
    data = network_page_data(network, picture, name, Unit((0, 0)), title="net")
    tab = show(data)
    compare(tab, network, picture, rng)
    compare_trail(tab, network, picture, Unit((0, 0)))


def test_joined_rows_and_columns_are_found_in_their_input(show: Opener) -> None:
    one = PoolLayer("max", 2, 1, "valid")
    nodes = [Node("pool", one, (SOURCE,))]
    nodes += [Node(axis, ConcatLayer(axis), (SOURCE, SOURCE)) for axis in ("rows", "columns")]
    network, picture = Network(tuple(nodes)), random_picture((5, 6, 2))
    data = network_page_data(network, picture, "columns", Unit((0, 0)), title="net")
    compare(show(data), network, picture, np.random.default_rng(1))


def digits(digit: int = 3, **unit: Any) -> tuple[Network, Picture, PageData]:
    model = load_model(REPOSITORY / "examples" / "digits.toml")
    path = REPOSITORY / "examples" / "digits" / f"{digit}.png"
    picture = read_image(path, ReadOptions(gray=True, size=model.input.size))
    place = unit or {"layer": "probability", "at": (0, 0), "map": digit}
    where = Unit(place["at"], place["map"])
    data = network_page_data(model.network, picture, place["layer"], where, title="digits.toml")
    return model.network, picture, data


def step_of(network: Network, picture: Picture, unit: PageData) -> Step:
    explained = find_layer(network, picture, unit["layer"], 0)
    return explain(explained, tuple(unit["at"]), unit["channel"]).steps[0]


def test_a_page_opens_on_the_answer_with_its_trail(show: Opener) -> None:
    network, picture, data = digits()
    tab = show(data)
    trail = tab.evaluate("cnncli.trail()")
    names = [unit["layer"] for unit in trail]
    assert names == ["probability", "digit", "pool2", "conv3", "pool1", "conv2", "conv1", "input"]
    assert [unit["channel"] for unit in trail[:2]] == [3, 3]
    values = outputs(network, picture)
    for unit, source in zip(trail, trail[1:], strict=False):
        step = step_of(network, picture, unit)
        assert step.value == near(values[unit["layer"]][(*unit["at"], unit["channel"])])
        if not unit["layer"].startswith(("conv", "digit")):
            continue
        # The strongest product of all, found by the core's own explanation.
        sizes = [np.abs(block.products) for block in step.blocks]
        best = int(np.argmax([each.max() for each in sizes]))
        assert step.blocks[best].channel == source["channel"]
        assert abs(source["amount"]) == near(sizes[best].max())
    shown = tab.evaluate("[...document.querySelectorAll('#trail button')].map((b) => b.innerText)")
    assert len(shown) == len(trail)
    assert shown[0].startswith("probability 3")
    # The maps on the trail are the ones that are shown.
    compare_trail(tab, network, picture, Unit((0, 0), 3))
    maps = tab.evaluate("cnncli.state.maps")
    assert [maps[unit["layer"]] for unit in trail] == [unit["channel"] for unit in trail]


def test_maps_are_sorted_by_what_they_contribute(show: Opener) -> None:
    network, picture, data = digits(layer="conv3", at=(1, 2), map=4)
    tab = show(data)
    step = step_of(network, picture, {"layer": "conv3", "at": (1, 2), "channel": 4})
    order = sorted(step.blocks, key=lambda block: -abs(block.sum))
    read = """[...document.querySelectorAll("li.card")]
        .find((card) => card.querySelector("h2").textContent === "pool1")
        .querySelectorAll(".thumb")"""
    found = tab.evaluate(f"[...{read}].map((thumb) => Number(thumb.dataset.map))")
    sums = {block.channel: abs(block.sum) for block in step.blocks}
    assert [sums[channel] for channel in found] == pytest.approx([abs(b.sum) for b in order])
    text = tab.evaluate(f"{read}[0].querySelector('.share').textContent")
    assert float(text.replace("−", "-")) == pytest.approx(order[0].sum, rel=6e-3)


def test_a_click_and_enter_open_the_numbers_of_a_unit(show: Opener) -> None:
    network, picture, data = digits()
    tab = show(data)
    canvas = tab.locator("li:has(h2:text-is('conv2')) .large")
    canvas.scroll_into_view_if_needed()
    canvas.click(position={"x": 3, "y": 3})
    settle(tab)
    unit = tab.evaluate("({ ...cnncli.trail()[0] })")
    assert (unit["layer"], unit["at"]) == ("conv2", [0, 0])
    step = step_of(network, picture, unit)
    assert number(tab.get_attribute("#result", "data-value")) == near(step.value)
    sums = tab.evaluate(
        "[...document.querySelectorAll('#blocks .sum b')].map((b) => b.textContent)"
    )
    read = [float(text.replace("−", "-")) for text in sums]
    # The largest contributions come first, in the list and in the table of the result.
    ordered = sorted((block.sum for block in step.blocks), key=lambda value: -abs(value))
    assert read == pytest.approx(ordered, rel=6e-3, abs=1e-6)
    lines = tab.locator("#result td").all_text_contents()[:4]
    added = [float(text.replace("−", "-")) for text in lines]
    assert added == pytest.approx([*ordered[:3], sum(ordered[3:])], rel=6e-3, abs=1e-6)
    captions = tab.evaluate(
        "[...document.querySelectorAll('#blocks caption')].map((c) => c.textContent)"
    )
    assert captions[1:] == ["weights", "products"]
    assert tab.locator("#blocks td.pad").count() > 0
    tab.focus("li:has(h2:text-is('pool1')) .large")
    tab.keyboard.press("Enter")
    settle(tab)
    assert tab.text_content("#headline").startswith("pool1, map ")
    assert tab.locator("#blocks td.winner").count() == 1


def test_the_shares_of_a_softmax_stand_with_their_exponentials(show: Opener) -> None:
    network, picture, data = digits()
    tab = show(data)
    z = outputs(network, picture)["digit"][0, 0].astype(float)
    rows = tab.evaluate(
        "[...document.querySelectorAll('#blocks .shares tr')].map((row) => "
        "[...row.children].map((cell) => cell.textContent.replace('−', '-')))"
    )
    exponentials = np.exp(z - z.max())
    for name, *numbers in rows[1:-1]:
        k = int(name)
        expected = [z[k], exponentials[k], exponentials[k] / exponentials.sum()]
        assert [float(text) for text in numbers] == pytest.approx(expected, rel=6e-3, abs=1e-6)
    assert float(rows[-1][2]) == pytest.approx(exponentials.sum(), rel=1e-3)
    assert tab.text_content("#blocks .shares .best th") == "3"


def test_of_many_maps_the_strip_shows_those_that_contribute_most(show: Opener) -> None:
    wide, last = (from_array(RNG.normal(size=(1, 1, *shape))) for shape in ((1, 90), (90, 1)))
    network, picture = Network.chain(ConvLayer(wide), ConvLayer(last)), random_picture((6, 5, 1))
    data = network_page_data(network, picture, "conv2", Unit((2, 2)), title="net")
    tab = show(data)
    step = step_of(network, picture, {"layer": "conv2", "at": (2, 2), "channel": 0})
    order = sorted(step.blocks, key=lambda block: -abs(block.sum))
    shown = "[...document.querySelectorAll('.thumb:not([hidden])')].map((t) => t.dataset.map)"
    maps = [int(text) for text in tab.evaluate(shown)]
    assert maps == [block.channel for block in order[:64]]
    assert number(tab.get_attribute("#result", "data-value")) == near(step.value)
    assert "64 of 90 maps" in tab.text_content("#layers")


def test_weights_of_float16_are_said_and_near(show: Opener, monkeypatch: Any) -> None:
    monkeypatch.setattr(settings_data, "MOST_EXACT", 0)
    network, picture, data = digits()
    assert "float16" in " ".join(data["notes"])
    tab = show(data)
    weights = network.node("conv1").layer.filter.weights  # type: ignore[union-attr]
    unit = {"layer": "conv1", "channel": 2, "at": [3, 3]}
    found = tab.evaluate(
        "(unit) => cnncli.arithmetic(unit).step.blocks[0].cells.map((cell) => cell.weight)", unit
    )
    rounded = weights[:, :, 0, 2].astype(np.float16).ravel()
    assert found == rounded.astype(float).tolist()
    assert "float16" in tab.text_content("#notes")


def test_a_layer_that_is_not_computed_says_where_its_numbers_are(
    show: Opener, monkeypatch: Any
) -> None:
    monkeypatch.setattr(settings_data, "MOST_WEIGHTS", 0)
    network = Network.chain(ConvLayer(bank((3, 3, 1, 2))))
    (name,) = network.names
    data = network_page_data(network, random_picture((6, 6, 1)), name, Unit((2, 3)), title="net")
    tab = show(data)
    assert f"cnncli explain with --layer {name} --at 2,3 prints them" in tab.text_content("#how")
    assert tab.locator("#blocks > *").count() == 0
