"""Transposed convolutions explained: what adds to an output, and which outputs a cell adds to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.explain.backward import explain_backward
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.explain.text.backward import backward_lines
from cnncli.explain.text.forward import TextOptions, forward_lines
from cnncli.explain.trail import find_trail
from cnncli.filters.filter import from_array
from cnncli.network.graph import input_groups
from cnncli.network.layers import ConvTransposeLayer

RNG = np.random.default_rng(29)
X = RNG.standard_normal((1, 4, 5, 4))

LAYERS = {
    "doubling": ConvTransposeLayer(
        from_array(RNG.standard_normal((3, 2, 2, 4))),
        np.array([1.0, 2.0]),
        stride=2,
        padding=(1, 0, 0, 1),
    ),
    "in groups": ConvTransposeLayer(
        from_array(RNG.standard_normal((3, 3, 2, 4))), groups=2, dilation=2
    ),
    "with gaps": ConvTransposeLayer(
        from_array(RNG.standard_normal((2, 2, 1, 4))), np.array([0.5]), stride=3, output_padding=1
    ),
}


def subject(layer: ConvTransposeLayer, values: Any = X) -> ExplainedLayer:
    groups = layer.output_groups(input_groups(values.shape[3]))
    return ExplainedLayer("up", layer, (array_input(values),), groups, values.dtype)


def everywhere(shape: Any) -> Any:
    return product(*(range(n) for n in shape))


def impulses(layer: ConvTransposeLayer) -> dict[tuple[int, ...], Any]:
    """What each input cell adds to the output if it is 1: the layer's own answer, without bias."""
    bare = replace(layer, bias=None)
    answers = {}
    for cell in everywhere(X.shape[1:]):
        one = np.zeros(X.shape)
        one[(0, *cell)] = 1
        answers[cell] = bare.forward(one)[0][0]
    return answers


@pytest.mark.parametrize("name", LAYERS)
def test_products_of_the_cells_add_up_to_the_value(name: str) -> None:
    layer = LAYERS[name]
    one, answers = subject(layer), impulses(layer)
    made = layer.forward(X)[0][0]
    for row, column, channel in everywhere(one.output_shape[1:]):
        explanation = explain(one, (row, column), channel)
        (step,) = explanation.steps
        assert step.value == pytest.approx(made[row, column, channel], abs=1e-12)
        assert step.fast == pytest.approx(step.value, abs=1e-12)
        weights = {}
        for block in step.blocks:
            assert block.weights is not None and block.products is not None
            np.testing.assert_array_equal(block.products, block.window * block.weights)
            for i, j in everywhere(block.window.shape):
                cell = explanation.cells[0][i], explanation.cells[1][j], block.channel
                assert block.window[i, j] == X[0][cell]
                weights[cell] = block.weights[i, j]
        expected = {cell: answer[row, column, channel] for cell, answer in answers.items()}
        assert weights == {cell: pytest.approx(v) for cell, v in expected.items() if v}
        assert sum(block.sum for block in step.blocks) + (step.bias or 0) == step.value


@pytest.mark.parametrize("name", LAYERS)
def test_the_spread_is_where_a_cell_adds_to(name: str) -> None:
    layer = LAYERS[name]
    one, answers = subject(layer), impulses(layer)
    for row, column, channel in everywhere(one.output_shape[1:]):
        spread = explain(one, (row, column), channel).spread
        assert spread is not None
        for i, j in product(range(len(spread.rows.cells)), range(len(spread.columns.cells))):
            cell = spread.rows.cells[i], spread.columns.cells[j]
            reached = sum(np.abs(answers[(*cell, k)]).sum(axis=2) for k in range(X.shape[3]))
            box = {*product(spread.rows.outputs[i], spread.columns.outputs[j])}
            assert box == {*zip(*map(np.ndarray.tolist, np.nonzero(reached)), strict=True)}
            assert (row, column) in box


@pytest.mark.parametrize("index", [None, 1])
@pytest.mark.parametrize("name", ["doubling", "in groups"])
def test_backward_lists_the_outputs_that_a_cell_adds_to(name: str, index: int | None) -> None:
    layer = LAYERS[name]
    one, answers = subject(layer), impulses(layer)
    Y, cache = layer.forward(X)
    dY = np.ones_like(Y)
    if index is not None:
        dY[..., [k for k in range(Y.shape[3]) if k != index]] = 0
    dX = layer.backward(dY, cache)[0][0]
    for row, column, channel in everywhere(X.shape[1:]):
        found = explain_backward(one, (row, column), channel, index)
        assert found.gradient == pytest.approx(dX[row, column, channel], abs=1e-12)
        answer = answers[row, column, channel] * dY[0]
        weights = {(*path.output, path.channel): path.weight for path in found.paths}
        expected = {(i, j, k): answer[i, j, k] for i, j, k in everywhere(answer.shape)}
        assert weights == {cell: pytest.approx(v) for cell, v in expected.items() if v}


SMALL = ConvTransposeLayer(
    from_array(np.arange(1.0, 10.0).reshape(3, 3, 1, 1)), np.array([0.5]), stride=2
)


def test_the_text_shows_cells_weights_products_and_reach() -> None:
    one = subject(SMALL, np.arange(1.0, 5.0).reshape(1, 2, 2, 1))
    assert forward_lines(explain(one, (2, 2)), TextOptions()) == [
        "up, transposed convolution, map 0: the output at row 2, column 2 of 5x5",
        "each input cell adds its value times the filter to the output; here are the",
        "products that fall on this value",
        "",
        "size       rows and columns (2-1)*2+3-2*0 = 5",
        "made of    rows 0 to 1 of the input, by rows 2, 0 of the kernel",
        "           columns 0 to 1 of the input, by columns 2, 0 of the kernel",
        "spread     the input at row 0, column 1, the strongest here, adds to rows 0 to 2",
        "           and columns 2 to 4 of the output",
        "",
        "   window   weights   products",
        "   0  1",
        "0  1  2   x  9  7   =   9  14",
        "1  3  4      3  1       9   4",
        "",
        "sum        36, of 4 products",
        "bias       + 0.5 = 36.5",
        "result     36.5",
        "as computed by run: 36.5",
    ]
    told = "\n".join(backward_lines(explain_backward(one, (1, 0)), TextOptions()))
    assert "each output that this value is added to sends back its gradient" in told
    assert "output at  cell  weight" in told and "\n2,0        0,0        1" in told
    assert told.endswith("gradient   45, the sum of 9 products")


def test_where_no_cell_reaches_only_the_bias_is_left() -> None:
    one = subject(LAYERS["with gaps"])
    told = forward_lines(explain(one, (2, 3)), TextOptions())
    assert "made of    no row of the input: it falls between those that the kernel reaches" in told
    assert told[-4:] == [
        "sum        0, of 0 products",
        "bias       + 0.5 = 0.5",
        "result     0.5",
        "as computed by run: 0.5",
    ]
    trail = find_trail(lambda name: one, "up", (2, 3))
    assert trail.end == "ends at up: only a constant is behind this value"
