"""Numbers of parameters: what was learned, without constants and what only fills in."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.core.arrays import placeholder
from cnncli.filters.filter import from_array
from cnncli.network.graph import NORMALIZE, SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    BatchNormLayer,
    CellScaleLayer,
    ConvLayer,
    GroupNormLayer,
    Layer,
    LayerNormLayer,
    PadLayer,
    ScaleLayer,
)
from cnncli.network.parameters import count_parameters

ONE, EIGHT = np.ones(1), np.ones(8)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (ConvLayer(from_array(np.ones((3, 3, 4, 1))), ONE), 37),
        (ScaleLayer(ONE, EIGHT), 8),
        (ScaleLayer(EIGHT, EIGHT), 16),
        (ScaleLayer(ONE, ONE), 0),
        (CellScaleLayer((2, 2, 2), ONE, EIGHT), 8),
        (CellScaleLayer((2, 2, 2), ONE, placeholder("f4", (8,))), 8),
        (BatchNormLayer(EIGHT, EIGHT, EIGHT, EIGHT), 16),
        (LayerNormLayer(EIGHT, EIGHT), 16),
        (GroupNormLayer(2, ONE, ONE), 0),
        (ActivationLayer("prelu", alpha=np.full(1, 0.1)), 1),
    ],
)
def test_of_one_layer(layer: Layer, count: int) -> None:
    assert list(count_parameters(Network.chain(layer)).values()) == [count]


def test_scale_of_the_input_is_not_learned() -> None:
    network = Network(
        (
            Node(NORMALIZE, ScaleLayer(np.ones(3), np.ones(3)), (SOURCE,)),
            Node("bias", ScaleLayer(ONE, np.ones(3)), (NORMALIZE,)),
        )
    )
    assert count_parameters(network) == {NORMALIZE: 0, "bias": 3}


@pytest.mark.parametrize(
    ("border", "size", "joined"), [((0, 0, 1, 0), (1, 17, 4), 4), ((0, 2, 0, 0), (3, 16, 4), 128)]
)
def test_of_a_joined_constant_its_own_numbers_count(
    border: tuple[int, int, int, int], size: tuple[int, int, int], joined: int
) -> None:
    count = int(np.prod(size))
    token = CellScaleLayer(size, ONE, placeholder("f4", (count,)))
    positions = CellScaleLayer(size, ONE, np.zeros(count))
    network = Network.chain(PadLayer(border), token, positions)
    assert network.output_shape((1, 1, 16, 4)) == (1, *size)
    assert list(count_parameters(network).values()) == [0, joined, count]
