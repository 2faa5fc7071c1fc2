"""Layers that change each pixel on its own: activations, scales and batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.activations import ACTIVATIONS, Activation, get_activation, slope_gradient
from cnncli.core.arrays import FloatArray, Shape, is_placeholder
from cnncli.errors import OptionError, ShapeError
from cnncli.network.layers.base import Gradients, Pointwise


@dataclass(frozen=True, eq=False)
class ActivationLayer(Pointwise):
    """An activation on its own.

    Parameters
    ----------
    activation : str
        A name of `ACTIVATIONS`.
    alpha : ndarray, shape (n_C,) or (1,), optional
    beta, low, high : float, optional
        Its settings, as its formula in `ACTIVATIONS` names them.

    Examples
    --------
    >>> ActivationLayer("relu").output_shape((1, 4, 4, 3))
    (1, 4, 4, 3)
    """

    activation: str
    alpha: FloatArray | None = None
    beta: float | None = None
    low: float | None = None
    high: float | None = None
    op: ClassVar[str] = "activation"

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """The slopes ``alpha`` of prelu."""
        learned = self.activation == "prelu" and self.alpha is not None
        return {"alpha": self.alpha} if learned and self.alpha is not None else {}

    def output_shape(self, shape: Shape) -> Shape:
        """Check the activation's name and settings and return the shape."""
        self.activation_for(np.dtype(float))
        if self.alpha is not None:
            check_per_channel("alpha", self.alpha, shape[3])
        settings = ACTIVATIONS[self.activation].settings
        low = settings.get("low") if self.low is None else self.low
        high = settings.get("high") if self.high is None else self.high
        if low is not None and high is not None and low > high:
            raise OptionError(f"low must be at most high, got {low:g} and {high:g}")
        return shape

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the activated values."""
        return self.activation_for(X.dtype).forward(X)

    @property
    def each_alone(self) -> bool:
        """Whether a value depends on itself alone: not on its channel or other channels."""
        return self.activation_for(np.dtype(float)).each_alone

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the activated values."""
        A = self.compute(X)
        return A, (X, A)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the values before the activation, and of learned slopes."""
        Z, A = cache
        slopes = {
            name: shared_gradient(slope_gradient(dY, Z), alpha)
            for name, alpha in self.parameters.items()
        }
        return self.activation_for(Z.dtype).backward(dY, Z, A), slopes

    def activation_for(self, dtype: np.dtype[Any]) -> Activation:
        """Return the activation with its settings in that dtype."""
        alpha = None if self.alpha is None else self.alpha.astype(dtype)
        settings = {"alpha": alpha, "beta": self.beta, "low": self.low, "high": self.high}
        chosen = {name: value for name, value in settings.items() if value is not None}
        return get_activation(self.activation, **chosen)


@dataclass(frozen=True, eq=False)
class ScaleLayer(Pointwise):
    """Each channel times a factor plus an offset.

    Parameters
    ----------
    factor, offset : ndarray, shape (n_C,) or (1,)
    whole : bool
        Whether results are rounded, half to even, as pixels for networks of whole numbers are. The
        gradient is that without rounding.

    Examples
    --------
    >>> layer = ScaleLayer(np.array([2.0]), np.array([0.5]))
    >>> layer.forward(np.ones((1, 1, 1, 3)))[0].ravel()
    array([2.5, 2.5, 2.5])
    """

    factor: FloatArray
    offset: FloatArray
    whole: bool = False
    op: ClassVar[str] = "scale"

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """``factor`` and ``offset``."""
        return {"factor": self.factor, "offset": self.offset}

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there is one number for all channels, or one for each."""
        for name, array in self.parameters.items():
            check_per_channel(name, array, shape[3])
        return shape

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the scaled values."""
        Y = np.asarray(X * self.factor.astype(X.dtype))
        np.add(Y, self.offset.astype(X.dtype), out=Y)
        return np.rint(Y) if self.whole else Y

    @property
    def each_alone(self) -> bool:
        """Whether one factor and one offset serve all channels."""
        return self.factor.size == self.offset.size == 1

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, the factors and the offsets."""
        sums = {"factor": (dY * cache).sum(axis=(0, 1, 2)), "offset": dY.sum(axis=(0, 1, 2))}
        gradients = {name: shared_gradient(sums[name], v) for name, v in self.parameters.items()}
        return dY * self.factor.astype(dY.dtype), gradients


