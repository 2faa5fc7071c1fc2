"""ONNX files as networks: names, what is left out, weights of all kinds, and bad files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError, FileProblem, OptionError
from cnncli.network.load import load_model
from cnncli.network.onnx.converter import read
from cnncli.network.passes import forward
from tests.support.onnxmodels import load, model, node, onnx, picture

pytestmark = pytest.mark.oracle


def numbers(*shape: int) -> Any:
    """Return the same numbers each time for a shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def odd(x: str, y: str, name: str = "") -> Any:
    """A node that nobody knows."""
    return node("Odd", x, y, name, domain="org.example")


def small(*, dtype: Any = np.float32) -> Any:
    """A model of two convolutions."""
    nodes = [
        node("Conv", "x first.w first.b", "a", "first"),
        node("Relu", "a", "b"),
        node("Conv", "b second.w", "c", "second"),
    ]
    constants = {"first.w": numbers(6, 3, 3, 3), "first.b": numbers(6)}
    constants["second.w"] = numbers(2, 6, 1, 1)
    return model(nodes, {k: v.astype(dtype) for k, v in constants.items()}, (1, 3, "h", "w"))


def save(made: Any, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def test_names_are_safe_and_unique() -> None:
    nodes = [
        node("Relu", "x", "/a/relu_out", "/layer1/0/relu/Relu"),
        node("Relu", "/a/relu_out", "12"),
        node("Relu", "12", "twelve", "12"),
        node("Relu", "twelve", "in", "input"),
        node("Relu", "in", "n", "normalize"),
        node("Relu", "n", "../../up"),
        node("Relu", "../../up", "y", "12"),
    ]
    found = load(model(nodes))
    assert found.network.names == (
        *("layer1_0_relu_Relu", "12", "twelve", "input-2", "normalize-2", "up", "y"),
    )
    for name in ("layer1_0_relu_Relu", "/layer1/0/relu/Relu", "/a/relu_out"):
        assert found.find(name) == "layer1_0_relu_Relu"
    assert (found.find("12"), found.find("twelve")) == ("12", "twelve")
    assert found.find("../../up") == "up"


def test_maps_are_numbered() -> None:
    found = load(small())
    first: Any = found.network.node("first").layer
    assert first.filter.map_names == tuple(map(str, range(6)))


def test_nodes_that_become_no_layer_mean_the_one_before() -> None:
    nodes = [
        node("Identity", "x", "i", "nothing"),
        node("Relu", "i", "r", "relu"),
        node("Dropout", "r", "d", "drop"),
        node("Flatten", "d", "f", "flat"),
        node("Gemm", "f W", "y", "dense"),
    ]
    found = load(model(nodes, {"W": numbers(288, 2)}))
    assert found.network.names == ("relu", "dense")
    assert [found.find(n) for n in ("r", "drop", "d", "flat", "f")] == ["relu"] * 5
    with pytest.raises(OptionError, match="no layer 'nothing'"):
        found.find("nothing")


def test_what_cannot_be_read_is_named_and_the_rest_still_runs() -> None:
    nodes = [
        node("Relu", "x", "a", "good"),
        odd("a", "b", "bad"),
        node("Tanh", "b", "c", "behind"),
        node("Add", "c a", "d", "sum"),
        node("Sigmoid", "a", "e", "beside"),
    ]
    found = load(model(nodes, outputs=("d",)))
    assert found.network.names == ("good", "beside")
    assert found.stop.reason == "unsupported operator org.example.Odd (node 'bad')"
    assert found.stop.layer == "good"
    for name in ("bad", "b", "behind", "c", "sum", "d"):
        with pytest.raises(
            FileProblem, match=r"no layer .*: unsupported operator org.example.Odd \(node"
        ):
            found.find(name)
    X = np.moveaxis(picture(), 1, -1)
    np.testing.assert_allclose(
        forward(found.network, X).values["beside"], 1 / (1 + np.exp(-np.maximum(X, 0))), rtol=1e-6
    )


def test_what_no_output_needs_stops_nothing() -> None:
    nodes = [node("Relu", "x", "a"), odd("a", "b"), node("Tanh", "a", "c")]
    assert load(model(nodes, outputs=("c",))).stop is None
    assert (
        load(model(nodes, outputs=("c", "b"))).stop.reason
        == "unsupported operator org.example.Odd (node 'b')"
    )


def test_a_second_output_does_not_hide_what_stops() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Dropout", "a", "d mask"),
        odd("d", "b", "bad"),
        node("Tanh", "b", "c"),
    ]
    assert load(model(nodes)).stop.reason == "unsupported operator org.example.Odd (node 'bad')"


