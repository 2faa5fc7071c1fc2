"""The engine: which algorithm it chooses, how it cuts a layer into strips, and its memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cnncli.core import engine, strips
from cnncli.core.algorithms import winograd
from cnncli.core.algorithms.base import ConvTask
from cnncli.core.choices import ALGORITHM_NAMES
from cnncli.core.geometry import place_window
from cnncli.core.prices import price
from tests.support.memory import traced_peak

Arrays = tuple[Any, Any, Any]


@pytest.mark.parametrize(("algorithm", "size"), [("winograd", 8), ("matmul", 7)])
def test_few_rows_and_many_filters_are_cut_by_filters(algorithm: str, size: int) -> None:
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 3, 128, 600), np.float32)
    bias = rng.standard_normal(600, np.float32)
    window = place_window((size, size), 3, padding="same")
    finish = engine.Finish(lambda out: np.maximum(out, 0, out=out), each_alone=True)
    layer = engine.prepare_convolution(W, window, bias=bias, finish=finish, algorithm=algorithm)
    assert [(block.start, block.stop) for block in layer.blocks] == [(0, 300), (300, 600)]
    assert len(layer.grid.strips(1, size, 0, size)) == 1
    X = rng.standard_normal((1, size, size, 128), np.float32)
    padded = np.pad(X[0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    expected = np.maximum(np.tensordot(windows, W, ([3, 4, 2], [0, 1, 2])) + bias, 0)
    made = layer(X)
    np.testing.assert_allclose(made[0], expected, rtol=0, atol=1e-5 * expected.max())
    assert (layer.read(lambda a, b: X[:, a:b], 2, 5) == made[:, 2:5]).all()


def test_halves_are_even_where_steps_allow_it() -> None:
    W = np.zeros((3, 3, 128, 128), np.float32)
    for size in (112, 56, 100, 61):
        layer = engine.prepare_convolution(
            W, place_window((size, size), 3, padding="same"), algorithm="winograd"
        )
        heights = [strip.last - strip.first for strip in layer.grid.strips(1, size, 0, size)]
        halves = [0, 0]
        for height in heights:
            halves[int(np.argmin(halves))] += height
        assert max(halves) <= 1.2 * size / 2, size


def make_task(shape: tuple[int, int], W: Any, groups: int) -> ConvTask:
    window = place_window(shape, W.shape[:2], padding="same")
    return ConvTask(window, groups, 1, W.shape[2] * groups, W.shape[3], W.dtype)


def depthwise(kernel: Any, channels: int = 3) -> Any:
    return np.repeat(kernel[:, :, None, None], channels, axis=3).astype(np.float32)


SMOOTH = np.hanning(63)[1:-1]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]), "banded"),
        (np.outer(SMOOTH, SMOOTH), "low-rank"),
        (np.random.default_rng(3).standard_normal((7, 7)), "banded"),
        (np.random.default_rng(3).standard_normal((61, 61)), "fourier"),
    ],
    ids=["laplacian", "smooth", "random 7x7", "random 61x61"],
)
def test_choice_for_a_photo(kernel: Any, expected: str) -> None:
    W = depthwise(kernel)
    choice = engine.choose(W, make_task((2000, 3000), W, 3))
    assert choice.algorithm == expected
    assert "estimated" in choice.reason and "next" in choice.reason


def test_choice_for_layers() -> None:
    rng = np.random.default_rng(4)
    deep = rng.standard_normal((3, 3, 128, 128)).astype(np.float32)
    assert engine.choose(deep, make_task((112, 112), deep, 1)).algorithm == "winograd"
    wide = rng.standard_normal((1, 1, 64, 64)).astype(np.float32)
    choice = engine.choose(wide, make_task((56, 56), wide, 1))
    assert choice.algorithm == "matmul"
    assert "no other algorithm" in choice.reason


def test_a_reason_says_how_many_images_share_the_filters_own_price() -> None:
    W = np.ones((3, 3, 64, 64), np.float32)
    task = make_task((14, 14), W, 1)
    for runs, words in [
        (1, "on one thread, next"),
        (8, "on one thread for each of 8 images, next"),
        (math.inf, "on one thread once filters are ready, next"),
    ]:
        choice = engine.choose(W, task, runs=runs)
        work = engine.ALGORITHMS[choice.algorithm].work(W, task)
        milliseconds = price(work, task.dtype, runs) / 1e6
        assert f"estimated {milliseconds:.3g} ms {words}" in choice.reason


def test_the_filters_own_price_is_counted_for_one_image_only() -> None:
    W = np.ones((3, 3, 512, 512), np.float32)
    task = make_task((7, 7), W, 1)
    work = winograd.work(W, task)
    once, ready = (price(work, task.dtype, runs) for runs in (1, math.inf))
    assert once > 1.5 * ready
    for runs in (1, math.inf):
        choice = engine.choose(W, task, "winograd", runs)
        assert (choice.nanoseconds, choice.reason) == (ready, "asked for")
    chosen = [engine.choose(W, task, runs=runs).algorithm for runs in (1, math.inf)]
    assert chosen == ["matmul", "winograd"]
    layer = engine.prepare_convolution(W, task.window, runs=math.inf)
    assert layer.choice.algorithm == "winograd"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "side"),
    [("shift-add", 5), ("banded", 5), ("low-rank", 15), ("matmul", 5), ("fourier", 15)],
)
def test_a_stream_of_strips_stays_in_little_memory(algorithm: str, side: int) -> None:
    height, width, kernel = 3000, 600, (side, side)
    X, W = np.ones((1, height, width, 3), np.float32), np.ones((*kernel, 1, 3), np.float32)
    window = place_window((height, width), kernel, padding="same")
    layer = engine.prepare_convolution(W, window, 3, algorithm=algorithm)

    def stream() -> None:
        for first in range(0, height, layer.grid.rows):
            last = min(height, first + layer.grid.rows)
            layer.rows(lambda images, rows: X[images, rows], first, last)

    assert traced_peak(stream) < 4 * strips.STRIP_BYTES < X.nbytes


def test_the_command_lines_names_are_the_engines() -> None:
    assert tuple(engine.ALGORITHMS) == ALGORITHM_NAMES
