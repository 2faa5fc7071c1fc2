"""The pages of explain in a real browser, used by mouse, keys and finger, light and dark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import PageData, Unit, layer_page_data
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network, Node
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.network.load import load_model
from tests.support.browser import (
    REPOSITORY,
    TOLERANCE,
    Opener,
    bank,
    forward,
    hover,
    near,
    page_data_of,
    photo,
    random_picture,
    settle,
    shown_value,
    until,
)

pytestmark = pytest.mark.oracle


def test_the_mouse_moves_the_window_and_a_click_holds_it(show: Opener) -> None:
    picture, layer = random_picture((10, 12, 3)), ConvLayer(load_filter("edge"), np.zeros(1))
    tab, expected = show(page_data_of(picture, layer)), forward(layer, picture.values())
    for row, col in ((0, 0), (4, 7), (9, 11)):
        hover(tab, row, col)
        assert shown_value(tab) == near(expected[row, col, 0])
        assert f"row {row}, column {col}, red" in tab.text_content("#headline")
    tab.mouse.click(*hover(tab, 3, 5))
    hover(tab, 8, 8)
    assert shown_value(tab) == near(expected[3, 5, 0])
    assert tab.get_attribute("#pin", "aria-pressed") == "true"
    tab.click("#pin")
    hover(tab, 8, 8)
    assert shown_value(tab) == near(expected[8, 8, 0])
    tab.click("#channels button:nth-child(3)")
    assert shown_value(tab) == near(expected[8, 8, 2])


def test_keys_move_the_window_and_it_is_said(show: Opener) -> None:
    picture, layer = random_picture((14, 16, 1)), ConvLayer(load_filter("box"), np.zeros(1))
    tab, expected = show(page_data_of(picture, layer, (2, 2))), forward(layer, picture.values())
    tab.focus("#output")
    moves = {"ArrowDown": (3, 2), "ArrowRight": (3, 3), "Shift+ArrowRight": (3, 13), "End": (3, 15)}
    moves |= {"ArrowUp": (2, 15), "Home": (2, 0), "ArrowLeft": (2, 0), "PageDown": (12, 0)}
    for key, (row, col) in moves.items():
        tab.keyboard.press(key)
        assert shown_value(tab) == near(expected[row, col, 0]), key
    said = "document.getElementById('live').textContent.startsWith('Output at row 12, column 0')"
    until(tab, said)
    # What keys moved stays, Enter or not, until it is released.
    for key in ("ArrowUp", "Enter", "Enter"):
        tab.keyboard.press(key)
        hover(tab, 3, 3)
        assert shown_value(tab) == near(expected[11, 0, 0]), key
    tab.keyboard.press("Escape")
    hover(tab, 4, 4)
    assert shown_value(tab) == near(expected[4, 4, 0])
    tab.fill("#at-row", "7")
    assert shown_value(tab) == near(expected[7, 4, 0])


def test_a_finger_moves_the_window(show: Opener) -> None:
    picture, layer = random_picture((10, 12, 1)), ConvLayer(load_filter("box"), np.zeros(1))
    tab = show(page_data_of(picture, layer), has_touch=True, viewport={"width": 360, "height": 740})
    x, y = hover(tab, 6, 4)
    tab.touchscreen.tap(x, y)
    assert shown_value(tab) == near(forward(layer, picture.values())[6, 4, 0])


TIMERS = """
  const timers = new Map();
  let count = 0;
  window.setTimeout = (run, pause) => timers.set((count += 1), { run, pause }) && count;
  window.clearTimeout = (timer) => timers.delete(timer);
  window.pauses = () => [...timers.values()].map(({ pause }) => pause);
  window.tick = () => {
    const all = [...timers.values()];
    timers.clear();
    for (const { run } of all) run();
  };
