"""Networks made ready for one image after another: folded, filters and strips prepared."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod
from typing import Any, Final

import numpy as np

from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.folding import fold
from cnncli.network.graph import SOURCE, Network, Node, named_errors
from cnncli.network.layers.base import Layer, StripStage, has_strips
from cnncli.system import blas, progress
from cnncli.system.memory import note_held
from cnncli.system.threads import at_most, run_all

ALONE_VALUES: Final = 2**20
"""Values of an output below which each image of several is one thread's."""

KEPT_BYTES: Final = 64 * 2**20
"""Filters made ready that are kept for the next image, beyond the filters themselves."""


class PreparedNetwork:
    """A network whose layers are made ready once for images of one size.

    The first image is computed with nothing kept: often it is the only one. From the second on
    layers are kept, as long as their filters fit into `KEPT_BYTES`.

    Parameters
    ----------
    network : Network
    layers : collection of str
        Those whose outputs are wanted; at least one.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> prepared = PreparedNetwork(Network.chain(PoolLayer(), PoolLayer()), ["pool2"])
    >>> [(name, Y.shape) for name, Y in prepared.outputs(np.ones((1, 8, 8, 1)))]
    [('pool2', (1, 2, 2, 1))]
    """

    def __init__(self, network: Network, layers: Collection[str]) -> None:
        self.network, self.layers = network, frozenset(layers)
        self._folded = network
        self._last_use: dict[str, int] = {}
        self._stages: dict[str, tuple[Shape, np.dtype[Any], StripStage]] = {}
        self._chain: tuple[Shape, np.dtype[Any], StripStage] | None = None
        self.kept_bytes = self._passes = 0
        self._input: tuple[Shape, np.dtype[Any]] | None = None

    def outputs(self, X: FloatArray, jobs: int | None = None) -> Iterator[tuple[str, FloatArray]]:
        """Yield the wanted layers' names and outputs for images (m, n_H, n_W, n_C).

        An output is forgotten once no later layer needs it; each is an array of its own.
        """
        self._fold((1, *X.shape[1:]), X.dtype)
        self._passes += 1
        nodes, wanted = self._folded.nodes, set(self.layers)
        values = {SOURCE: X}
        del X
        for number, node in enumerate(nodes):
            progress.set_step(f"computing {node.name}", number, len(nodes))
            note_held(sum(V.nbytes for V in values.values()))
            with named_errors(self.network, node):
                values[node.name] = self._output(node, [values[i] for i in node.inputs], jobs)
            for name in [name for name in values if self._last_use.get(name, number) <= number]:
                if name != node.name:
                    del values[name]
            if node.name in wanted:
                yield node.name, values[node.name]
                wanted.remove(node.name)
                if not wanted:
                    return

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Return a chain as one stage, for strips of images (1, n_H, n_W, n_C); it is kept."""
        chain = self._chain
        if chain is None or chain[:2] != (shape, dtype):
            # In one piece, for threads that ask for several sizes at once.
            made = fold(self.network, self.layers, dtype).stage(shape, dtype)
            chain = self._chain = shape, dtype, made
        return chain[2]

    def _fold(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Begin anew for images (1, n_H, n_W, n_C) of another shape or dtype."""
        if (shape, dtype) == self._input:
            return
        self._stages.clear()
        self.kept_bytes = self._passes = 0
        self._folded = fold(self.network, self.layers, dtype)
        self._last_use = last_uses(self._folded)
        self._input = shape, dtype

    def _output(self, node: Node, inputs: list[FloatArray], jobs: int | None) -> FloatArray:
        if not has_strips(node.layer):
            with at_most(jobs):
                return node.layer.forward(*inputs)[0]
        (X,) = inputs
        stage = self._stage(node.name, node.layer, X)
        if len(X) == 1:
            return _one_output(stage, X, jobs)
        Y = np.empty((len(X), *stage.shape[1:]), X.dtype)
        # A small image is for one thread: then threads share the images.
        inner = 1 if prod(stage.shape) < ALONE_VALUES else jobs

        def make(image: int) -> None:
            Y[image : image + 1] = _one_output(stage, X[image : image + 1], inner)

        run_all(make, range(len(X)), jobs if inner == 1 else 1)
        return Y

    def _stage(self, name: str, layer: Layer, X: FloatArray) -> StripStage:
        shape = (1, *X.shape[1:])
        known = self._stages.get(name)
        if known is not None and known[:2] == (shape, X.dtype):
            return known[2]
        if known is not None:
            self.kept_bytes -= self._stages.pop(name)[2].filter_bytes
        stage = layer.stage(shape, X.dtype)
        if self._passes > 1 and self.kept_bytes + stage.filter_bytes <= KEPT_BYTES:
            self._stages[name] = shape, X.dtype, stage
            self.kept_bytes += stage.filter_bytes
        return stage


def _one_output(stage: StripStage, X: FloatArray, jobs: int | None) -> FloatArray:
    """Return a layer's output for one image."""
    if stage.whole is not None:
        return stage.whole(X, jobs)
    height = stage.shape[1]
    if stage.step >= height:
        with np.errstate(all="ignore"), blas.one_thread():
            made = stage.read(lambda a, b: X[:, a:b], 0, height).astype(X.dtype, copy=False)
        return made.copy() if np.may_share_memory(made, X) else made
    Y = np.empty(stage.shape, X.dtype)

    def make(first: int) -> None:
        last = min(first + stage.step, height)
        Y[:, first:last] = stage.read(lambda a, b: X[:, a:b], first, last)

    run_all(make, range(0, height, stage.step), jobs)
    return Y


class _LastPrepared:
    """Keeps the network that was prepared last: images of a batch go through the same one."""

    def __init__(self) -> None:
        self._known: PreparedNetwork | None = None

    def of(self, network: Network, layers: Collection[str]) -> PreparedNetwork:
        """Return a network prepared for some layers: the one that was asked for last, or anew."""
        known = self._known
        if (
            known is None
            or known.layers != frozenset(layers)
            or not same_layers(known.network, network)
        ):
            # Dropped first, so that memory never holds two.
            self._known = None
            known = self._known = PreparedNetwork(network, layers)
        return known


last_prepared: Final = _LastPrepared()


def same_layers(one: Network, other: Network) -> bool:
    """Tell whether two networks are the same layers, connected in the same way.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> same_layers(network, network.until("pool2")), same_layers(network, network.until("pool1"))
    (True, False)
    """
    return one is other or (
        len(one.nodes) == len(other.nodes)
        and all(
            a.layer is b.layer and (a.name, a.inputs) == (b.name, b.inputs)
            for a, b in zip(one.nodes, other.nodes, strict=True)
        )
    )


def last_uses(network: Network) -> dict[str, int]:
    """Return the number of the last layer that takes each output as its input.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> last_uses(Network.chain(PoolLayer(), PoolLayer()))
    {'input': 0, 'pool1': 1}
    """
    return {name: number for number, node in enumerate(network.nodes) for name in node.inputs}
