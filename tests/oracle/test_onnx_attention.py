"""What attention is made of in ONNX models, judged by ONNX Runtime: products, softmax, Gather."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.network.layers import PoolLayer
from cnncli.network.layers.view import Layout
from cnncli.network.onnx.operators import OPERATORS
from cnncli.network.onnx.values import BuiltLayer, NodeInputs
from tests.support.onnxmodels import load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

ONE = (1, 4, 6, 8)


def kinds(made: Any) -> list[str]:
    """Check that a model has a layer of ours for each node; return their kinds."""
    layers = [each.layer for each in load(made).network.nodes]
    assert all(layer.has_gradient for layer in layers), [
        getattr(each, "label", each.op) for each in layers
    ]
    return [layer.op for layer in layers]


def check(made: Any, X: Any) -> None:
    """Compare the values in ONNX's order, whatever the maps of the output are."""
    found, expected = np.moveaxis(ours(made, X), 1, -1), runtime(made, X)
    read = load(made)
    # Tables are stored row by row.
    _, layout = read.tensors.get(read.find(made.graph.output[0].name), ("", Layout("nhwc")))
    found = layout.load(found)
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, -3])
def test_softmax_of_pictures(axis: int, op: str, opset: int) -> None:
    made = model([node("Tanh", "x", "t"), node(op, "t", "y", axis=axis)], {}, ONE, opset)
    assert kinds(made)[-1] in ("softmax", "activation")
    check(made, picture(*ONE))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ([1, -1], 1),
        ([1, 4, -1], 1),
        ([1, 4, -1], 2),
        ([4, 6, 8], 0),
        ([4, 48], 0),
        ([4, 48], 1),
        ([1, 4, 2, 3, 8], 4),
        ([1, 4, 2, 3, 8], 3),
        ([1, 4, 1, 6, 8], 1),
    ],
)
def test_softmax_of_other_shapes(shape: list[int], axis: int) -> None:
    nodes = [node("Reshape", "x s", "r"), node("Softmax", "r", "y", axis=axis)]
    made = model(nodes, {"s": np.array(shape)}, ONE, 13)
    assert "softmax" in kinds(made) or "activation" in kinds(made)
    check(made, picture(*ONE))


