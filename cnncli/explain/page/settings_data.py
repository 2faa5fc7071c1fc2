"""What the page of a network computes its units with: the settings and weights of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import OVER_CHANNELS
from cnncli.core.geometry import Box
from cnncli.explain.page.layer_data import PageData, layer_settings
from cnncli.network.graph import Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AnyLayer,
    BatchNormLayer,
    CellScaleLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    FloatArray,
    LRNLayer,
    PadChannelsLayer,
    PadLayer,
    PoolLayer,
    QuotientLayer,
    ReduceLayer,
    ResizeLayer,
    ScaleLayer,
    Shape,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.norm import Normalization

MOST_EXACT: Final = 6 * 10**6
"""Bytes of values and weights up to which weights are exact: a page of 8 MB."""

MOST_WEIGHTS: Final = 2**25
"""Bytes of all weights; of more the largest layers' are left out."""

_FLOAT16: Final = np.finfo(np.float16)


def network_settings(
    network: Network,
    shapes: Mapping[str, Shape],
    dtype: np.dtype[Any],
    used: int,
    sums: Mapping[str, PageData],
) -> tuple[dict[str, PageData | None], list[str]]:
    """Return what each layer's units are computed with.

    Parameters
    ----------
    network : Network
    shapes : dict of str to (m, n_H, n_W, n_C)
        Of all layers and the input.
    dtype : dtype
        In which the network computes.
    used : int
        Bytes that the page has already.
    sums : dict of str to dict
        By layer, see `sums_of_all`.

    Returns
    -------
    records : dict of str to (dict or None)
        By layer; None: the page does not compute it.
    notes : list of str
        On weights that are rounded or left out.

    Examples
    --------
    >>> network = Network.chain(PoolLayer())
    >>> shapes = network.shapes((1, 4, 4, 1))
    >>> records, notes = network_settings(network, shapes, np.dtype(np.float32), 0, {})
    >>> records["pool1"]["mode"], records["pool1"]["kernel"], notes
    ('max', [2, 2], [])
    """
    sizes = {
        node.name: sum(array.size for array in node.layer.parameters.values())
        for node in network.nodes
        if isinstance(node.layer, (ConvLayer, ConvTransposeLayer, CellScaleLayer))
    }
    exact = used + sum(sizes.values()) * dtype.itemsize <= MOST_EXACT
    kind = dtype if exact else np.dtype(np.float16)
    kept, left = sum(sizes.values()), []
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if kept * kind.itemsize > MOST_WEIGHTS:
            kept -= sizes[name]
            left.append(name)
    records = {
        node.name: None
        if node.name in left
        else _record(node, shapes[node.inputs[0]], dtype, kind) | sums.get(node.name, {})
        for node in network.nodes
    }
    notes = []
    if not exact and len(left) < len(sizes):
        notes.append("Weights are rounded to float16, so sums may differ in the third digit.")
    if left:
        notes.append(f"The weights of {', '.join(left)} are too many for this page.")
    return records, notes


