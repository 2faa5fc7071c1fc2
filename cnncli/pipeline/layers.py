"""Makes a single layer of what its options say, with filters as texts or arrays."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array
from cnncli.core.borders import asked_mode
from cnncli.core.choices import CONVENTION_NAMES, POOL_CONVENTION_NAMES
from cnncli.core.geometry import PaddingLike, Pair
from cnncli.core.pool import check_mode_settings
from cnncli.errors import OptionError, among, quote
from cnncli.network.layers import ConvLayer, PadLayer, PoolLayer
from cnncli.pipeline.networks import is_network

# What loads filters and networks is imported where it is needed: a pool starts sooner without.
if TYPE_CHECKING:
    from cnncli.filters.filter import Filter, LoadedArray
    from cnncli.network.graph import Node
    from cnncli.network.model import Model

FilterLike = str | os.PathLike[str] | Array
"""What ``--filter`` names, or an array of the same shapes."""

ConvOrPool = TypeVar("ConvOrPool", bound=ConvLayer | PoolLayer)


@dataclass(frozen=True, eq=False)
class ConvSettings:
    """The options of a convolution beside its filters, as `cnncli conv` has them.

    Parameters
    ----------
    filter_layout : {"hwio", "oihw"}
    bias : str, float or ndarray, optional
        A text as `load_bias` takes it, a number, or one number for each map.
    flip, normalize : bool
    pad_mode : str
    pad_value : float, optional
    convention : str, optional
        A name of `CONVENTIONS`.
    stride, padding, dilation, groups, activation, algorithm
        As in `ConvLayer`.
    """

    filter_layout: str = "hwio"
    bias: str | float | Array | None = None
    flip: bool = False
    normalize: bool = False
    pad_mode: str = "auto"
    pad_value: float | None = None
    convention: str | None = None
    stride: int | Pair = 1
    padding: PaddingLike = "same"
    dilation: int | Pair = 1
    groups: int = 1
    activation: str = "none"
    algorithm: str = "auto"


def pad_layer(padding: PaddingLike, pad_mode: str, pad_value: float | None) -> PadLayer:
    """Return a border, as `cnncli pad` adds it.

    Raises
    ------
    OptionError
        If the border copies cells and a value other than 0 was given.

    Examples
    --------
    >>> pad_layer((0, 0, 1, 2), "reflect", None).output_shape((1, 4, 4, 3))
    (1, 4, 7, 3)
    """
    return PadLayer(padding, asked_mode(pad_mode, pad_value), pad_value or 0.0)


def conv_layer(given: Sequence[FilterLike], settings: ConvSettings) -> ConvLayer:
    """Load filters and bias, and return their convolution.

    Parameters
    ----------
    given : sequence of str, path or ndarray
        Several filters make one bank.
    settings : ConvSettings

    Raises
    ------
    CnnCliError
        If a filter cannot be loaded, or an option does not fit.

    Examples
    --------
    >>> conv_layer(["sobel_h", np.ones((5, 5))], ConvSettings(stride=2)).filter.map_names
    ('sobel_h', 'filter')
    """
    from cnncli.filters import filter as filters
    from cnncli.network.conventions import CONVENTIONS, centres_lower

    mode = asked_mode(settings.pad_mode, settings.pad_value)
    banks = [load_any_filter(one, settings.filter_layout) for one in given]
    convention = CONVENTIONS.get(settings.convention or "")
    bank = filters.stack(
        banks,
        lower=centres_lower(settings.padding, settings.flip, convention),
        dilated=settings.dilation not in (1, (1, 1)),
    )
    bank = filters.flip(bank) if settings.flip else bank
    bank = filters.normalize(bank) if settings.normalize else bank
    if settings.bias is not None:
        bias = _load_bias(settings.bias, bank)
        bank = replace(bank, bias=bias.array, files=(*bank.files, *bias.files))
    layer = ConvLayer(
        filter=bank,
        bias=None,
        stride=settings.stride,
        padding=settings.padding,
        dilation=settings.dilation,
        groups=settings.groups,
        pad_mode=mode,
        pad_value=settings.pad_value or 0.0,
        activation=settings.activation,
        algorithm=settings.algorithm,
    )
    return _by_convention(layer, settings.convention, CONVENTION_NAMES)


def _load_bias(bias: str | float | Array, bank: Filter) -> LoadedArray:
    """Load the bias of a filter; where it does not fit, the filter's layout may be the cause."""
    from cnncli.filters.channels import naming_other_layout
    from cnncli.filters.files import load_bias
    from cnncli.filters.filter import LoadedArray

    with naming_other_layout(bank):
        if isinstance(bias, str):
            return load_bias(bias, bank.maps)
        loaded = LoadedArray(np.asarray(bias), "bias", "bias")
        return replace(loaded, array=loaded.per_map(bank.maps))