def test_softmax_over_a_part_of_the_rows_is_run_by_onnx() -> None:
    nodes = [node("Reshape", "x s", "r"), node("Softmax", "r", "y", axis=1)]
    made = model(nodes, {"s": np.array([1, 4, 2, 3, 8])}, ONE, 13)
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    check(made, picture(*ONE))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 4, 6, 8], [1, 4, 8, 6]),
        ([4, 6, 8], [4, 8, 6]),
        ([24, 8], [8, 24]),
        ([1, 24, 8], [8, 24]),
        ([2, 2, 6, 8], [2, 2, 8, 6]),
        ([1, 1, 48, 4], [1, 4, 48]),
    ],
    ids=str,
)
def test_products_of_two_values(first: list[int], second: list[int]) -> None:
    nodes = [
        node("Tanh", "x", "t"),
        node("Reshape", "x first", "a"),
        node("Reshape", "t second", "b"),
        node("MatMul", "a b", "y"),
    ]
    made = model(nodes, {"first": np.array(first), "second": np.array(second)}, ONE, 13)
    assert "matmul" in kinds(made)
    check(made, picture(*ONE))


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
@pytest.mark.parametrize("after", [[1, 6, 8, 5], [48, 1, 5], [16, 15], [1, 240]], ids=str)
def test_tables_times_a_matrix_take_other_shapes(op: str, after: list[int]) -> None:
    """As attention of PyTorch has it: all cells as rows of a table, and back."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t rows", "r"),
        node(op, "r w b" if op == "Gemm" else "r w", "p"),
        node("Reshape", "p after", "y"),
    ]
    constants = {"rows": np.array([-1, 4]), "after": np.array(after), "w": picture(4, 5)}
    made = model(nodes, {**constants, "b": picture(5)}, ONE, 13)
    assert set(kinds(made)) <= {"conv", "view"}
    check(made, picture(*ONE))


def test_a_layer_of_another_shape_than_the_node_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(inputs: NodeInputs) -> BuiltLayer:
        return BuiltLayer(PoolLayer(size=2), (inputs.picture(),))

    monkeypatch.setitem(OPERATORS, "Tanh", wrong)
    made = model([node("Tanh", "x", "y")], {}, ONE, 13)
    assert [each.layer.op for each in load(made).network.nodes] == ["onnx"]
    check(made, picture(*ONE))


def test_keys_are_turned() -> None:
    """As attention has it: queries of every head by the keys of that head."""
    nodes = [
        node("Tanh", "x", "t"),
        node("Transpose", "t", "k", perm=[0, 1, 3, 2]),
        node("MatMul", "x k", "p"),
        node("Softmax", "p", "s", axis=-1),
        node("MatMul", "s x", "o"),
        node("Transpose", "o", "r", perm=[0, 2, 1, 3]),
        node("Reshape", "r shape", "f"),
        node("MatMul", "f w", "y"),
    ]
    constants = {"shape": np.array([1, 6, 32]), "w": picture(32, 5)}
    made = model(nodes, constants, ONE, 13)
    assert kinds(made).count("matmul") == 2
    check(made, picture(*ONE))


def test_products_of_other_numbers_of_matrices_are_run_by_onnx() -> None:
    nodes = [
        node("Reshape", "x first", "a"),
        node("Reshape", "x second", "b"),
        node("MatMul", "a b", "y"),
    ]
    constants = {"first": np.array([2, 1, 12, 8]), "second": np.array([1, 2, 8, 12])}
    made = model(nodes, constants, ONE, 13)
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    check(made, picture(*ONE))


@pytest.mark.parametrize(
    ("indices", "axis"),
    [(2, 1), (-1, 3), (0, 0), ([3, 2, 1, 0], 1), ([1, 3], -1), ([5, 3, 1], 2), ([-1], 1)],
    ids=str,
)
def test_gather_of_indices_with_one_step(indices: Any, axis: int) -> None:
    nodes = [node("Tanh", "x", "t"), node("Gather", "t i", "y", axis=axis)]
    made = model(nodes, {"i": np.array(indices)}, ONE, 13)
    assert {*kinds(made)} <= {"activation", "slice", "view"}
    check(made, picture(*ONE))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_queries_keys_and_values_are_gathered(index: int) -> None:
    nodes = [
        node("Reshape", "x shape", "r"),
        node("Transpose", "r", "q", perm=[2, 0, 3, 1, 4]),
        node("Gather", "q i", "y", axis=0),
    ]
    constants = {"shape": np.array([1, 8, 3, 2, 4]), "i": np.array(index)}
    made = model(nodes, constants, ONE, 13)
    assert "slice" in kinds(made)
    check(made, picture(*ONE))


def test_gather_of_any_indices_is_run_by_onnx() -> None:
    for indices in ([0, 1, 3], [[0, 1], [2, 3]], [1, 1]):
        nodes = [node("Tanh", "x", "t"), node("Gather", "t i", "y", axis=1)]
        made = model(nodes, {"i": np.array(indices)}, ONE, 13)
        assert "onnx" in [each.layer.op for each in load(made).network.nodes]
        check(made, picture(*ONE))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(1, 4, 6, 8), (6, 8), (8,), (4, 6, 1), (6, 1)], ids=str)
def test_constants_of_each_cell(op: str, shape: tuple[int, ...]) -> None:
    made = model(
        [node("Tanh", "x", "t"), node(op, "t c", "y")], {"c": np.abs(picture(*shape)) + 0.5}, ONE
    )
    assert kinds(made)[-1] == "cell-scale"
    check(made, picture(*ONE))


@pytest.mark.parametrize("shape", [[1, 4, -1], [4, 48], [2, 2, 3, 2, 8], [1, 192]], ids=str)
def test_constants_of_each_cell_of_other_shapes(shape: list[int]) -> None:
    constants = {"s": np.array(shape), "c": picture(192).reshape(shape)}
    made = model([node("Reshape", "x s", "r"), node("Add", "c r", "y")], constants, ONE)
    assert "cell-scale" in kinds(made)
    check(made, picture(*ONE))


def test_constants_that_make_a_value_larger_are_run_by_onnx() -> None:
    nodes = [node("ReduceMean", "x", "r", axes=[2]), node("Add", "r c", "y")]
    made = model(nodes, {"c": picture(1, 4, 6, 8)}, ONE)
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    check(made, picture(*ONE))


@pytest.mark.parametrize("order", ["c x", "x c", "c x d"])
def test_a_token_beside_others(order: str) -> None:
    """The class token of a vision transformer, and its like at the end."""
    nodes = [
        node("Reshape", "x s", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1]),
        node("Concat", order.replace("x", "t"), "y", axis=1),
    ]
    constants = {"s": np.array([1, 4, 48]), "c": picture(1, 1, 4), "d": picture(1, 2, 4) * 2}
    made = model(nodes, constants, ONE, 13)
    assert {"pad", "cell-scale"} <= {*kinds(made)}
    check(made, picture(*ONE))


@pytest.mark.parametrize("axis", [2, 3])
def test_rows_and_columns_of_constants(axis: int) -> None:
    shape = [1, 4, 6, 8]
    shape[axis] = 2
    made = model(
        [node("Tanh", "x", "t"), node("Concat", "c t", "y", axis=axis)], {"c": picture(*shape)}, ONE
    )
    assert "cell-scale" in kinds(made)
    check(made, picture(*ONE))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (node("Gather", "x i", "y", axis=1), "index 4 is out of bounds"),
        (node("Gather", "x one", "y", axis=5), "axis"),
        (node("Pad", "x pads - twice", "y"), "twice"),
    ],
    ids=["index", "axis", "axis twice"],
)
def test_what_onnx_runtime_refuses_is_no_other_part(made: Any, said: str) -> None:
    constants = {
        "i": np.array([4, 5]),
        "one": np.array([1]),
        "pads": np.array([1, 2, 1, 2]),
        "twice": np.array([2, -2]),
    }
    used = {name: array for name, array in constants.items() if name in made.input}
    whole = model([made], used, ONE, 18)
    with pytest.raises(CnnCliError, match=said):
        ours(whole, picture(*ONE))
