"""Runs one job on many images, in this process or by a `Runner`; no error stops the others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator
from typing import Final, Protocol

from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.files_of_batch import OutputClaims
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.output_checks import OutputPlan
from cnncli.pipeline.process import attempt
from cnncli.system.files import sync_folders

FOLDERS: Final = 256
"""Folders that are written to before their new names are put safely on the disk."""


class Runner(Protocol):
    """Where the work of a batch is done."""

    def run(
        self, job: Job, tasks: Iterable[Task], files: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Do a job on every task and yield what became of it, each as soon as it is known.

        Parameters
        ----------
        job : Job
        tasks : iterable of Task
            Taken as they are needed: there may be a million.
        files : LocalFiles
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
        self, job: Job, tasks: Iterable[Task], files: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield what became of each task, in order."""
        for task in tasks:
            yield task, attempt(job, task, files)


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
    files = LocalFiles(job.output, plan.inputs, OutputClaims(), sync=False)
    failed, folders = False, set[str]()
    failure: Exception | None = None

    def tasks() -> Iterator[Task]:
        nonlocal failure
        try:
            for index, target in enumerate(plan.targets):
                if failed and fail_fast:
                    return
                yield Task(index, target)
        except Exception as error:
            # What is in work is done before anybody hears of it.
            failure = error

    def results() -> Generator[tuple[Task, Outcome], None, None]:
        yield from (runner or InlineRunner()).run(job, tasks(), files)

    try:
        # However this ends, workers end first, and then the folders are seen to.
        with contextlib.closing(results()) as done:
            for task, outcome in done:
                failed = failed or outcome.error is not None
                names = (*(written.output for written in outcome.written), *outcome.in_place)
                paths = (os.path.realpath(name) for name in names if name != "-")
                folders.update(map(os.path.dirname, paths))
                if len(folders) > FOLDERS:
                    sync_folders(folders)
                    folders.clear()
                yield task, outcome
        if failure is not None:
            raise failure
    finally:
        sync_folders(folders)
