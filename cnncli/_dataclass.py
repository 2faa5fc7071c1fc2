"""`dataclass`: that of the standard library, which costs a command less when it starts.

Every method that the standard library adds is compiled from text when a module loads, and a command
loads over a hundred dataclasses: a third of its time on a small picture. Here ``__repr__``,
``__eq__`` and ``__hash__`` are functions that need no compiling, and do the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, eq=True, repr=True, frozen=False, **settings):
        """Make a dataclass, as `dataclasses.dataclass` does.

        Examples
        --------
        >>> @dataclass(frozen=True)
        ... class Pad:
        ...     rows: int = 1
        >>> Pad(), Pad(2) == Pad(2)
        (Pad(rows=1), True)
        """

        def make(cls):
            own = {*vars(cls)}
            made = dataclasses.dataclass(cls, eq=False, repr=False, frozen=frozen, **settings)
            fields = dataclasses.fields(made)
            if repr and "__repr__" not in own:
                made.__repr__ = _repr_of([field.name for field in fields if field.repr])
            if eq:
                _compare(made, own, _values_of([f.name for f in fields if f.compare]), frozen)
            return made

        return make if cls is None else make(cls)


def _compare(
    made: Any, own: set[str], values: Callable[[Any], tuple[Any, ...]], frozen: bool
) -> None:
    """Give a class ``__eq__``, and ``__hash__`` or none, unless it has its own."""

    def __eq__(self: Any, other: Any) -> Any:
        return (
            values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented
        )

    def __hash__(self: Any) -> int:
        return hash(values(self))

    if "__eq__" not in own:
        made.__eq__ = __eq__
    if "__hash__" not in own or (made.__hash__ is None and "__eq__" in own):
        made.__hash__ = __hash__ if frozen else None


def _repr_of(names: list[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns the values of some fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda made: tuple(getattr(made, name) for name in names)
