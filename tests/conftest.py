"""Settings for all tests: the same examples every run, and every test in a folder of its own."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("cnncli", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("cnncli")

# Else each process that a test starts would compile all of cnncli anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers keep all cores busy already: BLAS threads beside them took 15 % more time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    # Shells and nohup start things with signals ignored, and commands would inherit that from here.
    if signal.getsignal(number) is signal.SIG_IGN:
        own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, own)

# Writing waits for the disk to hold each file. Processes still do; thousands of results here need
# not: no test looks at a disk after a loss of power. `test_atomic` checks what is synced, and when.
os.fsync = os.fstat  # type: ignore[assignment]

WHOLLY_ORACLE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.oracle\b", re.M)

collect_ignore = ["support"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import judges from outside that do not run: torch alone takes seconds."""
    if collection_path.suffix != ".py" or "not oracle" not in config.getoption("markexpr"):
        return None
    return bool(WHOLLY_ORACLE.search(collection_path.read_text("utf-8"))) or None


STATES = pytest.StashKey[list[tuple[np.random.Generator, Any]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note where the random numbers of each module begin."""
    for item in session.items:
        module = item.getparent(pytest.Module)
        if module is not None and STATES not in module.stash:
            module.stash[STATES] = [
                (value, value.bit_generator.state)
                for value in vars(module.obj).values()
                if isinstance(value, np.random.Generator)
            ]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep thousands of tests out of the garbage collector's way: it took a tenth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test the same random numbers, whichever tests ran before it in this process."""
    module = item.getparent(pytest.Module)
    for generator, state in module.stash.get(STATES, []) if module is not None else []:
        generator.bit_generator.state = state


REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def samples() -> Path:
    """The folder of sample photographs."""
    return REPOSITORY / "sample_images"


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
