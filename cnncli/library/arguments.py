"""What the arguments of Python's calls must hold, as the options of the command line must."""

from __future__ import annotations

from typing import Any, Final

from cnncli.core.choices import POOL_MODES
from cnncli.core.hparameters import COUNT, FLAG, MUST_HOLD, Kind, check_fields, is_count

_COUNTS: Final = ("cells", "columns", "frames", "height", "jobs", "max_memory", "max_pixels")
_FLAGS: Final = (
    *("as_values", "backward", "bgr", "flip", "gray", "labels", "legend"),
    *("normalize", "overwrite", "shared_range", "trail"),
)
_WORDS: Final = {
    "mode": f"one of {', '.join(POOL_MODES)}",
    "activation": "a word such as relu",
    "algorithm": "a word such as auto",
    "convention": "a word such as torch",
}
_OPTIONAL: Final = (
    *("bgr", "cells", "columns", "convention", "frame", "jobs", "max_memory", "pad_value"),
)
_MUST_HOLD: Final[dict[str, Kind]] = {
    **MUST_HOLD,
    **dict.fromkeys(_COUNTS, COUNT),
    **dict.fromkeys(_FLAGS, FLAG),
    **{name: (lambda value: isinstance(value, str), need) for name, need in _WORDS.items()},
    "frame": (lambda value: is_count(value, 0), "a whole number of at least 0"),
}


def check_arguments(**given: Any) -> None:
    """Refuse values that are not of their argument's kind; arguments of other names hold anything.

    Raises
    ------
    OptionError
        With the argument's name.

    Examples
    --------
    >>> check_arguments(jobs=None, gray=True, size="any")
    >>> check_arguments(overwrite="no")
    Traceback (most recent call last):
    cnncli.errors.OptionError: overwrite must be True or False, got 'no'
    """
    unset = [name for name in _OPTIONAL if given.get(name) is None]
    check_fields({k: v for k, v in given.items() if k not in unset}, _MUST_HOLD)
