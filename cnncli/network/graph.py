"""`Network`: named layers, each on the outputs of earlier ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Final, cast

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box
from cnncli.errors import CnnCliError, OptionError, ShapeError, among
from cnncli.network.error_context import as_fields
from cnncli.network.layers import (
    BatchNormLayer,
    CellScaleLayer,
    ConvLayer,
    FloatArray,
    Layer,
    MergeLayer,
    PoolLayer,
    RowSource,
    ScaleLayer,
    Shape,
    StripStage,
)
from cnncli.network.layers.base import has_strips
from cnncli.render.options import MapGroup, numbered_groups, one_group_each

SOURCE: Final = "input"
"""What the network's own input is called among the inputs of its layers."""

MAX_CHANNELS: Final = 2**20
"""More than any network has; layers that multiply channels would soon have more than memory."""

NORMALIZE: Final = "normalize"
"""Name of the layer that scales the input as a network's file says."""


def describe_layer(name: str) -> str:
    """Return how messages call a layer: the first one may stand for what users know by options.

    Examples
    --------
    >>> describe_layer("conv1"), describe_layer(NORMALIZE)
    ('layer conv1', 'scale, mean and std of the input')
    """
    return "scale, mean and std of the input" if name == NORMALIZE else f"layer {name}"


@dataclass(frozen=True)
class Node:
    """A layer in its place.

    Parameters
    ----------
    name : str
        Unique in its network, and not `SOURCE`.
    layer : Layer or MergeLayer
    inputs : tuple of str
        Names of earlier nodes, or `SOURCE`.
    maps : tuple of str, optional
        Names of its output's channels; default: as the layer names them.
    parameters : int, optional
        How many of the layer's numbers were learned at the most; default: all.
    """

    name: str
    layer: Layer | MergeLayer
    inputs: tuple[str, ...]
    maps: tuple[str, ...] = ()
    parameters: int | None = None

    def with_input(self, old: str, new: str) -> Node:
        """Return the node that reads one layer in place of another."""
        return replace(self, inputs=tuple(new if name == old else name for name in self.inputs))


