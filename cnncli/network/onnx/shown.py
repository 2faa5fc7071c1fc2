"""What the layers of an ONNX model are to its user: values of the file, and maps of their axes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from cnncli.core.arrays import Array
from cnncli.network.graph import MAX_CHANNELS
from cnncli.network.layers import ConvLayer, DenseLayer, Layer, MatMulLayer
from cnncli.network.layers.view import Layout
from cnncli.network.onnx.values import BuiltLayer, Signal, SizeUnknown, Value

Result = Signal | Array | BuiltLayer


def tensors_of(
    outputs: Iterable[str], values: Mapping[str, Value]
) -> dict[str, tuple[str, Layout]]:
    """Return the value that each layer is in the graph, and how that is stored in maps."""
    tensors: dict[str, tuple[str, Layout]] = {}
    for name in (*outputs, *values):
        value = values.get(name)
        if isinstance(value, Signal):
            tensors.setdefault(value.layer, (name, value.layout))
    return tensors


def with_matrices_noted(value: Value, made: Result, inputs: Iterable[Value]) -> Value:
    """Return what a node makes with a note of whether it is matrices: products of two values.

    What is computed of matrices alone is that too, while it is as large and no weights mix it.

    Parameters
    ----------
    value : Value
    made : Signal, ndarray or BuiltLayer
        What it was made of.
    inputs : iterable of Value
        The node's.
    """
    if not isinstance(value, Signal):
        return value
    layer = made.layer if isinstance(made, BuiltLayer) else None
    shapes = [x.shape if x.matrices else None for x in inputs if isinstance(x, Signal)]
    same = bool(shapes) and all(
        shape and value.shape and shape[-2:] == value.shape[-2:] for shape in shapes
    )
    same = same and not isinstance(layer, (ConvLayer, DenseLayer))
    matrices = isinstance(layer, MatMulLayer) or same
    return replace(value, matrices=matrices, channels_last=value.channels_last and not matrices)


def shown_views(values: Mapping[str, Value], left_out: Collection[str]) -> dict[str, Layer]:
    """Return the views through which layers are shown whose maps have other axes than ONNX's.

    Products of matrices are stored so that they are fast to make: each row of their maps is one
    matrix. Shown is a map for each matrix, such as one for each head of attention.

    Parameters
    ----------
    values : mapping of str to Value
        By name, in the order in which they are made.
    left_out : collection of str
        Layers that are shown as they are.

    Examples
    --------
    >>> products = Signal("attention", 7, (4, 7), Layout("nhwc"), matrices=True)
    >>> shown_views({"p": products}, ())["attention"].output_shape((1, 4, 7, 7))
    (1, 7, 7, 4)
    """
    views: dict[str, Layer] = {}
    met = set(left_out)
    for value in values.values():
        if not isinstance(value, Signal) or value.layer in met or value.pending:
            continue
        met.add(value.layer)
        try:
            shown = value.as_matrices() if value.matrices else value.as_maps()
        except SizeUnknown:
            continue
        if shown.pending and shown.channels <= MAX_CHANNELS:
            (views[value.layer],) = shown.pending
    return views
