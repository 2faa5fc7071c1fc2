"""The cells of the course "Convolutional Neural Networks: Step by Step" and their printed values.

Each cell seeds numpy's legacy generator with 1 and draws its arrays in the order written here.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import cnncli
from cnncli import (
    conv_backward,
    conv_forward,
    conv_single_step,
    create_mask_from_window,
    distribute_value,
    pool_backward,
    pool_forward,
    zero_pad,
)

PARAMETERS = {
    "zero_pad": ["X", "pad"],
    "conv_single_step": ["a_slice_prev", "W", "b"],
    "conv_forward": ["A_prev", "W", "b", "hparameters"],
    "conv_backward": ["dZ", "cache"],
    "pool_forward": ["A_prev", "hparameters", "mode"],
    "create_mask_from_window": ["x"],
    "distribute_value": ["dz", "shape"],
    "pool_backward": ["dA", "cache", "mode"],
}

PRINTED = 5e-9
"""Half of the last of eight printed decimals."""


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(1)


def conv_cell() -> tuple[Any, ...]:
    A_prev = np.random.randn(10, 4, 4, 3)
    W = np.random.randn(2, 2, 3, 8)
    b = np.random.randn(1, 1, 1, 8)
    return conv_forward(A_prev, W, b, {"pad": 2, "stride": 2})


def close(actual: Any, printed: Any) -> None:
    np.testing.assert_allclose(actual, printed, rtol=0, atol=PRINTED)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_signature(name: str, parameters: list[str]) -> None:
    signature = inspect.signature(getattr(cnncli, name))
    assert list(signature.parameters) == parameters
    if "mode" in parameters:
        assert signature.parameters["mode"].default == "max"


def test_all_lists_the_course_functions_the_plan_and_the_library() -> None:
    library = {"load", "conv", "pool", "pad", "explain", "CnnCliError"}
    assert set(cnncli.__all__) == {*PARAMETERS, "conv_plan", *library}
    assert set(cnncli.__all__) <= set(dir(cnncli))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="convolve"):
        _ = cnncli.convolve


def test_zero_pad() -> None:
    x = np.random.randn(4, 3, 3, 2)
    x_pad = zero_pad(x, 2)
    assert x_pad.shape == (4, 7, 7, 2)
    close(
        x[1, 1],
        [[0.90085595, -0.68372786], [-0.12289023, -0.93576943], [-0.26788808, 0.53035547]],
    )
    np.testing.assert_array_equal(x_pad[1, 1], np.zeros((7, 2)))
    np.testing.assert_array_equal(x_pad[:, 2:5, 2:5], x)
    assert np.count_nonzero(x_pad) == x.size


def test_conv_single_step() -> None:
    a_slice_prev = np.random.randn(4, 4, 3)
    W = np.random.randn(4, 4, 3)
    b = np.random.randn(1, 1, 1)
    Z = conv_single_step(a_slice_prev, W, b)
    assert abs(Z - -6.99908945068) < 5e-12
    assert isinstance(Z, np.float64)
    assert isinstance(Z, float)


def test_conv_forward() -> None:
    Z, cache = conv_cell()
    assert np.mean(Z) == pytest.approx(0.0489952035289, abs=5e-14)
    close(
        Z[3, 2, 1],
        [-0.61490741, -6.7439236, -2.55153897, 1.75698377]
        + [3.56208902, 0.53036437, 5.18531798, 8.75898442],
    )
    close(cache[0][1][2][3], [-0.20075807, 0.18656139, 0.41005165])


def test_conv_forward_of_the_newer_edition() -> None:
    A_prev = np.random.randn(2, 5, 7, 4)
    W = np.random.randn(3, 3, 4, 8)
    b = np.random.randn(1, 1, 1, 8)
    Z, _ = conv_forward(A_prev, W, b, {"pad": 1, "stride": 2})
    assert Z.shape == (2, 3, 4, 8)
    assert np.mean(Z) == pytest.approx(0.5511276474566768, abs=1e-14)
    close(
        Z[0, 2, 1],
        [-2.17796037, 8.07171329, -0.5772704, 3.36286738]
        + [4.48113645, -2.89198428, 10.99288867, 3.03171932],
    )


def test_conv_forward_returns_its_arguments_as_cache() -> None:
    A_prev, W, b = np.ones((1, 3, 3, 2)), np.ones((2, 2, 2, 1)), np.ones((1, 1, 1, 1))
    hparameters = {"stride": 1, "pad": 0}
    _, cache = conv_forward(A_prev, W, b, hparameters)
    assert isinstance(cache, tuple)
    assert len(cache) == 4
    for kept, given in zip(cache, (A_prev, W, b, hparameters), strict=True):
        assert kept is given


@pytest.mark.parametrize(
    ("mode", "printed"),
    [
        ("max", [[1.74481176, 0.86540763, 1.13376944], [1.13162939, 1.51981682, 2.18557541]]),
        (
            "average",
            [[0.02105773, -0.20328806, -0.40389855], [-0.22154621, 0.51716526, 0.48155844]],
        ),
    ],
)
def test_pool_forward(mode: str, printed: list[list[float]]) -> None:
    A_prev = np.random.randn(2, 4, 4, 3)
    A, _ = pool_forward(A_prev, {"f": 3, "stride": 2}, mode=mode)
    assert A.shape == (2, 1, 1, 3)
    close(A[:, 0, 0], printed)


def test_pool_forward_of_the_newer_edition() -> None:
    A_prev = np.random.randn(2, 5, 5, 3)
    A, _ = pool_forward(A_prev, {"stride": 1, "f": 3})
    assert A.shape == (2, 3, 3, 3)
    close(
        A[1, 1],
        [
            [1.96710175, 0.84616065, 1.27375593],
            [1.96710175, 0.84616065, 1.23616403],
            [1.62765075, 1.12141771, 1.2245077],
        ],
    )


def test_pool_forward_returns_its_arguments_as_cache() -> None:
    A_prev, hparameters = np.ones((1, 4, 4, 1)), {"f": 2, "stride": 2}
    _, cache = pool_forward(A_prev, hparameters)
    assert isinstance(cache, tuple)
    assert len(cache) == 2
    assert cache[0] is A_prev
    assert cache[1] is hparameters


def test_conv_backward() -> None:
    Z, cache = conv_cell()
    dA, dW, db = conv_backward(Z, cache)
    assert (dA.shape, dW.shape, db.shape) == ((10, 4, 4, 3), (2, 2, 3, 8), (1, 1, 1, 8))
    means = [np.mean(dA), np.mean(dW), np.mean(db)]
    np.testing.assert_allclose(
        means, [1.452437777539, 1.726991458314, 7.839232564617], rtol=0, atol=5e-13
    )


def test_create_mask_from_window() -> None:
    x = np.random.randn(2, 3)
    np.testing.assert_array_equal(
        create_mask_from_window(x), [[True, False, False], [False, False, False]]
    )


def test_distribute_value() -> None:
    np.testing.assert_array_equal(distribute_value(2, (2, 2)), [[0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("mode", "printed"),
    [
        ("max", [[0, 0], [5.05844394, -1.68282702], [0, 0]]),
        (
            "average",
            [[0.08485462, 0.2787552], [1.26461098, -0.25749373], [1.17975636, -0.53624893]],
        ),
    ],
)
def test_pool_backward(mode: str, printed: list[list[float]]) -> None:
    A_prev = np.random.randn(5, 5, 3, 2)
    _, cache = pool_forward(A_prev, {"stride": 1, "f": 2})
    dA = np.random.randn(5, 4, 2, 2)
    dA_prev = pool_backward(dA, cache, mode=mode)
    assert np.mean(dA) == pytest.approx(0.145713902729, abs=5e-13)
    assert dA_prev.shape == (5, 5, 3, 2)
    close(dA_prev[1, 1], printed)


def test_nothing_is_written_into_the_arguments() -> None:
    arrays = {
        "A_prev": np.random.randn(2, 5, 5, 2),
        "W": np.random.randn(2, 2, 2, 3),
        "b": np.random.randn(1, 1, 1, 3),
        "dZ": np.random.randn(2, 4, 4, 3),
        "dA": np.random.randn(2, 4, 4, 2),
    }
    for array in arrays.values():
        array.setflags(write=False)
    A_prev, W, b, dZ, dA = arrays.values()
    hparameters: dict[str, Any] = {"stride": 1, "pad": 0}
    _, conv_cache = conv_forward(A_prev, W, b, hparameters)
    conv_backward(dZ, conv_cache)
    zero_pad(A_prev, 1)
    conv_single_step(A_prev[0, :2, :2], W[..., 0], b[..., 0])
    create_mask_from_window(A_prev[0, :, :, 0])
    for mode in ("max", "average", "min", "lp"):
        _, pool_cache = pool_forward(A_prev, {"f": 2, "stride": 1}, mode)
        pool_backward(dA, pool_cache, mode)
    assert hparameters == {"stride": 1, "pad": 0}


def test_zero_pads_give_a_new_array() -> None:
    X = np.random.randn(1, 2, 2, 1)
    padded = zero_pad(X, 0)
    padded[...] = 0
    assert np.count_nonzero(X) == 4


def test_bias_of_any_size_one_shape_is_one_number() -> None:
    a_slice_prev, W = np.ones((2, 2, 1)), np.ones((2, 2, 1))
    steps = [conv_single_step(a_slice_prev, W, b) for b in (0.5, np.full((1, 1, 1), 0.5))]
    assert steps == [4.5, 4.5]
