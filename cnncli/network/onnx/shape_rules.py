"""The shapes that ONNX gives the results of frequent operators, without its inference of shapes.

To load that inference takes longer than to read a network of a hundred layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.network.onnx.values import NodeInputs, UnsupportedNode, from_start

Lengths = tuple[int, ...]

_LIKE_FIRST: Final = """
    Abs BatchNormalization Cast Ceil Celu Clip Elu Erf Exp Floor Gelu HardSigmoid HardSwish
    Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax Mish Neg PRelu Reciprocal Relu
    Round Selu Sigmoid Sign Softmax Softplus Softsign Sqrt Swish Tanh ThresholdedRelu
"""
_BROADCAST: Final = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum")
_NEW_BROADCAST: Final = 8
"""The first version of ONNX in which all of these broadcast as numpy does."""


def has_rule(op: str, node: NodeInputs) -> bool:
    """Tell whether `ruled_shape` knows the operator."""
    return op in _RULES and (op not in _BROADCAST or node.opset >= _NEW_BROADCAST)


def ruled_shape(op: str, node: NodeInputs) -> Lengths | None:
    """Return the shape of a node's first output.

    Parameters
    ----------
    op : str
        One that `has_rule`.
    node : NodeInputs

    Returns
    -------
    tuple of int, optional
        None where shapes of its inputs are not known, or do not fit, or where numbers that it
        depends on are not known beforehand.

    Examples
    --------
    >>> one, other = np.ones((1, 3, 4, 4)), np.ones((1, 5, 4, 4))
    >>> ruled_shape("Concat", NodeInputs({"axis": 1}, "", 18, (one, other)))
    (1, 8, 4, 4)
    """
    shapes = [value.shape for value in node.inputs if value is not None]
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return None
    try:
        return _RULES[op](node, known)
    except (ArithmeticError, LookupError, UnsupportedNode, ValueError):
        return None


def _first(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    return shapes[0]


def _broadcast(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    return np.broadcast_shapes(*shapes)


def _concat(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    axis = from_start(node.attributes["axis"], len(shapes[0]), "axis")
    lengths = list(shapes[0])
    lengths[axis] = sum(shape[axis] for shape in shapes)
    return tuple(lengths)


def _flatten(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    axis = node.get("axis", 1)
    return math.prod(shapes[0][:axis]), math.prod(shapes[0][axis:])


def _gemm(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    rows = shapes[0][1 if node.get("transA", 0) else 0]
    return rows, shapes[1][0 if node.get("transB", 0) else 1]


def _global(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    return (*shapes[0][:2], *(1 for _ in shapes[0][2:]))


def _matmul(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    one, other = shapes
    if one[-1] != other[max(len(other) - 2, 0)]:
        raise ValueError
    # A single row or column is no axis of the result.
    return (*np.broadcast_shapes(one[:-2], other[:-2]), *one[-2:-1], *other[1:][-1:])


def _reshape(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    given = node.numbers(1, "shape") or ()
    lengths = list(given)
    if not node.get("allowzero", 0):
        lengths = [length or shapes[0][axis] for axis, length in enumerate(given)]
    rest = math.prod(length for length in lengths if length != -1)
    size = math.prod(shapes[0])
    lengths = [size // rest if length == -1 else length for length in lengths]
    if math.prod(lengths) != size:
        raise ValueError
    return tuple(lengths)


def _resize(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError
    lengths, sizes = list(shapes[0]), None if node.opset < 11 else node.array(3)
    axes = node.get("axes", range(len(lengths)))
    if sizes is not None and sizes.size:
        for axis, size in zip(axes, sizes.tolist(), strict=True):
            lengths[axis] = size
        return tuple(lengths)
    for axis, scale in zip(axes, node.needed(1 if node.opset < 11 else 2), strict=True):
        lengths[axis] = math.floor(np.float32(lengths[axis]) * np.float32(scale))
    return tuple(lengths)


def _shape(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    return (len(shapes[0][node.get("start", 0) : node.get("end")]),)


def _slice(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (node.numbers(k, name) or () for k, name in enumerate(names, 1))
    lengths = list(shapes[0])
    axes, steps = axes or tuple(range(len(starts))), steps or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        lengths[axis] = len(range(lengths[axis])[start:end:step])
    return tuple(lengths)


def _transpose(node: NodeInputs, shapes: list[Lengths]) -> Lengths:
    axes = node.get("perm", range(len(shapes[0]))[::-1])
    return tuple(shapes[0][axis] for axis in axes)


_RULES: Final[dict[str, Callable[[NodeInputs, list[Lengths]], Lengths]]] = {
    **dict.fromkeys(_LIKE_FIRST.split(), _first),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    "Concat": _concat,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Transpose": _transpose,
}
