"""New files without a name until they are whole, streams, and folders synced to the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from cnncli.system import signals

BUFFER_BYTES: Final = 1 << 20

STDOUT_NAMES: Final = ("-", "/dev/stdout")


def open_to_read(path: Path) -> int:
    """Open a file and return its descriptor; never wait for anybody to write it, as to a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags)


def is_open(stream: IO[Any] | None) -> bool:
    """Tell whether a standard stream is there and open; a process may be begun without one."""
    return stream is not None and not stream.closed


def is_plain_file(stream: IO[Any] | None) -> bool:
    """Tell whether a standard stream goes to a file on a disk."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or no stream of the system
        return False


def is_shell_pipe(path: Path) -> bool:
    """Tell whether a path is what a shell puts for ``<(...)``: an open pipe that has a writer."""
    name = str(path)
    begins = name.startswith(("/dev/fd/", "/proc/self/fd/"))
    return begins and name.rpartition("/")[2].isdecimal() and path.is_fifo()


def is_terminal_device(device: Path) -> bool:
    """Tell whether a device is a terminal, without becoming the process that it controls.

    Raises
    ------
    OSError
        If it cannot be opened to write.
    """
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(device, flags)
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_new(path: Path, *, overwrite: bool, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the ``with`` block ends, and is gone if that fails.

    Where there are files without a name it is one, which is gone even when this process is
    killed; elsewhere it has a hidden name in the same folder.

    Parameters
    ----------
    path : Path
        No link, no folder. Its folder must exist.
    overwrite : bool
        Whether a file of that name may be replaced.
    mode : int, optional
        Permissions; default: those of new files.

    Yields
    ------
    binary stream
        Its content is safe on the disk before it has its name.

    Raises
    ------
    FileExistsError
        When a file of that name is there, or appeared meanwhile.
    OSError
        When it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_new(Path(folder, "a.txt"), overwrite=False) as stream:
    ...         stream.write(b"all of it")
    ...     Path(folder, "a.txt").read_bytes()
    9
    b'all of it'
    """
    unnamed = _open_unnamed(path.parent)
    if unnamed is None:
        with _open_hidden(path, overwrite, mode) as stream:
            yield stream
        return
    with unnamed:
        yield unnamed
        if mode is not None:
            os.fchmod(unnamed.fileno(), mode)
        _put_on_disk(unnamed)
        try:
            _link_unnamed(unnamed, path, overwrite)
        except FileExistsError:
            raise
        except OSError:
            # No /proc, or a security policy against such links.
            import shutil

            unnamed.seek(0)
            with _open_hidden(path, overwrite, mode) as stream:
                shutil.copyfileobj(unnamed, stream, BUFFER_BYTES)


def _open_unnamed(folder: Path) -> BinaryIO | None:
    """None where there are no such files: outside of Linux and on some network folders."""
    try:
        return open(os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o666), "w+b")
    except (AttributeError, OSError):
        return None


def _link_unnamed(unnamed: BinaryIO, path: Path, overwrite: bool) -> None:
    descriptor = unnamed.fileno()

    def link(name: Path) -> None:
        # Without a src_dir_fd Python's os.link does not follow links, whatever it is told.
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)

    try:
        link(path)
    except FileExistsError:
        if not overwrite:
            raise
        # A link replaces nothing: for the moment until the next call the file has a hidden name.
        with _hidden_name(path) as hidden:
            link(hidden)
            hidden.replace(path)


@contextmanager
def _open_hidden(path: Path, overwrite: bool, mode: int | None) -> Iterator[BinaryIO]:
    with _hidden_name(path) as hidden:
        with hidden.open("xb") as stream:
            yield stream
            _put_on_disk(stream)
        if mode is not None:
            hidden.chmod(mode)
        if overwrite:
            hidden.replace(path)
        else:
            _rename_new(hidden, path)


def _put_on_disk(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _rename_new(hidden: Path, path: Path) -> None:
    """Give a finished file its name, but not if something took that name meanwhile."""
    try:
        path.hardlink_to(hidden)
    except FileExistsError:
        raise
    except OSError:
        # Without hard links (FAT, some network folders) a moment between check and rename remains.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        hidden.rename(path)
    else:
        hidden.unlink()


@contextmanager
def _hidden_name(path: Path) -> Iterator[Path]:
    """Lend a hidden name in the same folder; if anything fails, nothing of that name is left."""
    # Short whatever the output's name, so that a name of full length has a partner too.
    hidden = path.with_name(f"{_hidden_prefix(os.getpid())}{os.urandom(8).hex()}.tmp")
    try:
        with signals.undone_by(hidden.unlink):
            yield hidden
    except BaseException:
        with contextlib.suppress(OSError):
            hidden.unlink()
        raise


def _hidden_prefix(pid: int) -> str:
    return f".cnncli-{pid}-"


def remove_hidden(folder: Path, pid: int) -> None:
    """Remove what a process that was killed has left of hidden names in a folder."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"{_hidden_prefix(pid)}*.tmp"):
            left.unlink()


def free_bytes(folder: Path) -> int | None:
    """Return how much may still be written to the disk of a folder; None if nobody knows.

    Examples
    --------
    >>> free_bytes(Path("/nowhere")) is None
    True
    """
    try:
        if hasattr(os, "statvfs"):
            disk = os.statvfs(folder)
            return disk.f_bavail * disk.f_frsize
        # With it come all that packs archives.
        import shutil

        return shutil.disk_usage(folder).free
    except OSError:
        return None


def sync_folders(folders: Iterable[str | Path]) -> None:
    """Put the names in folders safely on the disk.

    What is no folder is left out, and so is what cannot be synced, as on some file systems and
    systems: the files themselves are safe by then.

    Examples
    --------
    >>> sync_folders(["/nowhere"])
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder or os.curdir, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
