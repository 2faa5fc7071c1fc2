"""A user's own picture on the page of one layer: file, drop, paste, pad and single pixels."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, PoolLayer
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

RNG = np.random.default_rng(15)
OUTPUT = "cnncli.shown().picture.channels.map((channel) => [...cnncli.values(channel)])"
PLANES = "cnncli.state.input.planes.map((plane) => [...plane])"


def photo_file(folder: Path, size: tuple[int, int] = (14, 11), **save: Any) -> Path:
    """A small colour picture as a file."""
    path = folder / f"mine.{save.pop('suffix', 'png')}"
    Image.fromarray(RNG.integers(0, 256, (*size, 3)).astype(np.uint8)).save(path, **save)
    return path


def opened(tab: Any, path: Path) -> None:
    tab.set_input_files("#own-file", path)
    until(tab, f"cnncli.state.input.own?.name === '{path.name}'")
    settle(tab)


def check(tab: Any, layer: Any, X: np.ndarray[Any, Any]) -> None:
    """The page's input is these values, and its output what the core makes of them."""
    planes = np.array(tab.evaluate(PLANES)).reshape(-1, *X.shape[1:3]).transpose(1, 2, 0)
    np.testing.assert_array_equal(planes, X[0])
    expected = forward(layer, X)
    found = np.array(tab.evaluate(OUTPUT))
    shown = expected[..., : len(found)].transpose(2, 0, 1).reshape(found.shape)
    np.testing.assert_allclose(found, shown, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gray", [False, True])
def test_a_file_is_read_as_cnncli_reads_it(show: Opener, tmp_path: Path, gray: bool) -> None:
    layer = ConvLayer(load_filter("sharpen"), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 1 if gray else 3)), layer, (8, 8)))
    path = photo_file(tmp_path)
    opened(tab, path)
    check(tab, layer, read_image(path, ReadOptions(gray=gray)).values())
    grey = "; made grey" if gray else ""
    assert tab.text_content("#own-note") == f"mine.png: 14 rows × 11 columns{grey}."
    assert tab.text_content("#input-size") == f"14 × 11 × {1 if gray else 3}"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_turned_upright(show: Opener, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photo_file(tmp_path, (16, 24), suffix="jpg", exif=exif, quality=95, subsampling=0)
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    opened(tab, path)
    expected = read_image(path, ReadOptions()).values()[0]
    found = np.array(tab.evaluate(PLANES)).reshape(3, *expected.shape[:2]).transpose(1, 2, 0)
    # Decoders of JPEG round differently.
    np.testing.assert_allclose(found, expected, atol=4 / 255)


def test_a_large_picture_is_made_smaller_and_the_page_says_to_what(
    show: Opener, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(RNG.integers(0, 256, (600, 900, 3)).astype(np.uint8)).save(path)
    layer = PoolLayer("average", 2)
    tab = show(page_data_of(random_picture((9, 9, 3)), layer))
    opened(tab, path)
    made = "made 418 rows × 627 columns here."
    assert tab.text_content("#own-note") == f"large.png: 600 rows × 900 columns, {made}"
    X = read_image(path, ReadOptions(size=(418, 627))).values()
    # Some rows; all of them are many numbers.
    some = f"cnncli.state.input.planes.map((plane) => [...plane.slice({-20 * 627})])"
    found = np.array(tab.evaluate(some)).reshape(3, 20, 627).transpose(1, 2, 0)
    np.testing.assert_allclose(found, X[0, -20:], atol=1.001 / 255)


def test_transparent_parts_are_white(show: Opener, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (5, 6, 4)).astype(np.uint8)
    pixels[:, :3, 3], pixels[:, 3:, 3] = 0, 255
    path = tmp_path / "clear.png"
    Image.fromarray(pixels).save(path)
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    opened(tab, path)
    found = np.array(tab.evaluate(PLANES)).reshape(3, 5, 6).transpose(1, 2, 0)
    assert (found[:, :3] == 1).all()
    np.testing.assert_array_equal(found[:, 3:], np.float32(pixels[:, 3:, :3] / 255))
    assert "its transparent parts are white" in tab.text_content("#own-note")


TRANSFER = """({ kind, data }) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  if (data) transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
  else transfer.setData("text/uri-list", "https://example.com/cat.png");
  const options = { bubbles: true, cancelable: true };
  if (kind === "paste") {
    const given = { ...options, clipboardData: transfer };
    document.body.dispatchEvent(new ClipboardEvent("paste", given));
    return;
  }
  for (const type of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: transfer }));
  }
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(show: Opener, tmp_path: Path, kind: str) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 3)), layer))
    path = photo_file(tmp_path)
    data = base64.b64encode(path.read_bytes()).decode()
    tab.evaluate(TRANSFER, {"kind": kind, "data": data})
    name = {"drop": "given.png", "paste": "pasted picture"}[kind]
    until(tab, f"cnncli.state.input.own?.name === '{name}'")
    check(tab, layer, read_image(path, ReadOptions()).values())


def test_what_is_no_picture_changes_nothing_and_is_said(show: Opener, tmp_path: Path) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    path = tmp_path / "letter.png"
    path.write_text("no picture")
    tab.set_input_files("#own-file", path)
    until(tab, "document.getElementById('own-problem').textContent !== ''")
    problem = "This browser cannot read letter.png as a picture."
    assert tab.text_content("#own-problem") == problem
    # An address is dropped: nothing is loaded from it.
    tab.evaluate(TRANSFER, {"kind": "drop", "data": ""})
    assert "loads nothing from an address" in tab.text_content("#own-problem")
    assert not tab.evaluate("'own' in cnncli.state.input")
    opened(tab, photo_file(tmp_path))
    assert tab.text_content("#own-problem") == ""


def test_a_picture_that_is_decoded_late_replaces_no_newer_one(show: Opener, tmp_path: Path) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    tab.evaluate("""() => {
        const decode = createImageBitmap;
        window.createImageBitmap = async (...given) => {
            const bitmap = await decode(...given);
            if (given[0].name === "slow.png") await new Promise((go) => { window.go = go; });
            return bitmap;
        };
    }""")
    slow = tmp_path / "slow.png"
    slow.write_bytes(photo_file(tmp_path).read_bytes())
    tab.set_input_files("#own-file", slow)
    until(tab, "'go' in window")
    opened(tab, photo_file(tmp_path))
    name = tab.evaluate("cnncli.state.input.own.name")
    tab.evaluate("go()")
    # All that waits for it has run after a later task.
    tab.wait_for_timeout(100)
    assert tab.evaluate("cnncli.state.input.own.name") == name != "slow.png"


def test_a_text_can_be_dropped_into_a_field(show: Opener) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), ConvLayer(load_filter("edge"))))
    kept = """(selector) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.setData("text/plain", "2");
      const options = { bubbles: true, cancelable: true, dataTransfer };
      const send = (type) => new DragEvent(type, options);
      const field = document.querySelector(selector);
      return ["dragover", "drop"].map((type) => field.dispatchEvent(send(type)));
    }"""
    assert tab.evaluate(kept, "#pad-value") == [True, True]
    # Elsewhere the browser would leave the page for an address.
    assert tab.evaluate(kept, "#output") == [False, False]


def test_all_that_depends_on_the_picture_follows_and_a_button_brings_the_first_back(
    show: Opener, tmp_path: Path
) -> None:
    picture = random_picture((700, 600, 1))
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    data = page_data_of(picture, layer, (600, 500))
    data |= {"title": "photo.png, image 1 of 2, edge", "titleEnd": "edge"}
    tab = show(data)
    settle(tab)
    assert tab.is_visible("#overview-figure") and "This page holds rows" in tab.inner_text("#notes")
    tab.evaluate("cnncli.apply({ backward: { at: [600, 500], channel: 0, onlyMap: false } })")
    opened(tab, photo_file(tmp_path, (20, 30)))
    assert not tab.is_visible("#overview-figure") and tab.text_content("#notes") == ""
    assert tab.text_content("#title") == "mine.png, edge"
    assert tab.evaluate("cnncli.state.at") == [19, 29]
    assert tab.evaluate("cnncli.state.backward.at") == [19, 29]
    tab.click("#own-first")
    settle(tab)
    assert tab.is_visible("#overview-figure") and tab.text_content("#title") == data["title"]
    assert tab.text_content("#own-note") == "" and not tab.is_visible("#own-first")
    assert "This page holds rows" in tab.text_content("#notes")


def test_a_picture_beside_an_array_is_drawn_as_pictures_are(show: Opener, tmp_path: Path) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 1), "float32"), layer))
    assert tab.evaluate("cnncli.shown().range.kind") == "symmetric"
    opened(tab, photo_file(tmp_path))
    assert tab.evaluate("cnncli.shown().range") == {"kind": "clip", "lo": 0, "hi": 1}
    tab.click("#own-first")
    assert tab.evaluate("cnncli.shown().range.kind") == "symmetric"


def test_images_of_other_channels_have_no_own_picture(show: Opener) -> None:
    tab = show(page_data_of(random_picture((9, 9, 4)), ConvLayer(bank((3, 3, 4, 2)))))
    settle(tab)
    assert not tab.is_visible("#own")


# Single pixels.


def test_a_pixel_of_the_close_up_takes_a_value(show: Opener) -> None:
    layer = ConvLayer(load_filter("gaussian_5"), np.zeros(1))
    picture = random_picture((12, 13, 3))
    tab, X = show(page_data_of(picture, layer, (6, 6))), picture.values().copy()
    tab.focus("#input-closeup")
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("cnncli.state.pixel") == [6, 6]
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    for text, value in (("1/3", 1 / 3), ("0.75", 0.75), ("0", 0.0)):
        tab.keyboard.press("Control+a")
        tab.keyboard.type(text)
        X[0, 5, 5, 0] = value
        assert shown_value(tab) == near(forward(layer, X)[6, 6, 0]), text
    field = tab.locator("#pixel-fields input").nth(2)
    field.fill("0.5")
    X[0, 5, 5, 2] = 0.5
    check(tab, layer, X)
    for text in ("1.5", "-0.1", "x", ""):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true", text
    check(tab, layer, X)
    assert tab.text_content("#own-note") == "Pixels were changed."
    tab.click("#own-first")
    check(tab, layer, picture.values())


def test_a_number_of_the_window_leads_to_its_pixel(show: Opener) -> None:
    layer = PoolLayer("max", 3, 2, dilation=2, padding=(1, 1))
    picture = random_picture((11, 11, 1), "float32")
    tab, X = show(page_data_of(picture, layer, (2, 1))), picture.values().copy()
    settle(tab)
    tab.locator("#blocks .window td").nth(5).click()
    assert tab.evaluate("cnncli.state.pixel") == [5, 5]
    # An array has values of any size.
    tab.keyboard.type("7.5")
    X[0, 5, 5, 0] = 7.5
    assert shown_value(tab) == 7.5
    check(tab, layer, X)
    # Padding is no pixel.
    tab.evaluate("cnncli.apply({ at: [0, 0] })")
    settle(tab)
    tab.locator("#blocks .window td").first.click()
    assert tab.evaluate("cnncli.state.pixel") == [5, 5]


# The pad.


def digits_page(show: Opener, **options: Any) -> Any:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((8, 8, 1)), layer, (3, 3)), **options)
    settle(tab)
    tab.click("#own-pen")
    return tab, layer


def check_state(tab: Any, layer: Any) -> np.ndarray[Any, Any]:
    X = np.float32(tab.evaluate(PLANES)).reshape(1, -1, 8, 8).transpose(0, 2, 3, 1)
    check(tab, layer, X)
    return X[0, :, :, 0]


def test_strokes_become_means_of_dots(show: Opener) -> None:
    tab, layer = digits_page(show)
    tab.click("#pad-clear")
    assert not check_state(tab, layer).any()
    tab.locator(".pad canvas").scroll_into_view_if_needed()
    box = tab.locator(".pad canvas").bounding_box()
    side = box["width"] / 8
    tab.mouse.move(box["x"] + 2 * side, box["y"] + 4 * side)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 6 * side, box["y"] + 4 * side, steps=5)
    tab.mouse.up()
    pixels = check_state(tab, layer)
    # A line of 1.5 pixels' width: three quarters of the two rows that it is in the middle of.
    np.testing.assert_array_equal(pixels[3:5, 2:6], np.float32(np.rint(0.75 * 255) / 255))
    assert not pixels[:2].any() and not pixels[6:].any()
    tab.click("#own-pad button >> text=erase")
    tab.mouse.move(box["x"] + 4.5 * side, box["y"] + 3.5 * side)
    tab.mouse.down()
    tab.mouse.up()
    assert check_state(tab, layer)[3, 4] < 0.3
    tab.click("#own-first")
    assert check_state(tab, layer).any()
    assert not tab.is_visible("#own-first")


def test_the_pad_takes_keys(show: Opener) -> None:
    tab, layer = digits_page(show)
    before = check_state(tab, layer)
    tab.focus(".pad canvas")
    for key in ("ArrowRight", "ArrowDown", "Space", "Shift+ArrowDown", "Shift+ArrowRight"):
        tab.keyboard.press(key)
    after = check_state(tab, layer)
    # They begin in the middle.
    painted = [(5, 5), (6, 5), (6, 6)]
    assert all(after[at] == 1 for at in painted)
    before[tuple(zip(*painted, strict=True))] = 1
    np.testing.assert_array_equal(after, before)
    assert tab.text_content("#own-pad [role=status]") == "row 6, column 6: 1"
    # The cell of the keys has a field for its value.
    tab.fill("[aria-label='Value on the pad, grey']", "1/3")
    assert check_state(tab, layer)[6, 6] == np.float32(1 / 3)
    tab.fill("[aria-label='Value on the pad, grey']", "1.5")
    assert check_state(tab, layer)[6, 6] == np.float32(1 / 3)
    # Inks are one tab stop with arrows inside.
    tab.focus("#own-pad [aria-label=Ink] [tabindex='0']")
    tab.keyboard.press("ArrowRight")
    tab.focus(".pad canvas")
    tab.keyboard.press("Enter")
    assert check_state(tab, layer)[6, 6] == 0


OUTLINED = """{
    const canvas = document.querySelector(".pad canvas");
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.fillStyle = themeColours().window;
    context.fillRect(0, 0, 1, 1);
    const colour = context.getImageData(0, 0, 1, 1).data.join();
    context.drawImage(canvas, 0, 0);
    const side = canvas.width / 8;
    const left = (row, col) => context.getImageData(col * side, (row + 0.5) * side, 3, 1).data;
    const cells = Array.from({ length: 64 }, (_, cell) => [cell >> 3, cell % 8]);
    cells.filter((cell) => left(...cell).join().includes(colour)).map(String);
}"""
"""The pixels on the pad whose left edge has the colour of the window's outline."""


def test_the_pad_outlines_the_pixel_that_keys_paint_and_none_for_the_mouse(show: Opener) -> None:
    tab, _ = digits_page(show)
    # The button was clicked: no key was pressed.
    assert tab.evaluate("document.activeElement === document.querySelector('.pad canvas')")
    assert tab.evaluate(OUTLINED) == []
    tab.keyboard.press("ArrowRight")
    settle(tab)
    assert "4,5" in tab.evaluate(OUTLINED)
    box = tab.locator(".pad canvas").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 1.5 / 8)
    settle(tab)
    assert tab.evaluate(OUTLINED) == []
    # A field changes the pixel that was drawn last; keys go on from there.
    tab.focus("[aria-label='Value on the pad, grey']")
    settle(tab)
    assert "1,2" in tab.evaluate(OUTLINED)
    tab.keyboard.press("Shift+Tab")
    settle(tab)
    assert tab.evaluate(OUTLINED) == []
    tab.focus("#own-pen")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    settle(tab)
    assert "1,2" in tab.evaluate(OUTLINED)


