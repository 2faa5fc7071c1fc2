"""The arithmetic of windows: output sizes, pads, and which input cells feed which output cells.

Per axis: ``n`` input cells, ``k`` filter taps, ``s`` stride, ``d`` dilation, ``pb`` and ``pe`` pads
at the beginning and the end, and ``ke = d*(k-1) + 1`` the cells a window spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.borders import CONSTANT_CELL, border_index, join_runs, source_cells, source_runs
from cnncli.core.choices import NAMED_PADDINGS
from cnncli.errors import OptionError, ShapeError

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Box = tuple[slice, slice]
"""Cells ``[start, stop)`` of rows and of columns."""
PaddingLike = int | str | Sequence[int] | Sequence[Sequence[int]]


@dataclass(frozen=True)
class Axis:
    """One axis of a sliding window.

    Parameters
    ----------
    size : int
        Input cells, ``n``.
    kernel, stride, dilation : int
        Taps ``k``, step ``s`` and spacing ``d``, each at least 1.
    begin, end : int
        Pads ``pb`` and ``pe``.
    ceil : bool
        Whether a last window that hangs over the end counts.

    Examples
    --------
    >>> axis = Axis(size=224, kernel=7, stride=2, begin=3, end=3)
    >>> axis.out, axis.formula
    (112, '(224+2*3-7)//2+1 = 112')
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0
    ceil: bool = False

    @property
    def extent(self) -> int:
        """Cells from the first tap to the last, ``ke``."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padded(self) -> int:
        """Cells with both pads."""
        return self.size + self.begin + self.end

    @cached_property
    def out(self) -> int:
        """Output cells, ``(n+pb+pe-ke)//s + 1``; less than 1 when the window does not fit."""
        last_start = self.padded - self.extent
        if not self.ceil or last_start < 0:
            return last_start // self.stride + 1
        return -(-last_start // self.stride) + 1 - self._one_starts_in_end_pad

    @property
    def _one_starts_in_end_pad(self) -> bool:
        """Whether rounding up gives a window of nothing but end pad, which does not count."""
        steps = -(-(self.padded - self.extent) // self.stride)
        return steps * self.stride >= self.size + self.begin

    @property
    def formula(self) -> str:
        """The output size with its numbers filled in; ``+1-1`` where one window does not count."""
        pads = f"2*{self.begin}" if self.begin == self.end else f"{self.begin}+{self.end}"
        last_start = f"{self.size}+{pads}-{self.extent}"
        if not self.ceil or self.padded < self.extent:
            return f"({last_start})//{self.stride}+1 = {self.out}"
        less = "-1" if self._one_starts_in_end_pad else ""
        return f"ceil(({last_start})/{self.stride})+1{less} = {self.out}"

    @property
    def overhang(self) -> int:
        """Cells that the last window reaches past the end pad (only with ``ceil``)."""
        return max(0, (self.out - 1) * self.stride + self.extent - self.padded)

    def reach(self, outputs: int) -> int:
        """Return how many padded cells the first `outputs` windows span."""
        return (outputs - 1) * self.stride + self.extent if outputs else 0

    def cells(self, first: int, last: int) -> Pair:
        """Return the padded cells ``[begin, end)`` that outputs ``[first, last)`` read."""
        return first * self.stride, (last - 1) * self.stride + self.extent

    def strip(self, first: int, last: int) -> tuple[Axis, slice]:
        """Return the axis that gives outputs ``[first, last)`` alone, and the input it needs.

        What the windows span beyond that input become its pads, hanging over included.

        Examples
        --------
        >>> axis = Axis(size=10, kernel=3, begin=1, end=1)
        >>> strip, rows = axis.strip(8, 10)
        >>> rows, strip.begin, strip.end, strip.out
        (slice(7, 10, None), 0, 1, 2)
        """
        begin, end = (cell - self.begin for cell in self.cells(first, last))
        low, high = max(0, begin), min(self.size, end)
        strip = Axis(high - low, self.kernel, self.stride, self.dilation, low - begin, end - high)
        return strip, slice(low, high)

    def source(self, first: int, last: int, mode: str = "zeros") -> slice:
        """Return the input cells that outputs ``[first, last)`` depend on, copies in pads included.

        Empty where they see a constant pad only.

        Examples
        --------
        >>> Axis(size=10, kernel=3, begin=1, end=1).source(9, 10)
        slice(8, 10, None)
        >>> Axis(size=10, kernel=3, begin=2, end=0).source(0, 1, "wrap")
        slice(0, 10, None)
        """
        begin, end = self.cells(first, last)
        spanned = begin - self.begin, min(end, self.padded) - self.begin
        met = source_runs([spanned], self.size, mode)
        return slice(met[0][0], met[-1][1]) if met else slice(0, 0)

    def middle(self, output: int) -> int:
        """Return the input cell under an output's middle tap, or the nearest to it.

        Examples
        --------
        >>> axis = Axis(size=10, kernel=3, stride=2, begin=1)
        >>> axis.middle(0), axis.middle(4)
        (0, 8)
        """
        cell = output * self.stride + (self.kernel - 1) // 2 * self.dilation - self.begin
        return min(max(cell, 0), self.size - 1)

    @property
    def always_meets_input(self) -> bool:
        """Whether every window spans an input cell."""
        return self.begin < self.extent and self.end < self.extent

    def under(self, output: int, mode: str = "zeros") -> list[tuple[int, int | None]]:
        """Return for each tap of an output the input cell under it, and the one it copies.

        Parameters
        ----------
        output : int
        mode : str
            Border mode, see `source_cells`.

        Returns
        -------
        list of (int, int or None)
            Cells before 0 or from ``size`` on are padding, and what the last windows hang over.
            None where a cell copies no input cell.

        Examples
        --------
        >>> axis = Axis(size=10, kernel=3, begin=1, end=1)
        >>> axis.under(0), axis.under(0, "reflect")
        ([(-1, None), (0, 0), (1, 1)], [(-1, 1), (0, 0), (1, 1)])
        """
        cells = np.arange(self.kernel) * self.dilation + output * self.stride - self.begin
        sources = np.where(
            cells < self.size + self.end, source_cells(cells, self.size, mode), CONSTANT_CELL
        )
        return [
            (cell, None if source == CONSTANT_CELL else source)
            for cell, source in zip(cells.tolist(), sources.tolist(), strict=True)
        ]

    def seen_by(self, cell: int, mode: str = "zeros") -> list[Pair]:
        """Return each output that reads an input cell, with the tap by which it does.

        An output stands there several times if it reads copies of the cell too.

        Examples
        --------
        >>> axis = Axis(size=10, kernel=3, begin=1, end=1)
        >>> axis.seen_by(1), axis.seen_by(1, "reflect")
        ([(0, 2), (1, 1), (2, 0)], [(0, 0), (0, 2), (1, 1), (2, 0)])
        """
        copies = np.flatnonzero(border_index(self.size, self.begin, self.end, mode) == cell)
        starts = [(at - tap * self.dilation, tap) for at in copies for tap in range(self.kernel)]
        return sorted(
            (int(start) // self.stride, tap)
            for start, tap in starts
            if start >= 0 and start % self.stride == 0 and start // self.stride < self.out
        )

    def tap(self, index: int, outputs: int | None = None) -> slice:
        """Return the padded cells that tap `index` meets, one for each output."""
        count = self.out if outputs is None else outputs
        start = index * self.dilation
        return slice(start, start + (count - 1) * self.stride + 1, self.stride)

    def real_taps(self, index: int) -> NDArray[np.bool_]:
        """Return for each output whether tap `index` meets an input cell and no pad."""
        cells = np.arange(self.out) * self.stride + index * self.dilation - self.begin
        return (cells >= 0) & (cells < self.size)

    def counts(self, include_pad: bool) -> NDArray[np.int64]:
        """Return for each output how many taps an average divides by.

        Parameters
        ----------
        include_pad : bool
            Whether explicit pads count. What `ceil` lets hang over the end never does.
        """
        starts = np.arange(self.out) * self.stride
        low, high = (0, self.padded) if include_pad else (self.begin, self.begin + self.size)
        below, inside = (
            np.clip(-((starts - cell) // self.dilation), 0, self.kernel) for cell in (low, high)
        )
        return np.asarray(inside - below, np.int64)

    def outputs_on_input(self) -> int:
        """Return how many outputs read an input cell, and not pads only.

        Examples
        --------
        >>> axis = Axis(size=1, kernel=2, dilation=2, begin=2, end=2)
        >>> axis.out, axis.outputs_on_input()
        (3, 2)
        """
        # Taps no further apart than the input is long meet it one after the other.
        apart = self.dilation > self.size
        taps, reach = (self.kernel, 0) if apart else (1, self.extent - 1)
        lasts = [self.begin - tap * self.dilation for tap in range(taps)]
        # A tap meets a cell from the output on that begins at or after it.
        edges = [
            (-((reach - cell) // self.stride), -(-(cell + self.size) // self.stride))
            for cell in lasts
        ]
        met = join_runs((max(0, begin), min(end, self.out)) for begin, end in edges)
        return sum(end - begin for begin, end in met)


@dataclass(frozen=True)
class Window:
    """A filter's or a pool's window over both axes.

    Examples
    --------
    >>> place_window((5, 7), kernel=3, stride=2, padding="same").out
    (3, 4)
    """

    rows: Axis
    cols: Axis

    @property
    def out(self) -> Pair:
        """Output size (n_H, n_W)."""
        return self.rows.out, self.cols.out

    @property
    def kernel(self) -> Pair:
        """Taps (k_H, k_W)."""
        return self.rows.kernel, self.cols.kernel

    @property
    def pads(self) -> Pads:
        """((top, bottom), (left, right))."""
        return (self.rows.begin, self.rows.end), (self.cols.begin, self.cols.end)

    @property
    def pads_with_overhang(self) -> Pads:
        """The pads, and at the ends what the last windows hang over."""
        (top, bottom), (left, right) = self.pads
        return (top, bottom + self.rows.overhang), (left, right + self.cols.overhang)

    def strip(self, first: int, last: int) -> tuple[Window, slice]:
        """Return the window that gives output rows ``[first, last)``, and the input rows for it."""
        rows, needed = self.rows.strip(first, last)
        return Window(rows, self.cols), needed

    def source(self, box: Box, mode: str = "zeros") -> Box:
        """Return the box of input cells that a box of outputs depends on."""
        rows, cols = box
        return (
            self.rows.source(rows.start, rows.stop, mode),
            self.cols.source(cols.start, cols.stop, mode),
        )

    def taps(self) -> list[tuple[int, int, tuple[slice, slice]]]:
        """Return for each tap, in row-major order, its place and the padded cells it meets."""
        return [
            (i, j, (self.rows.tap(i), self.cols.tap(j)))
            for i in range(self.rows.kernel)
            for j in range(self.cols.kernel)
        ]


def pair(value: int | Sequence[int], what: str, least: int = 1) -> Pair:
    """Return `value` as (rows, columns).

    Parameters
    ----------
    value : int or sequence of two int
        One number for both axes, or one for each.
    what : str
        The option's name, for the message.
    least : int
        The smallest number allowed.

    Raises
    ------
    OptionError
        If it is not one or two integers of at least `least`.

    Examples
    --------
    >>> pair(2, "stride"), pair((2, 3), "stride")
    ((2, 2), (2, 3))
    """
    if type(value) is int and value >= least:
        return value, value
    if type(value) is tuple and [*map(type, value)] == [int, int] and min(value) >= least:
        return value
    numbers = _whole_numbers(value, least)
    if len(numbers) not in (1, 2):
        raise OptionError(
            f"{what} must be one or two whole numbers of at least {least}, got {value!r}",
            hint=f"--{what} N or --{what} H,W",
        )
    return numbers[0], numbers[-1]


def _whole_numbers(value: object, least: int) -> tuple[int, ...]:
    """Return the whole numbers in `value`, nested ones in line; none if anything else is in it."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        parts = [_whole_numbers(part, least) for part in value]
        return tuple(number for part in parts for number in part) if all(parts) else ()
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return (int(value),)
    return ()


def explicit_pads(padding: PaddingLike) -> Pads:
    """Return pads given as numbers as ((top, bottom), (left, right)).

    Parameters
    ----------
    padding : int, (h, w), (top, bottom, left, right) or ((top, bottom), (left, right))
        Cells to add, each at least 0.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> explicit_pads(1), explicit_pads((1, 2)), explicit_pads((1, 2, 3, 4))
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((1, 2), (3, 4)))
    """
    if type(padding) is int and padding >= 0:
        return (padding, padding), (padding, padding)
    sides = _whole_numbers(padding, least=0)
    if len(sides) not in (1, 2, 4):
        raise OptionError(
            "padding must be same, same-lower, valid, N, H,W or TOP,BOTTOM,LEFT,RIGHT "
            f"with whole numbers of at least 0, got {padding!r}",
            hint="--padding same",
        )
    if len(sides) == 4:
        return (sides[0], sides[1]), (sides[2], sides[3])
    return (sides[0], sides[0]), (sides[-1], sides[-1])


def same_pads(size: int, kernel: int, stride: int, dilation: int, lower: bool = False) -> Pair:
    """Return the pads for which the output has ``ceil(size / stride)`` cells.

    The odd cell goes to the end, as TensorFlow's SAME and ONNX's SAME_UPPER have it, or
    to the beginning with `lower` (SAME_LOWER).

    Examples
    --------
    >>> same_pads(size=5, kernel=2, stride=1, dilation=1)
    (0, 1)
    """
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def place_window(
    size: Pair,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: PaddingLike = 0,
    dilation: int | Sequence[int] = 1,
    ceil: bool = False,
) -> Window:
    """Lay a window over an input and check that it fits.

    Parameters
    ----------
    size : (int, int)
        Input rows and columns.
    kernel, stride, dilation : int or (int, int)
        Taps, step and spacing, each at least 1.
    padding : int, (h, w), ((top, bottom), (left, right)) or {"same", "same-lower", "valid"}
        Cells around the input.
    ceil : bool
        Whether a last window that hangs over the end counts.

    Returns
    -------
    Window
        Both axes with their pads resolved.

    Raises
    ------
    OptionError
        If a number is out of its range.
    ShapeError
        If no window fits into the padded input.

    Examples
    --------
    >>> place_window((4, 4), kernel=2, stride=2, padding=2).out
    (4, 4)
    """
    kernels = pair(kernel, "size")
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    if isinstance(padding, str):
        pads = _named_pads(padding, size, kernels, strides, dilations)
    else:
        pads = explicit_pads(padding)
    return _placed((int(size[0]), int(size[1])), kernels, strides, pads, dilations, bool(ceil))


@lru_cache(maxsize=1024)
def _placed(
    size: Pair, kernels: Pair, strides: Pair, pads: Pads, dilations: Pair, ceil: bool
) -> Window:
    """Return the window; layers of a network ask for the same one several times."""
    rows, cols = (
        Axis(size[i], kernels[i], strides[i], dilations[i], *pads[i], ceil=ceil) for i in (0, 1)
    )
    _check_fits(rows, "rows")
    _check_fits(cols, "columns")
    return Window(rows, cols)


def _named_pads(name: str, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    if name not in NAMED_PADDINGS:
        raise OptionError(
            f"padding must be one of {', '.join(NAMED_PADDINGS)} or numbers, got {name!r}",
            hint="--padding same",
        )
    if name == "valid":
        return (0, 0), (0, 0)
    lower = name == "same-lower"
    rows, cols = (same_pads(size[i], kernel[i], stride[i], dilation[i], lower) for i in (0, 1))
    return rows, cols


def _check_fits(axis: Axis, what: str) -> None:
    if axis.out < 1 or axis.extent > axis.padded:
        raise ShapeError(
            f"the window must fit into the padded input, but spans {axis.extent} of "
            f"{axis.padded} {what}: {axis.formula}",
            hint="--padding same, a larger image, a smaller window or less --dilation",
        )
