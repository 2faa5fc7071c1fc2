"""What ONNX's ReferenceEvaluator may run, how large it may get, and the layer that runs it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.core.arrays import is_placeholder, placeholder
from cnncli.errors import CnnCliError, FileProblem, OptionError
from cnncli.network.onnx import builder
from cnncli.network.onnx.control import ReferenceGraph
from cnncli.network.onnx.reference import check_operator, evaluate, reference_node
from cnncli.network.onnx.shapes import NotRun, Tensor
from cnncli.network.parameters import count_parameters
from cnncli.network.passes import forward_layers, require_gradients
from tests.support.onnxmodels import graph, load, model, node, onnx, picture
from tests.support.shell import refused, run_cli

pytestmark = pytest.mark.oracle


def reference(op: str, count: int, outputs: int = 1, opset: int = 17, **attributes: Any) -> Any:
    names = " ".join(f"x{k}" for k in range(count))
    made = node(op, names, " ".join(f"y{k}" for k in range(outputs)), **attributes)
    return reference_node(made, opset)


def test_constants_keep_their_types() -> None:
    (cast,) = evaluate(reference("Cast", 1, to=7), [np.float32([1.9, -1.9])])
    assert (cast.dtype, cast.tolist()) == (np.int64, [1, -1])
    (quotient,) = evaluate(reference("Div", 2), [np.array([7, -7]), np.array([2, 2])])
    assert (quotient.dtype, quotient.tolist()) == (np.int64, [3, -3])
    (equal,) = evaluate(reference("Equal", 2), [np.array([1, 2]), np.array([1, 3])])
    assert equal.dtype == bool
    (half,) = evaluate(reference("Cast", 1, to=10), [np.float32([1 / 3])])
    assert (half.dtype, half.item()) == (np.float32, np.float32(np.float16(1 / 3)))


@pytest.mark.parametrize("depth", [np.array(3), np.array([3])], ids=["scalar", "row"])
def test_one_hot_takes_its_depth_as_a_number_or_a_row_of_one(depth: Any) -> None:
    inputs = [np.array([2, -3, 7]), depth, np.float32([1, 5])]
    (made,) = evaluate(reference("OneHot", 3), inputs)
    assert made.tolist() == [[1, 1, 5], [5, 1, 1], [1, 1, 1]]


def test_what_onnx_cannot_compute_is_told_without_its_types() -> None:
    with pytest.raises(NotRun, match="subtract") as caught:
        evaluate(reference("OneHot", 3), [np.arange(2), np.array(3), np.array([False, True])])
    assert "<class" not in str(caught.value)


REFUSED = {
    "foreign": (onnx.helper.make_node("Odd", ["x"], ["y"], domain="org.example"), "operator"),
    "random": (onnx.helper.make_node("RandomUniform", [], ["y"], shape=[3]), "operator"),
    "sequence": (onnx.helper.make_node("SequenceConstruct", ["x"], ["y"]), "operator"),
    "text": (onnx.helper.make_node("StringNormalizer", ["x"], ["y"]), "operator"),
    "window": (
        onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2**31, 1]),
        "its kernel_shape are more than 65535",
    ),
    "loop": (
        onnx.helper.make_node(
            "Loop", ["n", "c"], ["y"], body=model([node("Relu", "x", "y")]).graph
        ),
        "operator",
    ),
    "graph": (
        onnx.helper.make_node("Relu", ["x"], ["y"], body=model([node("Relu", "x", "y")]).graph),
        "it holds a graph",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_run(name: str) -> None:
    made, reason = REFUSED[name]
    with pytest.raises(NotRun, match=reason):
        check_operator(made)


EXTERNAL = onnx.TensorProto.EXTERNAL


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("entry", "claims"), [(True, True), (True, False), (False, True)])
def test_no_array_is_read_from_a_file(
    entry: bool, claims: bool, inside: bool, tmp_path: Path
) -> None:
    """Neither of an attribute nor of a graph in a node, whether it claims to be one or names it."""
    (tmp_path / "secret").write_bytes(bytes(4))
    value = onnx.helper.make_tensor("v", 1, [1], [0.0])
    if claims:
        value.ClearField("float_data")
        value.data_location = EXTERNAL
    if entry:
        value.external_data.add(key="location", value=str(tmp_path / "secret"))
    if not inside:
        made = onnx.helper.make_node("ConstantOfShape", ["x"], ["y"], value=value)
        with pytest.raises(NotRun, match="its attributes name a file"):
            evaluate(reference_node(made, 17), [np.array([2])])
        return
    body = graph([node("Add", "r v", "t")], "", "t")
    body.initializer.append(value)
    made = onnx.helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    run = ReferenceGraph(made.SerializeToString(), 17, ("r",))
    with pytest.raises(NotRun, match="it is in another file"):
        run.run([np.array(True), np.ones(1, np.float32)])


SIZES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("ConstantOfShape", [np.array([2**20, 2**20])], {}),
    ("ConstantOfShape", [np.array([2**27 + 1])], {}),
    ("Expand", [np.ones(1), np.array([2**20, 2**20])], {}),
    ("Tile", [np.ones(4), np.array([2**40])], {}),
    ("Range", [np.array(0), np.array(2**60), np.array(1)], {}),
    ("Range", [np.float32(0), np.float32(1), np.float32(0)], {}),
    ("Pad", [np.ones(4), np.array([2**40, 0])], {}),
    ("OneHot", [np.arange(9), np.array(2**40), np.array([0.0, 1.0])], {}),
    ("Resize", [np.ones((1, 1, 2, 2), np.float32), None, np.float32([1, 1, 1e6, 1e6])], {}),
    ("EyeLike", [np.broadcast_to(np.float32(0), (2**20, 2**20))], {}),
    ("Einsum", [np.ones(2**15), np.ones(2**15)], {"equation": "i,j->ij"}),
]


@pytest.mark.parametrize(("op", "arrays", "attributes"), SIZES, ids=lambda value: str(value)[:20])
def test_constants_without_end(op: str, arrays: list[Any], attributes: dict[str, Any]) -> None:
    made = node(op, " ".join("-" if a is None else "x" for a in arrays), "y", **attributes)
    with pytest.raises(NotRun):
        evaluate(reference_node(made, 18), arrays)


def test_constants_that_grow_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each doubles the one before: the sum of all is held against a limit."""
    monkeypatch.setattr(builder, "MOST_NUMBERS", 2**20)
    nodes = [node("Concat", f"c{k} c{k}", f"c{k + 1}", axis=0) for k in range(28)]
    found = load(model([node("Relu", "x", "y"), *nodes], {"c0": np.ones(2**10)}, outputs=("y",)))
    assert any("too many numbers" in why for why in found.missing.values())


