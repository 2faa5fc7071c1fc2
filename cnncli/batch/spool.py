"""A list of records in the order they come, of which a large one is kept on disk."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from typing import BinaryIO, Final

from cnncli.errors import FileProblem

_IN_MEMORY: Final = 1 << 18
_LENGTH: Final = 4


class Spool:
    """Records in the order they come; many of them wait on disk, in a file without a name.

    Examples
    --------
    >>> spool = Spool()
    >>> positions = [spool.append(b"one"), spool.append(b"two")]
    >>> list(spool), spool.read(positions[1]), len(spool)
    ([b'one', b'two'], b'two', 2)
    """

    def __init__(self) -> None:
        self._count = 0
        self._written = 0
        self._pending = bytearray()
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return self._count

    def append(self, record: bytes) -> int:
        """Keep a record; return where it is.

        Raises
        ------
        FileProblem
            If the disk for temporary files is full.
        """
        position = self._written + len(self._pending)
        self._pending += len(record).to_bytes(_LENGTH, "little") + record
        self._count += 1
        if len(self._pending) > _IN_MEMORY:
            self._write()
        return position

    def read(self, position: int) -> bytes:
        """Return the record at a position."""
        begin = position + _LENGTH
        return self._part(begin, int.from_bytes(self._part(position, _LENGTH), "little"))

    def __iter__(self) -> Iterator[bytes]:
        position = 0
        while position < self._written + len(self._pending):
            part = self._part(position, _IN_MEMORY)
            done = 0
            for record in _records(part):
                yield record
                done += _LENGTH + len(record)
            if not done:
                yield (record := self.read(position))
                done = _LENGTH + len(record)
            position += done

    def _part(self, begin: int, size: int) -> bytes:
        """Return bytes from a position on; those on disk and those in memory come one by one."""
        if begin >= self._written:
            begin -= self._written
            return bytes(self._pending[begin : begin + size])
        assert self._file is not None
        self._file.seek(begin)
        return self._file.read(min(size, self._written - begin))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = temporary_file()
                weakref.finalize(self, self._file.close)
            self._file.seek(0, os.SEEK_END)
            self._file.write(self._pending)
            self._file.flush()
        except OSError as error:
            raise temporary_problem(error) from error
        self._written += len(self._pending)
        self._pending.clear()


def _records(part: bytes) -> Iterator[bytes]:
    """Yield the records that are whole."""
    begin = _LENGTH
    while begin <= len(part):
        end = begin + int.from_bytes(part[begin - _LENGTH : begin], "little")
        if end > len(part):
            return
        yield part[begin:end]
        begin = end + _LENGTH


def temporary_file() -> BinaryIO:
    """Open a file without a name, which goes when it is closed or the process ends."""
    import tempfile

    file: BinaryIO = tempfile.TemporaryFile(prefix="cnncli-")  # noqa: SIM115
    return file


def temporary_problem(error: OSError) -> FileProblem:
    """Return the error for a temporary file that cannot be written."""
    reason = (error.strerror or str(error)).lower()
    return FileProblem(f"a temporary file cannot be written: {reason}", hint="TMPDIR=/another/disk")
