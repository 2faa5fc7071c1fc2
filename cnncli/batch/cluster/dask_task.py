"""The task of a Dask worker: it has a process on its machine work on one image, and waits.

A worker's threads cannot be stopped and share one numpy; a process can be killed when an image
takes too long, may be killed by one, and is set up as the command itself. Processes are kept for
the next images, and end with their worker, or after some seconds without work.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from cnncli.batch.cluster.child_process import serve
from cnncli.system.processes import Child

TRIES: Final = 2
"""How often an image may end its process, or take too long, before it is named."""

IDLE_SECONDS: Final = 10.0
"""How long a process is kept without work."""

TICK: Final = 0.5
"""Seconds between two looks whether the client still wants the answer."""

TaskResult = tuple[str, Any]
"""``("answer", pickled PayloadResult)``, ``("died", exit code)``, ``("late", None)``,
``("unwanted", None)`` or ``("rejected", versions)``."""


class _ImageProcess(Child):
    """A process that works on one image at a time."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[Child, bytes | None]] = queue.SimpleQueue()
        # No fork: numpy is loaded here, with other kernels than the command's.
        streams = dict.fromkeys(("stdin", "stdout"), subprocess.DEVNULL)
        super().__init__(self.events, serve, may_fork=False, env=_environment(), **streams)
        self.versions: dict[str, str] | None = None
        self.job = ""
        self.since = time.monotonic()

    def ask(self, kind: str, content: bytes, ready: Callable[[], str]) -> TaskResult:
        """Send a message and wait for the answer; ``ready`` tells why to wait no longer."""
        self.send((kind, content))
        while True:
            with contextlib.suppress(queue.Empty):
                _, message = self.events.get(timeout=TICK)
                if message is None:
                    return "died", self.wait()
                return "answer", pickle.loads(message)
            if reason := ready():
                return reason, None

    def close(self) -> None:
        """End the process, whatever it does."""
        self.kill()
        self.wait()


class _ImageProcesses:
    """The processes beside this Dask worker that have no work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_ImageProcess] = []

    def take(self, job: str) -> _ImageProcess:
        """Return a process, best one that knows the job; a new one if none is idle."""
        with self.lock:
            if self.idle:
                knowing = [child for child in self.idle if child.job == job]
                child = (knowing or self.idle)[-1]
                self.idle.remove(child)
                return child
        return _ImageProcess()

    def give_back(self, child: _ImageProcess) -> None:
        """Keep a process for the next image."""
        child.since = time.monotonic()
        with self.lock:
            self.idle.append(child)
        timer = threading.Timer(IDLE_SECONDS + 0.1, self.tidy)
        timer.daemon = True
        timer.start()

    def tidy(self) -> None:
        """End those that had no work for long."""
        oldest = time.monotonic() - IDLE_SECONDS
        with self.lock:
            old = [child for child in self.idle if child.since < oldest]
            self.idle = [child for child in self.idle if child.since >= oldest]
        for child in old:
            child.close()


_processes = _ImageProcesses()


def answer(
    payload: bytes, job: bytes, key: str, client_versions: dict[str, str], seconds: float | None
) -> TaskResult:
    """Work on the image of a payload.

    Parameters
    ----------
    payload, job : bytes
        Pickled, not for this process to read.
    key : str
        Of the job.
    client_versions : dict
        The client's, which must be the same here.
    seconds : float, optional
        How long an image may take.

    Returns
    -------
    TaskResult
    """
    result: TaskResult = ("died", 0)
    for kind in ("payload", *["payload again"] * (TRIES - 1)):
        child = _processes.take(key)
        try:
            result = _asked(child, kind, payload, job, key, client_versions, seconds)
        except BaseException:
            child.close()
            raise
        if result[0] == "answer":
            _processes.give_back(child)
            return result
        child.close()
        if result[0] not in ("died", "late"):
            return result
    return result


def _asked(
    child: _ImageProcess,
    kind: str,
    payload: bytes,
    job: bytes,
    key: str,
    client_versions: dict[str, str],
    seconds: float | None,
) -> TaskResult:
    unwanted = _unwanted()
    if child.versions is None:
        told, content = child.ask("versions", b"", unwanted)
        if told != "answer":
            return told, content
        child.versions = content
    if child.versions != client_versions:
        return "rejected", child.versions
    if child.job != key:
        child.send(("job", job))
        child.job = key
    end = None if seconds is None else time.monotonic() + seconds

    def ready() -> str:
        return "late" if end is not None and time.monotonic() > end else unwanted()

    return child.ask(kind, payload, ready)


def _unwanted() -> Callable[[], str]:
    """Return a function that tells whether the client has given up the task of this thread."""
    try:
        worker = import_module("distributed").get_worker()
        key, state = worker.get_current_task(), worker.state
    except (ImportError, ValueError, AttributeError):
        return str  # no Dask task: whoever calls waits for the answer

    def ask() -> str:
        task = state.tasks.get(key)
        return "unwanted" if task is None or task.state == "cancelled" else ""

    return ask


def _environment() -> dict[str, str]:
    """Return this process's variables without those by which Dask limits numpy's threads.

    They would keep the process from choosing its kernels as the command does, and it holds them to
    one thread itself.
    """
    dasks = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
    return {name: value for name, value in os.environ.items() if dasks.get(name) != value}
