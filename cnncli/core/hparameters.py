"""The hparameters dictionaries of the course: which fields there are and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Final

import numpy as np

from cnncli.errors import OptionError

Kind = tuple[Callable[[Any], bool], str]
"""What tells whether a field holds what it must, and that in words."""

CONV_DEFAULTS: Final[Mapping[str, Any]] = {
    "stride": 1,
    "pad": 0,
    "dilation": 1,
    "groups": 1,
    "pad_mode": "zeros",
    "pad_value": 0.0,
}
POOL_DEFAULTS: Final[Mapping[str, Any]] = {
    "f": 2,
    "stride": None,
    "pad": 0,
    "dilation": 1,
    "ceil": False,
    "count_include_pad": False,
    "p": 2.0,
}


def read_hparameters(hparameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a layer: those that are set, and the defaults of the others.

    Parameters
    ----------
    hparameters : mapping
        The course's ``hparameters``.
    defaults : mapping
        Every field the layer knows, with its default.

    Raises
    ------
    OptionError
        If a field is unknown or out of its range.

    Examples
    --------
    >>> read_hparameters({"stride": 2}, CONV_DEFAULTS)["pad"]
    0
    """
    unknown = [str(key) for key in hparameters if key not in defaults]
    if unknown:
        raise OptionError(
            f"hparameters must hold only {', '.join(defaults)}; got {', '.join(unknown)}"
        )
    fields = {**defaults, **hparameters}
    check_fields(fields, MUST_HOLD)
    return fields


def check_fields(fields: Mapping[str, Any], must_hold: Mapping[str, Kind]) -> None:
    """Refuse values that are not of their field's kind; fields of other names hold anything.

    Raises
    ------
    OptionError
        With the field's name.

    Examples
    --------
    >>> check_fields({"groups": 1, "f": "any"}, MUST_HOLD)
    >>> check_fields({"ceil": "no"}, MUST_HOLD)
    Traceback (most recent call last):
    cnncli.errors.OptionError: ceil must be True or False, got 'no'
    """
    for name, (holds, need) in must_hold.items():
        if name in fields and not holds(fields[name]):
            raise OptionError(f"{name} must be {need}, got {fields[name]!r}")


def is_count(value: Any, least: int = 1) -> bool:
    """Tell whether a value is a whole number of at least 1, or as many as asked for.

    Examples
    --------
    >>> is_count(np.int64(2)), is_count(2.0), is_count(True), is_count(0, 0)
    (True, False, False, True)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


COUNT: Final[Kind] = (is_count, "a whole number of at least 1")
FLAG: Final[Kind] = (
    lambda value: isinstance(value, Integral | np.bool_) and value in (0, 1),
    "True or False",
)
MUST_HOLD: Final[Mapping[str, Kind]] = {
    "groups": COUNT,
    "pad_value": (
        lambda v: isinstance(v, Real) and not isinstance(v, bool) and v == v,
        "a number",
    ),
    "ceil": FLAG,
    "count_include_pad": FLAG,
}
"""What the fields must hold that neither `geometry` nor `pool` checks."""
