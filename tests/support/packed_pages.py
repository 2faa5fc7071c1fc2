"""Reads the pages of explain as page/unpack.js does: their data, style and scripts."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

PACKED = re.compile(r'<script type="text/plain" id="packed" data-bytes="(\d+)">([^<]*)</script>')
PAIRS = dict(enumerate("<\0\b\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x7f", 2))
"""The first of two characters that stand in a page as one, by that one's number over 128."""


def bytes_of(text: str, count: int) -> bytes:
    """Return the bytes that a text stands for: 7 bits for each character of ASCII."""
    codes = (
        f"{ord(PAIRS[ord(one) // 128]):07b}{ord(one) % 128:07b}"
        if ord(one) > 127
        else f"{ord(one):07b}"
        for one in text
    )
    return int("".join(codes)[: 8 * count], 2).to_bytes(count, "big")


def page_contents(text: str) -> dict[str, Any]:
    """Return what is packed in a page, its ``data`` with their arrays among it."""
    ((count, packed),) = PACKED.findall(text)
    told, arrays = zlib.decompress(bytes_of(packed, int(count))).split(b"\n", 1)

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
