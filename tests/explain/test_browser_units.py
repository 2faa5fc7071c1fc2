"""What the panel of a unit shows on the page of a network, in a browser: every kind of layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.forward import explain
from cnncli.explain.model import Step
from cnncli.explain.moved_values import moved_cells
from cnncli.explain.page import stored_network_data
from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.explain.run import every_layer
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConvLayer,
    ConvTransposeLayer,
    GroupNormLayer,
    LRNLayer,
    MatMulLayer,
    MaxLayer,
    PadLayer,
    ReduceLayer,
    ResizeLayer,
    SliceLayer,
    SoftmaxLayer,
    ViewLayer,
)
from cnncli.network.layers.view import Layout
from tests.support.browser import Opener, random_picture, settle

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(22)
AT = (1, 2)

ROWS = """(selector) => [...document.querySelectorAll(`${selector} tr`)].map((row) =>
  [...row.children].map((cell) => cell.textContent.replace(/−/g, "-")))"""


def numbers(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def all_kinds() -> Network:
    """Layers of many kinds, all but a few behind the same convolution."""
    silu = ConvLayer(from_array(numbers(3, 3, 3, 4)), numbers(4), activation="silu")
    up = ConvTransposeLayer(from_array(numbers(3, 3, 2, 4)), numbers(2), stride=2, padding=1)
    one = (SOURCE,), ("conv",)
    return Network(
        (
            Node("conv", silu, one[0]),
            Node("linear", ResizeLayer(scale=2.0, mode="linear"), one[1]),
            Node("cubic", ResizeLayer(scale=1.5, mode="cubic"), one[1]),
            Node("nearest", ResizeLayer((5, 3)), one[1]),
            Node("border", PadLayer(2, "reflect"), one[1]),
            Node("constant", PadLayer(2, "zeros", 0.25), one[1]),
            Node("lrn", LRNLayer(3, 0.5, 0.75, 2.0), one[1]),
            Node("norm", GroupNormLayer(2, numbers(4), numbers(4), 1e-3), one[1]),
            Node("mean", ReduceLayer("mean"), one[1]),
            Node("most", ReduceLayer("max", ("channels",)), one[1]),
            Node("up", up, one[1]),
            Node("turned", ViewLayer(Layout("nchw"), (0, 1, 3, 2), 4), one[1]),
            Node("shares", SoftmaxLayer(("rows", "columns")), one[1]),
            Node("larger", MaxLayer(), ("conv", "turned")),
            Node("reversed", SliceLayer(-1, None, -1, rows=(0, None, 2)), one[1]),
            Node("keys", ViewLayer(Layout("hwc"), (0, 2, 1), 8), one[1]),
            Node("product", MatMulLayer(), ("conv", "keys")),
            Node("elu", ActivationLayer("elu", np.array([0.5])), one[1]),
        )
    )


@pytest.fixture(scope="module")
def tried() -> tuple[Network, Picture, PageData]:
    network, picture = all_kinds(), random_picture((8, 8, 3))
    return network, picture, network_page_data(network, picture, "conv", Unit(AT), title="net")


class Panel:
    """The panel of one unit, and what the terminal says of it."""

    def __init__(self, tab: Any, tried: tuple[Network, Picture, PageData]) -> None:
        self.tab = tab
        self.layers = every_layer(tried[0], tried[1])

    def open(self, layer: str, at: tuple[int, int] = AT, index: int = 0) -> Step:
        unit = {"layer": layer, "map": index, "at": list(at)}
        self.tab.evaluate("(unit) => cnncli.apply({ unit })", unit)
        settle(self.tab)
        (step,) = explain(self.layers(layer), at, index).steps
        (output,) = (row for row in self.rows("#result") if row[0] == "output")
        assert float(output[1]) == seen(step.value)
        return step

    def rows(self, selector: str) -> list[list[str]]:
        found: list[list[str]] = self.tab.evaluate(ROWS, selector)
        return found

    def lines(self) -> dict[str, float]:
        return {name: float(text) for name, text in self.rows("#result")}

    def how(self) -> str:
        text: str = self.tab.text_content("#how")
        return text

    def explained(self, layer: str) -> ExplainedLayer:
        return self.layers(layer)


def seen(value: float) -> Any:
    """A number of four digits."""
    return pytest.approx(float(value), rel=6e-4, abs=1e-6)


@pytest.fixture
def panel(show: Opener, tried: tuple[Network, Picture, PageData]) -> Panel:
    return Panel(show(tried[2]), tried)


def test_resizes_show_their_cells_and_weights(panel: Panel) -> None:
    for layer, at in (("linear", (3, 4)), ("cubic", (5, 5)), ("cubic", (0, 0))):
        panel.open(layer, at)
        rows = panel.rows("#blocks .sources")[1:]
        cells = moved_cells(panel.explained(layer), at, 0)
        source = panel.explained(layer).inputs[0]
        assert len(rows) == len(cells) > 3
        # Those that contribute most come first.
        cells.sort(key=lambda each: -abs(each[2] * source.value(each[1])))
        for (place, *texts), (_, cell, weight) in zip(rows, cells, strict=True):
            value = source.value(cell)
            assert place == f"at {cell[0]}, {cell[1]}"
            assert [float(text) for text in texts] == [*map(seen, (value, weight, weight * value))]
    panel.open("nearest", (3, 1))
    assert len(panel.rows("#blocks .sources")) == 1 and "nearest" in panel.how()


def test_norms_show_mean_variance_and_their_count(panel: Panel) -> None:
    step = panel.open("norm", index=3)
    terms, lines = dict(step.operands), panel.lines()
    assert lines["mean of 128 values"] == seen(terms["mean"])
    assert lines["variance of 128 values"] == seen(terms["var"])
    assert (lines["× gamma"], lines["+ beta"]) == (seen(terms["gamma"]), seen(terms["beta"]))
    step = panel.open("lrn", index=3)
    terms = dict(step.operands)
    assert panel.lines()["squares of 2 channels"] == seen(terms["squares"])
    assert panel.tab.locator("#blocks .best").count() == 1


def test_reductions_show_values_sums_and_winners(panel: Panel) -> None:
    terms = dict(panel.open("mean", (0, 0), 2).operands)
    lines = panel.lines()
    assert (lines["sum"], lines["÷ count"]) == (seen(terms["sum"]), 64)
    values = [float(row[1]) for row in panel.rows("#blocks .sources")[1:]]
    assert len(values) == 9 and sum(values) == pytest.approx(terms["sum"], rel=5e-3)
    step = panel.open("most")
    assert float(panel.tab.text_content("#blocks .best td").replace("−", "-")) == seen(step.value)
    panel.open("larger")
    assert panel.tab.locator("#blocks .sources tr").count() == 2
    assert panel.tab.locator("#blocks .best").count() == 1


def test_products_of_matrices_stand_one_by_one(panel: Panel) -> None:
    step = panel.open("product", AT, 3)
    rows = panel.rows("#blocks .sources")[1:]
    products = sorted((value for _, value in step.operands), key=lambda value: -abs(value))
    assert [float(row[3]) for row in rows] == [seen(value) for value in products]
    assert "4 products" in panel.how()


def test_a_transposed_convolution_shows_the_cells_that_add_to_it(panel: Panel) -> None:
    step = panel.open("up", (3, 3), 1)
    blocks = panel.tab.evaluate(
        "cnncli.arithmetic({ layer: 'up', channel: 1, at: [3, 3] }).step.blocks"
    )
    for found, block in zip(blocks, step.blocks, strict=True):
        products = [cell["product"] for cell in found["cells"]]
        assert block.products is not None
        assert products == pytest.approx(block.products.ravel().tolist(), rel=1e-5)
    assert "4 input cells of each of 4 channels add to it" in panel.how()
    lines = panel.lines()
    assert step.bias is not None
    assert lines["+ bias"] == seen(step.bias)


def test_values_that_only_move_are_shown_as_they_are(panel: Panel) -> None:
    for layer in ("turned", "reversed", "border"):
        panel.open(layer)
        assert panel.tab.locator("#blocks .sources tr").count() == 1
    assert "copies a cell of the input (reflect)" in panel.how()
    panel.open("constant", (0, 0))
    assert panel.how() == "The border holds a constant here."
    assert panel.tab.text_content("#trail-end") == (
        "Ends at constant: only a constant is behind this value."
    )
    panel.open("constant", (2, 2))
    assert panel.tab.text_content("#trail-end") == ""


def test_shares_over_rows_and_columns_name_their_cells(panel: Panel) -> None:
    step = panel.open("shares", index=1)
    terms = dict(step.operands)
    rows = panel.rows("#blocks .shares")
    assert float(rows[-1][2]) == seen(terms["total"])
    assert panel.tab.text_content("#blocks .best th") == "at 1, 2"
    assert float(panel.tab.text_content("#blocks .best td").replace("−", "-")) == seen(terms["z"])


def test_activations_show_formula_and_settings(panel: Panel) -> None:
    step = panel.open("conv", index=2)
    lines = panel.lines()
    assert "through silu: z / (1 + exp(-alpha * z))" in panel.how()
    assert (lines["="], lines["alpha"], lines["silu"]) == (seen(step.total), 1, seen(step.value))
    step = panel.open("elu", index=2)
    assert panel.how() == "elu: z if z > 0, else alpha * (exp(z) - 1)."
    assert panel.lines()["alpha"] == 0.5


def test_a_layer_that_onnx_runs_ends_the_trail(show: Opener) -> None:
    models = pytest.importorskip("tests.support.onnxmodels")
    nodes = [models.node("Cos", "x", "c", "cosine"), models.node("Relu", "c", "y", "positive")]
    network = models.load(models.model(nodes, {}, (1, 1, 4, 4))).network
    picture = random_picture((4, 4, 1), "float32")
    tab = show(network_page_data(network, picture, "positive", Unit(AT), title="net"))
    problem = "It is run by ONNX, and its arithmetic is not shown."
    assert tab.text_content("#trail-end") == f"Ends at cosine. {problem}"
    tab.evaluate("cnncli.apply({ unit: { layer: 'cosine', map: 0, at: [1, 2] } })")
    assert tab.text_content("#how") == problem
    assert "ONNX runs cosine: this page cannot compute such layers." in tab.text_content("#notes")


def test_what_a_page_does_not_hold_is_said(show: Opener, monkeypatch: Any) -> None:
    monkeypatch.setattr(stored_network_data, "ROOM_FOR_WHOLE", 0)
    monkeypatch.setattr(stored_network_data, "MOST_MAPS", 3)
    network = Network.chain(
        ConvLayer(from_array(numbers(1, 1, 3, 6))), ConvLayer(from_array(numbers(1, 1, 6, 1)))
    )
    name, picture = network.names[-1], random_picture((4, 4, 3))
    data = stored_network_page_data(network, picture, name, Unit(AT), title="net")
    tab = show(data)
    said = "It is made from maps or cells that this page does not hold."
    assert tab.text_content("#how") == said
    assert tab.text_content("#trail-end") == f"Ends at {name}. {said}"
