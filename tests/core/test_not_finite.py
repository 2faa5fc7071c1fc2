"""NaN and infinities: every algorithm gives what the loop over conv_single_step gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from cnncli import conv_backward, conv_forward
from cnncli.core import engine, strips, window_reduce
from cnncli.core.algorithms import factored
from cnncli.core.choices import PAD_MODES
from cnncli.core.geometry import place_window
from cnncli.core.hparameters import CONV_DEFAULTS
from cnncli.core.pool import Pooling, pool, pool_backward, pool_forward, pool_window
from cnncli.errors import OptionError, ShapeError
from tests.support.correlate import correlate
from tests.support.judges import loop_conv_forward, loop_pool_forward
from tests.support.memory import traced_peak
from tests.support.sweep import sweep

Array = Any

KERNELS: dict[str, Array] = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "nothing": np.zeros((3, 3)),
    "corner": [[0, 0, 0], [0, 0, 0], [0, 0, 2]],
    "left column": [[1, 0, 0], [2, 0, 0], [3, 0, 0]],
    "top row": [[1, -2, 1], [0, 0, 0], [0, 0, 0]],
    "sobel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "1 0 0 0 1": [[1, 0, 0, 0, 1]],
    "dense": [[1.5, 2, -1], [0.5, 3, 1], [-2, 1, 4]],
    "rank 2": np.outer([1, 2, 1], [1, 0, 1]) + np.outer([0, 1, -1], [0, 1, 0]),
    "wide": np.outer(np.hanning(11), np.hanning(9)),
}
LAYERS: list[dict[str, Any]] = [
    {"pad": 1},
    {},
    {"stride": 2, "pad": 2},
    {"stride": (1, 3), "pad": (0, 4)},
    {"dilation": (2, 3), "pad": "same"},
    {"stride": 3, "dilation": 2, "pad": ((4, 5), (3, 1))},
]
BROKEN = [np.nan, np.inf, -np.inf]


@pytest.fixture(params=[False, True], ids=["whole", "strips"])
def thin_strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(strips, "STRIP_BYTES", 2048)
        monkeypatch.setattr(window_reduce, "STRIPS_FROM", 0)
        monkeypatch.setattr(factored, "GROUP_BYTES", 2048)


def run_all(X: Array, W: Array, b: Array, fields: dict[str, Any]) -> dict[str, Array]:
    """What every algorithm that can do the layer makes of it."""
    every = {**CONV_DEFAULTS, **fields}
    window = place_window(
        X.shape[1:3], W.shape[:2], every["stride"], every["pad"], every["dilation"]
    )
    plain = engine.prepare_convolution(W, window, every["groups"], images=len(X))
    results = {}
    for name, module in engine.ALGORITHMS.items():
        if module.work(W, plain.task) is not None:
            border = every["pad_mode"], every["pad_value"]
            results[name] = correlate(
                X, W, window, every["groups"], border, bias=b, algorithm=name, jobs=1
            )
    return results


def assert_as_the_loop(X: Array, W: Array, fields: dict[str, Any]) -> set[str]:
    b = np.linspace(-1, 1, W.shape[3]).astype(W.dtype)
    with np.errstate(all="ignore"):
        expected = loop_conv_forward(X, W, b.reshape(1, 1, 1, -1), fields)
    results = run_all(X, W, b, fields)
    for name, Z in results.items():
        finite = np.isfinite(expected)
        # Equal NaN in equal cells, infinities of the same sign, numbers as near as always.
        np.testing.assert_array_equal(Z[~finite], expected[~finite], err_msg=f"{name} {fields}")
        bound = 1e-4 if W.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(Z[finite], expected[finite], atol=bound, err_msg=name)
    return set(results)


def broken_batch(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Two pictures, of which some cells in one are not finite: at a corner, an edge, inside."""
    X = rng.uniform(-1, 1, shape).astype(dtype)
    n_H, n_W, n_C = shape[1:]
    for row, col in ((0, n_W - 1), (n_H - 1, n_W // 2), (n_H // 2, 3)):
        if rng.random() < 0.6:
            X[0, row, col, rng.integers(n_C)] = rng.choice(BROKEN)
    return X


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize(
    ("kernel", "fields", "dtype"), sweep(KERNELS, LAYERS, [np.float32, np.float64])
)
def test_image_filters(kernel: str, fields: dict[str, Any], dtype: Any) -> None:
    rng = np.random.default_rng(len(kernel))
    plane = np.array(KERNELS[kernel], dtype)
    W = np.tile(plane[:, :, None, None], (1, 1, 1, 3))
    for mode in rng.permutation(PAD_MODES)[:2].tolist():
        X = broken_batch(rng, (2, 13, 14, 3), dtype)
        done = assert_as_the_loop(X, W, {**fields, "groups": 3, "pad_mode": mode})
        assert {"shift-add", "banded", "matmul"} <= done


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize(
    ("channels", "fields", "side"),
    sweep([(3, 5, 1), (4, 6, 2), (3, 6, 3), (9, 2, 1), (1, 4, 1)], LAYERS, [1, 3, 5]),
)
def test_banks(channels: tuple[int, int, int], fields: dict[str, Any], side: int) -> None:
    rng = np.random.default_rng(1)
    n_C_prev, n_C, groups = channels
    for dtype in (np.float32, np.float64):
        W = rng.uniform(-1, 1, (side, side, n_C_prev // groups, n_C)).astype(dtype)
        W[rng.random(W.shape) < 0.4] = 0
        X = broken_batch(rng, (2, 13, 14, n_C_prev), dtype)
        assert_as_the_loop(X, W, {**fields, "groups": groups})


@pytest.mark.parametrize("algorithm", list(engine.ALGORITHMS))
def test_one_nan_makes_nine_under_an_identity(algorithm: str) -> None:
    X = np.ones((2, 24, 20, 1), np.float32)
    X[0, 11, 9] = np.nan
    W = np.zeros((3, 3, 1, 1), np.float32)
    W[1, 1] = 1
    window = place_window((24, 20), 3, padding=1)
    Z = correlate(X, W, window, algorithm=algorithm)
    marked = np.zeros(X.shape, bool)
    marked[0, 10:13, 8:11] = True
    np.testing.assert_array_equal(np.isnan(Z), marked)
    np.testing.assert_allclose(Z[~marked], 1, atol=1e-5)


def test_a_large_filter_on_a_nan_takes_no_more_memory() -> None:
    X = np.ones((1, 300, 120, 1), np.float32)
    X[0, 150, 60] = np.nan
    W = np.random.default_rng(4).uniform(-1, 1, (41, 41, 1, 1)).astype(np.float32)
    layer = engine.prepare_convolution(W, place_window((300, 120), 41), algorithm="fourier")
    # The windows of one strip, side by side, would take 140 MB.
    assert traced_peak(lambda: layer(X, jobs=1)) < 20_000_000
    Z = layer(X, jobs=1)
    marked = np.zeros(Z.shape, bool)
    marked[0, 110:151, 20:61] = True
    np.testing.assert_array_equal(np.isnan(Z), marked)


@pytest.mark.parametrize("kernel", ["box", "identity", "gradient"])
def test_values_that_mean_no_data_do_not_overflow(kernel: str) -> None:
    planes = {"box": np.full((3, 3), 1 / 9), "gradient": np.array([[-0.25, 0.0, 0.25]])}
    plane = np.array(planes.get(kernel, KERNELS.get(kernel)), np.float32)
    X = np.random.default_rng(5).uniform(0, 1, (1, 13, 14, 1)).astype(np.float32)
    X[0, 3:8, 5:9] = -3.4028235e38
    W = plane[:, :, None, None]
    expected = loop_conv_forward(X, W, np.zeros((1, 1, 1, 1)), {"pad": 1})
    with np.errstate(over="ignore"):
        expected = expected.astype(np.float32)
    for name, Z in run_all(X, W, np.zeros(1, np.float32), {"pad": 1}).items():
        np.testing.assert_array_equal(np.isnan(Z), False, err_msg=name)
        np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("value", [-9999, 1e7, 1e12, 1e16, -3e38])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_that_means_no_data_spoils_no_window_without_it(value: float, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    X = rng.random((1, 90, 80, 2)).astype(dtype)
    W = rng.standard_normal((25, 25, 1, 2)).astype(dtype)
    window = place_window((90, 80), 25)

    def filtered(X: Array) -> Array:
        # Far values may well overflow in windows that hold them.
        with np.errstate(all="ignore"):
            return correlate(X, W, window, groups=2, algorithm="fourier")

    with_value = X.copy()
    with_value[0, 40, 30, 0] = value
    without = filtered(X)
    apart = np.ones(without.shape, bool)
    apart[0, 16:41, 6:31, 0] = False
    difference = np.abs(filtered(with_value) - without)[apart].max()
    assert difference <= (1e-5 if dtype == np.float32 else 1e-11) * np.abs(without).max()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_pads_under_taps_of_weight_zero(value: float) -> None:
    X = np.ones((1, 6, 7, 1))
    for kernel in ("identity", "left column", "laplacian"):
        W = np.array(KERNELS[kernel], float)[:, :, None, None]
        assert_as_the_loop(X, W, {"pad": 1, "pad_value": value})


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize(
    ("mode", "fields", "dtype"),
    sweep(
        ["max", "min", "average", "lp"],
        [
            {"f": 2},
            {"f": (3, 4), "stride": 1, "pad": 1},
            {"f": 3, "stride": 2, "dilation": 2, "pad": 2, "ceil": True},
            {"f": 9, "stride": 1, "pad": 4, "count_include_pad": True},
            {"f": "global"},
        ],
        [np.float32, np.float64],
    ),
)
def test_pools(mode: str, fields: dict[str, Any], dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(4):
        A_prev = broken_batch(rng, (2, 13, 14, 3), dtype)
        with np.errstate(all="ignore"):
            expected = loop_pool_forward(A_prev, fields, mode)
        A, _ = pool_forward(A_prev, fields, mode)
        np.testing.assert_allclose(A, expected, rtol=1e-5, atol=1e-6, err_msg=f"{fields}")


def test_one_infinity_leaves_the_norms_of_other_windows() -> None:
    A_prev = np.array([np.inf, 1, 3e30, 4e30, np.nan, 1, 3e-30, 4e-30], np.float32)
    A, _ = pool_forward(A_prev.reshape(1, 1, 8, 1), {"f": (1, 2)}, "lp")
    np.testing.assert_allclose(A.ravel(), [np.inf, 5e30, np.nan, 5e-30], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_layers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(strips, "STRIP_BYTES", int(rng.choice([1024, 8192, 2**22])))
    for _ in range(8):
        groups, multiplier = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        inner, dtype = int(rng.choice([1, 1, 2, 9])), rng.choice([np.float32, np.float64])
        W = rng.uniform(-1, 1, (*rng.integers(1, 7, 2), inner, groups * multiplier))
        W[rng.random(W.shape) < rng.choice([0, 0.3, 0.7])] = 0
        if inner == 1 and rng.random() < 0.6:
            W[...] = W[:, :, :, :1]
        fields = {
            "groups": groups,
            "stride": tuple(int(s) for s in rng.integers(1, 4, 2)),
            "dilation": tuple(int(d) for d in rng.integers(1, 4, 2)),
            "pad": tuple(int(p) for p in rng.integers(0, 9, 2)),
            "pad_mode": str(rng.choice(PAD_MODES)),
        }
        X = broken_batch(rng, (2, *rng.integers(5, 24, 2), groups * inner), dtype)
        try:
            assert_as_the_loop(X, W.astype(dtype), fields)
        except ShapeError:
            continue  # no window fits


@pytest.mark.oracle
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_footprints_are_torch_s(kernel: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    plane = np.array(KERNELS[kernel], np.float32)
    W = np.tile(plane[:, :, None, None], (1, 1, 1, 3))
    for stride, dilation in ((1, 1), (2, 1), (1, 2)):
        X = broken_batch(rng, (2, 26, 27, 3), np.float32)
        fields = {"pad": 3, "stride": stride, "dilation": dilation, "groups": 3}
        Z, _ = conv_forward(X, W, np.zeros((1, 1, 1, 3), np.float32), fields)
        expected = torch.nn.functional.conv2d(
            torch.from_numpy(X.transpose(0, 3, 1, 2).copy()),
            torch.from_numpy(W.transpose(3, 2, 0, 1).copy()),
            padding=3,
            stride=stride,
            dilation=dilation,
            groups=3,
        )
        expected = expected.numpy().transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(np.isnan(Z), np.isnan(expected))
        np.testing.assert_allclose(Z, expected, atol=1e-4)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_far_larger_value_between_rows_of_zeros_spoils_no_other_window(first: int) -> None:
    rng = np.random.default_rng(first)
    X = np.zeros((1, 64, 64, 1), np.float32)
    X[:, first::4] = 1e-3 * rng.standard_normal((1, 16, 64, 1))
    X[0, 50, 50] = 900
    W = rng.standard_normal((21, 21, 1, 1)).astype(np.float32)
    window = place_window((64, 64), 21)
    made = engine.prepare_convolution(W, window, algorithm="fourier")(X)
    expected = engine.prepare_convolution(W.astype(np.float64), window, algorithm="matmul")(
        X.astype(np.float64)
    )
    far = np.s_[:, :25, :25]
    np.testing.assert_allclose(made[far], expected[far], rtol=0, atol=1e-7)


def test_lp_pools_of_far_numbers_beside_infinities_warn_of_nothing() -> None:
    A = np.ones((1, 4, 4, 1), np.float32)
    A[0, 0, 0], A[0, 1, 1] = 1e30, np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pooled = pool(A, Pooling(pool_window((4, 4), 2), "lp", p=7.0))
    assert np.isinf(pooled[0, 0, 0, 0]) and np.isfinite(pooled[0, 1:]).all()


def test_complex_gradients_are_refused() -> None:
    A, cache = pool_forward(np.ones((1, 4, 4, 1)), {"f": 2})
    with pytest.raises(OptionError, match="real numbers"):
        pool_backward(A * 1j, cache)
    Z, kept = conv_forward(np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), np.zeros((1, 1, 1, 1)), {})
    with pytest.raises(OptionError, match="real numbers"):
        conv_backward(Z * 1j, kept)