@pytest.mark.parametrize("width", [360])
def test_the_pad_takes_a_finger(show: Opener, width: int) -> None:
    tab, layer = digits_page(show, viewport={"width": width, "height": 800}, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    before = check_state(tab, layer)
    canvas = tab.locator(".pad canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    after = check_state(tab, layer)
    assert (after != before).any() and (after[3:5, 3:5] >= before[3:5, 3:5]).all()


def test_colour_inputs_take_colours_and_large_ones_no_pad(show: Opener, tmp_path: Path) -> None:
    layer = ConvLayer(load_filter("identity"), np.zeros(1))
    tab = show(page_data_of(random_picture((8, 8, 3)), layer, (3, 3)))
    settle(tab)
    tab.click("#own-pen")
    tab.click("#own-pad button >> text=blue")
    tab.focus(".pad canvas")
    tab.keyboard.press("Space")
    assert [plane[4 * 8 + 4] for plane in tab.evaluate(PLANES)] == [0, 0, 1]
    opened(tab, photo_file(tmp_path, (65, 40)))
    assert not tab.is_visible("#own-pen") and not tab.is_visible("#own-pad")


def test_a_camera_that_is_refused_or_missing_is_said(show: Opener) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), PoolLayer()))
    tab.click("#own-camera")
    until(tab, "document.getElementById('own-problem').textContent !== ''")
    assert tab.text_content("#own-problem") in (
        "The camera was refused, by you or by the browser.",
        "There is no camera.",
    )
    assert tab.get_attribute("#own-camera", "aria-pressed") == "false"
    assert not tab.is_visible("#own-view")


