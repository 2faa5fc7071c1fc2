"""Networks whose gradients are known, and what the command grad makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.shell import run_cli

FIRST = """
[[layers]]
name = "sum"
type = "conv"
filter = "{}"
padding = "valid"
"""


def linear(matrix: str) -> str:
    """A network of one filter: its gradient is the filter, wherever the window stands."""
    Path("linear.toml").write_text(FIRST.format(matrix))
    return "linear.toml"


def tiles_of(name: str, zoomed: bool = False) -> list[np.ndarray]:
    """Return the maps of a sheet, a pixel for each cell; zoomed as they are on it."""
    with Image.open(name) as image:
        record = json.loads(image.text["cnncli"])  # type: ignore[attr-defined]
        shown = np.asarray(image)
    tiles = []
    for item in record["maps"]:
        left, top, width, height = item["box"]
        step = 1 if zoomed else item["zoom"]
        tiles.append(shown[top : top + height : step, left : left + width : step])
    return tiles


def report(*args: object) -> list[dict[str, Any]]:
    lines = run_cli("grad", *args, "--json").stdout.splitlines()
    return [json.loads(line) for line in lines]
