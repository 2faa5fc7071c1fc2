"""The gradients of networks' pages in node, without a page: random networks against the core."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.parts import WORKER
from cnncli.filters.filter import from_array
from cnncli.gradients.gradient import find_gradient
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    AnyLayer,
    ConvLayer,
    ConvTransposeLayer,
    PoolLayer,
    ScaleLayer,
)
from cnncli.network.toml_types import LAYER_TYPES
from tests.support.browser import random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_networks import numbers, outputs, pick, random_network

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (*WORKER, "page/data.js")

NETWORKS = 40
SIZES = {"float64": 1e-9, "uint8": 1e-5}
"""Kinds of pixels, and how near gradients are; of bytes they are of float32."""


COMPUTE = """(() => {
const compute = ({ data, units, off }) => {
  const settingsOf = ({ name, settings }) => ({ ...readLayer(settings), off: off[name] });
  const specs = data.layers.map((spec) => ({ ...spec, settings: settingsOf(spec) }));
  const outputs = new NetworkOutputs();
  const { layers } = outputs.answer({ specs, input: readInput(data.input, data.single) });
  const settings = [{}, ...specs.map((spec) => spec.settings)];
  const listed = (planes) => planes.map((plane) => Array.from(plane, String));
  const found = units.map((unit) => outputs.answer({ unit }).gradients);
  return {
    gradients: found.map((one) => Array.from(one, ([name, { planes }]) => [name, listed(planes)])),
    paths: found.map((gradients) => pathSums(layers, settings, gradients)),
    weights: found.map((gradients) => weightSums(layers, settings, gradients)),
  };
};

/** Of a cell of each layer: the sum of all its ways to the layers behind it. */
function pathSums(layers, settings, gradients) {
  return Array.from(gradients.keys(), (name) => {
    const { output } = layers.find((layer) => layer.name === name);
    const cell = { channel: output.channels - 1, at: output.size.map((length) => length >> 1) };
    let sum = 0;
    layers.forEach((layer, index) => layer.inputs.forEach((one, input) => {
      if (one !== name || !gradients.has(layer.name)) return;
      const inputs = layer.inputs.map((other) => layers.find((made) => made.name === other).output);
      const { planes } = gradients.get(layer.name);
      const { size } = layer.output;
      const paths = gradientPaths(settings[index], inputs, size, planes, { input, ...cell });
      for (const { product } of paths) sum += product;
    }));
    return [name, cell.channel, ...cell.at, String(sum)];
  });
}

/** Of each convolution: the gradients of one weight and one bias. */
function weightSums(layers, settings, gradients) {
  const convs = layers.map((layer, index) => ({ layer, own: settings[index] }));
  const isMeant = ({ layer, own }) => own.weights && gradients.has(layer.name);
  return convs.filter(isMeant).map(({ layer, own }) => {
    const input = layers.find((made) => made.name === layer.inputs[0]).output;
    const pass = windowPass(own, input, gradients.get(layer.name).planes);
    const map = own.maps - 1;
    return [layer.name, String(pass.weightGradient(map, 0, 0, 0)), String(pass.biasGradient(map))];
  });
}
return compute;
})()"""
"""Gradients by what the worker runs; those of some cells from their ways, and of some weights."""


def floats(texts: Any) -> Any:
    return np.array([float(text.replace("Infinity", "inf")) for text in np.ravel(texts)])


class Case:
    """A random network that its page computes, an image, some units and maps that are off."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 4)))
        self.network: Network = random_network(rng, size)
        self.picture = random_picture(size, pick(rng, SIZES))
        last = self.network.names[-1]
        self.data = live_network_page_data(
            self.network, self.picture, last, Unit((0, 0)), title="net"
        )
        shapes = self.network.shapes((1, *size))
        self.units = []
        for name in (last, self.network.names[len(self.network.names) // 2]):
            _, rows, cols, channels = shapes[name]
            at = [int(rng.integers(rows)), int(rng.integers(cols))]
            self.units.append({"layer": name, "channel": int(rng.integers(channels)), "at": at})
        self.off: dict[str, list[int]] = {}

    @property
    def record(self) -> PageData:
        return {"data": self.data, "units": self.units, "off": self.off}

    def expected(self, unit: PageData) -> Any:
        """The core's gradients by the same unit."""
        X = self.picture.values()
        shape = self.network.shapes(X.shape)[unit["layer"]]
        upstream = np.zeros(shape, X.dtype)
        upstream[(0, *unit["at"], unit["channel"])] = 1
        with np.errstate(all="ignore"):
            return find_gradient(self.network, X, unit["layer"], upstream)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    made: list[Case] = []
    seed = 0
    while len(made) < NETWORKS:
        with np.errstate(all="ignore"):
            case = Case(seed)
            values = outputs(case.network, case.picture).values()
        if case.data is not None and all(np.isfinite(Y).all() for Y in values):
            made.append(case)
        seed += 1
    return made


@pytest.fixture(scope="module")
def found(cases: list[Case]) -> list[Any]:
    return run_alone(SCRIPTS, COMPUTE, [case.record for case in cases])


def close(found: Any, expected: Any, most: float) -> bool:
    is_double = expected.dtype == np.float64
    near = SIZES["float64" if is_double else "uint8"]
    # The unit's own gradient is 1: what is so much smaller is left over from sums that cancel, as
    # those of norms do, which take the mean of gradients off.
    atol = near * max(most, 1e-8 if is_double else 1e-2)
    return bool(np.allclose(found, np.ravel(expected), rtol=near, atol=atol, equal_nan=True))


def largest(values: Any) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0))