def test_the_title_of_a_transposed_page_comes_back(show: Opener, tmp_path: Path) -> None:
    layer = ConvTransposeLayer(bank((2, 2, 1, 1)))
    titles = {"title": "photo.png, conv-transpose", "titleEnd": "conv-transpose"}
    tab = show(page_data_of(random_picture((5, 6, 1)), layer) | titles)
    opened(tab, photo_file(tmp_path, (8, 9)))
    assert tab.text_content("#title") == "mine.png, conv-transpose"
    tab.click("#own-first")
    settle(tab)
    assert tab.text_content("#title") == titles["title"]
    assert tab.title() == "photo.png, conv-transpose – cnncli"


def test_what_was_said_of_a_file_goes_with_the_next_input(show: Opener, tmp_path: Path) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), ConvLayer(load_filter("edge"))))
    picture = base64.b64encode(photo_file(tmp_path).read_bytes()).decode()
    changed = "cnncli.apply({ input: changedInput(firstInput, firstInput.planes) })"
    good = "cnncli.state.input.own !== undefined"
    for change in (
        lambda: (tab.evaluate(TRANSFER, {"kind": "drop", "data": picture}), until(tab, good)),
        lambda: tab.click("#own-first"),
        lambda: tab.evaluate(changed),
    ):
        tab.evaluate(TRANSFER, {"kind": "drop", "data": base64.b64encode(b"hello").decode()})
        until(tab, "document.getElementById('own-problem').textContent.includes('given.png')")
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
