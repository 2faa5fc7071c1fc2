"""The same layer by other libraries, where they are installed, for ``compare --against``.

Padding, sums, extremes and divisors are the library's wherever it can do them; where it has no such
border or no stride, it is given what it can do.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.compare.difference import Values
from cnncli.core.activations import get_activation
from cnncli.core.geometry import Window
from cnncli.errors import CnnCliError, OptionError, one_line
from cnncli.network.conventions import OneLayer, is_lp_of_torch
from cnncli.network.layers import ConvLayer

MODULES: Final = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "scipy": ("scipy.ndimage",),
    "opencv": ("cv2",),
}
"""What each library imports."""

PACKAGES: Final = {
    "torch": "torch",
    "onnxruntime": "onnxruntime onnx",
    "scipy": "scipy",
    "opencv": "opencv-python-headless",
}

_TORCH_MODES = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}
_ONNX_MODES = {"zeros": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
_ONNX_POOLS = {"max": "MaxPool", "min": "MaxPool", "average": "AveragePool", "lp": "LpPool"}


def run_peer(name: str, layer: OneLayer, X: Values) -> Values:
    """Return what another library makes of a batch.

    Parameters
    ----------
    name : {"torch", "onnxruntime", "scipy", "opencv"}
    layer : ConvLayer or PoolLayer
    X : ndarray, shape (N, H, W, C)

    Returns
    -------
    ndarray, shape (N, n_H, n_W, n_C)
        Of float32 by onnxruntime. With the layer's activation, which is ours: libraries are asked
        for their windows.

    Raises
    ------
    CnnCliError
        If it is not installed.
    OptionError
        If it has no such layer.
    """
    modules = [_load(name, module) for module in MODULES[name]]
    layer.output_shape(X.shape)
    window, bank = layer.window(X.shape), None
    if isinstance(layer, ConvLayer):
        bank = _bank(layer, X.shape[3], X.dtype)
    planes = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    try:
        Y = np.asarray(_RUNNERS[name](modules, layer, planes, window, bank))
    except (CnnCliError, MemoryError):
        raise
    except Exception as error:  # libraries have their own kinds, with no common base
        raise _cannot(name, f"such layer: {one_line(error)}") from error
    Y = Y.transpose(0, 2, 3, 1)
    if isinstance(layer, ConvLayer) and bank is not None:
        slopes = {} if layer.alpha is None else {"alpha": layer.alpha.astype(X.dtype)}
        Y = get_activation(layer.activation, **slopes).forward(Y[..., bank.order])
    return np.ascontiguousarray(Y)


def _load(name: str, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise CnnCliError(
            f"--against {name} needs the package {package}, which is not installed",
            hint=f"pip install {PACKAGES[name]}",
        ) from error


def _cannot(name: str, what: str) -> OptionError:
    others = ", ".join(other for other in MODULES if other != name)
    return OptionError(f"{name} has no {what}", hint=f"--against {others}")


@dataclass(frozen=True, eq=False)
class _Bank:
    """Filters as all libraries take them: weights (O, I, kh, kw), biases, groups of channels."""

    weights: Values
    biases: Values
    groups: int
    order: NDArray[np.intp]
    """Where each map of ours is among theirs."""


def _bank(layer: ConvLayer, channels: int, dtype: Any) -> _Bank:
    weights, maps = layer.filter.weights.astype(dtype), layer.filter.maps
    bias = layer.filter.bias if layer.bias is None else layer.bias
    biases = np.broadcast_to(np.asarray(0 if bias is None else bias, dtype), (maps,))
    if not layer.filter.per_channel:
        kernels = np.ascontiguousarray(weights.transpose(3, 2, 0, 1))
        return _Bank(kernels, biases.copy(), layer.groups, np.arange(maps))
    # Each channel is a group with all 2-D filters; our maps go filter by filter.
    kernels = np.tile(weights.transpose(2, 0, 1)[:, None], (channels, 1, 1, 1))
    order = np.arange(channels * maps).reshape(channels, maps).T.ravel()
    return _Bank(kernels, np.tile(biases, channels), channels, order)


def _strides(window: Window) -> tuple[int, int]:
    return window.rows.stride, window.cols.stride


def _dilations(window: Window) -> tuple[int, int]:
    return window.rows.dilation, window.cols.dilation


def _torch(modules: list[Any], layer: Any, X: Values, window: Window, bank: _Bank | None) -> Any:
    torch = modules[0]
    functional, x = torch.nn.functional, torch.from_numpy(X)
    (top, bottom), (left, right) = window.pads
    sides, stride, dilation = (left, right, top, bottom), _strides(window), _dilations(window)
    if bank is not None:
        if layer.border_mode not in ("zeros", *_TORCH_MODES):
            raise _cannot("torch", f"border {layer.border_mode}")
        mode = _TORCH_MODES.get(layer.border_mode, "constant")
        value = {"value": layer.pad_value} if mode == "constant" else {}
        padded = functional.pad(x, sides, mode=mode, **value)
        weights, biases = torch.from_numpy(bank.weights), torch.from_numpy(bank.biases)
        return functional.conv2d(padded, weights, biases, stride, 0, dilation, bank.groups)
    if layer.mode in ("max", "min"):
        sign, own = 1 if layer.mode == "max" else -1, (0, 0)
        if layer.ceil and any(sides):
            # Which windows begin in the picture is told by pads of its own alone.
            height, width = window.kernel
            if top != bottom or left != right or 2 * top > height or 2 * left > width:
                raise _cannot("torch", "ceil with uneven pads, or more than half a window")
            own, sides = (top, left), (0, 0, 0, 0)
        x = functional.pad(sign * x, sides, value=float("-inf"))
        return sign * functional.max_pool2d(x, window.kernel, stride, own, dilation, layer.ceil)
    if layer.mode == "lp":
        if any(sides) or dilation != (1, 1):
            raise _cannot("torch", "lp pooling with pads or dilation")
        if not is_lp_of_torch(layer):
            raise _cannot(
                "torch", "lp pooling of magnitudes with ceil, or with a p that is no even number"
            )
        return functional.lp_pool2d(x, layer.p, window.kernel, stride)
    if top != bottom or left != right or dilation != (1, 1):
        raise _cannot("torch", "average pooling with dilation or uneven pads")
    return functional.avg_pool2d(
        x, window.kernel, stride, (top, left), layer.ceil, layer.count_include_pad
    )


def _onnxruntime(
    modules: list[Any], layer: Any, X: Values, window: Window, bank: _Bank | None
) -> Any:
    runtime, onnx = modules
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes, arrays = _onnx_nodes(helper.make_node, layer, window, bank)
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", floats, [None] * 4)],
        [helper.make_tensor_value_info("y", floats, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    session = runtime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    # The least is the largest of what has the other sign.
    sign = np.float32(-1 if bank is None and layer.mode == "min" else 1)
    return session.run(None, {"x": sign * X.astype(np.float32)})[0] * sign


def _onnx_nodes(node: Any, layer: Any, window: Window, bank: _Bank | None) -> Any:
    """Return the nodes from x to y, and the arrays that they name: of float32, it has no other."""
    (top, bottom), (left, right) = window.pads
    fields: dict[str, Any] = {"strides": _strides(window), "dilations": _dilations(window)}
    if bank is None:
        if layer.mode == "lp" and layer.p != int(layer.p):
            raise _cannot("onnxruntime", f"p-norm of {layer.p:g}, only whole numbers")
        fields |= {"kernel_shape": window.kernel, "pads": [top, left, bottom, right]}
        fields["ceil_mode"] = int(layer.ceil)
        if layer.mode == "average":
            fields["count_include_pad"] = int(layer.count_include_pad)
        if layer.mode == "lp":
            fields["p"] = int(layer.p)
        return [node(_ONNX_POOLS[layer.mode], ["x"], ["y"], **fields)], {}
    if layer.border_mode not in _ONNX_MODES:
        raise _cannot("onnxruntime", f"border {layer.border_mode}")
    arrays: dict[str, Any] = {"W": bank.weights, "b": bank.biases, "value": layer.pad_value}
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    arrays["pads"] = np.array([0, 0, top, left, 0, 0, bottom, right])
    mode = _ONNX_MODES[layer.border_mode]
    nodes = [
        node("Pad", ["x", "pads", "value"], ["padded"], mode=mode),
        node("Conv", ["padded", "W", "b"], ["y"], group=bank.groups, **fields),
    ]
    return nodes, arrays


def _scipy(modules: list[Any], layer: Any, X: Values, window: Window, bank: _Bank | None) -> Values:
    ndimage = modules[0]

    def pad(plane: Values, sides: tuple[int, ...], mode: str, value: float) -> Values:
        top, bottom, left, right = sides
        fields: Any = {"constant_values": value} if mode == "zeros" else {"mode": mode}
        return np.pad(plane, ((top, bottom), (left, right)), **fields)

    def correlate(plane: Values, kernel: Values) -> Values:
        return np.asarray(ndimage.correlate(plane, kernel, mode="constant"))

    def extreme(plane: Values, footprint: Values, largest: bool) -> Values:
        run = ndimage.maximum_filter if largest else ndimage.minimum_filter
        return np.asarray(run(plane, footprint=footprint > 0, mode="nearest"))

    return _PlaneFilters(layer, window, pad, correlate, extreme).run(X, bank)


def _opencv(
    modules: list[Any], layer: Any, X: Values, window: Window, bank: _Bank | None
) -> Values:
    cv2 = modules[0]
    borders = {
        "zeros": cv2.BORDER_CONSTANT,
        "edge": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT_101,
        "symmetric": cv2.BORDER_REFLECT,
        "wrap": cv2.BORDER_WRAP,
    }
    anchor = window.cols.extent // 2, window.rows.extent // 2

    def pad(plane: Values, sides: tuple[int, ...], mode: str, value: float) -> Values:
        return np.asarray(cv2.copyMakeBorder(plane, *sides, borders[mode], value=value))

    def correlate(plane: Values, kernel: Values) -> Values:
        return np.asarray(cv2.filter2D(plane, -1, kernel, anchor=anchor, borderType=0))

    def extreme(plane: Values, footprint: Values, largest: bool) -> Values:
        run = cv2.dilate if largest else cv2.erode
        return np.asarray(run(plane, footprint.astype(np.uint8), anchor=anchor))

    return _PlaneFilters(layer, window, pad, correlate, extreme).run(X, bank)


@dataclass(frozen=True)
class _PlaneFilters:
    """A layer put together from a library's filters of single planes, which have no stride."""

    layer: Any
    window: Window
    pad: Callable[[Values, tuple[int, ...], str, float], Values]
    correlate: Callable[[Values, Values], Values]
    extreme: Callable[[Values, Values, bool], Values]

    def run(self, X: Values, bank: _Bank | None) -> Values:
        """Return the layer's output, (N, C, H, W)."""
        if bank is None:
            return np.stack([[self._pool(plane) for plane in image] for image in X])
        maps, channels = len(bank.weights) // bank.groups, bank.weights.shape[1]
        images = []
        for image in X:
            planes = []
            for index, kernels in enumerate(bank.weights):
                first = index // maps * channels
                sums = [
                    self._correlated(plane, kernel, self.layer.border_mode, self.layer.pad_value)
                    for plane, kernel in zip(image[first:], kernels, strict=False)
                ]
                planes.append(np.sum(sums, axis=0) + bank.biases[index])
            images.append(planes)
        return np.array(images)

    def _pool(self, plane: Values) -> Values:
        layer, ones = self.layer, np.ones(self.window.kernel, plane.dtype)
        if layer.mode in ("max", "min"):
            largest = layer.mode == "max"
            padded = self._padded(plane, "zeros", -np.inf if largest else np.inf)
            return self._at_stride(self.extreme(padded, self._spread(ones), largest))
        if layer.mode == "lp":
            powers = np.abs(plane) ** plane.dtype.type(layer.p)
            sums = np.maximum(self._correlated(powers, ones), 0)
            return np.asarray(sums ** plane.dtype.type(1 / layer.p))
        # The taps on real cells, or on pads too, are counted by the library's own sums.
        inside = np.pad(
            np.ones_like(plane), self.window.pads, constant_values=float(layer.count_include_pad)
        )
        overhang = (0, self.window.rows.overhang), (0, self.window.cols.overhang)
        counts = self._at_stride(self.correlate(np.pad(inside, overhang), self._spread(ones)))
        return np.asarray(self._correlated(plane, ones) / np.maximum(np.rint(counts), 1))

    def _correlated(
        self, plane: Values, kernel: Values, mode: str = "zeros", value: float = 0.0
    ) -> Values:
        padded = self._padded(plane, mode, value)
        return self._at_stride(self.correlate(padded, self._spread(kernel)))

    def _padded(self, plane: Values, mode: str, value: float) -> Values:
        (top, bottom), (left, right) = self.window.pads_with_overhang
        return self.pad(plane, (top, bottom, left, right), mode, value)

    def _at_stride(self, plane: Values) -> Values:
        """Return the values whose windows begin at the strides: the anchor is the middle tap."""
        rows, cols = self.window.rows, self.window.cols
        part = plane[rows.extent // 2 :: rows.stride, cols.extent // 2 :: cols.stride]
        return part[: rows.out, : cols.out]

    def _spread(self, kernel: Values) -> Values:
        """Return a kernel with zeros between its taps, for libraries without dilation."""
        rows, cols = self.window.rows, self.window.cols
        wide = np.zeros((rows.extent, cols.extent), kernel.dtype)
        wide[:: rows.dilation, :: cols.dilation] = kernel
        return wide


_RUNNERS: Final = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "scipy": _scipy,
    "opencv": _opencv,
}
