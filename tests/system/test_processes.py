"""Child processes, forked and as new interpreters: messages, ends and what is left of them."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any

import pytest

from cnncli.system.processes import Child, Connection
from tests.support.patience import patient

WAYS = [False, True] if hasattr(os, "fork") else [False]
Events = SimpleQueue[tuple[Any, bytes | None]]


def answer(connection: Connection, first: object) -> None:
    """Send back what comes; do what some messages ask for."""
    connection.send(first)
    while True:
        message = connection.receive()
        if message == "exit":
            os._exit(3)
        if message == "fail":
            raise ValueError("on purpose")
        connection.send(message)
        if message == "hang":
            time.sleep(600)


@pytest.fixture(params=WAYS, ids=lambda may_fork: "forked" if may_fork else "new interpreter")
def child(request: pytest.FixtureRequest) -> Any:
    """A child that has begun, and has ended afterwards."""
    events: Events = SimpleQueue()
    child = Child(events, answer, {"first": 1}, may_fork=request.param)
    child.events = events  # type: ignore[attr-defined]
    assert heard(child) == {"first": 1}
    yield child
    child.kill()
    child.wait()


def heard(child: Any) -> Any:
    """Return the next message; None at the end."""
    sender, data = child.events.get(timeout=patient(10))
    assert sender is child
    return None if data is None else pickle.loads(data)


def test_messages_of_any_length(child: Any) -> None:
    for message in ("short", list(range(9)), b"x" * 3_000_000):
        child.send(message)
        assert heard(child) == message


def test_a_busy_child_reads_more_than_a_pipe_holds(child: Any) -> None:
    child.send("hang")
    assert heard(child) == "hang"
    sending = threading.Thread(target=child.send, args=(b"x" * 3_000_000,))
    sending.start()
    sending.join(timeout=patient(10))
    assert not sending.is_alive()


def test_it_ends_when_it_is_told_to(child: Any) -> None:
    child.stop()
    assert heard(child) is None
    assert child.wait() in (0, 128 + signal.SIGTERM)


def test_a_busy_child_ends_all_the_same(child: Any) -> None:
    child.send("hang")
    assert heard(child) == "hang"
    child.stop()
    assert heard(child) is None
    assert child.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize(("message", "code"), [("exit", 3), ("fail", 1)])
def test_its_end_is_told_with_its_code(child: Any, message: str, code: int) -> None:
    child.send(message)
    assert heard(child) is None
    child.send("nobody reads this")
    assert child.wait() == code


def test_a_second_child_does_not_keep_the_first(child: Any) -> None:
    events: Events = SimpleQueue()
    second = Child(events, answer, "second")
    child.stop()
    assert heard(child) is None
    second.kill()
    assert second.wait() != 0
    assert events.get(timeout=patient(10))[0] is second


def test_it_finds_modules_where_its_parent_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere/at/all"])
    events: Events = SimpleQueue()
    child = Child(events, send_path, may_fork=False)
    _, data = events.get(timeout=patient(10))
    child.wait()
    assert data is not None and pickle.loads(data) == sys.path


def send_path(connection: Connection) -> None:
    connection.send(sys.path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are what fails")
def test_a_child_that_cannot_begin_is_never_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    events: Events = SimpleQueue()
    # Threads of tests before this one may still end: none must have come.
    before = set(threading.enumerate())
    with pytest.raises(BlockingIOError):
        Child(events, answer, 1)
    assert events.empty() and set(threading.enumerate()) <= before
