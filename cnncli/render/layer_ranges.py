"""Chooses which values become black and white in a layer's maps, without rare extremes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from threading import Lock
from typing import Final

import numpy as np

from cnncli.render.finite_values import ValueRange, measure
from cnncli.render.grey_levels import LevelMapping, choose_range
from cnncli.render.options import MapGroup
from cnncli.render.result_rows import Box, ResultRows, map_pictures
from cnncli.render.rounding_noise import rounding_limits

CUT: Final = 0.003
"""Share of the values of a feature map that the range ``auto`` may leave out."""

MOST_CLIPPED: Final = 0.15
"""Share of all values that a range may leave out because their cells saw padding: the border of a
3x3 filter on an image of 30x40 is 11 %."""


def layer_ranges(
    rows: ResultRows,
    groups: Sequence[MapGroup],
    spec: str | tuple[float, float],
    clip_by_default: bool,
    *,
    shared: bool = False,
    about_zero: bool = False,
) -> list[LevelMapping]:
    """Choose which values become black and white in each picture of a result.

    All pictures get one kind of mapping. With ``auto`` it is `symmetric` if any value is negative,
    and the range of each picture is the narrowest that holds 99.7 % of the values in
    `ResultRows.inner_cells`: one hot pixel, or a border of zeros, does not grey out the rest. Where
    that would leave out more than `MOST_CLIPPED` of a small map, border cells count too, unless
    they are 0. A map that is zero but for rounding is drawn as zero. All other words are exact.
    Maps of one row and column share one exact range.

    Parameters
    ----------
    rows : ResultRows
    groups : sequence of MapGroup
    spec : str or (float, float)
        As in `choose_range`.
    clip_by_default : bool
        Whether ``auto`` means ``clip``: `pipeline.auto_range` has the rule for it.
    shared : bool
        One range for all.
    about_zero : bool
        Whether ``auto`` means ``symmetric`` whatever the values are: the colormap has a middle.

    Returns
    -------
    list of LevelMapping
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
    if shared or single_cells:
        strips = rows.map_strips(lambda image, strip, values: measure(values))
        seen = [reduce(or_, strips, ValueRange())]
    else:
        seen = map_pictures(rows, groups, lambda index, strip, values: measure(values))
    kind = _auto_kind(seen, about_zero) if spec == "auto" else spec
    found = [choose_range(limits, kind, False) for limits in seen]
    return found if len(found) > 1 else found * (n * len(groups))


def _auto_kind(seen: Sequence[ValueRange], about_zero: bool) -> str:
    return "symmetric" if about_zero or any(limits.lo < 0 for limits in seen) else "minmax"


def _trimmed_ranges(
    rows: ResultRows, groups: Sequence[MapGroup], shared: bool, about_zero: bool
) -> list[LevelMapping]:
    n, height, width, _ = rows.shape
    inner = rows.inner_cells or (slice(0, height), slice(0, width))
    channels = [len(group.channels) for group in groups] * n
    if shared:
        tails = [_MapTails(sum(channels), (height, width), inner)] * len(channels)
    else:
        tails = [_MapTails(count, (height, width), inner) for count in channels]

    def add(index: int, strip: slice, values: np.ndarray) -> ValueRange:
        found = measure(values)
        tails[index].add(strip, values, all_finite=not found.non_finite)
        return found

    seen = map_pictures(rows, groups, add)
    limits = rounding_limits(rows, groups, seen)
    kind = _auto_kind(seen, about_zero)
    if shared:
        tails = tails[:1]
        seen = [reduce(or_, seen, ValueRange())] * len(tails)
        limits = [max(limits, default=0.0)] * len(tails)
    found = [
        _above_rounding(one.mapping(kind, own), own, limit)
        for one, own, limit in zip(tails, seen, limits, strict=True)
    ]
    return found * len(channels) if shared else found


def _above_rounding(found: LevelMapping, seen: ValueRange, limit: float) -> LevelMapping:
    """Return the range of all values if that found shows rounding alone; 0 if that one does too."""
    for mapping in (found, choose_range(seen, found.kind, False)):
        if max(-mapping.lo, mapping.hi) > limit:
            return mapping
    return LevelMapping(found.kind, 0.0, 0.0)


