"""Layers that work on each cell, behind a convolution, run as one while a strip is in cache."""

from __future__ import annotations

from typing import ClassVar

from cnncli._dataclass import dataclass
from cnncli.core.activations import multiply_by_sigmoid
from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.layers.base import Layer, MergeLayer, Pointwise
from cnncli.network.layers.merge import MulLayer
from cnncli.network.layers.pointwise import ActivationLayer


@dataclass(frozen=True, eq=False)
class ElementwiseChain(Pointwise):
    """Activations, scales, sums, products and the like of one input, as one layer.

    Parameters
    ----------
    steps : tuple of (layer, tuple of int)
        Each with the values it takes: 0 is the input, n the output of the n-th step.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.network.layers import ActivationLayer, MulLayer
    >>> silu = ElementwiseChain(((ActivationLayer("sigmoid"), (0,)), (MulLayer(), (0, 1))))
    >>> silu.compute(np.array([0.0, 2.0])).round(3)
    array([0.   , 1.762])
    """

    steps: tuple[tuple[Layer | MergeLayer, tuple[int, ...]], ...]
    op: ClassVar[str] = "elementwise"

    def overwrite(self, X: FloatArray) -> None:
        """Write the output of any rows over them; SiLU, the most usual chain, in fewer passes."""
        if self.is_silu:
            multiply_by_sigmoid(X)
        else:
            super().overwrite(X)

    @property
    def is_silu(self) -> bool:
        """Whether values are multiplied by their sigmoid."""
        if len(self.steps) != 2:
            return False
        (gate, of_what), (product, factors) = self.steps
        return (
            isinstance(gate, ActivationLayer)
            and (gate.activation, of_what) == ("sigmoid", (0,))
            and isinstance(product, MulLayer)
            and sorted(factors) == [0, 1]
        )

    @property
    def each_alone(self) -> bool:
        """Whether a value depends on itself alone: not on its channel or other channels."""
        return all(step.each_alone for step, _ in self.steps if isinstance(step, Pointwise))

    def output_shape(self, shape: Shape) -> Shape:
        """Check each layer's settings and return the shape."""
        for step, inputs in self.steps:
            step.output_shape(*[shape] * len(inputs))
        return shape

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the last step's values."""
        values = [X]
        for step, inputs in self.steps:
            values.append(step.forward(*(values[number] for number in inputs))[0])
        return values[-1]
