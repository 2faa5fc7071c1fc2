"""A batch on worker processes: one that dies or hangs costs nothing but its own image.

Workers are forked from this process, which knows the job and has all modules; nothing is started
anew. Each has a pipe for tasks and one for answers, an image in hand and one waiting. An image
whose worker died is done again by a fresh worker, with nothing beside it if memory may have been
short; when that dies too, the image is named. So is one that takes longer than `timeout` twice.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from cnncli.batch.pipes import Inbox, Outbox
from cnncli.batch.worker import died, show_traceback, work
from cnncli.errors import CnnCliError
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.outputs import OutFile, Source
from cnncli.system import signals
from cnncli.system.files import remove_hidden
from cnncli.system.threads import cores

WINDOW: Final = 2
"""Images that a worker has: one in hand, and one that waits so that it need not."""

TRIES: Final = 2

STOP_GRACE: Final = 0.25
"""Seconds in which a worker that is told to stop may tidy up."""

LONGEST_WAIT: Final = 10**6
"""Milliseconds; poll takes no more than an int of C."""


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
        self, job: Job, tasks: Iterable[Task], place: LocalFiles
    ) -> Iterator[tuple[Task, Outcome]]:
        """Yield what became of each task, as soon as it is known.

        Closing the generator stops the workers and what they are at.
        """
        pool = _Pool(self, job, place, iter(tasks))
        with signals.undone_by(pool.kill):
            try:
                yield from pool.outcomes()
            finally:
                pool.stop()


@dataclass(eq=False)
class _Given:
    """A task on its way."""

    task: Task
    deaths: int = 0
    alone: bool = False
    """Whether nothing else may be at work meanwhile."""
    begun: frozenset[str] = frozenset()
    """The files that its work was about to write."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether its input can be read again, and none of its output is on its way already."""
        streams = self.task.source.path is None or self.task.target.kind == "stdout"
        return self.deaths < TRIES and not streams


