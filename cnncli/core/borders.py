"""Borders: which input cell each padded cell copies, for any border mode."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.choices import PAD_MODES
from cnncli.errors import OptionError

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
    return np.where(cells < size + end, _copied(cells, size, mode), CONSTANT_CELL)


def _copied(cells: NDArray[np.intp], size: int, mode: str) -> NDArray[np.intp]:
    """The input cells that cells copy; those before the input are negative."""
    if mode == "zeros":
        return np.where((cells >= 0) & (cells < size), cells, CONSTANT_CELL)
    if mode == "edge":
        return np.clip(cells, 0, size - 1)
    if mode == "wrap":
        return cells % size
    # There and back again; `reflect` meets the first and the last cell once.
    once = int(mode == "reflect")
    period = max(1, 2 * (size - once))
    there = cells % period
    return np.minimum(there, period - 1 + once - there)


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
