"""Batches on worker processes: faults in them are real ones, made by the work itself."""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import pickle
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from cnncli.batch.report import json_lines, lines
from cnncli.batch.run import InlineRunner, Runner, run
from cnncli.batch.worker_pool import TRIES, WorkerRunner, _Assignment, _Pool, _Worker
from cnncli.io.images import Picture
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import PoolLayer
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.process import plan_batch
from cnncli.pipeline.source import Source
from cnncli.render.options import RenderOptions
from tests.support.patience import patient, until
from tests.support.shell import error_lines, pixels, run_after, run_cli, save, snapshot
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(5)
RGB = RANDOM.integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Poisoned(LocalFiles):
    """This machine's files, where the names of images tell what befalls their workers."""

    def read(self, job: Job, task: Task) -> Picture:
        befall(task.source.stem)
        return super().read(job, task)

    @contextmanager
    def open(self, file: OutFile) -> Iterator[BinaryIO]:
        with super().open(file) as stream:
            yield stream
        assert file.path is not None
        if file.path.stem.startswith("placed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if file.path.stem.startswith("written-then-killed"):
            once(file.path.stem, lambda: os.kill(os.getpid(), signal.SIGKILL))


def befall(name: str) -> None:
    kind = name.partition("-")[0]
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "segfault":
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "exit":
        os._exit(3)
    elif kind == "hang":
        time.sleep(patient(60))
    elif kind == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(patient(60))
    elif kind == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "paused":
        os.symlink(str(os.getpid()), "paused")
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "bug":
        raise ValueError("neither\nnor")
    elif kind == "once":
        once(name, lambda: os.kill(os.getpid(), signal.SIGKILL))
    elif kind == "twice":
        once(name, lambda: os.kill(os.getpid(), signal.SIGKILL))
        once(f"{name}-again", lambda: os.kill(os.getpid(), signal.SIGKILL))
    elif kind == "late":
        once(name, lambda: time.sleep(patient(60)))


def once(name: str, action: Any) -> None:
    try:
        Path(f"{name}.befallen").touch(exist_ok=False)
    except FileExistsError:
        return
    action()


def job_of(output: str, **options: Any) -> Job:
    network = Network.chain(PoolLayer())
    given = OutputOptions(output=output, **options)
    return Job(network, ReadOptions(), RenderOptions(), given, "cnncli pool")


def images(*names: str) -> list[Source]:
    paths = [Path(f"{name}.png") for name in names]
    for path in paths:
        save(path, RGB)
    return [Source(path) for path in paths]


def outcomes_of(
    sources: list[Source], runner: Runner, job: Job | None = None
) -> dict[str, Outcome]:
    """Return what became of each image, checked to be told once."""
    job = job_of("out/{stem}.png") if job is None else job
    plan = plan_batch(job, sources)
    tasks = (Task(index, target) for index, target in enumerate(plan.targets))
    place = Poisoned(job.output, plan.inputs)
    found = list(runner.run(job, tasks, place))
    assert sorted(task.index for task, _ in found) == list(range(len(sources)))
    assert all(task.source == outcome.source for task, outcome in found)
    return {task.source.stem: outcome for task, outcome in found}


def has_no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


HAND_OVERS = int(os.environ.get("CNNCLI_TEST_HAND_OVERS", "100"))
"""Images whose worker is told to stop at the instant at which it takes the next."""

LATE = patient(0.2)
"""Seconds that are too long for an image, and enough for one that is not late."""

DEATHS = {
    "killed": "its worker died (signal 9: killed, perhaps out of memory)",
    "segfault": "its worker died (signal 11: segmentation fault)",
    "exit": "its worker died (exit code 3)",
    "hang": f"took longer than --timeout {LATE:g} s",
    "deaf": f"took longer than --timeout {LATE:g} s",
    "stopped": f"took longer than --timeout {LATE:g} s",
    "bug": "internal error: ValueError: neither nor",
}
LASTING = {"hang", "deaf", "stopped"}


@pytest.mark.parametrize(
    ("poison", "jobs"),
    [
        pytest.param(
            poison, jobs, marks=() if jobs > 1 and poison not in LASTING else pytest.mark.slow
        )
        for poison in DEATHS
        for jobs in (1, 3)
    ],
)
def test_what_befalls_a_worker_costs_its_own_image_only(poison: str, jobs: int) -> None:
    good = [f"good-{index}" for index in range(7)]
    slow = poison in LASTING
    names = [*good[:2], f"{poison}-1", *good[2:4], *([] if slow else [f"{poison}-2"]), *good[4:]]
    found = outcomes_of(images(*names), WorkerRunner(jobs, timeout=LATE if slow else None))
    for name, outcome in found.items():
        if name in good:
            assert outcome.error is None and outcome.written[0].output == f"out/{name}.png"
        else:
            assert str(outcome.error) == f"'{name}.png': {DEATHS[poison]}"
    assert sorted(snapshot("out")) == [f"out/{name}.png" for name in good]
    assert has_no_children()


def test_a_stopped_worker_is_waited_for_without_a_time_limit() -> None:
    good = [f"good-{index}" for index in range(6)]

    def go_on() -> None:
        # All but the stopped worker's image, and perhaps the one that waits beside it.
        until(lambda: os.path.islink("paused") and len(list(Path().glob("out/*.png"))) >= 5)
        stopped, result = int(os.readlink("paused")), Path("out/paused-1.png")
        with suppress(ProcessLookupError):
            until(lambda: os.kill(stopped, signal.SIGCONT) or result.exists())

    threading.Thread(target=go_on, daemon=True).start()
    found = outcomes_of(images(*good[:2], "paused-1", *good[2:]), WorkerRunner(2))
    assert {name: outcome.error for name, outcome in found.items()} == dict.fromkeys(found)
    # The last of the five may be told after it: their files are there before.
    assert "paused-1" in [*found][4:] and len(snapshot("out")) == 7


@pytest.mark.slow
def test_one_bad_hour_is_forgiven() -> None:
    names = ["once-a", "late-b", "good", "once-c", "once-d", "late-e"]
    found = outcomes_of(images(*names), WorkerRunner(2, timeout=LATE))
    assert [str(outcome.error) for outcome in found.values()] == ["None"] * 6
    assert sorted(snapshot("out")) == sorted(f"out/{name}.png" for name in names)


@pytest.mark.parametrize("options", [{}, {"skip_existing": True}, {"overwrite": True}])
def test_a_worker_that_dies_after_writing_loses_nothing(options: dict[str, bool]) -> None:
    names = ["written-then-killed-1", "written-then-killed-2", "good"]
    job = job_of("out/{stem}.png", **options)
    found = outcomes_of(images(*names), WorkerRunner(2), job)
    assert all(outcome.error is None and outcome.written for outcome in found.values())
    assert len(list(Path().glob("*.befallen"))) == 2
    assert all(pixels(f"out/{name}.png").shape == (10, 12, 3) for name in names)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_place_is_no_failure_however_its_workers_end(overwrite: bool) -> None:
    sources = images("placed-1", "good", "killed-1")
    if overwrite:
        Path("out").mkdir()
        for name in ("placed-1", "killed-1"):
            save(f"out/{name}.png", RGB)
    found = outcomes_of(sources, WorkerRunner(2), job_of("out/{stem}.png", overwrite=overwrite))
    assert found["placed-1"].error is None
    assert found["placed-1"].in_place == ("out/placed-1.png",)
    assert pixels("out/placed-1.png").shape == (10, 12, 3)
    assert lines(found["placed-1"]) == [
        "out/placed-1.png, written; its worker died before it told more"
    ]
    (record,) = map(json.loads, json_lines(found["placed-1"]))
    assert record == {"input": "placed-1.png", "output": "out/placed-1.png", "notes": []}
    # The old file of an image whose worker wrote nothing is no result.
    assert DEATHS["killed"] in str(found["killed-1"].error)
    assert Path("out/killed-1.png").exists() == overwrite


@pytest.mark.slow
def test_workers_that_die_over_several_images_are_no_fault_of_these() -> None:
    found = outcomes_of(images("twice-a"), WorkerRunner(2))
    assert DEATHS["killed"] in str(found["twice-a"].error)
    names = ["twice-b", "good", "twice-c", "twice-d"]
    found = outcomes_of(images(*names), WorkerRunner(4))
    assert {name: outcome.error for name, outcome in found.items()} == dict.fromkeys(names)


def test_what_was_there_before_a_death_is_still_kept() -> None:
    sources = images("once-a")
    Path("out").mkdir()
    Path("out/once-a.png").write_bytes(b"old")
    plan = job_of("out/{stem}-{map}.png")
    Path("out/once-a-0.png").write_bytes(b"old")
    found = outcomes_of(sources, WorkerRunner(2), plan)
    assert "exists already" in str(found["once-a"].error)
    assert snapshot("out") == {"out/once-a.png": b"old", "out/once-a-0.png": b"old"}


def test_a_bug_shows_where_it_is_when_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes_of(images("bug", "good"), WorkerRunner(2))
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("CNNCLI_TRACEBACK", "1")
    outcomes_of(images("bug", "good"), WorkerRunner(2), job_of("again/{stem}.png"))
    error = capfd.readouterr().err
    assert error.startswith("Traceback") and "in befall" in error


def test_no_image_takes_a_file_of_another() -> None:
    for folder in ("a", "b", "c"):
        Path(folder).mkdir()
        save(f"{folder}/x.png", RGB)
    sources = [Source(Path(f"{folder}/x.png")) for folder in ("a", "b", "c")]
    job = job_of("out/{map}.png", overwrite=True)
    plan = plan_batch(job_of("out/"), sources[:1])
    targets = [target for source in sources for target in plan_batch(job, [source]).targets]
    tasks = (Task(index, target) for index, target in enumerate(targets))
    done = list(WorkerRunner(3).run(job, tasks, LocalFiles(job.output, plan.inputs)))
    errors = [str(outcome.error) for _, outcome in done if outcome.error is not None]
    assert len(errors) == 2 and all("'out/0.png': would hold both " in error for error in errors)


@pytest.mark.slow
@pytest.mark.parametrize(
    "output", sweep(["{stem}.png", "{stem}-{map}.tif", "{stem}.npy", "{stem}.webp"], keep=1)
)
def test_the_same_bytes_for_any_number_of_workers(output: str) -> None:
    rng = np.random.default_rng(7)
    for index in range(9):
        save(f"{index}.png", rng.integers(0, 256, (40 + index, 50, 3), np.uint8))
    sources = [Source(Path(f"{index}.png")) for index in range(9)]
    made = []
    runners = [InlineRunner(), WorkerRunner(1), WorkerRunner(2), WorkerRunner(5), WorkerRunner()]
    for number, runner in enumerate(runners):
        job = job_of(f"{number}/{output}")
        assert all(outcome.error is None for outcome in outcomes_of(sources, runner, job).values())
        files = snapshot(str(number))
        made.append({Path(name).name: data for name, data in files.items()})
    assert len(made[0]) == 9 and all(each == made[0] for each in made)


def test_tasks_are_taken_as_they_are_needed() -> None:
    sources = images(*(f"good-{index}" for index in range(40)))
    job = job_of("out/{stem}.png")
    plan = plan_batch(job, sources)
    taken: list[int] = []

    def tasks() -> Any:
        for index, target in enumerate(plan.targets):
            taken.append(index)
            yield Task(index, target)

    done = 0
    for _ in WorkerRunner(2).run(job, tasks(), LocalFiles(job.output, plan.inputs)):
        done += 1
        # Two workers with two images each, and as many that have just ended.
        assert len(taken) <= done + 8
    assert done == len(taken) == 40


def test_a_listing_that_fails_stops_nothing_in_work() -> None:
    sources = images("a", "b", "c")
    job = job_of("out/{stem}.png")
    plan = plan_batch(job, sources)

    class Failing:
        sources = plan.targets.sources

        def __iter__(self) -> Any:
            yield from plan.targets
            raise OSError("the folder has gone")

    done = run(job, replace(plan, targets=Failing()), WorkerRunner(2))  # type: ignore[arg-type]
    assert [outcome.error for _, outcome in itertools.islice(done, 3)] == [None] * 3
    with pytest.raises(OSError, match="has gone"):
        next(done)
    assert sorted(snapshot("out")) == ["out/a.png", "out/b.png", "out/c.png"]
    assert has_no_children()


def test_closing_stops_what_is_at_work() -> None:
    job = job_of("out/{stem}.png")
    plan = plan_batch(job, images("good", "hang-1", "hang-2", "deaf"))
    tasks = (Task(index, target) for index, target in enumerate(plan.targets))
    done = WorkerRunner(4).run(job, tasks, Poisoned(job.output, plan.inputs))
    assert next(iter(done))[0].source.stem == "good"
    done.close()  # type: ignore[attr-defined]
    assert has_no_children()
    assert sorted(snapshot("out")) == ["out/good.png"]


def test_tasks_longer_than_a_pipe_holds() -> None:
    sources = images("a", "b", "c", "d", "e", "f")
    job = job_of("out/{stem}.png")
    plan = plan_batch(job, sources)
    content = Path("a.png").read_bytes() + bytes(10**6)
    tasks = (Task(index, target, content) for index, target in enumerate(plan.targets))
    done = list(WorkerRunner(2).run(job, tasks, LocalFiles(job.output, plan.inputs)))
    assert [outcome.error for _, outcome in done] == [None] * 6


@pytest.mark.slow
def test_fewer_workers_than_wanted() -> None:
    Path("in").mkdir()
    for index in range(20):
        save(f"in/{index}.png", RGB)
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))"
    done = run_after(few, "pool", "in", "-o", "out/", "--jobs", 20)
    assert (done.returncode, len(snapshot("out"))) == (0, 20), done.stderr
    # Not even one: names of files stay free, and the reason is told.
    none = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))"
    error = error_lines(run_after(none, "pool", "in", "-o", "none/", "--jobs", 40), 1)
    assert "too many open files" in error.lower() and not Path("none").exists()


