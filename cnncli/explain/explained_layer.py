"""The layer that is explained: its inputs, with their values from one image, and its window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box, Pair, Window
from cnncli.errors import OptionError, ShapeError, among
from cnncli.explain.model import Axes, place_axis_window
from cnncli.network.layers import (
    DepthToSpaceLayer,
    FloatArray,
    Layer,
    LRNLayer,
    MergeLayer,
    PoolLayer,
    ResizeLayer,
    RowSource,
    Shape,
    SoftmaxLayer,
    SpaceToDepthLayer,
    StripStage,
)
from cnncli.network.layers.axes import AxesDefaults
from cnncli.network.layers.base import has_strips
from cnncli.render.options import MapGroup, channel_names

_NOT_FOLLOWED: Final = (
    AxesDefaults,
    DepthToSpaceLayer,
    LRNLayer,
    ResizeLayer,
    SpaceToDepthLayer,
)
"""Layers whose input values reach outputs that ``--backward`` does not look for."""

MIDDLE: Final = 64
"""Rows and columns at most among which the output of largest magnitude is looked for."""

MOST_DIGITS: Final = 9
"""Of an index: Python turns no text of thousands of digits into a number."""

POOL_PADDING: Final = {"max": -np.inf, "min": np.inf}
"""What the padding of a pool holds: nothing that could win. In sums it is 0."""


@dataclass(frozen=True, eq=False)
class LayerInput:
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

    def read(self, box: Box) -> FloatArray:
        """Return the values of some rows and columns, (1, rows, columns, n_C)."""
        rows, cols = box
        return self.rows(rows.start, rows.stop)[:, :, cols]

    def value(self, cell: tuple[int, int, int]) -> float:
        """Return the value of one row, column and channel."""
        row, column, channel = cell
        return float(self.rows(row, row + 1)[0, 0, column, channel])


@dataclass(frozen=True, eq=False)
class ExplainedLayer:
    """A layer and its inputs.

    Parameters
    ----------
    name : str
        Of the layer in its network.
    layer : Layer or MergeLayer
    inputs : tuple of LayerInput
    groups : tuple of MapGroup
        The pictures of its output, as ``{map}`` in names of files counts them.
    dtype : dtype
        float32 or float64.
    images, image : int
        Of the batch that the values are from one image of: how many it has, and that one's number.
    """

    name: str
    layer: Layer | MergeLayer
    inputs: tuple[LayerInput, ...]
    groups: tuple[MapGroup, ...]
    dtype: np.dtype[Any]
    images: int = 1
    image: int = 0

    @cached_property
    def output_shape(self) -> Shape:
        """(1, n_H, n_W, n_C)."""
        return self.layer.output_shape(*(source.shape for source in self.inputs))

    @property
    def is_scores(self) -> bool:
        """Whether the output has one row and one column, such as the scores of a classifier."""
        return self.output_shape[1:3] == (1, 1)

    @property
    def is_shares(self) -> bool:
        """Whether the channels of each position are shares of 1, as those of a softmax are."""
        layer = self.layer
        if isinstance(layer, SoftmaxLayer):
            return layer.axes == ("channels",) and not layer.log
        return bool(getattr(layer, "activation", "none") == "softmax")

    @property
    def window(self) -> Window | None:
        """The layer's window on its input."""
        return self.layer.window(self.inputs[0].shape)

    @property
    def pad_mode(self) -> str:
        """How the padding is filled."""
        return getattr(self.layer, "border_mode", "zeros")

    @property
    def only_input(self) -> LayerInput:
        """The input that ``--backward`` follows; ShapeError where it cannot."""
        if len(self.inputs) > 1:
            raise ShapeError(f"--backward needs a layer of one input, {self.name} has several")
        if isinstance(self.layer, _NOT_FOLLOWED) or self.layer.reads_all:
            raise ShapeError(
                f"--backward cannot follow {self.layer.op}, got layer {self.name}",
                hint="cnncli grad shows the gradient through any layer",
            )
        return self.inputs[0]

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
        >>> source = array_input(np.arange(16.0).reshape(1, 4, 4, 1))
        >>> groups = (MapGroup("", (0,)),)
        >>> pool = ExplainedLayer("pool1", PoolLayer(), (source,), groups, np.dtype(float))
        >>> pool.output(1, 2)[0, :, 0]
        array([13., 15.])
        """
        if self._stage is not None:
            strip: FloatArray = self._stage.read(self.inputs[0].rows, first, last)[0]
            return strip
        box = slice(first, last), slice(0, self.output_shape[2])
        parts = (source.read(self.layer.reads(source.shape, box)) for source in self.inputs)
        output: FloatArray = self.layer.forward(*parts)[0][0]
        return output[first:last] if self.layer.reads_all else output

    def place_window(self, at: Pair) -> Axes | None:
        """Return the window of an output; None for layers without one."""
        if self.window is None:
            return None
        rows, cols = self.window.rows, self.window.cols
        return (
            place_axis_window(rows, at[0], self.pad_mode),
            place_axis_window(cols, at[1], self.pad_mode),
        )

    def read_window(self, axes: Axes, channels: Sequence[int]) -> FloatArray:
        """Return the values under a window, and what the padding holds, (k_H, k_W, channels).

        Examples
        --------
        >>> from cnncli.network.layers import PadLayer
        >>> source, groups = array_input(np.ones((1, 3, 3, 1))), (MapGroup("", (0,)),)
        >>> border = ExplainedLayer("pad1", PadLayer(1), (source,), groups, np.dtype(float))
        >>> border.read_window(border.place_window((0, 1)), [0])[:, :, 0]
        array([[0.]])
        """
        if isinstance(self.layer, PoolLayer):
            fill = POOL_PADDING.get(self.layer.mode, 0.0)
        else:
            fill = getattr(self.layer, "pad_value", 0.0)
        copied = [np.array([source is not None for source in axis.sources]) for axis in axes]
        rows, cols = (np.array([s for s in axis.sources if s is not None], int) for axis in axes)
        first, last = (rows.min(), rows.max() + 1) if rows.size else (0, 1)
        values = self.inputs[0].rows(int(first), int(last))[0]
        window = np.full((*(len(axis.cells) for axis in axes), len(channels)), fill, values.dtype)
        window[np.ix_(*copied)] = values[np.ix_(rows - first, cols)][:, :, list(channels)]
        return window


def array_input(
    values: FloatArray, name: str = "input", names: Sequence[str] | None = None
) -> LayerInput:
    """Return an array (1, n_H, n_W, n_C) as an input.

    Examples
    --------
    >>> array_input(np.zeros((1, 4, 6, 2))).names
    ('0', '1')
    """
    n, n_H, n_W, n_C = values.shape
    names = tuple(map(str, range(n_C))) if names is None else tuple(names)
    return LayerInput(name, (n, n_H, n_W, n_C), lambda first, last: values[:, first:last], names)


def find_index(option: str, text: str | None, names: Sequence[str]) -> int:
    """Return the index of a map or channel given by index or name; without either the first.

    Raises
    ------
    OptionError
        If there is none, naming the option.

    Examples
    --------
    >>> find_index("--map", "right", ["left", "right"]), find_index("--channel", "1", ["", ""])
    (1, 1)
    """
    if text is None:
        return 0
    # An index counts, as in names of files and in --unit; names may be numbers as well.
    if text.isdecimal() and len(text) <= MOST_DIGITS and int(text) < len(names):
        return int(text)
    if text in names:
        return names.index(text)
    what = option.strip("-")
    if not text.isdecimal():
        raise OptionError(f"{option}: no {what} {text!r}{among(text, filter(None, names))}")
    raise OptionError(f"{option}: {what}s are 0 to {len(names) - 1}, got {text}")


def check_position(at: Pair, size: Pair, what: str) -> None:
    """Raise OptionError unless a row and a column are within an array of that size.

    Examples
    --------
    >>> check_position((0, 4), (3, 4), "output")
    Traceback (most recent call last):
    cnncli.errors.OptionError: --at: rows of the output are 0 to 2 and columns 0 to 3, got 0,4
    """
    if not (0 <= at[0] < size[0] and 0 <= at[1] < size[1]):
        raise OptionError(
            f"--at: rows of the {what} are 0 to {size[0] - 1} and columns 0 to {size[1] - 1}, "
            f"got {at[0]},{at[1]}"
        )


def strongest_output(
    explained: ExplainedLayer, map_index: int | None = None, within: Box | None = None
) -> tuple[int, Pair, str]:
    """Return the map and position of the output that is explained for want of a choice, and why.

    Of maps of one row and column that is the largest value, as `run` reports it. Of others it is
    the largest magnitude near the middle; of shares, where "no face" is large nearly everywhere,
    the one furthest above the mean of its whole map.

    Parameters
    ----------
    explained : ExplainedLayer
    map_index : int, optional
        The only map that is looked at; by default all are.
    within : (rows, columns), optional
        The outputs of which the one with the largest value is taken.

    Examples
    --------
    >>> from cnncli.network.layers import PadLayer
    >>> values = np.stack([np.eye(8)[::-1], np.diag(np.arange(8.0))], axis=2)
    >>> source, groups = array_input(values[None]), (MapGroup("", (0,)), MapGroup("", (1,)))
    >>> border = ExplainedLayer("pad1", PadLayer(0), (source,), groups, np.dtype(float))
    >>> strongest_output(border, 0)
    (0, (2, 5), 'the largest magnitude near the middle')
    >>> strongest_output(border)[:2]
    (1, (5, 5))
    >>> strongest_output(border, within=(slice(0, 8), slice(0, 8)))
    (1, (7, 7), 'the largest value')
    """
    sizes = explained.output_shape[1:3]
    stands_out = explained.is_shares and not explained.is_scores
    part = (lambda size: slice(0, size)) if stands_out else _middle
    rows, cols = within or (part(size) for size in sizes)
    values = explained.output(rows.start, rows.stop)[:, cols]
    if stands_out:
        sized, why = (
            values - values.mean(axis=(0, 1)),
            "the share furthest above the mean of its map",
        )
    elif explained.is_scores or within is not None:
        sized, why = values, "the largest value"
        if values.shape[:2] != sizes:
            why += " of a window without padding"
    else:
        sized, why = np.abs(values), "the largest magnitude near the middle"
    strength = np.where(np.isnan(values), -np.inf, sized)
    best: tuple[float, int, Pair] | None = None
    for number, group in enumerate(explained.groups):
        if map_index not in (None, number):
            continue
        one = strength[:, :, list(group.channels)].max(axis=2)
        row, col = (int(k) for k in np.unravel_index(int(one.argmax()), one.shape))
        if best is None or float(one[row, col]) > best[0]:
            best = float(one[row, col]), number, (rows.start + row, cols.start + col)
    assert best is not None
    return *best[1:], why


def _middle(size: int) -> slice:
    """The middle half of an axis, but no more than `MIDDLE`."""
    length = min(max(size // 2, 1), MIDDLE)
    first = (size - length) // 2
    return slice(first, first + length)
