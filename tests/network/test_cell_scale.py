"""A factor and an offset for each cell: by numpy, finite differences, strips, explain."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.network.layers import CellScaleLayer
from cnncli.render.options import numbered_groups
from tests.support.judges import check_gradients

RANDOM = np.random.default_rng(191)
SIZE = (3, 4, 5)
X = RANDOM.standard_normal((2, *SIZE))
CELLS = [RANDOM.standard_normal(60) for _ in range(2)]

LAYERS = {
    "both": CellScaleLayer(SIZE, *CELLS),
    "offset": CellScaleLayer(SIZE, np.full(1, 2.0), CELLS[1]),
    "factor": CellScaleLayer(SIZE, CELLS[0], np.zeros(1)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(name: str) -> None:
    layer = LAYERS[name]
    Y, _ = layer.forward(X)
    factor, offset = (np.broadcast_to(v, 60).reshape(SIZE) for v in (layer.factor, layer.offset))
    np.testing.assert_allclose(Y, factor * X + offset, rtol=1e-13)
    check_gradients(layer, X)
    assert layer.forward(X.astype(np.float32))[0].dtype == np.float32


@pytest.mark.parametrize("name", LAYERS)
def test_rows_have_their_own_numbers(name: str) -> None:
    layer = LAYERS[name]
    whole, stage = layer.forward(X[:1])[0], layer.stage((1, *SIZE), X.dtype)
    for row in range(3):
        made = stage.read(lambda a, b: X[:1, a:b], row, row + 1)
        assert np.array_equal(made[0], whole[0, [row]])


def test_one_value_is_explained() -> None:
    sources = (array_input(X[:1]),)
    made = ExplainedLayer("p", LAYERS["both"], sources, numbered_groups(5), np.dtype(float))
    (step,) = explain(made, (1, 2), 3).steps
    factor, offset = (v.reshape(SIZE)[1, 2, 3] for v in CELLS)
    given = dict(step.operands)
    assert given == {"x": X[0, 1, 2, 3], "factor": factor, "offset": offset}
    assert step.value == pytest.approx(factor * X[0, 1, 2, 3] + offset)
    assert step.fast == pytest.approx(step.value, abs=1e-12)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (CellScaleLayer((3, 4, 6), *CELLS), "is for an input of 3x4x6, got 3x4x5"),
        (CellScaleLayer(SIZE, np.ones(5), CELLS[1]), "factor must hold 1 value or 60"),
    ],
)
def test_what_does_not_fit_is_refused(layer: CellScaleLayer, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.output_shape(X.shape)