def test_placeholders_stay_placeholders() -> None:
    unread = placeholder("f4", (2**10, 2**14))
    (made,) = evaluate(reference("Transpose", 1), [unread], weights=False)
    assert is_placeholder(made)
    assert made.shape == (2**14, 2**10)


def test_what_outputs_will_be() -> None:
    k = np.array([3])
    inputs = [Tensor("float32", (1, 9)), Tensor("int64", (1,))]
    top = reference("TopK", 2, 2)
    values, places = top.tensors(inputs, {1: k})
    assert (values, places) == (Tensor("float32", (1, 3)), Tensor("int64", (1, 3)))
    with pytest.raises(NotRun, match="how large its result gets"):
        reference("Tile", 2).tensors([Tensor("float32", (4,)), Tensor("int64", (1,))], {})
    assert pickle.loads(pickle.dumps(top)) == top


def detector(threshold: float) -> Any:
    """A model whose outputs have as many rows as boxes were found."""
    constants = {
        "W": np.random.default_rng(6).normal(size=(5, 3, 3, 3)).astype(np.float32) / 3,
        **{"four": np.array([4]), "five": np.array([5]), "zero": np.array([0])},
        **{"axis": np.array([2]), "most": np.array([7]), "over": np.float32([0.3])},
        **{"least": np.float32([threshold]), "two": np.array([2]), "rows": np.array([1, -1, 5])},
    }
    nodes = [
        node("Conv", "x W", "c", "conv", strides=[4, 4]),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t rows", "r"),
        node("Slice", "r zero four axis", "boxes"),
        node("Slice", "r four five axis", "s"),
        node("Transpose", "s", "scores", perm=[0, 2, 1]),
        node("NonMaxSuppression", "boxes scores most over least", "kept", "nms"),
        node("Shape", "kept", "count"),
        node("Gather", "kept two", "i", axis=1),
        node("Squeeze", "i axis1", "places"),
        node("Gather", "boxes places", "y", axis=1),
    ]
    constants["axis1"] = np.array([1])
    return model(nodes, constants, (1, 3, 33, 29))


