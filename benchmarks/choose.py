"""Which algorithm `auto` takes for a layer, and which one is the quickest, by processor time.

Each layer stands twice: with its filters prepared in every call, as for one image, and prepared
before. Times are of the processor, all threads together, since prices are those of one thread; so
nothing waits for other processes.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.choose_cases import Array, Case, cases
from benchmarks.measure import Contender, check
from benchmarks.table import BEST, Row
from cnncli.core import engine

SECTION: Final = "choose"

LIMIT: Final = 1.3
"""Largest ratio of the chosen algorithm's time to the quickest's."""

HOPELESS: Final = 4.0
"""Times the quickest's first run from which an algorithm is not run again: the first counts."""


def measure(repeats: int, quick: bool = False) -> Iterator[Row]:
    """Yield two rows for each layer: for one image, and prepared.

    Parameters
    ----------
    repeats : int
        Runs of each algorithm after a first one.
    quick : bool
        Whether layers are shrunk.
    """
    for full in cases():
        case = full.small if quick else full
        for prepared in (False, True):
            yield row_of(case, prepared, repeats)


def row_of(case: Case, prepared: bool, repeats: int) -> Row:
    """Time every algorithm that can do a layer; "ours" is the one that `auto` takes."""
    W, task = case.filters, case.task
    X = np.random.default_rng(1).standard_normal((1, *case.size, case.n_C_prev), np.float32)
    chosen = engine.choose(W, task, runs=math.inf if prepared else 1).algorithm
    able = [name for name in engine.ALGORITHMS if engine.ALGORITHMS[name].work(W, task) is not None]
    contenders = [Contender(name, runner(case, W, X, name, prepared)) for name in able]
    contenders.sort(key=lambda contender: contender.name != chosen)
    kind = "prepared" if prepared else "one image"
    row = Row(SECTION, f"{case.name}, {kind}: {chosen}", limits={BEST: LIMIT})
    first, compared = check(contenders)
    if compared.wrong:
        row.problem = "; ".join(compared.wrong)
        return row
    quickest = min(first.values())
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for contender in contenders:
            if contender.name == chosen or first[contender.name] < HOPELESS * quickest:
                spent = processor_seconds(contender.run)
                seconds.setdefault(contender.name, []).append(spent)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ms = {name: 1000 * medians.get(name, once) for name, once in first.items()}
    row.ours, row.peers = ms.pop(chosen), ms
    return row


def runner(case: Case, W: Array, X: Array, algorithm: str, prepared: bool) -> Callable[[], Array]:
    """Return one run of a layer on one thread, in which filters are prepared or not."""
    prepare = partial(
        engine.prepare_convolution, W, case.task.window, case.groups, algorithm=algorithm
    )
    if not prepared:
        return lambda: prepare()(X, 1)
    return partial(prepare(), X, 1)


def processor_seconds(run: Callable[[], Any]) -> float:
    """Return the processor time of one call, in seconds.

    Examples
    --------
    >>> processor_seconds(lambda: None) < 1
    True
    """
    begin = time.process_time()
    run()
    return time.process_time() - begin
