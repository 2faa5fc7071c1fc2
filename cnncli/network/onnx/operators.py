"""Operators of ONNX as layers: one small function each, and the table of them.

What they compute: https://github.com/onnx/onnx/blob/main/docs/Operators.md and, for older
versions, Changelog.md beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import PaddingLike
from cnncli.filters.filter import Filter
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    FloatArray,
    MulLayer,
    PadLayer,
    PoolLayer,
    ScaleLayer,
)
from cnncli.network.onnx.shape_operators import flatten, reshape, squeeze, transpose, unsqueeze
from cnncli.network.onnx.values import Array, Call, Made, Signal, Unreadable, per_channel

Result = Made | Signal | Array

_AUTO_PADS: Final = {"SAME_UPPER": "same", "SAME_LOWER": "same-lower", "VALID": "valid"}
_PAD_MODES: Final = {"constant": "zeros", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
_FLOATS: Final = (1, 10, 11, 16)
"""The numbers of float, half, double and bfloat16."""


def _conv(call: Call) -> Result:
    x, weights = call.picture(), call.needed(1)
    if weights.ndim != 4:
        raise Unreadable(f"its filters have the shape {weights.shape}, not two axes of places")
    if call.get("kernel_shape", weights.shape[2:]) != weights.shape[2:]:
        raise Unreadable("its kernel_shape is not that of its filters")
    bank = _bank(call, weights.transpose(2, 3, 1, 0))
    return Made(
        ConvLayer(bank, _bias(call, bank.maps), **_window(call), groups=call.get("group", 1)), (x,)
    )


def _bank(call: Call, hwio: Array) -> Filter:
    """Return filters whose maps are named after their layer."""
    weights = call.parameter(hwio)
    maps = weights.shape[3]
    digits = len(str(maps - 1))
    names = tuple(f"{call.name}-{index:0{digits}d}" for index in range(maps))
    return Filter(
        name=call.name,
        weights=weights,
        per_channel=False,
        map_names=names if maps > 1 else (call.name,),
        source_shape=weights.shape,
    )


def _bias(call: Call, maps: int) -> FloatArray | None:
    bias = call.array(2)
    if bias is None:
        return None
    return call.parameter(np.broadcast_to(bias.reshape(-1), (maps,)))


def _window(call: Call) -> dict[str, Any]:
    """Return stride, padding and dilation of a convolution or a pool."""
    stride, dilation = call.get("strides", (1, 1)), call.get("dilations", (1, 1))
    if len(stride) != 2 or len(dilation) != 2:
        raise Unreadable("its window has not two axes")
    return {"stride": _brief(stride), "padding": _padding(call), "dilation": _brief(dilation)}


def _padding(call: Call) -> PaddingLike:
    auto = call.get("auto_pad", "NOTSET")
    if auto in _AUTO_PADS:
        return _AUTO_PADS[auto]
    pads = call.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        raise Unreadable(f"its pads are {pads}")
    top, left, bottom, right = pads
    return _brief((top, left)) if (top, left) == (bottom, right) else (top, bottom, left, right)


def _brief(pair: tuple[int, ...]) -> Any:
    return pair[0] if pair[0] == pair[1] else pair


def _pool(mode: str) -> Callable[[Call], Result]:
    def make(call: Call) -> Result:
        size = call.get("kernel_shape", ())
        if len(size) != 2:
            raise Unreadable("its window has not two axes")
        layer = PoolLayer(
            mode,
            _brief(size),
            **_window(call),
            # With VALID too, as ONNX Runtime has it, though ONNX's own formula rounds down there.
            ceil=bool(call.get("ceil_mode", 0)),
            count_include_pad=bool(call.get("count_include_pad", 0)),
        )
        return Made(layer, (call.picture(),))

    return make


def _global_pool(mode: str) -> Callable[[Call], Result]:
    return lambda call: Made(PoolLayer(mode, "global"), (call.picture(),))


def _reduce_mean(call: Call) -> Result:
    x = call.signal(0, ("nchw", "nhwc"))
    given = call.array(1)
    axes = call.get("axes", ()) if given is None else tuple(int(axis) for axis in given.reshape(-1))
    if {x.axes[axis] for axis in axes if -4 <= axis < 4} != {"h", "w"}:
        raise Unreadable(f"it takes the mean over axes {axes}, not over rows and columns")
    return Made(PoolLayer("average", "global"), (x,), None if call.get("keepdims", 1) else "chw")


def _pad(call: Call) -> Result:
    x = call.signal(0, ("nchw", "nhwc"))
    mode = call.get("mode", "constant")
    given = call.array(1)
    pads = call.get("pads", call.get("paddings", ())) if given is None else given.reshape(-1)
    axes = call.array(3)
    places = range(4) if axes is None else [int(axis) % 4 for axis in axes.reshape(-1)]
    if len(pads) != 2 * len(places) or mode not in _PAD_MODES:
        raise Unreadable(f"its mode is {mode} and its pads are {tuple(map(int, pads))}")
    sides = dict.fromkeys(x.axes, (0, 0))
    for index, axis in enumerate(places):
        sides[x.axes[axis]] = int(pads[index]), int(pads[index + len(places)])
    if any(sides["n"] + sides["c"]) or min(sides["h"] + sides["w"]) < 0:
        raise Unreadable("it pads channels, or cuts off")
    value = call.number(2, call.get("value", 0.0)) if mode == "constant" else 0.0
    return Made(PadLayer((*sides["h"], *sides["w"]), _PAD_MODES[mode], value), (x,))


def _batchnorm(call: Call) -> Result:
    x = call.signal()
    if call.get("training_mode", 0) or (call.opset < 7 and not call.get("is_test", 0)):
        raise Unreadable("it is in training")
    if x.axes != "nchw" and not (x.flat and x.is_pixel):
        raise Unreadable("its input is flattened or transposed")
    if not call.get("spatial", 1) and not x.is_pixel:
        raise Unreadable("its numbers differ from place to place")
    gamma, beta, mean, var = (call.parameter(call.needed(index)) for index in range(1, 5))
    return Made(BatchNormLayer(gamma, beta, mean, var, call.get("epsilon", 1e-5)), (x,))


def _activation(name: str) -> Callable[[Call], Result]:
    return lambda call: Made(ActivationLayer(name), (call.signal(),))


def _leaky(call: Call) -> Result:
    alpha = np.array([call.get("alpha", 0.01)])
    return Made(ActivationLayer("leaky-relu", alpha), (call.signal(),))


def _hard_sigmoid(call: Call) -> Result:
    alpha, beta = np.array([call.get("alpha", 0.2)]), call.get("beta", 0.5)
    return Made(ActivationLayer("hard-sigmoid", alpha, beta), (call.signal(),))


def _prelu(call: Call) -> Result:
    x, slopes = call.signal(), call.needed(1)
    axis = 1 if call.opset < 7 and slopes.ndim == 1 else None
    return Made(ActivationLayer("prelu", call.parameter(per_channel(slopes, x, axis))), (x,))


def _clip(call: Call) -> Result:
    x = call.signal()
    low = call.number(1, call.get("min", -np.inf))
    high = call.number(2, call.get("max", np.inf))
    return Made(ActivationLayer("clip", low=low, high=high), (x,))


def _softmax(call: Call) -> Result:
    x = call.signal()
    axes = "nc" if x.flat else x.axes
    new = call.opset >= 13
    axis = call.get("axis", -1 if new else 1)
    over = axes[axis] if -len(axes) <= axis < len(axes) else ""
    # Older ones make all axes from theirs on into one.
    alone = x.is_pixel or (not x.flat and (new or axes.endswith("c")))
    if over != "c" or not alone:
        raise Unreadable("it does not run over the channels of each place")
    return Made(ActivationLayer("softmax"), (x,))


def _add(call: Call) -> Result:
    return _with_constant(call, lambda c: (np.ones(1), c)) or _join(call, AddLayer())


def _mul(call: Call) -> Result:
    return _with_constant(call, lambda c: (c, np.zeros(1))) or _join(call, MulLayer())


def _sub(call: Call) -> Result:
    if isinstance(call.given(0), Signal):
        found = _with_constant(call, lambda c: (np.ones(1), -c))
    else:
        found = _with_constant(call, lambda c: (-np.ones(1), c))
    if found is None:
        raise Unreadable("it subtracts one picture from another")
    return found


def _div(call: Call) -> Result:
    call.signal(0)
    with np.errstate(divide="ignore"):
        found = _with_constant(call, lambda c: (1 / c.astype(np.float64), np.zeros(1)))
    if found is None:
        raise Unreadable("it divides one picture by another")
    return found


def _with_constant(call: Call, scale: Callable[[Array], tuple[Array, Array]]) -> Made | None:
    """Return a picture and a constant as a scale; None if there is no constant."""
    x, constant = call.given(0), call.given(1)
    if not isinstance(x, Signal):
        x, constant = constant, x
    if not isinstance(x, Signal) or constant is None:
        raise Unreadable("it has not two inputs")
    if isinstance(constant, Signal):
        return None
    axis = call.get("axis") if call.opset < 7 and call.get("broadcast", 0) else None
    factor, offset = scale(per_channel(constant, x, axis))
    return Made(ScaleLayer(call.parameter(factor), call.parameter(offset)), (x,))


def _join(call: Call, layer: AddLayer | MulLayer) -> Made | Signal:
    signals = [call.signal(index) for index in range(len(call.inputs))]
    if len(signals) == 1:
        return signals[0]
    if len({(signal.axes, signal.channels) for signal in signals}) > 1:
        raise Unreadable("its inputs differ in channels or in the order of their axes")
    return Made(layer, tuple(signals))


def _concat(call: Call) -> Result:
    signals = [call.signal(index) for index in range(len(call.inputs))]
    x = signals[0]
    if len({signal.axes for signal in signals}) > 1:
        raise Unreadable("its inputs differ in the order of their axes")
    axes, axis = "nc" if x.flat else x.axes, call.get("axis", 1)
    if axes[axis % len(axes)] != "c" or (x.axes == "hwc" and not x.is_pixel):
        raise Unreadable("it does not put channels side by side")
    return signals[0] if len(signals) == 1 else Made(ConcatLayer(), tuple(signals))


def _gemm(call: Call) -> Result:
    if call.get("transA", 0):
        raise Unreadable("it takes its input transposed")
    matrix = call.needed(1)
    matrix = matrix.T if call.get("transB", 0) else matrix
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    bank = _dense(call, matrix if alpha == 1 else matrix * alpha)
    bias = _bias(call, bank.maps)
    if bias is not None and beta != 1:
        bias = call.parameter(bias * beta)
    return Made(ConvLayer(bank, bias, padding="valid"), (call.signal(),), "chw")


def _matmul(call: Call) -> Result:
    x, matrix = call.signal(), call.needed(1)
    layer = ConvLayer(_dense(call, matrix), padding="valid")
    return Made(layer, (x,), "nhwc" if x.axes == "nhwc" else "chw")


def _dense(call: Call, matrix: Array) -> Filter:
    """Return a matrix (values in, values out) as a filter as large as what was flattened."""
    x = call.signal(0, ("chw", "hwc", "nhwc"))
    if matrix.ndim != 2:
        raise Unreadable(f"its matrix has the shape {matrix.shape}")
    rows, maps = matrix.shape
    if not x.flat or (x.size is None and rows == x.channels):
        n_H, n_W = 1, 1
    elif x.size is not None:
        n_H, n_W = x.size
    else:
        raise Unreadable("the size of the picture must be known")
    if rows != n_H * n_W * x.channels:
        raise Unreadable(f"its matrix takes {rows} values, not {n_H}x{n_W}x{x.channels}")
    if x.axes == "chw":
        return _bank(call, matrix.reshape(x.channels, n_H, n_W, maps).transpose(1, 2, 0, 3))
    return _bank(call, matrix.reshape(n_H, n_W, x.channels, maps))


def _constant(call: Call) -> Result:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if call.get(name) is not None:
            value = call.get(name)
            return np.asarray(value, np.float32) if "float" in name else np.asarray(value)
    raise Unreadable("it holds something else than numbers")


def _cast(call: Call) -> Result:
    if call.get("to") not in _FLOATS:
        raise Unreadable("it makes whole numbers")
    return call.signal()


def _dropout(call: Call) -> Result:
    training = call.array(2)
    if (training is not None and training.any()) or (call.opset < 7 and not call.get("is_test", 0)):
        raise Unreadable("it is in training")
    return call.signal()


def _shape(call: Call) -> Result:
    shape = call.signal().shape
    if shape is None:
        raise Unreadable("the size of the picture must be known")
    return np.array(shape)[call.get("start", 0) : call.get("end")]


OPERATORS: Final[dict[str, Callable[[Call], Result]]] = {
    "Abs": _activation("abs"),
    "Add": _add,
    "AveragePool": _pool("average"),
    "BatchNormalization": _batchnorm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": _conv,
    "Div": _div,
    "Dropout": _dropout,
    "Flatten": flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool("average"),
    "GlobalMaxPool": _global_pool("max"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard-swish"),
    "Identity": lambda call: call.signal(),
    "LeakyRelu": _leaky,
    "MatMul": _matmul,
    "MaxPool": _pool("max"),
    "Mul": _mul,
    "PRelu": _prelu,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": _activation("relu"),
    "Reshape": reshape,
    "Shape": _shape,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Squeeze": squeeze,
    "Sub": _sub,
    "Sum": lambda call: _join(call, AddLayer()),
    "Tanh": _activation("tanh"),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
"""What each operator becomes: a layer, its own input under another name, or an array."""
