"""Layers of several inputs: sums, products, differences, extremes and concatenated maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.errors import OptionError, ShapeError
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.base import ChannelwiseDefaults, Gradients
from cnncli.render.options import MapGroup, numbered_groups

SIDES_HINT: Final = "--size H,W with sides that 32 divides fits most networks that halve and double"
"""What helps where maps were halved to odd sizes and doubled again."""


_NEAR: Final = 3


class Elementwise(ChannelwiseDefaults):
    """What sums, products and the like share: one output value from one value of each input.

    An input of one row, one column or one channel serves all of them: a global pool's every pixel.
    """

    op: ClassVar[str]
    most: ClassVar[int | None] = None
    """How many inputs there may be."""

    def formula(self, names: Sequence[str]) -> str:
        """Write what it does to inputs of those names."""
        return {"add": " + ", "sub": " - ", "mul": " * ", "div": " / "}[self.op].join(names)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Check that the inputs have one shape, but for axes of length 1, and return it."""
        if len(shapes) < 2:
            raise ShapeError(f"{self.op} needs at least 2 inputs, got {len(shapes)}")
        if self.most is not None and len(shapes) > self.most:
            raise ShapeError(f"{self.op} takes {self.most} inputs, got {len(shapes)}")
        n_H, n_W, n_C = (max(shape[axis] for shape in shapes) for axis in (1, 2, 3))
        largest = shapes[0][0], n_H, n_W, n_C
        fits = [
            all(n in (1, most) for n, most in zip(shape, largest, strict=True)) for shape in shapes
        ]
        if not all(fits):
            shown = ", ".join("x".join(map(str, shape[1:])) for shape in shapes)
            raise ShapeError(
                f"inputs of {self.op} must have the same shape, or 1 along an axis, got {shown}",
                hint=_hint(shapes),
            )
        return largest

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the inputs' groups if all have the same, else numbered maps."""
        counts = [sum(len(group.channels) for group in one) for one in groups]
        pairs = zip(groups, counts, strict=True)
        return common_groups([one for one, count in pairs if count == max(counts)])

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box itself, or the one row or column that serves all."""
        rows, columns = box
        one = slice(0, 1)
        return one if shape[1] == 1 else rows, one if shape[2] == 1 else columns


@dataclass(frozen=True)
class AddLayer(Elementwise):
    """The sum of its inputs: a residual connection.

    Examples
    --------
    >>> AddLayer().output_shape((1, 4, 4, 8), (1, 4, 4, 8))
    (1, 4, 4, 8)
    """

    op: ClassVar[str] = "add"

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the sum."""
        return reduce(np.add, inputs), [X.shape for X in inputs]

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the output's gradient for each input."""
        return tuple(_summed(dY, shape) for shape in cache), {}


@dataclass(frozen=True)
class MulLayer(Elementwise):
    """The product of its inputs, as attention over channels takes it.

    Examples
    --------
    >>> MulLayer().output_shape((1, 4, 4, 8), (1, 1, 1, 8))
    (1, 4, 4, 8)
    """

    op: ClassVar[str] = "mul"

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the product."""
        return reduce(np.multiply, inputs), inputs

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return for each input the output's gradient times all other inputs."""
        others = [reduce(np.multiply, [*cache[:k], *cache[k + 1 :]]) for k in range(len(cache))]
        return tuple(
            _summed(dY * other, X.shape) for other, X in zip(others, cache, strict=True)
        ), {}


@dataclass(frozen=True)
class SubLayer(Elementwise):
    """The first input minus the second.

    Examples
    --------
    >>> SubLayer().forward(np.full((1, 1, 1, 1), 3.0), np.ones((1, 1, 1, 1)))[0].item()
    2.0
    """

    op: ClassVar[str] = "sub"
    most: ClassVar[int | None] = 2

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the difference."""
        return np.subtract(*inputs), [X.shape for X in inputs]

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the output's gradient for the first input, and its negative for the second."""
        return (_summed(dY, cache[0]), _summed(-dY, cache[1])), {}


@dataclass(frozen=True)
class DivLayer(Elementwise):
    """The first input divided by the second; by 0 it is infinite, and 0 by 0 NaN.

    Examples
    --------
    >>> DivLayer().forward(np.full((1, 1, 1, 1), 3.0), np.full((1, 1, 1, 1), 2.0))[0].item()
    1.5
    """

    op: ClassVar[str] = "div"
    most: ClassVar[int | None] = 2

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the quotient."""
        with np.errstate(all="ignore"):
            return np.divide(*inputs), inputs

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the gradients of both inputs."""
        dividend, divisor = cache
        with np.errstate(all="ignore"):
            share = dY / divisor
            second = -share * (dividend / divisor)
        return (_summed(share, dividend.shape), _summed(second, divisor.shape)), {}


class _Extreme(Elementwise):
    """What the largest and the smallest of the inputs share; NaN wins, as in numpy."""

    ufunc: ClassVar[np.ufunc]

    def formula(self, names: Sequence[str]) -> str:
        """Write a call of max or min."""
        return f"{self.op}({', '.join(names)})"

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the largest, or the smallest, value of each place."""
        Y = reduce(self.ufunc, inputs)
        return Y, (inputs, Y)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the output's gradient for the input that won; of equal ones the first."""
        inputs, Y = cache
        free, gradients = np.ones(Y.shape, bool), []
        for X in inputs:
            wins = free & (X == Y)
            free &= ~wins
            gradients.append(_summed(dY * wins, X.shape))
        return tuple(gradients), {}


