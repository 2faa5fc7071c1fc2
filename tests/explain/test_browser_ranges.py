"""Which values are black and white on the pages of explain: as everywhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.graph import Network, input_groups
from cnncli.network.inner_cells import inner_cells
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer
from cnncli.pipeline.auto_range import clips_by_default
from cnncli.render.grey_levels import LevelMapping, paint_levels
from cnncli.render.layer_ranges import layer_ranges
from cnncli.render.result_rows import ArrayRows
from cnncli.render.scores import bar_span
from tests.support.browser import (
    Opener,
    bank,
    page_data_of,
    picture_of,
    random_picture,
    settle,
)

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(12)


def spotted(size: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Bright noise with one hot pixel: its border of zeros and the spot are extremes."""
    values = RNG.uniform(0.8, 1, (1, *size))
    values[0, size[0] // 2, size[1] // 2] = 40
    return values


LAYERS: dict[str, tuple[np.ndarray[Any, Any], Any]] = {
    "bank": (spotted((40, 44, 2)), ConvLayer(bank((3, 3, 2, 4)), padding="same")),
    "one negative map": (
        spotted((30, 30, 1)),
        ConvLayer(from_array(np.array([[[[1.0, -1.0, 0.5]]]])), padding="same"),
    ),
    "relu": (
        spotted((40, 30, 1)),
        ConvLayer(bank((5, 5, 1, 3)), padding="same", activation="relu"),
    ),
    "few inner cells": (spotted((5, 5, 1)), ConvLayer(bank((5, 5, 1, 2)), padding="same")),
    "one cell": (spotted((6, 6, 1)), ConvLayer(bank((6, 6, 1, 5)), padding="valid")),
    "signed pool": (-spotted((20, 20, 1)), PoolLayer(size=2)),
    "2-D filter": (spotted((9, 9, 3)), ConvLayer(from_array(np.ones((3, 3)) / 9))),
}


@pytest.mark.parametrize("colormap", ["gray", "diverging"])
@pytest.mark.parametrize(("values", "layer"), LAYERS.values(), ids=LAYERS)
def test_the_range_of_a_layers_page_is_that_of_its_pictures(
    show: Opener, values: np.ndarray[Any, Any], layer: Any, colormap: str
) -> None:
    picture = picture_of(values)
    network = Network.chain(layer)
    output, _ = layer.forward(values)
    tab = show(page_data_of(picture, layer))
    groups = network.groups(input_groups(values.shape[3]))[network.names[-1]]
    ranges = layer_ranges(
        ArrayRows(output, inner_cells(network, values.shape)),
        groups,
        "auto",
        clips_by_default(network, picture),
        about_zero=colormap == "diverging" and not any(group.colour for group in groups),
    )
    for index, expected in enumerate(ranges):
        tab.evaluate("changes => cnncli.apply(changes)", {"map": index, "colormap": colormap})
        settle(tab)
        found = tab.evaluate("cnncli.shown().range")
        assert found["kind"] == expected.kind
        assert (found["lo"], found["hi"]) == pytest.approx((expected.lo, expected.hi), rel=1e-6)


@pytest.mark.parametrize("classes", [3, 300])
def test_the_scores_of_a_network_are_bars_and_the_largest_is_named(
    show: Opener, classes: int
) -> None:
    values = RNG.uniform(0, 1, (1, 6, 7, 1))
    network = Network.chain(
        ConvLayer(bank((3, 3, 1, 4)), padding="same"),
        ActivationLayer("relu"),
        ConvLayer(bank((6, 7, 4, classes)), padding="valid"),
    )
    last = network.names[-1]
    scores = values
    for node in network.nodes:
        scores, _ = node.layer.forward(scores)
    best = int(scores.argmax())
    tab = show(network_page_data(network, picture_of(values), last, Unit((0, 0)), title="net"))
    card = tab.locator(".card").last
    said = card.locator(".largest").text_content()
    assert said.startswith(f"largest: {best} (")
    assert float(said.rpartition("(")[2].rstrip(")")) == pytest.approx(scores.max(), rel=1e-3)
    rows = card.locator(".thumb")
    assert rows.count() == min(classes, 20)
    numbers = [float(t.replace("−", "-")) for t in rows.locator("b").all_text_contents()]
    ordered = np.sort(scores.ravel())[::-1][:20] if classes > 20 else scores.ravel()
    np.testing.assert_allclose(numbers, ordered, rtol=1e-3, atol=1e-4)
    widths = [box.bounding_box()["width"] for box in rows.locator(".bar").all()]
    shares = np.abs(ordered) / np.abs(ordered).max()
    # A bar is a pixel wide at least.
    np.testing.assert_allclose(np.divide(widths, max(widths)), shares, atol=0.02)
    rows.nth(1).click()
    chosen = int(np.argsort(-scores.ravel(), kind="stable")[1]) if classes > 20 else 1
    assert tab.evaluate("cnncli.state.unit.map") == chosen


@pytest.mark.parametrize(("bad", "named"), [([0, 1, 2, 3], None), ([0], 3)])
def test_scores_that_are_not_numbers_are_not_ranked(
    show: Opener, bad: list[int], named: int | None
) -> None:
    values = np.arange(1.0, 5.0).reshape(1, 1, 1, 4)
    values[..., bad] = np.nan
    network = Network.chain(PoolLayer(size=1))
    data = network_page_data(network, picture_of(values), "pool1", Unit((0, 0)), title="net")
    card = show(data).locator(".card").last
    said = card.locator(".largest").text_content()
    expected = "not a number: no score" if named is None else f"largest: {named} ("
    assert said.startswith(expected) and "NaN" not in said
    assert card.locator(".thumb.best").count() == (named is not None)


RANGES = "cnncli.layers().map((layer) => layer.ranges)"

# A page that computes its values, and one that holds them, follow one rule.
both_kinds = pytest.mark.parametrize("make", [network_page_data, stored_network_page_data])


@both_kinds
def test_rounding_is_drawn_as_zero_on_a_networks_page_too(show: Opener, make: Any) -> None:
    values = np.full((1, 16, 16, 1), 128, np.uint8)
    network = Network.chain(ConvLayer(load_filter("dct_8"), stride=8))
    name = network.names[-1]
    tab = show(make(network, picture_of(values), name, Unit((0, 0)), title="net"))
    ranges = tab.evaluate(RANGES)[-1]
    assert ranges[0]["hi"] == pytest.approx(128 / 255 * 8, rel=1e-5)
    assert {(one["lo"], one["hi"]) for one in ranges[1:]} == {(0.0, 0.0)}
    tab.evaluate("cnncli.apply({ maps: { NAME: 5 } })".replace("NAME", name))
    # Sums in another order may be 0 itself.
    said = tab.locator(".range").last.text_content()
    assert "zero but for rounding, at most " in said or said == "0 everywhere"


@pytest.mark.parametrize("index", [0, 8, 17])
def test_rounding_is_drawn_as_zero_on_a_layers_page_too(show: Opener, index: int) -> None:
    values = np.full((1, 16, 16, 1), 30, np.uint8)
    values[:, :, 5:] = 201
    picture = picture_of(values)
    tab = show(page_data_of(picture, ConvLayer(load_filter("dct_8"), stride=8)))
    tab.evaluate("changes => cnncli.apply(changes)", {"map": index})
    settle(tab)
    found = tab.evaluate("cnncli.shown().range")
    if index == 0:
        assert found["hi"] > 1
    else:
        # The sums themselves are not quite zero.
        assert max(map(abs, tab.evaluate(f"[...cnncli.values({index})]"))) > 0
        assert (found["lo"], found["hi"]) == (0, 0)
        assert "zero but for rounding, at most " in tab.text_content("#output-note")


@both_kinds
def test_maps_of_a_network_follow_the_rule_for_whole_layers(show: Opener, make: Any) -> None:
    values = spotted((30, 30, 1))
    network = Network.chain(ConvLayer(bank((3, 3, 1, 4)), padding="same"), PoolLayer(size=1))
    tab = show(make(network, picture_of(values), "pool1", Unit((3, 3)), title="net"))
    output, _ = network.nodes[0].layer.forward(values)
    groups = network.groups(input_groups(1))
    for name, found in zip(network.names, tab.evaluate(RANGES)[1:], strict=True):
        rows = ArrayRows(output, inner_cells(network.until(name), values.shape))
        expected = layer_ranges(rows, groups[name], "auto", False)
        assert {one["kind"] for one in found} == {"symmetric"}
        for one, mapping in zip(found, expected, strict=True):
            assert (one["lo"], one["hi"]) == pytest.approx((mapping.lo, mapping.hi))
    text = tab.locator(".card").nth(1).locator(".range").text_content()
    assert "blue" in text and "red" in text


@pytest.mark.parametrize(
    "values", [[3.0, 1.0, 2.0, 1.5], [-3.0, 1.0, 0.5, -0.25], [-1.0, -4.0, -2.0, -3.0]]
)
@pytest.mark.parametrize("width", [360, 1280])
def test_bars_of_scores_have_the_range_of_their_squares(
    show: Opener, values: list[float], width: int
) -> None:
    network = Network.chain(PoolLayer(size=1))
    picture = picture_of(np.array(values).reshape(1, 1, 1, 4))
    data = network_page_data(network, picture, "pool1", Unit((0, 0)), title="net")
    tab = show(data, viewport={"width": width, "height": 900})
    card, range_ = tab.locator(".card").last, tab.evaluate(RANGES)[1][0]
    mapping = LevelMapping(range_["kind"], range_["lo"], range_["hi"])
    tracks = [track.bounding_box() for track in card.locator(".track").all()]
    bars = [bar.bounding_box() for bar in card.locator(".bar").all()]
    # All bars stand on one axis.
    assert len({(round(track["x"]), round(track["width"])) for track in tracks}) == 1
    for value, track, bar in zip(values, tracks, bars, strict=True):
        first, last = bar_span(value, mapping)
        assert bar["x"] - track["x"] == pytest.approx(first * track["width"], abs=1)
        assert bar["width"] == pytest.approx(max((last - first) * track["width"], 1), abs=1)
    ends = [
        float(text.replace("−", "-"))
        for text in card.locator(".ends .end-numbers span").all_text_contents()
    ]
    assert (ends[0], ends[-1]) == pytest.approx((min(mapping.lo, 0), max(mapping.hi, 0)), rel=1e-3)


@pytest.mark.parametrize("side", [20, 1100])
def test_cells_that_are_no_numbers_are_magenta_and_told(show: Opener, side: int) -> None:
    values = RNG.normal(size=(1, side, side, 4)).astype(np.float32)
    values[0, 0, :3, 0] = np.nan, np.inf, -np.inf
    network = Network.chain(PoolLayer(size=1), PoolLayer(size=1))
    data = network_page_data(network, picture_of(values), "pool2", Unit((0, 0)), title="net")
    is_live = "input" in data
    assert is_live == (side == 20)
    tab = show(data)
    read = "k => String(cnncli.value('pool2', 0, 0, k).value)"
    assert [tab.evaluate(read, k) for k in range(3)] == ["NaN", "Infinity", "-Infinity"]
    assert abs(float(tab.evaluate(read, 3)) - values[0, 0, 3, 0]) < 0.05
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool2', map: 0, at: [0, 0] } })")
    settle(tab)
    assert tab.text_content("#headline").endswith("row 0, column 0: NaN")
    assert "3 values are NaN or infinite" in tab.locator(".range").last.text_content()
    figure, large = (tab.locator(name).last.bounding_box() for name in ("figure", ".large"))
    assert figure["width"] <= max(large["width"], 230)
    assert is_live or "3 values of pool2" in tab.text_content("#notes")


def test_cells_that_are_no_numbers_are_magenta_on_a_layers_page(show: Opener) -> None:
    values = RNG.normal(size=(1, 6, 8, 1)).astype(np.float32)
    values[0, 2, 3] = np.nan
    tab = show(page_data_of(picture_of(values), ConvLayer(bank((3, 3, 1, 2)), padding="same")))
    settle(tab)
    read = """() => {
        const canvas = document.getElementById("output");
        const context = canvas.getContext("2d");
        const { data, width } = context.getImageData(0, 0, canvas.width, canvas.height);
        return [[2.5, 3.5], [5.5, 7.5]].map(([row, col]) => {
            const cell = canvas.width / 8;
            const at = 4 * (Math.floor(row * cell) * width + Math.floor(col * cell));
            return [...data.slice(at, at + 3)];
        });
    }"""
    missing, number = tab.evaluate(read)
    assert missing == [255, 0, 255] != number
    assert "9 values are NaN or infinite" in tab.text_content("#output-note")


MAGENTA = "rgb(255, 0, 255)"
GROUND = "(node) => getComputedStyle(node).backgroundColor"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_how_a_value_that_is_not_finite_is_drawn_is_told(show: Opener, value: float) -> None:
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 6, 8, 1)
    values[0, 2, 3] = value
    tab = show(page_data_of(picture_of(values), PoolLayer(size=1), (2, 3)))
    settle(tab)
    what = "not a number" if np.isnan(value) else "infinite"
    # What a sheet makes of it.
    level = np.empty(1, np.uint8)
    paint_levels(np.array([value]), LevelMapping("minmax", 0.0, 1.0), "8", level)
    sheet = {0: "black", 255: "white"}[int(level[0])]
    told = f"{what}: drawn in magenta, and as {sheet} on sheets of cnncli"
    assert tab.text_content(".drawn") == told
    assert tab.locator(".swatch").evaluate(GROUND) == MAGENTA
    assert tab.locator("#blocks td").evaluate(GROUND) == MAGENTA
    assert "1 value is NaN or infinite" in tab.text_content("#input-note")
    tab.evaluate("cnncli.apply({ at: [0, 0] })")
    settle(tab)
    assert tab.text_content(".drawn") == "drawn as grey level 0: 0 is black, 255 white"


