"""A result to its files and to the report: the last part of a job."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import cnncli
from cnncli.encode import encode, encode_float_tiff, holds_values, write_npy_blocks
from cnncli.featuremaps import FeatureMaps
from cnncli.images import Picture
from cnncli.job import Job, Outcome, Written
from cnncli.metadata import describe_values
from cnncli.outputs import OutFile, Source, check_target, write_stdout, write_whole
from cnncli.render import (
    Extremes,
    MapGroup,
    Sheet,
    Tile,
    describe,
    grid,
    measure,
    plan_grid,
    render,
    render_notes,
    terminal_picture,
)
from cnncli.strips import Values


def check_format_of(
    job: Job, file: OutFile, shape: tuple[int, int, int, int], groups: Sequence[MapGroup]
) -> None:
    """Refuse a picture that its file's format cannot hold, before the first pixel."""
    if holds_values(file.format, job.output.depth):
        check_target(file, shape[2], shape[1], depth=job.output.depth)
        return
    options = job.render
    layout = plan_grid(shape[1], shape[2], len(file.maps), options.columns, options.labels)
    shown = [groups[index % len(groups)] for index in file.maps]
    colour = options.colormap != "gray" or any(group.colour for group in shown)
    check_target(file, layout.width, layout.height, colour=colour, depth=job.output.depth)


