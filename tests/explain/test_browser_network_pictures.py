"""A user's own picture on the page of a network that computes its layers itself: file and pad."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.stored_network_data import stored_network_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import REPOSITORY, Opener, settle, until

pytestmark = pytest.mark.oracle

DIGITS = REPOSITORY / "examples" / "digits.toml"
MODEL = load_model(DIGITS)

# Corners of a 3, column and row, in pixels.
THREE = [(2.4, 1.4), (4.5, 1), (5.2, 2.4), (3.5, 3.8), (5.2, 5), (4.5, 6.8), (2.2, 6.6)]

VALUES = """(name) => {
  const { planes } = cnncli.layers().find((layer) => layer.name === name);
  return Object.values(planes).map((plane) => [...plane]);
}"""


def digits_page(show: Opener, digit: int = 7, **reading: Any) -> Any:
    picture = read_image(DIGITS.parent / "digits" / f"{digit}.png", ReadOptions(gray=True))
    unit = Unit((0, 0), digit)
    title = f"a, {digit}.png, digits.toml"
    data = network_page_data(MODEL.network, picture, "probability", unit, title=title)
    return show(data | {"titleEnd": "digits.toml", "reading": reading})


def core(X: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All layers by the core's own functions."""
    return {name: Y[0] for name, Y in forward_layers(MODEL.network, X, MODEL.network.names)}


def check(tab: Any) -> np.ndarray[Any, Any]:
    """All layers are what the core makes of the page's pixels, which are returned."""
    pixels = "cnncli.state.input.planes.map((plane) => [...plane])"
    X = np.float32(tab.evaluate(pixels)).reshape(1, 8, 8, 1)
    expected = core(X)
    # The worker is done when its input is the page's.
    until(tab, f"String({pixels}) === String(({VALUES})('input'))")
    settle(tab)
    for name, values in expected.items():
        found = np.reshape(tab.evaluate(VALUES, name), (values.shape[2], *values.shape[:2]))
        tolerance = 1e-5 * np.abs(values).max()
        np.testing.assert_allclose(found.transpose(1, 2, 0), values, rtol=0, atol=tolerance)
    return X[0, :, :, 0]


def test_a_three_that_is_drawn_is_read_as_three(show: Opener) -> None:
    tab = digits_page(show)
    check(tab)
    tab.click("#own-pen")
    canvas = tab.locator(".pad canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.click("#pad-clear")
    assert not check(tab).any()
    places = [(box["x"] + x * box["width"] / 8, box["y"] + y * box["height"] / 8) for x, y in THREE]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=5)
    tab.mouse.up()
    # The pad stays under the pen.
    assert canvas.bounding_box() == box
    pixels = check(tab)
    probabilities = core(pixels[np.newaxis, :, :, np.newaxis])["probability"][0, 0]
    assert probabilities.argmax() == 3 and probabilities[3] > 0.9
    # The unit goes with the largest, and the ten stand beside the pad.
    assert tab.evaluate("cnncli.state.unit.map") == 3
    assert tab.text_content("#headline").startswith("probability, map 3")
    texts = tab.locator(".pad-scores td:last-child").all_inner_texts()
    shown = [float(text.replace("−", "-")) for text in texts]
    np.testing.assert_allclose(shown, probabilities, rtol=0.06, atol=1e-9)
    assert tab.locator(".pad-scores .best th").inner_text() == "3"
    assert tab.text_content("#own-note") == "Pixels were changed."
    # The cell of the keys has a field for its value.
    canvas.focus()
    tab.keyboard.press("ArrowUp")
    row, col = (int(part) for part in re.findall(r"\d+", tab.text_content(".pad-fields span")))
    tab.fill("[aria-label='Value on the pad, grey']", "2/3")
    assert check(tab)[row, col] == np.float32(2 / 3)
    tab.click("#own-first")
    until(tab, "cnncli.state.unit.map === 7")
    check(tab)


def test_a_file_becomes_the_networks_input(show: Opener, tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    path = tmp_path / "mine.png"
    Image.fromarray(rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)).save(path)
    tab = digits_page(show, fit="crop")
    tab.set_input_files("#own-file", path)
    until(tab, "cnncli.state.input.own?.name === 'mine.png'")
    assert tab.input_value("#own-fit") == "crop"
    for fit in ("crop", "stretch", "pad"):
        tab.select_option("#own-fit", fit)
        wanted = read_image(path, ReadOptions(gray=True, size=(8, 8), fit=fit)).values()
        np.testing.assert_array_equal(check(tab), wanted[0, :, :, 0])
    made = "made 8 rows × 8 columns here; made grey."
    assert tab.text_content("#own-note") == f"mine.png: 40 rows × 30 columns, {made}"
    assert tab.text_content("#title") == "mine.png, digits.toml"
    tab.click("#own-first")
    until(tab, "document.getElementById('title').textContent === 'a, 7.png, digits.toml'")
    check(tab)
    assert not tab.is_visible("#own-fit") and not tab.is_visible("#own-first")


def test_a_page_with_stored_values_takes_no_picture(show: Opener) -> None:
    picture = read_image(DIGITS.parent / "digits" / "3.png", ReadOptions(gray=True))
    tab = show(stored_network_page_data(MODEL.network, picture, "digit", Unit((0, 0)), title="3"))
    assert not tab.is_visible("#own")
