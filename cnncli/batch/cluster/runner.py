"""The `cnncli.batch.run.Runner` that sends images to a Dask scheduler's workers.

Dask chooses the worker of a task, and another one when that is lost. Here a bounded number of tasks
is kept under way, and images are sent again that Dask gives up.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import field, replace
from itertools import chain
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.batch.cluster.dask_client import ClusterProblem, Key, Session, connected
from cnncli.batch.cluster.dask_task import Payload, versions
from cnncli.errors import CnnCliError
from cnncli.pipeline.files import LocalFiles, MadeFiles, read_content, write_made
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.process import named_error

AHEAD: Final = 3
"""Tasks under way for each thread of the workers: Dask gives out two and keeps one ready."""

BYTES_AHEAD: Final = 256 * 2**20
"""Bytes of images that may be under way together, unless one alone has more."""

TOGETHER: Final = 16
"""Images of a task at most."""

TOGETHER_BYTES: Final = 256 * 2**10
"""Bytes from which on a task takes no further image."""

JOB_BYTES: Final = 64 * 2**10
"""A job of more is sent to workers that ask for it, and not with every task."""

LOSSES: Final = 8
"""Workers that may be lost over an image while it alone is at work, before it is named."""

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
            If the cluster cannot be reached, nobody works there, or no worker is as it must be.
            Nothing was done then. What goes wrong later is an outcome of every task it costs.
        """
        with connected(self.address, self.timeout, self.patience) as session:
            yield from _Batch(self, job, iter(tasks), files, session).run()


@dataclass
class _Image:
    """An image that is not done yet.

    Parameters
    ----------
    task : Task
        Without the image's bytes, but for what can be read once.
    alone : bool
        Whether it came back: from then on it is done while nothing else is under way.
    begun : int
        How often workers have begun it, as far as they were asked to tell.
    losses : int
        How often one did while it was alone, and was lost.
    late : bool
        Whether it took too long once.
    worker_refuses_existing : bool
        Whether it was sent to a worker that writes its files itself, and refuses those that exist.
    """

    task: Task
    alone: bool = False
    begun: int = 0
    losses: int = 0
    late: bool = False
    worker_refuses_existing: bool = False


@dataclass
class _Sent:
    """A task of Dask's that is under way.

    Parameters
    ----------
    images : list of _Image
    request : bytes
        As `dask_task.answer` takes it.
    workers : set of str
        Those that may do it; empty: any.
    answer : Future
    worker : str
        Who has begun it, if that is told.
    since : float
        And when.
    """

    images: list[_Image]
    request: bytes
    workers: set[str]
    answer: Future[None]
    worker: str = ""
    since: float = 0.0


