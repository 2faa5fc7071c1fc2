"""The records of an explanation: the window on the input, blocks of numbers, steps, the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Axis, Pair
from cnncli.network.layers import FloatArray

Sizes = tuple[int, int, int]
Term = tuple[str, float]
"""The name and the value of a number in a formula."""
Formula = tuple[str, tuple[Term, ...]]
"""A formula, and the numbers in it."""


@dataclass(frozen=True)
class AxisWindow:
    """A window along one axis, at one of its positions.

    Parameters
    ----------
    axis : Axis
    cells : tuple of int
        The input cell under each tap; before 0 and from ``axis.size`` on it is padding.
    sources : tuple of (int or None)
        The input cell that each of these copies; None: a constant.
    """

    axis: Axis
    cells: tuple[int, ...]
    sources: tuple[int | None, ...]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each tap reads an input cell, and not padding."""
        return np.array([0 <= cell < self.axis.size for cell in self.cells])


Axes = tuple[AxisWindow, AxisWindow]
"""Rows and columns of a window."""


def place_axis_window(axis: Axis, output: int, mode: str = "zeros") -> AxisWindow:
    """Return the window along one axis at the position of an output.

    Examples
    --------
    >>> place_axis_window(Axis(size=10, kernel=3, begin=1, end=1), 0).cells
    (-1, 0, 1)
    """
    cells, sources = zip(*axis.under(output, mode), strict=True)
    return AxisWindow(axis, cells, sources)


def padding_of(axes: Axes | Spread | None) -> NDArray[np.bool_]:
    """Tell which cells of a window are padding, shape (k_H, k_W); (0, 0) without a window."""
    if axes is None:
        return np.zeros((0, 0), bool)
    if isinstance(axes, Spread):
        return np.zeros((len(axes.rows.cells), len(axes.columns.cells)), bool)
    return ~np.logical_and.outer(axes[0].inside, axes[1].inside)


@dataclass(frozen=True, eq=False)
class AddedWindow:
    """What one window adds to one channel of a map: of the input's gradient, or of an output.

    Parameters
    ----------
    at : (row, column)
        Of the values that it multiplies: backward of an output, forward of an input cell.
    axes : (AxisWindow, AxisWindow)
        Rows and columns of the window.
    channels : tuple of int
        Those of the values.
    weights : ndarray, shape (channels, k_H, k_W)
        Of each tap; of pools the shares.
    values : ndarray, shape (channels,)
        Of the input; backward the gradients of the outputs, 1 times the slope of the activation.
    added : ndarray, shape (k_H, k_W)
        What each tap gets from all channels.
    """

    at: Pair
    axes: Axes
    channels: tuple[int, ...]
    weights: FloatArray
    values: FloatArray
    added: FloatArray


@dataclass(frozen=True)
class SpreadAxis:
    """Which input cells of a transposed convolution add to an output, along one axis.

    Parameters
    ----------
    size : int
        Cells of the input.
    formula : str
        Of the output's size.
    cells : tuple of int
        The input cells that add to the output.
    taps : tuple of int
        The kernel's row or column by which each does.
    outputs : tuple of tuple of int
        All outputs that each adds to.
    """

    size: int
    formula: str
    cells: tuple[int, ...]
    taps: tuple[int, ...]
    outputs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Spread:
    """Rows and columns of the input cells that add to an output."""

    rows: SpreadAxis
    columns: SpreadAxis


@dataclass(frozen=True, eq=False)
class Block:
    """One input channel under the window.

    Parameters
    ----------
    name : str
    channel : int
        Of the input.
    window : ndarray, shape (k_H, k_W)
        The input's values, and what its padding holds.
    weights : ndarray, optional
    products : ndarray, optional
        Window times weights in float64; of an lp pool ``|x|^p``.
    sum : float
        Of the products, or of the window where there are none; of max and min pools the winner.
    winner : ndarray of bool, optional
        Of max and min pools: the first winner.
    ties : int
        How many input cells hold the winning value.
    """

    name: str
    channel: int
    window: FloatArray
    weights: FloatArray | None = None
    products: FloatArray | None = None
    sum: float = 0.0
    winner: NDArray[np.bool_] | None = None
    ties: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """How one output channel gets its value.

    Parameters
    ----------
    channel : int
    name : str
    blocks : tuple of Block
        One for each input channel that it reads; none where a layer changes single values.
    operands : tuple of (str, float)
        Names and numbers in the formula of a layer without a window, or of an activation.
    formula : str, optional
        On the operands.
    bias : float, optional
    divisor : int, optional
        Of an average.
    total : float
        Before the activation.
    activation : str
    value : float
        In float64.
    fast : float
        What every command gets.
    """

    channel: int
    name: str = ""
    blocks: tuple[Block, ...] = ()
    operands: tuple[Term, ...] = ()
    formula: str | None = None
    bias: float | None = None
    divisor: int | None = None
    total: float
    activation: str = "none"
    value: float
    fast: float = np.nan

    @property
    def difference(self) -> float:
        """From the value to what the fast path gives."""
        same = self.value == self.fast or (np.isnan(self.value) and np.isnan(self.fast))
        return 0.0 if same else self.fast - self.value


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one position of one map gets its values.

    Parameters
    ----------
    layer, type : str
        Name and kind of the layer.
    mode : str, optional
        Of a pool.
    p : float, optional
        Of an lp pool.
    image, images : int
        Of a batch, and how many it has.
    at : (row, column)
        Of the output.
    inputs : tuple of str
        Names of the layers it reads.
    input_shapes : tuple of (n_H, n_W, n_C)
    output_shape : (n_H, n_W, n_C)
    axes : (AxisWindow, AxisWindow), optional
        Rows and columns of the window; None for layers without one.
    padding : ndarray of bool, shape (k_H, k_W)
        Which cells of the window are padding.
    pad_mode : str
    pad_value : float
    map : int
        The picture of the output.
    map_name : str
    maps : int
        How many pictures there are.
    dtype : str
        What the fast path computes in.
    steps : tuple of Step
        One for each channel of the map.
    spread : Spread, optional
        Of a transposed convolution: what adds to the output.
    """

    layer: str
    type: str
    mode: str | None
    p: float | None
    image: int
    images: int
    at: Pair
    inputs: tuple[str, ...]
    input_shapes: tuple[Sizes, ...]
    output_shape: Sizes
    axes: Axes | None
    padding: NDArray[np.bool_]
    pad_mode: str
    pad_value: float
    map: int
    map_name: str
    maps: int
    dtype: str
    steps: tuple[Step, ...]
    spread: Spread | None = None

    @property
    def cells(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The rows and columns of the input that blocks hold; padding lies outside of it."""
        if self.spread is not None:
            return self.spread.rows.cells, self.spread.columns.cells
        assert self.axes is not None
        rows, cols = self.axes
        return rows.cells, cols.cells
