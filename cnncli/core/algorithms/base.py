"""The types that all algorithms share: the task of a convolution, and filters made ready for it.

An algorithm is a module with two functions:

``work(W, task)``
    Counts what the whole layer would take, in the units of `Work`, or says None when the
    algorithm cannot do this layer.
``prepare(W, task)``
    Does once what depends on the filters alone and returns a `Kernel`, which turns one padded
    strip of rows into output rows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import Border
from cnncli.core.geometry import Window
from cnncli.system.threads import Scratch


@dataclass(frozen=True)
class ConvTask:
    """One convolution layer: everything but the numbers in its arrays.

    Parameters
    ----------
    window : Window
        Where the filters stand.
    groups : int
        Channel groups that do not see each other.
    images, n_C_prev, n_C : int
        Batch size, input channels, filters.
    dtype : dtype
        float32 or float64.
    border : (mode, value)
        Pad mode and the constant of "zeros".
    """

    window: Window
    groups: int
    images: int
    n_C_prev: int
    n_C: int
    dtype: np.dtype[Any]
    border: Border = ("zeros", 0.0)

    @property
    def depthwise(self) -> bool:
        """Whether every filter sees one channel only."""
        return self.groups == self.n_C_prev

    @property
    def multiplier(self) -> int:
        """Filters for each group."""
        return self.n_C // self.groups

    @property
    def window_count(self) -> int:
        """Windows in the whole batch."""
        return self.images * prod(self.window.out)


@dataclass(frozen=True)
class Work:
    """What a computation takes, in units whose prices stand in `cnncli.core.prices`.

    Parameters
    ----------
    passes : float
        Array elements written by elementwise numpy calls.
    copies : float
        Elements gathered from one layout into another.
    flops : float
        Floating point operations of matrix products, as `product_flops` counts them.
    butterflies : float
        ``n log2(n)`` summed over Fourier transforms of n elements.
    calls : float
        numpy calls, each with its fixed price.
    once : Work, optional
        What the filters take before the first strip.
    """

    passes: float = 0.0
    copies: float = 0.0
    flops: float = 0.0
    butterflies: float = 0.0
    calls: float = 0.0
    once: Work | None = None


FILTER_COPIES: Final = 2.0
"""What reading a number of the filters from memory takes, in copies."""


def product_flops(rows: float, inner: float, columns: float) -> float:
    """Return what a product (rows, inner) @ (inner, columns) costs in useful flops.

    Thin operands keep no multiplier busy: the price is that of operands some cells wider. The 8
    fits OpenBLAS's AVX2 kernels within 30 % from (8192, 3, 64) to (3136, 256, 256).

    Examples
    --------
    >>> product_flops(100, 8, 8) / (2 * 100 * 8 * 8)
    4.0
    """
    return 2.0 * rows * (inner + 8) * (columns + 8)


StripFunction = Callable[[FloatArray, FloatArray, slice, Scratch], None]
"""``run(X_pad, out, channels, scratch)``: from padded rows (m, rows, columns, n_C_prev) to output
rows (m, rows, n_W, channels); all channels unless the kernel runs by channels."""


@dataclass(frozen=True)
class Kernel:
    """Filters made ready by an algorithm.

    Parameters
    ----------
    run : callable
        Computes one strip.
    bytes_per_row : float
        Memory that one output row of one image keeps busy, for the size of the strips.
    step : int
        Strips are cut at multiples of this many output rows.
    columns : int
        Padded columns it reads; what lies past the padding is constant. Default: all there are.
    least_rows : int
        Strips are not cut thinner than this many output rows.
    by_channels : bool
        Whether `run` may be asked for some of the filters.
    spreads : int
        0 unless an infinity or NaN may reach outputs whose windows do not hold it. Then every so
        many rows of a strip show whether it did.
    needs_finite : bool
        Whether an infinity or NaN could get lost under a tap of weight 0 that is left out, or large
        values overflow before they are weighted. Then the input is looked at first.
    whole_rows : bool
        Whether padded rows must cover whole steps, as if the output had a multiple of `step` rows.
    pads_columns : bool
        Whether it is given rows without pads at their left and right, and sees to those itself.
    filter_bytes : int
        Memory of what was made of the filters, where it is more than they take.
    with_bias : callable, optional
        ``with_bias(bias)`` returns the kernel that also adds a bias (n_C,), after the sum, in less
        time than a pass over the output takes.
    """

    run: StripFunction
    bytes_per_row: float
    step: int = 1
    columns: int = 0
    least_rows: int = 1
    by_channels: bool = False
    spreads: int = 0
    needs_finite: bool = False
    whole_rows: bool = False
    pads_columns: bool = False
    filter_bytes: int = 0
    with_bias: Callable[[FloatArray], Kernel] | None = None


def share_weights(planes: FloatArray) -> bool:
    """Return whether channels have one kernel, or one bank: (k_H, k_W, channels, ...).

    Examples
    --------
    >>> share_weights(np.ones((3, 3, 5))), share_weights(np.arange(4.0).reshape(1, 2, 2))
    (True, False)
    """
    first = planes[:, :, :1]
    # The first two tell channels of a network apart without a look at all of them.
    return bool((planes[:, :, :2] == first).all() and (planes == first).all())


def shared_planes(W: FloatArray, groups: int) -> FloatArray | None:
    """Return the 2-D kernels that every channel meets alike, or None if channels differ.

    Parameters
    ----------
    W : ndarray, shape (k_H, k_W, 1, groups * multiplier)
        Depthwise filters.

    Returns
    -------
    ndarray, shape (multiplier, k_H, k_W), or None

    Examples
    --------
    >>> shared_planes(np.ones((3, 3, 1, 6)), groups=3).shape
    (2, 3, 3)
    """
    planes = W.reshape(*W.shape[:2], groups, -1)
    if not share_weights(planes):
        return None
    return np.ascontiguousarray(planes[:, :, 0].transpose(2, 0, 1))
