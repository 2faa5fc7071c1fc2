"""What a convolution is expected to take: nanoseconds for each unit of `Work`, by kind of CPU.

Matrix products run at speeds of their own on each CPU, all else hardly differs; so there are prices
for each family of OpenBLAS's kernels. ``python tools/measure_costs.py`` measures them, and
``python -m benchmarks choose`` shows where they choose wrongly.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import Work
from cnncli.system import blas


@dataclass(frozen=True)
class Prices:
    """Nanoseconds of one thread for each unit of `Work` in float32.

    Parameters
    ----------
    passes, copies, flops, butterflies : float
        In float64 each takes twice that.
    calls : float
        One numpy call, with its share of waiting for the interpreter lock.
    """

    passes: float
    copies: float
    flops: float
    butterflies: float
    calls: float = 1000.0


FAMILIES: Final = {
    "AVX-512": Prices(passes=0.17, copies=0.15, flops=0.0105, butterflies=0.42),
    "AVX2": Prices(passes=0.17, copies=0.15, flops=0.021, butterflies=0.42),
}

AVX512_KERNELS: Final = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
"""OpenBLAS's names of CPUs with AVX-512."""


@cache
def this_family() -> str:
    """Return the name in `FAMILIES` of this machine; AVX2 where the BLAS does not tell.

    Examples
    --------
    >>> this_family() in FAMILIES
    True
    """
    return "AVX-512" if blas.kernels() in AVX512_KERNELS else "AVX2"


def price(work: Work, dtype: np.dtype[Any], runs: float = 1) -> float:
    """Return the nanoseconds that one thread is expected to need.

    Parameters
    ----------
    work : Work
    dtype : dtype
        float32 or float64.
    runs : float
        How many share what is done once, ``work.once``; with infinity it does not count.

    Examples
    --------
    >>> price(Work(passes=1e6), np.dtype("float64")) / price(Work(passes=1e6), np.dtype("float32"))
    2.0
    >>> price(Work(once=Work(calls=1)), np.dtype("float32"))
    1000.0
    >>> price(Work(once=Work(calls=1)), np.dtype("float32"), runs=4)
    250.0
    """
    prices = FAMILIES[this_family()]
    units = (
        work.passes * prices.passes
        + work.copies * prices.copies
        + work.flops * prices.flops
        + work.butterflies * prices.butterflies
    )
    once = 0.0 if work.once is None else price(work.once, dtype)
    return float(units * dtype.itemsize / 4 + work.calls * prices.calls + once / runs)
