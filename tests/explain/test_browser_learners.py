"""What the pages of one layer do for somebody who learns, in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    Opener,
    bank,
    forward,
    near,
    page_data_of,
    photo,
    picture_of,
    random_picture,
    settle,
    shown_value,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

PAGES = {
    "filter": ((12, 14, 3), ConvLayer(load_filter("gaussian_5"))),
    "bank": ((12, 14, 3), ConvLayer(bank((3, 3, 3, 4)))),
    "pool": ((12, 14, 3), PoolLayer("max")),
}


@pytest.mark.parametrize("kind", PAGES)
def test_words_are_explained_where_they_are_used(show: Opener, kind: str) -> None:
    shape, layer = PAGES[kind]
    tab = show(page_data_of(random_picture(shape), layer))
    for panel in ("backward", "learn"):
        button = tab.locator(f"#{panel}")
        if button.is_visible():
            button.click()
    settle(tab)
    for node in tab.locator(".words:has(dl)").all():
        if not node.is_visible():
            continue
        assert not node.locator("dl").is_visible()
        node.locator("summary").focus()
        tab.keyboard.press("Enter")
        assert node.locator("dl").is_visible()
        names, meanings = (node.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
        assert node.locator("summary").inner_text() == f"Words: {', '.join(names)}"
        assert len(meanings) == len(names) and min(map(len, meanings)) > 10
    shown = [*map(str.strip, tab.locator(".words dt:visible").all_inner_texts())]
    assert ("upstream" in shown, "z" in shown, "feature map" in shown) == (
        True,
        kind != "pool",
        kind == "bank",
    )


def test_tables_of_gradients_are_as_wide_as_their_numbers(show: Opener) -> None:
    shape, layer = PAGES["bank"]
    tab = show(page_data_of(random_picture(shape), layer))
    for panel, table in (("backward", "#weight-gradients"), ("learn", "#learn-gradients")):
        tab.click(f"#{panel}")
        settle(tab)
        cell = tab.locator(f"{table} .grid td").first.bounding_box()
        assert 44 <= cell["width"] < 80 and 30 <= cell["height"] < 40


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def bottom(tab: Any, name: str) -> float:
    """Return the lower edge of an element on the screen."""
    box = tab.locator(name).first.bounding_box()
    assert box["y"] >= 0, name
    return float(box["y"] + box["height"])


@pytest.mark.parametrize("size", [(1280, 800), (1440, 900), (900, 800)])
@pytest.mark.parametrize("kind", ["photo", "pool"])
def test_settings_and_what_they_change_are_seen_together(
    show: Opener, size: tuple[int, int], kind: str
) -> None:
    picture, layer = photo() if kind == "photo" else (photo()[0], PoolLayer("max", 3))
    view = {"viewport": {"width": size[0], "height": size[1]}}
    tab = show(page_data_of(picture, layer, (50, 60)), **view)
    settle(tab)
    controls = ["#kernel", "#stride", "#padding", "#padding-bottom"]
    controls += ["#preset", ".grid input", "#bias", "#activation"] if kind == "photo" else ["#mode"]
    for name in ("#output", "#output-size", *controls):
        assert bottom(tab, name) <= size[1], name
    before = tab.text_content("#output-size")
    tab.focus("#stride")
    tab.keyboard.press("ArrowRight")
    settle(tab)
    rows, cols = tab.evaluate(
        "Object.values(shown.arithmetic.window).slice(0, 2).map((a) => a.out)"
    )
    assert tab.text_content("#output-size") == f"{rows} × {cols} × 3" != before
    assert tab.evaluate("scrollY") == 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_on_a_phone_the_size_stays_beside_the_output(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (50, 60)), **PHONE)
    tab.locator("#stride-rows").tap()
    tab.fill("#stride-rows", "2")
    settle(tab)
    said = tab.evaluate("getComputedStyle(byId('output-box'), '::after').content")
    assert said == '"Output 150 × 226 × 3"'
    assert bottom(tab, "#output-box") <= 740


def test_on_a_phone_output_and_settings_are_seen_together(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (50, 60)), **PHONE)
    assert bottom(tab, "#to-settings") <= 740
    tab.locator("#to-settings").tap()
    settle(tab)
    # A slider that is only looked at, too.
    tab.evaluate("document.activeElement.blur()")
    strip = "getComputedStyle(byId('output-box')).position === 'fixed'"
    until(tab, strip)
    assert bottom(tab, "#stride") <= bottom(tab, "#output-box") - 120 <= 740 - 120
    # A finger that begins there scrolls the page, and does not move the window.
    box = tab.locator("#output").bounding_box()
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = tab.evaluate("cnncli.state.at")
    tab.touchscreen.tap(*place)
    assert tab.evaluate("cnncli.state.at") == before
    tab.evaluate("scrollTo(0, 0)")
    until(tab, f"!({strip})")


def test_a_stride_says_what_it_does(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (50, 60)))
    assert not tab.is_visible("#stride-note")
    tab.fill("#stride-rows", "2")
    tab.fill("#stride-cols", "3")
    settle(tab)
    assert tab.text_content("#stride-note") == (
        "Stride 2 × 3: the window moves 2 rows down or 3 columns across at a time. "
        "That makes 150 × 151 outputs; stride 1 makes 300 × 451. "
        'Padding "same" shifts: the first window begins at row 0, column −1, '
        "with stride 1 at row −1, column −1, so windows see other cells."
    )
    tab.evaluate("cnncli.apply({ layer: { padding: [1, 1, 1, 1] } })")
    settle(tab)
    assert tab.text_content("#stride-note").endswith("stride 1 makes 300 × 451.")


def test_the_number_of_rows_is_that_of_columns_while_they_are_equal(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (50, 60)))
    typed = [("#stride-rows", "2", [2, 2]), ("#stride-cols", "3", [2, 3])]
    # Passing by 3 while 34 is typed changes nothing of the columns.
    typed += [("#stride-rows", "34", [34, 3]), ("#stride-cols", "34", [34, 34])]
    for field, number, stride in [*typed, ("#stride-rows", "12", [12, 12])]:
        tab.focus(field)
        tab.keyboard.press("Control+A")
        tab.keyboard.type(number)
        tab.keyboard.press("Tab")
        settle(tab)
        assert tab.evaluate("cnncli.state.layer.stride") == stride


@pytest.mark.parametrize("kind", ["window", "pixel"])
def test_a_finger_steps_by_one_cell(show: Opener, kind: str) -> None:
    tab = show(page_data_of(*photo(), (50, 60)), **PHONE)
    if kind == "pixel":
        tab.locator("#backward").tap()
        settle(tab)
    group = f".arrows[aria-label='Move the {kind}']"
    chosen = "cnncli.state.at" if kind == "window" else "cnncli.state.backward.at"
    at = tab.evaluate(chosen)
    for way, step in {"left": (0, -1), "up": (-1, 0), "right": (0, 1), "down": (1, 0)}.items():
        button = tab.locator(f"{group} button[aria-label*=' {way} ']")
        box = button.bounding_box()
        assert box["width"] >= 44 and box["height"] >= 44
        button.tap()
        at = [at[0] + step[0], at[1] + step[1]]
        assert tab.evaluate(chosen) == at
    mouse = show(page_data_of(*photo(), (50, 60)))
    assert not mouse.locator(".arrows").first.is_visible()


@pytest.mark.parametrize("side", [11, 15])
def test_tables_of_a_large_kernel_are_whole_or_fade(show: Opener, side: int) -> None:
    data = page_data_of(random_picture((40, 40, 3)), ConvLayer(bank((side, side, 3, 2))), (9, 9))
    wide, phone = show(data), show(data, **PHONE)
    for tab in (wide, phone):
        settle(tab)
        assert tab.locator("#blocks .cells").count() == 3
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    panel = wide.locator("#blocks").bounding_box()
    for table in wide.locator("#blocks .cells").all():
        box = table.bounding_box()
        assert box["x"] + box["width"] <= panel["x"] + panel["width"] + 1
    mask = "getComputedStyle(byId('blocks')).maskImage !== 'none'"
    assert not wide.evaluate(mask)
    until(phone, mask)
    phone.evaluate("byId('blocks').scrollTo(2000, 0)")
    until(phone, f"!({mask})")


@pytest.mark.parametrize(
    ("padding", "place"), [("same", (0, 6)), ([0, 1, 0, 0], (10, 6)), ([0, 0, 0, 2], (5, 14))]
)
def test_a_button_leads_to_where_padding_is_seen(
    show: Opener, padding: Any, place: tuple[int, int]
) -> None:
    layer = ConvLayer(load_filter("edge"))
    tab = show(page_data_of(random_picture((12, 15, 1)), layer, (5, 6)))
    tab.evaluate("(padding) => cnncli.apply({ layer: { padding }, at: [5, 6] })", padding)
    tab.click("#to-border")
    settle(tab)
    assert tuple(tab.evaluate("cnncli.state.at")) == place
    assert "padding" in tab.text_content("#sentence")
    assert tab.locator("#blocks .window .pad").count() >= 3
    tab.evaluate("cnncli.apply({ layer: { padding: 'valid' } })")
    settle(tab)
    assert tab.text_content("#input-note") == "no padding"
    assert not tab.is_visible("#to-border")


@pytest.mark.parametrize("name", ["edge", "gaussian_5", "3 0; 0 0"])
def test_the_sum_of_weights_is_what_equal_pixels_get(show: Opener, name: str) -> None:
    filter_ = load_filter(name)
    even = np.full((1, 9, 9, 1), 102, np.uint8)
    tab = show(page_data_of(picture_of(even), ConvLayer(filter_), (4, 4)))
    said = tab.text_content("#sum-meaning")
    total = filter_.weights.sum()
    ends = {0: "0.", 1: "their value.", 3: "3 times their value."}
    assert said.endswith(f"the products add up to {ends[round(float(total))]}")
    assert shown_value(tab) == near(102 / 255 * total)
    tab.fill(".grid input >> nth=0", "100")
    settle(tab)
    assert "times their value." in tab.text_content("#sum-meaning")


def test_what_is_drawn_on_stands_beside_the_output(show: Opener) -> None:
    tab = show(page_data_of(random_picture((8, 8, 1)), ConvLayer(load_filter("edge")), (3, 3)))
    tab.click("#own-pen")
    settle(tab)
    for name in ("#output", ".pad canvas"):
        assert bottom(tab, name) <= 900, name
    # A photograph cannot be drawn on: there the arithmetic stands beside the output.
    tops = "['own', 'explanation'].map((id) => byId(id).getBoundingClientRect().top)"
    own, explanation = tab.evaluate(tops)
    assert own < explanation
    own, explanation = show(page_data_of(*photo(), (50, 60))).evaluate(tops)
    assert explanation < own


def test_learning_says_which_weight_should_grow(show: Opener) -> None:
    picture, layer = random_picture((10, 12, 1)), ConvLayer(load_filter("sobel_v"))
    tab = show(page_data_of(picture, layer, (4, 4)))
    assert tab.text_content("#learn-title") == "Learn: which weight should grow?"
    tab.click("#learn")
    settle(tab)
    X = picture.values().astype(np.float64)
    target = layer.forward(X)[0]
    weights = np.array(tab.evaluate("Array.from(cnncli.state.layer.weights)")).reshape(3, 3)

    def loss(W: Any) -> float:
        return float(np.mean((ConvLayer(from_array(W)).forward(X)[0] - target) ** 2))

    step = 1e-4 * np.eye(9).reshape(9, 3, 3)
    gradients = np.array([loss(weights + one) - loss(weights - one) for one in step]) / 2e-4
    place = int(np.abs(gradients).argmax())
    way, does = ("fall", "falls") if gradients[place] > 0 else ("grow", "grows")
    said = tab.text_content("#learn-answer")
    start = f"Of the weights shown, that at row {place // 3}, column {place % 3} counts most and "
    assert said.startswith(f"{start}should {way}: its") and said.endswith(
        f", so the loss falls when it {does}."
    )
    told = float(said.split("gradient is ")[1].split(",")[0].replace("−", "-"))
    assert told == pytest.approx(gradients[place], rel=1e-3)


@pytest.mark.parametrize("kind", ["photo", "bank", "absolute"])
def test_a_button_leads_to_the_brightest_output_nearby(show: Opener, kind: str) -> None:
    picture, layer = photo()
    if kind != "photo":
        picture, layer = random_picture((30, 40, 1)), ConvLayer(bank((3, 3, 1, 2)), np.zeros(2))
    at = (20, 30) if kind != "photo" else (150, 200)
    tab = show(page_data_of(picture, layer, at), **PHONE)
    if kind == "absolute":
        tab.evaluate("cnncli.apply({ range: 'abs' })")
    settle(tab)
    tab.locator("#to-brightest").tap()
    settle(tab)
    row, col = tab.evaluate("cnncli.state.at")
    range_ = tab.evaluate("[shown.range.lo, shown.range.hi]")
    values = forward(layer, picture.values())[:, :, : 3 if kind == "photo" else 1]
    values = np.abs(values) if kind == "absolute" else values
    levels = np.rint(255 * (values.clip(*range_) - range_[0]) / np.ptp(range_)).sum(axis=2)
    width = tab.evaluate("byId('output').clientWidth")
    reach = max(3, round(6 * values.shape[1] / width))
    near_by = levels[at[0] - reach : at[0] + reach + 1, at[1] - reach : at[1] + reach + 1]
    assert max(abs(row - at[0]), abs(col - at[1])) <= reach
    # A level that is halfway between two may round the other way.
    assert levels[row, col] >= near_by.max() - values.shape[2] > levels[at]
    tab.evaluate("cnncli.apply({ colormap: 'diverging' })")
    settle(tab)
    assert tab.is_visible("#to-brightest") == (kind == "photo")


def test_long_numbers_stay_in_their_panel(show: Opener) -> None:
    view = {"viewport": {"width": 1366, "height": 768}}
    tab = show(page_data_of(*photo(), (297, 55)), **view)
    assert len(tab.text_content("#result .value td")) == len("-0.02353")
    assert tab.evaluate("byId('result').scrollWidth <= byId('result').clientWidth")


def test_of_a_colour_picture_the_level_is_not_called_grey(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (107, 173)))
    settle(tab)
    said = tab.text_content(".drawn")
    levels = tab.evaluate("shown.planes.map((p) => levelOf(p[107 * 451 + 173], shown.range))")
    assert said == f"drawn as level {levels[0]}: 0 is no light, 255 full light of this colour"
    assert 0 < levels[0] < 255 and len(levels) == 3
    swatch = tab.locator(".drawn .swatch").evaluate("(node) => node.style.backgroundColor")
    assert swatch == f"rgb({', '.join(map(str, levels))})"
