"""Borders: which input cell each padded cell copies, for any border mode."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.choices import PAD_MODES
from cnncli.errors import OptionError

CONSTANT_CELL: Final = -1
"""What `border_index` holds where a padded cell copies no input cell."""


def border_index(size: int, begin: int, end: int, mode: str = "zeros") -> NDArray[np.intp]:
    """Return for each padded cell the input cell it copies, or -1 for a constant.

    Padding forward, its gradient and strips of rows all read this one table.

    Parameters
    ----------
    size : int
        Input cells, at least 1.
    begin, end : int
        Pads.
    mode : {"zeros", "edge", "reflect", "symmetric", "wrap"}
        Border mode with numpy's meanings.

    Returns
    -------
    ndarray of int, shape (begin + size + end,)

    Raises
    ------
    OptionError
        If the mode is unknown.

    Examples
    --------
    >>> border_index(4, 2, 1, "reflect")
    array([2, 1, 0, 1, 2, 3, 2])
    >>> border_index(2, 1, 1)
    array([-1,  0,  1, -1])
    """
    check_pad_mode(mode)
    cells = np.arange(size)
    if begin == end == 0:
        return cells
    if mode == "zeros":
        return np.pad(cells, (begin, end), constant_values=CONSTANT_CELL)
    return np.pad(cells, (begin, end), mode=mode)  # type: ignore[call-overload, no-any-return]


def check_pad_mode(mode: str) -> None:
    """Raise OptionError unless `mode` is a border mode.

    Examples
    --------
    >>> check_pad_mode("edge")
    """
    if mode not in PAD_MODES:
        raise OptionError(
            f"pad mode must be one of {', '.join(PAD_MODES)}, got {mode!r}", hint="--pad-mode edge"
        )
