"""One job over many images: read, forward, render, write; and the outcome of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import cnncli
from cnncli.encode import encode, encode_float_tiff, holds_values, write_npy
from cnncli.errors import CnnCliError, FileProblem, OptionError, quote
from cnncli.images import Picture, ReadOptions, images_in_folder, read_image, read_stream
from cnncli.metadata import describe_values
from cnncli.network import Network, input_groups
from cnncli.outputs import (
    OutFile,
    OutputOptions,
    Result,
    Source,
    Target,
    check_target,
    plan_targets,
    select_files,
    write_stdout,
    write_whole,
)
from cnncli.render import (
    MapGroup,
    RenderOptions,
    Sheet,
    Tile,
    describe,
    grid,
    measure,
    picture_names,
    plan_grid,
    render,
    render_notes,
    terminal_picture,
)


@dataclass(frozen=True)
class Job:
    """What is done to every image: picklable, so that a worker process can be given it.

    Parameters
    ----------
    network : Network
    read : ReadOptions
    render : RenderOptions
    output : OutputOptions
    command : str
        As typed, for the metadata of pictures.
    filter_name : str, optional
        The one named filter, for default output names.
    notes : tuple of str
        Said once with every image's report.
    show_width : int
        Columns of the terminal to draw the result for; 0: do not draw.
    """

    network: Network
    read: ReadOptions
    render: RenderOptions
    output: OutputOptions
    command: str
    filter_name: str | None = None
    notes: tuple[str, ...] = ()
    show_width: int = 0


@dataclass(frozen=True)
class Written:
    """One file that was written.

    Parameters
    ----------
    output : str
        Path, or ``standard output``.
    form : str
        Size and kind in words.
    shape : tuple of int
        (n_H, n_W, n_C) of the values in it, with the batch in front if there is one.
    maps : tuple of str
        Names of its pictures.
    low, high : float
        Extremes of the finite values.
    mapping : str
        How values became pixels, ``values`` if they were written themselves.
    range : tuple of (float, float), optional
        The values shown black and white, if all maps share them.
    clipped : float
        Share of the values outside the range, 0..1.
    non_finite : int
        NaN and infinite values.
    """

    output: str
    form: str
    shape: tuple[int, ...]
    maps: tuple[str, ...]
    low: float
    high: float
    mapping: str
    range: tuple[float, float] | None
    clipped: float
    non_finite: int


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Parameters
    ----------
    source : Source
    written : tuple of Written
    notes : tuple of str
    error : CnnCliError, optional
    skipped : bool
        Its outputs were there and were left.
    shown : str
        The result drawn for the terminal.
    """

    source: Source
    written: tuple[Written, ...] = ()
    notes: tuple[str, ...] = ()
    error: CnnCliError | None = None
    skipped: bool = False
    shown: str = ""


@dataclass
class Report:
    """Counts outcomes and yields the exit code.

    Examples
    --------
    >>> report = Report()
    >>> report.add(Outcome(Source(None)))
    >>> report.exit_code
    0
    """

    outcomes: int = 0
    errors: list[CnnCliError] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        self.outcomes += 1
        if outcome.error is not None:
            self.errors.append(outcome.error)

    @property
    def exit_code(self) -> int:
        """0 all done; a single image's own code; else 1 if any failed."""
        if not self.errors:
            return 0
        return self.errors[0].exit_code if self.outcomes == 1 else 1


def gather(images: Sequence[str], recursive: bool, stdin_is_terminal: bool) -> list[Source]:
    """Return what the IMAGE arguments stand for.

    Parameters
    ----------
    images : sequence of str
        Files, folders and ``-``; none means standard input.
    recursive : bool
        Whether folders are taken with their sub-folders.
    stdin_is_terminal : bool
        Whether nobody pipes anything in.

    Returns
    -------
    list of Source
        An image that is missing is among them: reading it says so.

    Raises
    ------
    OptionError
        If standard input is asked for twice or is a terminal.
    FileProblem
        If a folder holds no images or cannot be listed.

    Examples
    --------
    >>> [source.name for source in gather(["a.png", "b.npy"], False, True)]
    ['a.png', 'b.npy']
    """
    words = list(images) or ["-"]
    if words.count("-") > 1:
        raise OptionError("standard input can be read once, got '-' several times")
    if "-" in words and stdin_is_terminal:
        raise OptionError(
            "an IMAGE must be given or piped in, but standard input is a terminal",
            hint="cnncli pool photo.png, or cnncli pool < photo.png",
        )
    return [source for word in words for source in _sources(word, recursive)]


