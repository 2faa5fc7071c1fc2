"""What learners stumbled over on the pages: cells that are no numbers, lists, messages, sizes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.core.geometry import place_window
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.render.grey_levels import Mapping, paint_levels
from tests.support.browser import (
    Opener,
    bank,
    page_data_of,
    picture_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

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
    paint_levels(np.array([value]), Mapping("minmax", 0.0, 1.0), "8", level)
    sheet = {0: "black", 255: "white"}[int(level[0])]
    told = f"{what}: drawn in magenta, and as {sheet} on sheets of cnncli"
    assert tab.text_content(".drawn") == told
    assert tab.locator(".swatch").evaluate(GROUND) == MAGENTA
    assert tab.locator("#blocks td").evaluate(GROUND) == MAGENTA
    assert "1 value is NaN or infinite" in tab.text_content("#input-note")
    tab.evaluate("cnncli.apply({ at: [0, 0] })")
    settle(tab)
    assert tab.text_content(".drawn") == "drawn as level 0 of 255"


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


IN_SIGHT = """([list, item]) => {
  const boxOf = (name) => document.querySelector(name).getBoundingClientRect();
  const [outer, inner] = [list, item].map(boxOf);
  return inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1
    && inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
}"""


@pytest.mark.parametrize(
    ("list_", "shape", "changes"),
    [("#maps", (3, 3, 1, 60), "{ map: 55 }"), ("#blocks .sums", (3, 3, 90, 1), "{ block: 85 }")],
)
def test_the_chosen_one_of_many_is_scrolled_into_sight(
    show: Opener, list_: str, shape: Any, changes: str
) -> None:
    tab = show(page_data_of(random_picture((7, 7, shape[2])), ConvLayer(bank(shape)), (3, 3)))
    settle(tab)
    chosen = f"{list_} [aria-pressed=true]"
    assert tab.evaluate(IN_SIGHT, [list_, chosen])
    before = tab.evaluate("scrollY")
    tab.evaluate(f"cnncli.apply({changes})")
    settle(tab)
    assert tab.evaluate(IN_SIGHT, [list_, chosen])
    assert tab.evaluate("scrollY") == before
    # Who scrolls on stays there while something else changes.
    tab.evaluate(f"document.querySelector('{list_}').scrollTo(0, 0)")
    settle(tab)
    tab.evaluate("cnncli.apply({ layer: { bias: Float64Array.of(1) } })")
    settle(tab)
    assert not tab.evaluate(IN_SIGHT, [list_, chosen])


def test_the_chosen_map_of_a_network_is_scrolled_into_its_strip(show: Opener) -> None:
    network = Network.chain(ConvLayer(bank((3, 3, 1, 60))))
    data = network_page_data(network, random_picture((9, 9, 1)), "conv1", Unit((3, 3)), title="n")
    tab = show(data)
    settle(tab)
    strip = "[data-layer=conv1] .strip"
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv1', map: 58, at: [3, 3] } })")
    settle(tab)
    assert tab.evaluate("document.querySelector('[data-layer=conv1] .strip').scrollTop") > 0
    assert tab.evaluate(IN_SIGHT, [strip, f"{strip} [aria-pressed=true]"])


@pytest.mark.parametrize(("largest", "width"), [(0.0012345, 360), (1.2345e-5, 1280)])
def test_numbers_at_the_ends_of_bars_do_not_touch(show: Opener, largest: float, width: int) -> None:
    values = largest * np.linspace(-1, 1, 48).reshape(1, 6, 4, 2)
    values[..., 0] = -largest
    network = Network.chain(PoolLayer(size=1), PoolLayer(size=(6, 4)))
    data = network_page_data(network, picture_of(values), "pool2", Unit((0, 0)), title="net")
    tab = show(data, viewport={"width": width, "height": 900})
    settle(tab)
    groups = tab.locator(".end-numbers").all()
    assert len(groups) > 2
    for group in groups:
        boxes = [span.bounding_box() for span in group.locator("span").all()]
        seen = [box for box in boxes if box]
        assert len(seen) >= 2
        for one, other in zip(seen, seen[1:], strict=False):
            assert one["x"] + one["width"] + 4 <= other["x"]


DROP = """([name, type, data]) => {
  const files = new DataTransfer();
  files.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type }));
  const init = { dataTransfer: files, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("drop", init));
}"""


def test_what_was_said_of_a_file_goes_with_the_next_input(show: Opener, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    Image.new("RGB", (6, 8), (9, 90, 200)).save(path)
    tab = show(page_data_of(random_picture((9, 9, 3)), ConvLayer(load_filter("edge"))))
    text = ["note.txt", "text/plain", "aGVsbG8="]
    picture = ["mine.png", "image/png", base64.b64encode(path.read_bytes()).decode()]
    good = "cnncli.state.input.own !== undefined"
    for change in (
        lambda: (tab.evaluate(DROP, picture), until(tab, good)),
        lambda: tab.click("#reset"),
        lambda: tab.evaluate(
            "cnncli.apply({ input: changedInput(firstInput, firstInput.planes) })"
        ),
    ):
        tab.evaluate(DROP, text)
        until(tab, "document.getElementById('own-problem').textContent.includes('note.txt')")
        change()
        settle(tab)
        assert tab.text_content("#own-problem") == ""


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_sides_of_a_photo_are_those_that_are_seen(
    show: Opener, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (900, 600), (9, 90, 200)).save(path, exif=exif)
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    tab.set_input_files("#own-file", path)
    until(tab, "cnncli.state.input.own !== undefined")
    settle(tab)
    full, made = ("600 rows × 900 columns", "418 rows × 627 columns")
    if orientation == 6:
        full, made = ("900 rows × 600 columns", "627 rows × 418 columns")
    assert tab.text_content("#own-note") == f"turned.jpg: {full}, made {made} here."


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


@pytest.mark.parametrize("width", [1200, 1280])
def test_long_numbers_move_no_close_up_below_the_others(show: Opener, width: int) -> None:
    values = np.full((1, 9, 9, 1), -0.00044567, np.float32)
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    view = {"width": width, "height": 900}
    tab = show(page_data_of(picture_of(values), layer, (4, 4)), viewport=view)
    settle(tab)
    names = ("#input-closeup", "#output-closeup")
    tops = [box["y"] for name in names if (box := tab.locator(name).bounding_box())]
    assert len(tops) == (2 if width == 1280 else 1)
    assert tops == pytest.approx([tops[0]] * len(tops), abs=2)
