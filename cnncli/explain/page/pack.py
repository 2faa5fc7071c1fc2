"""The data of a page as bytes: JSON, and behind it the arrays that it names. Bytes as text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import numpy as np

_DTYPES: Final = ("uint8", "uint16", "int32", "float16", "float32", "float64")

_KEPT_OUT: Final = "<\0\b\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x7f"
"""What a tag begins with, and what readers of text change or end lines at, as in page/packed.js."""

_PAIR: Final = re.compile(f"([{re.escape(_KEPT_OUT)}])(.?)", re.S)


def pack(data: Any) -> bytes:
    """Return data as JSON, a line feed, and the little-endian bytes of all arrays of the data.

    In the JSON an array is its type and the places of its first byte and of that after its last,
    counted from the line feed on. page/packed.js reads that.

    Parameters
    ----------
    data : dict or list
        JSON data, which may hold arrays.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If there is anything else, or an array of another type than page/packed.js reads.
    ValueError
        If a number is not finite; arrays may hold such.

    Examples
    --------
    >>> pack({"weights": np.array([1, 2], np.uint8)})
    b'{"weights":{"array":"uint8","bytes":[0,2]}}\\n\\x01\\x02'
    """
    arrays: list[bytes] = []
    used = 0

    def record(values: Any) -> dict[str, Any]:
        nonlocal used
        if not isinstance(values, np.ndarray) or values.dtype.name not in _DTYPES:
            raise TypeError(f"a page cannot hold {getattr(values, 'dtype', type(values).__name__)}")
        arrays.append(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        first, used = used, used + values.nbytes
        return {"array": values.dtype.name, "bytes": [first, used]}

    # ASCII alone: a file's name may have bytes that are no text.
    text = json.dumps(data, default=record, separators=(",", ":"), allow_nan=False)
    return b"".join([text.encode(), b"\n", *arrays])


def as_text(data: bytes) -> str:
    """Return bytes as text of 7 bits a byte of UTF-8, where base64 has 6.

    A character of ASCII stands for 7 bits. One that must not stand in a page is put together with
    the next: character 128 (n + 2) + k, which UTF-8 writes in two bytes, is the n-th of those and
    then k. page/packed.js reads that.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str
        Without ``<``, zeros, ends of lines and other characters of control that readers change.

    Examples
    --------
    >>> as_text(b"digits")
    '2ԬvKQf'
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    groups = np.zeros((-(-len(bits) // 7), 7), np.uint8)
    groups.reshape(-1)[: len(bits)] = bits
    characters = np.packbits(groups, axis=1) >> 1
    return _PAIR.sub(_pair, characters.tobytes().decode("ascii"))


def _pair(match: re.Match[str]) -> str:
    return chr(128 * (_KEPT_OUT.index(match[1]) + 2) + ord(match[2] or "\0"))
