"""Which pixels of the input reach a unit, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from cnncli.core.geometry import Box, Pair
from cnncli.core.receptive_field import ReceptiveField
from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import Shape
from cnncli.network.summary import receptive_fields

Sides = tuple[int, int, int, int]

MOST: Final = 24
"""Boxes that can still be told apart."""


@dataclass(frozen=True)
class Reach:
    """The pixels that reach a unit.

    Parameters
    ----------
    layers : tuple of str
        The unit's layer, and those behind it whose unit of the same place sees the same.
    unit : (row, column)
    box : Box
        Input pixels ``[start, stop)``; empty if it sees padding only.
    beyond : (top, bottom, left, right)
        By how many cells the receptive field reaches beyond the image.
    skipped : int
        How many boxes between the one before and this were left out.
    """

    layers: tuple[str, ...]
    unit: Pair
    box: Box
    beyond: Sides
    skipped: int = 0

    @property
    def empty(self) -> bool:
        """Whether no pixel reaches the unit."""
        return any(side.stop <= side.start for side in self.box)

    @property
    def size(self) -> Pair:
        """Rows and columns of pixels."""
        rows, cols = self.box
        return rows.stop - rows.start, cols.stop - cols.start


def trace(
    network: Network, shape: Shape, layer: str, unit: Pair, most: int = MOST
) -> tuple[Reach, ...]:
    """Return the pixels that reach a unit, and those that reach the units on its way.

    Of each layer before, the unit under the middle of the window is taken. So along a chain each
    box lies in the next one.

    Parameters
    ----------
    network : Network
    shape : (1, n_H, n_W, n_C)
        Of the input.
    layer : str
    unit : (row, column)
        Of the layer's output.
    most : int
        Boxes at most; of more, some at even distances are returned, the last among them.

    Returns
    -------
    tuple of Reach
        In the layers' order, the unit's own last.

    Raises
    ------
    OptionError
        If there is no such layer or unit.
    ShapeError
        As `Network.shapes` says.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> [(reach.layers, reach.box) for reach in trace(network, (1, 8, 8, 1), "pool2", (1, 0))]
    [(('pool1',), (slice(4, 6, None), slice(0, 2, None))), \
(('pool2',), (slice(4, 8, None), slice(0, 4, None)))]
    """
    part = network.until(layer)
    shapes = part.shapes(shape)
    _check_unit(layer, unit, shapes[layer])
    fields, units = receptive_fields(part, shape), _units(part, shapes, unit)
    groups = _alike([(name, units[name], fields[name]) for name in part.names])
    shown = _spread(len(groups), most)
    return tuple(
        Reach(
            layers=tuple(groups[index]),
            unit=(place := units[groups[index][0]]),
            box=part.reads(shape, groups[index][0], _one(place))[SOURCE],
            beyond=_beyond(fields[groups[index][0]], place, shape),
            skipped=index - before - 1,
        )
        for before, index in pairwise([-1, *shown])
    )


def _check_unit(layer: str, unit: Pair, shape: Shape) -> None:
    if not (0 <= unit[0] < shape[1] and 0 <= unit[1] < shape[2]):
        raise OptionError(
            f"layer {layer} has units 0,0 to {shape[1] - 1},{shape[2] - 1}, "
            f"got {unit[0]},{unit[1]}",
            hint=f"--trace {layer}:{shape[1] // 2},{shape[2] // 2}",
        )


def _units(network: Network, shapes: dict[str, Shape], unit: Pair) -> dict[str, Pair]:
    """The unit itself, and of every layer before it one that it depends on."""
    found = {network.nodes[-1].name: unit}
    for node in reversed(network.nodes):
        row, col = found[node.name]
        for name in node.inputs:
            window = node.layer.window(shapes[name])
            if window is not None:
                place = window.rows.middle(row), window.cols.middle(col)
            else:
                # An input of one row and one column serves every place.
                place = min(row, shapes[name][1] - 1), min(col, shapes[name][2] - 1)
            found.setdefault(name, place)
    return found


def _one(unit: Pair) -> Box:
    return slice(unit[0], unit[0] + 1), slice(unit[1], unit[1] + 1)


def _beyond(field: tuple[ReceptiveField, ReceptiveField], unit: Pair, shape: Shape) -> Sides:
    (top, bottom), (left, right) = (
        (max(0, -begin), max(0, end - size))
        for (begin, end), size in (
            (field[0].span(unit[0]), shape[1]),
            (field[1].span(unit[1]), shape[2]),
        )
    )
    return top, bottom, left, right


def _alike(
    places: Sequence[tuple[str, Pair, tuple[ReceptiveField, ReceptiveField]]],
) -> list[list[str]]:
    """Put layers together that follow each other and see the same."""
    runs = groupby(places, key=lambda place: place[1:])
    return [[name for name, *_ in run] for _, run in runs]


def _spread(count: int, most: int) -> list[int]:
    """Return some numbers below a count at even distances, the last among them."""
    if count <= most:
        return list(range(count))
    return [(number + 1) * count // most - 1 for number in range(most)]


def pixels_text(reach: Reach) -> str:
    """Say which pixels reach a unit.

    Examples
    --------
    >>> pixels_text(Reach(("conv1",), (0, 4), (slice(0, 2), slice(3, 6)), (1, 0, 0, 0)))
    'rows 0 to 1, columns 3 to 5'
    """
    if reach.empty:
        return "no pixel"
    rows, cols = (
        f"{what} {side.start}" if side.stop - side.start == 1 else _stretch(what, side)
        for what, side in zip(("row", "column"), reach.box, strict=True)
    )
    return f"{rows}, {cols}"


def _stretch(what: str, side: slice) -> str:
    return f"{what}s {side.start} to {side.stop - 1}"


def beyond_text(reach: Reach) -> str:
    """Say how much of a receptive field lies in the padding; empty if nothing does.

    Examples
    --------
    >>> beyond_text(Reach(("conv1",), (0, 4), (slice(0, 2), slice(3, 6)), (1, 0, 0, 2)))
    '1 row of padding above and 2 columns of padding right of the image'
    """
    parts = [
        f"{count} {what}{'s' if count > 1 else ''} of padding {where}"
        for count, (what, where) in zip(reach.beyond, _PLACES, strict=True)
        if count
    ]
    if len(parts) > 2:
        parts = [", ".join(parts[:-1]), parts[-1]]
    return f"{' and '.join(parts)} the image" if parts else ""


_PLACES = (("row", "above"), ("row", "below"), ("column", "left of"), ("column", "right of"))
