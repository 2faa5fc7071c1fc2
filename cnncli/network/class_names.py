"""Names of classes as the names of a network's last maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnncli.filters.filter import unique
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer


def with_class_names(network: Network, classes: Sequence[str]) -> Network | None:
    """Return a network whose scores bear the names of classes; None if it has not that many.

    Parameters
    ----------
    network : Network
        The scores are the maps of its last convolution, with activations and pools behind it.
    classes : sequence of str

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> from cnncli.network.graph import input_groups
    >>> scores = Network.chain(ConvLayer(from_array(np.ones((1, 1, 3, 2)))))
    >>> named = with_class_names(scores, ["cat", "dog"])
    >>> [group.name for group in named.groups(input_groups(3))["conv1"]]
    ['cat', 'dog']
    """
    node = network.nodes[-1]
    while isinstance(node.layer, ActivationLayer | PoolLayer) and node.inputs[0] != SOURCE:
        node = network.node(node.inputs[0])
    layer = node.layer
    if not isinstance(layer, ConvLayer) or layer.filter.per_channel:
        return None
    if layer.filter.maps != len(classes):
        return None
    plain = ["".join(c if c.isprintable() else "_" for c in name) for name in classes]
    named = replace(layer, filter=replace(layer.filter, map_names=unique(plain)))
    return Network(tuple(Node(n.name, named, n.inputs) if n is node else n for n in network.nodes))
