"""A page that computes its network: after a change all later layers are those of the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    MulLayer,
    PoolLayer,
    ScaleLayer,
    SoftmaxLayer,
)
from cnncli.network.load import load_model
from tests.support.browser import Opener, bank, near, number, picture_of, random_picture

pytestmark = pytest.mark.oracle

REPOSITORY = Path(__file__).resolve().parents[2]

READ = """() => Object.fromEntries(cnncli.layers().map(({ name, shape, planes, problem }) =>
  [name, { shape, problem, planes: planes.map((plane) => Array.from(plane, String)) }]))"""


def drawn(tab: Any) -> None:
    """Wait until all changes so far are drawn: a change of nothing waits for those before it."""
    tab.evaluate("cnncli.apply({ layers: {} })")


def compare(tab: Any, network: Network, picture: Picture, off: dict[str, list[int]]) -> None:
    """Compare every value of every layer with the core, to 1e-5 of the layer's largest."""
    found, values = tab.evaluate(READ), {SOURCE: picture.values()}
    for node in network.nodes:
        Y = np.array(node.layer.forward(*(values[name] for name in node.inputs))[0])
        Y[..., off.get(node.name, [])] = 0
        values[node.name] = Y
        assert found[node.name]["problem"] == ""
        assert found[node.name]["shape"] == list(Y.shape[1:])
        planes = [[number(text) for text in plane] for plane in found[node.name]["planes"]]
        expected = Y[0].transpose(2, 0, 1).reshape(Y.shape[3], -1)
        most = max(float(np.abs(expected).max()), 1e-6)
        np.testing.assert_allclose(planes, expected, rtol=0, atol=1e-5 * most)


def branching(stride: int, weights: np.ndarray[Any, Any], mode: str, dilation: int) -> Network:
    """A network of all kinds of layers that a page computes, with some settings."""
    gamma, beta, mean, var = np.random.default_rng(2).random((4, 5)).astype(np.float32)
    half = np.array([0.5], np.float32)
    first = ConvLayer(from_array(weights), stride=stride, pad_mode="reflect", activation="tanh")
    near_one = ConvLayer(bank((3, 1, 5, 5)), dilation=dilation)
    return Network(
        (
            Node("first", first, (SOURCE,)),
            Node("norm", BatchNormLayer(gamma, beta, mean, var), ("first",)),
            Node("left", near_one, ("norm",)),
            Node("right", PoolLayer(mode, size=3, stride=1, padding="same"), ("norm",)),
            Node("sum", AddLayer(), ("left", "right")),
            Node("product", MulLayer(), ("sum", "first")),
            Node("all", ConcatLayer(), ("product", "left")),
            Node("half", ScaleLayer(half, -half), ("all",)),
            Node("shares", SoftmaxLayer(), ("half",)),
            Node("relu", ActivationLayer("relu"), ("half",)),
            Node("pool", PoolLayer("lp", size=2, stride=2, ceil=True), ("relu",)),
        )
    )


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_every_layer_follows_changes_of_settings_and_weights(show: Opener, dtype: str) -> None:
    rng, picture = np.random.default_rng(7), random_picture((13, 11, 3), dtype)
    kernel = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    network = branching(1, kernel, "max", 1)
    tab = show(network_page_data(network, picture, "pool", Unit((0, 0)), title="net"))
    compare(tab, network, picture, {})
    other = rng.normal(size=(3, 2, 3, 5)).astype(np.float32)
    changes = """(weights) => cnncli.apply({ layers: {
      first: { kernel: [3, 2], weights: Float32Array.from(weights), stride: [2, 2] },
      left: { dilation: [2, 2] }, right: { mode: "average" }, norm: { off: [1, 3] },
    } })"""
    tab.evaluate(changes, other.ravel().tolist())
    compare(tab, branching(2, other, "average", 2), picture, {"norm": [1, 3]})
    # Changes that come while the worker computes are gathered, and the last one counts.
    quick = """() => Promise.all([3, 2, 1].map((step) =>
      cnncli.apply({ layers: { first: { stride: [step, step] } } })))"""
    tab.evaluate(quick)
    compare(tab, branching(1, other, "average", 2), picture, {"norm": [1, 3]})


def digits() -> tuple[Network, Picture]:
    model = load_model(REPOSITORY / "examples" / "digits.toml")
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    return model.network, picture


def test_the_fields_change_the_layer_of_the_chosen_unit(show: Opener) -> None:
    network, picture = digits()
    tab = show(network_page_data(network, picture, "conv2", Unit((3, 3), 2), title="net"))
    weight = tab.get_by_label("Weight at row 1, column 2")
    weight.fill("1/2")
    weight.press("Tab")
    drawn(tab)
    read = "(name) => Array.from(cnncli.layers().find((layer) => layer.name === name).planes[2])"
    conv = network.node("conv2").layer
    assert isinstance(conv, ConvLayer)
    depth = int(tab.locator("#depth").input_value())
    weights = conv.filter.weights.copy()
    weights[1, 2, depth, 2] = 0.5
    inputs = network.node("conv1").layer.forward(picture.values())[0]
    changed = ConvLayer(from_array(weights), conv.bias, padding="same", activation="relu")
    expected = changed.forward(inputs)[0][0, :, :, 2].ravel()
    np.testing.assert_allclose(tab.evaluate(read, "conv2"), expected, atol=1e-5)
    # The panel above has the same weight, and the same sum.
    made = "() => String(cnncli.arithmetic({ layer: 'conv2', channel: 2, at: [3, 3] }).value)"
    assert number(tab.evaluate(made)) == near(expected[3 * 8 + 3])
    tab.get_by_role("button", name="Switch map 2").click()
    drawn(tab)
    assert not np.any(tab.evaluate(read, "conv2"))
    assert "switched off" in tab.text_content("#how")
    tab.get_by_label("Stride of rows and columns").fill("2")
    drawn(tab)
    assert "conv 3x3/2 relu" in tab.locator(".card").nth(2).text_content()
    assert "digit cannot be computed. The window spans 2 of 1 rows" in tab.text_content("#layers")
    assert "It is made from digit" in tab.text_content("#layers")
    tab.get_by_role("button", name="Reset the layers").click()
    drawn(tab)
    assert "cannot be computed" not in tab.text_content("#layers")
    compare(tab, network, picture, {})


