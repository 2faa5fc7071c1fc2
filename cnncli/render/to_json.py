"""Turns records of the program into JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from os import PathLike, fspath
from typing import Any


def to_json(value: Any) -> Any:
    """Return a value as dictionaries, lists, texts, numbers, booleans and None.

    Parameters
    ----------
    value : object
        A dataclass becomes a dictionary by the names of its fields, an array nested lists, a slice
        ``[start, stop]``, a path its text and a member of an enum its value. A number that is not
        finite becomes None.

    Raises
    ------
    TypeError
        If there is no such form.

    Examples
    --------
    >>> import numpy as np
    >>> to_json({"box": (slice(0, 2), np.int64(3)), "values": np.array([[0.5, np.inf]])})
    {'box': [[0, 2], 3], 'values': [[0.5, None]]}
    """
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, str | int):  # a boolean is an int
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, slice):
        return to_json([value.start, value.stop])
    if isinstance(value, PathLike):
        return fspath(value)
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, which is not loaded for this
        return to_json(value.tolist())
    raise TypeError(f"JSON has no form of {type(value).__name__}")


def json_text(value: Any) -> str:
    """Return a value as one line of JSON, see `to_json`.

    Examples
    --------
    >>> json_text({"shape": (3, 4), "largest": float("inf")})
    '{"shape": [3, 4], "largest": null}'
    """
    return json.dumps(to_json(value))
