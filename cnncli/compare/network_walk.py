"""Two networks on one picture, layer by layer: the first layer that differs, by how much and where.

Layers are matched by their names, else by their order, kind and shape. Of each network no more is
held than what its later layers need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from cnncli._dataclass import dataclass
from cnncli.compare.difference import Difference, Values, find_difference, rounding_of
from cnncli.core.arrays import Shape
from cnncli.errors import quote
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import ConvLayer, Layer, MergeLayer
from cnncli.network.passes import forward_layers

SHARE = 1e-5
"""Of a layer's largest value: what rounding may come to between two networks run by cnncli."""


@dataclass(frozen=True)
class Side:
    """One of the two networks.

    Parameters
    ----------
    name : Path or str
        The file, or the program that computes its layers.
    network : Network
    X : ndarray, shape (1, n_H, n_W, n_C)
        What goes into the network's first layer.
    runtime : callable, optional
        ``runtime(names, shapes)`` yields values of layers that another program computes; default:
        cnncli's own.
    comparable : list of str, optional
        The layers that have values there; default: all.
    """

    name: Path | str
    network: Network
    X: Values
    runtime: Callable[[Sequence[str], dict[str, Shape]], Iterator[tuple[str, Values]]] | None = None
    comparable: Sequence[str] | None = None

    @property
    def label(self) -> str:
        """What it is called in a sentence."""
        return quote(self.name) if isinstance(self.name, Path) else self.name

    def layers(self) -> list[tuple[str, str, Shape]]:
        """Return name, kind and shape of each layer that has values to compare."""
        shapes = self.network.shapes(self.X.shape)
        return [
            (node.name, _kind(node.layer), shapes[node.name])
            for node in self.network.nodes
            if self.comparable is None or node.name in self.comparable
        ]

    def values(self, names: Sequence[str]) -> Iterator[tuple[str, Values]]:
        """Compute those layers, one after the other."""
        if not names:
            return iter(())
        if self.runtime is not None:
            return self.runtime(names, self.network.shapes(self.X.shape))
        return forward_layers(self.network, self.X, names)


def _kind(layer: Layer | MergeLayer) -> str:
    """Return what layers are paired by: a dense layer may be a convolution elsewhere."""
    return "conv" if isinstance(layer, ConvLayer) else getattr(layer, "label", layer.op)


