"""Layers: their shapes, groups and names, the forward pass and every gradient."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from cnncli import conv_forward, pool_forward
from cnncli.errors import OptionError, ShapeError
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter, from_array, stack
from cnncli.network.graph import Network, Node, input_groups
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    ConcatLayer,
    ConvLayer,
    Layer,
    PadLayer,
    PoolLayer,
)
from cnncli.network.passes import forward_layers
from cnncli.render.options import MapGroup
from tests.support.judges import distinct_values, numeric_gradient
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(29)
X = RANDOM.standard_normal((2, 5, 6, 3))
PHOTO = (MapGroup("", (0, 1, 2)),)


def kernels(*seeds: int) -> Filter:
    """Several 2-D filters of one shape, each working on every channel on its own."""
    return stack([from_array(kernel(seed), name=f"k{seed}") for seed in seeds])


def output(network: Network) -> np.ndarray:
    ((_, Y),) = forward_layers(network, X)
    return Y


def kernel(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, 2))


def bank(*shape: int, bias: bool = False) -> Filter:
    made = from_array(RANDOM.standard_normal(shape), name="bank")
    if not bias:
        return made
    return Filter(made.name, made.weights, False, made.map_names, np.arange(1.0, shape[3] + 1))


LAYERS: dict[str, tuple[Layer, tuple[int, int, int, int]]] = {
    "pad": (PadLayer((1, 2, 0, 3)), (2, 8, 9, 3)),
    "pad by name": (PadLayer("same"), (2, 5, 6, 3)),
    "conv": (ConvLayer(bank(3, 2, 3, 4)), (2, 5, 6, 4)),
    "conv valid": (ConvLayer(bank(3, 2, 3, 4), padding="valid", stride=(2, 3)), (2, 2, 2, 4)),
    "conv dilated": (ConvLayer(bank(3, 2, 3, 4), padding=0, dilation=2), (2, 1, 4, 4)),
    "groups": (ConvLayer(bank(1, 1, 1, 6), groups=3), (2, 5, 6, 6)),
    "one 2-D filter": (ConvLayer(kernels(0)), (2, 5, 6, 3)),
    "three 2-D filters": (ConvLayer(kernels(0, 1, 2), stride=2), (2, 3, 3, 9)),
    "pool": (PoolLayer(), (2, 2, 3, 3)),
    "pool ceil": (PoolLayer(size=2, ceil=True), (2, 3, 3, 3)),
    "pool global": (PoolLayer("average", "global"), (2, 1, 1, 3)),
    "activation": (ActivationLayer("relu"), (2, 5, 6, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_shape_is_known_before_and_true_after(name: str) -> None:
    layer, shape = LAYERS[name]
    assert layer.output_shape(X.shape) == shape
    Y, _ = layer.forward(X)
    assert Y.shape == shape
    groups = layer.output_groups(PHOTO)
    assert sorted(c for group in groups for c in group.channels) == list(range(shape[3]))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_stays_and_nothing_is_written_to_the_input(name: str, dtype: Any) -> None:
    given = X.astype(dtype)
    given.flags.writeable = False
    Y, cache = LAYERS[name][0].forward(given)
    assert Y.dtype == dtype
    dX, gradients = LAYERS[name][0].backward(np.ones_like(Y), cache)
    assert dX.dtype == dtype and dX.shape == X.shape
    assert np.array_equal(given, X.astype(dtype)) and all(np.isfinite(v).all() for v in (dX, Y))
    assert set(gradients) == ({"W", "b"} if isinstance(LAYERS[name][0], ConvLayer) else set())


@pytest.mark.parametrize(
    ("layer", "error"),
    [
        (PadLayer(-1), OptionError),
        (PadLayer("full"), OptionError),
        (PadLayer(1, "mirror"), OptionError),
        (ConvLayer(bank(3, 3, 2, 4)), ShapeError),
        (ConvLayer(bank(6, 3, 3, 1), padding="valid"), ShapeError),
        (ConvLayer(bank(3, 3, 3, 1), stride=0), OptionError),
        (ConvLayer(bank(3, 3, 3, 1), activation="softrelu"), OptionError),
        (ConvLayer(bank(3, 3, 3, 1), pad_mode="mirror"), OptionError),
        (ConvLayer(kernels(0), groups=3), OptionError),
        (ConvLayer(bank(1, 1, 1, 4), groups=3), ShapeError),
        (ConvLayer(bank(3, 3, 3, 2), np.zeros(3)), ShapeError),
        (ConvLayer(bank(3, 3, 3, 4), np.zeros(2)), ShapeError),
        (PoolLayer("median"), OptionError),
        (PoolLayer(size=7), ShapeError),
        (PoolLayer(size="all"), OptionError),
        (PoolLayer("lp", p=0), OptionError),
        (PoolLayer(stride=0), OptionError),
        (ActivationLayer("softrelu"), OptionError),
    ],
)
def test_what_does_not_fit_is_known_before_any_work(layer: Layer, error: type[Exception]) -> None:
    with pytest.raises(error):
        layer.output_shape(X.shape)


def test_layers_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PadLayer(1).padding = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stride": (2, 1), "padding": (1, 0, 2, 1)},
        {"padding": "same-lower", "pad_mode": "reflect"},
        {"padding": 2, "pad_value": -1.5, "dilation": (1, 2)},
    ],
)
def test_a_bank_is_the_core_and_an_activation(fields: dict[str, Any]) -> None:
    chosen = bank(3, 2, 3, 4)
    b = np.arange(4.0)
    Y, _ = ConvLayer(chosen, b, activation="tanh", **fields).forward(X)
    named = {"pad": fields.get("padding", "same")}
    named |= {key: value for key, value in fields.items() if key != "padding"}
    Z, _ = conv_forward(X, chosen.weights, b.reshape(1, 1, 1, 4), named)
    np.testing.assert_allclose(Y, np.tanh(Z), rtol=1e-12)


def test_2d_filters_work_on_each_channel_filter_by_filter() -> None:
    chosen = kernels(0, 1)
    Y, _ = ConvLayer(chosen, np.array([10.0, 20.0])).forward(X)
    for k, c in np.ndindex(2, 3):
        W = chosen.weights[:, :, k].reshape(3, 2, 1, 1)
        b = np.full((1, 1, 1, 1), 10.0 * (k + 1))
        Z, _ = conv_forward(X[..., c : c + 1], W, b, {"pad": "same", "pad_mode": "edge"})
        np.testing.assert_allclose(Y[..., 3 * k + c], Z[..., 0], rtol=1e-12)


def test_pool_is_the_core() -> None:
    layer = PoolLayer("average", (3, 2), 2, "same", (1, 2), True, True)
    fields = {"f": (3, 2), "stride": 2, "pad": "same", "dilation": (1, 2)}
    expected, _ = pool_forward(X, {**fields, "ceil": True, "count_include_pad": True}, "average")
    assert np.array_equal(layer.forward(X)[0], expected)


@pytest.mark.parametrize("own", [False, True])
def test_the_bias_of_the_layer_comes_before_the_bias_of_the_file(own: bool) -> None:
    chosen = bank(1, 1, 3, 2, bias=True)
    plain, _ = ConvLayer(bank(1, 1, 3, 2)).forward(X * 0)
    got, _ = ConvLayer(chosen, np.array([7.0, 8.0]) if own else None).forward(X * 0)
    assert np.array_equal(
        got - plain, np.broadcast_to([7.0, 8.0] if own else [1.0, 2.0], got.shape)
    )


def test_groups_of_inputs() -> None:
    assert input_groups(3) == PHOTO
    assert [group.name for group in input_groups(4)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("layer", "groups", "expected"),
    [
        (ConvLayer(bank(1, 1, 3, 2)), PHOTO, [("bank-0", (0,)), ("bank-1", (1,))]),
        (ConvLayer(kernels(4)), PHOTO, [("k4", (0, 1, 2))]),
        (ConvLayer(kernels(4, 5)), PHOTO, [("k4", (0, 1, 2)), ("k5", (3, 4, 5))]),
        (ConvLayer(kernels(4, 5)), input_groups(1), [("k4", (0,)), ("k5", (1,))]),
        (
            ConvLayer(kernels(4, 5)),
            input_groups(2),
            [("k4-0", (0,)), ("k4-1", (1,)), ("k5-0", (2,)), ("k5-1", (3,))],
        ),
        (PoolLayer(), PHOTO, [("", (0, 1, 2))]),
        (PadLayer(1), input_groups(2), [("0", (0,)), ("1", (1,))]),
        (ActivationLayer("relu"), PHOTO, [("", (0, 1, 2))]),
    ],
)
def test_groups_and_names(layer: Layer, groups: Any, expected: list[Any]) -> None:
    found = [(group.name, group.channels) for group in layer.output_groups(groups)]
    assert found == expected


def test_maps_of_joins_bear_no_other_nodes_names() -> None:
    k4, k5 = (
        [MapGroup("k4", (0,)), MapGroup("1", (1,))],
        [MapGroup("k5", (0,)), MapGroup("1", (1,))],
    )
    added = AddLayer().output_groups(k4, k5)
    assert [(g.name, g.channels) for g in added] == [("0", (0,)), ("1", (1,))]
    assert AddLayer().output_groups(PHOTO, PHOTO) == tuple(PHOTO)
    joined = ConcatLayer().output_groups(k4, [MapGroup("", (0,))], k5, PHOTO)
    assert [g.name for g in joined] == ["k4", "1", "2", "k5", "4", PHOTO[0].name]


def test_groups_through_a_chain() -> None:
    chain = Network.chain(ConvLayer(kernels(1, 2)), PoolLayer(), ConvLayer(kernels(3)))
    found = [(group.name, group.channels) for group in chain.groups(PHOTO)[chain.names[-1]]]
    assert found == [("k3-k1", (0, 1, 2)), ("k3-k2", (3, 4, 5))]


def test_the_order_of_channels_follows_the_groups_through_a_chain() -> None:
    first, second = kernels(1, 2), kernels(3, 4)
    Y = output(Network.chain(ConvLayer(first), ConvLayer(second)))
    middle, _ = ConvLayer(first).forward(X)
    for k, c in np.ndindex(2, 6):
        W = second.weights[:, :, k].reshape(3, 2, 1, 1)
        border = {"pad": "same", "pad_mode": "edge"}
        alone, _ = conv_forward(middle[..., [c]], W, np.zeros((1, 1, 1, 1)), border)
        np.testing.assert_allclose(Y[..., 6 * k + c], alone[..., 0], rtol=1e-9)


def check_gradients(layer: Any, given: np.ndarray, parameters: dict[str, np.ndarray]) -> None:
    """Compare every gradient with central differences; ``layer(**changes)`` makes the layer."""
    Y, cache = layer().forward(given)
    dY = np.random.default_rng(1).standard_normal(Y.shape)
    dX, gradients = layer().backward(dY, cache)
    numeric = numeric_gradient(lambda x: layer().forward(x)[0], given, dY)
    np.testing.assert_allclose(dX, numeric, rtol=1e-6, atol=1e-7)
    assert set(gradients) == set(parameters)
    for name, value in parameters.items():
        assert gradients[name].shape == value.shape
        numeric = numeric_gradient(
            lambda v, name=name: layer(**{name: v}).forward(given)[0], value, dY
        )
        np.testing.assert_allclose(gradients[name], numeric, rtol=1e-6, atol=1e-7, err_msg=name)


SPACED = {"stride": (2, 1), "padding": (1, 2), "pad_mode": "edge", "dilation": (1, 2)}


@pytest.mark.parametrize(
    ("activation", "count", "channels", "fields"),
    sweep(
        ["none", "relu", "leaky-relu", "sigmoid", "tanh", "abs"], [1, 3], [1, 3], [{}, SPACED],
    ),
)  # fmt: skip
def test_gradients_of_2d_filters(
    channels: int, count: int, activation: str, fields: dict[str, Any]
) -> None:
    chosen = kernels(*range(count))
    b = np.arange(count) * 0.3 + 0.17

    def layer(W: np.ndarray = chosen.weights, b: np.ndarray = b) -> ConvLayer:
        changed = Filter(chosen.name, W, True, chosen.map_names)
        return ConvLayer(changed, b, activation=activation, **fields)

    check_gradients(layer, X[:, :4, :4, :channels], {"W": chosen.weights, "b": b})


@pytest.mark.parametrize("chosen", [kernels(1), kernels(1, 2), bank(3, 2, 3, 4)])
def test_gradients_without_a_bias(chosen: Filter) -> None:
    Y, cache = ConvLayer(chosen).forward(X)
    dY = RANDOM.standard_normal(Y.shape)
    dX, gradients = ConvLayer(chosen).backward(dY, cache)
    with_bias, same = ConvLayer(chosen, np.zeros(chosen.maps)).backward(
        dY, ConvLayer(chosen, np.zeros(chosen.maps)).forward(X)[1]
    )
    assert np.array_equal(dX, with_bias) and np.array_equal(gradients["W"], same["W"])
    assert gradients["b"].shape == (chosen.maps,)


@pytest.mark.parametrize(
    ("groups", "activation", "padding"),
    sweep([1, 3], ["none", "sigmoid", "relu"], ["same", "valid", (0, 1, 2, 0)], rounds=2),
)
def test_gradients_of_banks(padding: Any, activation: str, groups: int) -> None:
    W = RANDOM.standard_normal((2, 3, 3 // groups, 6))
    b = np.arange(6) * 0.4 + 0.1

    def layer(W: np.ndarray = W, b: np.ndarray = b) -> ConvLayer:
        made = from_array(W)
        return ConvLayer(made, b, 2, padding, groups=groups, activation=activation)

    check_gradients(layer, X[:, :4, :4], {"W": W, "b": b})


@pytest.mark.parametrize(
    "layer",
    [
        PoolLayer(),
        PoolLayer("max", 3, 1, 1),
        PoolLayer("min", (2, 3), 2, "same", ceil=True),
        PoolLayer("average", 3, 2, 1, count_include_pad=True),
        PoolLayer("average", "global"),
        PoolLayer("lp", 2, 1, 0, 2, p=3.0),
        PadLayer((1, 2, 3, 0)),
        PadLayer(2, "reflect"),
        PadLayer(2, "wrap"),
        PadLayer(2, "symmetric"),
        PadLayer(2, "edge", 5.0),
        PadLayer(1, pad_value=3.0),
        *(ActivationLayer(n) for n in ("none", "relu", "leaky-relu", "sigmoid", "tanh", "abs")),
    ],
    ids=repr,
)
def test_gradients_of_layers_without_parameters(layer: Layer) -> None:
    check_gradients(lambda: layer, distinct_values(np.random.default_rng(3), 2, 4, 5, 3), {})


def test_a_network_is_its_layers_one_after_the_other() -> None:
    layers = (PadLayer(1, "edge"), ConvLayer(bank(3, 3, 3, 4), activation="relu"), PoolLayer())
    network = Network.chain(*layers)
    expected = X
    for layer in layers:
        expected, _ = layer.forward(expected)
    assert np.array_equal(output(network), expected)
    assert network.output_shape(X.shape) == expected.shape and network.op == "pool"


@pytest.mark.parametrize(
    ("layers", "keeps", "filters"),
    [
        ((PoolLayer(),), True, False),
        ((PadLayer(1), ActivationLayer("relu")), True, False),
        ((ConvLayer(kernels(1)), PoolLayer()), True, True),
        ((ConvLayer(kernels(1)), ConvLayer(bank(1, 1, 3, 3))), False, False),
    ],
)
def test_what_keeps_a_picture_a_picture(
    layers: tuple[Layer, ...], keeps: bool, filters: bool
) -> None:
    network = Network.chain(*layers)
    assert (network.keeps_channels, network.filters_channels) == (keeps, filters)


def test_a_network_needs_a_layer_and_finds_the_one_that_does_not_fit() -> None:
    with pytest.raises(OptionError, match="at least one layer"):
        Network.chain()
    with pytest.raises(ShapeError, match="1 channel in, the input has 3"):
        Network.chain(PoolLayer(), ConvLayer(load_filter("kirsch"))).output_shape(X.shape)


def test_layers_that_are_no_chain_have_no_strips() -> None:
    nodes = (
        Node("pool1", PoolLayer("max", 1, 1), ("input",)),
        Node("add1", AddLayer(), ("pool1", "input")),
    )
    network = Network(nodes)
    assert not network.has_strips
    with pytest.raises(AssertionError):
        network.stage(X.shape, X.dtype)


def test_shapes_are_those_of_the_input_that_is_asked_about() -> None:
    network = Network.chain(PoolLayer("max", 2), PoolLayer("max", 3))
    for _ in range(2):
        for side, last in ((12, 2), (6, 1), (12, 2)):
            shapes = network.shapes((1, side, side, 1))
            assert shapes.pop("pool2") == (1, last, last, 1)
        with pytest.raises(ShapeError):
            network.shapes((1, 4, 4, 1))
    assert network.until("pool2") == network != network.until("pool1")
