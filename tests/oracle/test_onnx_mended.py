"""Operators of which onnx's ReferenceEvaluator computes a case wrongly: right here, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from tests.support.onnxmodels import check, load, model, node, picture

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

SHAPE = (1, 3, 4, 5)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalization_of_values_of_both_signs(p: int, axis: int) -> None:
    made = model([node("LpNormalization", "x", "y", p=p, axis=axis)], {}, SHAPE)
    X = picture(*SHAPE)
    check(made, X)


@pytest.mark.parametrize("op", ["ReduceL1", "ReduceL2", "ReduceSum", "ReduceMean"])
def test_reductions_over_no_axes(op: str) -> None:
    """A norm of one number is its magnitude; all others leave it as it is."""
    made = model([node(op, "x", "y", noop_with_empty_axes=1)], {}, SHAPE, opset=18)
    check(made, picture(*SHAPE))


def grid_sample(mode: str, padding: str) -> Any:
    grid = np.random.default_rng(2).normal(size=(1, 6, 7, 2)).astype(np.float32)
    sample = node("GridSample", "x g", "y", mode=mode, padding_mode=padding)
    return model([sample], {"g": grid}, SHAPE, opset=20)


@pytest.mark.parametrize(
    ("mode", "padding"),
    [("linear", "border"), ("nearest", "border"), ("cubic", "zeros"), ("cubic", "reflection")],
)
def test_samples_on_a_grid(mode: str, padding: str) -> None:
    made, X = grid_sample(mode, padding), picture(*SHAPE)
    check(made, X)


def test_cubic_samples_with_a_border_are_refused() -> None:
    with pytest.raises(
        FileProblem, match="not compute it rightly with mode cubic and padding_mode border"
    ):
        load(grid_sample("cubic", "border"))
