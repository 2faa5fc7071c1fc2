"""How much memory a job may take: estimated before the work, and refused when it is too much."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path
from typing import Final

from cnncli.errors import CnnCliError

_MEMINFO = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")


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
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
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


def check_memory(needed: int, work: str, hint: str) -> None:
    """Refuse work that needs more memory than there is.

    Parameters
    ----------
    needed : int
        Estimated bytes.
    work : str
        What needs them, for the message.
    hint : str
        What needs less.

    Raises
    ------
    CnnCliError
        With both figures.

    Examples
    --------
    >>> check_memory(1000, "this network", "a smaller image")
    """
    free = available_bytes()
    if free is not None and needed > free:
        raise CnnCliError(
            f"{work} needs about {_size(needed)} of memory, {_size(free)} are available", hint=hint
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _free() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    words = fields.get("MemAvailable", "").split()
    return int(words[0]) * 1024 if words else None


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
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return most
    return most - pages * resource.getpagesize()
