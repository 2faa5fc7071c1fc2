"""network_description.js in node: what a live page tells of each layer, against Python's words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.parts import SCRIPTS as PAGES
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.network.layers.norm import AXES
from tests.support.browser import random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_networks import random_network

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (
    *PAGES["network"][: PAGES["network"].index("network_worker.js") + 1],
    "network_reads.js",
)

NETWORKS = 60

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


@pytest.fixture(scope="module")
def found() -> list[Any]:
    records = []
    with np.errstate(all="ignore"):
        for seed in range(NETWORKS):
            rng = np.random.default_rng(seed)
            size = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 4)))
            given = random_network(rng, size), random_picture(size, "uint8")
            last = given[0].names[-1], Unit((0, 0))
            live = live_network_page_data(*given, *last, title="net")
            stored = stored_network_page_data(*given, *last, title="net")
            records.append({"live": live, "stored": stored})
        return run_alone(SCRIPTS, COMPUTE, records)


def test_shapes_and_maps_and_receptive_fields_are_those_of_python(found: list[Any]) -> None:
    wrong = [
        (seed, name, one[name], other[name])
        for seed, (page, python) in enumerate(found)
        for one, other in zip(page, python, strict=True)
        for name in ("name", "problem", "shape", "inputs", "pictures", "field")
        if one.get(name) != other.get(name)
    ]
    assert wrong == []


def test_layers_read_what_python_says(found: list[Any]) -> None:
    wrong = []
    for seed, (page, python) in enumerate(found):
        for one, other in zip(page, python, strict=True):
            for mine, its in zip(one["reads"], other["reads"], strict=True):
                for axis, spans, expected in zip(AXES, mine, its, strict=True):
                    a, b = np.reshape(spans, (-1, 2)), np.reshape(expected, (-1, 2))
                    # Between and beside their taps these read less than Python tells.
                    inside = (a[:, 0] >= b[:, 0]) & (a[:, 1] <= b[:, 1]) | (a[:, 0] == a[:, 1])
                    is_less = one["name"].startswith(("concat", "conv", "pool"))
                    if spans != expected and not (is_less and inside.all()):
                        wrong.append((seed, one["name"], axis, spans, expected))
    assert wrong == []
