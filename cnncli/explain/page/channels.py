"""Which channels of a layer's inputs each channel of its output is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import OVER_CHANNELS
from cnncli.network.graph import Network
from cnncli.network.layers import (
    AnyLayer,
    ConcatLayer,
    ConvLayer,
    LRNLayer,
    PadChannelsLayer,
    Shape,
    SliceLayer,
)

Spans = NDArray[np.int32]
"""First channel and the one after the last for each channel of the output, shape (n_C, 2)."""

NOTHING: Final = (0, 0)


def channel_spans(layer: AnyLayer, inputs: Sequence[Shape], number: int, count: int) -> Spans:
    """Return which channels of one of its inputs each channel of a layer's output reads.

    Parameters
    ----------
    layer : Layer or MergeLayer
    inputs : sequence of (m, n_H, n_W, n_C)
        All of its inputs.
    number : int
        Which of them.
    count : int
        Channels of the output.

    Returns
    -------
    ndarray of int32, shape (count, 2)
        All channels, where a layer may mix them.

    Examples
    --------
    >>> channel_spans(SliceLayer(2, 6, 2), [(1, 4, 4, 8)], 0, 2).tolist()
    [[2, 3], [4, 5]]
    """
    total = inputs[number][3]
    spans: list[tuple[int, int]] = [(0, total)] * count
    over_channels = getattr(layer, "activation", "none") in OVER_CHANNELS
    if over_channels or "channels" in getattr(layer, "read_axes", ()):
        pass
    elif isinstance(layer, LRNLayer):
        near = [layer.channels(k, total) for k in range(count)]
        spans = [(each.start, each.stop) for each in near]
    elif isinstance(layer, ConvLayer) and not layer.filter.per_channel:
        maps, depth = count // layer.groups, total // layer.groups
        spans = [(k // maps * depth, (k // maps + 1) * depth) for k in range(count)]
    elif isinstance(layer, ConcatLayer) and layer.axis == "channels":
        spans = _shifted(sum(shape[3] for shape in inputs[:number]), total, count)
    elif isinstance(layer, SliceLayer):
        spans = [(first, first + 1) for first in layer.taken(inputs[number])[2]]
    elif isinstance(layer, PadChannelsLayer):
        spans = _shifted(layer.counts[0], total, count)
    elif getattr(layer, "keeps_channels", True):
        # A filter of two dimensions is on all channels, then the next one is.
        spans = [(k % total, k % total + 1) for k in range(count)]
    return np.array(spans, np.int32)


def _shifted(before: int, total: int, count: int) -> list[tuple[int, int]]:
    inside = range(before, before + total)
    return [(k - before, k - before + 1) if k in inside else NOTHING for k in range(count)]


def channels_behind(
    network: Network, shapes: Mapping[str, Shape], layer: str, channels: Sequence[int]
) -> dict[str, range]:
    """Return the channels that some channels of a layer depend on, by layer.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer())
    >>> channels_behind(network, network.shapes((1, 4, 4, 3)), "pool1", [2])
    {'pool1': range(2, 3), 'input': range(2, 3)}
    """
    behind = {layer: range(min(channels), max(channels) + 1)}
    for node in reversed(network.nodes):
        if node.name not in behind:
            continue
        inputs = [shapes[name] for name in node.inputs]
        for number, name in enumerate(node.inputs):
            spans = channel_spans(node.layer, inputs, number, shapes[node.name][3])
            chosen = [tuple(span) for span in spans[list(behind[node.name])].tolist()]
            ends = [span for span in chosen if span != NOTHING]
            if name in behind:
                ends.append((behind[name].start, behind[name].stop))
            if ends:
                behind[name] = range(min(a for a, _ in ends), max(b for _, b in ends))
    return behind
