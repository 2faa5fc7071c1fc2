"""`dataclass`: that of the standard library, which costs a command less when it starts.

Every method that the standard library adds is compiled from text when a module loads, and a command
loads over a hundred dataclasses: a third of its time on a small picture. Here ``__init__`` is
compiled for the first instance, for most classes never; the other methods need no compiling. All do
the same as there; objects that hold the same NaN are equal, as they were there before Python 3.13,
so that caches find them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib import import_module
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
            # One that has none gets its signature, which takes long to find.
            cls.__doc__ = cls.__doc__ or cls.__name__
            # There it is checked whether the classes above are frozen too.
            below = frozen and any(map(dataclasses.is_dataclass, cls.__bases__))
            given = {"frozen": below, **settings}
            made = dataclasses.dataclass(cls, init=False, eq=False, repr=False, **given)
            fields = dataclasses.fields(made)
            assert all(field.init for field in fields), "all fields are given to __init__"
            made.__init__, made.__signature__ = _compiles_init(made), _Signature()
            if frozen:
                made.__setattr__, made.__delattr__ = _assign, _delete
                made.__dataclass_params__.frozen = True
            if repr and "__repr__" not in own:
                made.__repr__ = _repr_of([field.name for field in fields if field.repr])
            if eq:
                _compare(made, own, _values_of([f.name for f in fields if f.compare]), frozen)
            return made

        return make if cls is None else make(cls)


def _compiles_init(made: Any) -> Callable[..., None]:
    """Return an ``__init__`` that puts the true one in its own place."""

    def __init__(self: Any, *args: Any, **fields: Any) -> None:
        made.__init__ = init = _compiled_init(made)
        init(self, *args, **fields)

    return __init__


def _compiled_init(made: Any) -> Callable[..., None]:
    parameters, lines = ["self"], []
    names: dict[str, Any] = {"_store": object.__setattr__}
    fields = dataclasses.fields(made)
    for field in sorted(fields, key=lambda field: field.kw_only is True):
        if field.kw_only is True and "*" not in parameters:
            parameters.append("*")
        default, value = f"_default_{field.name}", field.name
        if field.default is not dataclasses.MISSING:
            names[default] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            names[default] = field.default_factory
            value = f"{default}() if {value} is {default} else {value}"
        parameters.append(f"{field.name}={default}" if default in names else field.name)
        lines.append(f"_store(self, {field.name!r}, {value})")
    lines.append("self.__post_init__()" if hasattr(made, "__post_init__") else "pass")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return init


class _Signature:
    """What `inspect.signature` asks a class for: the parameters of its true ``__init__``."""

    def __get__(self, instance: Any, made: Any) -> Any:
        signature = import_module("inspect").signature(_compiled_init(made))
        return signature.replace(parameters=[*signature.parameters.values()][1:])


def _assign(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


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
