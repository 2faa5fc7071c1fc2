"""The same layer by other libraries, where they are installed: what they give is their own work.

Padding, sums, extremes and divisors are the peer's wherever it can do them; where it has no such
border or no stride, it is given what it can do, in the words of its own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import get_activation
from cnncli.core.geometry import Window
from cnncli.errors import CnnCliError, OptionError
from cnncli.network.conventions import OneLayer
from cnncli.network.layers import ConvLayer

Values = NDArray[np.floating]

MODULES: Final = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "scipy": ("scipy.ndimage",),
    "opencv": ("cv2",),
}
"""What each peer imports."""

PACKAGES: Final = {
    "torch": "torch",
    "onnxruntime": "onnxruntime onnx",
    "scipy": "scipy",
    "opencv": "opencv-python-headless",
}

_TORCH_MODES = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}
_ONNX_MODES = {"zeros": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
_NUMPY_MODES = {"zeros": "constant"}


def run_peer(name: str, layer: OneLayer, X: Values) -> Values:
    """Return what a peer makes of a batch.

    Parameters
    ----------
    name : {"torch", "onnxruntime", "scipy", "opencv"}
    layer : ConvLayer or PoolLayer
    X : ndarray, shape (N, H, W, C)

    Returns
    -------
    ndarray, shape (N, n_H, n_W, n_C)
        Of float32 by onnxruntime. With the layer's activation, which is ours: peers are asked for
        their windows.

    Raises
    ------
    CnnCliError
        If it is not installed.
    OptionError
        If it has no such layer.
    """
    modules = [_load(name, module) for module in MODULES[name]]
    layer.output_shape(X.shape)
    try:
        made = _RUNNERS[name](modules, layer, X)
    except CnnCliError:
        raise
    except Exception as error:  # peers have their own kinds, with no common base
        reason = str(error).strip().partition("\n")[0]
        raise _cannot(name, f"such a layer: {reason}") from error
    if isinstance(layer, ConvLayer):
        slopes = {} if layer.alpha is None else {"alpha": layer.alpha.astype(X.dtype)}
        made = get_activation(layer.activation, **slopes).forward(made)
    return made


def _load(name: str, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise CnnCliError(
            f"--against {name} needs the package {module.partition('.')[0]}, which is not there",
            hint=f"pip install {PACKAGES[name]}",
        ) from error


def _cannot(name: str, what: str) -> OptionError:
    others = ", ".join(other for other in MODULES if other != name)
    return OptionError(f"{name} has no {what}", hint=f"--against {others}")


def _bank(layer: ConvLayer, channels: int, dtype: Any) -> tuple[Values, Values, int]:
    """Return weights (O, I, kh, kw), biases and groups; 2-D filters go to each channel."""
    weights = layer.filter.weights.astype(dtype)
    bias = layer.filter.bias if layer.bias is None else layer.bias
    biases = np.broadcast_to(np.asarray(0 if bias is None else bias, dtype), (layer.filter.maps,))
    if not layer.filter.per_channel:
        return np.ascontiguousarray(weights.transpose(3, 2, 0, 1)), biases.copy(), layer.groups
    # Filter by filter and channel by channel within: the order of the pictures of a result.
    kernels = np.repeat(weights.transpose(2, 0, 1), channels, axis=0)[:, None]
    return np.ascontiguousarray(kernels), np.repeat(biases, channels), 0


def _torch(modules: list[Any], layer: OneLayer, X: Values) -> Values:
    torch = modules[0]
    functional = torch.nn.functional
    window = layer.window(X.shape)
    given = torch.from_numpy(np.array(X.transpose(0, 3, 1, 2), order="C"))
    (top, bottom), (left, right) = window.pads
    sides = (left, right, top, bottom)
    stride, dilation = _strides(window), _dilations(window)
    with torch.no_grad():
        if isinstance(layer, ConvLayer):
            if layer.pad_mode not in ("zeros", *_TORCH_MODES):
                raise _cannot("torch", f"border {layer.pad_mode}")
            mode = _TORCH_MODES.get(layer.pad_mode, "constant")
            value = {"value": layer.pad_value} if mode == "constant" else {}
            padded = functional.pad(given, sides, mode=mode, **value)
            made = _torch_conv(torch, layer, padded, stride, dilation)
        else:
            made = _torch_pool(torch, layer, given, window, sides)
    return _last(made.numpy())


def _torch_conv(torch: Any, layer: ConvLayer, padded: Any, stride: Any, dilation: Any) -> Any:
    channels = padded.shape[1]
    weights, biases, groups = _bank(layer, channels, padded.numpy().dtype)
    if groups:
        return torch.nn.functional.conv2d(
            padded, torch.from_numpy(weights), torch.from_numpy(biases), stride, 0, dilation, groups
        )
    made = [
        torch.nn.functional.conv2d(
            padded[:, [index % channels]],
            torch.from_numpy(weights[index : index + 1]),
            torch.from_numpy(biases[index : index + 1]),
            stride,
            0,
            dilation,
        )
        for index in range(len(weights))
    ]
    return torch.cat(made, dim=1)


def _torch_pool(torch: Any, layer: Any, given: Any, window: Window, sides: Any) -> Any:
    functional = torch.nn.functional
    kernel, stride, dilation = window.kernel, _strides(window), _dilations(window)
    if layer.mode in ("max", "min"):
        sign = 1 if layer.mode == "max" else -1
        padded = functional.pad(sign * given, sides, value=float("-inf"))
        if layer.ceil and any(sides):
            raise _cannot("torch", "ceil with pads of its own choice")
        return sign * functional.max_pool2d(padded, kernel, stride, 0, dilation, layer.ceil)
    if layer.mode == "lp":
        raise _cannot("torch", "p-norm of magnitudes with pads")
    (top, bottom), (left, right) = window.pads
    if top != bottom or left != right or dilation != (1, 1):
        raise _cannot("torch", "average pooling with dilation or uneven pads")
    return functional.avg_pool2d(
        given, kernel, stride, (top, left), layer.ceil, layer.count_include_pad
    )


def _onnxruntime(modules: list[Any], layer: OneLayer, X: Values) -> Values:
    runtime, onnx = modules
    X = X.astype(np.float32)  # It has no convolution of float64.
    window = layer.window(X.shape)
    build = _onnx_conv if isinstance(layer, ConvLayer) else _onnx_pool
    nodes, arrays = build(onnx, layer, window, X)
    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(X.dtype)
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", kind, [None] * 4)],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    session = runtime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return _last(session.run(None, {"x": np.ascontiguousarray(X.transpose(0, 3, 1, 2))})[0])


def _onnx_conv(onnx: Any, layer: Any, window: Window, X: Values) -> Any:
    channels = X.shape[3]
    if layer.pad_mode not in _ONNX_MODES:
        raise _cannot("onnxruntime", f"border {layer.pad_mode}")
    weights, biases, groups = _bank(layer, channels, X.dtype)
    arrays: dict[str, Any] = {"W": weights, "b": biases}
    arrays["value"] = np.array(layer.pad_value, X.dtype)
    if not groups:
        # Kernels of one channel go channel by channel there.
        order = np.arange(len(weights)).reshape(-1, channels).T.reshape(-1)
        arrays |= {"W": weights[order], "b": biases[order], "back": np.argsort(order)}
    (top, bottom), (left, right) = window.pads
    arrays["pads"] = np.array([0, 0, top, left, 0, 0, bottom, right])
    node = onnx.helper.make_node
    nodes = [
        node("Pad", ["x", "pads", "value"], ["padded"], mode=_ONNX_MODES[layer.pad_mode]),
        node(
            "Conv", ["padded", "W", "b"], ["y" if groups else "z"], group=groups or channels,
            strides=_strides(window), dilations=_dilations(window),
        ),
        *([] if groups else [node("Gather", ["z", "back"], ["y"], axis=1)]),
    ]  # fmt: skip
    return nodes, arrays


def _onnx_pool(onnx: Any, layer: Any, window: Window, X: Values) -> Any:
    (top, bottom), (left, right) = window.pads
    settings = {
        "kernel_shape": window.kernel,
        "strides": _strides(window),
        "dilations": _dilations(window),
        "pads": [top, left, bottom, right],
        "ceil_mode": int(layer.ceil),
    }
    node = onnx.helper.make_node
    if layer.mode == "max":
        return [node("MaxPool", ["x"], ["y"], **settings)], {}
    if layer.mode == "min":
        nodes = [node("Neg", ["x"], ["n"]), node("MaxPool", ["n"], ["m"], **settings)]
        return [*nodes, node("Neg", ["m"], ["y"])], {}
    if layer.mode == "average":
        include = int(layer.count_include_pad)
        return [node("AveragePool", ["x"], ["y"], count_include_pad=include, **settings)], {}
    if layer.p != int(layer.p):
        raise _cannot("onnxruntime", f"p-norm of {layer.p:g}, only whole numbers")
    return [node("LpPool", ["x"], ["y"], p=int(layer.p), **settings)], {}


def _scipy(modules: list[Any], layer: OneLayer, X: Values) -> Values:
    ndimage = modules[0]

    def correlate(plane: Values, kernel: Values) -> Values:
        return np.asarray(ndimage.correlate(plane, kernel, mode="constant"))

    def extreme(plane: Values, footprint: Values, largest: bool) -> Values:
        run = ndimage.maximum_filter if largest else ndimage.minimum_filter
        return np.asarray(run(plane, footprint=footprint > 0, mode="nearest"))

    return _by_planes(layer, X, _numpy_pad, correlate, extreme)


def _opencv(modules: list[Any], layer: OneLayer, X: Values) -> Values:
    cv2 = modules[0]
    borders = {
        "zeros": cv2.BORDER_CONSTANT,
        "edge": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT_101,
        "symmetric": cv2.BORDER_REFLECT,
        "wrap": cv2.BORDER_WRAP,
    }

    def pad(plane: Values, sides: tuple[int, ...], mode: str, value: float) -> Values:
        return np.asarray(cv2.copyMakeBorder(plane, *sides, borders[mode], value=value))

    def correlate(plane: Values, kernel: Values) -> Values:
        made = cv2.filter2D(plane, -1, kernel, anchor=_middle(kernel), borderType=0)
        return np.asarray(made)

    def extreme(plane: Values, footprint: Values, largest: bool) -> Values:
        run = cv2.dilate if largest else cv2.erode
        return np.asarray(run(plane, footprint.astype(np.uint8), anchor=_middle(footprint)))

    return _by_planes(layer, X, pad, correlate, extreme)


def _middle(kernel: Values) -> tuple[int, int]:
    return kernel.shape[1] // 2, kernel.shape[0] // 2


def _numpy_pad(plane: Values, sides: tuple[int, ...], mode: str, value: float) -> Values:
    top, bottom, left, right = sides
    extra = {"constant_values": value} if mode == "zeros" else {}
    pads = (top, bottom), (left, right)
    return np.pad(plane, pads, _NUMPY_MODES.get(mode, mode), **extra)  # type: ignore[call-overload, no-any-return]


Pad = Callable[[Values, tuple[int, ...], str, float], Values]
Correlate = Callable[[Values, Values], Values]
Extreme = Callable[[Values, Values, bool], Values]


def _by_planes(
    layer: OneLayer, X: Values, pad: Pad, correlate: Correlate, extreme: Extreme
) -> Values:
    """Put a layer together from filters of single planes, at every stride-th place."""
    window = layer.window(X.shape)
    (top, bottom), (left, right) = window.pads_with_overhang
    sides = top, bottom, left, right

    def at_stride(plane: Values) -> Values:
        """Return the values whose windows begin at the strides: the anchor is the middle tap."""
        rows, cols = (axis.extent // 2 for axis in (window.rows, window.cols))
        high, wide = window.out
        return plane[rows :: window.rows.stride, cols :: window.cols.stride][:high, :wide]

    if isinstance(layer, ConvLayer):
        return _planes_conv(layer, X, window, lambda plane, kernel: at_stride(
            correlate(pad(plane, sides, layer.pad_mode, layer.pad_value), kernel)
        ))  # fmt: skip
    footprint = _spread(np.ones(window.kernel, X.dtype), window)

    def pooled(plane: Values) -> Values:
        if layer.mode in ("max", "min"):
            worst = -np.inf if layer.mode == "max" else np.inf
            padded = pad(plane, sides, "zeros", worst)
            return at_stride(extreme(padded, footprint, layer.mode == "max"))
        powers = plane if layer.mode == "average" else np.abs(plane) ** X.dtype.type(layer.p)
        sums = at_stride(correlate(pad(powers, sides, "zeros", 0.0), footprint))
        if layer.mode == "lp":
            return np.asarray(np.maximum(sums, 0) ** X.dtype.type(1 / layer.p))
        return sums / _divisors(layer.count_include_pad, window, at_stride, correlate, footprint)

    return _stack(X, lambda image: [pooled(np.ascontiguousarray(p)) for p in image])


def _divisors(
    include_pad: bool, window: Window, at_stride: Any, correlate: Correlate, footprint: Values
) -> Values:
    """Count the taps on real cells, or on pads too, by the peer's own sums."""
    (top, bottom), (left, right) = window.pads
    (_, hang_rows), (_, hang_cols) = window.pads_with_overhang
    inside = np.ones((window.rows.size, window.cols.size), footprint.dtype)
    inside = np.pad(inside, ((top, bottom), (left, right)), constant_values=float(include_pad))
    hanging = (0, hang_rows - bottom), (0, hang_cols - right)
    counts: Values = at_stride(correlate(np.pad(inside, hanging), footprint))
    return np.maximum(np.rint(counts), 1)


