"""Activations, each with its derivative beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli.errors import OptionError

FloatArray = NDArray[np.floating]

LEAKY_SLOPE: Final = 0.01
"""Slope of leaky-relu below zero (Maas, Hannun and Ng, 2013)."""


@dataclass(frozen=True)
class Activation:
    """A function of each value and its gradient.

    Parameters
    ----------
    forward : callable
        ``A = forward(Z)``.
    backward : callable
        ``dZ = backward(dA, Z, A)``; at a kink the slope is that of the lower side, and 0 for abs.
    """

    forward: Callable[[FloatArray], FloatArray]
    backward: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def _sigmoid(Z: FloatArray) -> FloatArray:
    # exp of the negative magnitude never overflows.
    small = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1 / (1 + small), small / (1 + small)).astype(Z.dtype, copy=False)


def _leaky_slope(Z: FloatArray) -> FloatArray:
    return np.where(Z > 0, 1, LEAKY_SLOPE).astype(Z.dtype, copy=False)


ACTIVATIONS: Final[dict[str, Activation]] = {
    "none": Activation(lambda Z: Z, lambda dA, Z, A: dA),
    "relu": Activation(lambda Z: np.maximum(Z, 0), lambda dA, Z, A: dA * (Z > 0)),
    "leaky-relu": Activation(lambda Z: Z * _leaky_slope(Z), lambda dA, Z, A: dA * _leaky_slope(Z)),
    "sigmoid": Activation(_sigmoid, lambda dA, Z, A: dA * A * (1 - A)),
    "tanh": Activation(np.tanh, lambda dA, Z, A: dA * (1 - A * A)),
    "abs": Activation(np.abs, lambda dA, Z, A: dA * np.sign(Z)),
}


def get_activation(name: str) -> Activation:
    """Return the activation of that name.

    Raises
    ------
    OptionError
        If there is none.

    Examples
    --------
    >>> import numpy as np
    >>> get_activation("relu").forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    if name not in ACTIVATIONS:
        raise OptionError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}",
            hint="--activation relu",
        )
    return ACTIVATIONS[name]
