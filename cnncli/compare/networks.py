"""Compares two networks, or one and ONNX Runtime, on one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from cnncli.compare.difference import Values
from cnncli.compare.network_causes import NetworkCauses, NetworkPicture
from cnncli.compare.network_walk import Side, Walk, walk
from cnncli.compare.onnx_values import runtime_bytes, runtime_names, runtime_values
from cnncli.errors import OptionError, ShapeError, quote
from cnncli.io.npy import read_npy
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import NORMALIZE, SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, ConvLayer
from cnncli.network.model import Model
from cnncli.network.passes import peak_bytes
from cnncli.system.memory import check_memory, memory_limit

RUNTIME: Final = "onnxruntime"


def compare_networks(
    models: Sequence[Model],
    image: Path,
    read: ReadOptions,
    tolerance: float | None = None,
    runtime: bool = False,
    tensor: Path | None = None,
) -> Walk:
    """Compare two networks layer by layer.

    Parameters
    ----------
    models : sequence of Model
        One or two.
    image : Path
        The picture that goes through both.
    read : ReadOptions
    tolerance : float, optional
        As in `walk`.
    runtime : bool
        Whether ONNX Runtime runs the last of them, which must come from an ONNX file.
    tensor : Path, optional
        With one model: a ``.npy`` array that goes in on the second side, as another program
        prepared it, in the model's order of axes or with channels last.

    Raises
    ------
    CnnCliError
        If the picture does not fit, or ONNX Runtime is missing.
    """
    picture = NetworkPicture(image, read)
    sides = [_side(model, picture.prepared(model, model.input)) for model in models]
    if tensor is not None:
        given = _read_tensor(tensor, read, sides[0].X.shape[3])
        sides.append(replace(sides[0], name=tensor, X=given))
        sides[0] = replace(sides[0], name=image)
    if runtime:
        same, last = len(models) == 1, sides[-1]
        made = _runtime_side(models[-1], last.X)
        sides = [sides[0], made if tensor is None else replace(made, name=last.name)]
        if same:
            sides[0] = replace(sides[0], comparable=made.comparable)
    a, b = sides
    own = [side for side in sides if side.runtime is None]
    needed = sum(peak_bytes(side.network, side.X.shape, side.X.dtype) for side in own)
    if runtime:
        needed += runtime_bytes(models[-1], b.network.shapes(b.X.shape))
    check_memory(needed, "comparing the networks", "a smaller picture", limit=read.max_memory)
    causes = NetworkCauses(a, b, models, picture, tensor is not None)
    with memory_limit(read.max_memory):
        return walk(a, b, tolerance, causes.explain)


def _read_tensor(path: Path, read: ReadOptions, channels: int) -> Values:
    """Return the first image of an array (N, C, H, W) or (N, H, W, C), as numbers."""
    T = read_npy(path, name=os.fspath(path), max_bytes=read.max_input_bytes)
    T = T[None] if T.ndim == 3 else T
    if T.ndim != 4 or channels not in (T.shape[1], T.shape[3]) or T.dtype.kind not in "fiu":
        raise ShapeError(f"numbers (N, {channels}, H, W) must be given, got {T.shape}", path=path)
    X = np.moveaxis(T, 1, -1) if T.shape[3] != channels or T.shape[1] == channels else T
    dtype = T.dtype if T.dtype in (np.float32, np.float64) else np.float32
    return np.ascontiguousarray(X[:1], dtype)


def _side(model: Model, X: Values) -> Side:
    return Side(model.files[0], plain_layers(model.network), X)


def _runtime_side(model: Model, X: Values) -> Side:
    path = model.files[0]
    if not model.tensors:
        raise OptionError(f"{RUNTIME} runs .onnx files, got {quote(path)}")
    side = _side(model, X)
    values = partial(runtime_values, model, X)
    return replace(side, name=RUNTIME, runtime=values, comparable=runtime_names(model))


def plain_layers(network: Network) -> Network:
    """Return a network without the scale of its input, and activations as layers of their own.

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> import numpy as np
    >>> layer = ConvLayer(from_array(np.ones((3, 3))), activation="relu")
    >>> plain_layers(Network.chain(layer)).names
    ('conv1', 'conv1-relu')
    """
    nodes: list[Node] = []
    renamed = {NORMALIZE: SOURCE}
    for node in network.nodes:
        if node.name == NORMALIZE:
            continue
        layer = node.layer
        node = Node(node.name, layer, tuple(renamed.get(name, name) for name in node.inputs))
        if not isinstance(layer, ConvLayer) or layer.activation == "none":
            nodes.append(node)
            continue
        name = f"{node.name}-{layer.activation}"
        plain = replace(layer, activation="none", alpha=None)
        active = ActivationLayer(layer.activation, layer.alpha)
        nodes += [replace(node, layer=plain), Node(name, active, (node.name,))]
        renamed[node.name] = name
    return replace(network, nodes=tuple(nodes))
