"""Sizes of ONNX values that only the picture tells: at most, checked before, and exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError, FileProblem
from cnncli.network.onnx.reference import reference_node
from cnncli.network.onnx.shapes import NotRun, Tensor
from cnncli.network.passes import forward_layers
from cnncli.network.summary import summarize
from cnncli.system.memory import memory_limit
from tests.support.onnxmodels import graph, load, model, node, onnx, picture, runtime
from tests.support.shell import refused, run_cli

pytestmark = pytest.mark.oracle

SHAPE = (1, 1, 8, 8)


def last(made: Any, X: Any) -> Any:
    """Return the last layer's maps of one picture (1, C, H, W)."""
    found = load(made)
    assert found.stop is None
    ((_, Y),) = forward_layers(found.network, np.moveaxis(X, 1, -1))
    return Y


CONSTANTS: dict[str, Any] = {
    "times": np.float32(0),
    "axis": np.array([0]),
    "flat": np.array([-1]),
    "one": np.array([1]),
    "nothing": np.array([0]),
    "start": np.array(0),
    "step": np.array(1),
    "scalar": np.array([], np.int64),
    "thrice": np.array([1, 1, -1]),
}
COUNTED = [
    node("ReduceMax", "r", "m", keepdims=0),
    node("Mul", "m times", "b"),
    node("Cast", "b", "whole", to=7),
    node("Unsqueeze", "whole axis", "n"),
]
"""As many as the picture's largest value says."""

GROWING = {
    "Tile": [node("Tile", "v n", "y")],
    "Expand": [node("Unsqueeze", "v axis", "w"), node("Concat", "n one", "s", axis=0),
               node("Expand", "w s", "y")],
    "Pad": [node("Concat", "nothing n", "s", axis=0), node("Pad", "v s", "y")],
    "OneHot": [node("Cast", "v", "i", to=7), node("OneHot", "i whole values", "y")],
}  # fmt: skip


def growing(op: str, times: float) -> Any:
    """A model that makes a large result of what NonZero finds."""
    nodes = [
        node("Relu", "x", "r"),
        *COUNTED,
        node("NonZero", "r", "z"),
        node("Cast", "z", "f", to=1),
        node("Reshape", "f flat", "v"),
        *GROWING[op],
    ]
    constants = CONSTANTS | {"times": np.float32(times), "values": np.float32([0, 1])}
    return model(nodes, constants, SHAPE)


@pytest.mark.parametrize("op", GROWING)
def test_results_that_the_picture_lets_grow(op: str) -> None:
    X = np.abs(picture(*SHAPE)) / 10 + 0.1
    X[0, 0, 0, 0] = 1
    np.testing.assert_array_equal(
        last(growing(op, 3), X).ravel(), runtime(growing(op, 3), X).ravel()
    )
    with pytest.raises(CnnCliError, match=f"layer y: {op} cannot be run: it makes .* numbers"):
        last(growing(op, 1e9), X)
    said = rf"layer y: {op} of the shapes \(.*\) needs about \d+ MB of memory, the limit is 50 MB"
    with memory_limit(50_000_000), pytest.raises(CnnCliError, match=said) as error:
        last(growing(op, 5e7 if op == "Pad" else 1e5), X)
    assert "--max-memory" in str(error.value.hint)


def test_the_option_that_allows_more(tmp_path: Path) -> None:
    path, x = tmp_path / "tile.onnx", tmp_path / "x.npy"
    path.write_bytes(growing("Tile", 1e5).SerializeToString())
    np.save(x, np.ones((8, 8), np.float32))
    said = refused("run", path, x, "-o", tmp_path / "y.npy", "--max-memory", "50MB")
    assert "layer y: Tile of the shapes (256,), (1,) needs about" in said
    assert "--max-memory raises the limit" in said
    run_cli("run", path, x, "-o", tmp_path / "y.npy", "--max-memory", "500MB")
    assert np.load(tmp_path / "y.npy").size == 256 * 10**5


