"""How many channels the input of a network may have, and whether its layers fit one another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from cnncli.core.arrays import Shape
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError
from cnncli.network.error_context import error_context
from cnncli.network.graph import MAX_CHANNELS, NORMALIZE, SOURCE, Node, describe_layer
from cnncli.network.layers import (
    CellScaleLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    GroupNormLayer,
    Layer,
    MatMulLayer,
    MergeLayer,
    PadChannelsLayer,
    ReduceLayer,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.base import OPEN_SIDE
from cnncli.network.model import Model
from cnncli.network.preparation import Preparation

_SIZED: Final = (CellScaleLayer, MatMulLayer, ViewLayer)
"""Layers that fit some rows and columns only."""

Channels = tuple[Fraction, Fraction]
"""Numbers a and b: ``a * n + b`` channels for an input of n."""


def check_chain(model: Model) -> None:
    """Check the channels of all layers and, where the input's size is known, their sizes.

    Raises
    ------
    FileProblem
        With the name of the layer that fits no input that the first layers may take.
    """
    misfits = []
    for channels in channel_counts(model.network.nodes, model.input):
        misfit = _misfit(model, channels)
        if misfit is None:
            return
        misfits.append(misfit)
    index, name, error = max(misfits, key=lambda misfit: misfit[0])
    with error_context(describe_layer(name)):
        raise error


def channel_counts(nodes: Sequence[Node], prepared: Preparation) -> list[int]:
    """Return the numbers of channels an input may have, the likeliest first.

    What a layer needs tells how many the input has.
    """
    if known := 1 if prepared.gray else prepared.channels:
        return [known]
    channels: dict[str, Channels] = {SOURCE: (Fraction(1), Fraction(0))}
    counts = [3, 1]
    own = _needs(nodes[0].layer, (1, 1)) if nodes and nodes[0].name == NORMALIZE else []
    for node in nodes:
        a, b = _taken_by(node, channels)
        needs = _needs(node.layer, prepared.size or (1, 1)) if node.name != NORMALIZE else []
        counts += [int((need - b) / a) for need in needs if a and need >= a + b]
        channels[node.name] = _made_by(node, (a, b), channels)
    # A mean of two numbers asks for two channels only where no layer tells how many there are.
    counts += own if len(counts) == 2 else []
    return list(dict.fromkeys(counts))


def _taken_by(node: Node, channels: Mapping[str, Channels]) -> Channels:
    """Return the channels that a layer takes."""
    if isinstance(node.layer, ConcatLayer) and node.layer.axis == "channels":
        a, b = (sum(terms) for terms in zip(*(channels[name] for name in node.inputs), strict=True))
        return Fraction(a), Fraction(b)
    # One channel serves all of another input.
    return max(channels[name] for name in node.inputs)


def _made_by(node: Node, taken: Channels, channels: Mapping[str, Channels]) -> Channels:
    """Return the channels that a layer gives."""
    (a, b), layer = taken, node.layer
    none = Fraction(0)
    if isinstance(layer, ConvLayer):
        maps = layer.filter.maps
        return (a * maps, b * maps) if layer.filter.per_channel else (none, Fraction(maps))
    if isinstance(layer, ConvTransposeLayer):
        return none, Fraction(layer.channels_out)
    if isinstance(layer, SliceLayer):
        # By what is left of more channels than any network has.
        part = slice(layer.start, layer.stop, layer.step)
        fewer, more = (len(range(MAX_CHANNELS + k)[part]) for k in (0, 1))
        grows = more - fewer
        return a * grows, fewer - grows * MAX_CHANNELS + b * grows
    if isinstance(layer, ReduceLayer) and not layer.keeps_channels:
        return none, Fraction(1)
    if isinstance(layer, PadChannelsLayer):
        return a, b + sum(layer.counts)
    if isinstance(layer, ViewLayer):
        return none, Fraction(layer.channels)
    if isinstance(layer, MatMulLayer):
        return channels[node.inputs[-1]]
    if isinstance(layer, SpaceToDepthLayer):
        return a * layer.block**2, b * layer.block**2
    if isinstance(layer, DepthToSpaceLayer):
        return a / layer.block**2, b / layer.block**2
    return a, b


def _needs(layer: Layer | MergeLayer, size: Pair) -> list[int]:
    """The numbers of channels that a layer may need of its input, of that size as far as known."""
    if isinstance(layer, ConvLayer):
        channels = layer.filter.channels_in
        return [] if channels is None else [channels * layer.groups]
    if isinstance(layer, ConvTransposeLayer):
        return [layer.filter.maps]
    if isinstance(layer, ViewLayer):
        cells = math.prod(length or 1 for length in layer.new_shape or layer.before.dims or ())
        return [cells // math.gcd(cells, size[0] * size[1])]
    if isinstance(layer, CellScaleLayer):
        return [layer.shape[2]]
    if isinstance(layer, SliceLayer):
        ends = (layer.start + 1, -layer.start, layer.stop or 1)
        return [max(end for end in ends if end <= MAX_CHANNELS)]
    if isinstance(layer, DepthToSpaceLayer):
        return [layer.block**2]
    known = [layer.groups] if isinstance(layer, GroupNormLayer) else []
    return known + [array.size for array in layer.parameters.values()]


def _misfit(model: Model, channels: int) -> tuple[int, str, CnnCliError] | None:
    """Return the first layer that does not fit an input of that many channels, and why."""
    size = model.input.size or (OPEN_SIDE, OPEN_SIDE)
    shapes: dict[str, Shape] = {SOURCE: (1, *size, channels)}
    for index, node in enumerate(model.network.nodes):
        if isinstance(node.layer, _SIZED) and not model.input.size:
            last = shapes[node.inputs[-1]][3]
            count = node.layer.channels if isinstance(node.layer, ViewLayer) else last
            shapes[node.name] = (1, OPEN_SIDE, OPEN_SIDE, count)
            continue
        try:
            shape = node.layer.output_shape(*(shapes[name] for name in node.inputs))
        except CnnCliError as error:
            return index, node.name, error
        # Without a size only channels are known: each layer meets an input as large as any.
        shapes[node.name] = shape if model.input.size else (1, OPEN_SIDE, OPEN_SIDE, shape[3])
    return None
