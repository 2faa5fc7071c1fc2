"""Gradients of units against differences; the winners of pools."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import OptionError
from cnncli.filters.files import load_filter
from cnncli.gradients.gradient import (
    find_gradient,
    parameter_names,
    strongest,
    winner_counts,
    winning_pools,
)
from cnncli.gradients.unit import parse_unit, unit_upstream
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.layers import ConvLayer, PadLayer, PoolLayer
from cnncli.network.model import Model
from cnncli.network.passes import forward
from tests.support.judges import numeric_gradient
from tests.support.unitnetworks import X, network


def agree(gradient: np.ndarray, numeric: np.ndarray, rtol: float, name: str = "") -> None:
    looked_at = ~np.isnan(numeric)
    assert looked_at.any() and np.isfinite(gradient).all()
    got, expected = gradient[looked_at], numeric[looked_at]
    np.testing.assert_allclose(got, expected, rtol, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("text", ["last:2", "last:1,2,3", "gated", "conv1:0", "pool1:3,0,0"])
def test_gradients_of_units_against_differences(text: str, every: int) -> None:
    found = network()
    unit = parse_unit(text, Model(found))
    shape = found.shapes(X.shape)[unit.layer]
    groups = found.groups(input_groups(3))[unit.layer]
    dY = unit_upstream(unit, shape, groups, X.dtype)
    gradient = find_gradient(found, X, unit.layer, dY)
    part = found.until(unit.layer)

    def value(x: np.ndarray) -> np.ndarray:
        return forward(part, x).values[unit.layer]

    assert gradient.value == pytest.approx(float(np.sum(value(X) * dY)))
    agree(gradient.input, numeric_gradient(value, X, dY, every=every), 1e-6)
    assert set(gradient.parameters) == {node.name for node in part.nodes if node.layer.parameters}
    for name, each in gradient.parameters.items():
        layer = part.node(name).layer
        assert tuple(each) == parameter_names(layer)
        for key, dP in each.items():

            def changed(p: np.ndarray, name: str = name, key: str = key) -> np.ndarray:
                nodes = [
                    Node(n.name, n.layer.with_parameters({key: p}), n.inputs)
                    if n.name == name
                    else n
                    for n in part.nodes
                ]
                return forward(Network(tuple(nodes)), X).values[unit.layer]

            numeric = numeric_gradient(changed, layer.parameters[key], dY, every=every)
            agree(dP, numeric, 1e-5, f"{name} {key}")


def test_a_convolution_without_biases_has_their_gradient() -> None:
    layer = ConvLayer(load_filter("1 2 1"))
    found = find_gradient(Network.chain(layer), X, "conv1", np.ones_like(X))
    assert parameter_names(layer) == tuple(found.parameters["conv1"]) == ("W", "b")
    assert found.parameters["conv1"]["b"].tolist() == [X.size]


def test_the_strongest_channel_keeps_its_sign() -> None:
    gradient = np.array([[1.0, -3.0, 2.0], [0.0, 0.5, -0.25]]).reshape(1, 1, 2, 3)
    assert strongest(gradient).ravel().tolist() == [-3.0, 0.5]


@pytest.mark.parametrize(
    ("layer", "pools"),
    [("pool1", ("pool1",)), ("last", ("pool1", "pool2")), ("pool2", ("pool2",))],
)
def test_pools_with_winners(layer: str, pools: tuple[str, ...]) -> None:
    found = Network(
        (
            Node("pool1", PoolLayer("max", 2), (SOURCE,)),
            Node("mean", PoolLayer("average", 2, 1), ("pool1",)),
            Node("aside", PoolLayer("max", 2, 1), ("pool1",)),
            Node("pool2", PoolLayer("min", 2, 1), ("mean",)),
            Node("last", PadLayer(1), ("pool2",)),
        )
    )
    assert winning_pools(found, layer) == pools
    with pytest.raises(OptionError, match="layer mean depends on none"):
        winning_pools(Network((Node("mean", PoolLayer("average"), (SOURCE,)),)), "mean")


@pytest.mark.parametrize("mode", ["max", "min"])
def test_winners_are_the_first_extremes_of_their_windows(mode: str) -> None:
    given = np.array([[3, 1, 3, 0], [2, 5, 5, 0], [5, 0, 1, 7]], float).reshape(1, 3, 4, 1)
    given = given if mode == "max" else -given
    done = forward(Network.chain(PoolLayer(mode, 2, 1)), given)
    expected = [[0, 0, 0, 0], [0, 4, 1, 0], [0, 0, 0, 1]]
    assert winner_counts(done, "pool1")[0, :, :, 0].tolist() == expected
