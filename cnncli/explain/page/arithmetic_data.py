"""What the page of a network computes its units with: the settings and weights of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import ACTIVATIONS
from cnncli.explain.page.layer_data import PageData, layer_settings, pack_array
from cnncli.network.graph import Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    Elementwise,
    FloatArray,
    PoolLayer,
    ScaleLayer,
    Shape,
    SliceLayer,
    SoftmaxLayer,
)

MOST_EXACT: Final = 6 * 10**6
"""Bytes of values and weights up to which weights are exact: a page of 8 MB as base64."""

MOST_WEIGHTS: Final = 2**25
"""Bytes of all weights; of more the largest layers' are left out."""

_FLOAT16: Final = np.finfo(np.float16)


def network_arithmetic(
    network: Network, shapes: Mapping[str, Shape], dtype: np.dtype[Any], used: int
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
    >>> records, notes = network_arithmetic(network, shapes, np.dtype(np.float32), 0)
    >>> records["pool1"]["mode"], records["pool1"]["kernel"], notes
    ('max', [2, 2], [])
    """
    sizes = {
        node.name: node.layer.filter.weights.size
        for node in network.nodes
        if isinstance(node.layer, ConvLayer)
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
        else _record(node, [shapes[name] for name in node.inputs], dtype, kind)
        for node in network.nodes
    }
    notes = []
    if not exact and len(left) < len(sizes):
        notes.append("Weights are rounded to float16, so sums may differ in the third digit.")
    if left:
        notes.append(f"The weights of {', '.join(left)} are too many for this page.")
    return records, notes


def _record(
    node: Node, inputs: Sequence[Shape], dtype: np.dtype[Any], kind: np.dtype[Any]
) -> PageData | None:
    """Return the settings of one layer, its weights in the type ``kind``."""
    layer = node.layer
    if isinstance(layer, (ConvLayer, PoolLayer)) and getattr(layer, "after", None) is None:
        record = layer_settings(layer, inputs[0], dtype)
        if isinstance(layer, ConvLayer):
            record["weights"] = pack_array(_rounded(layer.filter.weights.astype(dtype), kind))
            record["formula"] = ACTIVATIONS[layer.activation].formula
        return record
    record = {"op": layer.op}
    if isinstance(layer, ActivationLayer):
        alpha = None if layer.alpha is None else pack_array(layer.alpha.astype(np.float64))
        formula = ACTIVATIONS[layer.activation].formula
        return record | {"activation": layer.activation, "alpha": alpha, "formula": formula}
    if isinstance(layer, SoftmaxLayer) and layer.axes == ("channels",):
        name = "log-softmax" if layer.log else "softmax"
        return {"op": "activation", "activation": name, "formula": layer.function.formula}
    if isinstance(layer, (BatchNormLayer, ScaleLayer)):
        numbers = {name: _numbers(array) for name, array in layer.parameters.items()}
        epsilon = getattr(layer, "epsilon", None)
        return record | {**numbers, "epsilon": epsilon, "whole": getattr(layer, "whole", False)}
    if isinstance(layer, Elementwise):
        return record
    if isinstance(layer, ConcatLayer):
        return record | {"axis": layer.number - 1}
    return {"op": "copy"} if isinstance(layer, SliceLayer) else None


def _rounded(weights: FloatArray, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return weights in a smaller type, or as they are where some are beyond its range."""
    if kind == np.float16 and np.abs(weights).max(initial=0) > _FLOAT16.max:
        return weights
    return weights.astype(kind)


def _numbers(array: FloatArray) -> dict[str, str]:
    return pack_array(np.asarray(array, np.float64).reshape(-1))