MADE_INSIDE = {
    "ConstantOfShape": [node("ConstantOfShape", "n", "t")],
    "Expand": [node("Expand", "m n", "t")],
    "Range": [node("Range", "start whole step", "w"), node("Cast", "w", "t", to=1)],
    "Tile": [node("Unsqueeze", "m axis", "u"), node("Tile", "u n", "t")],
    "Pad": [node("Concat", "nothing n", "s", axis=0), node("Unsqueeze", "m axis", "u"),
            node("Pad", "u s", "t")],
    "Resize": [node("Reshape", "m thrice", "u"), node("Concat", "one one n", "s", axis=0),
               node("Resize", "u - - s", "t")],
}  # fmt: skip


def inside(op: str, times: float, name: str) -> Any:
    """The same in the graph of a Loop or an If, whose result is small."""
    body = [*MADE_INSIDE[op], node("ReduceMax", "t", "w2", keepdims=0)]
    nodes = [node("Relu", "x", "r"), *COUNTED, node("Greater", "m times2", "c")]
    if name == "Loop":
        inner = graph([*body, node("Identity", "go", "on")], "i go v", "on w2")
        nodes.append(onnx.helper.make_node("Loop", ["one", "", "m"], ["y"], body=inner))
    else:
        same = graph([node("Identity", "m", "s2")], "", "s2")
        branches = {"then_branch": graph(body, "", "w2"), "else_branch": same}
        nodes.append(onnx.helper.make_node("If", ["c"], ["y"], **branches))
    constants = CONSTANTS | {"times": np.float32(times), "times2": np.float32(0)}
    return model(nodes, constants, SHAPE)


@pytest.mark.parametrize("name", ["If", "Loop"])
@pytest.mark.parametrize("op", MADE_INSIDE)
def test_graphs_in_nodes_check_sizes_too(op: str, name: str) -> None:
    X = np.ones(SHAPE, np.float32)
    small = inside(op, 5, name)
    if (op, name) == ("Resize", "Loop"):
        # Its shapes are looked for with zeros, and no size may be 0.
        assert "how large its result gets is not known beforehand" in load(small).stop.reason
        return
    np.testing.assert_array_equal(last(small, X).ravel(), runtime(small, X).ravel())
    for times in (2**23, 1e12):
        said = rf"layer y: (If|Loop) cannot be run: {op} \(node '\w+'\): it makes .* numbers"
        said += rf"|layer y: {op} \(node '\w+'\): .* needs about .* of memory"
        with memory_limit(20_000_000), pytest.raises(CnnCliError, match=said):
            last(inside(op, times, name), X)


def test_what_turns_leave_is_counted() -> None:
    """Each turn leaves 4 MB: 100 MB allow no 20 of them, twice at the end."""
    body = graph(
        [node("Expand", "v large", "w"), node("Identity", "go", "on"), node("Identity", "v", "v2")],
        "i go v",
        "on v2 w",
    )
    loop = onnx.helper.make_node("Loop", ["most", "", "m"], ["last", "y"], body=body)
    nodes = [node("Relu", "x", "r"), node("ReduceMax", "r", "m", keepdims=0), loop]
    constants = {"most": np.array(20), "large": np.array([10**6])}
    made = model(nodes, constants, SHAPE, outputs=("y",))
    X = np.ones(SHAPE, np.float32)
    with memory_limit(100_000_000), pytest.raises(CnnCliError, match="what its turns leave needs"):
        last(made, X)
    assert last(made, X).size == 20 * 10**6


# -- sizes at most --------------------------------------------------------------------------------

BOXES, SCORES = Tensor("float32", (1, 10, 4)), Tensor("float32", (1, 3, 10))
AT_MOST: list[tuple[str, list[Tensor], dict[int, Any], dict[str, Any], tuple[int, ...]]] = [
    ("NonZero", [Tensor("float32", (2, 3, 4))], {}, {}, (3, 24)),
    ("NonMaxSuppression", [BOXES, SCORES, Tensor("int64", (1,))], {}, {}, (30, 3)),
    ("NonMaxSuppression", [BOXES, SCORES, Tensor("int64", (1,))], {2: np.array([4])}, {}, (12, 3)),
    ("Compress", [Tensor("float32", (2, 3)), Tensor("bool", (3,))], {}, {"axis": 1}, (2, 3)),
    ("Compress", [Tensor("float32", (2, 3)), Tensor("bool", (6,))], {}, {}, (6,)),
    ("Unique", [Tensor("float32", (2, 3))], {}, {}, (6,)),
    ("TopK", [Tensor("float32", (2, 9)), Tensor("int64", (1,))], {}, {}, (2, 9)),
    ("Slice", [Tensor("float32", (2, 9)), *[Tensor("int64", (1,))] * 2], {}, {}, (2, 9)),
    ("Transpose", [Tensor("float32", (3, None), (3, 24))], {}, {}, (24, 3)),
    ("Concat", [Tensor("float32", (None,), (7,)), Tensor("float32", (5,))], {}, {"axis": 0}, (12,)),
    ("Add", [Tensor("float32", (None,), (7,)), Tensor("float32", (None,), (5,))], {}, {}, (7,)),
    ("Gather", [Tensor("float32", (2, 4)), Tensor("int64", (None,), (50,))], {}, {}, (50, 4)),
]


