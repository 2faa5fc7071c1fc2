"""Fields of network files: what each may hold, and errors that name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.core import choices
from cnncli.errors import FileProblem, among, printable
from cnncli.filters.matrix_text import quoted_start
from cnncli.io.limits import MAX_CELLS
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.slice import FAR
from cnncli.network.layers.view import MOST_AXES

MAX_NAME: Final = 200
_SHOWN: Final = 60
_MEANT: Final = {
    **dict.fromkeys(("kernel", "kernels", "weight", "weights", "w"), ("filter",)),
    **dict.fromkeys(("kernel_size", "kernel_shape", "pool_size", "window"), ("size", "filter")),
    **dict.fromkeys(("slope", "negative_slope"), ("alpha",)),
    "eps": ("epsilon",),
}
"""What other tools call our fields."""


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
    default : str
        What stands for it when it is left out, in words, where that is no value of the layer's.
    """

    accepts: Callable[[Any], bool]
    need: str
    required: bool = False
    convert: Callable[[Any], Any] = lambda value: value
    array: bool = False
    default: str = ""


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
    >>> size = Field(lambda value: isinstance(value, list), "[H, W]", convert=tuple)
    >>> read_fields({"size": [2, 3]}, {"size": size})
    {'size': (2, 3)}
    """
    for name in table:
        if name not in fields:
            hint = f"{name} stands above the first [table]" if name == "classes" else None
            meant = [own for own in _MEANT.get(name.lower(), ()) if own in fields]
            near = f"; nearest: {meant[0]}" if meant else among(name, fields)
            raise FileProblem(f"no field {quoted_start(name)}{near}", hint=hint)
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
        return quoted_start(value)
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    try:
        text = text or printable(str(value))
    except RecursionError:
        text = "tables in tables"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether a value is a finite number."""
    return _is_number(value) and math.isfinite(value)


def is_limit(value: Any) -> bool:
    """Whether a value is a number or an infinity."""
    return _is_number(value) and not math.isnan(value)


def is_text(value: Any) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_name(value: Any) -> bool:
    """Whether a value may be the name of a layer."""
    return is_text(value) and (
        value.isprintable() and len(value) <= MAX_NAME and value == value.strip()
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def _is_array(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, str | list) and value != "")


def listed(value: Any, count: int) -> list[Any]:
    """Return a value as a list; [None] if it is a list of another length."""
    values = value if isinstance(value, list) else [value]
    return values if len(values) in (1, count) else [None]


def is_numbers(value: Any) -> bool:
    """Whether a value is a finite number or a list of some."""
    return is_finite(value) or (
        isinstance(value, list) and bool(value) and all(map(is_finite, value))
    )


def is_weights(value: Any) -> bool:
    """Whether a value may name or hold filters."""
    return isinstance(value, str | list) and bool(value)


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether a value is a whole number from the least one to `MAX_CELLS`."""
    return type(value) is int and least <= value <= MAX_CELLS


def is_index(value: Any) -> bool:
    """Whether a value is a whole number that may count a tensor's cells."""
    return type(value) is int and abs(value) <= FAR


def is_shape(value: Any, open_axis: bool = False) -> bool:
    """Whether a value is a tensor's shape; one length may be -1 where an axis may be open."""
    if not isinstance(value, list) or not len(value) <= MOST_AXES:
        return False
    known = [length for length in value if not (open_axis and length == -1)]
    return all(is_index(n) and n > 0 for n in known) and len(value) - len(known) <= 1


def is_axes(value: Any) -> bool:
    """Whether a value names axes of a tensor by the letters of `Layout`."""
    return is_text(value) and {*value} <= {*"nhwc"} and len({*value}) == len(value)


def is_order(value: Any) -> bool:
    """Whether a value is a list of numbers of axes."""
    return isinstance(value, list) and len(value) <= MOST_AXES and all(map(is_index, value))


def is_cells(value: Any, counts: tuple[int, ...] = (2,), least: int = 1) -> bool:
    """Whether a value is a number of cells, or a list of as many as there may be."""
    if not isinstance(value, list):
        return is_whole(value, least)
    return len(value) in counts and all(is_whole(number, least) for number in value)


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple, and anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def one_of(words: tuple[str, ...]) -> Field:
    """Return a field that holds one of some words."""
    return Field(lambda value: value in words, f"one of {', '.join(words)}")


LIMITS = f"with whole numbers of {{}} to {MAX_CELLS}"
PAIR = Field(is_cells, f"N or [H, W] {LIMITS.format(1)}", convert=as_tuple)
SIZE = Field(
    lambda value: value == "global" or is_cells(value),
    f"N or [H, W] {LIMITS.format(1)}, or global",
    convert=as_tuple,
)
PADDING = Field(
    lambda value: value in choices.NAMED_PADDINGS or is_cells(value, (2, 4), 0),
    f"{', '.join(choices.NAMED_PADDINGS)}, N, [H, W] or [TOP, BOTTOM, LEFT, RIGHT] "
    f"{LIMITS.format(0)}",
    convert=as_tuple,
)
NUMBER = Field(is_finite, "a number", convert=float)
ABOVE_ZERO = Field(lambda value: is_finite(value) and value > 0, "a number above 0", convert=float)
LIMIT = Field(is_limit, "a number, inf or -inf", convert=float)
FLAG = Field(lambda value: isinstance(value, bool), "true or false")
NUMBERS = Field(_is_array, "a number, a list of numbers or FILE:KEY", array=True)
BIAS = replace(NUMBERS, array=False, default="0")  # read with the filter: one for each map
# Its name is checked where its settings are: in the layer.
ACTIVATION = Field(is_text, "the name of an activation")
ACTIVATIONS_DEFAULT: Final = "the activation's"

BORDER = {"pad_mode": one_of(choices.PAD_MODE_NAMES), "pad_value": LIMIT}

INPUTS = Field(_is_names, 'a list of names of earlier layers, or "input"', convert=as_tuple)


def required(field: Field) -> Field:
    """Return a field that must be given."""
    return replace(field, required=True)


WEIGHTS = Field(is_weights, "FILE, FILE:KEY, a built-in name, a matrix, or a list of those")
SOME_AXES = Field(
    lambda value: _is_names(value) and {*value} <= {*AXES} and len({*value}) == len(value),
    f"a list of some of {', '.join(AXES)}",
    convert=as_tuple,
)
NORM = {"gamma": NUMBERS, "beta": NUMBERS, "epsilon": ABOVE_ZERO}
BLOCK = Field(is_whole, f"a whole number of 1 to {MAX_CELLS}")
GROUPS = Field(is_whole, f"a whole number of 1 to {MAX_CELLS}")
INDEX = Field(is_index, "a whole number; below 0 it counts from the end")
PART = Field(
    lambda value: isinstance(value, list) and len(value) in (2, 3) and all(map(is_index, value)),
    "[START, STOP] or [START, STOP, STEP] with whole numbers; below 0 they count from the end",
    convert=as_tuple,
    default="all",
)
