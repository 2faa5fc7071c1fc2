"""Folding: the same values from fewer layers, and nothing folded that is wanted elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cnncli.filters.filter import from_array
from cnncli.network.folding import fold
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    CellScaleLayer,
    ConvLayer,
    MulLayer,
    ScaleLayer,
)
from cnncli.network.passes import forward, forward_layers

RNG = np.random.default_rng(5)


def bank(channels: int, maps: int, **options: Any) -> ConvLayer:
    return ConvLayer(from_array(RNG.standard_normal((3, 3, channels, maps))), **options)


def scale(factor: float, offset: float) -> ScaleLayer:
    return ScaleLayer(np.array([factor]), np.array([offset]))


def network(*nodes: tuple[str, Any, Sequence[str]]) -> Network:
    return Network(tuple(Node(name, layer, tuple(inputs)) for name, layer, inputs in nodes))


SILU = network(
    ("conv", bank(3, 8), [SOURCE]),
    ("gate", ActivationLayer("sigmoid"), ["conv"]),
    ("silu", MulLayer(), ["conv", "gate"]),
    ("last", bank(8, 4), ["silu"]),
)
GELU = network(
    ("conv", bank(3, 8), [SOURCE]),
    ("small", scale(0.5**0.5, 0), ["conv"]),
    ("erf", ActivationLayer("erf"), ["small"]),
    ("share", scale(1, 1), ["erf"]),
    ("product", MulLayer(), ["conv", "share"]),
    ("gelu", scale(0.5, 0), ["product"]),
    ("last", bank(8, 4), ["gelu"]),
)
RESIDUAL = network(
    ("conv", bank(3, 3), [SOURCE]),
    ("relu", ActivationLayer("relu"), ["conv"]),
    ("sum", AddLayer(), ["relu", SOURCE]),
    ("last", bank(3, 4), ["sum"]),
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("whole", "names"),
    [(SILU, ("silu", "last")), (GELU, ("gelu", "last")), (RESIDUAL, ("relu", "sum", "last"))],
    ids=["silu", "gelu", "residual"],
)
def test_layers_on_each_cell_are_folded_into_the_convolution(
    whole: Network, names: Sequence[str], dtype: Any
) -> None:
    X = RNG.standard_normal((1, 40, 33, 3)).astype(dtype)
    assert fold(whole).names == names
    expected = forward(whole, X).values
    for name in names:
        ((_, found),) = forward_layers(whole, X, [name])
        assert found.dtype == dtype
        if name == "last":
            np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-4)
        elif whole is SILU:
            # As one activation it is rounded once less.
            np.testing.assert_allclose(found, expected[name], rtol=4 * np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(found, expected[name])


def test_a_folded_silu_makes_of_infinities_what_its_layers_make() -> None:
    X = np.array([-np.inf, -1e38, -200, 0, 1, np.inf, np.nan], np.float32).reshape(1, 7, 1, 1)
    one = ConvLayer(from_array(np.ones((1, 1, 1, 1), np.float32)))
    whole = Network((Node("conv", one, (SOURCE,)), *SILU.nodes[1:3]))
    with np.errstate(invalid="ignore"):
        expected = forward(whole, X).values["silu"]
    ((_, found),) = forward_layers(whole, X, ["silu"])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(expected[0, 0])


@pytest.mark.parametrize("name", GELU.names)
def test_what_is_wanted_is_not_folded_away(name: str) -> None:
    X = RNG.standard_normal((1, 9, 9, 3))
    assert name in fold(GELU, keep=[name]).names
    ((_, found),) = forward_layers(GELU, X, [name])
    np.testing.assert_allclose(found, forward(GELU, X).values[name], rtol=1e-12, atol=1e-12)


def test_a_convolution_that_others_use_too_stays() -> None:
    both = network(
        ("conv", bank(3, 8), [SOURCE]),
        ("relu", ActivationLayer("relu"), ["conv"]),
        ("other", bank(8, 8), ["conv"]),
        ("sum", AddLayer(), ["relu", "other"]),
    )
    assert fold(both).names == both.names


def test_numbers_for_each_cell_are_not_folded() -> None:
    cells = CellScaleLayer((4, 4, 2), RNG.standard_normal(32), np.zeros(1))
    whole = Network.chain(bank(3, 2), ActivationLayer("relu"), cells)
    assert fold(whole).names == ("activation1", cells.op + "1")


def test_softmax_over_channels_is_folded_where_filters_run_in_blocks() -> None:
    wide = ConvLayer(from_array(RNG.standard_normal((1, 1, 512, 600)).astype(np.float32)))
    whole = Network.chain(wide, ActivationLayer("softmax"))
    X = RNG.standard_normal((1, 2, 300, 512)).astype(np.float32)
    assert fold(whole).names == ("activation1",)
    ((_, found),) = forward_layers(whole, X)
    np.testing.assert_allclose(found.sum(axis=3), 1, rtol=1e-5)
    np.testing.assert_allclose(found, forward(whole, X).values["activation1"], rtol=1e-4)
