"""Values to pictures: a result's channels become tiles, tiles become one sheet.

The parts stand in their own modules and are offered here together: `levels` (range and rounding),
`colormaps`, `grid` (labelled sheets), `metadata` (what made the picture, and back) and `terminal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnncli.render import colormaps
from cnncli.render.grid import Box, Layout, Sheet, grid, plan_grid
from cnncli.render.levels import (
    Mapping,
    ValueRange,
    are_levels,
    choose_range,
    count_clipped,
    from_levels,
    is_fixed,
    level_dtype,
    measure,
    paint_levels,
    to_levels,
)
from cnncli.render.metadata import picture_record, restore_values
from cnncli.render.options import MapGroup, RenderOptions, picture_names
from cnncli.render.result_rows import ArrayRows, ResultRows
from cnncli.render.terminal import terminal_picture

__all__ = [
    "Box",
    "ValueRange",
    "Layout",
    "MapGroup",
    "Mapping",
    "RenderOptions",
    "Sheet",
    "Tile",
    "choose_range",
    "count_clipped",
    "picture_record",
    "from_levels",
    "grid",
    "measure",
    "picture_names",
    "plan_grid",
    "make_tiles",
    "render_rows",
    "render_notes",
    "restore_values",
    "terminal_picture",
    "to_levels",
]

# Channels copied out together: 16 float32 values fill one cache line, so that each line of a
# result is read once for all its channels instead of once for every map.
_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a result.

    Parameters
    ----------
    name : str
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    mapping : Mapping
        The range that made the pixels.
    clipped_fraction : float
        Share of the finite values outside the range, 0..1.
    vmin, vmax : float
        ValueRange of the finite values; both 0 when there is none.
    non_finite : int
        NaN and infinite values.
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
    mapping: Mapping
    clipped_fraction: float
    vmin: float
    vmax: float
    non_finite: int
    channels: tuple[int, ...]
    image: int = 0
    depth: str = "8"
    colormap: str = "gray"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels."""
        return self.pixels.shape

    @property
    def colour(self) -> bool:
        """Whether the pixels have three samples."""
        return self.pixels.ndim == 3


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
    rows, mappings = _ranged(result, groups, options, clip_by_default)
    return _painted(rows, groups, options, mappings)


def render_rows(
    result: np.ndarray | ResultRows,
    group: MapGroup,
    options: RenderOptions,
    clip_by_default: bool,
    begin: Callable[[Tile], Callable[[slice, np.ndarray], object]],
) -> Tile:
    """Turn the result of one image into one picture, whose pixels never stand together.

    Parameters
    ----------
    result, options, clip_by_default
        As for `make_tiles`, with N = 1.
    group : MapGroup
        The picture.
    begin : callable
        Called once with the picture as it will be, but for its pixels and what will be found in
        the values. Returns a function of rows and their pixels, which strips call on threads, in
        no order.

    Returns
    -------
    Tile
        Without its pixels: they only have their shape and dtype.

    Examples
    --------
    >>> rows = []
    >>> tile = render_rows(
    ...     np.ones((1, 2, 3, 1)), MapGroup("", (0,)), RenderOptions(), True,
    ...     lambda tile: lambda strip, pixels: rows.append(pixels.tolist()),
    ... )
    >>> rows, tile.shape
    ([[[255, 255, 255], [255, 255, 255]]], (2, 3))
    """
    groups = [group]
    rows, (mapping,) = _ranged(result, groups, options, clip_by_default)
    _, height, width, _ = rows.shape
    colormap = None if group.colour else options.colormap
    one = _canvas(1, 1, colormap, options.depth)
    blank = np.broadcast_to(one[0, 0], (height, width, *one.shape[2:]))
    (name,) = picture_names(groups, 1)
    take = begin(_tile(name, group, 0, options, (blank, mapping, ValueRange())))

    def paint(image: int, strip: slice, parts: list[np.ndarray]) -> list[ValueRange]:
        pixels = _canvas(strip.stop - strip.start, width, colormap, options.depth)
        found = _paint(parts[0], mapping, colormap, options.depth, pixels)
        take(strip, pixels)
        return [found]

    (found,) = _joined(rows, groups, paint, are_levels(mapping, options.depth))
    return _tile(name, group, 0, options, (blank, mapping, found))


