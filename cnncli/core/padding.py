"""zero_pad and the other borders, each with its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnncli.core.arrays import FloatArray
from cnncli.core.borders import Border, border_index
from cnncli.core.geometry import Axis, PaddingLike, Pads, Window, explicit_pads
from cnncli.core.strips import fill_padded
from cnncli.errors import ShapeError


def zero_pad(X: FloatArray, pad: PaddingLike) -> FloatArray:
    """Pad every image of a batch with zeros around its height and width.

    Parameters
    ----------
    X : ndarray, shape (m, n_H, n_W, n_C)
        A batch of m images.
    pad : int, (h, w), (top, bottom, left, right) or ((top, bottom), (left, right))
        Cells to add on each side, at least 0.

    Returns
    -------
    ndarray, shape (m, top + n_H + bottom, left + n_W + right, n_C)
        A new array of the same dtype.

    Raises
    ------
    ShapeError
        If X has not four dimensions.
    OptionError
        If a pad is negative or no whole number.

    Examples
    --------
    >>> import numpy as np
    >>> zero_pad(np.ones((1, 1, 2, 1)), 1)[0, :, :, 0]
    array([[0., 0., 0., 0.],
           [0., 1., 1., 0.],
           [0., 0., 0., 0.]])
    """
    return pad_borders(np.asarray(X), explicit_pads(pad))


def pad_borders(X: FloatArray, pads: Pads, mode: str = "zeros", value: float = 0.0) -> FloatArray:
    """Pad height and width with any border.

    Parameters
    ----------
    X : ndarray, shape (m, n_H, n_W, n_C)
        A batch of images.
    pads : ((top, bottom), (left, right))
        Cells to add.
    mode : {"zeros", "edge", "reflect", "symmetric", "wrap"}
        What the cells hold, with numpy's meanings.
    value : float
        The constant of mode "zeros".

    Returns
    -------
    ndarray, shape (m, top + n_H + bottom, left + n_W + right, n_C)

    Examples
    --------
    >>> import numpy as np
    >>> row = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    >>> pad_borders(row, ((0, 0), (2, 2)), "reflect").ravel()
    array([3., 2., 1., 2., 3., 4., 3., 2.])
    """
    check_batch(X, "X")
    (top, bottom), _ = pads
    rows = top + X.shape[1] + bottom
    return pad_rows(lambda first, last: X[:, first:last], X, pads, (mode, value), 0, rows)


def pad_rows(
    source: Callable[[int, int], FloatArray],
    X: FloatArray,
    pads: Pads,
    border: Border,
    first: int,
    last: int,
) -> FloatArray:
    """Return rows ``[first, last)`` of `pad_borders` from the input rows they copy.

    Parameters
    ----------
    source : callable
        ``source(begin, end)`` returns those input rows, shape (m, rows, n_W, n_C).
    X : ndarray, shape (m, n_H, n_W, n_C)
        Gives shape and dtype of the input; its values are not looked at.
    pads : ((top, bottom), (left, right))
    border : (mode, value)
        As in `pad_borders`.
    first, last : int
        Padded rows, counted from the first pad.

    Returns
    -------
    ndarray, shape (m, last - first, left + n_W + right, n_C)

    Examples
    --------
    >>> X = np.arange(4.0).reshape(1, 4, 1, 1)
    >>> rows = lambda begin, end: X[:, begin:end]
    >>> pad_rows(rows, X, ((2, 0), (0, 0)), ("reflect", 0.0), 0, 4).ravel()
    array([2., 1., 0., 1.])
    """
    m, n_H, n_W, n_C = X.shape
    rows, cols = (
        Axis(size, 1, begin=pads[i][0], end=pads[i][1]) for i, size in enumerate((n_H, n_W))
    )
    padded = np.empty((m, last - first, cols.padded, n_C), X.dtype)
    fill_padded(padded, source, Window(rows, cols), border, first)
    return padded


def pad_borders_backward(dX_pad: FloatArray, pads: Pads, mode: str = "zeros") -> FloatArray:
    """Return the gradient of the unpadded images: each copy's gradient goes to its original.

    Parameters
    ----------
    dX_pad : ndarray, shape (m, top + n_H + bottom, left + n_W + right, n_C)
        Gradient of the padded images.
    pads, mode
        As given to `pad_borders`.

    Returns
    -------
    ndarray, shape (m, n_H, n_W, n_C)

    Examples
    --------
    >>> import numpy as np
    >>> pad_borders_backward(np.ones((1, 1, 6, 1)), ((0, 0), (1, 1)), "edge").ravel()
    array([2., 1., 1., 2.])
    """
    if mode == "zeros":
        (top, bottom), (left, right) = pads
        _, rows, columns, _ = dX_pad.shape
        return dX_pad[:, top : rows - bottom, left : columns - right].copy()
    folded = _fold(dX_pad, 1, pads[0], mode)
    return _fold(folded, 2, pads[1], mode)


def _fold(dX_pad: FloatArray, axis: int, pads: tuple[int, int], mode: str) -> FloatArray:
    begin, end = pads
    size = dX_pad.shape[axis] - begin - end
    moved = np.moveaxis(dX_pad, axis, 0)
    folded = moved[begin : begin + size].copy()
    index = border_index(size, begin, end, mode)
    copies = np.r_[0:begin, begin + size : len(index)]
    np.add.at(folded, index[copies], moved[copies])
    return np.moveaxis(folded, 0, axis)


def check_batch(X: FloatArray, name: str) -> None:
    """Raise ShapeError unless `X` is a batch of images (m, n_H, n_W, n_C) with no empty axis.

    Examples
    --------
    >>> import numpy as np
    >>> check_batch(np.zeros((1, 2, 2, 1)), "X")
    """
    if X.ndim != 4 or 0 in X.shape:
        raise ShapeError(
            f"{name} must have the shape (m, n_H, n_W, n_C), none of them 0, got {X.shape}"
        )
