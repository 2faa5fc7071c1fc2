"""The ranges of a whole layer: one kind of mapping for all its maps, without rare extremes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from threading import Lock
from typing import Final

import numpy as np

from cnncli.render.levels import Mapping, ValueRange, choose_range, measure
from cnncli.render.options import MapGroup
from cnncli.render.result_rows import ResultRows, map_pictures

CUT: Final = 0.003
"""Share of the values of a feature map that the range ``auto`` may leave out."""


def layer_ranges(
    rows: ResultRows,
    groups: Sequence[MapGroup],
    spec: str | tuple[float, float],
    clip_by_default: bool,
    *,
    shared: bool = False,
    about_zero: bool = False,
) -> list[Mapping]:
    """Choose which values become black and white in each picture of a result.

    All pictures get one kind of mapping. With ``auto`` it is `symmetric` if any value is negative,
    and the range of each picture is the narrowest that holds 99.7 % of the values in
    `ResultRows.inner_cells`: one hot pixel, or a border of zeros, does not grey out the rest. All
    other words are exact. Maps of one row and column share one exact range.

    Parameters
    ----------
    rows : ResultRows
    groups : sequence of MapGroup
    spec : str or (float, float)
        As in `choose_range`.
    clip_by_default : bool
        Whether ``auto`` means ``clip``.
    shared : bool
        One range for all.
    about_zero : bool
        Whether ``auto`` means ``symmetric`` whatever the values are: the colormap has a middle.

    Returns
    -------
    list of Mapping
        N * len(groups) of them.

    Examples
    --------
    >>> from cnncli.render.result_rows import ArrayRows
    >>> values = np.array([[[[-2.0, 1.0], [0.5, 3.0]]]])
    >>> groups = [MapGroup("0", (0,)), MapGroup("1", (1,))]
    >>> [(m.kind, m.lo, m.hi) for m in layer_ranges(ArrayRows(values), groups, "auto", False)]
    [('symmetric', -2.0, 2.0), ('symmetric', -3.0, 3.0)]
    """
    n, height, width, _ = rows.shape
    if spec == "auto" and clip_by_default and not about_zero:
        spec = "clip"
    if not isinstance(spec, str) or spec == "clip":
        return [choose_range(ValueRange(), spec, False)] * (n * len(groups))
    rows.keep_if_small()
    single_cells = (height, width) == (1, 1)
    if spec == "auto" and not single_cells:
        return _trimmed_ranges(rows, groups, shared, about_zero)
    seen = map_pictures(rows, groups, lambda index, strip, values: measure(values))
    if shared or single_cells:
        seen = [reduce(or_, seen, ValueRange())] * len(seen)
    kind = _auto_kind(seen, about_zero) if spec == "auto" else spec
    return [choose_range(one, kind, False) for one in seen]


def _auto_kind(seen: Sequence[ValueRange], about_zero: bool) -> str:
    return "symmetric" if about_zero or any(one.lo < 0 for one in seen) else "minmax"


def _trimmed_ranges(
    rows: ResultRows, groups: Sequence[MapGroup], shared: bool, about_zero: bool
) -> list[Mapping]:
    n, height, width, _ = rows.shape
    down, across = rows.inner_cells or (slice(0, height), slice(0, width))
    counts = [
        (down.stop - down.start) * (across.stop - across.start) * len(group.channels)
        for group in groups
    ] * n
    together = [Tails(sum(counts))] * len(counts)
    tails = together if shared else [Tails(count) for count in counts]

    def look(index: int, strip: slice, values: np.ndarray) -> ValueRange:
        ends = (down.start - strip.start, down.stop - strip.start)
        first, last = (min(max(row, 0), len(values)) for row in ends)
        tails[index].add(values[first:last, across])
        return measure(values)

    seen = map_pictures(rows, groups, look)
    if shared:
        seen = [reduce(or_, seen, ValueRange())] * len(seen)
    kind = _auto_kind(seen, about_zero)
    return [one.mapping(kind, own) for one, own in zip(tails, seen, strict=True)]


class Tails:
    """The smallest and the largest values of a map, gathered part by part, on any thread.

    They do not depend on the order of the parts.

    Parameters
    ----------
    count : int
        How many values will come at the most.

    Examples
    --------
    >>> tails = Tails(1000)
    >>> tails.add(np.linspace(0, 1, 999))
    >>> tails.add(np.array([50.0]))
    >>> tails.mapping("minmax", ValueRange(0.0, 50.0)).hi <= 1
    True
    """

    def __init__(self, count: int) -> None:
        self._keep = int(CUT * count) + 1
        self._count = 0
        self._lock = Lock()
        self._low = self._high = np.empty(0)

    def add(self, values: np.ndarray) -> None:
        """Take in some values; those that are not finite count for nothing."""
        values = values.reshape(-1)
        # NaN and infinities reach the sum, so only parts that have them are copied.
        with np.errstate(all="ignore"):
            if not np.isfinite(values.sum(dtype=np.float64)):
                values = values[np.isfinite(values)]
        low = self._smallest(values, self._low)
        high = -self._smallest(-values, -self._high)
        with self._lock:
            self._count += values.size
            self._low = self._smallest(np.concatenate([self._low, low]))
            self._high = -self._smallest(-np.concatenate([self._high, high]))

    def _smallest(self, values: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """Return those that may be among the smallest of all; `known` are some of all."""
        if known is not None and len(known) == self._keep:
            values = values[values < known.max()]
        if len(values) <= self._keep:
            return values
        return np.partition(values, self._keep - 1)[: self._keep]

    def mapping(self, kind: str, seen: ValueRange) -> Mapping:
        """Return the narrowest range that leaves out no more than `CUT` of the values.

        Where it would show a constant, as of a map that is 0 nearly everywhere, nothing is left
        out.

        Parameters
        ----------
        kind : str
            ``minmax`` or ``symmetric``.
        seen : ValueRange
            Of all values, those included that were not added here.
        """
        low, high = np.sort(self._low), np.sort(self._high)
        for cut in (int(CUT * self._count), 0) if self._count else ():
            smallest, largest = low[: cut + 1], high[len(high) - cut - 1 :]
            if kind == "symmetric":
                most = float(np.sort(np.abs(np.concatenate([smallest, largest])))[-cut - 1])
                lo, hi = -most, most
            else:
                # Of so many values each number of the smallest may go, and the rest of the largest.
                best = int(np.argmin(largest - smallest))
                lo, hi = float(smallest[best]), float(largest[best])
            if lo < hi:
                return Mapping(kind, lo, hi)
        return choose_range(seen, kind, False)
