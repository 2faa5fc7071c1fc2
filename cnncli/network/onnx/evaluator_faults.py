"""What ONNX's ReferenceEvaluator (onnx 1.23) computes wrongly: mended where easy, or refused.

Each was found by comparing it with ONNX Runtime on random nodes. Many of its operators have no
forms for older versions of ONNX, and leave out attributes and inputs that they do not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array
from cnncli.io.limits import MAX_CELLS
from cnncli.network.layers.resize import COORDINATES
from cnncli.network.onnx.shapes import NotRun, Tensor

_FIRST_VERSION: Final = {"DequantizeLinear": 19}
"""The first version of an operator that the ReferenceEvaluator has; older ones do the same."""

_ONE_AXIS: Final = 13
"""The first version whose Softmax runs over one axis, not over all from that one on."""

_HALF_PIXEL: Final = 16
"""The first version whose RoiAlign shifts by half a pixel by default."""

_DILATED: Final = 10
"""The first version whose MaxPool has dilations."""

_INFERENCE: Final = 15
"""A version of BatchNormalization that is computed rightly."""

_DEFAULT_ACTIVATIONS: Final = {
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "GRU": ("Sigmoid", "Tanh"),
    "RNN": ("Tanh",),
}
"""The activations of recurrent nodes where nothing else is said."""

_TIE_TOLERANCE: Final = 1e-5
"""How near to the middle of two cells ONNX Runtime takes a place to be there, and some more."""

_SYMMETRIC: Final = "half-pixel-symmetric"

_OF_EXACT_SIZES: Final = ("align_corners", "tf_crop_and_resize")
"""Coordinates that are found from the size of the output, which must be whole without rounding."""

_POOLS: Final = ("AveragePool", "LpPool", "MaxPool")


def mended_version(proto: Any, opset: int) -> int:
    """Write a node so that it is computed rightly, and return the version of ONNX to run it by.

    Parameters
    ----------
    proto : NodeProto
        Changed in place.
    opset : int
        Of its model.
    """
    given = attributes_of(proto)
    if proto.op_type == "RoiAlign" and opset < _HALF_PIXEL:
        name = "coordinate_transformation_mode"
        if name not in given:
            make = import_module("onnx").helper.make_attribute
            proto.attribute.append(make(name, "output_half_pixel"))
        return _HALF_PIXEL
    if proto.op_type in _POOLS and given.get("auto_pad") == "VALID":
        # With it dilations and ceil_mode are forgotten; no pads are the same.
        _leave_out(proto, "auto_pad", "pads")
    has_places = proto.op_type == "MaxPool" and len(proto.output) > 1 and opset >= _DILATED
    if has_places and set(given.get("kernel_shape", ())) == {1}:
        # Places of maxima are counted rightly only with a stride or dilation, of which one cell
        # knows nothing.
        _leave_out(proto, "dilations")
        dilations = [2] * len(given["kernel_shape"])
        proto.attribute.append(import_module("onnx").helper.make_attribute("dilations", dilations))
    if proto.op_type == "BatchNormalization" and _is_inference(given, opset, len(proto.output)):
        # Those of 6 to 9 take their input's own mean and variance in.
        _leave_out(proto, "spatial", "is_test")
        return max(opset, _INFERENCE)
    return max(opset, _FIRST_VERSION.get(proto.op_type, 0))


def _leave_out(proto: Any, *names: str) -> None:
    kept = [each for each in proto.attribute if each.name not in names]
    del proto.attribute[:]
    proto.attribute.extend(kept)


def _is_inference(given: Mapping[str, Any], opset: int, outputs: int) -> bool:
    """Whether a BatchNormalization only scales and shifts each channel, by what was learned."""
    trains = given.get("training_mode", 0) or not given.get("is_test", opset > 6)
    return outputs == 1 and not trains and bool(given.get("spatial", 1))


def attributes_of(proto: Any) -> dict[str, Any]:
    """Return a node's attributes; words as text."""
    value = import_module("onnx").helper.get_attribute_value
    found = {each.name: value(each) for each in proto.attribute}
    return {
        name: word.decode(errors="replace") if isinstance(word, bytes) else word
        for name, word in found.items()
    }


