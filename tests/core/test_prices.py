"""Prices: for the kernels that OpenBLAS uses on this machine, whatever it is told to use."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from cnncli.core.algorithms.base import Work, product_flops
from cnncli.core.prices import FAMILIES, price, this_family
from cnncli.system import blas

SHOW = "import numpy; from cnncli.core.prices import this_family; print(this_family())"


def test_prices_are_of_the_kernels_in_use() -> None:
    work = Work(flops=product_flops(1000, 1000, 1000))
    expected = work.flops * FAMILIES[this_family()].flops
    assert price(work, np.dtype(np.float32)) == pytest.approx(expected)
    assert price(work, np.dtype(np.float64)) == pytest.approx(2 * expected)


def test_what_comes_once_does_not_count_for_prepared_filters() -> None:
    work, dtype = Work(copies=1e6, once=Work(flops=1e6, calls=3)), np.dtype(np.float32)
    assert work.once is not None
    alone = price(work, dtype, runs=math.inf)
    assert alone == price(Work(copies=1e6), dtype)
    assert price(work, dtype) == pytest.approx(alone + price(work.once, dtype))


@pytest.mark.skipif(
    not blas.kernels() or platform.machine() != "x86_64",
    reason="no OpenBLAS that can be told which kernels to use",
)
def test_a_cpu_without_avx512_has_prices_of_its_own() -> None:
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    shown = subprocess.check_output([sys.executable, "-c", SHOW], env=environment, text=True)
    assert shown.strip() == "AVX2"
