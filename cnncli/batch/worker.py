"""The loop of a worker process: it takes tasks from the parent process and does them in turn."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Any, BinaryIO

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError, one_line
from cnncli.io.images import Picture
from cnncli.pipeline.files import FileAccess, LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.output_names import LayerResult, OutFile, Source, Target
from cnncli.pipeline.process import attempt
from cnncli.system import blas
from cnncli.system.memory import keep_freed
from cnncli.system.processes import TRACEBACK, Connection, show_traceback
from cnncli.system.threads import Helper

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
    job = replace(job, jobs=1)
    keep_freed()
    # The other cores have workers of their own.
    with ParentConnection(connection) as parent, blas.one_thread():
        while True:
            task, begun = parent.next_task()
            own_files, outcome = WorkerFiles(files, parent, begun), None
            # Whoever reads standard output may have gone.
            with suppress(BrokenPipeError):
                outcome = outcome_of(job, task, own_files)
            parent.finish(outcome, own_files.ending)


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
        return Outcome(task.source, error=_named(error, task.source))


def _outcome_at_end(outcome: Outcome | None, ending: ExitStack) -> Outcome | None:
    """Put the last file in its place; where that fails, the error is the outcome."""
    try:
        ending.close()
    except Exception as error:
        if outcome is None:
            return None
        error = _named(error, outcome.source)
        return Outcome(
            outcome.source, error=error, to_stdout=outcome.to_stdout, seconds=outcome.seconds
        )
    return outcome


def _named(error: Exception, source: Source) -> CnnCliError:
    """Return an error of an image; a bug costs its image alone."""
    if isinstance(error, CnnCliError):
        return error.about(source.label)
    show_traceback()
    return internal_error(error, source)


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
        self._helper = Helper()
        self._is_finishing = False

    def __enter__(self) -> ParentConnection:
        return self

    def __exit__(self, *_: object) -> None:
        # A file that is on its way must not leave its hidden name behind.
        self._wait()

    def next_task(self) -> Any:
        """Return the next task and its files; raise EOFError after the last."""
        return self._tasks.popleft() if self._tasks else self._connection.receive()[1:]

    def begin(self, states: dict[str, FileState]) -> None:
        """Say which files are about to be written, and how they are now."""
        self._wait()
        self._connection.send(("begin", states))

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Ask the parent for files; raise its error when another image has one of them."""
        self._wait()
        self._connection.send(("claim", source, files))
        while (message := self._connection.receive())[0] != "claimed":
            self._tasks.append(message[1:])
        if message[1] is not None:
            raise message[1]

    def finish(self, outcome: Outcome | None, ending: ExitStack) -> None:
        """End a task on another thread: the next may be begun while a file is put on the disk."""
        self._wait()
        self._is_finishing = True
        self._helper.start(
            lambda: self._connection.send(("done", _outcome_at_end(outcome, ending)))
        )

    def _wait(self) -> None:
        """Return when the task before has ended: the parent hears of one after the other."""
        if self._is_finishing:
            self._is_finishing = False
            if (error := self._helper.wait()) is not None:
                raise error


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
    ending : ExitStack
        What puts the file that was written last in its place.
    """

    files: LocalFiles
    parent: ParentConnection
    begun: frozenset[str] = frozenset()
    ending: ExitStack = field(default_factory=ExitStack)

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

    @contextmanager
    def open(self, file: OutFile) -> Iterator[BinaryIO]:
        """Open a file to write: it is in its place when the next one is opened, or at the end."""
        local = self.files
        if str(file.path) in self.begun:
            local = replace(local, options=replace(local.options, overwrite=True))
        self.ending.close()
        with ExitStack() as stack:
            yield stack.enter_context(local.open(file))
            if isinstance(file.path, Path):
                self.ending.push(stack.pop_all())
