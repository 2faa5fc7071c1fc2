"""One job over many images; a bad one never stops the rest.

A `Task` is one image, a `FileAccess` the world outside as its work sees it, and a `Runner`
decides where and in which order the work is done.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from cnncli.errors import CnnCliError, OptionError
from cnncli.io.images import background_colour
from cnncli.pipeline.feature_maps import layer_maps
from cnncli.pipeline.files import FileAccess, LocalFiles, OutputClaims
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.memory_estimate import check_memory_for
from cnncli.pipeline.outputs import OutFile, OutputPlan, Result, Source, Target, plan_targets
from cnncli.pipeline.write import (
    Expected,
    check_format_of,
    expect,
    notes_of,
    shares_of,
    write_results,
)
from cnncli.render.result_rows import Shape
from cnncli.system.files import sync_folders

FOLDERS: Final = 256
"""Folders that are written to before their new names are put safely on the disk."""


class Runner(Protocol):
    """Where the work of a batch is done."""

    def run(
        self, job: Job, tasks: Iterable[Task], place: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Do a job on every task and yield what became of it, each as soon as it is known.

        Parameters
        ----------
        job : Job
        tasks : iterable of Task
            Taken as they are needed: there may be a million.
        place : LocalFiles
            This machine's files, with the guards of the batch.

        Yields
        ------
        tuple of (Task, Outcome)
            One for each task, in whatever order they end. A failure is an outcome, no exception.
        """
        ...


class InlineRunner:
    """Does the work in this process, one image after the other."""

    def run(
        self, job: Job, tasks: Iterable[Task], place: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield what became of each task, in order."""
        for task in tasks:
            yield task, attempt(job, task, place)


def run(
    job: Job, plan: OutputPlan, runner: Runner | None = None, *, fail_fast: bool = False
) -> Generator[tuple[Task, Outcome], None, None]:
    """Do a job on every image. Closing the generator ends what is at work.

    Parameters
    ----------
    job : Job
    plan : OutputPlan
        By `plan_batch`.
    runner : Runner, optional
        Where the work is done; default: in this process.
    fail_fast : bool
        Begin no further image once one has failed.

    Yields
    ------
    tuple of (Task, Outcome)
        One for each image that was begun, in whatever order they end. Names of files are safe on
        the disk when there are no more, or the generator is closed.
    """
    place = LocalFiles(job.output, plan.inputs, OutputClaims(plan.targets.sources), sync=False)
    failed, folders = False, set[str]()

    def tasks() -> Iterator[Task]:
        for index, target in enumerate(plan.targets):
            if failed and fail_fast:
                return
            yield Task(index, target)

    def results() -> Generator[tuple[Task, Outcome], None, None]:
        yield from (runner or InlineRunner()).run(job, tasks(), place)

    try:
        # However this ends, workers end first, and then the folders are seen to.
        with contextlib.closing(results()) as done:
            for task, outcome in done:
                failed = failed or outcome.error is not None
                folders.update(
                    os.path.dirname(os.path.realpath(written.output)) for written in outcome.written
                )
                if len(folders) > FOLDERS:
                    sync_folders(folders)
                    folders.clear()
                yield task, outcome
    finally:
        sync_folders(folders)


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
    if job.several and not plan.targets.pattern.per_layer:
        raise OptionError(
            f"--output has room for one layer, got {len(job.layers)}",
            hint="-o a folder (out/), a template with {layer}, or an .npz file",
        )
    return plan


def attempt(
    job: Job,
    task: Task,
    place: FileAccess,
    work: Callable[[Job, Task, FileAccess], Outcome] | None = None,
) -> Outcome:
    """Do a job on one image; what goes wrong becomes part of the outcome.

    Parameters
    ----------
    job : Job
    task : Task
    place : FileAccess
    work : callable, optional
        What is done; default: `process`.

    Returns
    -------
    Outcome
        With the seconds it took.
    """
    begin = time.perf_counter()
    try:
        outcome = (work or process)(job, task, place)
    except (CnnCliError, MemoryError) as error:
        outcome = Outcome(task.source, error=named_error(error, task.source))
    return replace(
        outcome,
        to_stdout=task.target.kind == "stdout",
        seconds=time.perf_counter() - begin,
    )


def process(job: Job, task: Task, place: FileAccess) -> Outcome:
    """Do a job on one image.

    Parameters
    ----------
    job : Job
    task : Task
        The image and where its result goes.
    place : FileAccess
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
    if place.all_there(target):
        return Outcome(task.source, skipped=True)
    picture = place.read(job, task)
    expected, files = choose(job, target, picture.shape, place)
    if not files:
        return Outcome(task.source, skipped=True)
    shares = shares_of(expected, files)
    check_memory_for(job, picture, shares)
    said = notes_of(job, picture)
    names = [share.expected.name for share in shares]
    made = layer_maps(job.network, picture, names, job.jobs)
    # The results let go of the pixels as soon as they can; nothing here may hold them.
    del picture
    place.prepare(target, files)
    with np.errstate(all="ignore"):
        written, notes, shown = write_results(job, shares, made, place.write)
    return Outcome(task.source, written, (*said, *notes), shown=shown)


def choose(
    job: Job, target: Target, shape: Shape, place: FileAccess
) -> tuple[list[Expected], tuple[OutFile, ...]]:
    """Return what an image of some shape will give, and those files of it that are to be written.

    Raises
    ------
    CnnCliError
        If the shapes do not fit, or a file must not be written or cannot hold its picture.
    """
    expected = expect(job, shape, target.wanted)
    planned = target.files([Result(each.maps, each.layer) for each in expected])
    files = place.select(target, planned)
    for file in files:
        check_format_of(job, file, expected[file.result])
    return expected, files


def named_error(error: CnnCliError | MemoryError, source: Source) -> CnnCliError:
    """Return the error with the image's name in front, unless it names a file already.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(named_error(OptionError("no such frame"), Source(Path("a.gif"))))
    "'a.gif': no such frame"
    """
    if isinstance(error, MemoryError):
        hint = "a smaller image, --stride, or fewer filters"
        error = CnnCliError("not enough memory for this image", hint=hint)
    return error.about(source.label)
