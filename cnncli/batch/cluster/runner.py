"""The `cnncli.batch.run.Runner` that sends images to a Dask scheduler's workers."""

from __future__ import annotations

import os
import pickle
import queue
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from cnncli.batch.cluster.dask_client import (
    WORKER_SECONDS,
    ClusterProblem,
    Event,
    Session,
    connected,
    unfit_problem,
)
from cnncli.batch.cluster.dask_task import TRIES, Verdict
from cnncli.batch.cluster.payload import Answer, Parcel, pack, unpack
from cnncli.batch.cluster.scheduler import Desk, Trip
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
    seconds : float, optional
        How long one image may take.
    shared : bool
        Whether workers read and write the same files themselves.
    """

    address: str
    timeout: float = 10.0
    seconds: float | None = None
    shared: bool = False

    def run(self, job: Job, tasks: Iterable[Task], place: LocalFiles) -> Iterator[Done]:
        """Yield what became of each task, in order of completion.

        Raises
        ------
        ClusterProblem
            If the cluster cannot be reached, nobody works there, or a worker is not as it must
            be. Nothing was sent then. What goes wrong later is an outcome of every task it costs.
        OptionError
            If shared files would be written without a guard.
        """
        with connected(self.address, self.timeout) as session:
            workers = session.first_workers()
            session.bring(pickle.dumps(replace(job, jobs=1), pickle.HIGHEST_PROTOCOL))
            desk = Desk(iter(tasks))
            desk.staff(workers)
            yield from _Batch(self, job, place, session, desk).run()


@dataclass
class _Batch:
    """One run of a `ClusterRunner`."""

    runner: ClusterRunner
    job: Job
    place: LocalFiles
    session: Session
    desk: Desk
    empty_since: float | None = None
    folder: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.folder = os.getcwd() if self.runner.shared else None

    def run(self) -> Iterator[Done]:
        """Send, wait and yield until all is done, or nothing can be."""
        try:
            while True:
                yield from self._send_all()
                if self.desk.idle:
                    break
                yield from self._take(self._event())
        except ClusterProblem as problem:
            for task in self.desk.remaining():
                yield task, _failed(task, CnnCliError(f"not done: {problem}"))
        if self.desk.failure is not None:
            raise self.desk.failure

    def _send_all(self) -> Iterator[Done]:
        for worker, trip in self.desk.sendings():
            outcome = self._send(worker, trip)
            if outcome is not None:
                self.desk.arrived(worker, trip.key)
                yield trip.task, outcome

    def _send(self, worker: str, trip: Trip) -> Outcome | None:
        """Send a task to a worker, or return what became of it already."""
        task = trip.task
        try:
            parcel = self._parcel(trip)
        except (CnnCliError, MemoryError) as error:
            return _failed(task, error)
        if parcel is None:
            return Outcome(task.source, skipped=True)
        trip.only = parcel.only
        if task.source.path is None:
            trip.task = parcel.task  # standard input can be read once
        data = pickle.dumps(parcel, pickle.HIGHEST_PROTOCOL)
        self.desk.weighed(trip, len(data))
        self.session.send(worker, trip.key, data, self.runner.seconds)
        return None

    def _parcel(self, trip: Trip) -> Parcel | None:
        if trip.losses and self.folder is not None and trip.task.data is None:
            return Parcel(trip.task, trip.only, self.folder, again=True)
        _check_shared(self.runner.shared, trip.task, self.place)
        return pack(self.job, trip.task, self.place, self.folder)

    def _event(self) -> Event:
        """Wait for the next event, or for too long without workers."""
        while True:
            try:
                return self.session.events.get(timeout=1)
            except queue.Empty:
                continue

    def _take(self, event: Event) -> Iterator[Done]:
        kind, content = event
        if kind == "gone":
            raise ClusterProblem(content)
        if kind == "workers":
            yield from self._staff(content)
            return
        worker, key, what = content
        self.session.forget(worker, key)
        if kind == "failed":
            yield from self._failed(worker, key, what)
            return
        if what[0] == "unfit":
            raise unfit_problem(worker, "has other versions than when it was asked first")
        trip = self.desk.arrived(worker, key)
        if trip is not None:
            yield trip.task, self._outcome(trip.task, worker, what)

    def _staff(self, found: dict[str, int]) -> Iterator[Done]:
        workers = self.session.check(found)
        given_up = self.desk.staff(workers)
        self.session.forget_lost(workers)
        for trip in given_up:
            yield trip.task, _failed(trip.task, _deadly(trip))
        if workers:
            self.empty_since = None
            return
        self.empty_since = self.empty_since or time.monotonic()
        if time.monotonic() - self.empty_since > WORKER_SECONDS:
            raise self.session.no_workers()

    def _failed(self, worker: str, key: Any, error: Exception) -> Iterator[Done]:
        """Try again what Dask lost; what it could not even begin will not go better next time."""
        if isinstance(error, ImportError | AttributeError):
            raise unfit_problem(worker, "has no cnncli that can work here")
        for trip in self.desk.lost(worker, key):
            yield trip.task, _failed(trip.task, _deadly(trip))

    def _outcome(self, task: Task, worker: str, verdict: Verdict) -> Outcome:
        kind, content = verdict
        if kind == "answer":
            answer: Answer = pickle.loads(content)
            try:
                outcome = unpack(answer, task.target, self.place)
            except (CnnCliError, MemoryError) as error:
                return _failed(task, error)
            return replace(outcome, to_stdout=task.target.kind == "stdout")
        if kind == "late":
            text = f"took longer than --timeout {self.runner.seconds:g} s"
            hint = "a larger --timeout, or a smaller image"
            return _failed(task, CnnCliError(text, hint=hint))
        return _failed(task, CnnCliError(f"its process on {worker} died {TRIES} times"))


def _deadly(trip: Trip) -> CnnCliError:
    return CnnCliError(f"{trip.losses} workers were lost over it, the last with nothing beside it")


def _failed(task: Task, error: CnnCliError | MemoryError) -> Outcome:
    stdout = task.target.kind == "stdout"
    return Outcome(task.source, error=named_error(error, task.source), to_stdout=stdout)


def _check_shared(shared: bool, task: Task, place: LocalFiles) -> None:
    """Refuse to let workers replace files by names that only they will know."""
    if shared and task.target.per_map and place.options.overwrite:
        raise OptionError(
            "--shared-files writes a file for each map only without --overwrite",
            hint="-o with a template without {map}, or leave --shared-files away",
        )
