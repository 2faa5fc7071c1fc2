"""A batch on worker processes: one that dies or hangs costs nothing but its own image.

Each worker has an image in hand and one waiting. An image whose worker died is done again by a
fresh worker, with nothing beside it if memory may have been short; when that dies too, the image
is named, unless its files are in place by then. Where workers die over several images none of them
need be the cause, so each is tried more often. An image that takes longer than `timeout` twice is
named too.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Final

from cnncli._dataclass import dataclass
from cnncli.batch.worker import FileState, file_state, work
from cnncli.errors import CnnCliError, FileProblem
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.files_of_batch import OutputClaims
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.source import Source
from cnncli.system import signals
from cnncli.system.files import remove_hidden
from cnncli.system.processes import KILLED, Child
from cnncli.system.threads import cores

WINDOW: Final = 2
"""Images that a worker has: one in hand, and one that waits so that it need not."""

TRIES: Final = 2
"""How often an image may end its worker, or take too long, before it is named."""

MORE_TRIES: Final = 3
"""How many tries more it gets at most, one for each other image that workers died over."""

STOP_GRACE: Final = 0.25
"""Seconds in which a worker that is told to stop may tidy up."""

LONGEST_WAIT: Final = 3600.0
"""Seconds; systems take no more than some."""


@dataclass(frozen=True)
class WorkerRunner:
    """Does the work in processes of its own.

    Parameters
    ----------
    jobs : int, optional
        Processes at most; default: one for each core.
    timeout : float, optional
        Seconds that an image may take.
    ahead : bool
        Whether workers are given images before it is known what became of those in hand.
    """

    jobs: int | None = None
    timeout: float | None = None
    ahead: bool = True

    def run(
        self, job: Job, tasks: Iterable[Task], files: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield what became of each task, as soon as it is known.

        Closing the generator stops the workers and what they are at.
        """
        pool = _Pool(self, job, files, iter(tasks))
        with signals.undone_by(pool.kill):
            try:
                yield from pool.outcomes()
            finally:
                pool.stop()


@dataclass(eq=False)
class _Assignment:
    """A task that a worker has, or had when it died."""

    task: Task
    deaths: int = 0
    alone: bool = False
    """Whether nothing else may be at work meanwhile."""
    begun: dict[str, FileState] = field(default_factory=dict)
    """The files that its work was about to write, as they were before the first of its tries."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether its input can be read again, and none of its output is on its way already."""
        return self.task.source.path is not None and not self.task.target.to_stdout

    @property
    def is_in_place(self) -> bool:
        """Whether all its files were written: each appears whole or not at all."""
        states = ((file_state(name), before) for name, before in self.begun.items())
        return bool(self.begun) and all(now not in (None, before) for now, before in states)


class _Worker(Child):
    """A worker process with the tasks that it has."""

    def __init__(self, pool: _Pool) -> None:
        self.window, self.timeout = pool.window, pool.timeout
        self.assignments: deque[_Assignment] = deque()
        self.began = 0.0
        """When it took up the first of them."""
        self.deadline = math.inf
        """When it is told to stop over that, and once told, when it is killed."""
        self.late: _Assignment | None = None
        """What it was told to stop over."""
        # Only this process knows what the other images write.
        files = replace(pool.files, claims=OutputClaims())
        super().__init__(pool.events, work, pool.job, files)

    @property
    def free(self) -> int:
        """How many more images it takes; one that is repeated is the only one."""
        if self.late is not None or any(assignment.deaths for assignment in self.assignments):
            return 0
        return self.window - len(self.assignments)

    def assign(self, assignment: _Assignment) -> None:
        """Send a task."""
        self.assignments.append(assignment)
        if len(self.assignments) == 1:
            self._begin()
        self.send(("task", assignment.task, frozenset(assignment.begun)))

    def finish(self) -> _Assignment:
        """Take the first task as done; what waited is in hand now."""
        assignment = self.assignments.popleft()
        if self.late is None:
            self._begin()
        return assignment

    def _begin(self) -> None:
        self.began = time.monotonic()
        self.deadline = self.began + self.timeout

    def remove_unfinished(self) -> None:
        """Remove what it had begun to write, when it was killed."""
        names = {name for assignment in self.assignments for name in assignment.begun}
        for folder in {Path(os.path.realpath(name)).parent for name in names}:
            remove_hidden(folder, self.pid)


