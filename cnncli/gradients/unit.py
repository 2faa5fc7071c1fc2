"""Which unit of a network a gradient is of, and the upstream gradient that picks it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, ShapeError, among, printable, quote
from cnncli.network.layers import FloatArray, Shape
from cnncli.network.model import Model
from cnncli.render.options import MapGroup

_FORM = "LAYER, LAYER:MAP or LAYER:MAP,ROW,COL"

_NUMBERS = re.compile(r"\d{1,9}(, *\d{1,9}, *\d{1,9})?")
_COMMAS = re.compile(r"(.*[^\d, ]\d*), *(\d+(?:, *\d+, *\d+)?)")
_PAIR = re.compile(r"\d+,\d+")
_PLACED = re.compile(r" *(?P<map>.+?)(?:, *(?P<row>\d{1,9}), *(?P<col>\d{1,9}))?")


@dataclass(frozen=True)
class Unit:
    """A layer's output, one of its maps, or one value of that; several values stand for their sum.

    Parameters
    ----------
    layer : str
    map : str, optional
        A channel's index or a map's name; None: all maps.
    position : (int, int), optional
        Row and column; None: the whole map.
    label : str
        What the map is called, if it was asked for by its number; for people to read.

    Examples
    --------
    >>> str(Unit("conv1", "7", (3, 4))), str(Unit("scores", "0", label="cat"))
    ('conv1:7,3,4', 'scores:0 (cat)')
    """

    layer: str
    map: str | None = None
    position: tuple[int, int] | None = None
    label: str = ""

    def __str__(self) -> str:
        part = "" if self.map is None else f":{self.map}"
        position = "" if self.position is None else f",{self.position[0]},{self.position[1]}"
        label = f" ({self.label})" if self.label else ""
        return f"{self.layer}{part}{position}{label}"


def parse_unit(text: str, model: Model) -> Unit:
    """Read the text of ``--unit``.

    Parameters
    ----------
    text : str
        ``LAYER``, ``LAYER:MAP`` or ``LAYER:MAP,ROW,COL``; names may hold colons themselves.
    model : Model
        Its last layer stands in the hint to a map alone.

    Raises
    ------
    OptionError
        If it has another form, or there is no such layer.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.model import Model
    >>> parse_unit("pool1:0,2,3", Model.of_layer(PoolLayer()))
    Unit(layer='pool1', map='0', position=(2, 3), label='')
    """
    layer, colon, rest = text.rpartition(":")
    find = model.find
    try:
        return Unit(find(text, numbers=False))
    except OptionError as error:
        if not colon:
            # Numbers alone are likely to be those of a map, and of a row and column.
            last, hint = printable(model.network.names[-1]), error.hint
            if _NUMBERS.fullmatch(text):
                hint = f"--unit {last}:{text.replace(' ', '')}"
            if text in model.classes:
                hint = f"--unit {quote(f'{last}:{text}')}"
            if places := _COMMAS.fullmatch(text):
                hint = f"--unit {printable(places[1])}:{places[2].replace(' ', '')}"
            raise type(error)(error.message, hint=hint, path=error.path) from None
    match = _PLACED.fullmatch(rest)
    if match is None or not layer:
        raise OptionError(f"--unit must be {_FORM}, got {text!r}")
    position = None if match["row"] is None else (int(match["row"]), int(match["col"]))
    try:
        return Unit(find(layer), match["map"], position)
    except OptionError as error:
        # Maps, rows and columns are counted from 0, and layers from 1.
        hint = f"--unit {printable(find('1'))}:{rest}" if layer == "0" else error.hint
        raise type(error)(error.message, hint=hint, path=error.path) from None


def labelled(unit: Unit, groups: Sequence[MapGroup]) -> Unit:
    """Return a unit with the name of its map, where that is more than its number.

    Examples
    --------
    >>> labelled(Unit("scores", "1"), (MapGroup("cat", (0,)), MapGroup("dog", (1,)))).label
    'dog'
    """
    names = {str(group.channels[0]): group.name for group in groups if not group.colour}
    name = names.get(unit.map or "", "")
    # Numbered maps are called 3, or conv1-3.
    return unit if name.rpartition("-")[2] == unit.map or not name else replace(unit, label=name)


def unit_upstream(
    unit: Unit, shape: Shape, groups: Sequence[MapGroup], dtype: np.dtype[Any]
) -> FloatArray:
    """Return the upstream gradient that picks a unit out of its layer's output.

    Parameters
    ----------
    unit : Unit
    shape : (m, n_H, n_W, n_C)
        Of the layer's output.
    groups : sequence of MapGroup
        Its maps.
    dtype : dtype

    Returns
    -------
    ndarray, shape (m, n_H, n_W, n_C)
        1 where the unit is, else 0.

    Raises
    ------
    OptionError
        If there is no such map, row or column.

    Examples
    --------
    >>> groups = (MapGroup("left", (0,)), MapGroup("right", (1,)))
    >>> dY = unit_upstream(Unit("a", "right", (0, 1)), (1, 1, 2, 2), groups, np.dtype("float32"))
    >>> dY.tolist()
    [[[[0.0, 0.0], [0.0, 1.0]]]]
    """
    channels = _channels(unit, shape[3], groups)
    rows, cols = slice(None), slice(None)
    if unit.position is not None:
        rows = _within(unit, "row", unit.position[0], shape[1])
        cols = _within(unit, "column", unit.position[1], shape[2])
    dY = np.zeros(shape, dtype)
    dY[:, rows, cols, channels] = 1
    return dY


def check_upstream(upstream: FloatArray, shape: Shape, layer: str) -> FloatArray:
    """Return an upstream gradient that was given as (m, n_H, n_W, n_C).

    Raises
    ------
    ShapeError
        If it has not the shape of the layer's output; axes of a batch of one and of a single
        channel may be left out, as in images.
    OptionError
        If it holds NaN or infinities.

    Examples
    --------
    >>> check_upstream(np.ones((2, 3, 4)), (1, 2, 3, 4), "conv1").shape
    (1, 2, 3, 4)
    """
    shapes: list[tuple[int, ...]] = [shape]
    if shape[0] == 1:
        shapes += [shape[1:], *([shape[1:3]] if shape[3] == 1 else [])]
    if upstream.shape not in shapes:
        raise ShapeError(
            f"--upstream must have the shape of layer {layer}'s output, {shape}, "
            f"got {upstream.shape}"
        )
    if not np.isfinite(upstream).all():
        raise OptionError("--upstream must hold finite numbers, got NaN or infinity")
    return upstream.reshape(shape)


def _channels(unit: Unit, count: int, groups: Sequence[MapGroup]) -> list[int]:
    if unit.map is None:
        return list(range(count))
    if unit.map.isdecimal():
        # Python turns no text of thousands of digits into a number.
        if len(unit.map) > 9 or int(unit.map) >= count:
            raise OptionError(
                f"--unit: maps of layer {unit.layer} are 0 to {count - 1}, got {unit.map}"
            )
        return [int(unit.map)]
    named = {group.name: group.channels for group in groups if group.name}
    if unit.map not in named:
        words = [name for name in named if not name.isdecimal()]
        alike = among(unit.map, words) if words else f"; they are 0 to {count - 1}"
        hint = f"--unit {unit.layer}:MAP,ROW,COL" if _PAIR.fullmatch(unit.map) else None
        raise OptionError(f"--unit: layer {unit.layer} has no map {unit.map!r}{alike}", hint=hint)
    return list(named[unit.map])


def _within(unit: Unit, what: str, index: int, size: int) -> slice:
    if index >= size:
        raise OptionError(f"--unit: {what}s of layer {unit.layer} are 0 to {size - 1}, got {index}")
    return slice(index, index + 1)