def _sources(word: str, recursive: bool) -> Iterator[Source]:
    if word == "-":
        yield Source(None)
        return
    if not os.path.isdir(word):
        yield Source(Path(word))
        return
    found = [Source(path) for path in images_in_folder(Path(word), recursive)]
    if not found:
        hint = None if recursive else "--recursive looks into sub-folders too"
        raise FileProblem(f"{quote(word)}: a folder without images", hint=hint)
    yield from found


def run(job: Job, sources: Sequence[Source]) -> Iterator[Outcome]:
    """Do a job on every image, one after the other; a bad image never stops the rest.

    Parameters
    ----------
    job : Job
    sources : sequence of Source

    Yields
    ------
    Outcome
        One for each source, in order.

    Raises
    ------
    CnnCliError
        If outputs cannot work for the whole batch; nothing was read by then.
    """
    plan = plan_targets(sources, job.output, op=job.network.op, filter_name=job.filter_name)
    for target in plan.targets:
        try:
            yield process(job, target, plan.inputs)
        except CnnCliError as error:
            yield Outcome(target.source, error=_named(error, target.source))


def process(job: Job, target: Target, inputs: frozenset[tuple[int, int]]) -> Outcome:
    """Do a job on one image.

    Parameters
    ----------
    job : Job
    target : Target
        The image and where its result goes.
    inputs : frozenset
        All inputs of the batch, none of which is ever overwritten.

    Returns
    -------
    Outcome

    Raises
    ------
    CnnCliError
        If it cannot be done; nothing was written then.
    """
    if _all_there(job, target, inputs):
        return Outcome(target.source, skipped=True)
    picture = _read(job, target.source)
    shape = job.network.output_shape(picture.shape)
    groups = job.network.output_groups(input_groups(picture.shape[3]))
    names = picture_names(groups, shape[0])
    files = select_files(target.files([Result(names)]), job.output, inputs)
    if not files:
        return Outcome(target.source, skipped=True)
    for file in files:
        _check_format(job, file, shape, groups)
    with np.errstate(all="ignore"):
        values = job.network.forward(picture.values())
    return _write_all(job, target.source, files, _View(values, groups, names, picture, job))


def _all_there(job: Job, target: Target, inputs: frozenset[tuple[int, int]]) -> bool:
    """Whether nothing is to be written, known before the image is read."""
    if target.per_map or not job.output.skip_existing:
        return False
    return not select_files(target.files([Result(("",))]), job.output, inputs)


def _read(job: Job, source: Source) -> Picture:
    if source.path is not None:
        return read_image(source.path, job.read)
    if sys.stdin is None or sys.stdin.closed:
        raise FileProblem("standard input is closed", hint="give an IMAGE")
    return read_stream(sys.stdin.buffer, job.read)


def _check_format(
    job: Job, file: OutFile, shape: tuple[int, int, int, int], groups: Sequence[MapGroup]
) -> None:
    if holds_values(file.format, job.output.depth):
        check_target(file, shape[2], shape[1], depth=job.output.depth)
        return
    options = job.render
    layout = plan_grid(shape[1], shape[2], len(file.maps), options.columns, options.labels)
    shown = [groups[index % len(groups)] for index in file.maps]
    colour = options.colormap != "gray" or any(group.colour for group in shown)
    check_target(file, layout.width, layout.height, colour=colour, depth=job.output.depth)


