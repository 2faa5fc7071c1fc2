"""The pooling layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box, PaddingLike, Pair, Window
from cnncli.core.pool import Pooling, pool, pool_gradient, pool_rows, pool_window
from cnncli.network.layers.base import (
    ChannelwiseDefaults,
    Gradients,
    RowSource,
    StripStage,
    rows_at_once,
)


@dataclass(frozen=True)
class PoolLayer(ChannelwiseDefaults):
    """One pooling layer.

    Parameters
    ----------
    mode : {"max", "average", "min", "lp"}
    size : int, (h, w) or "global"
    stride : int, (h, w) or None
        None: the size.
    padding, dilation, ceil, count_include_pad, p
        As in `pool_forward`.

    Examples
    --------
    >>> PoolLayer(size=3, stride=2).output_shape((1, 7, 8, 3))
    (1, 3, 3, 3)
    """

    mode: str = "max"
    size: int | Pair | str = 2
    stride: int | Pair | None = None
    padding: PaddingLike = "valid"
    dilation: int | Pair = 1
    ceil: bool = False
    count_include_pad: bool = False
    p: float = 2.0
    op: ClassVar[str] = "pool"

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        return (shape[0], *self._pooling(shape).window.out, shape[3])

    def window(self, shape: Shape) -> Window:
        """Return where the pool's window stands on an input of that shape."""
        return pool_window(
            shape[1:3], self.size, self.stride, self.padding, self.dilation, self.ceil
        )

    def description(self, shape: Shape) -> str:
        """Say how an input of that shape is pooled: mode, window and stride.

        Examples
        --------
        >>> PoolLayer(size=3, stride=(1, 2)).description((1, 8, 8, 1))
        'max of windows of 3x3, stride 1,2'
        """
        if self.size == "global":
            return f"{self.mode} of all rows and columns"
        window = self.window(shape)
        (height, width), (down, across) = window.kernel, (window.rows.stride, window.cols.stride)
        stride = f"{down}" if down == across else f"{down},{across}"
        return f"{self.mode} of windows of {height}x{width}, stride {stride}"

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the input cells that a box of output cells is pooled from."""
        return self.window(shape).source(box)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say when windows meet pads only, and so have no largest or smallest value."""
        if self.mode not in ("max", "min"):
            return ()
        window = self.window(shape)
        n_H, n_W = window.out
        empty = n_H * n_W - window.rows.outputs_on_input() * window.cols.outputs_on_input()
        text = f"{empty} windows lie in the padding only and have no finite value"
        return (text,) if empty else ()

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the pool for strips of one image."""
        out, pooling = self.output_shape(shape), self._pooling(shape)
        rows = pooling.window.rows
        if not rows.always_meets_input:
            # Windows of pads only have no input rows to ask for: one strip takes them all.
            return StripStage(
                out, out[1], lambda source, a, b: pool(source(0, shape[1]), pooling)[:, a:b]
            )

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            return pool_rows(source, pooling, first, last)

        # A strip's input must not be much larger than its output.
        # Nor may strips of whole numbers be taller: the first would wait for more to be decoded.
        least = np.result_type(dtype, np.float32)
        return StripStage(out, max(1, rows_at_once(out, least) // rows.stride), read)

    def pixel_dtype(self, shape: Shape, pixels: np.dtype[Any]) -> np.dtype[Any] | None:
        """Return the pixels' dtype where they can be pooled as they are: extremes, not of pads."""
        return pixels if self.mode in ("max", "min") and not self.notes(shape) else None

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the pooled maps."""
        return pool(X, self._pooling(X.shape)), X

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the maps before pooling."""
        return pool_gradient(dY, cache, self._pooling(cache.shape)), {}

    def _pooling(self, shape: Shape) -> Pooling:
        return Pooling(self.window(shape), self.mode, self.count_include_pad, self.p)
