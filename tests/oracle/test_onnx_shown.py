"""Layers in the middle of ONNX models: their maps are the tensor's own, judged by ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import model, node, picture, runtime
from tests.support.shell import run_cli

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

SHAPE = (1, 3, 4, 6)
"""24 cells, of which each is a token."""

QUERIES = {
    "heads": [1, 2, 24, 6],
    "heads without a batch": [2, 24, 6],
    "one head": [1, 24, 12],
    "windows": [3, 2, 8, 6],
    "one row": [1, 2, 1, 144],
}
"""Shapes of queries, keys and values: matrices of tokens by features."""


def attention(queries: list[int]) -> Any:
    """Return a model whose heads look at one another: queries by keys, and the values they pick."""
    turned = [*range(len(queries) - 2), len(queries) - 1, len(queries) - 2]
    return model(
        [
            node("Conv", "x F", "c"),
            node("Reshape", "c queries", "q", "queries"),
            node("Transpose", "q", "k", "keys", perm=turned),
            node("MatMul", "q k", "p", "products"),
            node("Mul", "p half", "m", "scaled"),
            node("Add", "m mask", "a", "masked"),
            node("Softmax", "a", "s", "shares", axis=-1),
            node("MatMul", "s q", "v", "values"),
            node("Reshape", "v row", "r"),
            node("MatMul", "r W", "y", "last"),
        ],
        {
            "F": np.random.default_rng(4).normal(size=(12, 3, 1, 1)).astype(np.float32),
            "queries": np.array(queries),
            "half": np.array(0.5, np.float32),
            "mask": picture(*queries[:-2], queries[-2], queries[-2]),
            "row": np.array([1, -1]),
            "W": picture(288, 5),
        },
        SHAPE,
    )


def values_of(made: Any, name: str, X: Any) -> Any:
    """Return what ONNX Runtime makes of a value in the middle."""
    copy = type(made)()
    copy.CopyFrom(made)
    del copy.graph.output[:]
    copy.graph.output.add(name=name)
    return runtime(copy, X)


def saved(made: Any, folder: Path) -> tuple[Path, Path, Any]:
    """Write a model and its input; return both paths, and the input as ONNX has it."""
    X = picture(*SHAPE)
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    np.save(folder / "x.npy", np.moveaxis(X[0], 0, -1))
    return folder / "net.onnx", folder / "x.npy", X


def matrices(T: Any) -> Any:
    """Return a stack of matrices as maps, (rows, columns, matrices)."""
    return np.moveaxis(T.reshape(-1, *T.shape[-2:]), 0, -1)


@pytest.mark.parametrize("asked", ["products", "scaled", "masked", "shares", "values", "s"])
@pytest.mark.parametrize("queries", QUERIES)
def test_attention_is_a_map_for_each_head(queries: str, asked: str, tmp_path: Path) -> None:
    made = attention(QUERIES[queries])
    network, image, X = saved(made, tmp_path)
    value = {n.name: n.output[0] for n in made.graph.node}.get(asked, asked)
    expected = matrices(values_of(made, value, X))
    told = run_cli("run", network, image, "--layer", asked, "-o", tmp_path / "y.npy", "--json")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, 1e-5, 1e-6)
    assert json.loads(told.stdout)["shape"] == list(expected.shape)
    shapes = {}
    for line in run_cli("plan", network, "--json").stdout.splitlines():
        record = json.loads(line)
        shapes[record.get("layer")] = record.get("shape")
    assert shapes["shares" if asked == "s" else asked] == list(expected.shape)


def test_all_layers_are_shown_so(tmp_path: Path) -> None:
    made = attention(QUERIES["heads"])
    network, image, X = saved(made, tmp_path)
    run_cli("run", network, image, "-o", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as file:
        found = dict(file)
    assert not [name for name in found if "stored" in name]
    for name, value in (("products", "p"), ("shares", "s"), ("values", "v"), ("keys", "k")):
        np.testing.assert_allclose(found[name], matrices(values_of(made, value, X)), 1e-5, 1e-6)
    np.testing.assert_allclose(found["last"].ravel(), runtime(made, X).ravel(), 1e-5, 1e-5)
    # A sheet has a map for each head.
    told = run_cli("run", network, image, "--layer", "shares", "-o", tmp_path / "s.png")
    assert "2 maps of 24x24" in told.stderr


def test_commands_agree_on_a_cell(tmp_path: Path) -> None:
    made = attention(QUERIES["heads"])
    network, image, X = saved(made, tmp_path)
    expected = values_of(made, "p", X)[0, 1, 5, 9]
    given = network, image
    done = run_cli("grad", *given, "--unit", "products:1,5,9", "-o", tmp_path / "g.npy")
    assert f"products:1,5,9 is {expected:.4g}"[:-1] in done.stderr
    done = run_cli("explain", *given, "--layer", "products", "--at", "5,9", "--map", "1")
    assert "products, matrix product" in done.stdout
    assert f"result     {expected:.4f}"[:-1] in done.stdout
    assert "row 5, column 9 of map 1 of products is stored as row 1, column 5" in done.stderr
    told = run_cli("explain", *given, "--layer", "products", "--at", "5,9", "--map", "1", "--trail")
    trail = told.stdout.partition("= contribution\n")[2].splitlines()
    assert trail[0].split()[:4] == ["products", "9", "1", "5"] and trail[-1] == "ends at the input"
    assert "stored" not in told.stdout
    picked = run_cli("explain", *given, "--layer", "products").stderr
    typed = picked.partition("--at ")[2].partition(" was chosen")[0]
    again = run_cli("explain", *given, "--layer", "products", "--at", *typed.split())
    assert again.stdout == run_cli("explain", *given, "--layer", "products").stdout
    np.save(tmp_path / "dY.npy", np.ones((24, 24, 2), np.float32))
    up = "--until", "products", "--upstream", tmp_path / "dY.npy"
    run_cli("grad", *given, *up, "-o", tmp_path / "u.npy")
    told = run_cli("compare", *given, "--against", "onnxruntime").stdout
    assert ": equal in all " in told


def test_attention_of_any_size(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Transpose", "r", "k", "keys", perm=[0, 1, 3, 2]),
        node("MatMul", "r k", "p", "products"),
        node("Softmax", "p", "y", "last", axis=-1),
    ]
    made = model(nodes, {}, (1, 3, "h", "w"))
    network, image, X = saved(made, tmp_path)
    run_cli("run", network, image, "--layer", "products", "-o", tmp_path / "p.npy")
    expected = matrices(values_of(made, "p", X))
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected, 1e-5, 1e-6)


def products_of(queries: int, folder: Path) -> tuple[Path, Path]:
    """Write a picture and a model: so many of its rows by one another, for each channel."""
    made = model(
        [
            node("Slice", "x from to axes", "q", "rows"),
            node("Transpose", "q", "k", "keys", perm=[0, 1, 3, 2]),
            node("MatMul", "q k", "p", "products"),
            node("Relu", "p", "y", "last"),
        ],
        {"from": np.array([0]), "to": np.array([queries]), "axes": np.array([2])},
        SHAPE,
    )
    return saved(made, folder)[:2]


@pytest.mark.parametrize("at", ["99,99", "0,2", "2,0"])
def test_a_place_outside_of_what_is_shown_is_refused(at: str, tmp_path: Path) -> None:
    given = products_of(2, tmp_path)
    told = run_cli("explain", *given, "--layer", "products", "--at", at, code=2).stderr
    assert f"--at: rows of the output are 0 to 1 and columns 0 to 1, got {at}" in told


def test_what_is_told_of_the_choice_is_true_of_what_is_shown(tmp_path: Path) -> None:
    network, image = products_of(1, tmp_path)
    told = run_cli("explain", network, image, "--layer", "products").stderr
    assert "was chosen: the largest value\n" in told