def test_results_as_large_as_the_values_tell() -> None:
    X = np.moveaxis(picture(1, 3, 33, 29), 1, -1)
    found = load(detector(-9))
    assert found.network.has_open_shapes
    ((_, Y),) = forward_layers(found.network, X)
    assert Y.shape == (1, 7, 4, 1)
    assert found.network.output_shape(X.shape)[1] >= 7
    ((_, nothing),) = forward_layers(load(detector(99)).network, X)
    assert nothing.shape == (1, 0, 4, 1)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, threshold in (("some.onnx", -9), ("none.onnx", 99)):
        (tmp_path / name).write_bytes(detector(threshold).SerializeToString())
    np.save(tmp_path / "x.npy", np.moveaxis(picture(1, 3, 33, 29)[0], 0, -1))
    return tmp_path


def test_commands_on_layers_that_onnx_runs(files: Path) -> None:
    some, x = files / "some.onnx", files / "x.npy"
    assert "NonMaxSuppression, size at most (run by onnx)" in run_cli("plan", some).output
    run_cli("run", some, x, "-o", files / "y.npy")
    assert np.load(files / "y.npy").shape == (7, 4, 1)
    run_cli("run", some, x, "-o", files / "y.png")
    said = refused("grad", some, x, "--unit", "y", code=2)
    assert "layer nms (NonMaxSuppression, size at most) is run by onnx, and has no" in said
    said = refused("explain", some, x, "--layer", "nms", code=2)
    assert "is run by onnx, and its arithmetic is not shown" in said
    said = refused("convert", some, "-o", files / "net.toml", code=2)
    assert "stay ONNX only: 'nms' (NonMaxSuppression, size at most)" in said


def test_a_trail_ends_at_a_layer_that_onnx_runs(tmp_path: Path) -> None:
    nodes = [node("Cos", "x", "c", "cosine"), node("Relu", "c", "y", "positive")]
    (tmp_path / "net.onnx").write_bytes(model(nodes, {}, (1, 1, 4, 4)).SerializeToString())
    np.save(tmp_path / "x.npy", picture(1, 1, 4, 4)[0, 0])
    told = run_cli("explain", tmp_path / "net.onnx", tmp_path / "x.npy", "--trail", "-q").stdout
    assert [line.split()[0] for line in told.splitlines()[-4:-2]] == ["positive", "cosine"]
    assert told.splitlines()[-1].startswith("ends at cosine: Cos is run by onnx, its arithmetic")


def test_a_detector_that_finds_nothing(files: Path) -> None:
    none, x = files / "none.onnx", files / "x.npy"
    assert "found nothing" in refused("run", none, x, "-o", files / "y.png")
    run_cli("run", none, x, "-o", files / "y.npy")
    assert np.load(files / "y.npy").shape == (0, 4, 1)


def test_gradients_are_refused_before_anything_is_computed() -> None:
    found = load(model([node("Relu", "x", "a"), node("ArgMax", "a", "y", axis=1)]))
    with pytest.raises(OptionError, match=r"layer y \(ArgMax\) is run by onnx"):
        require_gradients(found.network)
    require_gradients(found.network.until("a"))


def test_text_is_no_number() -> None:
    with pytest.raises(FileProblem, match="unsupported operator StringNormalizer"):
        load(model([node("StringNormalizer", "x", "y")]))


# -- graphs in nodes ------------------------------------------------------------------------------


TWICE = graph([node("Mul", "r two", "t")], "", "t", {"two": np.float32(2)})
SAME = graph([node("Identity", "r", "s")], "", "s")


def branches(limit: float, *between: Any) -> Any:
    nodes = [node("Relu", "x", "r"), *between, onnx.helper.make_node(
        "If", ["c"], ["y"], then_branch=TWICE, else_branch=SAME
    )]  # fmt: skip
    return model(nodes, {"limit": np.float32(limit), "zero": np.float32(0)})


