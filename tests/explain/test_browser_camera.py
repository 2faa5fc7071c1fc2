"""A picture from the camera on the page of one layer, with the moving test picture of Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer
from tests.support.browser import (
    Opener,
    forward,
    page_data_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

ROWS = 30


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Any]) -> Iterator[Any]:
    """A Chromium with a camera of its own, which it lets every page have."""
    flags = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    started = chromium(*flags)
    yield started
    started.close()


def test_the_camera_gives_a_picture_and_is_switched_off(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((9, 9, 3)), layer))
    settle(tab)
    tab.click("#own-camera")
    until(tab, "document.querySelector('video').videoWidth > 0")
    assert tab.get_attribute("#own-camera", "aria-pressed") == "true"
    tab.evaluate("window.track = document.querySelector('video').srcObject.getTracks()[0]")
    tab.click("#own-take")
    until(tab, "cnncli.state.input.own?.name === 'camera picture'")
    until(tab, "track.readyState === 'ended'")
    settle(tab)
    assert not tab.is_visible("#own-view")
    height, width = tab.evaluate("cnncli.state.input.size")
    assert 0 < height * width <= 512 * 512
    # Some rows; all of them are many numbers.
    some = f"planes.map((plane) => [...plane.subarray(0, {ROWS * width})])"
    planes = np.float32(tab.evaluate(f"cnncli.state.input.{some}"))
    X = planes.reshape(1, 3, ROWS, width).transpose(0, 2, 3, 1)
    # Chromium draws on a green ground.
    assert X[0, :, :, 1].mean() > 0.2
    found = np.reshape(tab.evaluate(f"cnncli.shown().{some}"), (3, ROWS, width))[:, :-1]
    expected = forward(layer, X).transpose(2, 0, 1)[:, :-1]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert "made" in tab.text_content("#own-note")


def test_the_camera_is_closed_without_a_picture(show: Opener) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), ConvLayer(load_filter("edge"), np.zeros(1))))
    tab.click("#own-camera")
    until(tab, "document.querySelector('video').videoWidth > 0")
    tab.evaluate("window.track = document.querySelector('video').srcObject.getTracks()[0]")
    tab.click("#own-camera")
    settle(tab)
    assert tab.evaluate("track.readyState") == "ended" and not tab.is_visible("#own-view")
    assert tab.get_attribute("#own-camera", "aria-pressed") == "false"
    assert not tab.evaluate("'own' in cnncli.state.input")


def test_no_camera_stays_on(show: Opener) -> None:
    tab = show(page_data_of(random_picture((9, 9, 3)), ConvLayer(load_filter("edge"), np.zeros(1))))
    tab.evaluate("""() => {
        window.streams = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (given) => {
            streams.push(null);
            const index = streams.length - 1;
            streams[index] = await ask(given);
            return streams[index];
        };
        const camera = document.getElementById("own-camera");
        camera.click();
        camera.click();
    }""")
    until(tab, "document.querySelector('video').videoWidth > 0")
    assert tab.evaluate("streams.length") == 1
    states = "streams.map((stream) => stream.getTracks()[0].readyState)"
    assert tab.evaluate(states) == ["live"]
    # A quiz hides it, also while the browser asks for permission.
    tab.evaluate("cnncli.quiz(1)")
    assert tab.evaluate(states) == ["ended"]
    tab.evaluate("cnncli.apply({ quiz: null })")
    tab.evaluate("document.getElementById('own-camera').click(); cnncli.quiz(1)")
    until(tab, "streams[1] !== null && streams[1].getTracks()[0].readyState === 'ended'")
