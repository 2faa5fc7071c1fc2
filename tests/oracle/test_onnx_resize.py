"""ONNX Runtime as judge of operators that resize, split and cast, and of what models take."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from tests.support.onnxmodels import SHAPE, check, load, model, node, onnx, ours, picture, runtime

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
COORDINATES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")


def numbers(*shape: int, seed: int = 81) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def resized(opset: int = 17, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    given = {"s": np.float32(scales)} if sizes is None else {"s": np.array(sizes)}
    inputs = "x - s" if sizes is None else "x - - s"
    if opset == 11:
        # There the region must be given, though it is not used.
        inputs, given = "x roi s", {**given, "roi": np.float32([])}
    return model([node("Resize", inputs, "y", **attributes)], given, SHAPE, opset)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("opset", [11, 13, 19])
def test_resize_by_scales(coordinates: str, opset: int) -> None:
    for scales in ([1, 1, 2, 2], [1, 1, 1.5, 3], [1, 1, 0.5, 0.7]):
        options = {"opset": opset, "coordinate_transformation_mode": coordinates}
        for rounding in NEAREST:
            check(resized(scales=scales, nearest_mode=rounding, **options))
        check(resized(scales=scales, mode="linear", **options))
        check(resized(scales=scales, mode="cubic", **options))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_to_a_size(mode: str) -> None:
    for sizes, coordinates in product([(2, 4, 18, 16), (2, 4, 5, 11), (2, 4, 9, 24)], COORDINATES):
        check(resized(sizes=sizes, mode=mode, coordinate_transformation_mode=coordinates))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample_and_the_first_resize(mode: str) -> None:
    scales = {"s": np.float32([1, 1, 2, 3])}
    check(model([node("Upsample", "x s", "y", mode=mode)], scales, SHAPE, 9))
    check(model([node("Upsample", "x", "y", mode=mode, scales=[1, 1, 2, 3.0])], {}, SHAPE, 7))
    check(model([node("Resize", "x s", "y", mode=mode)], scales, SHAPE, 10))


@pytest.mark.parametrize("scales", [(0.7, 0.5), (2, 0.4), (0.34, 3), (1, 0.7)])
def test_the_first_resize_to_less(scales: tuple[float, float]) -> None:
    given = {"s": np.float32([1, 1, *scales])}
    check(model([node("Resize", "x s", "y", mode="nearest")], given, SHAPE, 10))


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", NEAREST)
def test_places_in_the_middle_of_two_cells(rounding: str, coordinates: str) -> None:
    # Single precision puts some of them beside it: 2 / (4/7), or 9.5 / (19/14) - 0.5.
    X = np.arange(98, dtype=np.float32).reshape(1, 1, 7, 14)
    for sizes in ((1, 1, 4, 19), (1, 1, 2, 1), (1, 1, 8, 4)):
        options = {"nearest_mode": rounding, "coordinate_transformation_mode": coordinates}
        made = node("Resize", "x - - s", "y", **options)
        check(model([made], {"s": np.array(sizes)}, X.shape), X)


@pytest.mark.parametrize("kind", [2, 3])
def test_casts_to_small_types_wrap(kind: int) -> None:
    nodes = [node("Cast", "x", "u", to=kind), node("Cast", "u", "y", to=1)]
    check(model(nodes), 3 * picture())


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("extra", [{}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}])
def test_conv_transpose(group: int, extra: Any) -> None:
    W, b = numbers(4, 3, 3, 2), numbers(3 * group, seed=82)
    for strides, dilations in product([(1, 1), (2, 2), (3, 2)], [(1, 1), (2, 1)]):
        options = {"strides": strides, "dilations": dilations, "group": group, **extra}
        if not extra:
            options["pads"] = [1, 0, 0, 1]
            if strides == (3, 2):
                options["output_padding"] = (1, 1)
        made = node("ConvTranspose", "x W b", "y", **options)
        check(model([made], {"W": W, "b": b}))
    shaped = node("ConvTranspose", "x W", "y", strides=(2, 2), output_shape=(18, 16))
    check(model([shaped], {"W": W}))


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_split_and_slice(opset: int) -> None:
    parts = {"split": [1, 3]} if opset < 13 else {}
    inputs = "x" if opset < 13 else "x parts"
    nodes = [
        node("Split", inputs, "p q", "split", axis=1, **parts),
        node("Relu", "q", "r"),
        node("Concat", "r p q", "c", axis=1),
        node("Slice", "c first end axes steps", "y"),
    ]
    constants = {"parts": np.array([1, 3]), "first": np.array([-6]), "end": np.array([2**62])}
    constants |= {"axes": np.array([-3]), "steps": np.array([2])}
    made = model(nodes, constants, SHAPE, opset)
    check(made)
    assert load(made).network.names == ("p", "q", "r", "c", "y")
    halves = [node("Split", "x", "a b", axis=-3, **({"num_outputs": 2} if opset == 18 else {}))]
    check(model([*halves, node("Sub" if opset > 99 else "Add", "a b", "y")], {}, SHAPE, opset))


PARTS: dict[str, tuple[list[int], list[int], list[int], list[int]]] = {
    "rows": ([1], [-2], [2], [1]),
    "columns backwards": ([-1], [-(2**62)], [3], [-1]),
    "every second pixel": ([1, 0], [2**62, 2**62], [-2, -1], [2, 2]),
    "all at once": ([-1, 2, 7], [-9, 99, 0], [1, 2, 3], [-2, 1, -3]),
    "blue first": ([2], [-(2**31)], [1], [-1]),
    "the picture itself": ([0], [1], [0], [1]),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("shape", [(1, 4, 9, 8), (1, 4, "h", "w")])
def test_slices_of_rows_columns_and_channels(part: str, shape: tuple[int | str, ...]) -> None:
    names = ("first", "end", "axes", "steps")
    constants = dict(zip(names, map(np.array, PARTS[part]), strict=True))
    nodes = [node("Relu", "x", "r"), node("Slice", "r first end axes steps", "y")]
    made = model(nodes, constants, shape, 13)
    check(made, picture(1, 4, 9, 8))
    layers = [n.layer.op for n in load(made).network.nodes]
    assert layers == ["activation"] + ["slice"] * (part != "the picture itself")


@pytest.mark.parametrize("axis", [1, 2, 3, 4, -1])
def test_split_of_values_of_five_axes(axis: int) -> None:
    shape = [1, 2, 2, 9, 8] if axis == 1 else [1, 1, 6, 4, 12]
    nodes = [
        node("Reshape", "x shape", "v"),
        node("Split", "v", "a b", axis=axis),
        node("Add", "a b", "y"),
    ]
    made = model(nodes, {"shape": np.array(shape)}, (1, 4, 9, 8), 13)
    X = picture(1, 4, 9, 8)
    found, expected = np.moveaxis(ours(made, X), 1, -1), runtime(made, X)
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-6)
    ops = [n.layer.op for n in load(made).network.nodes]
    assert ops.count("slice") == 2, ops


def test_split_of_rows_and_columns() -> None:
    lengths = np.array([2, 4, 3])
    nodes = [node("Split", "x n", "p q r", axis=2), node("Split", "q", "a b", axis=-1)]
    made = model([*nodes, node("Mul", "b a", "y")], {"n": lengths}, (1, 4, 9, 8), 13)
    check(made, picture(1, 4, 9, 8))
    assert [n.layer.op for n in load(made).network.nodes] == ["slice"] * 5 + ["mul"]


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concat_of_rows_and_columns(axis: int) -> None:
    nodes = [node("Relu", "x", "r"), node("Slice", "x a b c", "s")]
    nodes.append(node("Concat", "r s x", "y", axis=axis))
    one, two = np.array([1]), np.array([3])
    made = model(nodes, {"a": one, "b": two, "c": np.array([axis])}, (1, 4, 9, 8), 13)
    check(made, picture(1, 4, 9, 8))
    assert [n.layer.op for n in load(made).network.nodes] == ["activation", "slice", "concat"]


@pytest.mark.parametrize(("shape", "axis"), [([1, -1, 6], 1), ([1, 2, -1, 6], 2), ([2, -1, 6], -2)])
def test_concat_of_heads(shape: list[int], axis: int) -> None:
    """Tokens of two maps of a detector are put one behind the other."""
    nodes = [
        node("MaxPool", "x", "small", kernel_shape=[3, 2], strides=[3, 2]),
        node("Reshape", "x shape", "p"),
        node("Reshape", "small shape", "q"),
        node("Concat", "p q", "y", axis=axis),
    ]
    made = model(nodes, {"shape": np.array(shape)}, (1, 4, 9, 8), 13)
    X = picture(1, 4, 9, 8)
    found, expected = ours(made, X), runtime(made, X)
    np.testing.assert_allclose(np.sort(found.ravel()), np.sort(expected.ravel()), rtol=1e-6)
    if expected.ndim == 3:
        found = np.moveaxis(found, 1, -1)
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-6)
    assert "concat" in [n.layer.op for n in load(made).network.nodes]


def test_constants_beside_a_picture() -> None:
    shape = np.array([1, 2, 9, 8])
    nodes = [
        node("ConstantOfShape", "shape", "z"),
        node("Concat", "z x c", "j", axis=1),
        node("Pad", "j pads", "y"),
    ]
    c = np.broadcast_to(np.float32([5, -1])[:, None, None], (1, 2, 9, 8))
    pads = np.array([0, 1, 0, 0, 0, 2, 0, 0])
    made = model(nodes, {"shape": shape, "c": np.array(c), "pads": pads}, (1, 4, 9, 8))
    check(made, picture(1, 4, 9, 8))


@pytest.mark.parametrize("zero", [None, np.uint8(128), np.uint8([1, 2, 3, 4, 5, 6])], ids=str)
def test_quantised_weights(zero: Any) -> None:
    q = np.random.default_rng(3).integers(0, 255, (6, 4, 3, 3), np.uint8)
    each = zero is not None and zero.ndim
    scale = numbers(6) if each else np.float32(0.02)
    constants = {"q": q, "s": scale} | ({} if zero is None else {"z": zero})
    inputs = "q s" if zero is None else "q s z"
    axis = {"axis": 0} if each else {}
    check(
        model([node("DequantizeLinear", inputs, "W", **axis), node("Conv", "x W", "y")], constants)
    )


def test_casts_of_constants_truncate() -> None:
    W = numbers(3, 4, 3, 3) * 3
    nodes = [
        node("Cast", "W", "i", to=6),
        node("Div", "i two", "h"),
        node("Cast", "h", "V", to=1),
        node("Conv", "x V", "y"),
    ]
    made = model(nodes, {"W": W, "two": np.array(-2, np.int32)})
    check(made)
    layer: Any = load(made).network.node("y").layer
    expected = np.trunc(np.trunc(W) / -2)
    np.testing.assert_array_equal(layer.filter.weights, expected.transpose(2, 3, 1, 0))


def test_casts_of_values_truncate() -> None:
    nodes = [
        node("Mul", "x ten", "t"),
        node("Cast", "t", "i", to=6),
        node("Div", "i three", "d"),
        node("Sub", "d one", "e"),
        node("Cast", "e", "y", to=1),
    ]
    constants = {"ten": np.float32(10), "three": np.array(-3, np.int32), "one": np.int32([1])}
    check(model(nodes, constants), tolerance=0)


BEYOND = [0.5, -0.5, 127.9, 128, 255.9, 256, 300, -1.5, -129, -300, 32768, 65536, 70000, -40000]
BEYOND += [2**24 + 2, 2**31 - 128, 2**31, -(2**31), 3e9, -3e9, 5e9, 1e19, -1e19]
BEYOND += [np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("kind", ["UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BOOL"])
@pytest.mark.parametrize("source", ["FLOAT", "DOUBLE"])
def test_casts_of_numbers_beyond_a_type_give_what_onnx_runtime_gives(
    source: str, kind: str
) -> None:
    to = [getattr(onnx.TensorProto, name) for name in (source, kind)]
    nodes = [
        node("Cast", "x", "a", to=to[0]),
        node("Cast", "a", "b", to=to[1]),
        node("Cast", "b", "y", to=1),
    ]
    X = np.array([*BEYOND, 0, 1], np.float32).reshape(1, 1, 4, -1)
    check(model(nodes, shape=(1, 1, 4, X.shape[3])), X, tolerance=0)


def test_casts_to_text_are_refused() -> None:
    nodes = [node("Cast", "x", "a", to=onnx.TensorProto.STRING), node("Cast", "a", "y", to=1)]
    with pytest.raises(FileProblem, match="unsupported Cast .*: it makes text"):
        load(model(nodes))


@pytest.mark.parametrize(("kind", "word"), [("FLOAT16", "float16"), ("BFLOAT16", "bfloat16")])
def test_casts_to_halves_are_said_to_be_computed_as_float32(kind: str, word: str) -> None:
    nodes = [node("Cast", "x", "a", to=getattr(onnx.TensorProto, kind)), node("Relu", "a", "y")]
    (note,) = load(model(nodes, shape=(1, 3, 8, 9))).notes
    assert note.startswith(f"{word} is computed as float32")
    nodes[0] = node("Cast", "x", "a", to=onnx.TensorProto.DOUBLE)
    assert not load(model(nodes, shape=(1, 3, 8, 9))).notes


@pytest.mark.parametrize("kind", ["UINT32", "UINT64"])
def test_casts_to_large_numbers_without_sign(kind: str) -> None:
    to = getattr(onnx.TensorProto, kind)
    nodes = [node("Cast", "x", "a", to=to), node("Cast", "a", "y", to=1)]
    X = np.array([0, 1, 2.5, 2**24 + 2, 2**31, 3e9], np.float32).reshape(1, 1, 2, 3)
    check(model(nodes, shape=X.shape), X, tolerance=0)


@pytest.mark.parametrize(
    "first",
    [
        [node("Mul", "x k", "a"), node("Sub", "a k", "b")],
        [node("Sub", "x mu", "a"), node("Div", "a sd", "b")],
        [node("Clip", "x", "a"), node("Cast", "a", "b", to=1)],
    ],
    ids=["a number", "a number for each channel", "no constant"],
)
def test_channels_last_with_arithmetic_before_the_transpose(first: Any) -> None:
    nodes = [
        *first,
        node("Transpose", "b", "t", perm=(0, 3, 1, 2)),
        node("Conv", "t K", "y", pads=[1, 1, 1, 1]),
    ]
    constants = {"k": np.float32([2]), "mu": numbers(3), "sd": np.float32([1, 2, 3])}
    made = model(nodes, {**constants, "K": numbers(4, 3, 3, 3)}, (1, 32, 31, 3))
    X = picture(1, 3, 32, 31)
    expected = runtime(made, np.ascontiguousarray(np.moveaxis(X, 1, -1)))
    np.testing.assert_allclose(ours(made, X), expected, rtol=0, atol=1e-4)


def test_a_shape_that_the_picture_gives() -> None:
    nodes = [
        node("Conv", "x W", "a", pads=[1, 1, 1, 1]),
        node("Shape", "a", "s"),
        node("Reshape", "a s", "b"),
        node("Shape", "b", "all"),
        node("Slice", "all two four", "sides"),
        node("Mul", "sides factor", "larger"),
        node("Slice", "all zero two", "rest"),
        node("Concat", "rest larger", "sizes", axis=0),
        node("Resize", "b - - sizes", "r", mode="nearest"),
        node("Relu", "r", "y"),
    ]
    constants = {"W": numbers(5, 4, 3, 3), "factor": np.array([2])}
    constants |= {k: np.array([v]) for k, v in (("zero", 0), ("two", 2), ("four", 4))}
    made = model(nodes, constants, ("n", 4, "h", "w"))
    for shape in ((1, 4, 9, 8), (2, 4, 17, 30)):
        check(made, picture(*shape))
    assert load(made).input.size is None


def test_a_size_that_must_be_given() -> None:
    nodes = [
        node("Resize", "x - - sizes", "r"),
        node("Flatten", "r", "f"),
        node("Gemm", "f W", "y"),
    ]
    constants = {"W": numbers(4 * 5 * 6, 2), "sizes": np.array([1, 4, 5, 6])}
    check(model(nodes, constants, (1, 4, "h", "w")), picture(1, 4, 9, 8))
    without = model([node("Flatten", "x", "f"), nodes[2]], constants, (1, 4, "h", "w"))
    with pytest.raises(FileProblem, match="the size of the picture must be known"):
        load(without)
    assert load(without, prepare={"size": (5, 6)}).network.output_shape((1, 5, 6, 4)) == (
        1,
        1,
        1,
        2,
    )
