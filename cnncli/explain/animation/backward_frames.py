"""The frames of a backward pass: windows one by one, and what each adds to the input's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnncli.core.geometry import Axis, Pair
from cnncli.errors import ShapeError
from cnncli.explain.animation.added_windows import (
    AddedWindows,
    AddedWindowsLabels,
    running_totals,
    strongest_channels,
)
from cnncli.explain.animation.frames import FrameOptions, axis_span, cell_counts, limit_frames
from cnncli.explain.backward import BackwardExplanation, window_gradients
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.text.backward import WEIGHTS, backward_summary, backward_title
from cnncli.explain.text.phrases import map_label
from cnncli.system.progress import track


def plan_backward_animation(
    explained: ExplainedLayer, explanation: BackwardExplanation, options: FrameOptions
) -> AddedWindows:
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
    >>> import numpy as np
    >>> from cnncli.explain.backward import explain_backward
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(36.0).reshape(1, 6, 6, 1)), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(stride=1), (source,), groups, np.dtype(float))
    >>> explanation = explain_backward(pool, (1, 1))
    >>> animation = plan_backward_animation(pool, explanation, FrameOptions(cells=3))
    >>> animation.totals[-1].tolist(), animation.is_whole
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
    middles = readers[0][len(readers[0]) // 2], readers[1][len(readers[1]) // 2]
    counts = cell_counts(options.cells, axes, positions)
    rows, cols = (axis_span(*side, mode) for side in zip(axes, middles, counts, strict=True))
    (downs, acrosses), notes = limit_frames((rows.outputs, cols.outputs), middles, options.most)
    rows, cols = replace(rows, outputs=downs), replace(cols, outputs=acrosses)
    outputs = [(row, col) for row in downs for col in acrosses]
    each = window_gradients(explained, outputs, channel, explanation.map)
    windows = tuple(track(each, "explaining the frames", len(outputs)))
    shown, map_notes = strongest_channels(windows, "maps")
    channels = [windows[0].channels[k] for k in shown]
    missing = len({path.output for path in explanation.paths} - set(outputs))
    inputs = explained.read_window((rows.window, cols.window), [channel])[:, :, 0]
    return AddedWindows(
        labels=_labels(explanation),
        at=at,
        rows=rows,
        cols=cols,
        windows=windows,
        totals=tuple(running_totals(windows, rows, cols)),
        shown=shown,
        names=tuple(map_label(k, explained.output_names[k]) for k in channels),
        notes=(*notes, *map_notes, *_missing_notes(at, missing)),
        is_whole=not missing,
        inputs=inputs if explanation.mode in ("max", "min") else None,
        padding_takes=explanation.type != "pool",
    )


def _labels(explanation: BackwardExplanation) -> AddedWindowsLabels:
    shows_window = explanation.mode in ("max", "min")
    return AddedWindowsLabels(
        title=backward_title(explanation),
        summary=backward_summary(explanation),
        values="upstream",
        weights="window" if shows_window else WEIGHTS.get(explanation.type, "weight"),
        total="gradient of the input",
        place="output",
        sum="gradient",
        whole="from all its windows",
        part="from the windows shown",
        several="maps",
    )


def _readers(axis: Axis, cell: int) -> Sequence[int]:
    """The outputs whose windows hold a cell itself, not a copy; else the one next to it."""
    found = [output for output, _ in axis.seen_by(cell)]
    return found or [min((cell + axis.begin) // axis.stride, axis.out - 1)]


def _missing_notes(at: Pair, missing: int) -> tuple[str, ...]:
    what = f"windows that read row {at[0]}, column {at[1]} are not among the frames"
    return (f"{missing} {what}: its gradient is not whole",) if missing else ()
