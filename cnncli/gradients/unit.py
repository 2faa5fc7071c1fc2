"""Which unit a gradient is of, and the gradients of it: of the input and of every parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, ShapeError, among, quote
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import (
    ConvLayer,
    FloatArray,
    Gradients,
    Layer,
    MergeLayer,
    PoolLayer,
    Shape,
)
from cnncli.network.passes import Backward, Forward, forward
from cnncli.render.options import MapGroup
from cnncli.render.rounding_noise import STEPS

_FORM = "LAYER, LAYER:MAP or LAYER:MAP,ROW,COL"
_NEVER_ROUNDING: Final = 1e-3
"""Relative to the gradient of the unit: of a larger gradient no look is taken at what it sums."""

_NUMBERS = re.compile(r"\d{1,9}(,\d{1,9},\d{1,9})?")
_PAIR = re.compile(r"\d+,\d+")
_PLACED = re.compile(r"(?P<map>.+?)(?:,(?P<row>\d{1,9}),(?P<col>\d{1,9}))?")


@dataclass(frozen=True)
class Unit:
    """A layer's output, one of its maps, or one value of that; several values stand for their sum.

    Parameters
    ----------
    layer : str
    map : str, optional
        A channel's index or a map's name; None: all maps.
    position : (int, int), optional
        Row and column; None: the whole map.
    label : str
        What the map is called, if it was asked for by its number; for people to read.

    Examples
    --------
    >>> str(Unit("conv1", "7", (3, 4))), str(Unit("scores", "0", label="cat"))
    ('conv1:7,3,4', 'scores:0 (cat)')
    """

    layer: str
    map: str | None = None
    position: tuple[int, int] | None = None
    label: str = ""

    def __str__(self) -> str:
        part = "" if self.map is None else f":{self.map}"
        position = "" if self.position is None else f",{self.position[0]},{self.position[1]}"
        label = f" ({self.label})" if self.label else ""
        return f"{self.layer}{part}{position}{label}"


def parse_unit(text: str, find: Callable[..., str], classes: Sequence[str] = ()) -> Unit:
    """Read the text of ``--unit``.

    Parameters
    ----------
    text : str
        ``LAYER``, ``LAYER:MAP`` or ``LAYER:MAP,ROW,COL``; names may hold colons themselves.
    find : callable
        Returns the layer that a name stands for, or raises OptionError: `Model.find`.
    classes : sequence of str
        Names of the last layer's maps: of one alone the error says what it belongs to.

    Raises
    ------
    OptionError
        If it has another form, or there is no such layer.

    Examples
    --------
    >>> from cnncli.network.model import Model
    >>> parse_unit("pool1:0,2,3", Model.of_layer(PoolLayer()).find)
    Unit(layer='pool1', map='0', position=(2, 3), label='')
    """
    layer, colon, rest = text.rpartition(":")
    try:
        return Unit(find(text, numbers=False))
    except OptionError as error:
        if not colon:
            # Numbers alone are likely to be those of a map, and of a row and column.
            is_map = _NUMBERS.fullmatch(text)
            hint = f"--unit LAYER:{text}" if is_map else error.hint
            hint = f"--unit {quote(f'LAYER:{text}')}" if text in classes else hint
            raise type(error)(error.message, hint=hint, path=error.path) from None
    match = _PLACED.fullmatch(rest)
    if match is None or not layer:
        raise OptionError(f"--unit must be {_FORM}, got {text!r}")
    position = None if match["row"] is None else (int(match["row"]), int(match["col"]))
    return Unit(find(layer), match["map"], position)


def labelled(unit: Unit, groups: Sequence[MapGroup]) -> Unit:
    """Return a unit with the name of its map, where that is more than its number.

    Examples
    --------
    >>> labelled(Unit("scores", "1"), (MapGroup("cat", (0,)), MapGroup("dog", (1,)))).label
    'dog'
    """
    names = {str(group.channels[0]): group.name for group in groups if not group.colour}
    name = names.get(unit.map or "", "")
    # Numbered maps are called 3, or conv1-3.
    return unit if name.rpartition("-")[2] == unit.map or not name else replace(unit, label=name)


def unit_upstream(
    unit: Unit, shape: Shape, groups: Sequence[MapGroup], dtype: np.dtype[Any]
) -> FloatArray:
    """Return the upstream gradient that picks a unit out of its layer's output.

    Parameters
    ----------
    unit : Unit
    shape : (m, n_H, n_W, n_C)
        Of the layer's output.
    groups : sequence of MapGroup
        Its maps.
    dtype : dtype

    Returns
    -------
    ndarray, shape (m, n_H, n_W, n_C)
        1 where the unit is, else 0.

    Raises
    ------
    OptionError
        If there is no such map, row or column.

    Examples
    --------
    >>> groups = (MapGroup("left", (0,)), MapGroup("right", (1,)))
    >>> dY = unit_upstream(Unit("a", "right", (0, 1)), (1, 1, 2, 2), groups, np.dtype("float32"))
    >>> dY.tolist()
    [[[[0.0, 0.0], [0.0, 1.0]]]]
    """
    channels = _channels(unit, shape[3], groups)
    rows, cols = slice(None), slice(None)
    if unit.position is not None:
        rows = _within(unit, "row", unit.position[0], shape[1])
        cols = _within(unit, "column", unit.position[1], shape[2])
    dY = np.zeros(shape, dtype)
    dY[:, rows, cols, channels] = 1
    return dY


def check_upstream(upstream: FloatArray, shape: Shape, layer: str) -> FloatArray:
    """Return an upstream gradient that was given as (m, n_H, n_W, n_C).

    Raises
    ------
    ShapeError
        If it has not the shape of the layer's output; axes of a batch of one and of a single
        channel may be left out, as in images.
    OptionError
        If it holds NaN or infinities.

    Examples
    --------
    >>> check_upstream(np.ones((2, 3, 4)), (1, 2, 3, 4), "conv1").shape
    (1, 2, 3, 4)
    """
    shapes: list[tuple[int, ...]] = [shape]
    if shape[0] == 1:
        shapes += [shape[1:], *([shape[1:3]] if shape[3] == 1 else [])]
    if upstream.shape not in shapes:
        raise ShapeError(
            f"--upstream must have the shape of layer {layer}'s output, {shape}, "
            f"got {upstream.shape}"
        )
    if not np.isfinite(upstream).all():
        raise OptionError("--upstream must hold finite numbers, got NaN or infinity")
    return upstream.reshape(shape)


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


def _channels(unit: Unit, count: int, groups: Sequence[MapGroup]) -> list[int]:
    if unit.map is None:
        return list(range(count))
    if unit.map.isdecimal():
        # Python turns no text of thousands of digits into a number.
        if len(unit.map) > 9 or int(unit.map) >= count:
            raise OptionError(
                f"--unit: maps of layer {unit.layer} are 0 to {count - 1}, got {unit.map}"
            )
        return [int(unit.map)]
    named = {group.name: group.channels for group in groups if group.name}
    if unit.map not in named:
        words = [name for name in named if not name.isdecimal()]
        alike = among(unit.map, words) if words else f"; they are 0 to {count - 1}"
        hint = f"--unit {unit.layer}:MAP,ROW,COL" if _PAIR.fullmatch(unit.map) else None
        raise OptionError(f"--unit: layer {unit.layer} has no map {unit.map!r}{alike}", hint=hint)
    return list(named[unit.map])


def _within(unit: Unit, what: str, index: int, size: int) -> slice:
    if index >= size:
        raise OptionError(f"--unit: {what}s of layer {unit.layer} are 0 to {size - 1}, got {index}")
    return slice(index, index + 1)
