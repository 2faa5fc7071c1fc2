"""Matrices written as text: ``0 -1 0; -1 5 -1; 0 -1 0``. Read by hand, nothing is evaluated."""

from __future__ import annotations

import math
import re
from typing import Final

from cnncli.errors import OptionError, quote

# One way to match each text: two ways to part the same digits would take quadratic time.
_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(rf"([+-]?{_DECIMAL})(?:/({_DECIMAL}))?")
_INLINE = re.compile(r"[eE+\-./;,\s]*[0-9][0-9eE+\-./;,\s]*")
_GAP = re.compile(r"\s*,\s*|\s+")
_SHOWN = 40

INLINE: Final = "your-filter"
"""Name of a filter that was typed as numbers."""


def looks_inline(text: str) -> bool:
    """Tell whether a text is made of a matrix's characters only and holds a digit.

    Parameters
    ----------
    text : str
        What stands for a filter.

    Returns
    -------
    bool
        False for every name and for paths with other letters than ``e``.

    Examples
    --------
    >>> looks_inline("1/9 1e-3; -.5, 2"), looks_inline("sobel_h"), looks_inline("3x3.txt")
    (True, False, False)
    """
    return _INLINE.fullmatch(text) is not None


def parse_number(text: str) -> float:
    """Return the value of one decimal number or fraction.

    Parameters
    ----------
    text : str
        Such as ``-1``, ``.5``, ``1e-3`` or ``1/9``; spaces around it are ignored.

    Returns
    -------
    float
        Always finite.

    Raises
    ------
    OptionError
        If the text is no number, divides by zero or is too large for a float.

    Examples
    --------
    >>> parse_number("1/8"), parse_number("-2.5e1")
    (0.125, -25.0)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise OptionError(
            f"a number such as 2, -0.5, 1e-3 or 1/9 must stand here, got {shorten(text)}"
        )
    divisor = 1.0 if match[2] is None else float(match[2])
    if divisor == 0:
        raise OptionError(f"a fraction cannot divide by zero, got {shorten(text)}")
    value = float(match[1]) / divisor
    if not math.isfinite(value):
        raise OptionError(f"numbers must be finite in 64-bit floats, got {shorten(text)}")
    return value


def parse_matrix(text: str) -> list[list[float]]:
    """Return the rows of a matrix written as text.

    Rows end with ``;`` or a line break, numbers are parted by spaces or one comma, and ``#``
    starts a comment that lasts to the end of its line. Lines that themselves hold several
    ``;``-parted rows are refused: spreadsheets in many countries write columns that way.

    Parameters
    ----------
    text : str
        For example ``"0 -1 0; -1 5 -1; 0 -1 0"``.

    Returns
    -------
    list of list of float
        Rows of equal length, at least one, all values finite.

    Raises
    ------
    OptionError
        If a number cannot be read, the rows differ in length or there are none.

    Examples
    --------
    >>> parse_matrix("1/2 1; 0, -1")
    [[0.5, 1.0], [0.0, -1.0]]
    """
    rows = [_parse_row(row, number) for number, row in enumerate(_rows(text), 1)]
    if not rows:
        raise OptionError("a matrix needs at least one number, got none")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise OptionError(
                "the rows of a matrix must be equally long, got "
                f"{len(rows[0])} in row 1 and {len(row)} in row {number}"
            )
    return rows


def shorten(text: str) -> str:
    """Return a text in quotes, printable and cut to a length that fits a message.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(shorten("x" * 50))
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
    """
    return quote(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _rows(text: str) -> list[str]:
    lines = [line.split("#", 1)[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > 1:
        lines = [line.removesuffix(";").rstrip() for line in lines]
        mixed = next((line for line in lines if ";" in line), None)
        if mixed is not None:
            raise OptionError(
                f"rows must end with line breaks or with ';', not both, got {shorten(mixed)}",
                hint="part the numbers of a row by spaces or commas",
            )
    return [row.strip() for line in lines for row in line.split(";") if row.strip()]


def _parse_row(row: str, number: int) -> list[float]:
    try:
        return [parse_number(item) for item in _GAP.split(row)]
    except OptionError as error:
        raise OptionError(f"row {number}: {error}", hint=error.hint) from None