@dataclass(frozen=True)
class _Node:
    """A node with what is known of its inputs."""

    op: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: Sequence[Tensor | None]
    known: Mapping[int, Array]
    outputs: int = 1

    def get(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)

    def has(self, index: int) -> bool:
        return len(self.inputs) > index and self.inputs[index] is not None

    @property
    def dims(self) -> tuple[int | None, ...]:
        """Of its first input."""
        return () if not self.inputs or self.inputs[0] is None else self.inputs[0].dims

    @property
    def window(self) -> tuple[tuple[int, ...], ...]:
        """Of a pool: its kernel, strides, dilations and pads."""
        kernel = self.get("kernel_shape", ())
        ones, zeros = (1,) * len(kernel), (0,) * 2 * len(kernel)
        others = {"strides": ones, "dilations": ones, "pads": zeros}
        return (kernel, *(self.get(name, default) for name, default in others.items()))


def check_computed(
    proto: Any, opset: int, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
) -> None:
    """Refuse a node that would be computed wrongly.

    Parameters
    ----------
    proto : NodeProto
    opset : int
    inputs : sequence of Tensor or None
        None where one is left out.
    known : mapping of int to ndarray
        Those that are constants.

    Raises
    ------
    NotRun
    """
    rule = _RULES.get(proto.op_type)
    if rule is None:
        return
    try:
        attributes, outputs = attributes_of(proto), len(proto.output)
        node = _Node(proto.op_type, opset, attributes, inputs, known, outputs)
        reason = rule(node) or (_pool_windows(node) if node.op in _POOLS else "")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise NotRun("its attributes do not fit it") from None
    if reason:
        raise NotRun(f"onnx does not compute it rightly {reason}")


def mended_inputs(op: str, arrays: Sequence[Array | None]) -> list[Array | None]:
    """Return a node's inputs as they are computed: the depth of OneHot without a row around it."""
    mended = [*arrays]
    if op == "OneHot" and (depth := mended[1]) is not None and depth.size == 1:
        mended[1] = depth.reshape(())
    return mended


def check_numbers(proto: Any, arrays: Sequence[Array | None]) -> None:
    """Refuse numbers of which a node would make something else.

    Raises
    ------
    NotRun
    """
    first = arrays[0] if arrays else None
    if first is None or first.dtype.kind != "f":
        return
    if proto.op_type in _POOLS and np.isnan(first).any():
        raise NotRun("onnx leaves NaN out of its windows")
    # With p = 1 it sums the values as they are; graphs of models avoid it, see `fused`.
    sums = proto.op_type == "LpNormalization" and attributes_of(proto).get("p", 2) == 1
    if sums and (first < 0).any():
        raise NotRun("onnx does not compute it rightly for numbers below 0")


def _softmax(node: _Node) -> str:
    # It runs over one axis, and that is the last one by default.
    several = len(node.dims[int(node.get("axis", 1)) :]) > 1
    return "over several axes" if node.opset < _ONE_AXIS and several else ""


def _lrn(node: _Node) -> str:
    # It counts pictures where it should count channels.
    return "unless there are as many pictures as channels" if len({*node.dims[:2]}) > 1 else ""


def _batch_norm(node: _Node) -> str:
    return "before version 14, in training" if node.opset < _INFERENCE - 1 else ""


def _recurrent(node: _Node) -> str:
    usual = _DEFAULT_ACTIVATIONS[node.op]
    directions = 2 if node.get("direction", "forward") == "bidirectional" else 1
    words = [word.decode(errors="replace").lower() for word in node.get("activations", ())]
    if words and words != [word.lower() for word in usual] * directions:
        return f"with activations other than {', '.join(usual)}"
    for name in ("activation_alpha", "activation_beta", "clip", "input_forget"):
        if node.get(name, 0):
            return f"with {name}"
    length = node.dims[1 if node.get("layout", 0) else 0]
    same = 4 in node.known and (node.known[4] == length).all()
    return "with shorter sequences" if node.has(4) and not same else ""


def _conv_transpose(node: _Node) -> str:
    groups, filters = node.get("group", 1), node.inputs[1]
    # Of groups it can only do one filter for each channel, without biases.
    is_depthwise = filters is not None and filters.dims[:2] == (groups, 1)
    if groups != 1 and (not is_depthwise or node.has(2)):
        return "in groups"
    return "with output_shape" if node.get("output_shape", ()) else ""


