"""Layers beside convolution and pooling, and networks of them: values, gradients, reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.filters.filter import from_array, stack
from cnncli.network.folding import fold
from cnncli.network.graph import SOURCE, Network, Node
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
    ScaleLayer,
    SubLayer,
)
from cnncli.network.passes import backward_bytes, forward, forward_layers, peak_bytes
from tests.support.judges import check_gradients, distinct_values, numeric_gradient
from tests.support.memory import traced_peak

RANDOM = np.random.default_rng(41)
X = distinct_values(RANDOM, 2, 4, 5, 3) / 3


def norm(channels: int = 3, epsilon: float = 1e-3) -> BatchNormLayer:
    rng = np.random.default_rng(channels)
    gamma, beta, mean = rng.standard_normal((3, channels))
    return BatchNormLayer(gamma, beta, mean, rng.uniform(0.5, 2, channels), epsilon)


def bank(n_in: int, n_out: int, side: int = 3, **options: Any) -> ConvLayer:
    weights = np.random.default_rng(n_in + n_out).standard_normal((side, side, n_in, n_out))
    return ConvLayer(from_array(weights), **options)


def residual(**last: Any) -> Network:
    """Two ways through and back together, then a product with a global pool and a bank."""
    return Network(
        (
            Node("conv1", bank(3, 4), (SOURCE,)),
            Node("bn1", norm(4), ("conv1",)),
            Node("relu1", ActivationLayer("relu"), ("bn1",)),
            Node("shortcut", bank(3, 4, 1), (SOURCE,)),
            Node("sum", AddLayer(), ("relu1", "shortcut")),
            Node("pool", PoolLayer("average", "global"), ("sum",)),
            Node("weighted", MulLayer(), ("sum", "pool")),
            Node("both", ConcatLayer(), ("weighted", "conv1")),
            Node("last", bank(8, 2, 1, **last), ("both",)),
        )
    )


def test_batch_normalisation_is_its_formula() -> None:
    layer = norm()
    Y, _ = layer.forward(X)
    for c in range(3):
        scaled = (X[..., c] - layer.mean[c]) / np.sqrt(layer.var[c] + 1e-3)
        np.testing.assert_allclose(Y[..., c], layer.gamma[c] * scaled + layer.beta[c], rtol=1e-12)


PARAMETRIC: dict[str, Layer] = {
    "batchnorm": norm(),
    "scale": ScaleLayer(np.array([2.0, -1.0, 0.5]), np.array([0.1])),
    "prelu": ActivationLayer("prelu", np.array([0.25, 0.5, -0.125])),
    "prelu of one slope": ActivationLayer("prelu", np.array([0.25])),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_gradients_of_parameters(name: str) -> None:
    check_gradients(PARAMETRIC[name], X)


@pytest.mark.parametrize("alpha", [np.array([0.25]), np.array([0.25, -0.5, 0.75, 0.125])])
def test_gradients_of_a_bank_with_learned_slopes(alpha: np.ndarray) -> None:
    layer = bank(3, 4, activation="prelu", alpha=alpha)
    Y, cache = layer.forward(X)
    dY = RANDOM.standard_normal(Y.shape)
    dX, gradients = layer.backward(dY, cache)
    numeric = numeric_gradient(lambda x: layer.forward(x)[0], X, dY)
    np.testing.assert_allclose(dX, numeric, rtol=1e-6, atol=1e-7)
    slopes = numeric_gradient(
        lambda a: bank(3, 4, activation="prelu", alpha=a).forward(X)[0], alpha, dY
    )
    np.testing.assert_allclose(gradients["alpha"], slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bias", [np.array([0.5]), np.array([0.25, -0.5, 0.75, 0.125])])
@pytest.mark.parametrize("per_channel", [False, True])
def test_gradients_of_weights_and_biases(bias: np.ndarray, per_channel: bool) -> None:
    weights = RANDOM.standard_normal((3, 3, 3, 4))
    kernels = stack([from_array(weights[:, :, 0, k]) for k in range(4)])
    check_gradients(ConvLayer(kernels if per_channel else from_array(weights), bias), X)


def test_exchanged_parameters_leave_the_layer_as_it_was() -> None:
    layer = bank(3, 4, activation="prelu", alpha=np.array([0.25]))
    before = layer.forward(X)[0]
    other = layer.with_parameters({"alpha": np.array([0.5]), "b": np.ones(4)})
    assert set(other.parameters) == {"W", "b", "alpha"}
    assert (layer.forward(X)[0] == before).all() and (other.forward(X)[0] != before).any()


@pytest.mark.parametrize(
    "layer",
    [
        ActivationLayer("softmax"),
        ActivationLayer("clip", low=-1.05, high=2.04),
        ActivationLayer("hard-sigmoid"),
        ActivationLayer("hard-swish"),
        ActivationLayer("leaky-relu", np.array([0.3])),
    ],
    ids=lambda layer: layer.activation,
)
def test_gradients_of_activations(layer: ActivationLayer) -> None:
    check_gradients(layer, X * 1.01)  # off every kink


JOINS: dict[str, tuple[MergeLayer, list[np.ndarray]]] = {
    "add": (AddLayer(), [X, X[::-1] * 0.5, X + 1]),
    "add of 1x1": (AddLayer(), [X, X[:, :1, :1]]),
    "mul": (MulLayer(), [X, X[::-1] * 0.5, X + 1]),
    "mul of 1x1": (MulLayer(), [X[:, 1:2, :1], X]),
    "sub": (SubLayer(), [X, X[::-1] * 0.5]),
    "sub of 1x1": (SubLayer(), [X, X[:, :1, :1]]),
    "div": (DivLayer(), [X, np.abs(X[::-1]) + 0.5]),
    "div of 1x1": (DivLayer(), [X[:, 1:2, :1], np.abs(X) + 0.5]),
    "max": (MaxLayer(), [X, X[::-1] * 0.5 + 0.1, -X]),
    "min of 1x1": (MinLayer(), [X, X[:, :1, :1] + 0.1]),
    "add of one row": (AddLayer(), [X, X[:, :1] + 0.1]),
    "sub of one column": (SubLayer(), [X[:, :, :1], X]),
    "mul of one channel": (MulLayer(), [X[..., :1], X]),
    "div of one of each": (DivLayer(), [X[:, :1], X[:, :, :1, :1] + 5]),
    "max of one channel": (MaxLayer(), [X, X[..., :1] + 0.1]),
    "concat": (ConcatLayer(), [X, X[..., :1], X[..., 1:]]),
    "concat of rows": (ConcatLayer("rows"), [X, X[:, :1] * 2, X[:, 1:]]),
    "concat of columns": (ConcatLayer("columns"), [X[:, :, :1] * 2, X]),
}


@pytest.mark.parametrize("name", JOINS)
def test_gradients_of_joins(name: str) -> None:
    layer, inputs = JOINS[name]
    Y, cache = layer.forward(*inputs)
    assert Y.shape == layer.output_shape(*(each.shape for each in inputs))
    dY = RANDOM.standard_normal(Y.shape)
    found, gradients = layer.backward(dY, cache)
    assert gradients == {}
    for k, given in enumerate(inputs):

        def changed(x: np.ndarray, k: int = k) -> np.ndarray:
            return layer.forward(*inputs[:k], x, *inputs[k + 1 :])[0]

        numeric = numeric_gradient(changed, given, dY)
        np.testing.assert_allclose(found[k], numeric, rtol=1e-6, atol=1e-7)


def test_a_tie_of_extremes_gives_all_to_the_first_and_nan_wins() -> None:
    one = np.ones((1, 1, 1, 1))
    for layer in (MaxLayer(), MinLayer()):
        Y, cache = layer.forward(one, one)
        found, _ = layer.backward(np.full_like(Y, 3.0), cache)
        assert [each.item() for each in found] == [3, 0]
        assert np.isnan(layer.forward(one, one * np.nan)[0]).all()


def test_division_by_zero_is_infinite_without_a_warning() -> None:
    zero = np.zeros((1, 1, 1, 2))
    Y, cache = DivLayer().forward(np.array([1.0, 0]).reshape(1, 1, 1, 2), zero)
    np.testing.assert_array_equal(Y.ravel(), [np.inf, np.nan])
    DivLayer().backward(np.ones_like(Y), cache)


def test_gradients_through_a_network_that_parts_and_joins() -> None:
    network = residual(activation="sigmoid")
    done = forward(network, X)
    dY = RANDOM.standard_normal(done.values["last"].shape)
    extra = RANDOM.standard_normal(done.values["sum"].shape)
    gradients = done.backward({"last": dY, "sum": extra})

    def both(x: np.ndarray) -> np.ndarray:
        values = forward(network, x).values
        return np.array([np.sum(values["last"] * dY) + np.sum(values["sum"] * extra)])

    numeric = numeric_gradient(both, X, np.ones(1))
    np.testing.assert_allclose(gradients.values[SOURCE], numeric, rtol=1e-5, atol=1e-7)
    assert set(gradients.parameters["conv1"]) == {"W", "b"}


def test_layers_that_a_number_does_not_depend_on_have_no_gradient() -> None:
    done = forward(residual(), X)
    gradients = done.backward({"relu1": np.ones_like(done.values["relu1"])})
    assert set(gradients.values) == {SOURCE, "conv1", "bn1", "relu1"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("jobs", [1, 2])
def test_walking_gives_what_the_layers_give(dtype: Any, jobs: int) -> None:
    network, given = residual(), X.astype(dtype)
    expected = forward(network, given).values
    wanted = ["conv1", "sum", "last"]
    found = dict(forward_layers(network, given, wanted, jobs))
    assert list(found) == wanted
    for name, Y in found.items():
        assert Y.dtype == dtype
        np.testing.assert_allclose(Y, expected[name], rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_a_layer_is_run_up_to_and_with_what_it_needs() -> None:
    network = residual()
    assert network.until("sum").names == ("conv1", "bn1", "relu1", "shortcut", "sum")
    assert network.until("shortcut").names == ("shortcut",)
    assert network.until("shortcut").is_chain and not network.until("sum").is_chain
    with pytest.raises(OptionError, match="no layer 'relu'.*nearest: relu1"):
        network.until("relu")


def test_normalisation_folds_into_the_bank_before_it() -> None:
    network = Network.chain(bank(3, 4), norm(4), ActivationLayer("relu"), bank(4, 2), norm(2))
    folded = fold(network)
    assert folded.names == ("activation1", "batchnorm2")
    expected = forward(network, X).values["batchnorm2"]
    np.testing.assert_allclose(forward(folded, X).values["batchnorm2"], expected, rtol=1e-10)
    assert fold(network, keep=["conv1"]).names == (
        "conv1",
        *network.names[1:3],
        "batchnorm2",
    )
    # conv1 is used twice.
    assert fold(residual()).names == residual().names


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "activation",
    [
        ActivationLayer("relu"),
        ActivationLayer("clip", high=6.0),
        ActivationLayer("silu"),
        ActivationLayer("prelu", np.array([0.5, -1, 0.1, 2])),
        ActivationLayer("softmax"),
    ],
    ids=lambda layer: layer.activation,
)
def test_an_activation_folds_into_the_convolution_before_it(
    activation: ActivationLayer, dtype: Any
) -> None:
    network = Network.chain(bank(3, 4), activation, bank(4, 2))
    folded = fold(network)
    assert folded.names == ("activation1", "conv2")
    assert fold(network, keep=["conv1"]).names == network.names
    values = X.astype(dtype)
    expected = forward(network, values).values["activation1"]
    ((_, got),) = forward_layers(network, values, ["activation1"])
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


def test_a_folded_activation_is_checked_with_its_convolution() -> None:
    network = fold(Network.chain(bank(3, 4), ActivationLayer("prelu", np.ones(3))))
    with pytest.raises(ShapeError, match="alpha must hold 1 value or 4"):
        network.output_shape(X.shape)


def test_folding_keeps_the_digits_of_float64_pictures() -> None:
    single = [bank(3, 4), norm(4)]
    conv, last = (
        layer.with_parameters({k: v.astype(np.float32) for k, v in layer.parameters.items()})
        for layer in single
    )
    for behind in (last, ScaleLayer(last.gamma, last.beta)):
        network = Network.chain(conv, behind)
        folded = fold(network)
        assert len(folded.nodes) == 1
        expected = forward(network, X).values[network.names[-1]]
        got = forward(folded, X).values[network.names[-1]]
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_what_a_unit_is_made_from() -> None:
    network = Network(
        (
            Node("conv1", bank(3, 4, stride=2, padding=1), (SOURCE,)),
            Node("wide", bank(4, 4, 5), ("conv1",)),
            Node("sum", AddLayer(), ("conv1", "wide")),
            Node("pool", PoolLayer("max", 2), ("sum",)),
        )
    )
    shape = (1, 33, 47, 3)
    boxes = network.reads(shape, "pool", (slice(2, 3), slice(6, 7)))
    assert boxes["sum"] == (slice(4, 6), slice(12, 14))
    assert boxes["conv1"] == (slice(2, 8), slice(10, 16))
    assert boxes[SOURCE] == (slice(3, 16), slice(19, 32))
    # The judge: the gradient of that unit is nowhere else.
    given = RANDOM.standard_normal(shape)
    done = forward(network, given)
    dY = np.zeros_like(done.values["pool"])
    dY[:, 2, 6] = 1
    changed = np.argwhere(done.backward({"pool": dY}).values[SOURCE].any(axis=(0, 3)))
    rows, cols = boxes[SOURCE]
    assert changed.min(axis=0).tolist() >= [rows.start, cols.start]
    assert changed.max(axis=0).tolist() <= [rows.stop - 1, cols.stop - 1]


@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
def test_borders_that_copy_reach_further(mode: str) -> None:
    network = Network.chain(PadLayer((1, 2, 3, 1), mode), bank(1, 1, 3, padding=1, pad_mode=mode))
    shape = (1, 6, 7, 1)
    height, width = network.output_shape(shape)[1:3]
    for row, col in [(0, 0), (height - 1, width - 1), (0, 4), (4, 0)]:
        rows, cols = network.reads(shape, "conv1", (slice(row, row + 1), slice(col, col + 1)))[
            SOURCE
        ]
        done = forward(network, np.ones(shape))
        dY = np.zeros_like(done.values["conv1"])
        dY[0, row, col] = 1
        gradient = done.backward({"conv1": dY}).values[SOURCE][0, :, :, 0]
        inside = np.zeros(shape[1:3], bool)
        inside[rows, cols] = True
        assert not gradient[~inside].any()


def test_only_what_is_still_needed_is_held() -> None:
    shape, dtype = (1, 8, 8, 4), np.dtype(np.float32)
    chain = Network.chain(*(ActivationLayer("relu") for _ in range(5)))
    one = 8 * 8 * 4 * 4
    assert peak_bytes(chain, shape, dtype) == 2 * one
    nodes = [*chain.nodes, Node("sum", AddLayer(), ("activation1", "activation5"))]
    assert peak_bytes(Network(tuple(nodes)), shape, dtype) == 3 * one


def test_the_memory_of_a_backward_pass_is_estimated() -> None:
    network = Network.chain(bank(3, 16, activation="relu"), PoolLayer("max", 3, 1, padding=1))
    given = RANDOM.standard_normal((1, 200, 200, 3))

    def passes() -> None:
        done = forward(network, given)
        done.backward({"pool1": np.ones_like(done.values["pool1"])})

    peak = traced_peak(passes)
    assert 0.6 < peak / backward_bytes(network, given.shape, given.dtype) < 1.2


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([("a", PoolLayer(), ("b",))], "its input 'b' is no layer before it"),
        ([("a", PoolLayer(), (SOURCE,)), ("a", PoolLayer(), (SOURCE,))], "'a' twice"),
        ([(SOURCE, PoolLayer(), (SOURCE,))], "must differ"),
        ([("conv1", PoolLayer(), (SOURCE,)), ("p", PoolLayer(), ("conv2",))], "nearest: conv1"),
    ],
)
def test_names_are_checked(nodes: list[Any], error: str) -> None:
    with pytest.raises(OptionError, match=error):
        Network(tuple(Node(*node) for node in nodes))


@pytest.mark.parametrize(
    ("layer", "shapes", "error"),
    [
        (AddLayer(), [(1, 4, 4, 2)], "at least 2 inputs"),
        (AddLayer(), [(1, 4, 4, 2), (1, 4, 5, 2)], "shape, or 1 along an axis, got 4x4x2, 4x5x2"),
        (MulLayer(), [(1, 4, 4, 2), (1, 1, 1, 3)], "got 4x4x2, 1x1x3"),
        (SubLayer(), [(1, 4, 4, 2)] * 3, "sub takes 2 inputs, got 3"),
        (ConcatLayer(), [(1, 4, 4, 2), (1, 4, 5, 2)], "agree in rows and columns"),
        (ConcatLayer("rows"), [(1, 4, 4, 2), (1, 4, 5, 2)], "agree in columns and channels"),
        (norm(4), [(1, 4, 4, 2)], "gamma must hold 1 value or 2"),
        (ActivationLayer("prelu", np.ones(4)), [(1, 4, 4, 2)], "alpha must hold 1 value or 2"),
        (bank(3, 4, activation="prelu", alpha=np.ones(3)), [(1, 4, 4, 3)], "1 value or 4"),
    ],
)
def test_shapes_are_checked(layer: Any, shapes: list[Any], error: str) -> None:
    with pytest.raises(ShapeError, match=error):
        layer.output_shape(*shapes)


@pytest.mark.parametrize(
    "layer",
    [
        ActivationLayer("prelu"),
        ActivationLayer("clip", low=2.0, high=1.0),
        bank(3, 4, activation="relu", alpha=np.ones(1)),
        BatchNormLayer(*(np.ones(1),) * 4, epsilon=0.0),
        BatchNormLayer(*(np.ones(1),) * 3, -np.ones(1)),
    ],
)
def test_settings_are_checked_before_any_work(layer: Any) -> None:
    with pytest.raises(OptionError):
        layer.output_shape((1, 4, 4, 3))


def test_layers_of_several_inputs_count_them() -> None:
    with pytest.raises(ShapeError, match="add needs at least 2 inputs, got 0"):
        AddLayer().output_shape()


def test_the_axis_of_a_concat_is_checked() -> None:
    with pytest.raises(OptionError, match="axis must be one of rows, columns, channels, got 'dep"):
        ConcatLayer("depth").output_shape((1, 4, 4, 2), (1, 4, 4, 2))


def test_the_layer_that_does_not_fit_is_named() -> None:
    network = Network.chain(PoolLayer(), PoolLayer(size=9))
    with pytest.raises(ShapeError, match="layer pool2: the window must fit"):
        network.shapes((1, 8, 8, 1))


def test_nothing_runs_behind_the_last_wanted_layer() -> None:
    network = Network.chain(PoolLayer(), PoolLayer(size=99))
    assert [name for name, _ in forward_layers(network, X, ["pool1"])] == ["pool1"]
