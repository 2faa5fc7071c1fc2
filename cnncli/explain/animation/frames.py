"""The frames of a sliding window: its positions, and the part of the input that they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Axis, Pair
from cnncli.errors import OptionError, ShapeError
from cnncli.explain.explained_layer import ExplainedLayer, check_position
from cnncli.explain.forward import explain
from cnncli.explain.model import AxisWindow, Block, Explanation, padding_of
from cnncli.explain.text.phrases import title
from cnncli.network.layers import FloatArray
from cnncli.system.progress import track

MOST_CELLS: Final = 64
"""Rows and columns of the input that a frame has room for."""

COMMON_CELLS: Final = 16
"""No more are shown unless they are asked for or the window spans more."""

MOST_CHANNELS: Final = 3
"""Input channels that are shown, each with its window; of more the strongest."""

LAST_HELD: Final = 1.5
"""Seconds at least that the last frame stays, before all begins again."""


@dataclass(frozen=True)
class FrameOptions:
    """What the user said about frames.

    Parameters
    ----------
    cells : int, optional
        Rows and columns of the input that are shown; by default enough for five positions a
        side, or three where several channels are shown.
    fps : float
        Frames in a second.
    most : int
        Of frames.
    """

    cells: int | None = None
    fps: float = 2.0
    most: int = 60

    def __post_init__(self) -> None:
        """Raise OptionError if one is out of range."""
        ranges = {
            "--cells": (1 if self.cells is None else self.cells, 1, MOST_CELLS),
            "--fps": (self.fps, 0.1, 50),
            "--frames": (self.most, 1, 500),
        }
        for name, (value, least, most) in ranges.items():
            if not least <= value <= most:
                raise OptionError(f"{name} must be {least} to {most}, got {value}")

    def durations(self, count: int) -> tuple[int, ...]:
        """Return how long each frame is seen, in milliseconds; GIF counts hundredths.

        Examples
        --------
        >>> FrameOptions(fps=2).durations(3), FrameOptions(fps=3).durations(2)
        ((500, 500, 1500), (330, 1500))
        """
        one = max(round(100 / self.fps), 1) * 10
        return (*[one] * (count - 1), max(3 * one, round(LAST_HELD * 1000)))


@dataclass(frozen=True)
class AxisSpan:
    """The part of one axis that the frames show.

    Parameters
    ----------
    outputs : range
        The positions of the window.
    window : AxisWindow
        The input cells that are shown, as one wide window.
    unread : tuple of bool
        Which of these are padding that the window reads at none of its positions.
    """

    outputs: range
    window: AxisWindow
    unread: tuple[bool, ...]

    def index(self, cell: int) -> int:
        """Return the index of an input cell among those shown."""
        return cell - self.window.cells[0]


@dataclass(frozen=True, eq=False)
class ChannelRow:
    """One input channel of one output channel: a row of panels in each frame.

    Parameters
    ----------
    step, block : int
        Its indices in each explanation.
    crop : ndarray, shape (rows, columns)
        The cells of the input.
    """

    step: int
    block: int
    crop: FloatArray

    def block_of(self, explanation: Explanation) -> Block:
        """Return the channel's block in an explanation."""
        return explanation.steps[self.step].blocks[self.block]


@dataclass(frozen=True)
class AnimationLabels:
    """What stands on the frames: the defaults on those of the way forward.

    Parameters
    ----------
    layer : str
        At the head of each frame; empty: what is explained.
    summary : str
        Below that; empty: how the layer makes a value.
    input, output : str
        Names of the panels.
    """

    layer: str = ""
    summary: str = ""
    input: str = "input"
    output: str = "output"


