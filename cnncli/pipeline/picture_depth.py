"""How many bits the picture made of a 16-bit one gets, and a note when some are lost."""

from __future__ import annotations

from dataclasses import replace

from cnncli.io.formats import Format
from cnncli.io.images import Picture
from cnncli.pipeline.auto_range import clips_by_default
from cnncli.pipeline.job import Job
from cnncli.pipeline.output_names import Target


def at_depth_of(job: Job, target: Target, picture: Picture) -> Job:
    """Return the job with 16 bits for a picture made of a 16-bit one, unless a depth was asked for.

    So it is for PNG and TIFF, and for values that are shown as they are.
    """
    has_room = all(format.deep_colour and format.pillow for format in _formats(target))
    if not (has_room and _keeps_depth(job, target, picture)):
        return job
    return replace(
        job, render=replace(job.render, depth="16"), output=replace(job.output, depth="16")
    )


def depth_notes(job: Job, target: Target, picture: Picture) -> tuple[str, ...]:
    """Say where a 16-bit picture loses bits because its result's format has not so many."""
    shallow = sorted({format.name for format in _formats(target) if not format.deep_colour})
    if not (shallow and _keeps_depth(job, target, picture)):
        return ()
    return (f"16-bit picture written with 8 bits as {shallow[0]} (png and tif keep 16)",)


def _formats(target: Target) -> list[Format]:
    return [file.format for file in target.unknown_files()]


def _keeps_depth(job: Job, target: Target, picture: Picture) -> bool:
    """Tell whether a result would have 16 bits if its format had: its values are shown as is."""
    plain = job.render.range in ("auto", "clip") and job.render.colormap == "gray"
    if not (job.own_depth and picture.photo_metadata.bits == 16 and plain):
        return False
    names = target.pattern.chosen_layers or job.network.names[-1:]
    return all(clips_by_default(job.network.until(name), picture) for name in names)