def pool_layer(given: Collection[str], convention: str | None = None, **fields: Any) -> PoolLayer:
    """Return a pool.

    Parameters
    ----------
    given : collection of str
        Names of the fields that were asked for, which the mode must not ignore.
    convention : str, optional
    **fields
        Those of `PoolLayer`.

    Examples
    --------
    >>> pool_layer(["size"], size=3, stride=2).output_shape((1, 7, 8, 3))
    (1, 3, 3, 3)
    """
    check_mode_settings(fields.get("mode", "max"), given)
    return _by_convention(PoolLayer(**fields), convention, POOL_CONVENTION_NAMES)


def model_of(layer: ConvLayer | PoolLayer, convention: str | None) -> Model:
    """Return the model of a layer that was made by a convention, with what its tool has not.

    Examples
    --------
    >>> layer = pool_layer(["size"], "torch", size=3, stride=2, padding="same")
    >>> model_of(layer, "torch").notes
    ('PyTorch has no padding same at a stride above 1, but --padding 1',)
    """
    from cnncli.network.conventions import CONVENTIONS
    from cnncli.network.model import Model

    notes = () if convention is None else CONVENTIONS[convention].missing_layer_notes(layer)
    return Model.of_layer(layer, notes)


def load_any_filter(given: FilterLike, layout: str) -> Filter:
    """Load what --filter names: also the filter and bias of a layer of a network.

    That is written as ``model.onnx:conv1``. An array is a filter itself.
    """
    from cnncli.filters.files import load_filter, split_layer
    from cnncli.filters.filter import from_array
    from cnncli.network.load import load_model

    if isinstance(given, np.ndarray):
        return from_array(given, layout=layout)
    text = os.fspath(given)
    path, name = split_layer(text)
    if not (is_network(path) and Path(path).is_file()):
        return load_filter(text, layout=layout, stdin=True)
    model = load_model(Path(path), part=True)
    node = _node_with_filter(model, path, name)
    layer: Any = node.layer
    found: Filter = layer.filter
    bias = layer.parameters.get("b")
    if bias is not None:
        found = replace(found, bias=bias if len(bias) == found.maps else bias.repeat(found.maps))
    return replace(found, files=model.files, notes=(*found.notes, *_other_settings(node)))


def _node_with_filter(model: Model, path: str, name: str) -> Node:
    """Return a layer by its name."""
    nodes = {n.name: n for n in model.network.nodes if isinstance(n.layer, ConvLayer)}
    try:
        found = model.find(name) if name else ""
        problem = f"a layer with a filter must be named: {', '.join(list(nodes)[:12]) or 'none'}"
    except OptionError:
        found = ""
        problem = f"no layer {quote(name)} with a filter{among(name, nodes)}"
    if found not in nodes:
        hint = f"write {quote(f'{path}:{next(iter(nodes))}')}" if nodes else None
        raise OptionError(problem, hint=hint, path=path)
    return nodes[found]


def _other_settings(node: Node) -> tuple[str, ...]:
    """Say which options a convolution needs to be that of a network's layer."""
    from cnncli.network.toml_writer import plain_settings

    settings = {"padding": "same"} | plain_settings(node.layer)
    if settings["padding"] == "same":
        del settings["padding"]
    options = " ".join(
        f"--{name.replace('_', '-')} {str(value).strip('()[]').replace(' ', '')}"
        for name, value in settings.items()
    )
    if getattr(node.layer, "alpha", None) is not None:
        options += ", and an alpha, which conv has no option for"
    return (f"{node.name}: the filter and bias alone; its layer has {options}",) if options else ()


def of_network(bank: Filter) -> bool:
    """Whether `load_any_filter` took it from a network, which knows the order of its axes."""
    return any(is_network(file) for file in bank.files)


def _by_convention(layer: ConvOrPool, name: str | None, names: Sequence[str]) -> ConvOrPool:
    if name is None:
        return layer
    if name not in names:
        raise OptionError(f"--convention must be one of {', '.join(names)}, got {name!r}")
    from cnncli.network.conventions import CONVENTIONS, by_convention

    return by_convention(layer, CONVENTIONS[name])
