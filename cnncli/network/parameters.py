"""How many parameters a network has: the numbers that were learned."""

from __future__ import annotations

from typing import Any

from cnncli.core.arrays import non_finite_text
from cnncli.network.graph import NORMALIZE, Network, Node
from cnncli.network.layers import (
    BatchNormLayer,
    CellScaleLayer,
    Layer,
    MergeLayer,
    PadLayer,
    ScaleLayer,
)
from cnncli.network.layers.norm import Normalization


def count_parameters(network: Network) -> dict[str, int]:
    """Return the number of parameters of each layer.

    Counted are the numbers of layers, and those that layers of an ONNX model share for the first of
    them. Not so what only fills in, such as the factor 1 of a bias, and constants: the scale of the
    network's input, single numbers of scales, the means and variances of batch normalisation, which
    come from data, and what a file tells of a layer, see `Node.parameters`.

    Parameters
    ----------
    network : Network
        Its arrays may be placeholders, see `cnncli.core.arrays`.

    Examples
    --------
    >>> import numpy as np
    >>> bias, half = ScaleLayer(np.ones(1), np.zeros(8)), ScaleLayer(np.full(1, 0.5), np.zeros(1))
    >>> count_parameters(Network.chain(bias, half))
    {'scale1': 8, 'scale2': 0}
    """
    layers = {node.name: node.layer for node in network.nodes}
    counts: dict[str, int] = {}
    met: set[int] = set()
    for node in network.nodes:
        sizes = _sizes(node, layers.get(node.inputs[0]))
        # Each output of a recurrent node is a layer of its own.
        shared = [array for array in getattr(node.layer, "weights", ()) if id(array) not in met]
        met.update(map(id, shared))
        count = sum(sizes) + sum(array.size for array in shared)
        counts[node.name] = count if node.parameters is None else min(count, node.parameters)
    return counts


def faulty_weights(network: Network) -> str:
    """Say of the first layer whose weights are NaN or infinite how many; empty if none has any.

    Only what is run by onnx can: layers of our own refuse such weights.

    Parameters
    ----------
    network : Network

    Examples
    --------
    >>> faulty_weights(Network.chain(PadLayer(1)))
    ''
    """
    for node in network.nodes:
        layer: Any = node.layer
        arrays = layer.constants.values() if getattr(layer, "why", "") else ()
        arrays = arrays or getattr(layer, "weights", ())
        floats = [array for array in arrays if array.dtype.kind == "f"]
        if faulty := non_finite_text(f"weights of {node.name}", *floats):
            return faulty
    return ""


def _sizes(node: Node, before: Layer | MergeLayer | None) -> list[int]:
    """Return how many numbers each array of a layer adds, given the layer of its first input."""
    layer = node.layer
    if node.name == NORMALIZE:
        return []
    if isinstance(layer, BatchNormLayer):
        return [layer.gamma.size, layer.beta.size]
    if isinstance(layer, CellScaleLayer) and isinstance(before, PadLayer):
        return [_in_border(layer, before)]
    sizes = [array.size for array in layer.parameters.values()]
    if isinstance(layer, (CellScaleLayer, Normalization, ScaleLayer)):
        # One number for all channels is a constant, or stands for what the model does not have.
        return [size for size in sizes if size > 1]
    return sizes


def _in_border(layer: CellScaleLayer, pad: PadLayer) -> int:
    """Return how many numbers a border has whose cells get offsets.

    So is written a constant that is joined to a picture, as the class token is to patches.
    """
    n_H, n_W, n_C = layer.shape
    (top, bottom), (left, right) = pad.window((1, *layer.shape)).pads
    return (n_H * n_W - (n_H - top - bottom) * (n_W - left - right)) * n_C
