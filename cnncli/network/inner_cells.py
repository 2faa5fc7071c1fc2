"""The cells of a layer's output whose windows saw no padding."""

from __future__ import annotations

from typing import Final

from cnncli.core.arrays import Shape
from cnncli.core.geometry import Axis, Box
from cnncli.network.graph import SOURCE, Network

LEAST_SHARE: Final = 0.5
"""Fewer cells than this share of all are too few to speak for the others."""


def inner_cells(network: Network, shape: Shape) -> Box:
    """Return the box of output cells of the last layer that saw no padding.

    Parameters
    ----------
    network : Network
    shape : (N, n_H, n_W, n_C)
        Of its input.

    Returns
    -------
    Box
        Cells that no padding has reached, in this layer or any before it. Where these are under
        half of all, those whose own window saw none; where these are, all.

    Examples
    --------
    >>> from cnncli.network.layers import PadLayer, PoolLayer
    >>> inner_cells(Network.chain(PadLayer(2), PoolLayer()), (1, 40, 60, 1))
    (slice(1, 21, None), slice(1, 31, None))
    """
    shapes = network.shapes(shape)
    known: dict[str, Box] = {SOURCE: _whole(shape)}
    own = known[SOURCE]
    for node in network.nodes:
        inputs = [(shapes[name], known[name]) for name in node.inputs]
        window, out = node.layer.window(shapes[node.inputs[0]]), shapes[node.name]
        if window is not None:
            rows, cols = inputs[0][1]
            known[node.name] = (_inner(window.rows, rows), _inner(window.cols, cols))
            full = _whole(shapes[node.inputs[0]])
            own = (_inner(window.rows, full[0]), _inner(window.cols, full[1]))
        else:
            # An input of another size, such as one cell that serves all, has no cells to match.
            known[node.name] = _common([box for size, box in inputs if size[1:3] == out[1:3]], out)
            own = _whole(out)
    out = shapes[network.nodes[-1].name]
    enough = LEAST_SHARE * out[1] * out[2]
    for box in (known[network.nodes[-1].name], own):
        if box_area(box) >= enough:
            return box
    return _whole(out)


def _inner(axis: Axis, clean: slice) -> slice:
    """The outputs whose whole window lies on some cells of the input."""
    first = max(0, -(-(clean.start + axis.begin) // axis.stride))
    last = min(axis.out, (clean.stop + axis.begin - axis.extent) // axis.stride + 1)
    return slice(first, max(first, last))


def _common(boxes: list[Box], out: Shape) -> Box:
    """The cells that are in all of some boxes."""
    sides = list(zip(*boxes, strict=True)) or [(side,) for side in _whole(out)]
    rows, cols = (
        slice(max(part.start for part in parts), min(part.stop for part in parts))
        for parts in sides
    )
    return rows, cols


def _whole(shape: Shape) -> Box:
    return slice(0, shape[1]), slice(0, shape[2])


def box_area(box: Box) -> int:
    """Return how many cells a box has.

    Examples
    --------
    >>> box_area((slice(2, 5), slice(0, 4)))
    12
    """
    down, across = (max(0, int(side.stop - side.start)) for side in box)
    return down * across
