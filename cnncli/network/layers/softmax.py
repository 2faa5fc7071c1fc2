"""Shares of 1 over rows, columns and channels: the layer of softmax and log-softmax."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.activations import ACTIVATIONS, Activation
from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.layers.axes import GivenAxes, check_axes
from cnncli.network.layers.base import Gradients


@dataclass(frozen=True)
class SoftmaxLayer(GivenAxes):
    """Values as shares of 1 along some axes; those of each pixel are an `ActivationLayer` too.

    Parameters
    ----------
    axes : tuple of str
        Some of rows, columns and channels: what is summed to 1.
    log : bool
        Whether the logarithms of the shares are wanted.

    Examples
    --------
    >>> X = np.log(np.array([1.0, 3.0])).reshape(1, 1, 2, 1)
    >>> SoftmaxLayer(("columns",)).forward(X)[0].ravel().round(6)
    array([0.25, 0.75])
    """

    axes: tuple[str, ...] = ("channels",)
    log: bool = False
    op: ClassVar[str] = "softmax"

    @property
    def function(self) -> Activation:
        """The function with its gradient and its formula."""
        return ACTIVATIONS["log-softmax" if self.log else "softmax"]

    @property
    def label(self) -> str:
        """What a plan calls it."""
        return f"{'log-' if self.log else ''}{self.op} over {', '.join(self.axes)}"

    def output_shape(self, shape: Shape) -> Shape:
        """Check the axes, and return the shape as it is."""
        check_axes(self.axes)
        return shape

    def _last(self, X: FloatArray) -> FloatArray:
        """Return maps with the axes that are summed to 1 as one, behind all others."""
        moved = np.moveaxis(X, self.over, range(-len(self.over), 0))
        return moved.reshape(*moved.shape[: -len(self.over)], -1)

    def _back(self, T: FloatArray, shape: Shape) -> FloatArray:
        """Return what `_last` made as maps of a shape."""
        lengths = (shape[axis] for axis in self.over)
        moved = T.reshape(*T.shape[:-1], *lengths)
        return np.ascontiguousarray(np.moveaxis(moved, range(-len(self.over), 0), self.over))

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the shares."""
        return self._back(self.function.forward(self._last(X)), X.shape)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the shares, and both for the backward pass."""
        Y = self.compute(X)
        return Y, (X, Y)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input."""
        dX = self.function.backward(*map(self._last, (dY, *cache)))
        return self._back(dX, dY.shape), {}
