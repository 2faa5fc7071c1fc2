"""Networks for tests of receptive fields, and the judge: which pixels have a gradient."""

from __future__ import annotations

import numpy as np

from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    ConvLayer,
    FloatArray,
    MulLayer,
    PadLayer,
    PoolLayer,
)
from cnncli.network.passes import forward


def ones_conv(kernel: tuple[int, int], **options: object) -> ConvLayer:
    """A convolution of one channel in which no product is 0."""
    weights = np.ones((*kernel, 1, 1))
    return ConvLayer(from_array(weights), **options)  # type: ignore[arg-type]


CHAINS = {
    "conv": Network.chain(ones_conv((3, 5), padding=(1, 2))),
    "strided": Network.chain(ones_conv((7, 4), stride=(2, 3), padding=(3, 1))),
    "dilated": Network.chain(ones_conv((3, 3), dilation=(2, 3), padding=3)),
    "deep": Network.chain(
        ones_conv((3, 3), padding=1),
        PoolLayer("average", 2),
        ActivationLayer("sigmoid"),
        ones_conv((3, 3), padding=(0, 2)),
        PoolLayer("average", 3, 2, padding=(1, 0)),
        ones_conv((1, 1), padding=0),
    ),
    "lopsided": Network.chain(
        PadLayer((1, 3, 0, 2)), ones_conv((2, 3), stride=2, padding="same-lower")
    ),
    "residual": Network(
        (
            Node("conv1", ones_conv((3, 3), padding=1), (SOURCE,)),
            Node("conv2", ones_conv((5, 3), padding=(2, 1)), ("conv1",)),
            Node("add", AddLayer(), ("conv2", SOURCE)),
            Node("conv3", ones_conv((3, 3), stride=2, padding=1), ("add",)),
            Node("short", ones_conv((1, 1), stride=2, padding=0), ("add",)),
            Node("sum", AddLayer(), ("short", "conv3")),
        )
    ),
    "shifted": Network(
        (
            Node("above", ones_conv((3, 1), padding=(2, 0, 0, 0)), (SOURCE,)),
            Node("below", ones_conv((1, 4), padding=(0, 0, 0, 3)), (SOURCE,)),
            Node("both", MulLayer(), ("above", "below")),
        )
    ),
}


def reached(network: Network, image: FloatArray, unit: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the stretches of rows and of columns with a gradient; none if there is no gradient."""
    done = forward(network, image)
    name = network.nodes[-1].name
    upstream = np.zeros_like(done.values[name])
    upstream[0, unit[0], unit[1]] = 1
    met = done.backward({name: upstream}).values[SOURCE][0].any(axis=2)
    sides = (np.flatnonzero(met.any(axis=1 - side)) for side in (0, 1))
    return [(int(side[0]), int(side[-1]) + 1) for side in sides if len(side)]
