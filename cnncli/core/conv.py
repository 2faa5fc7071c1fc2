"""Convolution as CNNs do it (cross-correlation, no flip), forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnncli.core.arrays import FloatArray, float_dtype
from cnncli.core.engine import Convolution, prepare_convolution
from cnncli.core.geometry import Window, place_window
from cnncli.core.hparameters import CONV_DEFAULTS, read_hparameters
from cnncli.core.padding import check_batch, pad_borders_backward
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
        raise ShapeError(f"window and weights must have one shape, got {a.shape} and {w.shape}")
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
    A, weights, bias = _as_floats(A_prev, W, b)
    layer = conv_plan(A.shape, weights, bias, hparameters)
    return layer(A), (A_prev, W, b, hparameters)


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
    from cnncli.core.conv_gradients import filter_gradient, input_gradient

    A_prev, W, b, hparameters = cache
    A, weights, bias = _as_floats(A_prev, W, b)
    fields = read_hparameters(hparameters, CONV_DEFAULTS)
    window = conv_window(A.shape, weights.shape, fields)
    expected = (A.shape[0], *window.out, weights.shape[3])
    dZ = np.asarray(dZ, dtype=A.dtype)
    if dZ.shape != expected:
        raise ShapeError(f"dZ must have the shape of Z, {expected}, got {dZ.shape}")
    border = (fields["pad_mode"], fields["pad_value"])
    dA_pad = input_gradient(dZ, weights, window, fields["groups"])
    dW = filter_gradient(dZ, A, window, fields["groups"], border)
    dA_prev = pad_borders_backward(dA_pad, window.pads, fields["pad_mode"])
    db = dZ.sum(axis=(0, 1, 2)).reshape(1, 1, 1, -1)
    # One bias shared by all filters gathers the gradients of all.
    return dA_prev, dW, db if bias.size > 1 else db.sum(axis=3, keepdims=True)


def conv_plan(
    input_shape: tuple[int, ...],
    W: FloatArray,
    b: FloatArray,
    hparameters: Mapping[str, Any],
    algorithm: str = "auto",
) -> Convolution:
    """Prepare `conv_forward` for inputs of one shape: filters transformed, strips cut.

    Parameters
    ----------
    input_shape : (m, n_H_prev, n_W_prev, n_C_prev)
    W, b, hparameters
        As in `conv_forward`; the inputs must have W's dtype.
    algorithm : str
        ``auto`` or a name of `engine.ALGORITHMS`.

    Returns
    -------
    Convolution
        Called with a batch, or asked for rows.

    Raises
    ------
    ShapeError, OptionError
        As `conv_forward` says.

    Examples
    --------
    >>> layer = conv_plan((1, 3, 3, 1), np.ones((2, 2, 1, 1)), np.zeros(1), {})
    >>> layer(np.ones((1, 3, 3, 1))).ravel()
    array([4., 4., 4., 4.])
    """
    fields = read_hparameters(hparameters, CONV_DEFAULTS)
    window = conv_window(input_shape, W.shape, fields)
    return prepare_convolution(
        W,
        window,
        fields["groups"],
        (fields["pad_mode"], fields["pad_value"]),
        images=input_shape[0],
        bias=_flat_bias(b, W.shape[3]),
        algorithm=algorithm,
    )


def conv_window(
    input_shape: tuple[int, ...], filter_shape: tuple[int, ...], fields: Mapping[str, Any]
) -> Window:
    """Check the shapes of one convolution and return where its window stands.

    Parameters
    ----------
    input_shape : (m, n_H_prev, n_W_prev, n_C_prev)
    filter_shape : (k_H, k_W, n_C_prev / groups, n_C)
    fields : mapping
        All fields of the layer, as `read_hparameters` gives them.

    Raises
    ------
    ShapeError, OptionError
        As `conv_forward` says.

    Examples
    --------
    >>> conv_window((1, 8, 8, 3), (3, 3, 3, 4), dict(CONV_DEFAULTS)).out
    (6, 6)
    """
    if len(filter_shape) != 4 or 0 in filter_shape:
        raise ShapeError(
            f"W must have the shape (k_H, k_W, n_C_prev/groups, n_C), got {tuple(filter_shape)}"
        )
    groups = fields["groups"]
    channels = input_shape[3]
    if channels != filter_shape[2] * groups or filter_shape[3] % groups:
        raise ShapeError(
            f"W must have n_C_prev/groups input channels and a multiple of groups filters: "
            f"input has {channels} channels, W {filter_shape[2]} and {filter_shape[3]} filters, "
            f"groups is {groups}"
        )
    return place_window(
        (input_shape[1], input_shape[2]),
        (filter_shape[0], filter_shape[1]),
        fields["stride"],
        fields["pad"],
        fields["dilation"],
    )


def _as_floats(
    A_prev: FloatArray, W: FloatArray, b: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bring input, weights and bias to one dtype, float32 or float64."""
    A, weights = np.asarray(A_prev), np.asarray(W)
    check_batch(A, "A_prev")
    bias = np.asarray(b)
    float_dtype(bias)
    dtype = float_dtype(A, weights)
    return tuple(array.astype(dtype, copy=False) for array in (A, weights, bias))  # type: ignore[return-value]


def _flat_bias(b: FloatArray, n_C: int) -> FloatArray:
    if b.size not in (1, n_C):
        raise ShapeError(f"b must have the shape (1, 1, 1, {n_C}), got {b.shape}")
    return b.reshape(-1)
