"""Which outputs send gradient to an input value, against the layers' own backward passes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import conv_backward, conv_forward, pool_backward, pool_forward
from cnncli.errors import OptionError, ShapeError
from cnncli.explain.backward import BackwardExplanation, explain_backward
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import AddLayer, ConvLayer, Layer, PadLayer, PoolLayer
from tests.explain.test_forward import NAMES, PADS, POINTWISE, POOLS, subject_of
from tests.support.judges import distinct_values
from tests.support.sweep import sweep

RNG = np.random.default_rng(23)
SHAPE = (1, 5, 6, 4)


def everywhere(
    subject: ExplainedLayer, index: int | None = None
) -> list[tuple[tuple[int, int, int], BackwardExplanation]]:
    """Explain the gradient of every input value."""
    _, n_H, n_W, n_C = subject.inputs[0].shape
    places = product(range(n_H), range(n_W), range(n_C))
    return [((i, j, c), explain_backward(subject, (i, j), c, index)) for i, j, c in places]


@pytest.mark.parametrize(
    ("pads", "groups", "spacing", "dtype"),
    sweep(PADS, [1, 2], [(1, 1), ((2, 1), (1, 2)), (3, 2)], [np.float32, np.float64]),
)
def test_convolution(pads: dict[str, Any], groups: int, spacing: Any, dtype: Any) -> None:
    stride, dilation = spacing
    X = RNG.normal(size=SHAPE).astype(dtype)
    W = RNG.normal(size=(3, 2, SHAPE[3] // groups, 4)).astype(dtype)
    fields = {"stride": stride, "dilation": dilation, "groups": groups, **pads}
    layer = ConvLayer(
        from_array(W), None, stride, pads["pad"], dilation, groups,
        pads.get("pad_mode", "zeros"), pads.get("pad_value", 0.0),
    )  # fmt: skip
    Z, cache = conv_forward(X, W, np.zeros((1, 1, 1, 4), dtype), fields)
    for index in (None, 3):
        dZ = np.ones_like(Z)
        if index is not None:
            dZ[..., [c for c in range(4) if c != index]] = 0
        expected = conv_backward(dZ, cache)[0]
        for (i, j, c), explanation in everywhere(subject_of(layer, X), index):
            assert explanation.gradient == pytest.approx(expected[0, i, j, c], abs=1e-5)
            assert explanation.value == X[0, i, j, c]
            for path in explanation.paths:
                depth = SHAPE[3] // groups
                assert path.weight == W[*path.tap, c % depth, path.channel]
                assert path.upstream == 1


@pytest.mark.parametrize(
    "activation", ["relu", "leaky-relu", "sigmoid", "tanh", "abs", "softmax", "log-softmax"]
)
@pytest.mark.parametrize("index", [None, 1])
def test_activations_of_convolutions(activation: str, index: int | None) -> None:
    X, W = RNG.normal(size=(1, 5, 6, 2)), RNG.normal(size=(3, 3, 2, 3))
    layer = ConvLayer(from_array(W), RNG.normal(size=3), 2, "same", activation=activation)
    Y, cache = layer.forward(X)
    dY = np.ones_like(Y)
    if index is not None:
        dY[..., [c for c in range(3) if c != index]] = 0
    expected, _ = layer.backward(dY, cache)
    upstream: set[float] = set()
    for (i, j, c), explanation in everywhere(subject_of(layer, X), index):
        assert explanation.gradient == pytest.approx(expected[0, i, j, c], abs=1e-12)
        upstream |= {path.upstream for path in explanation.paths}
    assert upstream - {1.0}


def test_filters_of_two_axes() -> None:
    X = RNG.random((1, 5, 6, 3))
    layer = ConvLayer(load_filter("sobel_h"), padding=1, pad_mode="edge")
    Y, cache = layer.forward(X)
    expected, _ = layer.backward(np.ones_like(Y), cache)
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        assert explanation.gradient == pytest.approx(expected[0, i, j, c], abs=1e-6)
        assert {path.channel for path in explanation.paths} == {c}


@pytest.mark.parametrize(
    ("mode", "fields", "ties"),
    sweep(["max", "min", "average", "lp"], POOLS, [False, True], rounds=2),
)
def test_pools(mode: str, fields: dict[str, Any], ties: bool) -> None:
    X = distinct_values(RNG, 1, 7, 10, 2)
    if ties:
        X = RNG.integers(-2, 3, X.shape).astype(float)
    for p in (3.0, np.inf) if mode == "lp" else (2.0,):
        given = {**fields, "p": p}
        layer = PoolLayer(mode, **{NAMES.get(k, k): v for k, v in given.items()})
        A, cache = pool_forward(X, given, mode)
        expected = pool_backward(np.ones_like(A), cache, mode)
        for (i, j, c), explanation in everywhere(subject_of(layer, X)):
            assert explanation.gradient == pytest.approx(expected[0, i, j, c], abs=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode: str) -> None:
    X = RNG.random((1, 4, 5, 2))
    layer = PadLayer(((1, 2), (3, 0)), mode)
    Y, cache = layer.forward(X)
    expected, _ = layer.backward(np.ones_like(Y), cache)
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        assert explanation.gradient == expected[0, i, j, c]
        for path in explanation.paths:
            assert Y[0, *path.output, path.channel] == X[0, i, j, c]


@pytest.mark.parametrize(("layer", "_"), POINTWISE)
def test_layers_without_a_window(layer: Layer, _: Any) -> None:
    X = RNG.normal(size=(1, 3, 4, 4))
    Y, cache = layer.forward(X)
    for index in (None, 2):
        dY = np.ones_like(Y)
        if index is not None:
            dY[..., [0, 1, 3]] = 0
        expected, _ = layer.backward(dY, cache)
        assert not isinstance(expected, tuple)
        for (i, j, c), explanation in everywhere(subject_of(layer, X), index):
            assert explanation.gradient == pytest.approx(expected[0, i, j, c], abs=1e-12)


def test_values_that_no_window_reads() -> None:
    subject = subject_of(PoolLayer(size=2), np.ones((1, 5, 4, 1)))
    assert explain_backward(subject, (4, 0)).paths == ()
    assert explain_backward(subject, (4, 0)).gradient == 0


def test_refusals() -> None:
    X = np.ones((1, 5, 4, 1))
    with pytest.raises(OptionError, match="rows of the input are 0 to 4 and columns 0 to 3"):
        explain_backward(subject_of(PoolLayer(), X), (5, 0))
    with pytest.raises(ShapeError, match="--backward needs a layer of one input, it has several"):
        explain_backward(subject_of(AddLayer(), X, X), (0, 0))


def test_a_value_with_copies_without_end_is_refused() -> None:
    layer = ConvLayer(load_filter("edge"), padding=400, pad_mode="edge")
    explained = subject_of(layer, np.ones((1, 4, 4, 1)))
    with pytest.raises(ShapeError, match="at most 131,072 times, got 1,"):
        explain_backward(explained, (0, 0))
    assert len(explain_backward(explained, (1, 1)).paths) == 9