@dataclass(frozen=True)
class MaxLayer(_Extreme):
    """The largest value of its inputs.

    Examples
    --------
    >>> MaxLayer().forward(np.full((1, 1, 1, 1), 3.0), np.full((1, 1, 1, 1), 2.0))[0].item()
    3.0
    """

    op: ClassVar[str] = "max"
    ufunc: ClassVar[np.ufunc] = np.maximum


@dataclass(frozen=True)
class MinLayer(_Extreme):
    """The smallest value of its inputs.

    Examples
    --------
    >>> MinLayer().forward(np.full((1, 1, 1, 1), 3.0), np.full((1, 1, 1, 1), 2.0))[0].item()
    2.0
    """

    op: ClassVar[str] = "min"
    ufunc: ClassVar[np.ufunc] = np.minimum


@dataclass(frozen=True)
class ConcatLayer(ChannelwiseDefaults):
    """All inputs side by side: their channels, or their rows or columns.

    Parameters
    ----------
    axis : {"channels", "rows", "columns"}

    Examples
    --------
    >>> ConcatLayer().output_shape((1, 4, 4, 8), (1, 4, 4, 2))
    (1, 4, 4, 10)
    """

    axis: str = "channels"
    op: ClassVar[str] = "concat"

    @property
    def number(self) -> int:
        """Which axis of (m, n_H, n_W, n_C) it is."""
        return 1 + AXES.index(self.axis)

    @property
    def reads_all(self) -> bool:
        """Whether cells of the output lie elsewhere than in the inputs."""
        return self.axis != "channels"

    @property
    def label(self) -> str:
        """What `plan` says that it joins, if it is not channels."""
        return "" if self.axis == "channels" else self.axis

    def output_shape(self, *shapes: Shape) -> Shape:
        """Check that the inputs agree in all other axes."""
        if self.axis not in AXES:
            raise OptionError(f"axis must be one of {', '.join(AXES)}, got {self.axis!r}")
        if len(shapes) < 2:
            raise ShapeError(f"concat needs at least 2 inputs, got {len(shapes)}")
        k = self.number
        if len({(*shape[:k], *shape[k + 1 :]) for shape in shapes}) > 1:
            shown = ", ".join("x".join(map(str, shape[1:])) for shape in shapes)
            others = " and ".join(axis for axis in AXES if axis != self.axis)
            raise ShapeError(
                f"inputs of concat must agree in {others}, got {shown}", hint=_hint(shapes)
            )
        n_H, n_W, n_C = (
            sum(shape[n] for shape in shapes) if n == k else shapes[0][n] for n in (1, 2, 3)
        )
        return shapes[0][0], n_H, n_W, n_C

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups of all inputs, their channels and their numbers counted on."""
        if self.axis != "channels":
            return common_groups(groups)
        joined, start = [], 0
        for one_input in groups:
            for name, (first, *more) in ((group.name, group.channels) for group in one_input):
                channels = tuple(start + channel for channel in (first, *more))
                is_number = name == str(first) or not (name or more)
                joined.append(MapGroup(str(channels[0]) if is_number else name, channels))
            start += sum(len(group.channels) for group in one_input)
        return tuple(joined)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the box itself; all of the input where rows or columns are joined."""
        return (slice(0, shape[1]), slice(0, shape[2])) if self.reads_all else box

    def source(
        self, shapes: Sequence[Shape], cell: tuple[int, int, int]
    ) -> tuple[int, tuple[int, int, int]]:
        """Return which input one cell (row, column, channel) of the output is of, and which there.

        Examples
        --------
        >>> ConcatLayer("rows").source([(1, 4, 4, 8), (1, 3, 4, 8)], (5, 0, 2))
        (1, (1, 0, 2))
        """
        at, k = list(cell), self.number - 1
        number = 0
        while at[k] >= shapes[number][k + 1]:
            at[k] -= shapes[number][k + 1]
            number += 1
        return number, (at[0], at[1], at[2])

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the joined maps."""
        return np.concatenate(inputs, axis=self.number), [X.shape[self.number] for X in inputs]

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return each input's share."""
        return tuple(np.split(dY, np.cumsum(cache)[:-1], axis=self.number)), {}


def common_groups(groups: Sequence[Sequence[MapGroup]]) -> tuple[MapGroup, ...]:
    """Return the inputs' groups if all have the same.

    Else numbered maps, because they come from several filters.

    Examples
    --------
    >>> common_groups([[MapGroup("edge", (0,))], [MapGroup("blur", (0,))]])
    (MapGroup(name='0', channels=(0,)),)
    """
    if all(tuple(others) == tuple(groups[0]) for others in groups):
        return tuple(groups[0])
    return numbered_groups(sum(len(group.channels) for group in groups[0]))


def _hint(shapes: Sequence[Shape]) -> str | None:
    """Return what helps where rows or columns differ by a few."""
    sides = zip(*(shape[1:3] for shape in shapes), strict=True)
    gaps = [max(side) - min(side) for side in sides]
    return SIDES_HINT if 0 < max(gaps) <= _NEAR else None


def _summed(dY: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """The gradient of an input: what serves a whole axis gathers that of all of it."""
    axes = tuple(axis for axis in (1, 2, 3) if shape[axis] != dY.shape[axis])
    return dY.sum(axis=axes, keepdims=True) if axes else dY
