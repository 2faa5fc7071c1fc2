"""Threads that are kept between layers, each on cores of its own while it works.

Layers take a millisecond, so what happens between them counts. A helper sleeps on a lock of its own
and is at work some twenty microseconds after the lock opens.

A thread that wakes another is often given a neighbour: Linux likes to start the sleeper on the core
of whoever woke it, where the two then take turns until the next balancing, milliseconds later. So
while they work, the calling thread stays on the core where it is, and its helpers on the others.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from functools import cache
from itertools import count, pairwise
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.system import blas

Item = TypeVar("Item")

Cores = frozenset[int]

_LINE = 64
"""Bytes of a line of the cache, from one of which to another buffers reach."""


@dataclass
class Scratch:
    """One thread's buffers, kept from strip to strip so that memory is touched once.

    Parameters
    ----------
    buffers : dict of str to (ndarray of bytes, int, int)
        Those of the layer that is at work: their memory, where they begin in it and their bytes.
    memory : ndarray of bytes
        What they are cut from: the next layer's take the same bytes.
    taken : int
        Bytes that they take; if `memory` is smaller, the last ones have memory of their own.
    """

    buffers: dict[str, tuple[NDArray[np.uint8], int, int]] = field(default_factory=dict)
    memory: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    taken: int = 0

    def take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array of that shape; it holds whatever its last user left.

        A name is one buffer, whatever its dtype.

        Examples
        --------
        >>> scratch = Scratch()
        >>> scratch.take("sum", (2, 3), np.dtype("float32")).shape
        (2, 3)
        """
        count = prod(shape) * dtype.itemsize
        buffer = self.buffers.get(name)
        if buffer is None or buffer[2] < count:
            buffer = self.buffers[name] = self._cut(count)
        return np.ndarray(shape, dtype, buffer[0], buffer[1])

    def _cut(self, count: int) -> tuple[NDArray[np.uint8], int, int]:
        begin = self.taken
        self.taken += -(-count // _LINE) * _LINE
        if self.taken <= self.memory.size:
            return self.memory, begin, count
        return np.empty(count, np.uint8), 0, count

    def release(self, limit: int) -> None:
        """Let the next layer take the same memory, up to `limit` bytes; give back what is more.

        Examples
        --------
        >>> scratch = Scratch()
        >>> _ = scratch.take("sum", (2, 3), np.dtype("float32"))
        >>> scratch.release(limit=1000)
        >>> scratch.memory.size, len(scratch.buffers)
        (64, 0)
        """
        self.buffers.clear()
        if self.memory.size < self.taken <= limit:
            self.memory = np.empty(self.taken, np.uint8)
        self.taken = 0


class _Helper:
    """A thread that sleeps until it is given something to do."""

    def __init__(self) -> None:
        self._begin, self._end = threading.Lock(), threading.Lock()
        self._begin.acquire()
        self._end.acquire()
        self._action: Callable[[], None] = _nothing
        self._error: BaseException | None = None
        self._next_cores: Cores = frozenset()
        self._cores: Cores = frozenset()
        threading.Thread(target=self._serve, name="cnncli-strip", daemon=True).start()

    def start(self, action: Callable[[], None], cores: Cores) -> None:
        """Begin an action on one of these cores; where it is, if there are none."""
        self._action, self._next_cores = action, cores
        self._begin.release()

    def wait(self) -> BaseException | None:
        """Return when the action has ended, with what it raised.

        Ctrl-C meanwhile is returned as well, but does not end the wait: the action writes into
        memory of the caller's, and a helper left alone would be lost to later layers.
        """
        interruption: BaseException | None = None
        while True:
            try:
                self._end.acquire()
                break
            except BaseException as error:
                interruption = error
        raised, self._error = self._error, None
        return interruption or raised

    def _serve(self) -> None:
        while True:
            self._begin.acquire()
            try:
                self._move()
                self._action()
            except BaseException as error:
                self._error = error
            self._action = _nothing
            self._end.release()

    def _move(self) -> None:
        if self._next_cores and self._next_cores != self._cores:
            os.sched_setaffinity(0, self._next_cores)
            self._cores = self._next_cores


def _nothing() -> None:
    """What a helper does between two actions; holds no memory of the last one."""


class _Idle:
    """The helpers that sleep; at most as many exist as there are cores."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without helpers: a forked child inherits the list, but none of the threads."""
        self.helpers: list[_Helper] = []
        self.started = 0
        self.lock = threading.Lock()

    def take(self, count: int) -> list[_Helper]:
        """Return up to that many helpers."""
        with self.lock:
            if len(self.helpers) < count:
                self._start(count)
            taken = self.helpers[:count]
            del self.helpers[:count]
        return taken

    def _start(self, count: int) -> None:
        """Start helpers until so many sleep; fewer where the system refuses threads."""
        with suppress(RuntimeError):
            while len(self.helpers) < count and self.started < cores():
                self.helpers.append(_Helper())
                self.started += 1

    def give_back(self, helper: _Helper) -> None:
        """Let a helper sleep."""
        with self.lock:
            self.helpers.append(helper)


_idle = _Idle()
_this_thread = threading.local()


@contextmanager
def at_most(jobs: int | None) -> Iterator[None]:
    """Hold what this thread starts to so many threads where it does not say how many itself.

    Examples
    --------
    >>> with at_most(1):
    ...     run_all(print, ["one"], None)
    one
    """
    outer = getattr(_this_thread, "limit", None)
    _this_thread.limit = jobs
    try:
        yield
    finally:
        _this_thread.limit = outer


def run_all(action: Callable[[Item], None], items: Sequence[Item], jobs: int | None) -> None:
    """Call ``action(item)`` for every item as `share_items` does.

    Examples
    --------
    >>> squares = [0] * 4
    >>> run_all(lambda n: squares.__setitem__(n, n * n), range(4), 2)
    >>> squares
    [0, 1, 4, 9]
    """

    def work(own: Iterator[Item]) -> None:
        for item in own:
            action(item)

    share_items(work, items, jobs)


def share_items(
    work: Callable[[Iterator[Item]], None], items: Sequence[Item], jobs: int | None
) -> None:
    """Call ``work(own)`` on threads; all items are shared out among the iterators `own`.

    The calling thread works too. Each thread has neighbouring items, so that no two write into one
    fresh page of memory, and helps with the ends of the others' when its own are done. numpy's
    matrix products are held to one thread meanwhile; where that is not possible the items run one
    after the other and products use their own threads.

    Parameters
    ----------
    work : callable
        Goes through its iterator to the end.
    items : sequence
    jobs : int, optional
        Threads; None: as many as `at_most` allows, or one for each core.
    """
    jobs = getattr(_this_thread, "limit", None) if jobs is None else jobs
    if jobs == 1 and getattr(_this_thread, "has_items", False):
        # Inside an item of an outer call, which has made all ready on this thread.
        work(iter(items))
        return
    threads = max(1, min(cores() if jobs is None else jobs, len(items)))
    if threads == 1:
        with blas.one_thread():
            _go_through(work, iter(items))
        return
    edges = [len(items) * number // threads for number in range(threads + 1)]
    shares = [deque(items[begin:end]) for begin, end in pairwise(edges)]
    numbers = count()

    def run() -> None:
        try:
            _go_through(work, _own_items(shares, next(numbers)))
        except BaseException:
            for share in shares:
                share.clear()
            raise

    with blas.one_thread() as held:
        together(run, threads if held else 1)


def _go_through(work: Callable[[Iterator[Item]], None], own: Iterator[Item]) -> None:
    # Infinities and NaN go where they go; and what pads of a transform hold is of no account.
    with np.errstate(all="ignore"):
        outer = getattr(_this_thread, "has_items", False)
        _this_thread.has_items = True
        try:
            work(own)
        finally:
            _this_thread.has_items = outer


def _own_items(shares: Sequence[deque[Item]], number: int) -> Iterator[Item]:
    """Yield a thread's own items, then the last ones of others' shares; all may ask at once."""
    with suppress(IndexError):
        while True:
            yield shares[number].popleft()
    for share in shares:
        with suppress(IndexError):
            while True:
                yield share.pop()


def together(action: Callable[[], None], threads: int) -> None:
    """Run an action on up to so many threads at once, the calling thread among them.

    Raises
    ------
    BaseException
        What the action raised, in whichever thread.

    Examples
    --------
    >>> numbers = [1, 2, 3]
    >>> together(lambda: numbers.clear(), 2)
    >>> numbers
    []
    """
    helpers = _idle.take(threads - 1)
    if not helpers:
        # Nobody to keep apart from; two callers held to one core would take turns on it.
        action()
        return
    with _apart() as others:
        for helper in helpers:
            helper.start(action, others)
        try:
            action()
        finally:
            errors = [_ended(helper) for helper in helpers]
    for error in errors:
        if error is not None:
            raise error


def _ended(helper: _Helper) -> BaseException | None:
    error = helper.wait()
    _idle.give_back(helper)
    return error


@contextmanager
def _apart() -> Iterator[Cores]:
    """Hold the calling thread to its core; yield the others it may use, its own if that is all.

    Yields none where the system cannot.
    """
    function = _current_core()
    allowed = frozenset(os.sched_getaffinity(0)) if function is not None else frozenset()
    core = function() if function is not None else -1
    if core not in allowed or len(allowed) == 1:
        yield allowed
        return
    os.sched_setaffinity(0, {core})
    try:
        yield allowed - {core}
    finally:
        os.sched_setaffinity(0, allowed)


@cache
def _current_core() -> Callable[[], int] | None:
    """The C library's function that tells the core a thread is on, or None."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


@cache
def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.forget)
