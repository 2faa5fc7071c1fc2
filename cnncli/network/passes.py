"""Forward and backward passes through a network, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import ConvLayer, FloatArray, Gradients, Shape
from cnncli.network.prepared import last_prepared, last_uses
from cnncli.system import progress


@dataclass(frozen=True, eq=False)
class Forward:
    """What a forward pass leaves for the backward pass.

    Parameters
    ----------
    network : Network
    values : dict of str to ndarray
        Every layer's output by name, and the input.
    caches : dict of str to object
        What each layer's backward pass needs.
    """

    network: Network
    values: dict[str, FloatArray]
    caches: dict[str, Any]

    def backward(
        self, upstream: Mapping[str, FloatArray], signs: np.random.Generator | None = None
    ) -> Backward:
        """Return the gradients of ``sum(upstream * value)`` over the layers named in it.

        Parameters
        ----------
        upstream : dict of str to ndarray
        signs : Generator, optional
            The gradient of each layer gets random signs before it goes on to the layer before: then
            nothing cancels, and what comes out is as large as the numbers that are added up.

        Examples
        --------
        >>> from cnncli.network.layers import PoolLayer
        >>> done = forward(Network.chain(PoolLayer("average")), np.ones((1, 2, 2, 1)))
        >>> done.backward({"pool1": np.ones((1, 1, 1, 1))}).values["input"].ravel()
        array([0.25, 0.25, 0.25, 0.25])
        """
        values: dict[str, FloatArray] = dict(upstream)
        parameters: dict[str, Gradients] = {}
        for number, node in enumerate(reversed(self.network.nodes)):
            if node.name not in values:
                continue
            progress.set_step(f"backward pass, {node.name}", number, len(self.network.nodes))
            dY = values[node.name]
            if signs is not None:
                dY = np.where(signs.random(dY.shape) < 0.5, -dY, dY)
            dX, gradients = node.layer.backward(dY, self.caches[node.name])
            parameters[node.name] = gradients
            dXs = dX if isinstance(dX, tuple) else (dX,)
            for name, own in zip(node.inputs, dXs, strict=True):
                values[name] = values[name] + own if name in values else own
        return Backward(values, parameters)


@dataclass(frozen=True, eq=False)
class Backward:
    """The gradients of one number.

    Parameters
    ----------
    values : dict of str to ndarray
        By every layer's output and the input (`SOURCE`); layers it does not depend on are left
        out.
    parameters : dict of str to (dict of str to ndarray)
        By every parameter of every layer.
    """

    values: dict[str, FloatArray]
    parameters: dict[str, Gradients]


def forward(network: Network, X: FloatArray) -> Forward:
    """Run a network and keep everything that its backward pass needs.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> sorted(forward(Network.chain(PoolLayer()), np.ones((1, 4, 4, 1))).values)
    ['input', 'pool1']
    """
    values, caches = {SOURCE: X}, {}
    for number, node in enumerate(network.nodes):
        progress.set_step(f"forward pass, {node.name}", number, len(network.nodes))
        inputs = (values[name] for name in node.inputs)
        values[node.name], caches[node.name] = node.layer.forward(*inputs)
    return Forward(network, values, caches)


def require_gradients(network: Network) -> None:
    """Raise OptionError if a layer of a network has no backward pass, and name it.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> require_gradients(Network.chain(PoolLayer()))
    """
    for number, node in enumerate(network.nodes):
        if not node.layer.has_gradient:
            before = network.names[number - 1] if number else None
            what = getattr(node.layer, "label", node.layer.op)
            why = getattr(node.layer, "why", "")
            raise OptionError(
                f"layer {node.name} ({what}) is run by onnx, and has no gradient"
                + (f": {why}" if why else ""),
                hint=before and f"a layer before it, such as {before}",
            )


def forward_layers(
    network: Network, X: FloatArray, layers: Collection[str] = (), jobs: int | None = None
) -> Iterator[tuple[str, FloatArray]]:
    """Run a network layer by layer; an output is forgotten once no later layer needs it.

    Batch normalisations and activations are folded into the convolutions before them, unless the
    output between is wanted. The network that ran last stays ready for the next image.

    Parameters
    ----------
    network : Network
    X : ndarray, shape (m, n_H, n_W, n_C)
    layers : collection of str
        Those whose outputs are yielded; without any, the last one's.
    jobs : int, optional
        Threads; default: one for each core. The bytes do not depend on it. They are those of
        `Network.stage` of the folded network, which depends on the layers asked for.

    Yields
    ------
    tuple of (str, ndarray)
        A layer's name and its output.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> outputs = forward_layers(network, np.ones((1, 8, 8, 1)), ["pool1", "pool2"])
    >>> [(name, Y.shape) for name, Y in outputs]
    [('pool1', (1, 4, 4, 1)), ('pool2', (1, 2, 2, 1))]
    """
    return last_prepared.of(network, layers or network.names[-1:]).outputs(X, jobs)


def peak_bytes(network: Network, shape: Shape, dtype: np.dtype[Any]) -> int:
    """Return the memory of the outputs that `forward_layers` holds together at the most.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> peak_bytes(Network.chain(PoolLayer()), (1, 4, 4, 1), np.dtype("float32"))
    80
    """
    return max(held_bytes(network, shape, dtype).values())


def held_bytes(network: Network, shape: Shape, dtype: np.dtype[Any]) -> dict[str, int]:
    """Return for each layer the memory of the outputs that `forward_layers` holds while it runs.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> held_bytes(network, (1, 4, 4, 1), np.dtype("float32"))
    {'pool1': 80, 'pool2': 20}
    """
    shapes, last_use = network.shapes(shape), last_uses(network)
    held, alive = {}, {SOURCE}
    for number, node in enumerate(network.nodes):
        alive.add(node.name)
        held[node.name] = sum(math.prod(shapes[name]) for name in alive) * dtype.itemsize
        alive = {name for name in alive if name == node.name or last_use.get(name, -1) > number}
    return held


def backward_bytes(network: Network, shape: Shape, dtype: np.dtype[Any]) -> int:
    """Estimate the memory that `forward` and `Forward.backward` take together at the most.

    Every layer's output and its gradient, what an activation in a convolution keeps beside them,
    and the largest of all four times more, for padded and temporary copies.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> backward_bytes(Network.chain(PoolLayer()), (1, 4, 4, 1), np.dtype("float32"))
    416
    """
    shapes = network.shapes(shape)
    sizes = {name: int(np.prod(size)) for name, size in shapes.items()}
    inside = sum(
        sizes[node.name]
        for node in network.nodes
        if isinstance(node.layer, ConvLayer) and node.layer.activation != "none"
    )
    return (2 * sum(sizes.values()) + inside + 4 * max(sizes.values())) * dtype.itemsize
