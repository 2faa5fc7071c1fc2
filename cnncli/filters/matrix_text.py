"""Matrices written as text: ``0 -1 0; -1 5 -1; 0 -1 0``. Read by hand, nothing is evaluated."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from cnncli.errors import OptionError, quote

# One way to match each text: two ways to part the same digits would take quadratic time.
_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(rf"([+-]?{_DECIMAL})(?:/({_DECIMAL}))?")
# Words for what is not finite are taken too, so that the error names them.
_INLINE = re.compile(r"(?is)(?=.*[0-9])(?:[0-9e+\-./;,\s\[\]]|\b(?:nan|inf)\b)+")
_LISTS = re.compile(r"(\[[^\[\]]*\])|([\[\]])|(,)|(\s+)|([^\[\],\s]+)")
_KERNEL = re.compile(r"\s*(\d{1,3})(?:x(\d{1,3}))?(?:[+-]\d+[+-]\d+)?[<>@]?\s*:(.*)", re.DOTALL)
_DECIMAL_COMMA = re.compile(r"(?<![0-9.,])([0-9]+),([0-9]+)(?![.,]?[0-9])")
_COMMA = re.compile(r"\s*,\s*")
_SPACE = re.compile(r"\s")
_GAP = re.compile(r"\s*,\s*|\s+")
_SHOWN = 40
_MOST_AXES = 4

Nested = list[Any]
"""Lists in lists, and numbers in the innermost."""

INLINE: Final = "your-filter"
"""Name of a filter that was typed as numbers."""

POINT: Final = "decimals have a point: 0.5"


def looks_inline(text: str) -> bool:
    """Tell whether a text is made of a matrix's characters only and holds a digit.

    Parameters
    ----------
    text : str
        What stands for a filter.

    Returns
    -------
    bool
        False for every name and for paths with other letters than ``e``. The words nan and inf
        count as numbers, for the error to name them.

    Examples
    --------
    >>> looks_inline("1/9 1e-3; -.5, 2"), looks_inline("sobel_h"), looks_inline("3x3.txt")
    (True, False, False)
    """
    return _INLINE.fullmatch(text.replace("\N{MINUS SIGN}", "-")) is not None


def with_points(text: str, point: str = ".") -> str:
    """Return a text with points for the commas of its decimals; lists of numbers stay.

    Examples
    --------
    >>> with_points("gaussian:1,5"), with_points("1,5,2"), with_points("box:5,3", "x")
    ('gaussian:1.5', '1,5,2', 'box:5x3')
    """
    return _DECIMAL_COMMA.sub(rf"\1{point}\2", text)


def point_hint(numbers: Sequence[float]) -> str | None:
    """Say how decimals are written, of numbers that 0,5 and the like were parted into.

    Examples
    --------
    >>> point_hint([0, 5, 0, 25]), point_hint([0, 1]), point_hint([0.5, 5])
    ('decimals have a point: 0.5', None, None)
    """
    whole = all(number >= 0 and float(number).is_integer() for number in numbers)
    likely = not (len(numbers) % 2 or any(numbers[::2])) and max(numbers[1::2], default=0) > 1
    return POINT if whole and likely else None


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
    # Text copied from a page or a paper has the minus sign of print.
    match = _NUMBER.fullmatch(text.strip().replace("\N{MINUS SIGN}", "-"))
    if match is None:
        raise OptionError(
            f"a number such as 2, -0.5, 1e-3 or 1/9 must stand here, got {quoted_start(text)}"
        )
    divisor = 1.0 if match[2] is None else float(match[2])
    if divisor == 0:
        raise OptionError(f"a fraction cannot divide by zero, got {quoted_start(text)}")
    value = float(match[1]) / divisor
    if not math.isfinite(value):
        raise OptionError(f"numbers must be finite in 64-bit floats, got {quoted_start(text)}")
    return value


def parse_matrix(text: str) -> Nested:
    """Return the rows of a matrix written as text.

    Rows end with ``;`` or a line break, the numbers of a row are separated by spaces or by commas
    but not by both, and ``#`` starts a comment that lasts to the end of its line. Lines that
    themselves hold several rows with ``;`` between are refused: in many countries spreadsheets
    write columns that way. Lists in brackets, as Python prints them, may be nested four deep.

    Parameters
    ----------
    text : str
        For example ``"0 -1 0; -1 5 -1; 0 -1 0"``.

    Returns
    -------
    list of list of float
        Rows of equal length, at least one, all values finite; lists of those for more brackets.

    Raises
    ------
    OptionError
        If a number cannot be read, the rows differ in length or there are none.

    Examples
    --------
    >>> parse_matrix("1/2 1; 0, -1")
    [[0.5, 1.0], [0.0, -1.0]]
    >>> parse_matrix("[[0, -1, 0], [-1, 5, -1]]")
    [[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0]]
    """
    if text.lstrip().startswith("["):
        return _parse_lists(text)
    rows = [_parse_row(row, number) for number, row in enumerate(_rows(text), 1)]
    if not rows:
        raise OptionError("a matrix needs at least one number, got none")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise OptionError(
                "the rows of a matrix must have the same length, got "
                f"{len(rows[0])} in row 1 and {len(row)} in row {number}"
            )
    return rows


def quoted_start(text: str) -> str:
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
    >>> print(quoted_start("x" * 50))
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
    """
    return quote(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def respell_kernel(text: str) -> str | None:
    """Return a kernel as ImageMagick writes it in rows with ``;``; None for any other text.

    Parameters
    ----------
    text : str
        The columns and rows of the kernel, and after a colon its numbers, row by row.

    Examples
    --------
    >>> respell_kernel("3x2: 0,1,0 1,-4,1"), respell_kernel("1: 2.5"), respell_kernel("2: 1,2,3")
    ('0 1 0; 1 -4 1', '2.5', None)
    """
    match = _KERNEL.fullmatch(text)
    if match is None:
        return None
    columns, rows = int(match[1]), int(match[2] or match[1])
    numbers = re.findall(r"[^,\s]+", match[3])
    if len(numbers) != rows * columns or not all(map(_NUMBER.fullmatch, numbers)):
        return None
    starts = range(0, len(numbers), columns)
    return "; ".join(" ".join(numbers[first : first + columns]) for first in starts)


def _rows(text: str) -> list[str]:
    lines = [line.split("#", 1)[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > 1:
        lines = [line.removesuffix(";").rstrip() for line in lines]
        mixed = next((line for line in lines if ";" in line), None)
        if mixed is not None:
            raise OptionError(
                f"rows must end with line breaks or with ';', not both, got {quoted_start(mixed)}",
                hint=f"part the numbers of a row by spaces or commas; {POINT}",
            )
    rows = [row.strip() for line in lines for row in line.removesuffix(";").split(";")]
    if any(rows) and not all(rows):
        raise OptionError(
            f"row {rows.index('') + 1} of a matrix must hold numbers, got none",
            hint=f"write {quoted_start('; '.join(row for row in rows if row))}",
        )
    return rows if any(rows) else []


def _parse_lists(text: str) -> Nested:
    """Return the lists that a text of brackets holds: at least two deep, all of one shape."""
    whole: Nested = []
    open_lists, rows = [whole], 0
    may_part = False
    for row, bracket, comma, space, _ in _LISTS.findall(text):
        if row and open_lists:
            rows += 1
            open_lists[-1].append(_parse_row(row[1:-1].strip(), rows))
        elif bracket == "[" and 0 < len(open_lists) <= _MOST_AXES:
            inner: Nested = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif bracket == "]" and len(open_lists) > 1:
            open_lists.pop()
        elif not (space or (comma and may_part)):
            raise OptionError(
                "lists in brackets must be closed and hold numbers only, with one comma "
                f"between two, got {quoted_start(text)}",
                hint='such as "[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]"',
            )
        if not space:
            # A comma ends a list: two of them, or one that begins a list, leave a list out.
            may_part = bool(row) or bracket == "]"
    if len(open_lists) != 1 or len(whole) != 1:
        raise OptionError(f"every [ needs its ], around all of them, got {quoted_start(text)}")
    found: Nested = whole if isinstance(whole[0][0], float) else whole[0]
    if _shape(found) is None:
        raise OptionError("lists side by side must have the same length and the same depth")
    return found


def _shape(nested: Any) -> tuple[int, ...] | None:
    """Return the lengths of lists in lists; None if those side by side differ."""
    if isinstance(nested, float):
        return ()
    shapes = {_shape(part) for part in nested}
    inner = shapes.pop() if len(shapes) == 1 else None
    return None if inner is None else (len(nested), *inner)


def _respell(row: str) -> str:
    """Return a row of mixed separators as it may be meant: one of the two may end rows."""
    for rows in (_COMMA.split(row.strip()), row.split()):
        numbers = [_GAP.split(part.strip()) for part in rows]
        if len(rows) > 1 and len(numbers[0]) > 1 and len({len(part) for part in numbers}) == 1:
            return "; ".join(" ".join(part) for part in numbers)
    return " ".join(_GAP.split(row))


def _parse_row(row: str, number: int) -> list[float]:
    items = _COMMA.split(row)
    if len(items) > 1 and any(_SPACE.search(item) for item in items):
        raise OptionError(
            f"row {number}: numbers must be separated by spaces or by commas, not by both, "
            f"got {quoted_start(row)}",
            hint=f"write {quoted_start(_respell(row))}, and decimals with a point: 0.5",
        )
    try:
        return [parse_number(item) for item in _GAP.split(row)]
    except OptionError as error:
        hint = error.hint
        if "" in items and any(items):
            hint = f"write {quoted_start(', '.join(item for item in items if item))}"
        if ";" in row:
            hint = f"without brackets: {quoted_start(row)}"
        raise OptionError(f"row {number}: {error}", hint=hint) from None
