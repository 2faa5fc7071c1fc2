"""Trails: each value is the one whose weight times value is the largest of all that are read."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.text.trail import trail_lines
from cnncli.explain.trail import AT_THE_INPUT, Trail, TrailUnit, find_trail
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, input_groups
from cnncli.network.layers import (
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    DivLayer,
    Layer,
    MatMulLayer,
    MaxLayer,
    MergeLayer,
    MinLayer,
    MulLayer,
    PadChannelsLayer,
    PadLayer,
    PoolLayer,
    ScaleLayer,
    SoftmaxLayer,
    SubLayer,
)
from cnncli.network.layers.base import Pointwise
from cnncli.network.layers.norm import Normalization
from tests.network.test_toml_writer import LAYERS

RNG = np.random.default_rng(15)
SAME_CELL = (Pointwise, Normalization, SoftmaxLayer)


def alone(layer: Layer, X: Any) -> ExplainedLayer:
    groups = Network.chain(layer).groups(input_groups(X.shape[3]))
    (name,) = (name for name in groups if name != SOURCE)
    return ExplainedLayer("layer", layer, (array_input(X),), groups[name], X.dtype)


def second_of(one: ExplainedLayer, at: tuple[int, int], index: int) -> tuple[TrailUnit, Trail]:
    """The value that the trail goes to, and the trail."""
    trail = find_trail(lambda name: one, one.name, at, index)
    return trail.units[-1], trail


def by_gradient(layer: Any, X: Any, at: tuple[int, int], channel: int) -> Any:
    """Gradient times value of the layer on all of its input, without its activation."""
    if isinstance(layer, ConvLayer):
        layer = replace(layer, activation="none", alpha=None)
    Y, cache = layer.forward(X)
    dY = np.zeros_like(Y)
    dY[0, at[0], at[1], channel] = 1
    return (layer.backward(dY, cache)[0] * X)[0]


SUMS = {
    name: layer
    for name, layer in LAYERS.items()
    if isinstance(layer, PadChannelsLayer) or not isinstance(layer, SAME_CELL)
}


@pytest.mark.parametrize("name", SUMS)
def test_the_strongest_is_the_largest_of_gradient_times_value(name: str) -> None:
    layer, X = SUMS[name], np.random.default_rng(16).standard_normal((1, 9, 8, 3))
    one = alone(layer, X)
    _, n_H, n_W, _ = one.output_shape
    places = product(sorted({0, n_H // 2, n_H - 1}), sorted({0, n_W // 2, n_W - 1}))
    for at, index in product(places, {0, len(one.groups) - 1}):
        unit, trail = second_of(one, at, index)
        channel = trail.units[0].channel
        products = by_gradient(layer, X, at, channel)
        largest = np.abs(products).max()
        if len(trail.units) == 1:
            assert largest == 0 and trail.end.startswith("ends at layer: ")
            continue
        assert trail.end == AT_THE_INPUT and unit.contribution is not None
        place = unit.row, unit.column, unit.channel
        assert abs(unit.contribution) == pytest.approx(largest, rel=1e-5)
        assert unit.contribution == pytest.approx(products[place], rel=1e-5)
        assert unit.value == X[0][place]
        assert unit.weight is not None and unit.contribution == unit.weight * unit.value


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in SUMS])
def test_layers_of_single_values_lead_to_the_same_place(name: str) -> None:
    layer, X = LAYERS[name], np.random.default_rng(17).random((1, 9, 8, 3)) + 0.5
    one = alone(layer, X)
    unit, trail = second_of(one, (4, 6), 0)
    assert (unit.row, unit.column) == (4, 6) and unit.channel == trail.units[0].channel
    assert unit.value == X[0, 4, 6, unit.channel]
    assert abs(trail.units[0].value) == np.abs(one.output(4, 5)[0, 6]).max()
    if not isinstance(layer, (BatchNormLayer, Normalization)) and unit.weight is None:
        assert unit.contribution == pytest.approx(trail.units[0].value, rel=1e-5, abs=1e-9)
    else:
        assert unit.weight is not None and unit.contribution == unit.weight * unit.value


def test_of_a_scale_and_a_normalisation_the_offset_does_not_count() -> None:
    X = np.full((1, 1, 1, 1), 3.0)
    unit, _ = second_of(alone(ScaleLayer(np.array([2.0]), np.array([5.0])), X), (0, 0), 0)
    assert (unit.weight, unit.contribution) == (2.0, 6.0)
    gamma, beta, mean, var = (np.array([v]) for v in (2.0, 7.0, 1.0, 4.0))
    unit, trail = second_of(alone(BatchNormLayer(gamma, beta, mean, var, 1e-12), X), (0, 0), 0)
    assert (unit.weight, unit.contribution) == (pytest.approx(1.0), pytest.approx(3.0))
    assert trail.units[0].value == pytest.approx(9.0)


A, B = np.array([[-8.0, 1.0]]), np.array([[2.0, 4.0]])


@pytest.mark.parametrize(
    ("layer", "followed", "weights"),
    [
        (AddLayer(), "ab", (1.0, 1.0)),
        (SubLayer(), "ab", (1.0, -1.0)),
        (MulLayer(), "aa", (2.0, 4.0)),
        (DivLayer(), "aa", (0.5, 0.25)),
        (MaxLayer(), "bb", (1.0, 1.0)),
        (MinLayer(), "aa", (1.0, 1.0)),
    ],
)
def test_joins(layer: MergeLayer, followed: str, weights: tuple[float, float]) -> None:
    sources = tuple(array_input(X[None, :, :, None], name) for X, name in ((A, "a"), (B, "b")))
    groups = input_groups(1)
    layers = {
        "join": ExplainedLayer("join", layer, sources, groups, A.dtype),
        **{s.name: replace(alone(PadLayer(0), s.rows(0, 1)), name=s.name) for s in sources},
    }
    for column, name in enumerate(followed):
        trail = find_trail(layers.__getitem__, "join", (0, column))
        assert [unit.layer for unit in trail.units] == ["join", name, SOURCE]
        assert [unit.column for unit in trail.units] == [column] * 3
        assert trail.units[1].value == {"a": A, "b": B}[name][0, column]
        assert trail.units[1].weight == weights[column]


def test_products_of_matrices_follow_the_first_of_both() -> None:
    first, second = RNG.standard_normal((1, 2, 4, 3)), RNG.standard_normal((1, 2, 3, 5))
    sources = array_input(first), array_input(second)
    one = ExplainedLayer("m", MatMulLayer(), sources, input_groups(5), first.dtype)
    for row, column, channel in product(range(2), range(4), range(5)):
        unit, trail = second_of(one, (row, column), channel)
        assert trail.units[0].channel == channel
        products = first[0, row, column] * second[0, row, :, channel]
        best = int(np.abs(products).argmax())
        assert (unit.row, unit.column, unit.channel) == (row, column, best)
        assert (unit.weight, unit.contribution) == (second[0, row, best, channel], products[best])


def test_of_a_colour_map_the_strongest_channel_is_followed() -> None:
    X = np.array([[[[0.1, 0.9, 0.5]]]])
    unit, trail = second_of(alone(ConvLayer(load_filter("-2"), padding=0), X), (0, 0), 0)
    assert (trail.units[0].value, unit.channel, unit.contribution) == (-1.8, 1, -1.8)


def test_a_nan_is_followed_before_all_numbers() -> None:
    X = np.ones((1, 3, 3, 1))
    X[0, 2, 1] = np.nan
    unit, _ = second_of(alone(ConvLayer(load_filter("1 2 3; 4 5 6; 7 8 9")), X), (1, 1), 0)
    assert (unit.row, unit.column) == (2, 1)
    X[0, 0, 0] = -np.inf
    unit, _ = second_of(alone(PoolLayer("min", 3), np.nan_to_num(X, nan=1)), (0, 0), 0)
    assert (unit.row, unit.column) == (0, 0)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (PadLayer(1, "zeros", 0.5), "only a constant is behind this value"),
        (PoolLayer("max", 1, padding=1), "only a constant is behind this value"),
        (PadChannelsLayer(np.ones(1)), "only a constant is behind this value"),
        (
            ConvLayer(from_array(np.ones((2, 2, 1, 1))), np.ones(1)),
            "all that this value is made of contributes 0",
        ),
    ],
)
def test_where_nothing_contributes_the_trail_ends(layer: Layer, why: str) -> None:
    _, trail = second_of(alone(layer, np.zeros((1, 3, 3, 1))), (0, 0), 0)
    assert len(trail.units) == 1 and trail.end == f"ends at layer: {why}"


def test_long_names_lose_their_middle_and_numbers_stay() -> None:
    first = TrailUnit("encoder/blocks.3/convolution.output", "conv", 0, "12", 12, 3, 40, -1.25)
    pixel = TrailUnit(SOURCE, SOURCE, 0, "red", 0, 6, 80, 0.5, -2.5, -1.25)
    for width in (60, 72, 200):
        lines = trail_lines(Trail((first, pixel), AT_THE_INPUT), width)
        assert max(map(len, lines)) <= width and lines[-1] == AT_THE_INPUT
        assert lines[-4].split()[1:] == ["12", "3", "40", "-1.25"]
        assert lines[-3].split() == ["input", "red", "6", "80", "0.5", "-2.5", "-1.25"]
    assert first.layer in "".join(lines)


def test_a_contribution_of_the_other_sign_is_marked() -> None:
    units = [
        TrailUnit("fc", "dense", 0, "", 0, 0, 0, above, *given)
        for above, given in ((0.5, ()), (-2.0, (0.1, -0.2)), (-1.0, (3.0, -3.0)), (0.0, (0.0, 0.0)))
    ]
    lines = trail_lines(Trail(tuple(units), AT_THE_INPUT), 80)
    assert [line.endswith("-0.2  against") for line in lines[2:7]] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert lines[-2].startswith("against: ") and lines[-1] == AT_THE_INPUT
    assert not any("against" in line for line in trail_lines(Trail(tuple(units[2:]), "ends"), 80))
    assert all(len(line) <= 60 for line in trail_lines(Trail(tuple(units), AT_THE_INPUT), 60))
