"""Writes networks as network files: readable TOML, and a file of weights beside it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli.core.geometry import explicit_pads
from cnncli.errors import FileProblem, OptionError, quote
from cnncli.filters.files import split_key
from cnncli.filters.filter import Filter
from cnncli.io import atomic
from cnncli.io.safe_names import safe_member
from cnncli.network.graph import NORMALIZE, SOURCE, Node
from cnncli.network.layers import ConvLayer, DenseLayer, FloatArray, Layer, MergeLayer
from cnncli.network.layers.view import Layout
from cnncli.network.model import Model
from cnncli.network.toml_reader import MAX_BYTES, MAX_LAYERS
from cnncli.network.toml_types import LAYER_TYPES
from cnncli.system.progress import set_step

WEIGHT_SUFFIXES: Final = (".npz", ".safetensors")
_ALWAYS_WRITTEN: Final = ("mode", "size", "padding")
"""Fields that are written though they are the default: few know what that is."""
_NAMED: Final = 5
"""Layers that a message names."""
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\"}


def write_network(
    model: Model, weights: str, comment: str = ""
) -> tuple[str, dict[str, FloatArray]]:
    """Return a network as the text of a network file, and the arrays the text names.

    Parameters
    ----------
    model : Model
        Its layers keep their names.
    weights : str
        The file of the arrays, ``.npz`` or ``.safetensors``, as the network file shall name it:
        relative to itself.
    comment : str
        First lines of the file.

    Returns
    -------
    text : str
    arrays : dict of str to ndarray
        ``conv1.weight`` and the like. Filters are HWIO; what is one number stands in the text.

    Raises
    ------
    OptionError
        If a name cannot be written.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> text, arrays = write_network(Model.of_layer(PoolLayer("max", 3, 2)), "net.npz")
    >>> print(text)
    [[layers]]
    name = "pool1"
    type = "pool"
    mode = "max"
    size = 3
    stride = 2
    padding = "valid"
    <BLANKLINE>
    """
    store = _Store(weights)
    set_step("gathering the weights")
    nodes = [node for node in model.network.nodes if node.name != NORMALIZE]
    _check_types(nodes)
    paragraphs = [[f"# {line}" for line in comment.splitlines()]]
    paragraphs.append([f"classes = {_value(model.classes)}"] if model.classes else [])
    paragraphs.append(_table("[input]", _input_fields(model).items()))
    before = SOURCE
    for node in nodes:
        paragraphs.append(_table("[[layers]]", _layer_fields(node, before, store)))
        before = node.name
    text = "\n\n".join("\n".join(lines) for lines in paragraphs if lines)
    return f"{text}\n", store.arrays


def _input_fields(model: Model) -> dict[str, Any]:
    """Return the fields of ``[input]``; files without a number of channels may have 1 or 3."""
    count = model.array_channels
    return model.input.given | ({} if count in (None, 1, 3) else {"channels": count})


def _check_types(nodes: Sequence[Node]) -> None:
    """Refuse layers that network files have no type for, and name them."""
    left = [index for index, node in enumerate(nodes) if node.layer.op not in LAYER_TYPES]
    if left:
        named = [nodes[index] for index in left[:_NAMED]]
        shown = ", ".join(f"{quote(node.name)} ({_kind(node.layer)})" for node in named)
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        before = nodes[left[0] - 1].name
        part = f"--until {before} takes the layers before" if left[0] else None
        raise OptionError(
            f"network files have no type for some layers, which stay ONNX only: {shown}{more}",
            hint=part,
        )


def _kind(layer: Layer | MergeLayer) -> str:
    return str(getattr(layer, "label", layer.op))


def encode_weights(arrays: Mapping[str, FloatArray], suffix: str) -> bytes:
    """Return arrays as the bytes of a file of weights.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    suffix : {".npz", ".safetensors"}
        Upper case will do.

    Raises
    ------
    FileProblem
        If the package for ``.safetensors`` is missing.

    Examples
    --------
    >>> encode_weights({"conv1.bias": np.zeros(2)}, ".npz")[:2]
    b'PK'
    """
    set_step("writing the weights")
    plain = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    if suffix.lower() == ".npz":
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **plain)
        return stream.getvalue()
    try:
        data: bytes = import_module("safetensors.numpy").save(plain)
    except ImportError:
        raise FileProblem(
            ".safetensors files need an extra package", hint="pip install 'cnncli[safetensors]'"
        ) from None
    return data


class _Store:
    """The arrays of a network on their way into one file."""

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self.arrays: dict[str, FloatArray] = {}

    def put(self, key: str, array: FloatArray) -> str:
        """Keep an array; return how a network file names it."""
        name, number = safe_member(key), 2
        while name in self.arrays:
            name, number = f"{safe_member(key)}-{number}", number + 1
        self.arrays[name] = array
        return f"{self.weights}:{name}"

    def numbers(self, key: str, array: FloatArray) -> str | float:
        """Keep an array of several numbers; one number stands for itself."""
        return array.item() if array.size == 1 else self.put(key, array)

    def matrix(self, key: str, bank: Filter) -> str:
        """Keep the filters of a dense layer, a column for each."""
        return self.put(key, bank.weights.reshape(-1, bank.maps))

    def bank(self, key: str, bank: Filter) -> str | list[str]:
        """Keep a filter; 2-D kernels are one text each."""
        if not bank.per_channel:
            return self.put(key, bank.weights)
        if bank.maps == 1:
            return self.put(key, bank.weights[..., 0])
        return [self.put(f"{key}.{index}", bank.weights[..., index]) for index in range(bank.maps)]


def _layer_fields(node: Node, before: str, store: _Store) -> Iterator[tuple[str, Any]]:
    yield "name", node.name
    yield "type", node.layer.op
    inputs = tuple(SOURCE if name == NORMALIZE else name for name in node.inputs)
    if inputs != (before,):
        yield "inputs", inputs
    if node.parameters is not None:
        yield "parameters", node.parameters
    is_dense = isinstance(node.layer, DenseLayer)
    for name, value in _settings(node.layer):
        if isinstance(value, Filter):
            key = f"{node.name}.weight"
            yield name, store.matrix(key, value) if is_dense else store.bank(key, value)
        elif isinstance(value, np.ndarray):
            yield name, store.numbers(f"{node.name}.{name}", value)
        elif name == "padding" and not isinstance(value, str):
            yield name, _brief_pads(value)
        elif not (is_dense and name == "padding"):
            yield name, value


def _settings(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a layer was given and is not its default, by the names of its fields."""
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.name == "bias" and value is None and isinstance(layer, ConvLayer):
            value = layer.filter.bias
        if isinstance(value, Layout):
            yield from _layout_settings(value)
            continue
        plain = not isinstance(value, (np.ndarray, Filter))
        default = plain and field.name not in _ALWAYS_WRITTEN and value == field.default
        if value is not None and not default:
            yield field.name, value


