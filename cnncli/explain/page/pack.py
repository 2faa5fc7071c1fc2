"""The data of a page as bytes: JSON, and behind it the arrays that it names."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

_DTYPES: Final = ("uint8", "uint16", "int32", "float16", "float32", "float64")


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
