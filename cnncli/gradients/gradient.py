"""The gradients of a unit: by the input, by every parameter, and through pools with winners."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import ConvLayer, FloatArray, Gradients, Layer, MergeLayer, PoolLayer
from cnncli.network.passes import Backward, Forward, forward
from cnncli.render.rounding_noise import STEPS

_NEVER_ROUNDING: Final = 1e-3
"""Relative to the gradient of the unit: of a larger gradient no look is taken at what it sums."""


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradients of one number: ``sum(upstream * output)`` of a layer.

    Parameters
    ----------
    done : Forward
        The passes up to that layer.
    upstream : ndarray
    backward : Backward
    """

    done: Forward
    upstream: FloatArray
    backward: Backward

    @property
    def value(self) -> float:
        """The number itself."""
        output = self.done.values[self.done.network.nodes[-1].name]
        # Other cells may be infinite, and 0 times infinity is no number.
        picked = self.upstream != 0
        return float(np.sum(self.upstream[picked] * output[picked], dtype=np.float64))

    @property
    def input(self) -> FloatArray:
        """By the network's input, shape (m, n_H, n_W, n_C)."""
        return self.backward.values[SOURCE]

    @cached_property
    def sum_bound(self) -> float:
        """How large the gradient by the input would be, roughly, if no sum in it cancelled.

        0 where nothing has cancelled for sure, which saves a second pass back.
        """
        if np.abs(self.input).max() > _NEVER_ROUNDING * np.abs(self.upstream).max():
            return 0.0
        last = self.done.network.names[-1]
        passed = self.done.backward({last: self.upstream}, np.random.default_rng(0))
        return float(np.abs(passed.values[SOURCE]).max())

    @property
    def is_rounding(self) -> bool:
        """Whether the gradient by the input is zero but for rounding, and not zero."""
        limit = STEPS * float(np.finfo(self.input.dtype).eps) * self.sum_bound
        return 0 < float(np.abs(self.input).max()) <= limit

    @property
    def parameters(self) -> dict[str, Gradients]:
        """By every parameter of every layer that has some, in the network's order."""
        gradients = self.backward.parameters
        names = self.done.network.names
        return {name: gradients[name] for name in names if gradients.get(name)}


def find_gradient(network: Network, X: FloatArray, layer: str, upstream: FloatArray) -> Gradient:
    """Run a network up to a layer and back.

    Parameters
    ----------
    network : Network
    X : ndarray, shape (m, n_H, n_W, n_C)
        Pixel values; gradients are by these, before the network's own normalisation.
    layer : str
    upstream : ndarray
        Of the shape of the layer's output.

    Returns
    -------
    Gradient
        Layers that the named one does not depend on have no part in it.

    Examples
    --------
    >>> X = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> found = find_gradient(Network.chain(PoolLayer()), X, "pool1", np.ones((1, 1, 1, 1)))
    >>> found.value, found.input.ravel().tolist()
    (3.0, [0.0, 0.0, 0.0, 1.0])
    """
    upstream = upstream.astype(X.dtype, copy=False)
    done = forward(network.until(layer), X)
    return Gradient(done, upstream, done.backward({layer: upstream}))


def parameter_names(layer: Layer | MergeLayer) -> tuple[str, ...]:
    """Name a layer's gradients; a convolution has one by its biases, given or not.

    Examples
    --------
    >>> parameter_names(PoolLayer())
    ()
    """
    names = tuple(layer.parameters)
    if isinstance(layer, ConvLayer):
        return ("W", "b", *(name for name in names if name not in ("W", "b")))
    return names


def strongest(gradient: FloatArray) -> FloatArray:
    """Return for each pixel the value of the channel that is largest without its sign.

    A sum over the channels would hide a unit that compares colours: there they cancel.

    Parameters
    ----------
    gradient : ndarray, shape (m, n_H, n_W, n_C)

    Returns
    -------
    ndarray, shape (m, n_H, n_W, 1)

    Examples
    --------
    >>> strongest(np.array([0.5, -2.0, 1.0]).reshape(1, 1, 1, 3)).ravel()
    array([-2.])
    """
    channel = np.abs(gradient).argmax(axis=3, keepdims=True)
    return np.take_along_axis(gradient, channel, axis=3)


def winning_pools(network: Network, layer: str) -> tuple[str, ...]:
    """Return the pools whose winners count: a layer that is one itself, or all before it.

    Raises
    ------
    OptionError
        If there is none with winners, by maximum or minimum.

    Examples
    --------
    >>> winning_pools(Network.chain(PoolLayer(), PoolLayer("average"), PoolLayer()), "pool2")
    ('pool1',)
    """
    pools = [
        node.name
        for node in network.until(layer).nodes
        if isinstance(node.layer, PoolLayer) and node.layer.mode in ("max", "min")
    ]
    if not pools:
        raise OptionError(f"--winners needs a max or min pool, layer {layer} depends on none")
    return (layer,) if layer in pools else tuple(pools)


def winner_counts(done: Forward, name: str) -> FloatArray:
    """Return how many windows of a max or min pool each of its input cells won.

    Parameters
    ----------
    done : Forward
    name : str
        The pool.

    Returns
    -------
    ndarray, shape of the pool's input
        Whole numbers; each window has one winner, the first in row-major order.

    Examples
    --------
    >>> X = np.array([[5.0, 1.0, 2.0]]).reshape(1, 1, 3, 1)
    >>> done = forward(Network.chain(PoolLayer(size=(1, 2), stride=1)), X)
    >>> winner_counts(done, "pool1").ravel()
    array([1., 0., 1.])
    """
    # The gradient of a sum of extremes goes to the winners, once for each window.
    node = done.network.node(name)
    counts, _ = node.layer.backward(np.ones_like(done.values[name]), done.caches[name])
    assert not isinstance(counts, tuple)
    return counts
