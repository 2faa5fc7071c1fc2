"""Values to pictures: each channel or colour of a result becomes a tile with its own range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render import colormaps
from cnncli.render.finite_values import ValueRange
from cnncli.render.grey_levels import (
    LevelMapping,
    are_levels,
    level_dtype,
    measure_each,
    paint_levels,
)
from cnncli.render.layer_ranges import layer_ranges
from cnncli.render.options import MapGroup, RenderOptions, picture_names
from cnncli.render.result_rows import ArrayRows, ResultRows, map_pictures


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a result.

    Parameters
    ----------
    name : str
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    mapping : LevelMapping
        The range that made the pixels.
    seen : ValueRange
        What was found in the values.
    channels : tuple of int
        The channels of the result it shows.
    image : int
        The image of the batch it belongs to.
    depth : str
        ``8`` or ``16``.
    colormap : str
    """

    name: str
    pixels: np.ndarray
    mapping: LevelMapping
    seen: ValueRange
    channels: tuple[int, ...]
    image: int = 0
    depth: str = "8"
    colormap: str = "gray"

    @property
    def painter(self) -> Callable[..., ValueRange]:
        """``painter(values, out=pixels)`` turns some rows into pixels, in the tile's range."""
        if self.colormap == "gray":
            return partial(paint_levels, mapping=self.mapping, depth=self.depth)
        return self._paint_colours

    def _paint_colours(self, values: np.ndarray, out: np.ndarray) -> ValueRange:
        levels = np.empty(values.shape, level_dtype(self.depth))
        seen = paint_levels(values, self.mapping, self.depth, levels)
        out[...] = colormaps.apply(levels, self.colormap)
        return seen

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels."""
        return self.pixels.shape

    @property
    def vmin(self) -> float:
        """The smallest finite value; 0 when there is none."""
        return self.seen.limits[0]

    @property
    def vmax(self) -> float:
        """The largest finite value; 0 when there is none."""
        return self.seen.limits[1]

    @property
    def non_finite(self) -> int:
        """How many values are NaN or infinite."""
        return self.seen.non_finite

    @property
    def clipped_fraction(self) -> float:
        """Share of the finite values outside the range, 0..1."""
        count = self.shape[0] * self.shape[1] * len(self.channels) - self.non_finite
        return self.seen.clipped / max(count, 1)


def make_tiles(
    result: np.ndarray | ResultRows,
    groups: Sequence[MapGroup],
    options: RenderOptions,
    clip_by_default: bool,
) -> list[Tile]:
    """Turn a result into pictures, image by image and group by group.

    Ranges that depend on the values take a pass of their own over the strips; `clip` and LO,HI
    take one pass in all.

    Parameters
    ----------
    result : ndarray of float, shape (N, H, W, C), or a result made strip by strip
    groups : sequence of MapGroup
    options : RenderOptions
        Its depth must be ``8`` or ``16``: with ``float`` there are no levels to make.
    clip_by_default : bool
        What the range ``auto`` means, see `choose_range`.

    Returns
    -------
    list of Tile
        N * len(groups) of them. A colour picture has one range for its three channels.

    Raises
    ------
    ValueError
        For depth ``float``.

    Examples
    --------
    >>> tiles = make_tiles(
    ...     np.array([[[[-1.0], [0.0], [2.0]]]]), [MapGroup("edge", (0,))], RenderOptions(), False
    ... )
    >>> tiles[0].pixels.tolist(), tiles[0].mapping.kind
    ([[64, 128, 255]], 'symmetric')
    """
    rows: ResultRows = ArrayRows(result) if isinstance(result, np.ndarray) else result
    tiles = plan_tiles(rows, groups, options, clip_by_default)
    in_levels = all(are_levels(tile.mapping, tile.depth) for tile in tiles)
    if rows.shape[1:3] == (1, 1) and not any(group.colour for group in groups):
        pixels, seen = _single_cells(rows, groups, tiles, in_levels)
    else:
        pixels = [np.empty(tile.shape, tile.pixels.dtype) for tile in tiles]

        def paint(index: int, strip: slice, values: np.ndarray) -> ValueRange:
            return tiles[index].painter(values, out=pixels[index][strip])

        seen = map_pictures(rows, groups, paint, in_levels)
    return [
        replace(tile, pixels=own, seen=found)
        for tile, own, found in zip(tiles, pixels, seen, strict=True)
    ]


def _single_cells(
    rows: ResultRows, groups: Sequence[MapGroup], tiles: Sequence[Tile], in_levels: bool
) -> tuple[Sequence[np.ndarray], list[ValueRange]]:
    """Return pixels and values of maps of one cell, whose range is one: an image's at once."""
    channels = [group.channels[0] for group in groups]
    pixels = np.empty((len(tiles), *tiles[0].shape), tiles[0].pixels.dtype)
    seen: list[ValueRange] = []

    def paint(image: int, _: slice, values: np.ndarray) -> list[ValueRange]:
        cells = values[0, 0, channels]
        own = pixels[image * len(groups) : (image + 1) * len(groups), 0, 0]
        tiles[0].painter(cells, out=own)
        return measure_each(cells, tiles[0].mapping, tiles[0].depth)

    for found in rows.map_strips(paint, in_levels):
        seen += found
    return [*pixels], seen


