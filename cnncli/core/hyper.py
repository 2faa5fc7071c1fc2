"""The hparameters dictionaries of the course: which fields there are and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
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


def read_hparameters(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a layer: the given ones, and the defaults of the others.

    Parameters
    ----------
    given : mapping
        The course's ``hparameters``.
    defaults : mapping
        Every field the layer knows, with its default.

    Raises
    ------
    OptionError
        If a field is unknown.

    Examples
    --------
    >>> read_hparameters({"stride": 2}, CONV_DEFAULTS)["pad"]
    0
    """
    unknown = [str(key) for key in given if key not in defaults]
    if unknown:
        raise OptionError(
            f"hparameters must hold only {', '.join(defaults)}; got {', '.join(unknown)}"
        )
    return {**defaults, **given}
