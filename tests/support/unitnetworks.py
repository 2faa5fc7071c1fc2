"""A small network of everything that a first stage has, and an input for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    MulLayer,
    PoolLayer,
    ScaleLayer,
)
from tests.support.judges import distinct_values

X = distinct_values(np.random.default_rng(5), 1, 9, 8, 3) / 22


def bank(n_in: int, n_out: int, side: int = 3, **options: Any) -> ConvLayer:
    rng = np.random.default_rng(n_in * 10 + n_out)
    weights = rng.standard_normal((side, side, n_in, n_out)) / np.sqrt(side * side * n_in)
    return ConvLayer(from_array(weights, name="bank"), rng.standard_normal(n_out), **options)


def norm(channels: int) -> BatchNormLayer:
    rng = np.random.default_rng(channels)
    gamma, beta, mean = rng.standard_normal((3, channels))
    return BatchNormLayer(gamma, beta, mean, rng.uniform(0.5, 2, channels))


def network() -> Network:
    """Everything a first stage of a network has."""
    return Network(
        (
            Node("normalize", ScaleLayer(np.array([2.0]), np.array([0.1, -0.2, 0.3])), (SOURCE,)),
            Node("conv1", bank(3, 4), ("normalize",)),
            Node("bn1", norm(4), ("conv1",)),
            Node("prelu1", ActivationLayer("prelu", np.array([0.25])), ("bn1",)),
            Node("conv2", bank(4, 4, activation="relu"), ("prelu1",)),
            Node("sum", AddLayer(), ("prelu1", "conv2")),
            Node("pool1", PoolLayer("max", 3, 2, padding=1), ("sum",)),
            Node("gate", PoolLayer("average", "global"), ("pool1",)),
            Node("gated", MulLayer(), ("pool1", "gate")),
            Node("last", bank(4, 5, 1, activation="softmax"), ("gated",)),
        )
    )
