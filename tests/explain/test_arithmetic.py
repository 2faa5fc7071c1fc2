"""arithmetic/layer.js in node: every value of 300 random layers against the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.core.geometry import place_window
from cnncli.errors import CnnCliError
from cnncli.explain.page.layer_data import PageData
from cnncli.io.images import Picture
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import TOLERANCE, forward, number, picture_of, random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_layers import CONV_PAGES, random_conv, random_pool

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = ("arithmetic/activations.js", "arithmetic/layer.js")

EACH = {"convolutions": 40, "pools": 30}

COMPUTE = """({ input, layer, at }) => {
  const arithmetic = new LayerArithmetic(input, layer);
  if (!arithmetic.fits) return null;
  const all = (axis) => Array.from({ length: axis.out }, (_, k) => k);
  const [rows, cols] = [arithmetic.window.rows, arithmetic.window.cols].map(all);
  const channels = Array.from({ length: arithmetic.channels }, (_, k) => k);
  const step = (channel) => arithmetic.step(channel, at[0] % rows.length, at[1] % cols.length);
  return {
    shape: [channels.length, rows.length, cols.length],
    values: channels.flatMap((k) => Array.from(arithmetic.values(k, rows, cols), String)),
    steps: channels.map((k) => String(step(k).value)),
  };
}"""
"""Every value of a layer, and those of one output once more, from its window's products."""


def page_input(picture: Picture) -> PageData:
    """The whole of a picture, as layer/layer.js reads it from a page's data."""
    X = picture.values()[0].astype(np.float64)
    height, width, channels = X.shape
    return {
        "size": [height, width],
        "channels": channels,
        "largest": float(np.abs(X).max()),
        "rows": [0, height],
        "cols": [0, width],
        "planes": [X[:, :, k].ravel().tolist() for k in range(channels)],
    }


def page_layer(layer: ConvLayer | PoolLayer, page: PageData, single: bool) -> PageData:
    """What layer/layer.js has of a layer once the changes of a page are made."""
    if isinstance(layer, PoolLayer):
        return {"op": "pool", "single": single, **page}
    weights = layer.filter.weights
    return {
        "op": "conv",
        "single": single,
        "kernel": list(weights.shape[:2]),
        "maps": layer.filter.maps,
        "perChannel": layer.filter.per_channel,
        "groups": layer.groups,
        **page,
    }


Cases = list[tuple[Picture, ConvLayer | PoolLayer, PageData, list[int]]]


def random_cases() -> Cases:
    """300 layers of all kinds, with the settings that a page may choose."""
    rng = np.random.default_rng(15)
    cases: Cases = []

    def add(picture: Picture, changed: tuple[ConvLayer | PoolLayer, PageData]) -> None:
        at = [int(v) for v in rng.integers(0, 99, 2)]
        cases.append((picture, *changed, at))

    for picture, layer in CONV_PAGES.values():
        for _ in range(EACH["convolutions"]):
            add(picture, random_conv(rng, layer, picture.dtype))
    for dtype in ("uint8", "float64"):
        picture = random_picture((11, 12, 3), dtype)
        for _ in range(EACH["pools"]):
            add(picture, random_pool(rng))
    return cases


def test_300_random_layers_equal_the_core() -> None:
    cases = random_cases()
    assert len(cases) == 300
    results = compute(cases)
    fitting = 0
    for (picture, layer, _, at), found in zip(cases, results, strict=True):
        try:
            expected = forward(layer, picture.values())
        except CnnCliError:
            assert found is None
            continue
        fitting += 1
        channels, height, width = found["shape"]
        assert (height, width, channels) == expected.shape
        values = np.array([number(text) for text in found["values"]]).reshape(found["shape"])
        close(values.transpose(1, 2, 0), expected)
        steps = np.array([number(text) for text in found["steps"]])
        close(steps, expected[at[0] % height, at[1] % width])
    assert fitting > 200


def compute(cases: Cases) -> list[Any]:
    """Compute cases in one process of node."""
    records = [
        {
            "input": page_input(picture),
            "layer": page_layer(layer, page, picture.dtype == np.float32),
            "at": at,
        }
        for picture, layer, page, at in cases
    ]
    return run_alone(SCRIPTS, COMPUTE, records)


def close(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_first_of_equal_cells_wins(mode: str) -> None:
    picture = picture_of(np.ones((1, 4, 4, 1)))
    page = {"mode": mode, "kernel": [2, 2], "stride": [2, 2], "padding": "valid", "p": 2.0}
    page |= {"dilation": [1, 1], "ceil": False, "countIncludePad": False}
    record = {"input": page_input(picture), "layer": page_layer(PoolLayer(mode), page, False)}
    winner = "({ input, layer }) => new LayerArithmetic(input, layer).poolWindow(0, 1, 1)"
    (found,) = run_alone(SCRIPTS, winner, [record])
    assert (found["winner"], found["ties"], found["value"]) == (0, 4, 1)


@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
def test_borders_copy_the_cells_that_numpy_copies(mode: str) -> None:
    cells = [(cell, size) for size in (1, 2, 5) for cell in range(-7, size + 8)]
    source = f"([cell, size]) => borderSource(cell, size, '{mode}')"
    found = run_alone("arithmetic/layer.js", source, [list(pair) for pair in cells])
    for (cell, size), index in zip(cells, found, strict=True):
        if mode == "zeros":
            padded = np.pad(np.arange(size), 8, constant_values=-1)
        else:
            padded = np.pad(np.arange(size), 8, mode=mode)  # type: ignore[call-overload]
        assert index == padded[cell + 8], (cell, size)


def test_sizes_and_pads_are_those_of_the_core() -> None:
    settings = [
        [size, kernel, stride, dilation, lower]
        for size in (1, 4, 7, 12)
        for kernel in (1, 2, 3, 5)
        for stride in (1, 2, 3)
        for dilation in (1, 2)
        for lower in (False, True)
    ]
    source = "([size, kernel, stride, dilation, lower]) => "
    source += "samePads(size, kernel, stride, dilation, lower)"
    for (size, kernel, stride, dilation, lower), pads in zip(
        settings, run_alone("arithmetic/layer.js", source, settings), strict=True
    ):
        word = "same-lower" if lower else "same"
        window = place_window((size, size), kernel, stride, word, dilation)
        assert tuple(pads) == window.pads[0], (size, kernel, stride, dilation, word)
