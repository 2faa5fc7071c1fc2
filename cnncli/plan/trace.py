"""Which pixels of the input reach a unit, layer by layer."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import Final

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box, Pair
from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import Shape
from cnncli.network.receptive_fields import AxisFields, fields_along_axes

Sides = tuple[int, int, int, int]

_SIDES: Final = (("row", "above"), ("row", "below"), ("column", "left of"), ("column", "right of"))

MOST_BOXES: Final = 24
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
    network: Network, shape: Shape, layer: str, unit: Pair, most: int = MOST_BOXES
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
    rows, cols = fields = fields_along_axes(part, shape)
    units = _units(part, shapes, fields, unit)
    spans = {
        name: (rows.span(name, row, row + 1), cols.span(name, col, col + 1))
        for name, (row, col) in units.items()
        if name != SOURCE
    }
    # Layers that follow each other and see the same share a box.
    groups = [tuple(g) for _, g in groupby(part.names, lambda name: (units[name], spans[name]))]
    reaches = []
    for before, index in pairwise([-1, *_spread(len(groups), most)]):
        name = groups[index][0]
        row, col = units[name]
        box = part.reads(shape, name, (slice(row, row + 1), slice(col, col + 1)))[SOURCE]
        beyond = _beyond(spans[name], shape)
        reaches.append(Reach(groups[index], units[name], box, beyond, index - before - 1))
    return tuple(reaches)


def _check_unit(layer: str, unit: Pair, shape: Shape) -> None:
    if not (0 <= unit[0] < shape[1] and 0 <= unit[1] < shape[2]):
        raise OptionError(
            f"layer {layer} has units 0,0 to {shape[1] - 1},{shape[2] - 1}, "
            f"got {unit[0]},{unit[1]}",
            hint=f"--trace {layer}:{shape[1] // 2},{shape[2] // 2}",
        )


def _units(
    network: Network, shapes: dict[str, Shape], fields: tuple[AxisFields, AxisFields], unit: Pair
) -> dict[str, Pair]:
    """The unit itself, and of every layer before it one that it depends on."""
    units = {network.nodes[-1].name: unit}
    for node in reversed(network.nodes):
        row, col = units[node.name]
        rows, cols = (
            along.before(node.name, at) for along, at in zip(fields, (row, col), strict=True)
        )
        for name in node.inputs:
            window = node.layer.window(shapes[name])
            if window is not None:
                before = window.rows.middle(row), window.cols.middle(col)
            else:
                before = rows[name], cols[name]
            units.setdefault(name, before)
    return units


def _beyond(spans: tuple[Pair, Pair], shape: Shape) -> Sides:
    (top, bottom), (left, right) = spans
    return max(0, -top), max(0, bottom - shape[1]), max(0, -left), max(0, right - shape[2])


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
    return ", ".join(
        f"{what} {side.start}"
        if side.stop - side.start == 1
        else f"{what}s {side.start} to {side.stop - 1}"
        for what, side in zip(("row", "column"), reach.box, strict=True)
    )


def beyond_text(reach: Reach) -> str:
    """Say how much of a receptive field lies in the padding; empty if nothing does.

    Examples
    --------
    >>> beyond_text(Reach(("conv1",), (0, 4), (slice(0, 2), slice(3, 6)), (1, 0, 0, 2)))
    '1 row of padding above and 2 columns of padding right of the image'
    """
    parts = [
        f"{count} {what}{'s' if count > 1 else ''} of padding {where}"
        for count, (what, where) in zip(reach.beyond, _SIDES, strict=True)
        if count
    ]
    if len(parts) > 2:
        parts = [", ".join(parts[:-1]), parts[-1]]
    return f"{' and '.join(parts)} the image" if parts else ""
