"""The `cnncli.batch.run.Runner` that sends images to a Dask scheduler's workers."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from cnncli._dataclass import dataclass
from cnncli.batch.cluster.dask_client import (
    ClusterProblem,
    Session,
    connected,
    rejection,
)
from cnncli.batch.cluster.dask_task import TRIES, TaskResult
from cnncli.batch.cluster.payload import TaskPayload, make_payload, write_files
from cnncli.batch.cluster.scheduler import Attempt, Scheduler
from cnncli.errors import CnnCliError, OptionError
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.process import named_error

Done = tuple[Task, Outcome]


@dataclass(frozen=True)
class ClusterRunner:
    """Does the work on the workers of a Dask scheduler.

    Images are read and results written here, by the one process that started the work, unless
    files are shared. The bytes are those of work in this process.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT``, or ``local:N`` for N workers on this machine.
    timeout : float
        Seconds in which the scheduler must answer.
    patience : float
        Seconds without any worker after which the work is given up.
    seconds : float, optional
        How long one image may take.
    shared : bool
        Whether workers read and write the same files themselves.
    """

    address: str
    timeout: float = 10.0
    patience: float = 120.0
    seconds: float | None = None
    shared: bool = False

    def run(self, job: Job, tasks: Iterable[Task], files: LocalFiles) -> Iterator[Done]:
        """Yield what became of each task, in order of completion.

        Raises
        ------
        ClusterProblem
            If the cluster cannot be reached, nobody works there, or a worker is not as it must
            be. Nothing was sent then. What goes wrong later is an outcome of every task it costs.
        OptionError
            If shared files would be written without a guard.
        """
        with connected(self.address, self.timeout, self.patience) as session:
            workers = session.first_workers()
            session.set_job(pickle.dumps(replace(job, jobs=1), pickle.HIGHEST_PROTOCOL))
            scheduler = Scheduler(iter(tasks))
            scheduler.set_workers(workers)
            folder = os.getcwd() if self.shared else None
            yield from _Batch(self, job, files, session, scheduler, folder).run()


@dataclass
class _Batch:
    """One run of a `ClusterRunner`."""

    runner: ClusterRunner
    job: Job
    files: LocalFiles
    session: Session
    scheduler: Scheduler
    folder: str | None
    empty_since: float | None = None

    def run(self) -> Iterator[Done]:
        """Send, wait and yield until all is done, or nothing can be."""
        try:
            while True:
                yield from self._send_all()
                if self.scheduler.idle:
                    break
                with contextlib.suppress(queue.Empty):
                    yield from self._take(*self.session.events.get(timeout=1))
        except ClusterProblem as problem:
            for task in self.scheduler.remaining():
                yield task, _failed(task, CnnCliError(f"not done: {problem}"))

    def _send_all(self) -> Iterator[Done]:
        for worker, attempt in self.scheduler.assign():
            outcome = self._send(worker, attempt)
            if outcome is not None:
                self.scheduler.finish(worker, attempt.key)
                yield attempt.task, outcome

    def _send(self, worker: str, attempt: Attempt) -> Outcome | None:
        """Send a task to a worker, or return what became of it already."""
        task = attempt.task
        try:
            payload = self._payload(attempt)
        except (CnnCliError, MemoryError) as error:
            return _failed(task, error)
        if payload is None:
            return Outcome(task.source, skipped=True)
        attempt.only = payload.only
        if task.source.path is None:
            attempt.task = payload.task  # standard input can be read once
        data = pickle.dumps(payload, pickle.HIGHEST_PROTOCOL)
        self.scheduler.set_size(attempt, len(data))
        self.session.send(worker, attempt.key, data, self.runner.seconds)
        return None

    def _payload(self, attempt: Attempt) -> TaskPayload | None:
        if attempt.losses and self.folder is not None and attempt.task.data is None:
            return TaskPayload(attempt.task, attempt.only, self.folder, again=True)
        _check_shared(self.runner.shared, attempt.task, self.files)
        return make_payload(self.job, attempt.task, self.files, self.folder)

    def _take(self, kind: str, content: Any) -> Iterator[Done]:
        if kind == "gone":
            raise ClusterProblem(content)
        if kind == "workers":
            yield from self._set_workers(content)
            return
        worker, key, result = content
        self.session.forget(worker, key)
        if kind == "failed":
            # What Dask lost is tried again; what it could not begin will not go better next time.
            if isinstance(result, ImportError | AttributeError):
                raise rejection(worker, "has no cnncli that works")
            yield from map(self._given_up, self.scheduler.lose(worker, key))
        elif result[0] == "rejected":
            raise rejection(worker, "has other versions than at first")
        elif (attempt := self.scheduler.finish(worker, key)) is not None:
            yield attempt.task, self._outcome(attempt, worker, result)

    def _set_workers(self, threads: dict[str, int]) -> Iterator[Done]:
        workers = self.session.check(threads)
        given_up = self.scheduler.set_workers(workers)
        self.session.forget_lost(workers)
        yield from map(self._given_up, given_up)
        if workers:
            self.empty_since = None
            return
        self.empty_since = self.empty_since or time.monotonic()
        if time.monotonic() - self.empty_since > self.session.patience:
            raise self.session.no_workers()

    def _outcome(self, attempt: Attempt, worker: str, result: TaskResult) -> Outcome:
        task, (kind, content) = attempt.task, result
        if kind == "answer":
            try:
                outcome = write_files(pickle.loads(content), task.target, self.files)
            except (CnnCliError, MemoryError) as error:
                return _failed(task, error)
            return replace(outcome, to_stdout=task.target.to_stdout)
        if (done := self._in_place(attempt)) is not None:
            return done
        if kind == "late":
            text = f"took longer than --timeout {self.runner.seconds:g} s"
            hint = "a larger --timeout, or a smaller image"
            return _failed(task, CnnCliError(text, hint=hint))
        return _failed(task, CnnCliError(f"its process on {worker} died {TRIES} times"))

    def _given_up(self, attempt: Attempt) -> Done:
        if (done := self._in_place(attempt)) is not None:
            return attempt.task, done
        text = (
            f"{attempt.losses} workers were lost while computing it, the last with no other image"
        )
        return attempt.task, _failed(attempt.task, CnnCliError(text))

    def _in_place(self, attempt: Attempt) -> Outcome | None:
        """Return that an image is done if its workers wrote all its shared files before they ended.

        The names were free when it was first sent, and files appear whole.
        """
        names, task = attempt.only, attempt.task
        if not names or self.folder is None or self.job.output.overwrite or task.target.to_stdout:
            return None
        if task.data is not None or not all(map(os.path.exists, names)):
            return None
        return Outcome(task.source, in_place=tuple(sorted(names)))


def _failed(task: Task, error: CnnCliError | MemoryError) -> Outcome:
    stdout = task.target.to_stdout
    return Outcome(task.source, error=named_error(error, task.source), to_stdout=stdout)


def _check_shared(shared: bool, task: Task, files: LocalFiles) -> None:
    """Refuse to let workers replace files by names that only they will know."""
    if shared and task.target.pattern.per_map and files.options.overwrite:
        raise OptionError(
            "--shared-files writes a file for each map only without --overwrite",
            hint="-o with a template without {map}, or leave --shared-files away",
        )
