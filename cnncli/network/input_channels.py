"""How many channels a network wants its pictures to have, told from its first layers."""

from __future__ import annotations

from typing import Final

from cnncli.errors import CnnCliError
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers.base import OPEN_SIDE

COUNTS: Final = (1, 3)
"""Grey and RGB: a picture of the one can be made one of the other."""


def wanted_channels(network: Network, size: tuple[int, int] | None = None) -> int | None:
    """Return the channels of pictures that a network takes: 1 or 3; None if either will do.

    Parameters
    ----------
    network : Network
    size : (int, int), optional
        Rows and columns of its input, where they are known.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> from cnncli.network.layers import ConvLayer, PoolLayer
    >>> colour = ConvLayer(from_array(np.ones((3, 3, 3, 8))))
    >>> wanted_channels(Network.chain(PoolLayer(), colour))
    3
    """
    fitting = [
        count for count in COUNTS if _fits(network, (1, *(size or (OPEN_SIDE, OPEN_SIDE)), count))
    ]
    return fitting[0] if len(fitting) == 1 else None


def _fits(network: Network, shape: tuple[int, int, int, int]) -> bool:
    """Tell whether the layers before the first that makes other channels take an input."""
    shapes = {SOURCE: shape}
    for node in network.nodes:
        if not all(name in shapes for name in node.inputs):
            continue
        try:
            out = node.layer.output_shape(*(shapes[name] for name in node.inputs))
        except CnnCliError:
            return False
        if out[3] == shape[3] and node.layer.keeps_channels:
            shapes[node.name] = out
    return True
