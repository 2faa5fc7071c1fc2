"""Pooling layers on 64 channels of 224x224 cells against torch channels-last, in float32."""

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

CASES: Final = (("max", 2, 2), ("max", 3, 2))
"""Mode, window and stride."""

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
    size = 28 if quick else 224
    X = np.random.default_rng(0).standard_normal((1, size, size, 64), np.float32)
    for mode, f, stride in CASES:
        contenders = contenders_of(X, mode, f, stride)
        name = f"{mode} pool {f}x{f}/{stride}, 64x{size}x{size}"
        yield row_of("pooling", name, contenders, compare(contenders, repeats), {BEST: LIMIT})


def contenders_of(X: Array, mode: str, f: int, stride: int) -> list[Contender]:
    """Return ours and torch, if it is there; maxima are equal to the bit."""
    ours = partial(pool_forward, X, {"f": f, "stride": stride}, mode)
    found = [Contender(OURS, ours, lambda made: made[0])]
    if peers.module("torch") is not None:
        run = torch_pool(X, f, stride)
        found.append(Contender("torch", run, from_torch, tolerance=0.0))
    return found


def torch_pool(X: Array, f: int, stride: int) -> Callable[[], Any]:
    """Return torch's maximum pooling of the same cells."""
    torch = peers.module("torch")
    assert torch is not None
    given = torch.from_numpy(X).permute(0, 3, 1, 2)

    def run() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.max_pool2d(given, f, stride)

    return run
