"""Measures how far two results are apart, and finds simple changes that make them equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.compare.chance import sample, tells
from cnncli.core.arrays import FloatArray
from cnncli.errors import ShapeError

Values = FloatArray

ROUNDED, APART = 0.52, 1.02
"""Of a level of a picture: what rounding changes, also a tool of 16 bits before it rounds to 8; and
what two pictures differ by if one value is rounded differently."""

MOST_CROPPED: Final = 128
"""Rows or columns by which results of two paddings may differ to be laid over each other."""

MOST_STRIDE: Final = 16
"""Larger strides are not tried."""

BORDER_SHARE: Final = 0.05
"""Share of a border's values that must differ before another border is named as the cause."""

LEAST_SIDE: Final = 3
"""Rows and columns below which a part of a result is equal to another by chance."""

Levels = tuple[float | None, float | None]
"""Of two results, 255 or 65535 for a picture of so many levels above black; None for an array."""


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


def find_difference(a: Values, b: Values, tolerance: float | FloatArray) -> Difference:
    """Compare two results.

    Parameters
    ----------
    a, b : ndarray, shape (N, H, W, C)
    tolerance : float or ndarray, shape (C,)
        Absolute, of all channels or of each.

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
        raise shape_error(a, b)
    apart = absolute_difference(a, b)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
    return Difference(
        largest=float(apart[at]),
        at=at,
        values=(float(a[at]), float(b[at])),
        mean=float(apart.mean()),
        count=int(np.count_nonzero(apart > tolerance)),
        size=apart.size,
        tolerance=float(np.max(tolerance)),
    )


def shape_error(a: Values, b: Values, hint: bool = True) -> ShapeError:
    """Return the error of results whose sizes differ; the hint is for those without a layer."""
    way = "give --image and --filter, to find out which padding or stride makes them so"
    if a.shape[:3] == b.shape[:3] and {a.shape[3], b.shape[3]} == {1, 3}:
        hint, way = True, "one is grey, the other colour: --gray compares both as grey"
    if a.shape[1:3] == b.shape[2:0:-1] and a.shape[1] != a.shape[2]:
        hint, way = True, "rows and columns are swapped: one is turned or transposed"
    return ShapeError(
        f"results must have the same shape, got {shape_text(a.shape)} and {shape_text(b.shape)}",
        hint=way if hint else None,
    )


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the sizes of a result (N, H, W, C) as text; of one image without N.

    Examples
    --------
    >>> shape_text((1, 3, 4, 2)), shape_text((5, 3, 4, 2))
    ('3x4x2', '5x3x4x2')
    """
    return "x".join(map(str, shape[1:] if shape[0] == 1 else shape))


def absolute_difference(a: Values, b: Values) -> Values:
    """Return absolute differences, in float64; equal infinities and pairs of NaN are none.

    Examples
    --------
    >>> absolute_difference(np.array([1.0, np.inf, np.nan]), np.array([3.0, np.inf, 0.0]))
    array([ 2.,  0., inf])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def tolerance_of(a: Values, b: Values, levels: float | None = None) -> float:
    """Return the difference below which results count as equal.

    Parameters
    ----------
    a, b : ndarray
    levels : float, optional
        255 or 65535, if one of them comes from a picture of that many levels above black.

    Examples
    --------
    >>> tolerance_of(np.ones(3), np.ones(3)), tolerance_of(np.ones(3), np.ones(3), 52.0)
    (1e-05, 0.01)
    """
    if levels is not None:
        return ROUNDED / levels
    finite = [np.abs(v[np.isfinite(v)]) for v in (a, b)]
    return 1e-5 * max([1.0, *(float(v.max()) for v in finite if v.size)])


def rounding_of(a: Values, b: Values, share: float = 1e-4) -> float:
    """Return what rounding in sums may come to: of the larger type's digits, the fewer.

    Parameters
    ----------
    a, b : ndarray
    share : float
        Of the largest value of `a`, where one of them is float32; else 1e-9.

    Examples
    --------
    >>> rounding_of(np.full(2, 5.0), np.ones(2, np.float32))
    0.0005
    """
    finite = np.abs(a[np.isfinite(a)])
    digits = share if np.float32 in (a.dtype, b.dtype) else 1e-9
    return digits * max(float(finite.max(initial=0.0)), 1 / 255)


def explain(a: Values, b: Values, tolerance: float, levels: Levels = (None, None)) -> str | None:
    """Say what would make two results equal, as far as they tell by themselves.

    Parameters
    ----------
    a, b : ndarray, shape (N, H, W, C)
    tolerance : float
    levels : (float or None, float or None)
        Of each that is a picture, 255 or 65535.

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
    if not (tells(a, 0) and tells(b, 0)):
        return None
    if (explanation := _simple(a, b, tolerance, levels)) is not None:
        return explanation
    most = min((each for each in levels if each is not None), default=None)
    apart = None if most is None else APART / most
    if apart is not None and _equal(np.clip(a, 0, 1), np.clip(b, 0, 1), apart):
        return f"equal to within one level of {most:.0f}, clipped to 0..1: rounding"
    if (explanation := _in_part(a, b, tolerance, levels)) is not None:
        return explanation
    if apart is None or tolerance >= apart:
        return None
    explanation = _simple(a, b, apart, levels) or _in_part(a, b, apart, levels)
    return explanation and f"{explanation}; to within one level of {most:.0f}"


