"""pool_forward against a loop over windows, ties, pads, NaN, and its errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import create_mask_from_window, distribute_value, pool_backward, pool_forward
from cnncli.core.pool import Pooling, pool_rows, pool_window
from cnncli.errors import OptionError, ShapeError
from tests.support.judges import loop_pool_forward
from tests.support.sweep import sweep

MODES = ["max", "min", "average", "lp"]
SIZES: list[Any] = [1, 2, 3, (2, 3), (3, 1)]
STRIDES: list[Any] = [None, 1, 2, (2, 3)]
PADS: list[Any] = [0, 1, ((0, 1), (1, 0)), "same", "same-lower", "valid"]


def images(dtype: Any = np.float64) -> Any:
    return np.random.default_rng(3).standard_normal((2, 7, 6, 2)).astype(dtype)


def without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def check(A_prev: Any, hparameters: dict[str, Any], mode: str, rtol: float = 1e-12) -> None:
    A, _ = pool_forward(A_prev, hparameters, mode)
    expected = loop_pool_forward(A_prev, hparameters, mode)
    np.testing.assert_allclose(A, expected, rtol=rtol, atol=rtol, err_msg=f"{mode} {hparameters}")


@pytest.mark.parametrize(("mode", "pad"), sweep(MODES, PADS))
def test_equals_the_loop(mode: str, pad: Any) -> None:
    for f, stride, dilation, ceil in product(SIZES, STRIDES, [1, (2, 1)], [False, True]):
        hparameters = without_none(f=f, stride=stride, pad=pad, dilation=dilation, ceil=ceil)
        check(images(), hparameters, mode)


@pytest.mark.parametrize("pad", sweep(PADS, keep=3))
def test_average_that_counts_pads_equals_the_loop(pad: Any) -> None:
    for f, stride, dilation, ceil in product(SIZES, STRIDES, [1, (2, 1)], [False, True]):
        hparameters = without_none(f=f, stride=stride, pad=pad, dilation=dilation, ceil=ceil)
        check(images(), {**hparameters, "count_include_pad": True}, "average")


@pytest.mark.parametrize("p", sweep([0.5, 1, 2, 3, 1.5, 4.0], keep=4))
def test_lp_equals_the_loop(p: float) -> None:
    for f, stride, pad in product(SIZES, STRIDES, PADS):
        check(images(), {**without_none(f=f, stride=stride, pad=pad), "p": p}, "lp")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pad", [0, ((1, 0), (0, 2))], ids=str)
def test_global_equals_the_loop(mode: str, pad: Any) -> None:
    check(images(), {"f": "global", "pad": pad}, mode)
    A, _ = pool_forward(images(), {"f": "global"}, mode)
    assert A.shape == (2, 1, 1, 2)


@pytest.mark.parametrize("mode", MODES)
def test_float32_stays_float32(mode: str) -> None:
    A_prev = images(np.float32)
    hparameters = {"f": 3, "stride": 2, "pad": 1, "ceil": True}
    check(A_prev, hparameters, mode, rtol=1e-6)
    A, cache = pool_forward(A_prev, hparameters, mode)
    assert A.dtype == np.float32
    assert pool_backward(A, cache, mode).dtype == np.float32


@pytest.mark.parametrize(("mode", "sign"), [("max", -1.0), ("min", 1.0)])
def test_pads_never_win(mode: str, sign: float) -> None:
    A_prev = sign * (np.abs(images()) + 1)
    A, cache = pool_forward(A_prev, {"f": 3, "stride": 1, "pad": 1}, mode)
    assert np.abs(A).min() >= 1
    dA = np.random.default_rng(1).standard_normal(A.shape)
    np.testing.assert_allclose(pool_backward(dA, cache, mode).sum(), dA.sum(), rtol=1e-12)


@pytest.mark.parametrize(("mode", "alone"), [("max", -np.inf), ("min", np.inf), ("average", 0.0)])
def test_a_window_of_pads_only(mode: str, alone: float) -> None:
    A_prev = np.full((1, 2, 2, 1), 5.0)
    A, cache = pool_forward(A_prev, {"f": 1, "stride": 1, "pad": 1}, mode)
    expected = np.full((4, 4), alone)
    expected[1:3, 1:3] = 5
    np.testing.assert_array_equal(A[0, :, :, 0], expected)
    dA_prev = pool_backward(np.ones_like(A), cache, mode)
    np.testing.assert_array_equal(dA_prev, np.ones_like(A_prev))


@pytest.mark.parametrize("mode", MODES)
def test_nan_reaches_every_window_that_meets_it(mode: str) -> None:
    A_prev = images()
    A_prev[0, 3, 2, 1] = np.nan
    A, _ = pool_forward(A_prev, {"f": 2, "stride": 1}, mode)
    expected = np.zeros(A.shape, bool)
    expected[0, 2:4, 1:3, 1] = True
    np.testing.assert_array_equal(np.isnan(A), expected)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_first_nan_takes_the_gradient(mode: str) -> None:
    A_prev = np.array([1.0, np.nan, 3.0, np.nan]).reshape(1, 2, 2, 1)
    A, cache = pool_forward(A_prev, {"f": 2}, mode)
    np.testing.assert_array_equal(pool_backward(np.ones_like(A), cache, mode).ravel(), [0, 1, 0, 0])


@pytest.mark.parametrize(("mode", "fill"), [("max", -np.inf), ("min", np.inf)])
def test_infinite_cells_still_beat_pads(mode: str, fill: float) -> None:
    A_prev = np.full((1, 2, 2, 1), fill)
    A, cache = pool_forward(A_prev, {"f": 3, "stride": 1, "pad": 1}, mode)
    assert pool_backward(np.ones_like(A), cache, mode).sum() == 4


@pytest.mark.parametrize("mode", ["max", "min"])
def test_on_ties_the_first_in_row_major_order_takes_all(mode: str) -> None:
    A_prev = np.zeros((1, 3, 3, 1))
    A, cache = pool_forward(A_prev, {"f": 2, "stride": 1}, mode)
    dA = np.arange(1.0, 5.0).reshape(A.shape)
    expected = np.zeros((3, 3))
    expected[:2, :2] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(pool_backward(dA, cache, mode)[0, :, :, 0], expected)


def test_backward_puts_the_mask_over_each_window() -> None:
    A_prev = np.random.default_rng(5).integers(0, 4, (2, 6, 6, 2)).astype(float)
    A, cache = pool_forward(A_prev, {"f": 3, "stride": 3})
    dA = np.random.default_rng(6).standard_normal(A.shape)
    expected = np.zeros_like(A_prev)
    for m, i, j, c in np.ndindex(*A.shape):
        window = np.s_[m, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3, c]
        expected[window] += create_mask_from_window(A_prev[window]) * dA[m, i, j, c]
    np.testing.assert_array_equal(pool_backward(dA, cache), expected)


def test_average_backward_distributes_over_each_window() -> None:
    A_prev = images()
    A, cache = pool_forward(A_prev, {"f": 2, "stride": 1}, "average")
    dA = np.random.default_rng(6).standard_normal(A.shape)
    expected = np.zeros_like(A_prev)
    for m, i, j, c in np.ndindex(*A.shape):
        expected[m, i : i + 2, j : j + 2, c] += distribute_value(dA[m, i, j, c], (2, 2))
    np.testing.assert_allclose(pool_backward(dA, cache, "average"), expected, rtol=1e-12)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, np.inf])
def test_lp_of_zeros_has_no_slope(p: float) -> None:
    A_prev = np.zeros((1, 3, 3, 1))
    A_prev[0, 2, 2] = 4
    A, cache = pool_forward(A_prev, {"f": 2, "stride": 1, "pad": 1, "p": p}, "lp")
    dA_prev = pool_backward(np.ones_like(A), cache, "lp")
    expected = np.zeros((1, 3, 3, 1))
    expected[0, 2, 2] = 4
    np.testing.assert_allclose(dA_prev, expected, atol=1e-12)


def test_lp_of_infinity_is_the_largest_magnitude() -> None:
    hparameters = {"f": 3, "stride": 2, "pad": 1}
    A, _ = pool_forward(images(), {**hparameters, "p": np.inf}, "lp")
    np.testing.assert_array_equal(A, pool_forward(np.abs(images()), hparameters, "max")[0])


def test_integers_are_computed_as_float64() -> None:
    A_prev = np.full((1, 4, 4, 1), 200, np.uint8)
    for mode in ("max", "min", "average"):
        A, _ = pool_forward(A_prev, {"f": 2}, mode)
        assert A.dtype == np.float64
        np.testing.assert_array_equal(A, np.full((1, 2, 2, 1), 200.0))


def test_the_stride_defaults_to_the_window() -> None:
    explicit, _ = pool_forward(images(), {"f": (2, 3), "stride": (2, 3)})
    np.testing.assert_array_equal(pool_forward(images(), {"f": (2, 3)})[0], explicit)


@pytest.mark.parametrize("f", [[2, 3], np.array([2, 3]), (np.int64(2), np.int64(3))], ids=repr)
def test_the_window_may_be_any_sequence(f: Any) -> None:
    expected, _ = pool_forward(images(), {"f": (2, 3)})
    np.testing.assert_array_equal(pool_forward(images(), {"f": f})[0], expected)


def test_the_window_defaults_to_two() -> None:
    explicit, _ = pool_forward(images(), {"f": 2})
    np.testing.assert_array_equal(pool_forward(images(), {})[0], explicit)


@pytest.mark.parametrize(
    ("hparameters", "mode", "message"),
    [
        ({"f": 2}, "median", "max, average, min, lp"),
        ({"f": 0}, "max", "size"),
        ({"f": "all"}, "max", "size"),
        ({"f": 2, "stride": 0}, "max", "stride"),
        ({"f": 2, "size": 2}, "max", "size"),
        ({"f": 2, "pad": -1}, "max", "padding"),
        ({"f": 2, "p": 0}, "lp", "p must be a number above 0"),
        ({"f": 2, "p": -1}, "lp", "p must be a number above 0"),
        ({"f": 2, "p": np.nan}, "lp", "p must be a number above 0"),
    ],
)
def test_bad_options(hparameters: dict[str, Any], mode: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pool_forward(images(), hparameters, mode)


@pytest.mark.parametrize("ceil", [False, True])
def test_a_window_that_does_not_fit(ceil: bool) -> None:
    with pytest.raises(ShapeError, match=r"7\+2\*0-8"):
        pool_forward(images(), {"f": (8, 2), "ceil": ceil})


def test_gradient_of_another_shape() -> None:
    A, cache = pool_forward(images(), {"f": 2})
    with pytest.raises(ShapeError, match=r"dA .*\(2, 3, 3, 2\), got \(2, 3, 2, 2\)"):
        pool_backward(A[:, :, :2], cache)


def test_the_mode_of_the_backward_pass_is_checked() -> None:
    A, cache = pool_forward(images(), {"f": 2})
    with pytest.raises(OptionError, match="mode"):
        pool_backward(A, cache, "mean")


@pytest.mark.parametrize("shape", [(2, 3), (5,), (2, 2, 2)])
def test_mask_marks_one_maximum(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).integers(0, 3, shape)
    mask = create_mask_from_window(x)
    assert mask.shape == shape
    assert mask.dtype == bool
    assert mask.sum() == 1
    assert x[mask] == x.max()
    assert mask.argmax() == list(x.ravel()).index(x.max())


def test_mask_of_nothing() -> None:
    with pytest.raises(ShapeError, match=r"\(0, 2\)"):
        create_mask_from_window(np.empty((0, 2)))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_distribute_keeps_the_sum(shape: tuple[int, int]) -> None:
    spread = distribute_value(-3.0, shape)
    assert spread.shape == shape
    assert spread.sum() == pytest.approx(-3.0)
    assert np.ptp(spread) == 0


def test_distribute_over_nothing() -> None:
    with pytest.raises(OptionError, match=r"\(0, 2\)"):
        distribute_value(1.0, (0, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-3, 255.0])
def test_lp_of_a_high_power_neither_vanishes_nor_overflows(dtype: type, size: float) -> None:
    A, _ = pool_forward(np.full((1, 2, 2, 1), size, dtype), {"p": 200}, "lp")
    assert A.dtype == dtype
    np.testing.assert_allclose(A, size * 4 ** (1 / 200), rtol=1e-5)


@pytest.mark.parametrize("fields", [{"p": "x"}, {"p": True}, {"ceil": "no"}])
def test_fields_of_a_wrong_kind(fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        pool_forward(np.ones((1, 2, 2, 1)), fields, "lp")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1e20, 1e-30, 1e-42])
def test_lp_of_a_window_depends_on_its_own_cells_alone(dtype: type, far: float) -> None:
    A_prev = np.random.default_rng(5).random((1, 16, 18, 3)).astype(dtype)
    fields = {"f": 3, "stride": 1, "p": 9}
    without, _ = pool_forward(A_prev, fields, "lp")
    A_prev[0, 9, 5, 0] = far
    with_it, _ = pool_forward(A_prev, fields, "lp")
    expected = loop_pool_forward(A_prev.astype(np.float64), fields, "lp")
    np.testing.assert_allclose(with_it, expected, rtol=1e-5)
    apart = np.ones(without.shape, bool)
    apart[0, 7:10, 3:6, 0] = False
    np.testing.assert_array_equal(with_it[apart], without[apart])
    pooling = Pooling(pool_window((16, 18), 3, 1), "lp", p=9)
    rows = [pool_rows(lambda a, b: A_prev[:, a:b], pooling, row, row + 1) for row in range(14)]
    np.testing.assert_array_equal(np.concatenate(rows, axis=1), with_it)
