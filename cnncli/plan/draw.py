"""Draws the picture of a receptive field: the image, dimmed outside it, and a box a layer."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box, Pair
from cnncli.plan.trace import Reach, beyond_text, pixels_text
from cnncli.render.text import fit_text, label_font, plain_text

Colour = tuple[int, int, int]
Rect = tuple[int, int, int, int]

OWN: Final[Colour] = (255, 214, 0)
"""The traced unit's own box; the other layers' hues keep away from it."""

DIM: Final = 0.45
"""What is left of the brightness of pixels that do not reach the unit."""

_DIMMED = np.rint(np.arange(256) * DIM).astype(np.uint8)
_HUES = (0.48, 1.02)  # cyan, blue, violet, magenta, red
_SATURATION = 0.6
_BACKGROUND, _INK, _FAINT = (24, 24, 24), (240, 240, 240), (176, 176, 176)
_SMALL, _LARGE = 512, 1024
_MARGIN, _LEGEND_GAP = 24, 56
_TITLE, _NAME, _NOTE = 24, 17, 14
_THIN, _THICK = 2, 4
_SWATCH = 14
_LONGEST_TEXT = 460


@dataclass(frozen=True)
class Panel:
    """A part of the image on the sheet.

    Parameters
    ----------
    region : Box
        The pixels shown.
    zoom, shrink : int
        Every pixel becomes zoom x zoom, or shrink x shrink pixels one; one of them is 1.
    left, top : int
        Its place on the sheet.
    """

    region: Box
    zoom: int = 1
    shrink: int = 1
    left: int = 0
    top: int = 0

    @property
    def size(self) -> Pair:
        """Width and height on the sheet."""
        rows, cols = self.region
        return self._scaled(cols.stop - cols.start), self._scaled(rows.stop - rows.start)

    def _scaled(self, count: int) -> int:
        return -(-count * self.zoom // self.shrink)

    def rect(self, box: Box) -> Rect:
        """Return the left, top, right and bottom of a box of pixels on the sheet, ends excluded.

        Examples
        --------
        >>> Panel((slice(0, 9), slice(2, 9)), zoom=8, left=24).rect((slice(1, 2), slice(2, 4)))
        (24, 8, 40, 16)
        """
        (rows, cols), (top, left) = box, (self.region[0].start, self.region[1].start)
        return (
            self.left + (cols.start - left) * self.zoom // self.shrink,
            self.top + (rows.start - top) * self.zoom // self.shrink,
            self.left + self._scaled(cols.stop - left),
            self.top + self._scaled(rows.stop - top),
        )


@dataclass(frozen=True, eq=False)
class ReceptiveFieldPicture:
    """A finished picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
    panels : tuple of Panel
        The whole image; and its part around the unit's box, where that would be too small to see.
    colours : tuple of (red, green, blue)
        Of each reach.
    """

    pixels: np.ndarray
    panels: tuple[Panel, ...]
    colours: tuple[Colour, ...]


def draw_receptive_field(image: np.ndarray, reaches: Sequence[Reach]) -> ReceptiveFieldPicture:
    """Draw which pixels reach a unit.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
    reaches : sequence of Reach
        As `trace` returns them.

    Returns
    -------
    ReceptiveFieldPicture

    Examples
    --------
    >>> seen = Reach(("conv1",), (0, 4), (slice(0, 2), slice(3, 6)), (1, 0, 0, 0))
    >>> sheet = draw_receptive_field(np.full((8, 8), 200, np.uint8), [seen])
    >>> sheet.panels[0].rect(seen.box)
    (216, 62, 408, 190)
    """
    own, colours = reaches[-1], _colours(len(reaches))
    panels = _panels(image.shape[:2], own, _MARGIN + round(_TITLE * 1.6))
    entries = [_entry(reach, colour) for reach, colour in zip(reaches, colours, strict=True)]
    title = f"unit {_unit_text(own.unit)} of {own.layers[-1]}"
    left = panels[-1].left + panels[-1].size[0] + _LEGEND_GAP
    width = left + max(entry.width for entry in entries) + _SWATCH + 10 + _MARGIN
    height = max(panel.top + panel.size[1] for panel in panels)
    height = max(height, panels[0].top + sum(entry.height for entry in entries)) + _MARGIN
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    dimmed = _dim_outside(image, own)
    for panel in panels:
        sheet.paste(_scaled_part(dimmed, panel), (panel.left, panel.top))
    draw = ImageDraw.Draw(sheet)
    heading = fit_text(
        plain_text(f"Pixels that reach {title}"), width - 2 * _MARGIN, label_font(_TITLE)
    )
    draw.text((_MARGIN, _MARGIN // 2 + 2), heading, fill=_INK, font=label_font(_TITLE))
    if len(panels) > 1:
        _connect(draw, panels, own)
    _legend(draw, entries, panels[-1], left)
    _boxes(draw, entries, panels[-1])
    return ReceptiveFieldPicture(np.asarray(sheet), panels, colours)


@dataclass(frozen=True)
class _Entry:
    """A line of the legend, with the notes below it."""

    reach: Reach
    colour: Colour
    name: str
    notes: tuple[str, ...]

    @property
    def height(self) -> int:
        """Pixels of the name and the notes."""
        return round(_NAME * 1.4 + len(self.notes) * _NOTE * 1.35) + 12

    @property
    def width(self) -> int:
        """Pixels of the longest line."""
        lengths = [label_font(_NAME).getlength(self.name)]
        return round(max(lengths + [label_font(_NOTE).getlength(note) for note in self.notes]))


def _colours(count: int) -> tuple[Colour, ...]:
    first, last = _HUES
    hues = np.linspace(first, last, max(count - 1, 1))[: count - 1] % 1.0
    others = [colorsys.hsv_to_rgb(float(hue), _SATURATION, 1.0) for hue in hues]
    return (*((round(r * 255), round(g * 255), round(b * 255)) for r, g, b in others), OWN)


def _unit_text(unit: Pair) -> str:
    return f"{unit[0]},{unit[1]}"


def _entry(reach: Reach, colour: Colour) -> _Entry:
    first, last = reach.layers[0], reach.layers[-1]
    names = first if first == last else f"{first} to {last}"
    rows, cols = reach.size
    size = "padding only" if reach.empty else f"{rows}x{cols} pixels"
    font = label_font(_NAME)
    space = _LONGEST_TEXT - font.getlength(f":  {size}")
    notes = [f"unit {_unit_text(reach.unit)}"]
    if not reach.empty:
        notes = [f"unit {_unit_text(reach.unit)} sees {pixels_text(reach)}"]
    notes += [f"and {text}" for text in (beyond_text(reach),) if text]
    if reach.skipped:
        notes += [f"({reach.skipped} layers before it are left out)"]
    return _Entry(
        reach, colour, f"{fit_text(plain_text(names), space, font)}:  {size}", tuple(notes)
    )


def _panels(size: Pair, own: Reach, top: int) -> tuple[Panel, ...]:
    """The whole image, and beside it its part around the box where that shows more."""
    long = max(size)
    whole = Panel(
        (slice(0, size[0]), slice(0, size[1])),
        zoom=max(1, -(-_SMALL // long)),
        shrink=max(1, -(-long // _LARGE)),
        left=_MARGIN,
        top=top,
    )
    if own.empty:
        return (whole,)
    rows, cols = (_around(side, n) for side, n in zip(own.box, size, strict=True))
    longest = max(rows.stop - rows.start, cols.stop - cols.start)
    zoom = max(1, _SMALL // longest)
    if longest > _LARGE or zoom * whole.shrink < 1.5 * whole.zoom:
        return (whole,)
    left = whole.left + whole.size[0] + _LEGEND_GAP
    return whole, Panel((rows, cols), zoom, left=left, top=top)


def _around(side: slice, size: int) -> slice:
    more = max(2, (side.stop - side.start) // 6)
    return slice(max(0, side.start - more), min(size, side.stop + more))


def _dim_outside(image: np.ndarray, own: Reach) -> np.ndarray:
    """The image in colour, dim outside the box."""
    colour = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    dimmed: np.ndarray = _DIMMED[colour]
    if not own.empty:
        dimmed[own.box] = colour[own.box]
    return dimmed


def _scaled_part(image: np.ndarray, panel: Panel) -> Image.Image:
    part = np.ascontiguousarray(image[panel.region])
    if panel.shrink > 1:
        return Image.fromarray(part).reduce(panel.shrink)
    return Image.fromarray(part.repeat(panel.zoom, axis=0).repeat(panel.zoom, axis=1))


def _connect(draw: ImageDraw.ImageDraw, panels: Sequence[Panel], own: Reach) -> None:
    """Mark in the whole image what the second panel shows enlarged."""
    whole, part = panels
    _outline(draw, whole.rect(own.box), OWN, _THIN, outside=True)
    left, top, right, bottom = whole.rect(part.region)
    _outline(draw, (left, top, right, bottom), _INK, 1, outside=True)
    for y, corner in ((top, part.top), (bottom, part.top + part.size[1])):
        draw.line([(right, y), (part.left - 1, corner)], fill=_INK, width=1)
    _outline(draw, part.rect(part.region), _INK, 1, outside=True)


def _boxes(draw: ImageDraw.ImageDraw, entries: Sequence[_Entry], panel: Panel) -> None:
    """Draw the boxes, smaller ones on top; the unit's own stands around its pixels."""
    drawn: list[Rect] = []
    for entry in reversed([entry for entry in entries if not entry.reach.empty]):
        rect = panel.rect(entry.reach.box)
        if entry is entries[-1]:
            _outline(draw, rect, entry.colour, _THICK, outside=True)
            continue
        # Small boxes must not fill up.
        line = _THIN if min(rect[2] - rect[0], rect[3] - rect[1]) > 3 * _THIN else 1
        _outline(draw, _clear_of(rect, drawn), entry.colour, line)
        drawn.append(rect)


