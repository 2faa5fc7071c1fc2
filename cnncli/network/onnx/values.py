"""The inputs of an ONNX node: values made from the picture, arrays known beforehand, attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import placeholder
from cnncli.core.geometry import Pair
from cnncli.network.layers import FloatArray, Layer, MergeLayer
from cnncli.network.onnx.model import shortest

Array = np.ndarray[Any, Any]


ROWS_FIRST: Final = ("nchw", "nhwc")
"""Orders of the axes of a value that is still a picture."""

_STATES: Final = {
    **{"nchw": "not flattened", "nhwc": "transposed"},
    **dict.fromkeys(("chw", "hwc"), "flattened"),
}


class UnsupportedNode(Exception):
    """A node that cannot become a layer; says why."""


@dataclass(frozen=True)
class Signal:
    """A value that depends on the picture.

    Parameters
    ----------
    layer : str
        The layer that makes it.
    channels : int
    size : (int, int), optional
        Rows and columns, if they are known.
    axes : {"nchw", "nhwc", "chw", "hwc"}
        The order in which ONNX has its axes; without n they were flattened into one.
    type : str
        What ONNX holds it in: ``FLOAT``, ``UINT8`` and so on.
    """

    layer: str
    channels: int
    size: Pair | None
    axes: str = "nchw"
    type: str = "FLOAT"

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return "INT" in self.type

    @property
    def flat(self) -> bool:
        """Whether rows, columns and channels are one axis."""
        return self.axes not in ROWS_FIRST

    @property
    def is_pixel(self) -> bool:
        """Whether it has one row and one column."""
        return self.size == (1, 1)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape in ONNX for one picture, if it is known."""
        if self.size is None:
            return None
        length = {"n": 1, "c": self.channels, "h": self.size[0], "w": self.size[1]}
        if self.flat:
            return (1, self.size[0] * self.size[1] * self.channels)
        return tuple(length[axis] for axis in self.axes)


@dataclass(frozen=True)
class BuiltLayer:
    """A layer made from a node.

    Parameters
    ----------
    layer : Layer or MergeLayer
    inputs : tuple of Signal
    axes, type : str, optional
        Order of its axes in ONNX, and what ONNX holds it in; default: those of the first input.
    """

    layer: Layer | MergeLayer
    inputs: tuple[Signal, ...]
    axes: str | None = None
    type: str | None = None


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

        Raises
        ------
        UnsupportedNode
            If it does not, or has its axes in another order than those named.
        """
        value = self.input(index)
        if not isinstance(value, Signal):
            raise UnsupportedNode("it does not work on the picture")
        if axes and value.axes not in axes:
            raise UnsupportedNode(f"its input is {_STATES[value.axes]}")
        return value

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
        values: FloatArray = np.array(array, dtype, order="C")
        if not np.isfinite(values).all():
            raise UnsupportedNode("one of its numbers is NaN or infinite")
        return values

    def number(self, index: int, default: float) -> float:
        """Return an input of one number."""
        value = self.array(index)
        if value is None:
            return default
        if value.size != 1:
            raise UnsupportedNode(f"its input {index + 1} must be one number, got {value.shape}")
        return shortest(value.item()) if value.dtype == np.float32 else float(value.item())


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
    count = 2 if signal.flat else 4
    if axis is not None:
        array = array.reshape(array.shape + (1,) * (count - array.ndim - axis))
    shape = (1,) * (count - array.ndim) + array.shape
    if len(shape) == count and array.size == 1:
        return array.reshape(1)
    channel = 1 if signal.flat else signal.axes.index("c")
    one_each = len(shape) == count and shape[channel] == array.size == signal.channels
    if not one_each or (signal.flat and not signal.is_pixel):
        raise UnsupportedNode(f"its numbers {array.shape} are not one for each channel")
    return array.reshape(-1)
