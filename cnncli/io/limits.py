"""Limits on what is read, with the option that raises each. Knows neither numpy nor Pillow."""

from __future__ import annotations

import os
from typing import Final

from cnncli.errors import FileProblem

MAX_PIXELS: Final = 89_478_485
"""``--max-pixels``: the size from which Pillow warns of decompression bombs."""

MAX_INPUT_BYTES: Final = 2**30
"""``--max-input-bytes``: of standard input and of ``.npy`` arrays."""

UNITS: Final = {"": 1, "B": 1} | {
    name: base**power
    for power, letter in enumerate("KMGT", 1)
    for name, base in ((f"{letter}B", 1000), (f"{letter}IB", 1024), (letter, 1000))
}
"""What numbers of bytes may be followed by, in capitals."""

MAX_CELLS: Final = 65_535
"""The largest size, stride, dilation or pad."""

MAX_SIDE: Final = 1001
"""The most rows or columns of a filter that is made from its formula."""


def check_pixels(pixels: int, limit: int, name: str) -> None:
    """Refuse a picture that is too large, before it is decoded.

    Raises
    ------
    FileProblem
        If it has more pixels than the limit.
    ValueError
        If it has none.

    Examples
    --------
    >>> check_pixels(9, 10, "a.png")
    """
    if pixels > limit:
        raise too_large(str(pixels), limit, name)
    if pixels < 1:
        raise ValueError("it has no pixels")


def check_input_bytes(size: int, limit: int, name: str | os.PathLike[str]) -> None:
    """Refuse an input of more bytes than the limit.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> check_input_bytes(9, 10, "a.npy")
    """
    if size > limit:
        raise FileProblem(
            f"more than the limit of {limit} bytes",
            hint="--max-input-bytes raises the limit",
            path=name,
        )


def too_large(pixels: str, limit: int, name: str) -> FileProblem:
    """Return the error of a picture of so many pixels.

    Examples
    --------
    >>> str(too_large("9", 4, "a.png"))
    "'a.png': 9 pixels, the limit is 4"
    """
    return FileProblem(
        f"{pixels} pixels, the limit is {limit}",
        hint="--max-pixels raises the limit",
        path=name,
    )
