"""Tensors of any number of axes as maps: layouts, and the layer that turns axes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.network.layers.view import Layout, ViewLayer, layout_of, reshaped

SHAPES = [
    (1, 3, 4, 5),
    (2, 3, 4, 5),
    (1, 2, 3, 4, 5),
    (1, 7, 6),
    (4, 7, 6),
    (1, 6),
    (4, 6),
    (6,),
    (),
]


def tensors(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=(2, *shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tensors_come_back_from_maps(shape: tuple[int, ...]) -> None:
    layout, T = layout_of(shape), tensors(*shape)
    maps = layout.store(T, layout.cells(shape))
    assert maps.shape == (2, *layout.cells(shape))
    np.testing.assert_array_equal(layout.load(maps), T)
    assert layout.shape(maps.shape[1:]) == shape


def test_pictures_are_stored_with_their_channels_last() -> None:
    T = tensors(1, 3, 4, 5)
    maps = Layout("nchw").store(T, (4, 5, 3))
    np.testing.assert_array_equal(maps, np.moveaxis(T[:, 0], 1, -1))


@pytest.mark.parametrize("axes", ["nchw", "nhwc", "chw", "hwc", "nwhc", "nwc", "hw"])
def test_a_reshape_moves_nothing(axes: str) -> None:
    layout = Layout(axes)
    cells = tuple(n if letter in axes else 1 for letter, n in zip("hwc", (4, 6, 3), strict=True))
    maps = np.random.default_rng(4).normal(size=(2, *cells))
    T = layout.load(maps)
    for shape in [(1, T[0].size), (2, T[0].size // 2), T.shape[1:], (1, *T.shape[1:]), (1, 2, -1)]:
        expected = T.reshape(2, *shape)
        other = reshaped(layout, cells, expected.shape[1:])
        np.testing.assert_array_equal(other.load(maps), expected)
    assert reshaped(Layout("n" + layout.order, dims=(9,)), cells, T.shape[1:]).dims is None


def test_a_shape_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="4x6x3 cells cannot have the shape"):
        reshaped(Layout(), (4, 6, 3), (1, 71))


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_a_view_turns_axes_as_numpy_does(order: tuple[int, ...]) -> None:
    layout = Layout("nchw", dims=(1, 2, 3, 20))
    X = tensors(4, 5, 6)
    new = tuple((1, 2, 3, 20)[axis] for axis in order)
    layer = ViewLayer(layout, order, layout_of(new).cells(new)[2])
    Y, cache = layer.forward(X)
    assert Y.shape == layer.output_shape(X.shape)
    turned = layout.load(X).transpose(0, *(1 + axis for axis in order))
    np.testing.assert_array_equal(layout_of(new).load(Y), turned)
    # It only moves values, so its gradient moves them back.
    np.testing.assert_array_equal(layer.backward(Y, cache)[0], X)
    stage = layer.stage((1, *X.shape[1:]), X.dtype)
    np.testing.assert_array_equal(stage.read(lambda a, b: X[:1, a:b], 1, 2), Y[:1, 1:2])
    for cell in np.ndindex(Y.shape[1:]):
        row, column, channel = layer.source(X.shape, cell)
        assert X[0, row, column, channel] == Y[(0, *cell)]


def test_a_view_of_maps_that_do_not_fit() -> None:
    layer = ViewLayer(Layout(dims=(1, 2, 3)), (0, 2, 1), 2)
    with pytest.raises(ShapeError, match="maps of 4x4x1 cannot have the shape"):
        layer.output_shape((1, 4, 4, 1))


@pytest.mark.oracle
def test_a_shuffle_of_channels_is_one_layer() -> None:
    from tests.support.onnxmodels import check, load, model, node, picture

    constants = {"five": np.array([1, 2, 2, 9, 8]), "four": np.array([1, 4, 9, 8])}
    nodes = [
        node("Reshape", "x five", "v"),
        node("Transpose", "v", "t", "shuffle", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t four", "s"),
        node("Conv", "s W", "y"),
    ]
    constants["W"] = np.random.default_rng(5).normal(size=(3, 4, 3, 3)).astype(np.float32)
    made = model(nodes, constants, (1, 4, 9, 8))
    found = load(made).network
    assert [n.layer.op for n in found.nodes] == ["view", "conv"]
    assert found.shapes((1, 9, 8, 4))["shuffle"] == (1, 9, 8, 4)
    check(made, picture(1, 4, 9, 8))
