"""arithmetic/transposed.js in node: random transposed convolutions against the layer itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.explain.page.layer_data import PageData, layer_settings
from cnncli.io.images import Picture
from cnncli.network.layers import ConvTransposeLayer
from tests.explain.test_arithmetic import close, page_input
from tests.support.browser import bank, number, random_picture
from tests.support.node import NODE, run_alone

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = ("arithmetic/layer.js", "arithmetic/transposed.js")
CASES = 300

COMPUTE = """({ input, layer, at }) => {
  const arithmetic = arithmeticOf(input, layer);
  if (!arithmetic.fits) return null;
  const indices = (count) => Array.from({ length: count }, (_, k) => k);
  const [height, width] = [arithmetic.window.rows.out, arithmetic.window.cols.out];
  const channels = indices(arithmetic.channels);
  const [rows, cols] = input.size.map(indices);
  const cells = rows.flatMap((row) => cols.map((col) => [row, col]));
  const sources = indices(input.channels);
  const shadows = channels.map((channel) => {
    const plane = new Array(height * width).fill(0);
    for (const source of sources) {
      for (const [row, col] of cells) {
        for (const one of arithmetic.spread(channel, source, row, col)?.cells ?? []) {
          if (!one.isCut) plane[one.row * width + one.col] += one.product;
        }
      }
    }
    return plane.map(String);
  });
  const step = (channel) => arithmetic.step(channel, at[0] % height, at[1] % width);
  return {
    shape: [channels.length, height, width],
    values: channels.map((k) =>
      Array.from(arithmetic.values(k, indices(height), indices(width)), String),
    ),
    steps: channels.map((k) => String(step(k).value)),
    shadows,
    gradients: sources.map((k) => cells.map(([row, col]) => arithmetic.inputGradient(k, row, col))),
    formulas: [arithmetic.window.rows, arithmetic.window.cols].map(transposedFormula),
  };
}"""
"""Every value of a layer, from the outputs' side and from the input cells', and its gradients."""


def random_layer(rng: np.random.Generator, groups: int, channels: int) -> ConvTransposeLayer:
    kernel = tuple(int(v) for v in rng.integers(1, 5, 2))
    out = int(rng.integers(1, 4))
    weights = bank((*kernel, out, channels), "float64")
    biases = (None, rng.normal(size=1), rng.normal(size=out * groups))
    pads = [int(pad) for pad in rng.integers(0, 4, 4)]
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
    return ConvTransposeLayer(
        weights,
        biases[rng.integers(3)],
        stride,
        ((pads[0], pads[1]), (pads[2], pads[3])),
        tuple(int(v) for v in rng.integers(0, 3, 2)),
        dilation,
        groups,
    )


def record(picture: Picture, layer: ConvTransposeLayer, at: list[int]) -> PageData:
    """A layer as its page has it, with its arrays as lists."""
    settings = layer_settings(layer, picture.shape, np.dtype(np.float64))
    settings |= {"weights": layer.as_convolution_weights().ravel().tolist(), "padValue": 0}
    settings["bias"] = [0.0] if layer.bias is None else layer.bias.tolist()
    return {"input": page_input(picture), "layer": settings, "at": at}


def test_300_random_transposed_convolutions_equal_the_layer() -> None:
    rng = np.random.default_rng(34)
    cases = []
    for _ in range(CASES):
        groups, each = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        height, width = (int(v) for v in rng.integers(1, 6, 2))
        picture = random_picture((height, width, groups * each), "float64")
        layer = random_layer(rng, groups, groups * each)
        cases.append((picture, layer, [int(v) for v in rng.integers(0, 99, 2)]))
    fitting = 0
    for (picture, layer, at), found in zip(
        cases, run_alone(SCRIPTS, COMPUTE, [record(*case) for case in cases]), strict=True
    ):
        try:
            layer.output_shape(picture.shape)
        except CnnCliError:
            assert found is None
            continue
        fitting += 1
        compare(picture, layer, at, found)
    assert fitting > 200


def compare(picture: Picture, layer: ConvTransposeLayer, at: list[int], found: Any) -> None:
    X = picture.values()
    expected, cache = layer.forward(X)
    channels, height, width = found["shape"]
    assert (1, height, width, channels) == expected.shape

    def numbers(texts: Any) -> Any:
        values = np.vectorize(number, otypes=[float])(np.array(texts, dtype=object))
        return values.reshape(found["shape"]).transpose(1, 2, 0)

    close(numbers(found["values"]), expected[0])
    steps = np.array([number(text) for text in found["steps"]])
    close(steps, expected[0, at[0] % height, at[1] % width])
    bias = np.zeros(1) if layer.bias is None else layer.bias
    close(numbers(found["shadows"]) + bias, expected[0])
    dX, _ = layer.backward(np.ones_like(expected), cache)
    gradients = np.array(found["gradients"]).reshape(X.shape[3], *X.shape[1:3])
    close(gradients.transpose(1, 2, 0), dX[0])
    for text, formula in zip(found["formulas"], layer.formulas(picture.shape), strict=True):
        assert text.rpartition("= ")[2] == formula.rpartition("= ")[2]


def test_what_the_page_has_no_pixels_for_is_not_known() -> None:
    layer = ConvTransposeLayer(bank((3, 3, 1, 1)), stride=2)
    whole = record(random_picture((6, 5, 1), "float64"), layer, [0, 0])
    part = {**whole["input"], "rows": [2, 5], "planes": [whole["input"]["planes"][0][10:25]]}
    known = """({ input, layer }) => {
      const arithmetic = arithmeticOf(input, layer);
      const all = (count) => Array.from({ length: count }, (_, k) => k);
      const { rows, cols } = arithmetic.window;
      return Array.from(arithmetic.values(0, all(rows.out), all(cols.out)), String);
    }"""
    both = [whole, {**whole, "input": part}]
    full, cropped = (
        np.array([number(text.replace("NaN", "nan")) for text in texts]).reshape(13, 11)
        for texts in run_alone(SCRIPTS, known, both)
    )
    # Outputs 4 to 9: what cells 1 and 5 add to as well, 4 and 10, needs cells that are not here.
    assert np.isfinite(cropped).all(axis=1).tolist() == [4 < row < 10 for row in range(13)]
    close(cropped[5:10], full[5:10])
