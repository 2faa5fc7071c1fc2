"""The data of the page of a small network, which computes all values itself: image and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cnncli.core.activations import OVER_CHANNELS
from cnncli.explain.page.layer_data import (
    PageData,
    Unit,
    colour_tables,
    image_record,
    preset_records,
)
from cnncli.explain.page.settings_data import network_settings
from cnncli.io.images import Picture
from cnncli.network.graph import Network, Node, input_groups
from cnncli.network.layers import (
    DepthToSpaceLayer,
    LRNLayer,
    MatMulLayer,
    PadChannelsLayer,
    PadLayer,
    ReduceLayer,
    ResizeLayer,
    Shape,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.norm import Normalization
from cnncli.network.parameters import count_parameters
from cnncli.network.summary import LayerSummary, summarize
from cnncli.pipeline.auto_range import clips_by_default

MOST_PRODUCTS: Final = 3 * 10**8
"""Products of convolutions, which take a browser about a second, and their gradients two more."""

_PER_PRODUCT: Final = 2
"""Products of a convolution that take as long as one of a product of matrices."""

_PER_TAP: Final = 5
"""Products of a convolution that take as long as one tap of a resize."""

_PER_VALUE: Final = 100
"""Products of a convolution that take as long as one value of `_SLOW_LAYERS`."""

_SLOW_LAYERS: Final = (
    DepthToSpaceLayer,
    LRNLayer,
    Normalization,
    PadChannelsLayer,
    PadLayer,
    ReduceLayer,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
"""Layers over whole axes, and those that move values."""

MOST_VALUES: Final = 2**23
"""Values of all layers."""

MOST_BYTES: Final = 3 * 2**19
"""Bytes of the image and of all weights: a page of some 2 MB."""


def live_network_page_data(
    network: Network,
    picture: Picture,
    layer: str,
    unit: Unit,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> PageData | None:
    """Return what a network's page needs to compute all layers; as `network_page_data`.

    Returns
    -------
    dict or None
        Data for ``network/network.js``; None where a page cannot compute a layer, or would
        take long.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.zeros((1, 8, 8, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> network, unit = Network.chain(PoolLayer(), PoolLayer()), Unit((1, 0))
    >>> data = live_network_page_data(network, picture, "pool2", unit, title="a.png")
    >>> [(spec["name"], spec["settings"]["mode"]) for spec in data["layers"]]
    [('pool1', 'max'), ('pool2', 'max')]
    """
    shapes = network.shapes((1, *picture.shape[1:]))
    summaries = summarize(network, picture.shape[1:]).layers
    if not _is_small(network, picture, shapes, summaries):
        return None
    used = picture.pixels[0].nbytes
    settings, notes_of_weights = network_settings(network, shapes, picture.dtype, used, {})
    # Notes tell of weights that are not exact.
    if notes_of_weights or not all(map(_can_compute, settings.values())):
        return None
    groups = input_groups(picture.shape[3])
    whole = slice(0, picture.shape[1]), slice(0, picture.shape[2])
    return {
        "kind": "network",
        "title": title,
        "input": image_record(picture, unit.image, whole, groups),
        "single": picture.dtype == np.float32,
        "layers": _layer_records(network, picture, summaries, settings),
        "unit": {"layer": layer, "map": unit.map, "at": list(unit.at)},
        "tables": colour_tables(),
        "imageNotes": len(notes),
        "presets": preset_records(one.get("filterName", "") for one in settings.values() if one),
        "notes": [*notes, "This page computes all values itself, from the image and the weights."],
    }


def _layer_records(
    network: Network,
    picture: Picture,
    summaries: Sequence[LayerSummary],
    settings: Mapping[str, PageData | None],
) -> list[PageData]:
    """Return what the page computes each layer with, and what it tells of it."""
    return [
        {
            "name": node.name,
            "inputs": list(node.inputs),
            "label": summary.label,
            "maps": list(node.maps) or None,
            "clips": clips_by_default(network.until(node.name), picture),
            "settings": settings[node.name],
        }
        for node, summary in zip(network.nodes, summaries, strict=True)
    ]


def _is_small(
    network: Network,
    picture: Picture,
    shapes: Mapping[str, Shape],
    summaries: Sequence[LayerSummary],
) -> bool:
    """Whether a page can hold a network and its image, and computes it in about a second."""
    if picture.dtype not in (np.float32, np.float64):
        return False
    if sum(math.prod(shape) for shape in shapes.values()) > MOST_VALUES:
        return False
    inputs = [shapes[node.inputs[0]] for node in network.nodes]
    if sum(map(_products, network.nodes, summaries, inputs)) > MOST_PRODUCTS:
        return False
    parameters = sum(count_parameters(network).values())
    return bool(picture.pixels[0].nbytes + picture.dtype.itemsize * parameters <= MOST_BYTES)


def _products(node: Node, summary: LayerSummary, shape: Shape) -> int:
    """Return how many products of convolutions take a browser as long as a layer."""
    counted = summary.multiply_adds or 0
    match node.layer:
        case MatMulLayer():
            return _PER_PRODUCT * counted
        case ResizeLayer() as layer:
            taps = (axis.cells.shape[1] for axis in layer.taps(shape))
            return _PER_TAP * math.prod((*layer.output_shape(shape), *taps))
        case layer if getattr(layer, "activation", None) in OVER_CHANNELS:
            return counted + _PER_VALUE * math.prod(summary.shape)
        case layer if isinstance(layer, _SLOW_LAYERS):
            return _PER_VALUE * math.prod(shape)
        case _:
            return counted


def _can_compute(record: PageData | None) -> bool:
    return record is not None and record["op"] != "onnx"
