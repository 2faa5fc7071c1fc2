"""Channels as blocks of pixels (sub-pixel convolution), and blocks of pixels as channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.core.receptive_field import Reading
from cnncli.errors import OptionError, ShapeError, among
from cnncli.network.layers.base import (
    ChannelwiseDefaults,
    Gradients,
    RowSource,
    StripStage,
    is_open,
    rows_at_once,
)
from cnncli.render.options import MapGroup, numbered_groups

BLOCK_ORDERS: Final = ("block-first", "channel-first")
"""What counts slowest among the channels: the cell of a block, or the channel of the result."""


class _Blocks(ChannelwiseDefaults):
    """What both ways share."""

    block: int
    order: str
    op: ClassVar[str]
    keeps_channels: ClassVar[bool] = False

    def _check(self) -> None:
        if self.block < 1:
            raise OptionError(f"block must be at least 1, got {self.block}")
        if self.order not in BLOCK_ORDERS:
            near = among(self.order, BLOCK_ORDERS)
            raise OptionError(
                f"order must be one of {', '.join(BLOCK_ORDERS)}, got {self.order!r}{near}"
            )

    def _spread(self, X: FloatArray) -> FloatArray:
        """Return channels as blocks of pixels."""
        m, n_H, n_W, channels = X.shape
        b, n_C = self.block, channels // self.block**2
        first = self.order == "block-first"
        split = X.reshape(m, n_H, n_W, *((b, b, n_C) if first else (n_C, b, b)))
        order = (0, 1, 3, 2, 4, 5) if first else (0, 1, 4, 2, 5, 3)
        return split.transpose(order).reshape(m, n_H * b, n_W * b, n_C)

    def _gather(self, X: FloatArray) -> FloatArray:
        """Return blocks of pixels as channels."""
        m, n_H, n_W, n_C = X.shape
        b = self.block
        split = X.reshape(m, n_H // b, b, n_W // b, b, n_C)
        first = self.order == "block-first"
        order = (0, 1, 3, 2, 4, 5) if first else (0, 1, 3, 5, 2, 4)
        return split.transpose(order).reshape(m, n_H // b, n_W // b, n_C * b * b)

    def _channel(self, channel: int, cell: tuple[int, int], n_C: int) -> int:
        """Return which channel holds a cell of the blocks of one of `n_C` channels."""
        number = cell[0] * self.block + cell[1]
        if self.order == "block-first":
            return number * n_C + channel
        return channel * self.block**2 + number


@dataclass(frozen=True)
class DepthToSpaceLayer(_Blocks):
    """Each pixel's channels as a block of pixels: PyTorch's PixelShuffle, for super-resolution.

    Parameters
    ----------
    block : int
        Rows and columns of a block.
    order : {"block-first", "channel-first"}
        How the channels are counted: as TensorFlow has them, or PyTorch.

    Examples
    --------
    >>> layer = DepthToSpaceLayer(2)
    >>> layer.forward(np.arange(4.0).reshape(1, 1, 1, 4))[0][0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """

    block: int
    order: str = "channel-first"
    op: ClassVar[str] = "depth-to-space"

    def output_shape(self, shape: Shape) -> Shape:
        """Check that the channels fill blocks, and return the larger maps' shape."""
        self._check()
        if shape[3] % self.block**2:
            raise ShapeError(
                f"blocks of {self.block}x{self.block} need as many channels, or a "
                f"multiple, got {shape[3]}"
            )
        return (shape[0], shape[1] * self.block, shape[2] * self.block, shape[3] // self.block**2)

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel that is left."""
        count = sum(len(group.channels) for group in groups[0])
        return numbered_groups(count // self.block**2)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the pixels whose blocks hold the box."""
        rows, columns = (
            slice(side.start // self.block, -(-side.stop // self.block)) for side in box
        )
        return rows, columns

    def reading(self, shape: Shape, axis: int) -> Reading:
        """Return which input cells outputs read along rows or columns."""
        return Reading(over=self.block)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the layer for strips of one image."""
        out = self.output_shape(shape)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            begin, end = first // self.block, -(-last // self.block)
            rows = self._spread(source(begin, end))
            return rows[:, first - begin * self.block : last - begin * self.block]

        return StripStage(out, rows_at_once(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, None]:
        """Return the larger maps."""
        return self._spread(X), None

    def backward(self, dY: FloatArray, cache: None) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the channels."""
        return self._gather(dY), {}

    def source(self, shape: Shape, cell: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the row, column and channel of the input that one of the output is."""
        row, column, channel = cell
        inside = row % self.block, column % self.block
        found = self._channel(channel, inside, shape[3] // self.block**2)
        return row // self.block, column // self.block, found


@dataclass(frozen=True)
class SpaceToDepthLayer(_Blocks):
    """Blocks of pixels as the channels of one pixel: the focus of detectors.

    Parameters
    ----------
    block, order
        As in `DepthToSpaceLayer`.

    Examples
    --------
    >>> layer = SpaceToDepthLayer(2)
    >>> layer.forward(np.arange(4.0).reshape(1, 2, 2, 1))[0].ravel()
    array([0., 1., 2., 3.])
    """

    block: int
    order: str = "channel-first"
    op: ClassVar[str] = "space-to-depth"

    def output_shape(self, shape: Shape) -> Shape:
        """Check that blocks fill rows and columns, and return the smaller maps' shape."""
        self._check()
        if not is_open(shape) and (shape[1] % self.block or shape[2] % self.block):
            raise ShapeError(
                f"blocks of {self.block} must fill rows and columns, got {shape[1]}x{shape[2]}"
            )
        return (shape[0], shape[1] // self.block, shape[2] // self.block, shape[3] * self.block**2)

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel."""
        count = sum(len(group.channels) for group in groups[0])
        return numbered_groups(count * self.block**2)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the pixels of the blocks in the box."""
        rows, columns = (slice(side.start * self.block, side.stop * self.block) for side in box)
        return rows, columns

    def reading(self, shape: Shape, axis: int) -> Reading:
        """Return which input cells outputs read along rows or columns."""
        return Reading(self.block, high=self.block - 1)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the layer for strips of one image."""
        out = self.output_shape(shape)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            return self._gather(source(first * self.block, last * self.block))

        return StripStage(out, rows_at_once(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, None]:
        """Return the smaller maps."""
        return self._gather(X), None

    def backward(self, dY: FloatArray, cache: None) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the pixels."""
        return self._spread(dY), {}

    def source(self, shape: Shape, cell: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the row, column and channel of the input that one of the output is."""
        row, column, channel = cell
        if self.order == "block-first":
            number, found = divmod(channel, shape[3])
        else:
            found, number = divmod(channel, self.block**2)
        down, across = divmod(number, self.block)
        return row * self.block + down, column * self.block + across, found
