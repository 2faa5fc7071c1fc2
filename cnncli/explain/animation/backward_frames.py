"""The frames of a backward pass: windows one by one, and what each adds to the input's gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Axis
from cnncli.errors import ShapeError
from cnncli.explain.animation.frames import (
    MOST_CHANNELS,
    AxisSpan,
    FrameOptions,
    axis_span,
    cell_counts,
    limit_frames,
)
from cnncli.explain.backward import BackwardExplanation, WindowGradient, window_gradients
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.model import padding_of
from cnncli.network.layers import FloatArray
from cnncli.system.progress import track


@dataclass(frozen=True, eq=False)
class BackwardAnimation:
    """The content of the frames.

    Parameters
    ----------
    explanation : BackwardExplanation
        Of the input value in their middle.
    rows, cols : AxisSpan
    inputs : ndarray, shape (rows, columns)
        The input's values that are shown.
    windows : tuple of WindowGradient
        One a frame, row by row.
    gradients : tuple of ndarray, shape (rows, columns)
        The gradient of the input after each frame.
    shown : tuple of int
        Which of a window's channels are shown, each with its weights.
    names : tuple of str
        Of these.
    notes : tuple of str
        What is left out.
    """

    explanation: BackwardExplanation
    rows: AxisSpan
    cols: AxisSpan
    inputs: FloatArray
    windows: tuple[WindowGradient, ...]
    gradients: tuple[FloatArray, ...]
    shown: tuple[int, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Which of the cells shown are padding, shape (rows, columns)."""
        return padding_of((self.rows.window, self.cols.window))

    @property
    def is_whole(self) -> bool:
        """Whether the frames have all windows that read the input value."""
        return not _missing(self.explanation, self.windows)


def plan_backward_animation(
    explained: ExplainedLayer, explanation: BackwardExplanation, options: FrameOptions
) -> BackwardAnimation:
    """Follow the gradient through every window around those that read one input value.

    Parameters
    ----------
    explained : ExplainedLayer
        A layer with a window.
    explanation : BackwardExplanation
        Of the input value.
    options : FrameOptions

    Raises
    ------
    OptionError
        If the window spans more cells than are shown.
    ShapeError
        If the layer has no window.

    Examples
    --------
    >>> from cnncli.explain.backward import explain_backward
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(36.0).reshape(1, 6, 6, 1)), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(stride=1), (source,), groups, np.dtype(float))
    >>> explanation = explain_backward(pool, (1, 1))
    >>> animation = plan_backward_animation(pool, explanation, FrameOptions(cells=3))
    >>> animation.gradients[-1].tolist(), animation.is_whole
    ([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]], True)
    """
    window, mode = explained.window, explained.pad_mode
    if window is None:
        raise ShapeError(
            f"frames need a layer with a window, {explained.name} has none",
            hint="without -o --backward shows it as text",
        )
    axes, at, channel = (window.rows, window.cols), explanation.at, explanation.channel
    readers = [_readers(axis, cell) for axis, cell in zip(axes, at, strict=True)]
    is_one = len({path.channel for path in explanation.paths}) <= 1
    positions = [max(len(outputs), 5 if is_one else 3) for outputs in readers]
    middles = [outputs[len(outputs) // 2] for outputs in readers]
    counts = cell_counts(options.cells, axes, positions)
    rows, cols = (axis_span(*side, mode) for side in zip(axes, middles, counts, strict=True))
    limits = (rows.outputs, cols.outputs), (middles[0], middles[1]), options.most
    (downs, acrosses), notes = limit_frames(*limits)
    rows, cols = replace(rows, outputs=downs), replace(cols, outputs=acrosses)
    outputs = [(row, col) for row in downs for col in acrosses]
    each = window_gradients(explained, outputs, channel, explanation.map)
    windows = tuple(track(each, "explaining the frames", len(outputs)))
    shown, map_notes = _choose_maps(windows)
    return BackwardAnimation(
        explanation,
        rows,
        cols,
        explained.read_window((rows.window, cols.window), [channel])[:, :, 0],
        windows,
        tuple(_running_gradients(windows, rows, cols)),
        shown,
        tuple(explained.output_names[windows[0].channels[k]] for k in shown),
        (*notes, *map_notes, *_missing_notes(explanation, windows)),
    )


def _readers(axis: Axis, cell: int) -> Sequence[int]:
    """The outputs whose windows hold a cell itself, not a copy; else the one next to it."""
    found = [output for output, _ in axis.seen_by(cell)]
    return found or [min((cell + axis.begin) // axis.stride, axis.out - 1)]


def _choose_maps(windows: Sequence[WindowGradient]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Choose the channels of the output that send the most, as indices."""
    count = len(windows[0].channels)
    if count <= MOST_CHANNELS:
        return tuple(range(count)), ()
    sizes = sum(np.abs(each.weights).sum((1, 2)) * np.abs(each.upstream) for each in windows)
    strength = np.nan_to_num(sizes, nan=np.inf)
    chosen = sorted(np.argsort(-strength, kind="stable")[:MOST_CHANNELS].tolist())
    note = f"{MOST_CHANNELS} of {count} maps are shown, the strongest ones; all count"
    return tuple(chosen), (note,)


def _running_gradients(
    windows: Sequence[WindowGradient], rows: AxisSpan, cols: AxisSpan
) -> Iterator[FloatArray]:
    """Yield the gradient of the cells shown, after one more window each time."""
    gradient = np.zeros((len(rows.window.cells), len(cols.window.cells)))
    for window in windows:
        down, across = (
            np.array([-1 if source is None else span.index(source) for source in axis.sources])
            for axis, span in zip(window.axes, (rows, cols), strict=True)
        )
        # What lands on constant padding is lost, and copies may be of cells that are not shown.
        inside = [(k >= 0) & (k < n) for k, n in zip((down, across), gradient.shape, strict=True)]
        cells = np.ix_(down[inside[0]], across[inside[1]])
        np.add.at(gradient, cells, window.added[np.ix_(*inside)])
        yield gradient.copy()


def _missing(explanation: BackwardExplanation, windows: Sequence[WindowGradient]) -> int:
    readers = {path.output for path in explanation.paths}
    return len(readers - {window.output for window in windows})


def _missing_notes(
    explanation: BackwardExplanation, windows: Sequence[WindowGradient]
) -> tuple[str, ...]:
    missing = _missing(explanation, windows)
    row, column = explanation.at
    what = f"windows that read row {row}, column {column} are not among the frames"
    return (f"{missing} {what}: its gradient is not whole",) if missing else ()
