"""The fields of a network file, and what each must hold; arrays are read elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cnncli.core.choices import (
    ALGORITHM_NAMES,
    CONVENTION_NAMES,
    FILTER_LAYOUTS,
    NAMED_PADDINGS,
    PAD_MODES,
    POOL_CONVENTION_NAMES,
    POOL_MODES,
)
from cnncli.errors import CnnCliError, FileProblem, among, quote
from cnncli.filters.matrix_text import shorten

MAX_CELLS: Final = 65_535
"""The largest size, stride, dilation or pad, as on the command line."""

MAX_NAME: Final = 200
_SHOWN: Final = 60


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Parameters
    ----------
    read : callable
        Returns the value as layers take it; raises ValueError for what it cannot be.
    need : str
        What must stand there, in words.
    required : bool
        Whether it must be given.
    """

    read: Callable[[Any], Any]
    need: str
    required: bool = False


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Name the file in whatever error comes from within."""
    try:
        yield
    except CnnCliError as error:
        # An error of a file that this one names becomes part of the text: this one is to be mended.
        raise FileProblem(str(error), hint=error.hint, path=path) from error


@contextmanager
def error_context(where: str) -> Iterator[None]:
    """Put a place in front of whatever error comes from within; options become fields.

    Examples
    --------
    >>> with error_context("layer conv1"):
    ...     raise FileProblem("bias must be a number", hint="--bias 1")
    Traceback (most recent call last):
    cnncli.errors.FileProblem: layer conv1: bias must be a number
    """
    try:
        yield
    except CnnCliError as error:
        hint = None if error.hint is None else _as_fields(error.hint)
        raise FileProblem(f"{where}: {_as_fields(str(error))}", hint=hint) from error


def read_fields(table: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Check the fields of a table and return their values.

    Parameters
    ----------
    table : mapping
        As the file gives it.
    fields : mapping
        All that there may be.

    Raises
    ------
    FileProblem
        For one that is unknown, missing or holds something else; with its name.

    Examples
    --------
    >>> read_fields({"size": [2, 3]}, TYPES["pool"])
    {'size': (2, 3)}
    """
    for name in table:
        if name not in fields:
            raise FileProblem(f"no field {shorten(name)}{among(name, fields)}")
    for name, field in fields.items():
        if field.required and name not in table:
            raise FileProblem(f"{name} must be given: {field.need}")
    return {name: _value(name, value, fields[name]) for name, value in table.items()}


def _value(name: str, value: Any, field: Field) -> Any:
    try:
        return field.read(value)
    except (ValueError, TypeError, OverflowError):
        raise FileProblem(f"{name} must be {field.need}, got {_shown(value)}") from None


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return shorten(value)
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    try:
        text = text or quote(str(value))[1:-1]
    except RecursionError:
        text = "tables in tables"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _as_fields(text: str) -> str:
    """Write ``--filter-layout`` as the field ``filter_layout``."""
    return re.sub(r"(?<!\S)--([a-z][a-z-]*)", lambda match: match[1].replace("-", "_"), text)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    return float(value)


def _finite(value: Any) -> float:
    if not math.isfinite(number := _number(value)):
        raise ValueError
    return number


def _limit(value: Any) -> float:
    if math.isnan(number := _number(value)):
        raise ValueError
    return number


def _above_zero(value: Any) -> float:
    if not (number := _finite(value)) > 0:
        raise ValueError
    return number


def _power(value: Any) -> float:
    return math.inf if value == math.inf else _above_zero(value)


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= MAX_CELLS:
            raise ValueError
        return value

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _name(value: Any) -> str:
    text = _text(value)
    if not text.isprintable() or len(text) > MAX_NAME or text != text.strip():
        raise ValueError
    return text


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return tuple(_text(each) for each in value)