@dataclass(frozen=True, eq=False)
class View:
    """A result with what is needed to show any part of it."""

    result: FeatureMaps
    groups: tuple[MapGroup, ...]
    names: tuple[str, ...]
    job: Job

    @property
    def picture(self) -> Picture:
        """The image."""
        return self.result.picture

    @property
    def clip_by_default(self) -> bool:
        """Whether the range auto means 0..1: 2-D filters, and what keeps a picture a picture."""
        network = self.job.network
        return network.filters_channels or (network.keeps_channels and self.picture.is_picture)

    def tiles(self) -> list[Tile]:
        """Return every picture of the result."""
        options = self.job.render
        # Float files hold values; what is drawn beside them in the terminal has 8 bits.
        options = replace(options, depth="8") if options.depth == "float" else options
        return render(self.result, self.groups, options, self.clip_by_default)

    def blocks(self, maps: tuple[int, ...]) -> Iterator[Values]:
        """Yield the values of some pictures in blocks of rows: of all of them, or of one."""
        wanted, group = divmod(maps[0], len(self.groups))
        for image, block in self.result.blocks():
            if len(maps) == len(self.names):
                yield block
            elif image == wanted:
                yield block[..., list(self.groups[group].channels)]

    def shape(self, maps: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of those pictures' values, with the batch axis if it stays."""
        n, height, width, channels = self.result.shape
        if len(maps) < len(self.names):
            channels = len(self.groups[maps[0] % len(self.groups)].channels)
        return (n, height, width, channels) if self.batched(maps) else (height, width, channels)

    def batched(self, maps: tuple[int, ...]) -> bool:
        """Whether those pictures keep the batch axis of the input."""
        return self.picture.batched and len(maps) == len(self.names)


def write_all(job: Job, source: Source, files: Sequence[OutFile], view: View) -> Outcome:
    """Write a result to its files, values first, and return what became of the image."""
    depth = job.output.depth
    drawn = job.show_width or not all(holds_values(file.format, depth) for file in files)
    if sum(holds_values(file.format, depth) for file in files) > 1:
        view.result.whole()
    written = [
        _write_values(job, file, view) if holds_values(file.format, depth) else None
        for file in files
    ]
    tiles = view.tiles() if drawn else []
    notes = _notes(job, view, written, tiles)
    # Encoding needs memory of its own: a decoded picture need not stand beside it.
    view.result.let_go()
    finished = [
        done or _write_picture(job, file, [tiles[index] for index in file.maps], view)
        for file, done in zip(files, written, strict=True)
    ]
    shown = ""
    if job.show_width:
        sheet = grid(tiles, job.render.columns, job.render.labels)
        shown = terminal_picture(sheet.pixels, job.show_width)
    return Outcome(source, tuple(finished), notes, shown=shown)


def _notes(
    job: Job, view: View, written: Sequence[Written | None], tiles: Sequence[Tile]
) -> tuple[str, ...]:
    spoilt = max(
        sum(tile.non_finite for tile in tiles), sum(done.non_finite for done in written if done)
    )
    return (
        *view.picture.notes,
        *job.notes,
        *job.network.notes(view.picture.shape),
        *(job.network.choices(view.picture.shape, view.result.dtype) if job.verbose else ()),
        *(_value_notes(view, spoilt) if spoilt else ()),
        *(render_notes(view.groups, job.render) if tiles else ()),
    )


def _write_values(job: Job, file: OutFile, view: View) -> Written:
    shape = view.shape(file.maps)
    if file.format.pillow is None:
        found, form = _write_array(job, file, view)
    else:
        found, form = _write_float_tiff(job, file, view)
    finite = found.lo <= found.hi
    return Written(
        output=_output_name(file),
        form=f"{'x'.join(map(str, shape))} {form}",
        shape=shape,
        maps=tuple(view.names[index] for index in file.maps),
        low=found.lo if finite else 0.0,
        high=found.hi if finite else 0.0,
        mapping="values",
        range=None,
        clipped=0.0,
        non_finite=found.non_finite,
    )


def _write_array(job: Job, file: OutFile, view: View) -> tuple[Extremes, str]:
    """Write a .npy file strip by strip, and look at the values on their way."""
    dtype, seen = view.result.dtype, [Extremes()]

    def blocks() -> Iterator[Values]:
        for block in view.blocks(file.maps):
            seen.append(seen.pop() | measure(block))
            yield block

    _write(job, file, lambda out: write_npy_blocks(out, view.shape(file.maps), dtype, blocks()))
    return seen[0], f"{dtype} array"


def _write_float_tiff(job: Job, file: OutFile, view: View) -> tuple[Extremes, str]:
    values = view.result.whole()
    if len(file.maps) < len(view.names):
        image, group = divmod(file.maps[0], len(view.groups))
        values = values[image : image + 1][..., list(view.groups[group].channels)]
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    record = describe_values(values.shape, job.command, cnncli.__version__)
    _write(job, file, encode_float_tiff(values, metadata=record, compress=job.render.compress))
    return measure(values), "float32 pages"


def _write_picture(job: Job, file: OutFile, tiles: Sequence[Tile], view: View) -> Written:
    sheet = grid(tiles, job.render.columns, job.render.labels)
    record = describe(tiles, job.command, cnncli.__version__, sheet)
    data = encode(
        sheet.pixels,
        file.format,
        depth=job.output.depth,
        metadata=record,
        compress=job.render.compress,
    )
    _write(job, file, data)
    ranges = tuple((tile.mapping.lo, tile.mapping.hi) for tile in tiles)
    return Written(
        output=_output_name(file),
        form=_picture_form(sheet, tiles),
        shape=view.shape(file.maps),
        maps=tuple(tile.name for tile in tiles),
        low=min(tile.vmin for tile in tiles),
        high=max(tile.vmax for tile in tiles),
        mapping=tiles[0].mapping.kind,
        range=ranges[0] if len(set(ranges)) == 1 else None,
        clipped=sum(tile.clipped_fraction for tile in tiles) / len(tiles),
        non_finite=sum(tile.non_finite for tile in tiles),
        ranges=ranges,
    )


def _picture_form(sheet: Sheet, tiles: Sequence[Tile]) -> str:
    height, width = sheet.pixels.shape[:2]
    kind = "RGB" if sheet.pixels.ndim == 3 else "grey"
    deep = " 16-bit" if sheet.pixels.dtype == np.uint16 else ""
    form = f"{width}x{height}{deep} {kind}"
    if len(tiles) == 1:
        return form
    rows, columns = tiles[0].pixels.shape[:2]
    return f"{form}, {len(tiles)} maps of {columns}x{rows}"


def _value_notes(view: View, spoilt: int) -> tuple[str, ...]:
    if view.job.network.notes(view.picture.shape):
        why = ""
    elif np.isfinite(view.picture.pixels).all():
        why = ", the numbers grew too large"
    else:
        why = ", as some of the input are"
    return (f"warning: {spoilt} of {math.prod(view.result.shape)} values are infinite or NaN{why}",)


def _write(job: Job, file: OutFile, data: Any) -> None:
    if file.path is None:
        write_stdout(data)
    else:
        write_whole(file.path, data, overwrite=job.output.overwrite)


def _output_name(file: OutFile) -> str:
    return "standard output" if file.path is None else os.fspath(file.path)
