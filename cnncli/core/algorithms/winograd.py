"""Winograd's F(4x4, 3x3), F(2x2, 3x3) and F(2x2, 5x5): few multiplications for a tile of outputs.

Input tiles of 6x6 or 4x4 and filters are transformed, multiplied place by place (36 or 16 matrix
products over the channels), and transformed back to tiles of outputs (Lavin and Gray, "Fast
algorithms for convolutional neural networks", 2016). Tiles of 4x4 multiply more and read fewer
filters: they are for layers of few cells and many filters. The transforms hold factors up to 25 and
their sums cancel, so a value may be off by 1e-5 (tiles of 4x4: 1e-6) times what the same sum over
magnitudes would give. That is near float32's own rounding over hundreds of channels, but not near
float64's: those layers take an exact way.

Each transform of a tile is one matrix product over its cells: three times the operations of two
passes over rows and columns with shared sums, and faster all the same, for it makes no temporary
arrays and its threads never wait for the interpreter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import FILTER_COPIES, ConvTask, Kernel, Work, product_flops
from cnncli.core.arrays import FloatArray, placeholder
from cnncli.core.prices import price
from cnncli.system.threads import Scratch, run_all

SPANS: Final = {3: (4, 6), 5: (6,)}
"""Input rows and columns of a tile, for each side of filters."""

LEAST_TILES: Final = 48
"""Tiles in a strip from which matrix products run at full speed."""

BLOCK_FILTERS: Final = 8192
"""Filters that are transformed at a time: they stay in cache from rows to columns."""

THREADS_FROM_FILTERS: Final = 2**15
"""Filters from which two threads transform them."""

POINTS: Final = np.array([0.0, 1, -1, 2, -2])
"""Where the polynomials are multiplied, besides infinity; tiles of 4x4 take the first three."""


def input_transform(span: int) -> FloatArray:
    """Return what takes a tile of inputs to its values at the points and infinity, (span, span).

    Examples
    --------
    >>> input_transform(4)
    array([[-1.,  0.,  1.,  0.],
           [ 0.,  1.,  1.,  0.],
           [ 0., -1.,  1.,  0.],
           [ 0., -1.,  0.,  1.]])
    """
    points = POINTS[: span - 1]
    others = [np.delete(points, number) for number in range(span - 1)]
    # The coefficients of the polynomials that are 0 at all other points, lowest powers first.
    rows = [[*np.poly(zeros)[::-1], 0.0] for zeros in others]
    return np.array([*rows, np.poly(points)[::-1]]) + 0.0


def filter_transform(side: int, span: int) -> FloatArray:
    """Return what takes a filter to its scaled values at the points, (span, side).

    They are scaled so that the input's factors are whole.

    Examples
    --------
    >>> filter_transform(3, 6)[1] * 6
    array([-1., -1., -1.])
    """
    points = POINTS[: span - 1]
    scales = [1 / np.prod(point - points[points != point]) for point in points]
    values = np.array(scales)[:, None] * points[:, None] ** np.arange(side)
    return np.vstack([values, np.eye(side)[-1:]])


def output_transform(tile: int, span: int) -> FloatArray:
    """Return what takes products at the points to a tile of outputs, (tile, span).

    Examples
    --------
    >>> output_transform(2, 6)
    array([[ 1.,  1.,  1.,  1.,  1.,  0.],
           [ 0.,  1., -1.,  2., -2.,  1.]])
    """
    values = POINTS[: span - 1] ** np.arange(tile)[:, None]
    return np.hstack([values, np.eye(tile)[:, -1:]])


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count transforms and products; None unless 3x3 or 5x5, dense, float32, one group."""
    rows, cols = task.window.rows, task.window.cols
    if (
        task.dtype != np.float32
        or task.groups != 1
        or rows.kernel != cols.kernel
        or rows.kernel not in SPANS
        or not (rows.stride, rows.dilation) == (cols.stride, cols.dilation) == (1, 1)
    ):
        return None
    return _work(W, task, _span(task))


