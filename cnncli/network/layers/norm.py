"""Normalisation by a picture's own values: instance, layer and group norm, and LRN over channels.

Means and variances are taken in float64 and in two passes, so that a large mean costs no digits.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.errors import OptionError, ShapeError
from cnncli.network.layers.axes import AXES, AxesDefaults, check_axes
from cnncli.network.layers.base import Gradients, Pointwise
from cnncli.network.layers.pointwise import check_per_channel, shared_gradient


class Normalization(AxesDefaults):
    """Values without their mean, divided by their deviation: ``gamma * (x - mean) / s + beta``.

    ``s`` is ``sqrt(var + epsilon)``. Those derived from it say which values belong together.
    """

    gamma: FloatArray
    beta: FloatArray
    epsilon: float

    @abstractmethod
    def groups_of(self, channels: int) -> int:
        """Return in how many groups channels are normalised."""

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """What was learned: ``gamma`` and ``beta``."""
        return {"gamma": self.gamma, "beta": self.beta}

    def output_shape(self, shape: Shape) -> Shape:
        """Check the numbers of each channel, and return the shape as it is."""
        for name, array in self.parameters.items():
            check_per_channel(name, array, shape[3])
        if not self.epsilon > 0:
            raise OptionError(f"epsilon must be above 0, got {self.epsilon:g}")
        groups = self.groups_of(shape[3])
        if groups < 1 or shape[3] % groups:
            raise ShapeError(f"channels must be a multiple of the groups, got {shape[3]}/{groups}")
        return shape

    def statistics(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the values that each value of maps is normalised with.

        Returns
        -------
        mean, var : ndarray of float64, shape (m, n_H or 1, n_W or 1, n_C)
        """
        _, mean, var = self._centred(self._grouped(X))
        shape = [
            n if axis == 0 or AXES[axis - 1] not in self.read_axes else 1
            for axis, n in enumerate(X.shape)
        ]
        shape[3] = X.shape[3]
        each = (*mean.shape[:3], mean.shape[3], X.shape[3] // mean.shape[3])
        mean = np.asarray(np.broadcast_to(mean, each).reshape(shape))
        return mean, np.asarray(np.broadcast_to(var, each).reshape(shape))

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the normalised values."""
        centred, _, var = self._centred(self._grouped(X))
        inverse = 1 / np.sqrt(var + self.epsilon)
        normal = (centred * inverse.astype(X.dtype)).reshape(X.shape)
        return np.asarray(normal * self.gamma.astype(X.dtype) + self.beta.astype(X.dtype))

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, ``gamma`` and ``beta``."""
        centred, _, var = self._centred(self._grouped(cache))
        inverse = (1 / np.sqrt(var + self.epsilon)).astype(cache.dtype)
        normal = centred * inverse
        sums = {
            "gamma": (dY * normal.reshape(dY.shape)).sum(axis=(0, 1, 2)),
            "beta": dY.sum(axis=(0, 1, 2)),
        }
        gradients = {name: shared_gradient(sums[name], v) for name, v in self.parameters.items()}
        d = self._grouped(dY * self.gamma.astype(dY.dtype))
        shares = self._mean(d) + normal * self._mean(d * normal)
        return ((d - shares) * inverse).reshape(cache.shape).astype(dY.dtype, copy=False), gradients

    def _grouped(self, X: FloatArray) -> FloatArray:
        """Return maps with their channels as (groups, channels of one)."""
        groups = self.groups_of(X.shape[3])
        grouped: FloatArray = X.reshape(*X.shape[:3], groups, X.shape[3] // groups)
        return grouped

    def _over(self) -> Iterator[int]:
        """The axes of grouped maps that are normalised together."""
        for axis, name in zip((1, 2, 4), AXES, strict=True):
            if name in self.read_axes:
                yield axis

    def _mean(self, X: FloatArray) -> FloatArray:
        mean = X.mean(axis=tuple(self._over()), keepdims=True, dtype=np.float64)
        return np.asarray(mean, X.dtype)

    def _centred(self, X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return values without their mean, the mean, and the variance, both in float64."""
        over = tuple(self._over())
        mean = X.mean(axis=over, keepdims=True, dtype=np.float64)
        centred = X - mean.astype(X.dtype)
        # What rounding left of the mean.
        rest = centred.mean(axis=over, keepdims=True, dtype=np.float64)
        centred -= rest.astype(X.dtype)
        return centred, mean, np.square(centred).mean(axis=over, keepdims=True, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class InstanceNormLayer(Normalization):
    """Each channel of each picture normalised by its own mean and variance (Ulyanov, 2016).

    Parameters
    ----------
    gamma, beta : ndarray, shape (n_C,) or (1,)
    epsilon : float
        Above 0.

    Examples
    --------
    >>> layer = InstanceNormLayer(np.ones(1), np.zeros(1), epsilon=1e-12)
    >>> layer.forward(np.array([1.0, 5.0]).reshape(1, 1, 2, 1))[0].ravel().round(6)
    array([-1.,  1.])
    """

    gamma: FloatArray
    beta: FloatArray
    epsilon: float = 1e-5
    op: ClassVar[str] = "instance-norm"
    label: ClassVar[str] = "instance-norm"
    read_axes: ClassVar[frozenset[str]] = frozenset({"rows", "columns"})

    def groups_of(self, channels: int) -> int:
        """Return as many groups as channels."""
        return channels


@dataclass(frozen=True, eq=False)
class GroupNormLayer(Normalization):
    """Groups of channels of each picture normalised by their mean and variance (Wu and He, 2018).

    Parameters
    ----------
    groups : int
        They divide the channels.
    gamma, beta : ndarray, shape (n_C,) or (1,)
    epsilon : float
        Above 0.

    Examples
    --------
    >>> layer = GroupNormLayer(2, np.ones(1), np.zeros(1), epsilon=1e-12)
    >>> layer.forward(np.array([1.0, 5.0, 2.0, 2.5]).reshape(1, 1, 1, 4))[0].ravel().round(6)
    array([-1.,  1., -1.,  1.])
    """

    groups: int
    gamma: FloatArray
    beta: FloatArray
    epsilon: float = 1e-5
    op: ClassVar[str] = "group-norm"
    read_axes: ClassVar[frozenset[str]] = frozenset(AXES)

    @property
    def label(self) -> str:
        """What a plan calls it."""
        return f"{self.op} {self.groups} groups"

    def groups_of(self, channels: int) -> int:
        """Return the groups that it was given."""
        return self.groups


@dataclass(frozen=True, eq=False)
class LayerNormLayer(Normalization):
    """Values normalised by the mean and variance over some axes (Ba, Kiros and Hinton, 2016).

    Parameters
    ----------
    gamma, beta : ndarray, shape (n_C,) or (1,)
    axes : tuple of str
        Some of `AXES`; channels alone: each pixel over its channels, as ConvNeXt and transformers
        have it.
    epsilon : float
        Above 0.

    Examples
    --------
    >>> layer = LayerNormLayer(np.ones(1), np.zeros(1), epsilon=1e-12)
    >>> layer.forward(np.array([1.0, 5.0]).reshape(1, 1, 1, 2))[0].ravel().round(6)
    array([-1.,  1.])
    """

    gamma: FloatArray
    beta: FloatArray
    axes: tuple[str, ...] = ("channels",)
    epsilon: float = 1e-5
    op: ClassVar[str] = "layer-norm"

    @property
    def label(self) -> str:
        """What a plan calls it."""
        return f"{self.op} over {', '.join(self.axes)}"

    @property
    def read_axes(self) -> frozenset[str]:
        """Return the axes that it was given."""
        return frozenset(self.axes)

    def output_shape(self, shape: Shape) -> Shape:
        """Check the axes too."""
        check_axes(self.axes)
        return super().output_shape(shape)

    def groups_of(self, channels: int) -> int:
        """Return one group, or one of each channel where channels stay apart."""
        return 1 if "channels" in self.axes else channels


@dataclass(frozen=True)
class LRNLayer(Pointwise):
    """Local response normalisation over neighbouring channels (Krizhevsky et al., 2012).

    ``x / (bias + alpha / size * squares) ** beta``, where ``squares`` is the sum of ``x * x`` over
    ``(size - 1) // 2`` channels before and ``size // 2`` after. PyTorch has them the other way
    round, which differs for an even size only.

    Parameters
    ----------
    size : int
        Channels that are summed.
    alpha, beta, bias : float
        PyTorch calls the bias k.

    Examples
    --------
    >>> layer = LRNLayer(3, alpha=3.0, beta=1.0)
    >>> layer.forward(np.array([1.0, 2.0]).reshape(1, 1, 1, 2))[0].ravel().round(4)
    array([0.1667, 0.3333])
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0
    op: ClassVar[str] = "lrn"

    @property
    def label(self) -> str:
        """What a plan calls it."""
        return f"{self.op} {self.size}"

    def output_shape(self, shape: Shape) -> Shape:
        """Check the settings, and return the shape as it is."""
        if self.size < 1:
            raise OptionError(f"size must be at least 1, got {self.size}")
        if not (self.bias > 0 and self.alpha >= 0):
            raise OptionError(
                f"bias must be above 0 and alpha not below, got {self.bias:g} and {self.alpha:g}"
            )
        return shape

    @property
    def _reach(self) -> tuple[int, int]:
        """Channels before and after."""
        return (self.size - 1) // 2, self.size // 2

    def channels(self, channel: int, count: int) -> slice:
        """Return the channels, of so many, whose squares are summed for one.

        Examples
        --------
        >>> LRNLayer(5).channels(1, 8)
        slice(0, 4, None)
        """
        before, after = self._reach
        return slice(max(0, channel - before), min(count, channel + after + 1))

    def _base(self, X: FloatArray) -> FloatArray:
        squares = _neighbours(np.square(X), *self._reach)
        return np.asarray(self.bias + self.alpha / self.size * squares, X.dtype)

    def compute(self, X: FloatArray) -> FloatArray:
        """Return the normalised values."""
        return np.asarray(X * self._base(X) ** -self.beta, X.dtype)

    def backward(self, dY: FloatArray, cache: FloatArray) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input."""
        base = self._base(cache)
        power = base**-self.beta
        # A channel takes part in the sums of those that have it as a neighbour.
        passed = _neighbours(dY * cache * power / base, *self._reach[::-1])
        dX = dY * power - 2 * self.alpha * self.beta / self.size * cache * passed
        return np.asarray(dX, dY.dtype), {}


def _neighbours(X: FloatArray, before: int, after: int) -> FloatArray:
    """Return for each channel the sum of those from so many before to so many after it."""
    count = X.shape[3]
    total = X.copy()
    for step in range(1, min(before, count - 1) + 1):
        total[..., step:] += X[..., :-step]
    for step in range(1, min(after, count - 1) + 1):
        total[..., :-step] += X[..., step:]
    return total
