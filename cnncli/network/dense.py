"""Dense layers as convolutions as large as their input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from cnncli.core.arrays import Array, is_placeholder, placeholder
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError, ShapeError
from cnncli.filters.filter import Filter
from cnncli.network.graph import Network, Node
from cnncli.network.layers.base import OPEN_SIDE, is_open
from cnncli.network.layers.conv import dense_hint
from cnncli.network.model import SIZE_HINT, SIZE_UNKNOWN, SizeNeeded


def dense_bank(name: str, matrix: Array, shape: tuple[int, int, int], order: str) -> Filter:
    """Return the matrix of a dense layer as filters that see all of their input.

    Parameters
    ----------
    name : str
        Of the layer.
    matrix : ndarray, shape (values in, values out)
    shape : (int, int, int)
        Rows, columns and channels of the input.
    order : {"chw", "hwc"}
        In which the values of the input were counted: PyTorch's, or Keras's.

    Raises
    ------
    ShapeError
        If the matrix takes another number of values.

    Examples
    --------
    >>> bank = dense_bank("fc", np.arange(8.0).reshape(8, 1), (1, 2, 4), "chw")
    >>> bank.weights.shape, bank.weights[0, :, 0, 0]
    ((1, 2, 4, 1), array([0., 1.]))
    """
    n_H, n_W, channels = shape
    rows, maps = matrix.shape
    if rows != n_H * n_W * channels:
        raise ShapeError(f"its matrix takes {rows} values, not {n_H}x{n_W}x{channels}")
    if is_placeholder(matrix):
        weights: Array = placeholder(matrix.dtype, (n_H, n_W, channels, maps))
    elif order == "chw":
        weights = matrix.reshape(channels, n_H, n_W, maps).transpose(1, 2, 0, 3)
    else:
        weights = matrix.reshape(n_H, n_W, channels, maps)
    return Filter(
        name=name,
        weights=np.asarray(weights, order="C") if not is_placeholder(matrix) else weights,
        per_channel=False,
        map_names=tuple(map(str, range(maps))),
        source_shape=weights.shape,
    )


def dense_input(
    nodes: Sequence[Node],
    source: str,
    size: Pair | None,
    counts: Sequence[int],
    values: int,
) -> tuple[int, int, int]:
    """Return the rows, columns and channels of what a dense layer works on.

    Parameters
    ----------
    nodes : sequence of Node
        The layers before it.
    source : str
        The one of them, or `SOURCE`, that it reads.
    size : (int, int), optional
        Rows and columns of the network's input; unknown ones are those of a square.
    counts : sequence of int
        Channels that the network's input may have.
    values : int
        How many values the layer takes.

    Raises
    ------
    ShapeError
        If nothing fits.
    SizeNeeded
        If nothing fits, and the size of the network's input is not known.
    """
    shown, problem, open_sides = "", None, False
    seen: list[int] = []
    for count in (*counts, *_other_counts(nodes, source, size, values)):
        try:
            n_H, n_W, channels = _cells(nodes, source, size, count)
        except CnnCliError as error:
            problem = problem or error
            continue
        seen.append(channels)
        open_sides = is_open((1, n_H, n_W, channels))
        if open_sides:
            n_H = n_W = math.isqrt(values // channels)
        if n_H * n_W * channels == values:
            return n_H, n_W, channels
        sides = "?x?" if open_sides else f"{n_H}x{n_W}"
        shown = shown or f"{sides}x{channels} of {source}"
    if problem is not None and not shown:
        raise ShapeError(f"its input cannot be made: {problem}", hint=problem.hint)
    # Channels that follow from those of the picture may be others once its size is known.
    if open_sides and (len({*seen}) > 1 or values % seen[0] == 0):
        raise SizeNeeded(
            f"its matrix takes {values} values, which no square picture gives; {SIZE_UNKNOWN}",
            hint=f"size = [H, W] in [input] ({SIZE_HINT})",
        )
    raise ShapeError(
        f"its matrix takes {values} values, not {shown}", hint=dense_hint(values, seen)
    )


def _cells(
    nodes: Sequence[Node], source: str, size: Pair | None, count: int
) -> tuple[int, int, int]:
    """Return rows, columns and channels of a layer's output for an input of `count` channels."""
    shape = (1, *(size or (OPEN_SIDE, OPEN_SIDE)), count)
    _, *cells = Network(tuple(nodes)).shapes(shape)[source] if nodes else shape
    n_H, n_W, channels = cells
    return n_H, n_W, channels


def _other_counts(
    nodes: Sequence[Node], source: str, size: Pair | None, values: int
) -> Iterator[int]:
    """Yield the number of channels by which the cells are as many as the values, if there is one.

    Every layer gives ``a * n + b`` channels for an input of n.
    """
    if size is None:
        return
    with suppress(CnnCliError):
        one, two = (math.prod(_cells(nodes, source, size, count)) for count in (1, 2))
        if two > one and values > one and (values - one) % (two - one) == 0:
            yield 1 + (values - one) // (two - one)
