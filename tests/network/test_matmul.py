"""Products of matrices in maps: by a loop, finite differences, PyTorch's rules for shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.network.graph import Network, Node
from cnncli.network.layers import ActivationLayer, MatMulLayer
from cnncli.network.layers.view import Layout, ViewLayer
from cnncli.network.model import Model
from cnncli.network.summary import summarize
from cnncli.render.options import numbered_groups
from tests.support.judges import numeric_gradient
from tests.support.netfiles import check_converted

RANDOM = np.random.default_rng(181)


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RANDOM.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((2, 3, 4, 5), (2, 3, 5, 6)),
        ((2, 1, 4, 5), (2, 3, 5, 6)),
        ((2, 3, 4, 5), (2, 1, 5, 2)),
        ((1, 1, 1, 1), (1, 1, 1, 7)),
    ],
)
def test_products_and_gradients(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    layer, inputs = MatMulLayer(), arrays(first, second)
    Y, cache = layer.forward(*inputs)
    assert Y.shape == layer.output_shape(*(X.shape for X in inputs))
    for image, row, column, channel in np.ndindex(Y.shape):
        one, other = (X[image, min(row, X.shape[1] - 1)] for X in inputs)
        expected = sum(one[column, k] * other[k, channel] for k in range(one.shape[1]))
        assert Y[image, row, column, channel] == pytest.approx(expected, rel=1e-12)
    dY = RANDOM.standard_normal(Y.shape)
    gradients, _ = layer.backward(dY, cache)
    for number, dX in enumerate(gradients):

        def made(X: np.ndarray, number: int = number) -> np.ndarray:
            given = [*inputs]
            given[number] = X
            return layer.forward(*given)[0]

        numeric = numeric_gradient(made, inputs[number], dY)
        np.testing.assert_allclose(dX, numeric, rtol=1e-6, atol=1e-8)
    single = layer.forward(*(X.astype(np.float32) for X in inputs))[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, Y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(1, 3, 4, 5), (1, 2, 5, 6)], "got 3x4x5 and 2x5x6"),
        ([(1, 3, 4, 5), (1, 3, 4, 6)], "as many columns as the first has channels"),
        ([(1, 3, 4, 5)] * 3, "matmul takes 2 inputs, got 3"),
    ],
)
def test_what_does_not_fit_is_refused(shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        MatMulLayer().output_shape(*shapes)


@pytest.mark.parametrize("count", [3, 20])
def test_one_value_is_explained_by_its_products(count: int) -> None:
    inputs = arrays((1, 2, 4, count), (1, 1, count, 6))
    sources = tuple(array_input(X, name) for X, name in zip(inputs, ("q", "k"), strict=True))
    made = ExplainedLayer("p", MatMulLayer(), sources, numbered_groups(6), np.dtype(float))
    (step,) = explain(made, (1, 2), 5).steps
    products = inputs[0][0, 1, 2] * inputs[1][0, 0, :, 5]
    assert step.value == pytest.approx(products.sum())
    assert step.fast == pytest.approx(step.value, abs=1e-12)
    assert sum(value for _, value in step.operands) == pytest.approx(products.sum())
    # All of few, the largest of many.
    assert {value for _, value in step.operands} >= {*sorted(products, key=abs)[-8:]}
    assert len(step.operands) == min(count, 9)
    assert step.operands[0][0].startswith("q[1,2] of channel ")


def attention() -> Network:
    turned = ViewLayer(Layout("nhwc"), (0, 1, 3, 2), 4, (3, 5, 4))
    nodes = (
        Node("q", ActivationLayer("relu"), ("input",)),
        Node("t", turned, ("q",)),
        Node("p", MatMulLayer(), ("q", "t")),
    )
    return Network(nodes)


def test_plan_counts_its_products() -> None:
    (*_, last) = summarize(attention(), (3, 4, 5)).layers
    assert (last.multiply_adds, last.shape) == (3 * 4 * 4 * 5, (3, 4, 4))


def test_network_files(tmp_path: Path) -> None:
    (X,) = arrays((2, 3, 4, 5))
    check_converted(Model(attention()), X, tmp_path)
