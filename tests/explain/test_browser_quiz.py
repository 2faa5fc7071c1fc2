"""The quiz of the pages in a real browser: what is hidden, typed answers, and keys alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, AddLayer, ConvLayer, PoolLayer, SoftmaxLayer
from tests.support.browser import (
    Opener,
    bank,
    forward,
    near,
    page_data_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

ALL_TEXTS = """(() => {
  const texts = [document.title];
  for (const node of document.querySelectorAll("body, body *")) {
    if (node.tagName === "SCRIPT" || node.matches("td[data-tap]")) continue;
    for (const child of node.childNodes) if (child.nodeType === 3) texts.push(child.data);
    texts.push(...[...node.attributes].map((attribute) => attribute.value));
    if ("value" in node) texts.push(String(node.value));
  }
  return texts.join(" | ");
})()"""
"""All texts of the page, attributes and values of fields, but for the window's own numbers."""

OUTPUT_PIXEL = """([row, col]) => {
  const canvas = document.getElementById("output"), { outRows, outCols } = cnncli.shown();
  const [h, w] = [canvas.height / outRows.length, canvas.width / outCols.length];
  const one = new OffscreenCanvas(1, 1).getContext("2d");
  one.drawImage(canvas, (col + 0.3) * w, (row + 0.5) * h, w / 3, 1, 0, 0, 1, 1);
  return [...one.getImageData(0, 0, 1, 1).data];
}"""


READ_OUT = """(() => {
  const text = (id) => document.getElementById(id).textContent;
  return text("live").startsWith(text("headline"));
})()"""
"""Whether what the page shows has been told to screen readers."""


def question(tab: Any) -> Any:
    return tab.evaluate("cnncli.state.quiz.question")


def ask(tab: Any, topic: str, seed: int = 1) -> Any:
    """Ask until the question is of a kind, with some answer to all before it."""
    tab.evaluate(f"cnncli.quiz({seed})")
    for _ in range(8):
        settle(tab)
        if question(tab)["topic"] == topic:
            return question(tab)
        answer(tab, "987654")
        tab.keyboard.press("Enter")
    raise AssertionError(f"never asked: {topic}")


def answer(tab: Any, text: str) -> None:
    """Answer by keys alone: a number or an option is typed, a cell is reached with an arrow."""
    if question(tab)["control"] == "cell":
        tab.keyboard.press("ArrowRight")
    else:
        tab.keyboard.type(text)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    settle(tab)


def shown_forms(value: float) -> set[str]:
    """A number as a page may write it."""
    return {f"{value:.{digits}g}".replace("-", "−") for digits in (3, 4, 5, 7)} | {f"{value:.4f}"}


CONVS = {
    "colours": (random_picture((9, 11, 3)), ConvLayer(load_filter("sharpen"), np.full(1, 0.3))),
    "bank": (
        random_picture((8, 9, 3)),
        ConvLayer(bank((3, 3, 3, 4)), np.arange(4) / 3 + 0.1, stride=2, activation="tanh"),
    ),
    "one cell": (
        random_picture((3, 3, 3)),
        ConvLayer(bank((3, 3, 3, 2)), np.zeros(2), padding="valid"),
    ),
}


@pytest.mark.parametrize("name", CONVS)
def test_the_asked_value_is_nowhere_until_it_is_answered(show: Opener, name: str) -> None:
    picture, layer = CONVS[name]
    expected = forward(layer, picture.values())
    tab = show(page_data_of(picture, layer))
    for seed in range(2):
        found = ask(tab, "value", seed)
        (row, col), channel = found["unit"]["at"], found["unit"]["channel"]
        value = float(expected[row, col, channel])
        assert found["answers"] == [near(value)]
        step = tab.evaluate(f"cnncli.shown().arithmetic.step({channel}, {row}, {col})")
        sums = [block["sum"] for block in step["blocks"]] if len(step["blocks"]) > 1 else []
        for _ in range(2):
            numbers = set(re.findall(r"−?[\d.]+(?:e[-+]?\d+)?", tab.evaluate(ALL_TEXTS)))
            for hidden in (value, step["total"], step["sum"], *sums):
                assert not shown_forms(hidden) & numbers
            # What is read out comes later.
            until(tab, READ_OUT)
        assert tab.evaluate(OUTPUT_PIXEL, [row, col])[3] < 255
        # The page is held, by pointer, keys and calls.
        tab.evaluate("cnncli.apply({ at: [0, 0], map: 0, layer: { activation: 'none' } })")
        tab.locator("#output").press("ArrowUp")
        assert tab.evaluate("cnncli.state.at") == [row, col]
        tab.focus("#quiz-answer")
        answer(tab, f"{value:.4g}")
        assert tab.text_content("#quiz-verdict").startswith("Right: ")
        assert tab.evaluate(OUTPUT_PIXEL, [row, col])[3] == 255
        assert f"{value:.4g}".replace("-", "−") in tab.text_content("#headline")


