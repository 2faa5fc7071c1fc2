"""Zeros in place of a picture's values, marked, with which sizes are found beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnncli.core.arrays import Array
from cnncli.network.layers.view import Dims
from cnncli.network.onnx.reference import ReferenceNode
from cnncli.network.onnx.shapes import NotRun, Tensor


class OfPicture(np.ndarray[Any, Any]):
    """Zeros in place of values that only a picture has, and what is made of them."""


class OpenOfPicture(OfPicture):
    """The same of another size than a picture would give: its values tell that too."""

    node: str
    """The first node whose result's size they tell."""

    @classmethod
    def of(cls, array: Array, node: str) -> OpenOfPicture:
        """Return an array as one of these."""
        marked = array.view(cls)
        marked.node = node
        return marked

    def __array_finalize__(self, other: Any) -> None:
        self.node = getattr(other, "node", "")


def size_is_open(work: ReferenceNode, inputs: Sequence[Array | None]) -> bool:
    """Tell whether zeros in place of the picture's values give a result of a wrong size."""
    tensors = [
        None if array is None else Tensor(str(array.dtype), _known_dims(array)) for array in inputs
    ]
    known = {
        number: np.asarray(array)
        for number, array in enumerate(inputs)
        if array is not None and not isinstance(array, OfPicture)
    }
    try:
        # Further results, such as the indices of winners, are as large as the first.
        found = work.tensors(tensors, known)[:1]
    except NotRun:
        return True
    return any(tensor is None or tensor.is_open for tensor in found)


def _known_dims(array: Array) -> Dims:
    return (None,) * array.ndim if isinstance(array, OpenOfPicture) else array.shape


def sized(array: Array | None) -> Array:
    """Return an array whose size is that of what a picture gives."""
    if isinstance(array, OpenOfPicture):
        raise NotRun(f"{array.node}: only values of the picture tell the size of its result")
    return given(array)


def of_picture(arrays: Sequence[Array | None]) -> list[Array | None]:
    """Return arrays marked as of the picture; those that are keep their mark."""
    return [
        array if array is None or isinstance(array, OfPicture) else array.view(OfPicture)
        for array in arrays
    ]


def given(array: Array | None) -> Array:
    """Return an array that must be there."""
    if array is None:
        raise NotRun("one of its inputs has no value")
    return array


def one_above_the_other(arrays: Sequence[Array]) -> Array:
    """Return arrays of a shape as one, which is of the picture where one of them is."""
    whole = np.stack([np.asarray(array) for array in arrays])
    marked = [array for array in arrays if isinstance(array, OfPicture)]
    is_open = [array for array in marked if isinstance(array, OpenOfPicture)]
    if is_open:
        return OpenOfPicture.of(whole, is_open[0].node)
    return whole.view(OfPicture) if marked else whole
