"""The layer that adds channels of one value to those of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.errors import ShapeError
from cnncli.network.layers.base import Gradients, Pointwise
from cnncli.render.options import MapGroup, channel_names, one_group_each


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
        return numbered_names(("",) * before + channel_names(groups[0]) + ("",) * after)

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


def numbered_names(names: Sequence[str]) -> tuple[MapGroup, ...]:
    """Return a group for each channel: its number, unless it has another name.

    Examples
    --------
    >>> [group.name for group in numbered_names(["5", "edge"])]
    ['0', 'edge']
    """
    return one_group_each(
        tuple(
            str(index) if not name or name.isdecimal() else name for index, name in enumerate(names)
        )
    )
