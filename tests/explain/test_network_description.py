"""network/description.js in node: what a live page tells of each layer, against Python's words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.parts import WORKER
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.network.layers import DenseLayer
from cnncli.network.layers.norm import Normalization
from cnncli.pipeline.feature_maps import SCALED, SUMS
from tests.support.browser import random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_networks import random_network

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (*WORKER, "shared/numbers.js", "page/data.js", "network/reads.js")

NETWORKS = 60


def test_what_may_be_rounding_is_told_as_in_python() -> None:
    (found,) = run_alone(SCRIPTS, "() => [SUMS, SCALED]", [None])
    kinds = {layer.op for layer in SUMS if hasattr(layer, "op")}
    kinds |= {layer.op for layer in Normalization.__subclasses__()} | {DenseLayer.op}
    assert [set(names) for names in found] == [kinds, set(SCALED)]


COMPUTE = """({ live, stored }) => {
  const specs = live.layers.map((spec) => ({ ...spec, settings: readLayer(spec.settings) }));
  const input = readInput(live.input, live.single);
  const { layers } = new NetworkOutputs().answer({ specs, input });
  const facts = ({ name, problem, shape, field, inputs, pictures, reads }) => ({
    name, problem: problem ?? "", shape, field, inputs,
    pictures: pictures.map(({ name: own, channels }) => [own, channels]),
    reads: reads.map((own) => [own.rows, own.cols, own.channels].map((x) => Array.from(x))),
  });
  return [layers.map(facts), stored.layers.map(readLayerMaps).map(facts)];
}"""
"""Facts of all layers: found by the page, and stored by Python."""


JUDGED = ("concat", "conv", "conv-transpose", "pool")
"""Layers whose reads are found by trying: which outputs become NaN where a row of an input is."""


def spans_read(layer: Any, shapes: list[Any]) -> list[list[list[int]]]:
    """From the first to the last row, column and channel of each input that each output's read."""
    if getattr(layer, "activation", "none") == "sqrt":
        # Of negative sums it is NaN whatever is read.
        layer = replace(layer, activation="none")
    return [
        [along(layer, shapes, number, axis) for axis in (1, 2, 3)] for number in range(len(shapes))
    ]


def along(layer: Any, shapes: list[Any], number: int, axis: int) -> list[int]:
    spans: dict[int, list[int]] = {}
    for index in range(shapes[number][axis]):
        inputs = [np.ones(shape, np.float32) for shape in shapes]
        np.moveaxis(inputs[number], axis, 0)[index] = np.nan
        Y, _ = layer.forward(*inputs)
        touched = np.isnan(Y).any(axis=tuple({0, 1, 2, 3} - {axis}))
        for output in np.flatnonzero(touched):
            first, _ = spans.get(output, (index, 0))
            spans[output] = [first, index + 1]
    return [end for output in range(Y.shape[axis]) for end in spans.get(output, (0, 0))]


def no_spans(spans: list[list[int]]) -> list[list[int]]:
    """Where all taps along one axis are padding, nothing is read along the others either."""
    return [[0] * len(ends) for ends in spans]


@pytest.fixture(scope="module")
def found() -> list[Any]:
    records, networks = [], []
    with np.errstate(all="ignore"):
        for seed in range(NETWORKS):
            rng = np.random.default_rng(seed)
            size = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 4)))
            network = random_network(rng, size)
            given = network, random_picture(size, "uint8")
            last = given[0].names[-1], Unit((0, 0))
            live = live_network_page_data(*given, *last, title="net")
            stored = stored_network_page_data(*given, *last, title="net")
            records.append({"live": live, "stored": stored})
            networks.append((network, size))
        pages = run_alone(SCRIPTS, COMPUTE, records)
    return [(*both, *given) for both, given in zip(pages, networks, strict=True)]


def test_shapes_and_maps_and_receptive_fields_are_those_of_python(found: list[Any]) -> None:
    wrong = [
        (seed, name, one[name], other[name])
        for seed, (page, python, *_) in enumerate(found)
        for one, other in zip(page, python, strict=True)
        for name in ("name", "problem", "shape", "inputs", "pictures", "field")
        if one.get(name) != other.get(name)
    ]
    assert wrong == []


def test_layers_read_what_python_says(found: list[Any]) -> None:
    wrong, kinds = [], set()
    for seed, (page, python, network, size) in enumerate(found):
        shapes = network.shapes((1, *size))
        for one, other, node in zip(page[1:], python[1:], network.nodes, strict=True):
            mine, its = one["reads"], other["reads"]
            # Between and beside their taps these read less than Python tells.
            if node.layer.op in JUDGED:
                mine = [spans if all(map(any, spans)) else no_spans(spans) for spans in mine]
                its = spans_read(node.layer, [shapes[name] for name in node.inputs])
                kinds.add(node.layer.op)
            if mine != its:
                wrong.append((seed, one["name"], mine, its))
    assert wrong == []
    assert kinds == set(JUDGED)
