"""How one output value is computed, number by number, beside what the fast path gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activations import ACTIVATIONS, OVER_CHANNELS
from cnncli.core.conv import conv_single_step
from cnncli.core.geometry import Pair
from cnncli.core.pool import create_mask_from_window, pool_forward
from cnncli.explain.explained_layer import POOL_PADDING, ExplainedLayer, check_position
from cnncli.explain.model import Axes, Block, Explanation, Formula, Spread, Step, padding_of
from cnncli.explain.moved_values import is_moved, moved_terms
from cnncli.explain.normalized import is_normalized, normalized_terms
from cnncli.explain.transposed import find_spread, transposed_step
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    CellScaleLayer,
    ConvLayer,
    Elementwise,
    FloatArray,
    PadLayer,
    PoolLayer,
    QuotientLayer,
    ScaleLayer,
)
from cnncli.network.layers.conv import OneMap


def explain(explained: ExplainedLayer, at: Pair, map_index: int = 0) -> Explanation:
    """Explain how one position of a layer's output gets its value.

    Parameters
    ----------
    explained : ExplainedLayer
    at : (row, column)
        Of the output.
    map_index : int
        Which of the layer's maps.

    Returns
    -------
    Explanation

    Raises
    ------
    OptionError
        If the position is outside of the output.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.filters.files import load_filter
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(9.0).reshape(1, 3, 3, 1)), (MapGroup("", (0,)),)
    >>> layer = ConvLayer(load_filter("1 2"), padding="valid")
    >>> conv = ExplainedLayer("conv1", layer, (source,), groups, np.dtype(float))
    >>> (step,) = explain(conv, (1, 0)).steps
    >>> step.blocks[0].products.tolist(), step.value, step.difference
    ([[3.0, 8.0]], 11.0, 0.0)
    """
    n_H, n_W, n_C = explained.output_shape[1:]
    check_position(at, (n_H, n_W), "output")
    layer, group, axes = explained.layer, explained.groups[map_index], explained.place_window(at)
    spread = find_spread(explained, at)
    names, fast = explained.output_names, explained.output(at[0], at[0] + 1)[0, at[1]]
    # Values that are not finite are shown as they are.
    with np.errstate(all="ignore"):
        steps = tuple(
            replace(step, name=names[step.channel], fast=float(fast[step.channel]))
            for step in _steps(explained, axes or spread, at, group.channels)
        )
    mode = getattr(layer, "mode", None)
    return Explanation(
        layer=explained.name,
        type=layer.op,
        mode=mode,
        p=getattr(layer, "p", None) if mode == "lp" else None,
        image=explained.image,
        images=explained.images,
        at=at,
        inputs=tuple(source.name for source in explained.inputs),
        input_shapes=tuple(source.shape[1:] for source in explained.inputs),
        output_shape=(n_H, n_W, n_C),
        axes=axes,
        padding=padding_of(axes or spread),
        pad_mode=explained.pad_mode,
        pad_value=getattr(layer, "pad_value", 0.0),
        map=map_index,
        map_name=group.name,
        maps=len(explained.groups),
        dtype=explained.dtype.name,
        steps=steps,
        spread=spread,
    )


def _steps(
    explained: ExplainedLayer, axes: Axes | Spread | None, at: Pair, channels: Sequence[int]
) -> Iterator[Step]:
    """Yield each channel's step, without its name and what the fast path gives."""
    layer = explained.layer
    if isinstance(axes, Spread):
        yield from (transposed_step(explained, axes, channel) for channel in channels)
    elif isinstance(layer, ConvLayer) and axes:
        maps = conv_maps(explained, layer, channels)
        totals = conv_totals(explained, axes, maps)
        yield from (_conv_step(explained, layer, axes, c, maps[c], totals) for c in channels)
    elif isinstance(layer, PoolLayer) and axes:
        yield from (pool_step(explained, layer, axes, at, c) for c in channels)
    elif isinstance(layer, PadLayer) and axes:
        for channel in channels:
            window = explained.read_window(axes, [channel])[:, :, 0]
            value = float(window.item())
            block = Block(explained.inputs[0].names[channel], channel, window, sum=value)
            yield Step(channel=channel, blocks=(block,), total=value, value=value)
    elif is_moved(layer) or is_normalized(layer):
        find_terms = moved_terms if is_moved(layer) else normalized_terms
        for channel in channels:
            formula, terms, value = find_terms(explained, at, channel)
            yield Step(
                channel=channel, operands=tuple(terms), formula=formula, total=value, value=value
            )
    else:
        if isinstance(layer, CellScaleLayer):
            layer = layer.part(slice(at[0], at[0] + 1), slice(at[1], at[1] + 1))
            explained = replace(explained, layer=layer)
        pixels = read_pixels(explained, at)
        output = layer.forward(*pixels)[0][0, 0, 0]
        for channel in channels:
            value = float(output[channel])
            formula, operands = _formula(explained, [x[0, 0, 0] for x in pixels], channel)
            yield Step(
                channel=channel, operands=operands, formula=formula, total=value, value=value
            )


