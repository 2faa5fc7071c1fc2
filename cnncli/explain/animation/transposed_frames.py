"""The frames of a transposed convolution: what the input cells add to the output, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnncli.core.geometry import Axis, Pair
from cnncli.errors import OptionError
from cnncli.explain.animation.added_windows import (
    AddedWindows,
    AddedWindowsLabels,
    running_totals,
    strongest_channels,
)
from cnncli.explain.animation.frames import (
    COMMON_CELLS,
    MOST_CELLS,
    AxisSpan,
    FrameOptions,
    cells_around,
    limit_frames,
)
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.explain.model import AxisWindow, Explanation, padding_of
from cnncli.explain.text.panels import number_text
from cnncli.explain.text.phrases import channel_name, summary, title
from cnncli.explain.transposed import added_windows, bias_of
from cnncli.network.layers import ConvTransposeLayer, Shape
from cnncli.system.progress import track


def plan_transposed_animation(
    explained: ExplainedLayer, explanation: Explanation, options: FrameOptions
) -> AddedWindows:
    """Take the input cells around those that add to an output one by one.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a transposed convolution.
    explanation : Explanation
        Of the output.
    options : FrameOptions

    Raises
    ------
    OptionError
        If the output has no room for what so many input cells add to.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.explain.forward import explain
    >>> from cnncli.filters.filter import from_array
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(1.0, 4).reshape(1, 1, 3, 1)), (MapGroup("", (0,)),)
    >>> layer = ConvTransposeLayer(from_array(np.ones((1, 3, 1, 1))), stride=2)
    >>> up = ExplainedLayer("up", layer, (source,), groups, np.dtype(float))
    >>> animation = plan_transposed_animation(up, explain(up, (0, 2)), FrameOptions())
    >>> [total.tolist() for total in animation.totals]  # doctest: +NORMALIZE_WHITESPACE
    [[[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]],
     [[1.0, 1.0, 3.0, 2.0, 2.0, 0.0, 0.0]],
     [[1.0, 1.0, 3.0, 2.0, 5.0, 3.0, 3.0]]]
    """
    layer, spread, at = explained.layer, explanation.spread, explanation.at
    assert isinstance(layer, ConvTransposeLayer) and spread is not None
    (channel,) = explained.groups[explanation.map].channels
    shape = explained.inputs[0].shape
    window, sizes = layer.output_window(shape), shape[1:3]
    axes = window.rows, window.cols
    (downs, acrosses), notes = _choose_cells(axes, sizes, at, options)
    rows, cols = _span(axes[0], downs, sizes[0]), _span(axes[1], acrosses, sizes[1])
    cells = [(row, col) for row in downs for col in acrosses]
    each = added_windows(explained, cells, channel)
    windows = tuple(track(each, "explaining the frames", len(cells)))
    shown, channel_notes = strongest_channels(windows, "input channels")
    unfinished: NDArray[np.bool_] = np.logical_or.outer(
        _unfinished(layer, shape, 0, rows), _unfinished(layer, shape, 1, cols)
    )
    is_cut = bool(padding_of((rows.window, cols.window)).any())
    bias = bias_of(layer, channel)
    adding = {(row, col) for row in spread.rows.cells for col in spread.columns.cells}
    names = explained.inputs[0].names
    return AddedWindows(
        labels=_labels(explanation, _remarks(is_cut, bool(unfinished.any()), bias)),
        at=at,
        rows=rows,
        cols=cols,
        windows=windows,
        totals=tuple(running_totals(windows, rows, cols, bias)),
        shown=shown,
        names=tuple(channel_name(names[k], k) for k in (windows[0].channels[i] for i in shown)),
        notes=(*notes, *channel_notes),
        is_whole=adding <= set(cells),
        values_are_input=True,
        gaps=(axes[0].stride, axes[1].stride),
        unfinished=unfinished,
    )


def _choose_cells(
    axes: tuple[Axis, Axis], sizes: Pair, at: Pair, options: FrameOptions
) -> tuple[tuple[range, range], tuple[str, ...]]:
    """Choose the rows and columns of the input that are shown; and what to tell of the others."""
    middles = _middle(axes[0], at[0], sizes[0]), _middle(axes[1], at[1], sizes[1])
    around = [
        cells_around(range(size), middle, min(_cell_count(axis, options.cells), size))
        for axis, middle, size in zip(axes, middles, sizes, strict=True)
    ]
    return limit_frames((around[0], around[1]), middles, options.most)


def _middle(axis: Axis, at: int, size: int) -> int:
    """The input cell whose window has its middle nearest to an output."""
    start = at + axis.begin - axis.extent // 2
    return min(max((start + axis.stride // 2) // axis.stride, 0), size - 1)


def _cell_count(axis: Axis, cells: int | None) -> int:
    """How many input cells are shown along an axis: so many, or five if their outputs have room."""
    room = 1 + (MOST_CELLS - axis.extent) // axis.stride
    if room < 1 or (cells is not None and cells > room):
        spans = axis.extent + ((cells or 1) - 1) * axis.stride
        raise OptionError(
            f"{cells or 1} input cells add to {spans} outputs in a row, "
            f"and frames show {MOST_CELLS} at most",
            hint=None if room < 1 else f"--cells {room}",
        )
    return cells or min(5, max(1, 1 + (COMMON_CELLS - axis.extent) // axis.stride))


def _span(axis: Axis, cells: range, size: int) -> AxisSpan:
    """Some input cells, and the outputs that they add to with what is cut off beside them."""
    start = cells.start * axis.stride - axis.begin
    stop = (cells.stop - 1) * axis.stride - axis.begin + axis.extent
    if cells.stop == size:
        # Output padding, to which no cell adds.
        stop = max(stop, axis.size)
    outputs = range(min(start, 0) if cells.start == 0 else start, stop)
    inside = tuple(k if 0 <= k < axis.size else None for k in outputs)
    return AxisSpan(cells, AxisWindow(axis, tuple(outputs), inside), (False,) * len(outputs))


def _unfinished(layer: ConvTransposeLayer, shape: Shape, axis: int, span: AxisSpan) -> list[bool]:
    """Tell to which of the outputs shown input cells add that have no frame."""
    found = []
    for output in span.window.cells:
        inside = 0 <= output < span.window.axis.size
        cells = [cell for cell, _ in layer.taps(shape, axis, output)] if inside else []
        found.append(any(cell not in span.outputs for cell in cells))
    return found


def _labels(explanation: Explanation, remarks: Sequence[str]) -> AddedWindowsLabels:
    return AddedWindowsLabels(
        title=title(explanation),
        summary="; ".join([summary(explanation).partition(";")[0], *remarks]),
        values="input",
        weights="weights",
        total="output",
        place="input cell",
        sum="output",
        whole="from all input cells that add to it",
        part="from the input cells shown",
        several="input channels",
    )


def _remarks(is_cut: bool, is_unfinished: bool, bias: float) -> list[str]:
    """What marks mean, and what the output begins with."""
    remarks = []
    if is_cut:
        remarks.append("hatched: cut off as padding")
    if is_unfinished:
        remarks.append("yellow: input cells that are not shown add to it too")
    if bias:
        remarks.append(f"it begins as the bias, {number_text(bias)}")
    return remarks