def test_a_name_of_a_node_and_a_value_means_the_value() -> None:
    b = np.full((1, 4, 1, 1), 10, np.float32)
    nodes = [node("Relu", "x", "fc0", "fc"), node("Add", "fc0 b", "fc", "Add")]
    found = load(model(nodes, {"b": b}))
    assert found.network.names == ("fc0", "Add")
    assert (found.find("fc"), found.find("fc0"), found.find("Add")) == ("Add", "fc0", "Add")
    lost = load(model([nodes[0], odd("fc0", "fc", "Add")]))
    with pytest.raises(FileProblem, match="unsupported operator org.example.Odd"):
        lost.find("fc")
    assert lost.find("fc0") == "fc0"


def test_nodes_may_stand_in_any_order() -> None:
    nodes = [node("Mul", "a s", "y"), node("Sigmoid", "a", "s"), node("Relu", "x", "a")]
    found = load(model(nodes, outputs=("y",)))
    assert found.network.names == ("a", "s", "y")
    X = np.moveaxis(picture(), 1, -1)
    relu = np.maximum(X, 0)
    np.testing.assert_allclose(
        forward(found.network, X).values["y"], relu / (1 + np.exp(-relu)), rtol=1e-5
    )


UNREADABLE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "foreign": (
        onnx.helper.make_node("Inverse", ["r"], ["y"], domain="com.microsoft"),
        {},
        "unsupported operator com.microsoft.Inverse (node 'y')",
    ),
    "random": (node("RandomNormalLike", "r", "y"), {}, "unsupported operator RandomNormalLike"),
    "training": (node("Dropout", "r - t", "y"), {"t": np.array(True)}, "it is in training"),
    "wrong channels": (node("Conv", "r W", "y"), {"W": numbers(2, 3, 1, 1)}, "3 channels"),
    "no filters": (node("Conv", "r -", "y"), {}, "input 2 is missing"),
    "a window too large": (node("MaxPool", "r", "y", kernel_shape=(10, 2)), {}, "10 of 9 rows"),
    "a window of three axes": (node("MaxPool", "r", "y", kernel_shape=(2, 2, 2)), {}, "two axes"),
    "a constant that does not fit": (node("Add", "r c", "y"), {"c": numbers(5)}, "each channel"),
    "a turned matrix": (node("Gemm", "r W", "y", transA=1), {"W": numbers(2, 2)}, "transposed"),
    "an axis beyond all": (
        node("Unsqueeze", "W", "y", axes=[2**40]),
        {"W": numbers(2, 4)},
        "unsupported Unsqueeze",
    ),
    "an array without end": (
        node("ConstantOfShape", "s", "y"),
        {"s": np.array([2**20, 2**20])},
        "it makes 1099511627776 numbers",
    ),
    "a result without end": (
        node("Expand", "r s", "y"),
        {"s": np.array([2**20, 2**20, 1, 1, 1, 1])},
        "numbers, more than",
    ),
    "a window without end": (
        node("AveragePool", "r", "y", kernel_shape=(2**40, 1, 1)),
        {},
        "its window has not two axes",
    ),
    "text": (node("Constant", "", "y", value_string="a"), {}, "else than numbers"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_reasons(name: str) -> None:
    bad, constants, reason = UNREADABLE[name]
    found = load(model([node("Relu", "x", "r"), bad], constants))
    assert found.network.names == ("r",)
    assert reason in found.missing["y"]


def test_second_outputs_are_run_where_they_are_used() -> None:
    pool = node("MaxPool", "x", "y places", kernel_shape=(2, 2), strides=(2, 2))
    assert load(model([pool])).network.names == ("y",)
    found = load(model([pool, node("Abs", "places", "z")], outputs=("y",)))
    assert [(n.name, n.layer.op) for n in found.network.nodes] == [
        *(("places", "onnx"), ("z", "activation"), ("y", "pool")),
    ]


def test_the_first_output_comes_last() -> None:
    nodes = [node("Relu", "x", "a"), node("Tanh", "a", "p"), node("Sigmoid", "a", "q")]
    found = load(model(nodes, outputs=("p", "q")))
    assert found.network.names == ("a", "q", "p")
    assert found.notes[0] == "model.onnx: its outputs are the layers p, q"


def test_graphs_older_than_ir_4_list_their_weights_as_inputs() -> None:
    made = small()
    made.ir_version = 3
    made.graph.input.append(onnx.helper.make_tensor_value_info("first.w", 1, (6, 3, 3, 3)))
    assert load(made).network.names == ("first", "b", "second")


def test_old_broadcast_along_an_axis() -> None:
    made = model([node("Add", "x c", "y", broadcast=1, axis=1)], {"c": numbers(4)}, opset=6)
    layer: Any = load(made).network.nodes[0].layer
    assert layer.offset.shape == (4,)


# -- files ---------------------------------------------------------------------------------------


def beside(folder: Path, location: str = "w.bin", **fields: Any) -> Path:
    """Write the small model with the filters of its first layer in a file beside it."""
    made = small()
    (tensor,) = (t for t in made.graph.initializer if t.name == "first.w")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entries = {"location": location, "offset": 64, "length": len(data), **fields}
    for key, value in entries.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    folder.mkdir(exist_ok=True)
    (folder / "w.bin").write_bytes(bytes(64) + data)
    return save(made, folder / "model.onnx")


def test_weights_beside_the_model(tmp_path: Path) -> None:
    path = beside(tmp_path)
    found = read(path)
    layer: Any = found.network.node("first").layer
    data = np.frombuffer((tmp_path / "w.bin").read_bytes()[64:], "<f4").reshape(6, 3, 3, 3)
    np.testing.assert_array_equal(layer.filter.weights, data.transpose(2, 3, 1, 0))
    assert found.files == (path, tmp_path / "w.bin")
    without: Any = read(beside(tmp_path, length=None)).network.node("first").layer
    np.testing.assert_array_equal(without.filter.weights, layer.filter.weights)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(FileProblem, match=r"'w.bin', which is not there") as caught:
        read(path)
    assert caught.value.hint == "copy that file beside the model" and caught.value.path == str(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "../out/w.bin"},
        {"location": "/etc/hostname"},
        {"location": "link.bin"},
        {"location": ""},
        {"location": "nothing.bin"},
        {"location": "."},
        {"location": "pipe"},
        {"offset": 68},
        {"offset": -1},
        {"offset": 10**15},
        {"offset": "x"},
        {"length": 8},
        {"length": 10**15},
    ],
    ids=str,
)
def test_weights_that_are_not_beside_the_model(fields: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "w.bin").write_bytes(bytes(2**12))
    path = beside(tmp_path / "in", **fields)
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "out" / "w.bin")
    os.mkfifo(tmp_path / "in" / "pipe")
    words = "offset and length must be whole" if "x" in fields.values() else "."
    with pytest.raises(FileProblem, match=words):
        read(path)


