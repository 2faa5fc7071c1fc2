"""Explanations of layers that resize, or take or add channels: the terms add up to the value."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.explain.moved_values import is_moved, moved_terms
from cnncli.network.layers import (
    Layer,
    PadChannelsLayer,
    ResizeLayer,
    SliceLayer,
)
from cnncli.render.options import one_group_each

RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((1, 4, 5, 4))

LAYERS: dict[str, Layer] = {
    "nearest": ResizeLayer(scale=2.0),
    "linear": ResizeLayer((7, 3), mode="linear"),
    "cubic": ResizeLayer(scale=1.5, mode="cubic"),
    "channels": SliceLayer(1, 4, 2),
    "rows backwards": SliceLayer(2, None, rows=(-1, -9, -2), columns=(1, 4)),
    "more channels": PadChannelsLayer(np.array([7.0]), np.array([-2.0, 0.5])),
}


def explained(layer: Layer) -> ExplainedLayer:
    source: Any = array_input(X)
    groups = one_group_each(("",) * layer.output_shape(X.shape)[3])
    return ExplainedLayer("layer", layer, (source,), groups, np.dtype(float))


@pytest.mark.parametrize("name", LAYERS)
def test_terms_add_up_to_the_value(name: str) -> None:
    one = explained(LAYERS[name])
    assert is_moved(one.layer)
    _, n_H, n_W, n_C = one.output_shape
    for row, column, channel in product(range(n_H), range(n_W), range(n_C)):
        formula, terms, value = moved_terms(one, (row, column), channel)
        assert value == pytest.approx(one.output(row, row + 1)[0, column, channel], abs=1e-9)
        weights = [float(w) for w in re.findall(r"(-?[\d.e-]+) \* x", formula)] or [1] * len(terms)
        total = sum(weight * value for weight, (_, value) in zip(weights, terms, strict=True))
        assert not terms or total == pytest.approx(value, abs=2e-3 if "*" in formula else 1e-9)


def test_what_is_not_finite_counts_with_a_weight_of_zero_too() -> None:
    holed = np.ones((1, 3, 3, 1))
    holed[0, 1, 1, 0] = np.nan
    source: Any = array_input(holed)
    layer = ResizeLayer(scale=2.0, mode="linear", coordinates="asymmetric")
    one = ExplainedLayer("layer", layer, (source,), one_group_each(("",)), np.dtype(float))
    for at in product(range(6), repeat=2):
        _, _, value = moved_terms(one, at, 0)
        assert value == pytest.approx(one.output(at[0], at[0] + 1)[0, at[1], 0], nan_ok=True)


@pytest.mark.parametrize("name", ["linear", "rows backwards"])
def test_backward_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match="--backward cannot follow"):
        _ = explained(LAYERS[name]).only_input


class OffByOne(ExplainedLayer):
    """Gives other values than its layer."""

    def output(self, first: int, last: int) -> Any:
        return super().output(first, last) + 1


@pytest.mark.parametrize("name", LAYERS)
def test_the_sum_of_the_terms_judges_what_the_layer_gives(name: str) -> None:
    one = explained(LAYERS[name])
    off = OffByOne(one.name, one.layer, one.inputs, one.groups, one.dtype)
    (step,) = explain(off, (1, 2), 0).steps
    assert step.difference == pytest.approx(1)
