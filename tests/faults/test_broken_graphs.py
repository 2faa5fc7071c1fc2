"""ONNX graphs with nodes, attributes and constants exchanged: run, or refused in one line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from cnncli.network.summary import summarize
from tests.support.onnxmodels import model, node, onnx

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


def broken(made: Any, rng: random.Random) -> None:
    """Exchange one thing."""
    nodes = list(made.graph.node)
    one, kind = rng.choice(nodes), rng.randrange(5)
    if kind == 0 and one.attribute:
        attribute = rng.choice(one.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
        else:
            attribute.i = rng.choice(NUMBERS)
    elif kind == 1:
        one.input[rng.randrange(len(one.input))] = rng.choice(rng.choice(nodes).output)
    elif kind == 2:
        tensor = rng.choice(made.graph.initializer)
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.flat[rng.randrange(array.size)] = rng.choice((0, -1, 2, 100))
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    elif kind == 3:
        one.op_type = rng.choice(OPERATORS)
    elif len(one.input) > 1:
        del one.input[rng.randrange(len(one.input))]


@pytest.mark.parametrize("seed", range(4))
def test_broken_graphs(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(seed), tmp_path / "model.onnx"
    X = np.random.default_rng(seed).random((1, 32, 32, 3), dtype=np.float32)
    ran = refused = 0
    for _ in range(120):
        made = whole(seed)
        for _ in range(rng.randint(1, 3)):
            broken(made, rng)
        path.write_bytes(made.SerializeToString())
        try:
            found = load_model(path, part=True)
            summarize(found.network, X.shape[1:])
            with np.errstate(all="ignore"):
                for _ in forward_layers(found.network, X, found.network.names):
                    pass
            ran += 1
        except CnnCliError as error:
            assert "\n" not in str(error)
            refused += 1
    assert min(ran, refused) > 5
