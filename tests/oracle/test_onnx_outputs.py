"""The axes of an ONNX model's outputs, judged by ONNX Runtime: its own maps, rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.netfiles import check_converted
from tests.support.onnxmodels import load, model, node, picture, runtime
from tests.support.shell import run_cli

ort = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

SHAPE = (1, 3, 6, 8)

RESHAPED = {
    "shuffle": [
        node("Reshape", "r five", "v"),
        node("Transpose", "v", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t four", "y", "last"),
    ],
    "unshuffle": [
        node("Reshape", "r six", "v"),
        node("Transpose", "v", "t", perm=[0, 1, 3, 5, 2, 4]),
        node("Reshape", "t small", "y", "last"),
    ],
    "tokens": [
        node("Reshape", "r tokens", "v"),
        node("Transpose", "v", "t", perm=[0, 2, 1]),
        node("MatMul", "t W", "m"),
        node("Transpose", "m", "u", perm=[0, 2, 1]),
        node("Reshape", "u map", "y", "last"),
    ],
    "reshape": [node("Reshape", "r other", "y", "last")],
    "columns and rows": [node("Transpose", "r", "y", "last", perm=[0, 1, 3, 2])],
    "rows and channels": [node("Transpose", "r", "y", "last", perm=[0, 2, 1, 3])],
    "turned": [node("Transpose", "r", "y", "last", perm=[0, 3, 1, 2])],
}
"""What ends in other axes than it began with; all outputs are (1, C, H, W)."""

CONSTANTS = {
    "five": np.array([1, 2, 2, 6, 8]),
    "four": np.array([1, 4, 6, 8]),
    "six": np.array([1, 4, 3, 2, 4, 2]),
    "small": np.array([1, 16, 3, 4]),
    "tokens": np.array([1, 4, 48]),
    "W": np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32),
    "map": np.array([1, 5, 6, 8]),
    "other": np.array([1, 2, 12, 8]),
    "F": np.random.default_rng(4).normal(size=(4, 3, 1, 1)).astype(np.float32),
}


def made_of(name: str, behind: Any = ()) -> Any:
    """Return a model that ends in some nodes, and in others behind them."""
    return model([node("Conv", "x F", "r", "first"), *RESHAPED[name], *behind], CONSTANTS, SHAPE)


def layer(found: Any, name: str, X: Any) -> Any:
    """Return what a name means, of a picture (1, C, H, W)."""
    network = found.network.until(found.find(name))
    ((_, Y),) = forward_layers(network, np.moveaxis(X, 1, -1).copy())
    assert Y.shape == network.output_shape((1, *X.shape[2:], X.shape[1]))
    return Y


@pytest.mark.parametrize("name", RESHAPED)
def test_outputs_are_maps_of_their_own_rows_and_columns(name: str, tmp_path: Path) -> None:
    made, X = made_of(name), picture(*SHAPE)
    found, expected = load(made), np.moveaxis(runtime(made, X), 1, -1)
    for asked in ("y", "last"):
        np.testing.assert_allclose(layer(found, asked, X), expected, rtol=1e-5, atol=1e-6)
    check_converted(found, np.moveaxis(X, 1, -1).copy(), tmp_path)


@pytest.mark.parametrize("name", RESHAPED)
def test_so_is_what_is_computed_cell_by_cell_behind_them(name: str) -> None:
    made = made_of(name, [node("Neg", "y", "n", "neg"), node("Relu", "n", "z", "relu")])
    X, found = picture(*SHAPE), load(made)
    expected = np.moveaxis(runtime(made, X), 1, -1)
    for asked in ("z", "relu"):
        np.testing.assert_allclose(layer(found, asked, X), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.maximum(layer(found, "neg", X), 0), layer(found, "z", X))


def test_a_picture_with_its_channels_put_last_keeps_rows_columns_and_channels() -> None:
    for order in ([0, 2, 3, 1], [0, 3, 2, 1]):
        last = node("Transpose", "r", "y", "last", perm=order)
        made, X = model([node("Relu", "x", "r"), last], shape=SHAPE), picture(*SHAPE)
        np.testing.assert_array_equal(layer(load(made), "y", X), runtime(made, X))


@pytest.mark.parametrize("stays", [False, True])
def test_pictures_that_come_with_their_channels_last(stays: bool) -> None:
    # PyTorch turns them once; TensorFlow's exporters leave them so, but for convolutions.
    nodes = [
        node("Transpose", "x", "p", perm=[0, 3, 1, 2]),
        node("Conv", "p F", "c"),
        *([node("Transpose", "c", "r", perm=[0, 2, 3, 1])] if stays else []),
        node("Reshape", "r v" if stays else "c v", "s"),
        node("Transpose", "s", "t", perm=[0, 1, 2, 4, 3] if stays else [0, 2, 1, 3, 4]),
        node("Reshape", "t u", "y", "last"),
    ]
    constants = {
        "F": CONSTANTS["F"],
        "v": np.array([1, 6, 8, 2, 2] if stays else [1, 2, 2, 6, 8]),
        "u": np.array([1, 6, 8, 4] if stays else [1, 4, 6, 8]),
    }
    made, X = model(nodes, constants, (1, 6, 8, 3)), picture(1, 6, 8, 3)
    expected = runtime(made, X)
    expected = expected if stays else np.moveaxis(expected, 1, -1)
    found = layer(load(made), "y", np.moveaxis(X, -1, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [[1, -1], [-1], [1, 1, -1], [1, 3, -1], [3, 1, 6, 8]], ids=str)
def test_what_is_no_map_is_in_its_own_order(shape: list[int]) -> None:
    nodes = [node("Relu", "x", "r"), node("Reshape", "r shape", "y", "last")]
    made, X = model(nodes, {"shape": np.array(shape)}, SHAPE), picture(*SHAPE)
    found, expected = layer(load(made), "y", X), runtime(made, X)
    np.testing.assert_array_equal(found.ravel(), expected.ravel())
    row = expected.size == expected.shape[-1]
    assert found.shape[1:] == ((1, 1, expected.size) if row else (*found.shape[1:3], 1))


def test_a_row_longer_than_channels_may_be_is_a_table(tmp_path: Path) -> None:
    shape = (1, 1, 260, 300)
    made = model([node("Relu", "x", "r"), node("Flatten", "r", "y")], {}, shape)
    path = tmp_path / "long.onnx"
    path.write_bytes(made.SerializeToString())
    read, X = load_model(path), picture(*shape)
    found = dict(forward_layers(read.network, X.transpose(0, 2, 3, 1)))[read.network.names[-1]]
    assert found.shape == (1, 1, 78_000, 1)
    np.testing.assert_array_equal(found.reshape(1, -1), runtime(made, X))
    check_converted(read, X.transpose(0, 2, 3, 1), tmp_path)


def test_of_any_size() -> None:
    nodes = [node("Relu", "x", "r"), node("Transpose", "r", "y", "last", perm=[0, 1, 3, 2])]
    made, X = model(nodes, shape=(1, 3, "h", "w")), picture(*SHAPE)
    expected = np.moveaxis(runtime(made, X), 1, -1)
    np.testing.assert_array_equal(layer(load(made), "y", X), expected)
    # How many maps there are is open.
    nodes[-1] = node("Transpose", "r", "y", "last", perm=[0, 2, 1, 3])
    made = model(nodes, shape=(1, 3, "h", "w"))
    with pytest.raises(FileProblem, match="size of the picture must be known, for Transpose"):
        load(made).find("y")
    found = load(made, prepare={"size": SHAPE[2:]})
    np.testing.assert_array_equal(layer(found, "y", X), np.moveaxis(runtime(made, X), 1, -1))


@pytest.mark.parametrize("name", ["shuffle", "tokens"])
def test_commands_agree(name: str, tmp_path: Path) -> None:
    made, X = made_of(name), picture(*SHAPE)
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    np.save(tmp_path / "x.npy", np.moveaxis(X[0], 0, -1))
    given = path, tmp_path / "x.npy"
    expected = np.moveaxis(runtime(made, X)[0], 0, -1)
    for asked in ("y", "last"):
        run_cli("run", *given, "--layer", asked, "-o", tmp_path / f"{asked}.npy")
        np.testing.assert_allclose(np.load(tmp_path / f"{asked}.npy"), expected, 1e-5, 1e-6)
    assert f" {'x'.join(map(str, expected.shape))}" in run_cli("plan", path, "--until", "y").stdout
    done = run_cli("grad", *given, "--unit", "last:3", "-o", tmp_path / "g.npy")
    assert f":3 adds up to {expected[..., 3].sum():.4g}"[:-1] in done.stderr
    shown = run_cli("explain", *given, "--layer", "y", "--at", "2,3", "--map", "1").stdout
    assert f"result     {expected[2, 3, 1]:.5f}"[:-1] in shown
    done = run_cli("compare", *given, "--against", "onnxruntime")
    assert ": equal in all " in done.stdout
    assert load_model(path).tensors[load_model(path).find("y")][0] == "y"


@pytest.mark.parametrize("batch", [4, 1, "n"])
def test_a_batch_of_the_file_is_noted(batch: Any, tmp_path: Path) -> None:
    made, path = model([node("Relu", "x", "y")], shape=(batch, 3, 6, 8)), tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    np.save(tmp_path / "x.npy", np.zeros((6, 8, 3), np.float32))
    if batch == 4:
        with pytest.raises(
            ort.capi.onnxruntime_pybind11_state.InvalidArgument, match="Expected: 4"
        ):
            runtime(made, picture(*SHAPE))
    done = run_cli("run", path, tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert ("own batch is 4, not 1: other programs may refuse it" in done.stderr) == (batch == 4)
