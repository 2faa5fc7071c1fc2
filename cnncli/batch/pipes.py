"""Messages between this process and its workers, through pipes that they alone hold."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

_HEAD: Final = 8
"""Bytes that tell the length of a message."""

_AT_ONCE: Final = 1 << 16


def send(descriptor: int, message: object) -> None:
    """Write a message, however long that takes.

    Raises
    ------
    OSError
        If nobody will read it.
    """
    data = memoryview(_packed(message))
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> Any:
    """Wait for a message and return it.

    Raises
    ------
    EOFError
        If there will be none.

    Examples
    --------
    >>> reader, writer = os.pipe()
    >>> send(writer, ("done", 3))
    >>> receive(reader)
    ('done', 3)
    >>> os.close(reader), os.close(writer)
    (None, None)
    """
    length = int.from_bytes(_exactly(descriptor, _HEAD), "little")
    return pickle.loads(_exactly(descriptor, length))


def _exactly(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _packed(message: object) -> bytes:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(_HEAD, "little") + data


class Inbox:
    """The end of a pipe that is read without ever waiting.

    Parameters
    ----------
    descriptor : int
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor, self.ended = descriptor, False
        self._data = bytearray()

    def messages(self) -> Iterator[Any]:
        """Yield the messages that are there; `ended` tells whether there can be more."""
        while not self.ended:
            try:
                part = os.read(self.descriptor, _AT_ONCE)
            except BlockingIOError:
                return
            self.ended = not part
            self._data += part
            yield from self._whole()

    def _whole(self) -> Iterator[Any]:
        while len(self._data) >= _HEAD:
            end = _HEAD + int.from_bytes(self._data[:_HEAD], "little")
            if len(self._data) < end:
                return
            message = bytes(self._data[_HEAD:end])
            del self._data[:end]
            yield pickle.loads(message)


class Outbox:
    """The end of a pipe that is written without ever waiting.

    Parameters
    ----------
    descriptor : int

    Examples
    --------
    >>> reader, writer = os.pipe()
    >>> outbox = Outbox(writer)
    >>> outbox.send("a task")
    >>> outbox.waiting, receive(reader)
    (False, 'a task')
    >>> os.close(reader), os.close(writer)
    (None, None)
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._data: deque[memoryview] = deque()

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._data)

    def send(self, message: object) -> None:
        """Write a message as far as the pipe takes it now, the rest with `flush`."""
        self._data.append(memoryview(_packed(message)))
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes now. That nobody reads is for the other pipe to tell."""
        try:
            while self._data:
                written = os.write(self.descriptor, self._data[0])
                self._data[0] = self._data[0][written:]
                if not self._data[0]:
                    self._data.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._data.clear()
