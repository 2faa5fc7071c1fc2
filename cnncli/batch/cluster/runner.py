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
from cnncli.batch.cluster.dask_client import ClusterProblem, Key, Session, Workers, connected
from cnncli.batch.cluster.dask_task import Payload
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
    again : bool
        Whether its worker was told that another may have written its shared files.
    late : bool
        Whether it took too long once.
    """

    task: Task
    alone: bool = False
    begun: int = 0
    losses: int = 0
    again: bool = False
    late: bool = False


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
    wrong: dict[str, str] = field(default_factory=dict)
    workers: Workers = Workers(0.0, {}, set(), set())
    done: int = 0

    def run(self) -> Iterator[Done]:
        """Send, wait and yield until all is done, or nothing can be."""
        self.last_worker = time.monotonic()
        self.packed_job = pickle.dumps(self.job)
        self.tells_begin = bool(self.runner.shared or self.runner.seconds)
        self.next_task = next(self.tasks, None)
        try:
            while self.next_task or self.sent or self.back:
                yield from self._take(self.session.events.get())
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
        most = AHEAD * sum(self.workers.threads[name] for name in self._usable())
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
        if shared and image.begun:
            # Its guards were passed; what is there by now may be its own.
            image.again = True
            return task, os.getcwd(), True
        try:
            if self.files.all_there(target):
                return Outcome(task.source, skipped=True)
            if not target.pattern.per_map:
                self.files.select(target, target.unknown_files())
            if not shared and task.data is None:
                content = read_content(task.source, self.job.read.max_input_bytes)
                task = replace(task, data=content)
            if task.source.path is None:
                image.task = task  # standard input can be read once
        except (CnnCliError, MemoryError) as error:
            return self._failed(task, error)[1]
        return task, os.getcwd() if shared else None, False

    def _submit(self, images: list[_Image], request: bytes, asked: str = "") -> None:
        """Send a task; a long job goes along to a worker that has asked for it."""
        workers = {asked} if asked else self._usable()
        if len(workers) == len(self.workers.threads):
            workers = set()  # Dask need not be told
        has_job = asked or images[0].alone or len(self.packed_job) < JOB_BYTES
        content = self.packed_job if has_job else None, request
        key, answer = self.session.submit(*content, workers=workers)
        self.sent[key] = _Sent(images, request, workers, answer)

    def _usable(self) -> set[str]:
        """Return the workers of the right versions: those that are heard, if there are any."""
        right = self.workers.threads.keys() - self.wrong.keys()
        return right - self.workers.silent or right

    def _take(self, event: tuple[Any, ...]) -> Iterator[Done]:
        match event:
            case "gone", why:
                raise ClusterProblem(why)
            case "workers", workers:
                yield from self._look_after(workers)
            case "begun", key, worker, since if key in self.sent:
                self.sent[key].worker, self.sent[key].since = worker, since
                image = self.sent[key].images[0]
                image.begun += 1
                image.losses += image.alone
            case "answer", key, kind, content if key in self.sent:
                yield from self._take_answer(self.sent.pop(key), kind, content)

    def _take_answer(self, sent: _Sent, kind: str, content: Any) -> Iterator[Done]:
        if kind == "done":
            for image, result in zip(sent.images, pickle.loads(content), strict=True):
                yield from self._finish(image, *result)
        elif kind == "no job":
            self._submit(sent.images, sent.request, content)
        elif kind == "wrong":
            worker, why = content
            self.wrong[worker] = why
            self._take_back(sent.images)
        else:
            # Most often KilledWorker: several were lost in turn.
            image = sent.images[0]
            image.losses += image.alone and not sent.worker
            if image.losses >= LOSSES:
                text = f"{image.losses} workers were lost while it alone was at work"
                error = CnnCliError(f"{text}: {type(content).__name__}")
                yield self._failed(image.task, error)
            else:
                self._take_back(sent.images)

    def _take_back(self, images: list[_Image]) -> None:
        for image in images:
            image.alone = True
        self.back.extend(images)

    def _look_after(self, workers: Workers) -> Iterator[Done]:
        """Take note of who works; look for images that take too long, or that nobody will do."""
        self.workers = workers
        self.wrong = {name: why for name, why in self.wrong.items() if name in workers.threads}
        if self._usable():
            self.last_worker = workers.time
        elif (self.wrong and not self.done) or (
            workers.time - self.last_worker > self.runner.patience
        ):
            raise self._problem()
        for key, sent in [*self.sent.items()]:
            late = workers.time - sent.since > (self.runner.seconds or float("inf"))
            if late and sent.worker in workers.threads:
                self.session.restart(sent.worker)
                yield from self._note_late(self._drop(key)[0])
            elif (key in workers.held and self._usable() - workers.silent) or (
                # Dask would wait for them for ever.
                sent.workers and sent.workers.isdisjoint(workers.threads)
            ):
                self._take_back(self._drop(key))

    def _problem(self) -> ClusterProblem:
        """Return what is wrong where no worker can be used."""
        for worker, why in self.wrong.items():
            hint = "the same versions everywhere, see docs/cluster.md"
            return ClusterProblem(f"the worker {worker} {why}", hint=hint)
        address, patience = self.session.address, self.runner.patience
        text = f"the scheduler {address} has had no workers for {patience:g} seconds"
        hint = f"start some: dask worker {address}, or wait longer with --cluster-patience"
        return ClusterProblem(text, hint=hint)

    def _drop(self, key: Key) -> list[_Image]:
        sent = self.sent.pop(key)
        sent.answer.cancel()
        return sent.images

    def _note_late(self, image: _Image) -> Iterator[Done]:
        if image.late:
            text = f"took longer than --timeout {self.runner.seconds:g} s"
            hint = "a larger --timeout, or a smaller image"
            yield self._failed(image.task, CnnCliError(text, hint=hint))
        else:
            image.late = True
            self._take_back([image])

    def _finish(self, image: _Image, outcome: Outcome, made: MadeFiles | None) -> Iterator[Done]:
        """Write what was made, unless the worker did."""
        task, undone = image.task, outcome.error or outcome.skipped
        if made is None and undone and image.begun > 1 and not image.again:
            # Maybe for the files of a worker that was lost, of which Dask tells nothing.
            self._take_back([image])
            return
        try:
            if made:
                names = write_made(made, task.target, self.files)
                written = tuple(done for done in outcome.written if done.output in names)
                outcome = replace(outcome, written=written, skipped=not written)
            self.done += 1
            yield task, replace(outcome, to_stdout=task.target.to_stdout)
        except (CnnCliError, MemoryError) as error:
            yield self._failed(task, error)

    def _failed(self, task: Task, error: CnnCliError | MemoryError) -> Done:
        self.done += 1
        stdout = task.target.to_stdout
        return task, Outcome(task.source, error=named_error(error, task.source), to_stdout=stdout)
