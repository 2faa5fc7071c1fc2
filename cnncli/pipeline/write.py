"""A result to its files and to the report: the last part of a job."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

import numpy as np

from cnncli._version import __version__
from cnncli.io.atomic import Data
from cnncli.io.formats import NPZ
from cnncli.io.images import Picture
from cnncli.io.png_writer import PngFile
from cnncli.io.writers import (
    encode,
    encode_float_tiff,
    holds_values,
    start_png,
    write_npy_blocks,
    write_npz,
)
from cnncli.network.graph import Network, input_groups
from cnncli.pipeline.feature_maps import FeatureMaps
from cnncli.pipeline.job import Job, WrittenFile
from cnncli.pipeline.outputs import OutFile, check_target
from cnncli.pipeline.targets import is_device
from cnncli.pipeline.templates import distinct, safe_name
from cnncli.render.metadata import describe_values
from cnncli.render.result_rows import Shape, Values
from cnncli.render.tiles import (
    MapGroup,
    Sheet,
    Tile,
    ValueRange,
    grid,
    make_tiles,
    measure,
    picture_names,
    picture_record,
    plan_grid,
    render_notes,
    render_rows,
    terminal_picture,
)

Write = Callable[[OutFile, Data], None]
"""Writes one file: `cnncli.pipeline.files.FileAccess.write`."""

ANSWERS: Final = 5
"""Units of a layer of one row and one column that the report tells."""


@dataclass(frozen=True)
class Expected:
    """What a layer's result will be, known before it is computed.

    Parameters
    ----------
    name : str
        Of the layer in its network.
    layer : str, optional
        The same, for a network from a file.
    shape : (N, n_H, n_W, n_C)
    groups : tuple of MapGroup
    maps : tuple of str
        Names of its pictures.
    """

    name: str
    layer: str | None
    shape: Shape
    groups: tuple[MapGroup, ...]
    maps: tuple[str, ...]


@dataclass(frozen=True)
class Share:
    """The files of one layer."""

    expected: Expected
    files: tuple[OutFile, ...]
    is_last: bool


def expect(job: Job, shape: Shape, layers: Sequence[str]) -> list[Expected]:
    """Check all shapes and return what the wanted layers will give; without any, the last."""
    shapes = job.network.shapes(shape)
    groups = job.network.groups(input_groups(shape[3]))
    found = []
    for name in layers or job.network.names[-1:]:
        maps = picture_names(groups[name], shapes[name][0])
        layer = name if job.layers else None
        found.append(Expected(name, layer, shapes[name], groups[name], maps))
    return found


def shares_of(expected: Sequence[Expected], files: Sequence[OutFile]) -> list[Share]:
    """Return the layers that have files, with them; an archive is a file of every layer."""
    archive = any(file.format == NPZ for file in files)
    shares = []
    for index, each in enumerate(expected):
        own = tuple(file for file in files if archive or file.result == index)
        if own:
            shares.append(Share(each, own, index == len(expected) - 1))
    return shares


def check_format_of(job: Job, file: OutFile, expected: Expected) -> None:
    """Refuse a picture that its file's format cannot hold, before the first pixel."""
    shape, groups = expected.shape, expected.groups
    if holds_values(file.format, job.output.depth):
        check_target(file, shape[2], shape[1], depth=job.output.depth)
        return
    options = job.render
    layout = plan_grid(shape[1], shape[2], len(file.maps), options.columns, options.labels)
    shown = [groups[index % len(groups)] for index in file.maps]
    colour = options.colormap != "gray" or any(group.colour for group in shown)
    check_target(file, layout.width, layout.height, colour=colour, depth=job.output.depth)


def notes_of(job: Job, picture: Picture) -> tuple[str, ...]:
    """Return what is to be said of an image before anything is computed."""
    return (
        *picture.notes,
        *job.notes,
        *job.network.notes(picture.shape),
        *(_choices(job.network, picture) if job.verbose else ()),
    )


def _choices(network: Network, picture: Picture) -> tuple[str, ...]:
    said = network.choices(picture.shape, picture.dtype)
    if not said or network.pixel_dtype(picture.shape, picture.pixels.dtype) is None:
        return said
    return (f"{said[0]}; 8-bit pictures of the range 0..1 by shift-add on whole numbers",)


