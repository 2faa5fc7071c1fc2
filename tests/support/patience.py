"""How long tests wait for others: far longer than an idle machine needs, for most are not idle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("CNNCLI_TEST_PATIENCE", "10"))
"""Seconds that tests wait for each second that an idle machine may take."""


def patient(seconds: float) -> float:
    """Return the limit for what takes at most so many seconds on an idle machine."""
    return seconds * PATIENCE


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something has come about, for `patient(seconds)` at most."""
    end = time.monotonic() + patient(seconds)
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)
