"""Lets OpenBLAS use AVX-512 on processors from AMD that it does not know."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from typing import Final

WIDE: Final = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"})
"""What OpenBLAS's SkylakeX kernels need."""

FIRST_CORE: Final = 4096
"""Bytes of /proc/cpuinfo that hold all of the first core; the whole takes long on many cores."""


def choose_blas_kernels(
    environ: MutableMapping[str, str] | None = None, cpuinfo: str = "/proc/cpuinfo"
) -> None:
    """Set ``OPENBLAS_CORETYPE=SkylakeX`` where OpenBLAS might not know that it can use AVX-512.

    OpenBLAS, which numpy's wheels carry, asks for the model of the CPU. Models from AMD that are
    newer than itself get its AVX2 kernels, at half the speed. It reads the variable once, when
    numpy loads. Results differ by rounding only, and not with the number of threads.

    Does nothing but on Linux on x86-64, on a CPU from AMD with the instructions in `WIDE`, before
    numpy has loaded, and with no variable of OpenBLAS set by the user.

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


def _is_wide_amd(cpuinfo: str) -> bool:
    try:
        with open(cpuinfo, "rb") as file:
            words = set(file.read(FIRST_CORE).decode("ascii", "replace").split())
    except OSError:
        return False
    return "AuthenticAMD" in words and words >= WIDE
