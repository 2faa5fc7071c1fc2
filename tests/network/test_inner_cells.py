"""Cells that saw no padding, beside a network that pads with NaN."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.inner_cells import inner_cells
from cnncli.network.layers import ActivationLayer, AddLayer, ConvLayer, PadLayer, PoolLayer


def conv(size: int, **options: object) -> ConvLayer:
    return ConvLayer(
        from_array(np.ones((size, size))), pad_mode="zeros", pad_value=np.nan, **options
    )


CHAINS = {
    "one": (conv(3, padding="same"),),
    "strided": (conv(3, padding=2, stride=2), conv(3, padding="valid")),
    "dilated": (conv(3, padding="same", dilation=3), PoolLayer(size=2)),
    "padded": (PadLayer((3, 1), pad_value=np.nan), conv(5, padding="valid")),
    "deep": (conv(5, padding="same"), ActivationLayer("tanh"), conv(3, padding="same")),
}


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_a_chain(layers: tuple) -> None:
    network, X = Network.chain(*layers), np.ones((1, 40, 46, 1))
    Y = X
    for layer in layers:
        Y, _ = layer.forward(Y)
    clean = np.zeros(Y.shape[1:3], bool)
    clean[inner_cells(network, X.shape)] = True
    assert np.array_equal(clean, np.isfinite(Y[0, :, :, 0]))


def test_a_sum_has_those_of_all_its_inputs() -> None:
    nodes = (
        Node("a", conv(3, padding="same"), (SOURCE,)),
        Node("b", conv(5, padding="same"), (SOURCE,)),
        Node("one", PoolLayer("average", "global"), ("a",)),
        Node("sum", AddLayer(), ("a", "b", "one")),
    )
    assert inner_cells(Network(nodes), (1, 20, 30, 1)) == (slice(2, 18), slice(2, 28))


def test_where_padding_reached_most_cells_the_layers_own_window_decides() -> None:
    network = Network.chain(*[conv(5, padding="same")] * 4)
    assert inner_cells(network, (1, 20, 20, 1)) == (slice(2, 18), slice(2, 18))
    assert inner_cells(network, (1, 5, 5, 1)) == (slice(0, 5), slice(0, 5))
