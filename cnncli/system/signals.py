"""Ctrl-C, SIGTERM and SIGHUP: the command ends within a second of them and leaves nothing behind.

Python runs what handles a signal between two steps of the main thread, and a step such as a long
transform can take seconds. So a thread watches too: it hears of a signal at once, and what has not
ended by itself after `UNWIND` seconds is ended by it. A second signal ends it immediately.

Only the command installs this; in programs that import cnncli signals do what they did.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

FROM_TERMINAL: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
)
"""A terminal sends these to all of its processes."""

STOPS: Final = (signal.SIGTERM, *FROM_TERMINAL)

UNWIND: Final = 0.45
"""Seconds in which the main thread may end by itself, its workers within them."""

WORKER_UNWIND: Final = 0.15
"""The same in a worker, whose parent does not wait for long either."""

_LAST_STANDARD_STREAM: Final = 2

_CALLBACK_SECONDS: Final = 0.01
"""Longer than what Python calls by itself takes."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end, as Ctrl-C does."""


class _State:
    """What the handler, the thread that watches and the main thread share."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew; a forked child must not undo what its parent does."""
        self.number = 0
        self.raised = False
        self.raised_again = 0
        self.undo: list[Callable[[], object]] = []
        self.progress: Callable[[], str] | None = None
        self.reported = _thread.allocate_lock()
        self.leaving = _thread.allocate_lock()


_state = _State()


def install() -> None:
    """Let signals end this process as the command promises; those that it ignores stay so."""
    if hasattr(signal, "SIGCHLD"):
        # Who started this may have ignored the ends of children; they tell what befell a worker.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    errors = None
    with contextlib.suppress(OSError):
        # Decoders silence descriptor 2 for a while, and a signal may come then.
        errors = _above_standard_streams(os.dup(_LAST_STANDARD_STREAM))
    heard, signalled = pipe()
    if hasattr(os, "set_blocking"):
        os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    _handle([number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN])
    _thread.start_new_thread(_watch, (heard, errors))


def become_child() -> None:
    """Let a child end by SIGTERM alone, or by `end_child`."""
    signal.set_wakeup_fd(-1)
    _state.forget()
    # The parent says what is to become of workers.
    for number in FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    _handle([signal.SIGTERM])
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def end_child() -> None:
    """End this child, whatever its main thread does; called on another thread."""
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(WORKER_UNWIND)
    _leave(signal.SIGTERM, None)


@contextmanager
def blocked(*numbers: int) -> Iterator[None]:
    """Hold signals back, where the system can: none is lost or doubled by a fork in here.

    Threads and processes that are started meanwhile never get them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers or STOPS)
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
    """Begin a command: nothing is done yet, and nothing was printed."""
    _state.progress = None
    _state.reported = _thread.allocate_lock()


def set_progress(progress: Callable[[], str]) -> None:
    """Set the function that tells how much is done, such as ``12 of 40 done``."""
    _state.progress = progress


def interruption_text() -> str | None:
    """Return what to print about the interruption; None if that was returned before.

    Examples
    --------
    >>> set_progress(lambda: "12 of 40 done")
    >>> interruption_text(), interruption_text()
    ('interrupted: 12 of 40 done', None)
    >>> begin()
    """
    if not _state.reported.acquire(blocking=False):
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
    reading, writing = os.pipe()
    return _above_standard_streams(reading), _above_standard_streams(writing)


def _above_standard_streams(descriptor: int) -> int:
    """Move a descriptor: libraries write to a standard stream's number though it is closed."""
    if descriptor > _LAST_STANDARD_STREAM:
        return descriptor
    try:
        return _above_standard_streams(os.dup(descriptor))
    finally:
        os.close(descriptor)


def _handle(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _show_unraisable


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The thread sees to a second one; raised here it would meet what cleans up after the first.
    if not _state.raised:
        _state.number, _state.raised = number, True
        raise Interrupted


def _show_unraisable(unraisable: Any) -> None:
    """Raise an interruption again that was raised where Python ignores errors, as in a callback."""
    if not isinstance(unraisable.exc_value, Interrupted):
        sys.__unraisablehook__(unraisable)
        return

    def again() -> None:
        time.sleep(_CALLBACK_SECONDS)
        _state.raised = False
        _state.raised_again += 1
        _thread.interrupt_main(signal.Signals(_state.number))

    _thread.start_new_thread(again, ())


def _watch(heard: int, errors: int | None) -> None:
    first = _next_stop(heard)

    def leave_in_time() -> None:
        time.sleep(UNWIND)
        _leave(first, errors)

    _thread.start_new_thread(leave_in_time, ())
    second = _next_stop(heard)
    while _state.raised_again:
        # That was the first one, from `_show_unraisable`.
        _state.raised_again -= 1
        second = _next_stop(heard)
    _leave(second, errors)


def _next_stop(heard: int) -> int:
    while (number := os.read(heard, 1)[0]) not in STOPS:
        pass
    return number


def _leave(number: int, errors: int | None) -> None:
    """End the process whatever its main thread does."""
    _state.leaving.acquire()
    for action in reversed(_state.undo[:]):
        with contextlib.suppress(Exception):
            action()
    if errors is not None and (text := interruption_text()) is not None and _takes_a_line(errors):
        with contextlib.suppress(OSError):
            os.write(errors, f"cnncli: error: {text}\n".encode())
    os._exit(128 + number)


def _takes_a_line(descriptor: int) -> bool:
    """Whether writing would not wait: a terminal may be held, a pipe full."""
    try:
        return bool(select.select([], [descriptor], [], 0)[1])
    except (OSError, ValueError):
        return True  # a system that can tell of sockets alone
