"""Files that appear whole or not at all, and standard output that fails out loud."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from cnncli.errors import FileProblem, OutputExists, quote
from cnncli.system.files import BUFFER_BYTES, STDOUT_NAMES, is_open, open_new, sync_folders

OVERWRITE_HINT = "--overwrite replaces it"
FOLDER_HINT = "make it first, or name a folder with / at its end"
SKIP_HINT = f"{OVERWRITE_HINT}, --skip-existing leaves it"
_STDOUT = "standard output"


@contextmanager
def open(path: Path, *, overwrite: bool = False, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file to write so that nobody ever sees a part of it.

    The file gets its name, or its new content, when the ``with`` block ends and the bytes are safe
    on the disk. Where the block raises, nothing has changed. A link keeps pointing where it does,
    and what it points to is replaced. Pipes and devices are written straight and stay what they
    are.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    overwrite : bool
        Whether a file of that name may be replaced; it keeps its permissions.
    sync : bool
        Whether to put the name safely on the disk as well; if not, `sync_folders` does for many
        files at once. Until then the name may be gone after a power failure, never half a file.

    Yields
    ------
    binary stream

    Raises
    ------
    FileProblem
        When it cannot be written or exists.
    OSError
        Of the block, as it was raised: what fails to be computed is no fault of the output.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(Path(folder, "a.txt")) as stream:
    ...         stream.write(b"all of it")
    ...     Path(folder, "a.txt").read_bytes()
    9
    b'all of it'
    """

    def problem(error: OSError) -> FileProblem:
        is_there = isinstance(error, FileExistsError)
        return exists_problem(path) if is_there else write_problem(path, error)

    with _named_errors(_opened(path, overwrite, sync), problem) as stream:
        yield stream


@contextmanager
def _opened(path: Path, overwrite: bool, sync: bool) -> Iterator[BinaryIO]:
    before = _status(path)
    if before is not None and is_special(before):
        # By its own name: that of standard output leads to a pipe that has no other.
        with path.open("wb", buffering=BUFFER_BYTES) as stream:
            yield stream
        return
    if before is not None and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    real = Path(os.path.realpath(path))
    mode = None if before is None else stat.S_IMODE(before.st_mode)
    with open_new(real, overwrite=overwrite, mode=mode) as stream:
        yield stream
    if sync:
        sync_folders([real.parent])


@contextmanager
def _named_errors(
    output: AbstractContextManager[BinaryIO], problem: Callable[[OSError], Exception]
) -> Iterator[BinaryIO]:
    """Raise an output's own OSErrors as `problem` says, and those of the block as they are."""
    foreign: OSError | None = None
    try:
        with output as stream:
            try:
                yield cast(BinaryIO, _Output(stream, problem))
            except OSError as error:
                foreign = error
                raise
    except OSError as error:
        if error is foreign:
            raise
        raise problem(error) from error


class _Output:
    """A stream that raises its own errors as `problem` says."""

    def __init__(self, stream: BinaryIO, problem: Callable[[OSError], Exception]) -> None:
        self._stream, self._problem = stream, problem

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stream, name)
        if not callable(value):
            return value

        def call(*arguments: Any) -> Any:
            try:
                return value(*arguments)
            except OSError as error:
                raise self._problem(error) from error

        return call


@contextmanager
def open_stdout() -> Iterator[BinaryIO]:
    """Open standard output for bytes, and make sure that they arrived when the block ends.

    Yields
    ------
    binary stream

    Raises
    ------
    FileProblem
        When standard output is closed or full.
    BrokenPipeError
        When the reader has gone; the caller decides what to say then.
    """
    if not is_open(sys.stdout):
        raise FileProblem(f"{_STDOUT} is closed", hint="-o FILE")
    with _named_errors(_stdout(), _stdout_problem) as stream:
        yield stream


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    sys.stdout.flush()
    stream = sys.stdout.buffer
    if not isinstance(stream, io.RawIOBase):
        yield stream
        stream.flush()
        return
    # With PYTHONUNBUFFERED the stream is raw, and a raw write may take only a part.
    buffered = io.BufferedWriter(stream, buffer_size=BUFFER_BYTES)
    try:
        yield buffered
        buffered.flush()
    finally:
        with contextlib.suppress(OSError):
            buffered.detach()


def _stdout_problem(error: OSError) -> Exception:
    _give_up_stdout()
    if isinstance(error, BrokenPipeError):
        return error
    return FileProblem(f"{_STDOUT}: {_reason(error)}")


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, if it is missing.

    Raises
    ------
    FileProblem
        If it cannot be made.
    """
    if os.path.isdir(folder):
        return
    try:
        # mkdir does not follow a link to a folder that is still to be made.
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"cannot be made: {_reason(error)}", path=folder) from error


def is_stdout(output: str) -> bool:
    """Tell whether the name of an output means standard output."""
    return output in STDOUT_NAMES


def is_folder_name(output: str) -> bool:
    """Tell whether the name of an output means a folder, which need not exist.

    Examples
    --------
    >>> is_folder_name("out/"), is_folder_name("out.png")
    (True, False)
    """
    return output.endswith(("/", os.sep))


def is_special(status: os.stat_result) -> bool:
    """Tell pipes, devices and sockets from files and folders."""
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))


def exists_problem(path: str | os.PathLike[str], *, may_skip: bool = False) -> OutputExists:
    """Return the error for an output that is there already, of a command with --skip-existing."""
    hint = SKIP_HINT if may_skip else OVERWRITE_HINT
    return OutputExists("exists already", hint=hint, path=path)


def no_folder_problem(
    path: Path, hint: str = FOLDER_HINT, folder: Path | None = None
) -> FileProblem:
    """Return the error for an output whose folder is not there, by default the one it names."""
    missing = quote(path.parent if folder is None else folder)
    return FileProblem(f"its folder {missing} does not exist", hint=hint, path=path)


def write_problem(path: Path, error: OSError) -> FileProblem:
    """Return the error for an output that cannot be written."""
    if error.errno == errno.ENOENT and not path.parent.exists():
        return no_folder_problem(path)
    return FileProblem(f"cannot be written: {_reason(error)}", path=path)


def _reason(error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return "file too large for the limit of this process or disk"
    return (error.strerror or str(error)).lower()


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _give_up_stdout() -> None:
    """Point standard output nowhere: what its buffer still holds would fail again at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)
