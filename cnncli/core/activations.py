"""Activations, each with its derivative beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray
from cnncli.core.erf import erf, erfc
from cnncli.errors import OptionError

LEAKY_SLOPE: Final = 0.01
"""Slope of leaky-relu below zero (Maas, Hannun and Ng, 2013)."""

ROOT_HALF: Final = math.sqrt(0.5)


@dataclass(frozen=True)
class Activation:
    """A function of each pixel and its gradient.

    Parameters
    ----------
    forward : callable
        ``A = forward(Z)``.
    backward : callable
        ``dZ = backward(dA, Z, A)``; at a kink the slope is that of the left
        side; for abs, and at both ends of clip and of hard-sigmoid, it is 0.
    formula : str
        What it does to a value z, in words of Python.
    settings : mapping
        What may be chosen by name, with the defaults; None has no default.
    in_place : callable, optional
        ``in_place(Z)`` writes the same A over Z, without another array; numpy may warn.
    each_alone : bool
        Whether a value depends on itself alone: not on its channel or other channels.
    """

    forward: Callable[..., FloatArray]
    backward: Callable[..., FloatArray]
    formula: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    in_place: Callable[..., object] | None = None
    each_alone: bool = True

    def overwrite(self, Z: FloatArray) -> None:
        """Write A over Z.

        Examples
        --------
        >>> Z = np.array([-1.0, 2.0])
        >>> ACTIVATIONS["relu"].overwrite(Z)
        >>> Z
        array([0., 2.])
        """
        if self.in_place is not None:
            self.in_place(Z)
        else:
            np.copyto(Z, self.forward(Z))


def _sigmoid_in_place(Z: FloatArray) -> None:
    # Where exp overflows, the share is 0, as it must be.
    np.negative(Z, out=Z)
    np.exp(Z, out=Z)
    np.add(Z, 1, out=Z)
    np.divide(1, Z, out=Z)


def _sigmoid(Z: FloatArray) -> FloatArray:
    return _of_copy(_sigmoid_in_place, Z)


def _of_copy(in_place: Callable[..., object], Z: FloatArray, **settings: Any) -> FloatArray:
    """Return what is made of a copy of Z."""
    A = np.array(Z)
    in_place(A, **settings)
    return A


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
    # The shares add up to 1: a constant taken off dA changes nothing. With that of the largest
    # share no difference of a share near 1 to 1 is taken, which would be rounding alone.
    largest = A.argmax(axis=-1)[..., np.newaxis]
    dA = dA - np.take_along_axis(dA, largest, axis=-1)
    return np.asarray(A * (dA - (dA * A).sum(axis=-1, keepdims=True)))


def _clip_in_place(Z: FloatArray, low: float, high: float) -> None:
    np.clip(Z, Z.dtype.type(low), Z.dtype.type(high), out=Z)


def _clip_backward(
    dA: FloatArray, Z: FloatArray, A: FloatArray, low: float, high: float
) -> FloatArray:
    return dA * ((low < Z) & (high > Z))


def _ramp(Z: FloatArray, alpha: float, beta: float) -> FloatArray:
    line = np.asarray(Z * Z.dtype.type(alpha))
    np.add(line, Z.dtype.type(beta), out=line)
    return np.clip(line, 0, 1, out=line)


def _ramp_slope(Z: FloatArray, alpha: float, beta: float) -> FloatArray:
    line = Z * Z.dtype.type(alpha) + Z.dtype.type(beta)
    return np.where((line > 0) & (line < 1), alpha, 0).astype(Z.dtype, copy=False)


def _ramp_backward(
    dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: float, beta: float
) -> FloatArray:
    return dA * _ramp_slope(Z, alpha, beta)


def _hard_swish_in_place(Z: FloatArray) -> None:
    gate = _ramp(Z, 1 / 6, 0.5)
    np.multiply(Z, gate, out=Z)


def _hard_swish_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    # Beyond -3 and 3 the slope of the ramp is 0, also at an infinity.
    return dA * (_ramp(Z, 1 / 6, 0.5) + np.clip(Z, -3, 3) * _ramp_slope(Z, 1 / 6, 0.5))


def _gated(Z: FloatArray, gate: FloatArray) -> FloatArray:
    """Return the product, and 0 where the gate is: also at an infinity."""
    return np.asarray(np.where(gate == 0, gate, Z) * gate, Z.dtype)


def _silu_in_place(Z: FloatArray, alpha: Any) -> None:
    divisor = _sigmoid_divisor(np.asarray(Z * -alpha, Z.dtype))
    # Where exp overflows the share is 0, also of an infinity.
    np.copyto(Z, 0, where=divisor == np.inf)
    np.divide(Z, divisor, out=Z)


def multiply_by_sigmoid(Z: FloatArray) -> None:
    """Multiply each value by its sigmoid, in place; that of -inf is NaN, as 0 times infinity is.

    Examples
    --------
    >>> Z = np.array([0.0, 2.0])
    >>> multiply_by_sigmoid(Z)
    >>> Z.round(3)
    array([0.   , 1.762])
    """
    np.divide(Z, _sigmoid_divisor(np.negative(Z)), out=Z)


def _sigmoid_divisor(Z: FloatArray) -> FloatArray:
    """Return ``1 + exp(z)``, written over Z."""
    np.exp(Z, out=Z)
    return np.add(Z, 1, out=Z)


def _silu_backward(dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: Any) -> FloatArray:
    gate = _sigmoid(np.asarray(Z * alpha, Z.dtype))
    return dA * np.asarray(gate + _gated(Z * alpha, gate * (1 - gate)), Z.dtype)


def _normal(Z: FloatArray) -> FloatArray:
    """Return the share of a normal distribution below Z."""
    return erfc(Z * Z.dtype.type(-ROOT_HALF)) / 2


def _gelu_in_place(Z: FloatArray) -> None:
    share = _normal(Z)
    # An infinity times no share is 0.
    np.copyto(Z, 0, where=share == 0)
    np.multiply(Z, share, out=Z)


def _gelu_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    density = np.exp(-Z * Z / 2) * Z.dtype.type(ROOT_HALF / math.sqrt(math.pi))
    return dA * (_normal(Z) + _gated(Z, density))


def _tanh_argument(Z: FloatArray) -> FloatArray:
    """Return twice what tanh is taken of: ``(1 + tanh(u)) / 2`` is the sigmoid of 2 u."""
    scale = Z.dtype.type(2 * math.sqrt(2 / math.pi))
    return scale * (Z + Z.dtype.type(0.044715) * Z * Z * Z)


def _gelu_tanh_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    gate = _sigmoid(_tanh_argument(Z))
    slope = Z.dtype.type(2 * math.sqrt(2 / math.pi)) * (1 + Z.dtype.type(0.134145) * Z * Z)
    return dA * (gate + _gated(Z * slope, gate * (1 - gate)))


def _softplus(Z: FloatArray) -> FloatArray:
    return np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))


def _mish_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    gate = np.tanh(_softplus(Z))
    return dA * (gate + _gated(_gated(Z, _sigmoid(Z)), 1 - gate * gate))


def _softsign(Z: FloatArray) -> FloatArray:
    return np.where(np.abs(Z) > 1, 1 / (1 / Z + np.sign(Z)), Z / (1 + np.abs(Z)))


def _softsign_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    root = 1 / (1 + np.abs(Z))
    return dA * root * root


def _elu(Z: FloatArray, alpha: Any, beta: float = 1.0) -> FloatArray:
    low = alpha * np.expm1(np.minimum(Z, 0))
    return np.asarray(np.where(Z > 0, Z, low) * Z.dtype.type(beta), Z.dtype)


def _elu_backward(
    dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: Any, beta: float = 1.0
) -> FloatArray:
    slope = np.where(Z > 0, 1, alpha * np.exp(np.minimum(Z, 0)))
    return dA * np.asarray(slope * beta, Z.dtype)


def _celu(Z: FloatArray, alpha: Any) -> FloatArray:
    return np.where(Z > 0, Z, alpha * np.expm1(np.minimum(Z, 0) / alpha)).astype(
        Z.dtype, copy=False
    )


def _celu_backward(dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: Any) -> FloatArray:
    return dA * np.where(Z > 0, 1, np.exp(np.minimum(Z, 0) / alpha)).astype(Z.dtype, copy=False)


def _log_softmax(Z: FloatArray) -> FloatArray:
    rest = Z - Z.max(axis=-1, keepdims=True)
    return np.asarray(rest - np.log(np.exp(rest).sum(axis=-1, keepdims=True)))


def _log_softmax_backward(dA: FloatArray, Z: FloatArray, A: FloatArray) -> FloatArray:
    return np.asarray(dA - np.exp(A) * dA.sum(axis=-1, keepdims=True))


def _exponent(alpha: Any) -> Any:
    # A plain number: numpy squares and takes roots faster than it raises to powers.
    return alpha.item() if np.size(alpha) == 1 and isinstance(alpha, np.ndarray) else alpha


def _power(Z: FloatArray, alpha: Any) -> FloatArray:
    return np.asarray(Z ** _exponent(alpha), Z.dtype)


def _power_backward(dA: FloatArray, Z: FloatArray, A: FloatArray, alpha: Any) -> FloatArray:
    slope = np.where(alpha == 0, 0, alpha * Z ** _exponent(alpha - 1))
    return dA * np.asarray(slope, Z.dtype)


def _zeros(dA: FloatArray, Z: FloatArray, A: FloatArray, **settings: Any) -> FloatArray:
    return np.zeros_like(dA)


def _wrap(Z: FloatArray, low: float, high: float) -> FloatArray:
    whole = np.trunc(Z)
    if ((low <= whole) & (whole <= high)).all():
        return whole
    # As processors do: what 32 bits, or those of the type, cannot hold is their least number.
    least = -max(2.0**31, high + 1)
    held = np.where((least <= whole) & (whole < -least), whole, least).astype(np.float64)
    wrapped = low + np.mod(held - low, high - low + 1)
    return np.where((low <= held) & (held <= high), held, wrapped).astype(Z.dtype)


def _quiet(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """Return the function without numpy's warnings: log of 0 is -inf, and of -1 NaN, as it says."""

    def called(*arrays: FloatArray, **settings: Any) -> FloatArray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays, **settings))

    return called


