"""Every algorithm against the loop over conv_single_step, and what the engine promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cnncli.core import engine, strips, window_reduce
from cnncli.core.algorithms import factored, low_rank, shift_add, winograd
from cnncli.core.choices import PAD_MODES
from cnncli.core.geometry import place_window
from cnncli.core.hparameters import CONV_DEFAULTS
from cnncli.core.pool import Pooling, pool_forward, pool_rows, pool_window
from cnncli.errors import OptionError, ShapeError
from tests.support.correlate import correlate
from tests.support.judges import loop_conv_forward
from tests.support.sweep import sweep

WINOGRAD_BOUND = 1e-5
"""Largest error of Winograd's in float32, relative to ``sum |window * W|`` at its largest."""

Arrays = tuple[Any, Any, Any]

SPACING: list[dict[str, Any]] = [
    {},
    {"stride": 2, "pad": 1},
    {"dilation": 2, "pad": "same"},
    {"stride": (3, 2), "pad": ((2, 0), (1, 3)), "pad_value": 1.5},
    {"stride": (2, 3), "dilation": (2, 3), "pad": (4, 5)},
    {"pad": "same", "pad_mode": "reflect"},
    {"pad": "same-lower", "pad_mode": "wrap"},
    {"pad": 1, "pad_mode": "edge", "stride": (1, 2)},
    {"pad": 2, "pad_mode": "symmetric", "dilation": (1, 2)},
]
KERNELS = [(1, 1), (3, 3), (2, 5), (4, 1), (9, 2)]
CHANNELS = {"one": (1, 1, 1), "each": (3, 3, 3), "multiplied": (2, 6, 2), "pairs": (4, 6, 2),
            "all": (3, 5, 1)}  # fmt: skip