def plan_tiles(
    rows: ResultRows, groups: Sequence[MapGroup], options: RenderOptions, clip_by_default: bool
) -> list[Tile]:
    """Choose the ranges of the pictures that `make_tiles` would make, without making them.

    Parameters
    ----------
    rows : ResultRows
    groups, options, clip_by_default
        As for `make_tiles`.

    Returns
    -------
    list of Tile
        Their pixels have shape and dtype but take no memory; what is in the values is not known.

    Examples
    --------
    >>> rows = ArrayRows(np.ones((1, 2, 3, 1)))
    >>> plan_tiles(rows, [MapGroup("", (0,))], RenderOptions(), True)[0].mapping
    LevelMapping(kind='clip', lo=0.0, hi=1.0)
    """
    if options.depth == "float":
        raise ValueError("depth float is written as values, not rendered")
    n, height, width, _ = rows.shape
    ranges = layer_ranges(
        rows,
        groups,
        options.range,
        clip_by_default,
        shared=options.shared_range,
        about_zero=options.colormap == "diverging" and not any(group.colour for group in groups),
    )
    grey, colour = (
        np.broadcast_to(np.zeros((), level_dtype(options.depth)), (height, width, *samples))
        for samples in ((), (3,))
    )
    tiles = []
    for index, name in enumerate(picture_names(groups, n)):
        image, group = index // len(groups), groups[index % len(groups)]
        is_grey = options.colormap == "gray" and not group.colour
        tiles.append(
            Tile(
                name=name,
                pixels=grey if is_grey else colour,
                mapping=ranges[index],
                seen=ValueRange(),
                channels=group.channels,
                image=image,
                depth=options.depth,
                colormap="gray" if group.colour else options.colormap,
            )
        )
    return tiles


def render_notes(groups: Sequence[MapGroup], options: RenderOptions) -> tuple[str, ...]:
    """Say what the options cannot do for these groups.

    Parameters
    ----------
    groups : sequence of MapGroup
    options : RenderOptions

    Returns
    -------
    tuple of str
        Lines for the report.

    Examples
    --------
    >>> render_notes([MapGroup("photo", (0, 1, 2))], RenderOptions(colormap="viridis"))
    ('--colormap viridis is for single maps: photo stays as it is',)
    """
    coloured = [group.name for group in groups if group.colour]
    if options.colormap == "gray" or not coloured:
        return ()
    more = f" and {len(coloured) - 1} more stay" if len(coloured) > 1 else " stays"
    line = f"--colormap {options.colormap} is for single maps: {coloured[0]}{more} as it is"
    return (line.replace("stay as it is", "stay as they are"),)
