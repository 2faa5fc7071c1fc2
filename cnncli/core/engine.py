"""Chooses how to convolve, cuts the output into strips of rows and runs them on threads.

The only place that chooses. Every algorithm counts its work (`Work`); `prices` turns counts into
time, and the cheapest wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import pairwise
from types import ModuleType
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms import banded, fourier, low_rank, matmul, shift_add, winograd
from cnncli.core.algorithms.base import ConvTask, Kernel, share_weights
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import Border
from cnncli.core.geometry import Window
from cnncli.core.prices import price
from cnncli.core.strips import LEAST_STRIPS, BatchRows, Padder, Strip, StripGrid, cut, run_strips
from cnncli.errors import OptionError
from cnncli.system import blas
from cnncli.system.threads import Scratch

ALGORITHMS: Final[dict[str, ModuleType]] = {
    "shift-add": shift_add,
    "low-rank": low_rank,
    "banded": banded,
    "matmul": matmul,
    "winograd": winograd,
    "fourier": fourier,
}

NEEDS: Final = {
    "shift-add": "2-D filters, or one channel in each group",
    "low-rank": "2-D filters, or one channel in each group, of low rank",
    "banded": "the same 2-D filters on every channel",
    "matmul": "nothing",
    "winograd": "a window of 3x3 or 5x5, stride 1, dilation 1, one group and float32",
    "fourier": "2-D filters, or one channel in each group, stride 1 and finite weights",
}
"""What a layer must be, for each algorithm to do it."""

THREADS_FROM_NANOSECONDS: Final = 500_000.0
"""Nanoseconds of work below which starting threads costs more than it saves.

With 200,000 a depthwise 5x5 layer of 240 channels on 14x14 takes 0.43 ms and not 0.28, and
MobileNet V2 39 ms of processor time and not 29."""


@dataclass(frozen=True)
class Finish:
    """What is done to the outputs of a strip, in place, after the bias.

    Parameters
    ----------
    overwrite : callable
        ``overwrite(out)`` changes (m, rows, n_W, n_C).
    each_alone : bool
        Whether it may be given some of the channels: a value depends on itself alone.
    """

    overwrite: Callable[[FloatArray], object]
    each_alone: bool


BLOCK_FILTERS: Final = 256
"""Filters in a block where a layer has too few rows for enough strips.

