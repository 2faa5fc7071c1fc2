"""The panel on learning of a layer's page, by its controls in a browser, against the core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.core.conv import conv_backward, conv_forward
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import (
    CHELSEA,
    Opener,
    bank,
    number,
    page_data_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

LEARNER = """() => {
  const { losses, layer, task, curvature } = cnncli.learner();
  const { weights, bias } = layer;
  const { rows, cols, channels } = task;
  const count = [rows.length, cols.length, channels.length];
  return { losses, curvature, count, weights: Array.from(weights), bias: Array.from(bias) };
}"""


def grey_cat() -> Picture:
    """The face of the cat, small."""
    picture = read_image(CHELSEA, ReadOptions(gray=True))
    return replace(picture, pixels=picture.pixels[:, 60:180, 150:310])


def cat_page(name: str) -> Any:
    layer = ConvLayer(load_filter(name), np.zeros(1), pad_mode="edge")
    return page_data_of(grey_cat(), layer, (30, 40))


def shown_numbers(tab: Any, selector: str) -> list[float]:
    texts = tab.locator(selector).all_text_contents()
    return [number(text.replace("−", "-")) for text in texts]


def load_sobel() -> Any:
    return load_filter("sobel_v").weights[..., None].astype(np.float64)


def core_step(X: Any, T: Any, W: Any, b: float) -> tuple[float, Any, float]:
    """Loss and gradients of a 3x3 filter by the core's convolution."""
    hparameters = {"pad": 1, "pad_mode": "edge"}
    Z, cache = conv_forward(X, W, np.full((1, 1, 1, 1), b), hparameters)
    _, dW, db = conv_backward(2 * (Z - T) / Z.size, cache)
    return float(((Z - T) ** 2).mean()), dW, float(db.item())


def test_it_begins_with_random_weights_beside_those_of_the_target(show: Opener) -> None:
    tab = show(cat_page("edge"))
    assert not tab.is_visible("#learn-body")
    tab.click("#learn")
    settle(tab)
    # The filter makes the target, so random weights begin; the target's stand beside them.
    assert "began anew with random weights" in tab.text_content("#learn-sentence")
    assert tab.text_content("#learn-problem") == ""
    assert tab.evaluate("cnncli.learner().loss") > 0
    edge = load_filter("edge").weights.ravel()
    assert shown_numbers(tab, "#learn-weights div:nth-child(2) span") == edge.tolist()
    tab.select_option("#learn-target", "sobel_v")
    settle(tab)
    assert "anew" not in tab.text_content("#learn-sentence")
    sobel = load_sobel().ravel()
    assert shown_numbers(tab, "#learn-weights div:nth-child(2) span") == sobel.tolist()


def test_steps_of_the_cat_are_those_of_the_core(show: Opener) -> None:
    tab = show(cat_page("edge"))
    tab.click("#learn")
    tab.select_option("#learn-target", "sobel_v")
    tab.fill("#learn-seed", "4")
    tab.click("#learn-start")
    settle(tab)
    told = tab.evaluate(LEARNER)
    assert told["count"] == [120, 160, 1]
    # From here the core learns beside the page.
    X = grey_cat().values().astype(np.float64)
    T = conv_forward(X, load_sobel(), np.zeros((1, 1, 1, 1)), {"pad": 1, "pad_mode": "edge"})[0]
    W, b = np.reshape(told["weights"], (3, 3, 1, 1)).astype(np.float64), 0.0
    rate = float(tab.input_value("#learn-rate"))
    assert rate == pytest.approx(1.9 / told["curvature"], rel=5e-3)
    velocity: Any = (np.zeros_like(W), 0.0)
    for step in range(4):
        loss, dW, db = core_step(X, T, W, b)
        told = tab.evaluate(LEARNER)
        assert told["losses"][step] == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(told["weights"], W.ravel(), atol=1e-5 * np.abs(W).max())
        gradients = shown_numbers(tab, "#learn-gradients button")
        np.testing.assert_allclose(gradients, dW.ravel(), rtol=5e-3, atol=1e-5)
        (shown,) = shown_numbers(tab, "#learn-gradients .bias-gradient b")
        assert shown == pytest.approx(db, rel=5e-3)
        velocity = (0.9 * velocity[0] + dW, 0.9 * velocity[1] + db)
        W, b = W - rate * velocity[0], b - rate * velocity[1]
        tab.click("#learn-step")
        settle(tab)
    assert tab.text_content("#learn-status").startswith("Step 4, loss ")
    # The page itself has what was learned.
    fields = [tab.evaluate("cnncli.state.layer.weights[4]"), told["weights"]]
    assert fields[0] != fields[1][4]
    assert "Next weight: " in tab.text_content("#learn-gradients")


