"""Pooling: max, average, min and lp, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, as_real, float_dtype
from cnncli.core.averages import divide_sums, divisors
from cnncli.core.choices import POOL_MODES
from cnncli.core.geometry import PaddingLike, Pair, Window, pair, place_window
from cnncli.core.hparameters import POOL_DEFAULTS, read_hparameters
from cnncli.core.padding import check_batch, pad_borders, pad_borders_backward
from cnncli.core.window_reduce import reduce_windows
from cnncli.errors import OptionError, ShapeError, nearest

PoolCache = tuple[FloatArray, Mapping[str, Any]]


def pool_forward(
    A_prev: FloatArray, hparameters: Mapping[str, Any], mode: str = "max"
) -> tuple[FloatArray, PoolCache]:
    """Pool every channel of a batch of images.

    Parameters
    ----------
    A_prev : ndarray, shape (m, n_H_prev, n_W_prev, n_C)
        Input, float32 or float64.
    hparameters : mapping
        ``f`` (window: int, (h, w) or "global", default 2), ``stride`` (default: the window),
        ``pad`` and ``dilation`` as in `conv_forward`, ``ceil`` (count a last window that
        hangs over), ``count_include_pad`` (average: explicit pads count) and ``p`` (lp: the power,
        above 0).
    mode : {"max", "average", "min", "lp"}
        Pads never win in max and min, and a window that meets pads only holds -inf or inf; lp is
        ``(sum |x|^p)^(1/p)``. NaN propagates.

    Returns
    -------
    A : ndarray, shape (m, n_H, n_W, n_C)
    cache : tuple
        ``(A_prev, hparameters)`` for `pool_backward`.

    Raises
    ------
    ShapeError
        If A_prev has not four dimensions, or no window fits.
    OptionError
        If the mode or an hparameter is unknown or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> A_prev = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> A, cache = pool_forward(A_prev, {"f": 2, "stride": 2})
    >>> A[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    A, pooling = _read(A_prev, hparameters, mode)
    return pool(A, pooling), (A_prev, hparameters)


def pool_backward(dA: FloatArray, cache: PoolCache, mode: str = "max") -> FloatArray:
    """Return the gradient of `pool_forward`.

    Parameters
    ----------
    dA : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the cost with respect to A.
    cache : tuple
        What `pool_forward` returned.
    mode : {"max", "average", "min", "lp"}
        The mode of the forward pass. In max and min the whole gradient goes to the first winner
        in row-major order; where windows overlap gradients add up.

    Returns
    -------
    ndarray, shape (m, n_H_prev, n_W_prev, n_C)

    Raises
    ------
    ShapeError
        If dA has not the shape of the A that the cache belongs to.

    Examples
    --------
    >>> import numpy as np
    >>> A, cache = pool_forward(np.array([[[[1.0], [3.0]], [[3.0], [2.0]]]]), {"f": 2})
    >>> pool_backward(np.ones_like(A), cache)[0, :, :, 0]
    array([[0., 1.],
           [0., 0.]])
    """
    A, pooling = _read(*cache, mode)
    expected = (A.shape[0], *pooling.window.out, A.shape[3])
    dA = as_real(dA, A.dtype)
    if dA.shape != expected:
        raise ShapeError(f"dA must have the shape of A, {expected}, got {dA.shape}")
    return pool_gradient(dA, A, pooling)


def create_mask_from_window(x: FloatArray) -> NDArray[np.bool_]:
    """Mark the maximum of a window.

    Parameters
    ----------
    x : ndarray
        A window of any shape, not empty.

    Returns
    -------
    ndarray of bool, the shape of x
        True at the maximum; on a tie at the first one in row-major order, so that a gradient
        sent through the mask is neither lost nor doubled.

    Raises
    ------
    ShapeError
        If the window is empty.

    Examples
    --------
    >>> import numpy as np
    >>> create_mask_from_window(np.array([[1.0, 3.0], [3.0, 2.0]]))
    array([[False,  True],
           [False, False]])
    """
    window = np.asarray(x)
    if window.size == 0:
        raise ShapeError(f"the window must hold at least one value, got shape {window.shape}")
    mask = np.zeros(window.shape, bool)
    mask.flat[int(window.argmax())] = True
    return mask


def distribute_value(dz: float, shape: tuple[int, int]) -> FloatArray:
    """Spread a gradient evenly over a window, as average pooling's backward does.

    Parameters
    ----------
    dz : float
        The gradient of the average.
    shape : (n_H, n_W)
        The window's shape, each at least 1.

    Returns
    -------
    ndarray, shape (n_H, n_W)
        ``dz / (n_H * n_W)`` everywhere.

    Raises
    ------
    OptionError
        If the shape is not two whole numbers of at least 1.

    Examples
    --------
    >>> distribute_value(2, (2, 2))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    if np.size(shape) != 2:
        raise OptionError(f"the window's shape must be (n_H, n_W), got {shape!r}")
    n_H, n_W = pair(shape, "shape")
    return np.full((n_H, n_W), dz / (n_H * n_W))


def check_mode_settings(mode: str, given: Collection[str]) -> None:
    """Refuse settings that a mode of pooling would ignore.

    Parameters
    ----------
    mode : {"max", "average", "min", "lp"}
    given : collection of str
        Names of fields that were given.

    Examples
    --------
    >>> check_mode_settings("max", ["size", "p"])
    Traceback (most recent call last):
    cnncli.errors.OptionError: --p is for lp pooling, got max
    """
    for name, needed in (("p", "lp"), ("count_include_pad", "average")):
        if name in given and mode != needed:
            raise OptionError(f"--{name.replace('_', '-')} is for {needed} pooling, got {mode}")


@dataclass(frozen=True)
class Pooling:
    """One pooling layer on inputs of one size.

    Parameters
    ----------
    window : Window
    mode : {"max", "average", "min", "lp"}
    include_pad : bool
        Whether explicit pads count in an average.
    p : float
        The power of lp, above 0.

    Raises
    ------
    OptionError
        If there is no such mode, or p is out of its range.

    Examples
    --------
    >>> Pooling(pool_window((4, 4), 2), "max").window.out
    (2, 2)
    """

    window: Window
    mode: str
    include_pad: bool = False
    p: float = 2.0

    def __post_init__(self) -> None:
        if self.mode not in POOL_MODES:
            alike = nearest(str(self.mode), POOL_MODES)
            raise OptionError(
                f"mode must be one of {', '.join(POOL_MODES)}, got {self.mode!r}",
                hint=f"--mode {alike[0]}" if alike else None,
            )
        if not isinstance(self.p, Real) or isinstance(self.p, bool) or not self.p > 0:
            raise OptionError(f"p must be a number above 0, got {self.p!r}")


def pool(A: NDArray[Any], pooling: Pooling) -> NDArray[Any]:
    """Pool a batch (m, n_H_prev, n_W_prev, n_C) to (m, n_H, n_W, n_C).

    Examples
    --------
    >>> A = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> pool(A, Pooling(pool_window((4, 4), 2), "max")).ravel()
    array([ 5.,  7., 13., 15.])
    """
    return _pool_strip(A, pooling.window, pooling)


def pool_rows(
    source: Callable[[int, int], NDArray[Any]], pooling: Pooling, first: int, last: int
) -> NDArray[Any]:
    """Return output rows ``[first, last)`` of `pool` from the input rows they need.

    Parameters
    ----------
    source : callable
        ``source(begin, end)`` returns those input rows, shape (m, rows, n_W_prev, n_C): floats, or
        for max and min whole numbers too, which are pooled as they are.
    pooling : Pooling
        Every window must span a row of the input.
    first, last : int
        Output rows.

    Returns
    -------
    ndarray, shape (m, last - first, n_W, n_C)

    Examples
    --------
    >>> A, pooling = np.arange(16.0).reshape(1, 4, 4, 1), Pooling(pool_window((4, 4), 2), "max")
    >>> pool_rows(lambda begin, end: A[:, begin:end], pooling, 1, 2).ravel()
    array([13., 15.])
    """
    strip, needed = pooling.window.strip(first, last)
    return _pool_strip(source(needed.start, needed.stop), strip, pooling, first)


def pool_gradient(dA: FloatArray, A: FloatArray, pooling: Pooling) -> FloatArray:
    """Return the gradient of `pool`: of its input, from that of its output.

    Examples
    --------
    >>> A, pooling = np.arange(4.0).reshape(1, 2, 2, 1), Pooling(pool_window((2, 2), 2), "average")
    >>> pool_gradient(np.ones((1, 1, 1, 1)), A, pooling).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    """
    window = pooling.window
    if pooling.mode == "max":
        return _winners_backward(dA, A, window)
    if pooling.mode == "min":
        return _winners_backward(dA, -A, window)
    if pooling.mode == "average":
        shares = dA / divisors(pooling.window, pooling.include_pad, dA.dtype)
        return _send_back(A, window, lambda *_: shares)
    return _norms_backward(dA, A, window, pooling.p)


def pool_window(
    size: Pair,
    f: int | Sequence[int] | str,
    stride: int | Sequence[int] | None = None,
    padding: PaddingLike = 0,
    dilation: int | Sequence[int] = 1,
    ceil: bool = False,
) -> Window:
    """Return where a pool's window stands.

    Parameters
    ----------
    size : (int, int)
        Input rows and columns.
    f : int, (h, w) or "global"
        The window; "global" is the whole input.
    stride : int or (h, w), optional
        Default: the window.
    padding, dilation, ceil
        As in `place_window`.

    Raises
    ------
    ShapeError, OptionError
        As `pool_forward` says.

    Examples
    --------
    >>> pool_window((5, 5), 3, 1).out, pool_window((5, 4), "global").out
    ((3, 3), (1, 1))
    """
    if isinstance(f, str):
        if f != "global":
            raise OptionError(f"size must be whole numbers or global, got {f!r}", hint="--size 2")
        f = size
    return place_window(size, f, f if stride is None else stride, padding, dilation, ceil)


def _read(
    A_prev: FloatArray, hparameters: Mapping[str, Any], mode: str
) -> tuple[FloatArray, Pooling]:
    A = np.asarray(A_prev)
    check_batch(A, "A_prev")
    fields = read_hparameters(hparameters, POOL_DEFAULTS)
    window = pool_window(
        A.shape[1:3],
        fields["f"],
        fields["stride"],
        fields["pad"],
        fields["dilation"],
        bool(fields["ceil"]),
    )
    pooling = Pooling(window, mode, bool(fields["count_include_pad"]), fields["p"])
    return A.astype(float_dtype(A), copy=False), pooling


def _pool_strip(A: NDArray[Any], strip: Window, pooling: Pooling, first: int = 0) -> NDArray[Any]:
    """Pool the input of output rows from `first` on, by which averages know what they divide by."""
    if pooling.mode == "max":
        return _extremes(A, strip, np.maximum, -np.inf)
    if pooling.mode == "min":
        return _extremes(A, strip, np.minimum, np.inf)
    if pooling.mode == "average":
        return reduce_windows(
            A,
            strip,
            np.add,
            0.0,
            lambda sums, row: divide_sums(sums, pooling.window, pooling.include_pad, first + row),
        )
    return _norms(A, strip, pooling.p)


def _extremes(A: FloatArray, window: Window, better: np.ufunc, worst: float) -> FloatArray:
    if A.dtype.kind in "iu":
        limits = np.iinfo(A.dtype.name)
        return reduce_windows(A, window, better, limits.min if worst < 0 else limits.max)
    return reduce_windows(A, window, better, worst)


def _norms(A: FloatArray, window: Window, p: float) -> FloatArray:
    magnitudes = np.abs(A)
    if np.isinf(p):
        return _extremes(magnitudes, window, np.maximum, 0.0)
    far_cells = _far_cells(magnitudes, window, p)
    # Window by window, so that a strip of rows has the bytes that the whole has.
    far_windows = reduce_windows(far_cells, window, np.maximum, False) if far_cells.any() else None
    del far_cells
    with np.errstate(all="ignore"):
        sums = reduce_windows(magnitudes ** A.dtype.type(p), window, np.add, 0.0)
        norms: FloatArray = sums ** A.dtype.type(1 / p)
        if far_windows is None:
            return norms
        return np.where(far_windows, _scaled_norms(magnitudes, window, p), norms)


def _far_cells(magnitudes: FloatArray, window: Window, p: float) -> NDArray[np.bool_]:
    """Mark finite values whose power under- or overflows, or their sum over a window."""
    limits = np.finfo(magnitudes.dtype)
    cells = math.log2(window.rows.kernel * window.cols.kernel)
    low = 2.0 ** ((limits.minexp + 1) / p)
    high = 2.0 ** min((limits.maxexp - 1 - cells) / p, limits.maxexp - 1)
    far = (magnitudes >= high) & (magnitudes < np.inf)
    return np.asarray(far | ((magnitudes > 0) & (magnitudes <= low)))


def _scaled_norms(magnitudes: FloatArray, window: Window, p: float) -> FloatArray:
    """Divide each window by its largest value before the powers, and multiply after the root."""
    padded = pad_borders(magnitudes, window.pads_with_overhang)
    largest = _extremes(magnitudes, window, np.maximum, 0.0)
    safe = np.where((largest > 0) & (largest < np.inf), largest, 1)
    total = np.zeros_like(largest)
    for _, _, (rows, cols) in window.taps():
        total += (padded[:, rows, cols] / safe) ** p
    return (largest * total ** (1 / p)).astype(magnitudes.dtype, copy=False)


def _send_back(
    A: FloatArray, window: Window, gradient: Callable[[int, tuple[slice, slice]], FloatArray]
) -> FloatArray:
    """Sum the gradients that the taps send back: ``gradient(tap, padded cells that it meets)``."""
    rows, cols = (axis.padded + axis.overhang for axis in (window.rows, window.cols))
    dA_pad = np.zeros((len(A), rows, cols, A.shape[3]), A.dtype)
    for tap, (_, _, cells) in enumerate(window.taps()):
        dA_pad[:, cells[0], cells[1]] += gradient(tap, cells)
    return pad_borders_backward(dA_pad, window.pads_with_overhang)


def _winners_backward(dA: FloatArray, A: FloatArray, window: Window) -> FloatArray:
    winners = _first_winners(A, window)
    return _send_back(A, window, lambda tap, _: np.where(winners == tap, dA, 0))


def _first_winners(A: FloatArray, window: Window) -> NDArray[np.intp]:
    """Return which tap ``i * k_W + j`` of each window holds its first maximum in row-major order.

    -1 where a window meets pads only. A NaN wins over every number.
    """
    padded = pad_borders(A, window.pads_with_overhang, value=-np.inf)
    shape = (A.shape[0], *window.out, A.shape[3])
    best, winners = np.full(shape, -np.inf, A.dtype), np.full(shape, -1)
    for tap, (i, j, (rows, cols)) in enumerate(window.taps()):
        cells = padded[:, rows, cols]
        real = np.outer(window.rows.real_taps(i), window.cols.real_taps(j))[:, :, None]
        wins = (cells > best) | (winners < 0) | (np.isnan(cells) & ~np.isnan(best))
        wins &= real
        best[wins], winners[wins] = cells[wins], tap
    return winners


def _norms_backward(dA: FloatArray, A: FloatArray, window: Window, p: float) -> FloatArray:
    """d(sum |x|^p)^(1/p) = sign(x) (|x| / norm)^(p-1); 0 where the whole window is 0."""
    if np.isinf(p):
        return _winners_backward(dA, np.abs(A), window) * np.sign(A)
    norms = _norms(A, window, p)
    safe = np.where(norms == 0, 1, norms)
    padded = pad_borders(A, window.pads_with_overhang)

    def gradient(_: int, cells: tuple[slice, slice]) -> FloatArray:
        met = padded[:, cells[0], cells[1]]
        # Below p = 1 the slope at 0 is infinite, and 0 is what a minimum's subgradient holds.
        slopes = np.where(met == 0, 1, np.abs(met) / safe) ** (p - 1)
        return dA * (np.sign(met) * slopes)

    return _send_back(A, window, gradient)