@pytest.mark.slow
def test_whoever_ignores_children_still_hears_of_workers() -> None:
    Path("in").mkdir()
    for index in range(6):
        save(f"in/{index}.png", RGB)
    ignoring = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    done = run_after(ignoring, "pool", "in", "-o", "out/", "--jobs", 2)
    assert (done.returncode, len(snapshot("out"))) == (0, 6), done.stderr


def test_jobs_of_the_command_give_the_same_pixels() -> None:
    Path("in").mkdir()
    for index in range(6):
        save(f"in/{index}.png", RANDOM.integers(0, 256, (30, 30 + index, 3), np.uint8))
    for jobs in (1, 3):
        run_cli("conv", "in", "-f", "edge", "-o", f"{jobs}/{{stem}}.npy", "--jobs", jobs)
        run_cli("conv", "in", "-f", "edge", "-o", f"{jobs}/{{stem}}.png", "--jobs", jobs)
    for index in range(6):
        arrays = {Path(f"{jobs}/{index}.npy").read_bytes() for jobs in (1, 3)}
        pictures = {pixels(f"{jobs}/{index}.png").tobytes() for jobs in (1, 3)}
        assert len(arrays) == len(pictures) == 1


def test_a_late_image_that_ends_all_the_same_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its only worker is told to stop and has nothing left, while there is more to do."""
    hear, told = _Pool.hear, list[int]()

    def hear_too_late(pool: _Pool) -> None:
        hear(pool)
        worker = pool.workers[0] if pool.workers else None
        if worker is not None and not worker.assignments and not told:
            told.append(worker.pid)
            worker.stop()
            worker.late, worker.deadline = (
                _Assignment(pool.ended[0][0]),
                time.monotonic() + patient(5),
            )

    monkeypatch.setattr("cnncli.batch.worker_pool.WINDOW", 1)
    monkeypatch.setattr(_Pool, "hear", hear_too_late)
    found = outcomes_of(images("a", "b", "c"), WorkerRunner(jobs=1, timeout=patient(60)))
    assert told
    assert [outcome.error for outcome in found.values()] == [None] * 3
    assert has_no_children()


@pytest.mark.slow
def test_time_outs_at_the_instant_of_a_hand_over_name_no_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time is up while a worker's answer is on its way: it has taken the next image by then."""
    numbers, struck, take = random.Random(34), 0, _Pool._handle_message

    def strike(pool: _Pool, worker: _Worker, message: bytes | None) -> None:
        nonlocal struck
        is_done = message is not None and pickle.loads(message)[0] == "done"
        if is_done and worker.late is None and numbers.random() < 0.9:
            worker.deadline, struck = 0.0, struck + 1
            pool._stop_the_late()
            assert worker.late is worker.assignments[0]
        take(pool, worker, message)

    monkeypatch.setattr(_Pool, "_handle_message", strike)
    sources = images(*(f"good-{index:05d}" for index in range(HAND_OVERS)))
    found = outcomes_of(sources, WorkerRunner(3, timeout=patient(60)))
    assert struck > HAND_OVERS // 10
    assert [name for name, outcome in found.items() if outcome.error is not None] == []
    assert len(snapshot("out")) == HAND_OVERS
    assert has_no_children()


