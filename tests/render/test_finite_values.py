"""The range of finite values, and what is not finite."""

from __future__ import annotations

import numpy as np

from cnncli.render.finite_values import ValueRange, measure


def test_measure_joins_parts_and_long_rows() -> None:
    values = np.random.default_rng(0).normal(size=(3, 70_000, 2))
    values[1, 69_999, 1] = np.nan
    values[2, 0, 0] = 1e9
    parts = [measure(row) for row in values]
    assert measure(values) == parts[0] | parts[1] | parts[2]
    assert measure(values) == ValueRange(float(np.nanmin(values)), 1e9, 1)


def test_no_values_and_none_that_are_finite() -> None:
    assert measure(np.empty((0, 3))) == ValueRange()
    assert measure(np.array([np.nan, np.inf, -np.inf])) == ValueRange(non_finite=3)