def test_it_runs_pauses_and_goes_on_from_a_weight_that_was_changed(show: Opener) -> None:
    tab = show(cat_page("sobel_v"))
    tab.click("#learn")
    tab.click("#learn-start")
    tab.click("#learn-run")
    settle(tab)
    assert tab.get_attribute("#learn-run", "aria-pressed") == "true"
    until(tab, "cnncli.learner().losses.length > 100")
    tab.click("#learn-run")
    settle(tab)
    told = tab.evaluate(LEARNER)
    # The suggested rate learns within 100 steps.
    assert told["losses"][100] < told["losses"][0] / 30
    held = tab.evaluate("[...cnncli.state.layer.weights]")
    assert held == told["weights"]
    settle(tab)
    assert tab.evaluate("cnncli.learner().losses.length") == len(told["losses"])
    tab.fill("#filter-body .grid input >> nth=4", "5")
    settle(tab)
    changed = tab.evaluate(LEARNER)
    assert len(changed["losses"]) == len(told["losses"])
    assert changed["losses"][-1] > 10 * told["losses"][-1]
    assert changed["weights"][4] == 5
    tab.select_option("#learn-momentum", "0")
    tab.click("#learn-step")
    settle(tab)
    after = tab.evaluate(LEARNER)
    assert len(after["losses"]) == len(told["losses"]) + 1
    assert after["losses"][-1] < changed["losses"][-1]
    # Other settings are another task, which begins anew.
    tab.select_option("#padding", "valid")
    settle(tab)
    assert tab.evaluate(LEARNER)["count"] == [118, 158, 1]
    assert len(tab.evaluate(LEARNER)["losses"]) == 1


def test_it_says_what_went_wrong(show: Opener) -> None:
    picture = random_picture((20, 24, 1))
    tab = show(page_data_of(picture, ConvLayer(load_filter("edge"), np.zeros(1))))
    tab.click("#learn")
    tab.click("#learn-start")
    tab.fill("#learn-rate", "3")
    tab.click("#learn-run")
    until(tab, "!cnncli.state.learn.running")
    settle(tab)
    text = tab.text_content("#learn-problem")
    assert text.startswith("The loss grows without end. Take a smaller learning rate, such as 0.")
    tab.click("#learn-suggested")
    tab.click("#learn-start")
    settle(tab)
    assert tab.text_content("#learn-problem") == ""
    assert float(tab.input_value("#learn-rate")) < 1
    assert not tab.is_visible("#learn-suggested")
    tab.click("#learn-run")
    until(tab, "!cnncli.state.learn.running")
    settle(tab)
    assert tab.text_content("#learn-problem") == "The output is the target."
    # Behind a relu that lets nothing through no weight has a gradient.
    dead = {"weights": [-1] * 9, "activation": "relu", "bias": [-1]}
    tab.evaluate("(layer) => cnncli.apply({ layer })", dead)
    settle(tab)
    assert "relu lets none through" in tab.text_content("#learn-problem")


def test_less_motion_makes_steps_at_once(show: Opener) -> None:
    picture = random_picture((20, 24, 1))
    layer = ConvLayer(load_filter("sobel_h"), np.zeros(1))
    tab = show(page_data_of(picture, layer), reduced_motion="reduce")
    tab.click("#learn")
    tab.click("#learn-start")
    settle(tab)
    assert tab.text_content("#learn-run") == "100 steps"
    tab.click("#learn-run")
    until(tab, "!cnncli.state.learn.running")
    settle(tab)
    losses = tab.evaluate(LEARNER)["losses"]
    assert len(losses) == 101
    assert losses[-1] < losses[0] / 100
    assert tab.text_content("#learn-status").startswith("Step 100, loss ")


