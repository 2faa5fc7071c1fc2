"""Dataclasses of `cnncli._dataclass` do what those of the standard library do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cnncli._dataclass import dataclass


def make(decorate: Callable[..., Any], **settings: Any) -> dict[str, Any]:
    """Return a base class, one below it, one with methods of its own, one field and none."""

    @decorate(**settings)
    class Base:
        a: int
        b: Any = dataclasses.field(default=(), repr=False)

    @decorate(**settings)
    class Below(Base):
        c: list[int] = dataclasses.field(default_factory=list, compare=False)

    @decorate(**settings)
    class Own:
        a: int = 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 5

        def __repr__(self) -> str:
            return "own"

    @decorate(**settings)
    class One:
        a: Any = 0.5

    @decorate(**settings)
    class Nothing:
        pass

    return {kind.__name__: kind for kind in (Base, Below, Own, One, Nothing)}


SETTINGS = [{}, {"frozen": True}, {"eq": False}, {"frozen": True, "eq": False}, {"repr": False}]
VALUES: dict[str, list[tuple[Any, ...]]] = {
    "Base": [(1,), (1, 2), (2, 2), (1, 0.5), (1, 0.5)],
    "Below": [(1, 2), (1, 2, [3]), (1, 3, [3])],
    "Own": [(1,), (2,)],
    "One": [(), (0.5,), (1,), ((1,),)],
    "Nothing": [(), ()],
}


def outcome(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


def behaviour(kind: Any, values: list[tuple[Any, ...]]) -> list[Any]:
    """Return all that can be seen of some objects of a class."""
    made = [kind(*value) for value in values]
    return [
        [field.name for field in dataclasses.fields(kind)],
        [repr(one).partition(" object at")[0] for one in made],
        [[one == other for other in made] for one in made],
        [one == object() for one in made],
        [one.__hash__ is None for one in made],
        [outcome(lambda one=one: hash(one)) for one in made if kind.__eq__ is not object.__eq__],
        [len({one, copy.copy(one)}) for one in made if one.__hash__ is not None],
        [outcome(lambda one=one: setattr(one, "a", 9)) for one in made],
        [vars(dataclasses.replace(one)) == vars(one) for one in made],
        outcome(lambda: kind(1, 2, 3, 4, 5, 6)),
        outcome(lambda: kind(d=1)),
        [(p.name, p.annotation, p.kind) for p in inspect.signature(kind).parameters.values()],
        [outcome(lambda one=one: delattr(one, "b")) for one in made],
    ]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_everything_is_as_in_the_standard_library(settings: dict[str, Any], name: str) -> None:
    ours, theirs = (make(each, **settings)[name] for each in (dataclass, dataclasses.dataclass))
    assert behaviour(ours, VALUES[name]) == behaviour(theirs, VALUES[name])


def test_a_cache_finds_what_holds_the_same_nan() -> None:
    nan = float("nan")
    One, Base = (make(dataclass, frozen=True)[name] for name in ("One", "Base"))
    assert {One(nan): 1, Base(2, nan): 2}.get(One(nan)) == 1
    assert Base(2, nan) == Base(2, nan) != Base(2, float("nan"))


def test_equal_objects_have_equal_hashes_and_travel() -> None:
    from cnncli.render.finite_values import ValueRange

    one = ValueRange(-1.0, 2.0, clipped=3)
    again = pickle.loads(pickle.dumps(one))
    assert (again, hash(again)) == (one, hash(one)) and {one: 1}[again] == 1
    assert dataclasses.replace(one, lo=0.0) != one


@pytest.mark.parametrize("below", [dataclass, dataclasses.dataclass])
def test_what_is_frozen_stays_so_below(below: Callable[..., Any]) -> None:
    @dataclass(frozen=True)
    class Base:
        a: int

    @below(frozen=True)
    class Below(Base):
        b: int = 2

    assert repr(Below(1)).endswith("Below(a=1, b=2)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Below(1).a = 2
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):
        below()(type("Other", (Base,), {}))
