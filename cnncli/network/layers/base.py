"""What every layer offers, as protocols, and defaults for layers without a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self, TypeGuard

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box, Window
from cnncli.render.options import MapGroup

Gradients = dict[str, FloatArray]

RowSource = Callable[[int, int], FloatArray]
"""``rows(first, last)``: those rows of one image, shape (1, rows, n_W, n_C)."""

OPEN_SIDE: Final = 2**40
"""Rows and columns where none are known: larger than any window."""

STRIP_BYTES: Final = 2**20
"""Output of layers other than convolutions that is made at a time."""


def is_open(shape: Sequence[int]) -> bool:
    """Tell whether rows and columns are not known: so many no picture has.

    Examples
    --------
    >>> is_open((1, 1, OPEN_SIDE // 32, 8)), is_open((1, 1, 2**24, 1))
    (True, False)
    """
    return max(shape[1:3]) > 2**31


@dataclass(frozen=True)
class StripStage:
    """A layer that makes any rows of its output from the rows of its input they need.

    Parameters
    ----------
    shape : (1, n_H, n_W, n_C)
        Of one image's whole output.
    step : int
        Rows to ask for at a time; the bytes are the same however they are asked for.
    read : callable
        ``read(source, first, last)`` makes rows ``[first, last)``, asking ``source`` for input.
    whole : callable, optional
        ``whole(X, jobs)`` makes the whole output of an image on so many threads: the same bytes.
    filter_bytes : int
        Memory of what was made ready, beyond the layer's own.
    """

    shape: Shape
    step: int
    read: Callable[[RowSource, int, int], FloatArray]
    whole: Callable[[FloatArray, int | None], FloatArray] | None = None
    filter_bytes: int = 0


class AnyLayer(Protocol):
    """What every layer tells of itself before any value is computed."""

    op: ClassVar[str]

    @property
    def keeps_channels(self) -> bool:
        """Whether each output channel is a picture of one input channel."""

    @property
    def reads_all(self) -> bool:
        """Whether, without a window, an output may depend on any cell of the input."""

    @property
    def has_gradient(self) -> bool:
        """Whether it has a backward pass."""

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """The arrays it was given, by the names their gradients have."""

    def with_parameters(self, values: Mapping[str, FloatArray]) -> Self:
        """Return the layer with some of its parameters exchanged."""

    def window(self, shape: Shape) -> Window | None:
        """Return the positions of its window on an input of that shape; None without a window."""

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say what is likely to be a mistake for an input of that shape."""


class Layer(AnyLayer, Protocol):
    """A layer of one input."""

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""

    def output_groups(self, groups: Sequence[MapGroup], /) -> tuple[MapGroup, ...]:
        """Return which output channels belong together, and their names."""

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box of input cells that a box of output cells depends on."""

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the layer for strips of one image (1, n_H, n_W, n_C) of that dtype."""

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the layer's output and the cache its backward pass needs."""

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input, and of each parameter by name."""


class MergeLayer(AnyLayer, Protocol):
    """A layer of several inputs."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """Check the inputs' shapes and return the output's."""

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return which output channels belong together, and their names."""

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box of cells of an input of that shape that a box of output depends on."""

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the layer's output and the cache its backward pass needs."""

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the gradient of each input, and of each parameter by name."""


class LayerDefaults:
    """Defaults: a layer has a gradient, and reads no cells but those at its output's own place."""

    has_gradient: ClassVar[bool] = True

    @property
    def reads_all(self) -> bool:
        """Whether, without a window, an output may depend on any cell of the input."""
        return False


class ChannelwiseDefaults(LayerDefaults):
    """The answers of a layer without window and parameters that works channel by channel."""

    keeps_channels: ClassVar[bool] = True

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """Nothing."""
        return {}

    def with_parameters(self, values: Mapping[str, FloatArray]) -> Self:
        """Return the layer with some of its parameters exchanged."""
        return type(self)(**{**vars(self), **values})

    def window(self, shape: Shape) -> Window | None:
        """Return None: a cell of the output depends only on the same cell of the input."""
        return None

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return nothing: every input will do."""
        return ()

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups of the first input."""
        return tuple(groups[0])

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box itself."""
        return box


class Pointwise(ChannelwiseDefaults, ABC):
    """A layer that changes each pixel on its own and keeps rows and columns.

    Those derived from it say how, in ``compute``.
    """

    @abstractmethod
    def compute(self, X: FloatArray) -> FloatArray:
        """Return the output of any rows."""

    def overwrite(self, X: FloatArray) -> None:
        """Write the output of any rows over them."""
        np.copyto(X, self.compute(X))

    @property
    def each_alone(self) -> bool:
        """Whether a value depends on itself alone: not on its channel or other channels."""
        return False

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape as it is."""
        return shape

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output, and the input for the backward pass."""
        return self.compute(X), X

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare nothing: each pixel is computed from itself."""
        out = self.output_shape(shape)
        return StripStage(
            out, rows_in_cache(out, dtype), lambda source, a, b: self.compute(source(a, b))
        )


def has_strips(layer: Layer | MergeLayer) -> TypeGuard[Layer]:
    """Tell whether a layer has one input, and so can be run strip by strip.

    Examples
    --------
    >>> from cnncli.network.layers import AddLayer, PoolLayer
    >>> has_strips(PoolLayer()), has_strips(AddLayer())
    (True, False)
    """
    return hasattr(layer, "stage")


def border_of(layer: AnyLayer, shape: Shape) -> str | None:
    """Return what the border of a layer holds on an input of that shape; None without one.

    Pools have none: their pads hold no values.

    Examples
    --------
    >>> from cnncli.network.layers import PadLayer
    >>> border_of(PadLayer(1), (1, 4, 4, 1)), border_of(PadLayer(0), (1, 4, 4, 1))
    ('zeros', None)
    """
    window = layer.window(shape)
    padded = window is not None and window.pads != ((0, 0), (0, 0))
    return getattr(layer, "border_mode", None) if padded else None


def rows_at_once(shape: Shape, dtype: np.dtype[Any]) -> int:
    """Return how many rows of an output of that shape are a strip.

    Examples
    --------
    >>> rows_at_once((1, 100, 256, 4), np.dtype("float32"))
    256
    """
    return max(1, STRIP_BYTES // max(1, shape[2] * shape[3] * dtype.itemsize))


def rows_in_cache(shape: Shape, dtype: np.dtype[Any]) -> int:
    """Return how many rows are a strip where each step of the work is an array of its own.

    A quarter of `rows_at_once`, which a core's own cache holds with what is made on the way: a
    sigmoid takes 0.75 of the time, a GELU 0.55. What is one strip there is one here.

    Examples
    --------
    >>> rows_in_cache((1, 900, 256, 4), np.dtype("float32"))
    64
    >>> rows_in_cache((1, 200, 256, 4), np.dtype("float32"))
    256
    """
    rows = rows_at_once(shape, dtype)
    return rows if rows >= shape[1] else max(1, rows // 4)
