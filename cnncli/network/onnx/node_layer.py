"""A node of ONNX that cnncli has no layer of its own for, run by the ReferenceEvaluator.

It takes any number of inputs, gives one of the node's outputs, and works in the model's own shapes
and types, one image at a time. It has no gradient and no strips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Box
from cnncli.errors import CnnCliError, ShapeError
from cnncli.network.layers.base import ChannelwiseDefaults, Gradients
from cnncli.network.layers.view import Layout, numbered_groups
from cnncli.network.onnx.control import RanGraph
from cnncli.network.onnx.reference import POINTWISE, Array, Dims, NotRun, RanNode, Tensor
from cnncli.render.options import MapGroup

FLOATS: Final = ("float32", "float64")


@dataclass(frozen=True)
class Operand:
    """An input of a node that layers make.

    Parameters
    ----------
    number : int
        Which of the node's inputs it is.
    layout : Layout
        How its tensor is stored in maps.
    dtype : str
        Of the tensor, as numpy names it.
    """

    number: int
    layout: Layout
    dtype: str


@dataclass(frozen=True, eq=False)
class OnnxNodeLayer(ChannelwiseDefaults):
    """One output of a node, run by ONNX's ReferenceEvaluator.

    Parameters
    ----------
    node : RanNode or RanGraph
    operands : tuple of Operand
        Its inputs that layers make, in the order of this layer's inputs.
    constants : mapping of int to ndarray
        Its other inputs, by their number; those that are left out have none.
    count : int
        How many inputs the node has.
    output : int
        Which of its outputs this is.
    layout : Layout
        How the output is stored in maps.
    channels : int
        Of those maps.
    dims : Dims
        The shape of the output, as far as it was known when the model was read.
    is_open : bool
        Whether only the values tell how large the output is.
    """

    node: RanNode | RanGraph
    operands: tuple[Operand, ...]
    constants: Mapping[int, Array]
    count: int
    output: int
    layout: Layout
    channels: int
    dims: Dims
    is_open: bool = False
    op: ClassVar[str] = "onnx"
    keeps_channels: ClassVar[bool] = False
    has_gradient: ClassVar[bool] = False

    def result(self, *shapes: Shape) -> Tensor:
        """Return the type and the shape of the output, for maps of those shapes.

        Raises
        ------
        NotRun
            If the inputs do not fit the node.
        """
        tensors: list[Tensor | None] = [None] * self.count
        for number, array in self.constants.items():
            tensors[number] = Tensor(str(array.dtype), array.shape)
        for operand, shape in zip(self.operands, shapes, strict=True):
            tensors[operand.number] = Tensor(operand.dtype, operand.layout.shape(shape[1:]))
        made = self.node.tensors(tensors, self.constants)[self.output]
        if made is None:
            raise NotRun("the shape of its result is not known beforehand")
        return made

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output; where only values tell it, the largest there can be."""
        try:
            # What is in graphs is looked at once, when the model is read.
            plain = isinstance(self.node, RanNode)
            dims = self.result(*shapes).dims if plain else self.dims
        except NotRun as error:
            raise ShapeError(f"{self.node.op}: {error}") from None
        dims = largest_dims(dims, [math.prod(shape[1:]) for shape in shapes])
        return (shapes[0][0], *self.layout.cells(dims))

    def output_groups(self, *groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel."""
        return numbered_groups(self.channels)

    @property
    def label(self) -> str:
        """What `plan` calls it: the node's operator."""
        return f"{self.node.op}{', size at most' if self.is_open else ''}"

    @property
    def reads_all(self) -> bool:
        """Whether a cell of the output may depend on any of the input, not on its own alone."""
        layouts = {operand.layout for operand in self.operands} | {self.layout}
        return self.node.op not in POINTWISE or len(layouts) > 1

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return all of the input, or the box itself where each cell is computed on its own."""
        return (slice(0, shape[1]), slice(0, shape[2])) if self.reads_all else box

    def forward(self, *inputs: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output's maps, and nothing for a backward pass."""
        with np.errstate(all="ignore"):
            tensors = [
                operand.layout.load(X).astype(operand.dtype, copy=False)
                for operand, X in zip(self.operands, inputs, strict=True)
            ]
        results = [self._one([T[k] for T in tensors]) for k in range(len(inputs[0]))]
        shape = results[0].shape
        # Rows and columns may differ from those that the model was read for, but no axis more.
        same = len(shape) == len(self.dims) if isinstance(self.node, RanNode) else False
        if not (same or _fits(shape, self.dims)):
            raise ShapeError(f"{self.node.op} gives the shape {shape}, where it was {self.dims}")
        if len({result.shape for result in results}) > 1:
            raise ShapeError(f"{self.node.op} makes results of several shapes of the images")
        floats = [
            X.dtype
            for operand, X in zip(self.operands, inputs, strict=True)
            if operand.dtype in FLOATS
        ]
        Y = np.stack(results)
        if Y.dtype.kind == "f":
            Y = Y.astype(np.result_type(Y.dtype, *floats), copy=False)
        elif Y.dtype.kind != "b" and Y.dtype.itemsize > 2:
            # Exact up to 2**53; float32 would be up to 2**24 alone.
            Y = Y.astype(np.float64)
        else:
            Y = Y.astype(np.float32)
        try:
            maps = self.layout.store(Y, self.layout.cells(Y.shape[1:]))
        except ValueError:
            text = f"{self.node.op} gives the shape {shape} for one image, where it was {self.dims}"
            raise ShapeError(text) from None
        return np.ascontiguousarray(maps), None

    def _one(self, tensors: Sequence[Array]) -> Array:
        """Return the output for one image."""
        given: list[Array | None] = [self.constants.get(number) for number in range(self.count)]
        for operand, tensor in zip(self.operands, tensors, strict=True):
            given[operand.number] = tensor
        try:
            return self.node.run(given)[self.output]
        except NotRun as error:
            raise CnnCliError(f"{self.node.op} cannot be run: {error}") from None

    def backward(self, dY: FloatArray, cache: Any) -> tuple[tuple[FloatArray, ...], Gradients]:
        """Raise: it has no gradient."""
        raise CnnCliError(f"{self.node.op} is run by onnx and has no gradient")


def _fits(shape: Sequence[int], dims: Dims) -> bool:
    """Tell whether a shape is what was known of it."""
    pairs = zip(shape, dims, strict=False)
    return len(shape) == len(dims) and all(known in (None, length) for length, known in pairs)


def largest_dims(dims: Dims, counts: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with lengths that are not known as large as they may become.

    Parameters
    ----------
    dims : Dims
    counts : sequence of int
        Numbers of the inputs.

    Examples
    --------
    >>> largest_dims((None, 3), [300, 100])
    (100, 3)
    """
    known = math.prod(length for length in dims if length is not None)
    rest = max(1, -(-max(counts, default=1) // max(known, 1)))
    lengths = []
    for length in dims:
        lengths.append(rest if length is None else length)
        rest = 1 if length is None else rest
    return tuple(lengths)
