"""Labelled sheets: many tiles under one title, each with its name, and colour bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render.legend import ColourKey, Legend, draw_key, draw_legend
from cnncli.render.text import (
    BACKGROUND,
    LINE_HEIGHT,
    fit_text,
    label_font,
    level_scale,
    plain_text,
    short_names,
    wrap,
    write_lines,
)

if TYPE_CHECKING:
    from cnncli.render.text import Font
    from cnncli.render.tiles import Tile

KEPT_LAYOUTS: Final = 8
"""Layouts that are kept: checks of disk and memory ask for the same one, and so do the images of a
batch."""

# Smaller maps are enlarged by a whole factor to about this many pixels, so that they can be seen
# and their names fit.
_LEAST_SIDE = 96
_LEAST_GAP = 8
# Cells grow with their names up to this width; longer names are wrapped.
_MOST_NAME = 192
# The numbers of a colour bar need as much.
_LEAST_BAR = 120
_MOST_TITLE = 720


@dataclass(frozen=True)
class PixelBox:
    """A place on a sheet, in pixels from the top left corner.

    Examples
    --------
    >>> PixelBox(8, 8, 96, 64).rows
    slice(8, 72, None)
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """The rows of the sheet it covers."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns of the sheet it covers."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class SheetText:
    """What stands on a sheet beside its tiles.

    Parameters
    ----------
    title : str
        Above all tiles; parts that may stand on lines of their own end with ``", "``.
    names : tuple of str
        Of the tiles; empty for a sheet without labels.
    legend : {"", "each", "one"}
        Colour bars with numbers: below each tile, or one for all.
    captions : tuple of str
        Of the keys below all tiles.
    """

    title: str = ""
    names: tuple[str, ...] = ()
    legend: Legend = ""
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class SheetLayout:
    """Where everything on a sheet goes.

    Parameters
    ----------
    width, height : int
        Of the sheet, in pixels.
    zoom : int
        Every value becomes zoom x zoom pixels.
    boxes : tuple of PixelBox
        One for each tile, without its label.
    cell_width : int
        Room for a label.
    font_size : int
        In pixels; 0 without text.
    title : tuple of str
        Its lines.
    labels : tuple of tuple of str
        The lines of each.
    bars : tuple of PixelBox
        Of the colour bars, with their numbers.
    captions : tuple of tuple of str
        The lines of each.
    keys : tuple of PixelBox
        Of the keys' bars, with their numbers; the captions are above.
    """

    width: int
    height: int
    zoom: int
    boxes: tuple[PixelBox, ...]
    cell_width: int
    font_size: int
    title: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()
    bars: tuple[PixelBox, ...] = ()
    captions: tuple[tuple[str, ...], ...] = ()
    keys: tuple[PixelBox, ...] = ()


@dataclass(frozen=True, eq=False)
class Sheet:
    """A finished picture and where its tiles are.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    boxes : tuple of PixelBox
    zoom : int
    """

    pixels: np.ndarray
    boxes: tuple[PixelBox, ...]
    zoom: int = 1


@lru_cache(KEPT_LAYOUTS)
def plan_grid(
    height: int,
    width: int,
    count: int,
    columns: int | None = None,
    text: SheetText | None = None,
) -> SheetLayout:
    """Lay out a sheet without making it: its size is known before any work is done.

    Parameters
    ----------
    height, width : int
        Of one tile, before enlarging.
    count : int
        Tiles.
    columns : int, optional
        By default the square root of the count, rounded up.
    text : SheetText, optional

    Returns
    -------
    SheetLayout
        A single tile without a legend fills the whole sheet, as it is.

    Examples
    --------
    >>> layout = plan_grid(28, 28, 6, text=SheetText(names=("0", "1", "2", "3", "4", "5")))
    >>> layout.zoom, layout.width, layout.boxes[0]
    (4, 368, PixelBox(left=8, top=8, width=112, height=112))
    """
    text = text or SheetText()
    if count == 1 and not text.legend and not text.captions:
        return SheetLayout(width, height, 1, (PixelBox(0, 0, width, height),), width, 0)
    zoom = max(1, math.ceil(_LEAST_SIDE / max(height, width)))
    tile = width * zoom, height * zoom
    cell_width = max(tile[0], _LEAST_BAR if text.legend or text.captions else _LEAST_SIDE)
    # Large sheets are looked at from afar, so their letters grow with the tiles.
    font_size = min(max(12, round(cell_width * 0.045)), 96)
    line, font = round(font_size * LINE_HEIGHT), label_font(font_size)
    cell_width, labels = _wrap_names(text.names if count > 1 else (), cell_width, font)
    gap = _gap(cell_width)
    below = max(map(len, labels), default=0) * line + (2 * line if text.legend == "each" else 0)
    step = cell_width + gap, tile[1] + gap + below
    across = min(columns or math.ceil(math.sqrt(count)), count)
    width = gap + across * step[0]
    title = _title_lines(text.title, width - 2 * gap, font)
    captions = tuple(_title_lines(part, width - 2 * gap, font) for part in text.captions)
    lengths = [font.getlength(part) + 2 * gap for lines in (title, *captions) for part in lines]
    top = gap + (len(title) * line + gap // 2 if title else 0)
    margin = (cell_width - tile[0]) // 2
    corners = [
        (gap + index % across * step[0], top + index // across * step[1]) for index in range(count)
    ]
    boxes = tuple(PixelBox(left + margin, upper, *tile) for left, upper in corners)
    size = math.ceil(max([width, *lengths])), top + math.ceil(count / across) * step[1]
    bars: tuple[PixelBox, ...] = ()
    if text.legend == "each":
        under = step[1] - gap - 2 * line
        bars = tuple(PixelBox(left, upper + under, cell_width, 2 * line) for left, upper in corners)
    elif text.legend == "one":
        bars, size = _stack_bars(size, gap, line, [0])
    keys, size = _stack_bars(size, gap, line, [len(caption) for caption in captions])
    return SheetLayout(
        *size, zoom, boxes, cell_width, font_size, title, labels, bars, captions, keys
    )


def _gap(cell_width: int) -> int:
    """The space between cells, and around them."""
    return max(_LEAST_GAP, cell_width // 64)


def _wrap_names(
    names: Sequence[str], cell_width: int, font: Font
) -> tuple[int, tuple[tuple[str, ...], ...]]:
    """Return how wide cells must be for their names, and the lines of each name."""
    names = [plain_text(name) for name in short_names(names)]
    longest = max((math.ceil(font.getlength(name[:_MOST_NAME])) + 2 for name in names), default=0)
    cell_width = max(cell_width, min(longest, _MOST_NAME))
    return cell_width, tuple(tuple(wrap(name, cell_width, font)) for name in names)


def _stack_bars(
    size: tuple[int, int], gap: int, line: int, heads: Sequence[int]
) -> tuple[tuple[PixelBox, ...], tuple[int, int]]:
    """Put bars below a sheet, each under so many lines of text; return its new size too."""
    (width, height), boxes = size, []
    for head in heads:
        below = height + head * line
        boxes.append(PixelBox(gap, below, min(width - 2 * gap, 4 * _LEAST_SIDE), 2 * line))
        height = below + 2 * line + gap
    return tuple(boxes), (width, height)


def _title_lines(title: str, width: int, font: Font) -> tuple[str, ...]:
    """The title on one line, or its parts on as many as they need; a long part widens the sheet."""
    lines: list[str] = []
    for part in plain_text(title).split(", ") if title else ():
        joined = f"{lines[-1]}, {part}" if lines else part
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return tuple(fit_text(line, max(width, _MOST_TITLE), font) for line in lines)


def grid(
    tiles: Sequence[Tile],
    columns: int | None = None,
    labels: bool = True,
    *,
    title: str = "",
    legend: Sequence[Tile] = (),
    keys: Sequence[ColourKey] = (),
) -> Sheet:
    """Put tiles of one size on a sheet, each with its name below.

    Parameters
    ----------
    tiles : sequence of Tile
        Grey and colour, 8 and 16 bits may be mixed: the sheet is as rich as the richest.
    columns : int, optional
        By default the sheet is as square as can be.
    labels : bool
        Whether names and the title are written.
    title : str
        As in `SheetText`.
    legend : sequence of Tile
        The same tiles, for a sheet with colour bars: one, where all have one range.
    keys : sequence of ColourKey
        Further bars below all tiles.

    Returns
    -------
    Sheet
        A single tile without a legend is returned as it is, without label or enlarging.

    Raises
    ------
    ValueError
        Without tiles, or for tiles of unequal size.

    Examples
    --------
    >>> from cnncli.render.options import MapGroup, RenderOptions
    >>> from cnncli.render.tiles import make_tiles
    >>> groups = [MapGroup("left", (0,)), MapGroup("right", (1,))]
    >>> sheet = grid(make_tiles(np.zeros((1, 64, 64, 2)), groups, RenderOptions(), True))
    >>> sheet.pixels.shape, sheet.zoom
    ((162, 280), 2)
    """
    sizes = {tile.pixels.shape[:2] for tile in tiles}
    if len(sizes) != 1:
        raise ValueError(f"a grid needs tiles of one size, got {sorted(sizes)}")
    ((height, width),) = sizes
    kind: Legend = ""
    if legend:
        kind = "one" if len({(tile.mapping, tile.colormap) for tile in legend}) == 1 else "each"
    names = tuple(tile.name for tile in tiles) if labels else ()
    captions = tuple(key.caption for key in keys)
    text = SheetText(title if labels else "", names, kind, captions)
    layout = plan_grid(height, width, len(tiles), columns, text)
    if len(tiles) == 1 and not legend and not keys:
        return Sheet(tiles[0].pixels, layout.boxes)
    pixels = empty_sheet(tiles, layout.height, layout.width)
    size, gap = layout.font_size, _gap(layout.cell_width)
    if layout.title:
        write_lines(pixels, layout.title, (gap, gap // 2), layout.width - 2 * gap, size, 0)
    for tile, box in zip(tiles, layout.boxes, strict=True):
        paste(pixels, tile.pixels, box, layout.zoom)
    for lines, box in zip(layout.labels, layout.boxes, strict=bool(layout.labels)):
        left = box.left - (layout.cell_width - box.width) // 2
        write_lines(pixels, lines, (left, box.top + box.height), layout.cell_width, size)
    for tile, bar in zip(legend, layout.bars, strict=False):
        corner = bar.left, bar.top
        draw_legend(pixels, corner, bar.width, size, tile.mapping, tile.colormap)
    for key, lines, bar in zip(keys, layout.captions, layout.keys, strict=True):
        above = bar.top - round(size * LINE_HEIGHT) * len(lines)
        write_lines(pixels, lines, (bar.left, above), layout.width - 2 * bar.left, size, 0)
        draw_key(pixels, (bar.left, bar.top), bar.width, size, key)
    return Sheet(pixels, layout.boxes, layout.zoom)


def empty_sheet(tiles: Sequence[Tile], height: int, width: int) -> np.ndarray:
    """Return a sheet as rich as the richest of some tiles, in the colour of its background."""
    colour = any(tile.pixels.ndim == 3 for tile in tiles)
    dtype = np.result_type(*{tile.pixels.dtype for tile in tiles})
    shape = (height, width, 3) if colour else (height, width)
    return np.full(shape, BACKGROUND * level_scale(dtype), dtype)


def paste(sheet: np.ndarray, pixels: np.ndarray, box: PixelBox, zoom: int) -> None:
    """Put a tile into its box, every pixel zoom x zoom times."""
    if pixels.dtype != sheet.dtype:
        pixels = pixels.astype(sheet.dtype) * level_scale(sheet.dtype)
    if pixels.ndim < sheet.ndim:
        pixels = pixels[:, :, None]
    if zoom > 1:
        pixels = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    sheet[box.rows, box.columns] = pixels
