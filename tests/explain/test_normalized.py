"""Explained values of normalisations and reductions, by their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.explain.model import Step
from cnncli.network.layers import (
    GroupNormLayer,
    InstanceNormLayer,
    LayerNormLayer,
    LRNLayer,
    ReduceLayer,
    SoftmaxLayer,
)
from cnncli.render.options import MapGroup

RANDOM = np.random.default_rng(161)
X = RANDOM.standard_normal((1, 3, 4, 6))
GAMMA, BETA = RANDOM.standard_normal((2, 6))

JUDGES: dict[str, Any] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "l1": lambda x: np.sum(np.abs(x)),
    "l2": lambda x: np.sqrt(np.sum(x**2)),
}


def explained(layer: Any) -> ExplainedLayer:
    channels = layer.output_shape(X.shape)[3]
    groups = tuple(MapGroup(str(c), (c,)) for c in range(channels))
    return ExplainedLayer("it", layer, (array_input(X),), groups, np.dtype(float))


def step_of(layer: Any, at: tuple[int, int], channel: int) -> Step:
    (step,) = explain(explained(layer), at, channel).steps
    assert step.formula and step.operands
    np.testing.assert_allclose(step.fast, step.value, rtol=1e-12, atol=1e-15)
    return step


@pytest.mark.parametrize("mode", JUDGES)
def test_reductions(mode: str) -> None:
    judge = JUDGES[mode]
    for axes, at, channel, values in (
        (("channels",), (1, 2), 0, X[0, 1, 2]),
        (("columns",), (1, 0), 4, X[0, 1, :, 4]),
        (("rows", "columns"), (0, 0), 5, X[0, :, :, 5]),
        (("rows", "columns", "channels"), (0, 0), 0, X),
    ):
        step = step_of(ReduceLayer(mode, axes), at, channel)
        np.testing.assert_allclose(step.value, judge(values), rtol=1e-12)
        assert step.operands[1] == ("count", values.size)


@pytest.mark.parametrize(
    ("layer", "values"),
    [
        (InstanceNormLayer(GAMMA, BETA), X[0, :, :, 3]),
        (GroupNormLayer(3, GAMMA, BETA), X[0, :, :, 2:4]),
        (LayerNormLayer(GAMMA, BETA), X[0, 1, 2]),
        (LayerNormLayer(GAMMA, BETA, ("columns",)), X[0, 1, :, 3]),
        (LayerNormLayer(GAMMA, BETA, ("columns", "channels")), X[0, 1]),
    ],
)
def test_normalisations(layer: Any, values: np.ndarray) -> None:
    step = step_of(layer, (1, 2), 3)
    given = dict(step.operands)
    np.testing.assert_allclose([given["mean"], given["var"]], [values.mean(), values.var()])
    assert (given["x"], given["gamma"], given["beta"]) == (X[0, 1, 2, 3], GAMMA[3], BETA[3])


def test_lrn() -> None:
    step = step_of(LRNLayer(3, 0.5), (2, 1), 5)
    assert dict(step.operands)["squares"] == pytest.approx((X[0, 2, 1, 4:] ** 2).sum())


@pytest.mark.parametrize("log", [False, True])
def test_softmax(log: bool) -> None:
    for axes, values in (
        (("channels",), X[0, 1, 2]),
        (("columns",), X[0, 1, :, 3]),
        (("rows", "channels"), X[0, :, 2]),
    ):
        step = step_of(SoftmaxLayer(axes, log), (1, 2), 3)
        share = np.exp(X[0, 1, 2, 3]) / np.exp(values).sum()
        assert step.value == pytest.approx(np.log(share) if log else share, rel=1e-12)
        assert dict(step.operands)["largest"] == values.max()


@pytest.mark.parametrize("layer", [LRNLayer(3), ReduceLayer(), LayerNormLayer(GAMMA, BETA)])
def test_backward_names_grad(layer: Any) -> None:
    with pytest.raises(ShapeError, match="--backward cannot follow"):
        explained(layer).only_input  # noqa: B018
