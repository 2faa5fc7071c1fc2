"""The questions of the quiz in node: answers and usual mistakes against the core."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.core.geometry import Axis, place_window
from cnncli.errors import CnnCliError
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, PoolLayer
from tests.explain.test_arithmetic import page_input, page_layer
from tests.support.browser import TOLERANCE, bank, forward, random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_layers import CONV_PAGES, random_conv, random_pool

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (
    "arithmetic/layer.js",
    "arithmetic/transposed.js",
    "shared/numbers.js",
    "shared/step_panel.js",
    "quiz/questions.js",
    "quiz/window.js",
)
EACH = 8

ASK = """({ input, layer, seed, topic }) => {
  const arithmetic = new LayerArithmetic(input, layer);
  if (!arithmetic.fits) return null;
  const all = (count) => Array.from({ length: count }, (_, k) => k);
  const place = {
    arithmetic,
    rows: all(arithmetic.window.rows.out),
    cols: all(arithmetic.window.cols.out),
    channels: all(arithmetic.channels),
    isSeen: () => false,
    nameOf: (channel) => `channel ${channel}`,
    nameOfOutput: () => "",
  };
  const ask = { valueQuestion, winnerQuestion }[topic];
  const question = ask(makeRandom(seed), place);
  if (!question) return null;
  const step = arithmetic.step(question.unit.channel, ...question.unit.at);
  const columns = layer.kernel[1];
  const products = step.blocks.flatMap((block) => block.cells.map(({ product }) => product));
  const sum = layer.op === "pool" ? 0 : products.reduce((all, x) => all + asShown(x, columns), 0);
  const { channel } = question.unit;
  const shown = layer.op === "pool" ? null : arithmetic.activate(sum + step.bias, channel);
  const judged = [question.answers[0], ...question.mistakes.map(({ answers }) => answers[0])]
    .map((given) => judgeAnswer(question, given));
  return { ...question, shown, judged };
}"""
"""Ask for an output; with the sum of the numbers shown, and the verdicts on known answers."""


def cases(topic: str) -> list[tuple[Any, ConvLayer | PoolLayer, dict[str, Any]]]:
    rng = np.random.default_rng(8)
    made = []

    def add(picture: Any, layer: ConvLayer | PoolLayer, page: dict[str, Any]) -> None:
        record = {"input": page_input(picture), "layer": page_layer(layer, page, False)}
        made.append((picture, layer, {**record, "seed": len(made), "topic": topic}))

    for picture, layer in CONV_PAGES.values() if topic == "valueQuestion" else ():
        for _ in range(EACH):
            add(picture, *random_conv(rng, layer, picture.dtype))
    for dtype in ("uint8", "float64"):
        for _ in range(3 * EACH):
            picture = random_picture((11, 12, 3), dtype)
            add(picture, *random_pool(rng))
    return made


@cache
def asked(topic: str) -> list[tuple[Any, ConvLayer | PoolLayer, Any]]:
    made = cases(topic)
    found = run_alone(SCRIPTS, ASK, [record for *_, record in made])
    return [(*case[:2], question) for case, question in zip(made, found, strict=True) if question]


def at(layer: ConvLayer | PoolLayer, X: np.ndarray[Any, Any], unit: Any) -> float:
    """An output by the core; NaN where the layer has none."""
    try:
        return float(forward(layer, X)[(*unit["at"], unit["channel"])])
    except (CnnCliError, IndexError):
        return float("nan")


def mistaken(layer: ConvLayer | PoolLayer, text: str, X: np.ndarray[Any, Any], unit: Any) -> Any:
    """What a mistake leads to, by the core with another layer; None if this table has it not."""
    fixed = replace(layer, padding=layer.window(X.shape).pads)
    changes: dict[str, Any] = {
        "ignores the stride": {"stride": 1},
        "ignores the dilation": {"dilation": 1},
    }
    if isinstance(layer, ConvLayer):
        W, bias = layer.filter.weights, layer.bias
        assert bias is not None
        changes |= {
            "forgets the bias": {"bias": np.zeros_like(bias)},
            "flips the kernel": {"filter": replace(layer.filter, weights=W[::-1, ::-1])},
            "is the sum before": {"activation": "none"},
            "makes negative sums 0": {"activation": "relu"},
            "takes the padding as 0": {"pad_mode": "zeros", "pad_value": 0.0},
            "without its weights": {"filter": replace(layer.filter, weights=np.ones_like(W))},
        }
        if (channel := re.search(r"forgets a channel: channel (\d+)", text)) is not None:
            depth = int(channel[1]) % W.shape[2] if W.ndim == 4 else 0
            weights = W.copy()
            weights[:, :, depth] = 0
            return at(replace(fixed, filter=replace(layer.filter, weights=weights)), X, unit)
    else:
        changes |= {
            "is the largest cell": {"mode": "max"},
            "is the smallest cell": {"mode": "min"},
            "is the mean of the cells": {"mode": "average"},
            "divides by the cells": {"count_include_pad": not layer.count_include_pad},
        }
    for words, change in changes.items():
        if words in text:
            return at(replace(fixed, **change), X, unit)
    return None


def test_answers_and_mistakes_equal_the_core() -> None:
    seen: set[str] = set()
    for picture, layer, question in asked("valueQuestion"):
        X, unit = picture.values(), question["unit"]
        (answer,) = question["answers"]
        assert answer == pytest.approx(at(layer, X, unit), rel=TOLERANCE, abs=TOLERANCE)
        for mistake in question["mistakes"]:
            (found,) = mistake["answers"]
            assert abs(found - answer) > 2 * question["tolerance"]
            expected = mistaken(layer, mistake["text"], X, unit)
            if expected is not None:
                seen.add(mistake["text"][:20])
                assert found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE), mistake
    assert len(seen) >= 10, seen


def test_an_answer_from_the_numbers_shown_is_right_and_mistakes_are_named() -> None:
    questions = [question for *_, question in asked("valueQuestion")]
    assert len(questions) > 40
    for question in questions:
        right, *wrong = question["judged"]
        assert right == {"isRight": True, "texts": []}
        for mistake, verdict in zip(question["mistakes"], wrong, strict=True):
            assert not verdict["isRight"]
            assert mistake["text"] in verdict["texts"]
        if question["shown"] is not None:
            assert abs(question["shown"] - question["answers"][0]) <= question["tolerance"]


def test_the_winner_of_a_pool_is_that_of_the_core() -> None:
    questions = asked("winnerQuestion")
    assert len(questions) > 10
    for picture, layer, question in questions:
        assert isinstance(layer, PoolLayer)
        (winner,), unit = question["answers"], question["unit"]
        value = at(layer, picture.values(), unit)
        text = question["cells"][winner]["text"].replace("−", "-")
        assert float(text) == pytest.approx(value, rel=6e-2, abs=1e-6)
        assert len(question["mistakes"]) == len(question["cells"]) - 1
        for mistake in question["mistakes"]:
            cell = question["cells"][mistake["answers"][0]]
            assert ("padding" in mistake["text"]) == cell["pad"]


@pytest.mark.parametrize("op", ["conv", "pool", "ceil"])
def test_sizes_are_those_of_the_core(op: str) -> None:
    layer = {"op": "conv" if op == "conv" else "pool", "mode": "max", "ceil": op == "ceil"}
    ask = f"(seed) => sizeQuestion(makeRandom(seed), {layer})".replace("'", '"')
    ask = ask.replace("True", "true").replace("False", "false")
    questions = run_alone(SCRIPTS, ask, list(range(60)))
    assert len({question["text"] for question in questions}) > 50
    for question in questions:
        s = question["settings"]
        window = place_window(
            (s["size"], s["size"]), s["kernel"], s["stride"], s["padding"], s["dilation"], s["ceil"]
        )
        assert question["answers"] == [window.out[0]]
        assert question["lines"][-1].endswith(f"= {window.out[0]}")
        wrong = [mistake["answers"][0] for mistake in question["mistakes"]]
        assert window.out[0] not in wrong
        assert len(set(wrong)) >= 4
        for mistake in question["mistakes"]:
            if "=" in mistake["text"]:
                assert mistake["text"].endswith(f"= {mistake['answers'][0]}.")


@pytest.mark.parametrize("ceil", [False, True])
def test_formulas_of_sizes_are_those_of_the_core(ceil: bool) -> None:
    axes = [
        Axis(*numbers, ceil)
        for numbers in product(range(1, 9), range(1, 4), range(1, 5), range(1, 3), [0, 1], [0, 1])
    ]
    axes = [axis for axis in axes if axis.out >= 1]
    given = [list(astuple(axis)) for axis in axes]
    texts = run_alone(["arithmetic/geometry.js"], "(axis) => axisFormula(makeAxis(...axis))", given)
    signs = str.maketrans({"⌊": "(", "⌈": "ceil(", "⌋": ")", "⌉": ")", "×": "*", "−": "-", " ": ""})
    for axis, text in zip(axes, texts, strict=True):
        plain = text.translate(signs)
        if not ceil:
            plain = plain.replace(")/", ")//").removeprefix("(").replace(")+1", "+1")
        assert plain == axis.formula.replace(" ", "")


def test_usual_mistakes_with_sizes_are_named() -> None:
    ask = "(given) => judgeAnswer(sizeRecord(axis, 'rows', 'convolution', mistakes), given).texts"
    axis = "const axis = makeAxis(22, 3, 2, 2, 1, 1, false)"
    mistakes = "const mistakes = tellableMistakes(sizeMistakes(axis), axis.out, 0)"
    source = f"(given) => {{ {axis}; {mistakes}; return ({ask})(given); }}"
    words = {
        9: "forgets the + 1",
        11: "ignores the dilation",
        20: "ignores the stride",
        77: "none of the usual mistakes",
    }
    for texts, word in zip(run_alone(SCRIPTS, source, list(words)), words.values(), strict=True):
        assert any(word in text for text in texts), (texts, word)
    assert run_alone(SCRIPTS, source, [10]) == [[]]


def test_a_seed_repeats_its_questions() -> None:
    layer = ConvLayer(bank((3, 3, 1, 2)), np.zeros(2))
    record = {"input": page_input(random_picture((9, 9, 1)))}
    page = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "padMode": "zeros"}
    page |= {"padValue": 0, "activation": "none", "bias": [0.0, 0.0]}
    page["weights"] = [float(w) for w in layer.filter.weights.ravel()]
    record |= {"layer": page_layer(layer, page, False), "topic": "valueQuestion"}
    found = run_alone(SCRIPTS, ASK, [{**record, "seed": seed} for seed in (*range(9), *range(9))])
    assert found[:9] == found[9:]
    assert len({question["text"] for question in found}) > 3


def test_sizes_of_transposed_convolutions_are_those_of_the_layer() -> None:
    ask = '(seed) => sizeQuestion(makeRandom(seed), { op: "conv-transpose" })'
    questions = run_alone(SCRIPTS, ask, list(range(40)))
    assert len({question["text"] for question in questions}) > 30
    for question in questions:
        s = question["settings"]
        layer = ConvTransposeLayer(
            from_array(np.zeros((s["kernel"], s["kernel"], 1, 1), np.float32), name="zero"),
            stride=s["stride"],
            padding=s["padding"],
            dilation=s["dilation"],
            output_padding=s["extra"],
        )
        out = layer.output_shape((1, s["size"], s["size"], 1))[1]
        assert question["answers"] == [out]
        assert question["lines"][-1].endswith(f"= {out}")
        wrong = [mistake["answers"][0] for mistake in question["mistakes"]]
        assert out not in wrong and len(set(wrong)) >= 4