def _array(value: Any) -> Any:
    """Pass a number, a text, or a list: what is in it is looked at where it is made an array."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, list)) or value == "":
        raise ValueError
    return value


def _weights(value: Any) -> Any:
    if not isinstance(value, (str, list)) or not value:
        raise ValueError
    return value


def _cells(
    counts: tuple[int, ...], least: int, words: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    whole = _whole(least)

    def read(value: Any) -> Any:
        if value in words:
            return value
        if not isinstance(value, list):
            return whole(value)
        if len(value) not in counts:
            raise ValueError
        return tuple(whole(each) for each in value)

    return read


def _height_and_width(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError
    return _cells((2,), 1)(value)


def _words(words: tuple[str, ...]) -> Field:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Field(read, f"one of {', '.join(words)}")


_LIMITS = f"with whole numbers of {{}} to {MAX_CELLS}"
_PAIR = Field(_cells((2,), 1), f"N or [H, W] {_LIMITS.format(1)}")
_SIZE = Field(_cells((2,), 1, ("global",)), f"N, [H, W] {_LIMITS.format(1)} or global")
_PADDING = Field(
    _cells((2, 4), 0, NAMED_PADDINGS),
    f"{', '.join(NAMED_PADDINGS)}, N, [H, W] or [TOP, BOTTOM, LEFT, RIGHT] {_LIMITS.format(0)}",
)
_NUMBER = Field(_finite, "a number")
_LIMIT = Field(_limit, "a number, inf or -inf")
_FLAG = Field(_flag, "true or false")
_NUMBERS = Field(_array, "a number, a list of numbers or FILE:KEY")
_NEEDED_NUMBERS = Field(_array, "a number, a list of numbers or FILE:KEY", required=True)
# Its name is checked where its settings are: in the layer.
_ACTIVATION = Field(_text, "the name of an activation")

_BORDER = {"pad_mode": _words(PAD_MODES), "pad_value": _LIMIT}

_LISTED = Field(_names, 'a list of names of earlier layers, or "input"')

COMMON: Final[dict[str, Field]] = {
    "name": Field(_name, f"a printable text of 1 to {MAX_NAME} letters"),
    "type": Field(_text, "the kind of the layer", required=True),
    "inputs": _LISTED,
}
"""Fields of every layer."""

TYPES: Final[dict[str, dict[str, Field]]] = {
    "conv": {
        "filter": Field(
            _weights, "FILE, FILE:KEY, a built-in name, a matrix, or a list of those", required=True
        ),
        "filter_layout": _words(FILTER_LAYOUTS),
        "bias": _NUMBERS,
        "flip": _FLAG,
        "normalize": _FLAG,
        "activation": _ACTIVATION,
        "alpha": _NUMBERS,
        "stride": _PAIR,
        "padding": _PADDING,
        **_BORDER,
        "dilation": _PAIR,
        "groups": Field(_whole(1), f"a whole number of 1 to {MAX_CELLS}"),
        "algorithm": _words(("auto", *ALGORITHM_NAMES)),
        "convention": _words(CONVENTION_NAMES),
    },
    "pool": {
        "mode": _words(POOL_MODES),
        "size": _SIZE,
        "stride": _PAIR,
        "padding": _PADDING,
        "dilation": _PAIR,
        "ceil": _FLAG,
        "count_include_pad": _FLAG,
        "p": Field(_power, "a number above 0"),
        "convention": _words(POOL_CONVENTION_NAMES),
    },
    "pad": {"padding": Field(_PADDING.read, _PADDING.need, required=True), **_BORDER},
    "activation": {
        "activation": Field(_text, _ACTIVATION.need, required=True),
        "alpha": _NUMBERS,
        "beta": _NUMBER,
        "low": _LIMIT,
        "high": _LIMIT,
    },
    "batchnorm": {
        "gamma": _NUMBERS,
        "beta": _NUMBERS,
        "mean": _NEEDED_NUMBERS,
        "var": _NEEDED_NUMBERS,
        "epsilon": Field(_above_zero, "a number above 0"),
    },
    "scale": {"factor": _NUMBERS, "offset": _NUMBERS},
    "add": {"inputs": Field(_names, _LISTED.need, required=True)},
    "mul": {"inputs": Field(_names, _LISTED.need, required=True)},
    "concat": {"inputs": Field(_names, _LISTED.need, required=True)},
}
"""Fields of each type of layer."""

INPUT: Final[dict[str, Field]] = {
    "gray": _FLAG,
    "size": Field(_height_and_width, f"[H, W] {_LIMITS.format(1)}"),
    "scale": Field(_finite, "a number"),
    "mean": Field(_array, "a number or a list of numbers"),
    "std": Field(_array, "a number or a list of numbers, none of them 0"),
}
"""Fields of ``[input]``."""
