"""How far two results are apart, where, and which change of a layer would make them equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.choices import PAD_MODES
from cnncli.errors import CnnCliError, ShapeError
from cnncli.filters.filter import flip
from cnncli.network.conventions import CONVENTIONS, OneLayer, by_convention
from cnncli.network.layers import ConvLayer, PoolLayer

Values = NDArray[np.floating]
Compute = Callable[[OneLayer], Values]
"""Returns what a layer makes of the image."""

LEVEL: Final = 1 / 255
"""One step of an 8-bit picture."""

LEVEL_APART: Final = 1.02 * LEVEL
"""What two pictures may differ by that rounded one value differently."""

MOST_CROPPED: Final = 128
"""Rows or columns by which results of two paddings may differ to be laid over each other."""


@dataclass(frozen=True)
class Difference:
    """How far two results of one shape are apart.

    Parameters
    ----------
    largest : float
        Largest absolute difference; infinite where one of two values is finite alone.
    at : (image, row, column, channel)
        Where it is, from 0.
    values : (float, float)
        The two values there.
    mean : float
    count : int
        Values further apart than the tolerance.
    size : int
        All values.
    tolerance : float
        Up to here values count as equal.
    """

    largest: float
    at: tuple[int, ...]
    values: tuple[float, float]
    mean: float
    count: int
    size: int
    tolerance: float

    @property
    def equal(self) -> bool:
        """Whether no value is further apart than the tolerance."""
        return self.count == 0


def find_difference(a: Values, b: Values, tolerance: float) -> Difference:
    """Compare two results.

    Parameters
    ----------
    a, b : ndarray, shape (N, H, W, C)
    tolerance : float
        Absolute.

    Raises
    ------
    ShapeError
        If their shapes differ.

    Examples
    --------
    >>> a = np.zeros((1, 2, 2, 1))
    >>> b = a.copy()
    >>> b[0, 1, 0, 0] = 0.5
    >>> found = find_difference(a, b, 1e-5)
    >>> found.largest, found.at, found.count
    (0.5, (0, 1, 0, 0), 1)
    """
    if a.shape != b.shape:
        raise ShapeError(
            f"results must have one shape, got {_shape_text(a.shape)} and {_shape_text(b.shape)}",
            hint="give --image and --filter, to find out which padding or stride makes them so",
        )
    apart = _apart(a, b)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
    return Difference(
        largest=float(apart[at]),
        at=at,
        values=(float(a[at]), float(b[at])),
        mean=float(apart.mean()),
        count=int(np.count_nonzero(apart > tolerance)),
        size=apart.size,
        tolerance=tolerance,
    )


def _apart(a: Values, b: Values) -> Values:
    """Return absolute differences; equal infinities and pairs of NaN are no difference."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def tolerance_of(a: Values, b: Values, pictures: bool) -> float:
    """Return the difference below which results count as equal.

    Parameters
    ----------
    a, b : ndarray
    pictures : bool
        Whether one of them comes from an 8-bit picture, whose values are whole levels.

    Examples
    --------
    >>> tolerance_of(np.ones(3), np.ones(3), pictures=False)
    1e-05
    """
    if pictures:
        # Half a level, and what a tool of 16 bits rounds before it rounds to 8.
        return 0.52 * LEVEL
    finite = [np.abs(v[np.isfinite(v)]) for v in (a, b)]
    return 1e-5 * max([1.0, *(float(v.max()) for v in finite if v.size)])


def explain(a: Values, b: Values, tolerance: float) -> str | None:
    """Say what would make two results equal, as far as they tell by themselves.

    Parameters
    ----------
    a, b : ndarray, shape (N, H, W, C)
    tolerance : float

    Returns
    -------
    str or None
        The first explanation under which they are equal.

    Examples
    --------
    >>> a = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> explain(a, -a, 1e-5)
    'equal if the signs are turned, as flipping an odd filter does'
    """
    explanation = _explain(a, b, tolerance)
    if explanation is not None:
        return explanation
    if a.shape == b.shape and _equal(np.clip(a, 0, 1), np.clip(b, 0, 1), LEVEL_APART):
        return "equal to within one level of 255, cut off to 0..1: rounding"
    if not LEVEL / 2 <= tolerance < LEVEL_APART:
        return None
    explanation = _explain(a, b, LEVEL_APART)
    return explanation and f"{explanation}; to within one level of 255"


