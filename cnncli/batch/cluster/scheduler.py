"""Assigns images to Dask workers, and again to others when a worker is lost.

Knows nothing of Dask. Dask can count lost workers itself, but then blames every image that waited
for the one that did it, and takes no notice that a restarted worker is a new one: so each image
is meant for one worker here, and what was lost with a worker is tried alone on the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import field, replace
from typing import Final

from cnncli._dataclass import dataclass
from cnncli.pipeline.job import Task

AHEAD: Final = 2
"""Images sent to a worker for each of its threads: one is worked on while the next arrives."""

BYTES_AHEAD: Final = 256 * 2**20
"""Bytes of images that may be under way together, unless one alone has more."""

LOSSES: Final = 8
"""Workers that may be lost over an image before it is named; all but the first while it was alone
on its worker. Many, for images end their own process at most: a lost worker is seldom their doing.
"""


@dataclass
class Attempt:
    """A task that is not done yet.

    Parameters
    ----------
    task : Task
        Without the image's bytes, but for what can be read once.
    losses : int
        Workers lost while it was there.
    size : int
        Bytes under way.
    only : frozenset of str, optional
        What it may write, once its guards were passed: a worker that was lost may have begun.
    """

    task: Task
    losses: int = 0
    size: int = 0
    only: frozenset[str] | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Tells this attempt from those before it."""
        return self.task.index, self.losses


@dataclass
class WorkerSlot:
    """A worker with what it was sent."""

    threads: int
    attempts: dict[tuple[int, int], Attempt] = field(default_factory=dict)

    @property
    def load(self) -> float:
        """How many images it has for each of its threads."""
        return len(self.attempts) / max(1, self.threads)

    @property
    def full(self) -> bool:
        """Whether it has enough, or something that may have cost a worker and must be alone."""
        return self.load >= AHEAD or any(attempt.losses for attempt in self.attempts.values())


@dataclass
class Scheduler:
    """Which worker works on what.

    Parameters
    ----------
    tasks : iterator of Task

    Examples
    --------
    >>> from cnncli.pipeline.output_names import OutputKind, OutputPattern, Source, Target
    >>> target = Target(Source(None), OutputPattern(OutputKind.FILE, "a.png", "pool"))
    >>> scheduler = Scheduler(iter([Task(0, target), Task(1, target), Task(2, target)]))
    >>> scheduler.set_workers({"tcp://a": 1})
    []
    >>> [attempt.task.index for _, attempt in scheduler.assign()]
    [0, 1]
    >>> [attempt.task.index for attempt in scheduler.set_workers({"tcp://b": 1})]
    []
    >>> [(worker, attempt.task.index) for worker, attempt in scheduler.assign()]
    [('tcp://b', 0)]
    """

    tasks: Iterator[Task]
    slots: dict[str, WorkerSlot] = field(default_factory=dict)
    retries: deque[Attempt] = field(default_factory=deque)
    size: int = 0
    exhausted: bool = False

    @property
    def idle(self) -> bool:
        """Whether everything is done."""
        working = any(slot.attempts for slot in self.slots.values())
        return self.exhausted and not self.retries and not working

    def set_workers(self, workers: dict[str, int]) -> list[Attempt]:
        """Take note of who works now, with how many threads.

        Returns
        -------
        list of Attempt
            Those that have cost too many workers.
        """
        given_up: list[Attempt] = []
        for address in [address for address in self.slots if address not in workers]:
            for key in list(self.slots[address].attempts):
                given_up += self.lose(address, key)
            del self.slots[address]
        for address, threads in workers.items():
            self.slots.setdefault(address, WorkerSlot(threads))
        return given_up

    def lose(self, worker: str, key: tuple[int, int]) -> list[Attempt]:
        """Take note that an attempt is lost; return it if it is the last one."""
        if (attempt := self.finish(worker, key)) is None:
            return []
        attempt = replace(attempt, losses=attempt.losses + 1, size=0)
        if attempt.losses >= LOSSES:
            return [attempt]
        self.retries.append(attempt)
        return []

    def finish(self, worker: str, key: tuple[int, int]) -> Attempt | None:
        """Return what an answer belongs to; None if nobody waits for it any more."""
        slot = self.slots.get(worker)
        attempt = None if slot is None else slot.attempts.pop(key, None)
        if attempt is not None:
            self.size -= attempt.size
        return attempt

    def set_size(self, attempt: Attempt, size: int) -> None:
        """Take note of how many bytes were sent."""
        attempt.size = size
        self.size += size

    def assign(self) -> Iterator[tuple[str, Attempt]]:
        """Yield who is to be sent what now: always the worker with the least to do."""
        while True:
            order = sorted(self.slots, key=lambda worker: self.slots[worker].load)
            if self.retries and order and not self.slots[order[0]].attempts:
                worker, attempt = order[0], self.retries.popleft()
            else:
                # As many workers are kept free as there are attempts that have to be alone.
                free = (name for name in order[len(self.retries) :] if not self.slots[name].full)
                if not (worker := next(free, "")) or (task := self._next()) is None:
                    return
                attempt = Attempt(task)
            self.slots[worker].attempts[attempt.key] = attempt
            yield worker, attempt

    def remaining(self) -> Iterator[Task]:
        """Yield all that is not done."""
        for slot in self.slots.values():
            yield from (attempt.task for attempt in slot.attempts.values())
        yield from (attempt.task for attempt in self.retries)
        yield from self.tasks

    def _next(self) -> Task | None:
        if self.exhausted or self.size >= BYTES_AHEAD:
            return None
        task = next(self.tasks, None)
        self.exhausted = task is None
        return task
