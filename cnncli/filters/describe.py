"""Facts about a filter, such as its sum, symmetry and rank, and its numbers as text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array
from cnncli.filters.filter import ZERO_SUM, Filter

_MAX_ROWS = 16
_MAX_BLOCKS = 16
_MAX_NUMBERS = 300
"""Weights printed of several kernels together."""
_FEW = 2
"""Maps told of one by one where there are more than `_MAX_BLOCKS`."""
_MAX_DIVISOR = 1024
_MAX_WHOLE = 9999
# Relative to the largest weight: two weights nearer than this count as equal.
_EQUAL = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}
_MIRRORS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("left-right", lambda kernels: kernels[:, ::-1]),
    ("up-down", lambda kernels: kernels[::-1]),
    ("point", lambda kernels: kernels[::-1, ::-1]),
)


@dataclass(frozen=True)
class Separation:
    """A kernel of rank 1 as the product of a column and a row.

    Parameters
    ----------
    column, row : tuple of float
        ``kernel[i, j] = column[i] * row[j]`` to rounding.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> describe(from_array(np.ones((2, 2)))).maps[0].separable
    (Separation(column=(1.0, 1.0), row=(1.0, 1.0)),)
    """

    column: tuple[float, ...]
    row: tuple[float, ...]


@dataclass(frozen=True)
class MapFacts:
    """What is known about one feature map of a filter.

    Parameters
    ----------
    name : str
        Of the map.
    sum : float
        Of all weights.
    zero_sum : bool
        Whether flat areas give 0 (before the bias), to rounding.
    symmetric, antisymmetric : tuple of str
        Of ``left-right``, ``up-down`` and ``point`` (turned by 180 degrees): the changes under
        which all channels stay as they are, or change only their sign.
    ranks : tuple of int
        Rank of the kernel of each input channel.
    separable : tuple of (Separation or None)
        For each input channel the column and row, when its kernel has rank 1.
    output_range : (float, float)
        Least and greatest possible result for inputs in 0..1, with the bias.
    l1, l2 : float
        Sum of magnitudes; root of the sum of squares.
    bias : float
        0 without one.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> describe(from_array(np.array([[-1.0, 0, 1]]))).maps[0].output_range
    (-1.0, 1.0)
    """

    name: str
    sum: float
    zero_sum: bool
    symmetric: tuple[str, ...]
    antisymmetric: tuple[str, ...]
    ranks: tuple[int, ...]
    separable: tuple[Separation | None, ...]
    output_range: tuple[float, float]
    l1: float
    l2: float
    bias: float


@dataclass(frozen=True)
class Facts:
    """What is known about a filter.

    Parameters
    ----------
    name : str
        Of the filter.
    shape : tuple of int
        As given.
    layout : {"hwio", "oihw"}
        How the shape was read.
    per_channel : bool
        Whether 2-D kernels work on every channel on their own.
    window : (int, int)
        Rows and columns.
    channels_in : int or None
        None when `per_channel`.
    dtype : str
        Of the weights as computed with.
    weights : int
        Their number.
    maps : tuple of MapFacts
        One per feature map.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> describe(from_array(np.ones((3, 3, 1, 8)))).weights
    72
    """

    name: str
    shape: tuple[int, ...]
    layout: str
    per_channel: bool
    window: tuple[int, int]
    channels_in: int | None
    dtype: str
    weights: int
    maps: tuple[MapFacts, ...]


def describe(bank: Filter) -> Facts:
    """Return everything that can be known about a filter without a picture.

    Parameters
    ----------
    bank : Filter

    Returns
    -------
    Facts

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> facts = describe(from_array(np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])))
    >>> facts.maps[0].zero_sum, facts.maps[0].antisymmetric, facts.maps[0].ranks
    (True, ('left-right', 'point'), (1,))
    """
    weights = _banked(bank)
    # A stack of kernels (maps, channels, kh, kw), so that numpy ranks them all in one call.
    stack = np.moveaxis(weights, (3, 2), (0, 1))
    single = bank.window == (1, 1)
    ranks = (stack[..., 0, 0] != 0).astype(int) if single else np.linalg.matrix_rank(stack)
    return Facts(
        name=bank.name,
        shape=bank.source_shape or bank.weights.shape,
        layout=bank.layout,
        per_channel=bank.per_channel,
        window=bank.window,
        channels_in=bank.channels_in,
        dtype=str(weights.dtype),
        weights=weights.size,
        maps=tuple(
            _map_facts(bank, weights[..., index], index, ranks[index]) for index in range(bank.maps)
        ),
    )


def format_facts(facts: Facts) -> str:
    """Return facts as aligned text.

    Parameters
    ----------
    facts : Facts
        From `describe`.

    Returns
    -------
    str
        Lines of a label and its value; for several maps one block each, of more than 16 what they
        have in common and the first two.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> print(format_facts(describe(from_array(np.array([[-1.0, 0, 1]])))))
    filter      filter
    shape       (1,3): rows, columns; works on every channel on its own
    type        float64, 3 weights
    sum         0, flat areas give 0
    symmetric   up-down; with opposite sign: left-right, point
    rank        1: column 1, row -1 0 1
    results     -1 to 1 for inputs in 0..1
    norms       L1 2, L2 1.41421
    """
    lines = [("filter", facts.name), ("shape", _shape_line(facts))]
    lines.append(("type", f"{facts.dtype}, {facts.weights} weights"))
    many = len(facts.maps) > _MAX_BLOCKS
    if many:
        lines += _common_lines(facts)
    for one in facts.maps[:_FEW] if many else facts.maps:
        if len(facts.maps) > 1:
            lines += [("", ""), ("map", one.name)]
        lines += _map_lines(one, facts.window)
    if many:
        left_out = f"(and {len(facts.maps) - _FEW} more maps: --json has them all)"
        lines += [("", ""), (left_out, "")]
    return "\n".join(f"{label:<12}{value}".rstrip() for label, value in lines)


def format_matrix(bank: Filter) -> str:
    """Return a filter's weights as aligned numbers.

    Whole numbers stand as they are; weights that are whole numbers over a common divisor show it
    once, as ``1/16 *``; others have the decimals that give the largest five digits.

    Parameters
    ----------
    bank : Filter
        Several kernels follow one another under their map's name.

    Returns
    -------
    str
        At most 300 numbers, or one kernel of 16 rows and columns, with a line that says what was
        left out. Kernels of one cell are one table, of channels in by maps out.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> print(format_matrix(from_array(np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16)))
    1/16 *
      1  2  1
      2  4  2
      1  2  1
    """
    weights = _banked(bank)
    channels, maps = weights.shape[2:]
    if channels * maps == 1:
        return _block(weights[:, :, 0, 0])
    if bank.window == (1, 1):
        return f"rows: channels in, columns: maps out\n{_block(weights[0, 0])}"
    of_one = min(bank.window[0], _MAX_ROWS) * min(bank.window[1], _MAX_ROWS)
    shown = min(max(_MAX_NUMBERS // of_one, 1), _MAX_BLOCKS)
    blocks = []
    for index, channel in itertools.islice(np.ndindex(maps, channels), shown):
        which = f", channel {channel}" if channels > 1 else ""
        block = _block(weights[:, :, channel, index])
        blocks.append(f"{bank.map_names[index]}{which}:\n{block}")
    if channels * maps > shown:
        blocks.append(
            f"(and {channels * maps - shown} more kernels: -o weights.png shows them all)"
        )
    return "\n\n".join(blocks)


def _banked(bank: Filter) -> Array:
    """Weights (kh, kw, channels in, maps), one channel for 2-D kernels."""
    return bank.weights[:, :, None, :] if bank.per_channel else bank.weights


def _map_facts(bank: Filter, weights: Array, index: int, ranks: Array) -> MapFacts:
    wide = weights.astype(np.float64)
    total, l1 = math.fsum(wide.flat), math.fsum(np.abs(wide).flat)
    bias = 0.0 if bank.bias is None else float(bank.bias[index])
    symmetric, antisymmetric = _symmetries(weights)
    return MapFacts(
        name=bank.map_names[index],
        sum=total,
        zero_sum=abs(total) <= ZERO_SUM[weights.dtype] * l1,
        symmetric=symmetric,
        antisymmetric=antisymmetric,
        ranks=tuple(ranks.tolist()),
        separable=tuple(_separate(weights[..., c], rank) for c, rank in enumerate(ranks)),
        output_range=(
            math.fsum(wide[wide < 0]) + bias,
            math.fsum(wide[wide > 0]) + bias,
        ),
        l1=l1,
        l2=float(np.linalg.norm(wide)),
        bias=bias,
    )


def _symmetries(weights: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    peak = np.abs(weights).max()
    tolerance = _EQUAL[weights.dtype] * peak
    images = [(name, mirror(weights)) for name, mirror in _MIRRORS]
    symmetric = [name for name, image in images if np.abs(weights - image).max() <= tolerance]
    opposite = [name for name, image in images if np.abs(weights + image).max() <= tolerance]
    return tuple(symmetric), tuple(opposite) if peak else ()


def _separate(kernel: Array, rank: int) -> Separation | None:
    if rank != 1:
        return None
    kernel = kernel.astype(np.float64)
    if kernel.size == 1:
        # Dense layers have a million of them.
        return Separation((1.0,), (kernel.item(),))
    i, j = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    column, row = _reduced(kernel[:, j]), _reduced(kernel[i])
    row = row * (kernel[i, j] / (column[i] * row[j]))
    if column.sum() + row.sum() < 0:
        column, row = -column, -row
    # Adding 0.0 turns -0.0 into 0.0.
    return Separation(tuple((column + 0.0).tolist()), tuple((row + 0.0).tolist()))


def _reduced(line: Array) -> Array:
    """Return a line without its common factor, when it is whole numbers over a divisor."""
    divisor = _common_divisor(line)
    if divisor is None:
        return line
    whole = np.rint(line * divisor).astype(int)
    reduced: Array = whole / math.gcd(*whole.tolist())
    return reduced


def _common_divisor(weights: Array) -> int | None:
    """Return the least d for which all weights are whole numbers over d, exactly, or None."""
    wide = weights.astype(np.float64)
    peak = np.abs(wide).max()
    # One weight rules out nearly every divisor before all of them are looked at.
    first = wide.flat[int(np.argmax(np.abs(wide)))]
    for divisor in range(1, _MAX_DIVISOR + 1):
        if peak * divisor > _MAX_WHOLE + 0.5:
            return None
        if abs(first * divisor - round(first * divisor)) > 1e-6:
            continue
        if np.array_equal((np.rint(wide * divisor) / divisor).astype(weights.dtype), weights):
            return divisor
    return None


def _block(kernel: Array) -> str:
    divisor = _common_divisor(kernel)
    shown = kernel[:_MAX_ROWS, :_MAX_ROWS].astype(np.float64)
    if divisor is None:
        cells = _decimals(shown)
    else:
        cells = [[str(round(value)) for value in row] for row in shown * divisor]
    width = max(len(cell) for row in cells for cell in row)
    lines = [" ".join(f" {cell:>{width}}" for cell in row) for row in cells]
    head = [f"1/{divisor} *"] if divisor not in (None, 1) else []
    return "\n".join([*head, *lines, *_left_out(kernel.shape)])


def _decimals(values: Array) -> list[list[str]]:
    """Return numbers with as many decimals as give the largest five digits."""
    peak = np.abs(values).max()
    digits = 4 - math.floor(math.log10(peak)) if peak else 0
    style = f".{digits}f" if 0 <= digits <= 8 else ".4g"
    # A small negative number would become -0.0000.
    return [[f"{value:z{style}}" for value in row] for row in values]


def _left_out(shape: tuple[int, ...]) -> list[str]:
    if max(shape) <= _MAX_ROWS:
        return []
    rows, columns = (min(side, _MAX_ROWS) for side in shape)
    return [f"(the first {rows}x{columns} of {shape[0]}x{shape[1]})"]


def _shape_line(facts: Facts) -> str:
    shape = "(" + ",".join(map(str, facts.shape)) + ")"
    if facts.per_channel:
        return f"{shape}: rows, columns; works on every channel on its own"
    rows, columns = facts.window
    names = {
        ("hwio", 3): "rows, columns, channels in",
        ("hwio", 4): "rows, columns, channels in, maps out (hwio)",
        ("oihw", 3): "channels in, rows, columns",
        ("oihw", 4): "maps out, channels in, rows, columns (oihw)",
    }
    axes = names.get((facts.layout, len(facts.shape)), "")
    counts = f"channels in {facts.channels_in}, maps {len(facts.maps)}"
    return f"{shape}: {axes}; window {rows}x{columns}, {counts}"


def _common_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    """What is said of many maps together."""
    maps = facts.maps
    zero = sum(one.zero_sum for one in maps)
    yield "sums", f"{_span([one.sum for one in maps])}; flat areas give 0 in {zero} of {len(maps)}"
    if any(one.bias for one in maps):
        yield "biases", _span([one.bias for one in maps])
    ends = [end for one in maps for end in one.output_range]
    yield "results", f"{_span(ends)} for inputs in 0..1"
    yield "norms", f"L2 {_span([one.l2 for one in maps])}"


def _span(values: Sequence[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}"


def _map_lines(facts: MapFacts, window: tuple[int, int]) -> Iterator[tuple[str, str]]:
    yield "sum", _number(facts.sum) if not facts.zero_sum else "0, flat areas give 0"
    if window != (1, 1) or len(facts.ranks) == 1:
        # Every cell of its own is symmetric.
        yield "symmetric", _symmetry_line(facts)
        yield "rank", _rank_line(facts)
    if facts.bias:
        yield "bias", _number(facts.bias)
    low, high = map(_number, facts.output_range)
    yield "results", f"{low} to {high} for inputs in 0..1"
    yield "norms", f"L1 {_number(facts.l1)}, L2 {_number(facts.l2)}"


def _symmetry_line(facts: MapFacts) -> str:
    parts = [", ".join(facts.symmetric)] if facts.symmetric else []
    if facts.antisymmetric:
        parts.append(f"with opposite sign: {', '.join(facts.antisymmetric)}")
    return "; ".join(parts) or "no"


def _rank_line(facts: MapFacts) -> str:
    if len(facts.ranks) > 1:
        ranks = [str(rank) for rank in facts.ranks[:_MAX_BLOCKS]]
        more = " ..." if len(facts.ranks) > _MAX_BLOCKS else ""
        return f"{' '.join(ranks)}{more} by channel"
    pair = facts.separable[0]
    if pair is None:
        return f"{facts.ranks[0]}, not separable" if facts.ranks[0] else "0, all weights are 0"
    if max(len(pair.column), len(pair.row)) > _MAX_ROWS:
        return "1, separable"
    return f"1: column {_line(pair.column)}, row {_line(pair.row)}"


def _line(values: Iterable[float]) -> str:
    line = np.array(list(values))
    divisor = _common_divisor(line)
    if divisor is None:
        return " ".join(f"{value:.4g}" for value in line)
    whole = " ".join(str(round(value)) for value in line * divisor)
    return whole if divisor == 1 else f"1/{divisor} * ({whole})"


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}"
