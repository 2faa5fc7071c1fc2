"""Network files in TOML: layers with the options of the commands, and weights from other files."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray
from cnncli.core.borders import asked_mode
from cnncli.core.choices import PREPARATIONS
from cnncli.core.pool import check_mode_settings
from cnncli.errors import FileProblem, ShapeError, among, one_line, printable, quote
from cnncli.filters import filter
from cnncli.filters.matrix_text import with_points
from cnncli.io.regular_files import open_regular
from cnncli.network.channel_counts import channel_counts, check_chain
from cnncli.network.class_names import read_class_names
from cnncli.network.conventions import CONVENTIONS, Convention, by_convention, centres_lower
from cnncli.network.dense import dense_bank, dense_input
from cnncli.network.error_context import error_context, in_file
from cnncli.network.graph import NORMALIZE, SOURCE, Network, Node, default_name
from cnncli.network.layers import DenseLayer, Layer, MergeLayer
from cnncli.network.model import Model
from cnncli.network.preparation import Preparation
from cnncli.network.toml_schema import read_fields
from cnncli.network.toml_types import COMMON, INPUT_FIELDS, LAYER_TYPES, NAMES_ELSEWHERE, TOP_LEVEL
from cnncli.network.weight_files import WeightFiles

MAX_BYTES: Final = 2**20
MAX_LAYERS: Final = 1_000
_MOST_BITS: Final = 4_096
# A name of n parts joined by dots takes the TOML reader n * n steps.
_MAX_STEPS: Final = 10**7
_DECIMAL: Final = re.compile(r"(?<![\w.\"'-])\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.])")
_NUMBER_WITH_COMMA: Final = re.compile(r"\w{1,40}\s*=\s*-?\d{1,20},\d{1,20}", re.ASCII)
_BARE_TEXT: Final = re.compile(r"([\w-]{1,40})\s*=\s*([A-Za-z./][^\s\"'\[\]{}]{0,80})")
"""A line with a text that has no quotes."""


def read(path: Path, *, weights: bool = True, prepare: Mapping[str, Any] | None = None) -> Model:
    """Read a network file; see `cnncli.network.load.load_model`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "net.toml")
    ...     size = path.write_text('[[layers]]\\ntype = "conv"\\nfilter = "edge"\\n')
    ...     read(path).network.names
    ('conv1',)
    """
    data = _content(path)
    with in_file(path):
        document = _parse(data)
        for name in document:
            if name not in TOP_LEVEL:
                raise FileProblem(f"no table {quote(name)}{among(name, TOP_LEVEL)}")
        arrays = WeightFiles(os.path.dirname(path), weights)
        with error_context("[input]"):
            fields = read_fields(_table(document.get("input", {})), INPUT_FIELDS)
            known: Mapping[str, Any] = PREPARATIONS.get(fields.pop("prep", ""), {})
            own = Preparation(**{**known, **fields})
            prepared = replace(own, **(prepare or {}))
            first = _normalize(prepared, prepare or ())
        nodes = _nodes(document.get("layers"), arrays, first, prepared)
        model = Model(
            Network(tuple(nodes)),
            prepared,
            tuple(dict.fromkeys([path, *arrays.files])),
            tuple(arrays.notes),
            classes=_classes(document.get("classes", ()), path),
            own_size=own.size,
            array_channels=own.channels,
        )
        # By the size that the file gives: another one is no fault of the file.
        check_chain(replace(model, input=own))
    return model


def _content(path: Path) -> bytes:
    with open_regular(path, name=os.fspath(path)) as stream:
        return stream.read(MAX_BYTES + 1)


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise FileProblem(
            f"a network file may have {MAX_BYTES} bytes, got more: that is {MAX_LAYERS} layers "
            "at the most, and no large arrays",
            hint="weights go into .npy, .npz or .safetensors files",
        )
    # Parsing takes long enough to look first.
    _check_count(len(re.findall(rb"^[ \t]*\[\[[ \t]*layers", data, re.MULTILINE)))
    try:
        text = data.decode("utf-8-sig")
        _check_names(text)
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise FileProblem("not a network file, which is TOML in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise FileProblem(
            f"not TOML: {one_line(error)}", hint=_toml_hint(str(error), text)
        ) from None
    _check_whole(document)
    return document


def _toml_hint(error: str, text: str) -> str | None:
    """Return what to write where brackets, quotes or the point of a decimal are missing."""
    if "('layers',)" in error:
        return "each layer begins with [[layers]]"
    at = re.search(r"\(at line (\d+),", error)
    line = text.split("\n")[int(at[1]) - 1].partition("#")[0].strip() if at else ""
    if _NUMBER_WITH_COMMA.fullmatch(line):
        return f"decimals have a point: {with_points(line)}"
    word = _BARE_TEXT.fullmatch(line) if error.startswith("Invalid value") else None
    if word is None:
        return None
    if word[2] in ("True", "False"):
        return f"write {word[1]} = {word[2].lower()}"
    return f'text needs quotes: {word[1]} = "{printable(word[2])}"'


def _check_count(layers: int) -> None:
    if layers > MAX_LAYERS:
        raise FileProblem(f"layers: at most {MAX_LAYERS} are read, got {layers}")


def _check_names(text: str) -> None:
    dots = (_DECIMAL.sub("", line).count(".") for line in text.splitlines())
    if sum(count * count for count in dots) > _MAX_STEPS:
        raise FileProblem("too many dotted names for a network file")


def _check_whole(document: dict[str, Any]) -> None:
    """Refuse whole numbers that Python reads but refuses to show, so that no message could."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise FileProblem(f"a whole number of more than {_MOST_BITS} bits")


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FileProblem("must be a table of fields")
    return value


