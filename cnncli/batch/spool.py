"""A list of records in the order they come, of which a large one is kept on disk."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from io import BytesIO
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
        self._count = self._end = 0
        self._file: BinaryIO = BytesIO()

    def __len__(self) -> int:
        return self._count

    def append(self, record: bytes) -> int:
        """Keep a record; return where it is.

        Raises
        ------
        FileProblem
            If the disk for temporary files is full.
        """
        position, stored = self._end, len(record).to_bytes(_LENGTH, "little") + record
        if position + len(stored) > _IN_MEMORY and isinstance(self._file, BytesIO):
            file = temporary_file()
            weakref.finalize(self, file.close)
            write_temporary(file, self._file.getvalue())
            self._file = file
        self._file.seek(position)
        write_temporary(self._file, stored)
        self._count += 1
        self._end += len(stored)
        return position

    def read(self, position: int) -> bytes:
        """Return the record at a position."""
        self._file.seek(position)
        return self._file.read(int.from_bytes(self._file.read(_LENGTH), "little"))

    def __iter__(self) -> Iterator[bytes]:
        position = 0
        while position < self._end:
            yield (record := self.read(position))
            position += _LENGTH + len(record)


def temporary_file() -> BinaryIO:
    """Open a file without a name, which goes when it is closed or the process ends.

    It has no buffer: what could not be written would wait in it, and fail once more at each read.
    """
    import tempfile

    try:
        return tempfile.TemporaryFile(prefix="cnncli-", buffering=0)
    except OSError as error:
        raise _write_problem(error) from error


def write_temporary(file: BinaryIO, content: bytes) -> None:
    """Write all of a content; a file without a buffer may take a part at a time."""
    try:
        while content:
            content = content[file.write(content) :]
    except OSError as error:
        raise _write_problem(error) from error


def _write_problem(error: OSError) -> FileProblem:
    reason = (error.strerror or str(error)).lower()
    return FileProblem(f"a temporary file cannot be written: {reason}", hint="TMPDIR=/another/disk")
