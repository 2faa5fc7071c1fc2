"""The arithmetic of networks' pages in node, without a page: random networks against the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page import stored_network_data
from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.parts import SCRIPTS as PAGES
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.explain.run import every_layer
from cnncli.explain.trail import Layers, TrailUnit, find_trail
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConvLayer,
    GroupNormLayer,
    InstanceNormLayer,
    LayerNormLayer,
    ReduceLayer,
    SoftmaxLayer,
)
from cnncli.network.layers.reduce import MODES
from cnncli.network.toml_types import LAYER_TYPES
from tests.support.browser import random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_networks import outputs, random_network, some_units

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = PAGES["network"][: PAGES["network"].index("network/unit_values.js") + 1]
"""The arithmetic, and what it is made of; the scripts behind it write on the page."""

NETWORKS = 100

COMPUTE = """({ layers, units, trails }) => {
  globalThis.byName = new Map(layers.map(readLayerMaps).map((layer) => [layer.name, layer]));
  const told = (unit) => {
    const { value, problem } = unitArithmetic(unit);
    return { value: String(value), problem: problem ?? "" };
  };
  const step = ({ unit }) => [unit.layer, unit.channel, ...unit.at, String(unit.amount)];
  const followed = (unit) => trailOf(unit).map(step);
  return { units: units.map(told), trails: trails.map(followed) };
}"""
"""Units by the page's arithmetic, and the trails of some."""


def number(text: str) -> float:
    return float(text.replace("Infinity", "inf"))


class Case:
    """A random network, an image, and what is asked for."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 4)))
        self.network: Network = random_network(rng, size)
        self.picture: Picture = random_picture(size, "float32" if rng.integers(2) else "uint8")
        self.values = outputs(self.network, self.picture)
        names = self.network.names
        self.units = [unit for name in names for unit in some_units(rng, name, self.values[name])]
        layers = every_layer(self.network, self.picture)
        self.trails = [self._trail(layers, unit) for unit in self.units[::7]]

    @property
    def record(self) -> PageData:
        last = self.network.names[-1]
        data = stored_network_page_data(self.network, self.picture, last, Unit((0, 0)), title="net")
        firsts = [trail[0] for trail in self.trails]
        trails = [
            {"layer": one.layer, "channel": one.channel, "at": [one.row, one.column]}
            for one in firsts
        ]
        return {"layers": data["layers"], "units": self.units, "trails": trails}

    @staticmethod
    def _trail(layers: Layers, unit: PageData) -> tuple[TrailUnit, ...]:
        """The terminal's trail; of a map of three channels it follows the strongest."""
        groups = layers(unit["layer"]).groups
        index = next(k for k, group in enumerate(groups) if unit["channel"] in group.channels)
        return find_trail(layers, unit["layer"], tuple(unit["at"]), index).units


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    with np.errstate(all="ignore"):
        return [Case(seed) for seed in range(NETWORKS)]


@pytest.fixture(scope="module")
def found(cases: list[Case]) -> list[Any]:
    with np.errstate(all="ignore"):
        return run_alone(SCRIPTS, COMPUTE, [case.record for case in cases])


def test_units_of_100_networks_equal_the_core(cases: list[Case], found: list[Any]) -> None:
    wrong = []
    for seed, (case, result) in enumerate(zip(cases, found, strict=True)):
        for unit, told in zip(case.units, result["units"], strict=True):
            Y = case.values[unit["layer"]]
            most = max(float(np.abs(Y[np.isfinite(Y)]).max(initial=0)), 1e-6)
            expected = float(Y[(*unit["at"], unit["channel"])])
            if told["problem"] or number(told["value"]) != pytest.approx(
                expected, abs=1e-5 * most, nan_ok=True
            ):
                node = case.network.node(unit["layer"])
                wrong.append((seed, node.layer, unit, told, expected, most))
    assert wrong == []


def test_every_kind_of_layer_is_among_them(cases: list[Case]) -> None:
    made = {node.layer.op for case in cases for node in case.network.nodes}
    assert made == set(LAYER_TYPES)


def test_trails_of_100_networks_are_those_of_the_terminal(
    cases: list[Case], found: list[Any]
) -> None:
    wrong = []
    for seed, (case, result) in enumerate(zip(cases, found, strict=True)):
        for expected, trail in zip(case.trails, result["trails"], strict=True):
            places = [[one.layer, one.channel, one.row, one.column] for one in expected]
            amounts = [one.contribution for one in expected[1:]]
            told = [number(one[-1]) for one in trail[1:]]
            if [one[:-1] for one in trail] != places or told != pytest.approx(
                amounts, rel=1e-4, abs=1e-6, nan_ok=True
            ):
                wrong.append((seed, trail, places, amounts))
    assert wrong == []


def test_norms_and_shares_and_reductions_of_more_than_a_page_holds(monkeypatch: Any) -> None:
    monkeypatch.setattr(stored_network_data, "_LENGTHS", (4,))
    monkeypatch.setattr(stored_network_data, "ROOM_FOR_WHOLE", 0)
    monkeypatch.setattr(stored_network_data, "MOST_MAPS", 3)
    rng = np.random.default_rng(8)
    six = rng.normal(size=(2, 6)).astype(np.float32)
    layers = {
        "instance": InstanceNormLayer(*six),
        "group": GroupNormLayer(2, *six),
        "layer": LayerNormLayer(*six),
        "rows": LayerNormLayer(*six, ("rows",)),
        "shares": SoftmaxLayer(("rows", "columns")),
        "logs": SoftmaxLayer(("columns", "channels"), log=True),
        "softmax": ActivationLayer("softmax"),
        **{mode: ReduceLayer(mode) for mode in MODES},
    }
    weights = from_array(rng.normal(size=(1, 1, 3, 6)).astype(np.float32))
    nodes = [Node("conv", ConvLayer(weights), (SOURCE,))]
    nodes += [Node(name, layer, ("conv",)) for name, layer in layers.items()]
    network, picture = Network(tuple(nodes)), random_picture((9, 8, 3))
    data = stored_network_page_data(network, picture, "conv", Unit((4, 4)), title="net")
    assert all(layer["channels"] == [0, 1, 2] for layer in data["layers"])
    units = [
        {"layer": name, "channel": channel, "at": [row, col]}
        for name in layers
        for channel, row, col in (
            ((0, 0, 0), (2, 0, 0), (1, 0, 0))
            if name in MODES
            else ((0, 4, 4), (2, 2, 5), (1, 5, 2))
        )
    ]
    case = {"layers": data["layers"], "units": units, "trails": units}
    (found,) = run_alone(SCRIPTS, COMPUTE, [case])
    values = outputs(network, picture)
    for unit, told, trail in zip(units, found["units"], found["trails"], strict=True):
        Y = values[unit["layer"]]
        expected = float(Y[(*unit["at"], unit["channel"])])
        assert number(told["value"]) == pytest.approx(expected, abs=1e-5 * float(np.abs(Y).max()))
        # Which of the values that are not in the page counts most is not known there.
        more = [] if unit["layer"] in MODES else ["conv", SOURCE]
        assert [layer for layer, *_ in trail] == [unit["layer"], *more]
