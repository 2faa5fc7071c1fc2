"""Holds numpy's matrix products to one thread while this package runs strips on its own threads.

Two threads that each call a BLAS with threads of its own wait for each other: on two cores the
layer then takes longer than on one. numpy offers no way to say so, but its wheels carry OpenBLAS,
whose ``openblas_set_num_threads`` the loaded library exports. Where it cannot be found (Accelerate,
MKL, a Windows loader that does not look into a library's own imports), `one_thread` says no and
strips run one after the other, so that the BLAS keeps its threads. Results are the same.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final

SUFFIXES: Final = ("", "64_", "_64")
PREFIXES: Final = ("scipy_openblas_", "openblas_")


class _Hold:
    """Counts who holds the BLAS, so that nested and parallel calls restore it once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holders = 0
        self.before = 1

    def __enter__(self) -> bool:
        functions = _thread_functions()
        if functions is None:
            return False
        read, write = functions
        with self.lock:
            if self.holders == 0:
                self.before = read()
                write(1)
            self.holders += 1
        return True

    def __exit__(self, *error: object) -> None:
        functions = _thread_functions()
        if functions is not None:
            with self.lock:
                self.holders -= 1
                if self.holders == 0:
                    functions[1](self.before)


_hold = _Hold()


def one_thread() -> AbstractContextManager[bool, None]:
    """Hold the BLAS to one thread inside a ``with`` block.

    Returns
    -------
    context manager of bool
        Whether it could be held. The setting is the process's, so products that other threads
        start meanwhile run on one thread too.

    Examples
    --------
    >>> with one_thread() as held:
    ...     isinstance(held, bool)
    True
    """
    return _hold


@cache
def kernels() -> str:
    """Return the CPU whose kernels OpenBLAS uses, as in "Haswell"; "" where it does not tell.

    Examples
    --------
    >>> isinstance(kernels(), str)
    True
    """
    read = _function("get_corename")
    if read is None:
        return ""
    read.restype = ctypes.c_char_p
    return str((read() or b"").decode("ascii", "replace"))


@cache
def rounding() -> str:
    """Return what tells how numpy rounds: products and functions have kernels for each processor.

    Machines that give the same text compute the same digits to the last.

    Examples
    --------
    >>> len(rounding())
    8
    """
    import numpy as np  # not above: its kernels are chosen first

    values = np.random.default_rng(0).standard_normal((300, 300))
    with one_thread():
        products = [wide @ wide for wide in (values, values.astype(np.float32))]
    made = [
        function(product).tobytes()
        for product in products
        for function in (np.positive, np.exp, np.tanh, np.arctan)
    ]
    return f"{zlib.crc32(b''.join(made)):08x}"


@cache
def _thread_functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """OpenBLAS's getter and setter, or None."""
    read, write = _function("get_num_threads"), _function("set_num_threads")
    if read is None or write is None:
        return None
    read.restype, write.restype, write.argtypes = ctypes.c_int, None, [ctypes.c_int]
    return read, write


def _function(name: str) -> Any:
    """A function of numpy's OpenBLAS, or None."""
    library = _library()
    names = (f"{prefix}{name}{suffix}" for prefix in PREFIXES for suffix in SUFFIXES)
    functions = (getattr(library, full_name, None) for full_name in names)
    return next((function for function in functions if function is not None), None)


@cache
def _library() -> ctypes.CDLL | None:
    module = sys.modules.get("numpy._core._multiarray_umath")
    if module is None or module.__file__ is None:
        return None
    try:
        # The library is loaded already; a symbol is also looked for in what it links to.
        return ctypes.CDLL(module.__file__)
    except OSError:
        return None
