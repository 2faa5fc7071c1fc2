"""The layer that adds a border."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape, placeholder
from cnncli.core.borders import border_mode, check_pad_mode
from cnncli.core.geometry import Box, PaddingLike, Window, place_window
from cnncli.core.padding import pad_borders, pad_borders_backward, pad_rows
from cnncli.network.layers.base import (
    ChannelwiseDefaults,
    Gradients,
    RowSource,
    StripStage,
    rows_at_once,
)


@dataclass(frozen=True)
class PadLayer(ChannelwiseDefaults):
    """A border around height and width.

    Examples
    --------
    >>> PadLayer(padding=(1, 2)).output_shape((1, 4, 4, 3))
    (1, 6, 8, 3)
    """

    padding: PaddingLike
    pad_mode: str = "auto"
    pad_value: float = 0.0
    op: ClassVar[str] = "pad"

    @property
    def border_mode(self) -> str:
        """What the border holds: one of `PAD_MODES`."""
        return border_mode(self.pad_mode, image_filter=False)

    def window(self, shape: Shape) -> Window:
        """Return the window of one cell whose pads are this layer's."""
        return place_window((shape[1], shape[2]), kernel=1, padding=self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        check_pad_mode(self.border_mode)
        return (shape[0], *self.window(shape).out, shape[3])

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the input cells that a box of padded cells shows."""
        return self.window(shape).source(box, self.border_mode)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the border for strips of one image."""
        out, pads = self.output_shape(shape), self.window(shape).pads
        like = placeholder(dtype, shape)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            return pad_rows(source, like, pads, (self.border_mode, self.pad_value), first, last)

        return StripStage(out, rows_at_once(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Shape]:
        """Return the padded batch."""
        shape: Shape = X.shape
        return pad_borders(X, self.window(shape).pads, self.border_mode, self.pad_value), shape

    def backward(self, dY: FloatArray, cache: Shape) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the batch before padding."""
        return pad_borders_backward(dY, self.window(cache).pads, self.border_mode), {}
