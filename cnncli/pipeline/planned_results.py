"""What layers will give for an image, known before any value is computed: shapes, files, facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnncli.errors import OptionError
from cnncli.io.formats import NPZ
from cnncli.io.images import Picture
from cnncli.io.writers import holds_values
from cnncli.network.graph import input_groups
from cnncli.network.layers.base import border_of
from cnncli.network.summary import window_text
from cnncli.pipeline.auto_range import clips_by_default
from cnncli.pipeline.input_notes import white_notes
from cnncli.pipeline.job import Job
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_checks import check_target
from cnncli.pipeline.sheets import is_colour, sheet_size
from cnncli.render.options import in_colour
from cnncli.render.result_rows import Shape


def plan_results(job: Job, shape: Shape, layers: Sequence[str]) -> list[LayerResult]:
    """Check all shapes and return what some layers will give; without any, the last."""
    shapes = job.network.shapes(shape)
    groups = job.network.groups(input_groups(shape[3]))
    names = layers or job.network.names[-1:]
    if job.render.rgb:
        groups |= {name: in_colour(groups[name]) for name in names}
        if not any(group.colour for name in names for group in groups[name]):
            raise OptionError(
                f"--rgb needs a layer of 3 maps, {names[-1]} has {len(groups[names[-1]])}"
            )
    return [
        LayerResult(name, shapes[name], groups[name], name if job.layers else None)
        for name in names
    ]


def with_files(results: Sequence[LayerResult], files: Sequence[OutFile]) -> list[LayerResult]:
    """Return the results that go to files, with those; an archive is a file of every layer."""
    archive = any(file.format == NPZ for file in files)
    with_own = (
        replace(
            result,
            files=tuple(file for file in files if archive or file.result == index),
            is_last=index == len(results) - 1,
        )
        for index, result in enumerate(results)
    )
    return [result for result in with_own if result.files]


def with_facts(job: Job, picture: Picture, result: LayerResult) -> LayerResult:
    """Return a result with what the image it is computed from tells of its values."""
    network = job.network.until(result.name)
    node = network.nodes[-1]
    source = network.shapes(picture.shape)[node.inputs[0]]
    in_rgb = job.render.rgb and any(group.colour for group in result.groups)
    return replace(
        result,
        clips=in_rgb or clips_by_default(network, picture),
        batched=picture.batched,
        photo_metadata=picture.photo_metadata,
        has_white_note=bool(white_notes(job, picture)),
        pad_mode=border_of(node.layer, source),
        pad_value=getattr(node.layer, "pad_value", 0.0),
        window=window_text(network, source),
        is_noted=bool(network.notes(picture.shape)),
    )


def sheet_notes(
    job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]
) -> tuple[str, ...]:
    """Say which sheets have more pixels than a picture that is read may have."""
    hint = "-o 'maps/{stem}-{layer}-{map}.png'" if job.layers else "-o maps/"
    notes = []
    for file in files:
        if len(file.maps) > 1 and not holds_values(file.format, job.output.depth):
            width, height = sheet_size(results[file.result], file.maps, job.render, job.op)
            if width * height > job.read.max_pixels:
                notes.append(
                    f"a sheet of up to {height}x{width} pixels, more than --max-pixels lets "
                    f"cnncli read: {hint} writes each map for itself, a larger stride smaller maps"
                )
    return tuple(dict.fromkeys(notes))


def check_format_of(job: Job, file: OutFile, result: LayerResult) -> None:
    """Refuse a picture that its file's format cannot hold, before the first pixel."""
    if holds_values(file.format, job.output.depth):
        check_target(file, result.shape[2], result.shape[1], depth=job.output.depth)
        return
    width, height = sheet_size(result, file.maps, job.render, job.op)
    colour = is_colour(result, file.maps, job.render)
    check_target(file, width, height, colour=colour, depth=job.output.depth)
