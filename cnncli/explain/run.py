"""One explanation from an image: read it, find the layer's inputs and the place, explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cnncli.core.geometry import Pair
from cnncli.errors import OptionError
from cnncli.explain.backward import Received, receive
from cnncli.explain.explained_layer import (
    Input,
    Subject,
    array_input,
    check_one_input,
    find_channel,
    find_map,
    telling_place,
)
from cnncli.explain.forward import explain
from cnncli.explain.model import Explanation
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, input_groups
from cnncli.network.layers import FloatArray, Shape
from cnncli.network.passes import forward_layers, peak_bytes
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Task
from cnncli.pipeline.outputs import Source, Target
from cnncli.render.options import channel_names
from cnncli.system.memory import check_memory


@dataclass(frozen=True)
class ExplainJob:
    """What is to be explained.

    Parameters
    ----------
    job : Job
        The network, and how images are read.
    layer : str, optional
        By default the last one.
    at : (row, column), optional
        Of the layer's output, by default the strongest of the middle part; of the way back of its
        input, by default the middle.
    map : str, optional
        Index or name; by default the first, of the way back all.
    image : int, optional
        Of a batch; by default the first.
    channel : str, optional
        Of the layer's input, for the way back; by default the first.
    """

    job: Job
    layer: str | None = None
    at: Pair | None = None
    map: str | None = None
    image: int | None = None
    channel: str | None = None


@dataclass(frozen=True, eq=False)
class Explained:
    """What came of it.

    Parameters
    ----------
    subject : Subject
        The layer with its inputs.
    explanation : Explanation
    picture : Picture
    notes : tuple of str
    """

    subject: Subject
    explanation: Explanation
    picture: Picture
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Returned:
    """What came of an explanation of the way back.

    Parameters
    ----------
    received : Received
    notes : tuple of str
    """

    received: Received
    notes: tuple[str, ...]


def run(wanted: ExplainJob, source: Source) -> Explained:
    """Read an image and explain one place of one layer.

    Raises
    ------
    CnnCliError
        If the image cannot be read, does not fit the network, or has no such place.
    """
    # What is not finite in an image is shown as it is.
    with np.errstate(all="ignore"):
        subject, picture, image = _open(wanted, source)
        index = find_map(wanted.map, subject.groups)
        at = telling_place(subject, index) if wanted.at is None else wanted.at
        found = explain(subject, at, index, image)
    notes = (*_notes(wanted, picture), *_choices(wanted, found))
    return Explained(subject, found, picture, notes)


def run_backward(wanted: ExplainJob, source: Source) -> Returned:
    """Read an image and explain what comes back to one place of a layer's input.

    Raises
    ------
    CnnCliError
        As `run` says.
    """
    with np.errstate(all="ignore"):
        subject, picture, image = _open(wanted, source)
        given = check_one_input(subject, "--backward")
        channel = find_channel(wanted.channel, given)
        index = None if wanted.map is None else find_map(wanted.map, subject.groups)
        at = (given.shape[1] // 2, given.shape[2] // 2) if wanted.at is None else wanted.at
        found = receive(subject, at, channel, index, image)
    notes = _notes(wanted, picture)
    if wanted.at is None:
        notes += (f"--at {at[0]},{at[1]} was chosen: the middle of the input",)
    if wanted.channel is None and given.shape[3] > 1:
        notes += (f"channel 0 of 0 to {given.shape[3] - 1}; --channel takes another",)
    return Returned(found, notes)


def _open(wanted: ExplainJob, source: Source) -> tuple[Subject, Picture, int]:
    job = wanted.job
    picture = LocalFiles(job.output).read(job, Task(0, Target("stdout", source, "-", "explain")))
    image = _image(wanted.image, picture)
    return find_subject(job.network, picture, wanted.layer, image), picture, image


def _notes(wanted: ExplainJob, picture: Picture) -> tuple[str, ...]:
    shape = (1, *picture.shape[1:])
    return (*wanted.job.notes, *picture.notes, *wanted.job.network.notes(shape))


def _image(number: int | None, picture: Picture) -> int:
    count = picture.shape[0]
    if number is not None and number >= count:
        raise OptionError(f"--image: images of {picture.name} are 0 to {count - 1}, got {number}")
    return number or 0


def _choices(wanted: ExplainJob, found: Explanation) -> tuple[str, ...]:
    """Say what was chosen for want of an option."""
    said = []
    if wanted.at is None:
        place = f"{found.at[0]},{found.at[1]}"
        said.append(f"--at {place} was chosen: the strongest output of the middle part")
    if wanted.map is None and found.maps > 1:
        said.append(f"map 0 of 0 to {found.maps - 1}; --map takes another, by index or name")
    return tuple(said)


def find_subject(network: Network, picture: Picture, layer: str | None, image: int) -> Subject:
    """Return a layer of a network with the values that reach it from one image.

    Parameters
    ----------
    network : Network
    picture : Picture
    layer : str, optional
        By default the last one.
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
    >>> subject = find_subject(Network.chain(PoolLayer(), PoolLayer()), picture, "pool2", 0)
    >>> subject.inputs[0].name, subject.inputs[0].shape
    ('pool1', (1, 4, 4, 1))
    """
    name = network.names[-1] if layer is None else layer
    network = network.until(name)
    node = network.node(name)
    shape = (1, *picture.shape[1:])
    shapes, groups = network.shapes(shape), network.groups(input_groups(shape[3]))
    values = _layer_values(network, picture, image, [n for n in node.inputs if n != SOURCE])

    def one(each: str) -> Input:
        names = channel_names(groups[each])
        if each == SOURCE:
            return picture_input(picture, image, names)
        return array_input(values[each], each, names)

    inputs = tuple(one(each) for each in node.inputs)
    assert node.layer.output_shape(*(given.shape for given in inputs)) == shapes[name]
    return Subject(name, node.layer, inputs, groups[name], picture.dtype)


def picture_input(picture: Picture, image: int, names: tuple[str, ...]) -> Input:
    """Return one image of a picture as an input, of which no more is read than is asked for."""

    def rows(first: int, last: int) -> FloatArray:
        pixels = picture.pixels[image : image + 1, first:last]
        values: FloatArray = picture.scaled(pixels)
        return values

    shape: Shape = (1, *picture.shape[1:])
    return Input(SOURCE, shape, rows, names)


def _layer_values(
    network: Network, picture: Picture, image: int, names: list[str]
) -> Mapping[str, FloatArray]:
    """Run a network as far as some of its layers, as `cnncli run` does."""
    if not names:
        return {}
    needed = peak_bytes(network, (1, *picture.shape[1:]), picture.dtype)
    check_memory(needed, "the layers before it", "a smaller image, or an earlier layer")
    X = picture.values()[image : image + 1]
    return dict(forward_layers(network.with_batchnorm_folded(keep=names), X, names))
