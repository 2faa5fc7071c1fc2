"""Frames in which windows add to a map: of backward passes and of transposed convolutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.explain.animation.frames import MOST_CHANNELS, AxisSpan
from cnncli.explain.model import AddedWindow, padding_of
from cnncli.network.layers import FloatArray


@dataclass(frozen=True)
class AddedWindowsLabels:
    """What stands beside the cells of all frames.

    Parameters
    ----------
    title, summary : str
    values, weights, total : str
        Names of the panels: what each window multiplies, by what, and what it is added to.
    place, sum : str
        Labels below a frame: of the window's place, and of the cell that is followed.
    whole, part : str
        What the last number is, or is of.
    several : str
        What windows may have several of, each with weights of its own.
    """

    title: str
    summary: str
    values: str
    weights: str
    total: str
    place: str
    sum: str
    whole: str
    part: str
    several: str


@dataclass(frozen=True, eq=False)
class AddedWindows:
    """The content of the frames.

    Parameters
    ----------
    labels : AddedWindowsLabels
    at : (row, column)
        The cell of the map that the text below the frames follows.
    rows, cols : AxisSpan
        The windows' places, and the cells of the map that are shown.
    windows : tuple of AddedWindow
        One a frame, row by row.
    totals : tuple of ndarray, shape (rows, columns)
        The map after each frame.
    shown : tuple of int
        Which of a window's channels are shown, each with its weights.
    names : tuple of str
        Of these.
    notes : tuple of str
        What is left out.
    is_whole : bool
        Whether the frames have all that is added to the cell that is followed.
    inputs : ndarray, shape (rows, columns), optional
        Of max and min pools: the input's values, which tell the winner.
    padding_takes : bool
        Whether windows add to padding too, where it is lost; those of pools do not.
    values_are_input : bool
        Whether windows multiply the input, known before the first frame, and not a gradient.
    gaps : (rows, columns)
        How far apart the values that windows multiply are shown.
    unfinished : ndarray of bool, shape (rows, columns), optional
        Cells to which windows add that have no frame.
    """

    labels: AddedWindowsLabels
    at: Pair
    rows: AxisSpan
    cols: AxisSpan
    windows: tuple[AddedWindow, ...]
    totals: tuple[FloatArray, ...]
    shown: tuple[int, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]
    is_whole: bool
    inputs: FloatArray | None = None
    padding_takes: bool = True
    values_are_input: bool = False
    gaps: Pair = (1, 1)
    unfinished: NDArray[np.bool_] | None = None

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Which of the cells shown are padding, shape (rows, columns)."""
        return padding_of((self.rows.window, self.cols.window))

    def place(self, frame: int) -> Pair:
        """Return where the value of a frame stands among those shown."""
        row, col = divmod(frame, len(self.cols.outputs))
        return row * self.gaps[0], col * self.gaps[1]


def strongest_channels(
    windows: Sequence[AddedWindow], several: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Choose the channels that add the most, as indices; and what to tell of the others.

    Examples
    --------
    >>> from cnncli.core.geometry import Axis
    >>> from cnncli.explain.model import place_axis_window
    >>> axes = (place_axis_window(Axis(size=1, kernel=1), 0),) * 2
    >>> weights = np.array([4.0, 2.0, 3.0, 1.0]).reshape(4, 1, 1)
    >>> window = AddedWindow((0, 0), axes, (0, 1, 2, 3), weights, np.ones(4), np.ones((1, 1)))
    >>> strongest_channels([window], "maps")
    ((0, 1, 2), ('3 of 4 maps are shown, the strongest ones; all count',))
    """
    count = len(windows[0].channels)
    if count <= MOST_CHANNELS:
        return tuple(range(count)), ()
    sizes = sum(np.abs(each.weights).sum((1, 2)) * np.abs(each.values) for each in windows)
    strength = np.nan_to_num(sizes, nan=np.inf)
    chosen = sorted(np.argsort(-strength, kind="stable")[:MOST_CHANNELS].tolist())
    note = f"{MOST_CHANNELS} of {count} {several} are shown, the strongest ones; all count"
    return tuple(chosen), (note,)


def running_totals(
    windows: Sequence[AddedWindow], rows: AxisSpan, cols: AxisSpan, start: float = 0.0
) -> Iterator[FloatArray]:
    """Yield the map's cells that are shown, after one more window each time."""
    total = np.full((len(rows.window.cells), len(cols.window.cells)), start)
    for window in windows:
        down, across = (
            np.array([-1 if source is None else span.index(source) for source in axis.sources])
            for axis, span in zip(window.axes, (rows, cols), strict=True)
        )
        # What lands on constant padding is lost, and copies may be of cells that are not shown.
        inside = [(k >= 0) & (k < n) for k, n in zip((down, across), total.shape, strict=True)]
        cells = np.ix_(down[inside[0]], across[inside[1]])
        np.add.at(total, cells, window.added[np.ix_(*inside)])
        yield total.copy()
