"""Files that appear whole or not at all, and standard output that fails out loud."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from cnncli.errors import FileProblem
from cnncli.system import signals

Writer = Callable[[BinaryIO], object]
Data = bytes | memoryview | Writer
"""Content of a file, or a function that writes it to a binary stream."""

OVERWRITE_HINT = "--overwrite replaces it"
_STDOUT = "standard output"


def write_whole(path: Path, data: Data, *, overwrite: bool, sync: bool = True) -> None:
    """Write a file so that nobody ever sees a part of it.

    The bytes go into a file without a name in the same folder, or a hidden one where there are no
    such files. It takes the output's name once the bytes are safe on the disk. A link keeps
    pointing where it does, and what it points to is replaced. Pipes and devices are written
    straight and stay what they are.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    data : bytes or callable
        The content, or a function that writes it to a binary stream.
    overwrite : bool
        Whether a file of that name may be replaced; it keeps its permissions.
    sync : bool
        Whether to put the name safely on the disk as well; if not, `sync_folders` does for many
        files at once. Until then the name may be gone after a power failure, never half a file.

    Raises
    ------
    FileProblem
        When it cannot be written or exists. What was there before is still there, unchanged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "a.txt"), b"all of it", overwrite=False)
    ...     Path(folder, "a.txt").read_bytes()
    b'all of it'
    """
    try:
        before = _status(path)
        if before is not None and is_special(before):
            # By its own name: /dev/stdout leads to a pipe that has no other.
            with path.open("wb", buffering=1 << 20) as stream:
                _pour(stream, data)
            return
        if before is not None and not overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        real = Path(os.path.realpath(path))
        _replace(real, data, before, overwrite)
        if sync:
            sync_folders([real.parent])
    except FileExistsError:
        raise exists_problem(path) from None
    except OSError as error:
        raise write_problem(path, error) from error


def write_stdout(data: Data) -> None:
    """Write to standard output, and make sure that it arrived.

    Parameters
    ----------
    data : bytes or callable
        The content, or a function that writes it to a binary stream.

    Raises
    ------
    FileProblem
        When standard output is closed or full.
    BrokenPipeError
        When the reader has gone; the caller decides how loud that is.
    """
    if sys.stdout is None or sys.stdout.closed:
        raise FileProblem(f"{_STDOUT} is closed", hint="-o FILE")
    try:
        sys.stdout.flush()
        _pour_all(sys.stdout.buffer, data)
    except OSError as error:
        _give_up_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise FileProblem(f"{_STDOUT}: {_reason(error)}") from error


def sync_folders(folders: Iterable[str | Path]) -> None:
    """Put the names in folders safely on the disk.

    What is no folder is left out, and so is what cannot be synced, as on some file systems: the
    files themselves are safe by then.

    Examples
    --------
    >>> sync_folders(["/nowhere"])
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder or os.curdir, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, if it is missing.

    Raises
    ------
    FileProblem
        If it cannot be made.
    """
    try:
        # mkdir does not follow a link to a folder that is still to be made.
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"cannot be made: {_reason(error)}", path=folder) from error


def is_special(status: os.stat_result) -> bool:
    """Tell pipes, devices and sockets from files and folders."""
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))


def exists_problem(path: str | os.PathLike[str]) -> FileProblem:
    """Return the error for an output that is there already."""
    return FileProblem("exists already", hint=OVERWRITE_HINT, path=path)


def write_problem(path: Path, error: OSError) -> FileProblem:
    """Return the error for an output that cannot be written."""
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


def _pour(stream: BinaryIO, data: Data) -> None:
    if callable(data):
        data(stream)
    else:
        stream.write(data)


def _pour_all(stream: BinaryIO, data: Data) -> None:
    if not isinstance(stream, io.RawIOBase):
        _pour(stream, data)
        stream.flush()
        return
    # With PYTHONUNBUFFERED the stream is raw, and a raw write may take only a part.
    buffered = io.BufferedWriter(stream, buffer_size=1 << 20)
    try:
        _pour(buffered, data)
        buffered.flush()
    finally:
        with contextlib.suppress(OSError):
            buffered.detach()


def _replace(real: Path, data: Data, before: os.stat_result | None, overwrite: bool) -> None:
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    unnamed = _open_unnamed(real.parent)
    if unnamed is None:
        _replace_by_name(real, data, before, overwrite)
    else:
        with unnamed:
            _fill(unnamed, data, before)
            _give_name(unnamed, real, before, overwrite)


def _fill(stream: BinaryIO, data: Data, before: os.stat_result | None) -> None:
    """Put everything into a new file, and the file safely on the disk."""
    _pour(stream, data)
    stream.flush()
    if before is not None:
        os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
    os.fsync(stream.fileno())


def _open_unnamed(folder: Path) -> BinaryIO | None:
    """Open a file without a name, which is gone when this process is, even by `kill -9`.

    None where there are no such files: outside of Linux and on some network folders.
    """
    try:
        return open(os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o666), "w+b")
    except (AttributeError, OSError):
        return None


def _give_name(
    unnamed: BinaryIO, real: Path, before: os.stat_result | None, overwrite: bool
) -> None:
    try:
        _link(unnamed, real)
    except FileExistsError:
        if not overwrite:
            raise
        # A link replaces nothing: for the moment until the next call the file has a hidden name.
        with _hidden(real) as temporary:
            _link(unnamed, temporary)
            temporary.replace(real)
    except OSError:
        # No /proc, or a security policy against such links.
        unnamed.seek(0)
        _replace_by_name(real, lambda stream: _copy(unnamed, stream), before, overwrite)


def _link(unnamed: BinaryIO, path: Path) -> None:
    descriptor = unnamed.fileno()
    # Without a src_dir_fd Python's os.link does not follow links, whatever it is told.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


def _copy(source: BinaryIO, stream: BinaryIO) -> None:
    while chunk := source.read(1 << 20):
        stream.write(chunk)


@contextlib.contextmanager
def _hidden(real: Path) -> Iterator[Path]:
    """Lend a hidden name in the same folder; if anything fails, nothing of that name is left."""
    # Short whatever the output's name, so that a name of full length has a partner too.
    temporary = real.with_name(f"{_hidden_prefix(os.getpid())}{os.urandom(8).hex()}.tmp")
    try:
        with signals.undone_by(temporary.unlink):
            yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _hidden_prefix(pid: int) -> str:
    return f".cnncli-{pid}-"


def remove_hidden(folder: Path, pid: int) -> None:
    """Remove what a process that was killed has left of hidden names in a folder."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"{_hidden_prefix(pid)}*.tmp"):
            left.unlink()


def _replace_by_name(
    real: Path, data: Data, before: os.stat_result | None, overwrite: bool
) -> None:
    with _hidden(real) as temporary:
        with temporary.open("xb") as stream:
            _fill(stream, data, before)
        if overwrite:
            temporary.replace(real)
        else:
            _publish(temporary, real)


def _publish(temporary: Path, real: Path) -> None:
    """Give a finished file its name, but not if something took that name meanwhile."""
    try:
        real.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Without hard links (FAT, some network folders) a moment between look and rename remains.
        if os.path.lexists(real):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        temporary.rename(real)
    else:
        temporary.unlink()


def _give_up_stdout() -> None:
    """Point standard output nowhere: what its buffer still holds would fail again at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)