def test_without_weights_only_shapes_are_read(tmp_path: Path) -> None:
    path = beside(tmp_path)
    expected = read(path)
    found = read(path, weights=False)
    assert found.files == expected.files
    assert found.network.shapes((1, 9, 8, 3)) == expected.network.shapes((1, 9, 8, 3))
    for ours, theirs in zip(found.network.nodes, expected.network.nodes, strict=True):
        for name, array in theirs.layer.parameters.items():
            hollow = ours.layer.parameters[name]
            assert (hollow.shape, hollow.dtype) == (array.shape, array.dtype)
            assert set(hollow.strides) == {0}


def test_without_weights_every_kind_of_layer_has_its_shapes() -> None:
    nodes = [
        node("BatchNormalization", "x g g g g", "b"),
        node("Div", "b s", "d"),
        node("Sub", "s d", "e"),
        node("PRelu", "e s", "p"),
        node("Reshape", "p rows", "f"),
        node("Gemm", "f W g", "y", alpha=2.0, beta=3.0),
        node("Clip", "y low", "z"),
    ]
    constants = {"g": np.ones(4, np.float32), "s": numbers(4, 1, 1), "W": numbers(288, 4)}
    constants |= {"rows": np.array([-1, 288]), "low": np.float32(0.5)}
    made = model(nodes, constants)
    found, whole = load(made, weights=False), load(made)
    assert found.missing == whole.missing == {}
    assert found.network.shapes((1, 9, 8, 4)) == whole.network.shapes((1, 9, 8, 4))
    last: Any = found.network.node("z").layer
    assert last.low == 0.5


