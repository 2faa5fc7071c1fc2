"""What ONNX operators make of arrays that are known before any picture is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from cnncli.network.onnx.values import Array

Fields = Mapping[str, Any]

TYPES: Final = {
    **{1: "FLOAT", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64"},
    **{9: "BOOL", 10: "FLOAT16", 11: "DOUBLE", 12: "UINT32", 13: "UINT64", 16: "BFLOAT16"},
}
"""What ONNX calls its types, by their numbers."""

FLOATS: Final = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")

_MOST: Final = 2**24
"""Numbers of an array that a few others may make."""


def evaluate_constant(op: str, arrays: Sequence[Array | None], attributes: Fields) -> Array | None:
    """Return what an operator makes of arrays; None if it is not known here.

    Parameters
    ----------
    op : str
    arrays : sequence of ndarray or None
        None where an input is left out.
    attributes : mapping

    Raises
    ------
    ValueError, LookupError, TypeError
        If the arrays do not fit it.

    Examples
    --------
    >>> evaluate_constant("Concat", [np.array([1]), np.array([-1])], {"axis": 0})
    array([ 1, -1])
    """
    if op not in _ON_ARRAYS:
        return None
    # A placeholder holds zeros, and may be divided by.
    with np.errstate(all="ignore"):
        return np.asarray(_ON_ARRAYS[op](attributes, *arrays))


def named_axes(attributes: Fields, array: Array | None = None) -> tuple[int, ...] | None:
    """Return the axes that a node names: an input of newer operators, an attribute of older.

    Examples
    --------
    >>> named_axes({"axes": (2, 3)})
    (2, 3)
    """
    axes = attributes.get("axes") if array is None else array.reshape(-1)
    return None if axes is None else tuple(int(axis) for axis in axes)


def _cast(attributes: Fields, array: Array) -> Array:
    """Drop what is behind the point where whole numbers are made."""
    kind = TYPES[attributes["to"]]
    if kind in FLOATS:
        rounded = array.astype(np.float16) if kind == "FLOAT16" else array
        return rounded.astype(np.float64 if kind == "DOUBLE" else np.float32)
    return array != 0 if kind == "BOOL" else array.astype(kind.lower())


def dequantized(attributes: Fields, q: Array, scale: Array, zero: Array | None = None) -> Array:
    """Return the numbers that quantised ones stand for, ``(q - zero) * scale``.

    Examples
    --------
    >>> dequantized({}, np.array([130], np.uint8), np.float32(0.5), np.uint8(128))
    array([1.], dtype=float32)
    """
    if attributes.get("block_size", 0):
        raise ValueError("its scales are given for blocks")
    scale = np.asarray(scale)
    if scale.ndim == 1 and scale.size > 1:
        shape = [1] * q.ndim
        shape[attributes.get("axis", 1)] = -1
        scale, zero = scale.reshape(shape), None if zero is None else zero.reshape(shape)
    shifted = q.astype(np.int64) - (0 if zero is None else np.asarray(zero, np.int64))
    return np.asarray(shifted.astype(scale.dtype) * scale)


def _reshape(attributes: Fields, array: Array, shape: Array | None = None) -> Array:
    lengths = attributes["shape"] if shape is None else shape.reshape(-1)
    return array.reshape([array.shape[i] if n == 0 else int(n) for i, n in enumerate(lengths)])


def _divide(attributes: Fields, a: Array, b: Array) -> Array:
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)


def _fill(attributes: Fields, shape: Array) -> Array:
    value = attributes.get("value")
    value = np.zeros(1, np.float32) if value is None else np.asarray(value)
    lengths = tuple(int(length) for length in shape.reshape(-1))
    if np.prod(lengths, dtype=np.float64) > _MOST:
        raise ValueError(f"it makes an array of {lengths}")
    return np.broadcast_to(value.reshape(-1)[0], lengths)


def _slice(attributes: Fields, array: Array, *inputs: Array | None) -> Array:
    if not inputs:
        inputs = tuple(
            None if attributes.get(name) is None else np.array(attributes[name])
            for name in ("starts", "ends", "axes")
        )
    starts, ends, axes, steps = (*inputs, None, None)[:4]
    assert starts is not None and ends is not None
    chosen = [slice(None)] * array.ndim
    for index in range(starts.size):
        axis = index if axes is None else int(axes.reshape(-1)[index])
        step = 1 if steps is None else int(steps.reshape(-1)[index])
        stop: int | None = int(ends.reshape(-1)[index])
        if step < 0 and stop is not None and stop < -array.shape[axis]:
            stop = None
        chosen[axis] = slice(int(starts.reshape(-1)[index]), stop, step)
    return array[tuple(chosen)]


def _expand(attributes: Fields, array: Array, shape: Array) -> Array:
    lengths = np.broadcast_shapes(array.shape, tuple(int(n) for n in shape.reshape(-1)))
    if np.prod(lengths, dtype=np.float64) > _MOST:
        raise ValueError(f"it makes an array of {lengths}")
    return np.broadcast_to(array, lengths)


def _product(attributes: Fields, array: Array, *axes: Array | None) -> Array:
    over = named_axes(attributes, *axes)
    return np.asarray(array.prod(axis=over, keepdims=bool(attributes.get("keepdims", 1))))


def _range(attributes: Fields, first: Array, last: Array, step: Array) -> Array:
    if abs(last.item() - first.item()) > _MOST * abs(step.item()):
        raise ValueError("it makes too many numbers")
    return np.arange(first.item(), last.item(), step.item()).astype(first.dtype)


_ON_ARRAYS: Final[dict[str, Callable[..., Any]]] = {
    "Identity": lambda attributes, array: array,
    "Cast": _cast,
    "Shape": lambda attributes, array: np.array(array.shape)[
        attributes.get("start", 0) : attributes.get("end")
    ],
    "Transpose": lambda attributes, array: array.transpose(attributes.get("perm")),
    "Reshape": _reshape,
    "Flatten": lambda attributes, array: array.reshape(
        (int(np.prod(array.shape[: attributes.get("axis", 1)])), -1)
    ),
    "Squeeze": lambda attributes, array, *axes: np.squeeze(array, named_axes(attributes, *axes)),
    "Unsqueeze": lambda attributes, array, *axes: np.expand_dims(
        array, named_axes(attributes, *axes) or ()
    ),
    "Concat": lambda attributes, *arrays: np.concatenate(arrays, attributes["axis"]),
    "Gather": lambda attributes, array, index: array.take(index, attributes.get("axis", 0)),
    "Slice": _slice,
    "ConstantOfShape": _fill,
    "Expand": _expand,
    "ReduceProd": _product,
    "DequantizeLinear": dequantized,
    "Add": lambda attributes, a, b: a + b,
    "Sub": lambda attributes, a, b: a - b,
    "Mul": lambda attributes, a, b: a * b,
    "Div": _divide,
    "Neg": lambda attributes, a: -a,
    "Abs": lambda attributes, a: np.abs(a),
    "Sqrt": lambda attributes, a: np.sqrt(a),
    "Reciprocal": lambda attributes, a: 1 / a,
    "Pow": lambda attributes, a, b: np.power(a, b.astype(a.dtype)),
    "Floor": lambda attributes, a: np.floor(a),
    "Ceil": lambda attributes, a: np.ceil(a),
    "Equal": lambda attributes, a, b: a == b,
    "Where": lambda attributes, chosen, a, b: np.where(chosen, a, b),
    "Range": _range,
}
"""What each operator makes of its attributes and arrays."""