def _explain(a: Values, b: Values, tolerance: float) -> str | None:
    for explanation, pair in _simple_changes(a, b):
        if pair[0].shape == pair[1].shape and _equal(*pair, tolerance):
            return explanation
    return _inner(a, b, tolerance) or _moved(a, b, tolerance)


def _equal(a: Values, b: Values, tolerance: float) -> bool:
    return a.size > 0 and bool((_apart(a, b) <= tolerance).all())


def _simple_changes(a: Values, b: Values) -> Iterator[tuple[str, tuple[Values, Values]]]:
    """Yield simple changes of the whole: signs, ranges, scales, orders of axes and channels."""
    yield "equal if the signs are turned, as flipping an odd filter does", (a, -b)
    yield "equal if the first is cut off to 0..1", (np.clip(a, 0, 1), b)
    yield "equal if the second is cut off to 0..1", (a, np.clip(b, 0, 1))
    yield "equal if signs are dropped", (np.abs(a), np.abs(b))
    yield "equal if the first is multiplied by 255", (a * 255, b)
    yield "equal if the second is multiplied by 255", (a, b * 255)
    if a.shape[3] == b.shape[3] > 1:
        yield "equal if the channels are reversed (BGR and RGB)", (a, b[..., ::-1])
    yield "equal if rows and columns are exchanged", (a, b.swapaxes(1, 2))
    yield "equal if the channels of the second come first, not last", (a, np.moveaxis(b, 1, 3))
    yield "equal if the channels of the first come first, not last", (np.moveaxis(a, 1, 3), b)


def _moved(a: Values, b: Values, tolerance: float) -> str | None:
    """Lay one over the other, moved by a cell: where an odd cell of padding went."""
    if a.shape != b.shape or min(a.shape[1:3]) < 3:
        return None
    steps = [(rows, cols) for rows in (0, 1, -1) for cols in (0, 1, -1) if rows or cols]
    for rows, cols in steps:
        apart = _apart(_shift(a, rows, cols), _shift(b, -rows, -cols)) > tolerance
        border = _border(apart) if apart.any() else ""
        if border is not None:
            cells = [f"{abs(n)} {what}" for n, what in ((rows, "row"), (cols, "column")) if n]
            shift = f"a shift by {' and '.join(cells)}, {_padded_side(rows, cols)}"
            text = f"equal but for {shift}"
            return f"{text}; and {border.removeprefix('equal ')}" if border else text
    return None


def _shift(values: Values, rows: int, cols: int) -> Values:
    """Drop so many of the first rows and columns; of the last ones where negative."""
    row_part, col_part = (slice(max(n, 0), min(n, 0) or None) for n in (rows, cols))
    return values[:, row_part, col_part]


def _padded_side(rows: int, cols: int) -> str:
    if rows * cols < 0:
        return "if the extra padding is on different sides"
    which = "first" if rows + cols > 0 else "second"
    side = "top left" if rows and cols else "top" if rows else "left"
    return f"if the extra padding of the {which} is at the {side}"


