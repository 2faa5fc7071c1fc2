"""The inputs of an ONNX node: values made from the picture, arrays known beforehand, attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, in_memory_order, non_finite_text, placeholder
from cnncli.core.geometry import Pair
from cnncli.network.layers import FloatArray, Layer, MergeLayer
from cnncli.network.layers.view import Dims, Layout, ViewLayer, layout_of
from cnncli.network.model import SIZE_UNKNOWN
from cnncli.network.onnx.model import shortest

ROWS_FIRST: Final = ("nchw", "nhwc")
"""Orders of the axes of a value that is still a picture."""

DOUBLES: Final = ("INT32", "INT64", "UINT32", "UINT64", "DOUBLE")
"""Types whose numbers float32 does not hold: what ONNX's ReferenceEvaluator makes of them is
float64, and stays so in layers of cnncli's own."""

IN_TRAINING: Final = "it is in training mode: call model.eval() before the export"


class UnsupportedNode(Exception):
    """A node that cannot become a layer of cnncli's own; says why."""


class SizeUnknown(UnsupportedNode):
    """One that could, if the size of the picture were known."""

    def __init__(self) -> None:
        super().__init__(SIZE_UNKNOWN)


@dataclass(frozen=True)
class Signal:
    """A value that depends on the picture.

    Parameters
    ----------
    layer : str
        The layer that makes it.
    channels : int
        Of that layer's maps.
    size : (int, int), optional
        Rows and columns of its maps, if they are known.
    layout : Layout
        How ONNX's tensor is stored in them.
    type : str
        What ONNX holds it in: ``FLOAT``, ``UINT8`` and so on.
    pending : tuple of Layer
        Layers that the maps of `layer` must go through first, one after the other.
    open : Dims, optional
        The tensor's shape, if some of it is known only when the values are: channels and size are
        then the largest that there can be.
    is_estimated : bool
        Whether nothing tells how large it is at the most.
    channels_last : bool
        Whether the tensor's last axis is known to be that of the channels: the picture came so, a
        node put it there, or a matrix of weights worked on it.
    matrices : bool
        Whether its last two axes are those of products of two values, as in attention.
    doubles : bool
        Whether its maps are float64 whatever the picture is, see `DOUBLES`.
    """

    layer: str
    channels: int
    size: Pair | None
    layout: Layout = field(default_factory=Layout)
    type: str = "FLOAT"
    pending: tuple[Layer, ...] = ()
    open: Dims | None = None
    is_estimated: bool = False
    channels_last: bool = False
    matrices: bool = False
    doubles: bool = False

    @property
    def axes(self) -> str:
        """ONNX's axes by the letters of `Layout`."""
        return self.layout.axes

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return "INT" in self.type

    @property
    def is_float(self) -> bool:
        """Whether it holds floats."""
        return self.type in ("FLOAT", "DOUBLE")

    @property
    def flat(self) -> bool:
        """Whether rows, columns and channels are one axis."""
        return self.layout.flat

    @property
    def is_pixel(self) -> bool:
        """Whether it has one row and one column."""
        return self.size == (1, 1)

    @property
    def cells(self) -> tuple[int, int, int] | None:
        """Rows, columns and channels, if they are known."""
        return None if self.size is None else (*self.size, self.channels)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape in ONNX for one picture, if it is known."""
        if self.cells is None or self.open is not None:
            return None
        return self.layout.shape(self.cells)

    @property
    def dims(self) -> Dims | None:
        """The shape in ONNX as far as it is known; None if not even how many axes there are."""
        if self.open is not None or self.shape is not None:
            return self.open or self.shape
        if not self.layout.is_plain:
            return None
        length = {"n": 1, "c": self.channels}
        return tuple(length.get(axis) for axis in self.axes)

    @property
    def has_depth(self) -> bool:
        """Whether ONNX's tensor is (1, 1, C, H, W), its third axis the channels of the maps."""
        depth = (1, 1, self.channels, *(self.size or ()))
        return self.layout.order == "chw" and self.shape == depth

    def restored(self) -> Signal:
        """Return the same value in the layout that tensors of its shape have, as a view."""
        shape, cells = self.shape, self.cells
        if shape is None or cells is None or layout_of(shape) == self.layout:
            return self
        layout = layout_of(shape)
        view = ViewLayer(self.layout, tuple(range(len(shape))), layout.cells(shape)[2])
        return replace(self.through(view), layout=layout)

    def as_maps(self) -> Signal:
        """Return the same value in maps of its own axes, with a view if they are others now.

        A tensor of four axes is maps of its last two, or of the two between where channels are
        last; numbers in a row are channels of one cell.

        Raises
        ------
        SizeUnknown
            If the size, and so how many maps there are, is not known.
        """
        shape = self.shape
        if shape is None or self.cells is None:
            return self._as_open_maps()
        if len(shape) != 4 and math.prod(shape[:-1]) == 1:
            # What has no axis is a pixel.
            row = (1, *shape[-1:])
            return self if self.is_pixel else self._viewed(row, Layout("nchw", dims=shape))
        if len(shape) != 4 or shape[0] != 1 or self._is_in_own_axes:
            return self
        if self.channels_last:
            return self._viewed(None, Layout("nhwc"), (0, 3, 1, 2))
        return self._viewed(None, Layout("nchw"))

    def as_matrices(self) -> Signal:
        """Return the same value in maps that each are one matrix of its last two axes."""
        shape = self.shape
        if shape is None or len(shape) < 2 or self.is_pixel:
            return self
        if self._is_in_own_axes and not self.layout.order.endswith("c"):
            return self
        dims = (1, math.prod(shape[:-2]), *shape[-2:])
        return self._viewed(dims, Layout("nchw", dims=shape))

    def as_table(self) -> Signal:
        """Return the same value as one map whose columns are the tensor's last axis."""
        shape = self.shape
        if shape is None or not shape:
            return self
        dims = (1, 1, math.prod(shape[:-1]), shape[-1])
        return self._viewed(dims, Layout("hwc", dims=shape))

    @property
    def _is_in_own_axes(self) -> bool:
        """Whether rows, columns and channels of its maps are those of a tensor of four axes."""
        axes = ROWS_FIRST if self.channels_last else ROWS_FIRST[:1]
        return self.layout.is_plain and self.axes in axes

    def _as_open_maps(self) -> Signal:
        """Return maps of any size with the tensor's own rows and columns."""
        kept = self.open is not None or (self.layout.is_plain and len(self.axes) != 4)
        if kept or self._is_in_own_axes or (self.flat and self.is_pixel):
            return self
        if self.layout != Layout("ncwh"):
            raise SizeUnknown
        view = ViewLayer(self.layout, (0, 1, 2, 3), self.channels)
        return replace(self, pending=(*self.pending, view), layout=Layout())

    def _viewed(
        self, new_shape: tuple[int, ...] | None, layout: Layout, order: tuple[int, ...] = ()
    ) -> Signal:
        """Return it with a view that orders its axes and gives it a shape; `layout` of the maps."""
        shape = self.shape or ()
        order = order or tuple(range(len(shape)))
        turned = new_shape or tuple(shape[axis] for axis in order)
        channels = layout_of(turned).cells(turned)[2]
        view = ViewLayer(self.layout, order, channels, new_shape)
        return replace(self.through(view), layout=layout)

    def through(self, layer: Layer) -> Signal:
        """Return the value with another layer behind it, of which the node at work makes use.

        Raises
        ------
        UnsupportedNode
            If its size is not known.
        """
        if self.size is None:
            raise SizeUnknown
        _, n_H, n_W, channels = layer.output_shape((1, *self.size, self.channels))
        pending = (*self.pending, layer)
        return replace(self, channels=channels, size=(n_H, n_W), pending=pending)


