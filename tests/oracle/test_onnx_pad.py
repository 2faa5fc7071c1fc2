"""Pad of any axes, by positive and negative amounts, as layers: judged by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import check, load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle


def padded(pads: list[int], mode: str = "constant", value: float = 0.5) -> Any:
    constants = {"p": np.array(pads), "v": np.float32(value)}
    inputs = "t p v" if mode == "constant" else "t p"
    nodes = [node("Tanh", "x", "t"), node("Pad", inputs, "y", mode=mode)]
    return model(nodes, constants, opset=18)


def kinds(made: Any) -> list[str]:
    layers = [each.layer for each in load(made).network.nodes][1:]
    assert all(layer.has_gradient for layer in layers)
    return [layer.op for layer in layers]


@pytest.mark.parametrize(
    ("pads", "expected"),
    [
        ([0, 0, -1, -2, 0, 0, -3, 0], ["slice"]),
        ([0, -1, 0, 0, 0, -2, 0, 0], ["slice"]),
        ([0, 0, -1, 2, 0, 0, 3, -2], ["slice", "pad"]),
        ([0, 2, 1, 0, 0, 1, 0, 3], ["pad-channels", "pad"]),
        ([0, -1, -2, 1, 0, 3, 1, -1], ["slice", "pad-channels", "pad"]),
        ([0, 0, 0, 0, 0, 0, 0, 0], []),
    ],
    ids=str,
)
def test_amounts(pads: list[int], expected: list[str]) -> None:
    made = padded(pads)
    assert kinds(made) == expected
    check(made)


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_what_is_left_is_repeated(mode: str) -> None:
    made = padded([0, 0, -1, 2, 0, 0, 3, -2], mode)
    assert kinds(made) == ["slice", "pad"]
    check(made)


def test_channels_are_repeated_by_onnx() -> None:
    made = padded([0, 1, 0, 0, 0, 2, 0, 0], "reflect")
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    check(made)


@pytest.mark.parametrize("pads", [[0, 0, 2, 0, 0, 3], [0, 1, -1, 0, 2, 4], [0, 0, -3, 0, 0, -2]])
@pytest.mark.parametrize("reshape", [False, True])
def test_values_of_three_axes(pads: list[int], reshape: bool) -> None:
    """Of one row, as one-dimensional networks have, or in another shape."""
    first = node("Reshape", "x s", "r") if reshape else node("ReduceMean", "x a", "r", keepdims=0)
    constants = {"p": np.array(pads), "s": np.array([1, 4, -1]), "a": np.array([2])}
    made = model([first, node("Pad", "r p", "y")], constants, (1, 4, 6, 8), 18)
    assert all(each.layer.has_gradient for each in load(made).network.nodes)
    X = picture(1, 4, 6, 8)
    read = load(made)
    found = np.moveaxis(ours(made, X), 1, -1)
    name = read.find("y")
    found = read.tensors[name][1].load(found) if name in read.tensors else found
    np.testing.assert_allclose(found.ravel(), runtime(made, X).ravel(), rtol=1e-5, atol=1e-7)
