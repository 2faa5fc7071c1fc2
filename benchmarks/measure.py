"""Timing in short alternating blocks, and the judgement of equality that comes before it."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAUSE: Final = 0.05
"""Seconds before a block: idle threads of OpenMP and onnxruntime spin for milliseconds."""

BLOCK_SECONDS: Final = 0.1
BLOCK_RUNS: Final = 5
"""A block holds as many runs as fit into its seconds, at least one and at most this many."""

SHORT: Final = 0.001
SHORT_RUNS: Final = 50
"""Runs of a block where one takes less than `SHORT` seconds: what it does first counts less."""

SLOW: Final = 1.0
"""Seconds from which a run takes part in `SLOW_ROUNDS` rounds only, without warm-up."""

SLOW_ROUNDS: Final = 3

VERY_SLOW: Final = 5.0
"""Seconds from which a contender runs once: its check is its measurement."""


BUSY: Final = 0.25
"""Share of the cores' time from which others are taken to be at work."""

PATIENCE: Final = 1.0
"""Seconds to wait for others before a block is measured all the same."""


TURNS: Final = 2
"""Times as many blocks as asked for are run at most, until enough were undisturbed."""


@dataclass(frozen=True)
class Block:
    """Seconds of some runs, and whether other processes were at work during them."""

    seconds: list[float]
    disturbed: bool


@dataclass
class Watch:
    """Counts the blocks that medians were taken of, and the disturbed ones among them."""

    blocks: int = 0
    disturbed: int = 0

    def taken(self) -> str:
        """Return the counts in words and begin again.

        Examples
        --------
        >>> Watch(blocks=9, disturbed=2).taken()
        '2 of 9'
        """
        words = f"{self.disturbed} of {self.blocks}"
        self.blocks = self.disturbed = 0
        return words


watch: Final = Watch()


class Unable(Exception):
    """A peer cannot do what is asked; its row says so and goes on without it."""


def as_it_is(result: Any) -> NDArray[Any]:
    """Return a result that is an array already."""
    return np.asarray(result)


@dataclass(frozen=True)
class Contender:
    """One way to compute a result in this process.

    Parameters
    ----------
    name : str
    run : callable
        Computes the result once; this is what is timed.
    read : callable
        Turns what `run` returns into the array that is compared, outside of the timing.
    tolerance : float
        Largest difference from ours that counts as equal, as a share of our largest magnitude.
    competes : bool
        Whether it can be the best peer; others are shown only.
    """

    name: str
    run: Callable[[], Any]
    read: Callable[[Any], NDArray[Any]] = as_it_is
    tolerance: float = 1e-4
    competes: bool = True


@dataclass
class Compared:
    """What came of a comparison.

    Parameters
    ----------
    seconds : dict
        Median of one run by contender; empty if a result was wrong.
    wrong : list of str
        Whose results differ, and by how much.
    unable : list of str
        Who could not do it, and why.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    unable: list[str] = field(default_factory=list)


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long one call takes, in seconds.

    Examples
    --------
    >>> seconds_of(lambda: None) < 1
    True
    """
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers, NaN of none.

    Examples
    --------
    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    values = list(ratios)
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


