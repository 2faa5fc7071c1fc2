"""Sheets of maps of one row and one column, such as class scores: bars with names and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.grid import KEPT_LAYOUTS, PixelBox, Sheet, empty_sheet, paste
from cnncli.render.legend import draw_legend, legend_numbers, write_numbers
from cnncli.render.options import MapGroup
from cnncli.render.text import (
    LINE_HEIGHT,
    fit_text,
    label_font,
    level_scale,
    plain_text,
    short_names,
    write_lines,
)
from cnncli.render.text_table import cut_middle
from cnncli.render.tiles import Tile

MOST_BARS: Final = 20
"""Of more maps the largest are shown as bars, above small squares of all."""

_SIZE, _SMALL = 14, 11
_LINE: Final = round(_SIZE * LINE_HEIGHT)
_GAP: Final = 8
_BAR: Final = 240
_NUMBER: Final = 72
_LEAST_NAME, _MOST_NAME = 24, 260
_LEAST_WIDTH: Final = 320
_LEAST_BARS, _MOST_BARS, _LONGEST_NUMBER = 8, 40, 10
"""Columns of the terminal: for bars, and for a number."""

_AXIS, _FRAME, _OTHER, _BEST = 200, 120, 140, 40
"""Greys of the line that bars begin at, of the frames of squares, of bars, and of the largest's."""


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


def largest(values: Sequence[float] | np.ndarray, count: int) -> list[int]:
    """Return the indices of the largest finite values, the others last, the first among equals.

    Examples
    --------
    >>> largest([0.5, float("nan"), 2.0, 2.0], 3)
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
    (best,) = largest(values, 1) if len(values) > 1 else (None,)
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
    boxes : tuple of PixelBox
        The square of each map.
    zoom : int
        Side of a square.
    across : int
        Squares in a row, side by side.
    """

    width: int
    height: int
    top: int
    name_width: int
    boxes: tuple[PixelBox, ...]
    zoom: int
    across: int


