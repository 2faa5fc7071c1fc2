"""The maps beside a question of the quiz, on the page of a network."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, settle, until

pytestmark = pytest.mark.oracle

SHOWN = "[...document.querySelectorAll('#layers > li')].map((node) => node.dataset.layer)"
ASK = """(topic) => { for (let seed = 0; ; seed += 1) {
  cnncli.quiz(seed);
  if (cnncli.state.quiz.question.topic === topic) return cnncli.state.quiz.question;
  answerQuestion(0);
} }"""


def digits(show: Opener, **options: Any) -> Any:
    network = load_model(REPOSITORY / "examples" / "digits.toml").network
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    data = network_page_data(network, picture, "probability", Unit((0, 0), 3), title="digits")
    return show(data, **options)


def test_maps_stay_in_sight_while_a_question_is_open(show: Opener) -> None:
    tab = digits(show)
    found = tab.evaluate(ASK, "contribution")
    settle(tab)
    unit, source = found["unit"]["layer"], found["source"]
    names = ["input", "conv1", "conv2", "pool1", "conv3", "pool2", "digit", "probability"]
    assert tab.evaluate(SHOWN) == names[: names.index(unit)]
    # Beside the question, not below it.
    quiz, maps = (tab.locator(name).bounding_box() for name in ("#quiz-panel", "#layers"))
    assert maps["x"] + maps["width"] <= quiz["x"] and abs(maps["y"] - quiz["y"]) < 40
    card = tab.locator(f"[data-layer={source}]")
    assert card.locator(".large").is_visible()
    # Maps can be looked at, and tell no numbers, nor an order.
    assert not re.search(r"\d\.\d", tab.locator(".cards").inner_text())
    thumbs = card.locator(".thumb")
    order = thumbs.evaluate_all("nodes => nodes.map((node) => Number(node.dataset.map))")
    assert order == sorted(order)
    thumbs.nth(3).click()
    assert tab.evaluate("(name) => cnncli.state.maps[name]", source) == 3
    assert thumbs.nth(3).get_attribute("aria-pressed") == "true"
    drawn = card.locator(".large").evaluate(
        "(canvas) => new Set(canvas.getContext('2d').getImageData(0, 0, 60, 60).data).size"
    )
    assert drawn > 1
    # The box of the unit that is asked for lights up.
    assert "in the receptive field" in card.inner_text()
    tab.evaluate("answerQuestion(0)")
    settle(tab)
    assert tab.evaluate(SHOWN) == names
    assert tab.locator("#trail").is_visible() and tab.locator("#graph").is_visible()
    assert card.locator(".large").get_attribute("inert") is None


def test_the_next_question_stands_beside_the_answer(show: Opener) -> None:
    tab = digits(show)
    tab.evaluate(ASK, "strongest")
    assert "digit" not in tab.evaluate(SHOWN) and "pool2" in tab.evaluate(SHOWN)
    tab.evaluate("answerQuestion(cnncli.state.quiz.question.answers[0])")
    settle(tab)
    answer, another = (
        tab.locator(name).bounding_box() for name in ("#quiz-verdict .right", "#quiz-another")
    )
    assert 0 <= another["x"] - answer["x"] - answer["width"] < 40
    assert abs(another["y"] + another["height"] / 2 - answer["y"] - answer["height"] / 2) < 20
    number = tab.evaluate("cnncli.state.quiz.number")
    tab.keyboard.press("Enter")
    assert tab.evaluate("cnncli.state.quiz.number") == number + 1


def test_gradients_are_away_while_a_question_is_open(show: Opener) -> None:
    tab = digits(show, viewport={"width": 360, "height": 740})
    read = """() => { const { pictures, planes } = byName.get("conv1");
      const canvas = pictureOf(byName.get("conv1"), 4);
      return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]; }"""
    values = tab.evaluate(read)
    tab.click("#gradients")
    until(tab, "cnncli.gradients() !== null")
    gradients = tab.evaluate(read)
    assert not np.array_equal(values, gradients)
    tab.evaluate(ASK, "strongest")
    settle(tab)
    assert tab.evaluate(read) == values
    # On a phone the question is first.
    quiz, maps = (tab.locator(name).bounding_box() for name in ("#quiz-panel", "#layers"))
    assert quiz["y"] + quiz["height"] <= maps["y"]
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.keyboard.press("Escape")
    settle(tab)
    assert tab.evaluate(read) == gradients
