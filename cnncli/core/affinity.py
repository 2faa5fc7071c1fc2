"""Keeps the threads of a strip run on cores of their own.

A thread that wakes another hands over work of a few hundred microseconds. Linux likes to start it
on the core of whoever woke it, where the two then take turns until the next balancing, milliseconds
later: on two cores a layer of one millisecond takes as long as on one. So while strips run, the
calling thread stays on the core where it is and its helpers on any of the others.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def apart() -> Iterator[Callable[[], None]]:
    """Hold the calling thread to its core inside a ``with`` block.

    Yields
    ------
    callable
        For a helper to call in its own thread: holds that thread to the other cores this thread
        might use. Does nothing where the system cannot, or where there is no other core.

    Examples
    --------
    >>> with apart() as step_aside:
    ...     callable(step_aside)
    True
    """
    core = _current_core()
    allowed = os.sched_getaffinity(0) if core is not None else set()
    others = allowed - {core}
    if core not in allowed or not others:
        yield lambda: None
        return
    os.sched_setaffinity(0, {core})
    try:
        yield lambda: os.sched_setaffinity(0, others)
    finally:
        os.sched_setaffinity(0, allowed)


def _current_core() -> int | None:
    """The core that this thread is on, or None where the system does not tell."""
    function = _getcpu()
    core = -1 if function is None else function()
    return core if core >= 0 else None


@cache
def _getcpu() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)