def test_each_kind_is_answered_by_keys_alone_and_counted(show: Opener) -> None:
    picture, layer = CONVS["colours"]
    tab = show(page_data_of(picture, layer))
    while tab.evaluate("document.activeElement.id") != "quiz":
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    settle(tab)
    topics = []
    for number in range(4):
        found = question(tab)
        topics.append(found["topic"])
        wrong = found["mistakes"][0] if number % 2 else None
        (given,) = wrong["answers"] if wrong else found["answers"]
        answer(tab, f"{given:.6g}")
        verdict = tab.text_content("#quiz-verdict")
        if wrong:
            assert verdict.startswith("Not so: ")
            assert wrong["text"] in verdict
        else:
            assert verdict.startswith("Right: ")
        for line in found["lines"]:
            assert line in verdict
        tab.keyboard.press("Enter")
        settle(tab)
    assert sorted(topics) == ["size", "size", "value", "value"]
    assert tab.text_content("#quiz-score") == "2 of 4 right"
    tab.keyboard.press("Escape")
    settle(tab)
    assert not tab.is_visible("#quiz-panel")
    assert tab.evaluate("[cnncli.state.quiz, document.activeElement.id]") == [None, "quiz"]
    assert tab.is_visible("#settings")


def test_what_is_no_number_is_asked_for_again(show: Opener) -> None:
    picture, layer = CONVS["colours"]
    tab = show(page_data_of(picture, layer))
    ask(tab, "size")
    answer(tab, "many")
    assert tab.get_attribute("#quiz-answer", "aria-invalid") == "true"
    assert "Type a number" in tab.text_content("#quiz-hint")
    assert not tab.is_visible("#formula")
    assert not tab.is_visible("#quiz-another")


