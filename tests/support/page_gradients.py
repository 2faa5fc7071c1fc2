"""Gradients of a network's unit: by the core, and on its page."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnncli.gradients.gradient import Gradient, find_gradient
from cnncli.network.graph import Network
from tests.support.browser import number

READ = """() => Object.fromEntries(Array.from(cnncli.gradients().byLayer, ([name, { planes }]) =>
  [name, planes.map((plane) => Array.from(plane, String))]))"""


def gradient_of(
    network: Network, X: Any, layer: str, channel: int, at: tuple[int, int] = (0, 0)
) -> Gradient:
    upstream = np.zeros(network.shapes(X.shape)[layer])
    upstream[(0, *at, channel)] = 1
    return find_gradient(network, X, layer, upstream)


def compare_gradients(tab: Any, core: Gradient) -> None:
    for name, planes in tab.evaluate(READ).items():
        expected = core.backward.values[name][0].transpose(2, 0, 1).reshape(len(planes), -1)
        found = [[number(text) for text in plane] for plane in planes]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
