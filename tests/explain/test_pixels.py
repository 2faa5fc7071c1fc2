"""pictures/pixels.js in node: pixels as cnncli reads them, and the dots of a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions, Sides
from tests.support.node import NODE, run_alone

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = ("arithmetic/activations.js", "pictures/pixels.js")
RNG = np.random.default_rng(15)

PLANES = """({ rgba, size, to, ...options }) =>
  picturePlanes({ rgba, size }, to, options).map((plane) => Array.from(plane))"""

EXACT = [((9, 13), (9, 13)), ((40, 30), (8, 8))]
OTHERS = [((7, 5), (16, 11)), ((33, 50), (20, 64)), ((5, 16), (8, 8)), ((100, 64), (10, 31))]


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_pixels_are_those_that_cnncli_reads(tmp_path: Path, fit: str) -> None:
    cases, expected = [], []
    for size, to in EXACT + OTHERS:
        rgb = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
        path = tmp_path / "photo.png"
        Image.fromarray(rgb).save(path)
        rgba = np.dstack([rgb, np.full(size, 255, np.uint8)]).ravel().tolist()
        for gray, bgr in ((False, False), (True, False), (False, True)):
            wanted: Sides = to
            options = ReadOptions(gray=gray, bgr=bgr, size=wanted, fit=fit)
            expected.append(read_image(path, options).values()[0])
            more = {"channels": 1 if gray else 3, "bgr": bgr, "fit": fit}
            cases.append({"rgba": rgba, "size": size, "to": to, **more})
    results = run_alone(SCRIPTS, PLANES, cases)
    for found, case, values in zip(results, cases, expected, strict=True):
        planes = np.float32(found).reshape(-1, *values.shape[:2]).transpose(1, 2, 0)
        # Pillow rounds to bytes between the axes, and may begin with the other one.
        assert np.abs(planes - values).max() <= 1.001 / 255
        if (case["size"], case["to"]) in EXACT:
            np.testing.assert_array_equal(planes, values)


def test_grey_pictures_stay_as_they_are(tmp_path: Path) -> None:
    levels = RNG.integers(0, 256, (6, 7)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    values = read_image(tmp_path / "grey.png", ReadOptions()).values()[0, :, :, 0]
    rgba = np.dstack([levels] * 3 + [np.full((6, 7), 255)]).ravel().tolist()
    case = {"rgba": rgba, "size": [6, 7], "to": [6, 7], "channels": 1}
    (found,) = run_alone(SCRIPTS, PLANES, [case])
    np.testing.assert_array_equal(np.float32(found[0]).reshape(6, 7), values)


def test_large_pictures_shrink_and_keep_their_shape() -> None:
    shrink = "([size, most]) => shrunkSize(size, most)"
    most = 512 * 512
    sizes = [[512, 512], [3000, 4000], [1, 2_000_000], [2_000_000, 1], [100, 40_000], [300, 451]]
    found = run_alone(SCRIPTS, shrink, [[size, most] for size in sizes])
    assert found[0] == sizes[0] and found[-1] == sizes[-1]
    for (height, width), (rows, cols) in zip(sizes, found, strict=True):
        assert 1 <= rows <= height and 1 <= cols <= width and rows * cols <= most
    assert found[1] == [443, 591]


DRAW = """({ size, planes, inks, strokes, cells, range }) => {
  const drawing = new Drawing(size, planes.map((plane) => Float32Array.from(plane)), inks, range);
  for (const [from, to, radius, ink] of strokes) drawing.stroke(from, to, radius, ink);
  for (const [row, col, ink] of cells) drawing.fill(row, col, ink);
  return drawing.planes.map((plane) => Array.from(plane));
}"""


def drawn(case: Any) -> np.ndarray[Any, Any]:
    """The same by counting: 4 x 4 dots a pixel, each at its middle, within a radius of a line."""
    height, width = case["size"]
    r, c = ((np.arange(4 * n) + 0.5) / 4 for n in (height, width))
    dots = np.stack(np.meshgrid(r, c, indexing="ij"), axis=-1)
    ink = np.zeros((4 * height, 4 * width), int)
    for start, end, radius, number in case["strokes"]:
        a, b = np.array(start), np.array(end)
        length = (b - a) @ (b - a)
        share = np.clip((dots - a) @ (b - a) / length, 0, 1) if length else np.zeros(ink.shape)
        distance = np.linalg.norm(dots - (a + share[..., None] * (b - a)), axis=-1)
        ink[distance <= radius] = number
    for row, col, number in case["cells"]:
        ink[4 * row : 4 * row + 4, 4 * col : 4 * col + 4] = number
    planes = []
    for k, plane in enumerate(case["planes"]):
        below = np.kron(np.reshape(plane, case["size"]), np.ones((4, 4)))
        values = np.choose(ink, [below, *(np.full(ink.shape, i[k]) for i in case["inks"])])
        means = values.reshape(height, 4, width, 4).mean(axis=(1, 3))
        touched = ink.reshape(height, 4, width, 4).any(axis=(1, 3))
        lo, hi = case["range"]["lo"], case["range"]["hi"]
        levels = lo + np.floor(255 * (means - lo) / (hi - lo) + 0.5) * (hi - lo) / 255
        planes.append(np.where(touched, levels, np.reshape(plane, case["size"])))
    return np.array(planes)


@pytest.mark.parametrize(("lo", "hi", "channels"), [(0.0, 1.0, 1), (0.0, 1.0, 3), (-2.0, 3.0, 1)])
def test_a_pixel_is_the_mean_of_its_dots(lo: float, hi: float, channels: int) -> None:
    cases: list[dict[str, Any]] = []
    for _ in range(8):
        size = [int(n) for n in RNG.integers(3, 12, 2)]
        ends = RNG.uniform(-1, 12, (5, 2, 2))
        strokes = [
            [*end.tolist(), float(RNG.uniform(0.3, 2)), int(ink)]
            for end, ink in zip(ends, RNG.integers(0, 3, 5), strict=True)
        ]
        # A click is a line from a place to itself.
        strokes.append([[1.5, 1.25], [1.5, 1.25], 0.75, 1])
        planes = np.float32(RNG.uniform(lo, hi, (channels, size[0] * size[1])))
        inks = [[hi] * channels, [lo] * channels]
        cells = [[1, 2, 1], [2, 0, 0]]
        more = {"inks": inks, "strokes": strokes, "cells": cells, "range": {"lo": lo, "hi": hi}}
        cases.append({"size": size, "planes": planes.tolist(), **more})
    for case, found in zip(cases, run_alone(SCRIPTS, DRAW, cases), strict=True):
        np.testing.assert_allclose(np.reshape(found, drawn(case).shape), drawn(case), atol=1e-6)
        assert not np.allclose(found, case["planes"])
