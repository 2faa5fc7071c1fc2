"""network/forward.js in node: all values of random networks that a page computes itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.parts import WORKER
from cnncli.explain.page.settings_data import network_settings
from cnncli.filters.filter import from_array
from cnncli.network.dense import dense_bank
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    CellScaleLayer,
    ConvLayer,
    ConvTransposeLayer,
    DenseLayer,
    DepthToSpaceLayer,
    MatMulLayer,
    ResizeLayer,
    ScaleLayer,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.view import Layout
from cnncli.network.toml_types import LAYER_TYPES
from tests.support.browser import number, random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_networks import outputs, random_network

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (*WORKER, "page/data.js")

NETWORKS = 60

FLOAT = np.dtype(np.float32)

COMPUTE = """({ layers, maps }) => {
  const outputs = new Map(maps.map(({ name, size, channels, planes }) => {
    const count = size[0] * size[1];
    const plane = (_, k) => planes.slice(k * count, (k + 1) * count);
    const each = Array.from({ length: channels }, plane);
    return [name, { size, channels, planes: each }];
  }));
  return layers.map(({ inputs, settings }) => {
    const given = inputs.map((name) => outputs.get(name));
    const { size, channels, planes } = layerOutput(readLayer(settings), given);
    const values = planes.flatMap((plane) => Array.from(plane, String));
    return { shape: [channels, ...size], values };
  });
}"""
"""Each layer's whole output from the core's values of its inputs."""


def maps_of(name: str, Y: Any) -> PageData:
    planes = Y.transpose(2, 0, 1)
    return {"name": name, "size": list(Y.shape[:2]), "channels": Y.shape[2], "planes": planes}


def largest(Y: Any) -> float:
    return float(np.abs(Y[np.isfinite(Y)]).max(initial=1e-6))


def test_all_values_of_60_networks_equal_the_core() -> None:
    cases: list[Any] = []
    kinds = set()
    with np.errstate(all="ignore"):
        for seed in range(NETWORKS):
            rng = np.random.default_rng(seed)
            size = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 4)))
            network = random_network(rng, size)
            picture = random_picture(size, "float32" if rng.integers(2) else "uint8")
            unit = Unit((0, 0))
            data = live_network_page_data(network, picture, network.names[-1], unit, title="net")
            assert data is not None, seed
            cases.append((data["layers"], outputs(network, picture)))
            kinds |= {node.layer.op for node in network.nodes}
    assert kinds == set(LAYER_TYPES)
    records = [
        {"layers": layers, "maps": [maps_of(name, Y) for name, Y in values.items()]}
        for layers, values in cases
    ]
    wrong = []
    for (layers, values), found in zip(cases, run_alone(SCRIPTS, COMPUTE, records), strict=True):
        for spec, made in zip(layers, found, strict=True):
            Y = values[spec["name"]].transpose(2, 0, 1)
            told = np.array([number(text) for text in made["values"]]).reshape(made["shape"])
            finite = np.isfinite(Y)
            # Where values cancel, what is left is the rounding of those that are read.
            read = max(largest(values[name]) for name in spec["inputs"])
            most = max(largest(Y), read / 100)
            if np.abs(told[finite] - Y[finite]).max(initial=0) > 1e-5 * most:
                wrong.append((spec["name"], spec["label"], told, Y))
    assert wrong == []


def test_slow_layers_count_as_more_products_of_convolutions() -> None:
    def is_live(size: int, *nodes: Node) -> bool:
        network = Network(nodes)
        picture = random_picture((size, size, 1), "float32")
        last = network.names[-1], Unit((0, 0))
        return live_network_page_data(network, picture, *last, title="net") is not None

    def resize(mode: str) -> Node:
        return Node("big", ResizeLayer(size=(2048, 2048), mode=mode), (SOURCE,))

    assert is_live(8, resize("linear"))
    assert not is_live(8, resize("cubic"))

    def shares(count: int) -> list[Node]:
        names = [SOURCE, *(f"shares{k}" for k in range(count))]
        softmax = SoftmaxLayer(("rows",))
        return [Node(name, softmax, (before,)) for before, name in pairwise(names)]

    def is_square_live(size: int) -> bool:
        # One row of columns by channels, times itself: size ** 3 products.
        row = Node("row", ViewLayer(Layout(), (0, 3, 1, 2), size), (SOURCE,))
        return is_live(size, row, Node("square", MatMulLayer(), ("row", "row")))

    assert is_live(600, *shares(8))
    assert not is_live(600, *shares(9))
    assert is_square_live(500)
    assert not is_square_live(560)


REFUSE = """({ layer, shapes }) => {
  const empty = ([rows, cols, channels]) => emptyOutput([rows, cols], channels, Float32Array);
  const inputs = shapes.map(empty);
  try {
    return layerOutput(readLayer(layer), inputs).size.join();
  } catch (error) {
    return error instanceof ForwardError ? error.message : `${error.stack}`;
  }
}"""
"""What the page says of a layer whose inputs have other shapes than it was made for."""

SCALES = CellScaleLayer((2, 3, 1), np.ones(1), np.zeros(1))

DENSE = DenseLayer(dense_bank("fc", np.ones((6, 4)), (3, 1, 2), "hwc"))

REFUSALS = [
    (SCALES, [(2, 3, 1)], [(2, 4, 1)], "made for an input of 2 × 3 × 1, this one has 2 × 4 × 1."),
    (SliceLayer(1), [(4, 4, 3)], [(4, 4, 2)], "made for an input of 4 × 4 × 3"),
    (ViewLayer(Layout(), (0, 2, 3, 1), 4), [(4, 2, 3)], [(2, 2, 3)], "made for an input of 4 × 2"),
    (DepthToSpaceLayer(2), [(2, 2, 4)], [(2, 2, 3)], "must fill blocks of 2 × 2, got 3."),
    (DENSE, [(3, 1, 2)], [(3, 2, 2)], "Its matrix takes 6 values (3 × 1 × 2), not 3 × 2 × 2."),
    (DENSE, [(3, 1, 2)], [(1, 3, 2)], "Its matrix takes 6 values (3 × 1 × 2), not 1 × 3 × 2."),
    (DENSE, [(3, 1, 2)], [(3, 1, 1)], "Its filter is for an input of 2 channels, this one has 1."),
    (SpaceToDepthLayer(2), [(4, 4, 1)], [(4, 3, 1)], "fill rows and columns, got 4 × 3."),
    (ResizeLayer(scale=0.5), [(4, 4, 1)], [(1, 4, 1)], "An input of 1 × 4 leaves nothing of it."),
    (ResizeLayer(scale=30), [(4, 4, 9)], [(99, 99, 9)], "79388100 values, too many for a page"),
    (MatMulLayer(), [(1, 2, 3), (1, 3, 2)], [(1, 2, 4), (1, 3, 2)], "as many columns as the first"),
    (
        MatMulLayer(),
        [(1, 2, 3), (1, 3, 2)],
        [(1, 2000, 1600), (1, 1600, 1000)],
        "It would have 2000000 values, made of 3200000000 products in all: too many for a page. "
        "Take a larger stride in a layer before it.",
    ),
    (
        ConvLayer(from_array(np.ones((1, 1, 1, 1)), name="bank"), padding=5000),
        [(4, 4, 1)],
        [(4, 4, 1)],
        "100080016 values, too many for a page. Take a larger stride or less padding.",
    ),
    (
        ConvTransposeLayer(from_array(np.ones((1, 1, 1, 1)), name="bank"), stride=5000),
        [(4, 4, 1)],
        [(4, 4, 1)],
        "225030001 values, too many for a page. Take a smaller stride or less dilation.",
    ),
    (
        ConvTransposeLayer(from_array(np.ones((9, 9, 1, 1)), name="bank"), stride=9),
        [(4, 4, 1)],
        [(7000, 7000, 1)],
        "products in all: too many for a page. Take a smaller kernel.",
    ),
]


def test_layers_that_do_not_fit_any_more_say_why() -> None:
    cases = []
    for layer, made, given, _ in REFUSALS:
        shapes = {f"x{k}": (1, *shape) for k, shape in enumerate(made)}
        same = ScaleLayer(np.ones(1), np.zeros(1))
        nodes = [*(Node(name, same, (SOURCE,)) for name in shapes), Node("one", layer, (*shapes,))]
        network = Network(tuple(nodes))
        records, _ = network_settings(network, shapes | {SOURCE: shapes["x0"]}, FLOAT, 0, {})
        cases.append({"layer": records["one"], "shapes": [list(shape) for shape in given]})
    said = run_alone(SCRIPTS, REFUSE, cases)
    for (*_, expected), text in zip(REFUSALS, said, strict=True):
        assert expected in text