def _in_place_activation(
    in_place: Callable[..., object],
    backward: Callable[..., FloatArray],
    formula: str,
    settings: Mapping[str, Any] | None = None,
) -> Activation:
    """Return an activation that is written over its argument."""
    return replace(
        _quiet_activation(partial(_of_copy, in_place), backward, formula, settings),
        in_place=in_place,
    )


def _quiet_activation(
    forward: Callable[..., FloatArray],
    backward: Callable[..., FloatArray],
    formula: str,
    settings: Mapping[str, Any] | None = None,
) -> Activation:
    return Activation(_quiet(forward), _quiet(backward), formula, settings or {})


_LEAK: Final = "z if z > 0, else alpha * z"

OVER_CHANNELS: Final = ("softmax", "log-softmax")
"""Activations whose values depend on all channels of a pixel."""

ACTIVATIONS: Final[dict[str, Activation]] = {
    "none": Activation(lambda Z: Z, lambda dA, Z, A: dA, ""),
    "relu": Activation(
        lambda Z: np.maximum(Z, 0),
        lambda dA, Z, A: dA * (Z > 0),
        "max(0, z)",
        in_place=lambda Z: np.maximum(Z, 0, out=Z),
    ),
    "leaky-relu": Activation(_leaky, _leaky_backward, _LEAK, {"alpha": LEAKY_SLOPE}),
    "sigmoid": _in_place_activation(
        _sigmoid_in_place, lambda dA, Z, A: dA * A * (1 - A), "1 / (1 + exp(-z))"
    ),
    "tanh": Activation(np.tanh, lambda dA, Z, A: dA * (1 - A * A), "tanh(z)"),
    "abs": Activation(np.abs, lambda dA, Z, A: dA * np.sign(Z), "|z|"),
    "softmax": Activation(
        _softmax, _softmax_backward, "exp(z - largest) / total", each_alone=False
    ),
    "prelu": Activation(_leaky, _leaky_backward, _LEAK, {"alpha": None}),
    "clip": _in_place_activation(
        _clip_in_place, _clip_backward, "min(max(z, low), high)", {"low": 0.0, "high": 1.0}
    ),
    "hard-sigmoid": Activation(
        _ramp, _ramp_backward, "min(max(alpha * z + beta, 0), 1)", {"alpha": 0.2, "beta": 0.5}
    ),
    "hard-swish": _in_place_activation(
        _hard_swish_in_place, _hard_swish_backward, "z * min(max(z / 6 + 1/2, 0), 1)"
    ),
    "truncate": Activation(np.trunc, _zeros, "trunc(z)"),
    "wrap": _quiet_activation(
        _wrap,
        _zeros,
        "low + (trunc(z) - low) % (high - low + 1)",
        {"low": 0.0, "high": 255.0},
    ),
    "silu": _in_place_activation(
        _silu_in_place, _silu_backward, "z / (1 + exp(-alpha * z))", {"alpha": 1.0}
    ),
    "gelu": _in_place_activation(_gelu_in_place, _gelu_backward, "z * erfc(-z / sqrt(2)) / 2"),
    "gelu-tanh": _quiet_activation(
        lambda Z: _gated(Z, _sigmoid(_tanh_argument(Z))),
        _gelu_tanh_backward,
        "z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3)))",
    ),
    "mish": _quiet_activation(
        lambda Z: _gated(Z, np.tanh(_softplus(Z))), _mish_backward, "z * tanh(log(1 + exp(z)))"
    ),
    "softplus": _quiet_activation(_softplus, lambda dA, Z, A: dA * _sigmoid(Z), "log(1 + exp(z))"),
    "softsign": _quiet_activation(_softsign, _softsign_backward, "z / (1 + |z|)"),
    "elu": _quiet_activation(
        _elu, _elu_backward, "z if z > 0, else alpha * (exp(z) - 1)", {"alpha": 1.0}
    ),
    "celu": _quiet_activation(
        _celu, _celu_backward, "z if z > 0, else alpha * (exp(z / alpha) - 1)", {"alpha": 1.0}
    ),
    "selu": _quiet_activation(
        _elu,
        _elu_backward,
        "beta * z if z > 0, else beta * alpha * (exp(z) - 1)",
        {"alpha": 1.6732632423543772, "beta": 1.0507009873554805},
    ),
    "thresholded-relu": _quiet_activation(
        lambda Z, alpha: np.where(alpha >= Z, 0, Z).astype(Z.dtype, copy=False),
        lambda dA, Z, A, alpha: dA * (alpha < Z),
        "z if z > alpha, else 0",
        {"alpha": 1.0},
    ),
    "log-softmax": replace(
        _quiet_activation(_log_softmax, _log_softmax_backward, "z - largest - log(total)"),
        each_alone=False,
    ),
    "exp": _quiet_activation(np.exp, lambda dA, Z, A: dA * A, "exp(z)"),
    "log": _quiet_activation(np.log, lambda dA, Z, A: dA / Z, "log(z)"),
    "sqrt": _quiet_activation(np.sqrt, lambda dA, Z, A: dA / (2 * A), "sqrt(z)"),
    "pow": _quiet_activation(_power, _power_backward, "z ** alpha", {"alpha": None}),
    "reciprocal": _quiet_activation(lambda Z: 1 / Z, lambda dA, Z, A: -dA * A * A, "1 / z"),
    "neg": _quiet_activation(np.negative, lambda dA, Z, A: -dA, "-z"),
    "erf": _quiet_activation(
        erf,
        lambda dA, Z, A: dA * np.exp(-Z * Z) * Z.dtype.type(2 / math.sqrt(math.pi)),
        "erf(z)",
    ),
    "sign": _quiet_activation(np.sign, _zeros, "sign(z)"),
    "floor": _quiet_activation(np.floor, _zeros, "floor(z)"),
    "ceil": _quiet_activation(np.ceil, _zeros, "ceil(z)"),
    "round": _quiet_activation(np.rint, _zeros, "round(z)"),
}
"""softmax and log-softmax run over the channels of each pixel; all others take each value alone.

prelu (He and others, 2015) takes the slope below zero of each channel; hard-swish is that of Howard
and others (2019), gelu-tanh the approximation of gelu (Hendrycks and Gimpel, 2016); round takes
halves to the even number; wrap is what a processor makes of z as a whole number of low to high, so
that of NaN, and of what 32 bits do not hold, it takes -2**31; what jumps has the slope 0."""


def get_activation(name: str, **settings: Any) -> Activation:
    """Return the activation of that name with its settings filled in.

    Parameters
    ----------
    name : str
        A key of `ACTIVATIONS`.
    **settings
        Those in its formula: ``alpha``, one number or one for each channel, ``beta``, ``low`` and
        ``high``.

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
    in_place = activation.in_place and partial(activation.in_place, **chosen)
    return replace(
        activation,
        forward=partial(activation.forward, **chosen),
        backward=partial(activation.backward, **chosen),
        settings={},
        in_place=in_place,
        each_alone=activation.each_alone and all(np.size(v) == 1 for v in chosen.values()),
    )


def slope_gradient(dA: FloatArray, Z: FloatArray) -> FloatArray:
    """Return the gradient of prelu's slopes, one for each channel.

    Examples
    --------
    >>> import numpy as np
    >>> slope_gradient(np.ones((1, 1, 2, 1)), np.array([-3.0, 4.0]).reshape(1, 1, 2, 1))
    array([-3.])
    """
    return np.asarray((dA * np.minimum(Z, 0)).sum(axis=(0, 1, 2)))
