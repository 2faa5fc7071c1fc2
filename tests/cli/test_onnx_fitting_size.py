"""ONNX models that leave the size of pictures open, and fit one size alone: which one is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import model, node
from tests.support.shell import refused, run_cli, save_array

ENDS = {
    "reshape": [node("Reshape", "c one", "r"), node("MatMul", "r W", "y")],
    "reshape of any batch": [node("Reshape", "c any", "r"), node("MatMul", "r W", "y")],
    "matrix": [node("Flatten", "c", "r"), node("MatMul", "r W", "y")],
    "last": [node("Reshape", "c one", "y")],
}


def write(end: str) -> None:
    """Write a model for pictures of 28x28, or some pixels more, that does not say so."""
    constants: dict[str, Any] = {
        "F": np.ones((4, 3, 3, 3), np.float32),
        "W": np.ones((196, 5), np.float32),
        "one": np.array([1, 196]),
        "any": np.array([-1, 196]),
    }
    convolution = node("Conv", "x F", "c", strides=[4, 4], pads=[1, 1, 1, 1])
    used = {name for each in ENDS[end] for name in each.input} | {"F"}
    kept = {name: array for name, array in constants.items() if name in used}
    made = model([convolution, *ENDS[end]], kept, (1, 3, "h", "w"))
    Path("net.onnx").write_bytes(made.SerializeToString())


@pytest.mark.parametrize("end", ENDS)
def test_the_size_that_fits_is_named(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(end)
    save_array("x.npy", np.ones((20, 24, 3), np.float32))
    said = refused("run", "net.onnx", "x.npy", code=1)
    assert "with an input of 20x24: " in said and "--size 28,28 fits the model" in said
    said = refused("plan", "net.onnx", "--input", "20x24x3", code=1)
    assert "--input 28x28 fits the model" in said
    said = run_cli("plan", "net.onnx", "--input", "3x28x28", code=1).stderr
    assert said.splitlines()[-1] == "hint: --input 28x28x3"
    run_cli("plan", "net.onnx", "--input", "28x28x3")
    run_cli("plan", "net.onnx", "--input", "28x28")
    run_cli("run", "net.onnx", "x.npy", "--size", "28,28", "-o", "y.npy")
    assert np.load("y.npy").size == (196 if end == "last" else 5)
