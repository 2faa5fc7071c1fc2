"""The hparameters dictionaries of the course: which fields there are and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Final

import numpy as np

from cnncli.core.choices import POOL_MODES
from cnncli.errors import OptionError

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
    check_fields(fields)
    return fields


def check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse values that are not of their field's kind; fields of other names hold anything.

    Raises
    ------
    OptionError
        With the field's name.

    Examples
    --------
    >>> check_fields({"groups": 1, "f": "any"})
    >>> check_fields({"ceil": "no"})
    Traceback (most recent call last):
    cnncli.errors.OptionError: ceil must be True or False, got 'no'
    """
    for name, (holds, need) in _MUST_HOLD.items():
        if name in fields and not holds(fields[name]):
            raise OptionError(f"{name} must be {need}, got {fields[name]!r}")


def is_count(value: Any) -> bool:
    """Tell whether a value is a whole number of at least 1.

    Examples
    --------
    >>> is_count(np.int64(2)), is_count(2.0), is_count(True)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, Integral | np.bool_) and value in (0, 1)


_FLAGS: Final = ("as_values", "ceil", "count_include_pad", "flip", "gray", "normalize")

_MUST_HOLD: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "groups": (is_count, "a whole number of at least 1"),
    "jobs": (is_count, "a whole number of at least 1"),
    "pad_value": (
        lambda v: isinstance(v, Real) and not isinstance(v, bool) and v == v,
        "a number",
    ),
    "mode": (_is_word, f"one of {', '.join(POOL_MODES)}"),
    "activation": (_is_word, "a word such as relu"),
    "algorithm": (_is_word, "a word such as auto"),
    "convention": (_is_word, "a word such as torch"),
    **dict.fromkeys(_FLAGS, (_is_flag, "True or False")),
}
"""What the fields must hold before `geometry`, `pool` and tables of words look at them."""
