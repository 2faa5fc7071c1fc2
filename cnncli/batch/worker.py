"""What a worker process does: one image after the other, each behind the guards of the batch."""

from __future__ import annotations

import os
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

from cnncli.batch.pipes import receive, send
from cnncli.errors import CnnCliError, FileProblem
from cnncli.io.images import Picture
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.outputs import OutFile, Source, Target
from cnncli.pipeline.process import attempt
from cnncli.system import blas
from cnncli.system.memory import keep_freed

TRACEBACK: Final = "CNNCLI_TRACEBACK"
"""Environment variable: where it is set, a worker prints where a bug of cnncli's showed."""


def work(job: Job, place: LocalFiles, tasks: int, answers: int) -> None:
    """Do tasks until there are no more.

    Parameters
    ----------
    job : Job
    place : LocalFiles
    tasks, answers : int
        The pipes from and to the parent, see `Line`.
    """
    line = Line(tasks, answers)
    job = replace(job, jobs=1)
    keep_freed()
    # The other cores have workers of their own.
    with blas.one_thread():
        while (given := line.next_task()) is not None:
            task, begun = given
            line.send("done", _done(job, task, GuardedPlace(place, line, begun)))


def _done(job: Job, task: Task, place: GuardedPlace) -> Outcome | None:
    """Return what became of a task; None if whoever reads standard output has gone."""
    try:
        return attempt(job, task, place)
    except BrokenPipeError:
        return None
    except Exception as error:
        # A bug: it costs its image, and is named.
        show_traceback()
        return Outcome(task.source, error=internal_error(error, task.source))


def show_traceback() -> None:
    """Print where the error at hand showed, to those who asked for it."""
    if os.environ.get(TRACEBACK):
        traceback.print_exc()


def internal_error(error: Exception, source: Source) -> CnnCliError:
    """Return what is said of an error that is no fault of the user's.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(internal_error(KeyError("edge"), Source(Path("a.png"))))
    "'a.png': internal error: KeyError: 'edge'"
    """
    reason = " ".join(str(error).split())
    return CnnCliError(
        f"internal error: {type(error).__name__}: {reason}",
        hint=f"this is a bug of cnncli; {TRACEBACK}=1 shows where",
        path=source.label,
    )


class Line:
    """A worker's pipes from and to its parent.

    The parent sends ``("task", task, begun)`` and ``("claimed", error)``; it is sent ``("claim",
    source, files)``, ``("begin", names)`` and ``("done", outcome)``. Where `begun` names files, an
    earlier worker died over the task and may have written them.
    """

    def __init__(self, tasks: int, answers: int) -> None:
        self._tasks, self._answers = tasks, answers
        self._waiting: deque[tuple[Task, frozenset[str]]] = deque()

    def send(self, kind: str, *content: object) -> None:
        """Tell the parent something."""
        send(self._answers, (kind, *content))

    def next_task(self) -> tuple[Task, frozenset[str]] | None:
        """Return the next task with its files; None after the last."""
        try:
            while not self._waiting:
                self._take(receive(self._tasks))
        except EOFError:
            return None
        return self._waiting.popleft()

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Ask the parent for files, as `cnncli.pipeline.files.Claims.claim` does."""
        self.send("claim", source, files)
        while (message := receive(self._tasks))[0] != "claimed":
            self._take(message)
        if message[1] is not None:
            raise message[1]

    def _take(self, message: Any) -> None:
        _, task, begun = message
        self._waiting.append((task, begun))


@dataclass(frozen=True)
class GuardedPlace:
    """This machine's files as one task's work in a worker sees them.

    Parameters
    ----------
    place : LocalFiles
    line : Line
    begun : frozenset of str
        Files that an earlier worker, which died over this task, was about to write: that they are
        there by now stops nothing.
    """

    place: LocalFiles
    line: Line
    begun: frozenset[str] = frozenset()

    def all_there(self, target: Target) -> bool:
        """Whether nothing is to be written, known before the image is read."""
        return not self.begun and self.place.all_there(target)

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image."""
        return self.place.read(job, task)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write; the parent knows what the other images write."""
        place = self.place
        if target.per_map:
            place = replace(place, claims=self.line)
        others = [file for file in planned if str(file.path) not in self.begun]
        chosen = {*place.select(target, others)}
        return tuple(f for f in planned if f in chosen or str(f.path) in self.begun)

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make ready for files that are about to be written, and say so before they are."""
        self.place.prepare(target, files)
        names = [str(file.path) for file in files if file.path is not None]
        self.line.send("begin", names)

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write, which appears whole or not at all."""
        place = self.place
        if str(file.path) in self.begun:
            place = replace(place, options=replace(place.options, overwrite=True))
        return place.open(file)


def died(source: Source, reason: str, hint: str | None = None) -> FileProblem:
    """Return what is said of an image that its worker did not survive."""
    return FileProblem(reason, hint=hint, path=source.label)