@dataclass(frozen=True)
class LayerPair:
    """A layer of one network beside that of the other.

    Parameters
    ----------
    names : (str, str)
    shapes : (tuple of int, tuple of int)
    difference : Difference, optional
        None where the shapes differ.
    """

    names: tuple[str, str]
    shapes: tuple[Shape, Shape]
    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Whether they are equal but for rounding."""
        return self.difference is not None and self.difference.equal


@dataclass(frozen=True)
class Walk:
    """What two networks have in common, and where they part.

    Parameters
    ----------
    names, labels : (str, str)
        Of both sides, as they are and as sentences call them.
    pairs : tuple of LayerPair
        In the order of the networks; the input is the first.
    unmatched : (tuple of str, tuple of str)
        Layers that only one of them has.
    causes : tuple of str
        What explains the first difference.
    """

    names: tuple[str, str]
    labels: tuple[str, str]
    pairs: tuple[LayerPair, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]
    causes: tuple[str, ...] = ()

    @property
    def first(self) -> LayerPair | None:
        """The first layer that differs."""
        return next((pair for pair in self.pairs if not pair.equal), None)

    @property
    def equal(self) -> bool:
        """Whether no layer differs."""
        return self.first is None


Explain = Callable[[LayerPair, Sequence[Sequence[str]], Values], Sequence[str]]


def walk(a: Side, b: Side, tolerance: float | None = None, explain: Explain | None = None) -> Walk:
    """Compare two networks layer by layer.

    Parameters
    ----------
    a, b : Side
    tolerance : float, optional
        Absolute; default: what rounding may come to, by each layer's largest value.
    explain : callable, optional
        ``explain(pair, matched, B)`` returns the likely causes of the first difference; `matched`
        are the names of the layers that have a partner, of each side, and `B` the second's values.

    Returns
    -------
    Walk

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.network.layers import PoolLayer
    >>> X = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> sides = [Side(m, Network.chain(PoolLayer(m)), X) for m in ("max", "min")]
    >>> walk(*sides).first.names
    ('pool1', 'pool1')
    """
    layers = a.layers(), b.layers()
    matched = match_layers(*layers)
    share = SHARE if b.runtime is None else 1e-4
    chosen = [[side[pair[k]][0] for pair in matched] for k, side in enumerate(layers)]
    pairs: list[LayerPair] = []
    causes: Sequence[str] = ()
    for (one, A), (other, B) in _both(a, b, chosen):
        difference = None
        if A.shape == B.shape:
            difference = find_difference(A, B, tolerance or rounding_of(A, B, share))
        pair = LayerPair((one, other), (A.shape, B.shape), difference)
        if not pair.equal and explain is not None:
            causes, explain = explain(pair, chosen, B), None
        pairs.append(pair)
        del A, B
    left = [
        tuple(name for name, _, _ in side if name not in names)
        for side, names in zip(layers, chosen, strict=True)
    ]
    names, labels = (str(a.name), str(b.name)), (a.label, b.label)
    return Walk(names, labels, tuple(pairs), (left[0], left[1]), tuple(causes))


def _both(
    a: Side, b: Side, chosen: Sequence[Sequence[str]]
) -> Iterator[tuple[tuple[str, Values], tuple[str, Values]]]:
    """Yield the input, unless another program has it too, and each matched layer of both."""
    if a.X is not b.X:
        yield (SOURCE, a.X), (SOURCE, b.X)
    yield from zip(_each(a, chosen[0]), _each(b, chosen[1]), strict=True)


def _each(side: Side, names: Sequence[str]) -> Iterator[tuple[str, Values]]:
    """Yield layers, one that is named again once more."""
    values = side.values(list(dict.fromkeys(names)))
    last = None
    for name in names:
        if last is None or last[0] != name:
            last = None
            last = next(values)
        yield last


def match_layers(
    a: Sequence[tuple[str, str, Shape]], b: Sequence[tuple[str, str, Shape]]
) -> list[tuple[int, int]]:
    """Return which layers belong together, in the order of both networks.

    Parameters
    ----------
    a, b : sequence of (str, str, Shape)
        Name, kind and shape of each layer.

    Examples
    --------
    >>> a = [("c1", "conv", (1, 4, 4, 8)), ("r1", "relu", (1, 4, 4, 8)), ("end", "pool", (1,))]
    >>> b = [("0", "conv", (1, 4, 4, 8)), ("end", "pool", (1,))]
    >>> match_layers(a, b)
    [(0, 0), (2, 1)]
    """
    pairs: list[tuple[int, int]] = []
    i = j = 0
    for block in _blocks([layer[:2] for layer in a], [layer[:2] for layer in b]):
        gap = [layer[1:] for layer in a[i : block.a]], [layer[1:] for layer in b[j : block.b]]
        for part in _blocks(*gap):
            pairs += [(i + part.a + k, j + part.b + k) for k in range(part.size)]
        pairs += [(block.a + k, block.b + k) for k in range(block.size)]
        i, j = block.a + block.size, block.b + block.size
    return pairs + _ends(a, b, pairs)


def _ends(
    a: Sequence[tuple[str, str, Shape]],
    b: Sequence[tuple[str, str, Shape]],
    pairs: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Return the two last layers if they are no pair yet: what networks give must be compared."""
    ends = len(a) - 1, len(b) - 1
    return [] if min(ends) < 0 or ends in pairs else [ends]


def _blocks(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    return SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
