"""The client of a Dask scheduler: connects, checks the workers' versions, reports events.

Everything that happens comes as an event through one queue, whatever Dask calls it and in whichever
of its threads it notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from cnncli.batch.cluster.versions import difference, versions
from cnncli.errors import CnnCliError
from cnncli.system import signals

LOCAL: Final = "local:"
TLS: Final = "tls:"

POLL_SECONDS: Final = 0.5
"""Between two looks at who works."""

START_SECONDS: Final = 120.0
"""How long workers on this machine may take to start."""

SPARE_SECONDS: Final = 0.5
"""Beyond which nobody waits for Dask's own limit to be kept."""

CHECK_SECONDS: Final = 10.0
"""How long those who have told their versions wait for those who have not, before any work."""

INSTALL_HINT: Final = "pip install 'cnncli[cluster]'"

Event = tuple[str, Any]
"""``("workers", {address: threads})``, ``("answer", (worker, key, TaskResult))``, ``("failed",
(worker, key, error))`` or ``("gone", why)``."""

_SETTINGS: Final = {
    # A picture is part of what is sent, and may be large.
    "distributed.admin.large-graph-warning-threshold": "1 TiB",
    "distributed.diagnostics.computations.nframes": 0,
}


class ClusterProblem(CnnCliError):
    """A cluster that cannot be reached or used."""


