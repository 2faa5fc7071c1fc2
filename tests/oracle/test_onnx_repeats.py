"""Expand and Tile of ONNX models as layers, judged by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import check, load, model, node, picture

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

ONE = (1, 4, 6, 8)


def kinds(made: Any) -> list[str]:
    layers = [each.layer for each in load(made).network.nodes]
    assert all(layer.has_gradient for layer in layers)
    return [layer.op for layer in layers]


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ([2, 3], [1, 4, 6, 8], "resize"),
        ([2], [6, 1], "resize"),
        ([1], [1, 4, 1, 1], "concat"),
        ([2, 3], [1, 1, 1, 5], "resize"),
    ],
    ids=str,
)
def test_expand(axes: list[int], shape: list[int], expected: str) -> None:
    nodes = [node("ReduceMean", "x", "r", axes=axes), node("Expand", "r s", "y")]
    made = model(nodes, {"s": np.array(shape)}, ONE, 13)
    assert kinds(made)[-1] == expected
    check(made, picture(*ONE))


def test_expand_to_its_own_shape_is_no_layer() -> None:
    nodes = [node("Tanh", "x", "t"), node("Expand", "t s", "e"), node("Relu", "e", "y")]
    made = model(nodes, {"s": np.array([1, 1, 6, 8])}, ONE, 13)
    assert kinds(made) == ["activation", "activation"]
    check(made, picture(*ONE))


@pytest.mark.parametrize("repeats", [[1, 3, 1, 1], [1, 1, 2, 1], [1, 1, 1, 4], [1, 1, 1, 1]])
def test_tile(repeats: list[int]) -> None:
    nodes = [node("Tanh", "x", "t"), node("Tile", "t n", "e"), node("Relu", "e", "y")]
    made = model(nodes, {"n": np.array(repeats)}, ONE, 13)
    assert ("concat" in kinds(made)) == (max(repeats) > 1)
    check(made, picture(*ONE))


def test_several_axes_are_repeated_by_onnx() -> None:
    nodes = [node("Tanh", "x", "t"), node("Tile", "t n", "y")]
    made = model(nodes, {"n": np.array([1, 2, 2, 1])}, ONE, 13)
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    check(made, picture(*ONE))
