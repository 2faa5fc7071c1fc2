"""The backward pass on the page of a layer, in a real browser, against the core's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.explain.page import layer_data
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture
from cnncli.network.graph import input_groups
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    TOLERANCE,
    Opener,
    near,
    number,
    page_data_of,
    photo,
    random_picture,
    settle,
)
from tests.support.page_layers import CONV_PAGES, random_conv, random_pool

pytestmark = pytest.mark.oracle

SETTINGS_EACH = 12

APPLY = """async (changes) => {
  cnncli.apply(changes);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  if (cnncli.shown().problem) return { problem: true };
  const pass = cnncli.backward();
  const { layer, input } = cnncli.state;
  const texts = (values) => Array.from(values, String);
  const channels = Array.from({ length: input.channels }, (_, channel) => channel);
  const read = {
    input: channels.map((channel) => texts(pass.inputGradient(channel))),
    paths: pass.paths(changes.backward.channel, ...changes.backward.at),
  };
  if (layer.op === "pool") return read;
  const depths = layer.perChannel ? 1 : input.channels / layer.groups;
  const kernel = (map, depth) => {
    const taps = [];
    for (let i = 0; i < layer.kernel[0]; i += 1) {
      for (let j = 0; j < layer.kernel[1]; j += 1) taps.push(pass.weightGradient(map, depth, i, j));
    }
    return texts(taps);
  };
  const maps = Array.from({ length: layer.maps }, (_, map) => map);
  const inputs = Array.from({ length: depths }, (_, depth) => depth);
  read.weights = maps.map((map) => inputs.map((depth) => kernel(map, depth)));
  read.bias = maps.map((map) => String(pass.biasGradient(map)));
  return read;
}"""
"""Change settings, and read all gradients that the page computes."""


def gradients(
    layer: ConvLayer | PoolLayer, X: np.ndarray, maps: Any = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the gradients by the core, if that of all outputs, or of some channels, is 1."""
    Y, cache = layer.forward(X.astype(np.float64))
    dY = np.ones_like(Y)
    if maps is not None:
        dY[..., [c for c in range(Y.shape[3]) if c not in maps]] = 0
    dX, parameters = layer.backward(dY, cache)
    return dX[0], dict(parameters)


def close(found: Any, expected: np.ndarray) -> None:
    """Check numbers that came as text, relative to the largest."""
    values = np.vectorize(number, otypes=[float])(np.array(found, dtype=object))
    scale = max(float(np.abs(expected).max(initial=0)), 1.0)
    np.testing.assert_allclose(values, expected, atol=TOLERANCE * scale, rtol=0)


def compare(read: Any, layer: ConvLayer | PoolLayer, picture: Picture, view: Any) -> None:
    X = picture.values()
    try:
        maps = None
        if view["backward"]["onlyMap"]:
            groups = layer.output_groups(input_groups(X.shape[3]))
            maps = groups[view["map"]].channels
        dX, parameters = gradients(layer, X, maps)
    except CnnCliError:
        assert read["problem"]
        return
    close(read["input"], dX.transpose(2, 0, 1).reshape(X.shape[3], -1))
    (row, col), channel = view["backward"]["at"], view["backward"]["channel"]
    total = sum(path["product"] for path in read["paths"])
    assert total == near(float(dX[row, col, channel]))
    if isinstance(layer, PoolLayer):
        return
    W = parameters["W"]
    if layer.filter.per_channel:
        W = W[:, :, None, :]
    close(read["weights"], W.transpose(3, 2, 0, 1).reshape(W.shape[3], W.shape[2], -1))
    close(read["bias"], np.broadcast_to(parameters["b"], (layer.filter.maps,)))


def random_view(rng: np.random.Generator, picture: Picture, maps: int) -> dict[str, Any]:
    _, height, width, channels = picture.shape
    at = [int(rng.integers(height)), int(rng.integers(width))]
    pixel = {"at": at, "channel": int(rng.integers(channels)), "onlyMap": bool(rng.integers(2))}
    return {"map": int(rng.integers(maps)), "backward": pixel}


