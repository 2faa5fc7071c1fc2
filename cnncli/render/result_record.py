"""What made a picture, carried inside it, and the way back from pixels to numbers.

The record is JSON in plain ASCII::

    {"cnncli": "0.1.0", "command": "cnncli conv ...", "maps": [
      {"name": "edge", "box": [8, 8, 96, 96], "zoom": 4, "range": [-1.0, 1.0],
       "mapping": "symmetric", "colormap": "gray", "depth": "8", "channels": [0], "image": 0}]}

`encode` adds ``"exact": false`` for files whose format changed the pixels; ``"are_values": false``
stands in pictures whose colours are no levels of values, such as overlays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem, printable
from cnncli.render import colormaps
from cnncli.render.grey_levels import LevelMapping, from_levels
from cnncli.render.grid import PixelBox, Sheet
from cnncli.render.options import COLORMAPS
from cnncli.render.tiles import Tile

_KINDS = ("clip", "minmax", "symmetric", "abs", "fixed")
_DTYPES = {"8": np.dtype(np.uint8), "16": np.dtype(np.uint16)}


def picture_record(
    tiles: Sequence[Tile],
    command: str,
    version: str,
    sheet: Sheet | None = None,
    are_values: bool = True,
) -> dict[str, Any]:
    """Record how a picture was made.

    Parameters
    ----------
    tiles : sequence of Tile
    command : str
        As typed; anything unprintable in it is escaped.
    version : str
        Of cnncli.
    sheet : Sheet, optional
        Where the tiles are; without it, one tile fills the picture.
    are_values : bool
        Whether pixels are levels of values.

    Returns
    -------
    dict
        Ready for JSON.

    Raises
    ------
    ValueError
        For several tiles without a sheet.

    Examples
    --------
    >>> from cnncli.render.options import MapGroup, RenderOptions
    >>> from cnncli.render.tiles import make_tiles
    >>> tiles = make_tiles(np.zeros((1, 4, 6, 1)), [MapGroup("dot", (0,))], RenderOptions(), True)
    >>> picture_record(tiles, "cnncli conv a.png", "1.0")["maps"][0]["box"]
    [0, 0, 6, 4]
    """
    if sheet is None:
        if len(tiles) != 1:
            raise ValueError(f"{len(tiles)} tiles need the sheet they are on")
        height, width = tiles[0].pixels.shape[:2]
        sheet = Sheet(tiles[0].pixels, (PixelBox(0, 0, width, height),))
    maps = [
        {
            "name": printable(tile.name),
            "box": [box.left, box.top, box.width, box.height],
            "zoom": sheet.zoom,
            "range": [tile.mapping.lo, tile.mapping.hi],
            "mapping": tile.mapping.kind,
            "colormap": tile.colormap,
            "depth": tile.depth,
            "channels": list(tile.channels),
            "image": tile.image,
        }
        for tile, box in zip(tiles, sheet.boxes, strict=True)
    ]
    record = {"cnncli": version, "command": printable(command), "maps": maps}
    return record if are_values else {**record, "are_values": False}


def describe_values(shape: Sequence[int], command: str, version: str) -> dict[str, Any]:
    """Record what made a file of values, such as a float TIFF.

    Parameters
    ----------
    shape : sequence of int
        (N, H, W, C); a float TIFF holds one page for each channel of each image.
    command, version : str

    Returns
    -------
    dict

    Examples
    --------
    >>> describe_values((1, 2, 2, 3), "cnncli pool a.png", "1.0")["shape"]
    [1, 2, 2, 3]
    """
    return {"cnncli": version, "command": printable(command), "shape": [int(n) for n in shape]}


def restore_values(
    pixels: np.ndarray, metadata: Mapping[str, Any], name: str = "picture"
) -> np.ndarray:
    """Read the numbers back from a picture, to within half a step of its range.

    A grid is cut back into its maps, and their channels take their old order. The record is not
    trusted: it may come from anybody's file.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    metadata : dict
        What `picture_record` returned, as read from the file.
    name : str
        The file, for messages.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        (N, H, W, C) for the grid of a batch of several images.

    Raises
    ------
    FileProblem
        When the record is wrong, does not fit the pixels, or the pixels were changed.

    Examples
    --------
    >>> from cnncli.render.options import MapGroup, RenderOptions
    >>> from cnncli.render.tiles import make_tiles
    >>> values = np.array([[[[-2.0], [0.5]]]])
    >>> tiles = make_tiles(values, [MapGroup("edge", (0,))], RenderOptions(), False)
    >>> back = restore_values(tiles[0].pixels, picture_record(tiles, "", "1.0"))
    >>> bool(np.abs(back - values[0]).max() <= 2 / 255)
    True
    """
    try:
        return _restore(pixels, metadata)
    except FileProblem as problem:
        reason = str(problem)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        reason = "carries metadata that is not a record of cnncli"
    hint = "leave --as-values away to read it as a picture"
    raise FileProblem(f"{reason}", hint=hint, path=name) from None


def recorded_ranges(metadata: Mapping[str, Any] | None) -> list[tuple[LevelMapping, str]]:
    """Return the ranges that a picture shows, and the depth of each; none where no values are left.

    Parameters
    ----------
    metadata : dict, optional
        As in `restore_values`.

    Examples
    --------
    >>> recorded_ranges({"maps": [{"mapping": "abs", "range": [0, 2], "depth": "8"}]})
    [(LevelMapping(kind='abs', lo=0.0, hi=2.0), '8')]
    >>> recorded_ranges({"exact": False, "maps": []}), recorded_ranges({"maps": 5})
    ([], [])
    """
    try:
        held = _holding_values(metadata or {})
        return [(_mapping(item), item["depth"]) for item in _listed(held["maps"])]
    except (FileProblem, KeyError, TypeError, ValueError, OverflowError):
        return []


def _holding_values(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record; FileProblem if its picture holds no values."""
    if metadata.get("exact", True) is not True:
        raise FileProblem("its format changed the pixels, so the numbers are gone")
    if metadata.get("are_values", True) is not True:
        raise FileProblem("its colours are laid over a picture and are no values")
    return metadata


