"""What a long piece of work has reached: set where it is done, shown by the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Progress:
    text = ""


_progress = _Progress()


def set_step(text: str, done: int = 0, total: int = 0) -> None:
    """Say what is being done.

    Parameters
    ----------
    text : str
        Such as ``checking gradients``.
    done, total : int
        Steps that are done, and all; 0 where that is not known.

    Examples
    --------
    >>> set_step("checking gradients", 3, 20)
    >>> step_text()
    'checking gradients, 3 of 20'
    """
    count = f", {done} of {total}" if total else f", {done}" if done else ""
    _progress.text = f"{text}{count}"


def step_text() -> str:
    """Return what `set_step` said last."""
    return _progress.text


def track(items: Iterable[T], text: str, total: int = 0) -> Iterator[T]:
    """Yield items, and say before each how many are done.

    Parameters
    ----------
    items : iterable
    text : str
    total : int
        How many there are, if that is known.

    Examples
    --------
    >>> [step_text() for _ in track("ab", "reading", 2)]
    ['reading, 0 of 2', 'reading, 1 of 2']
    """
    for done, item in enumerate(items):
        set_step(text, done, total)
        yield item