def test_the_winner_is_picked_by_keys_or_by_a_click(show: Opener) -> None:
    picture = random_picture((10, 10, 1))
    tab = show(page_data_of(picture, PoolLayer("max", 3, 2, padding=1)))
    found = ask(tab, "winner")
    assert tab.locator("#blocks .winner").count() == 0
    assert "largest" not in tab.text_content("#sentence")
    # No cell is chosen yet.
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.text_content("#quiz-hint") == "Choose a cell first."
    (winner,) = found["answers"]
    tab.keyboard.press("Shift+Tab")
    for key, count in (("ArrowDown", winner // 3), ("ArrowRight", winner % 3)):
        for _ in range(count):
            tab.keyboard.press(key)
    if winner == 0:
        tab.keyboard.press("Space")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    settle(tab)
    assert tab.text_content("#quiz-verdict").startswith("Right: ")
    assert tab.locator("#blocks .winner").count() == 1
    found = ask(tab, "winner", 5)
    wrong = found["mistakes"][-1]
    tab.locator("#blocks td").nth(wrong["answers"][0]).click()
    tab.click("#quiz-form [type=submit]")
    settle(tab)
    assert tab.text_content("#quiz-verdict").startswith("Not so: ")
    assert wrong["text"] in tab.text_content("#quiz-verdict")


def test_averages_tell_with_and_without_padding(show: Opener) -> None:
    layer = PoolLayer("average", 3, 2, padding=1)
    picture = random_picture((9, 9, 1))
    tab = show(page_data_of(picture, layer))
    expected = forward(layer, picture.values())
    found = ask(tab, "value")
    assert found["answers"] == [near(expected[(*found["unit"]["at"], 0)])]
    wrong = next(mistake for mistake in found["mistakes"] if "padding" in mistake["text"])
    answer(tab, f"{wrong['answers'][0]:.5g}")
    assert "divides by the cells and the padding" in tab.text_content("#quiz-verdict")


def test_a_seed_repeats_the_quiz_and_another_does_not(show: Opener) -> None:
    picture, layer = CONVS["colours"]
    tab = show(page_data_of(picture, layer))
    read = "(seed) => { cnncli.quiz(seed); return cnncli.state.quiz.question.text; }"
    texts = [tab.evaluate(read, seed) for seed in range(6)]
    assert len(set(texts)) > 3
    tab.evaluate("cnncli.apply({ quiz: null, at: [0, 0] })")
    assert tab.evaluate(read, 0) == texts[0]


def test_a_kernel_too_large_to_compute_with_is_exchanged_for_a_question(show: Opener) -> None:
    picture = random_picture((20, 22, 1))
    layer = ConvLayer(load_filter("gaussian_5"), np.full(1, 0.5))
    tab = show(page_data_of(picture, layer))
    ask(tab, "value")
    for _ in range(2):
        found = question(tab)
        name = re.search(r"The filter is (\w+) now", found["text"])
        assert name is not None
        (row, col), channel = found["unit"]["at"], found["unit"]["channel"]
        expected = forward(replace(layer, filter=load_filter(name[1])), picture.values())
        assert found["answers"] == [near(expected[row, col, channel])]
        assert tab.locator("#blocks td").count() == 3 * load_filter(name[1]).weights[..., 0].size
        answer(tab, f"{found['answers'][0]:.5g}")
        assert tab.text_content("#quiz-verdict").startswith("Right: ")
        # The question on sizes between them has the page's own filter again.
        tab.keyboard.press("Enter")
        settle(tab)
        assert tab.evaluate("cnncli.state.layer.kernel") == [5, 5]
        answer(tab, "5")
        tab.keyboard.press("Enter")
        settle(tab)
    tab.keyboard.press("Escape")
    settle(tab)
    assert tab.evaluate("cnncli.state.layer.kernel") == [5, 5]
    assert tab.input_value("#preset") == "gaussian_5"


def test_what_was_changed_after_an_answer_stays(show: Opener) -> None:
    layer = ConvLayer(load_filter("gaussian_5"), np.full(1, 0.5))
    tab = show(page_data_of(random_picture((20, 22, 1)), layer))
    ask(tab, "value")
    answer(tab, "0")
    tab.select_option("#activation", "relu")
    tab.click("#quiz")
    settle(tab)
    # The filter was the question's, the activation is the user's.
    assert tab.evaluate("cnncli.state.layer.kernel") == [5, 5]
    assert tab.evaluate("cnncli.state.layer.activation") == "relu"
    ask(tab, "value")
    answer(tab, "0")
    tab.select_option("#preset", "sobel_v")
    weights = tab.evaluate("[...cnncli.state.layer.weights]")
    tab.click("#quiz-another")
    assert tab.evaluate("[...cnncli.state.layer.weights]") == weights


def weak(shape: tuple[int, ...]) -> Any:
    """A filter of small weights, so that shares are not all but 1 and 0."""
    made = bank(shape)
    return replace(made, weights=made.weights / 5)


def small_network() -> tuple[Network, Picture, dict[str, Any], PageData]:
    """A residual block, a pool and shares; with what each layer gives."""
    nodes = [
        Node("conv", ConvLayer(weak((3, 3, 3, 6)), np.arange(6) / 6), (SOURCE,)),
        Node("relu", ActivationLayer("relu"), ("conv",)),
        Node("again", ConvLayer(weak((3, 3, 6, 6)), np.arange(6) / 5), ("relu",)),
        Node("sum", AddLayer(), ("relu", "again")),
        Node("pool", PoolLayer("max", 2, 2), ("sum",)),
        Node("mean", PoolLayer("average", "global"), ("pool",)),
        Node("shares", SoftmaxLayer(), ("mean",)),
    ]
    network, picture = Network(tuple(nodes)), random_picture((8, 8, 3))
    values = {SOURCE: picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(*(values[name] for name in node.inputs))[0]
    unit = Unit((0, 0), int(values["shares"].argmax()))
    data = network_page_data(network, picture, "shares", unit, title="photo.png")
    return network, picture, {name: Y[0] for name, Y in values.items()}, data


def value_of(values: dict[str, Any], unit: Any) -> float:
    return float(values[unit["layer"]][(*unit["at"], unit["channel"])])


def test_a_network_asks_for_the_strongest_unit_and_takes_its_scores_away(show: Opener) -> None:
    _, _, values, data = small_network()
    tab = show(data)
    order = np.argsort(-values["shares"][0, 0])
    found = ask(tab, "strongest")
    texts = tab.evaluate(ALL_TEXTS)
    assert f"{values['shares'].max():.4g}" not in texts
    shown = tab.locator("#layers > li").evaluate_all("nodes => nodes.map((n) => n.dataset.layer)")
    assert shown == ["input", "conv", "relu", "again", "sum", "pool"]
    assert tab.locator("#headline, #trail, .node").count() == 0
    unit = tab.evaluate("cnncli.state.unit")
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv', map: 1, at: [2, 2] } })")
    assert tab.evaluate("cnncli.state.unit") == unit
    rank = 1 if "second" in found["text"] else 0
    best, wrong = (f"map {index} (bank-{index})" for index in (order[rank], order[5]))
    assert found["options"][found["answers"][0]] == best
    answer(tab, wrong)
    verdict = tab.text_content("#quiz-verdict")
    assert f"Not so: it is {best}, and you answered {wrong}." in verdict
    assert f"{rank + 1}. {best}: {values['shares'][0, 0, order[rank]]:.3g}" in verdict
    # The page is back.
    assert tab.locator("#layers").is_visible()
    assert "shares" in tab.text_content("#trail")


def test_a_network_asks_which_map_contributes_most(show: Opener) -> None:
    network, _, values, data = small_network()
    tab = show(data)
    found = ask(tab, "contribution")
    unit, source = found["unit"], found["source"]
    conv = {node.name: node.layer for node in network.nodes}[unit["layer"]]
    sizes = {}
    for index, name in zip(found["maps"], found["options"], strict=True):
        alone = np.zeros_like(values[source])
        alone[..., index] = values[source][..., index]
        made = conv.forward(alone[None])[0][(0, *unit["at"], unit["channel"])]
        sizes[name] = abs(float(made) - float(conv.bias[unit["channel"]]))
    best = max(sizes, key=sizes.__getitem__)
    assert found["options"][found["answers"][0]] == best
    sums = {f"{size:.{digits}g}" for size in sizes.values() for digits in (3, 4) if size}
    assert not sums & set(re.findall(r"[\d.]+", tab.evaluate(ALL_TEXTS)))
    assert tab.locator(".quiz-blocks .block").count() == len(found["maps"])
    answer(tab, best)
    assert tab.text_content("#quiz-verdict").startswith(f"Right: {best}.")
    assert unit["layer"] in tab.text_content("#headline")


def test_a_network_asks_for_values_of_units_with_few_inputs(show: Opener) -> None:
    _, _, values, data = small_network()
    tab = show(data)
    layers = set()
    for seed in range(5):
        found = ask(tab, "value", seed)
        value = value_of(values, found["unit"])
        assert found["answers"] == [near(value)]
        layers.add(found["unit"]["layer"])
        numbers = set(re.findall(r"−?[\d.]+(?:e[-+]?\d+)?", tab.evaluate(ALL_TEXTS)))
        # A winner or what passes an activation is one of the numbers shown.
        if found["unit"]["layer"] in ("conv", "again", "sum", "mean"):
            # A whole number may also be that of a map.
            assert not {form for form in shown_forms(value) if "." in form} & numbers
        wrong = found["mistakes"][0] if found["mistakes"] and seed % 2 else None
        (given,) = wrong["answers"] if wrong else found["answers"]
        answer(tab, f"{given:.6g}")
        verdict = tab.text_content("#quiz-verdict")
        assert (wrong["text"] in verdict) if wrong else verdict.startswith("Right: ")
        tab.keyboard.press("Escape")
        settle(tab)
        assert tab.locator("#layers").is_visible()
    assert len(layers) > 1


@pytest.mark.parametrize("side", [7, 17])
def test_of_a_kernel_with_many_products_one_is_asked_for(show: Opener, side: int) -> None:
    picture = random_picture((24, 26, 3))
    layer = ConvLayer(bank((side, side, 3, 4)), np.full(4, 0.5), padding="valid")
    tab = show(page_data_of(picture, layer))
    X, W = picture.values()[0], layer.filter.weights
    for wrong in (False, True):
        found = ask(tab, "product", 3 + wrong)
        (row, col), channel, asked = (found["unit"][name] for name in ("at", "channel", "asked"))
        i, j, source = asked["i"], asked["j"], asked["source"]
        value, flipped = X[row + i, col + j, source], W[side - 1 - i, side - 1 - j, source, channel]
        (product,) = found["answers"]
        assert product == near(value * W[i, j, source, channel])
        cell = f"td[data-tap='{i},{j}']"
        texts = tab.locator(f"#blocks {cell}").all_text_contents()
        # Larger kernels are not listed: the question has the numbers.
        assert texts[2:] == (["?"] if side == 7 else [])
        assert ("The window has" in found["text"]) == (side > 15)
        assert "?" in tab.text_content("#headline")
        answer(tab, f"{value * flipped if wrong else product:.4g}")
        verdict = tab.text_content("#quiz-verdict")
        assert verdict.startswith("Not so: " if wrong else "Right: ")
        assert ("the flipped kernel" in verdict) == wrong
        assert tab.locator("#blocks td", has_text="?").count() == 0


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("topic", ["value", "size"])
def test_beside_a_question_stand_no_buttons_that_do_nothing(
    show: Opener, width: int, topic: str
) -> None:
    layer = ConvLayer(load_filter("sobel_v"), np.zeros(1))
    viewport = {"width": width, "height": 640}
    tab = show(page_data_of(random_picture((30, 40, 3)), layer, (3, 3)), viewport=viewport)
    ask(tab, topic)
    shown = """[...document.querySelectorAll("button")].filter((button) =>
      button.checkVisibility() && !button.closest("#quiz-panel"))
      .map(({ id, textContent }) => id || textContent)"""
    assert tab.evaluate(shown) == ["quiz", "theme"]
    tab.keyboard.press("Escape")
    assert tab.is_visible("#to-settings") == (width == 360)