def _pool_windows(node: _Node) -> str:
    """Why a pool of any kind has other windows, or is refused."""
    auto, ceil = node.get("auto_pad", "NOTSET"), node.get("ceil_mode", 0)
    if ceil and auto != "NOTSET":
        return "with ceil_mode and auto_pad"
    if auto.startswith("SAME"):
        return ""
    kernel, strides, dilations, pads = node.window
    for axis, length in enumerate(node.dims[2:]):
        if length is None:
            continue
        end = length + pads[axis]
        steps = end + pads[len(kernel) + axis] - dilations[axis] * (kernel[axis] - 1) - 1
        if steps < 0:
            return "where its window does not fit into its input"
        if ceil and -(-steps // strides[axis]) * strides[axis] >= end:
            return "with ceil_mode, where a window would begin behind its input"
    return ""


def _max_pool(node: _Node) -> str:
    if node.get("auto_pad", "NOTSET").startswith("SAME"):
        # Pads of either word as those of SAME_UPPER, some of them negative.
        return "with auto_pad"
    _, strides, dilations, pads = node.window
    if max((*strides, *dilations), default=1) > 1:
        return ""
    if node.outputs > 1:
        # It counts them in each map anew, or takes them from other windows.
        return "with the places of its maxima, unless its stride is more than 1"
    return "with pads that differ" if len({*pads}) > 1 else ""


def _sum_pool(node: _Node) -> str:
    """Why an average or lp pool is wrong: its windows begin earlier for what hangs over the end."""
    kernel, strides, dilations, pads = node.window
    if node.get("auto_pad", "NOTSET").startswith("SAME"):
        return "with dilations and auto_pad" if max(dilations, default=1) > 1 else ""
    allowed = 1 if node.op == "AveragePool" else 0
    for axis, length in enumerate(node.dims[2:] if node.get("ceil_mode", 0) else ()):
        read = (length or 0) + pads[axis] + pads[len(kernel) + axis]
        if (dilations[axis] * (kernel[axis] - 1) + 1 - read) % strides[axis] > allowed:
            return "with ceil_mode"
    return ""


def _grid_sample(node: _Node) -> str:
    cubic = node.get("mode", "") in ("cubic", "bicubic")
    border = node.get("padding_mode", "") == "border"
    # By a tenth near the border, as PyTorch and ONNX Runtime agree.
    return "with mode cubic and padding_mode border" if cubic and border else ""


def _resize(node: _Node) -> str:
    coordinates = node.get("coordinate_transformation_mode", "half_pixel")
    axes = node.get("axes", range(len(node.dims)))
    lengths = [node.dims[axis] or 0 for axis in axes]
    scales, sizes = (node.known.get(index) for index in (2, 3))
    by_scales = scales is not None and scales.size == len(lengths)
    given = scales if by_scales else sizes
    if given is None or given.size != len(lengths):
        return ""
    for axis, length, number in zip(axes, lengths, given.tolist(), strict=True):
        exact = length * number if by_scales else number
        out = math.floor(np.float32(length) * np.float32(number)) if by_scales else number
        if math.floor(exact) != out or (coordinates in _OF_EXACT_SIZES and exact != out):
            return f"from {length} to {exact:g}"
        if axis == 0 and length and out != length:
            return f"of pictures, from {length} to {out}"
        if coordinates == "pytorch_half_pixel" and out == 1 < length:
            return f"from {length} to 1 with {coordinates}"
        scale = number if by_scales else number / max(length, 1)
        if _is_tie(node, scale, length, out):
            return f"from {length} to {exact:g}, where a place is between two cells"
    return ""


def _is_tie(node: _Node, scale: float, length: int, out: int) -> bool:
    """Whether rounding errors of single precision decide which cell is nearest to a place."""
    name = node.get("coordinate_transformation_mode", "half_pixel").replace("_", "-")
    is_nearest, is_symmetric = node.get("mode", "nearest") == "nearest", name == _SYMMETRIC
    find = COORDINATES.get("half-pixel" if is_symmetric else name)
    if find is None or scale <= 0 or out > MAX_CELLS or not (is_nearest or is_symmetric):
        return False
    if scale == 1 and is_symmetric:
        return False
    places = find(np.arange(out, dtype=np.float64), scale, length, out)
    if is_symmetric:
        places = places + length / 2 * (1 - out / (scale * length))
    rounds = is_nearest and node.get("nearest_mode", "round_prefer_floor").startswith("round")
    if rounds:
        places = np.concatenate([places + 0.5, places] if is_symmetric else [places + 0.5])
    apart = np.abs(places - np.rint(places))
    # What symmetric places add is rounded: one on a cell may come to lie beside it, in every mode.
    return bool(((apart < _TIE_TOLERANCE) & (is_symmetric | (apart > 0))).any())


_RULES: Final[dict[str, Callable[[_Node], str]]] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(_DEFAULT_ACTIVATIONS, _recurrent),
    "AveragePool": _sum_pool,
    "BatchNormalization": _batch_norm,
    "ConvTranspose": _conv_transpose,
    "GridSample": _grid_sample,
    "LRN": _lrn,
    "LpPool": _sum_pool,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
"""By operator: why it is not computed rightly; empty where it is."""