def _layout_settings(layout: Layout) -> Iterator[tuple[str, Any]]:
    """Yield how the input of a view is a tensor."""
    yield "axes", layout.axes
    if layout.flat:
        yield "flat", True
    if layout.dims is not None:
        yield "shape", [-1 if length is None else length for length in layout.dims]


def plain_settings(layer: Any) -> dict[str, Any]:
    """Return what a layer has beside arrays and is not the default, as a network file has it.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> plain_settings(PoolLayer(padding=(1, 1)))
    {'mode': 'max', 'size': 2, 'padding': 1}
    """
    return {
        name: _brief_pads(value) if name == "padding" and not isinstance(value, str) else value
        for name, value in _settings(layer)
        if not isinstance(value, np.ndarray | Filter)
    }


def _brief_pads(padding: Any) -> Any:
    """Return pads as one number, two or four."""
    (top, bottom), (left, right) = explicit_pads(padding)
    if top != bottom or left != right:
        return top, bottom, left, right
    return top if top == left else (top, left)


def _table(title: str, fields: Iterable[tuple[str, Any]]) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in fields]
    return [title, *lines] if lines else []


def _value(value: Any) -> str:
    """Return a value as TOML (https://toml.io/en/v1.0.0)."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return f"[{', '.join(_value(item) for item in value)}]"


def _text(text: str) -> str:
    """Return a basic string: what is not printable escaped, which TOML has for all of Unicode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise OptionError(f"a network file is UTF-8, and cannot name {quote(text)}") from None
    return f'"{"".join(_ESCAPES.get(c) or _shown(c) for c in text)}"'


def _shown(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08X}"


def check_files(network: Path, weights: Path, overwrite: bool) -> None:
    """Check that a network file and its weights can have these names.

    Raises
    ------
    OptionError
        For another suffix.
    FileProblem
        If one is there already, and may not be replaced.
    """
    if network.suffix.lower() != ".toml":
        raise OptionError(f"a network file must end in .toml, got {quote(network)}")
    if weights.suffix.lower() not in WEIGHT_SUFFIXES:
        raise OptionError(
            f"weights must go into {' or '.join(WEIGHT_SUFFIXES)}, got {quote(weights)}"
        )
    if split_key(f"{weights.name}:key") != (weights.name, "key"):
        raise OptionError(f"a network file cannot name {quote(weights.name)}")
    for path in (network, weights):
        if not path.parent.is_dir():
            raise atomic.no_folder_problem(path, hint="make it first")
        if os.path.lexists(path) and not overwrite:
            raise atomic.exists_problem(path)


def save_network(
    model: Model,
    path: Path,
    weights: Path,
    *,
    comment: str = "",
    overwrite: bool = False,
) -> dict[str, FloatArray]:
    """Write a network as a network file and a file of weights, each whole or not at all.

    Parameters
    ----------
    model : Model
        None of the files that it was read from is replaced.
    path, weights : Path
        The network file, and the ``.npz`` or ``.safetensors`` file that it names.
    comment
        As in `write_network`.
    overwrite : bool
        Whether files of these names may be replaced.

    Returns
    -------
    dict of str to ndarray
        What is in the file of weights; if that is nothing, there is none.

    Raises
    ------
    OptionError, FileProblem
        As `check_files`, or if a file cannot be written or would not be read again.

    Examples
    --------
    >>> import tempfile
    >>> from cnncli.network.layers import PoolLayer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, weights = Path(folder, "net.toml"), Path(folder, "net.npz")
    ...     arrays = save_network(Model.of_layer(PoolLayer()), path, weights)
    ...     len(arrays), path.exists(), weights.exists()
    (0, True, False)
    """
    check_files(path, weights, overwrite)
    read = {os.path.realpath(file): file for file in model.files}
    for file in (path, weights):
        if os.path.realpath(file) in read:
            raise OptionError("it is an input, and inputs are never replaced", path=file)
    name = os.path.relpath(weights, path.parent)
    text, arrays = write_network(model, name, comment)
    layers = len(model.network.nodes)
    if layers > MAX_LAYERS or len(text.encode()) > MAX_BYTES:
        raise FileProblem(f"a network of {layers} layers is too large for a file", path=path)
    data = encode_weights(arrays, weights.suffix)
    with atomic.open(path, overwrite=overwrite) as network:
        network.write(text.encode())
        # A full disk is met before either is put in place.
        network.flush()
        if arrays:
            # First, so that no network file ever names weights that are not there.
            with atomic.open(weights, overwrite=overwrite) as stream:
                stream.write(data)
    return arrays
