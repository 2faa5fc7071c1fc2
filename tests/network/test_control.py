"""If, Loop and Scan of ONNX: names in their graphs, what decides them, shapes that they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.core.arrays import is_placeholder
from cnncli.errors import CnnCliError
from cnncli.network.onnx import control
from cnncli.network.onnx.tensors import read_tensor
from cnncli.network.passes import forward_layers
from tests.support.onnxmodels import check, graph, load, model, node, onnx, ours, picture, runtime
from tests.support.shell import refused, run_cli

pytestmark = pytest.mark.oracle

SHAPE = (1, 2, 6, 5)


def choice(condition: str, then: Any, otherwise: Any, output: str) -> Any:
    return onnx.helper.make_node(
        "If", [condition], [output], then_branch=then, else_branch=otherwise
    )


def scaled(factor: float, constant: bool = True) -> Any:
    """A branch whose values have the same names whatever the factor is."""
    nodes = [node("Add", "r zero", "w"), node("Mul", "w k", "t"), node("Neg", "t", "u")]
    return graph(nodes, "", "u", {"k": np.float32(factor)})


def computed(factor: float) -> Any:
    """A branch that makes a value of a name that another has as a constant."""
    nodes = [node("Mul", "r f", "k"), node("Neg", "k", "t"), node("Abs", "t", "u")]
    return graph(nodes, "", "u", {"f": np.float32(factor)})


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("second", [0, 1])
def test_values_of_branches_may_have_the_same_names(first: int, second: int) -> None:
    constants = {
        "c1": np.array(bool(first)),
        "c2": np.array(bool(second)),
        "zero": np.float32(0),
    }
    nodes = [
        node("Relu", "x", "r"),
        choice("c1", scaled(2), computed(3), "a"),
        choice("c2", computed(5), scaled(7), "b"),
        node("Sub", "a b", "y"),
    ]
    check(model(nodes, constants, SHAPE), picture(*SHAPE))


def test_branches_in_branches_take_values_from_the_branch_around_them() -> None:
    otherwise = graph([node("Neg", "w", "t2")], "", "t2")
    inner = choice("c1", graph([node("Mul", "w k", "t")], "", "t"), otherwise, "v")
    outer = graph([node("Neg", "r", "w"), inner, node("Add", "v w", "u")], "", "u",
                  {"k": np.float32(4)})  # fmt: skip
    nodes = [
        node("Relu", "x", "r"),
        choice("c1", scaled(2), computed(3), "a"),
        choice("c1", outer, computed(3), "b"),
        node("Sub", "a b", "y"),
    ]
    constants = {"c1": np.array(True), "zero": np.float32(0)}
    check(model(nodes, constants, SHAPE), picture(*SHAPE))
    # The same where the inner one depends on the picture.
    depends = [node("ReduceMax", "r", "m", keepdims=0), node("Greater", "m zero", "c3")]
    inner.input[0] = "c3"
    outer = graph([node("Neg", "r", "w"), *depends, inner, node("Add", "v w", "u")], "", "u",
                  {"k": np.float32(4)})  # fmt: skip
    nodes[2] = choice("c1", outer, computed(3), "b")
    check(model(nodes, constants, SHAPE), picture(*SHAPE))


def test_second_outputs_in_branches() -> None:
    halves = graph([node("Split", "r", "p q", axis=1), node("Sub", "p q", "t")], "", "t")
    nodes = [node("Relu", "x", "r"), choice("c", halves, scaled(1), "y")]
    check(model(nodes, {"c": np.array(True), "zero": np.float32(0)}, SHAPE), picture(*SHAPE))


def test_a_branch_that_cannot_be_read_takes_no_values_of_another() -> None:
    odd = graph([onnx.helper.make_node("Odd", ["r"], ["t"], domain="org.example"),
                 node("Neg", "t", "u")], "", "u")  # fmt: skip
    nodes = [
        node("Relu", "x", "r"),
        choice("c", scaled(2), scaled(3), "a"),
        choice("c", odd, scaled(3), "b"),
        node("Sub", "a b", "y"),
    ]
    found = load(model(nodes, {"c": np.array(True), "zero": np.float32(0)}, SHAPE))
    assert "org.example.Odd" in found.stop.reason


def test_branches_in_networks_of_any_size() -> None:
    """Read for several sizes, each time with the same names."""
    nodes = [
        node("Shape", "x", "s"),
        node("Size", "s", "n"),
        node("Equal", "n four", "c"),
        node("Relu", "x", "r"),
        choice("c", scaled(2), computed(3), "y"),
    ]
    made = model(nodes, {"four": np.array(4), "zero": np.float32(0)}, (1, 2, "h", "w"))
    found = load(made)
    assert found.stop is None
    assert found.network.names == load(made).network.names
    check(made, picture(*SHAPE))


# -- what decides a branch ------------------------------------------------------------------------


def test_weights_decide_a_branch_while_shapes_are_found() -> None:
    """Only the weights tell which branch is taken: `plan`, which needs none, reads them then."""
    for sign in (1, -1):
        W = np.full((3, 2, 2, 2), sign, np.float32)
        pooled = graph([node("MaxPool", "f", "t", kernel_shape=[2, 2], strides=[2, 2])], "", "t")
        kept = graph([node("Identity", "f", "t")], "", "t")
        nodes = [
            node("Conv", "x W", "f"),
            node("ReduceSum", "W", "s", keepdims=0),
            node("Greater", "s zero", "c"),
            choice("c", pooled, kept, "v"),
            node("Relu", "v", "y"),
        ]
        made = model(nodes, {"W": W, "zero": np.float32(0)}, SHAPE)
        expected = check(made, picture(*SHAPE)).shape
        shapes = load(made, weights=False).network.shapes((1, 6, 5, 2))
        assert shapes["y"] == (1, *expected[2:], 3)


def test_weights_stay_unread_where_they_decide_nothing() -> None:
    W = np.ones((3, 2, 2, 2), np.float32)
    nodes = [node("Transpose", "W", "V", perm=[0, 1, 3, 2]), node("Conv", "x V", "y")]
    (layer,) = [n.layer for n in load(model(nodes, {"W": W}, SHAPE), weights=False).network.nodes]
    assert is_placeholder(layer.filter.weights)


def depending(then: Any, otherwise: Any) -> Any:
    nodes = [
        node("Relu", "x", "r"),
        node("ReduceMax", "r", "m", keepdims=0),
        node("Greater", "m limit", "c"),
        choice("c", then, otherwise, "v"),
        node("Identity", "v", "y"),
    ]
    return nodes


@pytest.mark.parametrize("limit", [-1, 99])
def test_branches_of_several_shapes(limit: float) -> None:
    pooled = graph([node("MaxPool", "r", "t", kernel_shape=[2, 2], strides=[2, 2])], "", "t")
    made = model(depending(pooled, graph([node("Neg", "r", "t")], "", "t")),
                 {"limit": np.float32(limit)}, SHAPE)  # fmt: skip
    check(made, picture(*SHAPE))
    network = load(made).network
    assert network.has_open_shapes
    assert network.output_shape((1, 6, 5, 2)) == (1, 6, 5, 2)


def test_branches_of_several_ranks_are_refused() -> None:
    rows = graph([node("ReduceMax", "r", "t", axes=[1], keepdims=0)], "", "t")
    made = model(depending(rows, graph([node("Neg", "r", "t")], "", "t")),
                 {"limit": np.float32(0)}, SHAPE)  # fmt: skip
    assert "different numbers of axes" in load(made).stop.reason


# -- loops ----------------------------------------------------------------------------------------


def looped(body: Any, most: int | None, *, shape: Any = SHAPE) -> Any:
    count = [] if most is None else [("most", np.array(most))]
    nodes = [
        node("Relu", "x", "r"),
        node("ReduceMax", "r", "top", keepdims=0),
        node("Cast", "top", "turns", to=7),
        onnx.helper.make_node(
            "Loop", ["turns" if most is None else "most", "", "r"], ["y"], body=body
        ),
    ]
    return model(nodes, dict(count), shape, outputs=("y",))


TWICE_AS_WIDE = graph(
    [node("Concat", "v v", "w", axis=3), node("Identity", "go", "on")], "i go v", "on w"
)


@pytest.mark.parametrize("most", [0, 1, 3, None])
def test_loops_that_change_shapes(most: int | None) -> None:
    X = picture(*SHAPE)
    X[0, 0, 0, 0] = 2.5
    made = looped(TWICE_AS_WIDE, most)
    check(made, X)
    assert load(made).network.has_open_shapes == (most is None)


FIVE, TWO = (graph([], "", "k", {"k": np.array([1, 1, count, 1])}) for count in (5, 2))


def test_sizes_that_only_the_picture_tells_are_no_guess() -> None:
    """A branch chosen in a loop tells how often rows are repeated: nothing says so beforehand."""
    nodes = [
        node("ReduceMax", "v", "m", keepdims=0),
        node("Greater", "m half", "c"),
        choice("c", FIVE, TWO, "k"),
        node("Tile", "v k", "w"),
        node("Identity", "go", "on"),
    ]
    made = looped(graph(nodes, "i go v", "on w", {"half": np.float32(0.5)}), 1)
    assert "Tile (node" in load(made).stop.reason


def test_turns_of_an_inner_loop_that_only_the_picture_tells_are_no_guess() -> None:
    inner = onnx.helper.make_node("Loop", ["turns", "", "v"], ["w"], body=TWICE_AS_WIDE)
    body = graph([inner, node("Identity", "go", "on")], "i go v", "on w")
    assert "depend on the picture" in load(looped(body, 1)).stop.reason
    same = graph([node("Neg", "v", "w"), node("Identity", "go", "on")], "i go v", "on w")
    inner = onnx.helper.make_node("Loop", ["turns", "", "v"], ["w"], body=same)
    X = picture(*SHAPE)
    X[0, 0, 0, 0] = 3.5
    check(looped(graph([inner, node("Identity", "go", "on")], "i go v", "on w"), 1), X)


TOP = [node("ReduceMax", "q", "m", keepdims=0), node("Cast", "m", "k", to=7)]
PASSED_ON = [node("Identity", "go", "on"), node("Identity", "z", "z2")]


def repeated(how: str) -> Any:
    """Return a loop whose turns repeat a value as often as turns of an inner graph say."""
    made = [onnx.helper.make_tensor_value_info("k", onnx.TensorProto.INT64, [])]
    if how == "Scan":
        inner = graph(TOP, "q", "k")
        del inner.output[:]
        inner.output.extend(made)
        kept = onnx.helper.make_node("Scan", ["rows"], ["ks"], body=inner, num_scan_inputs=1)
        first = [node("Reshape", "v four", "rows")]
    else:
        inner = graph([node("Identity", "v", "q"), *TOP, *PASSED_ON], "i go z", "on z2 k")
        del inner.output[2:]
        inner.output.extend(made)
        kept = onnx.helper.make_node("Loop", ["count", "", "start"], ["end", "ks"], body=inner)
        first = []
    nodes = [*first, kept, node("Add", "ks ones", "more"), node("Tile", "v more", "w")]
    constants = {
        "four": np.array([4, -1]), "count": np.array(4), "start": np.float32([0]),
        "ones": np.array([1, 1, 1, 1]),
    }  # fmt: skip
    return looped(graph([*nodes, node("Identity", "go", "on")], "i go v", "on w", constants), 1)


@pytest.mark.parametrize("how", ["Scan", "Loop"])
def test_what_turns_leave_is_of_the_picture_too(how: str) -> None:
    made, X = repeated(how), np.ones(SHAPE, np.float32)
    assert runtime(made, X).shape == tuple(2 * length for length in SHAPE)
    assert "Tile (node 'w'): only values of the picture tell the size" in load(made).stop.reason


@pytest.mark.parametrize("grown", [False, True])
def test_results_of_loops_are_open_where_their_inputs_are(grown: bool) -> None:
    inner = [node("Neg", "v", "w")]
    if grown:
        inner = [
            node("Shape", "v", "s"),
            node("ConstantOfShape", "s", "o"),
            node("Sub", "o v", "w"),
        ]
    body = graph([*inner, node("Identity", "go", "on")], "i go v", "on w")
    loop = onnx.helper.make_node("Loop", ["two", "", "f"], ["y"], body=body)
    nodes = [node("NonZero", "x", "n"), node("Cast", "n", "f", to=1), loop]
    made, X = model(nodes, {"two": np.array(2)}, SHAPE), np.maximum(picture(*SHAPE), 0)
    found = load(made)
    assert found.network.has_open_shapes
    ((_, Y),) = forward_layers(found.network, np.moveaxis(X, 1, -1))
    np.testing.assert_array_equal(Y[0, :, :, 0], runtime(made, X))
    assert Y.shape[2] < X.size == found.network.output_shape((1, *SHAPE[2:], SHAPE[1]))[2]


def test_sizes_of_pictures_that_a_file_leaves_open(tmp_path: Path) -> None:
    """What a loop makes is found for the size that is given, not for one that was tried."""
    path, x = tmp_path / "loop.onnx", tmp_path / "x.npy"
    made = looped(TWICE_AS_WIDE, 2, shape=(1, 2, "h", "w"))
    path.write_bytes(made.SerializeToString())
    np.save(x, np.moveaxis(picture(*SHAPE)[0], 0, -1))
    assert "hint: --input HxWxC" in refused("plan", path)
    assert "6x20" in run_cli("plan", path, "--input", "6x5").output
    assert "4x12" in run_cli("plan", path, "--input", "4x3").output
    run_cli("run", path, x, "-o", tmp_path / "y.npy")
    expected = np.moveaxis(ours(looped(TWICE_AS_WIDE, 2), picture(*SHAPE)), 1, -1)[0]
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)


def test_scan() -> None:
    body = graph([node("Add", "s v", "t"), node("Mul", "t two", "u")], "s v", "t u",
                 {"two": np.float32(2)})  # fmt: skip
    nodes = [
        node("Reshape", "x rows", "r"),
        node("ReduceSum", "r axis", "zero", keepdims=0),
        onnx.helper.make_node("Scan", ["zero", "r"], ["end", "y"], body=body, num_scan_inputs=1),
    ]
    constants = {"rows": np.array([12, 5]), "axis": np.array([0])}
    made = model(nodes, constants, SHAPE, outputs=("y",))
    X = picture(*SHAPE)
    ((_, Y),) = forward_layers(load(made).network, np.moveaxis(X, 1, -1))
    rows = X.reshape(12, 5)
    expected = 2 * (rows.sum(0) + np.cumsum(rows, 0))
    np.testing.assert_allclose(Y.reshape(12, 5), expected, rtol=1e-5, atol=1e-5)


def test_arrays_of_graphs_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def counted(tensor: Any) -> Any:
        reads.append(tensor.name)
        return read_tensor(tensor)

    body = graph([node("Mul", "v half", "w")], "i go v", "go w", {"half": np.float32([0.5])})
    found = load(looped(body, 50))
    monkeypatch.setattr(control, "read_tensor", counted)
    list(forward_layers(found.network, np.ones((1, 6, 5, 2), np.float32)))
    assert reads.count("half") <= 1


def test_names_that_are_nowhere() -> None:
    body = graph([node("Mul", "v v", "w")], "i go v", "go lost")
    with pytest.raises(CnnCliError, match="nowhere in the file"):
        load(looped(body, 2))
