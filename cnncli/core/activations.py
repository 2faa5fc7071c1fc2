"""Activations, each with its derivative beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import FloatArray
from cnncli.errors import OptionError

LEAKY_SLOPE: Final = 0.01
"""Slope of leaky-relu below zero (Maas, Hannun and Ng, 2013)."""


@dataclass(frozen=True)
class Activation:
    """A function of each pixel and its gradient.

    Parameters
    ----------
    forward : callable
        ``A = forward(Z)``.
    backward : callable
        ``dZ = backward(dA, Z, A)``; at a kink the slope is that of the lower side, and 0 for abs.
    settings : mapping
        What may be chosen by name, with the defaults; None has no default.
    """

    forward: Callable[..., FloatArray]
    backward: Callable[..., FloatArray]
    settings: Mapping[str, Any] = field(default_factory=dict)


def _sigmoid(Z: FloatArray) -> FloatArray:
    # exp of the negative magnitude never overflows.
    small = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1 / (1 + small), small / (1 + small)).astype(Z.dtype, copy=False)


def _slopes(Z: FloatArray, alpha: Any) -> FloatArray:
    return np.where(Z > 0, 1, alpha).astype(Z.dtype, copy=False)


def _leaky(Z: FloatArray, alpha: Any) -> FloatArray:
    return Z * _slopes(Z, alpha)


def _leaky_backward(dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: Any) -> FloatArray:
    return dA * _slopes(Z, alpha)


def _softmax(Z: FloatArray) -> FloatArray:
    # The largest value taken off first: exp never overflows, and the quotient is the same.
    powers = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _softmax_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    return np.asarray(A * (dA - (dA * A).sum(axis=-1, keepdims=True)))


def _clip(Z: FloatArray, low: float, high: float) -> FloatArray:
    return np.clip(Z, Z.dtype.type(low), Z.dtype.type(high))


def _clip_backward(
    dA: FloatArray, Z: FloatArray, A: FloatArray, low: float, high: float
) -> FloatArray:
    return dA * ((low < Z) & (high > Z))


def _ramp(Z: FloatArray, alpha: float, beta: float) -> FloatArray:
    return np.clip(Z * Z.dtype.type(alpha) + Z.dtype.type(beta), 0, 1)


def _ramp_slope(Z: FloatArray, alpha: float, beta: float) -> FloatArray:
    line = Z * Z.dtype.type(alpha) + Z.dtype.type(beta)
    return np.where((line > 0) & (line < 1), alpha, 0).astype(Z.dtype, copy=False)


def _ramp_backward(
    dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: float, beta: float
) -> FloatArray:
    return dA * _ramp_slope(Z, alpha, beta)


def _swish_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    # Beyond -3 and 3 the slope of the ramp is 0, also at an infinity.
    return dA * (_ramp(Z, 1 / 6, 0.5) + np.clip(Z, -3, 3) * _ramp_slope(Z, 1 / 6, 0.5))


ACTIVATIONS: Final[dict[str, Activation]] = {
    "none": Activation(lambda Z: Z, lambda dA, Z, A: dA),
    "relu": Activation(lambda Z: np.maximum(Z, 0), lambda dA, Z, A: dA * (Z > 0)),
    "leaky-relu": Activation(_leaky, _leaky_backward, {"alpha": LEAKY_SLOPE}),
    "sigmoid": Activation(_sigmoid, lambda dA, Z, A: dA * A * (1 - A)),
    "tanh": Activation(np.tanh, lambda dA, Z, A: dA * (1 - A * A)),
    "abs": Activation(np.abs, lambda dA, Z, A: dA * np.sign(Z)),
    "softmax": Activation(_softmax, _softmax_backward),
    "prelu": Activation(_leaky, _leaky_backward, {"alpha": None}),
    "clip": Activation(_clip, _clip_backward, {"low": 0.0, "high": 1.0}),
    "hard-sigmoid": Activation(_ramp, _ramp_backward, {"alpha": 0.2, "beta": 0.5}),
    "hard-swish": Activation(lambda Z: Z * _ramp(Z, 1 / 6, 0.5), _swish_backward),
    "truncate": Activation(np.trunc, lambda dA, Z, A: np.zeros_like(dA)),
}
"""softmax runs over the channels of each pixel. prelu (He and others, 2015) takes the slope below
zero of each channel; clip holds values in [low, high]; hard-sigmoid is ``alpha * z + beta`` held in
0..1, and hard-swish ``z * hard-sigmoid(z)`` with 1/6 and 1/2 (Howard and others, 2019); truncate
drops what is behind the point, as a conversion to whole numbers does."""


def get_activation(name: str, **settings: Any) -> Activation:
    """Return the activation of that name with its settings filled in.

    Parameters
    ----------
    name : str
        A key of `ACTIVATIONS`.
    **settings
        ``alpha`` (leaky-relu, prelu: slopes below zero, one number or one for each channel;
        hard-sigmoid), ``beta`` (hard-sigmoid), ``low`` and ``high`` (clip).

    Raises
    ------
    OptionError
        If there is none of that name, it has no such setting, or lacks one that must be given.

    Examples
    --------
    >>> import numpy as np
    >>> get_activation("relu").forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> get_activation("clip", high=6.0).forward(np.array([-1.0, 7.0]))
    array([0., 6.])
    """
    if name not in ACTIVATIONS:
        raise OptionError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}",
            hint="--activation relu",
        )
    activation = ACTIVATIONS[name]
    chosen = {**activation.settings, **settings}
    unknown = [key for key in chosen if key not in activation.settings]
    missing = [key for key, value in chosen.items() if value is None]
    if unknown:
        raise OptionError(f"activation {name} has no setting {unknown[0]}")
    if missing:
        raise OptionError(f"activation {name} needs {missing[0]}")
    if not chosen:
        return activation
    return Activation(partial(activation.forward, **chosen), partial(activation.backward, **chosen))


def slope_gradient(dA: FloatArray, Z: FloatArray) -> FloatArray:
    """Return the gradient of prelu's slopes, one for each channel.

    Examples
    --------
    >>> import numpy as np
    >>> slope_gradient(np.ones((1, 1, 2, 1)), np.array([-3.0, 4.0]).reshape(1, 1, 2, 1))
    array([-3.])
    """
    return np.asarray((dA * np.minimum(Z, 0)).sum(axis=(0, 1, 2)))
