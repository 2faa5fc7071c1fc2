"""Depth to space and space to depth: values, gradients, strips, and network files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.network.graph import Network
from cnncli.network.layers import DepthToSpaceLayer, SpaceToDepthLayer
from cnncli.network.layers.blocks import BLOCK_ORDERS
from cnncli.network.load import load_model
from cnncli.network.model import Model
from cnncli.network.passes import forward_layers
from cnncli.network.toml_writer import save_network

X = np.random.default_rng(8).normal(size=(2, 6, 4, 12))
LAYERS: dict[str, Any] = {
    f"{layer.__name__} {block} {order}": layer(block, order)
    for layer in (DepthToSpaceLayer, SpaceToDepthLayer)
    for block in (1, 2)
    for order in BLOCK_ORDERS
}


def by_hand(layer: Any) -> Any:
    """Return the values cell by cell, as the definition has them."""
    b, (m, n_H, n_W, n_C) = layer.block, layer.output_shape(X.shape)
    Y = np.zeros((m, n_H, n_W, n_C))
    first = layer.order == "block-first"
    for i, j, c in np.ndindex(n_H, n_W, n_C):
        if isinstance(layer, DepthToSpaceLayer):
            cell = (i % b) * b + j % b
            Y[:, i, j, c] = X[:, i // b, j // b, cell * n_C + c if first else c * b * b + cell]
        else:
            cell, channel = divmod(c, 12) if first else divmod(c, b * b)[::-1]
            Y[:, i, j, c] = X[:, i * b + cell // b, j * b + cell % b, channel]
    return Y


@pytest.mark.parametrize("name", LAYERS)
def test_values_gradient_strips_and_reach(name: str) -> None:
    layer = LAYERS[name]
    Y, cache = layer.forward(X)
    np.testing.assert_array_equal(Y, by_hand(layer))
    # It only moves values, so its gradient moves them back.
    np.testing.assert_array_equal(layer.backward(Y, cache)[0], X)
    stage = layer.stage((1, *X.shape[1:]), X.dtype)
    for first in range(Y.shape[1]):
        strip = stage.read(lambda a, b: X[:1, a:b], first, first + 1)
        np.testing.assert_array_equal(strip, Y[:1, first : first + 1])
    for cell in np.ndindex(Y.shape[1:]):
        row, column, channel = layer.source(X.shape, cell)
        assert X[0, row, column, channel] == Y[(0, *cell)]
        rows, columns = layer.reads(X.shape, tuple(slice(at, at + 1) for at in cell[:2]))
        assert rows.start <= row < rows.stop
        assert columns.start <= column < columns.stop


@pytest.mark.parametrize("name", LAYERS)
def test_network_files(name: str, tmp_path: Path) -> None:
    network = Network.chain(SpaceToDepthLayer(2), LAYERS[name])
    save_network(Model(network), tmp_path / "net.toml", tmp_path / "net.npz")
    again = load_model(tmp_path / "net.toml").network
    assert again == network
    pixels = np.random.default_rng(9).normal(size=(2, 12, 8, 3))
    ((_, Y),) = forward_layers(again, pixels)
    np.testing.assert_array_equal(
        Y, LAYERS[name].forward(SpaceToDepthLayer(2).forward(pixels)[0])[0]
    )


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="need as many channels, or a multiple, got 6"):
        DepthToSpaceLayer(2).output_shape((1, 4, 4, 6))
    with pytest.raises(ShapeError, match="must fill rows and columns, got 5x4"):
        SpaceToDepthLayer(2).output_shape((1, 5, 4, 3))
    with pytest.raises(OptionError, match="block must be at least 1, got 0"):
        DepthToSpaceLayer(0).output_shape((1, 4, 4, 4))
    with pytest.raises(OptionError, match="order must be one of block-first, channel-first"):
        SpaceToDepthLayer(2, "block").output_shape((1, 4, 4, 4))


@pytest.mark.oracle
@pytest.mark.parametrize("sides", [(9, 8), ("H", "W")], ids=["fixed", "open"])
def test_onnx(sides: Any) -> None:
    pytest.importorskip("onnxruntime")
    from tests.support.onnxmodels import check, load, model, node, picture

    for mode in ("DCR", "CRD"):
        made = model([node("DepthToSpace", "x", "y", blocksize=2, mode=mode)], shape=(2, 4, *sides))
        assert load(made).network.nodes[0].layer.op == "depth-to-space"
        check(made, picture(2, 4, 9, 8))
    made = model([node("SpaceToDepth", "x", "y", blocksize=2)], shape=(2, 3, *sides))
    if sides == ("H", "W"):
        check(made, picture(2, 3, 6, 8))
    assert load(made).stop is None or sides == (9, 8)
