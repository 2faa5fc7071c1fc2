"""Records as JSON: every kind of value that a record of the program holds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.render.to_json import json_text, to_json


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    at: tuple[int, int]
    values: np.ndarray


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (np.bool_(False), False),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (math.nan, None),
        (np.float64("-inf"), None),
        ((1, (2.5, "a")), [1, [2.5, "a"]]),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(4.0), 4.0),
        (slice(2, 5), [2, 5]),
        (Path("a") / "b.png", str(Path("a/b.png"))),
        (Colour.RED, "red"),
        ({"k": (Colour.RED,), 3: None}, {"k": ["red"], "3": None}),
        (Outer("a", None), {"name": "a", "inner": None}),
        (
            Outer("a", Inner((1, 2), np.array([np.inf]))),
            {"name": "a", "inner": {"at": [1, 2], "values": [None]}},
        ),
    ],
)
def test_a_value_becomes_plain_and_can_be_dumped(value: Any, plain: Any) -> None:
    assert to_json(value) == plain
    assert json.loads(json_text(value)) == plain


def test_numbers_of_numpy_become_those_of_python() -> None:
    numbers = to_json([np.float64(0.1), np.uint8(7), np.bool_(True)])
    assert [type(number) for number in numbers] == [float, int, bool]


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no form of object"):
        to_json([object()])
