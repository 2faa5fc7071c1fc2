"""What an explanation is made of: windows in their places, blocks of numbers, steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnncli.core.geometry import Axis, Pair
from cnncli.explain.explained_layer import Input
from cnncli.network.layers import FloatArray

Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Side:
    """A window along one axis, where it stands for one output.

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
    def real(self) -> NDArray[np.bool_]:
        """Whether each tap stands on an input cell, and not on padding."""
        return np.array([0 <= cell < self.axis.size for cell in self.cells])


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


@dataclass(frozen=True)
class Operand:
    """A number in the formula of a single value.

    Parameters
    ----------
    name : str
    value : float
    """

    name: str
    value: float


@dataclass(frozen=True, eq=False)
class Step:
    """How one output channel gets its value.

    Parameters
    ----------
    channel : int
    name : str
    blocks : tuple of Block
        One for each input channel that it reads; none where a layer changes single values.
    total : float
        Before the activation.
    value : float
        In float64.
    fast : float
        What every command gets.
    operands : tuple of Operand
        What a layer without a window, or an activation that sees other channels, works with.
    formula : str
        In words, on the operands.
    bias : float, optional
    divisor : int, optional
        Of an average.
    activation : str
    """

    channel: int
    name: str
    blocks: tuple[Block, ...]
    total: float
    value: float
    fast: float
    operands: tuple[Operand, ...] = ()
    formula: str = ""
    bias: float | None = None
    divisor: int | None = None
    activation: str = "none"

    @property
    def difference(self) -> float:
        """From the value to what the fast path gives."""
        same = self.value == self.fast or (np.isnan(self.value) and np.isnan(self.fast))
        return 0.0 if same else self.fast - self.value


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one place of one map gets its values.

    Parameters
    ----------
    name, op : str
        Of the layer.
    image : int
        Of a batch.
    at : (row, column)
        Of the output.
    inputs : tuple of str
        Names of the layers it reads.
    input_shapes : tuple of (n_H, n_W, n_C)
    output_shape : (n_H, n_W, n_C)
    rows, cols : Side, optional
        None for layers without a window.
    pad_mode : str
    pad_value : float
    mode : str
        Of a pool.
    p : float
        Of an lp pool.
    map : int
        The picture of the output.
    map_name : str
    maps : int
        How many pictures there are.
    dtype : str
        What the fast path computes in.
    steps : tuple of Step
        One for each channel of the map.
    """

    name: str
    op: str
    image: int
    at: Pair
    inputs: tuple[str, ...]
    input_shapes: tuple[Sizes, ...]
    output_shape: Sizes
    rows: Side | None
    cols: Side | None
    pad_mode: str
    pad_value: float
    mode: str
    p: float
    map: int
    map_name: str
    maps: int
    dtype: str
    steps: tuple[Step, ...]

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Which cells of the window are padding, shape (k_H, k_W); (0, 0) without a window."""
        if self.rows is None or self.cols is None:
            return np.zeros((0, 0), bool)
        return ~np.logical_and.outer(self.rows.real, self.cols.real)


def stand(axis: Axis, output: int, mode: str = "zeros") -> Side:
    """Return where the window of an output stands along one axis.

    Examples
    --------
    >>> stand(Axis(size=10, kernel=3, begin=1, end=1), 0).cells
    (-1, 0, 1)
    """
    cells, sources = zip(*axis.under(output, mode), strict=True)
    return Side(axis, cells, sources)


def read_window(
    given: Input, sides: tuple[Side, Side], channels: Sequence[int], fill: float
) -> FloatArray:
    """Return the values under a window, (k_H, k_W, channels); `fill` where it copies no cell.

    Examples
    --------
    >>> from cnncli.explain.explained_layer import array_input
    >>> given, axis = array_input(np.ones((1, 3, 3, 1))), Axis(size=3, kernel=2, begin=1)
    >>> read_window(given, (stand(axis, 0), stand(axis, 0)), [0], 0.0)[:, :, 0]
    array([[0., 0.],
           [0., 1.]])
    """
    met = [np.array([source is not None for source in side.sources]) for side in sides]
    rows, cols = (np.array([s for s in side.sources if s is not None], int) for side in sides)
    first, last = (rows.min(), rows.max() + 1) if rows.size else (0, 1)
    values = given.rows(int(first), int(last))[0]
    window = np.full((*(len(side.cells) for side in sides), len(channels)), fill, values.dtype)
    window[np.ix_(*met)] = values[np.ix_(rows - first, cols)][:, :, list(channels)]
    return window
