"""The layer of products of matrices that are both made of the picture, as in attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.errors import ShapeError
from cnncli.network.layers.base import ChannelwiseDefaults, Gradients
from cnncli.render.options import MapGroup, numbered_groups
from cnncli.system.threads import run_all

ALONE: Final = 2**24
"""Products of numbers that one thread computes before another would have begun."""


@dataclass(frozen=True)
class MatMulLayer(ChannelwiseDefaults):
    """Matrix products: each row of maps is a matrix of its columns by its channels.

    An input of one row serves every row of the other.

    Examples
    --------
    >>> MatMulLayer().output_shape((1, 4, 7, 8), (1, 4, 8, 5))
    (1, 4, 7, 5)
    """

    op: ClassVar[str] = "matmul"
    keeps_channels: ClassVar[bool] = False
    reads_all: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """Check that the matrices fit, and return the shape of the products."""
        if len(shapes) != 2:
            raise ShapeError(f"matmul takes 2 inputs, got {len(shapes)}")
        first, second = shapes
        rows = {first[1], second[1]} - {1}
        if len(rows) > 1 or first[3] != second[2]:
            shown = " and ".join("x".join(map(str, shape[1:])) for shape in shapes)
            raise ShapeError(
                "inputs of matmul must have as many rows, and the second as many columns as the "
                f"first has channels, got {shown}"
            )
        return first[0], max(first[1], second[1]), first[2], second[3]

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel of the second input."""
        return numbered_groups(sum(len(group.channels) for group in groups[-1]))

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return all of an input."""
        return slice(0, shape[1]), slice(0, shape[2])

    def multiply_adds(self, *shapes: Shape) -> int:
        """Return the products of one image."""
        return math.prod(self.output_shape(*shapes)[1:]) * shapes[0][3]

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the products."""
        m, rows, columns, channels = self.output_shape(*(X.shape for X in inputs))
        made = np.empty((m, rows, columns, channels), np.result_type(*inputs))
        first, second = (np.broadcast_to(X, (m, rows, *X.shape[2:])) for X in inputs)

        def multiply(row: int) -> None:
            np.matmul(first[:, row], second[:, row], out=made[:, row])

        run_all(multiply, range(rows), 1 if made.size * first.shape[3] < ALONE else None)
        return made, inputs

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Return the gradients of both inputs."""
        first, second = cache
        gradients = np.matmul(dY, second.swapaxes(2, 3)), np.matmul(first.swapaxes(2, 3), dY)
        return tuple(
            dX if dX.shape == X.shape else dX.sum(axis=1, keepdims=True)
            for dX, X in zip(gradients, cache, strict=True)
        ), {}
