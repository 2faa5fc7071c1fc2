"""Networks of one axis (N, C, L) as pictures of one row: layers, judged by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

SHAPE = (1, 4, 6, 23)
CHANNELS = 4


def judge(last: Any, constants: dict[str, Any], kinds: set[str]) -> None:
    """Check a node behind a mean over rows, and behind a reshape of the picture."""
    constants |= {"s": np.array([1, CHANNELS, -1])}
    for first in (
        node("ReduceMean", "x", "r", axes=[2], keepdims=0),
        node("Reshape", "x s", "r"),
    ):
        made = model([first, last], constants, SHAPE, 17)
        read, X = load(made), picture(*SHAPE)
        assert all(each.layer.has_gradient for each in read.network.nodes)
        assert kinds <= {each.layer.op for each in read.network.nodes}
        name = read.find("y")
        found = np.moveaxis(ours(made, X), 1, -1)
        found = read.tensors[name][1].load(found) if name in read.tensors else found
        expected = runtime(made, X)
        if name in read.tensors:
            assert found.shape[1:] == expected.shape
        np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": [2], "pads": [1, 2]},
        {"dilations": [3], "pads": [0, 4]},
        {"auto_pad": "SAME_UPPER", "strides": [2]},
        {"group": 2, "kernel_shape": [5]},
    ],
    ids=str,
)
def test_convolutions(options: dict[str, Any]) -> None:
    weights = picture(6, CHANNELS // options.get("group", 1), 5)
    constants = {"w": weights, "b": picture(6)}
    judge(node("Conv", "r w b", "y", **options), constants, {"conv"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": [3], "pads": [1, 0], "output_padding": [2]},
        {"strides": [2], "output_shape": [46], "auto_pad": "SAME_UPPER"},
        {"group": 2, "dilations": [2]},
    ],
    ids=str,
)
def test_transposed_convolutions(options: dict[str, Any]) -> None:
    weights = picture(CHANNELS, 3, 4)
    judge(node("ConvTranspose", "r w", "y", **options), {"w": weights}, {"conv-transpose"})


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pools(op: str) -> None:
    judge(node(op, "r", "y", kernel_shape=[3], strides=[2], pads=[1, 1]), {}, {"pool"})
    if op != "LpPool":
        options = {"kernel_shape": [4], "strides": [3], "ceil_mode": 1}
        judge(node(op, "r", "y", **options), {}, {"pool"})


@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"])
def test_global_pools(op: str) -> None:
    judge(node(op, "r", "y"), {}, {"pool"})


def test_norms() -> None:
    given = {name: np.abs(picture(CHANNELS)) + 0.1 for name in ("g", "b", "m", "v")}
    judge(node("BatchNormalization", "r g b m v", "y"), given, {"batchnorm"})
    given = {name: given[name] for name in ("g", "b")}
    # Behind a reshape that is what exporters make of group normalisation.
    judge(node("InstanceNormalization", "r g b", "y"), given, set())


def test_several_signals_are_run_by_onnx() -> None:
    nodes = [node("Reshape", "x s", "r"), node("Conv", "r w", "y")]
    constants = {"w": picture(2, CHANNELS, 3), "s": np.array([6, CHANNELS, -1])}
    made = model(nodes, constants, SHAPE, 17)
    assert "onnx" in [each.layer.op for each in load(made).network.nodes]
    np.testing.assert_allclose(
        ours(made, picture(*SHAPE)).ravel().sum(), runtime(made, picture(*SHAPE)).sum(), rtol=1e-4
    )
