"""Write network files in tests, as a person would write them."""

from __future__ import annotations

import json
from typing import Any


def layer(type_: str, **fields: Any) -> str:
    """Return one ``[[layers]]`` table; texts, numbers, lists and flags look in TOML as in JSON."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"type": type_, **fields}.items()]
    return "\n".join(["[[layers]]", *lines, ""])
