"""Pooling layers against torch channels-last, in float32: large maps, small ones, and global."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks import peers
from benchmarks.layers import Array, from_torch
from benchmarks.measure import Contender, compare
from benchmarks.table import BEST, OURS, Row, row_of
from cnncli import pool_forward

CASES: Final = (
    ("max", 2, 2, 64, 224),
    ("max", 3, 2, 64, 224),
    ("max", 2, 2, 512, 14),
    ("average", 2, 2, 64, 224),
    ("average", 3, 2, 64, 224),
    ("average", 2, 2, 512, 14),
    ("average", "global", 1, 64, 224),
    ("average", "global", 1, 1280, 7),
)
"""Mode, window, stride, channels, and rows and columns."""

LIMIT: Final = 1.0


def measure(repeats: int, quick: bool = False) -> Iterator[Row]:
    """Yield a row for each pooling layer.

    Parameters
    ----------
    repeats : int
        Blocks of each contender.
    quick : bool
        Whether the image is shrunk.
    """
    for mode, f, stride, channels, size in CASES:
        size = min(size, 28) if quick else size
        X = np.random.default_rng(0).standard_normal((1, size, size, channels), np.float32)
        contenders = contenders_of(X, mode, f, stride)
        window = f if isinstance(f, str) else f"{f}x{f}/{stride}"
        name = f"{mode} pool {window}, {channels}x{size}x{size}"
        yield row_of("pooling", name, contenders, compare(contenders, repeats), {BEST: LIMIT})


def contenders_of(X: Array, mode: str, f: int | str, stride: int) -> list[Contender]:
    """Return ours and torch, if it is there; maxima are equal to the bit, sums but for rounding."""
    ours = partial(pool_forward, X, {"f": f, "stride": stride}, mode)
    found = [Contender(OURS, ours, lambda made: made[0])]
    if peers.module("torch") is not None:
        run = torch_pool(X, mode, f, stride)
        tolerance = 0.0 if mode == "max" else 1e-5
        found.append(Contender("torch", run, from_torch, tolerance=tolerance))
    return found


def torch_pool(X: Array, mode: str, f: int | str, stride: int) -> Callable[[], Any]:
    """Return torch's pooling of the same cells."""
    torch = peers.module("torch")
    assert torch is not None
    given = torch.from_numpy(X).permute(0, 3, 1, 2)
    functions = torch.nn.functional
    if f == "global":
        pooled = partial(functions.adaptive_avg_pool2d, given, 1)
    else:
        function = functions.max_pool2d if mode == "max" else functions.avg_pool2d
        pooled = partial(function, given, f, stride)

    def run() -> Any:
        with torch.inference_mode():
            return pooled()

    return run