def sums_of_all(
    layer: AnyLayer, X: FloatArray, box: Box, channels: Sequence[int], held: Sequence[int]
) -> PageData:
    """Return what a layer sums up of more input than a page may hold: means, totals.

    Parameters
    ----------
    layer : Layer or MergeLayer
    X : ndarray, shape (1, n_H, n_W, n_C)
        Its input.
    box : (slice, slice)
        The rows and columns of the layer that are in the page.
    channels, held : sequence of int
        The channels of the layer, and those of its input, that are in the page.

    Returns
    -------
    dict
        Of norms ``mean`` and ``var``, of a softmax ``largest`` and ``total``, also of one that
        a layer of groups has as its activation, of a reduction what it ``reduced`` to, for each
        row, column and group of channels that has its own: ``sumsShape`` tells how many. Of LRN
        the ``squares`` of the channels ``sumsChannels``, which have neighbours that are not in
        the page. Of others nothing.

    Examples
    --------
    >>> X = np.array([1.0, 5.0]).reshape(1, 1, 2, 1)
    >>> whole = slice(0, 1), slice(0, 2)
    >>> sums_of_all(SoftmaxLayer(("columns",)), X, whole, [0], [0])["sumsShape"]
    [1, 1, 1]
    """
    if isinstance(layer, Normalization):
        size = X.shape[3] // layer.groups_of(X.shape[3])
        mean, var = (numbers[..., ::size] for numbers in layer.statistics(X))
        sums = {"mean": mean, "var": var}
    elif isinstance(layer, ReduceLayer):
        # Before it is divided by the count, or its root taken.
        mode = {"mean": "sum", "l2": "sum"}.get(layer.mode, layer.mode)
        wanted = np.asarray(X, np.float64)
        wanted = np.square(wanted) if layer.mode == "l2" else wanted
        sums = {"reduced": ReduceLayer(mode, layer.axes).compute(wanted)}
    elif over := _shared_over(layer):
        sums = _powers(X, over)
    elif isinstance(layer, ConvLayer) and _shares_of_groups(layer):
        sums = _powers(replace(layer, activation="none").forward(X)[0], (3,))
    elif isinstance(layer, LRNLayer):
        return _squares(layer, X, box, channels, held)
    else:
        return {}
    return _sums(sums, box)


def _sums(sums: Mapping[str, FloatArray], box: Box) -> PageData:
    """Return what belongs to some rows and columns."""
    cut = {name: _cut(numbers[0], box) for name, numbers in sums.items()}
    (shape,) = {numbers.shape for numbers in cut.values()}
    return {name: _numbers(v) for name, v in cut.items()} | {"sumsShape": list(shape)}


def _powers(X: FloatArray, over: tuple[int, ...]) -> dict[str, FloatArray]:
    """Return the largest values along some axes, and the exponentials less that, added up."""
    largest = X.max(axis=over, keepdims=True)
    powers = np.exp(X - largest, dtype=np.float64)
    return {"largest": largest, "total": powers.sum(axis=over, keepdims=True)}


def _shares_of_groups(layer: ConvLayer) -> bool:
    """Whether a softmax runs over channels of which the page may lack some."""
    return layer.activation in OVER_CHANNELS and (layer.groups > 1 or layer.filter.per_channel)


def _squares(
    layer: LRNLayer, X: FloatArray, box: Box, channels: Sequence[int], held: Sequence[int]
) -> PageData:
    """Return the sums of squares of those channels whose neighbours a page lacks."""
    told = [channel for channel in channels if channel in held]
    near = {channel: layer.channels(channel, X.shape[3]) for channel in told}
    lacking = [c for c, one in near.items() if not set(held).issuperset(range(one.start, one.stop))]
    if not lacking:
        return {}
    cells = np.square(X[:, box[0], box[1]], dtype=np.float64)
    squares = np.stack([cells[..., near[channel]].sum(axis=3) for channel in lacking], axis=3)
    whole = slice(None), slice(None)
    return _sums({"squares": squares}, whole) | {"sumsChannels": lacking}


def _shared_over(layer: AnyLayer) -> tuple[int, ...]:
    """The axes along which a softmax on its own adds up to 1."""
    if isinstance(layer, SoftmaxLayer):
        return layer.over
    is_share = isinstance(layer, ActivationLayer) and layer.activation in OVER_CHANNELS
    return (3,) if is_share else ()


def _cut(numbers: FloatArray, box: Box) -> FloatArray:
    """Those of some rows and columns; an axis of one number has it for all."""
    rows, cols = (
        side if n > 1 else slice(None) for side, n in zip(box, numbers.shape[:2], strict=True)
    )
    return numbers[rows, cols]


