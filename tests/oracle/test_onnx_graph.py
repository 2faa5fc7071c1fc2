"""ONNX Runtime as judge of ONNX models read as networks: each operator, and small whole models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.network.passes import forward_layers
from tests.support.onnxmodels import SHAPE, check, load, model, node, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

PADS = ({"auto_pad": "VALID"}, {"pads": [1, 1, 1, 1]}, {"pads": [1, 0, 0, 1]})
SAMES = ({"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"})


def numbers(*shape: int, seed: int = 81) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def one(op: str, *arrays: Any, opset: int = 17, shape: Any = SHAPE, **attributes: Any) -> Any:
    """Return a model of one node on the picture and some constants."""
    constants = {f"c{i}": array for i, array in enumerate(arrays) if array is not None}
    names = [f"c{i}" if array is not None else "-" for i, array in enumerate(arrays)]
    made = node(op, " ".join(["x", *names]), "y", **attributes)
    return model([made], constants, shape, opset)


@pytest.mark.parametrize("opset", [7, 11, 22])
@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("pads", [*PADS, *SAMES], ids=str)
def test_conv(pads: Any, group: int, opset: int) -> None:
    W, b = numbers(8, 4 // group, 3, 2), numbers(8, seed=82)
    # The runtime refuses dilation with SAME.
    dilations = [(1, 1)] if pads in SAMES else [(1, 1), (2, 1)]
    for strides, dilation in product([(1, 1), (2, 3)], dilations):
        options = {"strides": strides, "dilations": dilation, "group": group, **pads}
        check(one("Conv", W, b, opset=opset, **options))
        check(one("Conv", W, opset=opset, kernel_shape=(3, 2), **options))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("pads", [*PADS, *SAMES], ids=str)
def test_pool(op: str, pads: Any) -> None:
    includes = (0, 1) if op == "AveragePool" else (None,)
    dilations = [(1, 1)] if pads in SAMES else [(1, 1), (2, 1)]
    for size, strides, ceil, include, dilation in product(
        [(3, 3), (2, 3)], [None, (2, 2), (2, 3)], (0, 1), includes, dilations
    ):
        options = {"kernel_shape": size, "ceil_mode": ceil, **pads}
        options |= {} if strides is None else {"strides": strides}
        options |= {} if include is None else {"count_include_pad": include}
        options |= {} if dilation == (1, 1) else {"dilations": dilation}
        check(one(op, opset=19, **options))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pool_of_an_old_model(op: str) -> None:
    check(one(op, opset=7, kernel_shape=(3, 2), strides=(2, 1), pads=(1, 0, 1, 1)))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pool(op: str) -> None:
    check(one(op))


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [(2, 3), (-1, -2)], ids=str)
def test_mean_over_places(axes: tuple[int, int], keepdims: int, opset: int) -> None:
    if opset < 18:
        check(one("ReduceMean", axes=axes, keepdims=keepdims))
    else:
        check(one("ReduceMean", np.array(axes), keepdims=keepdims, opset=opset))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad(mode: str) -> None:
    pads = [0, 0, 1, 2, 0, 0, 3, 0]
    inputs = np.array(pads)
    # Its old form has no wrap, and the runtime has wrap from 19 on.
    if mode != "wrap":
        check(one("Pad", opset=10, mode=mode, pads=pads))
        check(one("Pad", inputs, opset=11, mode=mode))
    check(one("Pad", inputs, opset=19, mode=mode))
    check(one("Pad", np.array([1, 2, 3, 0]), None, np.array([3, -2]), opset=19, mode=mode))
    if mode == "constant":
        check(one("Pad", opset=10, pads=pads, value=0.3))
        check(one("Pad", inputs, np.float32(-0.7), opset=13))


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batchnorm(opset: int) -> None:
    arrays = [numbers(4, seed=seed) for seed in range(3)]
    check(one("BatchNormalization", *arrays, np.abs(numbers(4)), opset=opset, epsilon=1e-3))
    check(one("BatchNormalization", *arrays, np.abs(numbers(4)) + 1, opset=opset))


ACTIVATIONS = {
    "Abs": [{}],
    "Relu": [{}],
    "LeakyRelu": [{}, {"alpha": 0.3}],
    "Sigmoid": [{}],
    "Tanh": [{}],
    "HardSigmoid": [{}, {"alpha": 1 / 6, "beta": 0.4}],
    "HardSwish": [{}],
    **{
        op: [{}]
        for op in ("Ceil", "Erf", "Exp", "Floor", "Neg", "Reciprocal", "Round", "Sign", "Softplus")
    },
    "Softsign": [{}],
    "Celu": [{}, {"alpha": 0.7}],
    "Elu": [{}, {"alpha": 0.7}],
    "Selu": [{}, {"alpha": 1.5, "gamma": 1.2}],
    "ThresholdedRelu": [{}, {"alpha": 0.4}],
}


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_activation(op: str) -> None:
    for attributes, opset in product(ACTIVATIONS[op], (14, 22)):
        check(one(op, opset=opset, **attributes))


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_functions_of_positive_numbers(op: str) -> None:
    check(model([node("Exp", "x", "e"), node(op, "e", "y")]))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate: str) -> None:
    check(one("Gelu", opset=20, approximate=approximate))
    check(one("Mish", opset=18))


@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1)], ids=str)
def test_power(shape: tuple[int, ...]) -> None:
    exponents = {"c": np.abs(np.asarray(numbers(*shape)))}
    check(model([node("Exp", "x", "e"), node("Pow", "e c", "y")], exponents, opset=13))


@pytest.mark.parametrize("shape", [(4, 1, 1), (1,), (1, 4, 1, 1), (1, 1, 1)], ids=str)
def test_prelu(shape: tuple[int, ...]) -> None:
    for opset in (7, 9, 16):
        check(one("PRelu", numbers(*shape), opset=opset))


@pytest.mark.parametrize("low", [None, -0.5])
@pytest.mark.parametrize("high", [None, 0.7])
def test_clip(low: float | None, high: float | None) -> None:
    limits = {"min": low, "max": high}
    check(one("Clip", opset=7, **{key: v for key, v in limits.items() if v is not None}))
    arrays = [None if v is None else np.float32(v) for v in limits.values()]
    check(one("Clip", *arrays, opset=11))
    check(one("Clip", *arrays, opset=13))


CONSTANTS = [(), (1,), (4, 1, 1), (1, 4, 1, 1), (1, 1)]


@pytest.mark.parametrize("shape", CONSTANTS, ids=str)
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_arithmetic_with_a_constant(op: str, shape: tuple[int, ...]) -> None:
    constant = {"c": np.asarray(numbers(*shape))}
    for opset in (7, 14):
        check(model([node(op, "x c", "y")], constant, opset=opset))
        if op != "Div":
            check(model([node(op, "c x", "y")], constant, opset=opset))


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_extremes_with_a_constant(op: str) -> None:
    for order in ("x c", "c x"):
        check(model([node(op, order, "y")], {"c": np.float32(0.2)}))


@pytest.mark.parametrize("op", ["Add", "Mul", "Sum", "Sub", "Max", "Min", "Div"])
def test_joins(op: str) -> None:
    check(model([node("Tanh", "x", "t"), node(op, "x t", "y")]))
    pools = [node("GlobalAveragePool", "x", "g"), node(op, "g x", "y")]
    check(model(pools))
    check(model([pools[0], node(op, "x g", "y")]))


def test_joins_of_one_and_of_three() -> None:
    check(model([node("Tanh", "x", "t"), node("Sum", "t", "y")]))
    check(model([node("Tanh", "x", "t"), node("Sum", "t x t", "y")]))


@pytest.mark.parametrize("axis", [1, -3])
def test_concat(axis: int) -> None:
    nodes = [node("Tanh", "x", "t"), node("Concat", "x t x", "y", axis=axis)]
    check(model(nodes))
    check(model([nodes[0], node("Concat", "t", "y", axis=axis)]))


def test_concat_of_flattened() -> None:
    nodes = [
        node("Tanh", "x", "t"),
        node("Flatten", "x", "a"),
        node("Flatten", "t", "b"),
        node("Concat", "a b", "c", axis=1),
        node("Gemm", "c W", "y"),
    ]
    check(model(nodes, {"W": numbers(2 * 4 * 9 * 8, 3)}))


@pytest.mark.parametrize("axis", [1, -3])
def test_softmax(axis: int) -> None:
    check(one("Softmax", axis=axis, opset=13))


@pytest.mark.parametrize("opset", [7, 11, 13])
def test_softmax_of_pixels(opset: int) -> None:
    pool = node("GlobalMaxPool", "x", "p")
    check(model([pool, node("Softmax", "p", "y", axis=1)], opset=opset))
    flat = [pool, node("Flatten", "p", "f")]
    check(model([*flat, node("Softmax", "f", "y", axis=1)], opset=opset))
    check(model([*flat, node("Softmax", "f", "y", axis=-1)], opset=max(opset, 11)))
    check(model([*flat, node("Softmax", "f", "y")], opset=opset))


def same(op: str, opset: int, *more: Any, **attributes: Any) -> None:
    """Check an operator that changes nothing, in front of one that does and behind another."""
    constants = {f"c{index}": array for index, array in enumerate(more)}
    inputs = " ".join(["t", *constants])
    nodes = [node("Tanh", "x", "t"), node(op, inputs, "i", **attributes), node("Relu", "i", "y")]
    check(model(nodes, constants, opset=opset))
    check(model(nodes[:2], constants, opset=opset))


def test_operators_that_change_nothing() -> None:
    same("Identity", 17)
    same("Dropout", 7, ratio=0.4)
    same("Dropout", 13, np.float32(0.4))
    same("Dropout", 13, np.float32(0.4), np.array(False))
    same("Cast", 13, to=1)


FLATTENS: dict[str, Sequence[Any]] = {
    "Flatten": [node("Flatten", "x", "f")],
    "Flatten from the third last": [node("Flatten", "x", "f", axis=-3)],
    "Reshape to N": [node("Reshape", "x s0", "f")],
    "Reshape of what is left": [node("Reshape", "x s1", "f")],
    "Reshape of as before": [node("Reshape", "x s2", "f")],
    "old view of PyTorch": [
        node("Shape", "x", "s"),
        node("Constant", "", "zero", value_int=0),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n first", "n1"),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "n1 rest", "whole", axis=0),
        node("Reshape", "x whole", "f"),
    ],
}


@pytest.mark.parametrize("name", FLATTENS)
@pytest.mark.parametrize("trans", [0, 1])
def test_gemm(name: str, trans: int) -> None:
    rows = 4 * 9 * 8
    constants = {"W": numbers(5, rows) if trans else numbers(rows, 5), "b": numbers(5)}
    constants |= {"s0": np.array([1, -1]), "s1": np.array([-1, rows]), "s2": np.array([0, -1])}
    constants |= {"first": np.array([0])}
    nodes = [*FLATTENS[name], node("Gemm", "f W b", "y", transB=trans, alpha=0.5, beta=2.0)]
    X = picture(1, 4, 9, 8)
    check(model(nodes, constants, (1, 4, 9, 8)), X)
    nodes[-1] = node("Gemm", "f W", "y", transB=trans)
    check(model(nodes, constants, (1, 4, 9, 8)), X)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1,), ()], ids=str)
def test_bias_of_gemm(shape: tuple[int, ...]) -> None:
    constants = {"W": numbers(288, 5), "b": np.asarray(numbers(*shape))}
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f W b", "y", beta=0.5)]
    check(model(nodes, constants))


def test_two_dense_layers_of_matmul_and_add() -> None:
    constants = {"V": numbers(288, 6), "W": numbers(3, 6), "a": numbers(6), "b": numbers(3)}
    nodes = [
        node("Flatten", "x", "f"),
        node("Relu", "f", "r"),
        node("MatMul", "r V", "m"),
        node("Add", "a m", "h"),
        node("Relu", "h", "k"),
        node("Transpose", "W", "Wt", perm=(1, 0)),
        node("MatMul", "k Wt", "n"),
        node("Add", "n b", "y"),
    ]
    check(model(nodes, constants))


def test_gemm_of_an_open_size_behind_a_global_pool() -> None:
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Reshape", "g s", "f"),
        node("Gemm", "f W", "h"),
        node("Gemm", "h V", "y"),
    ]
    constants = {"W": numbers(4, 6), "V": numbers(6, 2), "s": np.array([-1, 4])}
    check(model(nodes, constants, ("N", 4, "H", "W")))


def test_squeeze_and_unsqueeze() -> None:
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Squeeze", "g axes", "f"),
        node("Gemm", "f W", "h"),
        node("Unsqueeze", "h axes", "u"),
        node("Mul", "x u", "y"),
    ]
    check(model(nodes, {"W": numbers(4, 4), "axes": np.array([2, 3])}))
    old = [*nodes]
    old[1], old[3] = (node(n.op_type, n.input[0], n.output[0], axes=(2, 3)) for n in nodes[1:4:2])
    check(model(old, {"W": numbers(4, 4)}, opset=11))


def test_channels_last_as_tensorflow_leaves_them() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=(0, 3, 1, 2)),
        node("Conv", "t K", "c", auto_pad="SAME_UPPER", strides=(2, 2)),
        node("Transpose", "c", "u", perm=(0, 2, 3, 1)),
        node("Add", "u bias", "b"),
        node("MatMul", "b P", "p"),
        node("Softmax", "p", "s", axis=-1),
        node("Reshape", "s rows", "f"),
        node("MatMul", "f W", "y"),
    ]
    constants = {"K": numbers(5, 3, 3, 3), "bias": numbers(5), "P": numbers(5, 6)}
    constants |= {"rows": np.array([-1, 5 * 4 * 6]), "W": numbers(5 * 4 * 6, 7)}
    made = model(nodes, constants, (1, 9, 8, 3))
    X = picture(1, 3, 9, 8)
    expected = runtime(made, np.ascontiguousarray(np.moveaxis(X, 1, -1)))
    np.testing.assert_allclose(ours(made, X).reshape(1, -1), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_other_floats(dtype: Any) -> None:
    W = numbers(3, 4, 3, 3)
    nodes = [node("Cast", "W", "V", to=1), node("Conv", "x V", "y")]
    check(model(nodes, {"W": W.astype(dtype)}))


def conv(name: str, x: str, y: str, shape: Sequence[int], **options: Any) -> tuple[Any, Any]:
    scale = np.float32(1 / np.sqrt(np.prod(shape[1:])))
    weights = numbers(*shape, seed=len(name) + shape[0]) * scale
    return node("Conv", f"{x} {name}.w", y, name, **options), {f"{name}.w": weights}


def test_lenet() -> None:
    first, a = conv("conv1", "x", "c1", (6, 1, 5, 5), pads=[2, 2, 2, 2])
    second, b = conv("conv2", "p1", "c2", (16, 6, 5, 5))
    nodes = [
        first,
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=(2, 2), strides=(2, 2)),
        second,
        node("Tanh", "c2", "r2"),
        node("AveragePool", "r2", "p2", kernel_shape=(2, 2), strides=(2, 2)),
        node("Flatten", "p2", "f"),
        node("Gemm", "f W1 b1", "h1", transB=1),
        node("Relu", "h1", "h2"),
        node("Gemm", "h2 W2 b2", "h3", transB=1),
        node("Softmax", "h3", "y", axis=1),
    ]
    constants = a | b | {"W1": numbers(32, 400) / 20, "b1": numbers(32)}
    constants |= {"W2": numbers(10, 32) / 6, "b2": numbers(10)}
    check(model(nodes, constants, (1, 1, 28, 28)), picture(1, 1, 28, 28), 1e-4)


def batchnorm(name: str, x: str, y: str, channels: int) -> tuple[Any, Any]:
    arrays = {f"{name}.{i}": numbers(channels, seed=i) for i in range(3)}
    arrays[f"{name}.3"] = np.abs(numbers(channels)) + np.float32(0.5)
    return node("BatchNormalization", " ".join([x, *arrays]), y, name), arrays


def test_resnet_block() -> None:
    parts = [
        conv("stem", "x", "s", (8, 3, 7, 7), pads=[3, 3, 3, 3], strides=(2, 2)),
        batchnorm("bn0", "s", "s1", 8),
        conv("conv1", "s2", "a", (16, 8, 3, 3), pads=[1, 1, 1, 1], strides=(2, 2)),
        batchnorm("bn1", "a", "a1", 16),
        conv("conv2", "a2", "b", (16, 16, 3, 3), pads=[1, 1, 1, 1]),
        batchnorm("bn2", "b", "b1", 16),
        conv("down", "s2", "d", (16, 8, 1, 1), strides=(2, 2)),
        batchnorm("bn3", "d", "d1", 16),
    ]
    stem, bn0, conv1, bn1, conv2, bn2, down, bn3 = (each[0] for each in parts)
    nodes = [stem, bn0, node("Relu", "s1", "s2"), conv1, bn1, node("Relu", "a1", "a2"), conv2, bn2]
    nodes += [down, bn3, node("Add", "b1 d1", "sum"), node("Relu", "sum", "r")]
    nodes += [node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "f")]
    nodes += [node("Gemm", "f fc.w fc.b", "y")]
    constants = {key: array for part in parts for key, array in part[1].items()}
    constants |= {"fc.w": numbers(16, 5), "fc.b": numbers(5)}
    check(model(nodes, constants, ("N", 3, "H", "W")), picture(2, 3, 33, 40), 1e-4)


@pytest.mark.parametrize("swish", ["HardSwish", "steps"])
def test_mobilenet_block(swish: str) -> None:
    parts = [
        conv("expand", "x", "e", (12, 3, 1, 1)),
        conv("depthwise", "e1", "d", (12, 1, 3, 3), group=12, pads=[1, 1, 1, 1], strides=(2, 2)),
        conv("squeeze", "g", "q", (4, 12, 1, 1)),
        conv("excite", "q1", "w", (12, 4, 1, 1)),
        conv("project", "m1", "p", (6, 12, 1, 1)),
    ]
    expand, depthwise, squeeze, excite, project = (each[0] for each in parts)
    steps = [
        node("Add", "m three", "t"),
        node("Clip", "t zero six", "t1"),
        node("Mul", "m t1", "t2"),
        node("Div", "t2 six", "m1"),
    ]
    nodes = [
        expand,
        node("Clip", "e zero six", "e1"),
        depthwise,
        node("GlobalAveragePool", "d", "g"),
        squeeze,
        node("Relu", "q", "q1"),
        excite,
        node("HardSigmoid", "w", "w1", alpha=1 / 6),
        node("Mul", "w1 d", "m"),
        *(steps if swish == "steps" else [node("HardSwish", "m", "m1")]),
        project,
    ]
    constants = {key: array for part in parts for key, array in part[1].items()}
    constants |= {k: np.float32(v) for k, v in (("zero", 0), ("three", 3), ("six", 6))}
    made = model(nodes, constants, ("N", 3, "H", "W"))
    check(made, picture(1, 3, 25, 30), 1e-4)
    assert load(made).network.node("depthwise").layer.groups == 12


@pytest.mark.parametrize("first, last", [(3, 2), (2, 3), (3, 5), (2, 5), (3, 7)])
def test_whole_numbers_wrap_where_a_type_does_not_hold_them(first: int, last: int) -> None:
    # int8 (3), uint8 (2), int16 (5), int64 (7): whole numbers of 8 bits in between.
    W = np.full((1, 1, 1), 150 if first == 2 else -100, np.float32)
    nodes = [
        *(node("Mul", "x zero", "none"), node("Add", "none W", "some")),
        *(node("Cast", "some", "whole", to=first), node("Cast", "whole", "other", to=last)),
        node("Cast", "other", "y", to=1),
    ]
    constants = {"W": W, "zero": np.zeros((1, 1, 1), np.float32)}
    check(model(nodes, constants, SHAPE, 17))


def test_a_mean_over_images_is_none_over_rows() -> None:
    made = one("ReduceMean", axes=[0], keepdims=1, shape=(1, 4, "h", "w"))
    found = load(made)
    assert all(getattr(each.layer, "axes", ()) != ("rows",) for each in found.network.nodes)


@pytest.mark.parametrize("per_column", [False, True])
def test_products_of_matrices_with_many_scales(per_column: bool) -> None:
    """Quantised ones: each column of the second matrix may have its own scale and zero point."""
    rng = np.random.default_rng(7)
    count = 5 if per_column else 1
    constants = {
        "s": np.float32(0.03),
        "z": np.array(120, np.uint8),
        "B": rng.integers(0, 256, (8, 5), dtype=np.uint8),
        "bs": rng.uniform(0.005, 0.05, count).astype(np.float32).squeeze(),
        "bz": rng.integers(90, 160, count, dtype=np.uint8).squeeze(),
        "ys": np.float32(0.2),
        "yz": np.array(128, np.uint8),
    }
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearMatMul", "q s z B bs bz ys yz", "p"),
        node("DequantizeLinear", "p ys yz", "y"),
    ]
    made, X = model(nodes, constants, SHAPE), picture()
    # One step of the output, at most.
    np.testing.assert_allclose(ours(made, X), runtime(made, X), rtol=0, atol=0.2001)


@pytest.mark.parametrize(("op", "last"), [("Mul", 100_003), ("Add", 2**24 + 1), ("Sub", 2**30)])
def test_whole_numbers_that_float32_has_not(op: str, last: int) -> None:
    """Of 32 and of 64 bits: all that one and the other may come to is exact."""
    X = np.abs(picture(1, 4, 9, 8)) * 300
    for kind, dtype in ((6, np.int32), (7, np.int64)):
        nodes = [node("Cast", "x", "whole", to=kind), node(op, "whole c", "y")]
        made = model(nodes, {"c": np.array(last, dtype)}, (1, 4, 9, 8))
        made.graph.output[0].type.tensor_type.elem_type = kind
        found = load(made).network
        ((_, Y),) = forward_layers(found, np.moveaxis(X, 1, -1))
        np.testing.assert_array_equal(np.moveaxis(Y, -1, 1), runtime(made, X))
