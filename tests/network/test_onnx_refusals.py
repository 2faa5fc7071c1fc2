"""ONNX files that other programs refuse: unknown words, versions and types; values given twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.network.onnx.converter import NEWEST_OPSET
from tests.support.onnxmodels import load, model, node, onnx


def numbers(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


POOL = {"kernel_shape": (2, 2)}
WORDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a convolution": (node("Conv", "r W", "y", auto_pad="SAME"), {"W": numbers(2, 4, 3, 3)}),
    "a transposed one": (
        node("ConvTranspose", "r W", "y", auto_pad="SAME"),
        {"W": numbers(4, 2, 3, 3)},
    ),
    "a pool": (node("MaxPool", "r", "y", auto_pad="same_upper", **POOL), {}),
    "a pool run by onnx": (node("LpPool", "r", "y", auto_pad="same", dilations=(2, 2), **POOL), {}),
    "an order": (node("DepthToSpace", "r", "y", blocksize=2, mode="crd"), {}),
    "a border": (node("Pad", "r p", "y", mode="zeros"), {"p": np.array([0, 0, 1, 1] * 2)}),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_word_that_no_operator_knows_stops_its_node(case: str) -> None:
    bad, constants = WORDS[case]
    found = load(model([node("Relu", "x", "r"), bad], constants))
    assert found.network.names == ("r",) and " must be one of " in found.missing["y"]


def test_an_empty_word_is_the_default() -> None:
    made = model([node("Conv", "x W", "y", auto_pad="")], {"W": numbers(2, 4, 3, 3)})
    assert load(made).network.shapes((1, 9, 8, 4))["y"] == (1, 7, 6, 2)


@pytest.mark.parametrize("second", ["nodes", "constants", "input"])
def test_a_value_that_is_given_twice_is_refused(second: str) -> None:
    name = "x" if second == "input" else "a"
    nodes = [node("Relu", "x", name), node("Abs", name, "y")]
    nodes += [node("Neg", "x", "a")] if second == "nodes" else []
    constants = {"a": numbers(1, 4, 9, 8)} if second == "constants" else {}
    with pytest.raises(FileProblem, match=f"'{name}' is given twice"):
        load(model(nodes, constants, outputs=("y",)))


def test_versions_of_operators() -> None:
    nodes, shape = [node("Relu", "x", "y")], (1, 3, 4, 4)
    for opset in (0, -3):
        with pytest.raises(FileProblem, match=f"must be 1 or more, got {opset}$"):
            load(model(nodes, opset=opset))
    assert load(model(nodes, shape=shape, opset=NEWEST_OPSET)).notes == ()
    (note,) = load(model(nodes, shape=shape, opset=NEWEST_OPSET + 1)).notes
    assert f"of version {NEWEST_OPSET + 1}" in note and "results may differ" in note


@pytest.mark.parametrize("kind", ["BOOL", "STRING", "COMPLEX64"])
def test_an_input_that_is_no_picture(kind: str) -> None:
    made = model([node("Relu", "x", "y")], kind=getattr(onnx.TensorProto, kind))
    with pytest.raises(FileProblem, match=f"of floats or whole numbers, got {kind.lower()}"):
        load(made)


def test_pixels_for_an_input_of_int8_are_said() -> None:
    made = model([node("Relu", "x", "y")], shape=(1, 3, 4, 4), kind=onnx.TensorProto.INT8)
    (note,) = load(made).notes
    assert "holds -128..127" in note and load(made, prepare={"mean": 128.0}).notes == ()