@lru_cache(maxsize=1024)
def _span(task: ConvTask) -> int:
    """Return the side of the input tiles that are quickest once the filters are ready."""
    W = placeholder(task.dtype, (*task.window.kernel, task.n_C_prev, task.n_C))
    spans = SPANS[len(W)]
    return min(spans, key=lambda span: price(_work(W, task, span), task.dtype, runs=math.inf))


def _work(W: FloatArray, task: ConvTask, span: int) -> Work:
    tile, places = span + 1 - W.shape[0], span * span
    n_H, n_W = task.window.out
    tiles = task.images * -(-n_H // tile) * -(-n_W // tile)
    filters = task.n_C_prev * task.n_C
    return Work(
        # Tiles stay in cache between two steps; the transformed filters are read from memory.
        copies=tiles * places * (task.n_C_prev + task.n_C) / 2 + places * filters * FILTER_COPIES,
        passes=task.window_count * task.n_C,
        flops=places * product_flops(tiles, task.n_C_prev, task.n_C)
        + tiles * product_flops(places, places, task.n_C_prev)
        + tiles * product_flops(tile * tile, places, task.n_C),
        calls=40,
        # Where their memory is fresh, touching it first takes several times as long as writing it.
        once=Work(
            flops=product_flops(places, W[..., 0, 0].size, filters),
            copies=4 * places * filters,
            calls=80,
        ),
    )


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Transform the filters."""
    layer = _Layer.of(W, task)
    span, tile, tile_columns = layer.span, layer.tile, layer.tile_columns
    # A strip must be worth reading all filters for.
    least = max(LEAST_TILES, 3 * max(task.n_C_prev, task.n_C) // 8)
    values = tile_columns * (task.n_C_prev + task.n_C) * span * span / tile
    return Kernel(
        layer.run,
        bytes_per_row=values * task.dtype.itemsize,
        step=tile,
        columns=tile_columns * tile + span - tile,
        least_rows=-(-least // tile_columns) * tile,
        by_channels=True,
        spreads=1,
        whole_rows=True,
        filter_bytes=layer.filters.nbytes,
    )


@dataclass(frozen=True)
class _Layer:
    """Transformed filters and the matrices that go with them.

    Parameters
    ----------
    span, tile, tile_columns : int
        Sides of a tile of inputs and of outputs, and how many stand in a row.
    filters : ndarray, shape (span * span, n_C_prev, n_C)
    into, back : ndarray, shapes (span * span, span * span) and (tile * tile, span * span)
        Transforms of input tiles and of products.
    """

    span: int
    tile: int
    tile_columns: int
    filters: FloatArray
    into: FloatArray
    back: FloatArray

    @staticmethod
    def of(W: FloatArray, task: ConvTask) -> _Layer:
        """Return a layer with its filters transformed."""
        span = _span(task)
        tile = span + 1 - W.shape[0]
        tile_columns = -(-task.window.cols.out // tile)
        filters = transform_filters(W, span)
        return _Layer(span, tile, tile_columns, filters, *_tile_transforms(tile, span))

    def run(self, X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        """Write the outputs of some channels for a padded strip."""
        spectrum = self._transform(X_pad, scratch)
        shape = (len(spectrum), spectrum.shape[1], out.shape[3])
        products = scratch.take("products", shape, out.dtype)
        np.matmul(spectrum, self.filters[:, :, channels], out=products)
        self._transform_back(products, out, scratch)

    def _transform(self, X_pad: FloatArray, scratch: Scratch) -> FloatArray:
        """Return the spectrum of a strip's tiles, (span * span, tiles, n_C_prev)."""
        cells = self._tiles_of(X_pad)
        gathered = scratch.take("tiles", cells.shape, X_pad.dtype)
        np.copyto(gathered, cells)
        by_tile = gathered.reshape(-1, self.span**2, X_pad.shape[3])
        shape = (by_tile.shape[1], len(by_tile), by_tile.shape[2])
        spectrum = scratch.take("spectrum", shape, X_pad.dtype)
        np.matmul(self.into, by_tile, out=spectrum.swapaxes(0, 1))
        return spectrum

    def _tiles_of(self, X_pad: FloatArray) -> FloatArray:
        """View a strip's tiles, (m, tile rows, tile columns, span, span * n_C_prev)."""
        m, rows, _, n_C = X_pad.shape
        span, tile_rows = self.span, (rows - self.span) // self.tile + 1
        s_m, s_r, s_c, s_n = X_pad.strides
        return np.lib.stride_tricks.as_strided(
            X_pad,
            (m, tile_rows, self.tile_columns, span, span * n_C),
            (s_m, s_r * self.tile, s_c * self.tile, s_r, s_n),
            writeable=False,
        )

    def _transform_back(self, products: FloatArray, out: FloatArray, scratch: Scratch) -> None:
        """Turn products into tiles of outputs and lay them into `out`."""
        m, n_H, _, n_C = out.shape
        shape = (m, -(-n_H // self.tile), self.tile_columns, self.tile, self.tile, n_C)
        tiles = scratch.take("tiles", shape, out.dtype)
        by_tile = tiles.reshape(-1, self.tile * self.tile, n_C)
        np.matmul(self.back, products.swapaxes(0, 1), out=by_tile)
        for image, one in zip(out, tiles, strict=True):
            _lay(one, image)


@cache
def _tile_transforms(tile: int, span: int) -> tuple[FloatArray, FloatArray]:
    """Return what transforms all cells of a tile at once: into the spectrum and back."""
    matrices = input_transform(span), output_transform(tile, span)
    into, back = (np.kron(matrix, matrix).astype(np.float32) for matrix in matrices)
    return into, back


def transform_filters(W: FloatArray, span: int) -> FloatArray:
    """Return filters (side, side, ...) as (span * span, ...): rows are transformed before columns.

    Examples
    --------
    >>> transform_filters(np.ones((3, 3, 2, 5), np.float32), 4).shape
    (16, 2, 5)
    """
    side = len(W)
    matrix = filter_transform(side, span).astype(W.dtype)
    filters = W.reshape(side, side, -1)
    count = filters.shape[2]
    out = np.empty((span, span, count), W.dtype)

    def transform(points: slice) -> None:
        rows = matrix[points]
        shape = (side, len(rows), min(BLOCK_FILTERS, count))
        by_rows = np.empty(shape, W.dtype)
        for first in range(0, count, BLOCK_FILTERS):
            block = slice(first, min(first + BLOCK_FILTERS, count))
            half = by_rows[:, :, : block.stop - first]
            np.matmul(rows, filters[:, :, block].swapaxes(0, 1), out=half)
            np.matmul(matrix, half.swapaxes(0, 1), out=out[points, :, block])

    # Each thread touches fresh memory of its own.
    threaded = count >= THREADS_FROM_FILTERS
    halves = [slice(0, span // 2), slice(span // 2, span)] if threaded else [slice(0, span)]
    run_all(transform, halves, None if threaded else 1)
    return out.reshape(span * span, *W.shape[2:])


def _lay(tiles: FloatArray, out: FloatArray) -> None:
    """Lay tiles (tile rows, tile columns, tile, tile, n_C) side by side into (n_H, n_W, n_C)."""
    tile = tiles.shape[2]
    for down, inner_rows, rows in _parts(out.shape[0], tile):
        for across, inner_columns, columns in _parts(out.shape[1], tile):
            part = tiles[down, across, inner_rows, inner_columns].swapaxes(1, 2)
            np.copyto(out[rows, columns].reshape(part.shape), part)


def _parts(size: int, tile: int) -> Iterator[tuple[slice, slice, slice]]:
    """Whole tiles, then the one that hangs over: tiles, cells of each, cells of the output."""
    whole = size // tile
    if whole:
        yield slice(0, whole), slice(0, tile), slice(0, whole * tile)
    if size % tile:
        yield slice(whole, whole + 1), slice(0, size % tile), slice(whole * tile, size)
