"""Borders: which input cell each padded cell copies, for any border mode."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

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


def fill_pads(
    pads: NDArray[Any], inner: NDArray[Any], index: NDArray[np.intp], constant: Any
) -> None:
    """Fill columns of pads (..., columns, n_C) from the inner ones that `border_index` names."""
    if len(index):
        # Not `take`: of a view it copies all of it first.
        pads[...] = constant if index[0] == CONSTANT_CELL else inner[..., index, :]


@dataclass(frozen=True)
class CopiedCells:
    """Padded cells ``[begin, end)`` that copy neighbouring input cells from `source` on.

    `source` is `CONSTANT_CELL` where they hold the border's constant.
    """

    begin: int
    end: int
    source: int


def copied_cells(index: NDArray[np.intp], first: int, last: int) -> list[CopiedCells]:
    """Return from which input cells the padded cells ``[first, last)`` are copied.

    Inside the image they are one slice of it; borders add short ones. Cells past the padding count
    as constant. A strip of an image is filled from this list, so only its own rows are ever read.

    Parameters
    ----------
    index : ndarray of int
        The axis as `border_index` gives it.
    first, last : int
        Padded cells, counted from the first pad.

    Examples
    --------
    >>> copied_cells(border_index(9, 1, 1), 0, 4)
    [CopiedCells(begin=0, end=1, source=-1), CopiedCells(begin=1, end=4, source=0)]
    """
    cells = index[first:last]
    if len(cells) == last - first and cells.min() >= 0 and (np.diff(cells) == 1).all():
        return [CopiedCells(0, len(cells), int(cells[0]))]
    cells = np.concatenate([cells, np.full(last - first - len(cells), CONSTANT_CELL)])
    constant = cells == CONSTANT_CELL
    joined = np.where(constant[:-1], constant[1:], np.diff(cells) == 1)
    bounds = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(cells)]
    return [CopiedCells(a, b, int(cells[a])) for a, b in pairwise(bounds)]
