"""Padded strips hold what numpy's padding holds, wherever they are cut."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cnncli.core.borders import border_index
from cnncli.core.choices import PAD_MODES
from cnncli.core.geometry import Axis
from cnncli.core.strips import copied_cells, fill_columns


@pytest.mark.parametrize("mode", PAD_MODES)
def test_slices_to_copy_are_the_cells_that_the_border_copies(mode: str) -> None:
    for size, begin, end in product((1, 2, 5), (0, 1, 4), (0, 1, 3)):
        axis = Axis(size=size, kernel=1, begin=begin, end=end)
        for first, last in ((f, t) for t in range(1, axis.padded + 3) for f in range(t)):
            cells: list[int] = []
            for a, b, source in copied_cells(axis, mode, first, last):
                assert a == len(cells) < b
                cells += [-1] * (b - a) if source < 0 else range(source, source + b - a)
            assert cells == border_index(size, begin, end, mode, first, last).tolist()


@pytest.mark.parametrize("mode", PAD_MODES)
def test_columns_are_filled_as_numpy_pads(mode: str) -> None:
    rng = np.random.default_rng(0)
    for size, begin, end in product((2, 5), (0, 1, 3), (0, 2)):
        image = rng.integers(0, 9, (1, 3, size, 2)).astype(np.int16)
        pads = ((0, 0), (0, 0), (begin, end), (0, 0))
        padded = np.pad(image, pads)
        fill_columns(padded, Axis(size=size, kernel=1, begin=begin, end=end), mode, 0)
        expected = np.pad(image, pads, "constant" if mode == "zeros" else mode)  # type: ignore[call-overload]
        np.testing.assert_array_equal(padded, expected)
