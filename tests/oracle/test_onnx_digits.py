"""Whole numbers of ONNX models keep their digits, and floats made of them are float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import load, model, node, runtime
from tests.support.shell import run_cli

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

SHAPE = (1, 3, 4, 6)
FLOAT, INT32, INT64, DOUBLE = 1, 6, 7, 11

COUNTED = [
    node("Cast", "x", "w", to=INT64),
    node("Mul", "w thousand", "m"),
    node("Add", "m one", "i", "whole"),
]
"""Makes odd numbers beyond 2**24 of pictures."""

CONSTANTS = {"thousand": np.array(1_000_000), "one": np.array(16_777_217)}


def made(nodes: list[Any], kind: int) -> Any:
    """Return a model of the numbers, and of what further nodes make of them."""
    whole = model([*COUNTED, *nodes], CONSTANTS, SHAPE)
    whole.graph.output[0].type.tensor_type.elem_type = kind
    return whole


def pixels() -> Any:
    """Return whole numbers, (1, 3, H, W)."""
    return np.random.default_rng(3).integers(0, 99, SHAPE).astype(np.float32)


def found(made: Any, folder: Path, *options: Any) -> tuple[Any, dict[str, Any]]:
    """Return the array that `run` writes of a model, (C, H, W), and its report."""
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    np.save(folder / "x.npy", np.moveaxis(pixels()[0], 0, -1))
    given = folder / "net.onnx", folder / "x.npy"
    done = run_cli("run", *given, *options, "-o", folder / "y.npy", "--json", "--overwrite")
    return np.moveaxis(np.load(folder / "y.npy"), -1, 0), json.loads(done.stdout)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Identity", "i", "y")],
        [node("Transpose", "i", "y", perm=[0, 1, 3, 2])],
        [node("Max", "i one", "y")],
        [node("ArgMax", "i", "a", axis=1), node("Add", "a one", "y")],
        [node("Cast", "i", "j", to=INT32), node("Cast", "j", "y", to=INT64)],
    ],
    ids=["as they are", "turned", "by a layer", "indices", "cast"],
)
def test_whole_numbers_keep_their_digits(nodes: list[Any], tmp_path: Path) -> None:
    whole = made(nodes, INT64)
    expected = runtime(whole, pixels())
    array, report = found(whole, tmp_path)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, expected[0])
    assert (report["min"], report["max"]) == (expected.min(), expected.max())


def test_in_archives_and_in_the_middle_too(tmp_path: Path) -> None:
    whole = made([node("Cast", "i", "f", "float", to=FLOAT), node("Neg", "f", "y", "last")], FLOAT)
    array, _ = found(whole, tmp_path, "--layer", "whole")
    np.testing.assert_array_equal(array, pixels()[0].astype(np.int64) * 1_000_000 + 16_777_217)
    run_cli("run", tmp_path / "net.onnx", tmp_path / "x.npy", "-o", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as file:
        layers = dict(file)
    np.testing.assert_array_equal(np.moveaxis(layers["whole"], -1, 0), array)
    assert layers["last"].dtype == np.float32
    np.testing.assert_array_equal(np.moveaxis(layers["last"], -1, 0), runtime(whole, pixels())[0])


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
@pytest.mark.parametrize("behind", [None, "Neg", "Relu"])
def test_floats_made_of_them(behind: str | None, kind: int, tmp_path: Path) -> None:
    nodes = [node("Cast", "i", "f" if behind else "y", to=kind)]
    nodes += [node(behind, "f", "y")] if behind else []
    whole = made(nodes, kind)
    array, _ = found(whole, tmp_path)
    assert array.dtype == (np.float32 if kind == FLOAT else np.float64)
    np.testing.assert_array_equal(array, runtime(whole, pixels())[0])


def test_double_to_float(tmp_path: Path) -> None:
    nodes = [
        node("Cast", "i", "d", to=DOUBLE),
        node("Mod", "d d", "rest", fmod=1),
        node("Add", "rest d", "s"),
        node("Cast", "s", "y", to=FLOAT),
    ]
    whole = made(nodes, FLOAT)
    array, _ = found(whole, tmp_path)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, runtime(whole, pixels())[0])


def test_a_float_that_becomes_whole_and_a_float_again_stays_in_layers_of_our_own() -> None:
    nodes = [node("Cast", "x", "w", to=INT64), node("Cast", "w", "y", to=FLOAT)]
    kinds = [each.layer.op for each in load(model(nodes, {}, SHAPE)).network.nodes]
    assert kinds == ["activation"]
