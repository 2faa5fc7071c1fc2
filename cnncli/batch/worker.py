"""The loop of a worker process: it takes tasks from the parent process and does them in turn."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, BinaryIO

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError, one_line
from cnncli.io.images import Picture
from cnncli.pipeline.files import FileAccess, LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.process import attempt
from cnncli.pipeline.source import Source
from cnncli.system import blas
from cnncli.system.memory import keep_freed
from cnncli.system.processes import TRACEBACK, Connection, show_traceback

FileState = tuple[int, int] | None


def work(connection: Connection, job: Job, files: LocalFiles) -> None:
    """Do tasks until the parent wants no more.

    Parameters
    ----------
    connection : Connection
        To the parent, see `ParentConnection`.
    job : Job
    files : LocalFiles
    """
    parent = ParentConnection(connection)
    job = replace(job, jobs=1)
    keep_freed()
    # The other cores have workers of their own.
    with blas.one_thread():
        while True:
            task, begun = parent.next_task()
            outcome: Outcome | None = None
            # Whoever reads standard output may have gone.
            with suppress(BrokenPipeError):
                outcome = outcome_of(job, task, WorkerFiles(files, parent, begun))
            connection.send(("done", outcome))


def outcome_of(job: Job, task: Task, files: FileAccess) -> Outcome:
    """Do a task and return what became of it; an error of cnncli's own costs its image alone.

    Parameters
    ----------
    job : Job
    task : Task
    files : FileAccess

    Returns
    -------
    Outcome

    Raises
    ------
    BrokenPipeError
        If whoever reads standard output has gone.
    """
    try:
        return attempt(job, task, files)
    except BrokenPipeError:
        raise
    except Exception as error:
        # A bug: it costs its image, and is named.
        show_traceback()
        return Outcome(task.source, error=internal_error(error, task.source))


def internal_error(error: Exception, source: Source) -> CnnCliError:
    """Return what is said of an error that is no fault of the user's.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(internal_error(KeyError("edge"), Source(Path("a.png"))))
    "'a.png': internal error: KeyError: 'edge'"
    """
    return CnnCliError(
        f"internal error: {type(error).__name__}: {one_line(error)}",
        hint=f"this is a bug of cnncli; {TRACEBACK}=1 shows where",
        path=source.label,
    )


def file_state(name: str) -> FileState:
    """Return what tells a file from one that is put in its place; None without a regular file."""
    try:
        status = os.stat(name)
    except (OSError, ValueError):
        return None
    return (status.st_ino, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


class ParentConnection:
    """What a worker and its parent tell each other.

    The parent sends ``("task", task, begun)`` and ``("claimed", error)``; it is sent ``("claim",
    source, files)``, ``("begin", states)`` and ``("done", outcome)``. Where `begun` names files, an
    earlier worker died over the task and may have written them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: deque[Any] = deque()

    def next_task(self) -> Any:
        """Return the next task and its files; raise EOFError after the last."""
        return self._tasks.popleft() if self._tasks else self._connection.receive()[1:]

    def begin(self, states: dict[str, FileState]) -> None:
        """Say which files are about to be written, and how they are now."""
        self._connection.send(("begin", states))

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Ask the parent for files; raise its error when another image has one of them."""
        self._connection.send(("claim", source, files))
        while (message := self._connection.receive())[0] != "claimed":
            self._tasks.append(message[1:])
        if message[1] is not None:
            raise message[1]


@dataclass(frozen=True)
class WorkerFiles:
    """This machine's files as one task's work in a worker sees them.

    Parameters
    ----------
    files : LocalFiles
    parent : ParentConnection
    begun : frozenset of str
        Files that an earlier worker, which died over this task, was about to write: that they are
        there by now stops nothing.
    """

    files: LocalFiles
    parent: ParentConnection
    begun: frozenset[str] = frozenset()

    def all_there(self, target: Target) -> bool:
        """Whether nothing is to be written, known before the image is read."""
        return not self.begun and self.files.all_there(target)

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image."""
        return self.files.read(job, task)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write; the parent knows what the other images write."""
        local = self.files
        if target.pattern.per_map:
            local = replace(local, claims=self.parent)
        others = [file for file in planned if str(file.path) not in self.begun]
        chosen = {*local.select(target, others)}
        return tuple(f for f in planned if f in chosen or str(f.path) in self.begun)

    def check_disk(
        self, job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]
    ) -> None:
        """Refuse files that do not fit on their disk."""
        self.files.check_disk(job, files, results)

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make ready for files that are about to be written, and say so before they are."""
        self.files.prepare(target, files)
        names = [str(file.path) for file in files if file.path is not None]
        self.parent.begin({name: file_state(name) for name in names})

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write, which appears whole or not at all."""
        local = self.files
        if str(file.path) in self.begun:
            local = replace(local, options=replace(local.options, overwrite=True))
        return local.open(file)
