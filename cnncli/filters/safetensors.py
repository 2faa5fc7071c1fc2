"""Reads .safetensors files: their table of tensors, and tensors of every number type they have."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, placeholder
from cnncli.errors import FileProblem
from cnncli.io import npy

MAX_HEADER: Final = 10 * 10**6
"""Bytes of the table; larger ones are refused before they are parsed."""

_TYPES: Final = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
    "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1",
}  # fmt: skip
"""How each type is stored; numpy has none of the last three, whose bits are decoded."""

_DECODED: Final = ("BF16", "F8_E4M3", "F8_E5M2")


@dataclass(frozen=True)
class Entry:
    """One tensor in the table of a file.

    Parameters
    ----------
    dtype : str
        One of ``F64 F32 F16 BF16 F8_E4M3 F8_E5M2 I64 ... U8 BOOL``, or unknown.
    shape : tuple of int
    begin, end : int
        Bytes of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(stream: BinaryIO, path: str) -> dict[str, Entry]:
    """Return the tensors of a file by their names.

    Parameters
    ----------
    stream : BinaryIO
        The file, at any place.
    path : str
        Used in messages.

    Raises
    ------
    FileProblem
        If it is no such file, or its table is larger than `MAX_HEADER` bytes.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > size - 8:
        raise _unreadable(path, f"a table of {length} bytes in a file of {size}")
    if length > MAX_HEADER:
        raise FileProblem(
            f"the table of a .safetensors file may have {MAX_HEADER} bytes, got {length}", path=path
        )
    try:
        table = json.loads(stream.read(length))
        entries = {
            name: _entry(fields, 8 + length)
            for name, fields in table.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unreadable(path, "its table is damaged") from None
    late = next((name for name, entry in entries.items() if entry.end > size), None)
    if late is not None:
        raise _unreadable(path, "it ends before its last tensor does")
    return entries


def read_array(stream: BinaryIO, entry: Entry, label: str) -> Array:
    """Return a tensor as numpy has it: BF16 and the two FP8 types as float32.

    Parameters
    ----------
    stream : BinaryIO
    entry : Entry
        Of `read_header`.
    label : str
        Used in messages.

    Raises
    ------
    FileProblem
        If its type is none of numbers, its shape needs other bytes than it has, or too many.
    """
    _check(entry, label)
    stream.seek(entry.begin)
    data = stream.read(entry.end - entry.begin)
    bits = np.frombuffer(data, _TYPES[entry.dtype]).reshape(entry.shape)
    return decode(bits, entry.dtype) if entry.dtype in _DECODED else bits


def placeholder_array(entry: Entry, label: str) -> Array:
    """Return a placeholder of a tensor's shape and dtype, which reads no value.

    Raises
    ------
    FileProblem
        As `read_array`.
    """
    _check(entry, label)
    stored = "f4" if entry.dtype in _DECODED else _TYPES[entry.dtype]
    return placeholder(np.dtype(stored).newbyteorder("="), entry.shape)


def decode(bits: Array, dtype: str) -> Array:
    """Return the values of numbers that numpy has no type for, exactly, as float32.

    Parameters
    ----------
    bits : ndarray of uint16 or uint8
    dtype : {"BF16", "F8_E4M3", "F8_E5M2"}
        The upper half of a float32; four bits of exponent and three of mantissa, without infinity;
        the upper half of a float16.

    Examples
    --------
    >>> decode(np.array([0x3F80, 0xC040], np.uint16), "BF16").tolist()
    [1.0, -3.0]
    >>> decode(np.array([0x38, 0x7E, 0x01], np.uint8), "F8_E4M3").tolist()
    [1.0, 448.0, 0.001953125]
    """
    if dtype == "BF16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if dtype == "F8_E5M2":
        return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    codes = np.arange(128)
    exponents, mantissas = codes >> 3, (codes & 7) / 8
    values = np.where(
        exponents == 0, mantissas * 2.0**-6, (1 + mantissas) * 2.0 ** (exponents - 7.0)
    )
    values[127] = np.nan
    table: Array = np.concatenate([values, -values]).astype(np.float32)
    return table[bits]


def _entry(fields: dict[str, Any], start: int) -> Entry:
    shape, (begin, end) = fields["shape"], fields["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError
    if begin > end or not isinstance(fields["dtype"], str):
        raise ValueError
    return Entry(fields["dtype"], tuple(shape), start + begin, start + end)


def _check(entry: Entry, label: str) -> None:
    if entry.dtype not in _TYPES:
        known = " ".join(_TYPES)
        raise FileProblem(f"weights must be of {known}, got {entry.dtype[:20]!a}", path=label)
    count = math.prod(entry.shape)
    if 8 * count > npy.DEFAULT_MAX_BYTES:
        raise FileProblem(
            f"a filter may take {npy.DEFAULT_MAX_BYTES} bytes, got the shape {entry.shape}"[:200],
            path=label,
        )
    if count * np.dtype(_TYPES[entry.dtype]).itemsize != entry.end - entry.begin:
        raise FileProblem(
            f"{entry.dtype} of the shape {entry.shape} cannot take {entry.end - entry.begin} bytes",
            path=label,
        )


def _unreadable(path: str, reason: str) -> FileProblem:
    return FileProblem(f"not a readable .safetensors file: {reason}", path=path)
