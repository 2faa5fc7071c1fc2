"""`ResultRows`: a result in strips of rows, from an array or computed when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

Shape = tuple[int, int, int, int]
Values = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")


class ResultRows(Protocol):
    """A result as rendering needs it: shape, dtype, and all its rows in strips."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""

    def map_strips(
        self, action: Callable[[int, slice, Values], T], in_levels: bool = False
    ) -> list[T]:
        """Return ``action(image, rows, values)`` for all strips, in order.

        With `in_levels` the values of a strip may be whole numbers, `LEVELS` times what they are.
        """

    def keep_if_small(self) -> None:
        """Compute and keep the values if they are few: several passes over them follow."""


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """An array as a result.

    Examples
    --------
    >>> ArrayRows(np.ones((2, 3, 4, 1))).map_strips(lambda image, rows, values: values.shape)
    [(3, 4, 1), (3, 4, 1)]
    """

    values: Values

    @property
    def shape(self) -> Shape:
        """(N, H, W, C)."""
        n, height, width, channels = self.values.shape
        return n, height, width, channels

    def map_strips(
        self, action: Callable[[int, slice, Values], T], in_levels: bool = False
    ) -> list[T]:
        """Return the action's value for each image."""
        rows = slice(0, self.shape[1])
        return [action(image, rows, values) for image, values in enumerate(self.values)]

    def keep_if_small(self) -> None:
        """Do nothing: they are there."""
