"""The shapes that ONNX gives the results of frequent operators, without its inference of shapes.

To load that inference takes longer than to read a network of a hundred layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from cnncli.network.onnx.values import NodeInputs, from_start

Dims = tuple[int, ...]

_LIKE_FIRST: Final = """
    Abs BatchNormalization Ceil Celu Clip Elu Erf Exp Floor Gelu HardSigmoid HardSwish
    InstanceNormalization LRN LeakyRelu Log LogSoftmax Mish Neg PRelu Reciprocal Relu Round Selu
    Sigmoid Sign Softmax Softplus Softsign Sqrt Swish Tanh ThresholdedRelu
"""
_BROADCAST: Final = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum")
_NEW_BROADCAST: Final = 8
"""The first version of ONNX in which all of these broadcast as numpy does."""


def has_rule(op: str, node: NodeInputs) -> bool:
    """Tell whether `ruled_shape` knows the operator."""
    return op in _RULES and (op not in _BROADCAST or node.opset >= _NEW_BROADCAST)


def ruled_shape(op: str, node: NodeInputs) -> Dims | None:
    """Return the shape of a node's first output.

    Parameters
    ----------
    op : str
        One that `has_rule`.
    node : NodeInputs

    Returns
    -------
    tuple of int, optional
        None where shapes of its inputs are not known, or do not fit.

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
    except (ValueError, LookupError):
        return None


def _first(node: NodeInputs, shapes: list[Dims]) -> Dims:
    return shapes[0]


def _broadcast(node: NodeInputs, shapes: list[Dims]) -> Dims:
    return np.broadcast_shapes(*shapes)


def _concat(node: NodeInputs, shapes: list[Dims]) -> Dims:
    axis = from_start(node.attributes["axis"], len(shapes[0]), "axis")
    lengths = list(shapes[0])
    lengths[axis] = sum(shape[axis] for shape in shapes)
    return tuple(lengths)


def _flatten(node: NodeInputs, shapes: list[Dims]) -> Dims:
    axis = node.get("axis", 1)
    return math.prod(shapes[0][:axis]), math.prod(shapes[0][axis:])


def _gemm(node: NodeInputs, shapes: list[Dims]) -> Dims:
    rows = shapes[0][1 if node.get("transA", 0) else 0]
    return rows, shapes[1][0 if node.get("transB", 0) else 1]


def _global(node: NodeInputs, shapes: list[Dims]) -> Dims:
    return (*shapes[0][:2], *(1 for _ in shapes[0][2:]))


def _transpose(node: NodeInputs, shapes: list[Dims]) -> Dims:
    axes = node.get("perm", range(len(shapes[0]))[::-1])
    return tuple(shapes[0][axis] for axis in axes)


_RULES: Final[dict[str, Callable[[NodeInputs, list[Dims]], Dims]]] = {
    **dict.fromkeys(_LIKE_FIRST.split(), _first),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    "Concat": _concat,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "Transpose": _transpose,
}
