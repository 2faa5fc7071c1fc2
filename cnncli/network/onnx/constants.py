"""Operators of ONNX on arrays that are known beforehand: what exporters leave to be computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Fields = Mapping[str, Any]


def fold(op: str, arrays: Sequence[Array], attributes: Fields) -> Array | None:
    """Return what an operator makes of arrays; None if it is not known here.

    Raises
    ------
    ValueError, IndexError, TypeError
        If the arrays do not fit it.

    Examples
    --------
    >>> fold("Concat", [np.array([1]), np.array([-1])], {"axis": 0})
    array([ 1, -1])
    """
    if op not in _FOLDS:
        return None
    # A hollow array holds zeros, and may be divided by.
    with np.errstate(all="ignore"):
        return np.asarray(_FOLDS[op](arrays, attributes))


def axes_of(arrays: Sequence[Array], attributes: Fields) -> tuple[int, ...] | None:
    """Return the axes that a node names: an input of newer operators, an attribute of older.

    Examples
    --------
    >>> axes_of([np.zeros(3)], {"axes": (2, 3)})
    (2, 3)
    """
    if len(arrays) > 1:
        return tuple(int(axis) for axis in arrays[1].reshape(-1))
    axes = attributes.get("axes")
    return None if axes is None else tuple(axes)


def _reshape(arrays: Sequence[Array], attributes: Fields) -> Array:
    shape = arrays[1].reshape(-1) if len(arrays) > 1 else attributes["shape"]
    kept = [arrays[0].shape[i] if n == 0 else int(n) for i, n in enumerate(shape)]
    return arrays[0].reshape(kept)


def _unsqueeze(arrays: Sequence[Array], attributes: Fields) -> Array:
    return np.expand_dims(arrays[0], axes_of(arrays, attributes) or ())


def _divide(arrays: Sequence[Array], attributes: Fields) -> Array:
    if arrays[0].dtype.kind in "iu":
        return np.asarray(arrays[0] // arrays[1])
    return np.asarray(arrays[0] / arrays[1])


_FOLDS: Final[dict[str, Callable[[Sequence[Array], Fields], Any]]] = {
    "Identity": lambda arrays, attributes: arrays[0],
    # All numbers become floats of the picture's kind in the end.
    "Cast": lambda arrays, attributes: arrays[0],
    "Shape": lambda arrays, attributes: np.array(arrays[0].shape),
    "Transpose": lambda arrays, attributes: arrays[0].transpose(attributes.get("perm")),
    "Reshape": _reshape,
    "Squeeze": lambda arrays, attributes: np.squeeze(arrays[0], axes_of(arrays, attributes)),
    "Unsqueeze": _unsqueeze,
    "Concat": lambda arrays, attributes: np.concatenate(arrays, attributes["axis"]),
    "Gather": lambda arrays, attributes: arrays[0].take(arrays[1], attributes.get("axis", 0)),
    "Add": lambda arrays, attributes: np.add(*arrays),
    "Sub": lambda arrays, attributes: np.subtract(*arrays),
    "Mul": lambda arrays, attributes: np.multiply(*arrays),
    "Div": _divide,
}
