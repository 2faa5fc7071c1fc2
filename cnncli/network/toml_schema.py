"""The fields of a network file, and what each must hold; arrays are read elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cnncli.core import choices
from cnncli.errors import CnnCliError, FileProblem, among, quote
from cnncli.filters.matrix_text import shorten
from cnncli.network.layers import reduce
from cnncli.network.layers.blocks import BLOCK_ORDERS
from cnncli.network.layers.norm import AXES
from cnncli.network.layers.resize import COORDINATES, RESIZE_MODES, ROUNDINGS
from cnncli.network.layers.slice import FAR
from cnncli.network.layers.view import MOST_AXES

MAX_CELLS: Final = 65_535
"""The largest size, stride, dilation or pad, as on the command line."""

MAX_NAME: Final = 200
_SHOWN: Final = 60


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Parameters
    ----------
    accepts : callable
        Whether a value may stand there.
    need : str
        What must stand there, in words.
    required : bool
        Whether it must be given.
    convert : callable
        Returns the value as layers take it.
    array : bool
        Whether it becomes an array: what is in it is looked at where it is made one.
    """

    accepts: Callable[[Any], bool]
    need: str
    required: bool = False
    convert: Callable[[Any], Any] = lambda value: value
    array: bool = False


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
        if field.accepts(value):
            return field.convert(value)
    except OverflowError:  # a whole number that no float can hold
        pass
    raise FileProblem(f"{name} must be {field.need}, got {_shown(value)}")


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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_limit(value: Any) -> bool:
    return _is_number(value) and not math.isnan(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_name(value: Any) -> bool:
    return _is_text(value) and (
        value.isprintable() and len(value) <= MAX_NAME and value == value.strip()
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_array(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, str | list) and value != "")


def _listed(value: Any, count: int) -> list[Any]:
    """Return a value as a list; [None] if it is a list of another length."""
    values = value if isinstance(value, list) else [value]
    return values if len(values) in (1, count) else [None]


def _is_numbers(value: Any) -> bool:
    return _is_finite(value) or (
        isinstance(value, list) and bool(value) and all(map(_is_finite, value))
    )


def _is_weights(value: Any) -> bool:
    return isinstance(value, str | list) and bool(value)


def _is_whole(value: Any, least: int = 1) -> bool:
    return type(value) is int and least <= value <= MAX_CELLS


def _is_index(value: Any) -> bool:
    return type(value) is int and abs(value) <= FAR


def _is_shape(value: Any, open_axis: bool = False) -> bool:
    """Whether a value is a tensor's shape; one length may be -1 where an axis may be open."""
    if not isinstance(value, list) or not len(value) <= MOST_AXES:
        return False
    known = [length for length in value if not (open_axis and length == -1)]
    return all(_is_index(n) and n > 0 for n in known) and len(value) - len(known) <= 1


def _is_axes(value: Any) -> bool:
    return _is_text(value) and {*value} <= {*"nhwc"} and len({*value}) == len(value)


def _is_order(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_AXES and all(map(_is_index, value))


def _is_cells(value: Any, counts: tuple[int, ...] = (2,), least: int = 1) -> bool:
    if not isinstance(value, list):
        return _is_whole(value, least)
    return len(value) in counts and all(_is_whole(number, least) for number in value)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_of(words: tuple[str, ...]) -> Field:
    return Field(lambda value: value in words, f"one of {', '.join(words)}")


_LIMITS = f"with whole numbers of {{}} to {MAX_CELLS}"
_PAIR = Field(_is_cells, f"N or [H, W] {_LIMITS.format(1)}", convert=_as_tuple)
_SIZE = Field(
    lambda value: value == "global" or _is_cells(value),
    f"N, [H, W] {_LIMITS.format(1)} or global",
    convert=_as_tuple,
)
_PADDING = Field(
    lambda value: value in choices.NAMED_PADDINGS or _is_cells(value, (2, 4), 0),
    f"{', '.join(choices.NAMED_PADDINGS)}, N, [H, W] or [TOP, BOTTOM, LEFT, RIGHT] "
    f"{_LIMITS.format(0)}",
    convert=_as_tuple,
)
_NUMBER = Field(_is_finite, "a number", convert=float)
_ABOVE_ZERO = Field(
    lambda value: _is_finite(value) and value > 0, "a number above 0", convert=float
)
_LIMIT = Field(_is_limit, "a number, inf or -inf", convert=float)
_FLAG = Field(lambda value: isinstance(value, bool), "true or false")
_NUMBERS = Field(_is_array, "a number, a list of numbers or FILE:KEY", array=True)
# Its name is checked where its settings are: in the layer.
_ACTIVATION = Field(_is_text, "the name of an activation")

_BORDER = {"pad_mode": _one_of(choices.PAD_MODE_NAMES), "pad_value": _LIMIT}

_INPUTS = Field(_is_names, 'a list of names of earlier layers, or "input"', convert=_as_tuple)


def _required(field: Field) -> Field:
    return replace(field, required=True)


_WEIGHTS = Field(_is_weights, "FILE, FILE:KEY, a built-in name, a matrix, or a list of those")
_AXES = Field(
    lambda value: _is_names(value) and {*value} <= {*AXES} and len({*value}) == len(value),
    f"a list of some of {', '.join(AXES)}",
    convert=_as_tuple,
)
_NORM = {"gamma": _NUMBERS, "beta": _NUMBERS, "epsilon": _ABOVE_ZERO}
_BLOCK = Field(_is_whole, f"a whole number of 1 to {MAX_CELLS}")
_GROUPS = Field(_is_whole, f"a whole number of 1 to {MAX_CELLS}")
_INDEX = Field(_is_index, "a whole number; below 0 it counts from the end")
_PART = Field(
    lambda value: isinstance(value, list) and len(value) in (2, 3) and all(map(_is_index, value)),
    "[START, STOP] or [START, STOP, STEP] with whole numbers; below 0 they count from the end",
    convert=_as_tuple,
)

COMMON: Final[dict[str, Field]] = {
    "name": Field(_is_name, f"a printable text of 1 to {MAX_NAME} letters"),
    "type": Field(_is_text, "the kind of the layer", required=True),
    "inputs": _INPUTS,
}
"""Fields of every layer."""

TYPES: Final[dict[str, dict[str, Field]]] = {
    "conv": {
        "filter": _required(_WEIGHTS),
        "filter_layout": _one_of(choices.FILTER_LAYOUTS),
        "bias": replace(_NUMBERS, array=False),  # read with the filter: one for each map
        "flip": _FLAG,
        "normalize": _FLAG,
        "activation": _ACTIVATION,
        "alpha": _NUMBERS,
        "stride": _PAIR,
        "padding": _PADDING,
        **_BORDER,
        "dilation": _PAIR,
        "groups": _GROUPS,
        "algorithm": _one_of(("auto", *choices.ALGORITHM_NAMES)),
        "convention": _one_of(choices.CONVENTION_NAMES),
    },
    "pool": {
        "mode": _one_of(choices.POOL_MODES),
        "size": _SIZE,
        "stride": _PAIR,
        "padding": _PADDING,
        "dilation": _PAIR,
        "ceil": _FLAG,
        "count_include_pad": _FLAG,
        "p": Field(lambda value: _is_limit(value) and value > 0, "a number above 0", convert=float),
        "convention": _one_of(choices.POOL_CONVENTION_NAMES),
    },
    "pad": {"padding": _required(_PADDING), **_BORDER},
    "activation": {
        "activation": _required(_ACTIVATION),
        "alpha": _NUMBERS,
        "beta": _NUMBER,
        "low": _LIMIT,
        "high": _LIMIT,
    },
    "batchnorm": {
        "gamma": _NUMBERS,
        "beta": _NUMBERS,
        "mean": _required(_NUMBERS),
        "var": _required(_NUMBERS),
        "epsilon": _ABOVE_ZERO,
    },
    "instance-norm": _NORM,
    "group-norm": {"groups": _required(_GROUPS), **_NORM},
    "layer-norm": {"axes": _AXES, **_NORM},
    "lrn": {
        "size": _required(Field(_is_whole, f"a whole number of 1 to {MAX_CELLS}")),
        "alpha": _NUMBER,
        "beta": _NUMBER,
        "bias": _NUMBER,
    },
    "reduce": {"mode": _one_of(reduce.MODES), "axes": _AXES},
    "softmax": {"axes": _AXES, "log": _FLAG},
    "scale": {"factor": _NUMBERS, "offset": _NUMBERS, "whole": _FLAG},
    "quotient": {"divisor": _required(_NUMBERS)},
    "resize": {
        "size": _PAIR,
        "scale": Field(
            lambda value: all(_is_finite(v) and v > 0 for v in _listed(value, 2)),
            "a number above 0, or [H, W]",
            convert=_as_tuple,
        ),
        "mode": _one_of(RESIZE_MODES),
        "coordinates": _one_of(tuple(COORDINATES)),
        "rounding": _one_of(tuple(ROUNDINGS)),
    },
    "depth-to-space": {"block": _required(_BLOCK), "order": _one_of(BLOCK_ORDERS)},
    "space-to-depth": {"block": _required(_BLOCK), "order": _one_of(BLOCK_ORDERS)},
    "conv-transpose": {
        "filter": _required(_WEIGHTS),
        "filter_layout": _one_of(choices.FILTER_LAYOUTS),
        "bias": replace(_NUMBERS, array=False),
        "stride": _PAIR,
        "padding": Field(
            lambda value: _is_cells(value, (2, 4), 0),
            f"N, [H, W] or [TOP, BOTTOM, LEFT, RIGHT] {_LIMITS.format(0)}",
            convert=_as_tuple,
        ),
        "output_padding": Field(
            lambda value: _is_cells(value, (2,), 0),
            f"N or [H, W] {_LIMITS.format(0)}",
            convert=_as_tuple,
        ),
        "dilation": _PAIR,
        "groups": _GROUPS,
    },
    "dense": {
        "filter": Field(_is_weights, "FILE, FILE:KEY, or a matrix", required=True),
        "filter_layout": _one_of(choices.FILTER_LAYOUTS),
        "bias": replace(_NUMBERS, array=False),
        "activation": _ACTIVATION,
        "alpha": _NUMBERS,
    },
    "slice": {
        "start": _INDEX,
        "stop": _INDEX,
        "step": replace(
            _INDEX,
            accepts=lambda value: _is_index(value) and value != 0,
            need="a whole number, not 0",
        ),
        "rows": _PART,
        "columns": _PART,
    },
    "view": {
        "axes": Field(_is_axes, "some of the letters n, h, w and c, each once"),
        "flat": _FLAG,
        "shape": Field(
            lambda value: _is_shape(value, open_axis=True),
            "a list of lengths above 0; one may be -1, for what is left",
            convert=lambda value: tuple(None if n == -1 else n for n in value),
        ),
        "permutation": Field(
            _is_order, "a list of axes, counted from 0", required=True, convert=_as_tuple
        ),
        "new_shape": Field(_is_shape, "a list of lengths above 0", convert=_as_tuple),
        "channels": _required(Field(_is_whole, f"a whole number of 1 to {MAX_CELLS}")),
    },
    "pad-channels": {"before": _NUMBERS, "after": _NUMBERS},
    **{name: {"inputs": _required(_INPUTS)} for name in ("add", "sub", "mul", "div", "max", "min")},
    "concat": {"inputs": _required(_INPUTS), "axis": _one_of(AXES)},
}
"""Fields of each type of layer."""

TOP: Final = ("input", "layers", "classes")
"""What stands at the top of a network file."""

INPUT: Final[dict[str, Field]] = {
    "gray": _FLAG,
    "size": Field(
        lambda value: isinstance(value, list) and _is_cells(value),
        f"[H, W] {_LIMITS.format(1)}",
        convert=_as_tuple,
    ),
    "fit": _one_of(choices.FITS),
    "bgr": _FLAG,
    "scale": _NUMBER,
    "mean": Field(_is_numbers, "a number or a list of numbers", convert=_as_tuple),
    "std": Field(_is_numbers, "a number or a list of numbers, none of them 0", convert=_as_tuple),
    "whole": _FLAG,
}
"""Fields of ``[input]``."""
