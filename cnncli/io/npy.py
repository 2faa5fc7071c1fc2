"""Reads ``.npy`` files without trusting their content: no pickles, no false sizes.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import contextlib
import io
import math
import os
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem
from cnncli.io.regular_files import open_regular, unreadable

DEFAULT_MAX_BYTES = 2**31

Source: TypeAlias = Path | bytes

_MAGIC = b"\x93NUMPY"
_LENGTH_FORMATS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
_HEADER_BYTES = 65_536
# 64 dimensions of 20 digits and the three keys fit; a longer literal only costs memory to parse.
_LITERAL_CHARACTERS = 4_096
_MAX_DIMENSIONS = 64
# Words and numbers end at a word boundary, so that parsing can neither warn nor compute.
_LITERAL = re.compile(
    r"(?:\s|'[^'\\\n]*'|\"[^\"\\\n]*\"|-?\d+(?!\w)|(?:True|False|None)(?!\w)|[{}()\[\],:])*"
)
_PLAIN_DTYPE = re.compile(r"[<>=|]?(?:\?|b1|[iu][1248]|f(?:2|4|8|12|16))")
_REFUSED_KINDS = {"O": "Python objects", "c": "complex numbers", "V": "untyped bytes"} | {
    **dict.fromkeys("SaU", "text"),
    **dict.fromkeys("Mm", "dates or times"),
}
_FOREIGN = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"PK\x03\x04", "a zip archive such as .npz"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x80", "a Python pickle, which cnncli never loads"),
)


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of a ``.npy`` file promises, checked for sense but not against the data.

    Attributes
    ----------
    dtype : numpy.dtype
        Boolean, integer or float, in the byte order of the file.
    shape : tuple of int
        None negative; may be empty or hold zeros.
    fortran_order : bool
        Whether the first axis varies fastest.
    offset : int
        Position of the first data byte.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes.

        >>> ArrayHeader(np.dtype("<f4"), (3, 3), False, 128).nbytes
        36
        """
        return math.prod(self.shape) * self.dtype.itemsize


def is_npy(head: bytes) -> bool:
    """Tell a ``.npy`` file by its first bytes (six or more).

    >>> is_npy(bytes([0x93]) + b"NUMPY"), is_npy(b"GIF89a")
    (True, False)
    """
    return head.startswith(_MAGIC)


def is_zip(head: bytes) -> bool:
    """Tell a zip archive, and so an ``.npz``, by its first bytes (four or more).

    >>> is_zip(b"PK" + bytes([3, 4])), is_zip(b"GIF89a")
    (True, False)
    """
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read_npy_header(source: Source, *, name: str) -> ArrayHeader:
    """Read the header of a ``.npy`` file, and hold it against the length of the file.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    name : str
        The name to use in messages.

    Raises
    ------
    FileProblem
        If it is no ``.npy`` file of versions 1.0 to 3.0, holds anything but plain numbers, or is
        cut off.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> np.save(file, np.eye(3))
    >>> read_npy_header(file.getvalue(), name="eye.npy").shape
    (3, 3)
    """
    with opened(source, name) as stream:
        return _checked_header(source, stream, name)


def read_npy(source: Source, *, name: str, max_bytes: int = DEFAULT_MAX_BYTES) -> np.ndarray:
    """Read one array of plain numbers from a ``.npy`` file.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    name : str
        The name to use in messages.
    max_bytes : int
        The most bytes of data to accept.

    Returns
    -------
    numpy.ndarray
        In C order and the machine's byte order; may be read-only, and memory-mapped from a path.

    Raises
    ------
    FileProblem
        If the file is not exactly one such array, checked before any data is read.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> np.save(file, np.asfortranarray(np.array([[1, 2], [3, 4]], dtype=">i2")))
    >>> read_npy(file.getvalue(), name="a.npy").tolist()
    [[1, 2], [3, 4]]
    """
    with opened(source, name) as stream:
        header = _checked_header(source, stream, name)
        if header.nbytes > max_bytes:
            raise FileProblem(f"{header.nbytes} bytes, at most {max_bytes} are read", path=name)
        try:
            return tidy(_raw_data(source, stream, header), header)
        except (OSError, ValueError, MemoryError) as error:
            raise unreadable(name, error) from error


def _checked_header(source: Source, stream: BinaryIO, name: str) -> ArrayHeader:
    header = read_header(stream, name)
    size = len(source) if isinstance(source, bytes) else os.fstat(stream.fileno()).st_size
    check_length(header, size, name)
    return header