def _planes_conv(layer: ConvLayer, X: Values, window: Window, slide: Correlate) -> Values:
    channels = X.shape[3]
    weights, biases, groups = _bank(layer, channels, X.dtype)
    each = weights.shape[1]
    maps = len(weights) // groups if groups else 0

    def made(image: Values) -> list[Values]:
        planes = []
        for index, kernels in enumerate(weights):
            first = index // maps * each if groups else index % channels
            slid = [
                slide(np.ascontiguousarray(image[first + c]), _spread(kernel, window))
                for c, kernel in enumerate(kernels)
            ]
            planes.append(np.sum(slid, axis=0) + biases[index])
        return planes

    return _stack(X, made)


def _stack(X: Values, made: Callable[[Values], list[Values]]) -> Values:
    return np.stack([np.stack(made(image), axis=-1) for image in X.transpose(0, 3, 1, 2)])


def _spread(kernel: Values, window: Window) -> Values:
    """Return a kernel with zeros between its taps, for peers without dilation."""
    wide = np.zeros((window.rows.extent, window.cols.extent), kernel.dtype)
    wide[:: window.rows.dilation, :: window.cols.dilation] = kernel
    return wide


def _strides(window: Window) -> tuple[int, int]:
    return window.rows.stride, window.cols.stride


def _dilations(window: Window) -> tuple[int, int]:
    return window.rows.dilation, window.cols.dilation


def _last(values: Any) -> Values:
    return np.ascontiguousarray(np.asarray(values).transpose(0, 2, 3, 1))


_RUNNERS: Final = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "scipy": _scipy,
    "opencv": _opencv,
}
