"""The window sliding over a part of the input: which places, and what each frame shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.geometry import Axis, Pair
from cnncli.errors import OptionError, ShapeError
from cnncli.explain.explained_layer import Subject, check_place
from cnncli.explain.forward import PADS, explain
from cnncli.explain.model import Block, Explanation, Side, Step, read_window
from cnncli.network.layers import FloatArray

MOST_CELLS: Final = 64
"""Rows and columns of the input that a frame has room for."""

COMMON_CELLS: Final = 16
"""No more are shown unless they are asked for or the window spans more."""

BANDS: Final = 3
"""Input channels that are shown, each with its window; of more the strongest."""

LAST_HELD: Final = 1.5
"""Seconds that the last frame stays at least, to be read before all begins again."""


@dataclass(frozen=True)
class FrameOptions:
    """What the user said about frames.

    Parameters
    ----------
    cells : int, optional
        Rows and columns of the input that are shown; by default enough for five places a side,
        or three where several channels are shown.
    fps : float
        Frames in a second.
    most : int
        Of frames.
    """

    cells: int | None = None
    fps: float = 2.0
    most: int = 60

    def durations(self, count: int) -> tuple[int, ...]:
        """Return how long each frame is seen, in milliseconds; GIF counts hundredths.

        Examples
        --------
        >>> FrameOptions(fps=2).durations(3), FrameOptions(fps=3).durations(2)
        ((500, 500, 1500), (330, 1500))
        """
        each = max(round(100 / self.fps), 1) * 10
        return (*[each] * (count - 1), max(3 * each, round(LAST_HELD * 1000)))


@dataclass(frozen=True)
class Stretch:
    """What is shown along one axis.

    Parameters
    ----------
    outputs : range
        Where the window goes.
    side : Side
        The input cells that are shown, as one wide window.
    unread : tuple of bool
        Which of these are padding that no window of the stretch reads.
    """

    outputs: range
    side: Side
    unread: tuple[bool, ...]

    def place(self, cell: int) -> int:
        """Return where among the cells shown one is."""
        return cell - self.side.cells[0]


@dataclass(frozen=True, eq=False)
class Band:
    """One input channel of one output channel.

    Parameters
    ----------
    step, block : int
        Its place in each explanation.
    crop : ndarray, shape (rows, columns)
        The cells of the input.
    """

    step: int
    block: int
    crop: FloatArray

    def of(self, found: Explanation) -> tuple[Step, Block]:
        """Return what it shows of one place."""
        step = found.steps[self.step]
        return step, step.blocks[self.block]


@dataclass(frozen=True, eq=False)
class Shots:
    """What the frames of a film show.

    Parameters
    ----------
    rows, cols : Stretch
    bands : tuple of Band
    found : tuple of Explanation
        One a frame, row by row.
    notes : tuple of str
        What is left out.
    """

    rows: Stretch
    cols: Stretch
    bands: tuple[Band, ...]
    found: tuple[Explanation, ...]
    notes: tuple[str, ...]

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Which of the cells shown are padding, shape (rows, columns)."""
        return ~np.logical_and.outer(self.rows.side.real, self.cols.side.real)

    @property
    def unread(self) -> NDArray[np.bool_]:
        """Which of them hold nothing to show: padding that is never read, or cannot win."""
        unread: NDArray[np.bool_] = np.logical_or.outer(self.rows.unread, self.cols.unread)
        return unread


def shoot(
    subject: Subject, at: Pair, options: FrameOptions, index: int = 0, image: int = 0
) -> Shots:
    """Explain every place of the window around one.

    Parameters
    ----------
    subject : Subject
        A layer with a window.
    at : (row, column)
        Of the output.
    options : FrameOptions
    index : int
        Which of the subject's maps.
    image : int
        Its number in a batch, for the record.

    Raises
    ------
    OptionError
        If the place is outside of the output, or the window spans more cells than are shown.
    ShapeError
        If the layer has no window.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(64.0).reshape(1, 8, 8, 1))
    >>> groups = (MapGroup("", (0,)),)
    >>> subject = Subject("pool1", PoolLayer(), (given,), groups, np.dtype(float))
    >>> shots = shoot(subject, (1, 1), FrameOptions(cells=4))
    >>> [(found.at, found.steps[0].value) for found in shots.found]
    [((0, 0), 9.0), ((0, 1), 11.0), ((1, 0), 25.0), ((1, 1), 27.0)]
    """
    window = subject.window
    if window is None:
        raise ShapeError(f"frames need a layer with a window, {subject.name} has none")
    check_place(at, subject.output_shape[1:3], "output")
    mode = getattr(subject.layer, "pad_mode", "zeros")
    there = explain(subject, at, index, image)
    chosen, more = _bands(there)
    wanted = _cells(options.cells, (window.rows, window.cols), 5 if len(chosen) == 1 else 3)
    rows, cols = (
        _stretch(axis, place, most, mode)
        for axis, place, most in zip((window.rows, window.cols), at, wanted, strict=True)
    )
    downs, acrosses = _fewer((rows.outputs, cols.outputs), at, options.most)
    notes = _left_out((rows.outputs, cols.outputs), (downs, acrosses))
    rows, cols = Stretch(downs, rows.side, rows.unread), Stretch(acrosses, cols.side, cols.unread)
    found = tuple(explain(subject, (r, c), index, image) for r in downs for c in acrosses)
    bands = tuple(_band(subject, s, b, there, (rows.side, cols.side)) for s, b in chosen)
    return Shots(rows, cols, bands, found, (*notes, *more))


