"""The client of a Dask scheduler: connects, sends tasks, tells what happens.

Everything that happens comes as an event through one queue, in whichever of Dask's threads it is
noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from importlib import import_module
from itertools import count
from multiprocessing.pool import ThreadPool
from typing import Any, Final

from cnncli.batch.cluster.dask_task import TOPIC, versions
from cnncli.errors import CnnCliError, one_line
from cnncli.system import signals

POLL_SECONDS: Final = 0.5
"""Between two looks at who works."""

SILENT_SECONDS: Final = 15.0
"""How much longer than others a worker may be silent before its images go to them as well."""

RETRIES: Final = 3
"""How often Dask tries a task again that ended in an error of Dask's."""

_SETTINGS: Final = {
    # A picture is part of what is sent, may be large, and must not be kept.
    "distributed.admin.large-graph-warning-threshold": "1 TiB",
    "distributed.admin.low-level-log-length": 0,
}

_LOCAL: Final = """
import sys
sys.path[:] = {path!r}
import distributed, tempfile
with tempfile.TemporaryDirectory(prefix="cnncli-") as folder, distributed.LocalCluster(
    n_workers={workers}, threads_per_worker=1, memory_limit=0, local_directory=folder,
    host="127.0.0.1", dashboard_address=None, worker_dashboard_address=None,
    scheduler_kwargs={{"dashboard_address": "127.0.0.1:0"}},
) as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""
"""A program: a scheduler and workers of one thread, until nobody can write to it any more."""


class ClusterProblem(CnnCliError):
    """A cluster that cannot be reached or used."""


Key = tuple[str, int]
"""Dask's name of a task: batch and number. By the batch Dask sees that tasks are alike, and keeps
those back that no worker is ready for."""


class Session:
    """A batch's connection to a scheduler, whose methods are called from one thread.

    Parameters
    ----------
    client : distributed.Client
    address : str
        As the user typed it.
    seconds : float
        How long a silent scheduler is waited for.

    Attributes
    ----------
    events : queue
        Gets tuples of a kind, the time by this machine's monotonic clock, and of kind

        - ``"workers"``: a dict of the threads of each worker by its address, the set of those that
          were not heard while others were, and the set of keys of tasks, also of other batches,
          that these have;
        - ``"begun"``: the key of a task, also of other batches, and the worker that begins it;
        - ``"done"``, ``"no job"``: a key, and what `dask_task.answer` returns more;
        - ``"wrong"``: a key, a worker, and a dict of its versions, empty without cnncli;
        - ``"failed"``: a key and an error;
        - ``"gone"``, the last: why the scheduler is.
    """

    def __init__(self, client: Any, address: str, seconds: float) -> None:
        self.client, self.address, self.seconds = client, address, seconds
        self.events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        batch = f"cnncli-{uuid.uuid4().hex[:12]}"
        self._keys, self._task = ((batch, number) for number in count()), _by_value()
        client.subscribe_topic(TOPIC, lambda event: self._tell("begun", *event[1]))
        self._begin(self._watch())

    def submit(self, *content: bytes | None, workers: Iterable[str]) -> tuple[Key, Future[None]]:
        """Send a task; what becomes of it will be an event.

        Parameters
        ----------
        *content : bytes
            As `dask_task.answer` takes it: job and request.
        workers : iterable of str
            Those that may do it; empty: any.

        Returns
        -------
        Key, Future
            The future is cancelled when nobody waits for the answer any more.
        """
        key = next(self._keys)
        return key, self._begin(self._run(key, content, [*workers] or None))

    def restart(self, worker: str) -> None:
        """Have a worker's nanny restart it; what else it had is done again by any."""
        options = {"wait_for_workers": False, "on_error": "return", "stimulus_id": TOPIC}
        self._begin(self.client.scheduler.restart_workers(workers=[worker], **options))

    def _begin(self, work: Any) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self.client.loop.asyncio_loop)

    def _tell(self, kind: str, *content: Any) -> None:
        self.events.put((kind, time.monotonic(), *content))

    async def _run(self, key: Key, content: Any, workers: list[str] | None) -> None:
        options = {"key": key, "workers": workers, "retries": RETRIES, "pure": False}
        try:
            future = self.client.submit(self._task, versions(), *content, **options)
            try:
                kind, *answer = await future
            finally:
                future.release()
        except (Exception, asyncio.CancelledError) as error:
            # Dask fetches results together: one that is given up takes along those fetched with it.
            kind, answer = "failed", [error]
        self._tell(kind, key, *answer)

    async def _watch(self) -> None:
        """Tell every now and then who works, until the scheduler is gone."""
        end = time.monotonic() + self.seconds
        while self.client.status == "running" and time.monotonic() < end:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self.seconds):
                    self._tell("workers", *await self._look())
                end = time.monotonic() + self.seconds
            await asyncio.sleep(POLL_SECONDS)
        silent = f"has not answered for {self.seconds:g} seconds"
        why = silent if self.client.status == "running" else "is gone"
        self._tell("gone", f"the scheduler {self.address} {why}")

    async def _look(self) -> tuple[dict[str, int], set[str], set[Any]]:
        scheduler = self.client.scheduler
        workers = (await scheduler.identity(n_workers=-1))["workers"]
        last = max((worker["last_seen"] for worker in workers.values()), default=0.0)
        silent = {n for n, worker in workers.items() if worker["last_seen"] < last - SILENT_SECONDS}
        held = set[Any]()
        # What it has begun or is meant to, and what it has finished and can hand to nobody.
        for ask in (scheduler.processing, scheduler.has_what) if silent else ():
            held.update(*(await ask(workers=[*silent])).values())
        return {name: worker["nthreads"] for name, worker in workers.items()}, silent, held


