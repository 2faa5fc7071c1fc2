"""Does a job on one image: reads it, computes the layers, renders and writes the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from cnncli.errors import CnnCliError, OptionError, memory_problem, quote
from cnncli.io.atomic import is_stdout
from cnncli.io.images import Picture, background_colour
from cnncli.io.regular_files import fault_text
from cnncli.pipeline.feature_maps import FeatureMaps, layer_maps
from cnncli.pipeline.files import FileAccess
from cnncli.pipeline.input_notes import notes_of
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.memory_estimate import check_memory_for
from cnncli.pipeline.output_checks import OutputPlan, plan_targets
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.picture_depth import at_depth_of, depth_notes
from cnncli.pipeline.planned_results import (
    check_format_of,
    plan_results,
    sheet_notes,
    with_facts,
    with_files,
)
from cnncli.pipeline.source import Source
from cnncli.pipeline.transparency import with_alpha_kept
from cnncli.pipeline.write import write_results
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.result_rows import Shape
from cnncli.system.memory import memory_limit
from cnncli.system.progress import set_step

_NAMED = 3
"""Files that a note on several names; the others it counts."""


def plan_batch(job: Job, sources: Collection[Source]) -> OutputPlan:
    """Make every check that needs no image.

    Raises
    ------
    CnnCliError
        If outputs cannot work for the whole batch; nothing was read by then.
    """
    background_colour(job.read.background)
    plan = plan_targets(
        sources,
        job.output,
        op=job.op,
        filter_name=job.filter_name,
        read_too=job.read_too,
        layers=job.layers,
    )
    if job.needs_all_layers and not plan.targets.pattern.per_layer:
        raise OptionError(
            f"--output names one file, for one layer; got {len(job.layers)} layers",
            hint="-o a folder (out/), a template with {layer}, or an .npz file",
        )
    return plan


def attempt(
    job: Job,
    task: Task,
    access: FileAccess,
    work: Callable[[Job, Task, FileAccess], Outcome] | None = None,
) -> Outcome:
    """Do a job on one image; what goes wrong becomes part of the outcome.

    Parameters
    ----------
    job : Job
    task : Task
    access : FileAccess
    work : callable, optional
        What is done; default: `process`.

    Returns
    -------
    Outcome
        With the seconds it took.
    """
    begin = time.perf_counter()
    try:
        with memory_limit(job.read.max_memory):
            outcome = (work or process)(job, task, access)
    except BrokenPipeError:
        raise
    except (CnnCliError, MemoryError, OSError) as error:
        outcome = Outcome(task.source, error=named_error(error, task.source))
    return replace(
        outcome,
        to_stdout=task.target.to_stdout,
        seconds=time.perf_counter() - begin,
    )


def process(job: Job, task: Task, access: FileAccess) -> Outcome:
    """Do a job on one image.

    Parameters
    ----------
    job : Job
    task : Task
        The image and where its result goes.
    access : FileAccess
        Where it is read from and written to.

    Returns
    -------
    Outcome

    Raises
    ------
    CnnCliError
        If it cannot be done; nothing was written then.
    """
    target = task.target
    if access.all_there(target):
        return Outcome(task.source, skipped=True)
    set_step("reading the image")
    picture = access.read(job, task)
    file_notes = depth_notes(job, target, picture)
    job = at_depth_of(job, target, picture)
    expected, files = choose_files(job, target, picture.shape, access)
    if not files:
        return Outcome(task.source, skipped=True)
    file_notes += sheet_notes(job, files, expected)
    results, notes, computed = begin_layers(job, picture, with_files(expected, files))
    # The results release the pixels as soon as they can; nothing here may hold them.
    del picture
    access.prepare(target, files)
    with np.errstate(all="ignore"):
        written, more_notes, drawing = write_results(job, results, computed, access)
    notes = (*notes, *file_notes, *more_notes, *_one_value_notes(written))
    return Outcome(task.source, written, notes, drawing=drawing)


def _one_value_notes(written: Sequence[WrittenFile]) -> tuple[str, ...]:
    """Name the pictures on which nothing is seen, by their value; single cells have no more."""
    files: dict[str, list[str]] = {}
    for file in written:
        has_cells = file.mapping != "values" and file.shape[-3:-1] != (1, 1)
        if has_cells and file.low == file.high and not file.non_finite:
            name = "the picture" if is_stdout(file.output) else quote(file.output)
            files.setdefault(f"{file.low:.4g}", []).append(name)
    return tuple(
        ", ".join(names[:_NAMED])
        + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        + f" hold{'s' if len(names) == 1 else ''} one value, {value}, everywhere"
        for value, names in files.items()
    )


def begin_layers(
    job: Job, picture: Picture, expected: Sequence[LayerResult]
) -> tuple[list[LayerResult], tuple[str, ...], Iterator[tuple[str, FeatureMaps]]]:
    """Begin the work on an image that was read.

    Parameters
    ----------
    job : Job
    picture : Picture
    expected : sequence of LayerResult
        What is wanted, in the network's order.

    Returns
    -------
    tuple
        The results with what the image tells of them, the notes on the image, and the layers'
        values, which are computed as they are asked for.

    Raises
    ------
    CnnCliError
        If there is too little memory for them.
    """
    results = with_alpha_kept(job, [with_facts(job, picture, result) for result in expected])
    check_memory_for(job, picture, results)
    computed = layer_maps(job.network, picture, [result.name for result in results], job.jobs)
    return results, notes_of(job, picture), computed


def choose_files(
    job: Job, target: Target, shape: Shape, access: FileAccess
) -> tuple[list[LayerResult], tuple[OutFile, ...]]:
    """Return what an image of some shape will give, and those files of it that are to be written.

    Raises
    ------
    CnnCliError
        If the shapes do not fit, or a file must not be written, cannot hold its picture or does
        not fit on its disk.
    """
    expected = plan_results(job, shape, target.pattern.chosen_layers)
    files = access.select(target, target.files(expected))
    for file in files:
        check_format_of(job, file, expected[file.result])
    access.check_disk(job, files, expected)
    return expected, files


def named_error(error: CnnCliError | MemoryError | OSError, source: Source) -> CnnCliError:
    """Return the error with the image's name in front, unless it names a file already.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(named_error(OptionError("no such frame"), Source(Path("a.gif"))))
    "'a.gif': no such frame"
    """
    if isinstance(error, MemoryError):
        error = memory_problem("image")
    elif isinstance(error, OSError):
        # Files name themselves, so this comes from what is computed.
        error = CnnCliError(f"cannot be computed: {fault_text(error)}")
    return error.about(source.label)
