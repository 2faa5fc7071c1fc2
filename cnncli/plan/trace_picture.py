"""`cnncli plan --trace`: draws the picture of a receptive field and writes it to its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli._version import __version__
from cnncli.core.geometry import Pair
from cnncli.errors import printable
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.io.writers import encode
from cnncli.network.graph import input_groups
from cnncli.network.model import Model
from cnncli.pipeline.one_output import one_picture_file
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.source import Source
from cnncli.plan.draw import draw_receptive_field
from cnncli.plan.trace import Reach, beyond_text, pixels_text, trace
from cnncli.render.options import RenderOptions
from cnncli.render.tiles import make_tiles
from cnncli.render.to_json import to_json


@dataclass(frozen=True)
class TraceRequest:
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
class TraceResult:
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
    to_stdout : bool
    """

    output: str
    size: Pair
    shape: tuple[int, int, int]
    reaches: tuple[Reach, ...]
    notes: tuple[str, ...]
    to_stdout: bool


def write_trace(request: TraceRequest) -> TraceResult:
    """Draw the pixels that reach a unit, and write the picture.

    Raises
    ------
    CnnCliError
        Before any work if the unit, the shapes or the output cannot be.
    """
    model = request.model
    layer = model.find(request.layer)
    network = model.showing([layer]).network
    reaches = trace(network, (1, *request.shape), layer, request.unit)
    source, what = Source(request.image), "--trace writes a picture"
    output = one_picture_file(source, request.output, op="field", what=what, read_too=model.files)
    # In its colours, as large as the network's input.
    in_colour = replace(request.read, gray=False, channels=None, bgr=False, size=request.shape[:2])
    picture = read_image(request.image, in_colour)
    drawn = draw_receptive_field(_levels(picture), reaches)
    record = {
        "cnncli": __version__,
        "command": printable(request.command),
        "trace": to_json(_boxes(reaches)),
    }
    output.write(encode(drawn.pixels, output.file.format, metadata=record))
    height, width = drawn.pixels.shape[:2]
    size, notes = (width, height), picture.notes
    return TraceResult(str(output), size, request.shape, reaches, notes, output.to_stdout)


def _levels(picture: Picture) -> np.ndarray:
    """The image as 8-bit pixels, (H, W) or (H, W, 3)."""
    first = input_groups(picture.shape[3])[0].channels
    pixels = picture.pixels[:1][..., list(first)]
    if pixels.dtype == np.uint8:
        return pixels[0] if len(first) == 3 else pixels[0, :, :, 0]
    values, groups = picture.scaled(pixels), input_groups(len(first))
    return make_tiles(values, groups, RenderOptions(), picture.is_picture)[0].pixels


def _boxes(reaches: Sequence[Reach]) -> list[dict[str, Any]]:
    return [
        {
            "layers": reach.layers,
            "unit": reach.unit,
            "rows": reach.box[0],
            "columns": reach.box[1],
            "beyond": reach.beyond,
            "skipped": reach.skipped,
        }
        for reach in reaches
    ]


def report_line(done: TraceResult) -> str:
    """Return the report for people: the file, and what the unit sees."""
    own = done.reaches[-1]
    outside = beyond_text(own)
    notes = "".join(f"; {note}" for note in done.notes)
    return (
        f"{printable(done.output)}, {done.size[0]}x{done.size[1]} RGB, "
        f"unit {own.unit[0]},{own.unit[1]} of {printable(own.layers[-1])} sees "
        f"{own.size[0]}x{own.size[1]} of {done.shape[0]}x{done.shape[1]} pixels: "
        f"{pixels_text(own)}{f', and {outside}' if outside else ''}{notes}"
    )


def report_fields(done: TraceResult) -> dict[str, Any]:
    """Return the report for programs, see `to_json`."""
    return {
        "output": "-" if done.to_stdout else done.output,
        "input": done.shape,
        "trace": _boxes(done.reaches),
        "notes": done.notes,
    }
