"""Norms and reductions of ONNX models: layers of our own, by ONNX Runtime, PyTorch and ONNX."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from cnncli.network.layers import GroupNormLayer, LRNLayer, PoolLayer
from cnncli.network.passes import forward_layers
from tests.support.onnxmodels import (
    SHAPE,
    check,
    load,
    model,
    node,
    node_cases,
    onnx,
    ours,
    picture,
    runtime,
)

pytest.importorskip("onnxruntime")
ReferenceEvaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(151)
CHANNELS = SHAPE[1]


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def all_ours(made: Any) -> list[str]:
    """Check that a model has a layer of ours for each node; return their kinds."""
    layers = [each.layer for each in load(made).network.nodes]
    assert all(layer.has_gradient for layer in layers)
    return [layer.op for layer in layers]


OWN = ("InstanceNormalization", "GroupNormalization", "LRN")


def on_four_axes(case: Any) -> Any:
    """Return a case's model with all inputs but the picture as constants; None for another kind."""
    nodes = case.model.graph.node
    if len(nodes) != 1 or nodes[0].op_type not in OWN or len(case.model.graph.output) > 1:
        return None
    inputs = case.data_sets[0][0]
    if inputs[0].ndim != 4:
        return None
    made = onnx.ModelProto.FromString(case.model.SerializeToString())
    for info, array in zip(made.graph.input[1:], inputs[1:], strict=True):
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, info.name))
    del made.graph.input[1:]
    return made


def test_the_cases_of_onnx_in_float64() -> None:
    seen = set()
    for name, case in node_cases().items():
        made = on_four_axes(case)
        if made is None:
            continue
        found = load(made)
        assert all(each.layer.has_gradient for each in found.network.nodes)
        X = case.data_sets[0][0][0].astype(np.float64)
        arrays = {i.name: onnx.numpy_helper.to_array(i) for i in made.graph.initializer}
        feeds = {key: value.astype(np.float64) for key, value in arrays.items()}
        given = onnx.ModelProto.FromString(case.model.SerializeToString())
        (expected,) = ReferenceEvaluator(given).run(None, {given.graph.input[0].name: X, **feeds})
        ((_, Y),) = forward_layers(found.network, np.ascontiguousarray(np.moveaxis(X, 1, 3)))
        np.testing.assert_allclose(
            np.moveaxis(Y, 3, 1), expected, rtol=1e-6, atol=1e-9, err_msg=name
        )
        seen.add(case.model.graph.node[0].op_type)
    assert seen == {*OWN}


def test_instance_norm() -> None:
    arrays = {"g": floats(CHANNELS), "b": floats(CHANNELS)}
    made = model([node("InstanceNormalization", "x g b", "y", epsilon=0.01)], arrays, SHAPE, 17)
    assert "instance-norm" in all_ours(made)
    check(made)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(size: int) -> None:
    made = model([node("LRN", "x", "y", size=size, alpha=0.5, beta=0.6, bias=2.0)], {}, SHAPE, 17)
    assert "lrn" in all_ours(made)
    check(made)


def test_layer_norm_over_channels_between_transposes() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("LayerNormalization", "t g b", "n", axis=-1, epsilon=1e-6),
        node("Transpose", "n", "y", perm=[0, 3, 1, 2]),
    ]
    made = model(nodes, {"g": floats(CHANNELS), "b": floats(CHANNELS)}, SHAPE, 17)
    assert "layer-norm" in all_ours(made)
    check(made)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2])