def depth_layout(x: Signal, layer: Layer) -> Layout:
    """Return how what a layer makes of a value (1, 1, C, H, W) is such a value again."""
    _, *size, channels = layer.output_shape((1, *(x.size or ()), x.channels))
    return Layout("nchw", dims=(1, 1, channels, *size))


Value = Signal | Array | None
"""What depends on the picture, what is known beforehand, and what is left out."""


@dataclass(frozen=True)
class BuiltLayer:
    """A layer made from a node.

    Parameters
    ----------
    layer : Layer or MergeLayer
    inputs : tuple of Signal
    layout : Layout, optional
        Of its output; default: that of the first input.
    type : str, optional
        What ONNX holds its output in; default: that of the first input.
    open : Dims, optional
        As in `Signal`.
    """

    layer: Layer | MergeLayer
    inputs: tuple[Signal, ...]
    layout: Layout | None = None
    type: str | None = None
    open: Dims | None = None


@dataclass(frozen=True)
class NodeInputs:
    """A node's attributes and inputs.

    Parameters
    ----------
    attributes : mapping of str to object
        As `OnnxNode` has them.
    name : str
        Of the layer that shall come of it.
    opset : int
    inputs : tuple of (Signal, ndarray or None)
        None where an input is left out.
    weights : bool
        Whether arrays of floats hold their values.
    outputs : int
        How many the node has.
    """

    attributes: Mapping[str, Any]
    name: str
    opset: int
    inputs: tuple[Signal | Array | None, ...]
    weights: bool = True
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def input(self, index: int) -> Signal | Array | None:
        """Return an input; None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def signal(self, index: int = 0, axes: Sequence[str] = ()) -> Signal:
        """Return an input that depends on the picture.

        Parameters
        ----------
        index : int
        axes : sequence of str
            In which orders its axes may be, none of them flattened or split: a value in another
            layout is brought into the first that its shape fits. Default: any layout.

        Raises
        ------
        UnsupportedNode
            If it does not depend on the picture, or has other axes.
        """
        value = self.input(index)
        if not isinstance(value, Signal):
            raise UnsupportedNode("it does not work on the picture")
        if value.open is not None:
            raise UnsupportedNode("the size of its input is not known beforehand")
        if not axes or (value.layout.is_plain and value.axes in axes):
            return value
        restored = value.restored()
        if restored.layout.is_plain and restored.axes in axes:
            return restored
        state = "flattened" if value.flat else f"of the axes {value.axes}"
        raise UnsupportedNode(f"its input is {state}")

    def picture(self) -> Signal:
        """Return the first input, which must have ONNX's four axes in their order."""
        return self.signal(0, ("nchw",))

    def array(self, index: int) -> Array | None:
        """Return an input that is known beforehand; None if it is left out.

        Raises
        ------
        UnsupportedNode
            If it depends on the picture.
        """
        value = self.input(index)
        if isinstance(value, Signal):
            raise UnsupportedNode(f"its input {index + 1} depends on the picture")
        return value

    def needed(self, index: int) -> Array:
        """Return an input that is known beforehand and must be there."""
        value = self.array(index)
        if value is None:
            raise UnsupportedNode(f"its input {index + 1} is missing")
        return value

    def parameter(self, array: Array) -> FloatArray:
        """Return an array as a parameter of a layer: floats, all of them finite.

        Raises
        ------
        UnsupportedNode
            If one is not.
        """
        dtype = "f4" if array.dtype == np.float32 else "f8"
        if not self.weights:
            return placeholder(dtype, array.shape)
        values: FloatArray = in_memory_order(array, dtype)
        if faulty := non_finite_text("weights", values):
            raise UnsupportedNode(f"{faulty} NaN or infinite")
        return values

    def number(self, index: int, default: float) -> float:
        """Return an input of one number."""
        value = self.array(index)
        if value is None:
            return default
        if value.size != 1:
            raise UnsupportedNode(f"its input {index + 1} must be one number, got {value.shape}")
        return shortest(value.item()) if value.dtype == np.float32 else float(value.item())

    def numbers(self, index: int, name: str) -> tuple[int, ...] | None:
        """Return whole numbers: an input of newer operators, an attribute of older; else None."""
        array = self.array(index)
        numbers = self.get(name) if array is None else array.reshape(-1).tolist()
        return None if numbers is None else tuple(int(number) for number in numbers)


