"""Which weight should grow, and who sends gradient: the page of a network against the core."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import REPOSITORY, Opener, bank, random_picture, settle, until
from tests.support.page_gradients import gradient_of

pytestmark = pytest.mark.oracle


DIGITS = load_model(REPOSITORY / "examples" / "digits.toml").network
THREE = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
LABEL = "document.activeElement.getAttribute('aria-label')"


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace("≈ 0", "0")) for text in texts]


def steepest(dW: Any) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(int(np.abs(dW).argmax()), dW.shape))


def led_to_weights(show: Opener) -> Any:
    """The page of the digits, on which a learner asks for more of 8."""
    tab = show(network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net"))
    assert tab.text_content("#why") == "Why 3 and not"
    tab.select_option("#against", "8")
    tab.click("#raise-other")
    until(tab, "cnncli.gradients()?.key === 'digit,8,0,0'")
    return tab


def test_a_learner_is_led_to_the_weight_of_each_layer_that_counts_most(show: Opener) -> None:
    tab = led_to_weights(show)
    assert tab.evaluate("document.activeElement.id") == "weights-title"
    assert tab.text_content("#why") == "Why 8 and not"
    assert tab.input_value("#against") == "3"
    assert "To lower digit 8, the other way round" in tab.text_content("#weight-rule")
    core = gradient_of(DIGITS, THREE.values(), "digit", 8)
    # The steepest of all comes first.
    rows = tab.locator("#layer-weights tr").all()[1:]
    told = [row.locator("th, td").all_text_contents() for row in rows]
    found = {name: (steepest(p["W"]), p["W"]) for name, p in core.parameters.items() if "W" in p}
    order = sorted(found, key=lambda name: -np.abs(found[name][1]).max())
    for (place, now, gradient, way), name in zip(told, order, strict=True):
        (i, j, depth, map_), dW = found[name]
        assert place.startswith(f"{name}, filter {map_}")
        assert place.endswith(f"at row {i}, column {j}")
        layer = DIGITS.node(name).layer
        assert isinstance(layer, ConvLayer)
        expected = [layer.filter.weights[i, j, depth, map_], dW[i, j, depth, map_]]
        np.testing.assert_allclose(numbers([now, gradient]), expected, rtol=0.01)
        assert way == ("Grow by 0.01" if expected[1] > 0 else "Fall by 0.01")
    assert "another layer before the unit, choose it in Layers" in tab.inner_text("#other-weights")


@pytest.mark.parametrize("layer", ["digit", "conv3", "conv2"])
def test_the_steepest_weight_of_a_layer_leads_to_its_field(show: Opener, layer: str) -> None:
    tab = led_to_weights(show)
    tab.click(f".node[title='{layer}']")
    dW = gradient_of(DIGITS, THREE.values(), "digit", 8).parameters[layer]["W"]
    i, j, depth, map_ = steepest(dW)
    said = tab.text_content("#steepest")
    source = DIGITS.node(layer).inputs[0]
    place = (
        f"the one of filter {map_} for map {depth} of {source} at row {i}, column {j} counts most"
    )
    assert said.startswith(f"Of the {dW.size} weights of {layer}, {place}: ")
    assert ("let it grow" in said) == (dW[i, j, depth, map_] > 0)
    if tab.text_content("#to-steepest") == "Show it":
        shown_map = tab.evaluate("view.senders.cell.channel")
        shown_source = tab.input_value("#kernel-channel")
        assert said.endswith(
            f"The tables below are of filter {shown_map} for map {shown_source} of {source}."
        )
        tab.click("#to-steepest")
    assert tab.text_content("#steepest").endswith("It is framed below.")
    assert tab.evaluate("cnncli.state.cell.channel") == map_
    framed = numbers(tab.locator("#weight-gradients .steepest").all_text_contents())
    conv = DIGITS.node(layer).layer
    assert isinstance(conv, ConvLayer)
    expected = [conv.filter.weights[i, j, depth, map_], dW[i, j, depth, map_]]
    np.testing.assert_allclose(framed, expected, rtol=0.05)
    assert tab.text_content("#to-steepest") == "Go to it"
    tab.click("#to-steepest")
    until(tab, f"{LABEL} === 'Weight at row {i}, column {j}'")
    assert tab.evaluate("[cnncli.state.unit.layer, cnncli.state.unit.map]") == [layer, map_]
    assert tab.get_attribute("#gradients", "aria-pressed") == "true"
    assert tab.is_visible("#gradient-panel")
    assert tab.input_value("#depth") == str(depth)
    fields = tab.locator("#filter-body .grid input")
    assert float(fields.nth(dW.shape[1] * i + j).input_value()) == pytest.approx(
        framed[0], rel=0.01
    )


@pytest.mark.parametrize("name", ["conv3", "digit"])
def test_a_click_changes_a_weight_so_that_the_score_grows(show: Opener, name: str) -> None:
    tab, node = led_to_weights(show), DIGITS.node(name)
    dW = gradient_of(DIGITS, THREE.values(), "digit", 8).parameters[name]["W"]
    assert isinstance(node.layer, ConvLayer)
    weights = node.layer.filter.weights.copy()
    assert tab.text_content("#weight-effect") == ""
    top = tab.locator(f"#layer-weights [data-key={name}]").bounding_box()["y"]
    for clicks in (1, 2):
        # The same weight stays the steepest while the steps are small.
        weights[steepest(dW)] += 0.01 * np.sign(dW[steepest(dW)])
        layer = dataclasses.replace(node.layer, filter=from_array(weights))
        nodes = [dataclasses.replace(n, layer=layer) if n.name == name else n for n in DIGITS.nodes]
        network = Network(tuple(nodes))
        after = dict(forward_layers(network, THREE.values(), network.names))["digit"][0, 0, 0, 8]
        before = tab.text_content("#weight-effect")
        tab.locator(f"#layer-weights [data-key={name}]").click()
        until(tab, f"document.getElementById('weight-effect').textContent !== {before!r}")
        settle(tab)
        told = re.findall(
            r"digit 8: (\S+) before the change, (\S+) now", tab.text_content("#weight-effect")
        )
        first, now = numbers(list(told[0]))
        assert now == pytest.approx(after, rel=1e-3)
        gain = 0.01 * clicks * abs(dW[steepest(dW)])
        assert now - first == pytest.approx(gain, rel=0.3)
        button = tab.locator(f"#layer-weights [data-key={name}]")
        assert abs(button.bounding_box()["y"] - top) < 40
        assert tab.evaluate("document.activeElement.dataset.key") == name


NETWORK = Network.chain(
    ConvLayer(bank((3, 3, 3, 4)), padding="same", activation="relu"),
    PoolLayer(size=2),
    ConvLayer(bank((3, 3, 4, 5)), padding="same"),
)
PICTURE = random_picture((12, 12, 3), "float64")
PURPLE = """(canvas) => {
  const wanted = getComputedStyle(document.documentElement).getPropertyValue("--pad").trim();
  const parts = [1, 3, 5].map((first) => parseInt(wanted.slice(first, first + 2), 16));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = [];
  for (let at = 0; at < data.length; at += 4) {
    const isIt = parts.every((part, k) => Math.abs(data[at + k] - part) < 60);
    if (isIt) found.push([Math.floor(at / 4 / canvas.width), (at / 4) % canvas.width]);
  }
  return { found, width: canvas.width };
}"""
"""Where a canvas has the colour of cells that send gradient."""


def test_the_cells_that_send_gradient_are_outlined_on_their_maps(show: Opener) -> None:
    data = network_page_data(NETWORK, PICTURE, "conv2", Unit((2, 3), 2), title="net")
    tab = show(data | {"gradients": {"layer": "pool1", "channel": 1, "at": [2, 3]}})
    until(tab, "cnncli.gradients() !== null")
    for layer, reader, at in (("conv1", "pool1", [4, 6]), ("input", "conv1", [5, 6])):
        cell = {"layer": layer, "channel": 1, "at": at}
        tab.evaluate("cell => cnncli.apply({ cell })", cell)
        settle(tab)
        sent: dict[int, set[tuple[int, int]]] = {}
        for path in tab.evaluate("cnncli.senders()"):
            assert path["layer"] == reader
            if path["product"] != 0:
                sent.setdefault(path["channel"], set()).add(tuple(path["at"]))
        tab.evaluate("maps => cnncli.apply({ maps })", {reader: next(iter(sent), 0)})
        card = tab.locator(f"[data-layer='{reader}']")
        card.locator(".strip").scroll_into_view_if_needed()
        settle(tab)
        for index in range(4):
            seen = card.locator(f".thumb[data-map='{index}'] canvas").evaluate(PURPLE)
            assert bool(seen["found"]) == (index in sent), (layer, index)
        if not sent:
            continue
        card.locator(".large").scroll_into_view_if_needed()
        settle(tab)
        seen = card.locator(".large").evaluate(PURPLE)
        cells = next(iter(sent.values()))
        side = seen["width"] / (6 if reader == "pool1" else 12)
        rows, cols = zip(*cells, strict=True)
        found = np.array(seen["found"]) / side
        low, high = found.min(axis=0), found.max(axis=0)
        assert low == pytest.approx([min(rows), min(cols)], abs=0.15)
        assert high == pytest.approx([max(rows) + 1, max(cols) + 1], abs=0.15)
        said = card.locator(".send-text").text_content()
        assert said.startswith(f"outlined: {len(cells)} cell")


def test_the_input_channel_of_the_weights_gradients_can_be_chosen(show: Opener) -> None:
    data = network_page_data(NETWORK, PICTURE, "conv2", Unit((2, 3), 2), title="net")
    tab = show(data | {"gradients": {"layer": "conv1", "channel": 3, "at": [5, 6]}})
    until(tab, "cnncli.gradients() !== null")
    core = gradient_of(NETWORK, PICTURE.values(), "conv2", 2, (2, 3))
    dW = core.parameters["conv1"]["W"][..., 3]
    sizes = np.abs(dW).max(axis=(0, 1))
    options = tab.locator("#kernel-channel option")
    order = [int(option.get_attribute("value")) for option in options.all()]
    assert order == list(np.argsort(-sizes, kind="stable"))
    read = "#weight-gradients table >> nth=1"
    for depth in (order[0], order[2], order[1]):
        tab.select_option("#kernel-channel", str(depth))
        texts = tab.locator(read).locator("td").all_text_contents()
        expected = dW[:, :, depth].ravel()
        np.testing.assert_allclose(numbers(texts), expected, rtol=0.05, atol=1e-4 * sizes.max())
    # It stays while the cell moves on its map, and is not that of another map.
    tab.evaluate("cnncli.apply({ cell: { layer: 'conv1', channel: 3, at: [4, 6] } })")
    assert tab.input_value("#kernel-channel") == str(order[1])
    tab.evaluate("cnncli.apply({ cell: { layer: 'conv1', channel: 0, at: [4, 6] } })")
    other = np.abs(core.parameters["conv1"]["W"][..., 0]).max(axis=(0, 1))
    assert tab.input_value("#kernel-channel") == str(other.argmax())
    # A layer without weights leads to one that has some.
    tab.evaluate("cnncli.apply({ cell: { layer: 'pool1', channel: 0, at: [2, 3] } })")
    assert tab.text_content("#no-weights") == "pool1 has no weights."
    tab.get_by_role("button", name="Weights of conv1").click()
    assert tab.evaluate("cnncli.state.cell.layer") == "conv1"
    assert tab.locator("#weight-body").is_visible()


def test_a_button_beside_the_unit_tells_which_weight_should_grow(show: Opener) -> None:
    tab = show(network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net"))
    tab.click("#ask-weights")
    until(tab, "cnncli.gradients()?.key === 'digit,3,0,0'")
    core = gradient_of(DIGITS, THREE.values(), "digit", 3)
    found = {name: p["W"] for name, p in core.parameters.items() if "W" in p}
    name = max(found, key=lambda one: np.abs(found[one]).max())
    i, j, depth, map_ = steepest(found[name])
    layer = DIGITS.node(name).layer
    assert isinstance(layer, ConvLayer)
    now, gradient = layer.filter.weights[i, j, depth, map_], found[name][i, j, depth, map_]
    source = DIGITS.node(name).inputs[0]
    assert gradient > 0
    assert tab.text_content("#weight-answer") == (
        f"The weight that counts most for digit 3 should grow: {name}, filter {map_} for map "
        f"{depth} of {source} at row {i}, column {j}. It is {now:.3g}; if it grows by 0.01, "
        f"digit 3 grows by about {0.01 * gradient:.3g}. It counts most because of all "
        "values that its filter reads it multiplies the one of largest magnitude."
    )
    before = dict(forward_layers(DIGITS, THREE.values(), DIGITS.names))[source]
    assert np.abs(before).max() == pytest.approx(abs(before[0, i, j, depth]))
    # It stands at the top, and the button is of no more use.
    assert tab.locator("#weight-answer").bounding_box()["y"] < 500
    assert not tab.is_visible("#ask-weights")


def test_on_a_phone_the_answer_is_in_sight_and_the_comparison_fits(show: Opener) -> None:
    data = network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net")
    tab = show(data, viewport={"width": 360, "height": 740}, has_touch=True)
    settle(tab)
    panel, table = (tab.locator(f"#comparison{end}").bounding_box() for end in ("", "-table"))
    assert table["x"] + table["width"] <= panel["x"] + panel["width"]
    tab.locator("#ask-weights").tap()
    until(tab, "document.activeElement.id === 'weights-title'")
    box = tab.locator("#weight-answer").bounding_box()
    assert box["height"] > 20 and box["y"] >= 0 and box["y"] + box["height"] <= 740
