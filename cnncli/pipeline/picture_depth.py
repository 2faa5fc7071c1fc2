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
    holds = holds_depth(job, target, picture.photo_metadata.bits)
    return in_16_bits(job) if holds and _clips(job, target, picture) else job


def in_16_bits(job: Job) -> Job:
    """Return the job with 16 bits for each sample."""
    return replace(
        job, render=replace(job.render, depth="16"), output=replace(job.output, depth="16")
    )


def holds_depth(job: Job, target: Target, bits: int) -> bool:
    """Tell whether a picture made of one of so many bits gets 16, if values are shown as is."""
    has_room = all(format.deep_colour and format.pillow for format in _formats(target))
    return has_room and _wants_depth(job, bits)


def depth_notes(job: Job, target: Target, picture: Picture) -> tuple[str, ...]:
    """Say where a 16-bit picture loses bits because its result's format has not so many."""
    shallow = sorted({format.name for format in _formats(target) if not format.deep_colour})
    wants = shallow and _wants_depth(job, picture.photo_metadata.bits)
    if not (wants and _clips(job, target, picture)):
        return ()
    return (f"16-bit picture written with 8 bits as {shallow[0]} (png and tif keep 16)",)


def _formats(target: Target) -> list[Format]:
    return [file.format for file in target.unknown_files()]


def _wants_depth(job: Job, bits: int) -> bool:
    plain = job.render.range in ("auto", "clip") and job.render.colormap == "gray"
    return job.is_default_depth and bits == 16 and plain


def _clips(job: Job, target: Target, picture: Picture) -> bool:
    """Tell whether values are shown as they are."""
    names = target.pattern.chosen_layers or job.network.names[-1:]
    return all(clips_by_default(job.network.until(name), picture) for name in names)
