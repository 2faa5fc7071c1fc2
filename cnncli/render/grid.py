"""Labelled grids: many tiles on one sheet, each under its name."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from cnncli.errors import quote

if TYPE_CHECKING:
    from PIL import ImageFont

# Smaller maps are enlarged by a whole factor to about this many pixels, so that they can be seen
# and their names fit.
_LEAST_SIDE = 96
_LEAST_GAP = 8
_BACKGROUND, _INK = 232, 24
_ELLIPSIS = "..."


class Picture(Protocol):
    """What a grid needs of a tile."""

    @property
    def name(self) -> str:
        """What stands under the picture."""

    @property
    def pixels(self) -> np.ndarray:
        """Levels or colours, (H, W) or (H, W, 3)."""


@dataclass(frozen=True)
class Box:
    """A place on a sheet, in pixels from the top left corner.

    Examples
    --------
    >>> Box(8, 8, 96, 64).rows
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
class Layout:
    """Where everything on a sheet goes.

    Parameters
    ----------
    width, height : int
        Of the sheet, in pixels.
    zoom : int
        Every value becomes zoom x zoom pixels.
    boxes : tuple of Box
        One for each tile, without its label.
    cell_width : int
        Room for a label.
    font_size : int
        In pixels; 0 without labels.
    """

    width: int
    height: int
    zoom: int
    boxes: tuple[Box, ...]
    cell_width: int
    font_size: int


@dataclass(frozen=True, eq=False)
class Sheet:
    """A finished picture and where its tiles are.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    boxes : tuple of Box
    zoom : int
    """

    pixels: np.ndarray
    boxes: tuple[Box, ...]
    zoom: int = 1


def plan_grid(
    height: int, width: int, count: int, columns: int | None = None, labels: bool = True
) -> Layout:
    """Lay out a sheet without making it: its size is known before any work is done.

    Parameters
    ----------
    height, width : int
        Of one tile, before enlarging.
    count : int
        Tiles.
    columns : int, optional
        By default the square root of the count, rounded up.
    labels : bool
        Leave room for names.

    Returns
    -------
    Layout
        A single tile fills the whole sheet, as it is.

    Examples
    --------
    >>> layout = plan_grid(28, 28, 6)
    >>> layout.zoom, layout.width, layout.boxes[0]
    (4, 368, Box(left=8, top=8, width=112, height=112))
    """
    if count == 1:
        return Layout(width, height, 1, (Box(0, 0, width, height),), width, 0)
    zoom = max(1, math.ceil(_LEAST_SIDE / max(height, width)))
    tile_width, tile_height = width * zoom, height * zoom
    cell_width = max(tile_width, _LEAST_SIDE)
    # Large sheets are looked at from afar, so their letters grow with the tiles.
    font_size = min(max(12, round(cell_width * 0.045)), 96) if labels else 0
    gap = max(_LEAST_GAP, cell_width // 64)
    step_x = cell_width + gap
    step_y = tile_height + gap + round(font_size * 1.5)
    across = min(columns or math.ceil(math.sqrt(count)), count)
    down = math.ceil(count / across)
    boxes = tuple(
        Box(
            gap + index % across * step_x + (cell_width - tile_width) // 2,
            gap + index // across * step_y,
            tile_width,
            tile_height,
        )
        for index in range(count)
    )
    size = gap + across * step_x, gap + down * step_y
    return Layout(*size, zoom, boxes, cell_width, font_size)


def grid(tiles: Sequence[Picture], columns: int | None = None, labels: bool = True) -> Sheet:
    """Put tiles of one size on a sheet, each with its name below.

    Parameters
    ----------
    tiles : sequence of Tile
        Grey and colour, 8 and 16 bits may be mixed: the sheet is as rich as the richest.
    columns : int, optional
        By default the sheet is as square as can be.
    labels : bool
        Whether names are written.

    Returns
    -------
    Sheet
        A single tile is returned as it is, without label or enlarging.

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
    layout = plan_grid(height, width, len(tiles), columns, labels)
    if len(tiles) == 1:
        return Sheet(tiles[0].pixels, layout.boxes)
    pixels = _empty_sheet(tiles, layout)
    for tile, box in zip(tiles, layout.boxes, strict=True):
        pixels[box.rows, box.columns] = _enlarged(_like(tile.pixels, pixels), layout.zoom)
        if layout.font_size:
            _write_label(pixels, box, tile.name, layout)
    return Sheet(pixels, layout.boxes, layout.zoom)


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Take letters from the middle of a name until it fits: its end often tells maps apart.

    Parameters
    ----------
    text : str
    width : float
        Room in pixels.
    font : Pillow font

    Returns
    -------
    str
        Empty when not even the ellipsis fits.

    Examples
    --------
    >>> shorten("block3-conv2-filter-017", 90, label_font(12))
    'block3-...ter-017'
    """
    if font.getlength(text) <= width:
        return text
    # More letters than pixels cannot fit; cutting first keeps very long names cheap.
    keep = min(len(text) - 1, max(int(width), 0))
    while keep > 0:
        short = text[: (keep + 1) // 2] + _ELLIPSIS + text[len(text) - keep // 2 :]
        if font.getlength(short) <= width:
            return short
        keep -= 1
    return _ELLIPSIS if font.getlength(_ELLIPSIS) <= width else ""


@cache
def label_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of labels; without FreeType, Pillow's small bitmap font."""
    from PIL import ImageFont, features

    if features.check("freetype2"):
        return ImageFont.load_default(size)
    return ImageFont.load_default_imagefont()


def _empty_sheet(tiles: Sequence[Picture], layout: Layout) -> np.ndarray:
    colour = any(tile.pixels.ndim == 3 for tile in tiles)
    dtype = np.result_type(*{tile.pixels.dtype for tile in tiles})
    shape = (layout.height, layout.width, 3) if colour else (layout.height, layout.width)
    return np.full(shape, _BACKGROUND * (257 if dtype == np.uint16 else 1), dtype)


def _like(pixels: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    if pixels.dtype != sheet.dtype:
        pixels = pixels.astype(sheet.dtype) * 257
    return pixels[:, :, None] if pixels.ndim < sheet.ndim else pixels


def _enlarged(pixels: np.ndarray, zoom: int) -> np.ndarray:
    return pixels if zoom == 1 else pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def plain_text(name: str) -> str:
    """Reduce a name to the letters the font has: ASCII, accents dropped."""
    parts = unicodedata.normalize("NFKD", quote(name)[1:-1])
    return (
        "".join(c for c in parts if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode()
    )


def _write_label(sheet: np.ndarray, box: Box, name: str, layout: Layout) -> None:
    # Loaded here, as the fonts are: only grids have labels.
    from PIL import ImageDraw

    font = label_font(layout.font_size)
    text = shorten(plain_text(name), layout.cell_width, font)
    label = Image.new("L", (layout.cell_width, round(layout.font_size * 1.5)), 0)
    start = (layout.cell_width - font.getlength(text)) / 2
    ImageDraw.Draw(label).text((start, layout.font_size * 0.15), text, fill=255, font=font)
    ink = np.asarray(label, np.float32) / 255
    scale = 257 if sheet.dtype == np.uint16 else 1
    shades = np.rint((_BACKGROUND + (_INK - _BACKGROUND) * ink) * scale).astype(sheet.dtype)
    left = box.left - (layout.cell_width - box.width) // 2
    top = box.top + box.height
    area = sheet[top : top + len(shades), left : left + layout.cell_width]
    area[...] = shades[:, :, None] if sheet.ndim == 3 else shades
