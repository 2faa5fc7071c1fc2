"""Colour bars with numbers: which value has which grey or colour."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render import colormaps
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.text import LINE_HEIGHT, label_font, level_scale, write_lines

Legend = Literal["", "each", "one"]


@dataclass(frozen=True, eq=False)
class ColourKey:
    """A bar for colours that are no levels of one range, with its caption.

    Parameters
    ----------
    caption : str
        What the colours mean; parts that may stand on lines of their own end with ``", "``.
    colours : ndarray of float, shape (n, 3)
        From the left to the right, in 0..1.
    numbers : tuple of str
        Below the bar, from its left end to its right.
    """

    caption: str
    colours: np.ndarray
    numbers: tuple[str, ...]


def draw_legend(
    sheet: np.ndarray,
    corner: tuple[int, int],
    width: int,
    size: int,
    mapping: LevelMapping,
    colormap: str,
) -> None:
    """Draw a bar of all levels, with the values of its ends and of its middle below.

    Parameters
    ----------
    sheet : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
        Written into.
    corner : (left, top)
        In pixels.
    width : int
        Of the bar.
    size : int
        Of the font; bar and numbers take two lines of it.
    mapping : LevelMapping
    colormap : str
    """
    levels = np.rint(np.linspace(0, 255, width)).astype(np.uint8)
    if mapping.lo == mapping.hi:
        levels[...] = 128 if mapping.kind == "symmetric" else 0
    bar: np.ndarray = colormaps.apply(levels, colormap)
    _draw_bar(sheet, corner, bar, size, legend_numbers(mapping))


def draw_key(
    sheet: np.ndarray, corner: tuple[int, int], width: int, size: int, key: ColourKey
) -> None:
    """Draw the bar of a key, with its numbers below; the arguments are those of `draw_legend`."""
    chosen = np.rint(np.linspace(0, len(key.colours) - 1, width)).astype(int)
    bar = np.rint(key.colours[chosen] * 255).astype(np.uint8)
    _draw_bar(sheet, corner, bar, size, key.numbers)


def _draw_bar(
    sheet: np.ndarray, corner: tuple[int, int], bar: np.ndarray, size: int, numbers: tuple[str, ...]
) -> None:
    (left, top), width = corner, len(bar)
    line = round(size * LINE_HEIGHT)
    bar = bar.astype(sheet.dtype) * level_scale(sheet.dtype)
    if bar.ndim < sheet.ndim - 1:
        bar = bar[:, None]
    sheet[top + line // 4 : top + line, left : left + width] = bar
    write_numbers(sheet, (left, top + line), width, size, numbers)


def write_numbers(
    sheet: np.ndarray, corner: tuple[int, int], width: int, size: int, numbers: tuple[str, ...]
) -> None:
    """Write numbers along a bar, from its left end to its right; only the ends where it is short.

    The arguments are those of `draw_legend`.
    """
    font = label_font(size)
    if sum(font.getlength(number) + 1.5 * size for number in numbers) > width:
        numbers = (numbers[0], numbers[-1])
    share = width // len(numbers)
    for index, number in enumerate(numbers):
        align = 0.5 if len(numbers) == 1 else index / (len(numbers) - 1)
        start = corner[0] + round(align * (width - share))
        write_lines(sheet, [number], (start, corner[1]), share, size, align)


def legend_numbers(mapping: LevelMapping) -> tuple[str, ...]:
    """Return the values at a bar's left end, middle and right end; one of a constant map.

    Examples
    --------
    >>> [legend_numbers(LevelMapping("minmax", lo, 0.25)) for lo in (-0.25, 0.25)]
    [('-0.25', '0', '0.25'), ('0.25',)]
    """
    if mapping.lo == mapping.hi:
        return (f"{mapping.lo:.3g}",)
    middle = mapping.lo / 2 + mapping.hi / 2
    return tuple(f"{value:.3g}" for value in (mapping.lo, middle, mapping.hi))