def from_start(number: int, length: int, what: str) -> int:
    """Return an axis or an index counted from the start; below 0 it counts from the end.

    Raises
    ------
    UnsupportedNode
        If there is none.

    Examples
    --------
    >>> from_start(-1, 4, "axis")
    3
    """
    if not -length <= number < length:
        raise UnsupportedNode(f"its {what} must be {-length} to {length - 1}, got {number}")
    return number % length


def per_channel(array: Array, signal: Signal, axis: int | None = None) -> Array:
    """Return an array that is broadcast over a value as one number, or one for each channel.

    Parameters
    ----------
    array : ndarray
    signal : Signal
    axis : int, optional
        Where its first axis meets the value's, as old operators say; default: the last ones meet.

    Raises
    ------
    UnsupportedNode
        If it changes the shape, or differs from place to place.

    Examples
    --------
    >>> per_channel(np.ones((3, 1, 1)), Signal("conv1", 3, None)).shape
    (3,)
    """
    layout = signal.layout
    axes = "nc" if signal.flat else signal.axes
    count = len(axes) if layout.dims is None else len(layout.dims)
    if axis is not None:
        array = array.reshape(array.shape + (1,) * (count - array.ndim - axis))
    shape = (1,) * (count - array.ndim) + array.shape
    if len(shape) == count and array.size == 1:
        return array.reshape(1)
    at = axes.find("c")
    one_each = len(shape) == count and at >= 0 and shape[at] == array.size == signal.channels
    flattened = signal.flat and not signal.is_pixel
    if not one_each or flattened or layout.dims is not None:
        raise UnsupportedNode(f"its numbers {array.shape} are not one for each channel")
    return array.reshape(-1)


def each_cell(array: Array, signal: Signal) -> Array:
    """Return an array that is broadcast over a value as the numbers of its maps.

    Returns
    -------
    ndarray, shape (n_H, n_W, n_C)

    Raises
    ------
    UnsupportedNode
        If it makes the value larger, or the value's size is not known.

    Examples
    --------
    >>> each_cell(np.ones((1, 8)), Signal("conv1", 3, (4, 8))).shape
    (4, 8, 3)
    """
    if signal.cells is None or signal.shape is None:
        raise SizeUnknown
    try:
        whole = np.broadcast_to(array, signal.shape)
    except ValueError:
        text = f"its numbers {array.shape} are not one for each channel or each cell"
        raise UnsupportedNode(text) from None
    maps: Array = signal.layout.store(whole[np.newaxis], signal.cells)[0]
    return maps
