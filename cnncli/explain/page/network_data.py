"""The data of the page of a network: computed by the page itself, or stored in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.io.images import Picture
from cnncli.network.graph import Network

_MOST_NAMED: Final = 3
"""Layers that a note names."""


def network_page_data(
    network: Network,
    picture: Picture,
    layer: str,
    unit: Unit,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> PageData:
    """Return what the page of a network shows.

    Parameters
    ----------
    network : Network
    picture : Picture
    layer : str
        The layer of the unit.
    unit : Unit
        The output that the page begins with.
    title : str
        May hold anything.
    notes : sequence of str
        On the image.

    Returns
    -------
    dict
        Data for ``network/network.js``: of a small network image and weights, of which the page
        computes all layers; of others the values of all layers.

    Raises
    ------
    ShapeError
        If the image does not fit.
    CnnCliError
        If memory does not suffice.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.zeros((1, 8, 8, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> data = network_page_data(network, picture, "pool2", Unit((1, 0)), title="a.png")
    >>> [layer["name"] for layer in data["layers"]]
    ['pool1', 'pool2']
    """
    live = live_network_page_data(network, picture, layer, unit, title=title, notes=notes)
    if live is not None:
        return live
    run = [node.name for node in network.nodes if not node.layer.has_gradient]
    if run:
        more = f" and {len(run) - _MOST_NAMED} more" if len(run) > _MOST_NAMED else ""
        told = (
            f"ONNX runs {', '.join(run[:_MOST_NAMED])}{more}: this page cannot compute such layers."
        )
        notes = [*notes, told]
    return stored_network_page_data(network, picture, layer, unit, title=title, notes=notes)
