"""The layer that has a factor and an offset for each cell: positions of tokens, grids of boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.errors import ShapeError
from cnncli.network.layers.base import Gradients, Pointwise, StripStage, rows_in_cache


@dataclass(frozen=True, eq=False)
class CellScaleLayer(Pointwise):
    """Each value times a factor plus an offset, which each cell has for itself.

    Parameters
    ----------
    shape : (n_H, n_W, n_C)
        Of its input.
    factor, offset : ndarray, shape (n_H * n_W * n_C,) or (1,)
        In the order of that shape.

    Examples
    --------
    >>> layer = CellScaleLayer((1, 2, 1), np.ones(1), np.array([5.0, 6.0]))
    >>> layer.forward(np.ones((1, 1, 2, 1)))[0].ravel()
    array([6., 7.])
    """

    shape: tuple[int, int, int]
    factor: FloatArray
    offset: FloatArray
    op: ClassVar[str] = "cell-scale"

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """``factor`` and ``offset``."""
        return {"factor": self.factor, "offset": self.offset}

    def output_shape(self, shape: Shape) -> Shape:
        """Check that the input is as large as it must be, and that each cell has its numbers."""
        if shape[1:] != tuple(self.shape):
            need, got = ("x".join(map(str, each)) for each in (self.shape, shape[1:]))
            raise ShapeError(f"{self.op} is for an input of {need}, got {got}")
        for name, array in self.parameters.items():
            if array.shape not in ((1,), (math.prod(self.shape),)):
                raise ShapeError(
                    f"{name} must hold 1 value or {math.prod(self.shape)}, one for each cell, "
                    f"got shape {array.shape}"
                )
        return shape

    def part(self, rows: slice, columns: slice) -> CellScaleLayer:
        """Return the layer of a box of cells.

        Examples
        --------
        >>> layer = CellScaleLayer((1, 2, 1), np.ones(1), np.array([5.0, 6.0]))
        >>> layer.part(slice(0, 1), slice(1, 2)).offset
        array([6.])
        """
        kept = {
            name: array if array.size == 1 else self._maps(array)[rows, columns]
            for name, array in self.parameters.items()
        }
        lengths = (len(range(n)[s]) for n, s in zip(self.shape, (rows, columns), strict=False))
        n_H, n_W = lengths
        flat = {name: array.reshape(-1) for name, array in kept.items()}
        return CellScaleLayer((n_H, n_W, self.shape[2]), **flat)

    def _maps(self, array: FloatArray) -> FloatArray:
        """Return a parameter as maps, or as one cell that serves all."""
        return array.reshape(self.shape if array.size > 1 else (1, 1, 1))

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the scaled values."""
        factor, offset = (self._maps(v).astype(X.dtype) for v in (self.factor, self.offset))
        return np.asarray(X * factor + offset)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare strips, each with the numbers of its rows."""
        out = self.output_shape(shape)
        return StripStage(
            out,
            rows_in_cache(out, dtype),
            lambda source, a, b: self.part(slice(a, b), slice(None)).compute(source(a, b)),
        )

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, the factors and the offsets."""
        sums = {"factor": (dY * cache).sum(axis=0), "offset": dY.sum(axis=0)}
        gradients = {
            name: sums[name].reshape(-1) if array.size > 1 else sums[name].sum().reshape(1)
            for name, array in self.parameters.items()
        }
        return dY * self._maps(self.factor).astype(dY.dtype), gradients
