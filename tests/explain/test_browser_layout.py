"""How the page of one layer looks: contrast, phones, paper, large pictures, padding."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnncli.core.geometry import place_window
from cnncli.explain.page.layer_data import PageData
from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    Opener,
    bank,
    page_data_of,
    photo,
    picture_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

LEAST_CONTRAST = 4.5

CONTRASTS = """(() => {
  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => rgb.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (node) => {
    for (let up = node; up; up = up.parentElement) {
      const { rgb, a } = colour(getComputedStyle(up).backgroundColor);
      if (a > 0) return rgb;
    }
    return [255, 255, 255];
  };
  const hasText = (node) => node.matches("input:not([type=range], [type=checkbox]), select") ||
    [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  return [...document.querySelectorAll("body *")]
    .filter((node) => hasText(node) && node.checkVisibility({ visibilityProperty: true }))
    .map((node) => {
      const [one, two] = [colour(getComputedStyle(node).color).rgb, ground(node)].map(luminance);
      const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
      return [contrast, node.outerHTML.slice(0, 120)];
    });
})()"""
"""The contrast of each element that has a text of its own."""

FADED = "document.getAnimations().length === 0"
"""Whether all colours have changed to their new ones."""


def pages() -> dict[str, PageData]:
    greys = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    picture = random_picture((16, 16, 1))
    ramp = picture.__class__(greys, 255.0, True, False, (), "ramp.png")
    return {
        "ramp": page_data_of(ramp, ConvLayer(bank((15, 15, 1, 1))), (8, 8)),
        "colours": page_data_of(random_picture((12, 14, 3)), ConvLayer(load_filter("gaussian_5"))),
        "bank": page_data_of(random_picture((12, 14, 6)), ConvLayer(bank((3, 3, 6, 12)))),
        "pool": page_data_of(random_picture((12, 14, 3)), PoolLayer("max")),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ramp", "colours", "bank", "pool"])
def test_all_text_stands_out(show: Opener, name: str, scheme: str) -> None:
    tab = show(pages()[name], color_scheme=scheme)
    settle(tab)
    for changes in ("{}", "{ playing: true }", "{ layer: { stride: [64, 64], padding: 'valid' } }"):
        tab.evaluate(f"cnncli.apply({changes})")
        settle(tab)
        until(tab, FADED)
        found = tab.evaluate(CONTRASTS)
        assert len(found) > 30
        assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []


def test_every_background_of_a_number_has_the_better_text(show: Opener) -> None:
    tab = show(pages()["pool"])
    worst = tab.evaluate("""(() => {
        let worst = Infinity;
        const node = document.createElement("p");
        for (let step = 0; step < 4096; step += 1) {
          const back = [step >> 8, (step >> 4) & 15, step & 15].map((level) => 17 * level);
          setBackground(node, back);
          const text = node.style.color === "rgb(0, 0, 0)" ? 0 : 1;
          const light = luminance(back);
          worst = Math.min(worst, text ? 1.05 / (light + 0.05) : (light + 0.05) / 0.05);
        }
        return worst;
    })()""")
    assert worst >= LEAST_CONTRAST


def test_a_window_that_does_not_fit_leaves_no_old_numbers(show: Opener) -> None:
    tab = show(pages()["colours"])
    tab.evaluate("cnncli.apply({ layer: { dilation: [9, 9], padding: 'valid' } })")
    settle(tab)
    assert tab.is_visible("#problem") and not tab.is_visible("#headline")


def test_forced_colours_keep_values_and_tell_what_is_pressed(show: Opener) -> None:
    tab = show(pages()["bank"], forced_colors="active")
    settle(tab)
    ground = "(node) => getComputedStyle(node).backgroundColor"
    cells = tab.locator("#blocks td").all()
    assert len({cell.evaluate(ground) for cell in cells}) > 9
    buttons = tab.locator("#maps button")
    assert buttons.nth(0).evaluate(ground) != buttons.nth(1).evaluate(ground)
    found = tab.evaluate(CONTRASTS)
    assert [pair for pair in found if pair[0] < LEAST_CONTRAST] == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kernel", [(31, 31), (1, 64), (64, 1), (64, 5), (15, 15)])
def test_large_kernels_scroll_in_their_panel(show: Opener, kernel: Any, width: int) -> None:
    layer = ConvLayer(bank((*kernel, 1, 1)))
    tab = show(
        page_data_of(random_picture((70, 70, 1)), layer), viewport={"width": width, "height": 800}
    )
    settle(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("#filter-panel").bounding_box()["height"] < 520
    inner = "(box) => [box.scrollWidth > box.clientWidth, box.scrollHeight > box.clientHeight]"
    scrolls = tab.locator(".grid-box").evaluate(inner)
    assert scrolls[0] or kernel[1] < 31
    assert scrolls[1] or kernel[0] < 31
    # The weight that was reached is in sight.
    tab.focus(".grid [tabindex='0']")
    for _ in range(40):
        tab.keyboard.press("ArrowDown")
    settle(tab)
    box = tab.locator(".grid-box").bounding_box()
    reached = tab.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert box["y"] <= reached["top"] and reached["bottom"] <= box["y"] + box["height"]


COVERED = """() => [...document.querySelectorAll("button, select, input, [tabindex]")]
    .filter((node) => node.checkVisibility() && node.id !== "output")
    .filter((node) => {
      node.scrollIntoView({ block: "center" });
      const { left, right, top, bottom } = node.getBoundingClientRect();
      const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      return document.getElementById("output-box").contains(found);
    })
    .map((node) => node.outerHTML)"""
"""Controls that lie below the output wherever the page is scrolled to."""


@pytest.mark.parametrize("height", [740, 430])
def test_on_a_phone_the_output_stays_while_a_weight_is_changed(show: Opener, height: int) -> None:
    picture, layer = photo()
    size = {"width": 360, "height": height}
    tab = show(page_data_of(picture, layer), viewport=size, is_mobile=True, has_touch=True)
    settle(tab)
    # On the whole page, wherever it is scrolled to.
    places = "(names) => names.map((name) => byId(name).getBoundingClientRect().top + scrollY)"
    names = ["filter-panel", "formula", "settings-title"]
    before = tab.evaluate(places, names)
    for name in (".grid tr:nth-child(3) input >> nth=1", "#bias", "#stride"):
        tab.locator(name).tap()
        settle(tab)
        output, field = (tab.locator(one).bounding_box() for one in ("#output", name))
        assert output["y"] >= 0 and output["y"] + output["height"] <= height
        strip = tab.locator("#output-box").bounding_box()
        assert field["y"] >= 0 and field["y"] + field["height"] <= strip["y"]
        assert tab.evaluate(places, names) == before
    assert tab.evaluate(COVERED) == []
    tab.locator("#headline").tap()
    tab.evaluate("document.activeElement.blur()")
    settle(tab)
    assert tab.evaluate("getComputedStyle(byId('output-box')).position") == "static"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["colours", "bank", "pool"])
def test_a_page_prints_as_a_worksheet(show: Opener, name: str, scheme: str) -> None:
    tab = show(pages()[name], color_scheme=scheme)
    settle(tab)
    tab.emulate_media(media="print")
    for hidden in ("#settings", "#filter-panel", "#maps-panel", "#play", "#theme", "#channels"):
        assert not tab.is_visible(hidden), hidden
    for seen in ("#title", "#headline", "#sentence", "#blocks", "#result", "#formula", "#input"):
        assert tab.is_visible(seen), seen
    boxes = [tab.locator(one).bounding_box() for one in ("#input-box", "#output-box")]
    assert boxes[0]["height"] == boxes[1]["height"]
    # Bars are lines, for backgrounds are left out on paper.
    line = "(bar) => [getComputedStyle(bar).borderBottomWidth, bar.clientWidth > 0]"
    bars = [bar.evaluate(line) for bar in tab.locator("#blocks .amount").all()]
    assert bars == (6 if name == "bank" else 0) * [["3px", True]]
    colours = tab.evaluate("""[...document.querySelectorAll("body, main *:not(canvas)")]
        .filter((node) => node.checkVisibility())
        .map((node) => getComputedStyle(node))
        .map((style) => [style.color, style.backgroundColor].join())""")
    black = "rgb(0, 0, 0)"
    assert set(colours) <= {f"{black},rgb(255, 255, 255)", f"{black},rgba(0, 0, 0, 0)"}
    paper = tab.pdf(format="A4")
    # Three channels of 25 cells each take a second sheet.
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == (2 if name == "colours" else 1)


def test_a_large_photograph_has_an_overview(show: Opener) -> None:
    picture = random_picture((700, 1400, 1))
    tab = show(page_data_of(picture, ConvLayer(load_filter("edge")), (350, 900)))
    settle(tab)
    assert tab.is_visible("#overview")
    box = tab.locator("#overview").bounding_box()
    assert (box["width"], box["height"]) == (160, 80)
    small = show(page_data_of(random_picture((20, 30, 1)), ConvLayer(load_filter("edge"))))
    assert not small.is_visible("#overview")


@pytest.mark.parametrize("padding", ["same", "same-lower"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_padding_of_same_is_explained(show: Opener, padding: Any, stride: int) -> None:
    picture = random_picture((10, 13, 1))
    layer = ConvLayer(load_filter("edge"), np.zeros(1), padding=padding, stride=stride)
    tab = show(page_data_of(picture, layer))
    settle(tab)
    texts = tab.locator("#formula .same").all_text_contents()
    window = place_window((10, 13), (3, 3), (stride, stride), padding, (1, 1))
    (top, bottom), (left, right) = window.pads
    ends = [(top, "above", bottom, "below"), (left, "on the left", right, "on the right")]
    for text, (first, before, last, after), axis in zip(
        texts, ends, (window.rows, window.cols), strict=True
    ):
        assert f"= {axis.out} come out" in text
        if not first + last:
            assert text.endswith("no more than the input has: no padding.")
            continue
        assert f"{first} of padding {before} and {last} {after}" in text
        assert f"{first + last} more than the input has" in text
        odd = f"{padding} puts an odd one at the {'end' if padding == 'same' else 'beginning'}"
        assert (odd in text) == (first != last)
    tab.evaluate("cnncli.apply({ layer: { padding: [1, 1, 1, 1] } })")
    settle(tab)
    assert tab.locator("#formula .same").count() == 0


@pytest.mark.parametrize("width", [1000, 1300, 1440])
def test_long_numbers_move_no_close_up_below_the_others(show: Opener, width: int) -> None:
    values = np.full((1, 9, 9, 1), -0.00044567, np.float32)
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    view = {"width": width, "height": 900}
    tab = show(page_data_of(picture_of(values), layer, (4, 4)), viewport=view)
    settle(tab)
    names = ("#input-closeup", "#output-closeup")
    tops = [box["y"] for name in names if (box := tab.locator(name).bounding_box())]
    assert len(tops) == (1 if width == 1300 else 2)
    assert tops == pytest.approx([tops[0]] * len(tops), abs=2)


def test_shapes_of_kernels_and_small_maps_are_true(show: Opener) -> None:
    picture = random_picture((90, 150, 1))
    tab = show(page_data_of(picture, ConvLayer(bank((9, 7, 1, 2)))))
    until(tab, "thumbnails.waiting.length === 0")
    weight = tab.locator(".grid button").first.bounding_box()
    assert weight["width"] == pytest.approx(weight["height"], abs=0.5)
    rows, cols = tab.evaluate("[shown.outRows.length, shown.outCols.length]")
    small = tab.locator(".thumb canvas").first.bounding_box()
    assert small["width"] / small["height"] == pytest.approx(cols / rows, rel=0.05)
