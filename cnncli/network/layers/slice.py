"""The layer that takes some rows, columns and channels of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.core.receptive_field import Reading
from cnncli.errors import ShapeError
from cnncli.network.layers.base import (
    ChannelwiseDefaults,
    Gradients,
    RowSource,
    StripStage,
    is_open,
    rows_at_once,
)
from cnncli.network.layers.channels import numbered_names
from cnncli.render.options import MapGroup, channel_names

FAR: Final = 2**31 - 1
"""A stop beyond any row or column: all to the end, or, negative, back to the first."""

Part = tuple[int, ...]
"""Start, stop and, if it is not 1, step of what is taken, as in Python's slices."""


@dataclass(frozen=True)
class SliceLayer(ChannelwiseDefaults):
    """Some rows, columns and channels, as Python's slices take them.

    Parameters
    ----------
    start, stop, step : int, optional
        Of the channels. Below 0, start and stop count from the end, and a step goes backwards.
    rows, columns : Part, optional
        The same of rows and columns: a stop beyond them means the last. Default: all.

    Examples
    --------
    >>> SliceLayer(2, 6, rows=(1, -1)).output_shape((1, 4, 4, 8))
    (1, 2, 4, 4)
    """

    start: int = 0
    stop: int | None = None
    step: int = 1
    rows: Part | None = None
    columns: Part | None = None
    op: ClassVar[str] = "slice"
    keeps_channels: ClassVar[bool] = False

    @property
    def reads_all(self) -> bool:
        """Whether cells of the output lie elsewhere than in the input."""
        return self.rows is not None or self.columns is not None

    @property
    def label(self) -> str:
        """What `plan` says that it takes."""
        channels = self.start or None, self.stop, self.step
        parts = {"rows": self.rows, "columns": self.columns, "channels": channels}
        texts = []
        for name, part in parts.items():
            start, stop, step = (*(part or (None, None)), 1)[:3]
            if (start or None, stop, step) != (None, None, 1):
                far = (None, FAR, -FAR)
                ends = ["" if end in far else str(end) for end in (start, stop)]
                texts.append(f"{name} {':'.join(ends + ([] if step == 1 else [str(step)]))}")
        return " ".join(texts)

    def taken(self, shape: Sequence[int]) -> tuple[range, range, range]:
        """Return the rows, columns and channels of an input that are taken.

        Raises
        ------
        ShapeError
            If that is none.
        """
        if max(self.stop or 0, self.start + 1) > shape[3]:
            stop = "" if self.stop is None else f" to before {self.stop}"
            raise ShapeError(
                f"channels {self.start}{stop} in steps of {self.step} must be among {shape[3]}"
            )
        known = not is_open(shape)
        return (
            _taken("rows", self.rows, shape[1], known),
            _taken("columns", self.columns, shape[2], known),
            _taken("channels", (self.start, self.stop, self.step), shape[3]),
        )

    def output_shape(self, shape: Shape) -> Shape:
        """Check that something is taken, and return how much."""
        rows, columns, channels = self.taken(shape)
        return shape[0], len(rows), len(columns), len(channels)

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel that is left."""
        return numbered_names(channel_names(groups[0])[self.start : self.stop : self.step])

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box of input cells from the first that is taken to the last."""
        rows, columns, _ = self.taken(shape)
        return _span(rows[box[0]]), _span(columns[box[1]])

    def reading(self, shape: Shape, axis: int) -> Reading | None:
        """Return which input cells outputs read along rows or columns; None if backwards."""
        cells = self.taken(shape)[axis]
        if cells.step < 0:
            return None
        return Reading(cells.step, low=cells.start, high=cells.start)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the layer for strips of one image."""
        out = self.output_shape(shape)
        rows, columns, channels = self.taken(shape)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            needed = _span(rows[first:last])
            X = source(needed.start, needed.stop)[:, :: rows.step]
            return np.ascontiguousarray(X[:, :, _as_slice(columns), _as_slice(channels)])

        return StripStage(out, rows_at_once(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Shape]:
        """Return what is taken."""
        return np.ascontiguousarray(X[self._where(X.shape)]), X.shape

    def source(self, shape: Shape, cell: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the row, column and channel of the input that one of the output is.

        Examples
        --------
        >>> SliceLayer(rows=(1, 4), columns=(-1, -9, -1)).source((1, 4, 6, 1), (2, 0, 0))
        (3, 5, 0)
        """
        row, column, channel = (
            taken[place] for taken, place in zip(self.taken(shape), cell, strict=True)
        )
        return row, column, channel

    def backward(self, dY: FloatArray, cache: Shape) -> tuple[FloatArray, Gradients]:
        """Return the gradient of all of the input: 0 for what was left out."""
        dX = np.zeros(cache, dY.dtype)
        dX[self._where(cache)] = dY
        return dX, {}

    def _where(self, shape: Sequence[int]) -> tuple[slice, ...]:
        return (slice(None), *map(_as_slice, self.taken(shape)))


def _taken(
    name: str, part: Sequence[int | None] | None, count: int, is_known: bool = True
) -> range:
    """Return what is taken of a side; where its length is not known that may be any number."""
    wanted = slice(*(part or (None,)))
    if wanted.step == 0:
        raise ShapeError(f"the step of {name} must not be 0")
    chosen = range(count)[wanted]
    if not chosen and not is_known:
        return range(count)
    if not chosen:
        raise ShapeError(f"a slice of {name} must take some, got none of {count}")
    return chosen


def _span(cells: range) -> slice:
    """Return the cells from the lowest to the highest."""
    return slice(min(cells[0], cells[-1]), max(cells[0], cells[-1]) + 1) if cells else slice(0, 0)


def _as_slice(cells: range) -> slice:
    return slice(cells.start, None if cells.stop < 0 else cells.stop, cells.step)
