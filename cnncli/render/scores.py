"""Sheets of maps of one row and one column, such as class scores: bars with names and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cnncli.render.grid import Box, Sheet, empty_sheet, paste
from cnncli.render.options import MapGroup
from cnncli.render.text import (
    LINE_HEIGHT,
    label_font,
    plain_text,
    short_names,
    shorten,
    write_lines,
)
from cnncli.render.tiles import Tile

MOST_BARS: Final = 20
"""Of more maps the strongest are shown as bars, above small squares of all."""

_SIZE: Final = 14
_LINE: Final = round(_SIZE * LINE_HEIGHT)
_GAP: Final = 8
_BAR: Final = 240
_NUMBER: Final = 72
_LEAST_NAME, _MOST_NAME = 24, 260
_LEAST_WIDTH: Final = 320
_AXIS, _WEAK, _STRONG = 200, 140, 40
"""Greys of the line at zero, of bars, and of the strongest one's."""


def are_scores(shape: Sequence[int], groups: Sequence[MapGroup], is_layer: bool) -> bool:
    """Tell whether a result is shown as numbers: single maps of one row and one column.

    A single map that is no layer's of a network is written as the one pixel that it is.

    Examples
    --------
    >>> ten = [MapGroup(str(k), (k,)) for k in range(10)]
    >>> are_scores((1, 1, 1, 10), ten, False), are_scores((1, 1, 1, 1), ten[:1], False)
    (True, False)
    """
    single = tuple(shape[1:3]) == (1, 1) and not any(group.colour for group in groups)
    return single and (is_layer or shape[0] * len(groups) > 1)


def strongest(values: Sequence[float] | np.ndarray, count: int) -> list[int]:
    """Return the indices of the largest finite values, the others last, the first among equals.

    Examples
    --------
    >>> strongest([0.5, float("nan"), 2.0, 2.0], 3)
    [2, 3, 0]
    """
    numbers = np.asarray(values, float)
    ranked = np.where(np.isfinite(numbers), numbers, np.nan)
    order: list[int] = np.argsort(-ranked, kind="stable")[:count].tolist()
    return order


def winner(values: Sequence[float] | np.ndarray) -> int | None:
    """Return the index of the largest of several values; None if none is finite.

    Examples
    --------
    >>> winner([0.5, 2.0, float("inf")]), winner([float("nan")] * 2), winner([1.0])
    (1, None, None)
    """
    (best,) = strongest(values, 1) if len(values) > 1 else (None,)
    return best if best is not None and math.isfinite(values[best]) else None