def _by_value() -> Callable[..., Any]:
    """Return a function that Dask sends by value: no scheduler needs cnncli, and a worker without
    it, or with another version, can say so."""

    def cnncli_images(client: dict[str, str], *arguments: Any) -> Any:
        here, module = dict[str, str](), "cnncli.batch.cluster.dask_task"
        with contextlib.suppress(ImportError):
            here = {"cnncli": import_module("cnncli").__version__}
            if here.items() <= client.items():
                here = import_module(module).versions()
        if here == client:
            return import_module(module).answer(*arguments)
        return "wrong", import_module("distributed").get_worker().address, here

    return cnncli_images


@contextlib.contextmanager
def connected(address: str, timeout: float, patience: float) -> Iterator[Session]:
    """Reach a scheduler, or start one with workers on this machine.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or ``local:N``.
    timeout : float
        Seconds in which it must be reached.
    patience : float
        How many more it may be silent later.

    Raises
    ------
    ClusterProblem
        If it cannot be.
    """
    try:
        dask, distributed = import_module("dask"), import_module("distributed")
    except ImportError as error:
        text = "--cluster needs the package dask[distributed]"
        raise ClusterProblem(text, hint="pip install 'cnncli[cluster]'") from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        # What matters of its log becomes an error of ours.
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        where = address
        if address.startswith("local:"):
            where = stack.enter_context(_local_cluster(address))
        elif address.startswith("tls:"):
            _check_certificates(distributed.Security(), address)
        client = _reach(distributed.Client, where, timeout)
        try:
            yield Session(client, address, timeout + patience)
        finally:
            if not signals.is_ending():
                with contextlib.suppress(Exception):
                    client.close(timeout=2)
            # Or Dask would try once more, and for long, when the object goes.
            client.status = "closed"


def _reach(connect: Callable[..., Any], address: str, timeout: float) -> Any:
    """Return a client of a scheduler; Dask itself waits for ever at a port that is silent."""
    options = {"timeout": timeout, "set_as_default": False}
    # Dask compares versions of its own packages and warns; cnncli compares what counts.
    with ThreadPool(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pool.apply_async(connect, (address,), options).get(timeout + POLL_SECONDS)
        except Exception as error:
            text = f"no scheduler answers at {address} within {timeout:g} seconds"
            raise ClusterProblem(text, hint="start one: dask scheduler") from error


def _check_certificates(security: Any, address: str) -> None:
    """Refuse to connect without what Dask's configuration must name."""
    try:
        if not security.get_connection_args("client").get("ssl_context"):
            raise ValueError("none are configured")
    except (OSError, ValueError) as error:
        text = f"the scheduler {address} needs certificates: {one_line(error)}"
        raise ClusterProblem(text, hint="see docs/cluster.md, TLS") from error


@contextlib.contextmanager
def _local_cluster(address: str) -> Iterator[str]:
    """Yield the address of a scheduler on this machine, in a process that ends with this one."""
    program = _LOCAL.format(path=sys.path, workers=address.removeprefix("local:"))
    streams: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    # Neither the terminal's signals nor its screen are for them.
    streams |= {"stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **streams) as process:
        assert process.stdout is not None
        if not (found := process.stdout.readline().strip()):
            raise ClusterProblem(f"{address} cannot be started", hint="--jobs does without")
        yield found
