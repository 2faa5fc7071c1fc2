"""Winograd's F(4x4, 3x3): 36 multiplications for 16 outputs of a 3x3 filter instead of 144.

Input tiles of 6x6 and filters are transformed, multiplied place by place (36 matrix products over
the channels), and transformed back to tiles of 4x4 outputs (Lavin and Gray, "Fast algorithms for
convolutional neural networks", 2016). The transforms hold factors up to 8 and their sums cancel, so
a value may be off by `ERROR_BOUND` times what the same sum over magnitudes would give. That is near
float32's own rounding over hundreds of channels, but not near float64's: those layers take an exact
way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli.core.algorithms.base import (
    FloatArray,
    Kernel,
    Scratch,
    Task,
    Work,
    product_flops,
)

TILE: Final = 4
"""Output rows and columns of a tile."""

SPAN: Final = 6
"""Input rows and columns of a tile."""

LEAST_TILES: Final = 48
"""Tiles in a strip from which matrix products run at full speed."""

ERROR_BOUND: Final = 1e-5
"""Largest error, relative to ``sum |window * W|`` at its largest, in float32."""

FILTER_TRANSFORM: Final = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
"""The filter's values at the points 0, 1, -1, 2, -2 and infinity, scaled."""


def work(W: FloatArray, task: Task) -> Work | None:
    """Count transforms and products; None unless 3x3, stride 1, undilated, float32, one group."""
    if not _accepts(task):
        return None
    n_H, n_W = task.window.out
    tiles = task.images * -(-n_H // TILE) * -(-n_W // TILE)
    filters = task.n_C_prev * task.n_C
    return Work(
        passes=tiles * (4.7 * 36 * task.n_C_prev + 3.7 * 36 * task.n_C),
        # The transformed filters are read from memory at least once.
        copies=36 * filters * 0.5,
        flops=36 * product_flops(tiles, task.n_C_prev, task.n_C),
        # Their memory is fresh, and touching it first takes several times as long as writing it.
        once=Work(flops=product_flops(36, 9, filters), copies=5 * 36 * filters),
    )


def _accepts(task: Task) -> bool:
    rows, cols = task.window.rows, task.window.cols
    return (
        task.dtype == np.float32
        and task.groups == 1
        and (rows.kernel, rows.stride, rows.dilation) == (3, 1, 1)
        and (cols.kernel, cols.stride, cols.dilation) == (3, 1, 1)
    )


def prepare(W: FloatArray, task: Task) -> Kernel:
    """Transform the filters."""
    filters = transform_filters(W)
    tile_columns = -(-task.window.cols.out // TILE)

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        spectrum = _transform_tiles(X_pad, tile_columns, scratch)
        shape = (*spectrum.shape[:-1], out.shape[3])
        products = scratch.take("products", shape, out.dtype)
        np.matmul(
            spectrum.reshape(SPAN * SPAN, -1, X_pad.shape[3]),
            filters[:, :, channels],
            out=products.reshape(SPAN * SPAN, -1, out.shape[3]),
        )
        tiles = _transform_back(products, scratch)
        np.copyto(out, tiles[:, : out.shape[1], : out.shape[2]])

    values = tile_columns * (task.n_C_prev + task.n_C) * SPAN * SPAN / TILE
    return Kernel(
        run,
        bytes_per_row=values * task.dtype.itemsize,
        step=TILE,
        columns=tile_columns * TILE + 2,
        least_rows=-(-LEAST_TILES // tile_columns) * TILE,
        by_channels=True,
        spreads=True,
        whole_rows=True,
    )


def transform_filters(W: FloatArray) -> FloatArray:
    """Return 3x3 filters (3, 3, n_C_prev, n_C) as (36, n_C_prev, n_C).

    Examples
    --------
    >>> transform_filters(np.ones((3, 3, 2, 5), np.float32)).shape
    (36, 2, 5)
    """
    both_axes = np.kron(FILTER_TRANSFORM, FILTER_TRANSFORM).astype(W.dtype)
    return (both_axes @ W.reshape(9, -1)).reshape(SPAN * SPAN, *W.shape[2:])


def _transform_tiles(X_pad: FloatArray, tile_columns: int, scratch: Scratch) -> FloatArray:
    """Transform a strip's 6x6 tiles: (6, 6, m, tile rows, tile columns, n_C_prev)."""
    m, rows, _, n_C = X_pad.shape
    tile_rows = (rows - SPAN) // TILE + 1
    across = scratch.take("across", (SPAN, m, rows, tile_columns, n_C), X_pad.dtype)
    _to_points([X_pad[:, :, _every_tile(i, tile_columns)] for i in range(SPAN)], across)
    shape = (SPAN, SPAN, m, tile_rows, tile_columns, n_C)
    spectrum = scratch.take("spectrum", shape, X_pad.dtype)
    _to_points([across[:, :, _every_tile(i, tile_rows)] for i in range(SPAN)], spectrum)
    return spectrum


def _every_tile(index: int, tiles: int) -> slice:
    """Cell `index` of every tile along an axis."""
    return slice(index, index + (tiles - 1) * TILE + 1, TILE)


def _to_points(d: Sequence[FloatArray], t: FloatArray) -> None:
    """Write the six values of a tile at the points, shared sums first (17 passes for 6 arrays)."""
    np.subtract(d[4], d[2], out=t[4])
    np.subtract(d[3], d[1], out=t[5])
    np.subtract(d[0], d[2], out=t[0])
    np.multiply(t[0], 4, out=t[0])
    np.add(t[0], t[4], out=t[0])  # 4 d0 - 5 d2 + d4
    np.multiply(d[2], 4, out=t[3])
    np.subtract(d[4], t[3], out=t[3])
    np.multiply(d[1], 4, out=t[2])
    np.subtract(d[3], t[2], out=t[2])
    np.add(t[3], t[2], out=t[1])  # (d4 - 4 d2) + (d3 - 4 d1)
    np.subtract(t[3], t[2], out=t[2])  # (d4 - 4 d2) - (d3 - 4 d1)
    np.multiply(t[5], 2, out=t[5])
    np.add(t[4], t[5], out=t[3])  # (d4 - d2) + 2 (d3 - d1)
    np.subtract(t[4], t[5], out=t[4])  # (d4 - d2) - 2 (d3 - d1)
    np.multiply(t[5], -2, out=t[5])
    np.add(t[5], d[5], out=t[5])
    np.subtract(t[5], d[3], out=t[5])  # 4 d1 - 5 d3 + d5


def _transform_back(products: FloatArray, scratch: Scratch) -> FloatArray:
    """Turn products into outputs (m, 4 * tile rows, 4 * tile columns, n_C)."""
    _, _, m, tile_rows, tile_columns, n_C = products.shape
    shape = (TILE, SPAN, m, tile_rows, tile_columns, n_C)
    lines = scratch.take("lines", shape, products.dtype)
    _from_points(products, lines)
    tiles = scratch.take("tiles", (m, tile_rows, TILE, tile_columns, TILE, n_C), products.dtype)
    _from_points(lines.swapaxes(0, 1), tiles.transpose(4, 2, 0, 1, 3, 5))
    return tiles.reshape(m, tile_rows * TILE, tile_columns * TILE, n_C)


def _from_points(v: FloatArray, y: FloatArray) -> None:
    """Write four outputs from the values at six points, which are overwritten (13 passes)."""
    np.add(v[1], v[2], out=y[0])
    np.subtract(v[1], v[2], out=v[2])
    np.add(v[3], v[4], out=v[1])
    np.subtract(v[3], v[4], out=v[4])
    np.multiply(v[1], 4, out=y[2])
    np.add(y[2], y[0], out=y[2])  # (v1 + v2) + 4 (v3 + v4)
    np.add(y[0], v[1], out=y[0])
    np.add(y[0], v[0], out=y[0])  # v0 + (v1 + v2) + (v3 + v4)
    np.multiply(v[4], 2, out=v[4])
    np.add(v[2], v[4], out=y[1])  # (v1 - v2) + 2 (v3 - v4)
    np.multiply(v[4], 4, out=v[4])
    np.add(v[2], v[4], out=y[3])
    np.add(y[3], v[5], out=y[3])  # (v1 - v2) + 8 (v3 - v4) + v5
