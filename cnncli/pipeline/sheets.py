"""The sheet of a file: which of a result's pictures are on it, under which title."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cnncli.errors import CnnCliError
from cnncli.pipeline.layer_result import LayerResult
from cnncli.render.grid import Sheet, SheetText, grid, plan_grid
from cnncli.render.legend import ColourKey
from cnncli.render.options import RenderOptions
from cnncli.render.result_rows import Shape
from cnncli.render.scores import (
    are_scores,
    number_text,
    plan_scores,
    score_lines,
    score_names,
    score_sheet,
    winner,
)
from cnncli.render.terminal import colour_allowed, terminal_picture
from cnncli.render.tiles import Tile

_WIDEST_RANGE = "symmetric -1.234e-05..-1.234e-05"


def shows_scores(result: LayerResult) -> bool:
    """Tell whether a result is shown as bars and numbers."""
    return are_scores(result.shape, result.groups, result.layer is not None)


def as_computed(result: LayerResult, shape: Shape) -> LayerResult:
    """Return a result with its own shape, where only the values told it.

    Raises
    ------
    CnnCliError
        If there is nothing in it that a picture could show.
    """
    if shape == result.shape:
        return result
    if 0 in shape and any(file.format.pillow is not None for file in result.files):
        raise CnnCliError(
            f"layer {result.name} found nothing: it has no values to show",
            hint="-o values.npy takes it as it is",
        )
    return replace(result, shape=shape)


def is_colour(result: LayerResult, maps: Sequence[int], render: RenderOptions) -> bool:
    """Tell whether the picture of some maps is in colour."""
    groups = (result.groups[index % len(result.groups)] for index in maps)
    return render.colormap != "gray" or any(group.colour for group in groups)


def sheet_size(
    result: LayerResult, maps: Sequence[int], render: RenderOptions, op: str
) -> tuple[int, int]:
    """Return the (width, height) that the sheet of some maps has at the most, before it is made.

    Parameters
    ----------
    result : LayerResult
    maps : sequence of int
        Indices of its pictures.
    render : RenderOptions
    op : str
        Name of the command, for a result that is no layer's.
    """
    head = _head(result, op)
    if shows_scores(result):
        names = score_names(result.maps, result.shape[0])
        title = (f"{head}, {_WIDEST_RANGE}", "largest") if render.labels else ()
        shown_names, images = tuple(names[index] for index in maps), tuple(_images(result, maps))
        layout = plan_scores(shown_names, title, images, render.legend)
        return layout.width, layout.height
    shown = tuple(result.maps[index] for index in maps)
    captions = tuple(key.caption for key in _keys(result, render))
    text = SheetText(legend="each" if _has_legend(result, render) else "", captions=captions)
    if render.labels:
        line = head if result.keys else f"{head}, {_WIDEST_RANGE}"
        text = replace(text, title=line, names=shown)
    sheet = plan_grid(*result.shape[1:3], len(maps), _columns(result, maps, render), text)
    return sheet.width, sheet.height


def make_sheet(
    result: LayerResult,
    maps: Sequence[int],
    tiles: Sequence[Tile],
    render: RenderOptions,
    op: str,
) -> Sheet:
    """Put some pictures of a result on a sheet: a single one as it is, scores as bars.

    Parameters
    ----------
    result : LayerResult
    maps : sequence of int
        Indices of its pictures.
    tiles : sequence of Tile
        Those.
    render : RenderOptions
    op : str
        Name of the command, for a result that is no layer's.
    """
    head = _head(result, op)
    title = head if result.keys else f"{head}, {_range_text(tiles)}"
    if shows_scores(result):
        names = score_names(result.maps, result.shape[0])
        lines = [title, *_largest_line(result, names, tiles)] if render.labels else []
        shown = [names[index] for index in maps]
        return score_sheet(tiles, shown, lines, _images(result, maps), render.legend)
    legend = tiles if _has_legend(result, render) else ()
    keys = _keys(result, render)
    columns = _columns(result, maps, render)
    return grid(tiles, columns, render.labels, title=title, legend=legend, keys=keys)


def _columns(result: LayerResult, maps: Sequence[int], render: RenderOptions) -> int | None:
    """Return the columns of a sheet: of a batch such that every image begins a row, or fills some.

    Of these numbers the one that makes the sheet most nearly square; None for any.
    """
    batch, each = result.shape[0], len(result.groups)
    if render.columns or batch < 2 or each < 2 or len(maps) < len(result.maps):
        return render.columns
    parts = [count for count in range(1, each + 1) if each % count == 0]
    wholes = [each * images for images in range(2, math.isqrt(batch) + 2)]
    side = math.sqrt(len(maps))
    return min(parts + wholes, key=lambda count: max(count / side, side / count))


def _images(result: LayerResult, maps: Sequence[int]) -> list[int]:
    """Return the image of each picture."""
    return [index // len(result.groups) for index in maps]


def _has_legend(result: LayerResult, render: RenderOptions) -> bool:
    return render.legend and not result.keys


def _keys(result: LayerResult, render: RenderOptions) -> tuple[ColourKey, ...]:
    return result.keys if render.labels or render.legend else ()


def draw_for_terminal(
    result: LayerResult, tiles: Sequence[Tile], render: RenderOptions, width: int
) -> str:
    """Return a result as text: pictures as coloured blocks, scores as bars with numbers.

    Parameters
    ----------
    result : LayerResult
    tiles : sequence of Tile
        All of its pictures.
    render : RenderOptions
    width : int
        Columns of the terminal.
    """
    if not tiles:
        return ""
    if shows_scores(result):
        values = [float("nan") if tile.non_finite else tile.vmin for tile in tiles]
        names, images = score_names(result.maps, result.shape[0]), _images(result, result.all_maps)
        lines = score_lines(names, values, tiles[0].mapping, width, colour_allowed(), images)
        return "".join(f"{line}\n" for line in lines)
    columns = _columns(result, result.all_maps, render)
    # Letters of a sheet would be specks in the terminal.
    return terminal_picture(grid(tiles, columns, labels=False).pixels, width)


def _head(result: LayerResult, op: str) -> str:
    if result.title is not None:
        return result.title
    n, *whole = result.shape
    shape = "x".join(map(str, whole if n == 1 else result.shape))
    names = ", map@image" if n > 1 and not shows_scores(result) else ""
    if 1 < len(result.groups) < whole[2]:
        names = f", {len(result.groups)} maps{names}"
    return f"{op if result.layer is None else result.layer} {shape}{names}"


def _range_text(tiles: Sequence[Tile]) -> str:
    mappings = {tile.mapping for tile in tiles}
    first = tiles[0].mapping
    if len(mappings) > 1:
        return f"{first.kind}, each map its own range"
    return str(first)


def _largest_line(result: LayerResult, names: Sequence[str], tiles: Sequence[Tile]) -> list[str]:
    """Name the largest of all maps of an image; of a single one there is none to name."""
    if result.shape[0] > 1:
        return []
    values = [float("nan") if tile.non_finite else tile.vmin for tile in tiles]
    best = winner(values)
    return [] if best is None else [f"largest: {names[best]} ({number_text(values[best])})"]