def test_layer_norm_over_the_last_axes(axis: int) -> None:
    made = model(
        [node("LayerNormalization", "x g", "y", axis=axis)], {"g": np.float32([1.5])}, SHAPE, 17
    )
    assert "layer-norm" in all_ours(made)
    Y = load(made).network.nodes[-1].layer.forward(picture().astype(np.float64))[0]
    X = np.moveaxis(picture().astype(np.float64), 3, 1)
    over = tuple(range(axis % 4, 4))
    mean, var = X.mean(axis=over, keepdims=True), X.var(axis=over, keepdims=True)
    expected = 1.5 * (X - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(np.moveaxis(Y, 3, 1), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("opset", [18, 21])
def test_group_norm(opset: int) -> None:
    # Each number for a group where there is one for each group, else for a channel.
    arrays = {"g": floats(CHANNELS), "b": floats(CHANNELS)}
    made = model(
        [node("GroupNormalization", "x g b", "y", num_groups=CHANNELS)], arrays, SHAPE, opset
    )
    assert "group-norm" in all_ours(made)
    check(made)


def test_group_norm_as_exporters_write_it() -> None:
    arrays = {
        "w": floats(6, CHANNELS, 3, 3),
        "groups": np.array([0, 3, -1]),
        "one": np.ones(3, np.float32),
        "zero": np.zeros(3, np.float32),
        "back": np.array([1, 6, SHAPE[2] - 2, SHAPE[3] - 2]),
        "g": floats(6, 1, 1),
        "b": floats(6, 1, 1),
    }
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c groups", "r"),
        node("InstanceNormalization", "r one zero", "n"),
        node("Reshape", "n back", "m"),
        node("Mul", "m g", "s"),
        node("Add", "s b", "y"),
    ]
    X = picture(1, *SHAPE[1:])
    made = model(nodes, arrays, X.shape, 17)
    assert all_ours(made).count("group-norm") == 1
    layer = next(n.layer for n in load(made).network.nodes if n.layer.op == "group-norm")
    assert isinstance(layer, GroupNormLayer) and layer.groups == 3
    check(made, X)


AXES = [axes for count in (1, 2, 3) for axes in combinations((1, 2, 3), count)]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("op", ["Mean", "Max", "Min", "L1", "L2"])
def test_reductions(op: str, opset: int, keepdims: int) -> None:
    for axes in AXES:
        options: Any = {"keepdims": keepdims}
        given = {"a": np.array(axes)} if opset == 18 else {}
        if not given:
            options["axes"] = axes
        check_reduced(node(f"Reduce{op}", "r a" if given else "r", "y", **options), given, opset)


@pytest.mark.parametrize("opset", [11, 13])
def test_sums(opset: int) -> None:
    for axes in AXES:
        given = {"a": np.array(axes)} if opset == 13 else {}
        options: Any = {} if given else {"axes": axes}
        check_reduced(node("ReduceSum", "r a" if given else "r", "y", **options), given, opset)


def check_reduced(reduced: Any, given: dict[str, Any], opset: int) -> None:
    X = picture(1, *SHAPE[1:])
    made = model([node("Relu", "x", "r"), reduced], given, X.shape, opset)
    assert {"reduce", "pool"} & {*all_ours(made)}
    np.testing.assert_allclose(ours(made, X).ravel(), runtime(made, X).ravel(), rtol=1e-5)


def test_a_mean_over_rows_and_columns_is_a_pool_of_any_size() -> None:
    for keepdims in (0, 1):
        made = model([node("ReduceMean", "x", "y", axes=[-1, -2], keepdims=keepdims)], {}, None, 13)
        layer = load(made).network.nodes[-1].layer
        assert layer == PoolLayer("average", "global")


def test_lrn_of_pytorch_has_its_numbers() -> None:
    torch = pytest.importorskip("torch")
    X = RNG.normal(size=(2, 9, 4, 5))
    for size in (1, 3, 5, 7):
        theirs = torch.nn.LocalResponseNorm(size, 0.3, 0.7, 1.5)(torch.tensor(X)).numpy()
        ours = LRNLayer(size, 0.3, 0.7, 1.5).forward(np.moveaxis(X, 1, 3))[0]
        np.testing.assert_allclose(np.moveaxis(ours, 3, 1), theirs, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize(
    ("op", "window", "strides", "own"),
    [
        ("AveragePool", (1, 1), [1, 1, 1], True),
        ("MaxPool", (1, 1), [2, 1, 1], True),
        ("AveragePool", (2, 1), [1, 1, 1], False),
        ("AveragePool", (1, 1), [1, 2, 1], False),
    ],
)
def test_pools_of_neighbouring_channels(
    size: int, op: str, window: tuple[int, int], strides: list[int], own: bool
) -> None:
    """PyTorch exports its local response normalisation with them."""
    one = (1, *SHAPE[1:])
    arrays = {"s": np.array([1, *one])}
    arrays["p"] = np.array([0, 0, size // 2, 0, 0, 0, 0, (size - 1) // 2, 0, 0])
    nodes = [
        node("Reshape", "x s", "r"),
        node("Pad", "r p", "q"),
        node(op, "q", "a", kernel_shape=[size, *window], strides=strides),
        node("Flatten", "a", "f"),
    ]
    X = picture(*one)
    count = runtime(model([*nodes, node("Identity", "f", "y")], arrays, one, 18), X).size
    arrays["w"] = floats(count, 3)
    nodes.append(node("Gemm", "f w", "y"))
    made = model(nodes, arrays, one, 18)
    check(made, X)
    assert not own or "pool" in all_ours(made)


def test_what_is_not_finite_reaches_its_neighbours_only() -> None:
    one = (1, *SHAPE[1:])
    nodes = [
        node("Reshape", "x s", "r"),
        node("AveragePool", "r", "a", kernel_shape=[2, 1, 1], strides=[1, 1, 1]),
        node("Reshape", "a t", "q"),
        node("Relu", "q", "y"),
    ]
    arrays = {"s": np.array([1, *one]), "t": np.array([1, -1, *one[2:]])}
    X = picture(*one)
    X[0, 1, 2, 3], X[0, -1, 0, 0] = np.inf, np.nan
    made = model(nodes, arrays, one, 18)
    found, expected = ours(made, X), runtime(made, X)
    assert np.isinf(found).sum() == np.isinf(expected).sum() == 2
    assert np.isnan(found).sum() == np.isnan(expected).sum() == 1


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_of_pytorch_with_its_gradients(groups: int) -> None:
    torch = pytest.importorskip("torch")
    X, dY = RNG.normal(size=(2, 2, 6, 4, 5))
    gamma, beta = RNG.normal(size=(2, 6))
    module = torch.nn.GroupNorm(groups, 6, dtype=torch.float64)
    module.load_state_dict({"weight": torch.tensor(gamma), "bias": torch.tensor(beta)})
    x = torch.tensor(X, requires_grad=True)
    y = module(x)
    y.backward(torch.tensor(dY))
    layer = GroupNormLayer(groups, gamma, beta)
    Y, cache = layer.forward(np.moveaxis(X, 1, 3))
    dX, gradients = layer.backward(np.moveaxis(dY, 1, 3), cache)
    assert x.grad is not None and module.weight.grad is not None
    np.testing.assert_allclose(np.moveaxis(Y, 3, 1), y.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.moveaxis(dX, 3, 1), x.grad.numpy(), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(gradients["gamma"], module.weight.grad.numpy(), rtol=1e-9)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_one_of_an_axis_serves_all(op: str, axis: int) -> None:
    X = picture(1, *SHAPE[1:])
    for inputs in ("x r", "r x"):
        nodes = [node("ReduceL2", "x", "r", axes=[axis]), node(op, inputs, "y")]
        made = model(nodes, {}, X.shape, 13)
        assert all_ours(made)[-1] == op.lower()
        check(made, X, tolerance=1e-4)
