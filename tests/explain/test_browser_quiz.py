"""The quiz of the pages in a real browser: what is hidden, typed answers, and keys alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    Opener,
    bank,
    forward,
    near,
    page_data_of,
    random_picture,
    settle,
)

pytestmark = pytest.mark.oracle

ALL_TEXTS = """(() => {
  const texts = [document.title];
  for (const node of document.querySelectorAll("body, body *")) {
    if (node.tagName === "SCRIPT" || node.matches("#blocks td")) continue;
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


def question(tab: Any) -> Any:
    return tab.evaluate("cnncli.state.quiz.question")


def ask(tab: Any, topic: str, seed: int = 1) -> Any:
    """Ask until the question is of a kind; wrong answers are given to all before it."""
    tab.evaluate(f"cnncli.quiz({seed})")
    for _ in range(4):
        settle(tab)
        if question(tab)["topic"] == topic:
            return question(tab)
        answer(tab, "987654")
        tab.keyboard.press("Enter")
    raise AssertionError(f"never asked: {topic}")


def answer(tab: Any, text: str) -> None:
    """Answer by keys: a number is typed, a cell is reached with arrows."""
    if question(tab)["control"] == "cell":
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Tab")
    else:
        tab.keyboard.type(text)
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
            # What is read out comes half a second later.
            tab.wait_for_timeout(600)
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
