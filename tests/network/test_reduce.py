"""Reductions over rows, columns and channels: by numpy, finite differences, strips, explain."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from cnncli.core.geometry import Box
from cnncli.errors import CnnCliError
from cnncli.network.layers import ReduceLayer
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.reduce import MODES
from tests.support.judges import check_gradients, distinct_values

RANDOM = np.random.default_rng(141)
X = distinct_values(RANDOM, 2, 3, 4, 5) / 3 - 4.1

CHOICES = [axes for count in (1, 2, 3) for axes in combinations(AXES, count)]

JUDGES: dict[str, Any] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "l1": lambda x, **options: np.sum(np.abs(x), **options),
    "l2": lambda x, **options: np.sqrt(np.sum(x**2, **options)),
}


def judged(layer: ReduceLayer, maps: np.ndarray) -> np.ndarray:
    over = tuple(1 + AXES.index(name) for name in layer.axes)
    return np.asarray(JUDGES[layer.mode](maps, axis=over, keepdims=True))


@pytest.mark.parametrize("axes", CHOICES)
@pytest.mark.parametrize("mode", MODES)
def test_it_is_its_formula_and_has_its_gradient(mode: str, axes: tuple[str, ...]) -> None:
    layer = ReduceLayer(mode, axes)
    Y, _ = layer.forward(X)
    assert Y.shape == layer.output_shape(X.shape)
    np.testing.assert_allclose(Y, judged(layer, X), rtol=1e-13)
    check_gradients(layer, X, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_float32_is_summed_without_loss(mode: str) -> None:
    layer = ReduceLayer(mode, ("rows", "columns"))
    maps = RANDOM.uniform(1000, 1001, (1, 300, 200, 1)).astype(np.float32)
    Y = layer.forward(maps)[0]
    assert Y.dtype == np.float32
    np.testing.assert_allclose(Y, judged(layer, maps.astype(np.float64)), rtol=1e-7)


@pytest.mark.parametrize("axes", CHOICES)
def test_rows_are_made_of_what_they_read(axes: tuple[str, ...]) -> None:
    layer = ReduceLayer("sum", axes)
    whole = layer.forward(X[:1])[0]
    n_H, n_W = whole.shape[1:3]
    stage = layer.stage(X[:1].shape, X.dtype)
    for row in range(n_H):
        assert np.array_equal(stage.read(lambda a, b: X[:1, a:b], row, row + 1)[0], whole[0, [row]])
        box: Box = (slice(row, row + 1), slice(0, n_W))
        rows, columns = layer.reads(X.shape, box)
        part = layer.forward(X[:1, rows, columns])[0]
        assert np.array_equal(part[0], whole[0, [row]])


def test_equal_extremes_share_the_gradient() -> None:
    layer = ReduceLayer("max", ("columns",))
    Y, cache = layer.forward(np.array([1.0, 3.0, 3.0]).reshape(1, 1, 3, 1))
    dX, _ = layer.backward(np.ones_like(Y), cache)
    assert dX.ravel().tolist() == [0, 0.5, 0.5]


def test_the_norm_of_zeros_has_no_gradient() -> None:
    Y, cache = ReduceLayer("l2").forward(np.zeros((1, 2, 2, 1)))
    assert not ReduceLayer("l2").backward(np.ones_like(Y), cache)[0].any()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ReduceLayer("means"), "mode must be one of mean, sum"),
        (ReduceLayer("mean", ("height",)), "axes must be some of rows, columns, channels"),
        (ReduceLayer("mean", ()), "got none"),
    ],
)
def test_what_does_not_fit_is_refused(layer: ReduceLayer, message: str) -> None:
    with pytest.raises(CnnCliError, match=message):
        layer.output_shape(X.shape)
