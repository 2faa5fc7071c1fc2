"""learning/gradient_descent.js in node, step by step, against a training loop over the core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from cnncli.core.activations import get_activation
from cnncli.core.arrays import FloatArray
from cnncli.core.conv import conv_backward, conv_forward
from cnncli.explain.page.layer_data import PageData
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.layers import ConvLayer
from tests.explain.test_arithmetic import page_input, page_layer
from tests.support.browser import CHELSEA, bank, random_picture
from tests.support.node import NODE, run_alone
from tests.support.page_layers import two_filters

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (
    "arithmetic/layer.js",
    "arithmetic/backward.js",
    "quiz/questions.js",
    "learning/gradient_descent.js",
)
STEPS = 20
TOLERANCE = 1e-5

LEARN = """({ input, layer, target, channels, rows, cols, update, steps }) => {
  const wanted = new LayerArithmetic(input, target);
  const targets = channels.map((channel) => wanted.values(channel, rows, cols));
  const task = { channels, rows, cols, targets };
  const learner = new Learner(new LayerArithmetic(input, layer), task);
  const told = [];
  for (let step = 0; step <= steps; step += 1) {
    const { weights: W, bias: b } = learner.layer;
    const { weights: dW, bias: db } = learner.pass.parameters;
    told.push({ loss: learner.loss, W, b, dW: Array.from(dW), db: Array.from(db) });
    learner.step(update);
  }
  return told;
}"""
"""Loss, weights, bias and gradients at the start and after each step."""


@dataclass
class Case:
    """A layer that learns what another one with the same settings makes of a picture."""

    picture: Picture
    layer: ConvLayer
    target: ConvLayer
    channels: list[int]
    rate: float
    momentum: float = 0.0
    crop: int = 0


def settings_of(layer: ConvLayer) -> dict[str, Any]:
    fields = {name: getattr(layer, name) for name in ("stride", "dilation", "pad_value", "groups")}
    return {**fields, "pad": layer.padding, "pad_mode": layer.border_mode}


def per_map(layer: ConvLayer, X: FloatArray, W: FloatArray, b: FloatArray) -> tuple[Any, ...]:
    """Call the core: Z (m, n_H, n_W, n_C), and the cache. Filters of one slice see each channel."""
    if not layer.filter.per_channel:
        return conv_forward(X, W, b.reshape(1, 1, 1, -1), settings_of(layer))
    planes = X.transpose(3, 1, 2, 0)
    Z, cache = conv_forward(planes, W[:, :, None, :], b.reshape(1, 1, 1, -1), settings_of(layer))
    # Filter k of channel c is output k * n_C_prev + c.
    return Z.transpose(1, 2, 3, 0).reshape(1, *Z.shape[1:3], -1), cache


def core_steps(case: Case) -> Iterator[dict[str, Any]]:
    """The training loop: forward, loss, dZ, backward, update."""
    layer, X = case.layer, case.picture.values().astype(np.float64)
    activation = get_activation(layer.activation)
    (W, b), (W_target, b_target) = ((one.filter.weights, one.bias) for one in (layer, case.target))
    assert b is not None and b_target is not None
    T = activation.forward(per_map(layer, X, W_target, b_target)[0])
    counts = np.zeros(T.shape, bool)
    rows, cols = (slice(case.crop, size - case.crop) for size in T.shape[1:3])
    counts[:, rows, cols, case.channels] = True
    V_W, V_b = np.zeros_like(W), np.zeros_like(b)
    for _ in range(STEPS + 1):
        Z, cache = per_map(layer, X, W, b)
        A = activation.forward(Z)
        loss = ((A - T)[counts] ** 2).mean()
        dA = np.where(counts, 2 * (A - T) / counts.sum(), 0)
        dZ = activation.backward(dA, Z, A)
        if layer.filter.per_channel:
            planes = dZ.reshape(*dZ.shape[1:3], layer.filter.maps, -1)
            _, dW, db = conv_backward(planes.transpose(3, 0, 1, 2), cache)
            dW = dW[:, :, 0]
        else:
            _, dW, db = conv_backward(dZ, cache)
        yield {"loss": loss, "W": W, "b": b, "dW": dW, "db": db.ravel()}
        V_W, V_b = case.momentum * V_W + dW, case.momentum * V_b + db.ravel()
        W, b = W - case.rate * V_W, b - case.rate * V_b


def record(case: Case) -> dict[str, Any]:
    """What LEARN takes."""
    X = case.picture.values()
    _, height, width, _ = case.layer.output_shape(X.shape)
    indices = [list(range(case.crop, size - case.crop)) for size in (height, width)]
    layers = [page_fields(one) for one in (case.layer, case.target)]
    return {
        "input": page_input(case.picture),
        "layer": layers[0],
        "target": layers[1],
        "channels": case.channels,
        "rows": indices[0],
        "cols": indices[1],
        "update": {"rate": case.rate, "momentum": case.momentum},
        "steps": STEPS,
    }


def page_fields(layer: ConvLayer) -> PageData:
    assert layer.bias is not None
    pads = layer.padding
    fields = {
        "stride": list(np.broadcast_to(layer.stride, 2).tolist()),
        "dilation": list(np.broadcast_to(layer.dilation, 2).tolist()),
        "padding": pads if isinstance(pads, str) else np.ravel(pads).tolist(),  # type: ignore[arg-type]
        "padMode": layer.border_mode,
        "padValue": layer.pad_value,
        "activation": layer.activation,
        "weights": layer.filter.weights.ravel().tolist(),
        "bias": layer.bias.tolist(),
    }
    return page_layer(layer, fields, single=False)


def one_slice(rows: int, cols: int) -> Filter:
    return Filter("one", bank((rows, cols, 1, 1), "float64").weights[..., 0], True, ("",))


def case_of(
    filter_: Filter,
    shape: tuple[int, int, int],
    channels: list[int],
    rate: float,
    momentum: float = 0.0,
    crop: int = 0,
    shared_bias: bool = False,
    **settings: Any,
) -> Case:
    rng = np.random.default_rng(len(channels))
    count = 1 if shared_bias else filter_.maps
    layers = []
    for _ in range(2):
        weights = rng.normal(size=filter_.weights.shape) / np.sqrt(filter_.weights[..., 0].size)
        bias = rng.uniform(0.1, 0.6, size=count)
        layers.append(ConvLayer(replace(filter_, weights=weights), bias, **settings))
    picture = random_picture(shape)
    return Case(picture, layers[0], layers[1], channels, rate, momentum, crop)


CASES = {
    "grey": case_of(one_slice(3, 3), (12, 14, 1), [0], 0.2),
    "colour": case_of(one_slice(3, 3), (9, 10, 3), [0, 1, 2], 0.2, momentum=0.9),
    "5x3, stride 2": case_of(one_slice(5, 3), (13, 12, 1), [0], 0.1, stride=2),
    "dilation": case_of(
        one_slice(3, 2), (13, 12, 1), [0], 0.1, 0.5, dilation=(2, 3), padding="valid"
    ),
    "reflect, relu": case_of(
        one_slice(3, 3), (12, 14, 1), [0], 0.2, pad_mode="reflect", activation="relu"
    ),
    "edge, tanh": case_of(
        one_slice(4, 4), (12, 14, 1), [0], 0.2, pad_mode="edge", activation="tanh"
    ),
    "wrap, sigmoid": case_of(
        one_slice(3, 3), (12, 14, 1), [0], 2.0, 0.9, pad_mode="wrap", activation="sigmoid"
    ),
    "symmetric, leaky-relu": case_of(
        one_slice(3, 3),
        (12, 14, 1),
        [0],
        0.2,
        pad_mode="symmetric",
        padding=((3, 1), (0, 2)),
        activation="leaky-relu",
    ),
    "padding of 0.5, abs, a part of the outputs": case_of(
        one_slice(3, 3),
        (12, 14, 1),
        [0],
        0.1,
        crop=2,
        pad_mode="zeros",
        pad_value=0.5,
        activation="abs",
    ),
    "one of two 2-D filters": case_of(two_filters(), (9, 12, 3), [3, 4, 5], 0.2, stride=(1, 2)),
    "a bank": case_of(bank((3, 2, 3, 4), "float64"), (12, 10, 3), [0, 1, 2, 3], 0.2, 0.9),
    "one map of a bank, one bias": case_of(
        bank((3, 2, 3, 4), "float64"), (12, 10, 3), [2], 0.1, shared_bias=True
    ),
    "groups": case_of(
        bank((3, 3, 2, 6), "float64"), (10, 9, 4), [1, 4], 0.1, groups=2, activation="tanh"
    ),
}


@pytest.fixture(scope="module")
def learned() -> dict[str, list[dict[str, Any]]]:
    """Every case, in one process of node."""
    told = run_alone(SCRIPTS, LEARN, [record(case) for case in CASES.values()])
    return dict(zip(CASES, told, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_each_step_is_that_of_the_core(name: str, learned: dict[str, list[dict[str, Any]]]) -> None:
    expected = list(core_steps(CASES[name]))
    assert len(learned[name]) == len(expected) == STEPS + 1
    assert expected[-1]["loss"] < 0.7 * expected[0]["loss"]
    for found, wanted in zip(learned[name], expected, strict=True):
        assert found["loss"] == pytest.approx(wanted["loss"], rel=TOLERANCE)
        for part in ("W", "b", "dW", "db"):
            scale = float(np.abs(wanted[part]).max())
            close = np.abs(np.array(found[part]) - wanted[part].ravel()) <= TOLERANCE * scale
            assert close.all(), (part, found[part], wanted[part])


CURVATURE = """({ input, layer, channels, rows, cols }) => {
  const targets = channels.map(() => []);
  const arithmetic = new LayerArithmetic(input, layer);
  return largestCurvature(arithmetic, { channels, rows, cols, targets });
}"""


def core_curvature(case: Case) -> float:
    """The largest eigenvalue of the second derivatives, column by column by the core."""
    layer, X = case.layer, case.picture.values().astype(np.float64)
    count = layer.filter.weights.size
    columns = []
    for k in range(count + layer.filter.maps):
        unit = np.eye(count + layer.filter.maps)[k]
        W, b = unit[:count].reshape(layer.filter.weights.shape), unit[count:]
        Z, cache = conv_forward(X, W, b.reshape(1, 1, 1, -1), settings_of(layer))
        _, dW, db = conv_backward(2 * Z / Z.size, cache)
        columns.append(np.concatenate([dW.ravel(), db.ravel()]))
    return float(np.linalg.eigvalsh(np.array(columns))[-1])


def curved_cases() -> list[Case]:
    return [
        case_of(bank(shape, "float64"), size, list(range(shape[3])), 0.1, **settings)
        for shape, size, settings in [
            ((3, 3, 1, 1), (40, 50, 1), {}),
            ((5, 3, 3, 2), (20, 30, 3), {"stride": 2}),
            ((2, 2, 1, 1), (150, 160, 1), {"dilation": 2, "activation": "tanh"}),
        ]
    ]


def test_the_curvature_is_the_largest_eigenvalue() -> None:
    cases = curved_cases()
    found = run_alone(SCRIPTS, CURVATURE, [record(case) for case in cases])
    for case, curvature in zip(cases, found, strict=True):
        # Of large pictures a part of the outputs tells it.
        assert curvature == pytest.approx(core_curvature(case), rel=0.02)


def test_the_suggested_rate_follows_momentum_and_slopes() -> None:
    source = "([layer, momentum]) => suggestedRate(layer, 4, momentum)"
    prelu = {"activation": "prelu", "alpha": [0.5, -2.0]}
    layers = [{"activation": "none"}, {"activation": "sigmoid"}, prelu]
    settings = [[layer, momentum] for layer in layers for momentum in (0, 0.5)]
    assert run_alone(SCRIPTS, source, settings) == [0.25, 0.375, 4, 6, 1 / 16, 3 / 32]


def test_twice_the_suggested_rate_is_the_limit() -> None:
    case = CASES["grey"]
    (curvature,) = run_alone(SCRIPTS, CURVATURE, [record(case)])
    factors = [(factor, m) for factor in (1.0, 1.9, 2.2) for m in (0.0, 0.9)]
    learners = [replace(case, rate=f * (1 + m) / curvature, momentum=m) for f, m in factors]
    told = run_alone(SCRIPTS, LEARN, [record(one) | {"steps": 150} for one in learners])
    for (factor, _), steps in zip(factors, told, strict=True):
        ratio = steps[-1]["loss"] / steps[0]["loss"]
        assert ratio < 0.1 if factor < 2 else ratio > 10


SUGGESTED = """({ input, layer, target, channels, rows, cols }) => {
  const wanted = new LayerArithmetic(input, target);
  const targets = channels.map((channel) => wanted.values(channel, rows, cols));
  const start = new LayerArithmetic(input, layer);
  const learner = new Learner(start.with(randomParameters(start, channels, 1)), {
    channels, rows, cols, targets,
  });
  const rate = suggestedRate(layer, learner.curvature, 0.9);
  for (let step = 0; step < 100; step += 1) learner.step({ rate, momentum: 0.9 });
  return learner.losses;
}"""


@pytest.mark.parametrize("name", ["edge", "sobel_v", "gaussian_5"])
def test_the_suggested_rate_learns_a_filter_of_the_cat_in_100_steps(name: str) -> None:
    picture = read_image(CHELSEA, ReadOptions(gray=True))
    layer = ConvLayer(load_filter(name), np.zeros(1))
    (losses,) = run_alone(SCRIPTS, SUGGESTED, [record(Case(picture, layer, layer, [0], 0))])
    assert losses[100] < losses[0] / 4
    assert losses[100] < 0.6 * losses[30]
    assert max(losses) < 2 * losses[0]


def test_random_weights_are_normal_and_the_same_for_the_same_seed() -> None:
    numbers = "([seed, count]) => normalNumbers(seed, count)"
    once, again, other = run_alone(SCRIPTS, numbers, [[3, 20_000], [3, 20_000], [4, 20_000]])
    assert once == again != other
    deciles = np.quantile(once, [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(deciles, [-1.2816, -0.6745, 0, 0.6745, 1.2816], atol=0.03)
    assert abs(np.corrcoef(once, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(once[:-1], once[1:])[0, 1]) < 0.03
    case = CASES["groups"]
    draw = """({ input, layer, channels }) =>
      randomParameters(new LayerArithmetic(input, layer), channels, 7)"""
    drawn = run_alone(SCRIPTS, draw, [record(case)])[0]
    before = case.layer.filter.weights
    weights = np.array(drawn["weights"]).reshape(before.shape)
    bias = case.layer.bias
    assert bias is not None
    for map_ in range(6):
        learns = map_ in case.channels
        assert (weights[..., map_] != before[..., map_]).all() == learns
        assert drawn["bias"][map_] == (0 if learns else bias[map_])
    assert 0.5 < weights[..., case.channels].std() * np.sqrt(18) < 1.5
    np.testing.assert_allclose(weights[..., 1] * 1000, np.round(weights[..., 1] * 1000), atol=1e-9)


def test_a_step_of_many_products_takes_outputs_in_the_middle() -> None:
    source = """({ input, layer, channels, known, most }) =>
      learningOutputs(new LayerArithmetic(input, layer), channels, known, most)"""
    cases = record(CASES["colour"])
    known = [list(range(2, 102)), list(range(10, 210))]
    ask = [cases | {"known": known, "most": most} for most in (1e9, 54 * 20 * 30, 54)]
    whole, some, one = run_alone(SCRIPTS, source, ask)
    assert [whole["rows"], whole["cols"]] == known
    rows, cols = some["rows"], some["cols"]
    assert 540 <= len(rows) * len(cols) <= 600
    for part, full in ((rows, known[0]), (cols, known[1])):
        assert part == list(range(part[0], part[-1] + 1))
        assert abs((part[0] - full[0]) - (full[-1] - part[-1])) <= 1
    assert len(one["rows"]) == len(one["cols"]) == 1


def test_a_learner_says_when_no_step_is_of_use() -> None:
    source = """({ input, layer, target, channels, rows, cols, update, steps }) => {
      const wanted = new LayerArithmetic(input, target);
      const targets = channels.map((channel) => wanted.values(channel, rows, cols));
      const task = { channels, rows, cols, targets };
      const learner = new Learner(new LayerArithmetic(input, layer), task);
      for (let step = 0; step < steps && !learner.end; step += 1) learner.step(update);
      return [learner.end, learner.losses.length - 1];
    }"""
    case = CASES["grey"]
    dead = replace(CASES["reflect, relu"].layer, bias=np.array([-99.0]))
    ends = [
        record(case) | {"steps": 1000, "update": {"rate": 0.25, "momentum": 0}},
        record(case) | {"steps": 1000, "update": {"rate": 0.8, "momentum": 0}},
        record(case) | {"steps": 1000, "update": {"rate": 1e200, "momentum": 0}},
        record(replace(CASES["reflect, relu"], layer=dead)),
        record(case),
    ]
    reached, diverged, infinite, flat, learning = run_alone(SCRIPTS, source, ends)
    assert reached[0] == "reached" and 20 < reached[1] < 1000
    assert diverged[0] == "diverged" and 1 < diverged[1] < 20
    assert infinite == ["diverged", 1]
    assert flat == ["flat", 0]
    assert learning == ["", STEPS]


def test_losses_of_many_steps_are_thinned() -> None:
    source = """(counts) => {
      const learner = new Learner(new LayerArithmetic(counts.input, counts.layer), {
        channels: counts.channels, rows: [1], cols: [1], targets: [[0]],
      });
      for (let step = 1; step <= counts.most; step += 1) learner.keep(step);
      const { losses, steps, loss, count } = learner;
      return { losses, steps, loss, count };
    }"""
    case = record(CASES["grey"])
    few, many = run_alone(SCRIPTS, source, [case | {"most": most} for most in (3, 200_003)])
    assert few["losses"][1:] == few["steps"][1:] == [1, 2, 3]
    assert many["loss"] == many["count"] == 200_003
    assert 2000 < len(many["steps"]) == len(many["losses"]) <= 4096
    # Each is the loss of its own step; all but the newest are equally far apart.
    assert many["losses"][1:] == many["steps"][1:]
    assert len(set(np.diff(many["steps"][:-1]))) == 1


def test_the_curvature_of_many_weights_is_computed() -> None:
    source = """({ input, layer, channels, side }) => {
      const weights = new Float64Array(side * side).fill(1);
      const border = { padding: "same", padMode: "zeros", padValue: 0 };
      const large = { ...layer, ...border, kernel: [side, side], weights };
      const task = { channels, rows: [1], cols: [1] };
      return largestCurvature(new LayerArithmetic(input, large), task);
    }"""
    case = CASES["grey"]
    (curvature,) = run_alone(SCRIPTS, source, [record(case) | {"side": 500}])
    # The one output sees the whole picture, and the 1 of the bias.
    assert curvature == pytest.approx(2 * (np.square(case.picture.values()).sum() + 1), rel=0.02)