class Session:
    """A client of a scheduler, whose methods are called from one thread.

    Parameters
    ----------
    client : distributed.Client
    address : str
        As the user typed it.
    timeout : float
        Seconds in which the scheduler must answer.
    patience : float
        Seconds without any worker after which the work is given up.
    """

    def __init__(self, client: Any, address: str, timeout: float, patience: float) -> None:
        self.client, self.address = client, address
        self.timeout, self.patience = timeout, patience
        self.events: queue.Queue[Event] = queue.Queue()
        self.versions = versions()
        self._wrong: dict[str, str | None] = {}
        """What is wrong with each worker: nothing if it is empty, not known yet if None."""
        self._threads: dict[str, int] = {}
        self._name = f"cnncli-{uuid.uuid4().hex[:12]}"
        self._answers: dict[tuple[str, Any], Any] = {}
        self._sent = 0
        self._job = b""
        self._sent_job: Any = None
        self._job_workers: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._begin(self._watch())

    def set_job(self, job: bytes) -> None:
        """Take what the payloads belong to; it is sent with the first of them."""
        self._job = job

    def check(self, workers: dict[str, int]) -> dict[str, int]:
        """Return those workers that are as they must be, and ask new ones for their versions.

        Once one has answered, there is an event "workers".
        """
        for worker in self._wrong.keys() - workers.keys():
            del self._wrong[worker]
        for worker in workers.keys() - self._wrong.keys():
            self._wrong[worker] = None
            self._begin(self._ask(worker))
        return {worker: threads for worker, threads in workers.items() if self._is_sound(worker)}

    def first_workers(self) -> dict[str, int]:
        """Wait for workers and return them, checked.

        One that does not answer may be starting, or stopped: others wait `CHECK_SECONDS` for it.

        Raises
        ------
        ClusterProblem
            If none come, or one has other versions.
        """
        begin, workers = time.monotonic(), dict[str, int]()
        end = begin + self.patience
        end_of_check = min(end, begin + CHECK_SECONDS)
        while time.monotonic() < (end_of_check if workers else end):
            with contextlib.suppress(queue.Empty):
                kind, content = self.events.get(timeout=POLL_SECONDS)
                if kind == "gone":
                    raise ClusterProblem(content)
                workers = self.check(content)
                self._refuse_rejected()
                if workers and len(workers) == len(content):
                    break
        if not workers:
            raise self.no_workers()
        return workers

    def no_workers(self) -> ClusterProblem:
        """Return the error for a scheduler that nobody works for."""
        for worker, wrong in self._wrong.items():
            if wrong:
                return rejection(worker, wrong)
        for worker in self._wrong:
            text = f"the worker {worker} has not answered for {self.patience:g} seconds"
            hint = "start it again, or wait longer with --cluster-patience"
            return ClusterProblem(text, hint=hint)
        text = f"the scheduler {self.address} has had no workers for {self.patience:g} seconds"
        hint = f"start some: dask worker {self.address}, or wait longer with --cluster-patience"
        return ClusterProblem(text, hint=hint)

    def send(self, worker: str, key: Any, payload: bytes, seconds: float | None) -> None:
        """Send a payload to a worker; what becomes of it will be an event."""
        self._sent += 1
        name = f"{self._name}-{self._sent}"
        try:
            future = self.client.submit(
                _answer(),
                *(payload, self._job_for(worker), self._name, self.versions, seconds),
                key=name,
                workers=[worker],
                pure=False,
            )
        except Exception as error:
            self.events.put(("gone", self._lost(error)))
            return
        self._answers[worker, key] = self._begin(self._follow(future, worker, key))

    def forget(self, worker: str, key: Any) -> None:
        """Wait no longer for an answer; Dask drops what was not begun."""
        answer = self._answers.pop((worker, key), None)
        if answer is not None:
            answer.cancel()

    def forget_lost(self, workers: dict[str, int]) -> None:
        """Wait no longer for workers that are not there."""
        for worker, key in [answer for answer in self._answers if answer[0] not in workers]:
            self.forget(worker, key)

    def _begin(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _watch(self) -> None:
        """Tell every now and then who works, until the scheduler is gone."""
        try:
            while True:
                workers = await asyncio.wait_for(self.client.nthreads(), self.timeout)
                self._threads = dict(workers)
                self.events.put(("workers", self._threads))
                await asyncio.sleep(POLL_SECONDS)
                if self.client.status != "running":
                    raise ConnectionError("the connection was lost")
        except Exception as error:
            self.events.put(("gone", self._lost(error)))

    async def _follow(self, future: Any, worker: str, key: Any) -> None:
        """Wait for one answer."""
        try:
            result = await future
        except Exception as error:
            if getattr(error, "reason", "") == "scheduler-connection-lost":
                self.events.put(("gone", self._lost(error)))
            else:
                self.events.put(("failed", (worker, key, error)))
        else:
            self.events.put(("answer", (worker, key, result)))

    def _lost(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError):
            return f"the scheduler {self.address} has not answered for {self.timeout:g} seconds"
        return f"the scheduler {self.address} is gone"

    def _is_sound(self, worker: str) -> bool:
        return self._wrong.get(worker) == ""

    def _refuse_rejected(self) -> None:
        """Raise ClusterProblem if a worker is not as it must be."""
        for worker, wrong in self._wrong.items():
            if wrong:
                raise rejection(worker, wrong)

    async def _ask(self, worker: str) -> None:
        """Ask a worker for its versions until it answers, or is gone."""
        while worker in self._threads:
            try:
                answers = await self.client.run(versions, workers=[worker], on_error="return")
                answer = answers[worker]
            except OSError as error:
                answer = error
            if worker in self._wrong and not isinstance(answer, OSError):
                self._wrong[worker] = _difference(self.versions, answer)
                self.events.put(("workers", self._threads))
                return
            await asyncio.sleep(POLL_SECONDS)

    def _job_for(self, worker: str) -> Any:
        """Return the job in the cluster; workers fetch it from each other, once each.

        Only sound workers may hold it, and the one that needs it is one of them: a worker that is
        stopped would keep all others waiting, and so would workers that are gone.
        """
        if worker not in self._job_workers:
            self._job_workers = frozenset(filter(self._is_sound, self._wrong))
            name = f"{self._name}-job-{self._sent}"
            workers = [*self._job_workers]
            self._sent_job = self.client.submit(_same(), self._job, key=name, workers=workers)
        return self._sent_job


def rejection(worker: str, wrong: str) -> ClusterProblem:
    """Return the error for a worker that is not as it must be."""
    hint = "the same versions everywhere: pip install 'cnncli[cluster]' on the worker"
    return ClusterProblem(f"the worker {worker} {wrong}", hint=hint)


def _difference(ours: dict[str, str], answer: Any) -> str:
    """Say what is wrong with what a worker has answered; nothing if all is the same."""
    if not isinstance(answer, dict):
        return f"cannot be asked: {type(answer).__name__}"
    return difference(ours, answer)


@contextmanager
def _versions_by_value() -> Iterator[None]:
    """Let workers without cnncli tell their versions: they could not import the function."""
    cloudpickle, module = import_module("cloudpickle"), sys.modules[versions.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _answer() -> Callable[..., Any]:
    """Return a function that Dask sends by value, so that no scheduler needs cnncli."""

    def cnncli_image(*arguments: Any) -> Any:
        from importlib import import_module

        return import_module("cnncli.batch.cluster.dask_task").answer(*arguments)

    return cnncli_image


def _same() -> Callable[[bytes], bytes]:
    def cnncli_job(content: bytes) -> bytes:
        return content

    return cnncli_job


@contextmanager
def connected(address: str, timeout: float, patience: float) -> Iterator[Session]:
    """Reach a scheduler, or start one with workers on this machine.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or ``local:N``.
    timeout : float
        Seconds in which it must be reached.
    patience : float
        As in `Session`.

    Raises
    ------
    ClusterProblem
        If it cannot be.
    """
    distributed = _library()
    settings = import_module("dask").config.set(_SETTINGS)
    with settings, _silence(), _versions_by_value(), _own_stderr(), _own_processes() as folder:
        where: Any = address
        if address.startswith(LOCAL):
            where = _start_local(distributed, int(address.removeprefix(LOCAL)), folder)
        elif address.startswith(TLS):
            _check_certificates(distributed, address)
        client = _reach(distributed, where, address, timeout)
        try:
            yield Session(client, address, timeout, patience)
        finally:
            if not signals.is_ending():
                _close(client)
                if where is not address:
                    _close(where)
            # Or Dask would try once more, and for long, when the object goes.
            client.status = "closed"


def _close(closing: Any) -> None:
    with contextlib.suppress(Exception):
        closing.close(timeout=2)


def _check_certificates(distributed: Any, address: str) -> None:
    """Refuse to connect without what Dask's configuration must name."""
    hint = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE and others, see docs/cluster.md"
    try:
        context = distributed.Security().get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClusterProblem(f"the certificates for {address}: {reason}", hint=hint) from error
    if context is None:
        raise ClusterProblem(
            f"the scheduler {address} needs certificates, none are configured", hint=hint
        )


@contextmanager
def _own_stderr() -> Iterator[None]:
    """Keep what workers of ours print off the screen, and let what this process prints through.

    A worker that is killed while it starts would show where Python was. After a signal it stays
    so: Dask starts another worker for each that is killed.
    """
    try:
        copy = os.dup(2)
    except OSError:
        # Closed: nothing can be shown.
        yield
        return
    stream = sys.stderr
    if stream is not None and stream is sys.__stderr__:
        sys.stderr = open(copy, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        if not signals.is_ending():
            sys.stderr = stream
            os.dup2(copy, 2)
            os.close(copy)


@contextmanager
def _own_processes() -> Iterator[str]:
    """Yield a folder for workers of ours; leave neither it nor them behind, however this ends."""
    folder = tempfile.mkdtemp(prefix="cnncli-")

    def tear_down() -> None:
        # The workers are all that multiprocessing has started here.
        for process in multiprocessing.active_children():
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)

    with signals.undone_by(tear_down):
        try:
            yield folder
        finally:
            tear_down()


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module("distributed")
    except ImportError as error:
        raise ClusterProblem(
            "--cluster needs the package dask[distributed]", hint=INSTALL_HINT
        ) from error


def _start_local(distributed: Any, workers: int, folder: str) -> Any:
    _start_tracker()
    try:
        return _within(
            START_SECONDS,
            lambda: distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                worker_dashboard_address=None,
                # Its port for other things than the dashboard must be free as well.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                local_directory=folder,
                memory_limit=0,
                silence_logs=logging.CRITICAL + 1,
            ),
        )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterProblem(f"{LOCAL}{workers}: cannot be started: {reason}") from error


def _start_tracker() -> None:
    """Start multiprocessing's own process, which else warns of what a killed command leaves it to
    clean up."""
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    os.environ[name] = "ignore"
    try:
        import_module("multiprocessing.resource_tracker").ensure_running()
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _reach(distributed: Any, where: Any, address: str, timeout: float) -> Any:
    try:
        # Dask compares versions of its own packages and warns; cnncli compares what counts.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _within(
                timeout + SPARE_SECONDS,
                lambda: distributed.Client(where, timeout=timeout, set_as_default=False),
            )
    except (OSError, TimeoutError) as error:
        raise ClusterProblem(
            f"no scheduler answers at {address} within {timeout:g} seconds",
            hint="start one: dask scheduler",
        ) from error
    except (TypeError, ValueError, RuntimeError) as error:
        # Missing and broken certificates, and what Dask finds no way to connect to.
        text = " ".join(str(error).split())
        raise ClusterProblem(f"the scheduler {address}: {text}", hint="docs/cluster.md") from error


def _within(seconds: float, action: Callable[[], Any]) -> Any:
    """Return what an action returns, unless it takes too long: Dask waits for ever at a port that
    is open and silent."""
    results: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def act() -> None:
        # Inherited by all that Dask starts: Ctrl-C is for the command alone to hear.
        with signals.blocked(*signals.FROM_TERMINAL):
            try:
                results.put((action(), None))
            except Exception as error:
                results.put((None, error))

    threading.Thread(target=act, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's log lines off standard error: what matters becomes an error of ours."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