def _simple(a: Values, b: Values, tolerance: float, levels: Levels) -> str | None:
    for explanation, pair in _simple_changes(a, b, levels):
        if _equal(*pair, tolerance):
            return explanation
    return None


def _in_part(a: Values, b: Values, tolerance: float, levels: Levels) -> str | None:
    """Find a part in which they are equal, or are so after a simple change."""
    for first, pair in (("", (a, b)), *_simple_changes(a, b, levels)):
        for find in (_inner, _strided, _moved):
            if (second := find(*pair, tolerance)) is not None:
                return f"{first}; then {second}" if first else second
    return None


def _equal(a: Values, b: Values, tolerance: float, ways: int = 1) -> bool:
    """Whether two results agree, and not by chance."""
    apart = _agreement(a, b, tolerance)
    return apart is not None and tells(b, apart, ways)


def _agreement(a: Values, b: Values, tolerance: float) -> float | None:
    """Return the largest difference of two results; None if it is above the tolerance."""
    if a.shape != b.shape or a.size == 0:
        return None
    apart = 0.0
    for box in (sample(a.shape), ...):
        apart = float(absolute_difference(a[box], b[box]).max())
        if apart > tolerance:
            return None
    return apart


def _simple_changes(
    a: Values, b: Values, levels: Levels
) -> Iterator[tuple[str, tuple[Values, Values]]]:
    """Yield simple changes of the whole: signs, ranges, scales, orders of axes and channels."""
    yield "equal if the signs are turned, as flipping an odd filter does", (a, -b)
    yield "equal if the first is clipped to 0..1", (np.clip(a, 0, 1), b)
    yield "equal if the second is clipped to 0..1", (a, np.clip(b, 0, 1))
    yield "equal if signs are dropped", (np.abs(a), np.abs(b))
    for text, pair in _multiplied("first", a, b, levels):
        yield text, pair
    for text, pair in _multiplied("second", b, a, levels[::-1]):
        yield text, pair[::-1]
    if a.shape[3] == b.shape[3] > 1:
        yield "equal if the channels are reversed (BGR and RGB)", (a, b[..., ::-1])
    yield from _grey_and_colour(a, b)
    yield "equal if rows and columns are exchanged", (a, b.swapaxes(1, 2))
    yield "equal if the channels of the second come first, not last", (a, np.moveaxis(b, 1, 3))
    yield "equal if the channels of the first come first, not last", (np.moveaxis(a, 1, 3), b)


def _multiplied(
    which: str, one: Values, other: Values, levels: Levels
) -> Iterator[tuple[str, tuple[Values, Values]]]:
    """Yield one result times 255 beside another, in the units of that which is a picture."""
    own, others = levels
    # 257: 8-bit numbers that were kept in 16 bits.
    factor = 257 if (own, others) == (65535, 255) else 255
    numbers = own is not None and others is None
    pair = (one, other / factor) if numbers else (one * factor, other)
    text = f"equal if the {which} is multiplied by {factor}"
    yield text, pair
    if own is not None or others is not None:
        clipped = f"{text} and values are clipped to {'0..255' if numbers else '0..1'}"
        yield clipped, (np.clip(pair[0], 0, 1), np.clip(pair[1], 0, 1))


def _grey_and_colour(a: Values, b: Values) -> Iterator[tuple[str, tuple[Values, Values]]]:
    """Yield a grey result beside a colour one: beside all its channels, and beside each."""
    if {a.shape[3], b.shape[3]} != {1, 3}:
        return
    if a.shape[3] == 1:
        text, pair = "equal if the grey first is repeated", (np.repeat(a, 3, axis=3), b)
    else:
        text, pair = "equal if the grey second is repeated", (a, np.repeat(b, 3, axis=3))
    yield f"{text} as red, green and blue", pair
    other = "second" if a.shape[3] == 1 else "first"
    for channel, name in enumerate(("red", "green", "blue")):
        taken = [v if v.shape[3] == 1 else v[..., channel : channel + 1] for v in (a, b)]
        yield f"equal if of the {other} the {name} channel is taken", (taken[0], taken[1])


