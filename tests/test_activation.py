"""Activations: values, extremes, dtypes, slopes at their kinks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from cnncli.core.activation import ACTIVATIONS, LEAKY_SLOPE, get_activation
from cnncli.errors import OptionError

FORMULAS: dict[str, Callable[[float], float]] = {
    "none": lambda z: z,
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky-relu": lambda z: z if z > 0 else 0.01 * z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "abs": abs,
}
BELOW_THE_KINK = {"relu": 0.0, "leaky-relu": LEAKY_SLOPE, "abs": 0.0}


def test_every_activation_has_its_formula_here() -> None:
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_dtype(name: str, dtype: type) -> None:
    Z = np.linspace(-8, 8, 33).astype(dtype).reshape(1, 3, 11, 1)
    A = get_activation(name).forward(Z)
    expected = [FORMULAS[name](float(z)) for z in Z.ravel()]
    np.testing.assert_allclose(A.ravel(), expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert A.dtype == dtype
    assert A.shape == Z.shape


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_keeps_the_dtype(name: str, dtype: type) -> None:
    Z = np.array([-1.0, 0.0, 2.0], dtype)
    activation = get_activation(name)
    assert activation.backward(np.ones(3, dtype), Z, activation.forward(Z)).dtype == dtype


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("none", -np.inf, np.inf),
        ("relu", 0, np.inf),
        ("leaky-relu", -np.inf, np.inf),
        ("sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("abs", np.inf, np.inf),
    ],
)
def test_extremes_overflow_nowhere(name: str, low: float, high: float) -> None:
    activation = get_activation(name)
    Z = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(activation.forward(Z), [low, high])
    large = np.array([-1e300, 1e300])
    assert np.isfinite(activation.forward(large)).all()
    assert np.isfinite(activation.backward(np.ones(2), large, activation.forward(large))).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(get_activation(name).forward(np.array([np.nan]))).all()


@pytest.mark.parametrize("name", BELOW_THE_KINK)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_slope_at_the_kink(name: str, zero: float) -> None:
    Z = np.array([zero])
    activation = get_activation(name)
    slope = activation.backward(np.ones(1), Z, activation.forward(Z))
    np.testing.assert_array_equal(slope, [BELOW_THE_KINK[name]])


@pytest.mark.parametrize("name", FORMULAS)
def test_arguments_stay_as_they_were(name: str) -> None:
    activation = get_activation(name)
    Z = np.linspace(-2, 2, 5)
    dA = np.ones(5)
    A = activation.forward(Z).copy()
    for array in (Z, dA, A):
        array.setflags(write=False)
    activation.backward(dA, Z, A)
    activation.forward(Z)


def test_unknown_name() -> None:
    with pytest.raises(OptionError, match="'swish'") as caught:
        get_activation("swish")
    assert all(name in str(caught.value) for name in ACTIVATIONS)
