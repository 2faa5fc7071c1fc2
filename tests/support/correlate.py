"""A convolution by the engine in one call."""

from __future__ import annotations

from typing import Any

from cnncli.core.engine import prepare_convolution
from cnncli.core.geometry import Window


def correlate(
    X: Any, W: Any, window: Window, *given: Any, jobs: int | None = None, **named: Any
) -> Any:
    """Slide filters over a batch without pads; the rest as in `prepare_convolution`."""
    return prepare_convolution(W, window, *given, images=len(X), **named)(X, jobs)
