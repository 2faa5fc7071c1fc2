"""Random small networks of every kind of layer, for the pages of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncli.core.activations import ACTIVATIONS
from cnncli.errors import CnnCliError
from cnncli.explain.page.layer_data import PageData
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture
from cnncli.network.dense import dense_bank
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    AnyLayer,
    BatchNormLayer,
    CellScaleLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DenseLayer,
    DepthToSpaceLayer,
    DivLayer,
    GroupNormLayer,
    InstanceNormLayer,
    LayerNormLayer,
    LRNLayer,
    MatMulLayer,
    MaxLayer,
    MinLayer,
    MulLayer,
    PadChannelsLayer,
    PadLayer,
    PoolLayer,
    QuotientLayer,
    ReduceLayer,
    ResizeLayer,
    ScaleLayer,
    Shape,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    SubLayer,
    ViewLayer,
)
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.reduce import MODES
from cnncli.network.layers.resize import COORDINATES, RESIZE_MODES, ROUNDINGS
from cnncli.network.layers.view import Layout

PAD_MODES = ("zeros", "edge", "reflect", "symmetric", "wrap")

NOT_FINITE = ("log", "reciprocal")
"""Activations that make NaN or infinities of usual values, which would spread through a network."""

JUMPS = ("truncate", "wrap", "sign", "floor", "ceil", "round")
"""Activations that jump: behind sums, which float32 rounds, they may differ by 1."""

MOST_VALUES = 4000
"""Of a layer's output; a network stays small."""

LONGEST = 9

Maker = Callable[[np.random.Generator, Shape], AnyLayer]
"""Makes a random layer for an input of a shape."""