def first_weight(layer: AnyLayer, dW: Any) -> Any:
    """Return what a convolution's last map has for its first channel, in the first cell."""
    if isinstance(layer, ConvTransposeLayer):
        # Channels in stand last there, those of one group together.
        return dW[0, 0, -1, -(dW.shape[3] // layer.groups)]
    return dW[0, 0, ..., -1].ravel()[0]


def test_gradients_of_40_networks_equal_the_core(cases: list[Case], found: list[Any]) -> None:
    wrong = []
    for index, (case, result) in enumerate(zip(cases, found, strict=True)):
        for number, unit in enumerate(case.units):
            core = case.expected(unit)
            by_name = dict(result["gradients"][number])
            for name, planes in by_name.items():
                expected = core.backward.values[name][0].transpose(2, 0, 1)
                if not close(floats(planes), expected, largest(expected)):
                    wrong.append((index, case.picture.dtype, unit, name))
            for name, channel, row, col, text in result["paths"][number]:
                if name == unit["layer"]:
                    continue
                values = core.backward.values[name][0]
                if not close(floats([text]), values[row, col, channel], largest(values)):
                    wrong.append((index, "paths", unit, name))
            for name, weight, bias in result["weights"][number]:
                layer = case.network.node(name).layer
                dW = core.parameters[name]["W"]
                db = core.parameters[name].get("b", core.backward.values[name].sum((0, 1, 2)))
                first = first_weight(layer, dW)
                if not close(floats([weight]), first, largest(dW)):
                    wrong.append((index, "dW", unit, name, weight, first))
                # One bias, or none, serves all maps of the page.
                given = layer.parameters.get("b", np.zeros(1))
                total = db.ravel()[-1] if given.size > 1 else db.sum()
                if not close(floats([bias]), total, np.abs(core.backward.values[name]).sum()):
                    wrong.append((index, "db", unit, name, bias, db))
    assert wrong == []


def test_every_kind_of_layer_of_live_pages_is_among_them(cases: list[Case]) -> None:
    made = {spec["settings"]["op"] for case in cases for spec in case.data["layers"]}
    assert made == set(LAYER_TYPES)


def test_maps_that_are_off_send_nothing(cases: list[Case]) -> None:
    """They are as good as behind a factor of 0."""
    case = copy(next(one for one in cases if len(one.network.nodes) > 2))
    rng = np.random.default_rng(3)
    size = case.picture.shape[1:]
    first = ConvLayer(from_array(numbers(rng, 3, 3, size[2], 4)), padding="same", activation="relu")
    case.network = Network.chain(
        first, PoolLayer(), ConvLayer(from_array(numbers(rng, 2, 2, 4, 2)))
    )
    case.data = live_network_page_data(case.network, case.picture, "conv2", Unit((0, 0)), title="")
    case.units = [{"layer": "conv2", "channel": 1, "at": [0, 0]}]
    case.off = {"conv1": [0]}
    (result,) = run_alone(SCRIPTS, COMPUTE, [case.record])
    off = Node("off", ScaleLayer(np.array([0.0, 1, 1, 1]), np.zeros(4)), ("conv1",))
    conv1, pool1, conv2 = case.network.nodes
    case.network = Network((conv1, off, replace(pool1, inputs=("off",)), conv2))
    core = case.expected(case.units[0])
    expected = core.backward.values[SOURCE][0].transpose(2, 0, 1)
    planes = dict(result["gradients"][0])[SOURCE]
    assert close(floats(planes), expected, largest(expected))