def _cells(cells: int | None, axes: tuple[Axis, Axis], places: int) -> list[int]:
    """How many cells are shown along each axis."""
    spans = [axis.extent for axis in axes]
    if max(spans) > MOST_CELLS:
        raise OptionError(
            f"the window spans {max(spans)} cells, and frames show {MOST_CELLS} at most",
            hint="-o page.html shows large windows",
        )
    if cells is None:
        common = [min(axis.extent + (places - 1) * axis.stride, COMMON_CELLS) for axis in axes]
        return [max(some, span) for some, span in zip(common, spans, strict=True)]
    if cells < max(spans):
        raise OptionError(f"--cells: the window spans {max(spans)} cells, got {cells}")
    return [cells, cells]


def _stretch(axis: Axis, at: int, most: int, mode: str) -> Stretch:
    """As many places around one as their windows fit among so many cells."""
    count = min(1 + (most - axis.extent) // axis.stride, axis.out)
    first = min(max(at - count // 2, 0), axis.out - count)
    outputs = range(first, first + count)
    sources = {cell: source for out in outputs for cell, source in axis.under(out, mode)}
    lowest = min(0, axis.under(0)[0][0])
    highest = max(axis.size, axis.under(axis.out - 1)[-1][0] + 1)
    # What is left of the cells goes behind the last window, or before the first.
    stop = min(max(max(sources) + 1, min(sources) + most), highest)
    start = min(min(sources), max(lowest, stop - most))
    cells = range(start, stop)
    inside = {cell: cell for cell in cells if 0 <= cell < axis.size}
    side = Side(axis, tuple(cells), tuple((inside | sources).get(cell) for cell in cells))
    return Stretch(outputs, side, tuple(c not in inside and c not in sources for c in cells))


def _fewer(outputs: tuple[range, range], at: Pair, most: int) -> tuple[range, range]:
    """Leave out rows and columns, the farthest from a place first, until few enough are left."""
    kept = list(outputs)
    while len(kept[0]) * len(kept[1]) > most:
        longer = int(len(kept[1]) >= len(kept[0]))
        side, place = kept[longer], at[longer]
        before = place - side.start > side.stop - 1 - place
        kept[longer] = side[1:] if before else side[:-1]
    return kept[0], kept[1]


def _left_out(all_of: tuple[range, range], kept: tuple[range, range]) -> tuple[str, ...]:
    there, shown = (len(rows) * len(cols) for rows, cols in (all_of, kept))
    if there == shown:
        return ()
    rows, cols = (f"{side.start} to {side.stop - 1}" for side in kept)
    return (
        f"{shown} of {there} places are shown, rows {rows} and columns {cols} of the output; "
        "--frames shows more",
    )


def _bands(found: Explanation) -> tuple[list[Pair], tuple[str, ...]]:
    """Choose which channels are shown."""
    pairs = [(s, b) for s, step in enumerate(found.steps) for b in range(len(step.blocks))]
    if len(pairs) <= BANDS:
        return pairs, ()
    if len(found.steps) > 1:
        return pairs[:BANDS], (f"{BANDS} of {len(pairs)} channels are shown, the first",)
    sums = [abs(found.steps[s].blocks[b].sum) for s, b in pairs]
    strength = np.nan_to_num(sums, nan=np.inf)
    chosen = sorted(np.argsort(-strength, kind="stable")[:BANDS].tolist())
    note = f"{BANDS} of {len(pairs)} input channels are shown, the strongest at the place"
    return [pairs[k] for k in chosen], (f"{note}; all count",)


def _band(
    subject: Subject, step: int, block: int, found: Explanation, sides: tuple[Side, Side]
) -> Band:
    fill = PADS.get(found.mode, 0.0) if found.op == "pool" else found.pad_value
    channel = found.steps[step].blocks[block].channel
    return Band(step, block, read_window(subject.inputs[0], sides, [channel], fill)[:, :, 0])
