"""What is explained: a layer in its place, with the values that reach it from one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import Box, Pair, Window
from cnncli.errors import OptionError, ShapeError, among
from cnncli.network.layers import FloatArray, Layer, MergeLayer, RowSource, Shape, StripStage
from cnncli.network.layers.base import has_strips
from cnncli.render.options import MapGroup, channel_names

MIDDLE: Final = 64
"""Rows and columns at most among which the strongest output is looked for."""


@dataclass(frozen=True, eq=False)
class Input:
    """What a layer reads.

    Parameters
    ----------
    name : str
        The layer it comes from, or ``input``.
    shape : (1, n_H, n_W, n_C)
    rows : callable
        As a `StripStage` asks for them.
    names : tuple of str
        Of its channels.
    """

    name: str
    shape: Shape
    rows: RowSource
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """A layer and its inputs.

    Parameters
    ----------
    name : str
        Of the layer in its network.
    layer : Layer or MergeLayer
    inputs : tuple of Input
    groups : tuple of MapGroup
        The pictures of its output, as ``{map}`` in names of files counts them.
    dtype : dtype
        float32 or float64.
    """

    name: str
    layer: Layer | MergeLayer
    inputs: tuple[Input, ...]
    groups: tuple[MapGroup, ...]
    dtype: np.dtype[Any]

    @cached_property
    def output_shape(self) -> Shape:
        """(1, n_H, n_W, n_C)."""
        return self.layer.output_shape(*(given.shape for given in self.inputs))

    @property
    def window(self) -> Window | None:
        """Where the layer's window stands on its input."""
        return self.layer.window(self.inputs[0].shape)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Of the output's channels."""
        return channel_names(self.groups)

    @cached_property
    def _stage(self) -> StripStage | None:
        layer = self.layer
        return layer.stage(self.inputs[0].shape, self.dtype) if has_strips(layer) else None

    def output(self, first: int, last: int) -> FloatArray:
        """Return output rows ``[first, last)``, (rows, n_W, n_C), as every command computes them.

        Examples
        --------
        >>> from cnncli.network.layers import PoolLayer
        >>> given = array_input(np.arange(16.0).reshape(1, 4, 4, 1))
        >>> groups = (MapGroup("", (0,)),)
        >>> subject = Subject("pool1", PoolLayer(), (given,), groups, np.dtype(float))
        >>> subject.output(1, 2)[0, :, 0]
        array([13., 15.])
        """
        if self._stage is not None:
            strip: FloatArray = self._stage.read(self.inputs[0].rows, first, last)[0]
            return strip
        box = slice(first, last), slice(0, self.output_shape[2])
        given = (_read(self.layer, each, box) for each in self.inputs)
        joined: FloatArray = self.layer.forward(*given)[0][0]
        return joined


def _read(layer: Layer | MergeLayer, given: Input, box: Box) -> FloatArray:
    rows = layer.reads(given.shape, box)[0]
    return given.rows(rows.start, rows.stop)


def array_input(
    values: FloatArray, name: str = "input", names: Sequence[str] | None = None
) -> Input:
    """Return an array (1, n_H, n_W, n_C) as an input.

    Examples
    --------
    >>> array_input(np.zeros((1, 4, 6, 2))).names
    ('0', '1')
    """
    n, n_H, n_W, n_C = values.shape
    known = tuple(map(str, range(n_C))) if names is None else tuple(names)
    return Input(name, (n, n_H, n_W, n_C), lambda first, last: values[:, first:last], known)


def find_map(text: str | None, groups: Sequence[MapGroup]) -> int:
    """Return the index of a map that is given by index or name; without either the first.

    Raises
    ------
    OptionError
        If there is none.

    Examples
    --------
    >>> find_map("right", [MapGroup("left", (0,)), MapGroup("right", (1,))])
    1
    """
    return 0 if text is None else _find("--map", text, [group.name for group in groups])


def find_channel(text: str | None, given: Input) -> int:
    """Return the index of an input channel that is given by index or name; by default the first.

    Raises
    ------
    OptionError
        If there is none.

    Examples
    --------
    >>> find_channel("1", array_input(np.zeros((1, 4, 4, 3))))
    1
    """
    return 0 if text is None else _find("--channel", text, given.names)


def _find(option: str, text: str, names: Sequence[str]) -> int:
    what = option.strip("-")
    if text in names:
        return names.index(text)
    if not text.isdecimal():
        raise OptionError(f"{option}: no {what} {text!r}{among(text, filter(None, names))}")
    if int(text) >= len(names):
        raise OptionError(f"{option}: {_stretch(what + 's', len(names))}, got {text}")
    return int(text)


def check_place(at: Pair, size: Pair, what: str) -> None:
    """Raise OptionError unless a row and a column are within an array of that size.

    Examples
    --------
    >>> check_place((0, 4), (3, 4), "output")
    Traceback (most recent call last):
    cnncli.errors.OptionError: --at: rows of the output are 0 to 2 and columns 0 to 3, got 0,4
    """
    if not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        rows = _stretch(f"rows of the {what}", size[0])
        raise OptionError(f"--at: {rows} and columns 0 to {size[1] - 1}, got {at[0]},{at[1]}")


def _stretch(what: str, count: int) -> str:
    return f"{what} are 0 to {count - 1}"


def telling_place(subject: Subject, index: int) -> Pair:
    """Return where in the middle part of a map its strongest value is.

    Examples
    --------
    >>> from cnncli.network.layers import PadLayer
    >>> given = array_input(np.eye(8)[None, ::-1, :, None])
    >>> subject = Subject("pad1", PadLayer(0), (given,), (MapGroup("", (0,)),), np.dtype(float))
    >>> telling_place(subject, 0)
    (2, 5)
    """
    rows, cols = (_middle(size) for size in subject.output_shape[1:3])
    values = subject.output(rows.start, rows.stop)[:, cols, list(subject.groups[index].channels)]
    strength = np.nan_to_num(np.abs(values), nan=0.0).max(axis=2)
    row, col = np.unravel_index(int(strength.argmax()), strength.shape)
    return rows.start + int(row), cols.start + int(col)


def _middle(size: int) -> slice:
    """The middle half of an axis, or as much of it as is looked at."""
    length = min(max(size // 2, 1), MIDDLE)
    first = (size - length) // 2
    return slice(first, first + length)


def check_one_input(subject: Subject, what: str) -> Input:
    """Return a layer's only input.

    Raises
    ------
    ShapeError
        If it has several.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> given = array_input(np.zeros((1, 4, 4, 1)))
    >>> subject = Subject("pool1", PoolLayer(), (given,), (MapGroup("", (0,)),), np.dtype(float))
    >>> check_one_input(subject, "--backward") is given
    True
    """
    if len(subject.inputs) > 1:
        raise ShapeError(f"{what} needs a layer of one input, {subject.name} has several")
    return subject.inputs[0]
