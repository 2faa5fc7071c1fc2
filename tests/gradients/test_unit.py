"""Gradients of units: which one is meant, the numbers, and how they are laid over a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.gradients.check import TOLERANCE, check_gradient
from cnncli.gradients.gradient import (
    find_gradient,
    parameter_names,
    strongest,
    winner_counts,
    winning_pools,
)
from cnncli.gradients.pictures import mark_winners, overlay
from cnncli.gradients.unit import Unit, check_upstream, parse_unit, unit_upstream
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    MulLayer,
    PadLayer,
    PoolLayer,
    ScaleLayer,
)
from cnncli.network.model import Model
from cnncli.network.passes import forward
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.options import MapGroup, channel_names
from tests.support.judges import distinct_values, numeric_gradient
from tests.support.sweep import sweep

X = distinct_values(np.random.default_rng(5), 1, 9, 8, 3) / 22


def bank(n_in: int, n_out: int, side: int = 3, **options: Any) -> ConvLayer:
    rng = np.random.default_rng(n_in * 10 + n_out)
    weights = rng.standard_normal((side, side, n_in, n_out)) / np.sqrt(side * side * n_in)
    return ConvLayer(from_array(weights, name="bank"), rng.standard_normal(n_out), **options)


def norm(channels: int) -> BatchNormLayer:
    rng = np.random.default_rng(channels)
    gamma, beta, mean = rng.standard_normal((3, channels))
    return BatchNormLayer(gamma, beta, mean, rng.uniform(0.5, 2, channels))


def network() -> Network:
    """Everything a first stage of a network has."""
    return Network(
        (
            Node("normalize", ScaleLayer(np.array([2.0]), np.array([0.1, -0.2, 0.3])), (SOURCE,)),
            Node("conv1", bank(3, 4), ("normalize",)),
            Node("bn1", norm(4), ("conv1",)),
            Node("prelu1", ActivationLayer("prelu", np.array([0.25])), ("bn1",)),
            Node("conv2", bank(4, 4, activation="relu"), ("prelu1",)),
            Node("sum", AddLayer(), ("prelu1", "conv2")),
            Node("pool1", PoolLayer("max", 3, 2, padding=1), ("sum",)),
            Node("gate", PoolLayer("average", "global"), ("pool1",)),
            Node("gated", MulLayer(), ("pool1", "gate")),
            Node("last", bank(4, 5, 1, activation="softmax"), ("gated",)),
        )
    )


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("conv1", Unit("conv1")),
        ("conv1:3", Unit("conv1", "3")),
        ("conv1:bank-3", Unit("conv1", "bank-3")),
        ("conv1:3,0,12", Unit("conv1", "3", (0, 12))),
        ("a:b", Unit("a:b")),
        ("a:b:2,1,1", Unit("a:b", "2", (1, 1))),
    ],
)
def test_units_from_text(text: str, unit: Unit) -> None:
    pool = PoolLayer()
    found = Network((Node("conv1", pool, (SOURCE,)), Node("a:b", pool, ("conv1",))))
    assert parse_unit(text, Model(found).find) == unit
    assert str(unit) == text


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("conv3", "no layer 'conv3' in the network; nearest: "),
        ("conv3:1", "no layer 'conv3'"),
        (":1", "--unit must be LAYER, LAYER:MAP or LAYER:MAP,ROW,COL, got ':1'"),
        ("conv1:", "--unit must be LAYER"),
        ("", "no layer ''"),
    ],
)
def test_texts_that_are_no_units(text: str, error: str) -> None:
    with pytest.raises(OptionError, match=error):
        parse_unit(text, Model(network()).find)


GROUPS = (MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,)))


@pytest.mark.parametrize(
    ("unit", "picked"),
    [
        (Unit("a"), np.ones((1, 5, 6, 4))),
        (Unit("a", "2"), np.eye(4)[2] * np.ones((1, 5, 6, 1))),
        (Unit("a", "photo"), np.array([1, 1, 1, 0]) * np.ones((1, 5, 6, 1))),
        (Unit("a", "edge", (4, 5)), np.pad([[[[1.0]]]], ((0, 0), (4, 0), (5, 0), (3, 0)))),
    ],
    ids=str,
)
def test_units_are_picked(unit: Unit, picked: np.ndarray) -> None:
    dY = unit_upstream(unit, (1, 5, 6, 4), GROUPS, np.dtype(np.float32))
    assert dY.dtype == np.float32
    np.testing.assert_array_equal(dY, picked)


@pytest.mark.parametrize(
    ("unit", "error"),
    [
        (Unit("a", "4"), "maps of layer a are 0 to 3, got 4"),
        (Unit("a", "edgy"), "layer a has no map 'edgy'; nearest: edge"),
        (Unit("a", "zzz"), "layer a has no map 'zzz'; there are photo, edge"),
        (Unit("a", "1,2"), "layer a has no map '1,2'"),
        (Unit("a", "0", (5, 0)), "rows of layer a are 0 to 4, got 5"),
        (Unit("a", "0", (0, 6)), "columns of layer a are 0 to 5, got 6"),
    ],
)
def test_units_that_are_not_there(unit: Unit, error: str) -> None:
    with pytest.raises(OptionError, match=f"--unit: {error}"):
        unit_upstream(unit, (1, 5, 6, 4), GROUPS, np.dtype(np.float32))


def test_given_upstreams_are_checked() -> None:
    given = np.arange(24.0).reshape(2, 3, 4)
    for array in (given, given[None]):
        np.testing.assert_array_equal(check_upstream(array, (1, 2, 3, 4), "a"), given[None])
    with pytest.raises(ShapeError, match=r"a's output, \(1, 2, 3, 4\), got \(3, 2, 4\)"):
        check_upstream(given.swapaxes(0, 1), (1, 2, 3, 4), "a")
    given[0, 0, 0] = np.nan
    with pytest.raises(OptionError, match="finite"):
        check_upstream(given, (1, 2, 3, 4), "a")


def agree(gradient: np.ndarray, numeric: np.ndarray, rtol: float, name: str = "") -> None:
    looked_at = ~np.isnan(numeric)
    assert looked_at.any() and np.isfinite(gradient).all()
    got, expected = gradient[looked_at], numeric[looked_at]
    np.testing.assert_allclose(got, expected, rtol, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("text", ["last:2", "last:1,2,3", "gated", "conv1:0", "pool1:3,0,0"])
def test_gradients_of_units_against_differences(text: str, every: int) -> None:
    found = network()
    unit = parse_unit(text, Model(found).find)
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


@pytest.mark.parametrize("text", sweep(["sum", "last:1,2,3", "last:2", "conv2:1,4,4"], keep=1))
def test_checks_pass_far_below_their_tolerance(text: str) -> None:
    found = network()
    unit = parse_unit(text, Model(found).find)
    groups = found.groups(input_groups(3))[unit.layer]
    dY = unit_upstream(unit, found.shapes(X.shape)[unit.layer], groups, X.dtype)
    check = check_gradient(found, X.astype(np.float32), unit.layer, dY, 20)
    assert check.passed and check.relative < 1e-7, check
    assert check.compared > 50 and check.left_out <= check.compared // 10, check


class WrongBias(BatchNormLayer):
    """A layer whose gradients are off in one place by a part in a hundred thousand."""

    def backward(self, dY: np.ndarray, cache: Any) -> Any:
        dX, gradients = super().backward(dY, cache)
        beta = gradients["beta"].copy()
        beta[1] *= 1 + 1e-5
        return dX, {**gradients, "beta": beta}


class Forgetful(PoolLayer):
    """A pool that gives nothing back."""

    def backward(self, dY: np.ndarray, cache: Any) -> Any:
        dX, gradients = super().backward(dY, cache)
        return 0 * dX, gradients


def test_a_small_mistake_in_a_parameter_is_found() -> None:
    layer = WrongBias(*(np.linspace(1, 2, 3) for _ in range(4)))
    check = check_gradient(Network.chain(layer), X, "batchnorm1", np.ones_like(X), 20)
    assert not check.passed
    assert check.where == "batchnorm1-beta"
    assert TOLERANCE < check.relative == pytest.approx(1e-5, rel=0.01)


def test_a_gradient_that_is_missing_is_found() -> None:
    found = Network.chain(Forgetful("average", 2))
    check = check_gradient(found, X, "pool1", np.ones(found.output_shape(X.shape)), 20)
    assert not check.passed and check.relative == pytest.approx(1)


def test_places_on_a_kink_are_left_out() -> None:
    given = np.zeros((1, 4, 4, 1))
    given[0, :2] = 1.0
    check = check_gradient(
        Network.chain(ActivationLayer("relu")), given, "activation1", np.ones_like(given), 16
    )
    assert (check.compared, check.left_out, check.passed) == (8, 8, True)
    check = check_gradient(
        Network.chain(ActivationLayer("relu")), 0 * given, "activation1", np.ones_like(given), 16
    )
    assert (check.compared, check.left_out, check.passed) == (0, 16, False)


def test_a_kink_close_by_asks_for_a_smaller_step() -> None:
    given = np.full((1, 1, 1, 1), 1.0)
    near = Network.chain(
        ScaleLayer(np.ones(1), np.array([-1 + 3e-5])), ActivationLayer("relu")
    ).until("activation1")
    check = check_gradient(near, given, "activation1", np.ones((1, 1, 1, 1)), 5)
    assert check.passed and check.left_out == 0, check


def test_what_drowns_in_rounding_is_left_out() -> None:
    saturated = Network.chain(ScaleLayer(np.array([60.0]), np.zeros(1)), ActivationLayer("softmax"))
    given = np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    dY = np.array([1.0, 0, 0]).reshape(1, 1, 1, 3)
    check = check_gradient(saturated, given, "activation1", dY, 3)
    assert check.compared < 7 and check.left_out > 0


def test_places_lie_where_the_unit_looks() -> None:
    given = np.random.default_rng(6).standard_normal((1, 64, 64, 1))
    found = Network.chain(bank(1, 1))
    dY = np.zeros_like(given)
    dY[0, 30, 40] = 1
    check = check_gradient(found, given, "conv1", dY, 1000)
    assert check.compared == 9 + 9 + 1


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


def test_channels_are_named_by_map_and_colour() -> None:
    assert channel_names(GROUPS) == ("photo-red", "photo-green", "photo-blue", "edge")
    assert channel_names(input_groups(3)) == ("red", "green", "blue")
    assert channel_names(input_groups(1)) == ("",)


def test_an_overlay_is_grey_where_nothing_pulls_and_coloured_where_something_does() -> None:
    photo = np.array([[[0.0], [1.0], [1.0], [0.5]]])
    seen = overlay(photo, np.array([[0.0, 0.0, 4.0, -1.0]]), 4.0)[0]
    np.testing.assert_allclose(seen[0], [0.1] * 3, atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.6] * 3, atol=1e-6)
    assert seen[2, 0] > 0.9 > 0.2 > max(seen[2, 1:])  # all red
    assert seen[3, 2] > seen[3, 1] > seen[3, 0]  # bluish
    hidden = 0.25**0.7
    assert seen[3, 2] == pytest.approx(0.35 * (1 - hidden) + hidden)
    assert ((seen >= 0) & (seen <= 1)).all()


def test_an_overlay_of_nothing_is_the_photo() -> None:
    photo = np.random.default_rng(7).uniform(size=(3, 4, 3))
    seen = overlay(photo, np.zeros((3, 4)), 0.0)
    grey = 0.1 + 0.5 * (photo @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(seen, np.repeat(grey[..., None], 3, axis=2), atol=1e-6)


def test_values_beyond_those_of_pictures_are_stretched() -> None:
    seen = overlay(np.array([[[-10.0], [30.0], [10.0]]]), np.zeros((1, 3)), 0.0)
    np.testing.assert_allclose(seen[0, :, 0], [0.1, 0.6, 0.35], atol=1e-6)
    flat = overlay(np.full((1, 2, 1), 7.0), np.zeros((1, 2)), 0.0)
    np.testing.assert_allclose(flat, 0.1, atol=1e-6)


def test_winners_are_orange_and_all_others_grey() -> None:
    values, wins = np.array([[0.0, 1.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 2.0, 1.0]])
    seen = mark_winners(values, wins, LevelMapping("minmax", 0.0, 1.0))[0]
    np.testing.assert_allclose(seen[0], [0.15] * 3, atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.75] * 3, atol=1e-6)
    for cell in seen[2:]:
        assert cell[0] > cell[1] > cell[2]
    assert (seen[2] > seen[3]).all()


def test_units_of_layers_with_further_names() -> None:
    model = Model(Network.chain(PoolLayer()), aliases={"/pool/Pool:0": "pool1"})
    assert parse_unit("/pool/Pool:0", model.find) == Unit("pool1")
    assert parse_unit("/pool/Pool:0:2,0,1", model.find) == Unit("pool1", "2", (0, 1))


def test_layers_are_found_by_number_and_by_the_beginning_of_a_name() -> None:
    layers = [Node(name, PoolLayer(), (SOURCE,)) for name in ("stem", "block1", "block2", "12")]
    model = Model(Network(tuple(layers)), aliases={"/model/head:0": "block2"})
    assert [model.find(text) for text in ("1", "3", "s", "block1", "12", "/model")] == [
        *("stem", "block2", "stem", "block1", "12", "block2"),
    ]
    for text, message in (
        ("block", "begins several layers' names: block1, block2"),
        ("5", "the number of a layer must be 1 to 4, got 5"),
        ("0", "the number of a layer must be 1 to 4, got 0"),
        ("", "no layer ''"),
    ):
        with pytest.raises(OptionError, match=message):
            model.find(text)
    assert parse_unit("3:1", model.find) == Unit("block2", "1")
    part = model.until("3").until("block2")
    assert part.network.names == ("block2",)
    assert part.find("3") == part.find("b") == "block2"
    for text in ("1", "stem"):
        with pytest.raises(OptionError, match="'block2' does not depend on the layer 'stem'"):
            part.find(text)


def test_many_layers_that_begin_alike_are_counted() -> None:
    layers = [Node(f"block{k}", PoolLayer(), (SOURCE,)) for k in range(1, 7)]
    with pytest.raises(OptionError, match="block1, block2, block3, block4 and 2 more$"):
        Model(Network(tuple(layers))).find("block")


@pytest.mark.parametrize("text", ["3", "0,2,3"])
def test_numbers_alone_are_answered_with_the_form_of_a_unit(text: str) -> None:
    with pytest.raises(OptionError, match=f"no layer '{text}'") as caught:
        parse_unit(text, Model(network()).find)
    assert caught.value.hint == f"--unit LAYER:{text}"
