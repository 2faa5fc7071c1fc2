"""Activations: values, extremes, dtypes, slopes at their kinks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from cnncli.core.activations import ACTIVATIONS, LEAKY_SLOPE, Activation, get_activation
from cnncli.errors import OptionError

FORMULAS: dict[str, Callable[[float], float]] = {
    "none": lambda z: z,
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky-relu": lambda z: z if z > 0 else 0.01 * z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "abs": abs,
    "softmax": lambda z: 1.0,  # of one channel
    "prelu": lambda z: z if z > 0 else 0.25 * z,
    "clip": lambda z: min(max(z, -1.5), 2.25),
    "hard-sigmoid": lambda z: min(max(0.2 * z + 0.5, 0.0), 1.0),
    "hard-swish": lambda z: z * min(max(z / 6 + 0.5, 0.0), 1.0),
    "truncate": math.trunc,
    "wrap": lambda z: (math.trunc(z) + 2) % 8 - 2,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "gelu": lambda z: z * math.erfc(-z / math.sqrt(2)) / 2,
    "gelu-tanh": lambda z: z / (1 + math.exp(-math.sqrt(8 / math.pi) * (z + 0.044715 * z**3))),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "celu": lambda z: z if z > 0 else 2 * math.expm1(z / 2),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "thresholded-relu": lambda z: z if z > 1 else 0.0,
    "log-softmax": lambda z: 0.0,  # of one channel
    "exp": math.exp,
    "log": lambda z: math.log(z) if z > 0 else [-math.inf, math.nan][z < 0],
    "sqrt": lambda z: math.sqrt(z) if z >= 0 else math.nan,
    "pow": lambda z: z**3,
    "reciprocal": lambda z: 1 / z if z else math.inf,
    "neg": lambda z: -z,
    "erf": math.erf,
    "sign": lambda z: (z > 0) - (z < 0),
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}
SETTINGS: dict[str, dict[str, float]] = {
    "prelu": {"alpha": 0.25},
    "clip": {"low": -1.5, "high": 2.25},
    "celu": {"alpha": 2.0},
    "wrap": {"low": -2.0, "high": 5.0},
    "pow": {"alpha": 3.0},
}
BELOW_THE_KINK = {"relu": 0.0, "leaky-relu": LEAKY_SLOPE, "abs": 0.0}


def made(name: str) -> Activation:
    return get_activation(name, **SETTINGS.get(name, {}))


def test_every_activation_has_its_formula_here() -> None:
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_dtype(name: str, dtype: type) -> None:
    Z = np.linspace(-8, 8, 33).astype(dtype).reshape(1, 3, 11, 1)
    A = made(name).forward(Z)
    expected = [FORMULAS[name](float(z)) for z in Z.ravel()]
    eps = np.finfo(dtype).eps
    # The ramp of the hard ones crosses 0 by a difference of two numbers near 1/2.
    atol = 8 * eps if name.startswith("hard") else 0
    # What their exp is taken of was rounded, and is up to 52.
    rtol = 64 * eps if name.startswith("gelu") else 4 * eps
    np.testing.assert_allclose(A.ravel(), expected, rtol=rtol, atol=atol)
    assert A.dtype == dtype
    assert A.shape == Z.shape


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_keeps_the_dtype(name: str, dtype: type) -> None:
    Z = np.array([-1.0, 0.0, 2.0], dtype)
    activation = made(name)
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
        ("silu", 0, np.inf),
        ("gelu", 0, np.inf),
        ("gelu-tanh", 0, np.inf),
        ("mish", 0, np.inf),
        ("softplus", 0, np.inf),
        ("softsign", -1, 1),
        ("elu", -1, np.inf),
        ("celu", -2, np.inf),
        ("selu", -1.0507009873554805 * 1.6732632423543772, np.inf),
        ("erf", -1, 1),
        ("reciprocal", 0, 0),
    ],
)
def test_extremes_overflow_nowhere(name: str, low: float, high: float) -> None:
    activation = made(name)
    Z = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(activation.forward(Z), [low, high])
    large = np.array([-1e300, 1e300])
    assert np.isfinite(activation.forward(large)).all()
    for ends in (Z, large):
        assert np.isfinite(activation.backward(np.ones(2), ends, activation.forward(ends))).all()


@pytest.mark.parametrize("name", sorted({*FORMULAS} - {"wrap"}))
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(made(name).forward(np.array([np.nan]))).all()


@pytest.mark.parametrize("name", BELOW_THE_KINK)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_slope_at_the_kink(name: str, zero: float) -> None:
    Z = np.array([zero])
    activation = made(name)
    slope = activation.backward(np.ones(1), Z, activation.forward(Z))
    np.testing.assert_array_equal(slope, [BELOW_THE_KINK[name]])


@pytest.mark.parametrize("name", FORMULAS)
def test_arguments_stay_as_they_were(name: str) -> None:
    activation = made(name)
    Z = np.linspace(-2, 2, 5)
    dA = np.ones(5)
    A = activation.forward(Z).copy()
    for array in (Z, dA, A):
        array.setflags(write=False)
    activation.backward(dA, Z, A)
    activation.forward(Z)


def test_softmax_is_over_the_channels_and_never_overflows() -> None:
    Z = np.random.default_rng(5).standard_normal((2, 3, 4, 5)) * 3
    A = made("softmax").forward(Z)
    np.testing.assert_allclose(A, np.exp(Z) / np.exp(Z).sum(axis=3, keepdims=True), rtol=1e-12)
    large = np.array([[1e300, 1e300, -1e300]])
    np.testing.assert_array_equal(made("softmax").forward(large), [[0.5, 0.5, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saturated_softmax_has_gradients_beyond_rounding(dtype: type) -> None:
    Z = np.array([[20.0, 0.0, -1.0, 2.0]])
    shares = np.exp(Z.astype(np.longdouble)) / np.exp(Z.astype(np.longdouble)).sum()
    dA = np.array([[1.0, 0.5, -2.0, 1.0]])
    by_hand = [
        shares[0, i] * sum(shares[0, j] * (dA[0, i] - dA[0, j]) for j in range(4)) for i in range(4)
    ]
    softmax = made("softmax")
    Z, dA = Z.astype(dtype), dA.astype(dtype)
    A = softmax.forward(Z)
    found = softmax.backward(dA, Z, A)[0]
    np.testing.assert_allclose(found, np.array(by_hand, float), rtol=50 * np.finfo(dtype).eps)
    # The shares add up to 1: of all alike nothing is left, not even rounding.
    assert not softmax.backward(np.full_like(dA, 0.3), Z, A).any()


def test_slopes_of_each_channel() -> None:
    Z = np.array([-2.0, -2.0, 2.0])
    A = get_activation("prelu", alpha=np.array([0.5, 0.25, 0.125])).forward(Z)
    np.testing.assert_array_equal(A, [-1, -0.5, 2])


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("prelu", {}, "prelu needs alpha"),
        ("relu", {"alpha": 0.1}, "relu has no setting alpha"),
        ("clip", {"top": 0.1}, "clip has no setting top"),
    ],
)
def test_settings_are_those_of_the_activation(name: str, settings: dict, error: str) -> None:
    with pytest.raises(OptionError, match=error):
        get_activation(name, **settings)


def test_unknown_name() -> None:
    with pytest.raises(OptionError, match="'swish'") as caught:
        get_activation("swish")
    assert all(name in str(caught.value) for name in ACTIVATIONS)


def test_functions_without_a_value_say_so_without_a_warning() -> None:
    Z = np.array([-1.0, 0.0, np.inf])
    for name, expected in {
        "log": [np.nan, -np.inf, np.inf],
        "sqrt": [np.nan, 0, np.inf],
        "reciprocal": [-1, np.inf, 0],
    }.items():
        np.testing.assert_array_equal(made(name).forward(Z), expected)
        made(name).backward(np.ones(3), Z, made(name).forward(Z))
    np.testing.assert_array_equal(made("exp").forward(np.array([-1e300, 1e300])), [0, np.inf])


def test_log_softmax_is_the_logarithm_of_the_shares() -> None:
    Z = np.random.default_rng(6).standard_normal((2, 3, 4, 5)) * 3
    shares = np.exp(Z) / np.exp(Z).sum(axis=3, keepdims=True)
    np.testing.assert_allclose(made("log-softmax").forward(Z), np.log(shares), rtol=1e-12)
    large = np.array([[0.0, -1e300]])
    np.testing.assert_array_equal(made("log-softmax").forward(large), [[0, -1e300]])


def test_powers_of_each_channel() -> None:
    Z = np.array([4.0, 3.0, 5.0])
    activation = get_activation("pow", alpha=np.array([0.5, 2.0, 0.0]))
    np.testing.assert_allclose(activation.forward(Z), [2, 9, 1])
    slope = activation.backward(np.ones(3), Z, activation.forward(Z))
    np.testing.assert_allclose(slope, [0.25, 6, 0])
    one = get_activation("pow", alpha=np.array([2.0], np.float32))
    found = one.forward(np.array([3.0], np.float32))
    assert found.dtype == np.float32 and found.item() == 9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("low", "high", "of_nan"),
    [(0, 2**8 - 1, 0), (-(2**15), 2**15 - 1, 0), (-(2**31), 2**31 - 1, -(2**31))],
)
def test_whole_numbers_beyond_32_bits_count_as_their_least(
    low: int, high: int, of_nan: int, dtype: type
) -> None:
    Z = np.array([np.nan, np.inf, -np.inf, 2.0**31, 1e30, -1e30, -(2.0**31)], dtype)
    A = get_activation("wrap", low=float(low), high=float(high)).forward(Z)
    assert A.dtype == dtype and A.tolist() == [of_nan] * len(Z)
