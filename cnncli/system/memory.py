"""Memory: what is available, refusing work that needs more, and keeping what was freed."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from cnncli.errors import CnnCliError, FileProblem

_MEMINFO = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")

UNASKED: Final = 32 * 2**20
"""What needs less is never refused for what is available: asking takes as long as a small image."""


_KEPT_BYTES: Final = 64 * 2**20
_HEAP_BYTES: Final = 32 * 2**20
# Names of the settings in malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed() -> None:
    """Let this process keep some of the memory that it frees, for the next image of a batch.

    Otherwise the GNU C library gives the memory of every image back to the system, which clears
    each page before it lends it again: a seventh of the time of a small photograph. Does nothing
    where there is another C library.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _HEAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def available_bytes() -> int | None:
    """Return how much memory this process can still take; None where the system does not tell.

    The least of what is free, of what the control group has left and of what `ulimit -v` leaves.

    Examples
    --------
    >>> free = available_bytes()
    >>> free is None or free > 0
    True
    """
    known = [n for n in (_free(), _left_in_group(), _left_of_limit()) if n is not None]
    return max(0, min(known)) if known else None


def check_memory(
    needed: int,
    work: str,
    hint: str,
    *,
    limit: int | None = None,
    held: int = 0,
    path: str | None = None,
) -> None:
    """Refuse work that needs more memory than there is, or than the user allows.

    Parameters
    ----------
    needed : int
        Estimated bytes beyond what is taken already.
    work : str
        What needs them, for the message.
    hint : str
        What needs less.
    limit : int, optional
        ``--max-memory``; default: what is available.
    held : int
        What is taken already and counts for the limit.
    path : str, optional
        The file that needs them.

    Raises
    ------
    CnnCliError
        With both figures.

    Examples
    --------
    >>> check_memory(1000, "this network", "a smaller image")
    >>> check_memory(3_000_000, "this network", "a smaller image", limit=2_000_000)
    Traceback (most recent call last):
    cnncli.errors.CnnCliError: this network needs about 3 MB of memory, the limit is 2 MB
    """
    kind = CnnCliError if path is None else FileProblem
    if limit is not None:
        if needed + held > limit:
            raise kind(
                f"{work} needs about {bytes_text(needed + held)} of memory, "
                f"the limit is {bytes_text(limit)}",
                hint=f"{hint}; --max-memory raises the limit",
                path=path,
            )
        return
    if needed <= UNASKED:
        return
    free = available_bytes()
    if free is not None and needed > free:
        raise kind(
            f"{work} needs about {bytes_text(needed)} of memory, {bytes_text(free)} is available",
            hint=hint,
            path=path,
        )


_limit: ContextVar[int | None] = ContextVar("limit", default=None)
_held: ContextVar[int] = ContextVar("held", default=0)


@contextmanager
def memory_limit(limit: int | None) -> Iterator[None]:
    """Set what `check_while_running` allows inside of a ``with``.

    Parameters
    ----------
    limit : int, optional
        ``--max-memory``; None: what is available.
    """
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def note_held(count: int) -> None:
    """Note how many bytes of results are kept at this moment, for `check_while_running`."""
    _held.set(count)


def check_while_running(needed: int, work: str) -> None:
    """Refuse a result whose size was not known when the work began.

    Parameters
    ----------
    needed : int
        Estimated bytes.
    work : str
        What needs them, for the message.

    Raises
    ------
    CnnCliError
        If that is more than is available, or, with what `note_held` says, than `memory_limit`.

    Examples
    --------
    >>> with memory_limit(2_000_000):
    ...     check_while_running(3_000_000, "Expand")
    Traceback (most recent call last):
    cnncli.errors.CnnCliError: Expand needs about 3 MB of memory, the limit is 2 MB
    """
    limit = _limit.get()
    if limit is not None:
        check_memory(needed, work, "a smaller picture", limit=limit, held=_held.get())
    check_memory(needed, work, "a smaller picture")


def bytes_text(count: int) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> bytes_text(43_200_000_000), bytes_text(999)
    ('43.2 GB', '999 bytes')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if count >= size:
            places = 1 if unit == "GB" else 0
            return f"{count / size:.{places}f} {unit}"
    return f"{count} bytes"


def _free() -> int | None:
    try:
        text = _MEMINFO.read_text()
    except OSError:
        return None
    size = text.partition("MemAvailable:")[2].split(maxsplit=1)
    return int(size[0]) * 1024 if size else None


def _left_in_group() -> int | None:
    """What a container may still take: in it, its own control group is the root."""
    try:
        most, used = ((_GROUPS / f"memory.{name}").read_text() for name in ("max", "current"))
        fields = dict(line.split() for line in (_GROUPS / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if not most.strip().isdecimal():
        return None
    # Files that were read and can be forgotten count as used.
    return int(most) - int(used) + int(fields.get("inactive_file", 0))


def _left_of_limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return most
    return most - pages * resource.getpagesize()
