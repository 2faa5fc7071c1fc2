"""The error function and its complement, held to those of Python's math and of SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncli.core.erf import erf, erfc

NUMBERS = np.concatenate(
    [np.linspace(-7, 7, 3001), np.logspace(-300, 1, 300), [1 - 1e-16, 1 + 1e-15, -0.0]]
)


def test_erf_of_math() -> None:
    expected = [math.erf(x) for x in NUMBERS]
    np.testing.assert_allclose(erf(NUMBERS), expected, rtol=1e-15, atol=0)
    assert np.signbit(erf(np.array([-0.0]))).all()


def test_erfc_of_math() -> None:
    numbers = np.linspace(-6, 26, 4001)
    expected = [math.erfc(x) for x in numbers]
    np.testing.assert_allclose(erfc(numbers), expected, rtol=2e-15, atol=0)


def test_float32() -> None:
    numbers = NUMBERS.astype(np.float32)
    found = erf(numbers)
    assert found.dtype == erfc(numbers).dtype == np.float32
    expected = np.array([math.erf(x) for x in numbers.tolist()])
    np.testing.assert_allclose(found, expected, rtol=5e-7, atol=1e-44)
    assert np.abs(found).max() == 1
    assert np.signbit(erf(np.array([-0.0], np.float32))).all()
    tails = np.linspace(-6, 8, 4001, dtype=np.float32)
    np.testing.assert_allclose(erfc(tails), [math.erfc(x) for x in tails.tolist()], rtol=5e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes(dtype: type) -> None:
    ends = np.array([-np.inf, np.inf, np.nan, -1e30, 1e30], dtype)
    np.testing.assert_array_equal(erf(ends), [-1, 1, np.nan, -1, 1])
    np.testing.assert_array_equal(erfc(ends), [2, 0, np.nan, 2, 0])


@pytest.mark.oracle
def test_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    numbers = np.random.default_rng(3).standard_normal(100_000) * 4
    np.testing.assert_allclose(erf(numbers), special.erf(numbers), rtol=1e-15)
    # SciPy's own tails are right to 3e-14; `math.erfc` judges those closer.
    np.testing.assert_allclose(erfc(numbers), special.erfc(numbers), rtol=4e-14)