@pytest.mark.parametrize("limit", [-1, 1e6])
def test_if(limit: float) -> None:
    X = np.moveaxis(picture(1, 4, 9, 8), 1, -1)
    expected = np.maximum(X, 0) * (2 if limit < 0 else 1)
    known = load(branches(limit, node("Greater", "zero limit", "c"))).network
    assert {n.layer.op for n in known.nodes} <= {"activation", "scale"}
    highest = [node("ReduceMax", "r", "m", keepdims=0), node("Greater", "m limit", "c")]
    depending = load(branches(limit, *highest)).network
    assert depending.nodes[-1].layer.op == "onnx"
    for network in (known, depending):
        ((_, Y),) = forward_layers(network, X)
        np.testing.assert_array_equal(Y, expected)


def loop(most: int, body: Any) -> Any:
    made = onnx.helper.make_node("Loop", ["most", "", "r"], ["y", "sums"], body=body)
    return model([node("Relu", "x", "r"), made], {"most": np.array(most)}, outputs=("y", "sums"))


HALVES = graph(
    [
        node("Mul", "v half", "w"),
        node("ReduceSum", "w", "s", keepdims=0),
        node("Identity", "go", "on"),
    ],
    *("i go v", "on w s", {"half": np.float32(0.5)}),
)


SUMS = graph([node("ReduceSum", "v", "s", keepdims=0)], "i go v", "go v s")


def test_loop() -> None:
    X = np.moveaxis(picture(1, 4, 9, 8), 1, -1)
    found = load(loop(3, HALVES))
    values = dict(forward_layers(found.network, X, found.network.names))
    np.testing.assert_allclose(values["y"], np.maximum(X, 0) / 8, rtol=1e-6)
    sums = np.maximum(X, 0).sum() * np.array([0.5, 0.25, 0.125])
    np.testing.assert_allclose(values["sums"].ravel(), sums, rtol=1e-5)


def test_loops_end() -> None:
    X = np.moveaxis(picture(1, 4, 9, 8), 1, -1)
    with pytest.raises(
        CnnCliError, match=r"layer \w+: Loop cannot be run: .* more than 10000 turns"
    ):
        list(forward_layers(load(loop(2**40, SUMS)).network, X))
    grows = graph(
        [node("Concat", "v v", "w", axis=0), node("Identity", "go", "on")], "i go v", "on w"
    )
    made = onnx.helper.make_node("Loop", ["most", "", "r"], ["y"], body=grows)
    constants = {"most": np.array(40)}
    reason = load(model([node("Relu", "x", "r"), made], constants, (1, 1, 64, 64))).stop.reason
    assert "it makes" in reason or "more than" in reason


def test_graphs_hold_only_what_may_run() -> None:
    odd_one = graph([node("RandomNormalLike", "r", "t")], "", "t")
    made = onnx.helper.make_node("If", ["c"], ["y"], then_branch=odd_one, else_branch=SAME)
    nodes = [node("Relu", "x", "r"), node("ReduceMax", "r", "m", keepdims=0)]
    nodes += [node("Greater", "m limit", "c"), made]
    assert (
        "not among those that can be run"
        in load(model(nodes, {"limit": np.float32(-1)})).stop.reason
    )


def test_weights_that_are_nan_are_named(files: Path) -> None:
    W = np.ones((1, 3, 3, 3), np.float32)
    W[0, 0, 0, 0], W[0, 1, 1, 1] = np.nan, np.inf
    nodes = [node("Conv", "x W", "y", name="c"), node("Relu", "y", "z", name="r")]
    (files / "nan.onnx").write_bytes(model(nodes, {"W": W}, (1, 3, 33, 29)).SerializeToString())
    args = files / "nan.onnx", files / "x.npy"
    said = run_cli("run", *args, "-o", files / "z.npy").stderr
    assert "are NaN or infinite, as 2 of 27 weights of c are" in said
    said = refused("grad", *args, "--unit", "r:0", code=2)
    assert "has no gradient: 2 of 27 weights are NaN or infinite" in said


