"""Reads the pages of explain as page/unpack.js does: their data, style and scripts."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np


def page_contents(text: str) -> dict[str, Any]:
    """Return the ``data``, ``style`` and ``scripts`` of a page, with the arrays of its data."""
    (packed,) = re.findall(r'<script type="text/plain" id="packed">([\w+/=]*)</script>', text)
    told, arrays = zlib.decompress(base64.b64decode(packed)).split(b"\n", 1)

    def read(record: dict[str, Any]) -> Any:
        if isinstance(record.get("array"), str):
            return np.frombuffer(arrays[slice(*record["bytes"])], record["array"])
        return record

    contents: dict[str, Any] = json.loads(told, object_hook=read)
    return contents


def data_of(path: str | Path) -> dict[str, Any]:
    """Return the data of a page's file."""
    data: dict[str, Any] = page_contents(Path(path).read_text("utf-8"))["data"]
    return data