@dataclass(frozen=True, eq=False)
class View:
    """A result with what is needed to show any part of it."""

    result: FeatureMaps
    expected: Expected
    job: Job
    write: Write

    @property
    def groups(self) -> tuple[MapGroup, ...]:
        """Which of its channels belong together."""
        return self.expected.groups

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its pictures."""
        return self.expected.maps

    @property
    def picture(self) -> Picture:
        """The image."""
        return self.result.picture

    @property
    def clip_by_default(self) -> bool:
        """Whether the range auto means 0..1.

        So it does for 2-D filters, for what keeps a picture a picture, and in network files for
        probabilities, but not behind layers that scale.
        """
        network = self.result.network
        if self.expected.layer is not None and network.gives_shares:
            return True
        pictures = network.filters_channels or (network.keeps_channels and self.picture.is_picture)
        return pictures and not network.scales

    def tiles(self) -> list[Tile]:
        """Return every picture of the result."""
        options = self.job.render
        # Float files hold values; what is drawn beside them in the terminal has 8 bits.
        options = replace(options, depth="8") if options.depth == "float" else options
        return make_tiles(self.result, self.groups, options, self.clip_by_default)

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


def write_results(
    job: Job, shares: Sequence[Share], made: Iterator[tuple[str, FeatureMaps]], write: Write
) -> tuple[tuple[WrittenFile, ...], tuple[str, ...], str]:
    """Write results to their files as they come.

    Parameters
    ----------
    job : Job
    shares : sequence of Share
    made : iterator of (str, FeatureMaps)
        Their layers, in the same order.
    write : callable
        Writes a file.

    Returns
    -------
    tuple
        What was written, what is to be said of it, and the drawing of the last layer.
    """
    if shares[0].files[0].format == NPZ:
        return _write_archive(job, shares, made, write)
    written: list[WrittenFile] = []
    notes: list[str] = []
    shown = ""
    for share, (_, result) in zip(shares, made, strict=True):
        view = View(result, share.expected, job, write)
        done, said, shown = _write_all(share, view)
        written += done
        notes += said
        # What comes next may need its room.
        del view, result
    return tuple(written), tuple(dict.fromkeys(notes)), shown


def _write_archive(
    job: Job, shares: Sequence[Share], made: Iterator[tuple[str, FeatureMaps]], write: Write
) -> tuple[tuple[WrittenFile, ...], tuple[str, ...], str]:
    file = shares[0].files[0]
    members = distinct(_member_name(share.expected) for share in shares)
    written: list[WrittenFile] = []
    notes: list[str] = []
    drawn: list[str] = [""]

    def arrays() -> Iterator[tuple[str, tuple[int, ...], np.dtype[Any], Iterator[Values]]]:
        for member, share, (_, result) in zip(members, shares, made, strict=True):
            view = View(result, share.expected, job, write)
            seen = [ValueRange()]
            every = tuple(range(len(view.names)))
            yield member, view.shape(every), result.dtype, _watched(view, every, seen)
            form = f"{result.dtype} array"
            written.append(_values_written(file, view, every, seen[0], form))
            tiles = view.tiles() if share.is_last and job.show_width else []
            notes.extend(_notes(view, seen[0].non_finite, tiles))
            drawn[0] = _drawn(job, tiles)
            del view, result

    write(file, lambda out: write_npz(out, arrays()))
    return tuple(written), tuple(dict.fromkeys(notes)), drawn[0]


def _member_name(expected: Expected) -> str:
    """The layer's own name, unless unpacking it as a file could leave the folder."""
    return safe_name(expected.name) if ".." in expected.name else expected.name


def _write_all(share: Share, view: View) -> tuple[list[WrittenFile], tuple[str, ...], str]:
    """Write a result to its files, values first."""
    job, files = view.job, share.files
    depth, show = job.output.depth, job.show_width and share.is_last
    if not show and len(view.names) == len(files) == 1 and files[0].format.pillow == "PNG":
        done, tile = _write_rows(files[0], view)
        return [done], _notes(view, tile.non_finite, [tile]), ""
    drawn = show or not all(holds_values(file.format, depth) for file in files)
    if sum(holds_values(file.format, depth) for file in files) > 1:
        view.result.whole()
    values = [
        _write_values(job, file, view) if holds_values(file.format, depth) else None
        for file in files
    ]
    tiles = view.tiles() if drawn else []
    spoilt = [sum(tile.non_finite for tile in tiles), *(done.non_finite for done in values if done)]
    notes = _notes(view, max(spoilt), tiles)
    # Encoding needs memory of its own: a decoded picture need not stand beside it.
    view.result.release_pixels()
    finished = [
        done or _write_picture(job, file, [tiles[index] for index in file.maps], view)
        for file, done in zip(files, values, strict=True)
    ]
    return finished, notes, _drawn(job, tiles if show else [])


def _drawn(job: Job, tiles: Sequence[Tile]) -> str:
    if not tiles:
        return ""
    sheet = grid(tiles, job.render.columns, job.render.labels)
    return terminal_picture(sheet.pixels, job.show_width)


def _notes(view: View, spoilt: int, tiles: Sequence[Tile]) -> tuple[str, ...]:
    return (
        *(_value_notes(view, spoilt) if spoilt else ()),
        *(render_notes(view.groups, view.job.render) if tiles else ()),
        *_answers(view),
    )


