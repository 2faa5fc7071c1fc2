"""On a network's page: gradients of the score before a probability, what a unit looked at."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ActivationLayer, ConvLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, bank, random_picture, until
from tests.support.page_gradients import compare_gradients, gradient_of

pytestmark = pytest.mark.oracle

DIGITS = load_model(REPOSITORY / "examples" / "digits.toml").network
THREE = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))


def digits_page() -> PageData:
    return network_page_data(DIGITS, THREE, "probability", Unit((0, 0), 3), title="net")


def test_gradients_of_a_saturated_probability_are_those_of_the_score_before_it(
    show: Opener,
) -> None:
    tab = show(digits_page())
    tab.click("#gradients")
    until(tab, "cnncli.gradients()?.key === 'digit,3,0,0'")
    compare_gradients(tab, gradient_of(DIGITS, THREE.values(), "digit", 3))
    pressed = tab.locator("#gradient-of [aria-pressed=true]")
    assert pressed.text_content() == "the score digit 3 before softmax"
    assert "how much digit 3 grows" in tab.text_content("#gradient-meaning")
    assert "probability 3 is 0.9982" in tab.text_content("#gradient-meaning")
    # The first cell that is told of is one that sends something on, not the score itself.
    assert tab.evaluate("view.senders.cell.layer") == "pool2"
    tab.get_by_role("button", name="probability 3", exact=True).click()
    until(tab, "cnncli.gradients()?.key === 'probability,3,0,0'")
    compare_gradients(tab, gradient_of(DIGITS, THREE.values(), "probability", 3))
    assert pressed.text_content() == "probability 3"


def test_a_layer_that_the_score_is_not_made_from_says_why_it_has_no_gradients(
    show: Opener,
) -> None:
    tab = show(digits_page())
    tab.click("#gradients")
    until(tab, "cnncli.gradients()?.key === 'digit,3,0,0'")
    why = "no gradients: those of digit 3 are shown, which is not made from probability"
    assert tab.inner_text("[data-layer=probability] .largest") == why
    one = "gradients: 1 of digit 3 itself, 0 of the others"
    assert tab.text_content("[data-layer=digit] .largest") == one
    tab.get_by_role("button", name="probability 3", exact=True).click()
    until(tab, "cnncli.gradients()?.key === 'probability,3,0,0'")
    one = one.replace("digit", "probability")
    assert tab.text_content("[data-layer=probability] .largest") == one
    assert tab.text_content("[data-layer=digit] .largest") == "gradients"


def test_gradients_of_a_probability_between_are_its_own(show: Opener) -> None:
    network = Network.chain(ConvLayer(bank((6, 6, 1, 1))), ActivationLayer("sigmoid"))
    picture = random_picture((6, 6, 1), "float64")
    Z = network.nodes[0].layer.forward(picture.values())[0]
    layer = network.nodes[0].layer
    assert isinstance(layer, ConvLayer)
    for value, key in ((1.0, "activation1,0,0,0"), (7.0, "conv1,0,0,0"), (-7.0, "conv1,0,0,0")):
        biased = dataclasses.replace(layer, bias=np.array([value - float(Z[0, 0, 0, 0])]))
        changed = Network.chain(biased, ActivationLayer("sigmoid"))
        data = network_page_data(changed, picture, "activation1", Unit((0, 0)), title="net")
        tab = show(data)
        tab.click("#gradients")
        until(tab, f"cnncli.gradients()?.key === '{key}'")
        compare_gradients(tab, gradient_of(changed, picture.values(), key.split(",")[0], 0))


def test_a_softmax_of_a_layers_own_sums_has_the_gradients_of_a_sum(show: Opener) -> None:
    own = ConvLayer(bank((6, 6, 1, 3)), activation="softmax")
    sums = Network.chain(dataclasses.replace(own, activation="none"))
    picture = random_picture((6, 6, 1), "float64")
    best = int(sums.nodes[0].layer.forward(picture.values())[0][0, 0, 0].argmax())
    data = network_page_data(Network.chain(own), picture, "conv1", Unit((0, 0), best), title="net")
    tab = show(data)
    tab.evaluate("cnncli.apply({ gradients: true, ofScore: true })")
    until(tab, f"cnncli.gradients()?.key === 'conv1,{best},0,0,sum'")
    core = gradient_of(sums, picture.values(), "conv1", best)
    compare_gradients(tab, core)
    paths = tab.evaluate("cnncli.senders()")
    cell = tab.evaluate("view.senders.cell")
    assert sum(path["product"] for path in paths) == pytest.approx(
        float(core.input[(0, *cell["at"], cell["channel"])]), rel=1e-5
    )
    told = tab.evaluate("(name) => weightsKnown(name).pass.weightGradient(0, 0, 2, 3)", "conv1")
    assert told == pytest.approx(float(core.parameters["conv1"]["W"][2, 3, 0, 0]), abs=1e-9)


def test_words_of_a_network_are_explained_where_they_are_used(show: Opener) -> None:
    tab = show(digits_page())
    tab.click("#gradients")
    until(tab, "cnncli.gradients() !== null")
    told: dict[str, str] = {}
    panels = {"comparison", "trail-panel", "weights", "gradient-panel", "how-panel"}
    for panel in panels:
        node = tab.locator(f"#{panel} .words")
        node.locator("summary").focus()
        tab.keyboard.press("Enter")
        names, meanings = (node.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
        assert all(name in node.locator("summary").inner_text() for name in names)
        told |= dict(zip(names, meanings, strict=True))
    assert {"unit", "trail", "receptive field", "upstream", "score", "softmax"} <= told.keys()
    assert min(map(len, told.values())) > 10
    assert "logit" in told["score"]


def test_the_pixels_that_a_unit_looked_at_are_its_gradient_times_the_image(show: Opener) -> None:
    tab = show(digits_page())
    until(tab, "byId('looked-text').textContent !== ''")
    X = THREE.values()
    shares = X[0, ..., 0] * gradient_of(DIGITS, X, "digit", 3).input[0, ..., 0]
    found = tab.evaluate("Array.from(pixelShares(gradientUnit(chosenUnit())))")
    most = float(np.abs(shares).max())
    np.testing.assert_allclose(found, shares.ravel(), rtol=0, atol=1e-5 * most)
    row, col = np.unravel_index(np.abs(shares).argmax(), shares.shape)
    said = tab.text_content("#looked-text")
    assert "the gradient of digit 3" in said
    assert f"Most: row {row}, column {col}, {shares[row, col]:+.3g}." in said.replace("−", "-")
    # Red where a pixel raises the unit, blue where it lowers it.
    read = """(canvas, cells) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const side = canvas.width / 8;
      const middle = (k) => Math.floor((k + 0.5) * side);
      return cells.map(([row, col]) => 4 * (middle(row) * canvas.width + middle(col)))
        .map((at) => data[at] - data[at + 2]); }"""
    places = np.unravel_index([shares.argmax(), shares.argmin()], shares.shape)
    cells = np.transpose(places).tolist()
    red_less_blue = tab.locator("#looked-picture").evaluate(read, cells)
    assert shares.min() < 0 < shares.max()
    assert red_less_blue[0] > 0 > red_less_blue[1]
    # Of the input nothing is told.
    tab.evaluate("cnncli.apply({ unit: { layer: 'input', map: 0, at: [1, 1] } })")
    assert tab.is_hidden("#looked")


def test_a_trail_that_ends_elsewhere_than_at_the_pixel_that_counts_most_is_told(
    show: Opener,
) -> None:
    tab = show(digits_page())
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool2', map: 19, at: [1, 0] } })")
    until(tab, "byId('looked-text').textContent.includes('pool2')")
    shares = gradient_of(DIGITS, THREE.values(), "pool2", 19, (1, 0)).input[0, ..., 0]
    shares = shares * THREE.values()[0, ..., 0]
    most = [int(k) for k in np.unravel_index(np.abs(shares).argmax(), shares.shape)]
    end = tab.evaluate("cnncli.trail().at(-1)")
    assert end["layer"] == "input" and end["at"] != most
    said = tab.text_content("#looked-text")
    assert f"Most: row {most[0]}, column {most[1]}, " in said
    row, column = end["at"]
    assert said.endswith(f"ends at row {row}, column {column}.")
    # That of the digit ends at its pixel.
    tab.evaluate("cnncli.apply({ unit: { layer: 'digit', map: 3, at: [0, 0] } })")
    until(tab, "byId('looked-text').textContent.includes('digit 3')")
    assert "trail" not in tab.text_content("#looked-text")