def _normalize(prepared: Preparation, options: Collection[str]) -> list[Node]:
    """Return the layer of ``x = (x * scale - mean) / std``, if there is anything to do."""
    layer = prepared.layer(options)
    return [] if layer is None else [Node(NORMALIZE, layer, (SOURCE,))]


def _classes(value: Any, path: Path) -> tuple[str, ...]:
    """Return names of classes: a list of them, or a text file with one a line."""
    if isinstance(value, str) and value:
        with error_context("classes"):
            return read_class_names(path.parent / value)
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise FileProblem("classes must be a list of names, or a text file with one a line")
    return tuple(value)


def _nodes(
    tables: Any, arrays: WeightFiles, first: Sequence[Node], prepared: Preparation
) -> list[Node]:
    if not isinstance(tables, list) or not tables:
        hint = "layers stand in double brackets" if isinstance(tables, dict) else None
        raise FileProblem("at least one [[layers]] must be given", hint=hint)
    _check_count(len(tables))
    taken = {SOURCE, NORMALIZE}
    taken |= {table["name"] for table in tables if _has_name(table)}
    nodes, seen = list(first), {SOURCE, NORMALIZE}
    renamed = {SOURCE: nodes[-1].name if nodes else SOURCE}
    for number, table in enumerate(tables, 1):
        name = _layer_name(table, number, taken)
        with error_context(f"layer {printable(name)}"):
            if name in seen:
                raise FileProblem("name: it is taken already by another layer")
            layer, inputs = _layer(table, name, arrays)
            _check_inputs(inputs, seen - {NORMALIZE}, layer)
            before = nodes[-1].name if nodes else SOURCE
            sources = tuple(renamed.get(name, name) for name in inputs) or (before,)
        if isinstance(layer, _Matrix):
            layer = _dense(layer, nodes, sources[0], prepared)
        seen.add(name)
        nodes.append(Node(name, layer, sources, parameters=table.get("parameters")))
    return nodes


def _dense(
    matrix: _Matrix, nodes: Sequence[Node], source: str, prepared: Preparation
) -> DenseLayer:
    """Return a dense layer on what some nodes give; a fault of theirs is told as theirs."""
    try:
        with error_context(f"layer {printable(matrix.name)}"):
            return matrix.on(nodes, source, prepared)
    except FileProblem:
        if nodes:
            check_chain(Model(Network(tuple(nodes)), prepared))
        raise


def _has_name(table: Any) -> bool:
    return isinstance(table, dict) and isinstance(table.get("name"), str)


def _layer_name(table: Any, number: int, taken: set[str]) -> str:
    """Return a layer's own name, or the default one of its type."""
    if _has_name(table):
        return str(table["name"])
    kind = table.get("type") if isinstance(table, dict) else None
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        return f"{number} (of no name)"
    name = default_name(kind, taken)
    taken.add(name)
    return name


def _check_inputs(
    inputs: Sequence[str], known: set[str], layer: Layer | MergeLayer | _Matrix
) -> None:
    for name in inputs:
        if name not in known:
            raise FileProblem(
                f"inputs: {quote(name)} is no layer before it{among(name, sorted(known))}"
            )
    joins = LAYER_TYPES[layer.op].joins
    if not joins and len(inputs) > 1:
        raise FileProblem(f"inputs: {layer.op} takes one, got {len(inputs)}")
    if joins and len(inputs) < 2:
        raise FileProblem(f"inputs: {layer.op} takes at least 2, got {len(inputs)}")


