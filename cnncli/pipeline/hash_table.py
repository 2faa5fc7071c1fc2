"""Hashes of the names of a million files in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterable
from typing import Final

_BITS: Final = (1 << 64) - 1
_FIRST_SLOTS: Final = 64


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
