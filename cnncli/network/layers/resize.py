"""Resizing feature maps: nearest, linear and cubic, as ONNX and PyTorch do it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box, Pair
from cnncli.core.receptive_field import Reading
from cnncli.errors import OptionError, ShapeError, among
from cnncli.network.layers.base import (
    ChannelwiseDefaults,
    Gradients,
    RowSource,
    StripStage,
    rows_at_once,
)

RESIZE_MODES: Final = ("nearest", "linear", "cubic")

_TIE: Final = 0.5 + 1e-6
"""Half a cell, and what places in single precision may be off it; ONNX Runtime allows as much."""

ROUNDINGS: Final[dict[str, Callable[[FloatArray], FloatArray]]] = {
    "prefer-floor": lambda x: np.ceil(x.astype(np.float64) - _TIE),
    "prefer-ceil": lambda x: np.floor(x.astype(np.float64) + _TIE),
    "floor": np.floor,
    "ceil": np.ceil,
}
"""Which cell is nearest: the two first ones round, and differ in the middle between two cells."""

_A: Final = -0.75
"""The free number of the cubic kernel (Keys, 1981), as PyTorch, OpenCV and ONNX have it."""

_MOST: Final = 2**20
"""More rows than any picture; sizes beyond would only take memory."""


def _half_pixel(places: FloatArray, scale: float, size: int, out: int) -> FloatArray:
    return (places + 0.5) / scale - 0.5


def _pytorch_half_pixel(places: FloatArray, scale: float, size: int, out: int) -> FloatArray:
    return _half_pixel(places, scale, size, out) if out > 1 else np.zeros_like(places)


def _asymmetric(places: FloatArray, scale: float, size: int, out: int) -> FloatArray:
    return places / scale


def _align_corners(places: FloatArray, scale: float, size: int, out: int) -> FloatArray:
    if out == 1:
        return np.zeros_like(places)
    return places * (size - 1) / (out - 1)


COORDINATES: Final[dict[str, Callable[[FloatArray, float, int, int], FloatArray]]] = {
    "half-pixel": _half_pixel,
    "pytorch-half-pixel": _pytorch_half_pixel,
    "asymmetric": _asymmetric,
    "align-corners": _align_corners,
}
"""Where the middle of an output cell lies on the input, in the precision of the places given."""


@dataclass(frozen=True, eq=False)
class Taps:
    """What the cells of one axis are made of.

    Parameters
    ----------
    cells : ndarray of int, shape (out, taps)
        Cells of the input.
    weights : ndarray, shape (out, taps)
    """

    cells: NDArray[np.int64]
    weights: FloatArray

    def source(self, first: int, last: int) -> slice:
        """Return the input cells that outputs ``[first, last)`` are made of."""
        used = self.cells[first:last]
        return slice(int(used.min()), int(used.max()) + 1) if used.size else slice(0, 0)

    def part(self, first: int, last: int, begin: int) -> Taps:
        """Return those of some outputs, from an input that begins with cell `begin`."""
        return Taps(self.cells[first:last] - begin, self.weights[first:last])

    def apply(self, X: FloatArray, axis: int) -> FloatArray:
        """Return the resized axis."""
        shape = [1] * X.ndim
        shape[axis] = -1
        if self.weights.shape[1] == 1:
            return X.take(self.cells[:, 0], axis)
        terms = (
            X.take(cells, axis) * weights.astype(X.dtype).reshape(shape)
            for cells, weights in zip(self.cells.T, self.weights.T, strict=True)
        )
        return np.asarray(sum(terms))

    def gather(self, dY: FloatArray, axis: int, size: int) -> FloatArray:
        """Return the gradient of the input, `size` cells, from that of the resized axis."""
        moved = np.moveaxis(dY, axis, 0)
        dX = np.zeros((size, *moved.shape[1:]), dY.dtype)
        for cells, weights in zip(self.cells.T, self.weights.T, strict=True):
            shape = (-1,) + (1,) * (moved.ndim - 1)
            np.add.at(dX, cells, moved * weights.astype(dY.dtype).reshape(shape))
        return np.moveaxis(dX, 0, axis)


@dataclass(frozen=True)
class ResizeLayer(ChannelwiseDefaults):
    """Feature maps in another size.

    Parameters
    ----------
    size : (int, int), optional
        Rows and columns of the output.
    scale : float or (float, float), optional
        Instead of `size`: the output's rows and columns by those of the input, rounded down.
    mode : {"nearest", "linear", "cubic"}
    coordinates : str
        A name of `COORDINATES`.
    rounding : str
        A name of `ROUNDINGS`, for nearest.

    Examples
    --------
    >>> layer = ResizeLayer(scale=2, mode="nearest", coordinates="asymmetric", rounding="floor")
    >>> layer.forward(np.arange(4.0).reshape(1, 2, 2, 1))[0][0, :, :, 0]
    array([[0., 0., 1., 1.],
           [0., 0., 1., 1.],
           [2., 2., 3., 3.],
           [2., 2., 3., 3.]])
    """

    size: int | Pair | None = None
    scale: float | tuple[float, float] | None = None
    mode: str = "nearest"
    coordinates: str = "half-pixel"
    rounding: str = "prefer-floor"
    op: ClassVar[str] = "resize"

    def _sizes(self, shape: Shape) -> tuple[Pair, tuple[float, float]]:
        """Return rows and columns of the output, and by what they were multiplied."""
        if (self.size is None) == (self.scale is None):
            raise OptionError("a resize needs size or scale, and not both")
        if self.size is not None:
            out = (self.size, self.size) if isinstance(self.size, int) else self.size
            return out, (out[0] / shape[1], out[1] / shape[2])
        assert self.scale is not None
        pair = self.scale if isinstance(self.scale, tuple) else (self.scale, self.scale)
        if not all(math.isfinite(scale) and scale > 0 for scale in pair):
            raise OptionError(f"scale must be above 0, got {pair[0]:g} and {pair[1]:g}")
        # Multiplied as ONNX does it: float32 scales, rounded down.
        rows, columns = (
            np.float32(n) * np.float32(f) for n, f in zip(shape[1:3], pair, strict=True)
        )
        return (math.floor(rows), math.floor(columns)), pair

    def output_shape(self, shape: Shape) -> Shape:
        """Check the settings and return the output's shape."""
        for name, value, names in (
            ("mode", self.mode, RESIZE_MODES),
            ("coordinates", self.coordinates, tuple(COORDINATES)),
            ("rounding", self.rounding, tuple(ROUNDINGS)),
        ):
            if value not in names:
                raise OptionError(
                    f"{name} must be one of {', '.join(names)}, got {value!r}{among(value, names)}"
                )
        (rows, columns), _ = self._sizes(shape)
        if shape[1] <= _MOST and not 1 <= min(rows, columns) <= max(rows, columns) <= _MOST:
            raise ShapeError(f"a resize to {rows}x{columns} leaves nothing, or too much")
        return shape[0], rows, columns, shape[3]

    def taps(self, shape: Shape, dtype: DTypeLike = np.float32) -> tuple[Taps, Taps]:
        """Return what rows and columns of the output are made of, for values of a dtype."""
        out, scales = self._sizes(shape)
        rows, columns = (
            self._axis_taps(size, count, scale, dtype)
            for size, count, scale in zip(shape[1:3], out, scales, strict=True)
        )
        return rows, columns

    def _axis_taps(self, size: int, out: int, scale: float, dtype: DTypeLike) -> Taps:
        # Which cell is nearest is decided in single precision, as everywhere.
        outputs = np.arange(out, dtype=np.float32 if self.mode == "nearest" else dtype)
        places = COORDINATES[self.coordinates](outputs, scale, size, out)
        offsets, weights = np.zeros(1), np.ones((out, 1))
        if self.mode == "nearest":
            cells = ROUNDINGS[self.rounding](places)
        else:
            if self.mode == "linear":
                places = np.clip(places, 0, size - 1)
            cells = np.floor(places)
            share = (places - cells).astype(np.float64)[:, None]
            cubic = self.mode == "cubic"
            offsets = np.arange(-1.0, 3) if cubic else np.arange(2.0)
            weights = np.asarray(
                _cubic(share - offsets) if cubic else np.hstack([1 - share, share])
            )
        chosen = cells[:, None].astype(np.int64) + offsets.astype(np.int64)
        if self.mode == "linear":
            # Both are the last cell: a weight of 0 would make NaN of an infinity in it.
            weights[chosen[:, 0] == size - 1] = 0.5
        return Taps(np.clip(chosen, 0, size - 1), weights)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the input cells that a box of output cells is made of."""
        rows, columns = self.taps(shape)
        return rows.source(box[0].start, box[0].stop), columns.source(box[1].start, box[1].stop)

    def reading(self, shape: Shape, axis: int) -> Reading:
        """Return which input cells outputs read along rows (0) or columns (1).

        Unlike `reads` without regard to the border, where the outermost cells are repeated.

        Examples
        --------
        >>> ResizeLayer(scale=2, mode="linear").reading((1, 4, 4, 1), 0).cells(4, 5)
        (1, 3)
        """
        out, scales = self._sizes(shape)
        size, count = shape[1 + axis], out[axis]
        common = math.gcd(count, size)
        whole = count // common, size // common
        # As a fraction; that of the standard library would load decimal for each command.
        numerator, denominator = scales[axis].as_integer_ratio() if self.size is None else whole
        # Output i lies at cell (i*step + start) / over, and over is even.
        step, start, over = 2 * denominator, 0, 2 * numerator
        if self.coordinates == "align-corners":
            step, over = 2 * (size - 1), 2 * max(count - 1, 1)
        elif self.coordinates != "asymmetric":
            start = denominator - numerator
        if count == 1 and self.coordinates in ("align-corners", "pytorch-half-pixel"):
            start = 0
        return Reading(step, over, *self._ends(step, start, over)).reduced

    def _ends(self, step: int, start: int, over: int) -> Pair:
        """Return where what an output at ``(i*step + start) / over`` is made of begins and ends."""
        if self.mode == "nearest":
            half = over // 2
            more = {"prefer-floor": half - 1, "prefer-ceil": half, "floor": 0, "ceil": over - 1}
            return start + more[self.rounding], start + more[self.rounding]
        if self.mode == "cubic" and (step % over or start % over):
            return start - over, start + 2 * over - 1
        # Where outputs lie on cells these alone count.
        return start, start + (over - 1 if self.mode == "linear" else 0)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the layer for strips of one image."""
        out = self.output_shape(shape)
        rows, columns = self.taps(shape, dtype)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            needed = rows.source(first, last)
            X = source(needed.start, needed.stop)
            return columns.apply(rows.part(first, last, needed.start).apply(X, 1), 2)

        return StripStage(out, rows_at_once(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Shape]:
        """Return the resized maps."""
        rows, columns = self.taps(X.shape, X.dtype)
        return columns.apply(rows.apply(X, 1), 2), X.shape

    def backward(self, dY: FloatArray, cache: Shape) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the maps before resizing."""
        rows, columns = self.taps(cache, dY.dtype)
        return rows.gather(columns.gather(dY, 2, cache[2]), 1, cache[1]), {}


def _cubic(distance: FloatArray) -> FloatArray:
    """The weights of cells at some distance, up to 2."""
    d = np.abs(distance)
    near = ((_A + 2) * d - (_A + 3)) * d * d + 1
    far = ((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A
    return np.where(d <= 1, near, far)
