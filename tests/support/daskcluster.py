"""Real Dask schedulers and workers on loopback, as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.patience import until

REPOSITORY = Path(__file__).resolve().parents[2]


class DaskCluster:
    """A scheduler and its workers.

    Parameters
    ----------
    folder : Path
        For what they write.
    python_path : str
        Where the scheduler looks for modules first.
    """

    def __init__(self, folder: Path, python_path: str = "", *options: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.processes = folder, []
        self.file = folder / "scheduler.json"
        address = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        file = ("--scheduler-file", str(self.file))
        self.scheduler = self._start("scheduler", *address, *file, *options, path=python_path)
        until(lambda: self.file.exists() and bool(self.file.read_text()))
        self.address: str = json.loads(self.file.read_text())["address"]

    def worker(self, *options: str, path: str = "", **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker of one thread with its nanny; return the nanny."""
        words = ("--nthreads", "1", "--nworkers", "1", "--dashboard-address", "127.0.0.1:0")
        local = ("--local-directory", str(self.folder / "scratch"), "--host", "127.0.0.1")
        places = (self.address, *words, *local)
        return self._start("worker", *places, *options, path=path, **variables)

    def stop(self) -> None:
        """End everything at once."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, *words: str, path: str, **variables: str) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join(part for part in (path, str(REPOSITORY)) if part)
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": paths, **variables},
                start_new_session=True,
            )
        self.processes.append(process)
        return process


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int, **options: Any) -> Iterator[DaskCluster]:
    """Start a scheduler and workers, and end them."""
    cluster = DaskCluster(folder, **options)
    try:
        for _ in range(workers):
            cluster.worker()
        yield cluster
    finally:
        cluster.stop()


def worker_of(nanny: subprocess.Popen[bytes]) -> int | None:
    """Return the process of a worker, which its nanny has started; None if there is none now."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Behind the name, which may hold anything: the state and the parent.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            words = (status.parent / "cmdline").read_bytes()
            # Not the process with which multiprocessing watches shared memory.
            if parent == nanny.pid and b"spawn_main" in words:
                return int(status.parent.name)
    return None


def marked(mark: str) -> list[int]:
    """Return the processes that have a text in their environment."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += [int(file.parent.name)] if mark.encode() in file.read_bytes() else []
    return found
