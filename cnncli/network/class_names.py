"""Names of classes as the names of a network's last maps."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cnncli.errors import FileProblem, ShapeError
from cnncli.io.regular_files import open_regular
from cnncli.io.safe_names import distinct
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.layers import ActivationLayer, ConvLayer, PoolLayer, SoftmaxLayer
from cnncli.render.options import channel_names

_KEEP_MAPS: Final = (ActivationLayer, PoolLayer, SoftmaxLayer)

_NUMBERED: Final = re.compile(r"(\d{1,9})[,;\t:] *(\S.*)")
MAX_BYTES: Final = 1 << 20
"""Of a file of names: far more than any list of classes has."""


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the names of a text file: one a line, empty lines left out.

    Lines that are all numbered in order, such as ``0,cat``, lose their numbers.

    Raises
    ------
    FileProblem
        If it cannot be read, is no text or holds no name.
    """
    try:
        with open_regular(path, name=os.fspath(path)) as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileProblem as error:
        error.hint = error.hint or "a text file with one name a line is needed"
        raise
    try:
        text = data.decode("utf-8-sig")
        if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
            raise FileProblem("a file of names must have one name a line, got JSON", path=path)
        lines = _without_numbers(text.splitlines())
    except UnicodeDecodeError:
        raise FileProblem(
            "a file of names must be text in UTF-8, one name a line", path=path
        ) from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names or len(data) > MAX_BYTES:
        raise FileProblem(
            f"a file of names must have at least one line and at most {MAX_BYTES} bytes", path=path
        )
    return names


def _without_numbers(lines: Sequence[str]) -> list[str]:
    """Return the second column of a table whose first one counts its lines, from 0 or 1.

    Examples
    --------
    >>> _without_numbers(["0,cat", "1,dog"]), _without_numbers(["7,up", "cat"])
    (['cat', 'dog'], ['7,up', 'cat'])
    """
    parted = [_NUMBERED.fullmatch(line.strip()) for line in lines if line.strip()]
    numbers = [int(one[1]) if one else -1 for one in parted]
    if not any(numbers == [*range(first, first + len(numbers))] for first in (0, 1)):
        return list(lines)
    return [one[2] for one in parted if one]


def with_class_names(network: Network, classes: Sequence[str]) -> Network:
    """Return a network whose scores bear the names of classes.

    Parameters
    ----------
    network : Network
        The scores are the maps of its last layer, and of the layers right before it that keep them
        apart: activations, pools and the convolution or dense layer that makes them.
    classes : sequence of str

    Raises
    ------
    ShapeError
        If the network has not that many scores.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> scores = Network.chain(ConvLayer(from_array(np.ones((1, 1, 3, 2)))))
    >>> named = with_class_names(scores, ["cat", "dog"])
    >>> [group.name for group in named.groups(input_groups(3))["conv1"]]
    ['cat', 'dog']
    """
    node, scores = network.nodes[-1], channels_out(network)
    if scores != len(classes):
        raise ShapeError(
            f"{len(classes)} names of classes do not fit the {scores or 'unknown number of'} maps "
            "of the last layer"
        )
    plain = ["".join(c if c.isprintable() else "_" for c in name) for name in classes]
    names = tuple(distinct(plain, match_case=True))
    named = {node.name: _named(node, names)}
    while isinstance(node.layer, _KEEP_MAPS) and node.inputs[0] != SOURCE:
        node = network.node(node.inputs[0])
        named[node.name] = _named(node, names)
    return replace(network, nodes=tuple(named.get(node.name, node) for node in network.nodes))


def channels_out(network: Network) -> int:
    """Return how many maps the last layer has; 0 if that depends on the picture's channels.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> channels_out(Network.chain(PoolLayer()))
    0
    """
    last = network.nodes[-1].name
    gray, colour = (len(channel_names(network.groups(input_groups(n))[last])) for n in (1, 3))
    return gray if gray == colour else 0


def _named(node: Node, names: tuple[str, ...]) -> Node:
    """Return a node whose maps, and filters where it has them, bear names."""
    layer = node.layer
    if isinstance(layer, ConvLayer):
        layer = replace(layer, filter=replace(layer.filter, map_names=names))
    return replace(node, layer=layer, maps=names)
