"""Opens ordinary files to read, never waits for anything else, and says why one cannot be read."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cnncli.errors import FileProblem
from cnncli.io.nearby import files_like
from cnncli.system.files import is_shell_pipe, open_to_read

_LARGE_READ: Final = 2**20


class _Bounded(io.BufferedReader):
    """A file that is never asked for more than it has.

    What a header claims would be allocated before the first byte of it is missing: Pillow for one
    reads to the end of a PNG chunk that says it is 4 GiB long.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does."""
        if size is not None and size > _LARGE_READ:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


@contextlib.contextmanager
def open_regular(path: Path, *, name: str) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading, and never wait for anything else.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The name to use in messages.

    Yields
    ------
    BinaryIO
        The open file, at its start.

    Raises
    ------
    FileProblem
        If it is missing, not readable, or no ordinary file.

    Examples
    --------
    >>> with open_regular(Path("/"), name="/") as stream:
    ...     pass
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/': a folder, where a file is needed
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            # A sub-folder that may not be listed is named for that.
            os.scandir(path).close()
        _check_regular(status, name)
        descriptor = open_to_read(path)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from error
    with _Bounded(io.FileIO(descriptor, "rb")) as stream:
        _check_regular(os.fstat(descriptor), name)
        yield stream


def open_shell_pipe(path: str) -> BinaryIO | None:
    """Open what a shell puts for ``<(...)``; None for anything else.

    Examples
    --------
    >>> open_shell_pipe("/dev/null") is None
    True
    """
    return open(path, "rb") if is_shell_pipe(Path(path)) else None


def unreadable(name: str, error: Exception) -> FileProblem:
    """Return the error for a file that cannot be read; of a missing one the hint names others."""
    hint = files_like(name) if isinstance(error, FileNotFoundError) else None
    return FileProblem(f"cannot be read: {fault_text(error)}", hint=hint, path=name)


def fault_text(error: Exception) -> str:
    """Return one printable line on what went wrong, without a file name.

    Examples
    --------
    >>> fault_text(FileNotFoundError(2, "No such file", "x.png")), fault_text(EOFError())
    ('No such file', 'EOFError')
    """
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(text.split()) or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line)[:160]


def _check_regular(status: os.stat_result, name: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise FileProblem("a folder, where a file is needed", path=name)
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((word for test, word in kinds if test(status.st_mode)), "a device")
    raise FileProblem(
        f"{kind}, where a file is needed",
        hint="pipe the data in and give '-' for standard input",
        path=name,
    )