@dataclass
class _Batch:
    """One run of a `ClusterRunner`."""

    runner: ClusterRunner
    job: Job
    tasks: Iterator[Task]
    files: LocalFiles
    session: Session
    sent: dict[Key, _Sent] = field(default_factory=dict)
    back: deque[_Image] = field(default_factory=deque)
    threads: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)
    done: int = 0

    def run(self) -> Iterator[Done]:
        """Send, wait and yield until all is done, or nothing can be."""
        self.last_worker = time.monotonic()
        self.packed_job = pickle.dumps(self.job)
        self.tells_begin = bool(self.runner.shared or self.runner.seconds)
        self.next_task = next(self.tasks, None)
        try:
            while self.next_task or self.sent or self.back:
                yield from self._take(*self.session.events.get())
                yield from self._send_all()
        except ClusterProblem as problem:
            if not self.done:
                raise
            sent = chain.from_iterable(sent.images for sent in self.sent.values())
            left = (image.task for image in chain(sent, self.back))
            for task in chain(left, filter(None, [self.next_task]), self.tasks):
                yield self._failed(task, CnnCliError(f"not done: {problem}"))

    def _send_all(self) -> Iterator[Done]:
        """Keep as much under way as there may be."""
        most = AHEAD * sum(self.threads[name] for name in self._usable())
        size = sum(len(sent.request) for sent in self.sent.values())
        while len(self.sent) < most and size < BYTES_AHEAD:
            images, payloads, length = list[_Image](), list[Payload](), 0
            # One by one at first: a short batch is spread over all workers.
            together = 1 if self.tells_begin else min(TOGETHER, 1 + self.done // most)
            while len(images) < together and length < TOGETHER_BYTES:
                if (image := self._next(not images)) is None:
                    break
                payload = self._payload(image)
                if isinstance(payload, Outcome):
                    yield image.task, payload
                    continue
                images.append(image)
                payloads.append(payload)
                length += len(payload[0].data or b"")
            if not images:
                return
            request = pickle.dumps((payloads, self.tells_begin or images[0].alone))
            self._submit(images, request)
            size += len(request)

    def _next(self, first: bool) -> _Image | None:
        """Return the next image. What came back is done last, one by one: it may end workers."""
        if (task := self.next_task) is not None:
            self.next_task = next(self.tasks, None)
            return _Image(task)
        return self.back.popleft() if self.back and first and not self.sent else None

    def _payload(self, image: _Image) -> Payload | Outcome:
        """Make every check that needs no worker; return what is sent, or what became of it."""
        task, target = image.task, image.task.target
        shared = self.runner.shared and task.source.path is not None and not target.to_stdout
        image.worker_refuses_existing = shared and not image.begun
        if shared and image.begun:
            # Its guards were passed; what is there by now may be its own.
            return task, os.getcwd(), True
        try:
            known = not target.pattern.per_map
            if known and not self.files.select(target, target.unknown_files()):
                return Outcome(task.source, skipped=True)
            if not shared and task.data is None:
                content = read_content(task.source, self.job.read.max_input_bytes)
                task = replace(task, data=content)
            if task.source.path is None:
                image.task = task  # standard input can be read once
        except (CnnCliError, MemoryError) as error:
            return self._failed(task, error)[1]
        return task, os.getcwd() if shared else None, False

    def _submit(self, images: list[_Image], request: bytes, asked: bool = False) -> None:
        """Send a task; a long job goes along when a worker has asked for it."""
        usable = self._usable()
        workers = usable if usable < self.threads.keys() else set()  # Dask need not be told of all
        job = self.packed_job if asked or len(self.packed_job) < JOB_BYTES else None
        key, answer = self.session.submit(job, request, workers=workers)
        self.sent[key] = _Sent(images, request, workers, answer)

    def _usable(self) -> set[str]:
        """Return the workers of the right versions: those that are heard, if there are any."""
        right = self.threads.keys() - self.wrong.keys()
        return right - self.silent or right

    def _take(self, kind: str, now: float, *content: Any) -> Iterator[Done]:
        """Take note of an event of the session."""
        match kind, *content:
            case "gone", why:
                raise ClusterProblem(why)
            case "workers", threads, silent, held:
                self.threads, self.silent = threads, silent
                self._look_for_workers(now)
                yield from self._look_for_stuck(now, held)
            case "begun", key, worker if sent := self.sent.get(key):
                sent.worker, sent.since = worker, now
                sent.images[0].begun += 1
                sent.images[0].losses += sent.images[0].alone
            case "done", key, results if sent := self.sent.pop(key, None):
                for image, result in zip(sent.images, pickle.loads(results), strict=True):
                    yield from self._finish(image, *result)
            case "no job", key if sent := self.sent.pop(key, None):
                self._submit(sent.images, sent.request, asked=True)
            case "wrong", key, worker, here if key in self.sent:
                differ = here.items() - versions().items()
                wrong = [f"{name} {has}, here {versions()[name]}" for name, has in differ]
                less = "cnncli without what it needs" if here else "no cnncli"
                self.wrong[worker] = ", and ".join(sorted(wrong)) or less
                yield from self._take_back(key)
            case "failed", key, error if sent := self.sent.get(key):
                # Most often KilledWorker: several were lost in turn.
                image, text = sent.images[0], "workers were lost while it alone was at work"
                image.losses += image.alone and not sent.worker
                named = CnnCliError(f"{image.losses} {text}: {type(error).__name__}")
                yield from self._take_back(key, named if image.losses >= LOSSES else None)

    def _take_back(self, key: Key, error: CnnCliError | None = None) -> Iterator[Done]:
        """Wait for a task no longer; do its images again, unless there is an error to tell."""
        sent = self.sent.pop(key)
        sent.answer.cancel()
        for image in sent.images:
            image.alone = True
            if error:
                yield self._failed(image.task, error)
            else:
                self.back.append(image)

    def _look_for_workers(self, now: float) -> None:
        """Raise a `ClusterProblem` if there are none, and none are waited for."""
        self.wrong = {name: why for name, why in self.wrong.items() if name in self.threads}
        patience, address = self.runner.patience, self.session.address
        if self._usable():
            self.last_worker = now
        elif now - self.last_worker > patience or (self.wrong and not self.done):
            text = f"the scheduler {address} has had no workers for {patience:g} seconds"
            hint = f"start some: dask worker {address}, or wait longer with --cluster-patience"
            for worker, why in self.wrong.items():
                text = f"the worker {worker} has {why}"
                hint = "the same versions everywhere, see docs/cluster.md"
            raise ClusterProblem(text, hint=hint)

    def _look_for_stuck(self, now: float, held: set[Key]) -> Iterator[Done]:
        """Look for images that take too long, or that nobody will do."""
        for key, sent in [*self.sent.items()]:
            seconds = self.runner.seconds
            if seconds and now - sent.since > seconds and sent.worker in self.threads:
                self.session.restart(sent.worker)
                text, hint = "took longer than --timeout", "a larger --timeout, or a smaller image"
                error = CnnCliError(f"{text} {seconds:g} s", hint=hint)
                yield from self._take_back(key, error if sent.images[0].late else None)
                sent.images[0].late = True
            elif (key in held and self._usable() - self.silent) or (
                # Dask would wait for them for ever.
                sent.workers and sent.workers.isdisjoint(self.threads)
            ):
                yield from self._take_back(key)

    def _finish(self, image: _Image, outcome: Outcome, made: MadeFiles) -> Iterator[Done]:
        """Write what was made, unless the worker did."""
        if image.worker_refuses_existing and image.begun > 1 and (outcome.error or outcome.skipped):
            # Dask gave it to another worker: this one may have met the files of the lost one.
            image.alone = True
            self.back.append(image)
            return
        try:
            if made:
                names = write_made(made, image.task.target, self.files)
                written = tuple(done for done in outcome.written if done.output in names)
                outcome = replace(outcome, written=written, skipped=not written)
            self.done += 1
            yield image.task, outcome
        except (CnnCliError, MemoryError) as error:
            yield self._failed(image.task, error)

    def _failed(self, task: Task, error: CnnCliError | MemoryError) -> Done:
        self.done += 1
        stdout = task.target.to_stdout
        return task, Outcome(task.source, error=named_error(error, task.source), to_stdout=stdout)
