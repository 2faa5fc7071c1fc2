"""Borders: which input cell each padded cell copies, for any border mode."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.choices import PAD_MODES
from cnncli.errors import OptionError

Border = tuple[str, float]
"""Pad mode and the constant of "zeros"."""

Runs = tuple[tuple[int, int], ...]
"""Cells ``[begin, end)`` along an axis, in order and apart."""

CONSTANT_CELL: Final = -1
"""What `border_index` holds where a padded cell copies no input cell."""


def border_index(
    size: int, begin: int, end: int, mode: str = "zeros", first: int = 0, last: int | None = None
) -> NDArray[np.intp]:
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
    first, last : int
        Which padded cells, counted from the first pad; default: all. Cells past the padding count
        as constant.

    Returns
    -------
    ndarray of int, shape (last - first,)

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
    cells = np.arange(first - begin, (size + end if last is None else last - begin))
    return np.where(cells < size + end, source_cells(cells, size, mode), CONSTANT_CELL)


def source_cells(cells: NDArray[np.intp], size: int, mode: str) -> NDArray[np.intp]:
    """Return which input cells some cells copy, -1 for a constant; input cells copy themselves.

    Parameters
    ----------
    cells : ndarray of int
        Counted from the input's first: negative and from `size` on in the padding.
    size, mode
        As in `border_index`.

    Examples
    --------
    >>> source_cells(np.array([-2, 1, 5]), 4, "symmetric")
    array([1, 1, 2])
    """
    if mode == "zeros":
        return np.where((cells >= 0) & (cells < size), cells, CONSTANT_CELL)
    if mode == "edge":
        return np.clip(cells, 0, size - 1)
    period = _period(size, mode)
    there = cells % period
    return there if mode == "wrap" else np.minimum(there, period - 1 + (mode == "reflect") - there)


def _period(size: int, mode: str) -> int:
    """After how many cells a copying border repeats itself; `reflect` meets the ends once."""
    return size if mode == "wrap" else max(1, 2 * (size - (mode == "reflect")))


def source_runs(runs: Iterable[tuple[int, int]], size: int, mode: str) -> Runs:
    """Return the input cells that runs of cells copy, without a look at each cell.

    Parameters
    ----------
    runs : iterable of (int, int)
        Cells ``[begin, end)``, counted as in `source_cells`.
    size, mode
        As in `border_index`.

    Returns
    -------
    tuple of (int, int)
        Runs of input cells, in order and apart.

    Examples
    --------
    >>> source_runs([(-4, -2), (7, 12)], 10, "reflect")
    ((3, 5), (7, 10))
    """
    check_pad_mode(mode)
    parts = (_source_parts(begin, end, size, mode) for begin, end in runs if begin < end)
    return join_runs(chain.from_iterable(parts))


def _source_parts(begin: int, end: int, size: int, mode: str) -> list[tuple[int, int]]:
    """The runs that one run copies; empty ones may be among them."""
    if mode == "zeros":
        return [(max(begin, 0), min(end, size))]
    if mode == "edge":
        return [(min(max(begin, 0), size - 1), min(max(end, 1), size))]
    period = _period(size, mode)
    first = begin % period
    last = first + min(end - begin, period)
    # A run that passes the end of a period goes on at its beginning.
    there = [(first, min(last, period)), (0, last - period)]
    if mode == "wrap":
        return there
    end_of_way_back = period + (mode == "reflect")
    back = [(end_of_way_back - b, end_of_way_back - max(a, size)) for a, b in there]
    return [(a, min(b, size)) for a, b in there] + back


def join_runs(runs: Iterable[tuple[int, int]]) -> Runs:
    """Return the cells of some runs, in any order, as runs in order and apart; empty ones go.

    Examples
    --------
    >>> join_runs([(4, 6), (0, 2), (2, 3), (9, 9)])
    ((0, 3), (4, 6))
    """
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(run for run in runs if run[0] < run[1]):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return tuple(joined)


def border_mode(mode: str, image_filter: bool) -> str:
    """Return the border mode that a layer's ``pad_mode`` stands for.

    Filters of images continue the picture beyond its edge, so that no picture gets a frame that is
    not in it; the layers of networks pad with zeros.

    Parameters
    ----------
    mode : str
        A border mode, which is returned as it is, or ``auto``.
    image_filter : bool
        Whether the layer is a 2-D filter, which works on every channel on its own.

    Examples
    --------
    >>> border_mode("auto", True), border_mode("auto", False), border_mode("wrap", True)
    ('edge', 'zeros', 'wrap')
    """
    if mode != "auto":
        return mode
    return "edge" if image_filter else "zeros"


def asked_mode(mode: str, value: float | None) -> str:
    """Return the ``pad_mode`` that is asked for when a constant border may be.

    Parameters
    ----------
    mode : str
        A border mode, or ``auto``.
    value : float, optional
        The constant, if one was given.

    Raises
    ------
    OptionError
        If the border copies cells and a constant other than 0 was given.

    Examples
    --------
    >>> asked_mode("auto", 1.0), asked_mode("auto", None)
    ('zeros', 'auto')
    """
    if value is None:
        return mode
    if value != 0 and mode not in ("auto", "zeros"):
        raise OptionError(f"--pad-value is for --pad-mode zeros, got --pad-mode {mode}")
    return "zeros" if mode == "auto" else mode


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
