"""Every backward pass against central differences, over the product of the options."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import conv_backward, conv_forward, pool_backward, pool_forward
from cnncli.core.activations import ACTIVATIONS, get_activation
from cnncli.core.padding import pad_borders, pad_borders_backward
from tests.support.judges import distinct_values, numeric_gradient
from tests.support.sweep import sweep

CONV_PADS: list[Any] = [0, (1, 2), ((0, 1), (2, 0)), "same", "same-lower"]
STRIDES: list[Any] = [1, 2, (2, 3)]
FILTERS = {
    "bank": ((3, 2, 2, 3), 1),
    "groups": ((2, 2, 2, 4), 2),
    "depthwise": ((3, 2, 1, 2), 2),
    "multiplier": ((2, 2, 1, 4), 2),
}
POOL_PADS: list[Any] = [0, 1, ((0, 1), (1, 0)), "same", "same-lower"]
POOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "max": ("max", {}),
    "min": ("min", {}),
    "average": ("average", {}),
    "average with pads": ("average", {"count_include_pad": True}),
    "lp 1": ("lp", {"p": 1}),
    "lp 1.5": ("lp", {"p": 1.5}),
    "lp 2": ("lp", {"p": 2}),
    "lp 3": ("lp", {"p": 3}),
    "lp inf": ("lp", {"p": np.inf}),
}
WINDOWS: list[dict[str, Any]] = [
    {"f": 2},
    {"f": 3, "stride": 2},
    {"f": (2, 3), "stride": 1},
    {"f": 2, "stride": (1, 3), "dilation": (2, 1)},
]


def agree(gradient: Any, numeric: Any, context: object) -> None:
    looked_at = ~np.isnan(numeric)
    assert looked_at.any() and np.isfinite(gradient).all()
    got, expected = gradient[looked_at], numeric[looked_at]
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-7, err_msg=str(context))


def check_conv(shape: tuple[int, ...], hparameters: dict[str, Any]) -> None:
    """Compare all three gradients of one layer over two images with a bias without zeros."""
    rng = np.random.default_rng(11)
    channels = shape[2] * hparameters.get("groups", 1)
    arrays = [rng.standard_normal(s) for s in ((2, 3, 4, channels), shape, (1, 1, 1, shape[3]))]
    arrays[2] += 3
    Z, cache = conv_forward(*arrays, hparameters)
    dZ = rng.standard_normal(Z.shape)
    for index, gradient in enumerate(conv_backward(dZ, cache)):

        def forward(x: Any, index: int = index) -> Any:
            given = [*arrays[:index], x, *arrays[index + 1 :]]
            return conv_forward(*given, hparameters)[0]

        # Primes, so that rows, columns and channels all have their turn.
        numeric = numeric_gradient(forward, arrays[index], dZ, every=(5, 3, 1)[index])
        agree(gradient, numeric, (index, hparameters))


@pytest.mark.parametrize(("name", "pad", "stride"), sweep(FILTERS, CONV_PADS, STRIDES, rounds=2))
def test_conv(name: str, pad: Any, stride: Any) -> None:
    shape, groups = FILTERS[name]
    for dilation in (1, (1, 2)):
        fields = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
        check_conv(shape, fields)


@pytest.mark.parametrize("images", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 2, 4, 9, 100])
def test_filters_gather_all_strips(rows: int, images: int, monkeypatch: Any) -> None:
    """Strips of a few rows, of one image and of several, the last one smaller."""
    rng = np.random.default_rng(10)
    A_prev, W = rng.standard_normal((images, 6, 5, 2)), np.zeros((3, 2, 2, 3))
    Z, cache = conv_forward(A_prev, W, np.zeros((1, 1, 1, 3)), {})
    dZ = rng.standard_normal(Z.shape)
    monkeypatch.setattr(
        "cnncli.core.conv_gradients.STRIP_BYTES", rows * Z.shape[2] * (2 * 2 + 3) * 8
    )
    windows = np.lib.stride_tricks.sliding_window_view(A_prev, (3, 2), axis=(1, 2))
    expected = np.einsum("mijckl,mijo->klco", windows, dZ)
    agree(conv_backward(dZ, cache)[1], expected, rows)


@pytest.mark.parametrize(
    ("mode", "pad"),
    sweep(
        ["zeros", "edge", "reflect", "symmetric", "wrap"],
        [(1, 2), ((0, 1), (2, 0)), "same", ((5, 0), (0, 6))],
    ),
)
def test_conv_with_borders(mode: str, pad: Any) -> None:
    for stride, (shape, groups) in product((1, (2, 3)), (FILTERS["bank"], FILTERS["groups"])):
        fields = {"stride": stride, "pad": pad, "pad_mode": mode, "groups": groups}
        check_conv(shape, fields)


def test_conv_with_a_constant_border() -> None:
    check_conv((2, 3, 2, 2), {"pad": (1, 2), "pad_value": -2.5, "stride": 2})


def test_cells_that_no_window_reads_get_no_gradient() -> None:
    A_prev, W = np.ones((1, 6, 6, 1)), np.ones((2, 2, 1, 1))
    Z, cache = conv_forward(A_prev, W, np.zeros((1, 1, 1, 1)), {"stride": 4})
    dA_prev, _, _ = conv_backward(np.ones_like(Z), cache)
    assert Z.shape == (1, 2, 2, 1)
    read = np.zeros(6)
    read[[0, 1, 4, 5]] = 1
    np.testing.assert_array_equal(dA_prev[0, :, :, 0], np.outer(read, read))


def check_pool(hparameters: dict[str, Any], mode: str) -> None:
    rng = np.random.default_rng(12)
    A_prev = distinct_values(rng, 1, 5, 6, 2)
    A, cache = pool_forward(A_prev, hparameters, mode)
    dA = rng.standard_normal(A.shape)

    def forward(x: Any) -> Any:
        values = pool_forward(x, hparameters, mode)[0]
        # A window of pads only holds an infinity that no cell can change.
        return np.where(np.isfinite(values), values, 0)

    numeric = numeric_gradient(forward, A_prev, dA, every=3)
    agree(pool_backward(dA, cache, mode), numeric, (mode, hparameters))


@pytest.mark.parametrize(("name", "pad"), sweep(POOLS, POOL_PADS))
def test_pool(name: str, pad: Any) -> None:
    mode, extra = POOLS[name]
    for window, ceil in product(WINDOWS, (False, True)):
        check_pool({**window, **extra, "pad": pad, "ceil": ceil}, mode)


@pytest.mark.parametrize("pad", [0, ((1, 0), (2, 1))], ids=str)
@pytest.mark.parametrize("name", POOLS)
def test_global_pool(name: str, pad: Any) -> None:
    mode, extra = POOLS[name]
    check_pool({**extra, "f": "global", "pad": pad}, mode)


@pytest.mark.parametrize("p", [0.5, 7])
def test_lp_of_other_powers(p: float) -> None:
    check_pool({"f": 2, "stride": 1, "p": p}, "lp")


@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("pads", [((1, 2), (0, 3)), ((7, 0), (9, 5))], ids=str)
def test_borders(mode: str, pads: Any) -> None:
    rng = np.random.default_rng(13)
    X = rng.standard_normal((2, 3, 4, 2))
    padded = pad_borders(X, pads, mode, 1.5)
    dX_pad = rng.standard_normal(padded.shape)
    numeric = numeric_gradient(lambda x: pad_borders(x, pads, mode, 1.5), X, dX_pad)
    agree(pad_borders_backward(dX_pad, pads, mode), numeric, (mode, pads))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    slopes = {"alpha": np.array([0.3, -0.2])} if name in ("prelu", "pow") else {}
    activation = get_activation(name, **slopes)
    rng = np.random.default_rng(14)
    # Half-way between kinks, and far enough out to saturate.
    Z = np.linspace(-6.05, 6.05, 2 * 3 * 5 * 2).reshape(2, 3, 5, 2)
    if name in ("log", "sqrt", "pow", "reciprocal"):
        Z = np.abs(Z) + 0.5
    dA = rng.standard_normal(Z.shape)
    gradient = activation.backward(dA, Z, activation.forward(Z))
    agree(gradient, numeric_gradient(activation.forward, Z, dA), name)


def test_numeric_gradient_of_a_known_function() -> None:
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    dY = np.array([[1.0, 2.0], [3.0, -1.0]])
    np.testing.assert_allclose(numeric_gradient(lambda v: v**3, x, dY), 3 * x**2 * dY, rtol=1e-8)