def _record(node: Node, shape: Shape, dtype: np.dtype[Any], kind: np.dtype[Any]) -> PageData:
    """Return the settings of one layer, its weights in the type ``kind``."""
    layer = node.layer
    if isinstance(layer, (ConvLayer, ConvTransposeLayer, PoolLayer)):
        record = layer_settings(layer, shape, dtype)
        if isinstance(layer, ConvLayer):
            record["weights"] = _rounded(layer.filter.weights.astype(dtype), kind)
        elif isinstance(layer, ConvTransposeLayer):
            weights = layer.as_convolution_weights().astype(dtype)
            record["weights"] = _rounded(weights, kind)
        elif layer.size == "global":
            record["global"] = True
        return record
    if not layer.has_gradient:
        return {"op": "onnx"}
    numbers = {name: _numbers(array) for name, array in layer.parameters.items()}
    single = {"single": dtype == np.float32} if isinstance(layer, ResizeLayer) else {}
    return {"op": layer.op} | numbers | single | _settings(layer, shape)


def _settings(layer: AnyLayer, shape: Shape) -> PageData:
    """Return what a layer without weights computes with, beside its parameters."""
    match layer:
        case ActivationLayer():
            given = {name: getattr(layer, name) for name in ("alpha", "beta", "low", "high")}
            packed = {k: _numbers(v) for k, v in given.items() if v is not None}
            return packed | {"activation": layer.activation}
        case SoftmaxLayer():
            name = "log-softmax" if layer.log else "softmax"
            return {"activation": name, "axes": list(layer.axes)}
        case BatchNormLayer():
            return {"epsilon": layer.epsilon}
        case Normalization():
            axes = [name for name in AXES if name in layer.read_axes]
            return {"epsilon": layer.epsilon, "axes": axes, "groups": layer.groups_of(shape[3])}
        case ScaleLayer():
            return {"whole": layer.whole}
        case CellScaleLayer():
            return {"shape": list(layer.shape)}
        case QuotientLayer():
            return {"divisor": _numbers(layer.divisor)}
        case ReduceLayer():
            return {"mode": layer.mode, "axes": list(layer.axes)}
        case LRNLayer() | DepthToSpaceLayer() | SpaceToDepthLayer():
            return dict(vars(layer))
        case _:
            return _places(layer, shape)


def _places(layer: AnyLayer, shape: Shape) -> PageData:
    """Return what tells where the values of a layer come from."""
    match layer:
        case ConcatLayer():
            return {"axis": layer.number - 1}
        case ResizeLayer():
            names = ("mode", "coordinates", "rounding")
            scale = layer.scale if isinstance(layer.scale, tuple) else (layer.scale, layer.scale)
            settings = {name: getattr(layer, name) for name in names}
            size = None if layer.size is None else list(layer.output_shape(shape)[1:3])
            return settings | {"scale": list(scale), "size": size}
        case PadLayer():
            begins, ends = zip(*layer.window(shape).pads, strict=True)
            value = np.array([layer.pad_value])
            border = {"padMode": layer.border_mode, "padValue": value}
            return {"begin": list(begins), "end": list(ends)} | border
        case PadChannelsLayer():
            sides = {"before": layer.before, "after": layer.after}
            return {name: _numbers(np.zeros(0) if v is None else v) for name, v in sides.items()}
        case SliceLayer():
            taken = [[cells.start, cells.step, len(cells)] for cells in layer.taken(shape)]
            return {"shape": list(shape[1:]), "taken": taken}
        case ViewLayer():
            readings = [layer.reading(shape, axis) for axis in (0, 1)]
            return {
                "shape": list(shape[1:]),
                "newShape": list(layer.output_shape(shape)[1:]),
                "lengths": list(layer.before.shape(shape[1:])),
                "order": layer.before.order,
                "permutation": list(layer.permutation),
                "newOrder": layer.new_order(shape),
                "readings": [None if one is None else vars(one) for one in readings],
            }
        case _:
            return {}


def _rounded(weights: FloatArray, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return weights in a smaller type, or as they are where some are beyond its range."""
    if kind == np.float16 and np.abs(weights).max(initial=0) > _FLOAT16.max:
        return weights
    return weights.astype(kind)


def _numbers(array: FloatArray | float) -> FloatArray:
    """Return one or more numbers; those of float32 stay so."""
    flat = np.ravel(array)
    return flat if flat.dtype == np.float32 else flat.astype(np.float64)