def opened(source: Source, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """Open a file, or its content, to read."""
    if isinstance(source, bytes):
        return contextlib.nullcontext(io.BytesIO(source))
    return open_regular(source, name=name)


def foreign_kind_text(head: bytes) -> str:
    """Return the end of a message that says what a file is by its first bytes, if known."""
    if not head:
        return ", the file is empty"
    return next((f", it is {word}" for magic, word in _FOREIGN if head.startswith(magic)), "")


def read_header(stream: BinaryIO, name: str) -> ArrayHeader:
    """Read and check the header of a ``.npy`` stream; what follows it is the data."""
    head = stream.read(8)
    if len(head) < 8 or not is_npy(head):
        raise FileProblem(f"not a NumPy array file (.npy){foreign_kind_text(head)}", path=name)
    version = (head[6], head[7])
    if version not in _LENGTH_FORMATS:
        raise FileProblem(
            f".npy format version {version[0]}.{version[1]}, known are 1.0 to 3.0", path=name
        )
    text, offset = _header_text(stream, version, name)
    return _parsed(text, offset, name)


def _header_text(stream: BinaryIO, version: tuple[int, int], name: str) -> tuple[str, int]:
    form = _LENGTH_FORMATS[version]
    prefix = stream.read(struct.calcsize(form))
    if len(prefix) < struct.calcsize(form):
        raise FileProblem("its .npy header is cut off", path=name)
    length = struct.unpack(form, prefix)[0]
    raw = stream.read(length) if length <= _HEADER_BYTES else b""
    if len(raw) < length:
        fault = "is cut off" if length <= _HEADER_BYTES else f"claims {length} bytes"
        raise FileProblem(f"its .npy header {fault}", path=name)
    try:
        text = raw.decode("utf-8" if version == (3, 0) else "latin-1")
    except UnicodeDecodeError as error:
        raise FileProblem("its .npy header is not UTF-8", path=name) from error
    return text.strip(), 8 + len(prefix) + length


def _parsed(text: str, offset: int, name: str) -> ArrayHeader:
    fields = _fields(text, name)
    shape, order = fields["shape"], fields["fortran_order"]
    if not isinstance(order, bool):
        raise FileProblem("its .npy header needs fortran_order True or False", path=name)
    header = ArrayHeader(_dtype(fields["descr"], name), _shape(shape, name), order, offset)
    extent = math.prod(n for n in header.shape if n) * header.dtype.itemsize
    # An axis of 0 hides what the others claim; numpy cannot hold them either.
    if extent > np.iinfo(np.intp).max:
        raise FileProblem(f"its .npy header claims shape {_brief(shape)}, too large", path=name)
    return header


def _fields(text: str, name: str) -> dict[str, Any]:
    try:
        if len(text) > _LITERAL_CHARACTERS or not _LITERAL.fullmatch(text):
            raise ValueError(text)
        fields = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise FileProblem(
            "its .npy header does not describe an array of plain numbers", path=name
        ) from error
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise FileProblem("its .npy header needs exactly descr, fortran_order and shape", path=name)
    return fields


def _shape(value: object, name: str) -> tuple[int, ...]:
    # type() and not isinstance(): True is an int too, and no size.
    if isinstance(value, tuple) and all(type(n) is int and n >= 0 for n in value):
        if len(value) > _MAX_DIMENSIONS:
            raise FileProblem(
                f"{len(value)} dimensions, at most {_MAX_DIMENSIONS} are read", path=name
            )
        return value
    raise FileProblem(
        f"its .npy header needs whole sizes of 0 or more, got {_brief(value)}", path=name
    )


def _dtype(descr: object, name: str) -> np.dtype[Any]:
    if isinstance(descr, str) and _PLAIN_DTYPE.fullmatch(descr):
        try:
            return np.dtype(descr)
        except TypeError as error:
            raise FileProblem(
                f"numbers of type {descr}, unknown to this computer", path=name
            ) from error
    raise FileProblem(
        f"holds {_content(descr)}, only booleans, integers and floats are read", path=name
    )


def _content(descr: object) -> str:
    if isinstance(descr, list):
        return "records (a structured dtype)"
    letter = descr.lstrip("<>=|")[:1] if isinstance(descr, str) else ""
    return _REFUSED_KINDS.get(letter, f"values of the unknown type {_brief(descr)}")


def _brief(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_length(header: ArrayHeader, size: int, name: str) -> None:
    """Refuse data that is not exactly as long as the header says."""
    needed, got = header.nbytes, size - header.offset
    if needed != got:
        fault = "cut off" if got < needed else "followed by foreign bytes"
        raise FileProblem(
            f"{fault}: its header {_brief(header.shape)} {header.dtype} needs "
            f"{needed} bytes of data, got {got}",
            path=name,
        )


def _raw_data(source: Source, stream: BinaryIO, header: ArrayHeader) -> np.ndarray:
    """The elements as they lie in the file, one-dimensional; booleans as bytes."""
    dtype = np.dtype(np.uint8) if header.dtype.kind == "b" else header.dtype
    count = math.prod(header.shape)
    if count == 0:
        return np.empty(0, dtype)
    if isinstance(source, bytes):
        return np.frombuffer(source, dtype, count, header.offset)
    return np.memmap(stream, dtype, "r", header.offset, (count,))


def tidy(raw: np.ndarray, header: ArrayHeader) -> np.ndarray:
    """Return the data of an array in this machine's order, shaped as its header says."""
    # A stored boolean may be any byte, and numpy trusts it to be 0 or 1.
    data = raw != 0 if header.dtype.kind == "b" else raw
    shaped = data.reshape(header.shape, order="F" if header.fortran_order else "C")
    # np.require and friends would turn a memory map that already fits into a copy.
    native = header.dtype.newbyteorder("=")
    if shaped.dtype == native and shaped.flags.c_contiguous:
        return shaped
    return np.array(shaped, dtype=native, order="C", subok=False)