def _strided(a: Values, b: Values, tolerance: float) -> str | None:
    """Take every so many rows and columns of the larger, from each of the first ones."""
    if (a.shape[0], a.shape[3]) != (b.shape[0], b.shape[3]) or a.shape == b.shape:
        return None
    ((large, which), (small, other)) = (a, "first"), (b, "second")
    if a.size < b.size:
        (large, which), (small, other) = (b, "second"), (a, "first")
    if min(small.shape[1:3]) < LEAST_SIDE:
        return None
    axes = [_steps(large.shape[i], small.shape[i]) for i in (1, 2)]
    ways = max(1, len(axes[0]) * len(axes[1]))
    for (down, row), (across, col) in product(*axes):
        part = large[:, row::down, col::across]
        # A stride may leave out the last window.
        part = part[:, : small.shape[1], : small.shape[2]]
        rest = _but_for_border(part, small, tolerance, ways)
        if rest is not None:
            steps = str(down) if down == across else f"{down},{across}"
            text = (
                f"equal if the {other} has a stride of {steps}: it is {_every(down)} row and "
                f"{_every(across)} column of the {which}, from row {row} and column {col}"
            )
            return f"{text}; and {rest.removeprefix('equal ')}" if rest else text
    return None


def _every(step: int) -> str:
    ending = {2: "nd", 3: "rd"}.get(step, "th")
    return f"every {step}{ending}" if step > 1 else "every"


def _steps(large: int, small: int) -> list[tuple[int, int]]:
    """Strides and first cells by which an axis of one size becomes one of the other."""
    steps = [(1, 0)] if large == small else []
    for step in range(2, MOST_STRIDE + 1):
        for first in range(step):
            count = len(range(first, large, step))
            if small <= count <= small + 1:
                steps.append((step, first))
    return steps


def _moved(a: Values, b: Values, tolerance: float) -> str | None:
    """Lay one over the other, moved by a cell: where an odd cell of padding went."""
    if a.shape != b.shape or min(a.shape[1:3]) < LEAST_SIDE:
        return None
    steps = [(rows, cols) for rows in (0, 1, -1) for cols in (0, 1, -1) if rows or cols]
    for rows, cols in steps:
        pair = _shift(a, rows, cols), _shift(b, -rows, -cols)
        border = _but_for_border(*pair, tolerance, len(steps))
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
        return _border(a, b, tolerance)
    if a.shape[0] != b.shape[0] or a.shape[3] != b.shape[3]:
        return None
    rows, cols = (a.shape[i] - b.shape[i] for i in (1, 2))
    if rows * cols < 0 or max(abs(rows), abs(cols)) > MOST_CROPPED:
        return None
    (small, which), large = ((b, "second"), a) if rows + cols > 0 else ((a, "first"), b)
    ways = (abs(rows) + 1) * (abs(cols) + 1)
    corner = (slice(None), slice(0, 4), slice(0, 4))
    for top, left in product(range(abs(rows) + 1), range(abs(cols) + 1)):
        part = large[:, top : top + small.shape[1], left : left + small.shape[2]]
        if _agreement(part[corner], small[corner], tolerance) is None:
            continue
        if (apart := _agreement(part, small, tolerance)) is not None:
            pads = f"{top},{abs(rows) - top},{left},{abs(cols) - left}"
            text = f"equal if the {which} is padded by {pads} (top, bottom, left, right) more"
            return text if tells(small, apart, ways) else None
    return None


def _but_for_border(a: Values, b: Values, tolerance: float, ways: int) -> str | None:
    """Return an empty text if both are equal, else as `_border`."""
    return "" if _equal(a, b, tolerance, ways) else _border(a, b, tolerance, ways)


def _border(a: Values, b: Values, tolerance: float, ways: int = 1) -> str | None:
    """Say how wide a border is outside of which both are equal; None if there is none."""
    height, width = a.shape[1:3]
    most = min(height, width) // 4
    if most == 0:
        return None
    inner = slice(None), slice(most, height - most), slice(most, width - most)
    if not _equal(a[inner], b[inner], tolerance, ways):
        return None
    wrong = absolute_difference(a, b) > tolerance
    reaches = range(1, most + 1)
    reach = next(k for k in reaches if not wrong[:, k : height - k, k : width - k].any())
    border = wrong.size - wrong[:, reach : height - reach, reach : width - reach].size
    count = int(np.count_nonzero(wrong))
    cells = "outermost cell" if reach == 1 else f"outermost {reach} cells"
    if count < BORDER_SHARE * border:
        return f"equal but for {count} of the {border} values in the {cells}"
    return f"equal but for the {cells}: their borders differ (--pad-mode)"
