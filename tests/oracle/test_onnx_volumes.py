"""Pools of signals, pictures and volumes, one or several: layers, judged by ONNX Runtime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

AXES = {
    "signals": (3, 2, 7),
    "pictures": (3, 2, 5, 7),
    "a volume": (1, 2, 4, 5, 7),
    "a volume of one channel": (1, 1, 4, 5, 7),
    "volumes": (2, 2, 4, 5, 7),
}
OPERATORS = ("MaxPool", "AveragePool", "LpPool")


def check_pool(op: str, shape: tuple[int, ...], **options: Any) -> Any:
    """Compare a pool of numbers of a shape; it must be layers of our own."""
    nodes = [node("Reshape", "x s", "r"), node(op, "r", "y", **options)]
    X = picture(1, int(np.prod(shape)), 1, 1)
    made = model(nodes, {"s": np.array(shape)}, X.shape, 18)
    read, expected = load(made), runtime(made, X)
    assert all(each.layer.has_gradient for each in read.network.nodes)
    tensor = read.tensors.get(read.find("y"))
    found = np.moveaxis(ours(made, X), 1, -1)
    found = tensor[1].load(found)[0] if tensor else np.moveaxis(found, -1, 1)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return expected


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("name", AXES)
def test_the_last_window_may_begin_in_the_padding(name: str, op: str) -> None:
    shape = AXES[name]
    axes = len(shape) - 2
    sizes = set()
    # Onnx's inference of shapes counts windows that begin behind the input; nobody computes them.
    for stride, pads, ceil in product((2, 3, 4), ((1, 1), (0, 1), (1, 0)), (0, 1)):
        pads = [pads[0]] * axes + [pads[1]] * axes
        options: dict[str, Any] = {"pads": pads, "strides": [stride] * axes, "ceil_mode": ceil}
        if op == "AveragePool":
            options["count_include_pad"] = ceil
        sizes.add(check_pool(op, shape, kernel_shape=[2] * axes, **options).shape)
    assert len(sizes) > 1


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("auto_pad", ["VALID", "SAME_UPPER", "SAME_LOWER"])
def test_named_pads(auto_pad: str, op: str) -> None:
    for shape in AXES.values():
        axes = len(shape) - 2
        kernel, strides = [3, 2, 3][:axes], [1, 2, 2][:axes]
        check_pool(op, shape, kernel_shape=kernel, strides=strides, auto_pad=auto_pad)


@pytest.mark.parametrize("kernel", [(2, 1, 1), (1, 2, 3), (1, 1, 1), (1, 2, 1)])
def test_axes_that_no_window_reaches_over_take_no_layer(kernel: tuple[int, ...]) -> None:
    shape = AXES["a volume"]
    check_pool("MaxPool", shape, kernel_shape=kernel)
    nodes = [node("Reshape", "x s", "r"), node("MaxPool", "r", "y", kernel_shape=kernel)]
    read = load(model(nodes, {"s": np.array(shape)}, (1, int(np.prod(shape)), 1, 1)))
    assert [each.layer.op for each in read.network.nodes].count("pool") == 1


def test_a_window_that_does_not_fit_is_refused_when_it_is_read() -> None:
    for shape in AXES.values():
        axes = len(shape) - 2
        window = {"kernel_shape": [8] * axes, "ceil_mode": 1}
        nodes = [node("Reshape", "x s", "r"), node("Relu", "r", "a")]
        nodes.append(node("MaxPool", "a", "y", **window))
        read = load(model(nodes, {"s": np.array(shape)}, (1, int(np.prod(shape)), 1, 1)))
        assert "the window must fit into the padded input" in read.stop.reason