Of a single strip so many are cut in two: 256->256 3x3 on 28x28 takes 2.7 ms so, and 4.5 in one."""


@dataclass(frozen=True)
class Choice:
    """An algorithm and why it was taken.

    Parameters
    ----------
    algorithm, reason : str
    nanoseconds : float
        That the strips are expected to take one thread once the filters are ready; NaN where that
        depends on weights that are not read.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> window = place_window((99, 99), 9)
    >>> task = ConvTask(window, groups=1, images=1, n_C_prev=1, n_C=1, dtype=np.dtype("float32"))
    >>> choose(np.ones((9, 9, 1, 1), np.float32), task).algorithm
    'low-rank'
    """

    algorithm: str
    reason: str
    nanoseconds: float = math.nan


def choose(W: FloatArray, task: ConvTask, algorithm: str = "auto", runs: float = 1) -> Choice:
    """Return the algorithm for a layer.

    Parameters
    ----------
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters of the task's dtype.
    task : ConvTask
        The layer.
    algorithm : str
        "auto" for the cheapest, or a name from `ALGORITHMS`.
    runs : float
        As in `prepare_convolution`.

    Raises
    ------
    OptionError
        If there is no such algorithm, or it cannot do this layer.
    """
    if algorithm != "auto" and algorithm not in ALGORITHMS:
        raise OptionError(f"algorithm must be auto or {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if task.depthwise and not (_channels_differ(W, task) and np.isfinite(W).all()):
        return _choose(W, task, algorithm, runs)
    return _choose_by_shape(task, algorithm, runs)


@lru_cache(maxsize=1024)
def _choose_by_shape(task: ConvTask, algorithm: str, runs: float) -> Choice:
    """Choose for filters whose values play no part: over several channels, or of each channel."""
    shape = (*task.window.kernel, task.n_C_prev // task.groups, task.n_C)
    filters = np.arange(task.n_C, dtype=task.dtype) if task.depthwise else np.zeros((), task.dtype)
    return _choose(np.broadcast_to(filters, shape), task, algorithm, runs)


def _channels_differ(W: FloatArray, task: ConvTask) -> bool:
    return not share_weights(W.reshape(*W.shape[:2], task.groups, -1))


def _choose(W: FloatArray, task: ConvTask, algorithm: str, runs: float) -> Choice:
    asked = ALGORITHMS if algorithm == "auto" else {algorithm: ALGORITHMS[algorithm]}
    counted = {name: module.work(W, task) for name, module in asked.items()}
    works = {name: work for name, work in counted.items() if work is not None}
    prices = {name: price(work, task.dtype, runs) for name, work in works.items()}
    if not prices:
        raise OptionError(
            f"{algorithm} needs {NEEDS[algorithm]}: it cannot do this layer",
            hint="--algorithm auto takes the quickest that can; matmul does every layer",
        )
    best, *others = sorted(prices, key=prices.__getitem__)
    reason = f"estimated {prices[best] / 1e6:.3g} ms on one thread{_for_images(runs)}"
    if others:
        reason += f", next {others[0]} {prices[others[0]] / 1e6:.3g} ms"
    else:
        reason += "; no other algorithm does this layer"
    nanoseconds = price(works[best], task.dtype, runs=math.inf)
    return Choice(best, reason if algorithm == "auto" else "asked for", nanoseconds)


def _for_images(runs: float) -> str:
    """Say of how many images a price is that of one, where they share what the filters take."""
    if runs == 1:
        return ""
    return " once filters are ready" if math.isinf(runs) else f" for each of {runs:.0f} images"


@dataclass(frozen=True)
class Convolution:
    """A layer that is ready to run: filters prepared, strips cut.

    Strips depend on the layer's shapes and filters alone, and every output row is computed with
    the strip it belongs to. So the bytes are the same for any number of threads and however a
    caller divides the rows; a caller who asks for whole strips computes nothing twice.

    Parameters
    ----------
    task : ConvTask
    choice : Choice
    W : ndarray
        The filters as given.
    kernel : Kernel
        The filters made ready.
    blocks : tuple of slice
        Blocks of output channels that run apart.
    grid : StripGrid
        The strips; ``grid.rows`` is what a streaming caller should ask for at a time.
    padder : Padder
    bias : ndarray, shape (n_C,), or None
    finish : Finish or None
    """

    task: ConvTask
    choice: Choice
    W: FloatArray
    kernel: Kernel
    blocks: tuple[slice, ...]
    grid: StripGrid
    padder: Padder
    bias: FloatArray | None
    finish: Finish | None = None

    def __call__(self, X: FloatArray, jobs: int | None = None) -> FloatArray:
        """Return the whole output of a batch (m, n_H_prev, n_W_prev, n_C_prev)."""
        return self.rows(lambda images, rows: X[images, rows], 0, self.task.window.rows.out, jobs)

    def read(self, source: Callable[[int, int], FloatArray], first: int, last: int) -> FloatArray:
        """Return output rows ``[first, last)`` of one image, on this thread.

        ``source(begin, end)`` gives those rows of the image, (1, rows, n_W_prev, n_C_prev).
        """
        return self.rows(lambda _, rows: source(rows.start, rows.stop), first, last, jobs=1)

    def rows(self, source: BatchRows, first: int, last: int, jobs: int | None = None) -> FloatArray:
        """Return output rows ``[first, last)``, asking `source` only for the rows they need."""
        task = self.task
        whole = (first, last) == (0, task.window.rows.out)
        items = self._whole if whole else self._items(first, last)
        Z = np.empty((task.images, last - first, task.window.cols.out, task.n_C), task.dtype)

        def compute(item: tuple[Strip, slice], scratch: Scratch) -> None:
            strip, channels = item
            begin, end = max(strip.first, first), min(strip.last, last)
            target = Z[strip.images, begin - first : end - first, :, channels]
            if (begin, end) == (strip.first, strip.last) and len(self.blocks) == 1:
                self._strip(source, strip, channels, target, scratch)
                self._finish_strip(target, channels)
                return
            # A strip that is cut is computed whole. Some of the channels lie apart in the output,
            # where adding a bias takes four times as long.
            shape = (len(target), strip.last - strip.first, *target.shape[2:])
            made = scratch.take("whole", shape, task.dtype)
            self._strip(source, strip, channels, made, scratch)
            part = made[:, begin - strip.first : end - strip.first]
            self._finish_strip(part, channels)
            np.copyto(target, part)

        run_strips(compute, items, jobs if len(items) > 1 else 1)
        return Z

    @cached_property
    def _whole(self) -> list[tuple[Strip, slice]]:
        return self._items(0, self.task.window.rows.out)

    def _items(self, first: int, last: int) -> list[tuple[Strip, slice]]:
        strips = self.grid.strips(self.task.images, self.task.window.rows.out, first, last)
        return [(strip, channels) for strip in strips for channels in self.blocks]

    def _strip(
        self,
        source: BatchRows,
        strip: Strip,
        channels: slice,
        out: FloatArray,
        scratch: Scratch,
    ) -> None:
        kernel, rows = self.kernel, strip.last - strip.first
        outputs = -(-rows // kernel.step) * kernel.step if kernel.whole_rows else rows
        cells = self.task.window.rows.cells(strip.first, strip.first + outputs)
        X_pad = self.padder.strip(source, strip.images, cells, scratch)
        if not kernel.needs_finite or (np.isfinite(self.task.border[1]) and _finite(X_pad)):
            kernel.run(X_pad, out, channels, scratch)
            if not kernel.spreads or _finite(out[:, :: kernel.spreads]):
                return
        kernel, padder = self._contained
        cells = self.task.window.rows.cells(strip.first, strip.last)
        kernel.run(padder.strip(source, strip.images, cells, scratch), out, channels, scratch)

    def _finish_strip(self, out: FloatArray, channels: slice) -> None:
        """Add the bias and do the rest, while a strip is in cache."""
        if self.bias is not None:
            # As one long row, which numpy adds several times faster than a few channels a time.
            rows = out.reshape(*out.shape[:2], -1)
            np.add(rows, self._bias_rows[channels.start], out=rows)
        if self.finish is not None:
            self.finish.overwrite(out)

    @cached_property
    def _bias_rows(self) -> dict[int, FloatArray]:
        """The bias of each cell of a row, (n_W * channels,), by the first channel of a block."""
        assert self.bias is not None
        columns = self.task.window.cols.out
        return {b.start: np.concatenate([self.bias[b]] * columns) for b in self.blocks}

    @cached_property
    def _contained(self) -> tuple[Kernel, Padder]:
        """Brings an infinity or NaN into all windows that hold it, and no others."""
        if self.task.depthwise:
            # Windows side by side would not fit where such filters are large.
            kernel = shift_add.prepare(self.W, self.task, each=True)
        else:
            kernel = matmul.prepare(self.W, self.task)
        return kernel, Padder.of(self.task, kernel.columns, kernel.pads_columns)


def _finite(values: FloatArray) -> bool:
    """Whether no value is infinite or NaN; large floats may be taken for infinite.

    A product with itself reads the values once and is several times faster than looking at each.
    """
    if values.dtype.kind != "f":
        return True
    if values[:1, :1].flags.c_contiguous:
        rows = values.reshape(*values.shape[:2], 1, -1)
        return bool(np.isfinite(np.matmul(rows, rows.swapaxes(2, 3))).all())
    return bool(np.isfinite(np.einsum("mhwc,mhwc->", values, values)))


def _blocks(task: ConvTask, grid: StripGrid, fewest: int) -> tuple[slice, ...]:
    """Blocks of output channels that run apart, for layers too small to make enough strips."""
    strips = -(-task.images // grid.images) * -(-task.window.rows.out // grid.rows)
    count = 1 if strips >= fewest else max(1, task.n_C // BLOCK_FILTERS)
    if strips == 1 < fewest and task.n_C >= BLOCK_FILTERS:
        count = max(count, 2)
    edges = [task.n_C * number // count for number in range(count + 1)]
    return tuple(slice(begin, end) for begin, end in pairwise(edges))


def prepare_convolution(
    W: FloatArray,
    window: Window,
    groups: int = 1,
    border: Border = ("zeros", 0.0),
    *,
    images: int = 1,
    bias: FloatArray | None = None,
    finish: Finish | None = None,
    algorithm: str = "auto",
    runs: float = 1,
) -> Convolution:
    """Choose an algorithm, prepare the filters and cut the strips.

    Parameters
    ----------
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters; their dtype is that of the computation.
    window : Window
        Where the filters stand, pads included.
    groups : int
        Channel groups that do not see each other.
    border : (mode, value)
        What the pads hold, as in `pad_borders`.
    images : int
        Batch size.
    bias : ndarray of n_C numbers or 1, optional
        Added once after the sum.
    finish : Finish, optional
        What else is done to the outputs of a strip while they are in cache.
    algorithm : str
        "auto" or a name from `ALGORITHMS`.
    runs : float
        How often the layer shall run, for the choice: what its filters take is shared by that many.

    Returns
    -------
    Convolution

    Raises
    ------
    OptionError
        As `choose` says.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> layer = prepare_convolution(np.ones((2, 2, 1, 1)), place_window((3, 3), 2))
    >>> layer(np.ones((1, 3, 3, 1))).ravel()
    array([4., 4., 4., 4.])
    >>> X = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> layer.rows(lambda images, rows: X[images, rows], 1, 2).ravel()
    array([20., 24.])
    """
    W = np.ascontiguousarray(W)
    task = ConvTask(window, groups, images, W.shape[2] * groups, W.shape[3], W.dtype, border)
    choice = choose(W, task, algorithm, runs)
    prepare: Callable[[FloatArray, ConvTask], Kernel] = ALGORITHMS[choice.algorithm].prepare
    # A BLAS thread goes on spinning after its last product and would slow the strips down.
    with blas.one_thread():
        flat = None
        if bias is not None and bias.any():
            given = bias.astype(W.dtype, copy=False).reshape(-1)
            flat = given if given.size > 1 else np.full(W.shape[3], given[0])
        kernel = prepare(W, task)
        if flat is not None and kernel.with_bias is not None:
            kernel, flat = kernel.with_bias(flat), None
    fewest = LEAST_STRIPS if choice.nanoseconds >= THREADS_FROM_NANOSECONDS else 1
    grid = cut(task, kernel.bytes_per_row, kernel.step, kernel.least_rows, fewest)
    by_channels = kernel.by_channels and (finish is None or finish.each_alone)
    blocks = _blocks(task, grid, fewest) if by_channels else (slice(0, task.n_C),)
    padder = Padder.of(task, kernel.columns, kernel.pads_columns)
    return Convolution(task, choice, W, kernel, blocks, grid, padder, flat, finish)
