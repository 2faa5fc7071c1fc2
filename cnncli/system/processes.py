"""Child processes that work for this one: to start them, to talk to them, to end them.

A child is forked where the system can, and has all modules of its parent; elsewhere it is a new
interpreter. Each has a pipe for messages in either direction, which a thread at its end reads, so
that nobody who sends waits for long.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from importlib import import_module
from queue import SimpleQueue
from typing import Any, Final, NoReturn

from cnncli.system import signals
from cnncli.system.cpu import choose_blas_kernels

TRACEBACK: Final = "CNNCLI_TRACEBACK"
"""Environment variable: where it is set, a child prints where a bug of cnncli's showed."""

KILLED: Final = -9
"""What `Child.wait` returns of a child that was killed, also by a system short of memory."""

_HEAD_BYTES: Final = 8
"""They tell the length of a message."""

_READ_BYTES: Final = 1 << 20

try:
    _msvcrt: Any = import_module("msvcrt")
except ImportError:
    _msvcrt = None

_children: set[Child] = set()
_spawning = threading.Lock()


class Child:
    """A process that works for this one, and ends with it at the latest.

    Parameters
    ----------
    events : queue
        Gets ``(child, message)`` for every message of the child's, pickled, and ``(child, None)``
        when there will be no more.
    target : callable
        Called in the child, with a `Connection` and the arguments. A function of a module.
    *arguments : objects
        Pickled where the system cannot fork.
    may_fork : bool
        Whether the child may be a copy of this process.
    **options : objects
        For `subprocess.Popen`, of a child that is no fork.

    Raises
    ------
    OSError, RuntimeError
        If there can be no more processes, files or threads.
    """

    def __init__(
        self,
        events: SimpleQueue[tuple[Any, bytes | None]],
        target: Callable[..., object],
        *arguments: object,
        may_fork: bool = True,
        **options: Any,
    ) -> None:
        opened = [*signals.pipe()]
        try:
            opened += signals.pipe()
            receiving, answers, tasks, self._sending = opened
            self._process: _Fork | subprocess.Popen[bytes]
            if may_fork and hasattr(os, "fork"):
                self._process = _Fork(lambda: self._work(opened, target, arguments))
            else:
                self._process = _spawn(tasks, answers, options)
            try:
                _start_reading(receiving, lambda data: events.put((self, data)))
            except BaseException:
                self._process.kill()
                self._process.wait()
                raise
        except BaseException:
            for descriptor in opened:
                os.close(descriptor)
            raise
        self.pid = self._process.pid
        _children.add(self)
        for descriptor in (tasks, answers):
            os.close(descriptor)
        if not isinstance(self._process, _Fork):
            self.send((target, arguments))

    def _work(self, opened: list[int], target: Any, arguments: Any) -> NoReturn:
        # As long as anybody else holds these, a child would not see its parent end.
        for child in (*_children, self):
            child.stop()
        receiving, answers, tasks, _ = opened
        os.close(receiving)
        _work(tasks, answers, lambda connection: target(connection, *arguments))

    def send(self, message: object) -> None:
        """Send a message; that nobody will read it is for the end of the other pipe to tell."""
        with contextlib.suppress(OSError):
            _send(self._sending, message)

    def stop(self) -> None:
        """Tell it to end: it has a moment to tidy up."""
        if self._sending >= 0:
            os.close(self._sending)
            self._sending = -1

    def kill(self) -> None:
        """End it at once, from whatever thread."""
        self._process.kill()

    def wait(self) -> int:
        """Wait for its end; return its exit code, or minus the signal that ended it."""
        code = self._process.wait()
        _children.discard(self)
        self.stop()
        return code


class _Fork:
    """A forked child, with the methods of `subprocess.Popen` that are needed here."""

    def __init__(self, run: Callable[[], NoReturn]) -> None:
        # What is still in a buffer here must not be written by the child too.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        with signals.blocked(), warnings.catch_warnings():
            # Python warns of threads, of which the child has none. Ours sleep or read.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    run()
                finally:
                    os._exit(1)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            # A program that ignores its children's ends never hears of them.
            return 0
        return os.waitstatus_to_exitcode(status)


def _spawn(tasks: int, answers: int, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start an interpreter that finds the modules that this one finds."""
    # Ctrl-C is for the parent to hear.
    options.setdefault("creationflags", getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))
    handles = (tasks, answers)
    if _msvcrt:
        handles = (_msvcrt.get_osfhandle(tasks), _msvcrt.get_osfhandle(answers))
    code = f"import sys; sys.path[:] = {sys.path!r}\n"
    code += f"from {__name__} import run_spawned; run_spawned{handles}"
    # A child that another thread starts meanwhile must not inherit these as well.
    with _spawning:
        for descriptor in (tasks, answers):
            os.set_inheritable(descriptor, True)
        process = subprocess.Popen([sys.executable, "-c", code], close_fds=False, **options)
        for descriptor in (tasks, answers):
            os.set_inheritable(descriptor, False)
    return process


def run_spawned(tasks: int, answers: int) -> NoReturn:
    """Do in a new interpreter what the first message says."""
    choose_blas_kernels()
    if _msvcrt:
        tasks, answers = (_msvcrt.open_osfhandle(handle, 0) for handle in (tasks, answers))

    def run(connection: Connection) -> None:
        target, arguments = connection.receive()
        target(connection, *arguments)

    _work(tasks, answers, run)


def _work(tasks: int, answers: int, run: Callable[[Connection], object]) -> NoReturn:
    """Do a child's work, then end it: what the parent was about is not its own."""
    code = 1
    try:
        signals.become_child()
        run(Connection(tasks, answers))
        code = 0
    except EOFError:
        code = 0
    except signals.Interrupted:
        code = signals.exit_code()
    except Exception:
        show_traceback()
    finally:
        os._exit(code)


class Connection:
    """A child's end of the pipes from and to its parent; the child ends when the parent wants.

    Parameters
    ----------
    tasks, answers : int
        Descriptors to read and to write.
    """

    def __init__(self, tasks: int, answers: int) -> None:
        self._answers = answers
        self._messages: SimpleQueue[bytes | None] = SimpleQueue()

        def take(data: bytes | None) -> None:
            self._messages.put(data)
            if data is None:
                signals.end_child()

        _start_reading(tasks, take)

    def send(self, message: object) -> None:
        """Send a message.

        Raises
        ------
        OSError
            If nobody will read it.
        """
        _send(self._answers, message)

    def receive(self) -> Any:
        """Wait for a message and return it.

        Raises
        ------
        EOFError
            If there will be none.
        """
        data = self._messages.get()
        if data is None:
            raise EOFError
        return pickle.loads(data)


def show_traceback() -> None:
    """Print where the error at hand showed, to those who asked for it."""
    if os.environ.get(TRACEBACK):
        traceback.print_exc()


def _send(descriptor: int, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    rest = memoryview(len(data).to_bytes(_HEAD_BYTES, "little") + data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _start_reading(descriptor: int, take: Callable[[bytes | None], object]) -> None:
    """Read a pipe on a thread; `take` gets every message as bytes, and None at the end."""

    def read(size: int) -> bytes:
        parts = []
        while size:
            if not (part := os.read(descriptor, min(size, _READ_BYTES))):
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_all() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                take(read(int.from_bytes(read(_HEAD_BYTES), "little")))
        os.close(descriptor)
        take(None)

    threading.Thread(target=read_all, daemon=True).start()
