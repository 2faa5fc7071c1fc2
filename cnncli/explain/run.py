"""Explains a value of an image's result: reads the image, finds the layer's inputs, explains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Generic, TypeVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box, Pair
from cnncli.errors import OptionError
from cnncli.explain.backward import BackwardExplanation, explain_backward
from cnncli.explain.explained_layer import (
    ExplainedLayer,
    LayerInput,
    array_input,
    check_position,
    find_index,
    strongest_output,
)
from cnncli.explain.forward import explain
from cnncli.explain.model import Explanation
from cnncli.explain.trail import Layers, Trail, find_trail
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.inner_cells import inner_cells
from cnncli.network.layers import ConvLayer, FloatArray, ViewLayer
from cnncli.network.passes import forward_layers, peak_bytes
from cnncli.pipeline.files import read_source
from cnncli.pipeline.input_notes import range_notes
from cnncli.pipeline.job import Job
from cnncli.pipeline.source import Source
from cnncli.render.options import MapGroup, channel_names
from cnncli.system.memory import check_memory

MOST_VALUES: Final = 2**22
"""An output of more values is searched near its middle only."""


@dataclass(frozen=True)
class ExplainRequest:
    """What is to be explained.

    Parameters
    ----------
    job : Job
        The network, and how images are read.
    layer : str, optional
        By default the last one.
    at : (row, column), optional
        Of the layer's output, by default as `strongest_output` says; backward of its input, by
        default the middle.
    map : str, optional
        Index or name; by default as `strongest_output` says, with `at` the first, backward all.
    image : int, optional
        Of a batch; by default the first.
    channel : str, optional
        Of the layer's input, backward; by default the first, of class scores the largest.
    is_shown : bool
        Whether the layer only shows the one before it, which is to be explained, as other maps.
    trail : bool
        Whether the trail of strongest contributions is wanted too.
    """

    job: Job
    layer: str | None = None
    at: Pair | None = None
    map: str | None = None
    image: int | None = None
    channel: str | None = None
    is_shown: bool = False
    trail: bool = False


AnyExplanation = TypeVar("AnyExplanation", Explanation, BackwardExplanation)


@dataclass(frozen=True, eq=False)
class ExplainResult(Generic[AnyExplanation]):
    """An explanation, and what it was made from.

    Parameters
    ----------
    explanation : Explanation or BackwardExplanation
    explained : ExplainedLayer
    picture : Picture
    image_notes : tuple of str
        On the image and the network.
    notes : tuple of str
        All: also what was chosen for want of an option.
    trail : Trail, optional
        From the value back to a pixel, where that was asked for.
    """

    explanation: AnyExplanation
    explained: ExplainedLayer
    picture: Picture
    image_notes: tuple[str, ...]
    notes: tuple[str, ...]
    trail: Trail | None = None


def run(request: ExplainRequest, source: Source) -> ExplainResult[Explanation]:
    """Read an image and explain one position of one layer's output.

    Raises
    ------
    CnnCliError
        If the image cannot be read, does not fit the network, or has no such position.
    """
    # Values of an image that are not finite are shown as they are.
    with np.errstate(all="ignore"):
        explained, picture = _open(request, source)
        groups, choices = explained.groups, []
        names = [group.name for group in groups]
        map_index = None if request.map is None else find_index("--map", request.map, names)
        is_any_map = request.map is None and len(groups) > 1
        if request.at is None:
            unpadded = _outputs_without_padding(request.job.network, explained)
            map_index, at, why = strongest_output(explained, map_index, unpadded)
            if is_any_map or not explained.is_scores:
                chosen = f"--at {at[0]},{at[1]}{f' --map {map_index}' if is_any_map else ''}"
                choices.append(f"{chosen} was chosen: {why}")
        else:
            map_index, at = map_index or 0, request.at
            if is_any_map:
                choices.append(f"map 0 of {len(groups)} is shown; --map K shows another")
        if request.is_shown:
            explained, stored_at, stored_map = _stored(request, picture, explained, at, map_index)
            choices.append(
                f"row {at[0]}, column {at[1]} of map {map_index} of {request.layer} is stored as "
                f"row {stored_at[0]}, column {stored_at[1]} of map {stored_map}"
            )
            at, map_index = stored_at, stored_map
        explanation = explain(explained, at, map_index)
        trail = _trail(request, picture, explanation) if request.trail else None
    notes = _notes(request, picture)
    return ExplainResult(explanation, explained, picture, notes, (*notes, *choices), trail)


def _outputs_without_padding(network: Network, explained: ExplainedLayer) -> Box | None:
    """The outputs of one convolution that see no padding, if they are half of all, or else all.

    None of any other network, and of an output with too many values to be looked at as a whole.
    """
    is_one = len(network.nodes) == 1 and isinstance(explained.layer, ConvLayer)
    if not is_one or explained.is_shares or math.prod(explained.output_shape) > MOST_VALUES:
        return None
    return inner_cells(network, explained.inputs[0].shape)


def run_backward(request: ExplainRequest, source: Source) -> ExplainResult[BackwardExplanation]:
    """Read an image and explain the gradient of one value of a layer's input.

    Raises
    ------
    CnnCliError
        As `run` says.
    """
    with np.errstate(all="ignore"):
        explained, picture = _open(request, source)
        _, n_H, n_W, n_C = explained.only_input.shape
        channel = find_index("--channel", request.channel, explained.only_input.names)
        are_scores = (n_H, n_W) == (1, 1) and request.channel is None and request.map is None
        names = [group.name for group in explained.groups]
        map_index = None if request.map is None else find_index("--map", request.map, names)
        if map_index is not None and request.channel is None and explained.layer.keeps_channels:
            channel = explained.groups[map_index].channels[0] % n_C
        elif are_scores:
            scores = explained.only_input.read((slice(0, 1), slice(0, 1)))[0, 0, 0]
            channel = int(np.where(np.isnan(scores), -np.inf, scores).argmax())
        at = (n_H // 2, n_W // 2) if request.at is None else request.at
        explanation = explain_backward(explained, at, channel, map_index)
    notes, choices = _notes(request, picture), []
    if request.at is None:
        choices.append(f"--at {at[0]},{at[1]} was chosen: the middle of the input")
    if request.channel is None and n_C > 1:
        largest = ", the largest value" if are_scores else ""
        choices.append(f"channel {channel} of {n_C} is shown{largest}; --channel C shows another")
    return ExplainResult(explanation, explained, picture, notes, (*notes, *choices))


def _open(request: ExplainRequest, source: Source) -> tuple[ExplainedLayer, Picture]:
    job, image = request.job, request.image or 0
    picture = read_source(source, job.read)
    count = picture.shape[0]
    if image >= count:
        raise OptionError(f"--image: images of {picture.name} are 0 to {count - 1}, got {image}")
    return find_layer(job.network, picture, request.layer, image), picture


def _stored(
    request: ExplainRequest, picture: Picture, shown: ExplainedLayer, at: Pair, map_index: int
) -> tuple[ExplainedLayer, Pair, int]:
    """Return the layer that another one shows, and where a value of it is stored there."""
    view, (source,) = shown.layer, shown.inputs
    assert isinstance(view, ViewLayer)
    check_position(at, shown.output_shape[1:3], "output")
    row, column, channel = view.source(source.shape, (*at, map_index))
    explained = find_layer(request.job.network, picture, source.name, request.image or 0)
    return replace(explained, name=shown.name), (row, column), channel


def _trail(request: ExplainRequest, picture: Picture, explanation: Explanation) -> Trail:
    """Follow the strongest contributions to the value that is explained."""
    network, name = request.job.network, explanation.layer
    start = network.node(name).inputs[0] if request.is_shown else name
    layers = every_layer(network.until(start), picture, explanation.image)
    trail = find_trail(layers, start, explanation.at, explanation.map)
    first, *others = trail.units
    return replace(trail, units=(replace(first, layer=name), *others))


def _notes(request: ExplainRequest, picture: Picture) -> tuple[str, ...]:
    count, shape = picture.shape[0], (1, *picture.shape[1:])
    notes = (*request.job.notes, *picture.notes, *request.job.network.notes(shape))
    notes += range_notes(picture)
    if request.image is not None or count == 1:
        return notes
    return (*notes, f"image 0 of {count} is shown; --image N shows another")


def find_layer(network: Network, picture: Picture, name: str | None, image: int) -> ExplainedLayer:
    """Return a layer of a network with the values that reach it from one image.

    Parameters
    ----------
    network : Network
    picture : Picture
    name : str, optional
        Of the layer; by default the last one.
    image : int
        Of the picture's batch.

    Raises
    ------
    OptionError, ShapeError
        If there is no such layer, or the picture does not fit.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.ones((1, 8, 8, 1)), 1.0, False, False, (), "a.npy")
    >>> explained = find_layer(Network.chain(PoolLayer(), PoolLayer()), picture, "pool2", 0)
    >>> explained.inputs[0].name, explained.inputs[0].shape
    ('pool1', (1, 4, 4, 1))
    """
    name = network.names[-1] if name is None else name
    network = network.until(name)
    node = network.node(name)
    if not node.layer.has_gradient:
        raise OptionError(
            f"layer {name} ({getattr(node.layer, 'label', node.layer.op)}) is run by onnx, "
            "and its arithmetic is not shown",
            hint=f"--layer of another one; cnncli run --layer {name} shows its values",
        )
    shape = (1, *picture.shape[1:])
    network.shapes(shape)
    groups = network.groups(input_groups(shape[3]))
    values = _layer_values(network, picture, image, [n for n in node.inputs if n != SOURCE])
    return _with_inputs(node, groups, values, picture, image)


def every_layer(network: Network, picture: Picture, image: int = 0) -> Layers:
    """Run a network on one image and return what gives each of its layers with its inputs.

    Parameters
    ----------
    network : Network
    picture : Picture
    image : int
        Of the picture's batch.

    Returns
    -------
    callable
        Takes the name of a layer and returns an `ExplainedLayer`.

    Raises
    ------
    CnnCliError
        If memory does not suffice for the outputs of all layers.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.ones((1, 8, 8, 1)), 1.0, False, False, (), "a.npy")
    >>> layers = every_layer(Network.chain(PoolLayer(), PoolLayer()), picture)
    >>> layers("pool2").inputs[0].name, layers("pool1").inputs[0].name
    ('pool1', 'input')
    """
    shape = (1, *picture.shape[1:])
    cells = sum(math.prod(each) for each in network.shapes(shape).values())
    needed = cells * picture.dtype.itemsize
    check_memory(needed, "keeping the layers' outputs", "a smaller image, or an earlier layer")
    groups = network.groups(input_groups(shape[3]))
    X = picture.values()[image : image + 1]
    values = dict(forward_layers(network, X, network.names))
    return lambda name: _with_inputs(network.node(name), groups, values, picture, image)


def _with_inputs(
    node: Node,
    groups: Mapping[str, tuple[MapGroup, ...]],
    values: Mapping[str, FloatArray],
    picture: Picture,
    image: int,
) -> ExplainedLayer:
    """Return a layer with the values of those that it reads, and the image's."""
    shape = (1, *picture.shape[1:])

    def image_rows(first: int, last: int) -> FloatArray:
        pixels = picture.pixels[image : image + 1, first:last]
        rows: FloatArray = picture.scaled(pixels)
        return rows

    inputs = tuple(
        LayerInput(SOURCE, shape, image_rows, channel_names(groups[SOURCE]))
        if before == SOURCE
        else array_input(values[before], before, channel_names(groups[before]))
        for before in node.inputs
    )
    own = groups[node.name]
    images = picture.shape[0]
    return ExplainedLayer(node.name, node.layer, inputs, own, picture.dtype, images, image)


def _layer_values(
    network: Network, picture: Picture, image: int, names: list[str]
) -> Mapping[str, FloatArray]:
    """Run a network as far as some of its layers, as `cnncli run` does."""
    if not names:
        return {}
    needed = peak_bytes(network, (1, *picture.shape[1:]), picture.dtype)
    check_memory(needed, "computing the layers before it", "a smaller image, or an earlier layer")
    X = picture.values()[image : image + 1]
    return dict(forward_layers(network, X, names))
