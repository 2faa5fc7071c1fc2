"""Weights of filters as pictures: one for each kernel, or colour ones, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli._version import __version__
from cnncli.filters.filter import Filter
from cnncli.io.writers import encode
from cnncli.pipeline.one_output import one_picture_file
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.source import Source
from cnncli.render.grid import Sheet, grid
from cnncli.render.options import MapGroup, RenderOptions, one_group_each
from cnncli.render.result_record import picture_record
from cnncli.render.tiles import Tile, make_tiles

MOST_KERNELS: Final = 256
"""Pictures on a sheet; of a larger bank the first are shown."""

MOST_CHANNELS: Final = 16
"""Channels of each filter that are shown, if it has more than three."""

_LEAST_SIDE: Final = 240
"""Pixels that a kernel on its own is enlarged to."""

_FEW: Final = 4
_MOST_CELLS: Final = 2**24


@dataclass(frozen=True)
class WeightSheet:
    """The weights of a filter on a sheet.

    Parameters
    ----------
    sheet : Sheet
    tiles : tuple of Tile
    note : str
        What is left out; empty if nothing is.
    """

    sheet: Sheet
    tiles: tuple[Tile, ...]
    note: str


def draw_weights(bank: Filter, options: RenderOptions) -> WeightSheet:
    """Draw a filter's weights, enlarged so that single ones can be told apart.

    Parameters
    ----------
    bank : Filter
        Of three channels in, each map is a colour picture; of one or none, a grey one; of more,
        each map is a row of the sheet with a picture for each channel.
    options : RenderOptions
        Its range ``auto`` is ``symmetric``: zero is in the middle. One range serves all.

    Returns
    -------
    WeightSheet

    Examples
    --------
    >>> from cnncli.filters.files import load_filter
    >>> drawn = draw_weights(load_filter("sobel_v"), RenderOptions(range="symmetric"))
    >>> drawn.tiles[0].mapping.hi, drawn.tiles[0].shape
    (2.0, (240, 240))
    """
    weights = bank.weights[:, :, None, :] if bank.per_channel else bank.weights
    depth, maps = weights.shape[2:]
    channels = depth if depth <= 3 else min(depth, MOST_CHANNELS)
    pictures = 1 if depth in (1, 3) else channels
    most = min(MOST_KERNELS, _MOST_CELLS // (bank.window[0] * bank.window[1]))
    shown = min(maps, max(1, most // pictures))
    kernels = np.moveaxis(weights[:, :, :channels, :shown], 3, 2)
    groups = _groups(bank.map_names[:shown], depth, channels)
    if len(groups) <= _FEW:
        factor = max(1, -(-_LEAST_SIDE // max(bank.window)))
        kernels = kernels.repeat(factor, axis=0).repeat(factor, axis=1)
    tiles = make_tiles(kernels.reshape(1, *kernels.shape[:2], -1), groups, options, False)
    columns = options.columns or (channels if pictures > 1 else None)
    sheet = grid(tiles, columns, title=_title(bank, tiles[0]), legend=tiles)
    return WeightSheet(sheet, tuple(tiles), _note((shown, maps), (channels, depth)))


def write_weights(
    bank: Filter, options: RenderOptions, target: OutputOptions, command: str
) -> list[str]:
    """Draw a filter's weights into a file; return what is to be said of it.

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written, or can hold no picture.
    """
    source, what = Source(Path(bank.name)), "weights are drawn as a picture"
    output = one_picture_file(source, target, op="weights", what=what, read_too=bank.files)
    drawn = draw_weights(bank, options)
    pixels = drawn.sheet.pixels
    record = picture_record(drawn.tiles, command, __version__, drawn.sheet)
    output.write(encode(pixels, output.file.format, metadata=record))
    low, high = min(tile.vmin for tile in drawn.tiles), max(tile.vmax for tile in drawn.tiles)
    line = f"{output}, {pixels.shape[1]}x{pixels.shape[0]}, weights {low:.4g} to {high:.4g}"
    return [line, f"note: {drawn.note}"] if drawn.note else [line]


def _groups(names: Sequence[str], depth: int, channels: int) -> list[MapGroup]:
    """One colour picture for each map of three channels, else one for each kernel."""
    if depth == 3:
        return [MapGroup(name, tuple(range(3 * i, 3 * i + 3))) for i, name in enumerate(names)]
    if depth == 1:
        return list(one_group_each(tuple(names)))
    return [
        MapGroup(f"{index},{channel}", (index * channels + channel,))
        for index in range(len(names))
        for channel in range(channels)
    ]


def _title(bank: Filter, tile: Tile) -> str:
    shape = "x".join(map(str, bank.source_shape or bank.weights.shape))
    cells = "map,channel, " if "," in tile.name else ""
    return f"{bank.name}, weights {shape}, {cells}{tile.mapping}"


def _note(maps: tuple[int, int], channels: tuple[int, int]) -> str:
    parts = [
        f"{shown} of {total} {what}"
        for (shown, total), what in ((maps, "maps"), (channels, "channels"))
        if shown < total
    ]
    return f"the first {' and '.join(parts)} are shown" if parts else ""