def _ranged(
    result: np.ndarray | ResultRows,
    groups: Sequence[MapGroup],
    options: RenderOptions,
    clip_by_default: bool,
) -> tuple[ResultRows, list[Mapping]]:
    """Return what is to be painted, and the range of every picture."""
    if options.depth == "float":
        raise ValueError("depth float is written as values, not rendered")
    rows: ResultRows = ArrayRows(result) if isinstance(result, np.ndarray) else result
    count = rows.shape[0] * len(groups)
    if is_fixed(options.range, clip_by_default):
        return rows, [choose_range(ValueRange(), options.range, clip_by_default)] * count
    rows = rows.kept()
    found = _joined(rows, groups, lambda image, strip, parts: [measure(part) for part in parts])
    if options.shared_range:
        found = [_union(found)] * count
    return rows, [choose_range(extremes, options.range, clip_by_default) for extremes in found]


def _union(found: Sequence[ValueRange]) -> ValueRange:
    whole = ValueRange()
    for extremes in found:
        whole |= extremes
    return whole


def _joined(
    rows: ResultRows,
    groups: Sequence[MapGroup],
    look: Callable[[int, slice, list[np.ndarray]], list[ValueRange]],
    in_levels: bool = False,
) -> list[ValueRange]:
    """Look at every strip of every picture, and join what was found in each picture."""

    def at(image: int, strip: slice, values: np.ndarray) -> tuple[int, list[ValueRange]]:
        return image, look(image, strip, list(_parts(values, groups)))

    found = [ValueRange()] * (rows.shape[0] * len(groups))
    for image, seen in rows.map_strips(at, in_levels):
        for index, extremes in enumerate(seen, image * len(groups)):
            found[index] |= extremes
    return found


def _painted(
    rows: ResultRows,
    groups: Sequence[MapGroup],
    options: RenderOptions,
    mappings: Sequence[Mapping],
) -> list[Tile]:
    n, height, width, _ = rows.shape
    maps = [None if group.colour else options.colormap for group in groups]
    pixels = [
        _canvas(height, width, colormap, options.depth) for _ in range(n) for colormap in maps
    ]

    def paint(image: int, strip: slice, parts: list[np.ndarray]) -> list[ValueRange]:
        seen = []
        for group, part in enumerate(parts):
            index = image * len(groups) + group
            out = pixels[index][strip]
            seen.append(_paint(part, mappings[index], maps[group], options.depth, out))
        return seen

    in_levels = all(are_levels(mapping, options.depth) for mapping in mappings)
    found = _joined(rows, groups, paint, in_levels)
    names = picture_names(groups, n)
    return [
        _tile(names[index], groups[index % len(groups)], index // len(groups), options, each)
        for index, each in enumerate(zip(pixels, mappings, found, strict=True))
    ]


def _canvas(height: int, width: int, colormap: str | None, depth: str) -> np.ndarray:
    shape = (height, width) if colormap == "gray" else (height, width, 3)
    return np.empty(shape, level_dtype(depth))


def _paint(
    part: np.ndarray, mapping: Mapping, colormap: str | None, depth: str, out: np.ndarray
) -> ValueRange:
    if colormap in (None, "gray"):
        return paint_levels(part, mapping, depth, out)
    levels = np.empty(part.shape, level_dtype(depth))
    found = paint_levels(part, mapping, depth, levels)
    out[...] = colormaps.apply(levels, colormap or "gray")
    return found


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


def _tile(
    name: str,
    group: MapGroup,
    image: int,
    options: RenderOptions,
    made: tuple[np.ndarray, Mapping, ValueRange],
) -> Tile:
    pixels, mapping, found = made
    finite = found.lo <= found.hi
    count = pixels.shape[0] * pixels.shape[1] * len(group.channels) - found.non_finite
    return Tile(
        name=name,
        pixels=pixels,
        mapping=mapping,
        clipped_fraction=found.clipped / max(count, 1),
        vmin=found.lo if finite else 0.0,
        vmax=found.hi if finite else 0.0,
        non_finite=found.non_finite,
        channels=group.channels,
        image=image,
        depth=options.depth,
        colormap="gray" if group.colour else options.colormap,
    )


def _parts(image: np.ndarray, groups: Sequence[MapGroup]) -> Iterator[np.ndarray]:
    """Yield the values of every picture of some rows of an image, (H, W) or (H, W, 3)."""
    block, first = image[:, :, :0].transpose(2, 0, 1), 0
    for group in groups:
        if group.colour:
            yield _colour_part(image, group.channels)
            continue
        channel = group.channels[0]
        if not first <= channel < first + len(block):
            first = channel // _TOGETHER * _TOGETHER
            block = image[:, :, first : first + _TOGETHER].transpose(2, 0, 1)
            if image.shape[2] > 4:
                block = np.ascontiguousarray(block)
        yield block[channel - first]


def _colour_part(image: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    first = channels[0]
    if channels == (first, first + 1, first + 2):
        return image[:, :, first : first + 3]
    return image[:, :, list(channels)]
