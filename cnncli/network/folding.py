"""Folds layers into the convolutions before them: norms into filters, the rest into strips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli.network.graph import Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    ConvLayer,
    Elementwise,
    Layer,
    MergeLayer,
    ScaleLayer,
)
from cnncli.network.layers.base import Pointwise
from cnncli.network.layers.elementwise_chain import ElementwiseChain

_WIDE: Final = np.dtype(np.float64)

ON_EACH_CELL: Final = (ActivationLayer, ScaleLayer, BatchNormLayer, Elementwise)
"""Layers whose every output cell is made of the same cell of their inputs, whichever it is."""


def fold(network: Network, keep: Collection[str] = (), dtype: np.dtype[Any] = _WIDE) -> Network:
    """Return the same network with fewer layers.

    Batch normalisations become part of the filters and the bias, and so does what is only added.
    Layers that work on each pixel of a convolution's output alone are run strip by strip, while it
    is in cache.

    Parameters
    ----------
    network : Network
    keep : collection of str
        Layers whose own outputs are wanted: they stay as they are.
    dtype : dtype
        Of the filters that are made; float64 serves pictures of either.

    Returns
    -------
    Network
        What is folded bears the last layer's name. Values are equal to rounding.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> from cnncli.network.layers import ActivationLayer, ConvLayer
    >>> conv = ConvLayer(from_array(np.ones((3, 3, 1, 2))))
    >>> fold(Network.chain(conv, ActivationLayer("relu"))).names
    ('activation1',)
    """
    return _with_chains_folded(_with_scales_folded(network, keep, dtype), keep)


def _with_scales_folded(network: Network, keep: Collection[str], dtype: np.dtype[Any]) -> Network:
    used = [name for node in network.nodes for name in node.inputs]
    nodes: dict[str, Node] = {}
    for node in network.nodes:
        before = nodes.get(node.inputs[0])
        layer = None
        if before is not None and before.name not in keep and used.count(before.name) == 1:
            layer = _scaled(before.layer, node.layer, dtype)
        if before is not None and layer is not None:
            del nodes[before.name]
            nodes[node.name] = replace(node, layer=layer, inputs=before.inputs)
        else:
            nodes[node.name] = node
    return replace(network, nodes=tuple(nodes.values()))


def _scaled(
    conv: Layer | MergeLayer, norm: Layer | MergeLayer, dtype: np.dtype[Any]
) -> ConvLayer | None:
    """Return a bank and a norm behind it as one bank; None if they are something else."""
    if isinstance(norm, BatchNormLayer):
        norm = norm.scale
    elif not isinstance(norm, ScaleLayer) or norm.whole or (norm.factor != 1).any():
        # Filters of whole numbers stay so: their sums are exact, as quantised models need it.
        return None
    if not isinstance(conv, ConvLayer):
        return None
    if conv.activation != "none" or conv.filter.per_channel:
        return None
    # Multiplied in float64 whatever the parameters are, and rounded once.
    factor, offset = (v.astype(np.float64) for v in norm.parameters.values())
    filtered = conv.filter
    if (factor != 1).any():
        filtered = replace(filtered, weights=(filtered.weights * factor).astype(dtype))
    bias = conv.parameters.get("b", np.zeros(1)) * factor + offset
    return replace(conv, filter=filtered, bias=np.broadcast_to(bias, (conv.filter.maps,)))


def _with_chains_folded(network: Network, keep: Collection[str]) -> Network:
    users: dict[str, list[Node]] = {}
    for node in network.nodes:
        for name in node.inputs:
            users.setdefault(name, []).append(node)
    wanted = {*keep, network.nodes[-1].name}
    folded: dict[str, Node] = {}
    gone: set[str] = set()
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, ConvLayer) and layer.activation == "none" and layer.after is None:
            chain = _chain(node, users, wanted)
            if len(chain) > 1 and not layer.filter.per_channel:
                gone.update(one.name for one in chain[:-1])
                made = replace(layer, after=_as_one(chain))
                folded[chain[-1].name] = replace(chain[-1], layer=made, inputs=node.inputs)
    nodes = (folded.get(node.name, node) for node in network.nodes if node.name not in gone)
    return replace(network, nodes=tuple(nodes))


def _chain(conv: Node, users: Mapping[str, list[Node]], wanted: Collection[str]) -> list[Node]:
    """Return a convolution with the layers behind it that can be run with it."""
    chain, best = [conv], [conv]
    names = {conv.name}
    waiting = list(users.get(conv.name, ()))
    while waiting:
        node = waiting.pop(0)
        alone = isinstance(node.layer, ON_EACH_CELL)
        if node.name in names or not alone or not names.issuperset(node.inputs):
            continue
        inner = set(names)
        chain.append(node)
        names.add(node.name)
        waiting += users.get(node.name, ())
        used = (user.name for name in inner for user in users.get(name, ()))
        if inner.isdisjoint(wanted) and names.issuperset(used):
            best = list(chain)
    return best


def _as_one(chain: list[Node]) -> Pointwise:
    """Return the layers behind a convolution as one."""
    first = chain[1].layer
    if len(chain) == 2 and isinstance(first, Pointwise):
        return first
    numbers = {node.name: number for number, node in enumerate(chain)}
    steps = ((node.layer, tuple(numbers[name] for name in node.inputs)) for node in chain[1:])
    return ElementwiseChain(tuple(steps))
