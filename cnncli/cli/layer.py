"""From the options of a command to one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from cnncli.filters.filter import Filter
    from cnncli.io.images import ReadOptions
    from cnncli.network.layers import ConvLayer, PoolLayer

AnyLayer = TypeVar("AnyLayer", bound="ConvLayer | PoolLayer")

_CONV_FIELDS: Final = (
    *("stride", "padding", "dilation", "groups", "pad_mode", "pad_value", "activation"),
    "algorithm",
)
CONV_OPTIONS: Final = (
    *("filter_texts", "filter_layout", "bias", "flip", "normalize"),
    *_CONV_FIELDS,
    "convention",
)
"""Names of the options that make a convolution."""

_POOL_FIELDS: Final = (
    *("mode", "size", "stride", "padding", "dilation", "ceil", "count_include_pad", "p"),
)
POOL_OPTIONS: Final = (*_POOL_FIELDS, "convention")
"""Names of the options that make a pool."""


def conv_layer(options: dict[str, Any]) -> ConvLayer:
    """Return the convolution that options tell of; what is missing or None has its default."""
    from cnncli.filters.files import load_bias
    from cnncli.network.layers import ConvLayer

    fields = _given(options, _CONV_FIELDS)
    check_pad_value(fields.get("pad_mode", "zeros"), fields.get("pad_value", 0.0))
    bank = _load_bank(options)
    if options["bias"] is not None:
        bias = load_bias(options["bias"], bank.maps)
        bank = replace(bank, bias=bias.array, files=(*bank.files, *bias.files))
    return _by_convention(ConvLayer(bank, **fields), options)


def pool_layer(options: dict[str, Any]) -> PoolLayer:
    """Return the pool that options tell of; what is missing or None has its default."""
    from cnncli.network.layers import PoolLayer

    return _by_convention(PoolLayer(**_given(options, _POOL_FIELDS)), options)


def either_layer(options: dict[str, Any]) -> ConvLayer | PoolLayer | None:
    """Return the layer of a command that takes --filter or --pool; None without either."""
    if options["filter_texts"] and options["mode"] is not None:
        raise click.UsageError("--filter and --pool exclude each other.")
    if options["mode"] is not None:
        return pool_layer(options)
    return conv_layer(options) if options["filter_texts"] else None


def check_pad_value(mode: str, value: float) -> None:
    """Refuse a constant where the border copies cells."""
    if value != 0 and mode != "zeros":
        raise click.UsageError(f"--pad-value is for --pad-mode zeros, got --pad-mode {mode}.")


def read_options(options: dict[str, Any]) -> ReadOptions:
    """Return how images are read; what is missing has its default."""
    from cnncli.io.images import ReadOptions
    from cnncli.render.metadata import restore_values

    fields = {name: options[name] for name in ReadOptions.__dataclass_fields__ if name in options}
    return ReadOptions(**fields, restore=restore_values if options.get("as_values") else None)


def _given(options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if options.get(name) is not None}


def _by_convention(layer: AnyLayer, options: dict[str, Any]) -> AnyLayer:
    name = options.get("convention")
    if name is None:
        return layer
    from cnncli.network.conventions import CONVENTIONS, by_convention

    return by_convention(layer, CONVENTIONS[name])


def _load_bank(options: dict[str, Any]) -> Filter:
    from cnncli.filters import files, filter

    layout = options["filter_layout"]
    loaded = [files.load_filter(text, layout=layout) for text in options["filter_texts"]]
    bank = filter.stack(loaded)
    bank = filter.flip(bank) if options["flip"] else bank
    return filter.normalize(bank) if options["normalize"] else bank
