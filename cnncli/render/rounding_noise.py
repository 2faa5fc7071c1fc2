"""Maps that are zero but for the rounding of their sums: which they are, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli.render.finite_values import ValueRange
from cnncli.render.options import MapGroup
from cnncli.render.result_rows import ResultRows

STEPS: Final = 8
"""Steps of the dtype, of the largest sum there can be, up to which a sum may be rounding."""

NAMED: Final = 3
"""Maps that the note names."""


def are_rounding(
    rows: ResultRows, groups: Sequence[MapGroup], seen: Sequence[ValueRange]
) -> list[bool]:
    """Tell of each picture of a result whether it is zero but for rounding, and not zero.

    In float32 so is a map of less than a millionth of the largest sum that there can be.

    Parameters
    ----------
    rows : ResultRows
    groups : sequence of MapGroup
    seen : sequence of ValueRange
        What is in each picture, image by image and group by group.

    Examples
    --------
    >>> from cnncli.render.result_rows import ArrayRows
    >>> rows = ArrayRows(np.array([[[[1e-8, 1.0]]]], np.float32), sum_bounds=np.array([2.0, 2.0]))
    >>> groups = [MapGroup("0", (0,)), MapGroup("1", (1,))]
    >>> are_rounding(rows, groups, [ValueRange(1e-8, 1e-8), ValueRange(1.0, 1.0)])
    [True, False]
    """
    limits = rounding_limits(rows, groups, seen)
    return [
        0 < max(map(abs, one.limits)) <= limit and not one.non_finite
        for one, limit in zip(seen, limits, strict=True)
    ]


def rounding_limits(
    rows: ResultRows, groups: Sequence[MapGroup], seen: Sequence[ValueRange]
) -> list[float]:
    """Return the magnitude up to which the values of each picture may be rounding; as above.

    Examples
    --------
    >>> from cnncli.render.result_rows import ArrayRows
    >>> rounding_limits(ArrayRows(np.ones((1, 2, 3, 1))), [MapGroup("", (0,))], [ValueRange(1, 1)])
    [0.0]
    """
    bounds = rows.sum_bounds
    if bounds is None:
        return [0.0] * len(seen)
    largest = max((abs(limit) for one in seen for limit in one.limits), default=0.0)
    bounds = np.where(np.isfinite(bounds), bounds, largest)
    step = STEPS * float(np.finfo(rows.dtype).eps)
    limits = [step * float(bounds[list(group.channels)].max()) for group in groups]
    return limits * rows.shape[0]


def rounding_notes(
    names: Sequence[str], seen: Sequence[ValueRange], rounding: Sequence[bool]
) -> tuple[str, ...]:
    """Say which maps are zero but for rounding.

    Parameters
    ----------
    names : sequence of str
        Of the maps.
    seen : sequence of ValueRange
        What is in them.
    rounding : sequence of bool
        From `are_rounding`.

    Examples
    --------
    >>> rounding_notes(["dct_1", "2"], [ValueRange(-4e-8, 1e-8), ValueRange(0, 1)], [True, False])
    ('dct_1 is zero but for rounding (at most 4e-08)',)
    """
    found = [index for index, is_so in enumerate(rounding) if is_so]
    if not found:
        return ()
    most = max(abs(limit) for index in found for limit in seen[index].limits)
    shown = ", ".join(names[index] or "the result" for index in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    verb = "are" if len(found) > 1 else "is"
    return (f"{shown}{more} {verb} zero but for rounding (at most {most:.2g})",)
