"""The memory that some Python takes in this process."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def traced_peak(action: Callable[[], object]) -> int:
    """Return the most bytes that were held at once while an action ran."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
