"""conv_forward against the loop over conv_single_step, its dtypes and its errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import conv_backward, conv_forward, conv_plan, conv_single_step
from cnncli.core.arrays import float_dtype
from cnncli.core.choices import ALGORITHM_NAMES
from cnncli.core.geometry import place_window
from cnncli.errors import OptionError, ShapeError
from tests.support.correlate import correlate
from tests.support.judges import loop_conv_forward
from tests.support.sweep import sweep

PADS: list[Any] = [0, 2, (1, 2), ((0, 1), (2, 0)), "same", "same-lower", "valid"]
STRIDES: list[Any] = [1, 2, (2, 3)]
DILATIONS: list[Any] = [1, 2, (1, 2)]
FILTERS = {
    "bank": ((3, 3, 2, 3), 1),
    "even": ((2, 2, 3, 2), 1),
    "wide": ((1, 3, 2, 2), 1),
    "tall": ((3, 2, 1, 2), 1),
    "groups": ((2, 3, 2, 6), 2),
    "depthwise": ((3, 2, 1, 3), 3),
    "multiplier": ((2, 2, 1, 6), 3),
    "one": ((1, 1, 3, 2), 1),
}


def layer(
    shape: tuple[int, ...], groups: int, dtype: Any = np.float64, size: tuple[int, int] = (7, 6)
) -> tuple[Any, Any, Any]:
    """Return two images, filters of the shape and a bias without zeros."""
    rng = np.random.default_rng(7)
    A_prev = rng.standard_normal((2, *size, shape[2] * groups)).astype(dtype)
    W = rng.standard_normal(shape).astype(dtype)
    b = (rng.standard_normal((1, 1, 1, shape[3])) + 3).astype(dtype)
    return A_prev, W, b


@pytest.mark.parametrize(("name", "pad"), sweep(FILTERS, PADS))
def test_equals_the_loop(name: str, pad: Any) -> None:
    shape, groups = FILTERS[name]
    A_prev, W, b = layer(shape, groups)
    for stride, dilation in product(STRIDES, DILATIONS):
        hparameters = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        Z, _ = conv_forward(A_prev, W, b, hparameters)
        expected = loop_conv_forward(A_prev, W, b, hparameters)
        np.testing.assert_allclose(Z, expected, rtol=1e-12, atol=1e-12, err_msg=str(hparameters))


@pytest.mark.parametrize("stride", STRIDES, ids=str)
@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_borders_equal_the_loop(mode: str, stride: Any) -> None:
    A_prev, W, b = layer((3, 2, 2, 2), 1)
    for pad in (2, ((3, 1), (0, 4)), "same", "same-lower", ((9, 0), (0, 14))):
        hparameters = {"stride": stride, "pad": pad, "pad_mode": mode}
        Z, _ = conv_forward(A_prev, W, b, hparameters)
        expected = loop_conv_forward(A_prev, W, b, hparameters)
        np.testing.assert_allclose(Z, expected, rtol=1e-12, atol=1e-12, err_msg=str(hparameters))


@pytest.mark.parametrize("value", [-1.5, 0.25, 100])
def test_constant_borders_equal_the_loop(value: float) -> None:
    A_prev, W, b = layer((3, 3, 2, 2), 1)
    hparameters = {"stride": (2, 1), "pad": ((2, 0), (1, 3)), "pad_value": value}
    Z, _ = conv_forward(A_prev, W, b, hparameters)
    np.testing.assert_allclose(Z, loop_conv_forward(A_prev, W, b, hparameters), rtol=1e-12)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("stride", STRIDES, ids=str)
def test_float32_stays_float32_and_equals_the_loop(name: str, stride: Any) -> None:
    shape, groups = FILTERS[name]
    A_prev, W, b = layer(shape, groups, np.float32)
    hparameters = {"stride": stride, "pad": "same", "groups": groups}
    Z, cache = conv_forward(A_prev, W, b, hparameters)
    expected = loop_conv_forward(A_prev, W, b, hparameters)
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-5)
    assert {gradient.dtype for gradient in conv_backward(Z, cache)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("size", "shape", "out"),
    [((8, 8), (3, 3), (3, 3)), ((5, 9), (2, 4), (2, 3)), ((1, 6), (1, 6), (1, 1))],
)
def test_unread_cells_do_not_matter(
    size: tuple[int, int], shape: tuple[int, int], out: tuple[int, int]
) -> None:
    A_prev, W, b = layer((*shape, 2, 3), 1, size=size)
    hparameters = {"stride": (2, 2)}
    Z, _ = conv_forward(A_prev, W, b, hparameters)
    assert Z.shape == (2, *out, 3)
    used = [(o - 1) * 2 + k for o, k in zip(out, shape, strict=True)]
    A_prev[:, used[0] :] = np.nan
    A_prev[:, :, used[1] :] = np.nan
    np.testing.assert_array_equal(conv_forward(A_prev, W, b, hparameters)[0], Z)


@pytest.mark.parametrize("make", [np.asfortranarray, lambda X: X[:, ::-1, ::-1], lambda X: X + 0])
def test_layout_in_memory_does_not_matter(make: Any) -> None:
    A_prev, W, b = layer((3, 2, 2, 3), 1)
    expected = loop_conv_forward(make(A_prev), make(W), b, {"pad": 1})
    np.testing.assert_allclose(
        conv_forward(make(A_prev), make(W), b, {"pad": 1})[0], expected, rtol=1e-12, atol=1e-12
    )


# winograd takes layers of more channels only.
@pytest.mark.parametrize("algorithm", sorted({*ALGORITHM_NAMES} - {"winograd"}))
def test_a_single_channel_may_have_any_stride(algorithm: str) -> None:
    # An index by a list leaves the stride of an axis of one wherever it came from.
    photo = np.random.default_rng(5).normal(size=(1, 20, 30, 3))
    one, W, b = photo[..., [1]], np.ones((3, 3, 1, 1)), np.zeros((1, 1, 1, 1))
    assert one.strides[3] != one.itemsize
    Z = correlate(one, W, place_window((20, 30), 3, padding=1), algorithm=algorithm)
    np.testing.assert_allclose(Z, loop_conv_forward(one, W, b, {"pad": 1}), rtol=1e-9, atol=1e-9)


def test_bytes_of_the_other_order_give_the_same_values() -> None:
    A_prev, W, b = layer((3, 2, 2, 3), 1)
    swapped, _ = conv_forward(A_prev.astype(">f8"), W.astype(">f8"), b.astype(">f8"), {})
    np.testing.assert_array_equal(swapped, conv_forward(A_prev, W, b, {})[0])
    assert swapped.dtype.isnative


def test_integers_are_computed_as_float64() -> None:
    A_prev = np.arange(18, dtype=np.uint8).reshape(1, 3, 3, 2)
    W = np.full((2, 2, 2, 1), -100, dtype=np.int8)
    Z, _ = conv_forward(A_prev, W, np.array([[[[7]]]]), {})
    np.testing.assert_array_equal(Z, loop_conv_forward(A_prev, W, np.array([[[[7]]]]), {}))
    assert Z.dtype == np.float64


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("f4", "f4"), "f4"),
        (("f2", "f4"), "f4"),
        (("f4", "f8"), "f8"),
        (("u1", "i2"), "f8"),
        (("u1", "f4"), "f4"),
        (("b1",), "f8"),
    ],
)
def test_float_dtype(dtypes: tuple[str, ...], expected: str) -> None:
    assert float_dtype(*(np.zeros(1, dtype) for dtype in dtypes)) == np.dtype(expected)


def test_the_bias_is_added_once_after_the_sum() -> None:
    b = np.full((1, 1, 1, 2), 5.0)
    Z, _ = conv_forward(np.zeros((1, 4, 4, 3)), np.ones((3, 3, 3, 2)), b, {})
    np.testing.assert_array_equal(Z, np.full((1, 2, 2, 2), 5.0))


def test_no_flip() -> None:
    impulse = np.zeros((1, 3, 3, 1))
    impulse[0, 1, 1] = 1
    W = np.arange(9.0).reshape(3, 3, 1, 1)
    Z, _ = conv_forward(impulse, W, np.zeros((1, 1, 1, 1)), {"pad": 1})
    np.testing.assert_array_equal(Z[0, :, :, 0], W[::-1, ::-1, 0, 0])


def test_nan_stays_in_the_windows_that_meet_it() -> None:
    A_prev = np.zeros((1, 5, 5, 1))
    A_prev[0, 2, 2] = np.nan
    Z, _ = conv_forward(A_prev, np.ones((2, 2, 1, 1)), np.zeros((1, 1, 1, 1)), {})
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(np.isnan(Z[0, :, :, 0]), expected)


def test_hparameters_are_optional_fields() -> None:
    A_prev, W, b = layer((3, 3, 2, 2), 1)
    full = {"stride": 1, "pad": 0, "dilation": 1, "groups": 1, "pad_mode": "zeros", "pad_value": 0}
    np.testing.assert_array_equal(
        conv_forward(A_prev, W, b, {})[0], conv_forward(A_prev, W, b, full)[0]
    )


ONES = (np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 2)), np.zeros((1, 1, 1, 2)))


@pytest.mark.parametrize(
    ("hparameters", "message"),
    [
        ({"strides": 1}, "strides"),
        ({"stride": 0}, "stride"),
        ({"stride": -1}, "stride"),
        ({"stride": 1.5}, "stride"),
        ({"stride": True}, "stride"),
        ({"stride": (1, 2, 3)}, "stride"),
        ({"stride": ()}, "stride"),
        ({"dilation": 0}, "dilation"),
        ({"pad": -1}, "padding"),
        ({"pad": "SAME"}, "padding"),
        ({"pad": (1, 2, 3)}, "padding"),
        ({"pad": None}, "padding"),
        ({"groups": 0}, "groups"),
        ({"groups": 1.0}, "groups"),
        ({"pad": 1, "pad_mode": "mirror"}, "pad mode"),
        ({"pad_mode": "mirror"}, "pad mode"),
    ],
    ids=str,
)
def test_bad_hparameters(hparameters: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        conv_forward(*ONES, hparameters)


@pytest.mark.parametrize(
    ("A_shape", "W_shape", "b_shape", "hparameters", "message"),
    [
        ((4, 4, 2), (3, 3, 2, 2), (1, 1, 1, 2), {}, r"A_prev .*\(4, 4, 2\)"),
        ((0, 4, 4, 2), (3, 3, 2, 2), (1, 1, 1, 2), {}, r"A_prev .*\(0, 4, 4, 2\)"),
        ((1, 4, 4, 2), (3, 3, 2), (1, 1, 1, 2), {}, r"W .*\(3, 3, 2\)"),
        ((1, 4, 4, 2), (3, 0, 2, 2), (1, 1, 1, 2), {}, r"W .*\(3, 0, 2, 2\)"),
        ((1, 4, 4, 3), (3, 3, 2, 2), (1, 1, 1, 2), {}, "3 channels"),
        ((1, 4, 4, 4), (3, 3, 2, 3), (1, 1, 1, 3), {"groups": 2}, "3 filters"),
        ((1, 4, 4, 2), (3, 3, 2, 2), (1, 1, 1, 3), {}, r"b .*\(1, 1, 1, 3\)"),
        ((1, 4, 4, 2), (5, 3, 2, 2), (1, 1, 1, 2), {}, r"\(4\+2\*0-5\)//1\+1 = 0"),
        ((1, 4, 4, 2), (3, 3, 2, 2), (1, 1, 1, 2), {"dilation": (1, 2)}, "5 of 4 columns"),
    ],
)
def test_shapes_that_do_not_fit(
    A_shape: Any, W_shape: Any, b_shape: Any, hparameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        conv_forward(np.ones(A_shape), np.ones(W_shape), np.ones(b_shape), hparameters)


@pytest.mark.parametrize("dtype", [complex, object, "U1", "M8[s]"])
def test_only_real_numbers(dtype: Any) -> None:
    with pytest.raises(OptionError, match="real numbers"):
        conv_forward(np.zeros((1, 2, 2, 1), dtype), ONES[1][:2, :2, :1], ONES[2], {})


def test_gradient_of_another_shape() -> None:
    Z, cache = conv_forward(*ONES, {})
    with pytest.raises(ShapeError, match=r"dZ .*\(1, 2, 2, 2\), got \(1, 2, 2, 1\)"):
        conv_backward(Z[..., :1], cache)


def test_step_of_two_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2, 1\) and \(2, 2, 2\)"):
        conv_single_step(np.ones((2, 2, 1)), np.ones((2, 2, 2)), 0.0)


def test_step_with_two_biases() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        conv_single_step(np.ones((2, 2, 1)), np.ones((2, 2, 1)), np.ones(2))


def test_a_single_bias_gathers_all_gradients() -> None:
    A_prev, W = np.ones((1, 3, 3, 2)), np.ones((2, 2, 2, 3))
    Z, cache = conv_forward(A_prev, W, np.full((1, 1, 1, 1), 0.5), {})
    assert Z[0, 0, 0, 0] == 8.5
    _, _, db = conv_backward(np.ones_like(Z), cache)
    assert db.shape == (1, 1, 1, 1)
    assert db.item() == 12


@pytest.mark.parametrize("fields", [{"pad": 1, "pad_value": "x"}, {"groups": True}])
def test_fields_of_a_wrong_kind(fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        conv_forward(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), np.zeros(1), fields)


def test_a_complex_bias_is_refused() -> None:
    with pytest.raises(OptionError, match="real"):
        conv_forward(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), np.zeros(1, complex), {})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_plan_gives_what_the_loop_gives_for_every_batch(dtype: Any) -> None:
    rng = np.random.default_rng(8)
    A_prev = rng.standard_normal((3, 2, 9, 7, 4)).astype(dtype)
    W, b = rng.standard_normal((3, 2, 2, 6)).astype(dtype), rng.standard_normal((1, 1, 1, 6))
    hparameters = {"stride": (1, 2), "pad": 2, "groups": 2}
    b = b.astype(dtype)
    plan = conv_plan(A_prev[0], W, b, hparameters)
    expected = [conv_forward(batch, W, b, hparameters)[0] for batch in A_prev]
    W[:], b[:] = 0, 0
    for batch, Z in zip(A_prev, expected, strict=True):
        found = plan(batch)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, Z, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
    assert plan.algorithm == "matmul"


def test_a_plan_takes_what_it_was_made_for() -> None:
    A_prev, W = np.ones((1, 4, 4, 3), np.float32), np.ones((2, 2, 3, 5), np.float32)
    b = np.zeros((1, 1, 1, 5), np.float32)
    plan = conv_plan(A_prev, W, b, {})
    for other in (A_prev[:, 1:], A_prev.astype(float), np.ones((2, 4, 4, 3), np.float32)):
        with pytest.raises(ShapeError, match=r"planned shape \(1, 4, 4, 3\) and dtype float32"):
            plan(other)
    with pytest.raises(ShapeError, match="b must have the shape"):
        conv_plan(A_prev, W, b[..., 1:], {})
