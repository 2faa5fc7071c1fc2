"""Long batches on a real Dask cluster beside processes that burn all cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.daskcluster import DaskCluster, dask_cluster, worker_of
from tests.support.faultlayer import KILLED, SLOW, SOUND
from tests.support.patience import patient, until
from tests.support.shell import save

pytest.importorskip("distributed")

from cnncli.batch.cluster.runner import ClusterRunner
from tests.batch.test_cluster import errors_of, job_of, outcomes, photos

pytestmark = [pytest.mark.oracle, pytest.mark.slow, pytest.mark.usefixtures("empty_folder")]

BURN = "while True: pass"


@pytest.fixture
def busy() -> Iterator[None]:
    """Processes that burn all cores."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(os.cpu_count() or 1)]
    yield
    for process in burning:
        process.kill()
        process.wait()


class Killer(threading.Thread):
    """Kills the process of a worker each second, the workers in turn.

    A second is longer where nothing was done since the last kill: on a machine that starts
    workers slowly, none would come to its first image.
    """

    def __init__(self, cluster: DaskCluster) -> None:
        super().__init__()
        self.nannies, self.done, self.kills, self.over = cluster.processes[1:], 0, 0, False

    def run(self) -> None:
        before = -1
        while not self.over:
            time.sleep(1)
            turn = self.kills % len(self.nannies)
            there = filter(None, map(worker_of, self.nannies[turn:] + self.nannies[:turn]))
            if self.done > before and (worker := next(there, None)):
                before = self.done
                os.kill(worker, signal.SIGKILL)
                self.kills += 1


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("number", range(3))
def test_nothing_is_lost_while_a_worker_is_killed_each_second(tmp_path: Path, number: int) -> None:
    sources = photos(**{f"p{index}": SLOW for index in range(300)})
    found = []
    with dask_cluster(tmp_path / "cluster", 4) as cluster:
        until(lambda: all(map(worker_of, cluster.processes[1:])))
        killer = Killer(cluster)
        killer.start()
        try:
            for outcome in outcomes(job_of(), sources, ClusterRunner(cluster.address)):
                found.append(outcome)
                killer.done = len(found)
        finally:
            killer.over = True
            killer.join()
    assert errors_of(found) == {}
    assert len(found) == len(os.listdir("out")) == 300
    assert killer.kills > 2


@pytest.mark.usefixtures("busy")
def test_an_image_that_kills_its_workers_is_named_after_eight(tmp_path: Path) -> None:
    sources = photos(**{f"p{index}": SOUND for index in range(10)}, poison=KILLED)
    with dask_cluster(tmp_path / "cluster", 2) as cluster:
        found = errors_of(list(outcomes(job_of(), sources[::-1], ClusterRunner(cluster.address))))
    assert found.keys() == {"poison"}
    assert " 8 workers were lost while it alone was at work" in found["poison"]
    assert len(os.listdir("out")) == 10


def resident(process: subprocess.Popen[bytes]) -> int:
    """Return the bytes of memory that a process has."""
    words = Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_memory_of_the_client_does_not_grow_with_the_batch(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (40, 40, 3), np.uint8)
    content = save("0.png", pixels).read_bytes()
    Path("in").mkdir()
    for index in range(5_000):
        Path(f"in/{index}.png").write_bytes(content)
    sizes = {}
    with dask_cluster(tmp_path / "cluster", 2) as cluster:
        words = ["pool", "in", "-o", "out/{stem}.png", "-q", "--cluster", cluster.address]
        process = subprocess.Popen([sys.executable, "-m", "cnncli", *words])
        end = time.monotonic() + patient(120)
        while process.poll() is None and time.monotonic() < end:
            done = len(os.listdir("out")) if Path("out").exists() else 0
            sizes[done] = resident(process)
            time.sleep(0.1)
        assert process.poll() == 0
    assert len(os.listdir("out")) == 5_000
    early = max(size for done, size in sizes.items() if done < 1_000)
    late = max(size for done, size in sizes.items() if done < 5_000)
    assert late < 1.1 * early, sizes
