"""Which input cells padded cells copy, cell by cell and in runs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cnncli.core.borders import border_index, join_runs, source_cells, source_runs
from cnncli.core.choices import PAD_MODES


@pytest.mark.parametrize("mode", PAD_MODES)
def test_runs_copy_what_their_cells_copy(mode: str) -> None:
    for size, begin, length in product(range(1, 6), range(-14, 15), range(20)):
        copied = source_cells(np.arange(begin, begin + length), size, mode)
        runs = source_runs([(begin, begin + length)], size, mode)
        cells = [cell for first, last in runs for cell in range(first, last)]
        assert cells == sorted(set(copied.tolist()) - {-1}), (size, begin, length)


def test_joined_runs_hold_the_same_cells() -> None:
    draw = np.random.default_rng(0)
    for count in range(8):
        begins = draw.integers(0, 30, count).tolist()
        runs = [(begin, begin + int(draw.integers(0, 6))) for begin in begins]
        joined = join_runs(runs)
        cells = [cell for run in joined for cell in range(*run)]
        assert cells == sorted({cell for run in runs for cell in range(*run)})
        assert (np.diff(np.ravel(joined)) > 0).all()


@pytest.mark.parametrize("mode", PAD_MODES)
def test_some_cells_are_a_part_of_all(mode: str) -> None:
    whole = border_index(4, 9, 7, mode)
    for first, last in ((0, 3), (5, 16), (19, 20)):
        part = border_index(4, 9, 7, mode, first, last)
        np.testing.assert_array_equal(part, whole[first:last])
    assert border_index(4, 9, 7, mode, 18, 23).tolist() == [*whole[18:].tolist(), -1, -1, -1]