def _answers(view: View) -> tuple[str, ...]:
    """Say the largest values of a network's layer of one unit a map, such as a classifier's."""
    n, height, width, maps = view.result.shape
    if view.expected.layer is None or (n, height, width) != (1, 1, 1) or maps < 2:
        return ()
    values = view.result.whole().reshape(-1)
    best = np.argsort(-values, kind="stable")[:ANSWERS]
    answers = ", ".join(f"{view.names[index]} {values[index]:.4g}" for index in best)
    return (f"{view.expected.layer}, largest first: {answers}",)


def _write_values(job: Job, file: OutFile, view: View) -> WrittenFile:
    if file.format.pillow is None:
        found, form = _write_array(file, view)
    else:
        found, form = _write_float_tiff(job, file, view)
    return _values_written(file, view, file.maps, found, form)


def _values_written(
    file: OutFile, view: View, maps: tuple[int, ...], found: ValueRange, form: str
) -> WrittenFile:
    shape, finite = view.shape(maps), found.lo <= found.hi
    return WrittenFile(
        output=_output_name(file),
        form=f"{'x'.join(map(str, shape))} {form}",
        shape=shape,
        maps=tuple(view.names[index] for index in maps),
        low=found.lo if finite else 0.0,
        high=found.hi if finite else 0.0,
        mapping="values",
        range=None,
        clipped=0.0,
        non_finite=found.non_finite,
        layer=view.expected.layer,
    )


def _write_array(file: OutFile, view: View) -> tuple[ValueRange, str]:
    """Write a .npy file strip by strip, and look at the values on their way."""
    dtype, seen = view.result.dtype, [ValueRange()]
    blocks = _watched(view, file.maps, seen)
    view.write(file, lambda out: write_npy_blocks(out, view.shape(file.maps), dtype, blocks))
    return seen[0], f"{dtype} array"


def _watched(view: View, maps: tuple[int, ...], seen: list[ValueRange]) -> Iterator[Values]:
    """Yield the values of some pictures in blocks, and keep count of what was in them."""
    for block in view.blocks(maps):
        seen[0] |= measure(block)
        yield block


def _write_float_tiff(job: Job, file: OutFile, view: View) -> tuple[ValueRange, str]:
    values = view.result.whole()
    if len(file.maps) < len(view.names):
        image, group = divmod(file.maps[0], len(view.groups))
        values = values[image : image + 1][..., list(view.groups[group].channels)]
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    record = describe_values(values.shape, job.command, __version__)
    view.write(file, encode_float_tiff(values, metadata=record, compress=job.render.compress))
    return measure(values), "float32 pages"


def _write_picture(job: Job, file: OutFile, tiles: Sequence[Tile], view: View) -> WrittenFile:
    sheet = grid(tiles, job.render.columns, job.render.labels)
    record = picture_record(tiles, job.command, __version__, sheet)
    data = encode(
        sheet.pixels,
        file.format,
        depth=job.output.depth,
        metadata=record,
        compress=job.render.compress,
        jobs=job.jobs,
    )
    view.write(file, data)
    return _written(file, sheet, tiles, view)


def _write_rows(file: OutFile, view: View) -> tuple[WrittenFile, Tile]:
    """Write a PNG picture strip by strip, as its rows are made."""
    job = view.job
    made: list[Tile] = []

    def write(out: BinaryIO) -> None:
        started: list[PngFile] = []

        def begin(tile: Tile) -> Callable[[slice, np.ndarray], object]:
            record = picture_record([tile], job.command, __version__)
            options = job.output.depth, record, job.render.compress
            started.append(start_png(out.write, tile.shape, *options))
            return started[0].add

        options = job.render, view.clip_by_default, begin
        made.append(render_rows(view.result, view.groups[0], *options))
        started[0].close()

    view.write(file, write if file.path and not is_device(file.path) else _gathered(write))
    (tile,) = made
    return _written(file, grid([tile]), [tile], view), tile


def _gathered(write: Callable[[BinaryIO], None]) -> memoryview:
    """Return all that is to be written: what a pipe got cannot be taken back."""
    stream = io.BytesIO()
    write(stream)
    return stream.getbuffer()


def _written(file: OutFile, sheet: Sheet, tiles: Sequence[Tile], view: View) -> WrittenFile:
    ranges = tuple((tile.mapping.lo, tile.mapping.hi) for tile in tiles)
    return WrittenFile(
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
        layer=view.expected.layer,
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
    if view.result.network.notes(view.picture.shape):
        why = ""
    elif np.isfinite(view.picture.pixels).all():
        why = ", the numbers grew too large"
    else:
        why = ", as some of the input are"
    count, layer = math.prod(view.result.shape), view.expected.layer
    where = "" if layer is None else f" of {layer}"
    return (f"warning: {spoilt} of {count} values{where} are infinite or NaN{why}",)


def _output_name(file: OutFile) -> str:
    return "standard output" if file.path is None else str(file.path)
