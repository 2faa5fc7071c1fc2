"""Which input cells reach a unit: receptive fields, and cells that no unit reads.

Receptive fields as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019), in the other direction: from the input on, layer by layer. Pads count as
cells, so a field may reach beyond the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from math import gcd
from typing import TYPE_CHECKING, Final

from cnncli._dataclass import dataclass
from cnncli.core.borders import Runs, source_runs
from cnncli.core.geometry import Axis, Pair

if TYPE_CHECKING:
    from fractions import Fraction

MOST_APART: Final = 2**14
"""Taps of windows that lie apart up to which each is looked at."""


@dataclass(frozen=True)
class Reading:
    """Which cells of its input a layer's units read, along one axis.

    Unit i reads from cell ``(i*step + low) // over`` to cell ``(i*step + high) // over``, pads
    counted as cells.

    Parameters
    ----------
    step, over : int
        How many cells a number of units moves: 2 and 1 for a stride of 2, 1 and 2 where maps are
        doubled.
    low, high : int

    Examples
    --------
    >>> doubled = Reading(step=1, over=2)
    >>> [doubled.cells(unit, unit + 1) for unit in range(3)]
    [(0, 1), (0, 1), (1, 2)]
    """

    step: int = 1
    over: int = 1
    low: int = 0
    high: int = 0

    def cells(self, first: int, last: int) -> Pair:
        """Return the cells ``[begin, end)`` that units ``[first, last)`` read."""
        begin = (first * self.step + self.low) // self.over
        return begin, ((last - 1) * self.step + self.high) // self.over + 1

    @property
    def reduced(self) -> Reading:
        """The same in the smallest numbers.

        Examples
        --------
        >>> Reading(step=6, over=2, low=1, high=3).reduced
        Reading(step=3, over=1, low=0, high=1)
        """
        common = gcd(self.step, self.over)
        return Reading(
            *(number // common for number in (self.step, self.over, self.low, self.high))
        )


def window_reading(axis: Axis) -> Reading:
    """Return what the outputs of a window read.

    Examples
    --------
    >>> window_reading(Axis(size=224, kernel=7, stride=2, begin=3, end=3)).cells(1, 2)
    (-1, 6)
    """
    return Reading(axis.stride, low=-axis.begin, high=axis.extent - 1 - axis.begin)


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a layer's units along one axis.

    Unit i depends on the input cells from ``first + i*step`` on, `size` of them.

    Parameters
    ----------
    size : int
        Cells.
    step : int
        Input cells from one unit's field to the next one's; 0 where all units see the same.
    first : int
        Where the field of unit 0 begins; below 0 in the padding.

    Examples
    --------
    >>> conv = ReceptiveField().through(Reading(step=2, low=-3, high=3))
    >>> conv, conv.centre
    (ReceptiveField(size=7, step=2, first=-3), 0.0)
    >>> conv.through(Reading(step=2, low=-1, high=1))
    ReceptiveField(size=11, step=4, first=-5)
    """

    size: int = 1
    step: int = 1
    first: int = 0

    @property
    def centre(self) -> float:
        """The middle of unit 0's field; whole numbers are the middles of cells."""
        return self.first + (self.size - 1) / 2

    def span(self, unit: int) -> tuple[int, int]:
        """Return the cells ``[begin, end)`` that a unit depends on."""
        begin = self.first + unit * self.step
        return begin, begin + self.size

    def through(self, reading: Reading) -> ReceptiveField:
        """Return the field of units that read these, by whole cells: `over` is 1."""
        return ReceptiveField(
            size=self.size + (reading.high - reading.low) * self.step,
            step=self.step * reading.step,
            first=self.first + reading.low * self.step,
        )


@dataclass(frozen=True)
class SampledField:
    """The receptive fields of units that do not all move alike, by some of them.

    So do those behind a transposed convolution: neighbours may see the same, or fields of two
    sizes take turns.

    Parameters
    ----------
    size : int
        Cells that the unit in the middle depends on.
    step : Fraction
        Input cells from one unit's field to the next one's, on average; 0 if the layer's inputs
        have no common one.
    centre : float
        The middle of unit 0's field.
    """

    size: int
    step: Fraction
    centre: float


def union(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Return the field of units that depend on several inputs, whose fields have one step.

    Parameters
    ----------
    fields : sequence of ReceptiveField
        One for each input.

    Examples
    --------
    >>> union([ReceptiveField(5, 2, -2), ReceptiveField(1, 2, 0)])
    ReceptiveField(size=5, step=2, first=-2)
    """
    begin = min(field.first for field in fields)
    end = max(field.span(0)[1] for field in fields)
    return ReceptiveField(end - begin, fields[0].step, begin)


def cells_read(axis: Axis, mode: str = "zeros", outputs: Runs | None = None) -> Runs:
    """Return which input cells some outputs depend on, copies in the padding included.

    Parameters
    ----------
    axis : Axis
    mode : str
        The border's mode, as in `border_index`.
    outputs : tuple of (int, int), optional
        Which outputs, as runs; default: all of them.

    Returns
    -------
    tuple of (int, int)
        Runs of cells; the cells between windows too if `gaps_left_out`.

    Examples
    --------
    >>> cells_read(Axis(size=6, kernel=2, stride=3))
    ((0, 2), (3, 5))
    """
    runs: Iterable[Pair] = ((0, axis.out),) if outputs is None else outputs
    if mode == "zeros":
        # Windows that lie in the padding read nothing, however many there are.
        first = max(0, -((axis.extent - 1 - axis.begin) // axis.stride))
        last = (axis.begin + axis.size - 1) // axis.stride + 1
        runs = [(max(a, first), min(b, last)) for a, b in runs if a < last and b > first]
    listed = not gaps_left_out(axis)
    if _lie_apart(axis) and listed:
        runs = [(output, output + 1) for a, b in runs for output in range(a, b)]
    taps = range(axis.kernel if axis.dilation > 1 and listed else 1)
    reach = axis.extent if len(taps) == 1 else 1
    spans = (
        (a * axis.stride + tap * axis.dilation, (b - 1) * axis.stride + tap * axis.dilation + reach)
        for a, b in runs
        for tap in taps
    )
    inside = ((a - axis.begin, min(b, axis.padded) - axis.begin) for a, b in spans)
    return source_runs(inside, axis.size, mode)


def gaps_left_out(axis: Axis) -> bool:
    """Tell whether so many windows leave cells between them that `cells_read` does not list those.

    Examples
    --------
    >>> gaps_left_out(Axis(size=10**9, kernel=3)), gaps_left_out(Axis(10**9, kernel=1, stride=2))
    (False, True)
    """
    return _lie_apart(axis) and axis.out * axis.kernel > MOST_APART


def _lie_apart(axis: Axis) -> bool:
    """Whether taps of neighbouring windows may leave cells between them."""
    return axis.stride > (axis.kernel if axis.dilation == 1 else 1)


def gaps(runs: Runs, size: int) -> tuple[slice, ...]:
    """Return the cells of an axis that are in none of some runs, as slices in order.

    Examples
    --------
    >>> gaps(((0, 2), (3, 4)), 4), gaps(((0, 4),), 4)
    ((slice(2, 3, None),), ())
    """
    edges = [0, *chain.from_iterable(runs), size]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple(slice(begin, end) for begin, end in pairs if begin < end)
