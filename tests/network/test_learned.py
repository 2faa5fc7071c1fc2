"""What of an ONNX model was learned: tensors of its file, and not constants of its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.network.parameters import count_parameters
from tests.support.onnxmodels import load, model, node

SHAPE = (1, 3, 4, 6)


def constant(name: str, *shape: int, **more: Any) -> Any:
    """Return a node of a constant."""
    from onnx import numpy_helper

    array = np.arange(float(np.prod(shape)), dtype=np.float32).reshape(shape)
    return node("Constant", "", name, value=numpy_helper.from_array(array), **more)


def counts(nodes: list[Any], **constants: Any) -> list[int]:
    """Return the parameters of each layer of a model, whether its weights are read or not."""
    arrays = {"F": np.ones((4, 3, 1, 1), np.float32), **constants}
    made = model([node("Conv", "x F", "c"), *nodes], arrays, SHAPE)
    whole = count_parameters(load(made).network)
    assert whole == count_parameters(load(made, weights=False).network)
    return list(whole.values())


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 1, 4, 6)], ids=["channels", "grid"])
def test_a_constant_is_none(op: str, shape: tuple[int, ...]) -> None:
    grid = constant("g", *shape)
    assert counts([grid, node(op, "c g", "y")])[-1] == 0
    learned = np.full(shape, 0.5, np.float32)
    assert counts([node(op, "c g", "y")], g=learned)[-1] == learned.size


def test_nor_is_what_is_made_of_constants() -> None:
    nodes = [
        constant("a", 4, 6),
        node("Mul", "a a", "b"),
        node("Reshape", "b shape", "g"),
        node("Add", "c g", "y"),
    ]
    assert counts(nodes, shape=np.array([1, 1, 4, 6])) == [12, 0]
    # Where tools moved it among the tensors.
    moved = {"/head/Constant_3_output_0": np.ones((1, 1, 4, 6), np.float32)}
    assert counts([node("Add", "c /head/Constant_3_output_0", "y")], **moved) == [12, 0]


def test_what_is_expanded_counts_once() -> None:
    nodes = [node("Expand", "a shape", "g"), node("Mul", "c g", "y")]
    arrays = {"a": np.full((1, 4, 1, 2), 0.5, np.float32), "shape": np.array([1, 4, 4, 2])}
    wide = {**arrays, "shape": np.array([1, 4, 4, 1]), "a": arrays["a"][..., :1]}
    assert counts(nodes, **wide) == [12, 4]
    assert counts([node("Mul", "c row", "y")], row=np.ones((1, 1, 1, 6), np.float32)) == [12, 6]


def test_weights_may_all_be_constants() -> None:
    weights = constant("W", 4, 3, 1, 1)
    made = model([weights, node("Conv", "x W", "y")], {}, SHAPE)
    assert list(count_parameters(load(made).network).values()) == [12]


def test_a_turned_matrix_was_learned() -> None:
    nodes = [
        node("GlobalAveragePool", "c", "p"),
        node("Flatten", "p", "f"),
        node("Transpose", "W", "T", perm=[1, 0]),
        node("MatMul", "f T", "y"),
    ]
    assert counts(nodes, W=np.ones((5, 4), np.float32))[-1] == 20


def test_weights_that_layers_share_count_for_the_first() -> None:
    twice = [node("Conv", "x W a", "c"), node("Relu", "c", "r"), node("Conv", "r W b", "y")]
    arrays = {"W": np.ones((3, 3, 1, 1), np.float32), "a": np.ones(3, np.float32)}
    for bias, last in (("a", 0), ("b", 3)):
        made = model(twice, {**arrays, "b": np.ones(3, np.float32)}, SHAPE)
        made.graph.node[-1].input[2] = bias
        for weights in (True, False):
            network = load(made, weights=weights).network
            assert list(count_parameters(network).values()) == [12, 0, last]
