"""Normalisations: by their formulas, large means, finite differences, strips, plan and explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from cnncli.network.graph import Network
from cnncli.network.layers import (
    GroupNormLayer,
    InstanceNormLayer,
    Layer,
    LayerNormLayer,
    LRNLayer,
    PoolLayer,
)
from cnncli.network.layers.base import STRIP_BYTES
from cnncli.network.passes import forward_layers
from tests.support.judges import check_gradients
from tests.support.shell import run_cli, save

RANDOM = np.random.default_rng(131)
X = RANDOM.standard_normal((2, 3, 4, 6))
GAMMA, BETA = RANDOM.standard_normal((2, 6))
ONE, NOTHING = np.ones(1), np.zeros(1)

OVER = {
    "instance": (1, 2),
    "channels": (3,),
    "columns": (2,),
    "columns and channels": (2, 3),
    "all": (1, 2, 3),
}
LAYERS: dict[str, Any] = {
    "instance": InstanceNormLayer(GAMMA, BETA, 1e-3),
    "channels": LayerNormLayer(GAMMA, BETA, epsilon=1e-3),
    "columns": LayerNormLayer(GAMMA, BETA, ("columns",), 1e-3),
    "columns and channels": LayerNormLayer(GAMMA, BETA, ("columns", "channels"), 1e-3),
    "all": LayerNormLayer(GAMMA, BETA, ("rows", "columns", "channels"), 1e-3),
    "groups": GroupNormLayer(3, GAMMA, BETA, 1e-3),
    "one number": InstanceNormLayer(np.array([2.0]), np.array([-1.0])),
    "lrn": LRNLayer(3, 0.5, 0.75, 2.0),
    "lrn of an even size": LRNLayer(4, 0.5, 0.75),
    "lrn wider than the maps": LRNLayer(99, 0.5, 0.75),
}


@pytest.mark.parametrize("name", OVER)
def test_it_is_its_formula(name: str) -> None:
    over = OVER[name]
    mean, var = X.mean(axis=over, keepdims=True), X.var(axis=over, keepdims=True)
    expected = GAMMA * (X - mean) / np.sqrt(var + 1e-3) + BETA
    np.testing.assert_allclose(LAYERS[name].forward(X)[0], expected, rtol=1e-12)


def test_groups_are_their_formula() -> None:
    Y = LAYERS["groups"].forward(X)[0]
    for first in (0, 2, 4):
        part = X[..., first : first + 2]
        mean, var = (f(axis=(1, 2, 3), keepdims=True) for f in (part.mean, part.var))
        normal = (part - mean) / np.sqrt(var + 1e-3)
        chosen = slice(first, first + 2)
        np.testing.assert_allclose(Y[..., chosen], GAMMA[chosen] * normal + BETA[chosen])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 99])
def test_lrn_is_its_formula(size: int) -> None:
    Y = LRNLayer(size, 0.5, 0.75, 2.0).forward(X)[0]
    for c in range(6):
        near = [k for k in range(6) if c - (size - 1) // 2 <= k <= c + size // 2]
        squares = sum(X[..., k] ** 2 for k in near)
        np.testing.assert_allclose(Y[..., c], X[..., c] / (2 + 0.5 / size * squares) ** 0.75)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name: str) -> None:
    check_gradients(LAYERS[name], X, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["instance", "groups", "all"])
def test_a_large_mean_costs_no_digits(name: str, dtype: str) -> None:
    rng = np.random.default_rng(132)
    # Sixteenths, so that the mean can be added without rounding.
    small = rng.integers(-32, 32, (1, 16, 16, 6)) / 16
    layer = LAYERS[name]
    expected = layer.forward(small)[0]
    found = layer.forward((small + 2.0**18).astype(dtype))[0]
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_strips_are_the_whole(name: str) -> None:
    layer: Layer = LAYERS[name]
    rows = 5 + STRIP_BYTES // (256 * 6 * 4)
    maps = np.random.default_rng(133).standard_normal((1, rows, 256, 6)).astype(np.float32)
    stage = layer.stage(maps.shape, maps.dtype)
    strips = [
        stage.read(lambda a, b: maps[:, a:b], first, min(first + stage.step, rows))
        for first in range(0, rows, stage.step)
    ]
    assert np.array_equal(np.concatenate(strips, axis=1), layer.forward(maps)[0])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (GroupNormLayer(4, ONE, NOTHING), "multiple of the groups, got 6/4"),
        (InstanceNormLayer(np.ones(5), NOTHING), "gamma must hold 1 value or 6"),
        (InstanceNormLayer(ONE, NOTHING, -1.0), "epsilon must be above 0"),
        (LayerNormLayer(ONE, NOTHING, ("rows", "rows")), "axes must be some of rows"),
        (LRNLayer(0), "size must be at least 1"),
        (LRNLayer(3, bias=0.0), "bias must be above 0"),
    ],
)
def test_what_does_not_fit_is_refused(layer: Layer, message: str) -> None:
    with pytest.raises(CnnCliError, match=message):
        layer.output_shape((1, 3, 4, 6))


def test_one_pixel_stays_finite() -> None:
    layer = InstanceNormLayer(ONE, NOTHING)
    ((_, Y),) = forward_layers(Network.chain(layer), np.full((1, 1, 1, 3), 7.0))
    assert not Y.any()
    assert PoolLayer("average", "global").forward(Y)[0].shape == (1, 1, 1, 3)


FILE = """
[[layers]]
type = "instance-norm"
gamma = [2.0, 1.0, 0.5]

[[layers]]
type = "lrn"
size = 3
alpha = 0.5

[[layers]]
type = "layer-norm"
"""


@pytest.mark.usefixtures("empty_folder")
def test_a_file_is_planned_and_explained() -> None:
    Path("net.toml").write_text(FILE)
    pixels = RANDOM.integers(0, 256, (5, 6, 3), np.uint8)
    save("photo.png", pixels)
    plan = run_cli("plan", "net.toml", "--input", "5x6x3").stdout
    for text in ("instance-norm", "lrn 3", "layer-norm over channels"):
        assert text in plan
    values = pixels / 255
    mean, deviation = values.mean(axis=(0, 1)), np.sqrt(values.var(axis=(0, 1)) + 1e-5)
    first = np.array([2, 1, 0.5]) * (values - mean) / deviation
    squares = np.stack(
        [(first[..., max(0, c - 1) : c + 2] ** 2).sum(axis=2) for c in range(3)], axis=2
    )
    second = first / (1 + 0.5 / 3 * squares) ** 0.75
    mean, var = second.mean(axis=2, keepdims=True), second.var(axis=2, keepdims=True)
    third = (second - mean) / np.sqrt(var + 1e-5)
    for name, expected in (("instance-norm1", first), ("lrn1", second), ("layer-norm1", third)):
        options = ("--layer", name, "--at", "1,2", "--json")
        done = json.loads(run_cli("explain", "net.toml", "photo.png", *options).stdout)
        found = [(step["value"], step["fast"]) for step in done["steps"]]
        assert len(found) == 3 and all(step["operands"] for step in done["steps"])
        np.testing.assert_allclose(found, expected[1, 2][:, None] * [1, 1], rtol=1e-4, atol=1e-6)
