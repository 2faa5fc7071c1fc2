"""Obvious and slow versions of the core, by which the fast ones are judged.

Nothing here uses cnncli's own geometry: sizes are found by counting windows, pads by `numpy.pad`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnncli import conv_single_step

FloatArray = NDArray[np.floating]

NUMPY_MODES = {"zeros": "constant", "edge": "edge", "reflect": "reflect"}
NUMPY_MODES |= {"symmetric": "symmetric", "wrap": "wrap"}


def both(value: Any) -> tuple[int, int]:
    """Return one number or a pair as (rows, columns)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def window_starts(n: int, span: int, stride: int, pads: tuple[int, int], ceil: bool) -> list[int]:
    """Return where windows of `span` cells start on an axis of n cells and its pads, by counting.

    With `ceil` one more window may hang over the end, and the last one may not start in the
    end pad.
    """
    padded = pads[0] + n + pads[1]
    starts = [start for start in range(0, padded, stride) if start + span <= padded]
    if ceil and starts:
        following = starts[-1] + stride
        if starts[-1] + span < padded:
            starts.append(following)
        if starts[-1] >= pads[0] + n:
            starts.pop()
    return starts


def same_pads(n: int, span: int, stride: int, lower: bool) -> tuple[int, int]:
    """Return the fewest pads that let a window stand at every stride-th of n cells."""
    wanted = len(range(0, n, stride))
    total = 0
    while len(window_starts(n, span, stride, (0, total), False)) < wanted:
        total += 1
    few, many = total // 2, total - total // 2
    return (many, few) if lower else (few, many)


def axis_pads(pad: Any, index: int, n: int, span: int, stride: int) -> tuple[int, int]:
    """Return (begin, end) of one axis for every way to write `pad`."""
    if pad == "valid":
        return 0, 0
    if isinstance(pad, str):
        return same_pads(n, span, stride, lower=pad == "same-lower")
    if isinstance(pad, int):
        return pad, pad
    return both(pad[index])


def axis_windows(
    n: int, kernel: int, index: int, hparameters: Mapping[str, Any], ceil: bool = False
) -> tuple[list[NDArray[np.intp]], tuple[int, int]]:
    """Return for each output the padded cells its taps meet, and the pads."""
    dilation = both(hparameters.get("dilation", 1))[index]
    stride = both(hparameters["stride"])[index]
    offsets = np.arange(kernel) * dilation
    span = int(offsets[-1]) + 1
    pads = axis_pads(hparameters.get("pad", 0), index, n, span, stride)
    starts = window_starts(n, span, stride, pads, ceil)
    return [start + offsets for start in starts], pads


def loop_conv_forward(
    A_prev: FloatArray, W: FloatArray, b: FloatArray, hparameters: Mapping[str, Any]
) -> FloatArray:
    """Convolve by a loop over `conv_single_step`, one output value at a time."""
    hparameters = {"stride": 1, **hparameters}
    groups = hparameters.get("groups", 1)
    rows, row_pads = axis_windows(A_prev.shape[1], W.shape[0], 0, hparameters)
    cols, col_pads = axis_windows(A_prev.shape[2], W.shape[1], 1, hparameters)
    A_pad = pad_with_numpy(A_prev, (row_pads, col_pads), hparameters)
    n_in, n_out = W.shape[2], W.shape[3] // groups
    Z = np.empty((A_prev.shape[0], len(rows), len(cols), W.shape[3]))
    for m, i, j, c in np.ndindex(*Z.shape):
        first = c // n_out * n_in
        a_slice_prev = A_pad[m][np.ix_(rows[i], cols[j], range(first, first + n_in))]
        Z[m, i, j, c] = conv_single_step(a_slice_prev, W[:, :, :, c], b[:, :, :, c])
    return Z


def pad_with_numpy(
    A_prev: FloatArray, pads: tuple[tuple[int, int], ...], hparameters: Mapping[str, Any]
) -> FloatArray:
    """Pad rows and columns of a batch with `numpy.pad`."""
    mode = hparameters.get("pad_mode", "zeros")
    extra = {"constant_values": hparameters.get("pad_value", 0.0)} if mode == "zeros" else {}
    return np.pad(A_prev, ((0, 0), *pads, (0, 0)), mode=NUMPY_MODES[mode], **extra)


