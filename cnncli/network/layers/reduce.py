"""Reductions of maps over rows, columns or channels: means, sums, extremes and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.errors import OptionError, among
from cnncli.network.layers.axes import AXES, GivenAxes, check_axes
from cnncli.network.layers.base import Gradients
from cnncli.render.options import MapGroup, numbered_groups

MODES: Final = ("mean", "sum", "max", "min", "l1", "l2")


@dataclass(frozen=True)
class ReduceLayer(GivenAxes):
    """One number of all values along some axes, which then have length 1.

    Parameters
    ----------
    mode : {"mean", "sum", "max", "min", "l1", "l2"}
        ``l1`` is the sum of magnitudes, ``l2`` the root of the sum of squares.
    axes : tuple of str
        Some of rows, columns and channels.

    Examples
    --------
    >>> layer = ReduceLayer("sum", ("channels",))
    >>> layer.forward(np.arange(6.0).reshape(1, 1, 2, 3))[0].ravel()
    array([ 3., 12.])
    """

    mode: str = "mean"
    axes: tuple[str, ...] = ("rows", "columns")
    op: ClassVar[str] = "reduce"

    @property
    def label(self) -> str:
        """What a plan calls it."""
        return f"{self.op} {self.mode} over {', '.join(self.axes)}"

    def output_shape(self, shape: Shape) -> Shape:
        """Check the settings and return the shape with 1 for each axis."""
        if self.mode not in MODES:
            raise OptionError(
                f"mode must be one of {', '.join(MODES)}, got {self.mode!r}"
                f"{among(self.mode, MODES)}"
            )
        check_axes(self.axes)
        n_H, n_W, n_C = (
            1 if name in self.axes else n for name, n in zip(AXES, shape[1:], strict=True)
        )
        return shape[0], n_H, n_W, n_C

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups of the input, or one where channels become one."""
        return tuple(groups[0]) if self.keeps_channels else numbered_groups(1)

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the reduced maps; sums are taken in float64."""
        over = self.over
        if self.mode in ("max", "min"):
            extreme = X.max if self.mode == "max" else X.min
            return np.asarray(extreme(axis=over, keepdims=True))
        if self.mode == "mean":
            return np.asarray(X.mean(axis=over, keepdims=True, dtype=np.float64), X.dtype)
        if self.mode == "sum":
            return np.asarray(X.sum(axis=over, keepdims=True, dtype=np.float64), X.dtype)
        if self.mode == "l1":
            return np.asarray(np.abs(X).sum(axis=over, keepdims=True, dtype=np.float64), X.dtype)
        squares = np.square(X, dtype=np.float64).sum(axis=over, keepdims=True)
        return np.asarray(np.sqrt(squares), X.dtype)

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input; values that share an extreme share its gradient."""
        X = cache
        if self.mode in ("mean", "sum"):
            count = X[0].size // dY[0].size if self.mode == "mean" else 1
            return np.broadcast_to(dY / dY.dtype.type(count), X.shape).copy(), {}
        if self.mode == "l1":
            return dY * np.sign(X), {}
        Y = self.compute(X)
        if self.mode == "l2":
            # At 0 the norm has no gradient; 0 is the one that PyTorch takes.
            return dY * np.divide(X, Y, out=np.zeros_like(X), where=np.asarray(Y != 0)), {}
        winners = Y == X
        share = winners.sum(axis=self.over, keepdims=True)
        return np.where(winners, dY / np.maximum(share, 1).astype(dY.dtype), dY.dtype.type(0)), {}