@dataclass(frozen=True, eq=False)
class _View:
    """A result with what is needed to show any part of it."""

    values: np.ndarray[Any, Any]
    groups: tuple[MapGroup, ...]
    names: tuple[str, ...]
    picture: Picture
    job: Job

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
        return render(self.values, self.groups, options, self.clip_by_default)

    def part(self, maps: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Return the values of some pictures: all of them, or those of one."""
        if len(maps) == len(self.names):
            return self.values
        image, group = divmod(maps[0], len(self.groups))
        return self.values[image : image + 1][..., list(self.groups[group].channels)]

    def batched(self, maps: tuple[int, ...]) -> bool:
        """Whether those pictures keep the batch axis of the input."""
        return self.picture.batched and len(maps) == len(self.names)


def _write_all(job: Job, source: Source, files: Sequence[OutFile], view: _View) -> Outcome:
    depth = job.output.depth
    drawn = job.show_width or not all(holds_values(file.format, depth) for file in files)
    tiles = view.tiles() if drawn else []
    written = []
    for file in files:
        if holds_values(file.format, depth):
            written.append(_write_values(job, file, view))
        else:
            written.append(_write_picture(job, file, [tiles[index] for index in file.maps], view))
    notes = (*view.picture.notes, *job.notes, *_value_notes(view, written))
    if any(not holds_values(file.format, depth) for file in files):
        notes = (*notes, *render_notes(view.groups, job.render))
    shown = ""
    if job.show_width:
        sheet = grid(tiles, job.render.columns, job.render.labels)
        shown = terminal_picture(sheet.pixels, job.show_width)
    return Outcome(source, tuple(written), notes, shown=shown)


def _write_values(job: Job, file: OutFile, view: _View) -> Written:
    values = view.part(file.maps)
    batched = view.batched(file.maps)
    if file.format.pillow is None:
        _write(job, file, lambda stream: write_npy(stream, values, batched))
        form = f"{values.dtype} array"
    else:
        record = describe_values(values.shape, job.command, cnncli.__version__)
        compress = job.render.compress
        _write(job, file, encode_float_tiff(values, metadata=record, compress=compress))
        form = "float32 pages"
    found = measure(values)
    finite = found.lo <= found.hi
    return Written(
        output=_output_name(file),
        form=f"{'x'.join(map(str, values.shape if batched else values.shape[1:]))} {form}",
        shape=values.shape if batched else values.shape[1:],
        maps=tuple(view.names[index] for index in file.maps),
        low=found.lo if finite else 0.0,
        high=found.hi if finite else 0.0,
        mapping="values",
        range=None,
        clipped=0.0,
        non_finite=found.non_finite,
    )


def _write_picture(job: Job, file: OutFile, tiles: Sequence[Tile], view: _View) -> Written:
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
    values = view.part(file.maps)
    ranges = {(tile.mapping.lo, tile.mapping.hi) for tile in tiles}
    return Written(
        output=_output_name(file),
        form=_picture_form(sheet, tiles),
        shape=values.shape if view.batched(file.maps) else values.shape[1:],
        maps=tuple(tile.name for tile in tiles),
        low=min(tile.vmin for tile in tiles),
        high=max(tile.vmax for tile in tiles),
        mapping=tiles[0].mapping.kind,
        range=ranges.pop() if len(ranges) == 1 else None,
        clipped=sum(tile.clipped_fraction for tile in tiles) / len(tiles),
        non_finite=sum(tile.non_finite for tile in tiles),
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


def _value_notes(view: _View, written: Sequence[Written]) -> tuple[str, ...]:
    spoilt = sum(file.non_finite for file in written)
    if not spoilt:
        return ()
    inherited = not np.isfinite(view.picture.pixels).all()
    why = "as some of the input are" if inherited else "the numbers grew too large"
    return (f"warning: {spoilt} of {view.values.size} values are infinite or NaN, {why}",)


def _write(job: Job, file: OutFile, data: Any) -> None:
    if file.path is None:
        write_stdout(data)
    else:
        write_whole(file.path, data, overwrite=job.output.overwrite)


def _output_name(file: OutFile) -> str:
    return "standard output" if file.path is None else os.fspath(file.path)


def _named(error: CnnCliError, source: Source) -> CnnCliError:
    """Return the error with the image's name in front, unless it names a file already."""
    text = str(error)
    if text.startswith("'"):
        return error
    label = "'standard input'" if source.path is None else str(source)
    return type(error)(f"{label}: {text}", hint=error.hint)