def _layer(
    table: Any, name: str, arrays: WeightFiles
) -> tuple[Layer | MergeLayer | _Matrix, tuple[str, ...]]:
    kind = _table(table).get("type")
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        raise _unknown_type(kind)
    own = LAYER_TYPES[kind]
    values = read_fields(table, {**COMMON, **own.fields})
    inputs = values.pop("inputs", ())
    fields = {**own.defaults, **{k: v for k, v in values.items() if k not in COMMON}}
    convention = fields.pop("convention", None)
    if kind in ("conv", "conv-transpose"):
        _read_filter(kind, fields, name, arrays, CONVENTIONS.get(convention or ""))
    if kind == "pool":
        check_mode_settings(fields.get("mode", "max"), fields)
    if "pad_value" in fields:
        fields["pad_mode"] = asked_mode(fields.get("pad_mode", "auto"), fields["pad_value"])
    for key, schema in own.fields.items():
        if schema.array and key in fields:
            fields[key] = arrays.numbers(key, fields[key])
    if own.make is None:
        layout = fields.pop("filter_layout")
        matrix = arrays.matrix(fields.pop("filter"), layout)
        order = "chw" if layout == "oihw" else "hwc"
        return _Matrix(name, matrix, order, fields, arrays), inputs
    layer = own.make(**fields)
    if convention is not None:
        chosen = CONVENTIONS[convention]
        arrays.notes += tuple(f"{name}: {note}" for note in chosen.missing_layer_notes(layer))
        layer = by_convention(layer, replace(chosen, flip=chosen.flip and arrays.weights))
    return layer, inputs


def _unknown_type(kind: Any) -> FileProblem:
    if not isinstance(kind, str):
        got = "nothing" if kind is None else quote(str(kind))
        return FileProblem(f"type must be one of {', '.join(LAYER_TYPES)}, got {got}")
    meant = NAMES_ELSEWHERE.get(kind.lower().replace("_", "-"))
    near = "" if meant else among(kind, LAYER_TYPES, len(LAYER_TYPES))
    return FileProblem(f"no type {quote(kind)}{near}", hint=meant)


@dataclass(frozen=True, eq=False)
class _Matrix:
    """A dense layer before it is known how large its input is."""

    name: str
    weights: FloatArray
    order: str
    fields: Mapping[str, Any]
    arrays: WeightFiles
    op: ClassVar[str] = "dense"

    @property
    def turned_hint(self) -> str:
        """How a matrix that was read with rows for columns is given."""
        count, units = self.weights.shape
        other = "hwio" if self.order == "chw" else "oihw"
        return f'the matrix has {count} values in, {units} out: filter_layout = "{other}" turns it'

    def on(self, nodes: Sequence[Node], source: str, prepared: Preparation) -> DenseLayer:
        """Return the layer on what some nodes give."""
        counts = channel_counts(nodes, prepared)
        values, units = self.weights.shape
        find = partial(dense_input, nodes, source, prepared.size, counts)
        try:
            shape = find(values)
        except ShapeError as error:
            with suppress(ShapeError):
                find(units)
                raise FileProblem(str(error), hint=self.turned_hint) from error
            raise
        bank = dense_bank(self.name, self.weights, shape, self.order)
        fields = dict(self.fields)
        if "bias" in fields:
            fields["bias"] = self.arrays.bias(fields["bias"], units)
        return DenseLayer(bank, **fields)


def _read_filter(
    kind: str,
    fields: dict[str, Any],
    name: str,
    arrays: WeightFiles,
    convention: Convention | None = None,
) -> None:
    """Put the filter and the bias of a convolution in place of what names them."""
    layout = fields.pop("filter_layout")
    flip, normalize = fields.pop("flip", False), fields.pop("normalize", False)
    lower = centres_lower(fields.get("padding", "same"), flip, convention)
    dilated = fields.get("dilation", 1) not in (1, (1, 1))
    bank = arrays.bank(fields["filter"], layout, name, lower, dilated)
    # Both change values only, and without weights there are none.
    if flip and arrays.weights:
        bank = filter.flip(bank)
    if normalize and arrays.weights:
        bank = filter.normalize(bank)
    if kind == "conv-transpose" and bank.per_channel:
        # 2-D filters take one channel, and each makes a channel of the output.
        weights = bank.weights[..., None]
        bank = replace(bank, weights=weights, per_channel=False, map_names=(bank.name,))
    arrays.notes += bank.notes
    fields["filter"] = bank
    if "bias" in fields:
        turned = kind == "conv-transpose"
        count = bank.weights.shape[2] * fields.get("groups", 1) if turned else bank.maps
        fields["bias"] = arrays.bias(fields["bias"], count)
