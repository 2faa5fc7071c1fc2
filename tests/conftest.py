"""Settings for all tests: the same examples every run, and every test in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

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

WHOLLY_ORACLE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.oracle\b", re.M)

collect_ignore = ["support"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import judges from outside that do not run: torch alone takes seconds."""
    if collection_path.suffix != ".py" or "not oracle" not in config.getoption("markexpr"):
        return None
    return bool(WHOLLY_ORACLE.search(collection_path.read_text("utf-8"))) or None


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