@pytest.mark.parametrize("case", AT_MOST, ids=lambda case: case[0])
def test_sizes_at_most(case: Any) -> None:
    op, inputs, known, attributes, most = case
    outputs = "y z" if op == "TopK" else "y"
    made = node(op, " ".join(f"x{k}" for k in range(len(inputs))), outputs, **attributes)
    found = reference_node(made, 17).tensors(inputs, known)[0]
    assert found is not None
    assert (found.is_open, found.largest) == (True, most)


@pytest.mark.parametrize("op", ["NonZero", "NonMaxSuppression"])
def test_no_result_is_larger_than_planned(op: str) -> None:
    """All values count, and all boxes are far from one another."""
    X = np.ones((1, 3, 4, 4), np.float32)
    places = np.arange(16, dtype=np.float32).reshape(1, 16, 1)
    boxes = np.concatenate([places * 4, places * 4, places * 4 + 1, places * 4 + 1], axis=2)
    constants = {"boxes": boxes, "rows": np.array([1, 3, 16]), "most": np.array([99])}
    nodes = [node("Relu", "x", "r"), node("Reshape", "r rows", "scores")]
    ends = {"NonZero": "r", "NonMaxSuppression": "boxes scores most zero least"}
    constants |= {"zero": np.float32([0]), "least": np.float32([-1])}
    made = model(
        [*nodes, node(op, ends[op], "z"), node("Cast", "z", "y", to=1)], constants, X.shape
    )
    network = load(made).network
    Y = last(made, X)
    assert Y.ravel().tolist() == runtime(made, X).ravel().tolist()
    assert Y.size == np.prod(network.output_shape((1, 4, 4, 3))[1:])


def test_what_nothing_limits_is_called_an_estimate() -> None:
    labels = [
        layer.label for layer in summarize(load(growing("Tile", 3)).network, (8, 8, 1)).layers
    ]
    assert "NonZero, size at most" in " ".join(labels)
    assert "Tile, size estimated" in " ".join(labels)


def test_attention_counts_its_scores() -> None:
    """Outputs are small, but each of 40,000 places meets each other one."""
    query = Tensor("float32", (1, 1, 40_000, 2))
    attention = reference_node(node("Attention", "q k v", "y"), 23)
    with pytest.raises(NotRun, match="it needs 6400000000 numbers, more than"):
        attention.tensors([query, query, query], {})
    flat = Tensor("float32", (1, 40_000, 4))
    grouped = node("Attention", "q k v", "y", q_num_heads=2, kv_num_heads=2)
    with pytest.raises(NotRun, match="it needs 12800000000 numbers, more than"):
        reference_node(grouped, 23).tensors([flat, flat, flat], {})
    small = np.ones((1, 1, 2000, 2), np.float32)
    with memory_limit(40_000_000), pytest.raises(CnnCliError, match="Attention of the shapes"):
        attention.run([small, small, small])


def test_dilated_kernels_are_counted() -> None:
    X, W = Tensor("float32", (1, 1, 9, 60_000)), Tensor("float32", (1, 1, 1, 2))
    wide = reference_node(node("Conv", "x w", "y", dilations=[1, 50_000]), 17)
    with pytest.raises(NotRun, match="it needs .* numbers"):
        wide.tensors([X, W], {})


# -- whole numbers --------------------------------------------------------------------------------


