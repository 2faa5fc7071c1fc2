"""arithmetic/activations.js in node: every activation of the core, with its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.core.activations import ACTIVATIONS, OVER_CHANNELS, get_activation
from tests.support.node import NODE, run_alone

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

Z = [-1e4, -90.0, -7.5, -3.0, -2.5, -1.5, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.2, 0.5, 1.0, 1.5, 2.5]
Z += [3.0, 4.75, 7.5, 30.0, 90.0, 1e4]
NOT_FINITE = ["NaN", "Infinity", "-Infinity"]
GIVEN: dict[str, list[dict[str, float]]] = {
    "leaky-relu": [{}, {"alpha": 0.3}],
    "prelu": [{"alpha": -0.25}],
    "clip": [{}, {"low": -2.0, "high": 2.5}, {"low": 0.0, "high": float("inf")}],
    "wrap": [
        {},
        {"low": -128.0, "high": 127.0},
        {"low": 0.0, "high": 2.0},
        {"low": -(2.0**31), "high": 2.0**31 - 1},
        {"low": -(2.0**63), "high": 2.0**63},
    ],
    "hard-sigmoid": [{}, {"alpha": 1 / 6, "beta": 0.4}],
    "silu": [{}, {"alpha": 1.702}],
    "elu": [{}, {"alpha": 0.5}],
    "celu": [{}, {"alpha": 2.0}],
    "selu": [{}, {"alpha": 1.5, "beta": 1.1}],
    "thresholded-relu": [{}, {"alpha": 0.2}],
    "pow": [{"alpha": 2.0}, {"alpha": 0.5}, {"alpha": -1.0}],
}
ALONE = [name for name in ACTIVATIONS if name not in OVER_CHANNELS]

VALUES = """({ name, settings, z }) => {
  const numbers = Object.entries(settings).map(([key, text]) => [key, [Number(text)]]);
  const layer = { activation: name, ...Object.fromEntries(numbers) };
  return z.map((text) => String(activate(Number(text), layer, 0)));
}"""
"""Numbers travel as texts: JSON has no infinity."""


SLOPES = VALUES.replace("activate(", "activationSlope(")


@pytest.mark.parametrize("name", ALONE)
def test_slopes_equal_the_core(name: str) -> None:
    all_given = GIVEN.get(name, [{}])
    cases = [
        {"name": name, "settings": {k: js(v) for k, v in given.items()}, "z": [*map(repr, Z)]}
        for given in all_given
    ]
    z = np.array(Z)
    for given, found in zip(
        all_given, run_alone("arithmetic/activations.js", SLOPES, cases), strict=True
    ):
        activation = get_activation(name, **given)
        expected = activation.backward(np.ones_like(z), z, activation.forward(z))
        slopes = [float(text.replace("Infinity", "inf")) for text in found]
        np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-14, err_msg=str(given))


@pytest.mark.parametrize("name", ALONE)
def test_values_equal_the_core(name: str) -> None:
    texts = [*map(repr, Z), *NOT_FINITE]
    all_given = GIVEN.get(name, [{}])
    cases = [
        {"name": name, "settings": {k: js(v) for k, v in given.items()}, "z": texts}
        for given in all_given
    ]
    z = np.array([float(text.replace("Infinity", "inf")) for text in texts])
    for given, found in zip(
        all_given, run_alone("arithmetic/activations.js", VALUES, cases), strict=True
    ):
        expected = get_activation(name, **given).forward(z)
        values = [float(text.replace("Infinity", "inf")) for text in found]
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14, err_msg=str(given))


def js(value: float) -> str:
    return repr(value).replace("inf", "Infinity")


def test_formulas_and_defaults_are_those_of_the_core() -> None:
    tell = "() => Object.entries(ACTIVATIONS).map(([k, a]) => [k, a.formula, a.settings ?? {}])"
    (found,) = run_alone("arithmetic/activations.js", tell, [None])
    expected: list[Any] = [
        [name, made.formula, dict(made.settings)] for name, made in ACTIVATIONS.items()
    ]
    assert found == expected


def test_each_channel_may_have_its_own_setting() -> None:
    layer = {"activation": "prelu", "alpha": [0.5, -1.0]}
    function = "(layer) => [0, 1].map((channel) => activate(-2, layer, channel))"
    assert run_alone("arithmetic/activations.js", function, [layer]) == [[-1.0, 2.0]]
