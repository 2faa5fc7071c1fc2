"""Fourier transforms: tiles of the image and the kernels, multiplied frequency by frequency.

For large kernels of full rank. Tiles overlap by the kernel's extent and only what no wrap-around
reached is kept (overlap-save). The cost hardly depends on the kernel's size. numpy transforms
float32 in float32; the error is relative to the largest value of a tile, not to each output. Tiles
with a value that is far larger than the others are transformed in float64, or left to an exact way.
"""

from __future__ import annotations

from functools import cache
from math import log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import ConvTask, Kernel, Work
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Axis, Window
from cnncli.system.threads import Scratch

MOST_RATIO: Final = {"f": 1e3, "d": 1e6}
"""How many times the usual value of a tile its largest may be, by the type of the computation."""

MOST_RATIO_BY_DOUBLES: Final = 1e10
"""As `MOST_RATIO`, for what is transformed in float64 to become float32."""

_ROOTS: Final = 3
"""How often the square root is taken of the magnitudes of a tile before their mean."""

SIDES: Final = (32, 64, 128, 256, 512, 1024)
"""Tile sides: powers of 2, for which numpy's transform is quickest."""


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count transforms and products of spectra; None for strides, where most would be thrown away.

    Layers that sum over many channels are left to matrix products as well.
    """
    rows, cols = task.window.rows, task.window.cols
    if (rows.stride, cols.stride) != (1, 1) or not task.depthwise:
        return None
    if not np.isfinite(W).all():
        return None
    sides = tile_side(rows), tile_side(cols)
    kept = (sides[0] - rows.extent + 1) * (sides[1] - cols.extent + 1)
    tiles = task.images * max(1.0, rows.out * cols.out / kept)
    size = sides[0] * sides[1]
    levels = size * log2(size)
    return Work(
        butterflies=tiles * levels * (task.n_C_prev + task.n_C),
        passes=tiles * size * task.n_C * 2,
        copies=tiles * size * (task.n_C_prev + task.n_C),
        once=Work(butterflies=levels * task.n_C),
    )


def tile_side(axis: Axis) -> int:
    """Return the side for which the transforms of a whole axis are cheapest.

    Examples
    --------
    >>> tile_side(Axis(size=2000, kernel=31))
    256
    """
    least = 2 * axis.extent
    fitting = [side for side in SIDES if side >= least] or [1 << least.bit_length()]

    def cost(side: int) -> float:
        kept = side - axis.extent + 1
        return -(-axis.out // kept) * side * log2(side)

    return min(fitting, key=cost)


def prepare(W: FloatArray, task: ConvTask) -> Kernel:
    """Transform the kernels, flipped as correlation wants them."""
    window = task.window
    sides = tile_side(window.rows), tile_side(window.cols)
    step = sides[0] - window.rows.extent + 1
    spectra = _kernel_spectra(W, window, sides, task.groups)

    @cache
    def precise() -> NDArray[np.complexfloating]:
        return _kernel_spectra(W.astype(np.float64), window, sides, task.groups)

    def filter_tile(tile: FloatArray, target: FloatArray) -> None:
        planes = np.ascontiguousarray(tile.transpose(0, 3, 1, 2))
        ratio = _peak_ratio(planes)
        if not ratio > MOST_RATIO[planes.dtype.char]:
            _filter_planes(planes, spectra, sides, target)
        elif planes.dtype == np.float32 and ratio <= MOST_RATIO_BY_DOUBLES:
            _filter_planes(planes.astype(np.float64), precise(), sides, target)
        else:
            # What is not finite is computed again in an exact way.
            target.fill(np.nan)

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        width = sides[1] - window.cols.extent + 1
        for top in range(0, out.shape[1], step):
            for left in range(0, out.shape[2], width):
                tile = X_pad[:, top : top + sides[0], left : left + sides[1]]
                target = out[:, top : top + step, left : left + width]
                filter_tile(tile, target)

    row = 4 * window.cols.padded * (task.n_C_prev + 2 * task.n_C)
    # The precise ones are twice as large, and may be needed too.
    held = spectra.nbytes * (3 if W.dtype == np.float32 else 1)
    return Kernel(run, row * task.dtype.itemsize, step=step, spreads=1, filter_bytes=held)


def _kernel_spectra(
    W: FloatArray, window: Window, sides: tuple[int, int], groups: int
) -> NDArray[np.complexfloating]:
    """Conjugate spectra, (groups, multiplier, side, side / 2 + 1): the conjugate correlates."""
    k_H, k_W, _, n_C = W.shape
    spread = np.zeros((groups, n_C // groups, *sides), W.dtype)
    rows = slice(0, window.rows.extent, window.rows.dilation)
    cols = slice(0, window.cols.extent, window.cols.dilation)
    spread[:, :, rows, cols] = W.reshape(k_H, k_W, groups, -1).transpose(2, 3, 0, 1)
    return np.conj(np.fft.rfft2(spread))


def _peak_ratio(planes: FloatArray) -> float:
    """Return how many times its usual value the largest of a plane is; of planes, the most."""
    peaks = np.maximum(planes.max(axis=(2, 3)), -planes.min(axis=(2, 3)))
    roots = np.abs(planes)
    for _ in range(_ROOTS):
        np.sqrt(roots, out=roots)
    # The mean of such roots hardly sees a few values. Zeros are no part of it: all black but for
    # some lines is usual.
    counts = np.maximum(np.count_nonzero(roots, axis=(2, 3)), 1)
    usual = (roots.sum(axis=(2, 3), dtype=np.float64) / counts) ** 2**_ROOTS
    return float((peaks / np.where(usual, usual, 1)).max())


def _filter_planes(
    planes: FloatArray,
    spectra: NDArray[np.complexfloating],
    sides: tuple[int, int],
    target: FloatArray,
) -> None:
    """Filter one tile of every image and channel and keep what did not wrap around."""
    spectrum = np.fft.rfft2(planes, s=sides, axes=(2, 3))
    filtered = np.fft.irfft2(spectrum[:, :, None] * spectra, s=sides, axes=(3, 4))
    m, rows, cols, n_C = target.shape
    kept = filtered[:, :, :, :rows, :cols].reshape(m, n_C, rows, cols)
    np.copyto(target, kept.transpose(0, 2, 3, 1))
