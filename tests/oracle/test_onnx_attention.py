"""What attention is made of in ONNX models: softmax over any axis, judged by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.network.layers.base import has_gradient
from cnncli.network.layers.view import Layout
from tests.support.onnxmodels import load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

ONE = (1, 4, 6, 8)


def kinds(made: Any) -> list[str]:
    """Check that a model has a layer of ours for each node; return their kinds."""
    layers = [each.layer for each in load(made).network.nodes]
    assert all(map(has_gradient, layers)), [getattr(each, "label", each.op) for each in layers]
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
