"""ONNX graphs with nodes, attributes and constants exchanged: run, or refused in one line."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from cnncli.network.summary import summarize
from tests.support.onnxmodels import graph, model, node, onnx
from tests.support.patience import patient

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

NUMBERS = (0, -1, 1, 2, 7, 10**6, 2**40, -(2**40))
OPERATORS = (
    *("TopK", "NonZero", "Gather", "Tile", "Expand", "Resize", "Pad", "Slice", "Squeeze", "MatMul"),
    *("ReduceMean", "Einsum", "LSTM", "Shape", "Where", "Cast", "Range", "Reshape", "Concat"),
)


def whole(seed: int) -> Any:
    """A model with views, a sum over channels, boxes by their scores, and a loop."""
    rng = np.random.default_rng(seed)
    constants = {
        "W": rng.normal(size=(6, 3, 3, 3)).astype(np.float32),
        **{"five": np.array([1, 2, 3, 16, 16]), "four": np.array([1, 6, 16, 16])},
        **{"rows": np.array([1, 6, -1]), "k": np.array([9]), "axes": np.array([1])},
        **{"zero": np.array([0]), "three": np.array([3]), "scale": np.float32([1, 1, 2, 2])},
    }
    nodes = [
        node("Conv", "x W", "c", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "c", "r"),
        node("Reshape", "r five", "v"),
        node("Transpose", "v", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t four", "s"),
        node("Add", "s c", "a"),
        node("Slice", "a zero three axes", "p"),
        node("Resize", "p - scale", "u", mode="linear"),
        node("Softmax", "u", "q", axis=1),
        node("Reshape", "a rows", "f"),
        node("TopK", "f k", "values places", axis=2),
        node("Gather", "f k", "g", axis=2),
        node("Concat", "values g", "y", axis=2),
    ]
    return model(nodes, constants, (1, 3, 32, 32), outputs=("y", "q", "places"))


def looping(seed: int) -> Any:
    """A model with branches, a branch in a loop, and a Scan, which all depend on the picture."""
    rng = np.random.default_rng(seed)
    constants = {
        "W": rng.normal(size=(2, 3, 3, 3)).astype(np.float32),
        **{"zero": np.float32(0), "most": np.array(4), "rows": np.array([1, 2, -1])},
        **{"known": np.array(True), "flat": np.array([32, -1]), "axes": np.array([0])},
    }
    half = {"half": np.float32(0.5)}
    double = graph([node("Add", "r r", "d"), node("Identity", "d", "e")], "", "e")
    halved = graph([node("Mul", "r half", "d"), node("Neg", "d", "e")], "", "e", half)
    grown = graph([node("Concat", "v v", "g", axis=0)], "", "g")
    kept = graph([node("Tile", "v two", "g")], "", "g", {"two": np.array([2, 1, 1])})
    turn = graph(
        [
            onnx.helper.make_node("If", ["c"], ["w"], then_branch=grown, else_branch=kept),
            node("ReduceMax", "w", "s", keepdims=0),
            node("Identity", "go", "on"),
        ],
        *("i go v", "on w s"),
    )
    row = graph([node("Add", "a b", "t"), node("Mul", "t half", "u")], "a b", "t u", half)
    nodes = [
        node("Conv", "x W", "k", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "k", "r"),
        node("ReduceMax", "r", "m", keepdims=0),
        node("Greater", "m zero", "c"),
        onnx.helper.make_node("If", ["known"], ["p"], then_branch=double, else_branch=halved),
        onnx.helper.make_node("If", ["c"], ["q"], then_branch=halved, else_branch=double),
        node("Add", "p q", "y"),
        node("Reshape", "y rows", "f"),
        onnx.helper.make_node("Loop", ["most", "c", "f"], ["g", "sums"], body=turn),
        node("Reshape", "g flat", "h"),
        node("ReduceSum", "h axes", "n", keepdims=0),
        onnx.helper.make_node("Scan", ["n", "h"], ["end", "z"], body=row, num_scan_inputs=1),
    ]
    return model(nodes, constants, (1, 3, 32, 32), outputs=("y", "z", "sums"))


def graphs_of(inner: Any) -> Iterator[Any]:
    """Yield a graph and all graphs in its nodes."""
    yield inner
    for each in inner.node:
        for attribute in each.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


def broken(made: Any, rng: random.Random) -> None:
    """Exchange one thing, in the graph or in one inside of it."""
    inner = rng.choice(list(graphs_of(made.graph)))
    nodes = list(inner.node)
    names = [name for each in graphs_of(made.graph) for one in each.node for name in one.output]
    one, kind = rng.choice(nodes), rng.randrange(7)
    attributes = [each for each in one.attribute if not each.HasField("g")]
    if kind == 0 and attributes:
        attribute = rng.choice(attributes)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
        else:
            attribute.i = rng.choice(NUMBERS)
    elif kind == 1 and one.input:
        one.input[rng.randrange(len(one.input))] = rng.choice(names)
    elif kind == 2:
        tensors = [each for each in (*inner.initializer, *made.graph.initializer) if each.dims]
        tensor = rng.choice(tensors)
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.flat[rng.randrange(array.size)] = rng.choice((0, -1, 2, 100, 2**31 - 1))
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    elif kind == 3:
        one.op_type = rng.choice(OPERATORS)
    elif kind == 4 and len(one.input) > 1:
        del one.input[rng.randrange(len(one.input))]
    elif kind == 5:
        one.output[rng.randrange(len(one.output))] = rng.choice(names)
    elif kind == 6 and len(nodes) > 1:
        inner.node.remove(one)


def tried(path: Path, X: Any) -> bool:
    """Read and run a model as far as that goes; whether it was refused in one line."""
    try:
        found = load_model(path, part=True)
        summarize(found.network, X.shape[1:])
        load_model(path, part=True, weights=False)
        with np.errstate(all="ignore"):
            for _ in forward_layers(found.network, X, found.network.names):
                pass
        return True
    except CnnCliError as error:
        assert "\n" not in str(error)
        return False


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where something takes longer than that on an idle machine."""

    def late(*_: object) -> None:
        raise AssertionError(f"not done within {patient(seconds)} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, patient(seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


SEED = os.environ.get("CNNCLI_FAULTS_SEED", "23")
CASES = 120


@pytest.mark.parametrize("make", [whole, looping])
@pytest.mark.parametrize("seed", range(4))
def test_broken_graphs(seed: int, make: Any, tmp_path: Path) -> None:
    rng, path = random.Random(f"{SEED} {seed}"), tmp_path / "model.onnx"
    X = np.random.default_rng(seed).random((1, 32, 32, 3), dtype=np.float32)
    ran = 0
    for _ in range(CASES):
        made = make(seed)
        for _ in range(rng.randint(1, 3)):
            broken(made, rng)
        path.write_bytes(made.SerializeToString())
        with within(20):
            ran += tried(path, X)
    assert 5 < ran < CASES - 5


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes_of_loops(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(f"{SEED} {seed}"), tmp_path / "model.onnx"
    X = np.random.default_rng(seed).random((1, 32, 32, 3), dtype=np.float32)
    data, ran = looping(seed).SerializeToString(), 0
    for _ in range(CASES):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed)
        with within(20):
            ran += tried(path, X)
    assert 5 < ran < CASES - 5
