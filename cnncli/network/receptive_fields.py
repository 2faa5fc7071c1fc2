"""The receptive fields of every layer of a network: sizes, steps, and the cells a unit sees.

Where all units of a layer move alike, their field follows from those of its inputs. Behind maps
that were made larger they do not: there some units are traced back to the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cnncli.core.geometry import Pair
from cnncli.core.receptive_field import Reading, ReceptiveField, SampledField, union, window_reading
from cnncli.errors import ShapeError
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ConcatLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    Layer,
    MergeLayer,
    ResizeLayer,
    Shape,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.axes import AXES, AxesDefaults

if TYPE_CHECKING:
    from fractions import Fraction

Field = ReceptiveField | SampledField
Fields = tuple[Field, Field]

MOST_FIELD: Final = 2**53
"""Cells of a receptive field: larger numbers are no longer exact in JSON, nor of any use."""

_WITH_READING = (
    ConvTransposeLayer,
    DepthToSpaceLayer,
    ResizeLayer,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)


def receptive_fields(network: Network, shape: Shape) -> dict[str, Fields]:
    """Return the receptive field of every layer's units, along rows and columns.

    Parameters
    ----------
    network : Network
    shape : Shape
        Of the network's input.

    Raises
    ------
    ShapeError
        If one has `MOST_FIELD` cells or more.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(size=2), PoolLayer(size=3, stride=1))
    >>> receptive_fields(network, (1, 8, 8, 1))["pool2"][0]
    ReceptiveField(size=6, step=2, first=0)
    """
    rows, cols = fields_along_axes(network, shape)
    return {name: (field, cols.fields[name]) for name, field in rows.fields.items()}


def fields_along_axes(network: Network, shape: Shape) -> tuple[AxisFields, AxisFields]:
    """Return the receptive fields along rows, and those along columns.

    Raises
    ------
    ShapeError
        As `receptive_fields` says.
    """
    shapes = network.shapes(shape)
    return AxisFields(network, shapes, 0), AxisFields(network, shapes, 1)


class AxisFields:
    """The receptive fields of a network's layers along one axis.

    Parameters
    ----------
    network : Network
    shapes : dict of str to Shape
        Of its input and all outputs.
    axis : int
        0 for rows, 1 for columns.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(size=4), ResizeLayer(scale=2))
    >>> rows = AxisFields(network, network.shapes((1, 8, 8, 1)), 0)
    >>> rows.fields["resize1"], rows.span("resize1", 3, 4)
    (SampledField(size=4, step=Fraction(2, 1), centre=1.5), (4, 8))
    """

    def __init__(self, network: Network, shapes: dict[str, Shape], axis: int) -> None:
        self._counts = {name: shape[1 + axis] for name, shape in shapes.items()}
        self._inputs: dict[str, list[tuple[str, Reading | None]]] = {}
        self.fields: dict[str, Field] = {SOURCE: ReceptiveField()}
        for node in network.nodes:
            out = shapes[node.name]
            self._inputs[node.name] = [
                (name, reading_of(node.layer, shapes[name], out, axis)) for name in node.inputs
            ]
            field = self._field(node)
            if max(field.size, abs(field.centre)) > MOST_FIELD:
                raise ShapeError(f"the receptive field of {node.name} must be below 2^53 cells")
            self.fields[node.name] = field

    def _field(self, node: Node) -> Field:
        """Return the field of a layer, all before it being known."""
        even = [self._even_field(*source) for source in self._inputs[node.name]]
        known = [field for field in even if field is not None]
        steps = {field.step for field in known}
        if len(known) == len(even) and len(steps) == 1:
            return union(known)
        count = self._counts[node.name]
        if 0 in steps:
            # All units see one part of the picture, mostly all of it: so then do they all here.
            begin, end = self._trace(node.name, 0, count)
            return ReceptiveField(end - begin, 0, begin)
        middle, (begin, end) = count // 2, self._trace(node.name, 0, 1)
        first, last = self._trace(node.name, middle, middle + 1)
        return SampledField(last - first, self._step(node), (begin + end - 1) / 2)

    def _even_field(self, name: str, reading: Reading | None) -> ReceptiveField | None:
        """Return the field of units that read an input so; None if they do not all move alike."""
        if reading is None:
            begin, end = self.span(name, 0, self._counts[name])
            return ReceptiveField(end - begin, 0, begin)
        field = self.fields[name]
        if isinstance(field, ReceptiveField) and (reading.over == 1 or field.step == 0):
            return field.through(reading)
        return None

    def _step(self, node: Node) -> Fraction:
        """Return the step from one unit's field to the next one's; 0 if inputs have several."""
        # Loaded here because with it comes decimal, and most networks have no such layer.
        from fractions import Fraction

        steps = {
            self.fields[name].step * Fraction(reading.step, reading.over)
            for name, reading in self._inputs[node.name]
            if reading is not None
        }
        return steps.pop() if len(steps) == 1 else Fraction(0)

    def span(self, name: str, first: int, last: int) -> Pair:
        """Return the input cells ``[begin, end)`` that units ``[first, last)`` of a layer see.

        Pads count as cells, so they may lie beyond the input.
        """
        field = self.fields[name]
        if isinstance(field, ReceptiveField):
            return field.span(first)[0], field.span(last - 1)[1]
        return self._trace(name, first, last)

    def _trace(self, name: str, first: int, last: int) -> Pair:
        """Return the same, back from layer to layer until fields are known for every unit."""
        wanted, found = {name: (first, last)}, []
        for reader in reversed(self._inputs):
            if reader not in wanted:
                continue
            units = wanted.pop(reader)
            for source, reading in self._inputs[reader]:
                cells = (0, self._counts[source]) if reading is None else reading.cells(*units)
                if cells[0] >= cells[1]:
                    # The unit stands between the windows of a transposed convolution.
                    continue
                if isinstance(self.fields[source], ReceptiveField):
                    found.append(self.span(source, *cells))
                else:
                    wanted[source] = _hull([cells, wanted.get(source, cells)])
        return _hull(found) if found else (0, 0)

    def before(self, name: str, unit: int) -> dict[str, int]:
        """Return of each input of a layer one of the cells that a unit reads, of those the middle.

        Of inputs that are read whole it is the cell of the same number.
        """
        cells = {}
        for source, reading in self._inputs[name]:
            begin, end = (unit, unit + 1) if reading is None else reading.cells(unit, unit + 1)
            cells[source] = min(max((begin + end - 1) // 2, 0), self._counts[source] - 1)
        return cells


def _hull(spans: Sequence[Pair]) -> Pair:
    """Return the cells from where the first of some spans begins to where the last ends."""
    return min(span[0] for span in spans), max(span[1] for span in spans)


def reading_of(layer: Layer | MergeLayer, shape: Shape, out: Shape, axis: int) -> Reading | None:
    """Return what a layer's units read of an input, along rows (0) or columns (1).

    Parameters
    ----------
    layer : Layer or MergeLayer
    shape, out : Shape
        Of that input and of the layer's output.
    axis : int

    Returns
    -------
    Reading or None
        None where a unit may depend on all cells.

    Examples
    --------
    >>> reading_of(DepthToSpaceLayer(2), (1, 4, 4, 4), (1, 8, 8, 1), 0)
    Reading(step=1, over=2, low=0, high=0)
    """
    window = layer.window(shape)
    if window is not None:
        return window_reading((window.rows, window.cols)[axis])
    if isinstance(layer, _WITH_READING):
        return layer.reading(shape, axis)
    if isinstance(layer, AxesDefaults):
        whole = AXES[axis] in layer.read_axes
    elif isinstance(layer, ConcatLayer):
        whole = AXES[axis] == layer.axis
    else:
        whole = layer.reads_all
    # A single row serves all units, and so does a single column.
    return None if whole or shape[1 + axis] != out[1 + axis] else Reading()
