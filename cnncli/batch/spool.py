"""Much in little memory: hashes of the names of a million files, and records kept on disk."""

from __future__ import annotations

import os
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from typing import BinaryIO, Final

from cnncli.errors import FileProblem

_BITS: Final = (1 << 64) - 1
_FIRST_SLOTS: Final = 64
_IN_MEMORY: Final = 1 << 18
_LENGTH: Final = 4


def hash64(key: Hashable) -> int:
    """Return 64 bits of a text, or of a tuple of numbers.

    Those of a text differ from process to process, so that nobody can choose names that collide;
    those of numbers do not.

    Examples
    --------
    >>> hash64("a") == hash64("a"), hash64("a") == hash64("b"), hash64((1, 2)) < 2**64
    (True, False, True)
    """
    return hash(key) & _BITS


class HashTable:
    """Numbers by 64-bit keys, in 16 bytes a slot: a dictionary takes ten times as much.

    Examples
    --------
    >>> table = HashTable()
    >>> table.insert(7, 1), table.insert(7, 2), len(table)
    (None, 1, 1)
    """

    def __init__(self) -> None:
        self._count = 0
        self._keys = array("Q", bytes(8 * _FIRST_SLOTS))
        self._values = array("Q", bytes(8 * _FIRST_SLOTS))

    def __len__(self) -> int:
        return self._count

    def insert(self, key: int, value: int) -> int | None:
        """Keep a value under a key that is new; return what an old key has, and keep that."""
        key = key or 1  # 0 marks a free slot
        slot = self._slot(key)
        if self._keys[slot]:
            return self._values[slot]
        self._keys[slot], self._values[slot] = key, value
        self._count += 1
        if 3 * self._count > 2 * len(self._keys):
            self._grow()
        return None

    def _slot(self, key: int) -> int:
        """The slot of a key, or the free one where it belongs."""
        keys = self._keys
        last = len(keys) - 1
        slot = key & last
        while keys[slot] and keys[slot] != key:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", bytes(16 * len(keys)))
        self._values = array("Q", bytes(16 * len(keys)))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value


class HashSet:
    """The hashes of many keys, sorted: 8 bytes each.

    Parameters
    ----------
    keys : iterable of hashable

    Examples
    --------
    >>> seen = HashSet([(1, 2), (3, 4)])
    >>> (3, 4) in seen, (4, 3) in seen, len(seen)
    (True, False, 2)
    """

    def __init__(self, keys: Iterable[Hashable] = ()) -> None:
        found = array("Q", (hash64(key) for key in keys))
        if len(found) > 1:
            import numpy as np

            np.frombuffer(found, np.uint64).sort()
        self._hashes = found

    def __contains__(self, key: object) -> bool:
        wanted = hash64(key)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted

    def __len__(self) -> int:
        return len(self._hashes)


class Spool:
    """Records in the order they come; many of them wait on disk, in a file without a name.

    Examples
    --------
    >>> spool = Spool()
    >>> places = [spool.append(b"one"), spool.append(b"two")]
    >>> list(spool), spool.read(places[1]), len(spool)
    ([b'one', b'two'], b'two', 2)
    """

    def __init__(self) -> None:
        self._count = 0
        self._written = 0
        self._late = bytearray()
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
        place = self._written + len(self._late)
        self._late += len(record).to_bytes(_LENGTH, "little") + record
        self._count += 1
        if len(self._late) > _IN_MEMORY:
            self._write()
        return place

    def read(self, place: int) -> bytes:
        """Return the record at a place."""
        begin = place + _LENGTH
        return self._part(begin, int.from_bytes(self._part(place, _LENGTH), "little"))

    def __iter__(self) -> Iterator[bytes]:
        place = 0
        while place < self._written + len(self._late):
            part = self._part(place, _IN_MEMORY)
            done = 0
            for record in _records(part):
                yield record
                done += _LENGTH + len(record)
            if not done:
                yield (record := self.read(place))
                done = _LENGTH + len(record)
            place += done

    def _part(self, begin: int, size: int) -> bytes:
        """Return bytes from a place on; those on disk and those in memory come one by one."""
        if begin >= self._written:
            begin -= self._written
            return bytes(self._late[begin : begin + size])
        assert self._file is not None
        return os.pread(self._file.fileno(), min(size, self._written - begin), begin)

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = temporary_file()
                weakref.finalize(self, self._file.close)
            self._file.write(self._late)
            self._file.flush()
        except OSError as error:
            raise temporary_problem(error) from error
        self._written += len(self._late)
        self._late.clear()


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
