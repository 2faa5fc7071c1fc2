"""Ctrl-C, SIGTERM and SIGHUP: the command ends within a second of them and leaves nothing behind.

Python runs what handles a signal between two steps of the main thread, and a step such as a long
transform can take seconds. So a thread watches too: it hears of a signal at once, and what has not
ended by itself after `UNWIND` seconds is ended by it. A second signal ends it immediately.

Only the command installs this; in programs that import cnncli signals do what they did.
"""

from __future__ import annotations

import _thread
import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

UNWIND: Final = 0.45
"""Seconds in which the main thread may end by itself, its workers within them."""

WORKER_UNWIND: Final = 0.15
"""The same in a worker, whose parent does not wait for long either."""

_ABOVE_STANDARD_STREAMS: Final = 3


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end, as Ctrl-C does."""


class _State:
    """What the handler, the thread that watches and the main thread share."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew; a forked child must not undo what its parent does."""
        self.number = 0
        self.undo: list[Callable[[], object]] = []
        self.progress: Callable[[], str] | None = None
        self.said = _thread.allocate_lock()


_state = _State()


def install() -> None:
    """Let signals end this process as the command promises; those that it ignores stay so."""
    # Who started this may have ignored the ends of children; they tell what befell a worker.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    wanted = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
    # Decoders silence descriptor 2 for a while, and a signal may come then.
    with contextlib.suppress(OSError):
        _listen(wanted, None, fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD_STREAMS))
        return
    _listen(wanted, None, None)


def become_worker(lifeline: int) -> None:
    """Let a forked child end by SIGTERM alone, or when its parent has ended, however it did.

    Parameters
    ----------
    lifeline : int
        The end to read of a pipe that nobody writes to, and that the parent alone holds open.
    """
    signal.set_wakeup_fd(-1)
    _state.forget()
    # A terminal sends these to all of its processes; the parent says what is to become of workers.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _listen([signal.SIGTERM], lifeline, None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


@contextmanager
def blocked() -> Iterator[None]:
    """Hold signals back: none is lost or doubled by a fork in here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def undone_by(action: Callable[[], object]) -> Iterator[None]:
    """Have an action run, on another thread, if the process must end inside this block.

    Parameters
    ----------
    action : callable
        Removes what would be left behind. Short; it may run beside the block.
    """
    _state.undo.append(action)
    try:
        yield
    finally:
        _state.undo.remove(action)


def begin() -> None:
    """Begin a command: nothing is done yet, and nothing was said."""
    _state.progress = None
    _state.said = _thread.allocate_lock()


def tell_progress(progress: Callable[[], str]) -> None:
    """Set what is said of the work done so far, such as ``12 of 40 done``."""
    _state.progress = progress


def last_word() -> str | None:
    """Return what is to be said of the interruption; None if it has been said already.

    Examples
    --------
    >>> tell_progress(lambda: "12 of 40 done")
    >>> last_word(), last_word()
    ('interrupted: 12 of 40 done', None)
    >>> begin()
    """
    if not _state.said.acquire(blocking=False):
        return None
    return f"interrupted: {_state.progress()}" if _state.progress else "interrupted"


def is_ending() -> bool:
    """Whether a signal has asked for the end."""
    return _state.number != 0


def exit_code() -> int:
    """Return the exit code of an interrupted command: 128 and the number of its signal.

    Examples
    --------
    >>> exit_code()
    130
    """
    return 128 + (_state.number or signal.SIGINT)


def pipe() -> tuple[int, int]:
    """Return the two ends of a pipe, to read and to write, that are no standard streams."""
    ends = os.pipe()
    if min(ends) >= _ABOVE_STANDARD_STREAMS:
        return ends
    # One of the standard streams is closed, and libraries write to its number all the same.
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD_STREAMS) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _listen(numbers: list[signal.Signals], lifeline: int | None, errors: int | None) -> None:
    heard, signalled = pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, _interrupt)
    _thread.start_new_thread(_watch, (heard, lifeline, errors))


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The thread sees to a second one; raised here it would meet what cleans up after the first.
    if not _state.number:
        _state.number = number
        raise Interrupted


def _watch(heard: int, lifeline: int | None, errors: int | None) -> None:
    number = _next_signal(heard, lifeline, None)
    if number is not None:
        _next_signal(heard, lifeline, UNWIND if lifeline is None else WORKER_UNWIND)
    _leave(number or signal.SIGTERM, errors)


def _next_signal(heard: int, lifeline: int | None, seconds: float | None) -> int | None:
    """Return the next signal; None if the parent is gone or the time is over before it comes."""
    waiting = select.poll()
    for descriptor in (heard, *([] if lifeline is None else [lifeline])):
        waiting.register(descriptor, select.POLLIN)
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        ready = dict(waiting.poll(None if left is None else left * 1000))
        if not ready or lifeline in ready:
            return None
        if (number := os.read(heard, 1)[0]) in STOPS:
            return number


def _leave(number: int, errors: int | None) -> None:
    """End the process whatever its main thread does."""
    for action in reversed(_state.undo[:]):
        with contextlib.suppress(Exception):
            action()
    if errors is not None and (word := last_word()) is not None and _takes_a_line(errors):
        with contextlib.suppress(OSError):
            os.write(errors, f"cnncli: error: {word}\n".encode())
    os._exit(128 + number)


def _takes_a_line(descriptor: int) -> bool:
    """Whether writing would not wait: a terminal may be held, a pipe full."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return bool(waiting.poll(0))