def test_a_map_of_a_bank_learns_alone(show: Opener) -> None:
    picture = random_picture((12, 10, 3))
    layer = ConvLayer(bank((3, 3, 3, 4)), np.zeros(4))
    tab = show(page_data_of(picture, layer, (2, 2), map=2))
    tab.click("#learn")
    settle(tab)
    names = tab.locator("#learn-target option").all_text_contents()
    assert names[0] == "this map, as the page began"
    assert "edge of the mean of the channels" in names
    before = np.reshape(tab.evaluate(LEARNER)["weights"], (27, 4))
    tab.select_option("#learn-target", "box")
    tab.click("#learn-start")
    tab.click("#learn-step")
    settle(tab)
    after = np.reshape(tab.evaluate(LEARNER)["weights"], (27, 4))
    assert (before != after).all(axis=0).tolist() == [False, False, True, False]
    assert (before == after).all(axis=0).tolist() == [True, True, False, True]


def soft_cat() -> tuple[Any, Any]:
    """The grey cat, and what a box filter makes of it in 8 bits."""
    X = grey_cat().values().astype(np.float64)
    box = np.full((3, 3, 1, 1), 1 / 9)
    hparameters = {"pad": 1, "pad_mode": "edge"}
    Z, _ = conv_forward(X, box, np.zeros((1, 1, 1, 1)), hparameters)
    return X, np.round(255 * Z[0, :, :, 0]).astype(np.uint8)


def asks_for_picture(show: Opener) -> Any:
    tab = show(cat_page("sobel_v"))
    tab.click("#learn")
    assert not tab.is_visible("#learn-open")
    tab.select_option("#learn-target", "picture")
    settle(tab)
    return tab


def test_a_picture_that_is_no_target_is_refused(show: Opener, tmp_path: Path) -> None:
    tab, (_, levels) = asks_for_picture(show), soft_cat()
    assert tab.text_content("#learn-sentence").startswith("Open a picture of 120 × 160 pixels")
    assert tab.is_disabled("#learn-step")
    Image.fromarray(levels[:100]).save(tmp_path / "part.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, text in [
        ("part.png", "part.png has 100 × 160 pixels, the output 120 × 160: they must be the same."),
        ("broken.png", "This browser cannot read broken.png as a picture."),
    ]:
        tab.set_input_files("#learn-file", tmp_path / name)
        until(tab, f"cnncli.state.learn.picture?.name === '{name}'")
        settle(tab)
        assert tab.text_content("#learn-sentence") == text


def test_a_picture_of_the_users_is_a_target(show: Opener, tmp_path: Path) -> None:
    # What a box filter makes of the cat is learned from the picture alone.
    tab, (X, levels) = asks_for_picture(show), soft_cat()
    Image.fromarray(levels).save(tmp_path / "soft.png")
    tab.set_input_files("#learn-file", tmp_path / "soft.png")
    until(tab, "cnncli.state.learn.picture?.name === 'soft.png'")
    settle(tab)
    told = tab.evaluate(LEARNER)
    W = np.reshape(told["weights"], (3, 3, 1, 1)).astype(np.float64)
    loss, _, _ = core_step(X, levels[None, :, :, None] / 255, W, 0.0)
    assert told["losses"] == [pytest.approx(loss, rel=1e-5)]
    # What is a picture's target has no weights to show.
    assert tab.locator("#learn-weights > div").count() == 1
    tab.click("#learn-start")
    tab.click("#learn-run")
    until(tab, "cnncli.learner().loss < cnncli.learner().losses[0] / 20")
    tab.click("#learn-run")


def test_scores_and_the_like_have_no_picture_as_a_target(show: Opener) -> None:
    other = show(page_data_of(random_picture((9, 9, 1), "float32"), ConvLayer(load_filter("edge"))))
    other.click("#learn")
    settle(other)
    assert "picture" not in other.evaluate("learningTargets().map(({ id }) => id)")


def test_weights_too_many_to_list_are_pictures(show: Opener) -> None:
    layer = ConvLayer(bank((17, 17, 1, 1)), np.zeros(1))
    tab = show(page_data_of(random_picture((24, 30, 1)), layer))
    tab.click("#learn")
    tab.click("#learn-start")
    settle(tab)
    told = tab.evaluate(LEARNER)
    most = np.abs(told["weights"]).max()
    label = tab.get_attribute("#learn-weights canvas", "aria-label")
    assert label == f"Weights (W): −{most:.3g} is blue, 0 white, {most:.3g} red"
    label = tab.get_attribute("#learn-gradients canvas", "aria-label")
    assert label.startswith("Gradient of each weight (dW): ")


def test_pools_have_nothing_to_learn(show: Opener) -> None:
    tab = show(page_data_of(random_picture((8, 8, 1)), PoolLayer()))
    assert not tab.is_visible("#learn-panel")