def numbers(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


def pick(rng: np.random.Generator, choices: Any) -> Any:
    return list(choices)[rng.integers(len(choices))]


def some_axes(rng: np.random.Generator) -> tuple[str, ...]:
    chosen = tuple(name for name in AXES if rng.integers(2))
    return chosen or ("rows", "columns")


def each(rng: np.random.Generator, channels: int, *, above: float | None = None) -> Any:
    """One number for all channels, or one for each."""
    made = numbers(rng, channels if rng.integers(2) else 1)
    return made if above is None else np.abs(made) + np.float32(above)


def random_activation(rng: np.random.Generator, channels: int) -> dict[str, Any]:
    """The name of an activation, with the settings of a convolution."""
    name = pick(rng, [name for name in ACTIVATIONS if name not in (*NOT_FINITE, *JUMPS, "pow")])
    alpha = each(rng, channels) if name in ("leaky-relu", "prelu") else None
    return {"activation": name, "alpha": alpha}


def conv(rng: np.random.Generator, shape: Shape) -> ConvLayer:
    channels = shape[3]
    groups = pick(rng, [n for n in (1, 2, 3) if channels % n == 0])
    maps = groups * int(rng.integers(1, 4))
    size = tuple(int(v) for v in rng.integers(1, 4, 2))
    settings = random_activation(rng, maps)
    return ConvLayer(
        from_array(numbers(rng, *size, channels // groups, maps) / 2, name="bank"),
        numbers(rng, maps),
        stride=int(rng.integers(1, 3)),
        dilation=int(rng.integers(1, 3)),
        groups=groups,
        pad_mode=pick(rng, PAD_MODES),
        pad_value=0.5,
        **settings,
    )


def conv_transpose(rng: np.random.Generator, shape: Shape) -> ConvTransposeLayer:
    groups = pick(rng, [n for n in (1, 2, 3) if shape[3] % n == 0])
    size = tuple(int(v) for v in rng.integers(1, 4, 2))
    own = int(rng.integers(1, 3))
    return ConvTransposeLayer(
        from_array(numbers(rng, *size, own, shape[3]) / 2, name="bank"),
        numbers(rng, own * groups) if rng.integers(2) else None,
        stride=tuple(int(v) for v in rng.integers(1, 4, 2)),
        dilation=int(rng.integers(1, 3)),
        padding=tuple(int(v) for v in rng.integers(0, 2, 4)),
        output_padding=int(rng.integers(0, 2)),
        groups=groups,
    )


def pool(rng: np.random.Generator, shape: Shape) -> PoolLayer:
    if not rng.integers(4):
        return PoolLayer(pick(rng, ("max", "average")), "global")
    size = tuple(int(v) for v in rng.integers(1, 4, 2))
    stride, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    modes = ("max", "average", "min", "lp")
    more = {"ceil": bool(rng.integers(2)), "count_include_pad": bool(rng.integers(2))}
    p = pick(rng, (1.0, 2.0, 3.5, np.inf))
    return PoolLayer(pick(rng, modes), size, stride, "same", dilation, p=p, **more)


def resize(rng: np.random.Generator, shape: Shape) -> ResizeLayer:
    names = [pick(rng, words) for words in (RESIZE_MODES, COORDINATES, ROUNDINGS)]
    if rng.integers(2):
        return ResizeLayer(tuple(int(v) for v in rng.integers(1, 14, 2)), None, *names)
    return ResizeLayer(None, pick(rng, (2.0, 1.5, 0.5, (0.75, 2.3))), *names)


def norm(rng: np.random.Generator, shape: Shape) -> AnyLayer:
    gamma, beta = each(rng, shape[3]), each(rng, shape[3])
    groups = pick(rng, [n for n in (1, 2, 3) if shape[3] % n == 0])
    return pick(
        rng,
        [
            InstanceNormLayer(gamma, beta, 1e-3),
            GroupNormLayer(groups, gamma, beta, 1e-2),
            LayerNormLayer(gamma, beta, some_axes(rng), 1e-3),
            BatchNormLayer(gamma, beta, each(rng, shape[3]), each(rng, shape[3], above=0.1)),
            LRNLayer(int(rng.integers(1, 6)), 0.5, 0.75, 2.0),
        ],
    )


def scale(rng: np.random.Generator, shape: Shape) -> AnyLayer:
    cells = int(np.prod(shape[1:]))
    return pick(
        rng,
        [
            ScaleLayer(each(rng, shape[3]), each(rng, shape[3])),
            # Exact in float32 too, so that both round alike.
            ScaleLayer(np.array([4.0]), np.zeros(1), whole=True),
            QuotientLayer(np.array([0.25])),
            CellScaleLayer(tuple(shape[1:]), each(rng, cells), each(rng, cells)),
        ],
    )


def view(rng: np.random.Generator, shape: Shape) -> AnyLayer:
    """Maps turned, shuffled or flattened, blocks of pixels, and slices."""
    _, rows, columns, channels = shape
    block = pick(rng, [n for n in (1, 2) if rows % n == columns % n == 0])
    order = pick(rng, ("block-first", "channel-first"))
    deep = pick(rng, [n for n in (1, 2) if channels % n**2 == 0])
    groups = pick(rng, [n for n in (1, 2, 3) if channels % n == 0])
    shuffled = Layout("nchw", dims=(1, groups, channels // groups, rows, columns))
    new = (1, channels, rows, columns)
    return pick(
        rng,
        [
            DepthToSpaceLayer(deep, order),
            SpaceToDepthLayer(block, order),
            ViewLayer(Layout("nchw"), (0, 1, 3, 2), channels),
            ViewLayer(Layout("nhwc"), (0, 1, 2, 3), columns),
            ViewLayer(shuffled, (0, 2, 1, 3, 4), channels, new),
            SliceLayer(channels - 1, None, -1, rows=(0, None, 2), columns=(-1, -99, -1)),
            PadLayer(tuple(int(v) for v in rng.integers(0, 3, 4)), pick(rng, PAD_MODES), -0.5),
            PadChannelsLayer(numbers(rng, 2), numbers(rng, 1)),
        ],
    )


def reduce_or_softmax(rng: np.random.Generator, shape: Shape) -> AnyLayer:
    axes = some_axes(rng)
    log = bool(rng.integers(2))
    return pick(rng, [ReduceLayer(pick(rng, MODES), axes), SoftmaxLayer(axes, log)])


def activation(rng: np.random.Generator, shape: Shape) -> AnyLayer:
    channels = shape[3]
    given = {
        "clip": {"low": -0.5, "high": 0.75},
        "hard-sigmoid": {"alpha": np.array([1 / 6]), "beta": 0.4},
        "silu": {"alpha": np.array([1.702])},
        "pow": {"alpha": np.array([2.0])},
        "prelu": {"alpha": each(rng, channels)},
        "elu": {"alpha": each(rng, channels)},
    }
    name = pick(rng, [name for name in ACTIVATIONS if name not in NOT_FINITE])
    return ActivationLayer(name, **given.get(name, {}))


def outputs(network: Network, picture: Picture) -> dict[str, Any]:
    """Each layer's output by the core, (n_H, n_W, n_C)."""
    values = {SOURCE: picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(*(values[name] for name in node.inputs))[0]
    return {name: Y[0] for name, Y in values.items()}


def some_units(rng: np.random.Generator, name: str, Y: Any) -> list[PageData]:
    """Six cells of a layer's output, as pages name them."""
    cells = [[int(rng.integers(size)) for size in Y.shape] for _ in range(6)]
    return [{"layer": name, "channel": c, "at": [row, col]} for row, col, c in cells]


MAKERS: tuple[Maker, ...] = (
    *(conv, conv, conv_transpose, pool, resize, norm, norm, scale),
    *(view, view, reduce_or_softmax, activation),
)

MERGES = (AddLayer, SubLayer, MulLayer, DivLayer, MaxLayer, MinLayer)


def random_network(rng: np.random.Generator, size: tuple[int, int, int]) -> Network:
    """A network of random layers: a chain with branches, that ends in a dense layer now and then.

    Parameters
    ----------
    rng : Generator
    size : (int, int, int)
        Rows, columns and channels of its input.
    """
    nodes: list[Node] = []
    shapes: dict[str, Shape] = {SOURCE: (1, *size)}

    def add(layer: AnyLayer, inputs: tuple[str, ...]) -> None:
        """Put a layer behind others, unless it does not fit."""
        try:
            shape = layer.output_shape(*(shapes[name] for name in inputs))  # type: ignore[attr-defined]
        except CnnCliError:
            return
        if np.prod(shape) <= MOST_VALUES:
            name = f"{layer.op}{len(nodes)}"
            nodes.append(Node(name, layer, inputs))
            shapes[name] = shape

    while len(nodes) < LONGEST:
        last = nodes[-1].name if nodes else SOURCE
        if nodes and not rng.integers(3):
            other = pick(rng, shapes)
            join = merge(rng, shapes, last, other)
            add(join, pick(rng, [(last, other), (other, last)]))
        else:
            add(pick(rng, MAKERS)(rng, shapes[last]), (last,))
    if rng.integers(2):
        shape = shapes[nodes[-1].name]
        matrix = numbers(rng, int(np.prod(shape)), 4) / 8
        add(DenseLayer(dense_bank("scores", matrix, shape[1:], "hwc")), (nodes[-1].name,))
        add(ActivationLayer("softmax"), (nodes[-1].name,))
    return Network(tuple(nodes))


def merge(
    rng: np.random.Generator,
    shapes: dict[str, Shape],
    one: str,
    other: str,
) -> AnyLayer:
    """A layer of two inputs that fits them, if one does."""
    first, second = shapes[one], shapes[other]
    if first[3] == second[2] and rng.integers(2):
        return MatMulLayer()
    axes = [
        axis
        for k, axis in enumerate(AXES)
        if [n for i, n in enumerate(first[1:]) if i != k]
        == [n for i, n in enumerate(second[1:]) if i != k]
    ]
    if axes and rng.integers(2):
        return ConcatLayer(pick(rng, axes))
    return pick(rng, MERGES)()