def test_a_kernel_of_another_size_keeps_its_middle(show: Opener) -> None:
    picture = random_picture((9, 10, 1))
    network = Network.chain(ConvLayer(load_filter("sobel_h")), PoolLayer())
    tab = show(network_page_data(network, picture, "conv1", Unit((3, 3)), title="net"))
    tab.get_by_label("Kernel of rows and columns").fill("5")
    drawn(tab)
    larger = np.pad(load_filter("sobel_h").weights, ((1, 1), (1, 1), (0, 0)))
    compare(tab, Network.chain(ConvLayer(from_array(larger[:, :, 0])), PoolLayer()), picture, {})


def test_a_browser_without_workers_computes_in_the_page(show: Opener) -> None:
    network = Network.chain(ConvLayer(bank((3, 3, 1, 4))), PoolLayer())
    picture = picture_of(np.random.default_rng(1).random((1, 8, 9, 1)))
    tab = show(
        network_page_data(network, picture, "pool1", Unit((1, 1)), title="net"),
        init_script="delete window.Worker",
    )
    compare(tab, network, picture, {})


def test_a_layer_that_does_not_fit_can_be_mended_at_once(show: Opener) -> None:
    network, picture = digits()
    tab = show(network_page_data(network, picture, "conv3", Unit((1, 2), 7), title="net"))
    # As a slider that is drawn there and back, while the worker computes.
    there_and_back = """() => Promise.all([[9, 9], [2, 2], [9, 9]].map((kernel) =>
      cnncli.apply({ layers: { pool2: { kernel }, pool1: { kernel } } })))"""
    tab.evaluate(there_and_back)
    assert "cannot be computed" in tab.text_content("#headline") + tab.text_content("#sentence")
    assert tab.evaluate("cnncli.state.unit") == {"layer": "conv3", "map": 7, "at": [1, 2]}
    tab.locator(".node", has_text="pool2").click()
    tab.get_by_role("button", name="Reset the layers").click()
    drawn(tab)
    assert tab.text_content("#headline").startswith("pool2, map 0, row 0, column 0: ")
    compare(tab, network, picture, {})


def test_answers_are_shown_with_the_settings_that_they_were_computed_with(show: Opener) -> None:
    network, picture = digits()
    tab = show(network_page_data(network, picture, "conv1", Unit((3, 3), 2), title="net"))
    # After each answer the panel's sum, of the page's weights, is the map's value.
    watch = """async () => {
      const seen = [];
      const check = () => {
        const unit = { layer: "conv1", channel: 2, at: [3, 3] };
        seen.push([cnncli.arithmetic(unit).value, cnncli.value("conv1", 2, 3, 3).value]);
      };
      const { weights } = cnncli.layers()[1].settings;
      const change = (factor) => ({ conv1: { weights: weights.map((w) => factor * w) } });
      const factors = [2, 3, 4, 5];
      const steps = factors.map((one) => cnncli.apply({ layers: change(one) }).then(check));
      await Promise.all(steps);
      return seen;
    }"""
    for made, value in tab.evaluate(watch):
        assert made == near(value)


def test_where_the_worker_stops_the_page_goes_on(show: Opener) -> None:
    network, picture = digits()
    # A worker that fails at its second message, as for want of memory.
    failing = """
      const Real = window.Worker;
      window.Worker = class extends Real {
        postMessage(...given) {
          this.count = (this.count ?? 0) + 1;
          if (this.count === 2) this.dispatchEvent(new ErrorEvent("error", { cancelable: true }));
          else super.postMessage(...given);
        }
      };"""
    data = network_page_data(network, picture, "conv1", Unit((3, 3), 2), title="net")
    tab = show(data, init_script=failing)
    tab.evaluate("cnncli.apply({ layers: { pool1: { mode: 'average' } } })")
    tab.evaluate("cnncli.apply({ layers: { pool1: { mode: 'max' } } })")
    compare(tab, network, picture, {})


def test_what_cannot_be_computed_for_an_unforeseen_reason_is_told(show: Opener) -> None:
    network, picture = digits()
    data = network_page_data(network, picture, "conv1", Unit((3, 3), 2), title="net")
    tab = show(data, init_script="delete window.Worker")
    fail = """() => {
      addEventListener("error", (event) => event.preventDefault());
      const { answer } = NetworkOutputs.prototype;
      NetworkOutputs.prototype.answer = () => {
        NetworkOutputs.prototype.answer = answer;
        throw new RangeError("Array buffer allocation failed");
      };
      return cnncli.apply({ layers: { pool1: { mode: "average" } } });
    }"""
    tab.evaluate(fail)
    said = "The page cannot compute this: Array buffer allocation failed."
    assert tab.text_content("#sentence") == said
    # The next change is computed again.
    tab.evaluate("cnncli.apply({ layers: { pool1: { mode: 'max' } } })")
    assert tab.text_content("#sentence") != said
    compare(tab, network, picture, {})
