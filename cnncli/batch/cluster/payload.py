"""What is sent to a worker for an image, and the files that come back.

The client makes every check that it can before a payload is sent, and writes what comes back; with
shared files the worker reads and writes itself, and the client's guards go along.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError, FileProblem
from cnncli.io.images import Picture
from cnncli.io.npy import fault_text, open_regular
from cnncli.io.remote import read_url
from cnncli.io.urls import Url
from cnncli.pipeline.files import LocalFiles, read_source
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.output_names import LayerResult, OutFile, Target


@dataclass(frozen=True)
class TaskPayload:
    """What a worker needs for one image.

    Parameters
    ----------
    task : Task
        With the image's bytes, unless files are shared.
    only : frozenset of str, optional
        The files that are wanted, where their names are known before the image is; default: all.
    folder : str, optional
        Where names of shared files begin; default: files are not shared.
    again : bool
        Whether a worker or a process was lost over it, which may have written some of its shared
        files.
    """

    task: Task
    only: frozenset[str] | None = None
    folder: str | None = None
    again: bool = False


@dataclass(frozen=True)
class PayloadResult:
    """What became of a payload.

    Parameters
    ----------
    outcome : Outcome
    files : tuple of (OutFile, bytes)
        To be written by the client.
    """

    outcome: Outcome
    files: tuple[tuple[OutFile, bytes], ...] = ()


def make_payload(job: Job, task: Task, local: LocalFiles, folder: str | None) -> TaskPayload | None:
    """Make a payload of a task, or return None if there is nothing to do.

    Parameters
    ----------
    job : Job
    task : Task
    local : LocalFiles
        The client's, with the guards of the batch.
    folder : str, optional
        As in `TaskPayload`.

    Raises
    ------
    CnnCliError
        If an output may not be written, or the image cannot be read.
    """
    if local.all_there(task.target):
        return None
    only = None
    if not task.target.pattern.per_map:
        # Names do not depend on the image: all checks can be made before it is sent.
        files = local.select(task.target, task.target.unknown_files())
        only = frozenset(map(_name, files))
        if not only:
            return None
    path = task.source.path
    if task.data is None and (folder is None or path is None):
        task = replace(task, data=_load(task, job.read.max_input_bytes))
    return TaskPayload(task, only, folder if path is not None else None)


def _load(task: Task, limit: int) -> bytes:
    """Return the content of an image's file or of standard input, unless it is too long."""
    path = task.source.path
    name = "standard input" if path is None else str(path)
    try:
        if isinstance(path, Url):
            data = read_url(path, limit)
        elif path is None:
            if sys.stdin is None or sys.stdin.closed:
                raise FileProblem("standard input is closed", hint="give an IMAGE")
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with open_regular(path, name=name) as stream:
                data = stream.read(limit + 1)
    except OSError as error:
        raise FileProblem(f"cannot be read: {fault_text(error)}", path=name) from error
    if len(data) > limit:
        raise FileProblem(
            f"more than the limit of {limit} bytes",
            hint="--max-input-bytes raises the limit",
            path=name,
        )
    return data


def write_files(answer: PayloadResult, target: Target, local: LocalFiles) -> Outcome:
    """Write the files of an answer, as far as they may be, and return what became of the image.

    Raises
    ------
    CnnCliError
        If a file may not be written or cannot.
    """
    outcome = answer.outcome
    if outcome.error is not None or not answer.files:
        return outcome
    chosen = local.select(target, [file for file, _ in answer.files])
    names = frozenset(map(_name, chosen))
    local.prepare(target, chosen)
    for file, data in answer.files:
        if _name(file) in names:
            with local.open(file) as stream:
                stream.write(data)
    written = tuple(done for done in outcome.written if done.output in names)
    return replace(outcome, written=written, skipped=not written)


@dataclass
class InMemoryFiles:
    """Where a worker without shared files works: bytes come with the task, and go back.

    Parameters
    ----------
    only : frozenset of str, optional
        As in `TaskPayload`.
    files : list of (OutFile, bytes)
        What was made so far.
    """

    only: frozenset[str] | None = None
    files: list[tuple[OutFile, bytes]] = field(default_factory=list)

    def all_there(self, target: Target) -> bool:
        """Leave that to the client."""
        return False

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image that came with the task."""
        return read_source(task.source, job.read, task.data)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose what the client wants; it guards its files itself."""
        return _chosen(planned, self.only)

    def check_disk(
        self, job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]
    ) -> None:
        """Refuse nothing: they are written to a disk of the client's."""

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make no folders: nothing is written here."""

    @contextmanager
    def open(self, file: OutFile) -> Iterator[BinaryIO]:
        """Keep a file's content."""
        stream = BytesIO()
        yield stream
        self.files.append((file, stream.getvalue()))


@dataclass(frozen=True)
class SharedFiles(LocalFiles):
    """Where a worker works that sees the same files as the client.

    Parameters
    ----------
    only : frozenset of str, optional
        As in `TaskPayload`.
    """

    only: frozenset[str] | None = None

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose what the client wants, by its guard and this machine's."""
        return super().select(target, _chosen(planned, self.only))


def shared_files(job: Job, payload: TaskPayload) -> SharedFiles:
    """Return the files of a worker that shares them, in the client's folder.

    Raises
    ------
    CnnCliError
        If this machine does not have that folder.
    """
    assert payload.folder is not None
    try:
        os.chdir(payload.folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CnnCliError(
            f"--shared-files: the worker cannot enter the folder '{payload.folder}': {reason}",
            hint="mount it there too, or leave --shared-files away",
        ) from error
    options = job.output
    if payload.again and not options.overwrite:
        # What is there now came from the lost worker, which wrote whole files: names known before
        # were free when the payload was sent, and other ones are refused unless they were.
        known = payload.only is not None
        options = replace(options, overwrite=known, skip_existing=not known)
    paths = [payload.task.source.path, *job.read_too]
    inputs = frozenset(
        (status.st_dev, status.st_ino)
        for status in (path.stat() for path in paths if isinstance(path, Path) and path.exists())
    )
    return SharedFiles(options, inputs, only=payload.only)


def _chosen(planned: Sequence[OutFile], only: frozenset[str] | None) -> tuple[OutFile, ...]:
    return tuple(file for file in planned if only is None or _name(file) in only)


def _name(file: OutFile) -> str:
    return "standard output" if file.path is None else str(file.path)
