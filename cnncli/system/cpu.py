"""What OpenBLAS is told before numpy loads it: its kernels, and that it needs no threads."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from typing import Final

AVX512_FLAGS: Final = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"})
"""What OpenBLAS's SkylakeX kernels need."""

FIRST_CORE: Final = 4096
"""Bytes of /proc/cpuinfo that hold all of the first core; the whole takes long on many cores."""


THREADS: Final = frozenset(
    {"OPENBLAS_NUM_THREADS", "OPENBLAS_DEFAULT_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}
)
"""What tells OpenBLAS how many threads to use."""


def choose_blas_kernels(
    environ: MutableMapping[str, str] | None = None, cpuinfo: str = "/proc/cpuinfo"
) -> None:
    """Set ``OPENBLAS_CORETYPE=SkylakeX`` where OpenBLAS might not know that it can use AVX-512.

    OpenBLAS, which numpy's wheels carry, asks for the model of the CPU. Models from AMD that are
    newer than itself get its AVX2 kernels, at half the speed. It reads the variable once, when
    numpy loads. Results differ by rounding only, and not with the number of threads.

    Does nothing but on Linux on x86-64, on a CPU from AMD with the instructions in `AVX512_FLAGS`,
    before numpy has loaded, and with no variable of OpenBLAS set by the user.

    Parameters
    ----------
    environ : mapping
        Variables to read and to set; default: this process's.
    cpuinfo : str
        Where the system describes its CPUs.

    Examples
    --------
    >>> mine = {"OPENBLAS_NUM_THREADS": "1"}
    >>> choose_blas_kernels(mine)
    >>> mine
    {'OPENBLAS_NUM_THREADS': '1'}
    """
    environ = os.environ if environ is None else environ
    if "numpy" in sys.modules or any(name.startswith("OPENBLAS_") for name in environ):
        return
    if hasattr(os, "uname") and os.uname().machine == "x86_64" and _is_wide_amd(cpuinfo):
        environ["OPENBLAS_CORETYPE"] = "SkylakeX"


def load_blas_without_threads(environ: MutableMapping[str, str] | None = None) -> None:
    """Set ``OPENBLAS_NUM_THREADS=1``, for work whose strips run on threads of our own.

    OpenBLAS would start a thread for each core when numpy loads, and these look for work for a
    while: more processor time than a small image takes, to no use, for `cnncli.system.blas` holds
    products within strips to one thread. Does nothing on Windows, where that cannot be done, once
    numpy has loaded, or where the user has said how many threads there shall be.

    Parameters
    ----------
    environ : mapping
        Variables to read and to set; default: this process's.

    Examples
    --------
    >>> mine = {"OMP_NUM_THREADS": "4"}
    >>> load_blas_without_threads(mine)
    >>> mine
    {'OMP_NUM_THREADS': '4'}
    """
    environ = os.environ if environ is None else environ
    if "numpy" not in sys.modules and hasattr(os, "uname") and THREADS.isdisjoint(environ):
        environ["OPENBLAS_NUM_THREADS"] = "1"


def _is_wide_amd(cpuinfo: str) -> bool:
    try:
        with open(cpuinfo, "rb") as file:
            words = set(file.read(FIRST_CORE).decode("ascii", "replace").split())
    except OSError:
        return False
    return "AuthenticAMD" in words and words >= AVX512_FLAGS