def _mapping(item: Any) -> LevelMapping:
    lo, hi = (_finite(number) for number in _listed(item["range"]))
    if item["mapping"] not in _KINDS or item["depth"] not in _DTYPES or lo > hi:
        raise ValueError("no range")
    return LevelMapping(item["mapping"], lo, hi)


@dataclass(frozen=True)
class _Entry:
    """One map of a record, checked."""

    box: PixelBox
    zoom: int
    mapping: LevelMapping
    colormap: str
    depth: str
    channels: tuple[int, ...]
    image: int


def _restore(pixels: np.ndarray, metadata: Mapping[str, Any]) -> np.ndarray:
    maps = _holding_values(metadata)["maps"]
    if not isinstance(maps, list) or not maps:
        raise ValueError("no maps")
    # Maps lie side by side: a record with more map than picture would cost memory without end.
    area = pixels.shape[0] * pixels.shape[1]
    if len(maps) > area:
        raise ValueError("more maps than pixels")
    entries = [_entry(item, pixels) for item in maps]
    if sum(entry.box.width * entry.box.height for entry in entries) > area:
        raise ValueError("maps that overlap")
    if len({(entry.box.width, entry.box.height, entry.zoom) for entry in entries}) > 1:
        raise ValueError("maps of unequal size")
    return _assembled([_map_values(pixels, entry) for entry in entries], entries)


def _entry(item: Any, pixels: np.ndarray) -> _Entry:
    left, top, width, height = (_count(number) for number in _listed(item["box"]))
    zoom, depth, colormap = _count(item["zoom"]), item["depth"], item["colormap"]
    channels = tuple(_count(number) for number in _listed(item["channels"]))
    if depth == "16" and pixels.dtype == np.uint8 and pixels.ndim == 3:
        raise FileProblem("its 16-bit colour is read as 8-bit, so the numbers are gone")
    sound = (
        width > 0
        and height > 0
        and left + width <= pixels.shape[1]
        and top + height <= pixels.shape[0]
        and zoom > 0
        and width % zoom == 0
        and height % zoom == 0
        and _DTYPES[depth] == pixels.dtype
        and colormap in COLORMAPS
        and len(channels) in (1, 3)
    )
    if not sound:
        raise ValueError("a map that does not fit the picture")
    box = PixelBox(left, top, width, height)
    return _Entry(
        box, zoom, _mapping(item), colormap, depth, channels, _count(item.get("image", 0))
    )


def _map_values(pixels: np.ndarray, entry: _Entry) -> np.ndarray:
    step = slice(None, None, entry.zoom)
    part = pixels[entry.box.rows, entry.box.columns][step, step]
    if len(entry.channels) == 1:
        part = _single_map(part, entry.colormap)[:, :, None]
    elif part.ndim != 3:
        raise ValueError("a colour picture in a grey file")
    return from_levels(part, entry.mapping, entry.depth)


def _single_map(part: np.ndarray, colormap: str) -> np.ndarray:
    if part.ndim == 2:
        if colormap != "gray":
            raise ValueError("a colormap in a grey file")
        return part
    if colormap != "gray":
        return colormaps.invert(part, colormap)
    if not (part[:, :, :1] == part).all():
        raise FileProblem("holds colours where grey is recorded: the picture was changed")
    return part[:, :, 0]


def _assembled(parts: list[np.ndarray], entries: list[_Entry]) -> np.ndarray:
    """Put the maps of each image into the order of their channels."""
    images = sorted({entry.image for entry in entries})
    arrays = []
    for image in images:
        mine = [k for k, entry in enumerate(entries) if entry.image == image]
        channels = [channel for k in mine for channel in entries[k].channels]
        if len(set(channels)) != len(channels):
            raise ValueError("a channel twice")
        values = np.concatenate([parts[k] for k in mine], axis=2)
        arrays.append(values[:, :, np.argsort(channels)])
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _listed(item: Any) -> list[Any]:
    if not isinstance(item, list):
        raise TypeError("not a list")
    return item


def _count(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        raise ValueError("not a count")
    return number


def _finite(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError("not a number")
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value
