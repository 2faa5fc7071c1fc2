"""Reads ONNX files without their large arrays, which are read from the file when they are needed.

A model is a message of protobuf, and to parse one copies all of it: a file of 100 MB took 250.
Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Final

from cnncli._dataclass import dataclass

OWN_FILE: Final = "<model>"
"""Names the model's own file where a tensor names one beside it."""

LARGE: Final = 4096
"""Arrays of fewer bytes stay where they are."""

MOST_FIELDS: Final = 64
"""Of a tensor whose data stand in one place; more only if each number is a field of its own."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_GRAPH, _INITIALIZER, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 7, 5, 9, 13, 14, 1
_KEY, _VALUE = 1, 2


@dataclass(frozen=True)
class _Field:
    """A field of a message: where it starts with its tag, and where its content stands."""

    number: int
    kind: int
    start: int
    begin: int
    end: int


def without_large_arrays(stream: BinaryIO, size: int) -> bytes:
    """Return the message of a model in which large arrays are data that stand in `OWN_FILE`.

    Parameters
    ----------
    stream : file
        It can be moved in.
    size : int
        Its bytes.

    Returns
    -------
    bytes
        The file as it is, if it does not look like a model: who parses it will say so.

    Examples
    --------
    >>> import io
    >>> without_large_arrays(io.BytesIO(b"no model"), 8)
    b'no model'
    """
    try:
        return b"".join(_model(stream, size))
    except ValueError:
        return _content(stream, 0, size)


def _model(stream: BinaryIO, size: int) -> Iterator[bytes]:
    for field in _fields(stream, 0, size):
        if (field.number, field.kind) == (_GRAPH, _BYTES):
            yield _message(_GRAPH, b"".join(_graph(stream, field)))
        else:
            yield _content(stream, field.start, field.end)


def _graph(stream: BinaryIO, graph: _Field) -> Iterator[bytes]:
    for field in _fields(stream, graph.begin, graph.end):
        large = field.end - field.begin >= LARGE
        if large and (field.number, field.kind) == (_INITIALIZER, _BYTES):
            yield _tensor(stream, field)
        else:
            yield _content(stream, field.start, field.end)


def _tensor(stream: BinaryIO, tensor: _Field) -> bytes:
    """Return a tensor with the place of its data for the data; as it is, if it names a file."""
    fields = list(islice(_fields(stream, tensor.begin, tensor.end), MOST_FIELDS + 1))
    if len(fields) > MOST_FIELDS:
        # A list of texts or of single numbers: there is no one place for its data.
        return _content(stream, tensor.start, tensor.end)
    data = [field for field in fields if field.number == _RAW_DATA]
    named = any(field.number in (_EXTERNAL_DATA, _DATA_LOCATION) for field in fields)
    if named or len(data) != 1 or data[0].end - data[0].begin < LARGE:
        return _content(stream, tensor.start, tensor.end)
    (array,) = data
    kept = [_content(stream, field.start, field.end) for field in fields if field is not array]
    place = {"location": OWN_FILE, "offset": array.begin, "length": array.end - array.begin}
    entries = [
        _message(_EXTERNAL_DATA, _text(_KEY, key) + _text(_VALUE, str(value)))
        for key, value in place.items()
    ]
    location = bytes([_DATA_LOCATION << 3 | _VARINT, _EXTERNAL])
    return _message(_INITIALIZER, b"".join([*kept, *entries, location]))


def _fields(stream: BinaryIO, begin: int, end: int) -> Iterator[_Field]:
    """Yield the fields of a message that fills bytes ``[begin, end)``.

    Raises
    ------
    ValueError
        If they are none.
    """
    at = begin
    while at < end:
        tag, content = _varint(stream, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            stop = _varint(stream, content)[1]
        elif kind == _BYTES:
            length, content = _varint(stream, content)
            stop = content + length
        elif kind in _FIXED:
            stop = content + _FIXED[kind]
        else:
            raise ValueError(f"a field is of kind {kind}")
        if stop > end:
            raise ValueError("a field goes beyond its message")
        yield _Field(number, kind, at, content, stop)
        at = stop


def _varint(stream: BinaryIO, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and where it ends."""
    stream.seek(at)
    value = 0
    for index, byte in enumerate(stream.read(10)):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError("a number does not end")


def _content(stream: BinaryIO, begin: int, end: int) -> bytes:
    stream.seek(begin)
    return stream.read(end - begin)


def _message(number: int, content: bytes) -> bytes:
    """Return a field that holds a message or a text."""
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _number(value: int) -> bytes:
    """Return a number as a varint."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
