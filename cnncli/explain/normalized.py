"""Explains one value of a layer that sums or normalises: norms, reductions, softmax, products."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Pair
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.model import Term
from cnncli.network.layers import (
    Layer,
    LRNLayer,
    MatMulLayer,
    MergeLayer,
    ReduceLayer,
    SoftmaxLayer,
)
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.norm import Normalization

KINDS: Final = (LRNLayer, MatMulLayer, Normalization, ReduceLayer, SoftmaxLayer)

_MOST_NAMED: Final = 8
"""Products that are named one by one; of more the largest are."""


def is_normalized(layer: Layer | MergeLayer) -> bool:
    """Whether a layer is explained here.

    Examples
    --------
    >>> is_normalized(ReduceLayer("sum"))
    True
    """
    return isinstance(layer, KINDS)


def normalized_terms(
    explained: ExplainedLayer, at: Pair, channel: int
) -> tuple[str, list[Term], float]:
    """Return the formula of one output, the numbers in it, and what it gives in float64.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a layer that `is_normalized`.
    at : (int, int)
        Row and column of the output.
    channel : int

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(4.0).reshape(1, 1, 4, 1)), (MapGroup("", (0,)),)
    >>> mean = ExplainedLayer("mean", ReduceLayer(), (source,), groups, np.dtype(float))
    >>> normalized_terms(mean, (0, 0), 0)
    ('sum / count', [('sum', 6.0), ('count', 4.0)], 1.5)
    """
    layer, source = explained.layer, explained.inputs[0]
    if isinstance(layer, MatMulLayer):
        return _product(explained, at, channel)
    box = slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)
    read = layer.reads(source.shape, box)
    X = source.read(read).astype(np.float64)
    if isinstance(layer, ReduceLayer):
        return _reduced(layer, X, channel)
    # Axes that are read whole begin at 0.
    row, column = (k - side.start for k, side in zip(at, read, strict=True))
    x = float(X[0, row, column, channel])
    if isinstance(layer, LRNLayer):
        near = X[0, row, column, layer.channels(channel, X.shape[3])]
        squares = float(np.square(near).sum())
        base = layer.bias + layer.alpha / layer.size * squares
        terms = [("x", x), ("bias", layer.bias), ("alpha", layer.alpha)]
        terms += [("size", float(layer.size)), ("squares", squares), ("beta", layer.beta)]
        return "x / (bias + alpha / size * squares)^beta", terms, x / base**layer.beta
    if isinstance(layer, SoftmaxLayer):
        return _share(layer, X, x, (row, column), channel)
    assert isinstance(layer, Normalization)
    return _normal(layer, X, x, (row, column), channel)


def _normal(
    layer: Normalization, X: FloatArray, x: float, cell: Pair, channel: int
) -> tuple[str, list[Term], float]:
    statistics = [
        float(v[0, min(cell[0], v.shape[1] - 1), min(cell[1], v.shape[2] - 1), channel])
        for v in layer.statistics(X)
    ]
    mean, var = statistics
    gamma, beta = (float(v[channel if v.size > 1 else 0]) for v in (layer.gamma, layer.beta))
    terms = [("x", x), ("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)]
    terms.append(("epsilon", layer.epsilon))
    value = gamma * (x - mean) / math.sqrt(var + layer.epsilon) + beta
    return "gamma * (x - mean) / sqrt(var + epsilon) + beta", terms, value


def _product(explained: ExplainedLayer, at: Pair, channel: int) -> tuple[str, list[Term], float]:
    rows = [min(at[0], source.shape[1] - 1) for source in explained.inputs]
    first, second = (
        source.rows(row, row + 1)[0, 0].astype(np.float64)
        for source, row in zip(explained.inputs, rows, strict=True)
    )
    products = first[at[1]] * second[:, channel]
    one, other = (source.name for source in explained.inputs)
    names = [
        f"{one}[{rows[0]},{at[1]}] of channel {k} * {other}[{rows[1]},{k}] of channel {channel}"
        for k in range(len(products))
    ]
    largest = np.sort(np.argsort(-np.abs(products), kind="stable")[:_MOST_NAMED])
    terms = [(names[k], float(products[k])) for k in largest]
    rest = np.delete(products, largest)
    if rest.size:
        terms.append((f"{rest.size} smaller products", float(rest.sum())))
    return f"sum of {products.size} products", terms, float(products.sum())


def _share(
    layer: SoftmaxLayer, X: FloatArray, x: float, cell: Pair, channel: int
) -> tuple[str, list[Term], float]:
    whole = [name in layer.axes for name in AXES]
    along = (slice(None) if all_ else k for all_, k in zip(whole, (*cell, channel), strict=True))
    values = X[0][tuple(along)]
    largest = float(values.max())
    total = float(np.exp(values - largest).sum())
    terms = [("z", x), ("largest", largest), ("total", total)]
    value = x - largest - math.log(total) if layer.log else math.exp(x - largest) / total
    return layer.function.formula, terms, value


def _reduced(layer: ReduceLayer, X: FloatArray, channel: int) -> tuple[str, list[Term], float]:
    values = X[0] if "channels" in layer.axes else X[0, :, :, [channel]]
    count, total = ("count", float(values.size)), float(values.sum())
    if layer.mode in ("max", "min"):
        best = float(values.max() if layer.mode == "max" else values.min())
        name = {"max": "largest", "min": "smallest"}[layer.mode]
        return f"{name} of count values", [(name, best), count], best
    if layer.mode == "mean":
        return "sum / count", [("sum", total), count], total / values.size
    if layer.mode == "l2":
        squares = float(np.square(values).sum())
        return "sqrt(sum of count squares)", [("sum", squares), count], math.sqrt(squares)
    if layer.mode == "l1":
        magnitudes = float(np.abs(values).sum())
        return "sum of count magnitudes", [("sum", magnitudes), count], magnitudes
    return "sum of count values", [("sum", total), count], total
