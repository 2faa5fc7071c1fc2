"""Softmax and log-softmax over any axes: by its formula, finite differences, strips."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cnncli.core.geometry import Box
from cnncli.errors import CnnCliError
from cnncli.network.layers import ActivationLayer, SoftmaxLayer
from cnncli.network.layers.axes import AXES
from tests.support.judges import check_gradients

RANDOM = np.random.default_rng(171)
X = RANDOM.standard_normal((2, 3, 4, 5)) * 3

CHOICES = [axes for count in (1, 2, 3) for axes in combinations(AXES, count)]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("axes", CHOICES)
def test_it_is_its_formula_and_has_its_gradient(axes: tuple[str, ...], log: bool) -> None:
    layer = SoftmaxLayer(axes, log)
    Y, _ = layer.forward(X)
    assert Y.shape == layer.output_shape(X.shape)
    over = tuple(1 + AXES.index(name) for name in axes)
    shares = np.exp(X) / np.exp(X).sum(axis=over, keepdims=True)
    np.testing.assert_allclose(Y, np.log(shares) if log else shares, rtol=1e-12)
    check_gradients(layer, X, rtol=1e-5, atol=1e-8)
    single = layer.forward(X.astype(np.float32))[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, Y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axes", CHOICES)
def test_rows_are_made_of_what_they_read(axes: tuple[str, ...]) -> None:
    layer = SoftmaxLayer(axes)
    whole = layer.forward(X[:1])[0]
    stage = layer.stage(X[:1].shape, X.dtype)
    for row in range(3):
        assert np.array_equal(stage.read(lambda a, b: X[:1, a:b], row, row + 1)[0], whole[0, [row]])
        box: Box = (slice(row, row + 1), slice(0, 4))
        rows, columns = layer.reads(X.shape, box)
        part = layer.forward(X[:1, rows, columns])[0]
        assert np.array_equal(part[0, [min(row, len(part[0]) - 1)]], whole[0, [row]])


def test_large_values_are_shares() -> None:
    Y = SoftmaxLayer(("rows",)).forward(np.array([1e300, -1e300]).reshape(1, 2, 1, 1))[0]
    assert Y.ravel().tolist() == [1, 0]


def test_over_channels_it_is_the_activation() -> None:
    for log, name in ((False, "softmax"), (True, "log-softmax")):
        assert np.array_equal(
            SoftmaxLayer(log=log).forward(X)[0], ActivationLayer(name).forward(X)[0]
        )


def test_other_axes_are_refused() -> None:
    with pytest.raises(CnnCliError, match="axes must be some of rows, columns, channels"):
        SoftmaxLayer(("height",)).output_shape(X.shape)
