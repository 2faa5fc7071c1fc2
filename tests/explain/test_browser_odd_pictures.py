"""Pictures of odd shapes on the page of one layer, and what is chosen while another input comes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer
from tests.support.browser import (
    Opener,
    forward,
    near,
    page_data_of,
    photo,
    random_picture,
    settle,
    shown_value,
    until,
)

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(26)
EDGE = ConvLayer(from_array(np.array([[1.0, 0.0, -1.0]]), name="edge"), np.zeros(1))
FIELD = "#pixel-fields input"


def opened(tab: Any, folder: Path, size: tuple[int, int]) -> None:
    """Open a grey picture of a size as the page's input."""
    path = folder / f"grey{size[0]}.png"
    Image.fromarray(RNG.integers(0, 256, size).astype(np.uint8)).save(path)
    tab.set_input_files("#own-file", path)
    until(tab, f"cnncli.state.input.own?.name === '{path.name}'")
    settle(tab)


def ends(tab: Any) -> list[float]:
    """Return the least and the largest value of the input."""
    values = tab.evaluate("[...cnncli.state.input.planes[0]]")
    return [min(values), max(values)]


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1)])
def test_a_flat_or_narrow_picture_is_shown(
    show: Opener, tmp_path: Path, shape: tuple[int, int]
) -> None:
    at = tuple(side // 2 for side in shape)
    picture = random_picture((*shape, 1), "float32")
    tab = show(page_data_of(picture, EDGE, at))
    assert shown_value(tab) == near(forward(EDGE, picture.values())[(*at, 0)])
    assert tab.text_content("#sentence") and tab.locator("#blocks td").count() == 9
    drawn = tab.evaluate("['input', 'output'].map((id) => byId(id).getBoundingClientRect())")
    assert all(min(box["width"], box["height"]) >= 1 for box in drawn)
    opened(tab, tmp_path, (shape[0] + shape[0] // 2, shape[1] + shape[1] // 2))
    assert tab.text_content("#headline")


def test_the_pictures_of_learning_are_there_after_a_quiz(show: Opener) -> None:
    tab = show(page_data_of(*photo(), (100, 100)))
    tab.click("#learn")
    settle(tab)
    maps = "[...document.querySelectorAll('#learn-pictures canvas')]"
    sizes = f"{maps}.map((canvas) => [canvas.width, canvas.height])"
    before = tab.evaluate(sizes)
    tab.click("#quiz")
    settle(tab)
    tab.click("#quiz")
    settle(tab)
    assert tab.evaluate(sizes) == before and min(map(min, before)) > 50


def test_inks_and_limits_are_those_of_the_present_input(show: Opener, tmp_path: Path) -> None:
    tab = show(page_data_of(random_picture((9, 9, 1), "float32"), EDGE, (3, 3)))
    first = ends(tab)
    settle(tab)
    tab.locator("#blocks .window td").nth(1).click()
    opened(tab, tmp_path, (30, 30))
    # The pixel that was chosen is one of a picture now, from 0 to 1.
    kept = ends(tab)
    tab.fill(FIELD, "9")
    assert tab.get_attribute(FIELD, "aria-invalid") == "true"
    assert "from 0 to 1" in tab.text_content("#pixel-fields .rule")
    assert ends(tab) == kept
    tab.click("#own-pen")
    tab.fill(".pad-fields input", "9")
    tab.click("#own-pad button >> text=white")
    tab.focus(".pad canvas")
    tab.keyboard.press("Space")
    assert ends(tab)[0] >= 0 and ends(tab)[1] == 1
    # And one of the array's again.
    tab.click("#own-first")
    tab.focus(".pad canvas")
    tab.keyboard.press("Space")
    most = max(map(abs, first))
    assert ends(tab)[1] == pytest.approx(most, rel=1e-6)
    for field in (FIELD, ".pad-fields input"):
        tab.fill(field, "50")
        assert ends(tab)[1] == 50, field


LATE = """() => {
  const decode = createImageBitmap;
  window.late = [];
  window.createImageBitmap = async (...given) => {
    const bitmap = await decode(...given);
    await new Promise((go) => window.late.push(go));
    return bitmap;
  };
}"""


def learns_from_file(show: Opener, tmp_path: Path) -> Any:
    """Return a page that learns from a picture, whose decoder waits for `late`."""
    tab = show(page_data_of(random_picture((9, 9, 1)), EDGE))
    tab.click("#learn")
    tab.select_option("#learn-target", "picture")
    tab.evaluate(LATE)
    for name in ("one.png", "two.png"):
        Image.fromarray(RNG.integers(0, 256, (9, 9)).astype(np.uint8)).save(tmp_path / name)
    return tab


def test_learning_that_was_closed_stays_closed(show: Opener, tmp_path: Path) -> None:
    tab = learns_from_file(show, tmp_path)
    tab.set_input_files("#learn-file", tmp_path / "one.png")
    until(tab, "late.length === 1")
    tab.click("#learn")
    tab.evaluate("late[0]()")
    # All that waits for it has run after a later task.
    tab.wait_for_timeout(100)
    assert tab.evaluate("cnncli.state.learn") is None


def test_a_target_that_is_decoded_late_replaces_no_newer_one(show: Opener, tmp_path: Path) -> None:
    tab = learns_from_file(show, tmp_path)
    for count, name in enumerate(("one.png", "two.png"), 1):
        tab.set_input_files("#learn-file", tmp_path / name)
        until(tab, f"late.length === {count}")
    tab.evaluate("late[1]()")
    until(tab, "cnncli.state.learn.picture?.name === 'two.png'")
    tab.evaluate("late[0]()")
    tab.wait_for_timeout(100)
    assert tab.evaluate("cnncli.state.learn.picture.name") == "two.png"


PASTE = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], "given.png", { type: "image/png" }));
  const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(event);
}"""


@pytest.mark.parametrize("text", ["0.5", "no number"])
def test_a_smaller_picture_takes_the_pixel_whose_field_has_the_focus(
    show: Opener, tmp_path: Path, text: str
) -> None:
    tab = show(page_data_of(random_picture((9, 9, 1)), EDGE, (8, 8)))
    settle(tab)
    tab.locator("#blocks .window td").nth(1).click()
    tab.fill(FIELD, text)
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    tab.evaluate(PASTE, base64.b64encode((tmp_path / "small.png").read_bytes()).decode())
    until(tab, "cnncli.state.input.size[0] === 4")
    settle(tab)
    assert tab.evaluate("cnncli.state.pixel") is None and not tab.is_visible("#pixel-fields")
    found = tab.evaluate("[...cnncli.state.input.planes[0]]")
    np.testing.assert_array_equal(found, np.float32(pixels.ravel() / 255))


def test_reset_changes_the_layer_and_keeps_the_picture(show: Opener, tmp_path: Path) -> None:
    tab = show(page_data_of(random_picture((9, 9, 1)), EDGE, (3, 3)))
    opened(tab, tmp_path, (12, 12))
    tab.locator("#blocks .window td").nth(1).click()
    tab.fill(FIELD, "0.5")
    tab.fill("#stride", "2")
    tab.click("#reset")
    settle(tab)
    assert tab.evaluate("cnncli.state.layer.stride") == [1, 1]
    assert tab.text_content("#own-note").endswith("Pixels were changed.")
    assert tab.is_visible("#pixel-fields") and tab.input_value(FIELD) == "0.5"


def test_one_output_is_no_outputs(show: Opener) -> None:
    layer = ConvLayer(EDGE.filter, np.zeros(1), padding="valid")
    tab = show(page_data_of(random_picture((1, 3, 1)), layer))
    tab.click("#learn")
    settle(tab)
    assert "of 1 output." in tab.text_content("#learn-sentence")