def difference(ours: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference as a share of our largest magnitude; inf for other shapes.

    Examples
    --------
    >>> difference(np.array([2.0, 4.0]), np.array([2.0, 3.0]))
    0.25
    """
    if ours.shape != other.shape:
        return math.inf
    largest = float(np.abs(ours).max(initial=0)) or 1.0
    worst = float(np.abs(ours - other).max(initial=0)) / largest
    return worst if math.isfinite(worst) else math.inf


def compare(contenders: list[Contender], repeats: int) -> Compared:
    """Check that all contenders give what the first gives, then time them.

    Parameters
    ----------
    contenders : list of Contender
        Ours first.
    repeats : int
        Blocks of each contender.

    Returns
    -------
    Compared
    """
    first, compared = check(contenders)
    if not compared.wrong:
        actions = {c.name: partial(seconds_of, c.run) for c in contenders if c.name in first}
        compared.seconds = alternate(actions, first, repeats)
    return compared


def check(contenders: list[Contender]) -> tuple[dict[str, float], Compared]:
    """Run each contender once; return the seconds of each, and whose result differs."""
    compared = Compared()
    first: dict[str, float] = {}
    ours: NDArray[Any] | None = None
    for contender in contenders:
        begin = time.perf_counter()
        try:
            raw = contender.run()
        except Unable as reason:
            compared.unable.append(f"{contender.name}: {reason}")
            continue
        first[contender.name] = time.perf_counter() - begin
        result = contender.read(raw)
        ours = result if ours is None else ours
        share = difference(ours, result)
        if share > contender.tolerance:
            compared.wrong.append(f"{contender.name} differs by {share:.2g}")
    return first, compared


def alternate(
    actions: Mapping[str, Callable[[], float]],
    first: Mapping[str, float],
    repeats: int,
    *,
    warm: bool = True,
    pause: float = PAUSE,
) -> dict[str, float]:
    """Return the median seconds of each action, measured in alternating blocks.

    Blocks during which other processes were at work are measured again. Two threads that share
    one core with somebody else wait for each other a whole turn of the scheduler: a layer of one
    millisecond then takes sixteen.

    Parameters
    ----------
    actions : mapping
        Each does one run and returns its seconds.
    first : mapping
        Seconds of a run before, by which blocks are sized.
    repeats : int
        Blocks of each action.
    warm : bool
        Whether each block begins with a run that does not count.
    pause : float
        Seconds to wait before each block.

    Examples
    --------
    >>> alternate({"a": lambda: 0.5}, {"a": 0.5}, 2, pause=0)
    {'a': 0.5}
    """
    blocks: dict[str, list[Block]] = {name: [] for name in actions}
    for _ in range(TURNS * repeats):
        for name, action in actions.items():
            clean = sum(not block.disturbed for block in blocks[name])
            if clean < rounds(first[name], repeats):
                rest(pause)
                blocks[name].append(run_block(action, first[name], warm))
    return {name: _median(found, first[name]) for name, found in blocks.items()}


def run_block(action: Callable[[], float], first: float, warm: bool) -> Block:
    """Return the seconds of a few runs, and whether others were at work meanwhile."""
    if warm and first < SLOW:
        action()
    before = usage()
    seconds = [action() for _ in range(block_runs(first))]
    others, total = (b - a for a, b in zip(before, usage(), strict=True))
    # The system counts in ticks of a hundredth of a second.
    return Block(seconds, others > max(BUSY * total, 0.02))


def _median(blocks: Sequence[Block], first: float) -> float:
    """The median of undisturbed blocks, of all where there is none, of the check if none ran."""
    chosen = [block for block in blocks if not block.disturbed] or blocks
    watch.blocks += len(chosen)
    watch.disturbed += sum(block.disturbed for block in chosen)
    return statistics.median([each for block in chosen for each in block.seconds] or [first])


def rest(pause: float) -> None:
    """Do nothing for `pause` seconds, again while others are at work, until patience ends."""
    deadline = time.perf_counter() + PATIENCE
    while True:
        before = usage()
        time.sleep(pause)
        others, total = (b - a for a, b in zip(before, usage(), strict=True))
        if others <= BUSY * total or time.perf_counter() > deadline:
            return


def usage(stat: Path = Path("/proc/stat")) -> tuple[float, float]:
    """Return the seconds that other processes have used all cores, and all their seconds.

    Zeros where the system does not tell.
    """
    if not stat.exists():
        return 0.0, 0.0
    numbers = [int(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
    ticks_a_second = os.sysconf("SC_CLK_TCK")
    busy = (sum(numbers) - numbers[3] - numbers[4]) / ticks_a_second
    return busy - sum(os.times()[:4]), sum(numbers) / ticks_a_second


def rounds(seconds: float, repeats: int) -> int:
    """Return how many blocks a contender gets whose run takes `seconds`.

    Examples
    --------
    >>> [rounds(seconds, 7) for seconds in (0.1, 2.0, 10.0)]
    [7, 3, 0]
    """
    if seconds > VERY_SLOW:
        return 0
    return min(repeats, SLOW_ROUNDS) if seconds > SLOW else repeats


def block_runs(seconds: float) -> int:
    """Return how many runs a block has.

    Examples
    --------
    >>> [block_runs(seconds) for seconds in (0.0001, 0.001, 0.04, 2.0)]
    [50, 5, 2, 1]
    """
    most = SHORT_RUNS if seconds < SHORT else BLOCK_RUNS
    return max(1, min(most, int(BLOCK_SECONDS / max(seconds, 1e-9))))
