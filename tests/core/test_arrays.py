"""Copies of arrays in another order of axes."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.core.arrays import in_memory_order


@pytest.mark.parametrize("maps", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_copies_of_filters_with_their_maps_last(maps: int, dtype: str) -> None:
    stored = np.random.default_rng(maps).random((maps, 5, 3, 2), np.float32)
    copy = in_memory_order(stored.transpose(2, 3, 1, 0), dtype)
    assert copy.flags.c_contiguous and copy.dtype == dtype
    assert all(
        np.array_equal(copy[row, column], stored[:, :, row, column].T)
        for row, column in np.ndindex(3, 2)
    )


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (4, 0)])
def test_copies_of_other_arrays(shape: tuple[int, ...]) -> None:
    stored = np.ones(shape)
    copy = in_memory_order(stored.T, "f8")
    assert copy.shape == shape[::-1] and (copy == 1).all()
    assert copy.flags.owndata and copy.flags.c_contiguous
