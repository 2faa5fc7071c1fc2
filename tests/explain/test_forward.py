"""Explanations of single outputs against loops over all windows, and against the fast paths."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import conv_forward, pool_forward
from cnncli.core.activations import ACTIVATIONS
from cnncli.errors import OptionError
from cnncli.explain.explained_layer import (
    ExplainedLayer,
    array_input,
    find_index,
    strongest_output,
)
from cnncli.explain.forward import explain
from cnncli.explain.model import Explanation, Step
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    DivLayer,
    Layer,
    MaxLayer,
    MergeLayer,
    MinLayer,
    MulLayer,
    PadLayer,
    PoolLayer,
    QuotientLayer,
    ScaleLayer,
    SoftmaxLayer,
    SubLayer,
)
from cnncli.render.options import MapGroup
from tests.support.judges import axis_windows, loop_conv_forward, loop_pool_forward, pad_with_numpy
from tests.support.sweep import sweep

RNG = np.random.default_rng(7)
SHAPE = (1, 6, 7, 4)


def subject_of(layer: Layer | MergeLayer, *arrays: np.ndarray) -> ExplainedLayer:
    """Return a layer on arrays, each channel of its output a map of its own."""
    inputs = tuple(array_input(X, f"input{k}") for k, X in enumerate(arrays))
    maps = layer.output_shape(*(X.shape for X in arrays))[3]
    groups = tuple(MapGroup(f"m{c}", (c,)) for c in range(maps))
    return ExplainedLayer("it", layer, inputs, groups, arrays[0].dtype)


def everywhere(subject: ExplainedLayer) -> list[tuple[tuple[int, int, int], Explanation]]:
    """Explain every output value."""
    _, n_H, n_W, n_C = subject.output_shape
    places = product(range(n_H), range(n_W), range(n_C))
    return [((i, j, c), explain(subject, (i, j), c)) for i, j, c in places]


def step_of(explanation: Explanation) -> Step:
    (step,) = explanation.steps
    return step


PADS: list[dict[str, Any]] = [
    {"pad": "valid"},
    {"pad": "same"},
    {"pad": ((2, 0), (1, 3)), "pad_value": -0.5},
    *({"pad": 2, "pad_mode": mode} for mode in ("edge", "reflect", "symmetric", "wrap")),
]
SPACINGS: list[Any] = [(1, 1), ((2, 1), 1), (2, (1, 2)), ((1, 3), 2)]
"""Strides and dilations."""


@pytest.mark.parametrize(
    ("pads", "groups", "spacing", "dtype"),
    sweep(PADS, [1, 2, 4], SPACINGS, [np.float32, np.float64]),
)
def test_convolution(pads: dict[str, Any], groups: int, spacing: Any, dtype: Any) -> None:
    stride, dilation = spacing
    X = RNG.normal(size=SHAPE).astype(dtype)
    W = RNG.normal(size=(3, 2, SHAPE[3] // groups, 8)).astype(dtype)
    b = RNG.normal(size=8).astype(dtype)
    fields = {"stride": stride, "dilation": dilation, "groups": groups, **pads}
    layer = ConvLayer(
        from_array(W), b, stride, pads["pad"], dilation, groups,
        pads.get("pad_mode", "zeros"), pads.get("pad_value", 0.0),
    )  # fmt: skip
    bias = b.reshape(1, 1, 1, -1)
    judge = loop_conv_forward(X, W, bias, fields)
    Z, _ = conv_forward(X, W, bias, fields)
    rows, row_pads = axis_windows(SHAPE[1], 3, 0, fields)
    cols, col_pads = axis_windows(SHAPE[2], 2, 1, fields)
    padded = pad_with_numpy(X, (row_pads, col_pads), fields)[0]
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        step = step_of(explanation)
        assert step.value == judge[0, i, j, c]
        assert step.fast == Z[0, i, j, c]
        assert step.difference == step.fast - step.value
        depth = SHAPE[3] // groups
        first = c // (8 // groups) * depth
        assert [block.channel for block in step.blocks] == list(range(first, first + depth))
        for k, block in enumerate(step.blocks):
            assert np.array_equal(block.window, padded[np.ix_(rows[i], cols[j])][..., first + k])
            assert block.weights is not None and block.products is not None
            assert np.array_equal(block.weights, W[:, :, k, c])
            assert np.array_equal(
                block.products, block.window.astype(float) * block.weights.astype(float)
            )
            assert block.sum == pytest.approx(block.products.sum(), abs=1e-12)
        sums = sum(block.sum for block in step.blocks)
        assert step.total == pytest.approx(sums + float(b[c]), abs=1e-12)
        inside = np.logical_and.outer(
            (rows[i] >= row_pads[0]) & (rows[i] < row_pads[0] + SHAPE[1]),
            (cols[j] >= col_pads[0]) & (cols[j] < col_pads[0] + SHAPE[2]),
        )
        assert np.array_equal(explanation.padding, ~inside)


def test_filters_of_two_axes_work_on_each_channel() -> None:
    X = RNG.random((1, 5, 6, 3))
    bank = from_array(RNG.normal(size=(3, 3, 1, 2)))
    weights = RNG.normal(size=(3, 3, 2))
    layer = ConvLayer(
        type(bank)("two", weights, True, ("a", "b")), np.array([0.5, -0.5]), activation="tanh"
    )
    subject = subject_of(layer, X)
    for (i, j, c), explanation in everywhere(subject):
        kernel, channel = divmod(c, 3)
        Z = loop_conv_forward(
            X[..., [channel]], weights[:, :, None, [kernel]],
            np.array([0.5, -0.5])[None, None, None, [kernel]], {"pad": "same", "pad_mode": "edge"},
        )  # fmt: skip
        step = step_of(explanation)
        assert [block.channel for block in step.blocks] == [channel]
        assert step.value == pytest.approx(np.tanh(Z[0, i, j, 0]), abs=1e-12)
        assert step.fast == pytest.approx(step.value, abs=1e-12)


def test_a_colour_map_has_three_steps() -> None:
    X = RNG.random((1, 5, 6, 3))
    layer = ConvLayer(load_filter("edge"))
    subject = ExplainedLayer(
        "it", layer, (array_input(X),), (MapGroup("edge", (0, 1, 2)),), np.dtype(float)
    )
    explanation = explain(subject, (2, 3))
    assert [step.name for step in explanation.steps] == ["edge-red", "edge-green", "edge-blue"]
    judge = loop_conv_forward(X[..., [1]], layer.filter.weights[..., None], np.zeros((1, 1, 1, 1)),
                              {"pad": "same"})  # fmt: skip
    assert explanation.steps[1].value == judge[0, 2, 3, 0]


POOLS: list[dict[str, Any]] = [
    {"f": 2},
    {"f": 3, "stride": 2, "pad": 1},
    {"f": (2, 3), "stride": (1, 2), "pad": ((1, 0), (0, 2)), "ceil": True},
    {"f": 3, "stride": 3, "pad": 1, "ceil": True, "count_include_pad": True},
    {"f": 2, "stride": 1, "dilation": (2, 3), "pad": "same"},
    {"f": "global"},
]
NAMES = {"f": "size", "pad": "padding"}


@pytest.mark.parametrize(
    ("fields", "mode", "dtype"),
    sweep(POOLS, ["max", "min", "average", "lp"], [np.float32, np.float64], rounds=2),
)
def test_pools(mode: str, fields: dict[str, Any], dtype: Any) -> None:
    # Few values: many ties.
    X = RNG.integers(-2, 3, (1, 7, 10, 2)).astype(dtype)
    layer = PoolLayer(mode, p=3.0, **{NAMES.get(k, k): v for k, v in fields.items()})
    judge = loop_pool_forward(X.astype(float), {**fields, "p": 3.0}, mode)
    fast, _ = pool_forward(X, {**fields, "p": 3.0}, mode)
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        step = step_of(explanation)
        (block,) = step.blocks
        assert step.value == pytest.approx(judge[0, i, j, c], abs=1e-9)
        assert step.fast == fast[0, i, j, c]
        met = block.window[~explanation.padding]
        if mode in ("max", "min"):
            assert block.winner is not None and block.winner.sum() == 1
            best = met.max() if mode == "max" else met.min()
            assert block.window[block.winner] == best
            assert block.ties == np.count_nonzero(met == best)
            # The first in row-major order.
            assert block.winner.argmax() == (
                ((block.window == best) & ~explanation.padding).argmax()
            )
        elif mode == "average":
            assert step.divisor is not None
            assert block.sum == met.sum()
            assert block.sum / step.divisor == pytest.approx(judge[0, i, j, c], abs=1e-12)


def test_windows_of_padding_only() -> None:
    X = RNG.random((1, 4, 4, 1))
    for mode, value in {"max": -np.inf, "min": np.inf, "average": 0.0, "lp": 0.0}.items():
        layer = PoolLayer(mode, size=2, stride=1, padding=2)
        explanation = explain(subject_of(layer, X), (0, 0))
        assert explanation.padding.all()
        assert step_of(explanation).value == step_of(explanation).fast == value
        assert step_of(explanation).difference == 0
        assert step_of(explanation).blocks[0].ties == 0


def test_not_a_number_wins_and_infinities_stay() -> None:
    X = np.array([[np.nan, 1.0, np.inf, 2.0]]).reshape(1, 1, 4, 1)
    pool = subject_of(PoolLayer(size=(1, 2)), X)
    first, second = (step_of(explain(pool, (0, j))) for j in (0, 1))
    assert np.isnan(first.value) and first.blocks[0].winner.tolist() == [[True, False]]
    assert first.difference == 0 and second.value == np.inf and second.difference == 0
    conv = subject_of(ConvLayer(load_filter("0 1"), padding="valid"), X)
    assert np.isnan(step_of(explain(conv, (0, 0))).blocks[0].products[0, 0])


@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
def test_borders(mode: str) -> None:
    X = RNG.random((1, 4, 5, 2))
    layer = PadLayer(((1, 2), (3, 0)), mode, 0.25 if mode == "zeros" else 0.0)
    judge = pad_with_numpy(X, ((1, 2), (3, 0)), {"pad_mode": mode, "pad_value": 0.25})
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        assert step_of(explanation).value == step_of(explanation).fast == judge[0, i, j, c]
        assert explanation.axes is not None and explanation.axes[0].cells == (i - 1,)
        (row,), (col,) = (axis.sources for axis in explanation.axes)
        if row is not None and col is not None:
            assert X[0, row, col, c] == judge[0, i, j, c]


PER_CHANNEL = {name: RNG.random(4) + 0.5 for name in ("gamma", "beta", "mean", "var")}


@pytest.mark.parametrize("activation", ["none", "relu", "leaky-relu", "sigmoid", "tanh", "abs",
                                        "softmax", "prelu"])  # fmt: skip
def test_activations_of_convolutions(activation: str) -> None:
    X, W = RNG.normal(size=(1, 4, 5, 2)), RNG.normal(size=(3, 3, 2, 4))
    alpha = np.array([0.1, 0.2, 0.3, 0.4]) if activation == "prelu" else None
    layer = ConvLayer(from_array(W), activation=activation, alpha=alpha)
    Z = loop_conv_forward(X, W, np.zeros((1, 1, 1, 4)), {"pad": "same"})
    expected = {
        "none": Z,
        "relu": np.maximum(Z, 0),
        "leaky-relu": np.where(Z > 0, Z, 0.01 * Z),
        "sigmoid": 1 / (1 + np.exp(-Z)),
        "tanh": np.tanh(Z),
        "abs": np.abs(Z),
        "softmax": np.exp(Z) / np.exp(Z).sum(axis=3, keepdims=True),
        "prelu": np.where(Z > 0, Z, Z * (0 if alpha is None else alpha)),
    }[activation]
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        step = step_of(explanation)
        assert step.total == pytest.approx(Z[0, i, j, c], abs=1e-12)
        assert step.value == pytest.approx(expected[0, i, j, c], abs=1e-12)
        assert step.fast == pytest.approx(expected[0, i, j, c], abs=1e-12)
        assert activation == "none" or step.operands[0][1] == step.total


POINTWISE: list[Any] = [
    *(
        (ActivationLayer(name), ())
        for name, made in ACTIVATIONS.items()
        if name not in ("log", "sqrt") and None not in made.settings.values()
    ),
    (ActivationLayer("pow", alpha=np.array([2.0])), ()),
    (ActivationLayer("clip", low=-0.2, high=0.4), ()),
    (ActivationLayer("prelu", alpha=np.array([0.1, 0.2, 0.3, 0.4])), ()),
    (ActivationLayer("hard-sigmoid", beta=0.4), ()),
    (ScaleLayer(np.array([2.0]), np.array([0.5, 0.25, 0.125, 1.0])), ()),
    (BatchNormLayer(**PER_CHANNEL), ()),
    (ActivationLayer("truncate"), ()),
    (ScaleLayer(np.array([10.0]), np.array([0.5]), whole=True), ()),
    (QuotientLayer(np.array([0.25])), ()),
]
FORMULAS = {
    "trunc": np.trunc, "round": np.rint,
    "exp": np.exp, "log": np.log, "erf": math.erf, "erfc": math.erfc, "pi": np.pi,
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "abs": abs,
    "sqrt": np.sqrt, "max": max, "min": min, "tanh": np.tanh, "__builtins__": {},
}  # fmt: skip


@pytest.mark.parametrize(("layer", "_"), POINTWISE)
def test_formulas_give_the_value(layer: Layer, _: Any) -> None:
    """The words are Python but for `if ... else`, so they can be held to what they say."""
    X = RNG.normal(size=(1, 3, 4, 4))
    expected = layer.forward(X)[0]
    for (i, j, c), explanation in everywhere(subject_of(layer, X)):
        step = step_of(explanation)
        assert step.value == pytest.approx(expected[0, i, j, c], abs=1e-12)
        assert step.difference == pytest.approx(0, abs=1e-12)
        names = dict(step.operands)
        formula = step.formula.replace(", else", " else").replace("|z|", "abs(z)")
        assert eval(formula, dict(FORMULAS), names) == pytest.approx(step.value, abs=1e-12)


def test_joins() -> None:
    X, Y, one = RNG.normal(size=(1, 3, 4, 2)), RNG.normal(size=(1, 3, 4, 2)), np.ones((1, 1, 1, 2))
    one *= 1.5
    for layer, arrays, expected in [
        (AddLayer(), (X, Y, one), X + Y + one),
        (MulLayer(), (one, X), one * X),
        (SubLayer(), (one, X), one - X),
        (MulLayer(), (X, Y[..., :1]), X * Y[..., :1]),
        (SubLayer(), (Y[:, :1], X[:, :, :1]), Y[:, :1] - X[:, :, :1]),
        (DivLayer(), (X, one), X / one),
        (MaxLayer(), (X, Y, one), np.maximum(np.maximum(X, Y), one)),
        (MinLayer(), (X, Y), np.minimum(X, Y)),
        (ConcatLayer("rows"), (X, Y[:, :2]), np.concatenate([X, Y[:, :2]], axis=1)),
        (ConcatLayer("columns"), (X, Y), np.concatenate([X, Y], axis=2)),
        (ConcatLayer(), (X, Y[..., :1]), np.concatenate([X, Y[..., :1]], axis=3)),
    ]:
        for (i, j, c), explanation in everywhere(subject_of(layer, *arrays)):
            step = step_of(explanation)
            assert step.value == step.fast == expected[0, i, j, c]
            assert explanation.axes is None and explanation.padding.shape == (0, 0)
            assert explanation.inputs == tuple(f"input{k}" for k in range(len(arrays)))
    assert step.operands[0][0] == "input1" and step.formula == "channel 0 of input1"


@pytest.mark.parametrize("at", [(-1, 0), (6, 0), (0, 7), (0, -1)])
def test_places_outside(at: tuple[int, int]) -> None:
    subject = subject_of(PadLayer(0), np.zeros(SHAPE))
    with pytest.raises(OptionError, match="rows of the output are 0 to 5 and columns 0 to 6"):
        explain(subject, at)


def test_the_chosen_place_is_the_strongest_of_the_middle() -> None:
    X = np.zeros((1, 40, 60, 1))
    X[0, 2, 2], X[0, 15, 44], X[0, 25, 20] = 9, -3, 2
    assert strongest_output(subject_of(PadLayer(0), X), 0)[:2] == (0, (15, 44))
    assert strongest_output(subject_of(PadLayer(0), np.full((1, 1, 1, 1), np.nan)))[:2] == (
        0,
        (0, 0),
    )


def test_of_shares_the_one_that_stands_out_is_chosen() -> None:
    scores = np.full((1, 12, 12, 2), -3.0)
    scores[..., 0] = 3
    scores[0, 1, 10] = 0, 2
    for layer in (ActivationLayer("softmax"), SoftmaxLayer()):
        assert strongest_output(subject_of(layer, scores))[:2] == (1, (1, 10))
    # Of one row and column it is the largest value, and logarithms are no shares.
    assert strongest_output(subject_of(SoftmaxLayer(), scores[:, :1, :1]))[:2] == (0, (0, 0))
    assert not subject_of(SoftmaxLayer(log=True), scores).is_shares


def test_an_index_is_an_index_though_a_name_is_the_same_number() -> None:
    assert [find_index("--map", text, ["2", "0", "7"]) for text in ("0", "2", "7")] == [0, 2, 2]
    for text in ("3", "9" * 5000):
        with pytest.raises(OptionError, match="maps are 0 to 2"):
            find_index("--map", text, ["2", "0", "7"])