def shown_scores(values: np.ndarray, images: Sequence[int] = ()) -> list[int]:
    """Return the indices of the scores that have bars: all of a few, else each image's largest.

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
    # Not np.unique, which loads numpy.ma.
    kept = sorted({*owners.tolist()})[:MOST_BARS]
    shown = []
    for image in kept:
        own = np.flatnonzero(owners == image)
        shown += own[largest(values[own], MOST_BARS // len(kept))].tolist()
    return shown


@lru_cache(KEPT_LAYOUTS)
def plan_scores(
    names: tuple[str, ...],
    title: tuple[str, ...] = (),
    images: tuple[int, ...] = (),
    legend: bool = False,
) -> ScoreLayout:
    """Lay out a sheet of scores; its size depends on the names and the title.

    Parameters
    ----------
    names : tuple of str
        Of the maps that are on it.
    title : tuple of str
        Lines.
    images : tuple of int
        As in `shown_scores`.
    legend : bool
        Whether a colour bar stands below the bars and their numbers.

    Returns
    -------
    ScoreLayout

    Examples
    --------
    >>> layout = plan_scores(tuple(map(str, range(1000))))
    >>> len(layout.boxes), layout.zoom, (layout.width, layout.height)
    (1000, 8, (399, 675))
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
    below_bars = _lines_below_bars(legend)
    if len(names) <= MOST_BARS:
        zoom, across = _LINE - 4, 1
        boxes = tuple(
            PixelBox(2 * _GAP + name_width, top + index * _LINE + 2, zoom, zoom)
            for index in range(len(names))
        )
        height = top + (bars + below_bars) * _LINE + _GAP
    else:
        # As large as a page of squares allows, down to a pixel for each.
        zoom = max(1, min(8, math.isqrt(width * width // len(names))))
        across, below = (width - 2 * _GAP) // zoom, top + (bars + below_bars + 2) * _LINE
        boxes = tuple(
            PixelBox(_GAP + index % across * zoom, below + index // across * zoom, zoom, zoom)
            for index in range(len(names))
        )
        height = below + math.ceil(len(names) / across) * zoom + _GAP
    return ScoreLayout(width, height, top, name_width, boxes, zoom, across)


def score_sheet(
    tiles: Sequence[Tile],
    names: Sequence[str],
    title: Sequence[str] = (),
    images: Sequence[int] = (),
    legend: bool = False,
) -> Sheet:
    """Draw maps of one row and one column: a bar, a name and a number for each.

    Of more than `MOST_BARS` the largest of each image have bars, largest first, and all of them
    squares. The largest of an image has a darker bar. Bars begin at zero: they have the range of
    the squares and zero, and its ends stand below them. The colour bar has that of the squares.

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
    legend : bool
        Whether the range of the squares is drawn as a colour bar, below the bars' numbers.

    Returns
    -------
    Sheet
    """
    layout = plan_scores(tuple(names), tuple(title), tuple(images), legend)
    sheet = empty_sheet(tiles, layout.height, layout.width)
    if title:
        lines = [fit_text(line, layout.width - 2 * _GAP, label_font(_SIZE)) for line in title]
        write_lines(sheet, lines, (_GAP, _GAP // 2), layout.width - 2 * _GAP, _SIZE, 0)
    values = np.array([np.nan if tile.non_finite else tile.vmin for tile in tiles])
    shown = shown_scores(values, images)
    owners = np.array(images if images else [0] * len(tiles))
    own = (np.flatnonzero(owners == image) for image in {*owners.tolist()})
    best = {int(part[k]) for part in own if (k := winner(values[part])) is not None}
    mapping = tiles[0].mapping
    for row, index in enumerate(shown):
        top = layout.top + row * _LINE
        name = fit_text(plain_text(names[index]), layout.name_width, label_font(_SIZE))
        write_lines(sheet, [name], (_GAP, top), layout.name_width, _SIZE, 1)
        _draw_bar(sheet, layout, top, mapping, float(values[index]), index in best)
    left, below = _bars_left(layout), layout.top + len(shown) * _LINE
    write_numbers(sheet, (left, below), _BAR, _SMALL, legend_numbers(bar_range(mapping)))
    if legend:
        draw_legend(sheet, (left, below + _LINE), _BAR, _SIZE, mapping, tiles[0].colormap)
    if len(tiles) > MOST_BARS:
        top = below + (_lines_below_bars(legend) + 1) * _LINE - 4
        text = f"all {len(tiles)}, in their order from the left:"
        write_lines(sheet, [text], (_GAP, top), layout.width - 2 * _GAP, _SIZE, 0)
    _draw_squares(sheet, layout, tiles)
    return Sheet(sheet, layout.boxes, layout.zoom)


def _draw_squares(sheet: np.ndarray, layout: ScoreLayout, tiles: Sequence[Tile]) -> None:
    """Draw the square of each map, row by row, with a frame around all."""
    rows = []
    for first in range(0, len(tiles), layout.across):
        box, own = layout.boxes[first], tiles[first : first + layout.across]
        rows.append((replace(box, width=len(own) * box.width), own))
    for box, _ in rows:
        # What the squares do not cover stays as a frame, so that none is lost on the background.
        below, right = box.top + box.height, box.left + box.width
        sheet[box.top - 1 : below + 1, box.left - 1 : right + 1] = _FRAME * level_scale(sheet.dtype)
    for box, own in rows:
        paste(sheet, np.concatenate([tile.pixels for tile in own], axis=1), box, layout.zoom)


def bar_range(mapping: LevelMapping) -> LevelMapping:
    """Return the range of bars: that of their squares, and zero."""
    return replace(mapping, lo=min(mapping.lo, 0.0), hi=max(mapping.hi, 0.0))


def bar_span(value: float, mapping: LevelMapping) -> tuple[float, float]:
    """Return where the bar of a value begins and ends, from zero, in shares of `bar_range`.

    Examples
    --------
    >>> bar_span(-1.0, LevelMapping("symmetric", -2, 2))
    (0.25, 0.5)
    >>> bar_span(3.0, LevelMapping("minmax", 1, 5))
    (0.0, 0.6)
    """
    mapping = bar_range(mapping)
    lo, hi = mapping.lo, mapping.hi
    if not lo < hi:
        middle = 0.5 if mapping.kind == "symmetric" else 0.0
        return middle, middle

    def share(number: float) -> float:
        # Halves, because the difference of two large numbers may be too large a number.
        return (min(max(number, lo), hi) / 2 - lo / 2) / (hi / 2 - lo / 2)

    zero, drawn = share(0.0), abs(value) if mapping.kind == "abs" else value
    end = share(drawn) if math.isfinite(value) else zero
    return min(zero, end), max(zero, end)


def _draw_bar(
    sheet: np.ndarray,
    layout: ScoreLayout,
    top: int,
    mapping: LevelMapping,
    value: float,
    is_best: bool,
) -> None:
    """Draw a value as a bar along its range, and its number behind the longest bar."""
    left = _bars_left(layout)
    first, last = (left + round(_BAR * share) for share in bar_span(value, mapping))
    zero = left + round(_BAR * bar_span(0.0, mapping)[0])
    sheet[top + 1 : top + _LINE - 1, zero : zero + 1] = _AXIS * level_scale(sheet.dtype)
    if last > first:
        grey = _BEST if is_best else _OTHER
        sheet[top + 5 : top + _LINE - 5, first : last + 1] = grey * level_scale(sheet.dtype)
    number = number_text(value)
    write_lines(sheet, [number], (left + _BAR + _GAP, top), _NUMBER, _SIZE, 0)


def _lines_below_bars(legend: bool) -> int:
    """Return how many lines the bars' numbers take, with the colour bar and its numbers."""
    return 3 if legend else 1


def _bars_left(layout: ScoreLayout) -> int:
    return 3 * _GAP + layout.name_width + _LINE


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
    mapping: LevelMapping,
    width: int,
    blocks: bool,
    images: Sequence[int] = (),
) -> list[str]:
    """Return scores as lines of text for the terminal, each image's largest where there are many.

    Parameters
    ----------
    names : sequence of str
        As in `score_names`.
    values : sequence of float
    mapping : LevelMapping
        That of the squares; bars begin at zero.
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
    >>> score_lines(["0", "1"], [1.0, -0.5], LevelMapping("symmetric", -1, 1), 26, blocks=False)
    ['0       ####### 1', '1    ---        -0.5']
    """
    shown = shown_scores(np.array(values), images)
    most = max(width - max(_LEAST_BARS, width // 4) - _LONGEST_NUMBER - 2, 1)
    labels = [plain_text(names[index]) for index in shown]
    space = min(max(map(len, labels)), most)
    room = min(max(width - space - _LONGEST_NUMBER - 2, 1), _MOST_BARS)
    lines = []
    for label, index in zip(labels, shown, strict=True):
        value = values[index]
        first, last = (round(room * share) for share in bar_span(value, mapping))
        sign = ("\N{FULL BLOCK}\N{LIGHT SHADE}" if blocks else "#-")[int(value < 0)]
        bar = f"{' ' * first + sign * (last - first):{room}}"
        lines.append(f"{cut_middle(label, space):>{space}} {bar} {number_text(value)}")
    return lines
