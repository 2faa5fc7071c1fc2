"""Which image goes to which worker, and again to another when its worker is lost.

Knows nothing of Dask. Dask can count lost workers itself, but then blames every image that waited
for the one that did it, and takes no notice that a restarted worker is a new one: so each parcel
is meant for one worker here, and what was lost with a worker is tried alone on the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

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
class Trip:
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
        """Tells this try from those before it."""
        return self.task.index, self.losses


@dataclass
class Seat:
    """A worker with what it was sent."""

    threads: int
    trips: dict[tuple[int, int], Trip] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether it was sent something that may have cost a worker."""
        return any(trip.losses for trip in self.trips.values())

    @property
    def load(self) -> float:
        """How much it has to do."""
        return len(self.trips) / max(1, self.threads)

    @property
    def full(self) -> bool:
        """Whether it has enough to do."""
        return self.alone or self.load >= AHEAD


@dataclass
class Desk:
    """Who works on what.

    Parameters
    ----------
    tasks : iterator of Task

    Examples
    --------
    >>> from cnncli.pipeline.targets import Source, Target
    >>> target = Target("file", Source(None), "a.png", "pool")
    >>> desk = Desk(iter([Task(0, target), Task(1, target), Task(2, target)]))
    >>> desk.staff({"tcp://a": 1})
    []
    >>> [trip.task.index for _, trip in desk.sendings()]
    [0, 1]
    >>> [lost.task.index for lost in desk.staff({"tcp://b": 1})]
    []
    >>> [(worker, trip.task.index) for worker, trip in desk.sendings()]
    [('tcp://b', 0)]
    """

    tasks: Iterator[Task]
    seats: dict[str, Seat] = field(default_factory=dict)
    again: deque[Trip] = field(default_factory=deque)
    size: int = 0
    finished: bool = False
    failure: Exception | None = None

    @property
    def idle(self) -> bool:
        """Whether everything is done."""
        return self.finished and not self.again and not self.under_way

    @property
    def under_way(self) -> bool:
        """Whether workers have something to do."""
        return any(seat.trips for seat in self.seats.values())

    def staff(self, workers: dict[str, int]) -> list[Trip]:
        """Take note of who works now, with how many threads.

        Returns
        -------
        list of Trip
            Those that have cost too many workers.
        """
        given_up: list[Trip] = []
        for gone in [address for address in self.seats if address not in workers]:
            for key in list(self.seats[gone].trips):
                given_up += self.lost(gone, key)
            del self.seats[gone]
        for address, threads in workers.items():
            self.seats.setdefault(address, Seat(threads))
        return given_up

    def lost(self, worker: str, key: tuple[int, int]) -> list[Trip]:
        """Take note that one try is lost; return what is to be tried no more."""
        trip = self.arrived(worker, key)
        return [] if trip is None else self._lost(trip)

    def arrived(self, worker: str, key: tuple[int, int]) -> Trip | None:
        """Return what an answer belongs to; None if nobody waits for it any more."""
        seat = self.seats.get(worker)
        trip = None if seat is None else seat.trips.pop(key, None)
        if trip is not None:
            self.size -= trip.size
        return trip

    def sendings(self) -> Iterator[tuple[str, Trip]]:
        """Yield who is to be sent what now: always the worker with the least to do."""
        while (sending := self._sending()) is not None:
            yield sending

    def weighed(self, trip: Trip, size: int) -> None:
        """Take note of how many bytes were sent."""
        trip.size = size
        self.size += size

    def remaining(self) -> Iterator[Task]:
        """Yield all that is not done."""
        for seat in self.seats.values():
            yield from (trip.task for trip in seat.trips.values())
        yield from (trip.task for trip in self.again)
        yield from self.tasks

    def _sending(self) -> tuple[str, Trip] | None:
        order = sorted(self.seats, key=lambda worker: self.seats[worker].load)
        if self.again and order and not self.seats[order[0]].trips:
            return self._seated(order[0], self.again.popleft())
        # As many workers are kept free as there are tries that have to be alone.
        for worker in order[len(self.again) :]:
            if not self.seats[worker].full:
                trip = self._next()
                return None if trip is None else self._seated(worker, trip)
        return None

    def _next(self) -> Trip | None:
        if self.finished or self.size >= BYTES_AHEAD:
            return None
        try:
            task = next(self.tasks, None)
        except Exception as error:
            # What is under way is done before anybody hears of it.
            self.failure, task = error, None
        self.finished = task is None
        return None if task is None else Trip(task)

    def _seated(self, worker: str, trip: Trip) -> tuple[str, Trip]:
        self.seats[worker].trips[trip.key] = trip
        return worker, trip

    def _lost(self, trip: Trip) -> list[Trip]:
        trip = replace(trip, losses=trip.losses + 1, size=0)
        if trip.losses >= LOSSES:
            return [trip]
        self.again.append(trip)
        return []
