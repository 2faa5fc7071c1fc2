"""Which input cells reach a unit: receptive fields, and cells that no unit reads.

Receptive fields as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019), in the other direction: from the input on, layer by layer. Pads count as
cells, so a field may reach beyond the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnncli.core.borders import border_index
from cnncli.core.geometry import Axis

Mask = NDArray[np.bool_]


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
    >>> conv = ReceptiveField().through(Axis(size=224, kernel=7, stride=2, begin=3, end=3))
    >>> conv, conv.centre
    (ReceptiveField(size=7, step=2, first=-3), 0.0)
    >>> conv.through(Axis(size=112, kernel=3, stride=2, begin=1, end=1))
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

    def through(self, axis: Axis) -> ReceptiveField:
        """Return the field of a window's outputs, this being that of its inputs."""
        return ReceptiveField(
            size=self.size + (axis.extent - 1) * self.step,
            step=self.step * axis.stride,
            first=self.first - axis.begin * self.step,
        )

    def broadcast(self) -> ReceptiveField:
        """Return the field of a unit that serves every place."""
        return replace(self, step=0)


def union(fields: Sequence[ReceptiveField], units: int) -> ReceptiveField:
    """Return the field of units that depend on several inputs.

    Branches whose steps differ have no common step: the field then holds what any of the units
    depends on, and its step is 0.

    Parameters
    ----------
    fields : sequence of ReceptiveField
        One for each input.
    units : int
        How many there are along the axis.

    Examples
    --------
    >>> union([ReceptiveField(5, 2, -2), ReceptiveField(1, 2, 0)], units=8)
    ReceptiveField(size=5, step=2, first=-2)
    >>> union([ReceptiveField(3, 1, -1), ReceptiveField(8, 0, 0)], units=8)
    ReceptiveField(size=10, step=0, first=-1)
    """
    steps = {field.step for field in fields}
    # Fields move one way, so those of the first and the last unit bound all others.
    last = 0 if len(steps) == 1 else units - 1
    begin = min(field.span(0)[0] for field in fields)
    end = max(field.span(last)[1] for field in fields)
    return ReceptiveField(end - begin, steps.pop() if len(steps) == 1 else 0, begin)


def cells_read(axis: Axis, mode: str = "zeros", outputs: Mask | None = None) -> Mask:
    """Return which input cells some outputs depend on, copies in the padding included.

    Parameters
    ----------
    axis : Axis
    mode : str
        The border's mode, as in `border_index`.
    outputs : ndarray of bool, shape (axis.out,), optional
        Which outputs; default: all of them.

    Returns
    -------
    ndarray of bool, shape (axis.size,)

    Examples
    --------
    >>> cells_read(Axis(size=6, kernel=2, stride=3)).astype(int)
    array([1, 1, 0, 1, 1, 0])
    """
    reading = np.ones(axis.out, bool) if outputs is None else outputs
    padded = np.zeros(axis.padded + axis.overhang, bool)
    for index in range(axis.kernel):
        padded[axis.tap(index)] |= reading
    sources = border_index(axis.size, axis.begin, axis.end, mode)[padded[: axis.padded]]
    read = np.zeros(axis.size, bool)
    read[sources[sources >= 0]] = True
    return read


def true_slices(mask: Mask) -> tuple[slice, ...]:
    """Return the slices of a mask that are True, in order.

    Examples
    --------
    >>> true_slices(np.array([True, True, False, True]))
    (slice(0, 2, None), slice(3, 4, None))
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).tolist()
    return tuple(slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True))
