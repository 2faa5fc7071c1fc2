"""The table of types of layers: it has what the layers take, and their defaults are true."""

from __future__ import annotations

import inspect

import pytest

from cnncli.network.toml_types import LAYER_TYPES

READ_WITH_THE_FILTER = {"filter_layout", "flip", "normalize", "convention"}

MADE_BY_FOLDING = {"conv": {"after"}}
"""What no file holds: `folding.fold` sets it."""


@pytest.mark.parametrize(
    "name", [name for name, kind in LAYER_TYPES.items() if kind.make is not None]
)
def test_fields_are_what_makes_the_layer(name: str) -> None:
    kind = LAYER_TYPES[name]
    assert kind.make is not None
    made_by_folding = MADE_BY_FOLDING.get(name, set())
    parameters = inspect.signature(kind.make).parameters
    taken = {key: one for key, one in parameters.items() if key not in made_by_folding}
    assert set(kind.fields) - READ_WITH_THE_FILTER - {"inputs"} == set(taken)
    known = {key for key, one in taken.items() if one.default is not one.empty}
    left_out = {key for key, field in kind.fields.items() if not field.required and key in taken}
    assert left_out <= known | set(kind.defaults)
    assert left_out >= known


def test_only_a_dense_layer_depends_on_those_before() -> None:
    assert [name for name, kind in LAYER_TYPES.items() if kind.make is None] == ["dense"]
