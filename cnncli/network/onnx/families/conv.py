"""Conv, ConvTranspose, Gemm and MatMul: sums of products."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import Array, FloatArray
from cnncli.filters.filter import Filter
from cnncli.network import layers
from cnncli.network.dense import dense_bank
from cnncli.network.layers.view import Layout, reshaped
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.families.views import matrices
from cnncli.network.onnx.families.window import brief, of_rows, window_fields
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal, SizeUnknown, UnsupportedNode

PIXEL: Final = Layout("nchw", flat=True)
"""The layout of channels of one cell."""


def _conv(node: NodeInputs) -> Result:
    x, weights = node.picture(), node.needed(1)
    if weights.ndim != 4:
        raise UnsupportedNode(f"its filters have the shape {weights.shape}, not two axes of places")
    if node.get("kernel_shape", weights.shape[2:]) != weights.shape[2:]:
        raise UnsupportedNode("its kernel_shape is not that of its filters")
    bank = _bank(node, weights.transpose(2, 3, 1, 0))
    fields = {**window_fields(node), "groups": node.get("group", 1)}
    return BuiltLayer(layers.ConvLayer(bank, _bias(node, bank.maps), **fields), (x,))


def _bank(node: NodeInputs, hwio: Array) -> Filter:
    """Return filters named after their layer, with their maps numbered."""
    weights = node.parameter(hwio)
    return Filter(
        name=node.name,
        weights=weights,
        per_channel=False,
        map_names=tuple(map(str, range(weights.shape[3]))),
        source_shape=weights.shape,
    )


def _bias(node: NodeInputs, maps: int) -> FloatArray | None:
    bias = node.array(2)
    if bias is None:
        return None
    return node.parameter(np.broadcast_to(bias.reshape(-1), (maps,)))


def _conv_transpose(node: NodeInputs) -> Result:
    x, weights = node.picture(), node.needed(1)
    if weights.ndim != 4 or node.get("kernel_shape", weights.shape[2:]) != weights.shape[2:]:
        raise UnsupportedNode(f"its filters have the shape {weights.shape}, not two axes of places")
    bank = _bank(node, weights.transpose(2, 3, 1, 0))
    stride, dilation = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    extra = node.get("output_padding", (0, 0))
    pads, groups = node.get("pads", (0, 0, 0, 0)), node.get("group", 1)
    auto, given = node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if given is not None or auto not in ("NOTSET", "VALID"):
        pads, extra = _transposed_pads(node, bank, (stride, dilation, extra), given, auto)
    if min(pads) < 0 or max(len(stride), len(dilation), len(extra)) != 2:
        raise UnsupportedNode(f"its pads are {tuple(pads)}")
    top, left, bottom, right = pads
    bias = _bias(node, weights.shape[1] * groups)
    layer = layers.ConvTransposeLayer(
        bank,
        bias,
        brief(stride),
        brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right),
        brief(extra),
        brief(dilation),
        groups,
    )
    return BuiltLayer(layer, (x,))


def _transposed_pads(
    node: NodeInputs, bank: Filter, window: tuple[Any, Any, Any], given: Any, auto: str
) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the pads, and the output padding, that give a transposed convolution its size."""
    stride, dilation, extra = window
    size = node.picture().size
    begins, ends, extras = [], [], []
    for axis in (0, 1):
        extent = dilation[axis] * (bank.window[axis] - 1) + 1
        if given is None:
            total = extra[axis] + extent - stride[axis]
        elif size is None:
            raise SizeUnknown
        else:
            total = stride[axis] * (size[axis] - 1) + extra[axis] + extent - given[axis - 2]
        extras.append(extra[axis] + max(-total, 0))
        small, large = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        upper = auto == "SAME_UPPER"
        begins.append(small if upper else large)
        ends.append(large if upper else small)
    return (*begins, *ends), (extras[0], extras[1])


def _gemm(node: NodeInputs) -> Result:
    if node.get("transA", 0):
        raise UnsupportedNode("it takes its input transposed")
    matrix = node.needed(1)
    matrix = matrix.T if node.get("transB", 0) else matrix
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    x, bank = _dense(node, matrix if alpha == 1 else matrix * alpha)
    bias = _bias(node, bank.maps)
    if bias is not None and beta != 1:
        bias = node.parameter(bias * beta)
    return _dense_layer(x, bank, bias)


def _matmul(node: NodeInputs) -> Result:
    if all(isinstance(value, Signal) for value in node.inputs):
        return _product(node.signal(0), node.signal(1))
    return _dense_layer(*_dense(node, node.needed(1)))


def _dense_layer(x: Signal, bank: Filter, bias: FloatArray | None = None) -> BuiltLayer:
    if x.flat:
        return BuiltLayer(layers.DenseLayer(bank, bias), (x,), PIXEL)
    return BuiltLayer(layers.ConvLayer(bank, bias, padding="valid"), (x,), x.layout)


def _product(*values: Signal) -> Result:
    """Return the product of two values, whose matrices are rows of their maps."""
    shapes = [value.shape or () for value in values]
    if min(map(len, shapes)) < 2:
        raise SizeUnknown if () in shapes else UnsupportedNode("it multiplies by a vector")
    (*one, height, _), (*other, _, width) = shapes
    fronts = [front for front in (one, other) if math.prod(front) != 1] or [one]
    if any(front != fronts[0] for front in fronts):
        raise UnsupportedNode(f"it multiplies {one} by {other} matrices")
    inputs = tuple(matrices(value) for value in values)
    cells = math.prod(fronts[0]), height, width
    # Further axes of length 1 stand in front where one input has them.
    front = [1] * (max(len(one), len(other)) - len(fronts[0])) + [*fronts[0]]
    layout = reshaped(Layout("hwc"), cells, [*front, height, width])
    return BuiltLayer(layers.MatMulLayer(), inputs, layout)


def _counts_channels(x: Signal) -> bool:
    """Whether a matrix meets the channels, or all cells, of a value."""
    if x.flat:
        return x.layout.order in ("chw", "hwc")
    return x.layout.is_plain and x.axes.endswith("c")


def _dense(node: NodeInputs, matrix: Array) -> tuple[Signal, Filter]:
    """Return a matrix (values in, values out) as a filter as large as what was flattened."""
    x = node.signal()
    if not _counts_channels(x):
        x = x.restored()
    if not _counts_channels(x):
        raise UnsupportedNode(
            "its input is not flattened, and its last axis is not that of channels"
        )
    if matrix.ndim != 2:
        raise UnsupportedNode(f"its matrix has the shape {matrix.shape}")
    rows, maps = matrix.shape
    if not x.flat or (x.size is None and rows == x.channels):
        n_H, n_W = 1, 1
    elif x.size is not None:
        n_H, n_W = x.size
    else:
        raise SizeUnknown
    order = "hwc" if not x.flat else x.layout.order
    return x, dense_bank(node.name, node.parameter(matrix), (n_H, n_W, x.channels), order)


LAYERS: Final = ("conv", "conv-transpose", "dense", "matmul")

OPERATORS: Final[dict[str, Builder]] = {
    "Conv": of_rows(_conv),
    "ConvTranspose": of_rows(_conv_transpose),
    "Gemm": _gemm,
    "MatMul": _matmul,
}