def test_whole_numbers_are_exact_or_refused() -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("ReduceMax", "r", "m", keepdims=0),
        node("Cast", "m", "whole", to=7),
        node("Unsqueeze", "whole axis", "n"),
        node("Expand", "large n", "y"),
    ]
    X = np.ones(SHAPE, np.float32)
    for large in (2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1):
        made = model([*nodes[:-1], node("Gather", "table n", "y")], {
            "axis": np.array([0]), "table": np.array([0, large]),
        }, SHAPE)  # fmt: skip
        if large == 2**53:
            assert last(made, X).ravel().tolist() == [2.0**53]
        else:
            with pytest.raises(CnnCliError, match=r"whole numbers of up to \d+, more than 2\*\*53"):
                last(made, X)


# -- shapes of pictures whose size is open --------------------------------------------------------


@pytest.mark.parametrize("rows", [[-1, 5], [-1, 360], [1, -1], [0, -1], [1, 360]])
def test_reshapes_of_an_open_size(rows: list[int]) -> None:
    """How many rows there are, or numbers in one, the size tells."""
    constants = {"W": picture(10, 3, 3, 3), "rows": np.array(rows)}
    nodes = [
        node("Conv", "x W", "c", pads=[1, 1, 1, 1]),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t rows", "y"),
    ]
    made, X = model(nodes, constants, (1, 3, "h", "w")), picture(1, 3, 6, 6)
    expected = runtime(made, X)
    assert load(made).needs_size
    found = load(made, prepare={"size": (6, 6)}).network
    ((_, Y),) = forward_layers(found, np.moveaxis(X, 1, -1))
    np.testing.assert_allclose(Y.ravel(), expected.ravel(), rtol=1e-4, atol=1e-5)
    assert Y.shape[1:3] == (expected.shape if len(expected) > 1 else (1, 1))


def test_weights_that_a_few_numbers_make_may_be_as_large_as_those_of_networks() -> None:
    X = picture(1, 4, 9, 8)
    value = onnx.numpy_helper.from_array(np.array([0.5], np.float32))
    nodes = [
        node("ConstantOfShape", "sizes", "W", value=value),
        node("Flatten", "x", "f"),
        node("Gemm", "f W", "y"),
    ]

    def made(columns: int) -> Any:
        return model(nodes, {"sizes": np.array([288, columns])}, X.shape)

    found = last(made(60_000), X)
    np.testing.assert_allclose(found.ravel(), np.full(60_000, X.sum() / 2), rtol=1e-4)
    # The matrices of AlexNet and VGG, which are not filled to plan.
    assert load(made(360_000), weights=False).stop is None
    with pytest.raises(FileProblem, match="more than 134217728"):
        load(made(500_000), weights=False)


@pytest.mark.parametrize(
    ("shape", "size", "gray"),
    [
        ((1, 1, 28, 20), (28, 20), True),
        (("N", 3, 28, 28), (28, 28), False),
        ((1, 3, "h", 28), None, False),
        ((2, 7, 5, 5), (5, 5), False),
        (None, None, False),
    ],
    ids=str,
)
def test_input(shape: Any, size: Any, gray: bool) -> None:
    found = load(model([node("Relu", "x", "y")], shape=shape))
    assert (found.input.size, found.channels == 1) == (size, gray)
    batch = ("the network's own batch is 2, not 1: other programs may refuse it",)
    assert found.notes == (batch if shape and shape[0] == 2 else ())


def test_open_channels_are_those_of_the_first_convolution() -> None:
    made = model([node("Conv", "x W", "y")], {"W": picture(2, 1, 3, 3)}, ("n", "c", "h", "w"))
    assert load(made).channels == 1


def test_dense_layers_need_a_size() -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f W", "y"), node("Relu", "x", "r")]
    made = model(nodes, {"W": picture(4 * 5 * 6, 2)}, (1, 4, "h", "w"))
    found = load(made)
    assert "the size of the picture must be known" in found.missing["y"]
    whole = load(made, prepare={"size": (5, 6)})
    assert whole.input.size == (5, 6)
    assert whole.network.output_shape((1, 5, 6, 4)) == (1, 5, 6, 4)
    assert whole.network.until("y").output_shape((1, 5, 6, 4)) == (1, 1, 1, 2)