@pytest.mark.parametrize(("dtype", "kept"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8")])
def test_floats(dtype: str, kept: str) -> None:
    made = small(dtype=dtype)
    layer: Any = load(made).network.node("first").layer
    assert layer.filter.weights.dtype == kept
    (tensor,) = (t for t in made.graph.initializer if t.name == "first.w")
    expected = onnx.numpy_helper.to_array(tensor).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(layer.filter.weights, expected)


@pytest.mark.parametrize("outside", [False, True])
def test_bfloat16(outside: bool, tmp_path: Path) -> None:
    made = model([node("Conv", "x w", "y")], {"w": np.ones((1, 4, 1, 2), np.float32)})
    (tensor,) = made.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_type = onnx.TensorProto.BFLOAT16
    # The upper halves of 1, -2, 0.5 and so on as float32.
    data = np.array([0x3F80, 0xC000, 0x3F00, 0x3F80] * 2, "<u2").tobytes()
    if outside:
        (tmp_path / "w.bin").write_bytes(data)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    else:
        tensor.raw_data = data
    layer: Any = read(save(made, tmp_path / "model.onnx")).network.nodes[0].layer
    assert layer.filter.weights.ravel().tolist() == [1, 0.5, 1, 0.5, -2, 1, -2, 1]


BAD_GRAPHS: dict[str, tuple[Any, str]] = {
    "missing weights": (
        model([node("Conv", "x W", "y")]),
        "Conv (node 'y') needs 'W', which is nowhere in the file",
    ),
    "circle": (
        model([node("Add", "x b", "a"), node("Relu", "a", "b")]),
        "Add (node 'a') needs 'b', which is only made by it or after it",
    ),
    "itself": (model([node("Add", "x y", "y")]), "only made by it or after it"),
    "flat input": (
        model([node("Relu", "x", "y")], shape=("N", 10)),
        "its input must be (N, C, H, W), got (?, 10)",
    ),
    "nothing readable": (model([odd("x", "y")]), "unsupported operator org.example.Odd (node 'y')"),
    "nothing of its input": (
        model([node("Constant", "", "y", value_float=1.0)]),
        "no node works on its input",
    ),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graphs(name: str, tmp_path: Path) -> None:
    made, reason = BAD_GRAPHS[name]
    path = save(made, tmp_path / "model.onnx")
    with pytest.raises(FileProblem) as caught:
        read(path)
    assert reason in str(caught.value) and str(caught.value).startswith(f"'{path}': ")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Identity", "x", "y")],
        [node("Identity", "x", "a"), node("Cast", "a", "y", to=1)],
        [node("Cast", "x", "y", to=11)],
        [node("Relu", "x", "a"), node("Identity", "x", "y")],
        [node("Dropout", "x", "y")],
    ],
)
@pytest.mark.parametrize("scale", [None, 255.0])
def test_a_graph_that_gives_its_picture_back(
    nodes: list[Any], scale: float | None, tmp_path: Path
) -> None:
    path = save(model(nodes), tmp_path / "model.onnx")
    loaded = read(path, prepare={} if scale is None else {"scale": scale})
    X = numbers(1, 9, 8, 4)
    network = loaded.network.until(loaded.find("y"))
    made = forward(network, X).values[network.names[-1]]
    np.testing.assert_array_equal(made, X * np.float32(scale or 1))
    assert loaded.stop is None


def test_two_inputs() -> None:
    made = model([node("Add", "x z", "y")])
    made.graph.input.append(onnx.helper.make_tensor_value_info("z", 1, (1, 4, 9, 8)))
    with pytest.raises(FileProblem, match="must have one input, got 'x', 'z'"):
        load(made)


@pytest.mark.parametrize(
    "data",
    [b"", b"not a network", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000), b"\x08\x08"],
    ids=["empty", "text", "picture", "zeros", "nothing but a version"],
)
def test_other_files(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(FileProblem, match="not a readable ONNX file"):
        load_model(tmp_path / "model.onnx")


def test_cut_off_at_every_byte(tmp_path: Path) -> None:
    data = small().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        with pytest.raises(FileProblem):
            read(path)


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes(seed: int, tmp_path: Path) -> None:
    """Whatever a byte says, the answer is a model or an error of cnncli's."""
    whole, rng = bytearray(small().SerializeToString()), np.random.default_rng(seed)
    path = tmp_path / "model.onnx"
    refusals = 0
    for _ in range(250):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert read(path).network.nodes
        except CnnCliError:
            refusals += 1
    assert 0 < refusals < 250


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.touch()
    # A hole: it takes no room on the disk.
    os.truncate(path, 2**31 + 1)
    with pytest.raises(FileProblem, match="may have 2147483648 bytes") as caught:
        read(path)
    assert caught.value.hint


@pytest.mark.parametrize("dims", [(2**40, 3, 3, 3), (-1, 3, 3, 3), (6, 3, 3, 4), (2**62,) * 4])
@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("outside", [True, False])
def test_shapes_that_lie(
    dims: tuple[int, ...], weights: bool, outside: bool, tmp_path: Path
) -> None:
    path = beside(tmp_path) if outside else save(small(), tmp_path / "model.onnx")
    made = onnx.ModelProto.FromString(path.read_bytes())
    (tensor,) = (t for t in made.graph.initializer if t.name == "first.w")
    tensor.dims[:] = dims
    with pytest.raises(FileProblem, match=r"tensor 'first\.w': "):
        read(save(made, path), weights=weights)


def test_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = save(small(), tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(FileProblem, match=r"\.onnx files need an extra package") as caught:
        read(path)
    assert caught.value.hint == "pip install 'cnncli[onnx]'"


def test_a_missing_file_is_told_before_a_missing_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(FileProblem, match=r"none\.onnx': cannot be read: No such file"):
        read(tmp_path / "none.onnx")
