"""Gradients checked by differences: what passes, what is found, what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.gradients.check import TOLERANCE, check_gradient
from cnncli.gradients.unit import parse_unit, unit_upstream
from cnncli.network.graph import Network, input_groups
from cnncli.network.layers import ActivationLayer, BatchNormLayer, PoolLayer, ScaleLayer
from cnncli.network.model import Model
from tests.support.sweep import sweep
from tests.support.unitnetworks import X, bank, network


@pytest.mark.parametrize("text", sweep(["sum", "last:1,2,3", "last:2", "conv2:1,4,4"], keep=1))
def test_checks_pass_far_below_their_tolerance(text: str) -> None:
    found = network()
    unit = parse_unit(text, Model(found))
    groups = found.groups(input_groups(3))[unit.layer]
    dY = unit_upstream(unit, found.shapes(X.shape)[unit.layer], groups, X.dtype)
    check = check_gradient(found, X.astype(np.float32), unit.layer, dY, 20)
    assert check.passed and check.relative < 1e-7, check
    assert check.compared > 50 and check.left_out <= check.compared // 10, check


class WrongBias(BatchNormLayer):
    """A layer whose gradients are off in one place by a part in a hundred thousand."""

    def backward(self, dY: np.ndarray, cache: Any) -> Any:
        dX, gradients = super().backward(dY, cache)
        beta = gradients["beta"].copy()
        beta[1] *= 1 + 1e-5
        return dX, {**gradients, "beta": beta}


class Forgetful(PoolLayer):
    """A pool that gives nothing back."""

    def backward(self, dY: np.ndarray, cache: Any) -> Any:
        dX, gradients = super().backward(dY, cache)
        return 0 * dX, gradients


def test_a_small_mistake_in_a_parameter_is_found() -> None:
    layer = WrongBias(*(np.linspace(1, 2, 3) for _ in range(4)))
    check = check_gradient(Network.chain(layer), X, "batchnorm1", np.ones_like(X), 20)
    assert not check.passed
    assert check.where == "batchnorm1-beta"
    assert TOLERANCE < check.relative == pytest.approx(1e-5, rel=0.01)


def test_a_gradient_that_is_missing_is_found() -> None:
    found = Network.chain(Forgetful("average", 2))
    check = check_gradient(found, X, "pool1", np.ones(found.output_shape(X.shape)), 20)
    assert not check.passed and check.relative == pytest.approx(1)


def test_places_on_a_kink_are_left_out() -> None:
    given = np.zeros((1, 4, 4, 1))
    given[0, :2] = 1.0
    check = check_gradient(
        Network.chain(ActivationLayer("relu")), given, "activation1", np.ones_like(given), 16
    )
    assert (check.compared, check.left_out, check.passed) == (8, 8, True)
    check = check_gradient(
        Network.chain(ActivationLayer("relu")), 0 * given, "activation1", np.ones_like(given), 16
    )
    assert (check.compared, check.left_out, check.passed) == (0, 16, False)


def test_a_kink_close_by_asks_for_a_smaller_step() -> None:
    given = np.full((1, 1, 1, 1), 1.0)
    near = Network.chain(
        ScaleLayer(np.ones(1), np.array([-1 + 3e-5])), ActivationLayer("relu")
    ).until("activation1")
    check = check_gradient(near, given, "activation1", np.ones((1, 1, 1, 1)), 5)
    assert check.passed and check.left_out == 0, check


def test_what_drowns_in_rounding_is_left_out() -> None:
    saturated = Network.chain(ScaleLayer(np.array([60.0]), np.zeros(1)), ActivationLayer("softmax"))
    given = np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    dY = np.array([1.0, 0, 0]).reshape(1, 1, 1, 3)
    check = check_gradient(saturated, given, "activation1", dY, 3)
    assert check.compared < 7 and check.left_out > 0


def test_places_lie_where_the_unit_looks() -> None:
    given = np.random.default_rng(6).standard_normal((1, 64, 64, 1))
    found = Network.chain(bank(1, 1))
    dY = np.zeros_like(given)
    dY[0, 30, 40] = 1
    check = check_gradient(found, given, "conv1", dY, 1000)
    assert check.compared == 9 + 9 + 1