def loop_pool_forward(
    A_prev: FloatArray, hparameters: Mapping[str, Any], mode: str = "max"
) -> FloatArray:
    """Pool by a loop over every window's cells."""
    m, n_H, n_W, n_C = A_prev.shape
    f = (n_H, n_W) if hparameters["f"] == "global" else both(hparameters["f"])
    hparameters = {"stride": f, **hparameters}
    ceil = hparameters.get("ceil", False)
    rows, row_pads = axis_windows(n_H, f[0], 0, hparameters, ceil)
    cols, col_pads = axis_windows(n_W, f[1], 1, hparameters, ceil)
    A = np.empty((m, len(rows), len(cols), n_C))
    for i, j in np.ndindex(len(rows), len(cols)):
        in_rows, padded_rows = _cells(rows[i], row_pads, n_H)
        in_cols, padded_cols = _cells(cols[j], col_pads, n_W)
        divisor = len(in_rows) * len(in_cols)
        if hparameters.get("count_include_pad"):
            divisor = padded_rows * padded_cols
        values = A_prev[:, in_rows][:, :, in_cols].reshape(m, -1, n_C)
        A[:, i, j] = _pooled(values, mode, divisor, hparameters.get("p", 2))
    return A


def _cells(taps: NDArray[np.intp], pads: tuple[int, int], n: int) -> tuple[list[int], int]:
    """Return the input cells that the taps meet, and how many taps meet no overhang."""
    real = [int(tap) - pads[0] for tap in taps if pads[0] <= tap < pads[0] + n]
    return real, sum(tap < pads[0] + n + pads[1] for tap in taps)


def _pooled(values: FloatArray, mode: str, divisor: int, p: float) -> FloatArray:
    """Pool (m, cells, n_C) over its cells."""
    if mode == "max":
        return values.max(axis=1, initial=-np.inf)
    if mode == "min":
        return values.min(axis=1, initial=np.inf)
    if mode == "average":
        return values.sum(axis=1) / max(divisor, 1)
    return (np.abs(values) ** p).sum(axis=1) ** (1 / p)


STEP = 1e-5
"""Of numeric gradients."""


def numeric_gradient(
    f: Callable[[FloatArray], FloatArray],
    x: FloatArray,
    dY: FloatArray,
    every: int = 1,
) -> FloatArray:
    """Return the gradient of ``sum(f(x) * dY)`` by central differences in float64.

    With `every` above 1 only that share of the places is looked at; the others hold NaN.
    """
    x = np.array(x, np.float64)
    gradient = np.full_like(x, np.nan)
    for place in list(np.ndindex(*x.shape))[::every]:
        value = x[place]
        x[place] = value + STEP
        above = f(x).copy()
        x[place] = value - STEP
        gradient[place] = np.sum((above - f(x)) * dY) / (2 * STEP)
        x[place] = value
    return gradient


def check_gradients(layer: Any, X: FloatArray, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Check the gradients of a layer by its input and by each of its parameters."""
    Y, cache = layer.forward(X)
    dY = np.random.default_rng(1).standard_normal(Y.shape)
    dX, gradients = layer.backward(dY, cache)
    numeric = numeric_gradient(lambda x: layer.forward(x)[0], X, dY)
    np.testing.assert_allclose(dX, numeric, rtol=rtol, atol=atol)
    assert set(gradients) == set(layer.parameters)
    for key, value in layer.parameters.items():

        def changed(v: FloatArray, key: str = key) -> FloatArray:
            Y: FloatArray = layer.with_parameters({key: v}).forward(X)[0]
            return Y

        numeric = numeric_gradient(changed, value, dY)
        assert gradients[key].shape == value.shape
        np.testing.assert_allclose(gradients[key], numeric, rtol=rtol, atol=atol, err_msg=key)


def distinct_values(rng: np.random.Generator, *shape: int) -> FloatArray:
    """Return values with at least 0.1 between any two magnitudes, none of them near 0."""
    count = int(np.prod(shape))
    magnitudes = rng.permutation(0.1 * np.arange(1, count + 1))
    return np.asarray(magnitudes * rng.choice([-1.0, 1.0], count)).reshape(shape)