def class_shares(values: np.ndarray) -> np.ndarray | None:
    """Return the softmax of scores; None for values that are shares already, all in 0..1.

    Examples
    --------
    >>> class_shares(np.array([2.0, 2.0, -np.inf])).tolist()
    [0.5, 0.5, 0.0]
    >>> class_shares(np.array([0.25, 0.75])) is None
    True
    """
    if (
        np.isnan(values).any()
        or values.max() == np.inf
        or (values.min() >= 0 and values.max() <= 1)
    ):
        return None
    powers = np.exp(np.asarray(values, np.float64) - values.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


@dataclass(frozen=True)
class ScoreLayout:
    """Where everything on a sheet of scores goes.

    Parameters
    ----------
    width, height : int
        Of the sheet, in pixels.
    top : int
        Of the first bar.
    name_width : int
        Room for a name.
    boxes : tuple of Box
        The square of each map.
    zoom : int
        Side of a square.
    title : tuple of str
        Its lines.
    """

    width: int
    height: int
    top: int
    name_width: int
    boxes: tuple[Box, ...]
    zoom: int
    title: tuple[str, ...]


def shown_scores(values: np.ndarray, images: Sequence[int] = ()) -> list[int]:
    """Return the indices of the scores that have bars: all of a few, else each image's strongest.

    Parameters
    ----------
    values : ndarray, shape (count,)
    images : sequence of int
        The image of each score, in order; without it all are of one.

    Examples
    --------
    >>> shown_scores(np.arange(3.0)), shown_scores(np.arange(30.0))[:3]
    ([0, 1, 2], [29, 28, 27])
    >>> shown_scores(np.arange(30.0), [0] * 15 + [1] * 15)[9:12]
    [5, 29, 28]
    """
    if len(values) <= MOST_BARS:
        return list(range(len(values)))
    owners = np.array(images if images else [0] * len(values))
    kept = np.unique(owners)[:MOST_BARS]
    shown = []
    for image in kept:
        own = np.flatnonzero(owners == image)
        shown += own[strongest(values[own], MOST_BARS // len(kept))].tolist()
    return shown


def plan_scores(
    names: Sequence[str], title: Sequence[str] = (), images: Sequence[int] = ()
) -> ScoreLayout:
    """Lay out a sheet of scores; its size depends on the names and the title.

    Parameters
    ----------
    names : sequence of str
        Of the maps that are on it.
    title : sequence of str
        Lines.
    images : sequence of int
        As in `shown_scores`.

    Returns
    -------
    ScoreLayout

    Examples
    --------
    >>> layout = plan_scores([str(k) for k in range(1000)])
    >>> len(layout.boxes), layout.zoom, (layout.width, layout.height)
    (1000, 8, (399, 654))
    """
    font, bars = label_font(_SIZE), len(shown_scores(np.zeros(len(names)), images))
    # The names of most letters have the widest among them.
    longest_names = sorted(names, key=len)[-MOST_BARS:]
    longest = max(math.ceil(font.getlength(plain_text(name)[:100])) for name in longest_names) + 2
    name_width = min(max(longest, _LEAST_NAME), _MOST_NAME)
    width = 5 * _GAP + name_width + _LINE + _BAR + _NUMBER
    needed = max((math.ceil(font.getlength(line)) for line in title), default=0) + 2 * _GAP
    width = max(width, min(needed, 2 * _LEAST_WIDTH))
    top = _GAP + len(title) * _LINE + (_GAP if title else 0)
    if len(names) <= MOST_BARS:
        zoom = _LINE - 4
        boxes = tuple(
            Box(2 * _GAP + name_width, top + index * _LINE + 2, zoom, zoom)
            for index in range(len(names))
        )
        height = top + bars * _LINE + _GAP
    else:
        # As large as a page of squares allows, down to a pixel for each.
        zoom = max(1, min(8, math.isqrt(width * width // len(names))))
        across, below = (width - 2 * _GAP) // zoom, top + (bars + 2) * _LINE
        boxes = tuple(
            Box(_GAP + index % across * zoom, below + index // across * zoom, zoom, zoom)
            for index in range(len(names))
        )
        height = below + math.ceil(len(names) / across) * zoom + _GAP
    return ScoreLayout(width, height, top, name_width, boxes, zoom, tuple(title))


def score_sheet(
    tiles: Sequence[Tile],
    names: Sequence[str],
    title: Sequence[str] = (),
    images: Sequence[int] = (),
) -> Sheet:
    """Draw maps of one row and one column: a bar, a name and a number for each.

    Of more than `MOST_BARS` the strongest of each image have bars, strongest first, and all of them
    squares. The largest of an image has a darker bar.

    Parameters
    ----------
    tiles : sequence of Tile
        Of 1x1 pixels and one range.
    names : sequence of str
        What stands beside them.
    title : sequence of str
        Lines.
    images : sequence of int
        As in `shown_scores`.

    Returns
    -------
    Sheet
    """
    layout = plan_scores(names, title, images)
    sheet = empty_sheet(tiles, layout.height, layout.width)
    if title:
        lines = [shorten(line, layout.width - 2 * _GAP, label_font(_SIZE)) for line in title]
        write_lines(sheet, lines, (_GAP, _GAP // 2), layout.width - 2 * _GAP, _SIZE, 0)
    values = np.array([np.nan if tile.non_finite else tile.vmin for tile in tiles])
    finite = np.where(np.isfinite(values).any(), values, 0.0)
    shown = shown_scores(values, images)
    owners = np.array(images if images else [0] * len(tiles))
    own = (np.flatnonzero(owners == image) for image in np.unique(owners))
    best = {int(part[k]) for part in own if (k := winner(values[part])) is not None}
    # A single map of several has the range of all; beside others the longest bar is the largest.
    first = tiles[0].mapping
    ends = (first.lo, first.hi) if len(tiles) == 1 else (np.nanmin(finite), np.nanmax(finite))
    scale = min(float(ends[0]), 0.0), max(float(ends[1]), 0.0)
    for row, index in enumerate(shown):
        top = layout.top + row * _LINE
        name = shorten(plain_text(names[index]), layout.name_width, label_font(_SIZE))
        write_lines(sheet, [name], (_GAP, top), layout.name_width, _SIZE, 1)
        _draw_bar(sheet, layout, top, scale, float(values[index]), index in best)
    if len(tiles) > MOST_BARS:
        top = layout.top + (len(shown) + 1) * _LINE - 4
        text = f"all {len(tiles)}, in their order from the left:"
        write_lines(sheet, [text], (_GAP, top), layout.width - 2 * _GAP, _SIZE, 0)
    for tile, box in zip(tiles, layout.boxes, strict=True):
        paste(sheet, tile.pixels, box, layout.zoom)
    return Sheet(sheet, layout.boxes, layout.zoom)


def _draw_bar(
    sheet: np.ndarray,
    layout: ScoreLayout,
    top: int,
    ends: tuple[float, float],
    value: float,
    is_best: bool,
) -> None:
    """Draw a value as a bar from zero, and its number behind the longest bar."""
    left = 3 * _GAP + layout.name_width + _LINE
    lo, hi = ends
    scale = 257 if sheet.dtype == np.uint16 else 1
    if hi > lo:
        # Halves, because the difference of two large numbers may be too large a number.
        shares = [(min(max(x, lo), hi) / 2 - lo / 2) / (hi / 2 - lo / 2) for x in (0.0, value)]
        zero, end = (left + round(_BAR * s) if math.isfinite(s) else left for s in shares)
        sheet[top + 1 : top + _LINE - 1, zero : zero + 1] = _AXIS * scale
        if math.isfinite(value):
            first, last = sorted((zero, end))
            grey = _STRONG if is_best else _WEAK
            sheet[top + 5 : top + _LINE - 5, first : last + 1] = grey * scale
    number = number_text(value)
    write_lines(sheet, [number], (left + _BAR + _GAP, top), _NUMBER, _SIZE, 0)


def number_text(value: float) -> str:
    """Return a value as short as four digits allow.

    Examples
    --------
    >>> number_text(0.00012347), number_text(-12.3456), number_text(float("nan"))
    ('0.0001235', '-12.35', 'not finite')
    """
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def score_names(names: Sequence[str], batch: int = 1) -> list[str]:
    """Return what stands beside scores: the map's index, and its name if it has one.

    Parameters
    ----------
    names : sequence of str
        Of the maps, image by image, as in `picture_names`.
    batch : int
        How many images they are of; from two on each name tells its image.

    Examples
    --------
    >>> score_names(["cat", "1", "dog"]), score_names(["6@0", "6@1"], batch=2)
    (['0 cat', '1', '2 dog'], ['image 0: 6', 'image 1: 6'])
    """
    texts = []
    for index, name in enumerate(short_names(names)):
        image, own = divmod(index, max(len(names) // batch, 1))
        plain = (name.rpartition("@")[0] or str(own)) if batch > 1 else name
        text = plain if plain.isdecimal() else f"{own} {plain}"
        texts.append(f"image {image}: {text}" if batch > 1 else text)
    return texts


def score_lines(
    names: Sequence[str],
    values: Sequence[float],
    width: int,
    blocks: bool,
    images: Sequence[int] = (),
) -> list[str]:
    """Return scores as lines of text for the terminal, each image's strongest where there are many.

    Parameters
    ----------
    names : sequence of str
        As in `score_names`.
    values : sequence of float
    width : int
        Columns of the terminal.
    blocks : bool
        Whether bars are made of blocks, or else of ``#``.
    images : sequence of int
        As in `shown_scores`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> score_lines(["0", "1"], [1.0, 0.25], 24, blocks=False)
    ['0 ######### 1', '1 ##        0.25']
    """
    shown = shown_scores(np.array(values), images)
    finite = [abs(value) for value in values if math.isfinite(value)]
    most = max(finite, default=0.0) or 1.0
    space = max(len(plain_text(names[index])) for index in shown)
    room = min(max(width - space - 14, 1), 40)
    lines = []
    for index in shown:
        value = values[index]
        length = round(abs(value) / most * room) if math.isfinite(value) else 0
        signs = "\N{FULL BLOCK}\N{LIGHT SHADE}" if blocks else "#-"
        sign = signs[int(value < 0)]
        bar = f"{sign * length:{room}}"
        lines.append(f"{plain_text(names[index]):>{space}} {bar} {number_text(value)}")
    return lines
