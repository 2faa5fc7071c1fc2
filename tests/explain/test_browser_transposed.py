"""The page of a transposed convolution in a real browser, against the layer itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.network.layers import ConvTransposeLayer
from tests.explain.test_arithmetic import close
from tests.support.browser import (
    Opener,
    bank,
    near,
    number,
    page_data_of,
    picture_of,
    random_picture,
    settle,
    shown_value,
)

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(35)
SETTINGS = 12

READ = """async (changes) => {
  cnncli.apply(changes);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const { problem, outRows, outCols } = cnncli.shown();
  if (problem) return { problem };
  const texts = (caption) => {
    const table = [...document.querySelectorAll("#spread table")].find(
      (one) => one.caption.textContent === caption,
    );
    const cells = [...table.querySelectorAll("td[data-tap]")];
    return cells.map((cell) => [cell.firstChild?.textContent ?? "", cell.className]);
  };
  return {
    size: [outRows.length, outCols.length],
    values: Array.from(cnncli.values(changes.map), String),
    value: document.getElementById("result").dataset.value,
    title: document.getElementById("spread-title").textContent,
    gradient: document.getElementById("source-gradient").textContent,
    products: texts("products"),
    added: texts("output, all added up"),
  };
}"""
"""Change settings, and read what the page shows."""


def random_settings(
    layer: ConvTransposeLayer, rng: np.random.Generator
) -> tuple[ConvTransposeLayer, dict[str, Any]]:
    """A layer with other settings, and the changes that lead the page there."""
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
    extra = tuple(int(v) for v in rng.integers(0, 3, 2))
    bias = rng.normal(size=layer.channels_out).astype(np.float32)
    weights = rng.normal(size=layer.filter.weights.shape).astype(np.float32)
    changed = replace(
        layer,
        filter=replace(layer.filter, weights=weights),
        bias=bias,
        stride=stride,
        padding=tuple(pads),
        output_padding=extra,
        dilation=dilation,
    )
    page = {
        "stride": list(stride),
        "padding": pads,
        "outputPadding": list(extra),
        "dilation": list(dilation),
        "weights": changed.as_convolution_weights().ravel().tolist(),
        "bias": bias.tolist(),
    }
    return changed, page


def shown(text: str) -> float:
    return number(text.replace("−", "-").replace("≈ 0", "0"))


def test_random_settings_equal_the_layer(show: Opener) -> None:
    picture = random_picture((5, 4, 4))
    first = ConvTransposeLayer(bank((3, 2, 2, 4)), stride=2, groups=2)
    tab = show(page_data_of(picture, first))
    X = picture.values().astype(np.float64)
    for _ in range(SETTINGS):
        layer, page = random_settings(first, RNG)
        source = [int(RNG.integers(5)), int(RNG.integers(4))]
        view = {"map": int(RNG.integers(4)), "block": int(RNG.integers(2)), "source": source}
        expected, cache = layer.forward(X)
        _, height, width, _ = expected.shape
        at = [int(RNG.integers(height)), int(RNG.integers(width))]
        read = tab.evaluate(READ, {"layer": page, "at": at, **view})
        assert read["size"] == [height, width]
        values = np.array([number(text) for text in read["values"]]).reshape(height, width)
        close(values, expected[0, :, :, view["map"]])
        assert number(read["value"]) == near(expected[0, *at, view["map"]])
        channel = 2 * (view["map"] // 2) + view["block"]
        assert read["title"].startswith(f"Input at row {source[0]}, column {source[1]}, ")
        compare_spread(read, layer, view["map"], channel, X[0, *source, channel], source, expected)
        dX, _ = layer.backward(np.ones_like(expected), cache)
        gradient = dX[0, *source, channel]
        assert shown(read["gradient"]) == pytest.approx(gradient, rel=1e-3, abs=1e-6)


def compare_spread(
    read: Any,
    layer: ConvTransposeLayer,
    map: int,
    channel: int,
    value: float,
    source: list[int],
    expected: np.ndarray,
) -> None:
    """Check the products of one input cell, which are cut off, and the outputs they are in."""
    kernel = layer.filter.weights[:, :, map % 2, channel]
    shape = (1, 5, 4, 4)
    kept = [dict(layer.reached(shape, k, source[k])) for k in (0, 1)]
    places = [{tap: output for output, tap in one.items()} for one in kept]
    for (i, j), weight in np.ndenumerate(kernel):
        text, kind = read["products"][i * 2 + j]
        assert shown(text) == pytest.approx(value * weight, rel=6e-3, abs=1e-6)
        is_kept = i in places[0] and j in places[1]
        assert (kind == "pad") == (not is_kept)
        if is_kept:
            there = expected[0, places[0][i], places[1][j], map]
            assert shown(read["added"][i * 2 + j][0]) == pytest.approx(there, rel=6e-3, abs=1e-6)


def test_pointer_and_keys_follow_an_input_cell(show: Opener) -> None:
    values = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    layer = ConvTransposeLayer(bank((2, 2, 1, 1), "float64"), stride=2, padding=(1, 0, 0, 0))
    tab = show(page_data_of(picture_of(values), layer, (2, 2)))
    assert tab.text_content("#spread-title") == "Input at row 1, column 1: 5"
    tab.focus("#input")
    tab.keyboard.press("ArrowUp")
    settle(tab)
    assert tab.text_content("#spread-title") == "Input at row 0, column 1: 2"
    sentence = tab.text_content("#spread-sentence")
    assert "added to row 0 and columns 2 to 3 of the output" in sentence
    assert "2 products more fall on what the padding cuts off" in sentence
    tab.keyboard.press("Escape")
    box = tab.locator("#input").bounding_box()
    tab.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    settle(tab)
    assert tab.text_content("#spread-title") == "Input at row 2, column 2: 9"
    # Pointing at the input leaves the output where it is.
    assert tab.evaluate("cnncli.state.at") == [2, 2]
    assert shown_value(tab) == near(layer.forward(values)[0][0, 2, 2, 0])


def test_settings_that_leave_no_output(show: Opener) -> None:
    layer = ConvTransposeLayer(bank((3, 3, 1, 1)))
    tab = show(page_data_of(random_picture((4, 4, 1)), layer))
    for changes, text in (
        ({"padding": [3, 3, 3, 3]}, "The padding cuts off the whole output"),
        ({"padding": [0, 0, 0, 0], "stride": [999, 999]}, "The output would have 3000 × 3000"),
        ({"stride": [1, 1]}, ""),
    ):
        tab.evaluate("(layer) => cnncli.apply({ layer })", changes)
        settle(tab)
        assert (tab.text_content("#problem") or "").startswith(text)
    assert tab.text_content("#problem") == ""


def test_a_part_of_a_large_picture_is_shown(show: Opener) -> None:
    layer = ConvTransposeLayer(bank((3, 3, 1, 1)), stride=2)
    picture = random_picture((512, 512, 1))
    tab = show(page_data_of(picture, layer, (600, 500)))
    assert tab.text_content("#problem") == ""
    expected = layer.forward(picture.values().astype(np.float64))[0]
    assert shown_value(tab) == near(expected[0, 600, 500, 0])
