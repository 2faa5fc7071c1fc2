"""Formulas of sizes: what they compute is the size of what the layer makes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cnncli.network.layers import AddLayer, ConcatLayer, ResizeLayer, SliceLayer, SpaceToDepthLayer
from cnncli.network.size_formulas import size_formulas
from tests.network.test_toml_writer import LAYERS

MORE = {
    "a size that is no multiple": ResizeLayer(scale=(0.3, 1.1)),
    "backwards": SliceLayer(columns=(-1, -99, -3)),
    "without end": SliceLayer(rows=(2, 2**31 - 1, 2)),
    "blocks": SpaceToDepthLayer(2),
}


@pytest.mark.parametrize("name", [*LAYERS, *MORE])
def test_a_formula_computes_the_size(name: str) -> None:
    layer: Any = {**LAYERS, **MORE}[name]
    X = np.random.default_rng(2).random((1, 10 if name == "blocks" else 9, 8, 3))
    Y = layer.forward(X)[0]
    for formula, size, given in zip(
        size_formulas(layer, [X.shape]), Y.shape[1:3], X.shape[1:3], strict=True
    ):
        if not formula:
            # Only a view has a size that no formula of its input's sizes gives.
            assert size == given or layer.op == "view"
            continue
        arithmetic, _, result = formula.rpartition(" = ")
        assert int(result) == size
        assert not arithmetic or eval(arithmetic, {"floor": math.floor, "ceil": math.ceil}) == size


def test_one_pixel_meets_all() -> None:
    shapes = [(1, 1, 1, 3), (1, 6, 4, 3)]
    assert AddLayer().output_shape(*shapes)[1] == 6
    assert size_formulas(AddLayer(), shapes) == ("max(1, 6) = 6", "max(1, 4) = 4")


def test_joined_rows() -> None:
    shapes = [(1, 2, 5, 3), (1, 4, 5, 3), (1, 1, 5, 3)]
    assert size_formulas(ConcatLayer("rows"), shapes) == ("2+4+1 = 7", "")
