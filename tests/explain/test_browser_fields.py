"""Fields and groups of controls of the page of one layer, by keys, in a real browser."""

from __future__ import annotations

from dataclasses import replace
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
    random_picture,
    settle,
    shown_value,
    until,
)

pytestmark = pytest.mark.oracle

NUMBERS = {"1/9": 1 / 9, "-1 / 3": -1 / 3, "0.5": 0.5, "−2": -2.0, ".5e-1": 0.05, "1/-4": -0.25}
NO_NUMBERS = ["", "-", "1/", "1/0", "1/2/3", "1,5", "two", "0x10", "Infinity"]


def pressed(tab: Any, group: str) -> Any:
    """Return the index of a group's pressed button, and whether it has the focus."""
    settle(tab)
    return tab.evaluate(
        """(group) => {
            const items = [...document.querySelectorAll(`${group} button`)];
            const index = items.findIndex((item) => item.getAttribute("aria-pressed") === "true");
            return [index, items[index] === document.activeElement];
        }""",
        group,
    )


def test_a_weight_can_be_a_fraction(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    picture = random_picture((6, 7, 1))
    tab = show(page_data_of(picture, layer, (2, 3)))
    weights = layer.filter.weights[:, :, 0].copy()
    cell = tab.locator(".grid input").nth(5)
    cell.focus()
    for text, value in NUMBERS.items():
        cell.fill("")
        cell.type(text)
        weights[1, 2] = value
        changed = replace(layer, filter=from_array(weights, name="edge"))
        assert shown_value(tab) == near(forward(changed, picture.values())[2, 3, 0]), text
        assert cell.input_value() == text
    tab.fill("#bias", "3/8")
    expected = forward(replace(changed, bias=np.array([0.375])), picture.values())
    assert shown_value(tab) == near(expected[2, 3, 0])


def test_what_is_no_number_changes_nothing_and_is_marked(show: Opener) -> None:
    tab = show(page_data_of(random_picture((6, 7, 1)), ConvLayer(load_filter("edge"))))
    cell = tab.locator(".grid input").first
    cell.fill("1/4")
    for text in NO_NUMBERS:
        cell.fill(text)
        assert tab.evaluate("cnncli.state.layer.weights[0]") in (0.25, -1.0), text
        assert cell.get_attribute("aria-invalid") == "true", text
        assert "must be a number" in tab.text_content("#filter-body .rule")
    cell.blur()
    assert tab.locator(".rule").count() == 0
    assert cell.get_attribute("aria-invalid") is None
    # The number of before is back, not the first digits of what is none.
    assert float(cell.input_value()) == tab.evaluate("cnncli.state.layer.weights[0]") == -1.0


def test_a_size_that_cannot_be_leaves_the_one_of_before(show: Opener) -> None:
    tab = show(page_data_of(random_picture((6, 7, 1)), ConvLayer(load_filter("edge"))))
    field = tab.locator("#stride-rows")
    for text in ("999", "", "1.5", "-2"):
        field.focus()
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true", text
        rule = "Stride of rows must be a whole number from 1 to 64."
        assert tab.locator("#settings .rule").all_text_contents() == [rule]
        field.blur()
        assert tab.locator(".rule").count() == 0
        assert field.input_value() == "1"
        assert tab.evaluate("cnncli.state.layer.stride") == [1, 1]


def test_large_kernels_take_fractions_too(show: Opener) -> None:
    tab = show(page_data_of(random_picture((20, 20, 1)), ConvLayer(bank((11, 11, 1, 1)))))
    tab.fill("#filter-body label input", "1/8")
    assert tab.evaluate("cnncli.state.layer.weights[5 * 11 + 5]") == 0.125


def test_the_power_of_a_pool_has_a_least_value(show: Opener) -> None:
    tab = show(page_data_of(random_picture((8, 8, 1)), PoolLayer("lp")))
    for text, power in (("3/2", 1.5), ("0", 1.5), ("-1", 1.5), ("4", 4.0)):
        tab.fill("#p", text)
        assert tab.evaluate("cnncli.state.layer.p") == power


@pytest.mark.parametrize("width", [360, 1280])
def test_fields_of_positions_have_room_for_five_digits(show: Opener, width: int) -> None:
    layer = ConvLayer(bank((1, 1, 1, 30)))
    data = page_data_of(random_picture((9, 9, 1)), layer)
    tab = show(data, viewport={"width": width, "height": 900})
    # The spinner of a number takes 16 pixels where it is shown.
    room = """(field) => {
        const style = getComputedStyle(field);
        const context = document.createElement("canvas").getContext("2d");
        context.font = `${style.fontSize} ${style.fontFamily}`;
        const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
        return field.clientWidth - padding - 16 - context.measureText("40000").width;
    }"""
    for name in ("#at-row", "#at-col", "#map"):
        assert tab.locator(name).evaluate(room) >= 0, name


def test_each_group_is_one_tab_stop(show: Opener) -> None:
    layer = ConvLayer(bank((3, 3, 5, 12)))
    tab = show(page_data_of(random_picture((9, 9, 5)), layer, (4, 4), map=2))
    settle(tab)
    stops = """(group) => [...document.querySelectorAll(`${group} button, ${group} input`)]
        .filter((item) => item.tabIndex === 0).length"""
    for group in (".grid", "#maps", ".sums"):
        assert tab.evaluate(stops, group) == 1, group
    reached = set()
    tab.focus("#theme")
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.add(
            tab.evaluate(
                """(() => { const item = document.activeElement;
                return item.id || item.closest(".grid, #maps, .sums, .settings")?.className; })()"""
            )
        )
    assert {"grid wide", "strip", "sums", "output", "map", "at-row", "stride", "reset"} <= reached


def test_arrows_move_inside_the_groups(show: Opener) -> None:
    layer = ConvLayer(bank((3, 3, 5, 12)))
    tab = show(page_data_of(random_picture((9, 9, 5)), layer, (4, 4), map=2))
    settle(tab)
    for group, first in (("#maps", 2), (".sums", 0)):
        tab.focus(f"{group} [tabindex='0']")
        for key, index in (("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1)):
            tab.keyboard.press(key)
            assert pressed(tab, group) == [first + index, True], (group, key)
    assert tab.evaluate("[cnncli.state.map, cnncli.state.block]") == [3, 1]
    tab.focus(".grid [tabindex='0']")
    label = "document.activeElement.getAttribute('aria-label')"
    for key, place in (
        ("ArrowDown", "row 1, column 0"),
        ("ArrowRight", "row 1, column 1"),
        ("ArrowUp", "row 0, column 1"),
        ("ArrowLeft", "row 0, column 0"),
        ("ArrowLeft", "row 0, column 0"),
    ):
        tab.keyboard.press(key)
        assert tab.evaluate(label) == f"Weight at {place}"
    # Inside of a text arrows move the cursor.
    tab.keyboard.type("1.5")
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate(label) == "Weight at row 0, column 0"


def test_arrows_move_over_the_channels_and_the_weights_of_large_kernels(show: Opener) -> None:
    layer = ConvLayer(from_array(np.ones((7, 7, 1, 1), np.float32)[..., 0, 0], name="ones"))
    tab = show(page_data_of(random_picture((9, 9, 3)), layer, (4, 4)))
    settle(tab)
    tab.focus("#channels [tabindex='0']")
    tab.keyboard.press("ArrowRight")
    assert pressed(tab, "#channels") == [1, True]
    tab.focus(".grid [tabindex='0']")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowLeft")
    assert pressed(tab, ".grid") == [4 * 7 + 2, True]


def test_any_of_a_thousand_maps_is_reached(show: Opener) -> None:
    layer = ConvLayer(bank((1, 1, 1, 1000)), np.zeros(1000))
    picture = random_picture((3, 4, 1))
    tab, expected = show(page_data_of(picture, layer)), forward(layer, picture.values())
    assert tab.locator("#maps button").count() == 100
    for map in (999, 0, 512):
        tab.fill("#map", str(map))
        assert shown_value(tab) == near(expected[0, 0, map])
        chosen = tab.locator("#maps [aria-pressed='true']")
        assert chosen.get_attribute("aria-label") == f"Map {map}: bank-{map:03}"
        strip, button = tab.locator("#maps").bounding_box(), chosen.bounding_box()
        assert strip["x"] <= button["x"]
        assert button["x"] + button["width"] <= strip["x"] + strip["width"]
    tab.fill("#map", "599")
    settle(tab)
    tab.focus("#maps [tabindex='0']")
    for key, map in (("ArrowRight", 600), ("ArrowLeft", 599)):
        tab.keyboard.press(key)
        assert pressed(tab, "#maps") == [map % 100, True]
        assert tab.evaluate("cnncli.state.map") == map


def test_controls_that_do_nothing_are_not_shown(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), pad_mode="zeros")
    grey = show(page_data_of(random_picture((9, 9, 1)), layer))
    assert grey.is_visible("#colormap") and grey.is_visible("#pad-value")
    grey.select_option("#pad-mode", "wrap")
    settle(grey)
    assert not grey.is_visible("#pad-value")
    grey.select_option("#padding", "valid")
    settle(grey)
    assert not grey.is_visible("#pad-mode")
    colours = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    for name in ("#colormap", "#p", "#count-include-pad"):
        assert not colours.is_visible(name), name
    colours.select_option("#mode", "lp")
    settle(colours)
    assert colours.is_visible("#p")
    colours.select_option("#mode", "average")
    colours.fill("#padding-all", "1")
    settle(colours)
    assert colours.is_visible("#count-include-pad") and not colours.is_visible("#p")
    one = show(page_data_of(random_picture((1, 1, 1)), ConvLayer(bank((1, 1, 1, 1)))))
    for name in ("#play", "#at-row", "#dilation", "#maps"):
        assert not one.is_visible(name), name


def test_the_small_pictures_of_all_maps_follow_a_weight(show: Opener) -> None:
    layer = ConvLayer(bank((5, 5, 3, 60)), activation="relu")
    tab = show(page_data_of(random_picture((60, 64, 3)), layer, (4, 4), map=50))
    pictures = (
        """[...document.querySelectorAll("#maps canvas")].map((canvas) => canvas.toDataURL())"""
    )
    until(tab, "thumbnails.waiting.length === 0")
    before = tab.evaluate(pictures)
    assert len(before) == len(set(before)) == 60
    tab.evaluate("cnncli.apply({ layer: { weights: cnncli.state.layer.weights.map((w) => -w) } })")
    settle(tab)
    until(tab, "thumbnails.waiting.length === 0")
    after = tab.evaluate(pictures)
    assert len(set(before + after)) == 120


def test_sizes_passed_on_the_way_to_another_take_no_weights(show: Opener) -> None:
    layer = ConvLayer(load_filter("gaussian_5"), np.zeros(1))
    tab = show(page_data_of(random_picture((20, 20, 1)), layer))
    first = tab.evaluate("[...cnncli.state.layer.weights]")
    rows = tab.locator("#kernel-rows")
    rows.focus()
    rows.select_text()
    # It passes through 1.
    rows.press_sequentially("11")
    weights = np.reshape(tab.evaluate("[...cnncli.state.layer.weights]"), (11, 11))
    np.testing.assert_array_equal(weights, np.pad(np.reshape(first, (5, 5)), 3))
    tab.focus("#kernel")
    for _ in range(12):
        tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("cnncli.state.layer.kernel") == [1, 1]
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    assert tab.evaluate("[...cnncli.state.layer.weights]") == first
    # A weight that is changed counts from then on.
    tab.evaluate("cnncli.apply({ layer: { weights: cnncli.state.layer.weights.map(() => 3) } })")
    tab.fill("#kernel-rows", "1")
    tab.fill("#kernel-rows", "5")
    assert tab.evaluate("[...cnncli.state.layer.weights]") == [3] * 25


def test_each_activation_has_its_own_settings(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1), activation="elu", alpha=np.array([1.0]))
    picture = random_picture((6, 7, 1))
    tab = show(page_data_of(picture, layer, (2, 3)))
    for activation, alpha in (("leaky-relu", None), ("elu", layer.alpha), ("relu", None)):
        tab.select_option("#activation", activation)
        changed = replace(layer, activation=activation, alpha=alpha)
        places = [(row, col) for row in range(6) for col in range(7)]
        assert (forward(replace(layer, activation="none", alpha=None), picture.values()) < 0).any()
        for row, col in places[::5]:
            tab.evaluate(f"cnncli.apply({{ at: [{row}, {col}] }})")
            expected = forward(changed, picture.values())[row, col, 0]
            assert shown_value(tab) == near(expected), activation
