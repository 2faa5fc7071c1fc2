"""Convolution as CNNs do it (cross-correlation, no flip), forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, as_real, float_dtype
from cnncli.core.borders import Border, check_pad_mode
from cnncli.core.engine import Convolution, prepare_convolution
from cnncli.core.geometry import Window, place_window
from cnncli.core.hparameters import CONV_DEFAULTS, read_hparameters
from cnncli.core.padding import check_batch
from cnncli.errors import ShapeError

ConvCache = tuple[FloatArray, FloatArray, FloatArray, Mapping[str, Any]]


def conv_single_step(a_slice_prev: FloatArray, W: FloatArray, b: FloatArray | float) -> np.float64:
    """Apply one filter to one window: the arithmetic of one output value.

    Every fast path of cnncli is judged by a loop over this function.

    Parameters
    ----------
    a_slice_prev : ndarray, shape (f, f, n_C_prev)
        The window.
    W : ndarray, shape (f, f, n_C_prev)
        The filter's weights.
    b : ndarray, shape (1, 1, 1), or float
        The bias, added once after the sum.

    Returns
    -------
    numpy.float64
        ``sum(a_slice_prev * W) + b``, summed in float64.

    Raises
    ------
    ShapeError
        If window and weights differ in shape, or b holds more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> float(conv_single_step(np.ones((2, 2, 3)), np.full((2, 2, 3), 0.5), np.ones((1, 1, 1))))
    7.0
    """
    a, w, bias = np.asarray(a_slice_prev), np.asarray(W), np.asarray(b)
    if a.shape != w.shape:
        raise ShapeError(
            f"window and weights must have the same shape, got {a.shape} and {w.shape}"
        )
    if bias.size != 1:
        raise ShapeError(f"the bias of one step must be one number, got shape {bias.shape}")
    return np.float64(np.multiply(a, w, dtype=np.float64).sum() + bias.item())


def conv_forward(
    A_prev: FloatArray, W: FloatArray, b: FloatArray, hparameters: Mapping[str, Any]
) -> tuple[FloatArray, ConvCache]:
    """Convolve a batch of images with a bank of filters.

    Parameters
    ----------
    A_prev : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
        Input, float32 or float64.
    W : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
        Filters.
    b : ndarray, shape (1, 1, 1, n_C)
        One bias for each filter; a single number serves all.
    hparameters : mapping
        ``stride`` (int or (h, w), default 1), ``pad`` (int, (h, w), ((top, bottom), (left, right)),
        "same", "same-lower" or "valid", default 0), ``dilation`` (int or (h, w), default 1),
        ``groups`` (default 1), ``pad_mode`` ("zeros", "edge", "reflect", "symmetric", "wrap") and
        ``pad_value`` (the constant of "zeros", default 0).

    Returns
    -------
    Z : ndarray, shape (m, n_H, n_W, n_C)
        ``(n + pb + pe - d*(k-1) - 1)//s + 1`` rows and columns.
    cache : tuple
        ``(A_prev, W, b, hparameters)`` for `conv_backward`.

    Raises
    ------
    ShapeError
        If shapes do not fit together, or no window fits into the padded input.
    OptionError
        If an hparameter is unknown or out of range.

    Notes
    -----
    The definitions are those of Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning" (2016).

    Examples
    --------
    >>> import numpy as np
    >>> A_prev, W = np.ones((1, 4, 4, 3)), np.ones((2, 2, 3, 5))
    >>> Z, cache = conv_forward(A_prev, W, np.zeros((1, 1, 1, 5)), {"stride": 2, "pad": 1})
    >>> Z.shape, float(Z[0, 1, 1, 0])
    ((1, 3, 3, 5), 12.0)
    """
    A, weights, bias, window, groups, border = _read(A_prev, W, b, hparameters)
    layer = prepare_convolution(weights, window, groups, border, images=len(A), bias=bias)
    return layer(A), (A_prev, W, b, hparameters)


@dataclass(frozen=True)
class ConvPlan:
    """A convolution made ready by `conv_plan`; called with a batch, it returns its Z.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the batches it takes, (m, n_H_prev, n_W_prev, n_C_prev).
    layer : Convolution
    """

    shape: tuple[int, ...]
    layer: Convolution

    @property
    def algorithm(self) -> str:
        """How it convolves, as ``--algorithm`` names it."""
        return self.layer.choice.algorithm

    def __call__(self, A_prev: FloatArray) -> FloatArray:
        """Return Z (m, n_H, n_W, n_C) of a batch of the planned shape and dtype."""
        A, planned = np.asarray(A_prev), self.layer.task.dtype
        if A.shape != self.shape or A.dtype != planned:
            raise ShapeError(
                f"A_prev must have the planned shape {self.shape} and dtype {planned}, "
                f"got {A.shape} and {A.dtype}"
            )
        return self.layer(A)


def conv_plan(
    A_prev: FloatArray, W: FloatArray, b: FloatArray, hparameters: Mapping[str, Any]
) -> ConvPlan:
    """Make a convolution ready once, to run it on many batches of one shape.

    Shapes are checked, the algorithm is chosen and the filters are transformed here and not in
    each call.

    Parameters
    ----------
    A_prev : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
        A batch of the shape and dtype of those to come; its values are not looked at.
    W, b, hparameters
        As in `conv_forward`. W and b are copied: later changes do not reach the plan.

    Returns
    -------
    ConvPlan
        ``plan(A_prev)`` returns the Z of `conv_forward`, to rounding: what takes long to make ready
        may be the quickest way here.

    Raises
    ------
    ShapeError, OptionError
        As `conv_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> A_prev, W = np.ones((1, 4, 4, 3)), np.ones((2, 2, 3, 5))
    >>> plan = conv_plan(A_prev, W, np.zeros((1, 1, 1, 5)), {"stride": 2})
    >>> [float(plan(batch)[0, 0, 0, 0]) for batch in (A_prev, 2 * A_prev)]
    [12.0, 24.0]
    """
    A, weights, bias, window, groups, border = _read(A_prev, np.array(W), np.array(b), hparameters)
    layer = prepare_convolution(
        weights, window, groups, border, images=len(A), bias=bias, runs=math.inf
    )
    return ConvPlan(A.shape, layer)


def conv_backward(dZ: FloatArray, cache: ConvCache) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients of `conv_forward`.

    Parameters
    ----------
    dZ : ndarray, shape (m, n_H, n_W, n_C)
        Gradient of the cost with respect to Z.
    cache : tuple
        What `conv_forward` returned.

    Returns
    -------
    dA_prev : ndarray, shape (m, n_H_prev, n_W_prev, n_C_prev)
    dW : ndarray, shape (k_H, k_W, n_C_prev / groups, n_C)
    db : ndarray, shape (1, 1, 1, n_C), or (1, 1, 1, 1) for a single bias

    Raises
    ------
    ShapeError
        If dZ has not the shape of the Z that the cache belongs to.

    Examples
    --------
    >>> import numpy as np
    >>> A_prev, W = np.ones((2, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> Z, cache = conv_forward(A_prev, W, np.zeros((1, 1, 1, 1)), {})
    >>> dA_prev, dW, db = conv_backward(np.ones_like(Z), cache)
    >>> dA_prev[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> float(dW[0, 0, 0, 0]), float(db.item())
    (8.0, 8.0)
    """
    # Imported here because commands that only go forward would load it for nothing.
    from cnncli.core.conv_gradients import gradients

    A, weights, bias, window, groups, border = _read(*cache)
    expected = (A.shape[0], *window.out, weights.shape[3])
    dZ = as_real(dZ, A.dtype)
    if dZ.shape != expected:
        raise ShapeError(f"dZ must have the shape of Z, {expected}, got {dZ.shape}")
    dA_prev, dW, db = gradients(dZ, A, weights, window, groups, border)
    # One bias shared by all filters gathers the gradients of all.
    db = db if bias.size > 1 else db.sum(keepdims=True)
    return dA_prev, dW, db.reshape(1, 1, 1, -1)


def _read(
    A_prev: FloatArray, W: FloatArray, b: FloatArray, hparameters: Mapping[str, Any]
) -> tuple[FloatArray, FloatArray, FloatArray, Window, int, Border]:
    """Check input, weights, bias and fields; bring the arrays to one dtype, float32 or float64."""
    A, weights, bias = np.asarray(A_prev), np.asarray(W), np.asarray(b)
    check_batch(A, "A_prev")
    float_dtype(bias)
    dtype = float_dtype(A, weights)
    fields = read_hparameters(hparameters, CONV_DEFAULTS)
    if weights.ndim != 4 or 0 in weights.shape:
        raise ShapeError(
            f"W must have the shape (k_H, k_W, n_C_prev/groups, n_C), got {weights.shape}"
        )
    (k_H, k_W, depth, n_C), groups = weights.shape, fields["groups"]
    if A.shape[3] != depth * groups or n_C % groups:
        raise ShapeError(
            f"W must have n_C_prev/groups input channels and a multiple of groups filters: "
            f"input has {A.shape[3]} channels, W {depth} and {n_C} filters, groups is {groups}"
        )
    window = place_window(
        A.shape[1:3], (k_H, k_W), fields["stride"], fields["pad"], fields["dilation"]
    )
    check_pad_mode(fields["pad_mode"])
    border = (fields["pad_mode"], fields["pad_value"])
    if bias.size not in (1, n_C):
        raise ShapeError(f"b must have the shape (1, 1, 1, {n_C}), got {bias.shape}")
    A, weights, bias = (array.astype(dtype, copy=False) for array in (A, weights, bias))
    return A, weights, bias, window, groups, border
