"""Shift and add: every tap of a kernel is the whole strip, moved by some cells and weighted.

For filters that see one channel each (a 2-D kernel on every channel, depthwise layers). A row of
pixels with its channels interleaved is one long axis on which a tap is a plain offset, so every
numpy call runs over thousands of neighbouring numbers whatever the number of channels. Where taps
share weights, those of weight 0 are left out, and equal ones are summed before they are multiplied:
Sobel takes 6 passes. Other kernels take a fused pass for each tap, see `multiply_add`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms import multiply_add
from cnncli.core.algorithms.base import ConvTask, Kernel, Work, share_weights
from cnncli.core.algorithms.multiply_add import MultiplyAdd
from cnncli.core.arrays import FloatArray
from cnncli.core.geometry import Window
from cnncli.system.threads import Scratch

Tap = tuple[int, int]
Cells = Callable[[int, int], FloatArray]
"""``cells(i, j)``: what tap (i, j) of each window meets, shape (..., columns * channels)."""


@dataclass(frozen=True)
class Term:
    """Taps of one weight: ``weight * (sum of plus - sum of minus)``.

    Parameters
    ----------
    weight : ndarray, shape () or (n_W * n_C,)
        One number, or one for each cell of a row where channels differ.
    plus, minus : tuple of (row, column)
        The taps.
    """

    weight: FloatArray
    plus: tuple[Tap, ...]
    minus: tuple[Tap, ...]

    @property
    def plain(self) -> bool:
        """Whether the weight is 1."""
        return self.weight.ndim == 0 and self.weight.item() == 1


def work(W: FloatArray, task: ConvTask) -> Work | None:
    """Count the passes over the output, or return None unless filters see one channel each."""
    if not task.depthwise:
        return None
    fused, by_terms = _fused_work(task), _work_of_terms(W, task)
    return min(fused, by_terms, key=_elements)


def prepare(W: FloatArray, task: ConvTask, each: bool = False) -> Kernel:
    """Sort taps by weight where that saves passes; `each`: every one is multiplied alone."""
    if each or _elements(_fused_work(task)) <= _elements(_work_of_terms(W, task)):
        return _prepare_fused(W, task)
    return _prepare_terms(W, task)


def _fused_work(task: ConvTask) -> Work:
    passes = multiply_add.count_passes(task) * task.multiplier
    return Work(
        passes=passes * task.window_count * task.groups,
        copies=(task.multiplier > 1) * task.window_count * task.n_C,
        calls=task.multiplier,
    )


def _work_of_terms(W: FloatArray, task: ConvTask) -> Work:
    calls = sum(count_passes(plane) for plane in _planes(W, task))
    strided = task.window.cols.stride > 1
    input_cells = task.images * task.window.rows.padded * task.window.cols.padded
    return Work(
        passes=calls * task.window_count * task.groups,
        copies=(task.multiplier > 1) * task.window_count * task.n_C
        + strided * input_cells * task.n_C_prev,
        calls=calls,
    )


def _elements(work: Work) -> float:
    return work.passes + work.copies


def _prepare_fused(W: FloatArray, task: ConvTask) -> Kernel:
    filters = [MultiplyAdd.of(plane, task) for plane in _planes(W, task)]

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        if len(filters) == 1:
            filters[0].run(X_pad, out)
            return
        total = scratch.take("total", (*out.shape[:3], task.groups), out.dtype)
        for number, each in enumerate(filters):
            each.run(X_pad, total)
            out[..., number :: len(filters)] = total

    return Kernel(run, _row_values(task) * task.dtype.itemsize)


def _prepare_terms(W: FloatArray, task: ConvTask) -> Kernel:
    banks = [collect_terms(plane, task.window.cols.out) for plane in _planes(W, task)]
    window, groups = task.window, task.groups

    def run(X_pad: FloatArray, out: FloatArray, channels: slice, scratch: Scratch) -> None:
        cells = strip_cells(long_rows(X_pad, window, scratch), window, out.shape[1], groups)
        shape = (*out.shape[:2], out.shape[2] * groups)
        spare = scratch.take("spare", shape, out.dtype)
        if len(banks) == 1:
            weighted_sum(banks[0], cells, out.reshape(shape), spare)
            return
        total = scratch.take("total", shape, out.dtype)
        for number, terms in enumerate(banks):
            weighted_sum(terms, cells, total, spare)
            out[..., number :: len(banks)] = total.reshape(*out.shape[:3], groups)

    values = _row_values(task) + window.cols.out * groups
    needs_finite = any(len(terms) < W[..., 0].size for terms in banks)
    return Kernel(run, values * task.dtype.itemsize, needs_finite=needs_finite)


def _row_values(task: ConvTask) -> int:
    """Values that an output row reads and writes."""
    rows, cols = task.window.rows, task.window.cols
    return cols.padded * task.n_C_prev * rows.stride + cols.out * task.n_C


def _planes(W: FloatArray, task: ConvTask) -> list[FloatArray]:
    """The kernels of each filter of a group, (k_H, k_W, groups)."""
    return [W[:, :, 0, number :: task.multiplier] for number in range(task.multiplier)]


def count_passes(plane: FloatArray) -> int:
    """Return the elementwise calls of all terms of a kernel.

    Where channels differ every tap counts: they hardly ever share all their weights.

    Examples
    --------
    >>> count_passes(np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])[:, :, None])
    6
    """
    # Counted without terms: those of a random 31x31 kernel take as long as the convolution.
    if not share_weights(plane):
        return 2 * plane[:, :, 0].size - 1
    taps = plane[:, :, 0][plane[:, :, 0] != 0]
    # A set, because np.unique loads numpy.ma first, for longer than a small picture takes.
    weights = set(np.abs(taps).tolist())
    return max(1, len(taps) - 1 + len(weights - {1.0}))


def collect_terms(plane: FloatArray, out_columns: int) -> list[Term]:
    """Sort a kernel's taps by weight, so that equal ones (up to the sign) share a product.

    Parameters
    ----------
    plane : ndarray, shape (k_H, k_W, channels)
        One 2-D kernel for each channel.
    out_columns : int
        Output columns, for weights that differ by channel.

    Returns
    -------
    list of Term
        That of weight 1 last: its taps are added to the sum of the others, without a product.

    Examples
    --------
    >>> sobel = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])[:, :, None]
    >>> [(float(term.weight), len(term.plus), len(term.minus)) for term in collect_terms(sobel, 9)]
    [(2.0, 1, 1), (1.0, 2, 2)]
    """
    if share_weights(plane):
        plane = plane[:, :, :1]
    taps: dict[bytes, tuple[FloatArray, list[Tap], list[Tap]]] = {}
    for i, j in np.argwhere(plane.any(axis=2)).tolist():
        weight = plane[i, j]
        sign = 1 if weight[weight != 0][0] > 0 else -1
        signed = sign * weight
        # Adding 0 turns -0 into 0, so that equal weights have equal bytes.
        _, plus, minus = taps.setdefault((signed + 0).tobytes(), (signed, [], []))
        (plus if sign > 0 else minus).append((i, j))
    terms = [_make_term(*weighted, out_columns) for weighted in taps.values()]
    return sorted(terms, key=lambda term: term.plain)


def _make_term(weight: FloatArray, plus: list[Tap], minus: list[Tap], out_columns: int) -> Term:
    if not plus and not (weight == 1).all():
        # A weight that is multiplied anyway may as well carry the sign.
        weight, plus, minus = -weight, minus, plus
    cells = weight[0] if len(weight) == 1 else np.tile(weight, out_columns)
    return Term(cells, tuple(plus), tuple(minus))


def long_rows(X_pad: FloatArray, window: Window, scratch: Scratch) -> list[FloatArray]:
    """View a strip's rows as one long axis each; one array for each phase of the column stride.

    Phase p holds the columns p, p + stride, p + 2 * stride, ...: the cells that one tap meets
    are neighbours in it.
    """
    m, rows, columns, n_C = X_pad.shape
    stride = window.cols.stride
    if stride == 1:
        return [X_pad.reshape(m, rows, -1)]
    length = -(-columns // stride)
    phases = scratch.take("phases", (stride, m, rows, length, n_C), X_pad.dtype)
    for phase in range(min(stride, columns)):
        part = X_pad[:, :, phase::stride]
        phases[phase, :, :, : part.shape[2]] = part
        phases[phase, :, :, part.shape[2] :] = 0
    return list(phases.reshape(stride, m, rows, -1))


def strip_cells(
    phases: Sequence[FloatArray], window: Window, out_rows: int, channels: int
) -> Cells:
    """Return the function that tells which cells of a strip a tap meets."""
    columns = window.cols.out * channels

    def cells(i: int, j: int) -> FloatArray:
        phase, shift = column_phase(window, j)
        first = shift * channels
        return phases[phase][:, window.rows.tap(i, out_rows), first : first + columns]

    return cells


def column_phase(window: Window, tap: int) -> tuple[int, int]:
    """Return the phase of the column stride that holds a tap's cells, and where they begin there.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> column_phase(place_window((9, 9), 5, 2), 3)
    (1, 1)
    """
    shift, phase = divmod(tap * window.cols.dilation, window.cols.stride)
    return phase, shift


def weighted_sum(terms: Sequence[Term], cells: Cells, out: FloatArray, spare: FloatArray) -> None:
    """Write the weighted sum of all taps into `out`; `spare` is overwritten."""
    if not terms:
        out.fill(0)
    add = False
    for term in terms:
        if term.plain:
            _sum_taps(term, cells, out, add)
        else:
            value = _sum_taps(term, cells, spare, add=False)
            product = np.multiply(value, term.weight, out=spare if add else out)
            if add:
                np.add(out, product, out=out)
        add = True


def _sum_taps(term: Term, cells: Cells, out: FloatArray, add: bool) -> FloatArray:
    """Sum a term's taps into `out`, or onto what it holds.

    A lone tap of a weighted term is returned as it lies in the image instead.
    """
    plus, minus = list(term.plus), list(term.minus)
    total = out
    if not add:
        if len(plus) + len(minus) == 1 and plus and not term.plain:
            return cells(*plus[0])
        total = cells(*plus.pop(0)) if plus else np.negative(cells(*minus.pop(0)), out=out)
    for tap in plus:
        total = np.add(total, cells(*tap), out=out)
    for tap in minus:
        total = np.subtract(total, cells(*tap), out=out)
    if total is not out:
        np.copyto(out, total)
    return out
