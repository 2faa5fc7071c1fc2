"""Each rule of evaluator_faults stands for a fault that ONNX's ReferenceEvaluator still has."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import model, node

pytestmark = pytest.mark.oracle

onnxruntime = pytest.importorskip("onnxruntime")
reference = pytest.importorskip("onnx.reference")

RNG = np.random.default_rng(3)


def numbers(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


X = numbers(2, 4, 6, 6)
ROWS = numbers(3, 2, 4)
GRU = {"w": numbers(1, 6, 4), "r": numbers(1, 6, 2)}
POOL = {"kernel_shape": [3, 3], "strides": [2, 2]}

FAULTS: dict[str, tuple[int, Any, Any, dict[str, Any]]] = {
    "softmax over several axes": (11, node("Softmax", "x", "y", axis=1), X, {}),
    "lrn of a batch": (13, node("LRN", "x", "y", size=3), X, {}),
    "recurrent, clip": (
        14, node("GRU", "x w r", "y", hidden_size=2, clip=0.05), ROWS, GRU),
    "recurrent, activations": (
        14, node("GRU", "x w r", "y", hidden_size=2, activations=["Sigmoid", "Relu"]), ROWS, GRU),
    "recurrent, lengths": (
        14, node("GRU", "x w r - l", "y", hidden_size=2), ROWS,
        {**GRU, "l": np.array([3, 2], np.int32)}),
    "transposed, groups": (
        11, node("ConvTranspose", "x w", "y", group=2), X, {"w": numbers(4, 3, 3, 3)}),
    "transposed, output_shape": (
        11, node("ConvTranspose", "x w", "y", output_shape=[7, 7]), X, {"w": numbers(4, 3, 3, 3)}),
    "max, SAME_LOWER": (12, node("MaxPool", "x", "y", auto_pad="SAME_LOWER", **POOL), X, {}),
    "max, pads that differ": (
        12, node("MaxPool", "x", "y", kernel_shape=[3, 3], pads=[0, 0, 1, 1]), X, {}),
    "average, ceil": (
        19, node("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[5, 5], ceil_mode=1), X, {}),
    "grid, cubic and border": (
        20, node("GridSample", "x g", "y", mode="cubic", padding_mode="border"), X,
        {"g": RNG.uniform(-2, 2, (2, 5, 5, 2)).astype(np.float32)}),
    "resize, ties": (
        13, node("Resize", "x - s", "y", mode="nearest"), numbers(2, 7),
        {"s": np.float32([1, 1.3])}),
    "resize, sizes not whole": (
        13, node("Resize", "x - s", "y", mode="linear",
                 coordinate_transformation_mode="align_corners"), numbers(2, 7),
        {"s": np.float32([1, 1.3])}),
    "resize to one cell": (
        18, node("Resize", "x - - n", "y", mode="cubic",
                 coordinate_transformation_mode="pytorch_half_pixel"), numbers(1, 1, 1, 8),
        {"n": np.array([1, 1, 1, 1])}),
    "resize, symmetric": (
        19, node("Resize", "x - s", "y", mode="linear",
                 coordinate_transformation_mode="half_pixel_symmetric"), numbers(1, 1, 9, 1),
        {"s": np.float32([1, 1, 0.5, 1])}),
    "norm of numbers below 0": (11, node("LpNormalization", "x", "y", p=1, axis=1), X, {}),
    "batch-norm, version 9": (
        9, node("BatchNormalization", "x s b m v", "y"), X,
        {name: np.abs(numbers(4)) for name in "sbmv"}),
    "one-hot, depth in a row": (
        11, node("OneHot", "x d v", "y"), np.float32([0, 2]),
        {"d": np.float32([3]), "v": np.float32([0, 1])}),
    "regions, version 10": (
        10, node("RoiAlign", "x r i", "y", output_height=2, output_width=2, sampling_ratio=2), X,
        {"r": np.float32([[1, 1, 4, 5]]), "i": np.array([0])}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_onnx_still_computes_it_wrongly(name: str) -> None:
    """Where this fails onnx has mended the fault: take the rule out for that version and later."""
    opset, op, given, constants = FAULTS[name]
    made = model([op], constants, given.shape, opset)
    (expected,) = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    ).run(None, {"x": given})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(reference.ReferenceEvaluator(made).run(None, {"x": given})[0])
    except Exception:
        return
    same = found.shape == expected.shape and np.allclose(found, expected, 1e-4, 1e-5)
    assert not same
