"""Operators of ONNX as layers: one small function each, and the table of them.

What they compute: https://github.com/onnx/onnx/blob/main/docs/Operators.md and, for older
versions, Changelog.md beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import PaddingLike
from cnncli.filters.filter import Filter
from cnncli.network import layers
from cnncli.network.dense import dense_bank
from cnncli.network.graph import SIZE_UNKNOWN
from cnncli.network.onnx.constants import FLOATS, TYPES, named_axes
from cnncli.network.onnx.resize_operators import (
    concat,
    resize,
    slice_channels,
    split,
    upsample,
)
from cnncli.network.onnx.shape_operators import SHAPE_OPERATORS
from cnncli.network.onnx.values import (
    Array,
    BuiltLayer,
    NodeInputs,
    Signal,
    UnsupportedNode,
    per_channel,
)

Result = BuiltLayer | Signal | Array | tuple[BuiltLayer, ...]

_AUTO_PADS: Final = {"SAME_UPPER": "same", "SAME_LOWER": "same-lower", "VALID": "valid"}
_PAD_MODES: Final = {"constant": "zeros", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
_WRAPPING: Final = ("UINT8", "INT8", "UINT16", "INT16", "UINT32", "UINT64")
"""Whole numbers that wrap around where sums go beyond them."""


def _conv(node: NodeInputs) -> Result:
    x, weights = node.picture(), node.needed(1)
    if weights.ndim != 4:
        raise UnsupportedNode(f"its filters have the shape {weights.shape}, not two axes of places")
    if node.get("kernel_shape", weights.shape[2:]) != weights.shape[2:]:
        raise UnsupportedNode("its kernel_shape is not that of its filters")
    bank = _bank(node, weights.transpose(2, 3, 1, 0))
    fields = {**_window(node), "groups": node.get("group", 1)}
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


def _window(node: NodeInputs) -> dict[str, Any]:
    """Return stride, padding and dilation of a convolution or a pool."""
    stride, dilation = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    if len(stride) != 2 or len(dilation) != 2:
        raise UnsupportedNode("its window has not two axes")
    return {"stride": _brief(stride), "padding": _padding(node), "dilation": _brief(dilation)}


def _padding(node: NodeInputs) -> PaddingLike:
    auto = node.get("auto_pad", "NOTSET")
    if auto in _AUTO_PADS:
        return _AUTO_PADS[auto]
    pads = node.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        raise UnsupportedNode(f"its pads are {pads}")
    top, left, bottom, right = pads
    return _brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right)


def _brief(pair: tuple[int, ...]) -> Any:
    return pair[0] if pair[0] == pair[1] else pair


def _pool(mode: str) -> Callable[[NodeInputs], Result]:
    def make(node: NodeInputs) -> Result:
        size = node.get("kernel_shape", ())
        if len(size) != 2:
            raise UnsupportedNode("its window has not two axes")
        layer = layers.PoolLayer(
            mode,
            _brief(size),
            **_window(node),
            # With VALID too, as ONNX Runtime has it, though ONNX's own formula rounds down there.
            ceil=bool(node.get("ceil_mode", 0)),
            count_include_pad=bool(node.get("count_include_pad", 0)),
        )
        return BuiltLayer(layer, (node.picture(),))

    return make


def _global_pool(mode: str) -> Callable[[NodeInputs], Result]:
    return lambda node: BuiltLayer(layers.PoolLayer(mode, "global"), (node.picture(),))


def _reduce(mode: str) -> Callable[[NodeInputs], Result]:
    def make(node: NodeInputs) -> Result:
        x = node.signal(0, ("nchw", "nhwc"))
        axes = named_axes(node.attributes, node.array(1)) or ()
        if {x.axes[axis] for axis in axes if -4 <= axis < 4} != {"h", "w"}:
            raise UnsupportedNode(f"it works over axes {axes}, not over rows and columns")
        order = None if node.get("keepdims", 1) else "chw"
        return BuiltLayer(layers.PoolLayer(mode, "global"), (x,), order)

    return make


def _pad(node: NodeInputs) -> Result:
    x = node.signal(0, ("nchw", "nhwc"))
    mode = node.get("mode", "constant")
    array = node.array(1)
    pads = node.get("pads", node.get("paddings", ())) if array is None else array.reshape(-1)
    axes = node.array(3)
    places = range(4) if axes is None else [int(axis) % 4 for axis in axes.reshape(-1)]
    if len(pads) != 2 * len(places) or mode not in _PAD_MODES:
        raise UnsupportedNode(f"its mode is {mode} and its pads are {tuple(map(int, pads))}")
    sides = dict.fromkeys(x.axes, (0, 0))
    for index, axis in enumerate(places):
        sides[x.axes[axis]] = int(pads[index]), int(pads[index + len(places)])
    if any(sides["n"]) or min(sum(sides.values(), ())) < 0:
        raise UnsupportedNode("it pads the batch, or cuts off")
    if any(sides["c"]):
        return _pad_channels(node, x, sides)
    value = node.number(2, node.get("value", 0.0)) if mode == "constant" else 0.0
    return BuiltLayer(layers.PadLayer((*sides["h"], *sides["w"]), _PAD_MODES[mode], value), (x,))


def _pad_channels(node: NodeInputs, x: Signal, sides: dict[str, tuple[int, int]]) -> Result:
    if any(sides["h"] + sides["w"]) or node.get("mode", "constant") != "constant":
        raise UnsupportedNode("it pads channels and more")
    value = node.number(2, node.get("value", 0.0))
    added = [np.full(count, value) if count else None for count in sides["c"]]
    return BuiltLayer(layers.PadChannelsLayer(*added), (x,))


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
        _brief(stride),
        _brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right),
        _brief(extra),
        _brief(dilation),
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
            raise UnsupportedNode(SIZE_UNKNOWN)
        else:
            total = stride[axis] * (size[axis] - 1) + extra[axis] + extent - given[axis - 2]
        extras.append(extra[axis] + max(-total, 0))
        small, large = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        upper = auto == "SAME_UPPER"
        begins.append(small if upper else large)
        ends.append(large if upper else small)
    return (*begins, *ends), (extras[0], extras[1])


def _batchnorm(node: NodeInputs) -> Result:
    x = node.signal()
    if node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedNode("it is in training")
    if x.axes != "nchw" and not (x.flat and x.is_pixel):
        raise UnsupportedNode("its input is flattened or transposed")
    if not node.get("spatial", 1) and not x.is_pixel:
        raise UnsupportedNode("its numbers differ from place to place")
    gamma, beta, mean, var = (node.parameter(node.needed(index)) for index in range(1, 5))
    epsilon = node.get("epsilon", 1e-5)
    return BuiltLayer(layers.BatchNormLayer(gamma, beta, mean, var, epsilon), (x,))


def _activation(name: str) -> Callable[[NodeInputs], Result]:
    return lambda node: BuiltLayer(layers.ActivationLayer(name), (node.signal(),))


def _leaky(node: NodeInputs) -> Result:
    alpha = np.array([node.get("alpha", 0.01)])
    return BuiltLayer(layers.ActivationLayer("leaky-relu", alpha), (node.signal(),))


def _hard_sigmoid(node: NodeInputs) -> Result:
    alpha, beta = np.array([node.get("alpha", 0.2)]), node.get("beta", 0.5)
    return BuiltLayer(layers.ActivationLayer("hard-sigmoid", alpha, beta), (node.signal(),))


def _prelu(node: NodeInputs) -> Result:
    x, slopes = node.signal(), node.needed(1)
    axis = 1 if node.opset < 7 and slopes.ndim == 1 else None
    alpha = node.parameter(per_channel(slopes, x, axis))
    return BuiltLayer(layers.ActivationLayer("prelu", alpha), (x,))


def _clip(node: NodeInputs) -> Result:
    x = node.signal()
    low = node.number(1, node.get("min", -np.inf))
    high = node.number(2, node.get("max", np.inf))
    return BuiltLayer(layers.ActivationLayer("clip", low=low, high=high), (x,))


def _softmax(node: NodeInputs) -> Result:
    x = node.signal()
    axes = "nc" if x.flat else x.axes
    new = node.opset >= 13
    axis = node.get("axis", -1 if new else 1)
    over = axes[axis] if -len(axes) <= axis < len(axes) else ""
    # Older ones make all axes from theirs on into one.
    alone = x.is_pixel or (not x.flat and (new or axes.endswith("c")))
    if over != "c" or not alone:
        raise UnsupportedNode("it does not run over the channels of each place")
    return BuiltLayer(layers.ActivationLayer("softmax"), (x,))


def _add(node: NodeInputs) -> Result:
    return _with_constant(node, lambda c: (np.ones(1), c), layers.AddLayer())


def _mul(node: NodeInputs) -> Result:
    return _with_constant(node, lambda c: (c, np.zeros(1)), layers.MulLayer())


def _sub(node: NodeInputs) -> Result:
    sign = 1.0 if isinstance(node.input(0), Signal) else -1.0
    why = "it subtracts one picture from another"
    return _with_constant(node, lambda c: (np.full(1, sign), -c if sign > 0 else c), why)


def _div(node: NodeInputs) -> Result:
    x, divisor = node.signal(0), node.input(1)
    if x.is_whole and isinstance(divisor, np.ndarray):
        divisors = node.parameter(per_channel(divisor, x))
        return BuiltLayer(layers.QuotientLayer(divisors), (x,))
    why = "it divides one picture by another"
    with np.errstate(divide="ignore"):
        return _with_constant(node, lambda c: (1 / c.astype(np.float64), np.zeros(1)), why)


def _with_constant(
    node: NodeInputs,
    scale: Callable[[Array], tuple[Array, Array]],
    pictures: layers.AddLayer | layers.MulLayer | str,
) -> Result:
    """Return a picture and a constant as a scale; two pictures as a layer, if there is one."""
    x, constant = node.input(0), node.input(1)
    if not isinstance(x, Signal):
        x, constant = constant, x
    if not isinstance(x, Signal) or constant is None:
        raise UnsupportedNode("it has not two inputs")
    if x.type in _WRAPPING:
        raise UnsupportedNode(f"it computes with {x.type}, which wraps around")
    if isinstance(constant, Signal):
        if isinstance(pictures, str):
            raise UnsupportedNode(pictures)
        return _join(node, pictures)
    axis = node.get("axis") if node.opset < 7 and node.get("broadcast", 0) else None
    factor, offset = scale(per_channel(constant, x, axis))
    return BuiltLayer(layers.ScaleLayer(node.parameter(factor), node.parameter(offset)), (x,))


def _join(node: NodeInputs, layer: layers.AddLayer | layers.MulLayer) -> BuiltLayer | Signal:
    signals = [node.signal(index) for index in range(len(node.inputs))]
    if len(signals) == 1:
        return signals[0]
    if len({(signal.axes, signal.channels) for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in channels or in the order of their axes")
    return BuiltLayer(layer, tuple(signals))


def _gemm(node: NodeInputs) -> Result:
    if node.get("transA", 0):
        raise UnsupportedNode("it takes its input transposed")
    matrix = node.needed(1)
    matrix = matrix.T if node.get("transB", 0) else matrix
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    bank = _dense(node, matrix if alpha == 1 else matrix * alpha)
    bias = _bias(node, bank.maps)
    if bias is not None and beta != 1:
        bias = node.parameter(bias * beta)
    return BuiltLayer(layers.ConvLayer(bank, bias, padding="valid"), (node.signal(),), "chw")


def _matmul(node: NodeInputs) -> Result:
    x, matrix = node.signal(), node.needed(1)
    layer = layers.ConvLayer(_dense(node, matrix), padding="valid")
    return BuiltLayer(layer, (x,), "nhwc" if x.axes == "nhwc" else "chw")


def _dense(node: NodeInputs, matrix: Array) -> Filter:
    """Return a matrix (values in, values out) as a filter as large as what was flattened."""
    x = node.signal(0, ("chw", "hwc", "nhwc"))
    if matrix.ndim != 2:
        raise UnsupportedNode(f"its matrix has the shape {matrix.shape}")
    rows, maps = matrix.shape
    if not x.flat or (x.size is None and rows == x.channels):
        n_H, n_W = 1, 1
    elif x.size is not None:
        n_H, n_W = x.size
    else:
        raise UnsupportedNode(SIZE_UNKNOWN)
    order = "chw" if x.axes == "chw" else "hwc"
    return dense_bank(node.name, node.parameter(matrix), (n_H, n_W, x.channels), order)


def _constant(node: NodeInputs) -> Result:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if node.get(name) is not None:
            value = node.get(name)
            return np.asarray(value, np.float32) if "float" in name else np.asarray(value)
    raise UnsupportedNode("it holds something else than numbers")


def _cast(node: NodeInputs) -> Result:
    x, kind = node.signal(), TYPES.get(node.get("to"), "")
    if kind in FLOATS:
        return replace(x, type="FLOAT")
    if "INT" not in kind or (x.is_whole and _bits(kind) < _bits(x.type)):
        raise UnsupportedNode(f"it makes {kind or 'an unknown type'} of {x.type}")
    if x.is_whole:
        return replace(x, type=kind)
    return BuiltLayer(layers.ActivationLayer("truncate"), (x,), type=kind)


def _bits(kind: str) -> int:
    return int(kind.removeprefix("U").removeprefix("INT"))


def _dequantize(node: NodeInputs) -> Result:
    x, scale, zero = node.signal(), node.needed(1), node.array(2)
    if scale.size != 1:
        raise UnsupportedNode("it has a scale for each channel")
    shift = 0.0 if zero is None else float(zero.item())
    factor = node.parameter(scale.reshape(1))
    return BuiltLayer(layers.ScaleLayer(factor, -shift * factor), (x,), type="FLOAT")


def _dropout(node: NodeInputs) -> Result:
    training = node.array(2)
    if (training is not None and training.any()) or (node.opset < 7 and not node.get("is_test", 0)):
        raise UnsupportedNode("it is in training")
    return node.signal()


def _shape(node: NodeInputs) -> Result:
    shape = node.signal().shape
    if shape is None:
        raise UnsupportedNode(SIZE_UNKNOWN)
    return np.array(shape)[node.get("start", 0) : node.get("end")]


OPERATORS: Final[dict[str, Callable[[NodeInputs], Result]]] = {
    **SHAPE_OPERATORS,
    "Abs": _activation("abs"),
    "Add": _add,
    "AveragePool": _pool("average"),
    "BatchNormalization": _batchnorm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": concat,
    "Constant": _constant,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": _dequantize,
    "Div": _div,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool("average"),
    "GlobalMaxPool": _global_pool("max"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard-swish"),
    "Identity": lambda node: node.signal(),
    "LeakyRelu": _leaky,
    "MatMul": _matmul,
    "MaxPool": _pool("max"),
    "Mul": _mul,
    "PRelu": _prelu,
    "Pad": _pad,
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("average"),
    "ReduceMin": _reduce("min"),
    "Relu": _activation("relu"),
    "Resize": resize,
    "Shape": _shape,
    "Sigmoid": _activation("sigmoid"),
    "Slice": slice_channels,
    "Softmax": _softmax,
    "Split": split,
    "Sub": _sub,
    "Sum": lambda node: _join(node, layers.AddLayer()),
    "Tanh": _activation("tanh"),
    "Upsample": upsample,
}
"""What each operator becomes: a layer, its own input under another name, or an array."""