class _Pool:
    """The workers of one batch and what they are at."""

    def __init__(
        self, runner: WorkerRunner, job: Job, files: LocalFiles, tasks: Iterator[Task]
    ) -> None:
        self.most = runner.jobs or cores()
        self.timeout = math.inf if runner.timeout is None else runner.timeout
        self.ahead, self.window = runner.ahead, WINDOW if runner.ahead else 1
        self.job, self.files, self.tasks = job, files, tasks
        self.workers: list[_Worker] = []
        self.events: queue.SimpleQueue[tuple[_Worker, bytes | None]] = queue.SimpleQueue()
        self.returned: deque[_Assignment] = deque()
        self.repeated: deque[_Assignment] = deque()
        self.ended: deque[tuple[Task, Outcome]] = deque()
        self.died_over: set[int] = set()
        """The images that workers died over, but for those that are to blame."""

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        """Yield what becomes of each task."""
        while (self.ended and not self.ahead) or self.hand_out() or self.ended:
            if self.ended:
                # Whoever takes it may be slow: the workers have something to do meanwhile.
                yield self.ended.popleft()
            else:
                self.hear()

    def hand_out(self) -> bool:
        """Give out tasks as far as workers are free; return whether to wait for workers."""
        while self.repeated and not self._must_wait(self.repeated[0]):
            self._start().assign(self.repeated.popleft())
        if not any(assignment.alone for assignment in (*self._in_work(), *self.repeated)):
            while (worker := self._free_worker()) is not None:
                if (assignment := self._next()) is None:
                    break
                worker.assign(assignment)
        # One told to stop may have finished all the same: until it is gone it keeps others waiting.
        late = any(worker.late is not None for worker in self.workers)
        return any(self._in_work()) or bool(self.repeated) or late

    def hear(self) -> None:
        """Wait for workers, and put what became of tasks into `ended`."""
        deadlines = (w.deadline for w in self.workers if w.assignments or w.late)
        left = min(deadlines, default=math.inf) - time.monotonic()
        with contextlib.suppress(queue.Empty):
            event = self.events.get(timeout=min(max(0.0, left), LONGEST_WAIT))
            while True:
                self._handle_message(*event)
                event = self.events.get_nowait()
        self._stop_the_late()

    def stop(self) -> None:
        """End all workers, and whatever they are at."""
        end = time.monotonic() + STOP_GRACE
        for worker in self.workers:
            worker.stop()
        with contextlib.suppress(queue.Empty):
            while self.workers:
                worker, message = self.events.get(timeout=max(0.0, end - time.monotonic()))
                if message is None:
                    self._reap(worker)
        self.kill()
        for worker in self.workers[:]:
            self._reap(worker)

    def kill(self) -> None:
        """End all workers at once, from whatever thread."""
        for worker in self.workers[:]:
            worker.kill()
            worker.remove_unfinished()

    # Tasks and workers that are free for them

    def _in_work(self) -> Iterator[_Assignment]:
        return (assignment for worker in self.workers for assignment in worker.assignments)

    def _must_wait(self, assignment: _Assignment) -> bool:
        """Whether a repeated task must wait: memory may have been short, or is another's now."""
        return any(assignment.alone or other.alone for other in self._in_work())

    def _has_task(self) -> bool:
        """Whether there is a task: no worker is started for nothing."""
        if not self.returned and (assignment := self._next()) is not None:
            self.returned.append(assignment)
        return bool(self.returned)

    def _next(self) -> _Assignment | None:
        if self.returned:
            return self.returned.popleft()
        task = next(self.tasks, None)
        return None if task is None else _Assignment(task)

    def _free_worker(self) -> _Worker | None:
        """Return a worker with nothing to do; without one start one, or let an image wait."""
        most = max(self.workers, key=lambda worker: worker.free, default=None)
        busy = most is None or most.free < self.window
        if busy and len(self.workers) < self.most and self._has_task():
            try:
                return self._start()
            except CnnCliError:
                if most is None:
                    raise
                # Fewer do as well.
                self.most = len(self.workers)
        return most if most is not None and most.free > 0 else None

    def _start(self) -> _Worker:
        try:
            worker = _Worker(self)
        except (OSError, RuntimeError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            message = f"a worker process cannot be started: {reason}"
            raise CnnCliError(message, hint="--jobs 1") from error
        self.workers.append(worker)
        return worker

    # What workers send, and their ends

    def _handle_message(self, worker: _Worker, message: bytes | None) -> None:
        if message is None:
            self._worker_died(worker)
            return
        kind, *content = pickle.loads(message)
        if kind == "begin":
            begun = worker.assignments[0].begun
            begun |= {name: state for name, state in content[0].items() if name not in begun}
        elif kind == "claim":
            worker.send(("claimed", self._claim(*content)))
        elif content[0] is None:
            raise BrokenPipeError
        else:
            self.ended.append((worker.finish().task, content[0]))

    def _claim(self, source: Source, files: Sequence[OutFile]) -> CnnCliError | None:
        try:
            self.files.claims.claim(source, files)
        except CnnCliError as error:
            return error
        return None

    def _worker_died(self, worker: _Worker) -> None:
        """Charge its image; what waited goes to another worker."""
        seconds = time.monotonic() - worker.began
        code = self._reap(worker)
        late = worker.late is not None
        if worker.assignments and (not late or worker.assignments[0] is worker.late):
            assignment = worker.assignments.popleft()
            assignment.deaths += 1
            assignment.alone = code == KILLED and not late
            if assignment.may_be_repeated and assignment.deaths < self._tries(assignment, late):
                self.repeated.append(assignment)
            else:
                outcome = self._last_outcome(assignment, code, late)
                self.ended.append((assignment.task, replace(outcome, seconds=seconds)))
        self.returned.extendleft(reversed(worker.assignments))

    def _tries(self, assignment: _Assignment, late: bool) -> int:
        """Return how often a task may end its worker, by what is known now."""
        if late:
            return TRIES
        self.died_over.add(assignment.task.index)
        return TRIES + min(len(self.died_over) - 1, MORE_TRIES)

    def _last_outcome(self, assignment: _Assignment, code: int, late: bool) -> Outcome:
        """Return what became of a task that is not tried again."""
        source, to_stdout = assignment.task.source, assignment.task.target.to_stdout
        if assignment.is_in_place:
            return Outcome(source, in_place=tuple(assignment.begun), to_stdout=to_stdout)
        self.died_over.discard(assignment.task.index)
        reason, hint = self._reason(code, late)
        error = FileProblem(reason, hint=hint, path=source.label)
        return Outcome(source, error=error, to_stdout=to_stdout)

    def _reap(self, worker: _Worker) -> int:
        """Return a worker's exit code, or minus the signal that ended it."""
        code = worker.wait()
        self.workers.remove(worker)
        if code not in (0, 128 + signal.SIGTERM):
            worker.remove_unfinished()
        return code

    def _stop_the_late(self) -> None:
        """Tell workers to stop whose image takes too long; those that do not are killed."""
        now = time.monotonic()
        for worker in self.workers:
            if (worker.assignments or worker.late) and now >= worker.deadline:
                if worker.late is None:
                    worker.stop()
                    worker.late = worker.assignments[0]
                else:
                    worker.kill()
                worker.deadline = now + STOP_GRACE

    def _reason(self, code: int, late: bool) -> tuple[str, str | None]:
        """Return why a worker ended, and what may help."""
        if late:
            text = f"took longer than --timeout {self.timeout:g} s"
            return text, "a larger --timeout, or a smaller image"
        if code == KILLED:
            text = "its worker died (signal 9: killed, perhaps out of memory)"
            return text, "--jobs 1, or a smaller image"
        if code < 0:
            name = (signal.strsignal(-code) or "unknown").lower()
            return f"its worker died (signal {-code}: {name})", None
        return f"its worker died (exit code {code})", None
