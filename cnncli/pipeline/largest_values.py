"""The largest values of a layer of scores, as the report names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from cnncli.render.scores import class_shares, largest

MOST_NAMED: Final = 5
"""Units of a layer of one row and one column that the report tells."""


class LargestValue(NamedTuple):
    """One unit: its map, name and value, and the share by softmax where the values are scores."""

    map: int
    name: str
    value: float
    share: float | None = None


def find_largest_values(
    values: np.ndarray, names: Sequence[str], is_last: bool
) -> tuple[LargestValue, ...]:
    """Return the units of the largest values, largest first; none if no value is finite.

    Parameters
    ----------
    values : ndarray, shape (maps,)
    names : sequence of str
        Of the maps.
    is_last : bool
        Whether they are a network's result, so that scores have shares.

    Examples
    --------
    >>> [one.name for one in find_largest_values(np.array([1.0, 3.0]), ("cat", "dog"), True)]
    ['dog', 'cat']
    """
    if not np.isfinite(values).any():
        return ()
    shares = class_shares(values) if is_last else None
    return tuple(
        LargestValue(k, names[k], float(values[k]), None if shares is None else float(shares[k]))
        for k in largest(values, MOST_NAMED)
    )


def largest_values_note(layer: str | None, values: Sequence[LargestValue]) -> str:
    """Return the largest values as a line of the report.

    Examples
    --------
    >>> largest_values_note("fc", [LargestValue(1, "dog", 3.0, 0.88)])
    'fc, largest first: dog 3 (88 %); in brackets softmax of the scores'
    """
    texts = [
        f"{name} {value:.4g}" + ("" if share is None else f" ({_percent(share)})")
        for _, name, value, share in values
    ]
    by_softmax = "" if values[0].share is None else "; in brackets softmax of the scores"
    is_tie = len(values) > 1 and values[0].value == values[-1].value
    tie = "; they are equal, so their order means nothing" if is_tie else ""
    return f"{layer}, largest first: {', '.join(texts)}{by_softmax}{tie}"


def _percent(share: float) -> str:
    return "below 0.001 %" if 0 < share < 1e-5 else f"{100 * share:.3g} %"