@dataclass(eq=False)
class _Worker:
    """A process, seen from its parent."""

    pid: int
    inbox: Inbox
    outbox: Outbox
    window: int = WINDOW
    given: deque[_Given] = field(default_factory=deque)
    began: float = 0.0
    """When it took up the first of them."""
    deadline: float = math.inf
    """When it is told to stop over that, and once told, when it is ended."""
    late: _Given | None = None
    """What it was told to stop over."""

    @property
    def room(self) -> int:
        """How many more images it takes; one that is repeated is the only one."""
        if self.late is not None or any(given.deaths for given in self.given):
            return 0
        return self.window - len(self.given)

    def give(self, given: _Given, timeout: float) -> None:
        """Send a task."""
        self.given.append(given)
        if len(self.given) == 1:
            self._begin(timeout)
        self.outbox.send(("task", given.task, given.begun))

    def finish(self, timeout: float) -> _Given:
        """Take the first task as done; what waited is in hand now."""
        given = self.given.popleft()
        if self.late is None:
            self._begin(timeout)
        return given

    def _begin(self, timeout: float) -> None:
        self.began = time.monotonic()
        self.deadline = self.began + timeout

    def kill(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def tidy(self) -> None:
        """Remove what it had begun to write, when it was killed."""
        names = {name for given in self.given for name in given.begun}
        for folder in {Path(os.path.realpath(name)).parent for name in names}:
            remove_hidden(folder, self.pid)

    def close(self) -> None:
        """Close both pipes."""
        os.close(self.inbox.descriptor)
        os.close(self.outbox.descriptor)


class _Pool:
    """The workers of one batch and what they are at."""

    def __init__(
        self, runner: WorkerRunner, job: Job, place: LocalFiles, tasks: Iterator[Task]
    ) -> None:
        self.most = runner.jobs or cores()
        self.timeout = math.inf if runner.timeout is None else runner.timeout
        self.ahead, self.window = runner.ahead, WINDOW if runner.ahead else 1
        self.job, self.place, self.tasks = job, place, tasks
        self.workers: list[_Worker] = []
        self.returned: deque[_Given] = deque()
        self.repeated: deque[_Given] = deque()
        self.ended: deque[tuple[Task, Outcome]] = deque()
        self.failure: Exception | None = None
        self.lifeline, self.held = signals.pipe()

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        """Yield what becomes of each task."""
        while (self.ended and not self.ahead) or self.hand_out() or self.ended:
            if self.ended:
                # Whoever takes it may be slow: the workers have something to do meanwhile.
                yield self.ended.popleft()
            else:
                self.hear()
        if self.failure is not None:
            raise self.failure

    def hand_out(self) -> bool:
        """Give out tasks as far as there is room; return whether to wait for workers."""
        while self.repeated and not self._must_wait(self.repeated[0]):
            self._start().give(self.repeated.popleft(), self.timeout)
        if not any(given.alone for given in (*self._in_work(), *self.repeated)):
            while (worker := self._with_room()) is not None:
                if (given := self._next()) is None:
                    break
                worker.give(given, self.timeout)
        # One told to stop may have finished all the same: until it is gone it keeps others waiting.
        late = any(worker.late is not None for worker in self.workers)
        return any(self._in_work()) or bool(self.repeated) or late

    def hear(self) -> None:
        """Wait for workers, and put what became of tasks into `ended`."""
        self._wait()
        for worker in self.workers[:]:
            worker.outbox.flush()
            for message in worker.inbox.messages():
                self._take(worker, *message)
            if worker.inbox.ended:
                self._bury(worker)
        self._stop_the_late()

    def stop(self) -> None:
        """End all workers, and whatever they are at."""
        end = time.monotonic() + STOP_GRACE
        for worker in self.workers:
            worker.kill(signal.SIGTERM)
        while self.workers and time.monotonic() < end:
            waiting = select.poll()
            for worker in self.workers:
                waiting.register(worker.inbox.descriptor, 0)
            waiting.poll(max(0.0, end - time.monotonic()) * 1000)
            for worker in self.workers[:]:
                if _has_hung_up(worker.inbox.descriptor):
                    self._reap(worker)
        self.kill()
        for worker in self.workers[:]:
            self._reap(worker)
        for descriptor in (self.lifeline, self.held):
            os.close(descriptor)

    def kill(self) -> None:
        """End all workers at once, from whatever thread."""
        for worker in self.workers[:]:
            worker.kill(signal.SIGKILL)
            worker.tidy()

    # Tasks and room for them

    def _in_work(self) -> Iterator[_Given]:
        return (given for worker in self.workers for given in worker.given)

    def _must_wait(self, given: _Given) -> bool:
        """Whether a repeated task must wait: memory may have been short, or is another's now."""
        return any(given.alone or other.alone for other in self._in_work())

    def _more(self) -> bool:
        """Whether there is a task: no worker is started for nothing."""
        if not self.returned and (given := self._next()) is not None:
            self.returned.append(given)
        return bool(self.returned)

    def _next(self) -> _Given | None:
        if self.returned:
            return self.returned.popleft()
        try:
            task = next(self.tasks, None)
        except Exception as error:
            # What is in work is done before anybody hears of it.
            self.failure, self.tasks = error, iter(())
            return None
        return None if task is None else _Given(task)

    def _with_room(self) -> _Worker | None:
        """Return a worker with nothing to do; without one start one, or let an image wait."""
        most = max(self.workers, key=lambda worker: worker.room, default=None)
        busy = most is None or most.room < self.window
        if busy and len(self.workers) < self.most and self._more():
            try:
                return self._start()
            except CnnCliError:
                if most is None:
                    raise
                # Fewer do as well.
                self.most = len(self.workers)
        return most if most is not None and most.room > 0 else None

    def _start(self) -> _Worker:
        opened: list[int] = []
        try:
            for _ in range(2):
                opened += signals.pipe()
            return self._started(*opened)
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            reason = (error.strerror or str(error)).lower()
            message = f"a worker process cannot be started: {reason}"
            raise CnnCliError(message, hint="--jobs 1") from error

    def _started(self, inbox: int, answers: int, tasks: int, outbox: int) -> _Worker:
        _flush_standard_streams()
        with signals.blocked():
            pid = _fork()
            if pid == 0:
                self._become_worker(tasks, answers, (inbox, outbox))
            worker = _Worker(pid, Inbox(inbox), Outbox(outbox), self.window)
            self.workers.append(worker)
            os.close(answers)
            os.close(tasks)
        return worker

    def _become_worker(self, tasks: int, answers: int, others: tuple[int, int]) -> NoReturn:
        """Work in the child until the tasks end; what the parent was about is not its own."""
        code = 1
        try:
            for worker in self.workers:
                worker.close()
            # As long as anybody else holds these, the worker would not see its parent end.
            for descriptor in (self.held, *others):
                os.close(descriptor)
            signals.become_worker(self.lifeline)
            work(self.job, self.place, tasks, answers)
            code = 0
        except signals.Interrupted:
            code = signals.exit_code()
        except Exception:
            show_traceback()
        finally:
            os._exit(code)

    # What workers say, and their ends

    def _wait(self) -> None:
        waiting = select.poll()
        for worker in self.workers:
            waiting.register(worker.inbox.descriptor, select.POLLIN)
            if worker.outbox.waiting:
                waiting.register(worker.outbox.descriptor, select.POLLOUT)
        soonest = min((w.deadline for w in self.workers if w.given or w.late), default=math.inf)
        left = max(0.0, soonest - time.monotonic())
        waiting.poll(None if left == math.inf else min(left * 1000 + 1, LONGEST_WAIT))

    def _take(self, worker: _Worker, kind: str, *content: Any) -> None:
        if kind == "begin":
            worker.given[0].begun |= frozenset(content[0])
        elif kind == "claim":
            worker.outbox.send(("claimed", self._claimed(*content)))
        elif content[0] is None:
            raise BrokenPipeError
        else:
            self.ended.append((worker.finish(self.timeout).task, content[0]))

    def _claimed(self, source: Source, files: Sequence[OutFile]) -> CnnCliError | None:
        try:
            self.place.claims.claim(source, files)
        except CnnCliError as error:
            return error
        return None

    def _bury(self, worker: _Worker) -> None:
        """Charge a dead worker's image; what waited goes to another."""
        seconds = time.monotonic() - worker.began
        status = self._reap(worker)
        late = worker.late is not None
        if worker.given and (not late or worker.given[0] is worker.late):
            given = worker.given.popleft()
            given.deaths += 1
            given.alone = status == -signal.SIGKILL and not late
            if given.may_be_repeated:
                self.repeated.append(given)
            else:
                error = _too_late(given, self.timeout) if late else _died(given, status)
                self.ended.append((given.task, _failed(given, error, seconds)))
        self.returned.extendleft(reversed(worker.given))

    def _reap(self, worker: _Worker) -> int:
        """Return a worker's exit code, or minus the signal that ended it."""
        try:
            _, status = os.waitpid(worker.pid, 0)
        except ChildProcessError:
            # A program that ignores its children's ends never hears of them.
            status = 0
        self.workers.remove(worker)
        worker.close()
        if os.WIFSIGNALED(status):
            worker.tidy()
        return os.waitstatus_to_exitcode(status)

    def _stop_the_late(self) -> None:
        """Tell workers to stop whose image takes too long; those that do not listen are ended."""
        now = time.monotonic()
        for worker in self.workers:
            if (worker.given or worker.late) and now >= worker.deadline:
                worker.kill(signal.SIGTERM if worker.late is None else signal.SIGKILL)
                worker.late = worker.late or worker.given[0]
                worker.deadline = now + STOP_GRACE


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns of threads, of which the child has none. Ours sleep, and locks of their own.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _flush_standard_streams() -> None:
    """What is still in a buffer here must not be written by workers too."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def _has_hung_up(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, 0)
    return bool(waiting.poll(0))


def _failed(given: _Given, error: CnnCliError, seconds: float) -> Outcome:
    to_stdout = given.task.target.kind == "stdout"
    return Outcome(given.task.source, error=error, to_stdout=to_stdout, seconds=seconds)


def _died(given: _Given, status: int) -> CnnCliError:
    if status == -signal.SIGKILL:
        reason = "its worker died (signal 9: killed, perhaps out of memory)"
        return died(given.task.source, reason, "--jobs 1, or a smaller image")
    what = f"exit code {status}"
    if status < 0:
        what = f"signal {-status}: {(signal.strsignal(-status) or 'unknown').lower()}"
    return died(given.task.source, f"its worker died ({what})")


def _too_late(given: _Given, timeout: float) -> CnnCliError:
    reason = f"took longer than --timeout {timeout:g} s"
    return died(given.task.source, reason, "a larger --timeout, or a smaller image")
