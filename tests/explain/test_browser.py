"""The pages of explain in a real browser: what is read off them against the core's own values."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.explain.page import layer_data
from cnncli.explain.page.document import page_text
from cnncli.explain.page.layer_data import PageData
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    TOLERANCE,
    Opener,
    bank,
    forward,
    near,
    number,
    page_data_of,
    photo,
    picture_of,
    random_picture,
    settle,
    shown_value,
    until,
)
from tests.support.page_layers import CONV_PAGES, random_conv, random_pool

pytestmark = pytest.mark.oracle

SETTINGS_EACH = 25

APPLY = """async (changes) => {
  cnncli.apply(changes);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const shown = cnncli.shown();
  if (shown.problem) return { problem: document.getElementById("problem").textContent };
  const channels = shown.picture.channels;
  return {
    rows: shown.outRows, cols: shown.outCols, channels,
    planes: channels.map((channel) => Array.from(cnncli.values(channel), String)),
    at: cnncli.state.at,
    value: document.getElementById("result").dataset.value,
    size: document.getElementById("output-size").textContent,
  };
}"""
"""Change settings as the controls do, wait until they are drawn, and read what is there."""


def compare(read: PageData, layer: ConvLayer | PoolLayer, picture: Picture) -> float:
    """Compare what a page shows with the core; returns the largest difference."""
    try:
        expected = forward(layer, picture.values())
    except CnnCliError:
        assert "must fit" in read["problem"]
        return 0.0
    assert read["size"] == " × ".join(map(str, expected.shape))
    part = expected[np.ix_(read["rows"], read["cols"], read["channels"])]
    planes = np.array([[number(text) for text in plane] for plane in read["planes"]])
    found = planes.reshape(len(read["channels"]), *part.shape[:2]).transpose(1, 2, 0)
    known = ~np.isnan(found)
    assert known.any()
    np.testing.assert_allclose(found[known], part[known], rtol=TOLERANCE, atol=TOLERANCE)
    # What stands in the arithmetic is the same value once more, summed by other code.
    row, col = read["at"]
    channel = read["channels"][0]
    value = number(read["value"])
    if not np.isnan(value):
        np.testing.assert_allclose(
            value, expected[row, col, channel], rtol=TOLERANCE, atol=TOLERANCE
        )
    finite = known & np.isfinite(part)
    return float(np.abs(found[finite] - part[finite]).max(initial=0.0))


@pytest.mark.parametrize("name", CONV_PAGES)
def test_random_convolutions_equal_the_core(show: Opener, name: str) -> None:
    picture, layer = CONV_PAGES[name]
    rng = np.random.default_rng(len(name))
    tab = show(page_data_of(picture, layer))
    worst = 0.0
    for _ in range(SETTINGS_EACH):
        changed, page = random_conv(rng, layer, picture.dtype)
        view = {
            "map": int(rng.integers(layer.filter.maps)),
            "at": [int(v) for v in rng.integers(0, 9, 2)],
        }
        worst = max(worst, compare(tab.evaluate(APPLY, {**view, "layer": page}), changed, picture))
    print(f"largest difference {worst:.2g}")


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_random_pools_equal_the_core(show: Opener, dtype: str) -> None:
    picture = random_picture((11, 12, 3), dtype)
    rng = np.random.default_rng(len(dtype))
    tab = show(page_data_of(picture, PoolLayer()))
    worst = 0.0
    for _ in range(SETTINGS_EACH):
        changed, page = random_pool(rng)
        at = [int(v) for v in rng.integers(0, 9, 2)]
        worst = max(
            worst, compare(tab.evaluate(APPLY, {"at": at, "layer": page}), changed, picture)
        )
    print(f"largest difference {worst:.2g}")


@pytest.mark.parametrize("mode", ["zeros", "reflect", "wrap"])
def test_the_edge_of_a_crop_is_no_padding(show: Opener, monkeypatch: Any, mode: str) -> None:
    monkeypatch.setattr(layer_data, "MOST_CELLS", 12 * 12)
    picture = random_picture((40, 50, 1))
    layer = ConvLayer(load_filter("sobel_v"), np.zeros(1), pad_mode=mode)
    tab = show(page_data_of(picture, layer, (0, 20)))
    for stride, dilation in ((1, 1), (2, 1), (1, 3)):
        changed = replace(layer, stride=stride, dilation=dilation)
        page = {"stride": [stride] * 2, "dilation": [dilation] * 2}
        read = tab.evaluate(APPLY, {"layer": page})
        compare(read, changed, picture)
        # Rows 0 to 11 and columns 14 to 25 are there: taps may not go beyond.
        window = changed.window(picture.shape)
        down, across = read["rows"], read["cols"]
        box = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        rows, cols = window.source(box, mode)
        assert rows.stop <= 12 and cols.start >= 14 and cols.stop <= 26
        assert len(across) >= (12 - window.cols.extent) // stride
        # Above the first row a wrapped border holds the last rows, which are not there.
        assert (down[0] == 0) == (mode != "wrap" or window.rows.begin == 0)


WEIGHT = ".grid tr:nth-child(2) td:nth-child(3) input"
EDGE = load_filter("edge").weights[:, :, 0].copy()
EDGE[1, 2] = 0.7
CONTROLS: list[tuple[str, str, dict[str, Any]]] = [
    ("#stride", "3", {"stride": 3}),
    ("#stride-cols", "2", {"stride": (3, 2)}),
    ("#padding", "valid", {"padding": "valid"}),
    ("#padding-all", "4", {"padding": 4}),
    ("#padding-left", "7", {"padding": ((4, 4), (7, 4))}),
    ("#dilation", "2", {"dilation": 2}),
    ("#pad-mode", "symmetric", {"pad_mode": "symmetric"}),
    ("#bias", "-0.25", {"bias": np.array([-0.25])}),
    ("#activation", "leaky-relu", {"activation": "leaky-relu"}),
    (WEIGHT, "0.7", {"filter": from_array(EDGE, name="edge")}),
    ("#preset", "gaussian_5", {"filter": load_filter("gaussian_5")}),
]
"""Controls of a convolution one after the other, what each is set to, and what that changes."""


def test_a_page_that_was_cut_off_says_so(browser: Any, tmp_path: Path) -> None:
    text = page_text(page_data_of(random_picture((4, 5, 1)), PoolLayer()))
    tab = browser.new_page()
    for name, changed in (
        ("whole", text),
        ("lines", text.replace("\n", "\r\n")),
        ("cut", re.sub('(id="packed"[^>]*>)', r"\1AAAA", text)),
    ):
        (tmp_path / f"{name}.html").write_bytes(changed.encode())
        tab.goto((tmp_path / f"{name}.html").as_uri())
        until(tab, "document.getElementById('headline')?.textContent || !unreadable.hidden")
        assert tab.is_visible("text=its file was cut off, or changed") == (name == "cut")
    tab.close()


def test_every_control_of_a_convolution_recomputes(show: Opener) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (30, 40)))
    X = picture.values()
    first = shown_value(tab)
    assert first == near(forward(layer, X)[30, 40, 0])
    for control, text, changes in CONTROLS:
        layer = replace(layer, **changes)
        is_list = tab.locator(control).evaluate("(e) => e.tagName") == "SELECT"
        (tab.select_option if is_list else tab.fill)(control, text)
        value = shown_value(tab)
        row, col = tab.evaluate("cnncli.state.at")
        assert value == near(forward(layer, X)[row, col, 0]), control
        # The window stays at its place in the picture.
        window = layer.window((1, 300, 451, 3))
        assert abs(window.rows.middle(row) - 30) <= 2 * window.rows.stride
        assert abs(window.cols.middle(col) - 40) <= 2 * window.cols.stride
    rows, _ = tab.locator("#formula span").all_text_contents()[:2]
    assert rows.endswith(f"= {layer.window((1, 300, 451, 3)).rows.out}")
    tab.fill("#dilation", "8")
    tab.select_option("#padding", "valid")
    tab.click("#reset")
    assert shown_value(tab) == first


def test_a_window_that_does_not_fit_is_said(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((5, 9, 1)), layer))
    tab.select_option("#padding", "valid")
    tab.fill("#dilation", "4")
    settle(tab)
    assert "spans 9 of 5 rows" in tab.text_content("#problem")
    tab.fill("#dilation-rows", "2")
    settle(tab)
    assert tab.text_content("#problem") == ""


def test_padding_is_marked_in_the_arithmetic(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1), pad_mode="reflect")
    tab = show(page_data_of(random_picture((6, 6, 1)), layer))
    cells = tab.locator("#blocks table:first-of-type td.pad")
    assert cells.count() == 5
    assert "5 cells of 9 are padding (copied pixels)" in tab.text_content("#sentence")
    assert "Input rows -1 to 1, columns -1 to 1" in tab.text_content("#input-closeup-note")


def test_window_times_weights_are_the_products_that_stand_there(show: Opener) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (114, 172)))
    tables = [t.locator("td").all_text_contents() for t in tab.locator("#blocks table").all()]
    window = picture.values()[0, 113:116, 171:174, 0].ravel()
    weights = layer.filter.weights[:, :, 0].ravel()
    for texts, values in zip(tables, (window, weights, window * weights), strict=True):
        read = [float(text.replace("−", "-")) for text in texts]
        np.testing.assert_allclose(read, values, rtol=6e-3, atol=1e-9)


def signs_text(products: Any) -> str:
    above, below = products[products > 0].sum(), products[products < 0].sum()
    text = f"Products above 0 give {above:.4g}, those below 0 give {below:.4g}."
    return text.replace("-", "−")


def test_it_is_said_what_products_of_both_signs_give(show: Opener) -> None:
    rng = np.random.default_rng(3)
    layer = ConvLayer(from_array(rng.normal(size=(3, 3, 2, 1))), np.zeros(1), padding="valid")
    picture = random_picture((7, 8, 2))
    tab, X = show(page_data_of(picture, layer)), picture.values()[0].astype(np.float64)
    for row, col in ((1, 2), (3, 0)):
        tab.evaluate("(at) => cnncli.apply({ at })", [row, col])
        settle(tab)
        products = X[row : row + 3, col : col + 3] * layer.filter.weights[..., 0]
        assert tab.text_content("#sentence").endswith(signs_text(products))
    # Where all products have one sign, and of few, the table says it.
    tab.evaluate("cnncli.apply({ layer: { weights: Array(18).fill(1) } })")
    settle(tab)
    assert "Products" not in tab.text_content("#sentence")
    tab.evaluate("cnncli.apply({ layer: { kernel: [1, 2], weights: [1, 1, -1, -1] } })")
    settle(tab)
    assert "Products" not in tab.text_content("#sentence")


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_pool_shows_its_winner_and_says_ties(show: Opener, mode: str) -> None:
    values = np.array([[1, 5, 2, 0], [5, 1, 0, 3], [0, 0, 0, 0], [9, 0, 0, 0]], np.float64)
    picture = picture_of(values.reshape(1, 4, 4, 1))
    tab = show(page_data_of(picture, PoolLayer(mode)))
    winner = tab.locator("#blocks td.winner")
    place, text = ("0,1", "5") if mode == "max" else ("0,0", "1")
    assert winner.get_attribute("data-tap") == place
    assert winner.text_content() == f"{text} (wins)"
    assert "2 cells tie; the first one gets the gradient" in tab.text_content("#sentence")


def test_every_control_of_a_pool_recomputes(show: Opener) -> None:
    picture = random_picture((20, 21, 3))
    layer, X = PoolLayer(), picture.values()
    tab = show(page_data_of(picture, layer, (2, 3)))

    def check(changed: PoolLayer) -> PoolLayer:
        value = shown_value(tab)
        row, col = tab.evaluate("cnncli.state.at")
        assert value == near(forward(changed, X)[row, col, 0])
        return changed

    tab.fill("#kernel", "3")
    layer = check(replace(layer, size=3))
    tab.select_option("#mode", "average")
    layer = check(replace(layer, mode="average"))
    tab.fill("#padding-all", "2")
    tab.fill("#stride", "1")
    tab.evaluate("cnncli.apply({ at: [0, 0] })")
    layer = replace(layer, padding=2, stride=1)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])
    assert "divided by 1." in tab.text_content("#sentence")
    tab.check("#count-include-pad")
    layer = replace(layer, count_include_pad=True)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])
    assert "divided by 9." in tab.text_content("#sentence")
    tab.select_option("#mode", "lp")
    tab.fill("#p", "3")
    tab.check("#ceil")
    layer = replace(layer, mode="lp", p=3.0, ceil=True)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])


def test_a_bank_has_a_strip_of_maps_and_sums_of_channels(show: Opener) -> None:
    picture = random_picture((9, 9, 5), "float32")
    layer = ConvLayer(bank((3, 3, 5, 4)), np.arange(4.0))
    tab, expected = (
        show(page_data_of(picture, layer, (4, 4), map=1)),
        forward(layer, picture.values()),
    )
    assert shown_value(tab) == near(expected[4, 4, 1])
    assert tab.locator("#maps button").count() == 4
    tab.click("#maps button:nth-child(4)")
    assert shown_value(tab) == near(expected[4, 4, 3])
    sums = [float(t.replace("−", "-")) for t in tab.locator(".sum b").all_text_contents()]
    products = picture.values()[0, 3:6, 3:6] * layer.filter.weights[..., 3]
    np.testing.assert_allclose(sums, products.sum(axis=(0, 1)), rtol=6e-3)
    tab.click(".sum:nth-child(3)")
    settle(tab)
    read = tab.locator("#blocks table:first-of-type td").all_text_contents()
    np.testing.assert_allclose(
        [float(t.replace("−", "-")) for t in read],
        picture.values()[0, 3:6, 3:6, 2].ravel(),
        rtol=6e-3,
    )


def test_what_is_not_finite_is_shown_as_it_is(show: Opener) -> None:
    values = np.zeros((1, 5, 5, 1))
    values[0, 2, 2], values[0, 0, 0] = np.inf, np.nan
    tab = show(
        page_data_of(picture_of(values), ConvLayer(load_filter("edge"), np.zeros(1)), (2, 2))
    )
    assert "∞" in tab.text_content("#headline")
    assert np.isnan(tab.evaluate("cnncli.values(0)[0]"))
