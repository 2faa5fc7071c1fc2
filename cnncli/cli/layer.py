"""Makes a layer of the options of a command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from cnncli.cli.command import make
from cnncli.cli.options import ConvOptions, LayerOptions, PoolOptions

if TYPE_CHECKING:
    from cnncli.network.layers import ConvLayer, PoolLayer

AnyLayer = TypeVar("AnyLayer", bound="ConvLayer | PoolLayer")


def conv_layer(options: ConvOptions | LayerOptions) -> ConvLayer:
    """Load filters and bias, and return their convolution."""
    from cnncli.filters import files, filter
    from cnncli.network.layers import ConvLayer

    check_pad_value(options.pad_mode, options.pad_value)
    layout = options.filter_layout
    bank = filter.stack([files.load_filter(text, layout=layout) for text in options.filter_texts])
    bank = filter.flip(bank) if options.flip else bank
    bank = filter.normalize(bank) if options.normalize else bank
    if options.bias is not None:
        bias = files.load_bias(options.bias, bank.maps)
        bank = replace(bank, bias=bias.array, files=(*bank.files, *bias.files))
    return _by_convention(make(ConvLayer, options, filter=bank, bias=None), options)


def pool_layer(options: PoolOptions | LayerOptions) -> PoolLayer:
    """Return a pool."""
    from cnncli.network.layers import PoolLayer

    return _by_convention(make(PoolLayer, options), options)


def either_layer(options: LayerOptions) -> ConvLayer | PoolLayer | None:
    """Return the layer of a command that takes --filter or --pool; None without either."""
    if options.filter_texts and options.mode is not None:
        raise click.UsageError("--filter and --pool exclude each other.")
    if options.mode is not None:
        return pool_layer(options)
    return conv_layer(options) if options.filter_texts else None


def check_pad_value(mode: str, value: float) -> None:
    """Refuse a constant where the border copies cells."""
    if value != 0 and mode != "zeros":
        raise click.UsageError(f"--pad-value is for --pad-mode zeros, got --pad-mode {mode}.")


def _by_convention(layer: AnyLayer, options: object) -> AnyLayer:
    name = getattr(options, "convention", None)
    if name is None:
        return layer
    from cnncli.network.conventions import CONVENTIONS, by_convention

    return by_convention(layer, CONVENTIONS[name])