def make_layer(
    kernel: tuple[int, int], channels: tuple[int, int, int], dtype: Any, shared: bool = False
) -> Arrays:
    """A batch of two pictures, filters and a bias; `shared`: one rank-1 kernel on every channel."""
    rng = np.random.default_rng(kernel[0] * 10 + kernel[1])
    n_C_prev, n_C, groups = channels
    X = rng.standard_normal((2, 11, 12, n_C_prev)).astype(dtype)
    W = rng.standard_normal((*kernel, n_C_prev // groups, n_C))
    if shared:
        W[...] = np.outer(W[:, 0, 0, 0], W[0, :, 0, 0])[:, :, None, None]
    return X, W.astype(dtype), rng.standard_normal((1, 1, 1, n_C)).astype(dtype)


def plan_layer(arrays: Arrays, fields: Mapping[str, Any], algorithm: str) -> engine.Convolution:
    X, W, b = arrays
    every = {**CONV_DEFAULTS, **fields}
    return engine.prepare_convolution(
        W,
        place_window(X.shape[1:3], W.shape[:2], every["stride"], every["pad"], every["dilation"]),
        every["groups"],
        (every["pad_mode"], every["pad_value"]),
        images=len(X),
        bias=b,
        algorithm=algorithm,
    )


def accepted(arrays: Arrays, fields: Mapping[str, Any]) -> dict[str, engine.Convolution]:
    """The layer as every algorithm that can do it has prepared it."""
    plans = {}
    for name, module in engine.ALGORITHMS.items():
        task = plan_layer(arrays, fields, "matmul").task
        if module.work(arrays[1], task) is not None:
            plans[name] = plan_layer(arrays, fields, name)
    return plans


@pytest.mark.parametrize(
    ("fields", "name", "dtype"), sweep(SPACING, CHANNELS, [np.float32, np.float64])
)
def test_every_algorithm_equals_the_loop(fields: dict[str, Any], name: str, dtype: Any) -> None:
    fields = {**fields, "groups": CHANNELS[name][2]}
    for kernel in KERNELS:
        arrays = make_layer(kernel, CHANNELS[name], dtype, shared=name != "multiplied")
        expected = loop_conv_forward(*arrays, fields)
        scale = np.abs(arrays[0]).max() * np.abs(arrays[1]).sum(axis=(0, 1, 2)).max() + 1
        plans = accepted(arrays, fields)
        assert "matmul" in plans
        for algorithm, layer in plans.items():
            Z = layer(arrays[0])
            assert Z.dtype == dtype
            error = np.abs(Z - expected).max() / scale
            bound = WINOGRAD_BOUND if algorithm == "winograd" else 4 * np.finfo(dtype).eps
            assert error <= bound, (algorithm, kernel)


@pytest.mark.parametrize(
    ("name", "kernel", "channels", "algorithms"),
    [
        ("a kernel of rank 1", (3, 3), (3, 3, 3),
         {"shift-add", "low-rank", "banded", "matmul", "fourier"}),
        ("a dense 3x3 layer", (3, 3), (3, 5, 1), {"matmul", "winograd"}),
        ("a dense 5x5 layer", (5, 5), (3, 5, 1), {"matmul", "winograd"}),
        ("groups of two", (3, 3), (4, 6, 2), {"matmul"}),
    ],
)  # fmt: skip
def test_who_can_do_what(
    name: str, kernel: tuple[int, int], channels: tuple[int, int, int], algorithms: set[str]
) -> None:
    arrays = make_layer(kernel, channels, np.float32, shared=True)
    assert set(accepted(arrays, {"groups": channels[2]})) == algorithms


@pytest.fixture
def thin_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut every layer into many strips and use threads for all of them."""
    monkeypatch.setattr(strips, "STRIP_BYTES", 4096)
    monkeypatch.setattr(engine, "THREADS_FROM_NANOSECONDS", 0)
    monkeypatch.setattr(window_reduce, "STRIPS_FROM", 0)
    monkeypatch.setattr(window_reduce, "THREADS_FROM_VALUES", 0)
    monkeypatch.setattr(factored, "GROUP_BYTES", 2048)


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["each", "all", "pairs"])
def test_bytes_depend_neither_on_threads_nor_on_the_caller_s_rows(name: str, dtype: Any) -> None:
    fields = {"pad": "same", "pad_mode": "wrap", "groups": CHANNELS[name][2]}
    rng = np.random.default_rng(5)
    X, W, b = make_layer((3, 3), CHANNELS[name], dtype, shared=True)
    X = rng.standard_normal((2, 41, 23, X.shape[3])).astype(dtype)
    for algorithm, layer in accepted((X, W, b), fields).items():
        assert layer.grid.rows < 41
        alone = layer(X, jobs=1)
        assert layer(X, jobs=2).tobytes() == alone.tobytes(), algorithm
        for first, last in [(0, 1), (3, 20), (40, 41), (7, 41)]:
            rows = layer.rows(lambda images, r: X[images, r], first, last)
            assert rows.tobytes() == alone[:, first:last].tobytes(), (algorithm, first, last)


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect"])
def test_a_stream_reads_only_the_rows_it_needs(mode: str) -> None:
    X = np.random.default_rng(6).standard_normal((1, 60, 5, 1))
    W = np.ones((5, 3, 1, 1))
    window = place_window((60, 5), (5, 3), padding="same")
    asked: list[int] = []

    def source(images: slice, rows: slice) -> Any:
        asked.extend(range(rows.start, rows.stop))
        return X[images, rows]

    Z = correlate(X, W, window, border=(mode, 0.0), algorithm="matmul")
    layer = engine.prepare_convolution(W, window, border=(mode, 0.0), algorithm="matmul")
    first = layer.grid.rows
    part = layer.rows(source, first, 2 * first)
    assert part.tobytes() == Z[:, first : 2 * first].tobytes()
    assert (min(asked), max(asked)) == (max(0, first - 2), min(59, 2 * first + 1))


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize(
    ("n_C", "fields", "dtype"),
    sweep(
        [1, 2, 29, 96, 800],
        [{}, {"stride": 2, "pad": 2}, {"dilation": (1, 2), "pad": "same"}, {"stride": (2, 1)}],
        [np.float32, np.float64],
    ),
)
def test_depthwise_layers_of_many_channels(n_C: int, fields: dict[str, Any], dtype: Any) -> None:
    rng = np.random.default_rng(n_C)
    for side, multiplier in ((3, 1), (5, 1), (2, 2)):
        X = rng.standard_normal((2, 13, 23, n_C)).astype(dtype)
        W = rng.standard_normal((side, side, 1, n_C * multiplier)).astype(dtype)
        arrays = X, W, rng.standard_normal((1, 1, 1, n_C * multiplier)).astype(dtype)
        Z = plan_layer(arrays, {**fields, "groups": n_C}, "shift-add")(X, jobs=2)
        for channel in {0, n_C // 2, n_C - 1}:
            own = slice(channel * multiplier, (channel + 1) * multiplier)
            alone = X[..., channel : channel + 1], W[..., own], arrays[2][..., own]
            expected = loop_conv_forward(*(array.astype(float) for array in alone), fields)
            bound = 8 * np.finfo(dtype).eps * (np.abs(X).max() * side**2 + 1)
            assert np.abs(Z[..., own] - expected).max() <= bound, (side, channel)


@pytest.mark.parametrize(
    ("side", "span", "bound"), [(3, 4, 1e-6), (3, 6, WINOGRAD_BOUND), (5, 6, WINOGRAD_BOUND)]
)
@pytest.mark.parametrize("channels", [(1, 1), (3, 64), (128, 40), (512, 8)])
def test_winograd_keeps_its_error_bound(
    channels: tuple[int, int], side: int, span: int, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(winograd.SPANS, side, (span,))
    rng = np.random.default_rng(channels[0])
    X = rng.standard_normal((1, 19, 22, channels[0])).astype(np.float32)
    W = rng.standard_normal((side, side, *channels)).astype(np.float32)
    window = place_window((19, 22), side, padding="same")
    exact = correlate(X.astype(float), W.astype(float), window)
    magnitudes = correlate(np.abs(X).astype(float), np.abs(W).astype(float), window)
    Z = correlate(X, W, window, algorithm="winograd")
    assert np.abs(Z - exact).max() <= bound * magnitudes.max()


@pytest.mark.parametrize(("size", "span"), [(14, 4), (28, 6)])
def test_winograd_takes_small_tiles_where_filters_are_most_of_the_memory(
    size: int, span: int
) -> None:
    W = np.zeros((3, 3, 512, 512), np.float32)
    window = place_window((size, size), 3, padding="same")
    layer = engine.prepare_convolution(W, window, algorithm="winograd", runs=math.inf)
    assert layer.kernel.filter_bytes == span**2 * W[0, 0].nbytes


@pytest.mark.parametrize(
    ("side", "span"), [(side, span) for side, spans in winograd.SPANS.items() for span in spans]
)
@pytest.mark.parametrize("channels", [(1, 1), (3, 64), (200, 170)])
def test_filters_are_transformed_along_both_axes(
    channels: tuple[int, int], side: int, span: int
) -> None:
    assert winograd.BLOCK_FILTERS < winograd.THREADS_FROM_FILTERS < 200 * 170
    W = np.random.default_rng(side).standard_normal((side, side, *channels)).astype(np.float32)
    matrix = winograd.filter_transform(side, span)
    expected = np.einsum("pi,qj,ijab->pqab", matrix, matrix, W.astype(float))
    transformed = winograd.transform_filters(W, span)
    assert transformed.dtype == np.float32
    assert np.allclose(transformed.reshape(expected.shape), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("n_C", "layer"),
    sweep([7, 64, 130, 600], [(2, 3, 2), (2, 4, 3), (40, 3, 1), (40, 5, 1), (300, 1, 1)]),
)
def test_products_in_blocks_equal_whole_ones(layer: tuple[int, int, int], n_C: int) -> None:
    n_C_prev, kernel, stride = layer
    rng = np.random.default_rng(n_C)
    X = rng.standard_normal((2, 18, 37, n_C_prev)).astype(np.float32)
    W = rng.standard_normal((kernel, kernel, n_C_prev, n_C)).astype(np.float32)
    b = rng.standard_normal((1, 1, 1, n_C)).astype(np.float32)
    fields = {"pad": kernel // 2, "stride": stride}
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(X, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2, (0, 0))),
        (kernel, kernel),
        (1, 2),
    )[:, ::stride, ::stride]
    expected = np.tensordot(windows, W.transpose(2, 0, 1, 3), 3) + b
    scale = np.abs(X).max() * np.abs(W).sum(axis=(0, 1, 2)).max() + 1
    for algorithm, prepared in accepted((X, W, b), fields).items():
        Z = prepared(X, jobs=2)
        assert np.abs(Z - expected).max() <= WINOGRAD_BOUND * scale, algorithm
        assert prepared(X, jobs=1).tobytes() == Z.tobytes()


def test_float64_takes_an_exact_path() -> None:
    arrays = make_layer((3, 3), (3, 5, 1), np.float64)
    with pytest.raises(OptionError, match="winograd"):
        plan_layer(arrays, {}, "winograd")
    assert plan_layer(arrays, {}, "auto").choice.algorithm == "matmul"


BORDERED: list[dict[str, Any]] = [
    {"stride": 2, "pad": 1},
    {"stride": (1, 3), "pad": ((0, 1), (2, 3)), "pad_mode": "edge"},
    {"stride": 3, "dilation": 2, "pad": "same", "pad_mode": "wrap"},
    {"pad": ((0, 1), (0, 5)), "pad_mode": "reflect"},
]


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize(
    ("value", "channels", "fields"),
    sweep([np.nan, np.inf, 1e200], [(1, 1, 1), (1, 5, 1), (3, 6, 3)], BORDERED),
)
def test_what_is_not_finite_stays_in_its_windows_with_strides_and_borders(
    value: float, channels: tuple[int, int, int], fields: dict[str, Any]
) -> None:
    fields = {**fields, "groups": channels[2]}
    for kernel in KERNELS:
        arrays = make_layer(kernel, channels, np.float64, shared=True)
        X = arrays[0]
        X[0, 8, 3, 0] = value
        with np.errstate(all="ignore"):
            expected = loop_conv_forward(*arrays, fields)
        untouched = np.isfinite(expected) & (np.abs(expected) < 1e150)
        for algorithm, layer in accepted(arrays, fields).items():
            if algorithm == "fourier" and np.isfinite(value):
                continue  # its error is relative to the largest value of a tile
            Z = layer(X, jobs=1)
            assert np.isfinite(Z[untouched]).all(), (algorithm, kernel)
            assert np.allclose(Z[untouched], expected[untouched]), (algorithm, kernel)
            assert layer(X, jobs=2).tobytes() == Z.tobytes(), (algorithm, kernel)


def random_layer(rng: np.random.Generator) -> tuple[Arrays, dict[str, Any]]:
    """A layer of any kind, and its hyperparameters."""
    groups, multiplier = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    inner = int(rng.choice([1, 1, 2, 9]))
    kernel = KERNELS[rng.integers(len(KERNELS))] if rng.random() < 0.7 else (5, 5)
    sides = rng.integers(1, 24, 2)
    fields: dict[str, Any] = {
        "groups": groups,
        "stride": tuple(int(s) for s in rng.integers(1, 4, 2)) if rng.random() < 0.5 else 1,
        "dilation": tuple(int(d) for d in rng.integers(1, 4, 2)) if rng.random() < 0.3 else 1,
        "pad": "same" if rng.random() < 0.4 else tuple(int(p) for p in rng.integers(3, 9, 2)),
        "pad_mode": str(rng.choice(PAD_MODES)),
    }
    if fields["pad_mode"] == "zeros":
        fields["pad_value"] = float(rng.choice([0, 1.5, -2]))
    dtype = rng.choice([np.float32, np.float64])
    X = rng.standard_normal((rng.integers(1, 4), *sides, groups * inner)).astype(dtype)
    X = X[:, ::-1] if rng.random() < 0.3 else np.asfortranarray(X)
    W = rng.standard_normal((*kernel, inner, groups * multiplier))
    if rng.random() < 0.6:
        W[...] = np.outer(W[:, 0, 0, 0], W[0, :, 0, 0])[:, :, None, None]
    b = rng.standard_normal((1, 1, 1, groups * multiplier)) * (rng.random() < 0.7)
    return (X, W.astype(dtype), b.astype(dtype)), fields


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize("seed", sweep(range(8), keep=1))
def test_random_layers_equal_the_loop_for_any_threads_and_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(12):
        arrays, fields = random_layer(rng)
        X, W, b = arrays
        try:
            plans = accepted(arrays, fields)
        except ShapeError:
            continue  # no window fits
        expected = loop_conv_forward(X, W, b, fields)
        largest = np.abs(X).max() + abs(fields.get("pad_value", 0))
        scale = largest * np.abs(W).sum(axis=(0, 1, 2)).max() + np.abs(b).max()
        for algorithm, layer in plans.items():
            case = (number, algorithm, fields, X.shape, W.shape)
            Z = layer(X, jobs=1)
            eps = 8 * np.finfo(X.dtype).eps
            bound = WINOGRAD_BOUND if algorithm == "winograd" else eps
            assert np.abs(Z - expected).max() <= bound * scale, case
            first = int(rng.integers(Z.shape[1]))
            last = int(rng.integers(first, Z.shape[1])) + 1
            for jobs in (2, 3):
                assert layer(X, jobs).tobytes() == Z.tobytes(), case
                rows = layer.rows(lambda images, r, X=X: X[images, r], first, last, jobs)
                assert rows.tobytes() == Z[:, first:last].tobytes(), case


@pytest.mark.parametrize(
    ("kernel", "rank"),
    [
        (np.ones((5, 7)), 1),
        (np.outer([1, 2, 1], [-1, 0, 1]), 1),
        (np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]), 2),
        (np.outer(np.hanning(9), np.hanning(9)) - np.outer(np.bartlett(9), np.bartlett(9)), 2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_give_the_kernel_back(kernel: Any, rank: int, dtype: Any) -> None:
    kernel = kernel.astype(dtype)
    factors = low_rank.factor(kernel)
    assert factors is not None and len(factors) == rank
    rest = kernel - sum(np.outer(u, v) for u, v in factors)
    assert np.abs(rest).sum() <= low_rank.TOLERANCE * np.finfo(dtype).eps * np.abs(kernel).sum()


def test_what_has_full_rank_or_is_not_finite_is_not_factored() -> None:
    full = np.random.default_rng(2).standard_normal((4, 4))
    broken = np.array([[1.0, np.nan], [1.0, 1.0]])
    factors = low_rank.factor(full)
    assert factors is None or len(factors) == 4
    assert low_rank.factor(broken) is None
    assert low_rank.factor(np.zeros((3, 3))) is None


def test_equal_taps_share_a_product() -> None:
    kernel = np.array([[0.25, -0.25], [0.0, 3.0], [0.25, 1.0]])[:, :, None]
    terms = {float(term.weight): (term.plus, term.minus) for term in
             shift_add.collect_terms(kernel, 1)}  # fmt: skip
    assert terms == {
        0.25: (((0, 0), (2, 0)), ((0, 1),)),
        3.0: (((1, 1),), ()),
        1.0: (((2, 1),), ()),
    }


def test_a_weight_that_is_nan_makes_every_window_of_its_channel_nan() -> None:
    for n_C in (1, 3):
        X, W, b = make_layer((3, 3), (n_C, n_C, n_C), np.float64)
        W[0, 1, 0, n_C - 1] = np.nan
        Z = plan_layer((X, W, b), {"groups": n_C}, "shift-add")(X)
        assert np.isnan(Z[..., -1]).all()
        assert np.isfinite(Z[..., :-1]).all()


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(OptionError, match="'guess'"):
        plan_layer(make_layer((3, 3), (3, 5, 1), np.float32), {}, "guess")


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize("size", [2, 3, (5, 2), 13, "global"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stride": 1},
        {"stride": 2, "pad": 1, "ceil": True},
        {"stride": (1, 3), "dilation": 2, "pad": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_pixels_pool_as_floats_do(size: Any, fields: dict[str, Any], mode: str) -> None:
    if fields.get("dilation") and size in (13, "global"):
        fields = {**fields, "dilation": 1}
    pixels = np.random.default_rng(8).integers(0, 256, (2, 33, 29, 3), np.uint8)
    A, _ = pool_forward(pixels, {**fields, "f": size}, mode)
    window = pool_window(
        (33, 29), size, fields.get("stride"), fields.get("pad", 0), fields.get("dilation", 1),
        "ceil" in fields,
    )  # fmt: skip
    pooled = pool_rows(lambda begin, end: pixels[:, begin:end], Pooling(window, mode), 0, len(A[0]))
    assert pooled.dtype == np.uint8
    assert np.array_equal(pooled, A)


@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("n_C", [1, 3, 9])
def test_strips_of_a_pool_give_the_bytes_of_the_whole(
    mode: str, n_C: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    A = np.random.default_rng(n_C).standard_normal((2, 40, 31, n_C)).astype(np.float32)
    layers: list[dict[str, Any]] = [
        {"f": 3, "stride": 2, "pad": 1},
        {"f": 2, "stride": 2, "ceil": True, "pad": ((1, 0), (0, 1))},
        {"f": 4, "stride": (3, 1), "pad": (3, 2), "count_include_pad": mode == "average"},
        {"f": 2, "stride": 1, "pad": 8, "dilation": 7},
    ]
    whole = [pool_forward(A, fields, mode)[0] for fields in layers]
    monkeypatch.setattr(strips, "STRIP_BYTES", 4096)
    monkeypatch.setattr(window_reduce, "STRIPS_FROM", 0)
    monkeypatch.setattr(window_reduce, "THREADS_FROM_VALUES", 0)
    for fields, expected in zip(layers, whole, strict=True):
        A_transposed = np.asfortranarray(A)
        assert pool_forward(A, fields, mode)[0].tobytes() == expected.tobytes(), fields
        assert pool_forward(A_transposed, fields, mode)[0].tobytes() == expected.tobytes(), fields


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 6, 5)])
def test_single_rows_of_a_pool_give_the_bytes_of_the_whole(shape: tuple[int, int, int]) -> None:
    m, n_W, n_C = shape
    A = np.random.default_rng(7).standard_normal((m, 99, n_W, n_C)).astype(np.float32)
    for f in ((33, 1), (33, n_W), (9, 1)):
        pooling = Pooling(pool_window((99, n_W), f), "average")
        whole, _ = pool_forward(A, {"f": f}, "average")
        for row in range(whole.shape[1]):
            alone = pool_rows(lambda begin, end: A[:, begin:end], pooling, row, row + 1)
            assert alone.tobytes() == whole[:, row : row + 1].tobytes(), f


@pytest.mark.usefixtures("thin_strips")
@pytest.mark.parametrize("f", [2, 7, 24])
def test_sums_over_long_windows_stay_exact(f: int) -> None:
    A = np.random.default_rng(9).integers(-999, 999, (1, 40, 50, 2)).astype(float)
    means, _ = pool_forward(A, {"f": f, "stride": 1}, "average")
    windows = np.lib.stride_tricks.sliding_window_view(A, (f, f), (1, 2))
    assert np.array_equal(means, windows.sum(axis=(4, 5)) / f**2)