@pytest.mark.slow
def test_time_outs_at_the_instant_of_the_next_task_name_their_own_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time is up at any moment, also while a worker is between two images."""
    numbers, struck, stop_the_late = random.Random(34), Counter[int](), _Pool._stop_the_late

    def strike(pool: _Pool) -> None:
        for worker in pool.workers:
            if worker.assignments and worker.late is None and numbers.random() < 0.3:
                struck[worker.assignments[0].task.index] += 1
                worker.deadline = 0.0
        stop_the_late(pool)

    monkeypatch.setattr(_Pool, "_stop_the_late", strike)
    sources = images(*(f"good-{index:03d}" for index in range(60)))
    found = outcomes_of(sources, WorkerRunner(3, timeout=patient(60)))
    assert sum(struck.values()) > 12
    for name, outcome in found.items():
        if outcome.error is None:
            assert pixels(f"out/{name}.png").shape == (10, 12, 3)
        else:
            assert struck[int(name.removeprefix("good-"))] >= TRIES
            assert str(outcome.error).startswith(f"'{name}.png': took longer than --timeout ")
    assert has_no_children()


@pytest.mark.parametrize("jobs", [None, 1])
def test_a_batch_that_is_closed_early_puts_its_names_on_the_disk(
    jobs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = list[str]()
    monkeypatch.setattr("cnncli.batch.run.sync_folders", synced.extend)
    job = job_of("out/{stem}.png")
    runner = InlineRunner() if jobs is None else WorkerRunner(jobs)
    running = run(job, plan_batch(job, images("a", "b", "c")), runner)
    next(running)
    running.close()
    assert synced == [os.path.realpath("out")]
    assert has_no_children()
