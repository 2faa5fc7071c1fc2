"""The playground in a browser, and what it must show by the core's own functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import settle, until
from tools.playground_picture import PICTURE

LAYERS = """cnncli.layers().slice(1).map(({ name, shape, planes, problem }) =>
  ({ name, shape, problem, planes: planes.map((plane) => [...plane]) }))"""
NETWORK = "networkText(shownCalls(), pageData.filters, cnncli.state.input.channels === 1)"


def open_at(page: Any, url: str) -> None:
    # Elsewhere first: another mark alone does not load the page again.
    page.goto("about:blank")
    page.goto(url)
    until(page, "document.querySelector('#stack-list li') !== null")
    until(page, "location.hash !== ''")


def mark(page: Any) -> str:
    """Wait until the address names what is shown, and return its text."""
    until(page, "addressText() === stateText()")
    return str(page.evaluate("addressText()"))


def change(page: Any, click: str, expected: str) -> None:
    """Click, and wait for the layers that the address then names."""
    page.click(click)
    until(page, f"addressText() === {expected!r}")
    until(page, "!isStackAsked()")
    settle(page)


def check_numbers(page: Any, folder: Path) -> None:
    """Compare every value of every layer with the core, for the network that the page copies."""
    (folder / "net.toml").write_text(page.evaluate(NETWORK), "utf-8")
    network = load_model(folder / "net.toml").network
    gray = page.evaluate("shownSample() === 'gray'")
    values = read_image(PICTURE, ReadOptions(gray=gray)).values()
    expected = dict(forward_layers(network, values, network.names))
    layers = page.evaluate(LAYERS)
    assert layers
    for layer in layers:
        assert layer["problem"] == ""
        height, width, channels = layer["shape"]
        found = np.reshape(layer["planes"], (channels, height, width)).transpose(1, 2, 0)
        name = f"{layer['name']}_off" if f"{layer['name']}_off" in expected else layer["name"]
        most = float(np.abs(expected[name]).max())
        np.testing.assert_allclose(found, expected[name][0], rtol=0, atol=1e-5 * most)
