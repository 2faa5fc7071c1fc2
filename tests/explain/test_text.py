"""What is printed of an explanation: numbers that add up, in lines that fit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnncli.explain.backward import explain_backward
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.explain.model import Explanation
from cnncli.explain.text.backward import backward_lines
from cnncli.explain.text.forward import TextOptions, forward_lines
from cnncli.explain.text.panels import MARKED, choose_format, choose_part, paint
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    Layer,
    MergeLayer,
    PadLayer,
    PoolLayer,
)
from cnncli.render.options import MapGroup
from tests.explain.test_forward import subject_of
from tests.support.sweep import sweep

RNG = np.random.default_rng(31)
CODE = re.compile(r"\x1b\[[\d;]*m")
NUMBER = re.compile(r"-?(?:\d+\.\d+|\d+)(?:e[-+]\d+)?|-?inf|nan")


def shown(explanation: Explanation, **view: Any) -> list[str]:
    return forward_lines(explanation, TextOptions(**view))


def line_of(lines: list[str], label: str) -> str:
    """Return what stands behind a label."""
    (line,) = [line for line in lines if line.startswith(label.ljust(11))]
    return line[11:]


def grids(lines: list[str], title: str, shape: tuple[int, int]) -> list[np.ndarray]:
    """Read the blocks of numbers under a title back, one for each channel; all are in one band."""
    tops = [k for k, line in enumerate(lines) if "window  " in line and title in line]
    return [
        np.array(
            [
                [float(n) for n in NUMBER.findall(line[lines[k].index(title) :])[: shape[1]]]
                for line in lines[k + 2 : k + 2 + shape[0]]
            ]
        )
        for k in tops
    ]


@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (2, 2)])
@pytest.mark.parametrize("scale", [1.0, 1000.0, 1e-3])
def test_printed_products_add_up_to_the_printed_sum(kernel: tuple[int, int], scale: float) -> None:
    X = RNG.random((1, 8, 9, 3)) * scale
    layer = ConvLayer(from_array(RNG.normal(size=(*kernel, 3, 1))), np.array([0.5 * scale]))
    lines = shown(explain(subject_of(layer, X), (4, 4)), width=200)
    blocks = grids(lines, "products", kernel)
    assert len(blocks) == 3
    sums = [float(line[4:]) for line in lines if re.match(r"sum \S+$", line)]
    for block, total in zip(blocks, sums, strict=True):
        # Each number is rounded to a unit of its last place, three digits behind the largest.
        assert block.sum() == pytest.approx(total, abs=block.size * np.abs(block).max() * 1e-3)
    terms = line_of(lines, "sum").split(" = ")
    assert sum(float(NUMBER.findall(t)[-1]) for t in terms[0].split(" + ")) == pytest.approx(
        float(terms[1]), rel=1e-4, abs=scale * 1e-5
    )
    plus, total = (float(n) for n in NUMBER.findall(line_of(lines, "bias")))
    assert float(terms[1]) + plus == pytest.approx(total, rel=1e-4, abs=scale * 1e-5)
    assert float(line_of(lines, "result")) == total


def test_windows_and_weights_are_printed_in_their_places() -> None:
    X = np.arange(48.0).reshape(1, 6, 8, 1)
    W = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    layer = ConvLayer(from_array(W[:, :, None, None]), padding="valid", dilation=(2, 1))
    lines = shown(explain(subject_of(layer, X), (1, 3)), width=80)
    assert np.array_equal(grids(lines, "weights", (2, 3))[0], W)
    body = [line for line in lines if re.match(r"[13] ", line)]
    for row, line in zip((1, 3), body, strict=True):
        assert NUMBER.findall(line)[:4] == [str(n) for n in (row, *range(row * 8 + 3, row * 8 + 6))]
    assert "rows 1, 3; the input has rows 0 to 5" in line_of(lines, "window")


def test_one_row_is_called_one() -> None:
    layer = ConvLayer(load_filter("2"), padding="valid")
    lines = shown(explain(subject_of(layer, np.ones((1, 1, 5, 1))), (0, 3)))
    assert line_of(lines, "window").endswith("row 0; the input has row 0 alone")


def test_padding_is_marked() -> None:
    X = RNG.random((1, 5, 5, 1))
    zeros = ConvLayer(load_filter("1 1 1; 1 1 1; 1 1 1"), pad_mode="zeros")
    lines = shown(explain(subject_of(zeros, X), (0, 4)))
    rows = [line for line in lines if re.match(r" ?-?\d+ [ \[]", line)]
    assert [line.count("[") for line in rows] == [3, 1, 1]
    assert "           row -1: padding, 0" in lines and "           column 5: padding, 0" in lines
    assert "           [ ] marks padding" in lines
    copied = ConvLayer(load_filter("1 1 1; 1 1 1; 1 1 1"), pad_mode="reflect")
    lines = shown(explain(subject_of(copied, X), (0, 4)))
    assert "           padding: row -1 copies 1" in lines
    assert "           padding: column 5 copies 3" in lines


def test_winners_and_ties() -> None:
    X = np.array([[1.0, 3.0], [3.0, 3.0]]).reshape(1, 2, 2, 1)
    lines = shown(explain(subject_of(PoolLayer(), X), (0, 0)))
    assert [line for line in lines if re.match(r"[01] ", line)] == ["0  1 *3", "1 =3 =3"]
    assert line_of(lines, "largest") == "3 at row 0, column 1"
    assert any("a tie: 3 cells hold it" in line for line in lines)
    coloured = "\n".join(shown(explain(subject_of(PoolLayer(), X), (0, 0)), colour=True))
    assert paint("*3 ", MARKED["*"]) in coloured and paint("=3 ", MARKED["="]) in coloured


def test_averages_say_what_they_divide_by() -> None:
    X = np.full((1, 4, 4, 1), 3.0)
    for counted, divisor in ((False, 4), (True, 9)):
        layer = PoolLayer("average", 3, padding=1, count_include_pad=counted)
        lines = shown(explain(subject_of(layer, X), (0, 0)), width=100)
        assert line_of(lines, "sum") == "12, of 4 input cells"
        assert line_of(lines, "average").startswith(f"12 / {divisor} = {12 / divisor:.6g}, padding")
        assert float(line_of(lines, "result")) == pytest.approx(12 / divisor, abs=1e-5)


CASES: list[tuple[Layer | MergeLayer, int]] = [
    (ConvLayer(from_array(RNG.normal(size=(3, 3, 3, 2))), activation="leaky-relu"), 3),
    (ConvLayer(from_array(RNG.normal(size=(5, 7, 3, 2))), dilation=2, pad_mode="wrap"), 3),
    (ConvLayer(from_array(RNG.normal(size=(25, 61, 1, 1)) * 1e-6), padding=30), 1),
    (ConvLayer(from_array(RNG.normal(size=(3, 3, 64, 1)) * 1e5)), 64),
    (PoolLayer("max", 3, padding=1), 3),
    (PoolLayer("average", "global"), 3),
    (PoolLayer("lp", 5, 1, p=3.0, ceil=True), 1),
    (PadLayer(2, "symmetric"), 3),
    (ActivationLayer("hard-sigmoid"), 3),
    (BatchNormLayer(np.ones(1), np.ones(1), np.ones(1), np.ones(1)), 3),
]


@pytest.mark.parametrize(("width", "case"), sweep([40, 80, 200], CASES))
def test_lines_fit_and_look_the_same_with_colour(width: int, case: tuple[Layer, int]) -> None:
    layer, channels = case
    subject = subject_of(layer, RNG.random((1, 30, 70, channels)))
    n_H, n_W = subject.output_shape[1:3]
    for at in {(0, 0), (n_H - 1, n_W - 1), (n_H // 2, n_W // 2)}:
        explanation = explain(subject, at)
        plain = shown(explanation, width=width)
        assert max(map(len, plain)) <= width
        assert not CODE.search("\n".join(plain))
        coloured = shown(explanation, width=width, colour=True)
        assert [CODE.sub("", line).rstrip() for line in coloured] == plain
        back = explain_backward(subject, (5, 6))
        lines = backward_lines(back, TextOptions(width))
        assert max(map(len, lines)) <= width
        coloured = backward_lines(back, TextOptions(width, True))
        assert [CODE.sub("", line) for line in coloured] == lines


def test_large_windows_are_cut_around_their_weight() -> None:
    W = np.zeros((61, 61))
    W[20, 40], W[0, 0] = 5, 1
    X = RNG.random((1, 80, 80, 1))
    lines = shown(explain(subject_of(ConvLayer(from_array(W[:, :, None, None])), X), (40, 40)))
    (note,) = re.findall(r"shown: rows (\d+) to (\d+) and columns (\d+) to (\d+)", " ".join(lines))
    top, bottom, left, right = map(int, note)
    assert top <= 30 <= bottom and left <= 50 <= right
    (rest,) = re.findall(r"products add up to (\S+)", " ".join(lines))
    assert float(rest) == pytest.approx(X[0, 10, 10, 0], abs=1e-5)


def test_of_many_channels_the_strongest_are_shown_and_the_others_add_up() -> None:
    X = RNG.random((1, 5, 5, 64))
    subject = subject_of(ConvLayer(from_array(RNG.normal(size=(3, 3, 64, 1)))), X)
    explanation = explain(subject, (2, 2))
    lines = shown(explanation)
    strongest = sorted(explanation.steps[0].blocks, key=lambda block: -abs(block.sum))[:3]
    assert {line for line in lines if re.fullmatch(r"channel \d+", line)} == {
        f"channel {block.channel}" for block in strongest
    }
    (others,) = [line for line in lines if line.startswith("the products of the other 61 channels")]
    total = float(NUMBER.findall(others)[-1])
    table = lines[lines.index(others) + 1 :]
    sums = re.findall(r"channel (\d+): +(\S+)", " ".join(table[: table.index("")]))
    numbers = {block.channel for block in explanation.steps[0].blocks}
    assert {int(number) for number, _ in sums} == numbers - {block.channel for block in strongest}
    assert sum(float(value) for _, value in sums) == pytest.approx(total, abs=1e-4)
    assert total + sum(block.sum for block in strongest) == pytest.approx(
        explanation.steps[0].total, rel=1e-5
    )
    assert sum("window" in line for line in shown(explanation, channels=2**31)) == 64 + 2
    assert not any(re.fullmatch(r"channel \d+", line) for line in shown(explanation, channels=0))


def test_joins_name_their_inputs() -> None:
    X, Y = np.full((1, 2, 2, 1), 0.25), np.full((1, 2, 2, 1), 0.5)
    lines = shown(explain(subject_of(AddLayer(), X, Y), (0, 1)))
    assert line_of(lines, "formula") == "input0 + input1 = 0.75"
    assert "           with input0 = 0.25, input1 = 0.5" in lines


def test_names_of_colours() -> None:
    given = array_input(RNG.random((1, 4, 4, 3)), names=("red", "green", "blue"))
    layer = ConvLayer(from_array(RNG.normal(size=(3, 3, 3, 1))))
    subject = ExplainedLayer("it", layer, (given,), (MapGroup("", (0,)),), np.dtype(float))
    lines = shown(explain(subject, (1, 1)))
    assert [line for line in lines if line in ("red", "green", "blue")] == ["red", "green", "blue"]
    assert line_of(lines, "sum").startswith("red ")


def test_numbers() -> None:
    for values, texts in {
        (0.25, -1.5): ["0.250", "-1.500"],
        (3.0, -12.0): ["3", "-12"],
        (1e-7, 0.0): ["1.000e-07", "0"],
        (np.nan, np.inf): ["nan", "inf"],
        (-0.0, 0.00001): ["0", "1.000e-05"],
    }.items():
        write = choose_format(np.array(values))
        assert [write.write(value).strip() for value in values] == texts


def test_cuts_are_near_the_middle_when_all_weighs_the_same() -> None:
    assert choose_part(np.ones((9, 9)), (3, 5)).rows == slice(3, 6)
    assert choose_part(np.ones((9, 9)), (3, 5)).cols == slice(2, 7)
    assert choose_part(np.ones((2, 3)), (9, 9)).whole
