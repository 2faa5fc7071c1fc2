"""Layers that take some channels of their input, or add channels of one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cnncli.core.arrays import FloatArray, Shape
from cnncli.errors import ShapeError
from cnncli.network.layers.base import Gradients, Pointwise
from cnncli.render.options import MapGroup, channel_names


@dataclass(frozen=True)
class SliceLayer(Pointwise):
    """The channels from one to before another.

    Parameters
    ----------
    start, stop, step : int
        As in Python's slices, but neither negative nor beyond the channels.

    Examples
    --------
    >>> SliceLayer(2, 6).output_shape((1, 4, 4, 8))
    (1, 4, 4, 4)
    """

    start: int
    stop: int
    step: int = 1
    op: ClassVar[str] = "slice"
    keeps_channels: ClassVar[bool] = False

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there are such channels."""
        if not 0 <= self.start < self.stop <= shape[3] or self.step < 1:
            raise ShapeError(
                f"channels {self.start} to before {self.stop} in steps of {self.step} "
                f"must be among {shape[3]}"
            )
        return (*shape[:3], len(range(self.start, self.stop, self.step)))

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel that is left."""
        names = channel_names(groups[0])[self.start : self.stop : self.step]
        return _numbered(names)

    def compute(self, X: FloatArray) -> FloatArray:
        """Return those channels."""
        return X[..., self.start : self.stop : self.step]

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradient of all channels: 0 for those that were left out."""
        dX = np.zeros(cache.shape, dY.dtype)
        dX[..., self.start : self.stop : self.step] = dY
        return dX, {}


@dataclass(frozen=True, eq=False)
class PadChannelsLayer(Pointwise):
    """Channels of one value each before and after those of the input.

    Parameters
    ----------
    before, after : ndarray, shape (channels,), optional
        The values; default: no channels.

    Examples
    --------
    >>> layer = PadChannelsLayer(after=np.array([5.0, 6.0]))
    >>> layer.forward(np.ones((1, 1, 1, 1)))[0].ravel()
    array([1., 5., 6.])
    """

    before: FloatArray | None = None
    after: FloatArray | None = None
    op: ClassVar[str] = "pad-channels"
    keeps_channels: ClassVar[bool] = False

    @property
    def counts(self) -> tuple[int, int]:
        """How many channels there are before and after."""
        before, after = (0 if array is None else len(array) for array in (self.before, self.after))
        return before, after

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with more channels."""
        for name, array in (("before", self.before), ("after", self.after)):
            if array is not None and array.ndim != 1:
                raise ShapeError(f"{name} must be a list of numbers, got shape {array.shape}")
        return (*shape[:3], shape[3] + sum(self.counts))

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel."""
        before, after = self.counts
        return _numbered(("",) * before + channel_names(groups[0]) + ("",) * after)

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the channels with those beside them."""
        parts = [
            np.broadcast_to(np.asarray(array, X.dtype), (*X.shape[:3], count))
            for array, count in zip((self.before, self.after), self.counts, strict=True)
            if array is not None
        ]
        parts.insert(0 if self.before is None else 1, X)
        return np.concatenate(parts, axis=3)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input's channels."""
        before, after = self.counts
        return dY[..., before : dY.shape[3] - after], {}


def _numbered(names: Sequence[str]) -> tuple[MapGroup, ...]:
    """Return a group for each channel: its number, unless it has another name."""
    return tuple(
        MapGroup(str(index) if not name or name.isdecimal() else name, (index,))
        for index, name in enumerate(names)
    )
