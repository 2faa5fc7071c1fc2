"""Threads that are kept between layers: who works where, and what becomes of errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from cnncli import conv_plan
from cnncli.system import threads
from cnncli.system.threads import Scratch, _Idle, cores, run_all, together
from tests.support.patience import patient

several = pytest.mark.skipif(cores() < 2, reason="needs two cores")


def test_one_thread_is_the_callers_own() -> None:
    seen: list[threading.Thread] = []
    together(lambda: seen.append(threading.current_thread()), 1)
    assert seen == [threading.current_thread()]


def meet(names: list[str]) -> None:
    """Two threads at once, or the barrier breaks."""
    barrier = threading.Barrier(2)

    def action() -> None:
        barrier.wait(timeout=patient(5))
        names.append(threading.current_thread().name)

    together(action, 2)


def test_helpers_work_at_the_same_time_and_are_kept() -> None:
    names: list[str] = []
    before = helpers_alive()
    for _ in range(20):
        meet(names)
    assert sorted(set(names)) == sorted({threading.current_thread().name, "cnncli-strip"})
    assert names.count("cnncli-strip") == 20
    assert helpers_alive() - before < cores()


def helpers_alive() -> int:
    return sum(each.name == "cnncli-strip" for each in threading.enumerate())


@pytest.mark.parametrize("where", ["helper", "caller"])
def test_an_error_of_any_thread_is_raised_after_all_have_ended(where: str) -> None:
    barrier, ended = threading.Barrier(2), []

    def action() -> None:
        barrier.wait(timeout=patient(5))
        is_helper = threading.current_thread().name == "cnncli-strip"
        if is_helper == (where == "helper"):
            raise ZeroDivisionError(where)
        ended.append(where)

    with pytest.raises(ZeroDivisionError, match=where):
        together(action, 2)
    assert ended == [where]
    meet(names := [])
    assert len(names) == 2


def test_many_callers_at_once_all_get_their_work_done() -> None:
    done: list[int] = []

    def call(number: int) -> None:
        for _ in range(20):
            together(lambda: done.append(number), 3)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=patient(5))
    assert all(done.count(number) >= 20 for number in range(6))


@pytest.mark.parametrize(("kernel", "groups"), [(3, 1), (3, 32), (5, 1)])
def test_callers_on_threads_of_their_own_share_a_plan(kernel: int, groups: int) -> None:
    rng = np.random.default_rng(kernel)
    X = rng.standard_normal((4, 1, 40, 50, 32), np.float32)
    W = rng.standard_normal((kernel, kernel, 32 // groups, 32), np.float32)
    settings = {"pad": kernel // 2, "groups": groups}
    plan = conv_plan(X[0], W, np.ones((1, 1, 1, 32), np.float32), settings)
    barrier = threading.Barrier(len(X))

    def run(image: NDArray[np.float32]) -> list[bytes]:
        barrier.wait(timeout=patient(5))
        return [plan(image).tobytes() for _ in range(5)]

    with ThreadPoolExecutor(len(X)) as pool:
        made = list(pool.map(run, X))
    # Not before: what is made at the first call is made by all of them at once.
    assert made == [[plan(image).tobytes()] * 5 for image in X]


@several
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot")
def test_threads_work_on_different_cores_and_the_callers_are_given_back() -> None:
    before, barrier = os.sched_getaffinity(0), threading.Barrier(2)
    allowed: list[set[int]] = []

    def action() -> None:
        barrier.wait(timeout=patient(5))
        allowed.append(os.sched_getaffinity(0))

    together(action, 2)
    assert not allowed[0] & allowed[1]
    assert allowed[0] | allowed[1] == before
    assert os.sched_getaffinity(0) == before


@several
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot")
def test_helpers_follow_a_caller_that_may_use_one_core_only() -> None:
    before, barrier = os.sched_getaffinity(0), threading.Barrier(2)
    allowed: list[set[int]] = []

    def action() -> None:
        barrier.wait(timeout=patient(5))
        allowed.append(os.sched_getaffinity(0))

    try:
        for core in sorted(before)[:2]:
            os.sched_setaffinity(0, {core})
            together(action, 2)
            assert allowed[-2:] == [{core}, {core}]
    finally:
        os.sched_setaffinity(0, before)
    together(action, 2)
    assert not allowed[-2] & allowed[-1]


@several
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot")
def test_a_caller_without_helpers_may_run_anywhere() -> None:
    before, barrier = os.sched_getaffinity(0), threading.Barrier(cores() + 2)
    allowed: list[set[int]] = []

    def busy() -> None:
        barrier.wait(timeout=patient(5))
        barrier.wait(timeout=patient(5))

    others = threading.Thread(target=lambda: together(busy, cores() + 1))
    others.start()
    barrier.wait(timeout=patient(5))
    together(lambda: allowed.append(os.sched_getaffinity(0)), 2)
    barrier.wait(timeout=patient(5))
    others.join(timeout=patient(5))
    assert allowed == [before]


@several
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_ctrl_c_while_waiting_for_a_helper_loses_no_helper() -> None:
    barrier, ended = threading.Barrier(2), []
    caller = threading.current_thread()

    def action() -> None:
        barrier.wait(timeout=patient(5))
        if threading.current_thread() is caller:
            return
        # The caller is on its way to the wait, or in it.
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.2)
        ended.append("helper")

    assert caller is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        together(action, 2)
    assert ended == ["helper"]
    meet(names := [])
    assert len(names) == 2


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_no_thread_can_be_started_the_others_do_the_work(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = _Idle()
    monkeypatch.setattr(threads, "_idle", idle)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    start, left = threading.Thread.start, [allowed]

    def refuse(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    with monkeypatch.context() as refused:
        refused.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            done: list[int] = []
            run_all(done.append, range(20), 4)
            assert sorted(done) == list(range(20))
            assert len(idle.helpers) == allowed
    meet(names := [])
    assert "cnncli-strip" in names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_helpers_of_its_own() -> None:
    code = """
import os, warnings
warnings.simplefilter("ignore")
import numpy as np
from cnncli import conv_forward
A, W, b = np.ones((1, 200, 200, 3)), np.ones((3, 3, 3, 8)), np.ones((1, 1, 1, 8))
run = lambda: conv_forward(A, W, b, {"stride": 1, "pad": 1})[0]
before = run()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(run(), before) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=patient(20),
        check=True,
    )
    assert done.stdout.strip() == "0"


def test_the_buffers_of_two_layers_are_the_same_memory() -> None:
    scratch, kind = Scratch(), np.dtype(np.float32)
    for names in (("windows", "strip"), ("tiles", "products"), ("sums", "strip")):
        first, second = (scratch.take(name, (100, 3), kind) for name in names)
        first[:], second[:] = 1, 2
        assert (first == 1).all()
        assert np.shares_memory(scratch.take(names[0], (50, 3), kind), first)
        scratch.release(limit=10_000)
        assert scratch.memory.nbytes == 2 * (1200 + 16)
    larger = scratch.take("windows", (10, 300), kind)
    assert not np.shares_memory(larger, scratch.memory)
    scratch.release(limit=20_000)
    assert scratch.memory.nbytes == 12_032
    assert not np.shares_memory(scratch.take("windows", (100, 300), kind), scratch.memory)
    scratch.release(limit=20_000)
    assert scratch.memory.nbytes == 12_032