class _MapTails:
    """The tails of a map: of the cells that saw no padding, and if the others are many of all.

    Cells of the border that are 0 count in neither.
    """

    def __init__(self, channels: int, shape: tuple[int, int], inner: Box) -> None:
        down, across = inner
        cells, inside = shape[0] * shape[1], (down.stop - down.start) * (across.stop - across.start)
        self._inner = inner
        self._most_outside = MOST_CLIPPED * channels * cells
        self._inside = Tails(channels * inside)
        is_small = cells - inside > MOST_CLIPPED * cells
        self._all = Tails(channels * cells, MOST_CLIPPED) if is_small else None

    def add(self, strip: slice, values: np.ndarray, all_finite: bool) -> None:
        """Take in the values of some rows."""
        down, across = self._inner
        ends = (down.start - strip.start, down.stop - strip.start)
        first, last = (min(max(row, 0), len(values)) for row in ends)
        inside = values[first:last, across]
        self._inside.add(inside, all_finite)
        if self._all is None:
            return
        is_border = np.ones(values.shape[:2], bool)
        is_border[first:last, across] = False
        border = values[is_border]
        self._all.add(inside, all_finite)
        self._all.add(border[border != 0], all_finite)

    def mapping(self, kind: str, seen: ValueRange) -> LevelMapping:
        """Return the range of the cells that saw no padding, or else of all."""
        found = self._inside.mapping(kind, seen)
        if self._all is None or self._all.count_outside(found) <= self._most_outside:
            return found
        return self._all.mapping(kind, seen)


class Tails:
    """The smallest and the largest values of a map, gathered part by part, on any thread.

    They do not depend on the order of the parts.

    Parameters
    ----------
    count : int
        How many values will come at the most.
    share : float
        How many of them are kept at either end, for `count_outside`; at least `CUT`.

    Examples
    --------
    >>> tails = Tails(1000)
    >>> tails.add(np.linspace(0, 1, 999))
    >>> tails.add(np.array([50.0]))
    >>> tails.mapping("minmax", ValueRange(0.0, 50.0)).hi <= 1
    True
    """

    def __init__(self, count: int, share: float = CUT) -> None:
        keep = int(share * count) + 1
        self._count = 0
        self._lock = Lock()
        self._ends = _Smallest(keep, 1), _Smallest(keep, -1)

    def add(self, values: np.ndarray, all_finite: bool = False) -> None:
        """Take in some values; those that are not finite count for nothing.

        Parameters
        ----------
        values : ndarray of float, any shape
        all_finite : bool
            Whether they are known to be, which saves a look at each.
        """
        values = values.reshape(-1)
        if not all_finite:
            values = values[np.isfinite(values)]
        with self._lock:
            self._count += values.size
            for end in self._ends:
                end.add(values)

    def count_outside(self, mapping: LevelMapping) -> int:
        """Return how many values are outside a range, as far as they are among those kept."""
        low, high = self._ends[0].sorted(), -self._ends[1].sorted()
        return int(np.count_nonzero(low < mapping.lo) + np.count_nonzero(high > mapping.hi))

    def mapping(self, kind: str, seen: ValueRange) -> LevelMapping:
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
        low, high = self._ends[0].sorted(), -self._ends[1].sorted()[::-1]
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
                return LevelMapping(kind, lo, hi)
        return choose_range(seen, kind, False)


class _Smallest:
    """So many of the smallest of all values that were added; with sign -1 of their negatives."""

    def __init__(self, keep: int, sign: int) -> None:
        self._keep, self._sign = keep, sign
        self._known = np.empty(0)
        self._limit: float | None = None
        self._new: list[np.ndarray] = []
        self._new_count = 0

    def add(self, values: np.ndarray) -> None:
        """Take in some values, of which those are copied that may be among the smallest."""
        values = values * self._sign
        if self._limit is not None:
            values = values[values < self._limit]
        self._new.append(values)
        self._new_count += values.size
        # Not at every strip: of wide results it may be a single row.
        if self._new_count > self._keep:
            self._merge()

    def _merge(self) -> None:
        values = np.concatenate([self._known, *self._new])
        if len(values) > self._keep:
            values = np.partition(values, self._keep - 1)[: self._keep]
        if len(values) == self._keep:
            self._limit = float(values.max())
        self._known, self._new, self._new_count = values, [], 0

    def sorted(self) -> np.ndarray:
        """Return the smallest values in order."""
        self._merge()
        return np.sort(self._known)
