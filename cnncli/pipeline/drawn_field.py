"""Pictures of their own colours, such as overlays of gradients, and the values behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.finite_values import ValueRange, measure
from cnncli.render.grey_levels import LevelMapping, count_clipped


@dataclass(frozen=True, eq=False)
class DrawnField:
    """The values that a picture shows by colours which are no levels of them.

    Parameters
    ----------
    what : str
        What is drawn, in words.
    values : ndarray, shape (N, n_H, n_W, n_C)
        A channel for each picture of an image.
    mapping : LevelMapping
        The values of the colours' ends.
    """

    what: str
    values: np.ndarray
    mapping: LevelMapping

    def describe(self, written: WrittenFile, maps: Sequence[int], batched: bool) -> WrittenFile:
        """Return the report of a file of some pictures with the values in place of the colours.

        Parameters
        ----------
        written : WrittenFile
        maps : sequence of int
            Indices of its pictures, image by image.
        batched : bool
            Whether its shape has the batch in front.
        """
        n, height, width, count = self.values.shape
        parts = [self.values[index // count, :, :, index % count] for index in maps]
        seen = reduce(or_, map(measure, parts), ValueRange())
        (low, high), mapping = seen.limits, self.mapping
        finite = sum(part.size for part in parts) - seen.non_finite
        # Colours are made of 8 bits.
        outside = sum(count_clipped(part, mapping, "8") for part in parts)
        whole = (n, height, width, count) if batched else (height, width, count)
        return replace(
            written,
            shape=whole if len(maps) == n * count else (height, width, 1),
            low=low,
            high=high,
            non_finite=seen.non_finite,
            mapping=mapping.kind,
            ranges=((mapping.lo, mapping.hi),) * len(maps),
            clipped=outside / max(finite, 1),
            drawn=self.what,
        )