@dataclass(frozen=True, eq=False)
class Animation:
    """The content of the frames.

    Parameters
    ----------
    rows, cols : AxisSpan
    channels : tuple of ChannelRow
    explanations : tuple of Explanation
        One a frame, row by row.
    notes : tuple of str
        What is left out.
    labels : AnimationLabels
    has_bias : bool
        Whether a bias is added to the sum.
    """

    rows: AxisSpan
    cols: AxisSpan
    channels: tuple[ChannelRow, ...]
    explanations: tuple[Explanation, ...]
    notes: tuple[str, ...]
    labels: AnimationLabels = AnimationLabels()
    has_bias: bool = True

    def title(self, explanation: Explanation) -> str:
        """What stands at the head of a frame."""
        if not self.labels.layer:
            return title(explanation)
        n_H, n_W, _ = explanation.output_shape
        row, column = explanation.at
        return f"{self.labels.layer}: the gradient at row {row}, column {column} of {n_H}x{n_W}"

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Which of the cells shown are padding, shape (rows, columns)."""
        return padding_of((self.rows.window, self.cols.window))

    @property
    def unread(self) -> NDArray[np.bool_]:
        """Which of them are padding that is never read."""
        unread: NDArray[np.bool_] = np.logical_or.outer(self.rows.unread, self.cols.unread)
        return unread


def plan_animation(
    explained: ExplainedLayer, at: Pair, options: FrameOptions, map_index: int = 0
) -> Animation:
    """Explain every position of the window around one.

    Parameters
    ----------
    explained : ExplainedLayer
        A layer with a window.
    at : (row, column)
        Of the output.
    options : FrameOptions
    map_index : int
        Which of the layer's maps.

    Raises
    ------
    OptionError
        If the position is outside of the output, or the window spans more cells than are shown.
    ShapeError
        If the layer has no window.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(64.0).reshape(1, 8, 8, 1)), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(), (source,), groups, np.dtype(float))
    >>> animation = plan_animation(pool, (1, 1), FrameOptions(cells=4))
    >>> [(frame.at, frame.steps[0].value) for frame in animation.explanations]
    [((0, 0), 9.0), ((0, 1), 11.0), ((1, 0), 25.0), ((1, 1), 27.0)]
    """
    window = explained.window
    if window is None:
        raise ShapeError(
            f"frames need a layer with a window, {explained.name} has none",
            hint="--layer takes a convolution or a pool of the network",
        )
    check_position(at, explained.output_shape[1:3], "output")
    first = explain(explained, at, map_index)
    chosen, channel_notes = _choose_channels(first)
    axes = window.rows, window.cols
    counts = cell_counts(options.cells, axes, [5 if len(chosen) == 1 else 3] * 2)
    mode = explained.pad_mode
    rows, cols = (axis_span(*side, mode) for side in zip(axes, at, counts, strict=True))
    (downs, acrosses), notes = limit_frames((rows.outputs, cols.outputs), at, options.most)
    positions = [(row, col) for row in downs for col in acrosses]
    explanations = (
        explain(explained, position, map_index)
        for position in track(positions, "explaining the frames", len(positions))
    )
    windows = rows.window, cols.window
    channels = []
    for step, block in chosen:
        crop = explained.read_window(windows, [first.steps[step].blocks[block].channel])
        channels.append(ChannelRow(step, block, crop[:, :, 0]))
    return Animation(
        replace(rows, outputs=downs),
        replace(cols, outputs=acrosses),
        tuple(channels),
        tuple(explanations),
        (*notes, *channel_notes),
    )


def cell_counts(cells: int | None, axes: tuple[Axis, Axis], positions: Sequence[int]) -> list[int]:
    """How many cells are shown along each axis, if not told enough for so many positions."""
    spans = [axis.extent for axis in axes]
    if max(spans) > MOST_CELLS:
        raise OptionError(
            f"the window spans {max(spans)} cells, and frames show {MOST_CELLS} at most",
            hint="-o page.html shows large windows",
        )
    if cells is None:
        pairs = zip(axes, positions, strict=True)
        common = [min(axis.extent + (n - 1) * axis.stride, COMMON_CELLS) for axis, n in pairs]
        return [max(count, span) for count, span in zip(common, spans, strict=True)]
    if cells < max(spans):
        raise OptionError(f"--cells: the window spans {max(spans)} cells, got {cells}")
    return [cells, cells]


def axis_span(axis: Axis, at: int, most: int, mode: str) -> AxisSpan:
    """As many positions around one as their windows fit among so many cells."""
    count = min(1 + (most - axis.extent) // axis.stride, axis.out)
    first = min(max(at - count // 2, 0), axis.out - count)
    outputs = range(first, first + count)
    sources = {cell: source for out in outputs for cell, source in axis.under(out, mode)}
    lowest = min(0, axis.under(0)[0][0])
    highest = max(axis.size, axis.under(axis.out - 1)[-1][0] + 1)
    # Cells that are left are shown behind the last window, or before the first.
    stop = min(max(max(sources) + 1, min(sources) + most), highest)
    start = min(min(sources), max(lowest, stop - most))
    cells = range(start, stop)
    inside = {cell: cell for cell in cells if 0 <= cell < axis.size}
    window = AxisWindow(axis, tuple(cells), tuple((inside | sources).get(cell) for cell in cells))
    return AxisSpan(outputs, window, tuple(c not in inside and c not in sources for c in cells))


def limit_frames(
    outputs: tuple[range, range], at: Pair, most: int
) -> tuple[tuple[range, range], tuple[str, ...]]:
    """Take as many positions as may be shown, around one; of equal counts the squarest."""
    rows, cols = map(len, outputs)
    pairs = ((r, min(cols, most // r)) for r in range(1, min(rows, most) + 1))
    counts = max(pairs, key=lambda pair: (pair[0] * pair[1], min(pair)))
    kept = tuple(map(cells_around, outputs, at, counts))
    shown = counts[0] * counts[1]
    note = f"{shown} of {rows * cols} positions are shown; --frames N shows more"
    return (kept[0], kept[1]), (note,) if shown < rows * cols else ()


def cells_around(positions: range, middle: int, count: int) -> range:
    """Return so many neighbouring positions with one in their middle, as far as there are.

    Examples
    --------
    >>> cells_around(range(9), 4, 3), cells_around(range(9), 8, 3)
    (range(3, 6), range(6, 9))
    """
    first = max(positions.start, min(middle - count // 2, positions.stop - count))
    return range(first, first + count)


def _choose_channels(explanation: Explanation) -> tuple[list[Pair], tuple[str, ...]]:
    """Choose the channels that are shown, as indices of steps and blocks."""
    steps = explanation.steps
    pairs = [(s, b) for s, step in enumerate(steps) for b in range(len(step.blocks))]
    if len(pairs) <= MOST_CHANNELS:
        return pairs, ()
    if len(steps) > 1:
        note = f"{MOST_CHANNELS} of {len(pairs)} channels are shown, the first ones"
        return pairs[:MOST_CHANNELS], (note,)
    strength = np.nan_to_num([abs(steps[s].blocks[b].sum) for s, b in pairs], nan=np.inf)
    chosen = sorted(np.argsort(-strength, kind="stable")[:MOST_CHANNELS].tolist())
    note = f"{MOST_CHANNELS} of {len(pairs)} input channels are shown, the strongest ones"
    return [pairs[k] for k in chosen], (f"{note}; all count",)
