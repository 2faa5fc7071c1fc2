"""Measure what the prices of algorithms stand for on this machine, beside those in use.

    python tools/measure_costs.py
    OPENBLAS_CORETYPE=Haswell python tools/measure_costs.py

Prices are nanoseconds of one thread for each unit of `cnncli.core.algorithms.base.Work` in float32.
Only their ratios decide which algorithm is chosen, so a machine of another speed needs no change.
Times are of the processor, so other processes disturb them little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from math import log2

import numpy as np

from cnncli.core.algorithms.base import product_flops
from cnncli.core.prices import FAMILIES, this_family
from cnncli.system import blas

REPEATS = 15


def median_nanoseconds(action: Callable[[], object]) -> float:
    """Return the median processor time of an action, after one run to warm up."""
    action()
    times = []
    for _ in range(REPEATS):
        begin = time.thread_time_ns()
        action()
        times.append(time.thread_time_ns() - begin)
    return statistics.median(times)


def measure_passes() -> float:
    """Add neighbouring rows of a strip of a photo."""
    strip = np.random.default_rng(0).random((17, 9000), np.float32)
    out = np.empty((16, 8997), np.float32)
    return median_nanoseconds(lambda: np.add(strip[:-1, :-3], strip[1:, 3:], out=out)) / out.size


def measure_copies() -> float:
    """Gather windows of 3x3 cells with 32 channels."""
    strip = np.random.default_rng(0).random((10, 130, 32), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(strip, (3, 3), (0, 1)).transpose(0, 1, 3, 4, 2)
    out = np.empty(view.shape, np.float32)
    return median_nanoseconds(lambda: np.copyto(out, view)) / out.size


def measure_flops() -> float:
    """Multiply the windows of a middling layer by its filters."""
    rows, inner, columns = 2048, 288, 64
    rng = np.random.default_rng(0)
    A, B = rng.random((rows, inner), np.float32), rng.random((inner, columns), np.float32)
    out = np.empty((rows, columns), np.float32)
    with blas.one_thread():
        spent = median_nanoseconds(lambda: np.matmul(A, B, out=out))
    return spent / product_flops(rows, inner, columns)


def measure_butterflies() -> float:
    """Transform tiles of 128x128 cells."""
    tiles = np.random.default_rng(0).random((8, 128, 128), np.float32)
    return median_nanoseconds(lambda: np.fft.rfft2(tiles)) / (tiles.size * log2(128 * 128))


def measure_call() -> float:
    """Add a few numbers."""
    few, out = np.ones((4, 4), np.float32), np.empty((4, 4), np.float32)
    return median_nanoseconds(lambda: np.add(few, few, out=out))


def main() -> None:
    """Print each price as measured, as it is in use, and their ratio."""
    measured = {
        "passes": measure_passes(),
        "copies": measure_copies(),
        "flops": measure_flops(),
        "butterflies": measure_butterflies(),
        "calls": measure_call(),
    }
    family = this_family()
    print(f"OpenBLAS's kernels: {blas.kernels() or 'unknown'}, prices of {family}")
    print(f"{'unit':<12}{'measured ns':>12}{'in use ns':>12}{'ratio':>8}")
    for unit, value in measured.items():
        price = getattr(FAMILIES[family], unit)
        print(f"{unit:<12}{value:>12.4g}{price:>12.4g}{value / price:>8.2f}")


if __name__ == "__main__":
    main()