def conv_maps(
    explained: ExplainedLayer, layer: ConvLayer, channels: Iterable[int]
) -> dict[int, OneMap]:
    """Return what some output channels are made with; before a softmax, which reads all, all are.

    Parameters
    ----------
    explained, layer
        The layer twice: here its type is known.
    channels : iterable of int
    """
    if layer.activation in OVER_CHANNELS:
        channels = range(explained.output_shape[3])
    n_C = explained.inputs[0].shape[3]
    return {channel: layer.one_map(channel, n_C, explained.dtype) for channel in channels}


def conv_totals(explained: ExplainedLayer, axes: Axes, maps: Mapping[int, OneMap]) -> FloatArray:
    """Return a convolution's sums with their biases at one position, by `conv_single_step`.

    Parameters
    ----------
    explained : ExplainedLayer
    axes : (AxisWindow, AxisWindow)
    maps : dict of int to OneMap
        The channels that are computed; the others are 0.

    Returns
    -------
    ndarray, shape (n_C,)
    """
    totals = np.zeros(explained.output_shape[3])
    window = explained.read_window(axes, range(explained.inputs[0].shape[3]))
    for channel, one in maps.items():
        read = window[:, :, one.channels.start : one.channels.stop]
        totals[channel] = conv_single_step(read, one.weights, one.bias)
    return totals


def _conv_step(
    explained: ExplainedLayer,
    layer: ConvLayer,
    axes: Axes,
    channel: int,
    one: OneMap,
    totals: FloatArray,
) -> Step:
    source = explained.inputs[0]
    window = explained.read_window(axes, one.channels)
    blocks = []
    for k, c in enumerate(one.channels):
        values, weights = window[:, :, [k]], one.weights[:, :, [k]]
        products = np.multiply(values, weights, dtype=np.float64)[:, :, 0]
        total = float(conv_single_step(values, weights, 0.0))
        blocks.append(Block(source.names[c], c, values[:, :, 0], weights[:, :, 0], products, total))
    activation = layer.activation_for(np.dtype(float))
    formula, operands = activation_formula(layer, totals, channel)
    return Step(
        channel=channel,
        blocks=tuple(blocks),
        operands=operands,
        formula=formula or None,
        bias=one.bias,
        total=float(totals[channel]),
        activation=layer.activation,
        value=float(activation.forward(totals[None, None, None])[0, 0, 0, channel]),
    )


def pool_step(
    explained: ExplainedLayer, layer: PoolLayer, axes: Axes, at: Pair, channel: int
) -> Step:
    """Return how one window is pooled."""
    window = explained.read_window(axes, [channel])[:, :, 0]
    block, divisor = Block(explained.inputs[0].names[channel], channel, window), None
    if layer.mode in POOL_PADDING:
        block = _winner(block, ~padding_of(axes), layer.mode)
        value = block.sum
    elif layer.mode == "average":
        counts = (axis.axis.counts(layer.count_include_pad) for axis in axes)
        down, across = (int(c[k]) for c, k in zip(counts, at, strict=True))
        # A dilated window can meet padding only; its sum is 0, and so is its average.
        divisor = max(down * across, 1)
        block = replace(block, sum=float(window.sum(dtype=np.float64)))
        value = block.sum / divisor
    else:
        block, value = _norm(block, layer.p)
    return Step(channel=channel, blocks=(block,), divisor=divisor, total=value, value=value)