@pytest.mark.parametrize("name", CONV_PAGES)
def test_random_convolutions_equal_the_core(show: Opener, name: str) -> None:
    picture, layer = CONV_PAGES[name]
    rng = np.random.default_rng(len(name))
    tab = show(page_data_of(picture, layer))
    for _ in range(SETTINGS_EACH):
        changed, page = random_conv(rng, layer, np.dtype(picture.dtype))
        view = random_view(rng, picture, layer.filter.maps)
        compare(tab.evaluate(APPLY, {**view, "layer": page}), changed, picture, view)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_random_pools_equal_the_core(show: Opener, dtype: str) -> None:
    picture = random_picture((11, 12, 3), dtype)
    rng = np.random.default_rng(len(dtype))
    tab = show(page_data_of(picture, PoolLayer()))
    for _ in range(SETTINGS_EACH):
        changed, page = random_pool(rng)
        view = random_view(rng, picture, 1)
        compare(tab.evaluate(APPLY, {**view, "layer": page}), changed, picture, view)


def test_what_a_click_shows_is_the_gradient_of_that_pixel(show: Opener) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (30, 40)))
    assert not tab.is_visible("#backward-body")
    tab.click("#backward")
    tab.fill("#pixel-row", "0")
    tab.fill("#pixel-col", "0")
    tab.select_option("#pixel-channel", "1")
    settle(tab)
    dX, parameters = gradients(layer, picture.values())
    assert f"gets {dX[0, 0, 1]:g}, the sum of" in tab.text_content("#backward-sentence")
    last = tab.locator("#paths tr").last.text_content()
    assert last == f"gradient{dX[0, 0, 1]:g}"
    texts = [
        text.replace("−", "-")
        for text in tab.locator("#weight-gradients button").all_text_contents()
    ]
    expected = parameters["W"][:, :, 0].ravel()
    assert [float(text) for text in texts] == pytest.approx(expected, rel=5e-3)
    tab.locator("#weight-gradients button").nth(5).click()
    assert "Weight at row 1, column 2:" in tab.text_content("#weight-gradients")
    # A click on the map of gradients, and the arrow keys, choose another pixel.
    tab.click("#gradient", position={"x": 150, "y": 100})
    row, col = tab.evaluate("cnncli.state.backward.at")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("cnncli.state.backward.at") == [row + 1, col + 1]
    tab.click("#backward")
    settle(tab)
    assert not tab.is_visible("#backward-body")


def test_a_pool_names_winners_and_shares(show: Opener) -> None:
    picture = random_picture((8, 8, 1))
    data = page_data_of(picture, PoolLayer(stride=1))
    tab = show({**data, "backward": {"at": [3, 3], "channel": 0, "onlyMap": False}})
    settle(tab)
    assert "to the cell that won" in tab.text_content("#backward-sentence")
    assert tab.locator("#paths tr").count() == 6
    assert not tab.is_visible("#weight-gradients")
    tab.select_option("#mode", "average")
    settle(tab)
    assert tab.locator("#paths tr td:nth-child(2)").all_text_contents()[:4] == ["0.25"] * 4
    assert "gets 1, the sum of 4 products" in tab.text_content("#backward-sentence")


def test_what_a_page_does_not_hold_is_not_known(show: Opener, monkeypatch: Any) -> None:
    monkeypatch.setattr(layer_data, "MOST_CELLS", 12 * 12)
    picture = random_picture((40, 50, 1))
    layer = ConvLayer(load_filter("sobel_v"), np.zeros(1), activation="tanh")
    tab = show(page_data_of(picture, layer, (20, 20)))
    pixel = {"at": [20, 20], "channel": 0, "onlyMap": False}
    read = tab.evaluate(APPLY, {"backward": pixel})
    rows, cols = tab.evaluate("[cnncli.state.input.rows, cnncli.state.input.cols]")
    found = np.array([number(text) for text in read["input"][0]]).reshape(12, 12)
    expected = gradients(layer, picture.values())[0][slice(*rows), slice(*cols), 0]
    known = ~np.isnan(found)
    # Outputs at the edge of the page need pixels beyond it.
    assert known[2:-2, 2:-2].all() and known.sum() == 64
    np.testing.assert_allclose(found[known], expected[known], atol=TOLERANCE)
    assert all(text == "NaN" for text in [*read["weights"][0][0], *read["bias"]])
    assert "need the whole image" in tab.text_content("#weight-gradients")


def test_shared_biases_have_one_gradient(show: Opener) -> None:
    picture, layer = CONV_PAGES["bank"]
    layer = replace(layer, bias=np.zeros(1), activation="sigmoid")
    tab = show(page_data_of(picture, layer))
    view = {"map": 1, "backward": {"at": [2, 2], "channel": 2, "onlyMap": False}}
    compare(tab.evaluate(APPLY, view), layer, picture, view)
