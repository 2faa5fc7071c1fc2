"""zero_pad and the other borders against numpy.pad, and the table of borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli import zero_pad
from cnncli.core.padding import pad_borders, pad_borders_backward
from cnncli.errors import OptionError, ShapeError
from tests.support.judges import NUMPY_MODES

PADS = [((0, 0), (0, 0)), ((1, 2), (0, 3)), ((4, 0), (0, 7)), ((11, 9), (13, 8))]


def images(dtype: Any = np.float64) -> Any:
    return (np.random.default_rng(1).standard_normal((2, 3, 4, 2)) * 9).astype(dtype)


@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_equals_numpy(mode: str, pads: Any) -> None:
    expected = np.pad(images(), ((0, 0), *pads, (0, 0)), mode=NUMPY_MODES[mode])
    np.testing.assert_array_equal(pad_borders(images(), pads, mode), expected)


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("zeros", [0, 0]),
        ("edge", [1, 1]),
        ("symmetric", [2, 1]),
        ("reflect", [3, 2]),
        ("wrap", [3, 4]),
    ],
)
def test_cells_to_the_left_of_one_two_three_four(mode: str, left: list[int]) -> None:
    row = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    padded = pad_borders(row, ((0, 0), (2, 0)), mode)
    np.testing.assert_array_equal(padded.ravel(), [*left, 1, 2, 3, 4])


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_a_single_cell_has_every_border(mode: str) -> None:
    padded = pad_borders(np.full((1, 1, 1, 1), 7.0), ((2, 1), (1, 2)), mode)
    expected = np.pad(np.full((1, 1), 7.0), ((2, 1), (1, 2)), mode=NUMPY_MODES[mode])
    np.testing.assert_array_equal(padded[0, :, :, 0], expected)


@pytest.mark.parametrize("value", [-1.5, 0.25, np.inf, np.nan])
def test_constant(value: float) -> None:
    padded = pad_borders(images(), ((1, 2), (0, 3)), "zeros", value)
    expected = np.pad(images(), ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=value)
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int32, bool])
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_dtype_is_kept(mode: str, dtype: Any) -> None:
    padded = pad_borders(images(dtype), ((1, 1), (2, 2)), mode)
    expected = np.pad(images(dtype), ((0, 0), (1, 1), (2, 2), (0, 0)), mode=NUMPY_MODES[mode])
    assert padded.dtype == dtype
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(
    ("pad", "pads"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 3), ((1, 1), (3, 3))),
        ((1, 2, 3, 4), ((1, 2), (3, 4))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
    ],
)
def test_zero_pad_takes_every_form(pad: Any, pads: Any) -> None:
    expected = np.pad(images(), ((0, 0), *pads, (0, 0)))
    np.testing.assert_array_equal(zero_pad(images(), pad), expected)


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize("pads", PADS[:2], ids=str)
def test_result_is_no_view(mode: str, pads: Any) -> None:
    X = images()
    pad_borders(X, pads, mode)[...] = 99
    np.testing.assert_array_equal(X, images())
    dX_pad = pad_borders(X, pads, mode)
    kept = dX_pad.copy()
    pad_borders_backward(dX_pad, pads, mode)[...] = 99
    np.testing.assert_array_equal(dX_pad, kept)


@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_backward_sends_each_copy_home(mode: str, pads: Any) -> None:
    X = images()
    cells = np.arange(12.0).reshape(1, 3, 4, 1)
    homes = pad_borders(cells, pads, mode, -1.0)[0, :, :, 0]
    dX_pad = np.random.default_rng(2).standard_normal((2, *homes.shape, 2))
    expected = [dX_pad[:, homes == cell].sum(axis=1) for cell in range(12)]
    gradient = pad_borders_backward(dX_pad, pads, mode)
    assert gradient.shape == X.shape
    np.testing.assert_allclose(gradient, np.stack(expected, 1).reshape(X.shape), atol=1e-12)


@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((1, 1), (1, 1))], ids=str)
def test_unknown_mode(pads: Any) -> None:
    with pytest.raises(OptionError, match="'mirror'"):
        pad_borders(images(), pads, "mirror")


@pytest.mark.parametrize("pad", [-1, 1.5, "same", None, (1, 2, 3)])
def test_bad_pad(pad: Any) -> None:
    with pytest.raises(OptionError, match="padding must be"):
        zero_pad(images(), pad)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (1, 0, 4, 2), (1, 1, 3, 4, 2)])
def test_bad_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="none of them 0"):
        zero_pad(np.ones(shape), 1)
