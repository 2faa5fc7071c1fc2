"""Axes of maps by their names, and what layers read that work over whole ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.errors import OptionError
from cnncli.network.layers.base import ChannelwiseDefaults, StripStage, rows_in_cache
from cnncli.network.layers.view import CELLS

AXES: Final = ("rows", "columns", "channels")
"""The axes of maps, by which layers over some of them are told which."""


class AxesDefaults(ChannelwiseDefaults):
    """What layers read whose values depend on whole axes of their input."""

    @property
    @abstractmethod
    def read_axes(self) -> frozenset[str]:
        """Those of `AXES` that each value depends on as a whole."""

    @property
    def over(self) -> tuple[int, ...]:
        """Those axes of (m, n_H, n_W, n_C) by their numbers."""
        return tuple(1 + number for number, name in enumerate(AXES) if name in self.read_axes)

    @property
    def reads_all(self) -> bool:
        """Whether a value depends on all rows or columns."""
        return not self.read_axes <= {"channels"}

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box, with all rows and columns along axes that are read whole."""
        rows, columns = box
        return (
            slice(0, shape[1]) if "rows" in self.read_axes else rows,
            slice(0, shape[2]) if "columns" in self.read_axes else columns,
        )

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape and return the output's."""

    @abstractmethod
    def compute(self, X: FloatArray) -> FloatArray:
        """Return the output of all that the layer reads."""

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output, and the input for the backward pass."""
        return self.compute(X), X

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare strips of rows, or one of all rows where each depends on all."""
        out = self.output_shape(shape)
        if "rows" in self.read_axes:
            return StripStage(
                out, out[1], lambda source, a, b: self.compute(source(0, shape[1]))[:, a:b]
            )
        return StripStage(
            out, rows_in_cache(out, dtype), lambda source, a, b: self.compute(source(a, b))
        )


class GivenAxes(AxesDefaults):
    """The same, of layers that are told their axes; over channels they keep none apart."""

    axes: tuple[str, ...]

    @property
    def keeps_channels(self) -> bool:  # type: ignore[override]
        """Whether each output channel is a picture of one input channel."""
        return "channels" not in self.axes

    @property
    def read_axes(self) -> frozenset[str]:
        """Return the axes that it was given."""
        return frozenset(self.axes)


def check_axes(axes: tuple[str, ...]) -> None:
    """Raise OptionError unless axes are some of `AXES`, each once.

    Examples
    --------
    >>> check_axes(("rows", "columns"))
    """
    if not axes or len({*axes}) < len(axes) or not {*axes} <= {*AXES}:
        raise OptionError(
            f"axes must be some of {', '.join(AXES)}, got {', '.join(axes) or 'none'}"
        )


def axes_named(letters: Collection[str]) -> tuple[str, ...]:
    """Return the axes of maps that some letters of `Layout` stand for.

    Examples
    --------
    >>> axes_named("nch")
    ('rows', 'channels')
    """
    return tuple(name for letter, name in zip(CELLS, AXES, strict=True) if letter in letters)