def test_a_colour_beside_one_that_is_no_number_is_magenta_too(show: Opener) -> None:
    values = np.full((1, 4, 4, 3), 0.5)
    values[0, 1, 1, 2] = np.nan
    tab = show(page_data_of(picture_of(values), PoolLayer(size=1), (1, 1)))
    settle(tab)
    text = "drawn in magenta: another colour here is NaN or infinite"
    assert tab.text_content(".drawn") == text


def test_ends_of_a_range_are_named_by_their_colours(show: Opener) -> None:
    tab = show(page_data_of(random_picture((8, 8, 1)), ConvLayer(bank((3, 3, 1, 1))), (4, 4)))
    tab.evaluate("cnncli.apply({ layer: { bias: Float64Array.of(-99) }, range: 'clip' })")
    for table, colour in (("gray", "black"), ("diverging", "blue")):
        tab.evaluate(f"cnncli.apply({{ colormap: '{table}' }})")
        settle(tab)
        assert tab.text_content(".drawn") == f"below 0, where the range begins: drawn as {colour}"


def test_a_value_in_colours_is_told_by_its_share_of_the_end(show: Opener) -> None:
    tab = show(page_data_of(random_picture((8, 8, 1)), ConvLayer(bank((3, 3, 1, 1))), (4, 4)))
    tab.evaluate("cnncli.apply({ colormap: 'diverging', range: 'symmetric' })")
    settle(tab)
    lo, hi = tab.evaluate("[cnncli.shown().range.lo, cnncli.shown().range.hi]")
    assert lo == -hi < 0
    values = np.array(tab.evaluate("Array.from(cnncli.values(0))")).reshape(8, 8)
    assert values.min() < 0 < values.max()
    for place in (values.argmin(), values.argmax(), 0):
        at = np.unravel_index(place, values.shape)
        tab.evaluate("(at) => cnncli.apply({ at })", [int(k) for k in at])
        settle(tab)
        value = values[at]
        name, end = ("blue", lo) if value < 0 else ("red", hi)
        share, said = tab.text_content(".drawn").split(" % ")
        assert share == f"drawn {100 * abs(value) / hi:.0f}"
        assert said.replace("−", "-") == f"{name}: 0 is white, {end:.4g} {name}"
