"""`ResultRows`: a result in strips of rows, and the pictures that its channels make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render.finite_values import ValueRange
from cnncli.render.options import MapGroup

Shape = tuple[int, int, int, int]
Box = tuple[slice, slice]
Values = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")

STRIP_BYTES: Final = 2**20
"""Values of an array that are rendered at a time."""


class ResultRows(Protocol):
    """A result as rendering and writing need it: shape, dtype, and all its rows in strips."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""

    @property
    def inner_cells(self) -> Box | None:
        """Rows and columns that saw no padding, by which ranges are chosen; None for all."""

    @property
    def sum_bounds(self) -> Values | None:
        """The largest magnitude that each channel's sums can have, 0 of what is no sum.

        Infinite where it is not known: then the largest value of all stands for it. None: no sums.
        """

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""

    @property
    def source(self) -> Values | None:
        """The input that it is computed from, where that is known and still there."""

    def map_strips(
        self, action: Callable[[int, slice, Values], T], in_levels: bool = False
    ) -> list[T]:
        """Return ``action(image, rows, values)`` for all strips, in order.

        With `in_levels` the values of a strip may be whole numbers, `LEVELS` times what they are.
        """

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """Yield each image's number with blocks of its rows (rows, W, C), all in order."""

    def whole(self) -> Values:
        """Return all values as one array, and keep it."""

    def keep_if_small(self) -> None:
        """Compute and keep the values if they are few: several passes over them follow."""

    def release_pixels(self) -> None:
        """Drop what the values are computed from, once they all were."""


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """An array as a result.

    Examples
    --------
    >>> ArrayRows(np.ones((2, 3, 4, 1))).map_strips(lambda image, rows, values: values.shape)
    [(3, 4, 1), (3, 4, 1)]
    """

    values: Values
    inner_cells: Box | None = None
    sum_bounds: Values | None = None
    source: Values | None = None

    @property
    def shape(self) -> Shape:
        """(N, H, W, C)."""
        n, height, width, channels = self.values.shape
        return n, height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the array."""
        return self.values.dtype

    def map_strips(
        self, action: Callable[[int, slice, Values], T], in_levels: bool = False
    ) -> list[T]:
        """Return the action's value for each strip."""
        n, height, width, channels = self.shape
        step = max(1, STRIP_BYTES // (width * channels * self.dtype.itemsize))
        strips = [slice(top, min(top + step, height)) for top in range(0, height, step)]
        return [action(i, rows, self.values[i, rows]) for i in range(n) for rows in strips]

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """Yield each image's number with its values."""
        yield from enumerate(self.values)

    def whole(self) -> Values:
        """Return the array."""
        return self.values

    def keep_if_small(self) -> None:
        """Do nothing: they are there."""

    def release_pixels(self) -> None:
        """Do nothing: there are none."""


def map_pictures(
    rows: ResultRows,
    groups: Sequence[MapGroup],
    action: Callable[[int, slice, np.ndarray], ValueRange],
    in_levels: bool = False,
) -> list[ValueRange]:
    """Call ``action(index, strip, values)`` for each strip of each picture; join what it returns.

    Parameters
    ----------
    rows : ResultRows
    groups : sequence of MapGroup
    action : callable
        It gets the index of the picture, image by image and group by group.
    in_levels : bool
        As in `ResultRows.map_strips`.

    Examples
    --------
    >>> from cnncli.render.finite_values import measure
    >>> rows = ArrayRows(np.ones((1, 2, 3, 1)))
    >>> map_pictures(rows, [MapGroup("", (0,))], lambda index, strip, values: measure(values))
    [ValueRange(lo=1.0, hi=1.0, non_finite=0, clipped=0)]
    """

    def for_strip(image: int, strip: slice, values: np.ndarray) -> tuple[int, list[ValueRange]]:
        first = image * len(groups)
        parts = enumerate(picture_values(values, groups), first)
        return first, [action(index, strip, part) for index, part in parts]

    seen = [ValueRange()] * (rows.shape[0] * len(groups))
    for first, ranges in rows.map_strips(for_strip, in_levels):
        for index, value_range in enumerate(ranges, first):
            seen[index] |= value_range
    return seen


def picture_values(strip: np.ndarray, groups: Sequence[MapGroup]) -> Iterator[np.ndarray]:
    """Yield the values of every picture of some rows of an image.

    Parameters
    ----------
    strip : ndarray, shape (rows, W, C)
    groups : sequence of MapGroup

    Yields
    ------
    ndarray, shape (rows, W) or (rows, W, 3)

    Examples
    --------
    >>> [part.shape for part in picture_values(np.ones((2, 4, 3)), [MapGroup("", (0, 1, 2))])]
    [(2, 4, 3)]
    """
    for group in groups:
        channel = group.channels[0]
        if group.channels == (channel, channel + 1, channel + 2):
            yield strip[:, :, channel : channel + 3]
        elif group.colour:
            yield strip[:, :, list(group.channels)]
        else:
            # Gone through several times: 1.0 ms for 64 maps of 112x112, and 1.7 without a copy.
            yield np.ascontiguousarray(strip[:, :, channel])