def _winner(block: Block, inside: NDArray[np.bool_], mode: str) -> Block:
    """Mark the first winner among the input cells; a window of padding only has none."""
    winner, cells = np.zeros(inside.shape, bool), block.window[inside]
    if not cells.size:
        return replace(block, sum=float(POOL_PADDING[mode]), winner=winner)
    winner[inside] = create_mask_from_window(cells if mode == "max" else -cells)
    best = block.window[winner][0]
    ties = 1 if np.isnan(best) else int(np.count_nonzero(cells == best))
    return replace(block, sum=float(best), winner=winner, ties=ties)


def _norm(block: Block, p: float) -> tuple[Block, float]:
    window = np.abs(block.window, dtype=np.float64)
    pooled, _ = pool_forward(window[None, :, :, None], {"f": window.shape, "p": p}, "lp")
    powers = window if np.isinf(p) else window**p
    total = float(powers.max() if np.isinf(p) else powers.sum())
    return replace(block, products=powers, sum=total), float(pooled.item())


def activation_formula(layer: ConvLayer | ActivationLayer, z: FloatArray, channel: int) -> Formula:
    """Return an activation's formula, and the numbers in it.

    Parameters
    ----------
    layer : ConvLayer or ActivationLayer
    z : ndarray, shape (n_C,)
        All values of one position.
    channel : int
        The one that is explained.

    Examples
    --------
    >>> activation_formula(ActivationLayer("leaky-relu"), np.array([-2.0]), 0)
    ('z if z > 0, else alpha * z', (('z', -2.0), ('alpha', 0.01)))
    """
    name = layer.activation
    operands = [("z", float(z[channel]))]
    for key, default in ACTIVATIONS[name].settings.items():
        setting = getattr(layer, key, None)
        operands.append((key, _of_channel(default if setting is None else setting, channel)))
    if name in OVER_CHANNELS:
        largest = float(z.max())
        operands += [("largest", largest), ("total", float(np.exp(z - largest).sum()))]
    return ACTIVATIONS[name].formula, tuple(operands) if name != "none" else ()


def _of_channel(parameter: FloatArray | float, channel: int) -> float:
    """A channel's number of a parameter, which may have one for all channels."""
    flat = np.ravel(parameter)
    return float(flat[channel if flat.size > 1 else 0])


def read_pixels(explained: ExplainedLayer, at: Pair) -> list[FloatArray]:
    """Return the values of one position in every input, (1, 1, 1, channels) of float64.

    An input of 1x1 serves every position.
    """
    box = slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)
    return [
        source.read(explained.layer.reads(source.shape, box)).astype(np.float64)
        for source in explained.inputs
    ]


def _formula(explained: ExplainedLayer, pixels: list[FloatArray], channel: int) -> Formula:
    """The formula of a layer without a window."""
    layer, names = explained.layer, [source.name for source in explained.inputs]
    if isinstance(layer, ActivationLayer):
        formula, named = activation_formula(layer, pixels[0], channel)
        # "none" has neither, which is right behind a convolution alone.
        return formula or "z", named or (("z", float(pixels[0][channel])),)
    if not isinstance(layer, (ScaleLayer, BatchNormLayer, CellScaleLayer, QuotientLayer)):
        # An input of one channel serves all.
        numbers = [float(x[min(channel, len(x) - 1)]) for x in pixels]
        operands = [*zip(names, numbers, strict=True)]
        joined = layer.formula(names) if isinstance(layer, Elementwise) else " + ".join(names)
        return joined, tuple(operands)
    operands = [("x", float(pixels[0][channel]))]
    operands += [(key, _of_channel(v, channel)) for key, v in layer.parameters.items()]
    if isinstance(layer, CellScaleLayer):
        return "factor * x + offset", tuple(operands)
    if isinstance(layer, ScaleLayer):
        line = "factor * x + offset"
        return f"round({line})" if layer.whole else line, tuple(operands)
    if isinstance(layer, QuotientLayer):
        operands.append(("divisor", _of_channel(layer.divisor, channel)))
        return "trunc(x / divisor)", tuple(operands)
    operands.append(("epsilon", layer.epsilon))
    return "gamma * (x - mean) / sqrt(var + epsilon) + beta", tuple(operands)
