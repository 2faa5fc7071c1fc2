"""The picture of a receptive field from an image to its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnncli._version import __version__
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError, quote
from cnncli.io.formats import NPY
from cnncli.io.images import Picture, ReadOptions, read_image, read_shape
from cnncli.io.writers import encode
from cnncli.network.graph import input_groups
from cnncli.network.load import Model
from cnncli.pipeline.files import write_file
from cnncli.pipeline.outputs import (
    OutFile,
    OutputOptions,
    Result,
    Source,
    check_target,
    make_folders,
    plan_targets,
    select_files,
    write_stdout,
)
from cnncli.plan.draw import draw_field
from cnncli.plan.trace import Reach, beyond_text, pixels_text, trace
from cnncli.render.metadata import printable
from cnncli.render.options import RenderOptions
from cnncli.render.tiles import render


@dataclass(frozen=True)
class FieldJob:
    """A picture to draw.

    Parameters
    ----------
    model : Model
    shape : (n_H, n_W, n_C)
        Of the network's input.
    layer : str
    unit : (row, column)
    image : Path
    read : ReadOptions
    output : OutputOptions
    command : str
        As typed, for the picture's metadata.
    """

    model: Model
    shape: tuple[int, int, int]
    layer: str
    unit: Pair
    image: Path
    read: ReadOptions
    output: OutputOptions
    command: str


@dataclass(frozen=True)
class FieldDone:
    """A picture that was written.

    Parameters
    ----------
    output : str
        Path, or ``standard output``.
    size : (width, height)
    shape : (n_H, n_W, n_C)
        Of the network's input.
    reaches : tuple of Reach
    notes : tuple of str
    """

    output: str
    size: Pair
    shape: tuple[int, int, int]
    reaches: tuple[Reach, ...]
    notes: tuple[str, ...]
    to_stdout: bool


def write_field(job: FieldJob) -> FieldDone:
    """Draw the pixels that reach a unit, and write the picture.

    Raises
    ------
    CnnCliError
        Before any work if the unit, the shapes or the output cannot be.
    """
    reaches = trace(job.model.network, (1, *job.shape), job.model.find(job.layer), job.unit)
    file = _target(job)
    picture, notes = _picture(job)
    sheet = draw_field(_levels(picture), reaches)
    data = encode(sheet.pixels, file.format, metadata=_record(job, reaches))
    if file.path is None:
        write_stdout(data)
    else:
        write_file(file.path, data, overwrite=job.output.overwrite)
    name = "standard output" if file.path is None else str(file.path)
    size = sheet.pixels.shape[1], sheet.pixels.shape[0]
    return FieldDone(name, size, job.shape, reaches, notes, file.path is None)


def _target(job: FieldJob) -> OutFile:
    """Check where the picture goes, before any pixel is read."""
    options = job.output
    if options.output in ("-", "/dev/stdout"):
        options = OutputOptions(options.output, "png", options.overwrite)
    plan = plan_targets(
        [Source(job.image)],
        options,
        op="field",
        results=[Result(("",))],
        read_too=job.model.files,
    )
    (target,) = plan.targets
    files = target.files([Result(("",))])
    (file,) = select_files(files, options, plan.inputs) if target.kind != "stdout" else files
    if file.format is NPY:
        raise OptionError("--trace writes a picture, got .npy", hint="-o field.png")
    check_target(file, 1, 1, colour=True)
    make_folders(target, files)
    return file


def _picture(job: FieldJob) -> tuple[Picture, tuple[str, ...]]:
    """The image in its colours, as large as the network's input."""
    size = job.shape[:2]
    stored = read_shape(job.image, job.read)[:2]
    picture = read_image(job.image, replace(job.read, gray=False, size=size))
    if stored == size:
        return picture, picture.notes
    old, new = (f"{height}x{width}" for height, width in (stored, size))
    return picture, (*picture.notes, f"{old} pixels resized to {new}")


def _levels(picture: Picture) -> np.ndarray:
    """The image as 8-bit pixels, (H, W) or (H, W, 3)."""
    first = input_groups(picture.shape[3])[0].channels
    pixels = picture.pixels[:1][..., list(first)]
    if pixels.dtype == np.uint8:
        return pixels[0] if len(first) == 3 else pixels[0, :, :, 0]
    values, groups = picture.scaled(pixels), input_groups(len(first))
    return render(values, groups, RenderOptions(), picture.is_picture)[0].pixels


def _record(job: FieldJob, reaches: Sequence[Reach]) -> dict[str, Any]:
    return {
        "cnncli": __version__,
        "command": printable(job.command),
        "trace": _boxes(reaches),
    }


def _boxes(reaches: Sequence[Reach]) -> list[dict[str, Any]]:
    return [
        {
            "layers": list(reach.layers),
            "unit": list(reach.unit),
            "rows": [reach.box[0].start, reach.box[0].stop],
            "columns": [reach.box[1].start, reach.box[1].stop],
            "beyond": list(reach.beyond),
            "skipped": reach.skipped,
        }
        for reach in reaches
    ]


def report_line(done: FieldDone) -> str:
    """Return the report for people: the file, and what the unit sees."""
    own = done.reaches[-1]
    outside = beyond_text(own)
    notes = "".join(f"; {note}" for note in done.notes)
    return (
        f"{quote(done.output)[1:-1]}, {done.size[0]}x{done.size[1]} RGB, "
        f"unit {own.unit[0]},{own.unit[1]} of {quote(own.layers[-1])[1:-1]} sees "
        f"{own.size[0]}x{own.size[1]} of {done.shape[0]}x{done.shape[1]} pixels: "
        f"{pixels_text(own)}{f', and {outside}' if outside else ''}{notes}"
    )


def report_fields(done: FieldDone) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "output": "-" if done.to_stdout else done.output,
        "input": list(done.shape),
        "trace": _boxes(done.reaches),
        "notes": list(done.notes),
    }
