"""The hparameters dictionaries of the course: which fields there are and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Final

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
    for name, (holds, need) in _MUST_HOLD.items():
        if name in fields and not holds(fields[name]):
            raise OptionError(f"{name.replace('_', ' ')} must be {need}, got {fields[name]!r}")
    return fields


_MUST_HOLD: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "groups": (
        lambda v: isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= 1,
        "a whole number of at least 1",
    ),
    "pad_value": (
        lambda v: isinstance(v, Real) and not isinstance(v, bool) and v == v,
        "a number",
    ),
    "ceil": (lambda v: v in (True, False), "True or False"),
    "count_include_pad": (lambda v: v in (True, False), "True or False"),
}
"""What the fields must hold that neither `geometry` nor `pool` checks."""