@dataclass(frozen=True, eq=False)
class QuotientLayer(Pointwise):
    """Whole numbers divided as whole numbers: what is left over is dropped, toward zero.

    Parameters
    ----------
    divisor : ndarray, shape (n_C,) or (1,)

    Examples
    --------
    >>> layer = QuotientLayer(np.array([2.0]))
    >>> layer.forward(np.array([7.0, -7.0]).reshape(1, 1, 1, 2))[0].ravel()
    array([ 3., -3.])
    """

    divisor: FloatArray
    op: ClassVar[str] = "quotient"

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there is one number for all channels, or one for each, and none is 0."""
        check_per_channel("divisor", self.divisor, shape[3])
        if not is_placeholder(self.divisor) and not self.divisor.all():
            raise OptionError("divisor must not contain 0")
        return shape

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the quotients; division rounds right, so a whole quotient is never missed."""
        return np.trunc(X / self.divisor.astype(X.dtype))

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input: 0, for quotients stay or jump."""
        return np.zeros_like(dY), {}


@dataclass(frozen=True, eq=False)
class BatchNormLayer(Pointwise):
    """Batch normalisation with the statistics of training (Ioffe and Szegedy, 2015).

    ``gamma * (x - mean) / sqrt(var + epsilon) + beta``.

    Parameters
    ----------
    gamma, beta, mean, var : ndarray, shape (n_C,) or (1,)
    epsilon : float
        Above 0.

    Examples
    --------
    >>> one = np.ones(1)
    >>> layer = BatchNormLayer(2 * one, 3 * one, one, 4 * one, epsilon=1e-12)
    >>> round(layer.forward(np.full((1, 1, 1, 1), 5.0))[0].item(), 6)
    7.0
    """

    gamma: FloatArray
    beta: FloatArray
    mean: FloatArray
    var: FloatArray
    epsilon: float = 1e-5
    op: ClassVar[str] = "batchnorm"

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """What was learned, ``gamma`` and ``beta``, and what was counted, ``mean`` and ``var``."""
        return {"gamma": self.gamma, "beta": self.beta, "mean": self.mean, "var": self.var}

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there is one number for all channels, or one for each."""
        for name, array in self.parameters.items():
            check_per_channel(name, array, shape[3])
        if not self.epsilon > 0:
            raise OptionError(f"epsilon must be above 0, got {self.epsilon:g}")
        if not (self.var >= 0).all():
            raise OptionError("var must hold no number below 0")
        return shape

    @property
    def scale(self) -> ScaleLayer:
        """The factor and the offset it comes down to, in float64."""
        gamma, beta, mean, var = (v.astype(np.float64) for v in self.parameters.values())
        factor = gamma / np.sqrt(var + self.epsilon)
        return ScaleLayer(factor, beta - factor * mean)

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the normalised values."""
        return self.scale.compute(X)

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input and of all four parameters."""
        values = (v.astype(np.float64) for v in (self.gamma, self.mean, self.var))
        gamma, mean, var = (np.broadcast_to(v, cache.shape[3:]) for v in values)
        deviation = np.sqrt(var + self.epsilon)
        total, weighted = dY.sum(axis=(0, 1, 2)), (dY * cache).sum(axis=(0, 1, 2))
        dgamma = (weighted - mean * total) / deviation
        per_channel = {
            "gamma": dgamma,
            "beta": total,
            "mean": -total * gamma / deviation,
            "var": -0.5 * dgamma * gamma / (var + self.epsilon),
        }
        gradients = {
            name: shared_gradient(per_channel[name].astype(dY.dtype, copy=False), array)
            for name, array in self.parameters.items()
        }
        return dY * (gamma / deviation).astype(dY.dtype), gradients


def check_per_channel(name: str, array: FloatArray, channels: int) -> None:
    """Raise ShapeError unless an array holds one number, or one for each channel.

    Examples
    --------
    >>> check_per_channel("gamma", np.ones(1), 64)
    """
    if array.shape not in ((1,), (channels,)):
        need = "1 value" if channels == 1 else f"1 value or {channels}, one for each channel"
        got = array.size if array.ndim == 1 else f"shape {array.shape}"
        raise ShapeError(f"{name} must hold {need}, got {got}")


def shared_gradient(per_channel: FloatArray, parameter: FloatArray) -> FloatArray:
    """Return a parameter's gradient from those of each channel: a single number sums them all.

    Examples
    --------
    >>> shared_gradient(np.array([1.0, 2.0]), np.ones(1))
    array([3.])
    """
    same = parameter.shape == per_channel.shape
    return per_channel if same else per_channel.sum(keepdims=True)