@pytest.mark.parametrize(
    ("shape", "turned"), [((6, 5), False), ((5, 6, 7), True), ((6, 7, 4), False)]
)
def test_arrays_of_other_channels_than_the_file_says_are_refused(
    shape: tuple[int, ...], turned: bool, tmp_path: Path
) -> None:
    path, array = tmp_path / "net.onnx", tmp_path / "x.npy"
    path.write_bytes(model([node("Relu", "x", "y")], {}, (1, 5, "h", "w")).SerializeToString())
    np.save(array, np.ones(shape, np.float32))
    error = refused("run", path, array, code=2)
    assert f"an array of 5 channels is needed, got shape {shape}" in error
    assert ("np.moveaxis" in error) == turned
    np.save(array, np.ones((6, 7, 5), np.float32))
    run_cli("run", path, array, "-o", tmp_path / "y.npy")


def test_products_that_are_not_counted_are_said(files: Path) -> None:
    W = np.ones((1, 3, 3, 3), np.float32)
    L, R = np.ones((1, 16, 29), np.float32), np.ones((1, 16, 4), np.float32)
    nodes = [
        node("Conv", "x W", "y", name="c", pads=[1, 1, 1, 1]),
        node("Squeeze", "y one", "s"),
        node("LSTM", "s L R", "z", name="lstm", hidden_size=4),
    ]
    arrays = {"W": W, "L": L, "R": R, "one": np.array([1])}
    saved = model(nodes, arrays, (1, 3, 33, 29)).SerializeToString()
    (files / "lstm.onnx").write_bytes(saved)
    products = 33 * 29 * 27
    said = run_cli("plan", files / "lstm.onnx").stdout
    assert f"multiply-adds: at least {products:,}; 1 layer is not counted" in said
    said = run_cli("plan", files / "lstm.onnx", "--json").stdout
    layers = [json.loads(line) for line in said.splitlines()]
    assert layers[-1]["totals"]["multiply_adds_not_counted"] == ["lstm"]
    assert [one.get("multiply_adds") for one in layers[:-1]] == [products, None]


@pytest.mark.parametrize("trains", [0, 1])
def test_a_normalisation_as_in_training_is_told_and_counted(files: Path, trains: int) -> None:
    weights = np.ones((4, 3, 1, 1), np.float32)
    arrays = {"W": weights, **{name: np.ones(4, np.float32) for name in "gbmv"}}
    outputs = "y mean var" if trains else "y"
    given = node("BatchNormalization", "c g b m v", outputs, name="bn", training_mode=trains)
    made = model([node("Conv", "x W", "c"), given], arrays, (1, 3, 8, 8))
    (files / "bn.onnx").write_bytes(made.SerializeToString())
    np.save(files / "x.npy", np.zeros((8, 8, 3), np.float32))
    plan = run_cli("plan", files / "bn.onnx")
    run = run_cli("run", files / "bn.onnx", files / "x.npy", "-o", files / "y.npy")
    told = "from this picture alone, as it is in training mode: call model.eval() before the export"
    assert [plan.stderr.count(told), run.stderr.count(told)] == [trains, trains]
    assert "parameters: 20, " in plan.stdout


LEARNED = {
    "Conv of three axes": (
        [node("Unsqueeze", "c two", "u"), node("Conv", "u K B", "y")],
        {"two": np.array([2]), "K": np.ones((1, 4, 1, 3, 3), np.float32), "B": np.ones(1, "f")},
        37,
    ),
    "Gather of rows": (
        [
            node("ArgMax", "c", "i", axis=1, keepdims=0),
            node("Gather", "T i", "y"),
        ],
        {"T": np.ones((4, 5), np.float32)},
        20,
    ),
    "sizes": (
        [node("Resize", "c - s", "y", mode="cubic", exclude_outside=1)],
        {"s": np.array([1, 1, 1.5, 1.5], "f")},
        0,
    ),
}


@pytest.mark.parametrize("name", LEARNED)
def test_weights_of_what_onnx_runs_are_counted(name: str) -> None:
    nodes, arrays, count = LEARNED[name]
    weights = np.ones((4, 3, 1, 1), np.float32)
    made = model([node("Conv", "x W", "c"), *nodes], {"W": weights, **arrays}, (1, 3, 8, 8))
    network = load(made).network
    assert any(each.layer.op == "onnx" for each in network.nodes)
    assert sum(count_parameters(network).values()) == 12 + count