"""
"""Time stands still until `tick`, which ends all pauses."""


def test_play_slides_and_stops(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    data = page_data_of(random_picture((4, 4, 1)), layer, (0, 3))
    tab = show(data, init_script=TIMERS)
    tab.click("#play")
    for place in ([1, 0], [1, 1]):
        tab.evaluate("tick()")
        assert tab.evaluate("cnncli.state.at") == place
    tab.click("#play")
    assert tab.evaluate("cnncli.state.playing") is False
    tab.evaluate("tick()")
    assert tab.evaluate("cnncli.state.at") == [1, 1]


def test_play_fills_the_output_at_the_speed_that_was_chosen(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    data = page_data_of(random_picture((4, 4, 1)), layer, (1, 1))
    tab = show(data, init_script=TIMERS)
    tab.select_option("#speed", "1")
    tab.click("#play")
    settle(tab)
    filled = """[[0, 0], [1, 1], [1, 2], [1, 3]].map(([row, col]) => {
        const canvas = document.getElementById("output"), cell = canvas.width / 4;
        const one = new OffscreenCanvas(1, 1).getContext("2d");
        one.drawImage(canvas, (col + 0.5) * cell, (row + 0.5) * cell, 1, 1, 0, 0, 1, 1);
        return one.getImageData(0, 0, 1, 1).data[3] > 0;
    })"""
    assert tab.evaluate(filled) == [True, True, False, False]
    assert 1000 in tab.evaluate("pauses()")
    tab.click("#next")
    settle(tab)
    assert tab.evaluate("cnncli.state.playing") is False
    # A single step goes on filling, until another output is chosen or Escape is pressed.
    assert tab.evaluate(filled) == [True, True, True, False]
    tab.keyboard.press("Escape")
    settle(tab)
    assert tab.evaluate(filled) == [True] * 4
    # A new speed holds at once.
    tab.click("#play")
    tab.select_option("#speed", "50")
    pauses = tab.evaluate("pauses()")
    assert 20 in pauses and 1000 not in pauses
    tab.evaluate("tick()")
    assert tab.evaluate("cnncli.state.at") == [1, 3]


def test_escape_ends_play_and_hold(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 1)), layer))
    tab.click("#play")
    assert tab.evaluate("[cnncli.state.playing, cnncli.state.pinned]") == [True, True]
    tab.keyboard.press("Escape")
    assert tab.evaluate("[cnncli.state.playing, cnncli.state.pinned]") == [False, False]
    hover(tab, 2, 3)
    assert tab.evaluate("cnncli.state.at") == [2, 3]


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "dilation": 2}, {"padding": "valid"}])
def test_a_click_on_the_input_picks_the_output_there(show: Opener, settings: Any) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1), **settings)
    tab = show(page_data_of(random_picture((12, 16, 1)), layer))
    top, bottom, left, right = tab.evaluate("inputRegion()")
    box = tab.locator("#input").bounding_box()
    window = layer.window((1, 12, 16, 1))
    for row, col in ((0, 0), (5, 7), (11, 15)):
        x = box["x"] + (col - left + 0.5) * box["width"] / (right - left)
        y = box["y"] + (row - top + 0.5) * box["height"] / (bottom - top)
        tab.mouse.click(x, y)
        for axis, cell, at in zip(
            (window.rows, window.cols), (row, col), tab.evaluate("cnncli.state.at"), strict=True
        ):
            middles = [axis.middle(output) for output in range(axis.out)]
            assert abs(middles[at] - cell) == min(abs(middle - cell) for middle in middles)


def test_who_wants_less_motion_gets_single_steps(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    data = page_data_of(random_picture((4, 4, 1)), layer, (3, 3))
    tab = show(data, reduced_motion="reduce")
    assert not tab.is_visible("#play") and not tab.is_visible("#speed")
    tab.click("#next")
    assert tab.evaluate("[cnncli.state.at.join(), cnncli.state.playing]") == ["0,0", False]
    # They fill the output as play does.
    assert tab.evaluate("cnncli.state.filling") is True
    tab.keyboard.press("Escape")
    assert tab.evaluate("cnncli.state.filling") is False


def net() -> tuple[Any, Picture, PageData]:
    model = load_model(REPOSITORY / "examples" / "digits.toml")
    digit = REPOSITORY / "examples" / "digits" / "7.png"
    picture = read_image(digit, ReadOptions(gray=True, size=model.input.size))
    data = network_page_data(model.network, picture, "pool2", Unit((1, 0), 5), title="digits.toml")
    return model.network, picture, data


def test_a_click_on_a_unit_lights_its_receptive_field(show: Opener) -> None:
    network, picture, data = net()
    tab = show(data)
    shape = picture.shape
    for name in ("pool2", "conv2", "conv1"):
        canvas = tab.locator(f"li:has(h2:text-is('{name}')) .large")
        _, height, width, _ = network.shapes(shape)[name]
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        row, col = height - 1, 0
        canvas.click(position={"x": 3, "y": box["height"] * (row + 0.5) / height})
        expected = network.reads(shape, name, (slice(row, row + 1), slice(col, col + 1)))
        read = {
            layer: (slice(box[0], box[2]), slice(box[1], box[3]))
            for layer, box in tab.evaluate("cnncli.field()").items()
        }
        assert read == expected
        rows, cols = expected["input"]
        settle(tab)
        lit = tab.text_content("li:has(h2:text-is('input')) .lit-text")
        assert lit == f"in the receptive field: {stretch('row', rows)}, {stretch('column', cols)}"


def test_a_page_opens_with_maps_that_feed_the_unit(show: Opener) -> None:
    model = load_model(REPOSITORY / "examples" / "edges.toml")
    picture = random_picture((24, 30, 1))
    data = network_page_data(model.network, picture, "pooled", Unit((4, 5), 3), title="edges.toml")
    tab = show(data)
    maps = tab.evaluate("cnncli.state.maps")
    assert (maps["pooled"], maps["edges"], maps["smooth"]) == (3, 3, 0)
    assert tab.evaluate("cnncli.channels()") == {
        **{"pooled": [3, 4], "edges": [3, 4], "smooth": [0, 1], "input": [0, 1]}
    }
    outlined = """[...document.querySelectorAll("li.card")]
        .filter((card) => card.querySelector("h2").textContent === "edges")
        .flatMap((card) => [...card.querySelectorAll(".thumb")])
        .sort((one, other) => one.dataset.map - other.dataset.map)
        .map((thumb) => thumb.querySelector("canvas").toDataURL())"""
    tab.locator("li:has(h2:text-is('edges'))").scroll_into_view_if_needed()
    settle(tab)
    before = tab.evaluate(outlined)
    tab.evaluate("cnncli.apply({ unit: { layer: 'pooled', map: 6, at: [4, 5] } })")
    settle(tab)
    after = tab.evaluate(outlined)
    assert [k for k in range(8) if before[k] != after[k]] == [3, 6]
    assert tab.evaluate("cnncli.state.maps.edges") == 6
    tab.evaluate("cnncli.apply({ maps: { edges: 1 } })")
    lit = tab.text_content("li:has(h2:text-is('edges')) .lit-text")
    assert lit == "the unit does not depend on this map"


def test_a_page_opens_with_the_strongest_maps(show: Opener) -> None:
    network, picture, data = net()
    tab = show(data)
    maps = tab.evaluate("cnncli.state.maps")
    values = {"input": picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(values[node.inputs[0]])[0]
    # The unit is on map 5 of a pool, which reads map 5 of conv3 alone, and that all before it:
    # there the maps of the trail are shown; layers behind the unit begin with their strongest.
    assert maps["conv3"] == 5
    on_trail = {unit["layer"]: unit["channel"] for unit in tab.evaluate("cnncli.trail()")}
    for name in ("conv1", "conv2", "pool1"):
        assert maps[name] == on_trail[name]
        assert np.abs(values[name][..., maps[name]]).max() > 0
    assert maps["digit"] == values["digit"].ravel().argmax()


def stretch(what: str, side: slice) -> str:
    one = side.stop - side.start == 1
    return f"{what} {side.start}" if one else f"{what}s {side.start} to {side.stop - 1}"


def test_values_of_units_are_those_of_the_network(show: Opener) -> None:
    network, picture, data = net()
    tab = show(data)
    values = {"input": picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(values[node.inputs[0]])[0]
    assert tab.text_content("#headline").startswith("pool2, map 5, row 1, column 0: ")
    for name, Y in values.items():
        _, n_H, n_W, n_C = Y.shape
        read = tab.evaluate(
            """([name, h, w, c]) => Array.from({ length: h * w * c }, (_, k) => cnncli.value(
                name, k % c, Math.floor(k / c / w), Math.floor(k / c) % w).value)""",
            [name, n_H, n_W, n_C],
        )
        np.testing.assert_allclose(read, Y.ravel(), rtol=TOLERANCE, atol=TOLERANCE)
    tab.click("[data-layer='probability'] .toggle")
    tab.click("[aria-label='Maps of probability'] [data-map='7']")
    settle(tab)
    assert "probability, map 7" in tab.text_content("#headline")


def test_keys_move_the_unit_of_a_network(show: Opener) -> None:
    tab = show(net()[2])
    row, col = tab.evaluate("cnncli.trail().find(({ layer }) => layer === 'conv2').at")
    tab.focus("li:has(h2:text-is('conv2')) .large")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("[cnncli.state.unit.layer, ...cnncli.state.unit.at]") == ["conv2", row, col]
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("cnncli.state.unit.at") == [row - 1, col + 1]


def test_the_maps_of_each_layer_are_one_tab_stop(show: Opener) -> None:
    tab = show(net()[2])
    settle(tab)
    strips = tab.locator(".strip").all()
    assert len(strips) > 4
    for strip in strips:
        shown = strip.locator("button:not([hidden])").count()
        assert strip.locator("button[tabindex='0']:not([hidden])").count() == 1
        assert strip.locator("button[tabindex='-1']:not([hidden])").count() == shown - 1
    tab.focus("li:has(h2:text-is('conv1')) .strip [tabindex='0']")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        tab.keyboard.press(key)
        settle(tab)
        chosen = tab.evaluate("Number(document.activeElement.dataset.map)")
        assert chosen == tab.evaluate("cnncli.state.maps.conv1")


def test_hostile_names_run_nothing(show: Opener) -> None:
    hostile = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=2'>"
    made = bank((1, 1, 1, 2))
    made = replace(made, name=hostile, map_names=(hostile, hostile + "2"))
    data = layer_page_data(random_picture((4, 4, 1)), ConvLayer(made), Unit((0, 0)), title=hostile)
    tab = show(data)
    assert tab.evaluate("window.pwned") is None
    assert tab.text_content("h1") == hostile
    assert tab.title().startswith(hostile)


NAMELESS = """[...document.querySelectorAll("button, input, select, canvas, [tabindex]")]
  .filter((e) => !e.closest("[hidden]") && e.getAttribute("aria-hidden") !== "true")
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length ||
    document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim()))
  .map((e) => e.outerHTML)"""


@pytest.mark.parametrize("kind", ["conv", "pool", "bank", "network"])
def test_every_control_has_a_name_and_fits_a_telephone(show: Opener, kind: str) -> None:
    layers = {
        "conv": ConvLayer(load_filter("edge")),
        "pool": PoolLayer(),
        "bank": ConvLayer(load_filter("gabor_color"), stride=4),
    }
    data = (
        net()[2] if kind == "network" else page_data_of(random_picture((40, 48, 3)), layers[kind])
    )
    tab = show(data, viewport={"width": 360, "height": 740}, is_mobile=True)
    settle(tab)
    assert tab.evaluate(NAMELESS) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_changed(show: Opener, scheme: str) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (114, 172)), color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(243, 244, 246)", "rgb(18, 22, 27)"
    first, second = (light, dark) if scheme == "light" else (dark, light)
    assert tab.evaluate(ground) == first
    before = tab.screenshot()
    tab.click("#theme")
    settle(tab)
    assert tab.evaluate(ground) == second
    assert tab.screenshot() != before


@pytest.mark.parametrize("name", ["edge", "gaussian_5"])
def test_the_cells_of_a_filter_have_room_for_their_numbers(show: Opener, name: str) -> None:
    rng = np.random.default_rng(3)
    filter = load_filter(name)
    weights = (filter.weights * rng.normal(size=filter.weights.shape)).astype(np.float32)
    layer = ConvLayer(replace(filter, weights=weights), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 1)), layer))
    cells = tab.locator(".grid input").all()
    assert len(cells) == weights.size
    for cell, weight in zip(cells, weights.ravel(), strict=True):
        assert cell.evaluate("(cell) => cell.scrollWidth <= cell.clientWidth")
        step = 10.0 ** np.floor(np.log10(abs(weight)) - 1) if weight else 0.0
        assert abs(float(cell.input_value()) - weight) <= max(step, 6e-4)
    cells[0].focus()
    assert float(cells[0].input_value()) == pytest.approx(float(weights.ravel()[0]), rel=1e-6)


def test_the_title_names_the_filter_that_was_chosen(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    unit = Unit((2, 2))
    tab = show(layer_page_data(random_picture((9, 9, 1)), layer, unit, title="a.png, edge"))
    for choose, title in (
        (lambda: tab.select_option("#preset", "sharpen"), "a.png, sharpen"),
        (lambda: tab.fill(".grid input >> nth=0", "3"), "a.png, edge, changed"),
        (lambda: tab.click("#reset"), "a.png, edge"),
    ):
        choose()
        settle(tab)
        assert (tab.text_content("#title"), tab.title()) == (title, f"{title} – cnncli")


@pytest.mark.parametrize("width", [1280, 360])
def test_channels_stay_where_they_are(show: Opener, width: int) -> None:
    picture, layer = random_picture((120, 20, 3)), ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(picture, layer), viewport={"width": width, "height": 900})
    lefts = []
    for bias, at, channel in ((0, [0, 0], 0), (-0.123456, [118, 17], 1), (1e-3, [9, 12], 2)):
        change = {"at": at, "channel": channel, "layer": {"bias": [bias]}}
        tab.evaluate("(change) => cnncli.apply(change)", change)
        settle(tab)
        lefts.append([one.bounding_box()["x"] for one in tab.locator("#channels button").all()])
    assert lefts[1:] == lefts[:-1]


def test_nothing_jumps_and_nothing_falls_below(show: Opener) -> None:
    layer = ConvLayer(bank((3, 3, 4, 4)), np.zeros(4))
    tab = show(page_data_of(random_picture((20, 30, 4)), layer))
    tops = [tab.locator(one).bounding_box()["y"] for one in ("#input-closeup", "#output-closeup")]
    assert tops[0] == pytest.approx(tops[1], abs=2)
    before = [tab.locator(one).bounding_box() for one in ("#pin", "#play")]
    tab.click("#play")
    until(tab, "document.getElementById('play').textContent.includes('Stop')")
    assert [tab.locator(one).bounding_box() for one in ("#pin", "#play")] == before


def test_a_receptive_field_larger_than_the_input_is_said(show: Opener) -> None:
    layer = ConvLayer(load_filter("gaussian_5"), np.zeros(1), padding="same")
    network, picture = Network.chain(layer, layer), random_picture((7, 7, 1))
    tab = show(network_page_data(network, picture, "conv2", Unit((3, 3)), title="net"))
    first, second = (tab.locator(".card").nth(k).text_content() for k in (1, 2))
    assert "each unit sees 5 × 5 pixels of the input" in first
    assert "each unit sees 9 × 9 pixels: the whole input and padding" in second


LONG = "feature_extractor_feature_extractor.{}_conv_depthwise_Conv{}"
NAMES = [
    *(LONG.format(k, "") for k in (0, 1)),
    *(LONG.format(k, "_of_a_model_that_was_exported") for k in (0, 1)),
    "W" * 200,
]


@pytest.mark.parametrize("width", [360, 500, 800, 861, 1280])
def test_long_names_of_layers_overlap_nothing(show: Opener, width: int) -> None:
    conv = ConvLayer(bank((3, 3, 1, 1)), padding="same")
    pairs = zip(NAMES, ["input", *NAMES], strict=False)
    network = Network(tuple(Node(name, conv, (source,)) for name, source in pairs))
    picture = random_picture((20, 24, 1))
    data = network_page_data(network, picture, NAMES[-1], Unit((3, 3)), title="net")
    tab = show(data, viewport={"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for name in tab.locator(".name").all():
        words, outer = name.bounding_box(), name.locator("xpath=..").bounding_box()
        assert words["x"] + words["width"] <= outer["x"] + outer["width"] + 1
    for card in tab.locator(".card").all():
        about = card.locator(".about").bounding_box()
        figure = card.locator("figure").bounding_box()
        beside = about["x"] + about["width"] <= figure["x"]
        assert beside or about["y"] + about["height"] <= figure["y"]
    headings = tab.locator("li h2")
    assert headings.nth(1).get_attribute("title") == NAMES[0]
    shown = headings.all_text_contents()
    assert shown[0] == "input" and len(set(shown)) == 6
    # Two that are alike but for their middle are told whole.
    assert [len(text) <= 36 for text in shown] == [True, True, True, False, False, True]