def _clear_of(rect: Rect, drawn: Sequence[Rect]) -> Rect:
    """Move edges inwards that others have too, so that each line is seen."""
    left, top, right, bottom = (
        _THIN * sum(other[edge] == rect[edge] for other in drawn) for edge in range(4)
    )
    inner = rect[0] + left, rect[1] + top, rect[2] - right, rect[3] - bottom
    fits = inner[2] - inner[0] > 3 * _THIN and inner[3] - inner[1] > 3 * _THIN
    return inner if fits else rect


def _outline(
    draw: ImageDraw.ImageDraw, rect: Rect, colour: Colour, width: int, *, outside: bool = False
) -> None:
    left, top, right, bottom = rect
    more = width if outside else 0
    corners = (left - more, top - more, right + more - 1, bottom + more - 1)
    draw.rectangle(corners, outline=colour, width=width)


def _legend_top(entries: Sequence[_Entry], panel: Panel) -> int:
    """Beside the first layer's box, or higher where there are many below it."""
    first = entries[0].reach
    lowest = panel.top + panel.size[1] - sum(entry.height for entry in entries)
    top = panel.top if first.empty else panel.rect(first.box)[3] - _NAME
    return max(panel.top, min(top, lowest))


def _legend(draw: ImageDraw.ImageDraw, entries: Sequence[_Entry], panel: Panel, left: int) -> None:
    """Write the layers from the first to the unit's own, each joined to its box by a line."""
    y = _legend_top(entries, panel)
    for entry in entries:
        middle = y + round(_NAME * 0.7)
        if not entry.reach.empty:
            _, _, right, bottom = panel.rect(entry.reach.box)
            draw.line([(right - 1, bottom - 1), (left - 6, middle)], fill=entry.colour, width=1)
        top = middle - _SWATCH // 2
        draw.rectangle((left, top, left + _SWATCH - 1, top + _SWATCH - 1), fill=entry.colour)
        x = left + _SWATCH + 10
        draw.text((x, y), entry.name, fill=_INK, font=label_font(_NAME))
        for number, note in enumerate(entry.notes):
            below = y + round(_NAME * 1.4 + number * _NOTE * 1.35)
            draw.text((x, below), note, fill=_FAINT, font=label_font(_NOTE))
        y += entry.height