def _inner(a: Values, b: Values, tolerance: float) -> str | None:
    """Find a border outside of which both are equal, or where the smaller lies in the larger."""
    if a.shape == b.shape:
        return _border(_apart(a, b) > tolerance)
    if a.shape[0] != b.shape[0] or a.shape[3] != b.shape[3]:
        return None
    rows, cols = (a.shape[i] - b.shape[i] for i in (1, 2))
    if rows * cols < 0 or max(abs(rows), abs(cols)) > MOST_CROPPED:
        return None
    (small, which), large = ((b, "second"), a) if rows + cols > 0 else ((a, "first"), b)
    for top in range(abs(rows) + 1):
        for left in range(abs(cols) + 1):
            part = large[:, top : top + small.shape[1], left : left + small.shape[2]]
            corner = (slice(None), slice(0, 4), slice(0, 4))
            if _equal(part[corner], small[corner], tolerance) and _equal(part, small, tolerance):
                pads = f"{top},{abs(rows) - top},{left},{abs(cols) - left}"
                return f"equal if the {which} is padded by {pads} (top, bottom, left, right) more"
    return None


def _border(wrong: NDArray[np.bool_]) -> str | None:
    height, width = wrong.shape[1:3]
    for reach in range(1, min(height, width) // 4 + 1):
        inner = wrong[:, reach : height - reach, reach : width - reach]
        if not inner.any():
            cells = "cell" if reach == 1 else f"{reach} cells"
            return f"equal but for the outermost {cells}: their borders differ (--pad-mode)"
    return None


def changes(layer: OneLayer) -> Iterator[tuple[str, OneLayer]]:
    """Yield a layer with one of its conventions changed, then as each tool does it.

    Parameters
    ----------
    layer : ConvLayer or PoolLayer

    Yields
    ------
    tuple of (str, layer)
        What is said when that explains a result.

    Examples
    --------
    >>> [change for change, _ in changes(PoolLayer(mode="average"))][:2]
    ['if an average divides by the pads too', 'if a window that hangs over the end counts']
    """
    if isinstance(layer, ConvLayer):
        yield from _conv_changes(layer)
    else:
        yield from _pool_changes(layer)
    for name, convention in CONVENTIONS.items():
        try:
            other = by_convention(layer, convention)
        except CnnCliError:
            continue
        yield f"by the convention {name} ({'; '.join(convention.words(layer))})", other


def _conv_changes(layer: ConvLayer) -> Iterator[tuple[str, OneLayer]]:
    yield "if the filter is flipped", replace(layer, filter=flip(layer.filter))
    yield from _paddings(layer)
    for mode in PAD_MODES:
        yield f"if the border is {mode}", replace(layer, pad_mode=mode, pad_value=0.0)
    yield "without the bias", replace(layer, bias=np.zeros(1))
    yield "without the activation", replace(layer, activation="none", alpha=None)


def _pool_changes(layer: PoolLayer) -> Iterator[tuple[str, OneLayer]]:
    if layer.mode == "average":
        other = replace(layer, count_include_pad=not layer.count_include_pad)
        how = "by the pads too" if other.count_include_pad else "by real cells only"
        yield f"if an average divides {how}", other
    over = "counts" if not layer.ceil else "does not count"
    yield f"if a window that hangs over the end {over}", replace(layer, ceil=not layer.ceil)
    yield from _paddings(layer)


def _paddings(layer: Any) -> Iterator[tuple[str, Any]]:
    sides = {"same": "bottom right", "same-lower": "top left"}
    for padding, side in sides.items():
        if layer.padding != padding:
            yield f"if the extra padding is at the {side}", replace(layer, padding=padding)
    if layer.padding != "valid":
        yield "if nothing is padded", replace(layer, padding="valid")


def explain_by_layer(
    result: Values, layer: OneLayer, compute: Compute, tolerance: float
) -> str | None:
    """Say how an operation must be done for a result to come out.

    Parameters
    ----------
    result : ndarray, shape (N, H, W, C)
        The result.
    layer : ConvLayer or PoolLayer
        The operation as it was meant.
    compute : callable
        Returns what a layer makes of the image.
    tolerance : float

    Returns
    -------
    str or None
        ``as given``, or the first change under which it comes out.
    """
    for change, other in (("as given", layer), *changes(layer)):
        try:
            values = compute(other)
        except CnnCliError:
            continue
        if values.shape == result.shape and _equal(values, result, tolerance):
            return change
    return None


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
