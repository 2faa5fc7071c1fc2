"""Why one score is higher than another, on the page of a network."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.io.images import ReadOptions, read_image
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import Opener, until

pytestmark = pytest.mark.oracle


def decimal(text: str) -> float:
    return float(text.replace("−", "-").replace("≈ 0", "0"))


def numbers_in(text: str) -> list[float]:
    return [decimal(found) for found in re.findall(r"(?<![\w.])[+−]?\d+(?:\.\d+)?", text)]


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("layer", ["digit", "probability"])
def test_scores_are_compared_by_the_sums_of_their_maps(show: Opener, layer: str) -> None:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    X = picture.values()
    for node in network.nodes[:-2]:
        X = node.layer.forward(X)[0]
    digit = network.node("digit").layer
    assert isinstance(digit, ConvLayer) and digit.bias is not None
    sums = np.einsum("hwc,hwcm->cm", X[0], digit.filter.weights)
    tab = show(network_page_data(network, picture, layer, Unit((0, 0), 3), title="net"))
    # The highest other score comes first.
    scores = sums.sum(axis=0) + digit.bias
    scores[3] = -np.inf
    assert tab.locator("#against").input_value() == str(scores.argmax())
    tab.select_option("#against", "8")
    names = (3, 8)
    difference = sums[:, 3] - sums[:, 8]
    order = np.argsort(-np.abs(difference), kind="stable")
    rows = [r.locator("th, td").all_text_contents() for r in tab.locator("#comparison tr").all()]
    assert rows[0] == ["map of pool2", "3", "8", "difference"]
    table = {row[0]: [decimal(t) for t in row[1:]] for row in rows[1:] if len(row) == 4}
    assert list(table)[:6] == [str(k) for k in order[:6]]
    for name in list(table)[:6]:
        ours, theirs = sums[int(name), names]
        assert table[name] == pytest.approx([ours, theirs, ours - theirs], rel=6e-3, abs=1e-6)
    rest, bias = sums[order[6:]][:, names].sum(axis=0), digit.bias[[3, 8]]
    assert table["26 more"] == pytest.approx([*rest, rest[0] - rest[1]], rel=6e-3)
    assert table["bias"] == pytest.approx([*bias, bias[0] - bias[1]], rel=6e-3)
    total = sums[:, names].sum(axis=0) + bias
    assert table["total"] == pytest.approx([*total, total[0] - total[1]], rel=6e-3)
    # Each map's cell that counts most: its value, times the weights of both scores.
    weights = digit.filter.weights[..., names]
    lines = [row[0] for row in rows if len(row) == 1]
    assert len(lines) == 6
    for k, line in zip(order, lines, strict=False):
        by_cell = X[0, :, :, k] * (weights[:, :, k, 0] - weights[:, :, k, 1])
        at = np.unravel_index(np.abs(by_cell).argmax(), by_cell.shape)
        place, _, products = line.partition(": ")
        assert place == f"{('top', 'bottom')[at[0]]} {('left', 'right')[at[1]]}"
        value, (one, other) = X[(0, *at, k)], weights[(*at, k)]
        expected = [value, one, value * one, 3, other, value * other, 8]
        assert numbers_in(products) == pytest.approx(expected, rel=6e-3)
    # The sentence names what counts most for each of the two.
    said = tab.text_content("#comparison-text")
    won, *most = re.split(r"(?=Most for)", said)
    assert numbers_in(won) == pytest.approx(
        [3, total[0], 8, total[1], 3, *-np.diff(total)], rel=1e-3
    )
    for text, score, k in zip(most, names, (difference.argmax(), difference.argmin()), strict=True):
        named, map_, *gave = numbers_in(text)
        assert (named, map_) == (score, k)
        assert gave == pytest.approx([sums[k, 3], 3, sums[k, 8], 8], rel=6e-3)
    # From a map of the table to its unit that counts most in the difference, and back.
    first = int(order[0])
    products = X[0, :, :, first] * (
        digit.filter.weights[..., first, 3] - digit.filter.weights[..., first, 8]
    )
    tab.focus(f"#comparison-table [data-key='{first}']")
    tab.keyboard.press("Enter")
    at = list(np.unravel_index(np.abs(products).argmax(), products.shape))
    assert tab.evaluate("cnncli.state.unit") == {"layer": "pool2", "map": first, "at": at}
    assert tab.text_content("#trail [aria-current]").startswith(f"pool2 {first} at ")
    assert tab.text_content("#to-comparison") == "Back to why 3 and not 8"
    assert tab.evaluate("document.activeElement.id") == "to-comparison"
    tab.keyboard.press("Enter")
    assert tab.evaluate("cnncli.state.unit") == {"layer": layer, "map": 3, "at": [0, 0]}
    assert tab.input_value("#against") == "8"
    assert tab.is_hidden("#to-comparison")


SCORES = [("digit 3", "digit", 3, (0, 0)), ("digit 8", "digit", 8, (0, 0))]
UNIT = [("conv2 8 at 2, 1", "conv2", 8, (2, 1))]


@pytest.mark.parametrize(
    ("begin", "changed", "map_", "told"),
    [("probability", "conv1", 7, SCORES), ("conv2", "conv2", 8, UNIT)],
)
def test_the_editor_tells_what_a_change_did(
    show: Opener, begin: str, changed: str, map_: int, told: list[tuple[str, str, int, Any]]
) -> None:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    beginning = Unit((0, 0), 3) if begin == "probability" else Unit((2, 1), 8)
    tab = show(network_page_data(network, picture, begin, beginning, title="net"))
    if begin == "probability":
        tab.select_option("#against", "8")
    tab.evaluate(f"cnncli.apply({{ unit: {{ layer: '{changed}', map: {map_}, at: [2, 1] }} }})")
    assert tab.text_content("#effect") == ""
    depth = int(tab.input_value("#depth")) if tab.locator("#depth").count() else 0
    tab.locator("#filter-body .grid input").nth(1).fill("1")
    until(tab, "document.getElementById('effect').textContent !== ''")
    before = dict(forward_layers(network, picture.values(), network.names))
    conv = network.node(changed).layer
    assert isinstance(conv, ConvLayer)
    weights = conv.filter.weights.copy()
    weights[0, 1, depth, map_] = 1
    layer = dataclasses.replace(conv, filter=from_array(weights))
    nodes = [dataclasses.replace(n, layer=layer) if n.name == changed else n for n in network.nodes]
    after = dict(forward_layers(Network(tuple(nodes)), picture.values(), network.names))
    text = tab.text_content("#effect").replace("−", "-")
    found = re.findall(r"([a-z].*?): (\S+) before the change, (\S+) now\.", text)
    assert [name for name, *_ in found] == [name for name, *_ in told]
    for (_, *numbers), (_, name, channel, at) in zip(found, told, strict=True):
        expected = [values[name][(0, *at, channel)] for values in (before, after)]
        assert [float(number) for number in numbers] == pytest.approx(expected, rel=1e-3)
    tab.click("#reset")
    until(tab, "document.getElementById('effect').textContent === ''")


def test_switching_a_map_off_tells_what_it_did_to_the_compared_scores(show: Opener) -> None:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    tab = show(network_page_data(network, picture, "probability", Unit((0, 0), 3), title="net"))
    tab.select_option("#against", "8")
    tab.locator("#comparison-table [data-key='6']").click()
    assert tab.text_content("#off-effect") == ""
    tab.get_by_role("button", name="Switch map 6 off", exact=True).click()
    until(tab, "document.getElementById('off-effect').textContent !== ''")
    values = dict(forward_layers(network, picture.values(), network.names))
    without = values["pool2"].copy()
    without[..., 6] = 0
    digit = network.node("digit").layer
    assert isinstance(digit, ConvLayer)
    now = digit.forward(without)[0]
    told = numbers_in(tab.text_content("#off-effect"))
    expected = [
        number for k in (3, 8) for number in (k, values["digit"][0, 0, 0, k], now[0, 0, 0, k])
    ]
    assert told == pytest.approx(expected, rel=1e-3)
    tab.get_by_role("button", name="Switch map 6 on again").click()
    until(tab, "document.getElementById('off-effect').textContent === ''")
    assert tab.evaluate("cnncli.value('digit', 3, 0, 0).value") == pytest.approx(
        float(values["digit"][0, 0, 0, 3]), rel=1e-6
    )
