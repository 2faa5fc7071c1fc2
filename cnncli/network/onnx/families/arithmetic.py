"""Add, Sub, Mul, Div, Max and Min: of maps and a constant, or of maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from cnncli.core.arrays import Array
from cnncli.network import layers
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import (
    BuiltLayer,
    NodeInputs,
    Signal,
    SizeUnknown,
    UnsupportedNode,
    each_cell,
    per_channel,
)


def _add(node: NodeInputs) -> Result:
    return _with_constant(node, lambda c: (np.ones(1), c), layers.AddLayer())


def _mul(node: NodeInputs) -> Result:
    return _with_constant(node, lambda c: (c, np.zeros(1)), layers.MulLayer())


def _sub(node: NodeInputs) -> Result:
    sign = 1.0 if isinstance(node.input(0), Signal) else -1.0
    return _with_constant(
        node, lambda c: (np.full(1, sign), -c if sign > 0 else c), layers.SubLayer()
    )


def _div(node: NodeInputs) -> Result:
    x, divisor = node.signal(0), node.input(1)
    if x.is_whole and isinstance(divisor, np.ndarray):
        divisors = node.parameter(per_channel(divisor, x))
        return BuiltLayer(layers.QuotientLayer(divisors), (x,))
    if x.is_whole:
        raise UnsupportedNode(f"it divides {x.type} by another picture")
    with np.errstate(divide="ignore"):
        return _with_constant(
            node, lambda c: (1 / c.astype(np.float64), np.zeros(1)), layers.DivLayer()
        )


def _extreme(layer: layers.MaxLayer | layers.MinLayer) -> Builder:
    """Return a builder of the extreme of maps, or of maps and one number."""

    def build(node: NodeInputs) -> Result:
        constants = [x for x in node.inputs if not isinstance(x, Signal)]
        if not constants:
            return _join(node, layer)
        found = [x for x in node.inputs if isinstance(x, Signal)]
        if len(found) != 1 or len(constants) != 1:
            raise UnsupportedNode("it takes several pictures and constants")
        limit = node.number(0 if node.inputs[1] is found[0] else 1, 0.0)
        low, high = (limit, np.inf) if layer.op == "max" else (-np.inf, limit)
        return BuiltLayer(layers.ActivationLayer("clip", low=low, high=high), (found[0],))

    return build


def _with_constant(
    node: NodeInputs,
    scale: Callable[[Array], tuple[Array, Array]],
    pictures: layers.MergeLayer,
) -> Result:
    """Return a picture and a constant as a scale; two pictures as a layer of both."""
    x, constant = node.input(0), node.input(1)
    if not isinstance(x, Signal):
        x, constant = constant, x
    if not isinstance(x, Signal) or constant is None:
        raise UnsupportedNode("it has not two inputs")
    if x.is_whole:
        # They wrap around, or are beyond 2**24, where float32 has not all whole numbers.
        raise UnsupportedNode(f"it computes with {x.type}, which floats do not hold exactly")
    if isinstance(constant, Signal):
        return _join(node, pictures)
    axis = node.get("axis") if node.opset < 7 and node.get("broadcast", 0) else None
    plain = x.restored() if constant.size != 1 and x.layout.dims is not None else x
    try:
        factor, offset = scale(per_channel(constant, plain, axis))
    except UnsupportedNode:
        if axis is not None or not x.is_float:
            raise
        return _with_each_cell(node, x, scale(each_cell(constant, x)))
    layer = layers.ScaleLayer(node.parameter(factor), node.parameter(offset))
    return BuiltLayer(layer, (plain,))


def _with_each_cell(node: NodeInputs, x: Signal, numbers: tuple[Array, Array]) -> Result:
    """Return a scale whose numbers differ from place to place."""
    if x.cells is None:
        raise SizeUnknown
    factor, offset = (node.parameter(array.reshape(-1)) for array in numbers)
    return BuiltLayer(layers.CellScaleLayer(x.cells, factor, offset), (x,))


def _join(node: NodeInputs, layer: layers.MergeLayer) -> BuiltLayer | Signal:
    signals = [node.signal(index) for index in range(len(node.inputs))]
    if len(signals) == 1:
        return signals[0]
    numbers = [signal.cells == (1, 1, 1) for signal in signals]
    whole = _alike([signal for signal, one in zip(signals, numbers, strict=True) if not one])
    axes = [len(signal.dims or ()) for signal in signals]
    if not whole or max(axes) > len(whole[0].dims or ()):
        return BuiltLayer(layer, tuple(_alike(signals)))
    # One number serves all cells, however they are stored.
    layout, left = whole[0].layout, iter(whole)
    inputs = [
        replace(signal, layout=layout) if one else next(left)
        for signal, one in zip(signals, numbers, strict=True)
    ]
    return BuiltLayer(layer, tuple(inputs))


def _alike(signals: list[Signal]) -> list[Signal]:
    """Return values in one layout, one cell of which meets one cell; refuse what has none."""
    if len({(signal.layout, signal.channels) for signal in signals}) > 1:
        signals = [signal.restored() for signal in signals]
    if len({signal.layout for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in the order of their axes")
    counts = {signal.channels for signal in signals}
    if len(counts - {1}) > 1 or (len(counts) > 1 and not signals[0].layout.is_plain):
        raise UnsupportedNode("its inputs differ in channels")
    if signals and signals[0].flat and len({signal.size for signal in signals}) > 1:
        raise UnsupportedNode("its inputs differ in length")
    return signals


LAYERS: Final = (
    *("add", "sub", "mul", "div", "max", "min"),
    *("scale", "cell-scale", "quotient", "activation"),
)

OPERATORS: Final[dict[str, Builder]] = {
    "Add": _add,
    "Div": _div,
    "Max": _extreme(layers.MaxLayer()),
    "Min": _extreme(layers.MinLayer()),
    "Mul": _mul,
    "Sub": _sub,
    "Sum": lambda node: _join(node, layers.AddLayer()),
}
