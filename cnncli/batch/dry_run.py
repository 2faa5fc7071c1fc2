"""``--dry-run``: what a batch would do, found without reading a pixel or writing a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cnncli.io.decoding_memory import check_decoding_memory
from cnncli.io.image_headers import read_header
from cnncli.pipeline.files import FileAccess, LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.memory_estimate import check_memory_for
from cnncli.pipeline.planned_results import sheet_notes, with_files
from cnncli.pipeline.process import attempt, choose_files


class PreviewRunner:
    """Goes through the images in place of a runner that works, and says what that would write."""

    def run(
        self, job: Job, tasks: Iterable[Task], files: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield what would become of each task, in order."""
        for task in tasks:
            yield task, attempt(job, task, files, preview)


def preview(job: Job, task: Task, access: FileAccess) -> Outcome:
    """Name the files of one image by its header.

    Parameters
    ----------
    job : Job
    task : Task
    access : FileAccess

    Returns
    -------
    Outcome
        With `planned` files. Of what is no file of this machine, and of pictures that stand for
        other values, maps are not known: where files are named by them, that of the folder or
        template is given.

    Raises
    ------
    CnnCliError
        If the header already tells that it cannot be done.
    """
    target, path = task.target, task.source.path
    if access.all_there(target):
        return Outcome(task.source, skipped=True)
    header = read_header(path, job.read) if isinstance(path, Path) else None
    if header is not None:
        check_decoding_memory(header.decoding_bytes, job.read, task.source.label)
    if header is not None and job.read.restore is None:
        results, files = choose_files(job, target, header.shape, access)
        notes = sheet_notes(job, files, results)
        if files:
            check_memory_for(job, header, with_files(results, files))
    elif target.pattern.per_map:
        return Outcome(task.source, planned=(target.pattern.text,))
    else:
        files, notes = access.select(target, target.unknown_files()), ()
    names = tuple(file.argument for file in files)
    return Outcome(task.source, notes=notes, planned=names, skipped=not names)