@dataclass(frozen=True)
class Network:
    """Layers in an order in which each comes after its inputs; the last one's output counts.

    Parameters
    ----------
    nodes : tuple of Node
    from_options : bool
        Whether its layers were made from a command's options: hints name these, and else the fields
        of a network file.

    Raises
    ------
    OptionError
        If there is no layer, a name is taken twice, or an input is no earlier layer.

    Examples
    --------
    >>> from cnncli.network.layers import PadLayer
    >>> network = Network.chain(PadLayer(1), PoolLayer("max", 2))
    >>> network.output_shape((1, 4, 6, 3)), [node.name for node in network.nodes]
    ((1, 3, 4, 3), ['pad1', 'pool1'])
    """

    nodes: tuple[Node, ...]
    from_options: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.nodes:
            raise OptionError("a network must have at least one layer")
        known = {SOURCE}
        for node in self.nodes:
            for name in node.inputs:
                if name not in known:
                    near = among(name, known)
                    raise OptionError(
                        f"layer {node.name}: its input {name!r} is no layer before it{near}"
                    )
            if node.name in known:
                raise OptionError(f"layer names must differ, got {node.name!r} twice")
            known.add(node.name)

    @classmethod
    def chain(cls, *layers: Layer) -> Network:
        """Return the network of layers of options one after the other, with default names."""
        nodes: list[Node] = []
        for layer in layers:
            name = default_name(layer.op, [node.name for node in nodes])
            nodes.append(Node(name, layer, (nodes[-1].name if nodes else SOURCE,)))
        return cls(tuple(nodes), from_options=True)

    @property
    def op(self) -> str:
        """The last layer's kind, which names the output."""
        return self.nodes[-1].layer.op

    @property
    def names(self) -> tuple[str, ...]:
        """All layers' names, in order."""
        return tuple(node.name for node in self.nodes)

    @property
    def is_chain(self) -> bool:
        """Whether every layer has one input: the one before it."""
        before = (SOURCE, *self.names)
        return all(node.inputs == (name,) for node, name in zip(self.nodes, before, strict=False))

    @property
    def has_strips(self) -> bool:
        """Whether it is a chain of layers that make any rows from the rows they need."""
        return self.is_chain and all(has_strips(node.layer) for node in self.nodes)

    @property
    def has_open_shapes(self) -> bool:
        """Whether only the values of some layers tell how large others are."""
        return any(getattr(node.layer, "is_open", False) for node in self.nodes)

    @property
    def has_doubles(self) -> bool:
        """Whether some layers make float64 of float32: whole numbers beyond 2**24."""
        return any(getattr(node.layer, "doubles", False) for node in self.nodes)

    @property
    def keeps_channels(self) -> bool:
        """Whether every output channel is a picture of one input channel."""
        return self.is_chain and all(node.layer.keeps_channels for node in self.nodes)

    @property
    def filters_channels(self) -> bool:
        """Whether 2-D filters work in it, and nothing that mixes channels."""
        return self.keeps_channels and any(isinstance(n.layer, ConvLayer) for n in self.nodes)

    @property
    def scales(self) -> bool:
        """Whether a layer multiplies or shifts values, so that those of pictures leave 0..1."""
        return any(
            isinstance(n.layer, (ScaleLayer, BatchNormLayer, CellScaleLayer)) for n in self.nodes
        )

    def node(self, name: str) -> Node:
        """Return the layer of that name.

        Raises
        ------
        OptionError
            If there is none; with the nearest names.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise OptionError(f"no layer {name!r} in the network{among(name, self.names)}")

    def until(self, name: str) -> Network:
        """Return the network of a layer and those that it depends on.

        Raises
        ------
        OptionError
            If there is no such layer.

        Examples
        --------
        >>> Network.chain(PoolLayer(), PoolLayer()).until("pool1").names
        ('pool1',)
        """
        needed = set(self.node(name).inputs) | {name}
        kept: list[Node] = []
        for node in reversed(self.nodes[: self.names.index(name) + 1]):
            if node.name in needed:
                kept.insert(0, node)
                needed.update(node.inputs)
        return self if len(kept) == len(self.nodes) else replace(self, nodes=tuple(kept))

    def with_layers_behind(self, layers: Mapping[str, Layer]) -> Network:
        """Return the network with one more layer behind some, which takes their name.

        What reads those layers goes on to do so; they are called ``NAME-stored`` then.

        Examples
        --------
        >>> Network.chain(PoolLayer(), PoolLayer()).with_layers_behind({"pool1": PoolLayer()}).names
        ('pool1-stored', 'pool1', 'pool2')
        """
        stored: dict[str, str] = {}
        for name in layers:
            own, number = f"{name}-stored", 1
            while own in self.names or own in stored.values():
                own, number = f"{name}-stored-{number}", number + 1
            stored[name] = own
        nodes: list[Node] = []
        for node in self.nodes:
            inputs = tuple(stored.get(name, name) for name in node.inputs)
            nodes.append(replace(node, name=stored.get(node.name, node.name), inputs=inputs))
            if node.name in layers:
                nodes.append(Node(node.name, layers[node.name], (stored[node.name],)))
        return replace(self, nodes=tuple(nodes))

    def shapes(self, shape: Shape) -> dict[str, Shape]:
        """Check every layer's shapes in turn and return all outputs' by name, the input's too.

        Raises
        ------
        ShapeError, OptionError
            As the first layer that does not fit says, with its name where there are several.
        """
        known = self._known_shapes.get(shape)
        if known is None:
            known = {SOURCE: shape}
            for node in self.nodes:
                with named_errors(self, node):
                    out = node.layer.output_shape(*(known[name] for name in node.inputs))
                    if out[3] > MAX_CHANNELS:
                        text = f"a layer may have {MAX_CHANNELS} channels, got {out[3]:.3g}"
                        raise ShapeError(text)
                known[node.name] = out
            # Each step of the work on an image asks, and images of a batch are often of one size.
            self._known_shapes.clear()
            self._known_shapes[shape] = known
        return dict(known)

    @cached_property
    def _known_shapes(self) -> dict[Shape, dict[str, Shape]]:
        """What `shapes` returned last."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Check every layer's shapes in turn and return the last output's.

        Raises
        ------
        ShapeError, OptionError
            As `shapes` says.
        """
        return self.shapes(shape)[self.nodes[-1].name]

    def groups(self, groups: Sequence[MapGroup]) -> dict[str, tuple[MapGroup, ...]]:
        """Return which channels of each layer belong together, and their names."""
        known = {SOURCE: tuple(groups)}
        for node in self.nodes:
            inputs = [known[name] for name in node.inputs]
            own = one_group_each(node.maps)
            known[node.name] = own or node.layer.output_groups(*inputs)
        return known

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return what the layers say of an input of that shape."""
        shapes = self.shapes(shape)
        notes = [note for node in self.nodes for note in node.layer.notes(shapes[node.inputs[0]])]
        return tuple(notes if self.from_options else map(as_fields, notes))

    def choices(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[str, ...]:
        """Say which algorithm each convolution takes in a dtype, and why."""
        shapes, texts = self.shapes(shape), []
        for node in self.nodes:
            if isinstance(node.layer, ConvLayer):
                choice = node.layer.choice(shapes[node.inputs[0]], dtype)
                which = f"{node.name} " if len(self.nodes) > 1 else ""
                texts.append(f"{which}computed by {choice.algorithm}: {choice.reason}")
        return tuple(texts)

    def reads(self, shape: Shape, name: str, box: Box) -> dict[str, Box]:
        """Return for every layer before one, and the input, the box of cells it is made from.

        Parameters
        ----------
        shape : Shape
            Of the network's input.
        name : str
            A layer.
        box : Box
            Cells of its output.

        Returns
        -------
        dict of str to Box
            With the box itself; layers that have no part in it are left out.

        Examples
        --------
        >>> network = Network.chain(PoolLayer(), PoolLayer())
        >>> network.reads((1, 8, 8, 1), "pool2", (slice(1, 2), slice(0, 1)))["input"]
        (slice(4, 8, None), slice(0, 4, None))
        """
        shapes, boxes = self.shapes(shape), {name: box}
        for node in reversed(self.until(name).nodes):
            for before in node.inputs:
                part = node.layer.reads(shapes[before], boxes[node.name])
                boxes[before] = _both(boxes[before], part) if before in boxes else part
        return boxes

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare a chain for strips of one image: each layer asks the one before for its rows."""
        assert self.has_strips, "only a chain of layers with strips is one stage"
        first, *more = (cast(Layer, node.layer) for node in self.nodes)
        chain = first.stage(shape, dtype)
        for layer in more:
            chain = _after(chain, layer.stage(chain.shape, dtype))
        return chain

    def pixel_dtype(self, shape: Shape, pixels: np.dtype[Any]) -> np.dtype[Any] | None:
        """Return the dtype in which whole numbers go through, None if they must become floats.

        Parameters
        ----------
        shape : Shape
        pixels : dtype
            Of the picture.

        Returns
        -------
        dtype or None
            For `stage`: its results are then what the scaled ones are, but for the scale.

        Examples
        --------
        >>> Network.chain(PoolLayer("min")).pixel_dtype((1, 4, 4, 1), np.dtype("uint16"))
        dtype('uint16')
        """
        first, *more = (node.layer for node in self.nodes)
        if more or pixels.kind != "u" or not isinstance(first, (ConvLayer, PoolLayer)):
            return None
        return first.pixel_dtype(shape, pixels)


@contextmanager
def named_errors(network: Network, node: Node) -> Iterator[None]:
    """Put the name of a layer before what goes wrong in it, where a network has several.

    Its hint names the fields of a network file, unless the layer was made from options.
    """
    try:
        yield
    except CnnCliError as error:
        text, hint = error.message, error.hint
        if len(network.nodes) > 1:
            text = f"{describe_layer(node.name)}: {text}"
        if hint is not None and not network.from_options:
            hint = as_fields(hint)
        raise type(error)(text, hint=hint, path=error.path) from error


def default_name(op: str, taken: Collection[str]) -> str:
    """Return the name of a layer that was given none: its kind and the first free number.

    Examples
    --------
    >>> default_name("conv", ["conv1", "pool1"])
    'conv2'
    """
    number = 1
    while f"{op}{number}" in taken:
        number += 1
    return f"{op}{number}"


def input_groups(channels: int) -> tuple[MapGroup, ...]:
    """Return the groups of an input: one colour picture for 3 channels, else each channel alone.

    Examples
    --------
    >>> input_groups(1), input_groups(3)[0].channels, [g.name for g in input_groups(2)]
    ((MapGroup(name='', channels=(0,)),), (0, 1, 2), ['0', '1'])
    """
    if channels == 1:
        return (MapGroup("", (0,)),)
    if channels == 3:
        return (MapGroup("", (0, 1, 2)),)
    return numbered_groups(channels)


def _after(before: StripStage, stage: StripStage) -> StripStage:
    """Return two stages as one: the second asks the first for its input."""

    def read(source: RowSource, first: int, last: int) -> FloatArray:
        return stage.read(lambda begin, end: before.read(source, begin, end), first, last)

    return StripStage(stage.shape, stage.step, read)


def _both(one: Box, other: Box) -> Box:
    """The smallest box that holds two; empty ones count for nothing."""
    pairs = [
        [side for side in sides if side.stop > side.start] or [slice(0, 0)]
        for sides in zip(one, other, strict=True)
    ]
    rows, cols = (
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in pairs
    )
    return rows, cols
